"""Does each XES file, awkward, broken or malicious, come out as the table here says?"""

from __future__ import annotations

import gzip
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mining import bombs

from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, find_mapping, open_log, xes

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
XES = SHARED / "hostile" / "xes"
CERTIFIED = SHARED / "hostile" / "xes_certification"
BPIC13 = SHARED / "bpic13" / "BPIC13_closed_problems.xes.gz"
needs_data = pytest.mark.skipif(not XES.exists(), reason="shared/data is missing")

# file -> cases, events (read whole)
READ = {
    "00_good.xes": (5, 10),
    "04_plain_named_gz.xes.gz": (5, 10),
    "09_no_timestamps_at_all_levelA.xes": (2, 3),
    "12_equal_timestamps.xes": (1, 5),
    "13_out_of_order_in_trace.xes": (1, 3),
    "19_entities_in_value.xes": (1, 1),
    "21_single_quoted_attrs.xes": (5, 10),
    "22_value_before_key.xes": (1, 1),
    "24_namespace_prefix.xes": (1, 1),
    "25_nested_list.xes": (1, 1),
    "27_container.xes": (1, 1),
    "28_nested_attribute.xes": (1, 1),
    "30_id_and_boolean.xes": (1, 1),
    "31_bigint_float.xes": (1, 1),
    "34_utf16.xes": (1, 1),
    "36_comment_and_cdata.xes": (1, 1),
    "37_multibyte_at_4096.xes": (1, 12),
    "45_long_value_11MB.xes.gz": (1, 2),
    "46_float_epoch_ts_string.xes": (1, 1),
    "48_year_0001_and_9999.xes": (1, 3),
    "49_case_attr_collides_event_attr.xes": (1, 1),
    "52_lifecycle.xes": (1, 2),
}
# file -> code and place or reason of the error that stops the reading
STOPPED = {
    "01_truncated_mid_event.xes": ("LG071", "line 13"),
    "03_truncated.xes.gz": ("LG020", "ends in the middle of its gzip data"),
    "06_empty.xes": ("LG014", "empty"),
    "07_no_traces.xes": ("LG034", "no event"),
    "33_latin1_undeclared.xes": ("LG072", "line 4, column 44"),
    "39_two_logs.xes": ("LG074", "line 23"),
    "40_event_outside_trace.xes": ("LG073", "line 3"),
    "42_xxe_file.xes": ("LG070", "DOCTYPE"),
    "43_quadratic_blowup.xes": ("LG070", "DOCTYPE"),
}
# file -> events left, and place (line, trace, event) and code of each reject
REJECTED = {
    "10_bad_timestamp.xes": (1, [((5, 1, 2), "LG104"), ((6, 1, 3), "LG104")]),
    "15_trace_without_name.xes": (1, [((3, 1, 1), "LG140"), ((4, 2, 1), "LG140")]),
    "16_event_without_name.xes": (2, [((5, 1, 2), "LG141")]),
    "18_duplicate_key_event.xes": (0, [((4, 1, 1), "LG142")]),
    "51_missing_key_attr.xes": (1, [((4, 1, 1), "LG143")]),
}


def trace(*events: str, name: str = "c1") -> str:
    return f'<trace><string key="concept:name" value="{name}"/>{"".join(events)}</trace>'


def event(name: str, at: str | None = "2024-01-01T10:00:00Z", more: str = "") -> str:
    stamp = f'<date key="time:timestamp" value="{at}"/>' if at else ""
    return f'<event><string key="concept:name" value="{name}"/>{stamp}{more}</event>'


def read(folder: Path, *traces: str, allow: bool = False, zone: str | None = None) -> EventLog:
    path = folder / "log.xes"
    path.write_text(f"<log>{''.join(traces)}</log>", encoding="utf-8")
    options = ReadOptions(allow_rejects=allow, clear_names=True, timezone=zone)
    return open_log([path], options)


@needs_data
def test_the_tables_name_every_file() -> None:
    assert {p.name for p in XES.iterdir()} == {*READ, *STOPPED, *REJECTED}


@needs_data
@pytest.mark.parametrize("name", READ)
def test_awkward_files_are_read_whole(name: str) -> None:
    log = open_log([XES / name])
    assert (log.n_cases, log.n_events) == READ[name]
    assert (log.meta.rows_in, log.meta.rejects.num_rows) == (log.n_events, 0)


@needs_data
@pytest.mark.parametrize("name", STOPPED)
def test_broken_and_malicious_files_stop_the_reading(name: str) -> None:
    code, place = STOPPED[name]
    start = time.perf_counter()
    with pytest.raises(RunError, match=f"{code} .*{place}"):
        open_log([XES / name], ReadOptions(allow_rejects=True))
    assert time.perf_counter() - start < 1


@needs_data
@pytest.mark.parametrize("name", REJECTED)
def test_unreadable_events_are_rejects_with_their_place(name: str) -> None:
    kept, expected = REJECTED[name]
    with pytest.raises(RunError, match=f"LG035 {len(expected)} of {kept + len(expected)} ") as stop:
        open_log([XES / name])
    for (line, number, index), code in expected:
        place = f"line {line} (trace {number}, event {index}): {code}"
        assert place in str(stop.value)
    if kept:
        log = open_log([XES / name], ReadOptions(allow_rejects=True))
        assert (log.n_events, log.meta.rejects.num_rows) == (kept, len(expected))


@needs_data
@pytest.mark.parametrize("name", ["bomb.pnml", "xxe.bpmn"])
def test_any_doctype_is_refused_fast(name: str) -> None:
    start = time.perf_counter()
    with pytest.raises(RunError, match="LG070"):
        open_log([SHARED / "hostile" / "xml" / name])
    assert time.perf_counter() - start < 1


@needs_data
@pytest.mark.parametrize("level", ["A1", "A2", "B1", "B2", "C1", "C2"])
def test_the_certification_logs_are_read_whole(level: str) -> None:
    log = open_log([CERTIFIED / f"Level{level}.xes.gz"])
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (1_104, 11_855, 11_855)
    assert log.timed == (level[0] == "B")
    assert (log.events["actor"].null_count == 0) == (level[0] == "C")
    assert (log.events["lifecycle"].null_count == 0) == (level not in {"A1", "C1"})


@needs_data
def test_bpi_2013_closed_problems_is_read_whole() -> None:
    log = open_log([BPIC13])
    assert (log.n_cases, log.n_events, log.meta.rows_in) == (1_487, 6_660, 6_660)
    assert log.meta.time_resolution_us == 1_000_000
    assert log.events["attr.org:role"].null_count == 6_660 - 4_582
    by_name, by_both = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    traces: dict[str, list[tuple[str, str]]] = {}
    columns = (log.events[name].to_pylist() for name in ("case_id", "activity", "lifecycle"))
    for case, activity, status in zip(*columns, strict=True):
        traces.setdefault(case, []).append((activity, status))
    for steps in traces.values():
        by_name[tuple(name for name, _ in steps)] += 1
        by_both["|".join("+".join(step) for step in steps),] += 1
    assert (len(by_name), len(by_both)) == (183, 327)


@needs_data
def test_values_are_the_text_that_stands_in_the_file() -> None:
    def first(name: str) -> dict[str, object]:
        row: dict[str, object] = (
            open_log([XES / name], ReadOptions(clear_names=True)).events.slice(0, 1).to_pylist()[0]
        )
        return row

    entities = first("19_entities_in_value.xes")
    assert (entities["case_id"], entities["activity"]) == ("c&1", 'Fix & test <b> "q"')
    assert entities["actor"] == "O'Neil ä\nline2"
    assert first("30_id_and_boolean.xes")["attr.b2"] == "TRUE"
    assert first("31_bigint_float.xes")["attr.huge"] == "123456789012345678901234567890"
    assert first("34_utf16.xes")["activity"] == "Störung"
    assert first("27_container.xes")["attr.c.a2"] == "2"
    assert first("28_nested_attribute.xes")["attr.concept:name.src"] == "form"
    assert first("48_year_0001_and_9999.xes")["at"] == -62_135_596_800_000_000
    collision = open_log([XES / "49_case_attr_collides_event_attr.xes"])
    assert collision.cases["case_id"].to_pylist() == ["c1"]
    assert collision.cases["attr.priority"].to_pylist() == ["P1"]
    assert collision.events["attr.priority"].to_pylist() == ["P3"]
    assert collision.events["attr.case:priority"].to_pylist() == ["EVIL"]


TWICE = '<id key="a" value=""/>'


def attribute(log: EventLog, key: str) -> list[object]:
    values: list[object] = log.events[f"attr.{key}"].to_pylist()
    return values


@needs_data
def test_a_list_is_kept_as_json() -> None:
    log = open_log([XES / "25_nested_list.xes"])
    assert attribute(log, "l") == ['[{"a":"1"},{"m":[{"b":"2"},{"b":"3"}]}]']
    assert log.meta.notes == ()


@pytest.mark.parametrize(
    ("inside", "kept"),
    [
        ('<int key="i" value="1"/><int key="i" value="2"/>', '[{"i":"1"},{"i":"2"}]'),
        ("<values/>", "[]"),
        ("", "[]"),
        (
            '<values><string key="a" value="ü"><id key="n" value="x"/></string></values>',
            '[{"a":"ü","a.n":"x"}]',
        ),
        ('<container key="c"><string key="a" value="1"/></container>', '[{"c.a":"1"}]'),
        ('<list key="m"><int key="i" value="1"/></list>', '[{"m":[{"i":"1"}]}]'),
        ('<string key="a" value="1"><list key="m"/></string>', '[{"a":"1","a.m":[]}]'),
    ],
)
def test_elements_stand_in_values_or_in_the_list_itself(
    tmp_path: Path, inside: str, kept: str
) -> None:
    log = read(tmp_path, trace(event("A", more=f'<list key="l">{inside}</list>')))
    assert attribute(log, "l") == [kept]


def test_what_stands_beside_values_describes_the_list(tmp_path: Path) -> None:
    inside = '<values><int key="i" value="1"/></values><string key="unit" value="h"/>'
    log = read(tmp_path, trace(event("A", more=f'<list key="l">{inside}</list>')))
    assert (attribute(log, "l"), attribute(log, "l.unit")) == (['[{"i":"1"}]'], ["h"])


def test_a_list_may_stand_in_an_attribute_or_in_the_trace(tmp_path: Path) -> None:
    inner = '<string key="a" value="1"><list key="l"><int key="i" value="1"/></list></string>'
    log = read(tmp_path, trace(inner, event("A", more=inner)))
    assert attribute(log, "a.l") == log.cases["attr.a.l"].to_pylist() == ['[{"i":"1"}]']


@pytest.mark.parametrize(
    ("inside", "code"),
    [
        ('<list><int key="i" value="1"/></list>', "LG143"),
        ('<list key="l"><int key="i"/></list>', "LG143"),
        ('<list key="l"/><int key="l" value="1"/>', "LG142"),
        (
            f'<list key="l"><container key="c">{2 * TWICE}</container></list>',
            "LG142",
        ),
    ],
)
def test_a_faulty_list_makes_its_event_a_reject(tmp_path: Path, inside: str, code: str) -> None:
    log = read(tmp_path, trace(event("A", more=inside), event("B")), allow=True)
    assert log.meta.rejects["code"].to_pylist() == [code]
    assert log.events["activity"].to_pylist() == ["B"]


def test_values_without_the_form_of_their_tag_are_counted_and_kept(tmp_path: Path) -> None:
    good = {
        "int": ["1", "-9223372036854775808", "+9223372036854775807", " 1 ", "007", "0" * 30],
        "float": ["1", "1.5e-3", "-INF", "NaN", ".5", "5."],
        "boolean": ["1", "0", "true", "false"],
        "date": [
            "2024-02-29T24:00:00",
            "2024-01-01T00:00:00.123456789+14:00",
            "-0044-03-15T12:00:00Z",
        ],
        "id": ["d2719c1e-3f4a-4b3e-8d3f-0b9d6f9e7c11"],
    }
    bad = {
        "int": ["9223372036854775808", "-9223372036854775809", "1.0", "", "x", "1 0", "٣"],
        "float": ["1,5", "inf", "0x1", "."],
        "boolean": ["TRUE", "yes"],
        "date": ["2024-02-30T00:00:00", "2024-01-01", "2024-01-01T24:00:01", "2024-01-01 00:00:00"],
        "id": ["d2719c1e"],
    }
    tags = [(tag, value) for forms in (good, bad) for tag, vs in forms.items() for value in vs]
    more = "".join(f'<{tag} key="k{i}" value="{value}"/>' for i, (tag, value) in enumerate(tags))
    quick = read(tmp_path, trace(more, event("A", more=more)))
    slow = read(tmp_path, trace(more, event("A", more=f"{more}<!-- -->")))
    assert quick.meta.notes == slow.meta.notes
    assert [note.split(";")[0] for note in quick.meta.notes] == [
        f"{2 * len(bad[tag])} values in <{tag}> are no {what}"
        for tag, what in (
            ("boolean", "true, false, 1 or 0"),
            ("date", "ISO dates with time"),
            ("float", "numbers"),
            ("id", "UUIDs"),
            ("int", "64-bit whole numbers"),
        )
    ]
    assert [attribute(quick, f"k{i}") for i in range(len(tags))] == [[v] for _, v in tags]


def test_what_the_log_declares_is_noted_and_its_lack_counted(tmp_path: Path) -> None:
    head = (
        '<global scope="event"><string key="org:group" value=""/><list key="l"/></global>'
        '<global scope="trace"><string key="concept:name" value=""/></global>'
        '<classifier name="Both" keys="concept:name lifecycle:transition"/>'
    )
    group = '<string key="org:group" value="L1"/>'
    log = read(tmp_path, head, trace(event("A", more=group), event("B"), event("C")))
    assert log.meta.notes[:2] == (
        "3 events lack 'l', which the log declares for every event",
        "2 events lack 'org:group', which the log declares for every event",
    )
    assert log.meta.notes[2].endswith("applied: 'Both' = 'concept:name lifecycle:transition'")
    assert len(log.meta.notes) == 3


def test_a_nameless_trace_without_events_is_a_reject_too(tmp_path: Path) -> None:
    log = read(tmp_path, "<trace/>", trace(event("A")), allow=True)
    assert (log.meta.rows_in, log.n_events) == (2, 1)
    assert log.meta.rejects["place"].to_pylist() == ["line 1 (trace 1, which has no events)"]


# --- mappings


def mapped(folder: Path, toml: str, *traces: str, allow: bool = False) -> EventLog:
    (folder / "m.toml").write_text(f'name = "m"\n{toml}', encoding="utf-8")
    path = folder / "log.xes"
    path.write_text(f"<log>{''.join(traces)}</log>", encoding="utf-8")
    options = ReadOptions(mapping=folder / "m.toml", allow_rejects=allow, clear_names=True)
    return open_log([path], options)


MAPPED = """
[time]
format = "iso"
timezone = "Europe/Berlin"
ambiguous = "earlier"
[event]
case_id = "id"
activity = ["concept:name", "status"]
at = "when"
team = "desk"
attributes = "all"
people = ["who"]
[case]
priority = { column = "prio", values = { "1" = "P1", "2" = "P2" } }
category = "status"
opened = "opened"
attributes = ["site"]
"""


def keyed(**cells: str) -> str:
    return "".join(f'<string key="{key}" value="{value}"/>' for key, value in cells.items())


def test_a_mapping_names_the_keys_of_traces_and_events(tmp_path: Path) -> None:
    first = keyed(**{"concept:name": "A", "status": "new"}, when="2024-07-01T10:00:00", prio="2")
    second = keyed(
        **{"concept:name": "B"}, when="2024-07-01T11:00:00", desk="L1", extra="x", who="Eve"
    )
    last = keyed(**{"concept:name": "C"}, when="2024-10-27T02:30:00", prio="1")
    told = keyed(id="c1", site="HQ", opened="2024-07-01T09:00:00")
    other = keyed(id="c2", prio="2", **{"concept:name": "trace name"})
    events = [f"<event>{cells}</event>" for cells in (first, second, last)]
    log = mapped(
        tmp_path,
        MAPPED,
        f"<trace>{told}{''.join(events)}</trace>",
        f"<trace>{other}{events[2]}</trace>",
    )
    assert log.cases["case_id"].to_pylist() == ["c1", "c2"]
    assert log.events["activity"].to_pylist() == ["A+new", "B", "C", "C"]
    assert log.events["team"].to_pylist() == [None, "L1", None, None]
    assert attribute(log, "extra") == [None, "x", None, None]
    assert attribute(log, "who") == [None, "Eve", None, None]
    assert log.cases["priority"].to_pylist() == ["P1", "P2"]  # the event's, the trace's own
    assert log.cases["category"].to_pylist() == ["new", None]
    assert log.cases["attr.site"].to_pylist() == ["HQ", None]
    assert log.cases["opened"].to_pylist() == [1_719_817_200_000_000, None]
    assert [(seen.code, seen.count) for seen in log.meta.seen] == [("QG111", 2)]


def test_a_value_that_the_mapping_lacks_is_a_reject(tmp_path: Path) -> None:
    when = "2024-07-01T10:00:00Z"
    good = keyed(**{"concept:name": "A", "status": "s"}, when=when, desk="d", who="w", prio="1")
    bad = keyed(**{"concept:name": "B"}, when=when, prio="9")
    head = keyed(id="c1", site="HQ", opened=when)
    spoilt = keyed(id="c2", prio="7")
    log = mapped(
        tmp_path,
        MAPPED,
        f"<trace>{head}\n<event>{good}</event>\n<event>{bad}</event></trace>",
        f"\n<trace>{spoilt}<event>{good}</event></trace>",
        allow=True,
    )
    assert log.events["activity"].to_pylist() == ["A+s"]
    assert log.meta.rows_in == 3
    rejects = log.meta.rejects.select(["place", "code"]).to_pylist()
    assert rejects == [
        {"place": "line 3 (trace 1, event 2)", "code": "LG108"},
        {"place": "line 4 (trace 2, event 1)", "code": "LG108"},
    ]


def test_a_key_that_no_file_has_is_an_error(tmp_path: Path) -> None:
    one = keyed(a="A", when="2024-07-01T10:00:00Z")
    with pytest.raises(CodedError, match=r"LG041 .*'wen'.* Did you mean 'when'\?"):
        mapped(
            tmp_path,
            '[time]\nformat = "iso"\n[event]\ncase_id = "id"\nactivity = "a"\nat = "wen"',
            f"<trace>{keyed(id='c')}<event>{one}</event></trace>",
        )


def test_a_mapping_of_a_tool_says_nothing_of_keys(tmp_path: Path) -> None:
    with pytest.raises(CodedError, match="LG053"):
        mapped(tmp_path, '[words]\n"New" = "open"', trace(event("A")))


def test_order_by_comes_before_the_place_in_the_trace(tmp_path: Path) -> None:
    toml = (
        '[time]\nformat = "iso"\n[event]\ncase_id = "concept:name"\nactivity = "concept:name"\n'
        'at = "time:timestamp"\norder_by = "n"'
    )
    steps = [event(name, more=keyed(n=n)) for name, n in (("A", "2"), ("B", "1"), ("C", "1"))]
    log = mapped(tmp_path, toml, trace(*steps))
    assert log.events["activity"].to_pylist() == ["B", "C", "A"]


def test_traces_of_one_name_are_separate_cases_where_declared(tmp_path: Path) -> None:
    names = ("c1", "c1", "c1#2", "c1")
    traces = [trace(event(step), name=name) for step, name in zip("ABCD", names, strict=True)]
    log = mapped(tmp_path, 'same_name = "separate"', *traces)
    found = zip(*(log.events[n].to_pylist() for n in ("case_id", "activity")), strict=True)
    assert sorted(found) == [("c1", "A"), ("c1#2", "C"), ("c1#3", "B"), ("c1#4", "D")]
    assert "2 traces have the name of an earlier one" in log.meta.notes[-1]


def test_the_policy_for_one_name_holds_across_files(tmp_path: Path) -> None:
    paths = [tmp_path / "one.xes", tmp_path / "two.xes"]
    for path, step in zip(paths, "AB", strict=True):
        path.write_text(f"<log>{trace(event(step))}</log>", encoding="utf-8")
    with pytest.raises(
        RunError, match=r"LG075 .*one\.xes line 1 \(trace 1\) and in two\.xes line 1"
    ):
        open_log(paths)
    toml = tmp_path / "m.toml"
    toml.write_text('name = "m"\nsame_name = "separate"', encoding="utf-8")
    assert open_log(paths, ReadOptions(mapping=toml)).cases["case_id"].to_pylist() == ["c1", "c1#2"]


def test_the_declared_order_of_activities_is_handed_on(tmp_path: Path) -> None:
    toml = tmp_path / "m.toml"
    toml.write_text('name = "m"\nactivity_order = ["B", "A"]', encoding="utf-8")
    path = tmp_path / "log.xes"
    path.write_text(f"<log>{trace(event('A'))}</log>", encoding="utf-8")
    assert xes.read([path], ReadOptions(mapping=toml)).activity_order == ("B", "A")


@needs_data
def test_the_mapping_of_bpi_2013_gives_priority_and_service() -> None:
    log = open_log([BPIC13], ReadOptions(mapping=find_mapping("bpic13_volvo")))
    bare = open_log([BPIC13])
    assert (log.n_cases, log.n_events) == (1_487, 6_660)
    for name in ("case_id", "activity", "lifecycle", "at", "seq", "team"):
        assert log.events[name].to_pylist() == bare.events[name].to_pylist()
    assert set(log.cases["priority"].to_pylist()) == {"P1", "P2", "P3", "P4"}
    assert log.cases["service"].null_count == 0


# --- broken and malicious


@needs_data
def test_a_bomb_is_refused_in_little_memory() -> None:
    reader = bombs.Reader()  # counts its peak from here; a child's begins with its parent's
    found = reader.read(SHARED / "hostile" / "xml" / "bomb_value_1GB.xes.gz")
    reader.end()
    assert found.said.startswith(("LG022", "LG076"))
    assert found.peak_mib < 512


@needs_data
def test_the_place_in_the_trace_orders_equal_times_and_times_order_the_rest() -> None:
    tied = open_log([XES / "12_equal_timestamps.xes"])
    assert tied.events["activity"].to_pylist() == ["D", "C", "B", "A", "E"]
    late = open_log([XES / "13_out_of_order_in_trace.xes"])
    assert late.events["activity"].to_pylist() == ["early", "mid", "late"]
    assert [(seen.code, seen.count, len(seen.cases or ())) for seen in late.meta.seen] == [
        ("QG110", 1, 1)
    ]


def test_a_missing_zone_is_refused_until_it_is_declared(tmp_path: Path) -> None:
    log = trace(event("A", "2024-07-01T10:00:00"))
    with pytest.raises(RunError, match=r"LG105 .* no zone .*--timezone"):
        read(tmp_path, log)
    assert (
        read(tmp_path, log, zone="Europe/Berlin").events["at"][0].as_py() == 1_719_820_800_000_000
    )


def test_an_event_without_time_among_timed_ones_is_a_reject(tmp_path: Path) -> None:
    log = read(tmp_path, trace(event("A"), event("B", None)), allow=True)
    assert log.events["activity"].to_pylist() == ["A"]
    assert log.meta.rejects["code"].to_pylist() == ["LG103"]


def test_two_traces_of_one_name_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"LG075 trace 'c1' stands in .*trace 1.* and in .*trace 2"):
        read(tmp_path, trace(event("A")), trace(event("B")), allow=True)


def test_a_trace_without_events_is_a_case(tmp_path: Path) -> None:
    log = read(tmp_path, trace(event("A")), trace(name="c2"))
    assert log.cases["case_id"].to_pylist() == ["c1", "c2"]
    assert log.arrays.offsets.tolist() == [0, 1, 1]


def test_attributes_of_the_log_and_defaults_of_globals_are_no_facts(tmp_path: Path) -> None:
    head = (
        '<global scope="event"><string key="org:resource" value="UNKNOWN"/></global>'
        '<string key="concept:name" value="the log"/>'
        '<float key="m"><int key="n" value="1"/></float>'
    )
    log = read(tmp_path, head, trace(event("A")))
    assert log.events["actor"].to_pylist() == [None]
    assert log.cases["case_id"].to_pylist() == ["c1"]


def test_a_trace_may_be_named_after_its_events(tmp_path: Path) -> None:
    named = f'<trace>{event("A")}<string key="concept:name" value="late"/></trace>'
    assert read(tmp_path, named).cases["case_id"].to_pylist() == ["late"]


def test_declared_latin_1_and_windows_1252_are_read(tmp_path: Path) -> None:
    for encoding, word in (("ISO-8859-1", "Störung"), ("windows-1252", "“Störung”")):
        path = tmp_path / "log.xes"
        text = f'<?xml version="1.0" encoding="{encoding}"?><log>{trace(event(word))}</log>'
        path.write_bytes(text.encode(encoding))
        assert open_log([path]).events["activity"].to_pylist() == [word]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("<log><log></log></log>", "LG074"),
        ("<log><trace><trace></trace></trace></log>", "LG073"),
        (f"<log><trace>{event('A', more=event('B'))}</trace></log>", "LG073"),
        (f"<log>{trace(event('A'))}</log><!-- more --><log/>", "LG074"),
        ('<log><trace><string key="a" value="&undeclared;"/></trace></log>', "LG072"),
        ('<log><trace><string key="a" key="b"/></trace></log>', "LG072"),
        ("<log>" + "<trace><string key='a' value='1'>" + "<int key='b' value='1'>" * 200, "LG076"),
    ],
)
def test_structures_that_no_log_has_stop_the_reading(tmp_path: Path, body: str, code: str) -> None:
    path = tmp_path / "log.xes"
    path.write_text(body, encoding="utf-8")
    with pytest.raises(RunError, match=code):
        open_log([path])


def test_keys_that_look_like_values_are_refused(tmp_path: Path) -> None:
    more = "".join(f'<int key="k{i}" value="1"/>' for i in range(5_001))
    with pytest.raises(RunError, match="LG077"):
        read(tmp_path, trace(event("A", more=more)))


@needs_data
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("block", [64, 1 << 22])
def test_a_file_cut_anywhere_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, *, packed: bool
) -> None:
    monkeypatch.setattr(xes, "BLOCK", block)
    data = (XES / "00_good.xes").read_bytes()
    data = gzip.compress(data, mtime=0) if packed else data
    path = tmp_path / "cut.xes"
    for cut in range(20 if packed else 70, len(data) - 1, 1 if packed else 5):
        path.write_bytes(data[:cut])
        with pytest.raises(RunError, match="LG020" if packed else "LG071"):
            xes.read([path], ReadOptions())
