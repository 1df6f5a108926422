"""Does a Zendesk export tell what each ticket went through, whole, and with nothing guessed?"""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mining.rosetta_story import reference

from csi.cli import cli
from process_mining.errors import CodedError, RunError
from process_mining.sources import ReadOptions, open_log, sources
from process_mining.sources._files import head_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from process_mining.eventlog import EventLog

DATA = Path(__file__).parents[1] / "data"
DESK = DATA / "zendesk"
EXPORTS = Path(__file__).parents[2].parent / "shared" / "data" / "exports"
ZENDESK_DBT = EXPORTS / "zendesk_dbt"
SEEDS = EXPORTS / "fivetran_dbt_zendesk" / "integration_tests" / "seeds"
needs_exports = pytest.mark.skipif(not EXPORTS.is_dir(), reason="no ../shared/data/exports")


def read(*paths: Path, mapping: Path | None = None, allow: bool = False) -> EventLog:
    options = ReadOptions(mapping=mapping, clear_names=True, allow_rejects=allow)
    return open_log(list(paths), options)


def read_text(folder: Path, *texts: str, allow: bool = False) -> EventLog:
    paths = [folder / f"{number}.json" for number in range(len(texts))]
    for path, content in zip(paths, texts, strict=True):
        path.write_text(content, encoding="utf-8")
    return read(*paths, allow=allow)


def desk() -> EventLog:
    return read(*sorted(DESK.iterdir()))


def case(log: EventLog, case_id: str) -> dict[str, Any]:
    (row,) = (row for row in log.cases.to_pylist() if row["case_id"] == case_id)
    return {key: value for key, value in row.items() if value is not None}


def events(log: EventLog, case_id: str, *columns: str) -> list[tuple[Any, ...]]:
    rows = (row for row in log.events.to_pylist() if row["case_id"] == case_id)
    return [tuple(row.get(column) for column in columns) for row in rows]


def us(stamp: str) -> int:
    moment = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def ticket(number: int = 1, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON is any
    stamp = "2024-05-06T08:00:00Z"
    return {
        "id": number, "status": "new", "requester_id": 5, "submitter_id": 5, "type": None,
        "priority": None, "group_id": None, "created_at": stamp, "updated_at": stamp, **more,
    }  # fmt: skip


def audit(number: int, minute: int, *found: dict[str, Any], of: int = 1) -> dict[str, Any]:
    at = f"2024-05-06T08:{minute:02}:00Z"
    return {"id": number, "ticket_id": of, "created_at": at, "author_id": 7, "events": found}


def change(field: str, old: object, new: object) -> dict[str, Any]:
    return {"type": "Change", "field_name": field, "previous_value": old, "value": new}


@pytest.mark.parametrize("folder", ["zendesk", "zendesk_fivetran"])
def test_the_story_is_the_same_log(folder: str) -> None:
    here = DATA / "rosetta" / folder
    files = [path for path in sorted(here.iterdir()) if path.suffix != ".toml"]
    log = read(*files, mapping=here / "mapping.toml")
    assert log.events.to_pylist() == read_reference_events()
    assert log.meta.sha256 == reference().meta.sha256
    assert log.meta.source == "zendesk"
    assert log.meta.seen == ()


def read_reference_events() -> list[dict[str, Any]]:
    """The story with the names in clear, as the log under test has them."""
    from mining.rosetta_story import STORY, microseconds  # noqa: PLC0415 - used here only

    return [
        {
            "case_id": "1", "seq": seq, "activity": activity, "at": microseconds(at),
            "lifecycle": None, "actor": actor, "team": team, "attr.changed": changed,
        }
        for seq, (at, actor, activity, team, changed) in enumerate(STORY)
    ]  # fmt: skip


@needs_exports
@pytest.mark.parametrize(("folder", "rows_in"), [(ZENDESK_DBT, 184), (SEEDS, 272)])
def test_all_tables_of_fivetran_are_read(folder: Path, rows_in: int) -> None:
    files = sorted(folder.glob("*.csv"))
    log = read(*files)
    with_rows = 0
    for path in files:
        with path.open(newline="", encoding="utf-8") as stream:
            with_rows += sum(1 for row in csv.reader(stream) if row) - 1
    assert log.meta.rows_in == with_rows == rows_in
    assert (log.n_cases, log.n_events) == (33, 58)
    (note,) = (note for note in log.meta.notes if note.startswith("read, and of no use"))
    assert all(f"{path.stem.split('_data')[0]} (" in note for path in files if not _used(path))
    assert log.links.to_pylist() == [
        {"case_id": "1966", "linked_to": "1967", "kind": "merged", "at": None}
    ]


def _used(path: Path) -> bool:
    used = ("ticket", "ticket_field_history", "ticket_comment", "group", "user")
    return path.stem.split("_data")[0] in used


@needs_exports
def test_a_field_history_without_previous_values_is_replayed() -> None:
    log = read(ZENDESK_DBT / "ticket_data.csv", ZENDESK_DBT / "ticket_field_history_data.csv")
    states = [state for (state,) in events(log, "11071", "activity")]
    assert Counter(states) == {"open": 4, "pending": 4, "on-hold": 3, "solved": 1, "closed": 1}
    known = case(log, "11071")
    assert known["opened"] == us("2020-08-28 18:06:36")  # Fivetran's times are UTC
    assert known["resolved"] == us("2020-11-14 11:01:27")
    assert known["closed"] == us("2020-11-15 11:01:27")
    assert known["priority"] == "P1"
    assert case(log, "1595")["attr.deleted"] == "true"
    cut = next(seen for seen in log.meta.seen if seen.code == "QG145")
    assert "11071" in (cut.cases or ())  # its history starts before the ticket was created


@needs_exports
@pytest.mark.parametrize("table", ["group", "user", "time_zone", "ticket_tag", "audit_log"])
def test_lookup_tables_alone_are_no_log(table: str) -> None:
    with pytest.raises(CodedError, match=r"LG088 these Zendesk files tell of no ticket"):
        read(ZENDESK_DBT / f"{table}_data.csv")


def test_one_audit_is_one_update() -> None:
    log = desk()
    assert events(log, "35401", "activity", "actor", "attr.changed", "attr.public") == [
        ("new", "396331237134", None, None),
        ("open", "403958466973", "assignee,comment,state", "false"),
        ("pending", "403958466973", "comment,state", "true"),
        ("open", "396331237134", "comment,state", "true"),
        ("solved", "403958466973", "custom_fields,knowledge_linked,state", None),
        ("solved", "396331237134", "satisfaction", None),
        ("closed", "-1", "state", None),
    ]
    assert set(log.events["team"].to_pylist()) == {"Billing", None}


def test_resolved_and_closed_are_the_last_changes_that_still_hold() -> None:
    log = desk()
    first, second = case(log, "35401"), case(log, "35402")
    assert first["resolved"] == us("2024-05-07 11:00:00")
    assert first["closed"] == us("2024-05-14 09:00:00")
    assert second["resolved"] == us("2024-05-10 10:00:00")  # reopened, and solved again
    assert "closed" not in second
    assert not {"resolved", "closed"} & case(log, "35407").keys()


def test_what_has_no_history_shows_only_what_is_known() -> None:
    log = desk()
    assert events(log, "35404", "activity") == [("new",)]  # untouched
    assert events(log, "35406", "activity") == [("opened",)]  # closed, nobody says when
    (seen,) = log.meta.seen
    assert (seen.code, seen.cases) == ("QG148", ("35405", "35406", "35409"))


def test_metric_events_and_ratings_become_facts_of_the_case() -> None:
    known = case(desk(), "35401")
    assert known["attr.satisfaction"] == "good"
    assert known["attr.sla:reply_time:1:breach"] == "2024-05-06T09:00:00Z"
    assert known["attr.sla:reply_time:1:policy"] == "Urgent incidents"
    assert known["attr.sla:reply_time:1:target"] == "60"
    assert known["attr.sla:reply_time:1:business"] == "120"
    assert "attr.sla:requester_wait_time:1:breach" not in known  # deleted: it never happened
    assert case(desk(), "35402")["attr.satisfaction"] == "good"  # the later of two ratings


def test_practices_priorities_and_links() -> None:
    log = desk()
    assert [case(log, str(n)).get("practice") for n in (35401, 35406, 35409)] == [
        "incident", None, "problem",
    ]  # fmt: skip
    assert [case(log, str(n)).get("priority") for n in (35401, 35402, 35403)] == ["P1", "P4", None]
    assert [(row["case_id"], row["linked_to"], row["kind"]) for row in log.links.to_pylist()] == [
        ("35401", "35409", "problem"),
        ("35402", "35407", "follow_up"),
    ]


def test_notes_name_what_was_left_out_and_what_is_unknown() -> None:
    notes = "\n".join(desk().meta.notes)
    assert "KnowledgeLinked (1)" in notes
    assert "External (1), Notification (3)" in notes
    assert "1 metric events are marked as deleted" in notes
    assert "1 metric events and ratings are of tickets that the export lacks" in notes
    assert "organizations (1)" in notes


def test_no_text_and_no_name_of_a_person_enters_the_log() -> None:
    log = desk()
    words = json.dumps([log.events.to_pylist(), log.cases.to_pylist()])
    assert "Thanks" not in words
    assert "call me" not in words


def test_files_in_any_order_and_records_in_any_order_give_one_log(tmp_path: Path) -> None:
    audits = (DESK / "audits.ndjson").read_text(encoding="utf-8").splitlines()
    page = json.loads((DESK / "tickets.json").read_text(encoding="utf-8"))
    for seed in range(5):
        mixed = random.Random(seed)  # noqa: S311 - a shuffle
        mixed.shuffle(audits)
        mixed.shuffle(page["tickets"])
        log = read_text(
            tmp_path,
            "\n".join(audits),
            (DESK / "ratings.json").read_text(encoding="utf-8"),
            json.dumps(page),
            (DESK / "metric_events.json").read_text(encoding="utf-8"),
        )
        assert log.meta.sha256 == desk().meta.sha256


def test_one_object_a_line_is_read_as_pages_are(tmp_path: Path) -> None:
    page = json.loads((DESK / "tickets.json").read_text(encoding="utf-8"))
    audits = (DESK / "audits.ndjson").read_text(encoding="utf-8")
    plain = {key: page[key] for key in ("tickets", "groups")}
    whole = read_text(tmp_path, json.dumps(plain), audits)
    lines = [*map(json.dumps, plain["tickets"]), json.dumps({"groups": plain["groups"]})]
    assert read_text(tmp_path, "\n".join(lines), audits).meta.sha256 == whole.meta.sha256
    several = "\n".join(json.dumps({"audit": json.loads(line)}) for line in audits.splitlines())
    assert read_text(tmp_path, json.dumps(plain), several).meta.sha256 == whole.meta.sha256


def test_ticket_events_of_the_incremental_export_are_audits(tmp_path: Path) -> None:
    kept = [ticket(status="open"), audit(10, 5, change("status", "new", "open"))]
    child = {"id": 2, "event_type": "Change", "status": "open", "previous_value": "new", "via": "x"}
    told = {
        "id": 10, "ticket_id": 1, "updater_id": 7, "created_at": "2024-05-06T08:05:00Z",
        "timestamp": 1714982700, "event_type": "Audit", "child_events": [child],
    }  # fmt: skip
    plain = read_text(tmp_path, json.dumps({"tickets": kept[:1]}), json.dumps({"audits": kept[1:]}))
    same = read_text(tmp_path, json.dumps(kept[0]), json.dumps({"ticket_events": [told]}))
    assert same.meta.sha256 == plain.meta.sha256


def test_the_latest_state_of_a_ticket_counts(tmp_path: Path) -> None:
    old, new = ticket(priority="low"), ticket(priority="high", updated_at="2024-05-07T08:00:00Z")
    for pair in ([old, new], [new, old]):
        log = read_text(tmp_path, "\n".join(map(json.dumps, pair)))
        assert case(log, "1")["priority"] == "P2"
    with pytest.raises(RunError, match=r"LG080 case '1' stands in .* differ in priority"):
        read_text(tmp_path, "\n".join(map(json.dumps, [old, ticket(priority="high")])))


def test_values_of_any_shape_are_changes(tmp_path: Path) -> None:
    shapes = [["a", "b"], {"x": 1}, None, 3, True, "text"]
    found = [change(f"f{n}", None, value) for n, value in enumerate(shapes)]
    log = read_text(tmp_path, json.dumps(ticket()), json.dumps({"audits": [audit(9, 1, *found)]}))
    assert events(log, "1", "attr.changed")[-1] == ("f0,f1,f2,f3,f4,f5",)


def test_long_ids_keep_their_digits(tmp_path: Path) -> None:
    big = 9_007_199_254_740_993  # 2**53 + 1, which no float holds
    log = read_text(tmp_path, json.dumps(ticket(big)))
    assert log.cases["case_id"].to_pylist() == [str(big)]


def test_a_page_that_is_not_the_last_is_told(tmp_path: Path) -> None:
    page = {"audits": [audit(9, 1, change("status", "new", "open"))], "meta": {"has_more": True}}
    log = read_text(tmp_path, json.dumps(ticket(status="open")), json.dumps(page))
    assert ("QG149", ("1",)) in [(seen.code, seen.cases) for seen in log.meta.seen]
    end = {"audits": [audit(10, 2, change("status", "open", "hold"))], "meta": {"has_more": False}}
    log = read_text(tmp_path, json.dumps(ticket(status="hold")), json.dumps(page), json.dumps(end))
    assert log.meta.seen == ()


BAD = {
    "LG166": [3, "x", None],
    "LG167": ticket(None),  # type: ignore[arg-type]
    "LG103": ticket(created_at=None),
    "LG104": ticket(created_at="yesterday"),
    "LG105": ticket(created_at="2024-05-06T08:00:00"),
    "LG169": ticket("3.6E+11"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("code", sorted(BAD))
def test_a_record_that_cannot_be_used_is_refused_with_its_place(tmp_path: Path, code: str) -> None:
    found = BAD[code]
    bad = found if isinstance(found, list) else [found]
    page = json.dumps({"tickets": [ticket(8), *bad, ticket(9)]})
    with pytest.raises(RunError, match=rf"LG035 {len(bad)} of .*record 2: {code} "):
        read_text(tmp_path, page)
    log = read_text(tmp_path, page, allow=True)
    assert log.meta.rows_in == 2 + len(bad)
    assert log.meta.rejects["code"].to_pylist() == [code] * len(bad)
    assert log.cases["case_id"].to_pylist() == ["8", "9"]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
KEYS = ("id", "status", "created_at", "updated_at", "type", "via", "custom_fields", "group_id")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), JUNK, max_size=2), max_size=4),
    st.lists(
        st.dictionaries(st.sampled_from(("id", "ticket_id", "created_at", "events")), JUNK),
        max_size=3,
    ),
)
def test_every_record_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    twists: list[dict[str, Any]],
    odd: list[dict[str, Any]],
) -> None:
    tickets = [ticket(), *(ticket(n) | twist for n, twist in enumerate(twists, start=2))]
    audits = [audit(n, 1, change("status", "new", "open")) | twist for n, twist in enumerate(odd)]
    page = json.dumps({"tickets": tickets, "audits": audits})
    try:
        log = read_text(tmp_path_factory.mktemp("z"), page, allow=True)
    except RunError as error:
        assert error.code == "LG080"  # noqa: PT017 - two states of one ticket at one moment
        return
    assert log.meta.rows_in == len(tickets) + len(audits)
    refused = log.meta.rejects.num_rows
    taken = {row["case_id"] for row in log.cases.to_pylist()}
    assert len(taken) <= log.meta.rows_in - refused
    assert "1" in taken


def test_a_text_that_ends_early_is_never_a_shorter_log(tmp_path: Path) -> None:
    whole = (DESK / "tickets.json").read_bytes().rstrip()
    path = tmp_path / "cut.json"
    for length in random.Random(1).sample(range(1, len(whole)), 60):  # noqa: S311 - a sample
        path.write_bytes(whole[:length])
        with pytest.raises(CodedError):
            read(path)


def test_a_mapping_says_whose_field_means_what(tmp_path: Path) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(
        'name = "m"\n[practices]\n"" = "incident"\n[words]\nopened = "Register"\n'
        '[fields]\ncase_id = "external_id"\nservice = "77"\nattributes = ["brand_id"]\n'
    )
    page = tmp_path / "t.json"
    fields = [{"id": 77, "value": "VPN"}]
    page.write_text(json.dumps(ticket(external_id="INC-1", custom_fields=fields, brand_id=4)))
    log = read(page, mapping=mapping)
    assert case(log, "INC-1")["service"] == "VPN"
    assert case(log, "INC-1")["practice"] == "incident"
    assert case(log, "INC-1")["attr.brand_id"] == "4"
    assert events(log, "INC-1", "activity") == [("Register",)]
    mapping.write_text('name = "m"\n[fields]\nservice = "78"\n')
    with pytest.raises(CodedError, match=r"LG089 .*fields\.service: no Zendesk record has .*'78'"):
        read(page, mapping=mapping)


def test_only_zendesk_takes_these_files() -> None:
    files = [*DESK.iterdir(), *(DATA / "rosetta").glob("zendesk*/*.[cj]s*")]
    assert len(files) == 10
    assert {path.name: _takers(path) for path in files} == {
        path.name: ["zendesk"] for path in files
    }


def _takers(path: Path) -> list[str]:
    known = {n: s for n, s in sources().items() if not getattr(s, "FALLBACK", False)}
    return [name for name, source in known.items() if source.sniff(path, head_of(path))]


def test_an_audit_of_the_desk_runs_from_end_to_end(tmp_path: Path) -> None:
    logs: Sequence[str] = [str(path) for path in sorted(DESK.iterdir())]
    command = ["audit", *logs, "--practice", "incident", "--out", str(tmp_path / "out"), "--json"]
    ran = CliRunner().invoke(cli, [*command, "--as-of", "2024-06-01T00:00:00Z"])
    assert ran.exit_code == 0, ran.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["log"]["events"] > 15
    assert (tmp_path / "out" / "report.html").is_file()
    judged = {rule["code"]: rule for rule in summary["rules"]}
    assert judged["INC001"]["conforms"] + judged["INC001"]["violates"] > 0
