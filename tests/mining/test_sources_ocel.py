"""Does each OCEL 2.0 file, awkward, broken or malicious, come out as the tables here say?"""

from __future__ import annotations

import gzip
import importlib
import json
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mining.rosetta_story import reference

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, open_log, sources

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[1] / "data"
DESK = DATA / "ocel" / "desk.json"
ROSETTA = DATA / "rosetta"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
OCEL = SHARED / "hostile" / "ocel"
XES = SHARED / "hostile" / "xes"
needs_data = pytest.mark.skipif(not OCEL.exists(), reason="shared/data is missing")
STATIC = "1970-01-01T00:00:00Z"

Log = dict[str, Any]

# file -> object types, cases, events (read whole), words of the note that it needs
READ = {
    "good.json": (("Purchase Order", "Invoice"), 5, 14, ""),
    "rt.json": (("Purchase Requisition",), 1, 3, ""),
    "attr_named_like_internal_column.json": (("Purchase Requisition",), 1, 3, "'ocel:eid'"),
    "event_without_relationships.json": (("Purchase Requisition",), 1, 2, "11 events touch no"),
    "no_types_declared.json": (("Purchase Requisition",), 1, 3, "which is not declared"),
    "undeclared_event_type.json": (("Purchase Requisition",), 1, 3, "type 'UNDECLARED'"),
}
# file -> object types, code and words of the error that stops the reading
STOPPED = {
    "duplicate_object_id.json": ((), "LG097", "object 'R1' stands in .* object 1 and in .* 10"),
    "truncated.json": (("Invoice",), "LG064", "truncated.json is no JSON"),
    "empty_obj.json": (("Invoice",), "LG030", "nothing that a source knows"),
}
# file -> object types, events left, places and code of the rejects
REJECTED = {
    "bad_time.json": (("Purchase Requisition",), 2, ["event 1 ('e1')"], "LG104"),
    "mixed_zones.json": (("Purchase Requisition",), 2, ["event 2 ('e2')"], "LG105"),
    "duplicate_event_id.json": (
        ("Purchase Requisition",),
        2,
        ["event 1 ('e1')", "event 14 ('e1')"],
        "LG150",
    ),
}


# --- writers of the three formats


def as_json(log: Log, path: Path) -> Path:
    path.write_text(json.dumps(log), encoding="utf-8")
    return path


def xml_text(log: Log) -> str:
    return f"<log>{''.join((*_types(log), *_items(log, 'object'), *_items(log, 'event')))}</log>"


def _types(log: Log) -> list[str]:
    out = []
    for tag, key in (("object-type", "objectTypes"), ("event-type", "eventTypes")):
        out.append(f"<{tag}s>")
        for kind in log[key]:
            rows = "".join(
                f"<attribute name={quoted(a['name'])} type={quoted(a['type'])}/>"
                for a in kind["attributes"]
            )
            name = quoted(kind["name"])
            out.append(f"<{tag} name={name}><attributes>{rows}</attributes></{tag}>")
        out.append(f"</{tag}s>")
    return out


def _items(log: Log, tag: str) -> list[str]:
    out = [f"<{tag}s>"]
    for item in log[f"{tag}s"]:
        values = "".join(
            f"<attribute name={quoted(a['name'])}{_at(a)}>{escape(str(a['value']))}</attribute>"
            for a in item.get("attributes", [])
        )
        related = "".join(
            f"<relationship object-id={quoted(r['objectId'])} qualifier={quoted(r['qualifier'])}/>"
            for r in item.get("relationships", [])
        )
        head = f"<{tag} id={quoted(item['id'])} type={quoted(item['type'])}{_at(item)}>"
        body = f"<attributes>{values}</attributes><objects>{related}</objects>"
        out.append(f"{head}{body}</{tag}>")
    return [*out, f"</{tag}s>"]


def _at(item: Log) -> str:
    return f" time={quoted(item['time'])}" if "time" in item else ""


def quoted(text: str) -> str:
    return quoteattr(text, {"\n": "&#10;", "\t": "&#9;"})


def as_xml(log: Log, path: Path) -> Path:
    path.write_text(xml_text(log), encoding="utf-8")
    return path


def as_sqlite(log: Log, path: Path) -> Path:
    """Write as the specification's example does: a table a type, nulls where nothing is said."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as db:
        for what in ("event", "object"):
            kinds = log[f"{what}Types"]
            _fill(
                db, what, ("ocel_id", "ocel_type"), [(i["id"], i["type"]) for i in log[what + "s"]]
            )
            maps = [(kind["name"], f"T{i}") for i, kind in enumerate(kinds)]
            _fill(db, f"{what}_map_type", ("ocel_type", "ocel_type_map"), maps)
            for kind, (_, short) in zip(kinds, maps, strict=True):
                own = [i for i in log[what + "s"] if i["type"] == kind["name"]]
                names = [a["name"] for a in kind["attributes"]]
                fixed = ["ocel_id", "ocel_time"] + ["ocel_changed_field"] * (what == "object")
                rows = [row for item in own for row in _rows(item, names, what)]
                _fill(db, f"{what}_{short}", (*fixed, *names), rows)
            source, target = ("ocel_event_id", "ocel_object_id")
            if what == "object":
                source, target = ("ocel_source_id", "ocel_target_id")
            pairs = [
                (item["id"], r["objectId"], r["qualifier"])
                for item in log[what + "s"]
                for r in item.get("relationships", [])
            ]
            _fill(db, f"{what}_object", (source, target, "ocel_qualifier"), pairs)
        db.commit()
    return path


def _rows(item: Log, names: Sequence[str], what: str) -> list[tuple[Any, ...]]:
    if what == "event":
        values = {a["name"]: a["value"] for a in item["attributes"]}
        return [(item["id"], item["time"], *(values.get(name) for name in names))]
    rows: list[tuple[Any, ...]] = []
    for a in item.get("attributes", []):
        changed = None if a["time"] == STATIC else a["name"]
        cells = (a["value"] if name == a["name"] else None for name in names)
        rows.append((item["id"], a["time"], changed, *cells))
    return rows or [(item["id"], STATIC, None, *(None for _ in names))]


def _fill(
    db: sqlite3.Connection, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    names = ", ".join('"' + column.replace('"', '""') + '" TEXT' for column in columns)
    db.execute(f'CREATE TABLE "{table}" ({names})')
    marks = ", ".join("?" for _ in columns)
    db.executemany(f'INSERT INTO "{table}" VALUES ({marks})', rows)  # noqa: S608 - our own names


WRITERS = {"json": as_json, "xml": as_xml, "sqlite": as_sqlite}


# --- small logs


def desk() -> Log:
    loaded: Log = json.loads(DESK.read_text(encoding="utf-8"))
    return loaded


def event(name: str, *related: str, at: str = "2024-01-01T10:00:00Z", **values: str) -> Log:
    attributes = [{"name": key, "value": value} for key, value in values.items()]
    pairs = [{"objectId": other, "qualifier": ""} for other in related]
    return {"id": name, "type": "Do", "time": at, "attributes": attributes, "relationships": pairs}


def item(name: str, kind: str = "Ticket", *values: tuple[str, str, str]) -> Log:
    attributes = [{"name": n, "time": at, "value": value} for n, at, value in values]
    return {"id": name, "type": kind, "attributes": attributes, "relationships": []}


def log_of(events: list[Log], objects: list[Log], **declared: str) -> Log:
    kinds = sorted({thing["type"] for thing in objects})
    attributes = [{"name": name, "type": kind} for name, kind in declared.items()]
    return {
        "eventTypes": [{"name": "Do", "attributes": attributes}],
        "objectTypes": [{"name": kind, "attributes": attributes} for kind in kinds],
        "events": events,
        "objects": objects,
    }


def read(
    path: Path, *types: str, mapping: str = "", zone: str | None = None, allow: bool = False
) -> EventLog:
    toml = None
    if mapping:
        toml = path.with_suffix(".toml")
        toml.write_text(f'name = "m"\n{mapping}', encoding="utf-8")
    options = ReadOptions(
        object_types=types, mapping=toml, timezone=zone, allow_rejects=allow, clear_names=True
    )
    return open_log([path], options)


def read_log(folder: Path, log: Log, *types: str, **more: Any) -> EventLog:  # noqa: ANN401 - as `read` takes them
    return read(as_json(log, folder / "log.json"), *types, **more)


def column(log: EventLog, name: str) -> list[Any]:
    table = log.events if name in log.events.column_names else log.cases
    values: list[Any] = table[name].to_pylist()
    return values


# --- the tables


@needs_data
def test_the_tables_name_every_file() -> None:
    assert {p.name for p in OCEL.iterdir()} == {*READ, *STOPPED, *REJECTED}


@needs_data
@pytest.mark.parametrize("name", READ)
def test_awkward_files_are_read_whole(name: str) -> None:
    types, cases, events, words = READ[name]
    log = read(OCEL / name, *types)
    assert (log.n_cases, log.n_events, log.meta.rejects.num_rows) == (cases, events, 0)
    assert words in " ".join(log.meta.notes)


@needs_data
@pytest.mark.parametrize("name", STOPPED)
def test_broken_files_stop_the_reading(name: str) -> None:
    types, code, words = STOPPED[name]
    with pytest.raises(CodedError, match=f"{code} .*{words}"):
        read(OCEL / name, *types, allow=True)


@needs_data
@pytest.mark.parametrize("name", REJECTED)
def test_unreadable_events_are_rejects_with_their_place(name: str) -> None:
    types, kept, places, code = REJECTED[name]
    with pytest.raises(RunError, match=f"LG035 {len(places)} of {kept + len(places)} "):
        read(OCEL / name, *types)
    log = read(OCEL / name, *types, allow=True)
    found = log.meta.rejects.to_pylist()
    assert [(r["place"], r["code"]) for r in found] == [(place, code) for place in places]
    assert (log.n_events, log.meta.rows_in) == (kept, kept + len(places))


@needs_data
def test_a_declared_zone_reads_the_stamps_without_offset() -> None:
    log = read(OCEL / "mixed_zones.json", "Purchase Requisition", zone="Europe/Berlin")
    at = log.to_pandas().set_index("activity")["at"]
    assert str(at["Create Purchase Requisition"]) == "2024-01-01 05:00:00+00:00"
    assert str(at["Approve Purchase Requisition"]) == "2024-01-01 09:00:00+00:00"


@needs_data
def test_the_times_of_an_objects_values_need_a_zone_too() -> None:
    with pytest.raises(RunError, match=r"LG082 .*'po_quantity' of 'PO1'.*--timezone"):
        read(OCEL / "rt.json", "Purchase Order")
    log = read(OCEL / "rt.json", "Purchase Order", zone="UTC")
    assert column(log, "attr.po_quantity") == ["600", "1"]


# --- three formats, one log


@pytest.mark.parametrize("name", ["ocel_json", "ocel_xml"])
def test_the_story_is_the_story(name: str) -> None:
    folder = ROSETTA / name
    (story,) = folder.glob("story.*")
    log = open_log(
        [story], ReadOptions(mapping=folder / "mapping.toml", object_types=("Incident",))
    )
    assert log.links["linked_to"].to_pylist() == []
    assert log.meta.sha256 == reference().meta.sha256


def test_the_story_in_sqlite_is_the_story(tmp_path: Path) -> None:
    folder = ROSETTA / "ocel_json"
    story = json.loads((folder / "story.json").read_text(encoding="utf-8"))
    path = as_sqlite(story, tmp_path / "story.sqlite")
    log = open_log([path], ReadOptions(mapping=folder / "mapping.toml", object_types=("Incident",)))
    assert log.meta.sha256 == reference().meta.sha256


LETTERS = st.characters(
    codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"
)
TEXTS = st.text(LETTERS, max_size=6)
NAMES = st.text(LETTERS, min_size=1, max_size=4)
STAMPS = st.datetimes().map(lambda t: t.isoformat()[:19] + "+00:00")
SMALL = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Any log that the standard allows, and times that it does not."""
    kinds = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    fields = draw(st.lists(NAMES.filter(_plain), max_size=3, unique_by=str.lower))
    ids = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))

    def values(*, timed: bool) -> list[Log]:
        chosen = draw(st.lists(st.sampled_from(fields), unique=True)) if fields else []
        found = [{"name": name, "value": draw(TEXTS)} for name in chosen]
        return [{**a, "time": draw(st.just(STATIC) | STAMPS)} if timed else a for a in found]

    def related() -> list[Log]:
        others = draw(st.lists(st.sampled_from([*ids, "nobody"]), max_size=3))
        return [{"objectId": other, "qualifier": draw(TEXTS)} for other in others]

    def thing(name: str, types: list[str], *, timed: bool) -> Log:
        kind = draw(st.sampled_from(types))
        return {
            "id": name,
            "type": kind,
            "attributes": values(timed=timed),
            "relationships": related(),
        }

    objects = [thing(name, kinds, timed=True) for name in ids]
    stamps = STAMPS | st.sampled_from(["yesterday", "2024-01-01T10:00:00"])
    n = draw(st.integers(0, 6))
    events = [
        thing(f"e{i}", ["Do", "Undo"], timed=False) | {"time": draw(stamps)} for i in range(n)
    ]
    attributes = [{"name": name, "type": "string"} for name in fields]
    return {
        "eventTypes": [{"name": name, "attributes": attributes} for name in ("Do", "Undo")],
        "objectTypes": [{"name": kind, "attributes": attributes} for kind in kinds],
        "events": events,
        "objects": objects,
    }


def _plain(name: str) -> bool:
    return not name.lower().startswith("ocel_")


def outcome(path: Path, kinds: Sequence[str]) -> tuple[Any, ...]:
    """Return what a log gives, or the code of its error."""
    try:
        log = read(path, *kinds, allow=True)
    except CodedError as error:
        return (error.code,)
    copies = [copy for copy in _cells(log, "attr.shared_event") if copy is not None]
    accepted = log.n_events - len(copies) + len(set(copies))
    assert log.meta.rows_in == accepted + log.meta.rejects.num_rows
    rejects = sorted(log.meta.rejects["code"].to_pylist())
    return (log.meta.sha256, log.meta.rows_in, rejects, log.meta.seen, log.meta.notes)


def _cells(log: EventLog, name: str) -> list[Any]:
    return column(log, name) if name in log.events.column_names else []


@SMALL
@given(log=logs(), data=st.data())
def test_three_formats_give_one_log(tmp_path: Path, log: Log, data: st.DataObject) -> None:
    kinds = [kind["name"] for kind in log["objectTypes"]]
    chosen = data.draw(st.lists(st.sampled_from(kinds), min_size=1, unique=True))
    found = [outcome(write(log, tmp_path / f"log.{n}"), chosen) for n, write in WRITERS.items()]
    assert found[0] == found[1] == found[2]


@SMALL
@given(log=logs(), seed=st.randoms(use_true_random=False))
def test_the_order_in_a_file_says_nothing(tmp_path: Path, log: Log, seed: random.Random) -> None:
    kinds = [kind["name"] for kind in log["objectTypes"]]
    first = outcome(as_json(log, tmp_path / "a.json"), kinds)
    for key in ("events", "objects", "eventTypes", "objectTypes"):
        seed.shuffle(log[key])
    assert outcome(as_json(log, tmp_path / "a.json"), kinds) == first


def test_another_library_writes_and_flattens_the_same(tmp_path: Path) -> None:
    pm4py = pytest.importorskip("pm4py")
    # named, for pm4py picks its reader by what happens to be installed beside it
    reader = importlib.import_module("pm4py.objects.ocel.importer.jsonocel.importer")
    theirs = reader.apply(str(DESK), variant=reader.Variants.OCEL20_STANDARD)
    pm4py.write_ocel2_json(theirs, str(tmp_path / "a.json"))
    pm4py.write_ocel2_xml(theirs, str(tmp_path / "a.xml"))
    pm4py.write_ocel2_sqlite(theirs, str(tmp_path / "a.sqlite"))
    kinds = ("Incident", "Problem", "Change")
    ours = read(DESK, *kinds)
    for name in ("a.json", "a.xml", "a.sqlite"):
        log = read(tmp_path / name, *kinds)
        assert (log.n_cases, log.n_events) == (5, 14)
        assert log.links == ours.links
        for wanted in ("case_id", "activity", "at", "actor", "team", "attr.related:Service"):
            assert column(log, wanted) == column(ours, wanted), (name, wanted)
        assert column(log, "attr.priority") == [None, "P1", "P2", "P4", "P1"]
    flat = pm4py.ocel_flattening(theirs, "Incident")
    keys = ["case:concept:name", "concept:name", "time:timestamp"]
    expected = sorted(zip(*(flat[key] for key in keys), strict=True))
    own = read(DESK, "Incident").to_pandas()
    assert sorted(zip(own["case_id"], own["activity"], own["at"], strict=True)) == expected


# --- which objects are the cases


def test_one_type_with_events_is_taken(tmp_path: Path) -> None:
    log = log_of([event("e1", "A")], [item("A"), item("S", "Service")])
    assert column(read_log(tmp_path, log), "case_id") == ["A"]


def test_several_types_with_events_are_listed() -> None:
    with pytest.raises(CodedError, match="LG095 objects of 5 types") as stop:
        read(DESK)
    assert "Incident (3 objects, 6 events), Problem (1 objects, 4 events)" in str(stop.value)
    assert '--object-type "Incident"' in str(stop.value)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(CodedError, match=r"LG096 .*'Incidents'.*Did you mean 'Incident'"):
        read(DESK, "Incidents")


def test_a_chosen_object_without_events_is_a_case(tmp_path: Path) -> None:
    log = log_of([event("e1", "A")], [item("A"), item("B")])
    assert read_log(tmp_path, log).cases["case_id"].to_pylist() == ["A", "B"]


def test_a_log_without_events_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="LG034"):
        read_log(tmp_path, log_of([], [item("A")]))


def test_an_event_of_several_cases_counts_in_each_and_is_seen() -> None:
    log = read(DESK, "Incident", "Problem", "Change")
    frame = log.to_pandas()
    shared = frame[frame["attr.shared_event"].notna()]
    groups = {key: set(own["case_id"]) for key, own in shared.groupby("attr.shared_event")}
    assert groups == {
        "e03": {"INC1", "INC2", "PRB1"},
        "e05": {"CHG1", "PRB1"},
        "e07": {"INC1", "INC2", "PRB1"},
    }
    (seen,) = log.meta.seen
    assert (seen.code, seen.count, seen.of) == ("QG151", 3, 9)
    assert seen.cases == ("CHG1", "INC1", "INC2", "PRB1")
    assert (log.meta.rows_in, log.n_events) == (9, 9 + 2 + 1 + 2)
    assert "1 events touch no object of type Change, Incident, Problem" in log.meta.notes[0]


def test_practice_actor_and_team_need_no_mapping() -> None:
    log = read(DESK, "Incident")
    assert set(column(log, "practice")) == {"incident"}
    assert column(log, "actor")[:2] == ["kim", "lee"]
    assert column(log, "team")[:2] == ["Desk", "Mail team"]


def test_the_mapping_names_words_practices_and_fields(tmp_path: Path) -> None:
    mapping = (
        '[words]\n"Log incident" = "New"\n[practices]\nIncident = "outage"\n'
        '[priorities]\nP1 = "P0"\n[fields]\npriority = "priority"\nopened = "opened_at"\n'
        'attributes = ["related:Problem"]\n'
    )
    log = read_log(tmp_path, desk(), "Incident", mapping=mapping)
    assert column(log, "practice") == ["outage"] * 3
    assert column(log, "priority") == ["P0", "P2", "P4"]
    assert column(log, "activity")[0] == "New"
    assert column(log, "opened")[0] == 1_714_982_400_000_000
    assert {n for n in log.events.column_names if n.startswith("attr.")} == {
        "attr.related:Problem",
        "attr.shared_event",
    }
    assert not [n for n in log.cases.column_names if n.startswith("attr.")]
    assert any("attributes that the mapping does not name" in note for note in log.meta.notes)


def test_state_actor_and_team_may_stand_elsewhere(tmp_path: Path) -> None:
    log = log_of(
        [event("e1", "A", "Net", "bea", state="Open"), event("e2", "A", at="2024-01-02T10:00:00Z")],
        [item("A"), item("Net", "Group"), item("bea", "Worker")],
        state="string",
    )
    mapping = '[fields]\nstate = "state"\nactor = "Worker"\nteam = "Group"\npeople = ["Worker"]'
    found = read_log(tmp_path, log, "Ticket", mapping=mapping)
    assert column(found, "activity") == ["Open", "Do"]
    assert (column(found, "actor"), column(found, "team")) == (["bea", None], ["Net", None])


COLUMNS = '[time]\nformat = "iso"\n[event]\ncase_id = "a"\nactivity = "b"\nat = "c"'


@pytest.mark.parametrize("mapping", ['[fields]\ncase_id = "x"', COLUMNS])
def test_a_mapping_that_would_not_be_used_is_refused(tmp_path: Path, mapping: str) -> None:
    toml = _stored(tmp_path / "m.toml", f'name = "m"\n{mapping}')
    with pytest.raises(CodedError, match="LG033"):
        open_log([DESK], ReadOptions(object_types=("Incident",), mapping=toml))


def _stored(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# --- attributes, links, people


def test_the_last_known_value_is_the_cases(tmp_path: Path) -> None:
    values = (
        ("a", "2024-01-02T00:00:00Z", "late"),
        ("a", STATIC, "first"),
        ("a", "2024-01-02T00:30:00+01:00", "earlier by its offset"),
        ("b", "1970-01-01 00:00:00", "static without an offset"),
        ("c", "2024-01-01T00:00:00Z", "one"),
        ("c", "2024-01-01T01:00:00+01:00", "two"),
    )
    log = log_of(
        [event("e1", "A")], [item("A", "Ticket", *values)], a="string", b="string", c="string"
    )
    found = read_log(tmp_path, log)
    assert column(found, "attr.a") == ["late"]
    assert column(found, "attr.b") == ["static without an offset"]
    assert "attr.c" not in found.cases.column_names
    assert any("1 attributes of cases have two last values" in note for note in found.meta.notes)


def test_values_without_their_declared_form_are_kept_and_counted(tmp_path: Path) -> None:
    kinds = {"n": "integer", "x": "float", "b": "boolean", "t": "time", "s": "string"}
    good = {"n": "-12", "x": "1e-9", "b": "True", "t": "2024-01-01T10:00:00Z", "s": "12"}
    bad = {"n": "1.5", "x": "1,5", "b": "yes", "t": "01.02.2024", "s": ""}
    events = [
        event("e1", "A", **good),
        event("e2", "A", at="2024-01-02T10:00:00Z", **bad, more="1"),
    ]
    found = read_log(tmp_path, log_of(events, [item("A")], **kinds))
    assert column(found, "attr.n") == ["-12", "1.5"]
    notes = [note.removeprefix("ocel: ") for note in found.meta.notes]
    assert notes == [
        "1 values of 'b' are no boolean",
        "1 values of 'more', which event type 'Do' lacks",
        "1 values of 'n' are no integer",
        "1 values of 't' are no time",
        "1 values of 'x' are no float",
    ]


def test_numbers_and_truth_values_of_json_keep_their_digits(tmp_path: Path) -> None:
    log = log_of([event("e1", "A")], [item("A")], n="integer", x="float", b="boolean", z="string")
    log["events"][0]["attributes"] = [
        {"name": "n", "value": 12},
        {"name": "x", "value": 1.50},
        {"name": "b", "value": True},
        {"name": "z", "value": None},
    ]
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log).replace("1.5", "1.50"), encoding="utf-8")
    found = read(path)
    assert [column(found, f"attr.{name}") for name in "nxb"] == [["12"], ["1.50"], ["true"]]
    assert "attr.z" not in found.events.column_names
    assert found.meta.notes == ()


HIJACK = ("case_id", "activity", "seq", "ocel:eid", "related:Service", "relation", "own:x")


def test_an_attribute_never_takes_the_place_of_a_column(tmp_path: Path) -> None:
    values = dict.fromkeys(HIJACK, "hijack") | {"shared_event": "hijack"}
    log = log_of([event("e1", "A", "S", **values)], [item("A"), item("S", "Service")])
    log["events"][0]["relationships"][0]["qualifier"] = "subject"
    found = read_log(tmp_path, log, "Ticket")
    assert column(found, "case_id") == ["A"]
    assert column(found, "activity") == ["Do"]
    assert column(found, "attr.case_id") == ["hijack"]
    assert column(found, "attr.related:Service") == ['["S"]']
    assert column(found, "attr.relation") == ["subject"]
    for name in ("related:Service", "relation", "shared_event", "own:x"):
        assert column(found, f"attr.own:{name}") == ["hijack"]


def test_links_are_seen_from_the_case() -> None:
    rows = read(DESK, "Incident").links.to_pylist()
    assert [(r["case_id"], r["linked_to"], r["kind"]) for r in rows] == [
        ("INC1", "PRB1", "caused by"),
        ("INC1", "mail", "affects"),
        ("INC2", "PRB1", "caused by"),
    ]
    rows = read(DESK, "Problem").links.to_pylist()
    assert [(r["linked_to"], r["kind"], r["at"]) for r in rows] == [
        ("CHG1", "Change", None),
        ("INC1", "inverse:caused by", None),
        ("INC2", "inverse:caused by", None),
    ]
    assert read(DESK, "Change").links["kind"].to_pylist() == ["Problem"]


def test_people_never_stand_in_the_log_in_clear() -> None:
    log = open_log([DESK], ReadOptions(object_types=("Incident",)))
    text = "".join(str(table.to_pylist()) for table in (log.events, log.cases, log.links))
    assert not [name for name in ("Ada", "kim", "lee") if name in text]
    assert log.events["attr.related:User"].null_count == log.n_events - 1
    assert any("1 links to people were left out" in note for note in log.meta.notes)


def test_other_objects_of_an_event_stay_with_it() -> None:
    log = read(DESK, "Incident")
    frame = log.to_pandas().set_index(["case_id", "activity"])
    assert frame.loc[("INC1", "Log problem"), "attr.related:Problem"] == '["PRB1"]'
    assert frame.loc[("INC1", "Log incident"), "attr.relation:User"] == '["caller"]'
    assert frame.loc[("INC1", "Log problem"), "attr.relation"] == "symptom"


# --- odd events


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"time": None}, "LG103"),
        ({"time": ""}, "LG103"),
        ({"time": 5}, "LG152"),
        ({"id": None}, "LG152"),
        ({"id": ""}, "LG152"),
        ({"type": None}, "LG152"),
        ({"type": ["Do"]}, "LG152"),
        ({"relationships": {"objectId": "A"}}, "LG152"),
        ({"relationships": [{"qualifier": "x"}]}, "LG152"),
        ({"relationships": ["A"]}, "LG152"),
        ({"attributes": [{"name": "a", "value": ["1"]}]}, "LG152"),
        ({"attributes": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]}, "LG154"),
        ({"relationships": [{"objectId": "gone", "qualifier": ""}]}, "LG151"),
    ],
)
def test_an_event_that_cannot_be_read_is_a_reject(tmp_path: Path, change: Log, code: str) -> None:
    log = log_of([event("e1", "A"), event("e2", "A") | change], [item("A")], a="string")
    found = read_log(tmp_path, log, "Ticket", allow=True)
    assert found.meta.rejects["code"].to_pylist() == [code]
    assert (found.n_events, found.meta.rows_in) == (1, 2)
    assert "event 2" in found.meta.rejects["place"][0].as_py()


def test_an_unknown_object_beside_a_case_is_counted(tmp_path: Path) -> None:
    found = read_log(tmp_path, log_of([event("e1", "A", "gone")], [item("A")]))
    assert found.meta.notes == ("ocel: 1 relationships of events name objects that the file lacks",)
    assert found.events["attr.related:(unknown)"].null_count == 0


def test_equal_times_have_no_known_order(tmp_path: Path) -> None:
    log = log_of(
        [
            event("e1", "A"),
            event(
                "e2",
                "A",
            )
            | {"type": "Also"},
        ],
        [item("A")],
    )
    assert column(read_log(tmp_path, log), "order_known") == [False]
    known = read_log(tmp_path, log, mapping='activity_order = ["Do", "Also"]')
    assert column(known, "activity") == ["Do", "Also"]
    assert column(known, "order_known") == [True]


def test_several_files_make_one_log(tmp_path: Path) -> None:
    first = as_json(log_of([event("e1", "A")], [item("A")]), tmp_path / "a.json")
    second = as_xml(log_of([event("e2", "A", "B")], [item("B")]), tmp_path / "b.xml")
    log = open_log([first, second])
    assert (log.n_cases, log.n_events) == (2, 3)
    with pytest.raises(
        RunError, match=r"LG097 object 'A' stands in a\.json object 1 and in c\.xml"
    ):
        open_log([first, as_xml(log_of([], [item("A")]), tmp_path / "c.xml")])


# --- JSON


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"eventTypes": [], "events": []}', "no objects"),
        ('{"objectTypes": {}, "events": [], "objects": []}', "objectTypes is no list"),
        ('{"objectTypes": [], "events": {}, "objects": []}', "events is no list"),
        ('{"objectTypes": [], "events": [], "objects": [1]}', "object 1 is no OCEL"),
        ('{"objectTypes": [], "events": [], "objects": [{"id": "A"}]}', "has no type"),
        ('[{"objectTypes": [], "events": [], "objects": []}, {}]', "not one JSON object"),
        ('{"ocel:global-log": {}, "ocel:events": {}, "ocel:objects": {}}', "OCEL 1.0"),
    ],
)
def test_json_that_is_built_otherwise_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RunError, match=f"LG098 .*{words}"):
        open_log([_stored(tmp_path / "log.json", text)])


def test_what_the_standard_lacks_is_counted(tmp_path: Path) -> None:
    log = log_of([event("e1", "A") | {"cost": 5}], [item("A") | {"owner": "x"}]) | {"author": "y"}
    notes = read_log(tmp_path, log).meta.notes
    assert [note.removeprefix("ocel: 1 ") for note in notes] == [
        "keys 'author' of a file were left out",
        "keys 'cost' of events were left out",
        "keys 'owner' of objects were left out",
    ]


def cut_points(size: int, n: int) -> list[int]:
    return sorted(random.Random(3).sample(range(1, size), min(n, size - 1)))  # noqa: S311 - which places are tried


@pytest.mark.parametrize("name", WRITERS)
def test_a_cut_file_is_an_error(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](desk(), tmp_path / f"log.{name}")
    whole = path.read_bytes()
    options = ReadOptions(object_types=("Incident",), allow_rejects=True)
    assert open_log([path], options).n_cases == 3
    for end in cut_points(len(whole.rstrip()), 250):
        path.write_bytes(whole[:end])
        with pytest.raises(CodedError):
            open_log([path], options)


# --- XML


def small_xml(body: str = "", head: str = "") -> str:
    events = '<event id="e1" type="Do" time="2024-01-01T10:00:00Z"><objects>{}</objects></event>'
    one = events.format('<relationship object-id="A" qualifier="q"/>')
    return (
        f'{head}<log><objects><object id="A" type="Ticket"/></objects>'
        f"<events>{one}</events>{body}</log>"
    )


def test_a_doctype_is_refused_at_once(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE log [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    path = _stored(tmp_path / "log.xml", small_xml("<x>&b;</x>", bomb))
    for source in (None, "ocel"):
        start = time.process_time()
        with pytest.raises(RunError, match=r"LG070 .*DOCTYPE"):
            open_log([path], ReadOptions(source=source))
        assert time.process_time() - start < 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_xml_in_any_declared_encoding(tmp_path: Path, encoding: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n<!-- <log/> -->\n'
    path = tmp_path / "log.xml"
    path.write_bytes(small_xml(head=head).replace("Ticket", "Störung").encode(encoding))
    assert column(open_log([path]), "practice") == ["störung"]


def test_names_may_have_a_prefix_and_values_cdata(tmp_path: Path) -> None:
    text = (
        '<o:log xmlns:o="urn:x"><o:objects><o:object id="A" type="T"><o:attributes>'
        '<o:attribute name="a" time="1970-01-01T00:00:00Z">1 &lt; <![CDATA[<2>]]></o:attribute>'
        '</o:attributes></o:object></o:objects><o:events><o:event id="e" type="Do" '
        'time="2024-01-01T10:00:00Z"><o:objects><o:object object-id="A"/></o:objects></o:event>'
        "</o:events></o:log>"
    )
    log = open_log([_stored(tmp_path / "log.xml", text)])
    assert column(log, "attr.a") == ["1 < <2>"]


def test_unknown_elements_are_counted_and_skipped(tmp_path: Path) -> None:
    text = small_xml("<extension><events><event/></events></extension>").replace(
        'type="Do"', 'type="Do" cost="5"'
    )
    log = open_log([_stored(tmp_path / "log.xml", text)])
    assert log.n_events == 1
    notes = [note.removeprefix("ocel: 1 ") for note in log.meta.notes]
    assert notes[-2:] == [
        "XML attributes 'cost' of event were left out",
        "elements 'log/extension' were left out",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (small_xml() + "<log/>", "LG074"),
        (small_xml() + "more", "LG074"),
        (small_xml("<a></b>"), "LG072"),
        (small_xml("<x>\x01</x>"), "LG072"),
        (small_xml()[:-8], "LG071"),
        ("<log><events></events></log>", "LG098"),
        ('<log><global scope="log"/><events/><objects/></log>', "LG098"),
        ('<log><objects><object id="A"/></objects><events/></log>', "LG098"),
        ("<log><object-types><object-type/></object-types><events/><objects/></log>", "LG098"),
    ],
)
def test_xml_that_is_built_otherwise_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(RunError, match=code):
        open_log([_stored(tmp_path / "log.xml", text)])


def test_another_root_is_no_ocel(tmp_path: Path) -> None:
    path = _stored(tmp_path / "log.xml", "<logs><events/><objects/></logs>")
    with pytest.raises(RunError, match=r"LG098 .*its root is 'logs'"):
        open_log([path], ReadOptions(source="ocel"))


def test_odd_xml_events_are_rejects(tmp_path: Path) -> None:
    odd = (
        '<event type="Do" time="2024-01-01T10:00:00Z"/><event id="e3" time="x"/>'
        '<event id="e4" type="Do"><objects><relationship/></objects></event>'
        '<event id="e5" type="Do"><objects><relationship object-id="A"/></objects></event>'
        '<event id="e6" type="Do"><attributes><attribute>x</attribute></attributes></event>'
    )
    path = _stored(tmp_path / "log.xml", small_xml().replace("<events>", "<events>" + odd))
    log = read(path, allow=True)
    assert log.meta.rejects["code"].to_pylist() == ["LG152", "LG152", "LG152", "LG103", "LG152"]
    assert (log.n_events, log.meta.rows_in) == (1, 6)


# --- SQLite


def changed(folder: Path, *statements: str) -> Path:
    """The desk as a database, after some statements."""
    path = as_sqlite(desk(), folder / "log.sqlite")
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
    return path


VIEW = "ALTER TABLE {0} RENAME TO other", "CREATE VIEW {0} AS SELECT * FROM other"
LOOP = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n, 'x' FROM c"


@pytest.mark.parametrize(
    ("statements", "code", "words"),
    [
        (["DROP TABLE event_object"], "LG081", "no table 'event_object'"),
        (["DROP TABLE event_T0"], "LG081", "no table 'event_t0'"),
        ([part.format("event") for part in VIEW], "LG081", "'event' is a view"),
        ([part.format("event_T0") for part in VIEW], "LG081", "no table 'event_t0'"),
        (
            ["DROP TABLE event", f"CREATE VIEW event(ocel_id, ocel_type) AS {LOOP}"],
            "LG081",
            "'event' is a view",
        ),
        (
            ["DROP TABLE event", "CREATE VIRTUAL TABLE event USING fts5(ocel_id, ocel_type)"],
            "LG081",
            "'event' is a view or a virtual table",
        ),
        (
            ["ALTER TABLE event ADD x TEXT AS (zeroblob(1000000000))"],
            "LG081",
            "column 'x' of event is computed",
        ),
        (["ALTER TABLE event RENAME ocel_type TO kind"], "LG081", "no column 'ocel_type'"),
        (["INSERT INTO object VALUES ('INC1', 'Incident')"], "LG097", "object 'INC1'"),
        (["INSERT INTO object VALUES (NULL, 'Incident')"], "LG098", "has no ocel_id"),
        (["INSERT INTO event_object VALUES ('e01', x'ff', '')"], "LG098", "single value"),
        (["INSERT INTO object VALUES (CAST(x'ff' AS TEXT), 'Incident')"], "LG099", "UTF-8"),
        (["INSERT INTO event_map_type VALUES ('Close', 'T1')"], "LG081", "has two tables"),
    ],
)
def test_databases_that_are_built_otherwise_are_refused(
    tmp_path: Path, statements: list[str], code: str, words: str
) -> None:
    path = changed(tmp_path, *statements)
    start = time.process_time()
    with pytest.raises(CodedError, match=f"{code} .*{words}"):
        read(path, "Incident", allow=True)
    assert time.process_time() - start < 1


def test_what_runs_in_a_database_is_not_run(tmp_path: Path) -> None:
    """Views that are not asked for, triggers and checks do not matter, even endless ones."""
    path = changed(
        tmp_path,
        f"CREATE VIEW bomb AS {LOOP}",
        "CREATE VIEW bomb2 AS SELECT 1 AS a FROM bomb, bomb, bomb",
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM event; END",
        "PRAGMA ignore_check_constraints = ON",
        "CREATE TABLE checked (a TEXT CHECK (length(zeroblob(900000000)) = 1))",
        "INSERT INTO checked VALUES ('x')",
        "CREATE INDEX i ON event (ocel_id, ocel_type)",
    )
    log = read(path, "Incident")
    assert log.meta.sha256 == read(DESK, "Incident").meta.sha256
    assert "ocel: 1 tables 'checked' were left out" in log.meta.notes


def test_a_database_is_only_read(tmp_path: Path) -> None:
    """Even one whose journal mode makes readers leave files beside it."""
    path = changed(tmp_path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    assert read(path, "Incident").n_cases == 3
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(path.name, before)]


def test_a_cut_that_no_table_feels_is_an_error(tmp_path: Path) -> None:
    path = changed(tmp_path, "CREATE TABLE big (a)", "INSERT INTO big VALUES (zeroblob(50000))")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE big")
        db.commit()
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(RunError, match=r"LG099 .*it has [\d,]+ of [\d,]+ bytes"):
        read(path, "Incident")


def test_a_change_is_of_one_field(tmp_path: Path) -> None:
    row = "'INC1', '2024-06-01T00:00:00Z', 'priority', 'P5', 'never', '9'"
    path = changed(tmp_path, f"INSERT INTO object_T0 VALUES ({row})")  # noqa: S608 - our own row
    log = read(path, "Incident")
    assert column(log, "attr.priority")[0] == "P5"
    assert column(log, "attr.opened_at")[0] == "2024-05-06T08:00:00Z"


def test_events_without_their_row_are_rejects(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "DELETE FROM event_T0 WHERE ocel_id = 'e01'",
        "DELETE FROM event WHERE ocel_id = 'e08'",
        "INSERT INTO event_T0 SELECT * FROM event_T0 WHERE ocel_id = 'e02'",
        "INSERT INTO event_object VALUES ('e99', 'INC1', '')",
        "INSERT INTO object_object VALUES ('X', 'INC1', '')",
    )
    log = read(path, "Incident", allow=True)
    rejects = log.meta.rejects.to_pylist()
    assert [(r["place"], r["code"]) for r in rejects] == [
        ("event 'e01'", "LG153"),
        ("event 'e02'", "LG153"),
        ("event 'e08'", "LG153"),
    ]
    assert "has 0 rows" in rejects[0]["reason"]
    notes = " ".join(log.meta.notes)
    assert "2 relationships of events that table event lacks" in notes
    assert "1 relationships of objects that table object lacks" in notes


def test_names_in_a_database_are_data(tmp_path: Path) -> None:
    name = 'a"; DROP TABLE event; --'
    log = desk()
    log["eventTypes"][0]["attributes"].append({"name": name, "type": "string"})
    log["events"][0]["attributes"].append({"name": name, "value": "x'); DROP TABLE object; --"})
    path = as_sqlite(log, tmp_path / "log #1?mode=rwc%41.sqlite")
    before = path.read_bytes()
    found = read(path, "Incident")
    assert column(found, f"attr.{name}")[0] == "x'); DROP TABLE object; --"
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_column_types_of_a_database_are_declared_types(tmp_path: Path) -> None:
    path = changed(
        tmp_path,
        "ALTER TABLE event_T0 ADD n INTEGER",
        "ALTER TABLE event_T0 ADD x REAL",
        "UPDATE event_T0 SET n = 7, x = 2.5 WHERE ocel_id = 'e01'",
        "UPDATE event_T0 SET n = 'many' WHERE ocel_id = 'e02'",
    )
    log = read(path, "Incident")
    assert log.to_pandas().set_index("case_id").loc["INC1", "attr.x"].iloc[0] == "2.5"
    assert "ocel: 1 values of 'n' are no integer" in log.meta.notes


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_changes_that_wait_beside_a_database_stop_the_reading(tmp_path: Path, ending: str) -> None:
    path = changed(tmp_path)
    (tmp_path / f"log.sqlite{ending}").write_bytes(b"x")
    with pytest.raises(RunError, match=f"LG099 .*log.sqlite{ending}"):
        read(path, "Incident")


def test_a_packed_database_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "log.sqlite.gz"
    packed.write_bytes(gzip.compress(changed(tmp_path).read_bytes()))
    with pytest.raises(CodedError, match=r"LG081 .*Unpack it first"):
        read(packed, "Incident")


def test_a_damaged_page_is_an_error(tmp_path: Path) -> None:
    path = changed(tmp_path)
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 8] = b"\xff" * 8
        path.write_bytes(data)
        with pytest.raises(RunError, match="LG099"):
            read(path, "Incident")


def test_another_database_is_no_ocel(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as db:
        db.execute("CREATE TABLE tickets (a)")
    with pytest.raises(RunError, match=r"LG081 .*no table 'event'"):
        open_log([tmp_path / "a.sqlite"])


# --- who reads what


def own_files(folder: Path) -> list[Path]:
    story = json.loads((ROSETTA / "ocel_json" / "story.json").read_text(encoding="utf-8"))
    packed = folder / "desk.json.gz"
    packed.write_bytes(gzip.compress(DESK.read_bytes()))
    parts: list[Callable[[Log], Log]] = [
        lambda log: {key: log[key] for key in ("events", "objects", "eventTypes", "objectTypes")},
        lambda log: {key: log[key] for key in ("objects", "events", "eventTypes", "objectTypes")},
    ]
    return [
        DESK,
        packed,
        ROSETTA / "ocel_json" / "story.json",
        ROSETTA / "ocel_xml" / "story.xml",
        as_sqlite(story, folder / "story.sqlite"),
        as_xml(desk(), folder / "desk.xml"),
        *(as_json(part(desk()), folder / f"{i}.json") for i, part in enumerate(parts)),
    ]


def test_no_other_source_takes_our_files(tmp_path: Path) -> None:
    from process_mining.sources._files import head_of  # noqa: PLC0415 - what open_log hands over

    for path in own_files(tmp_path):
        head = head_of(path)
        fits = [name for name, source in sources().items() if source.sniff(path, head)]
        assert fits == ["ocel"], path.name


@needs_data
def test_we_take_no_xes() -> None:
    from process_mining.sources._files import head_of  # noqa: PLC0415 - what open_log hands over

    ocel = sources()["ocel"]
    files = [path for path in XES.iterdir() if path.stat().st_size]
    assert not [path.name for path in files if ocel.sniff(path, head_of(path))]
