"""Does the log keep which priority a case had after each event, wherever the source tells it?"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining import schema as s
from process_mining.eventlog import EventLog, LogMeta
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UCI = Path(__file__).parents[2].parent / "shared" / "data" / "uci_servicenow"
JSM = Path(__file__).parents[1] / "data" / "jira" / "jsm_search.json"
MINUTE = 60_000_000
TABLE = """
name = "desk"
[time]
format = "iso"
[event]
case_id = "id"
activity = "state"
at = "when"
attributes = [{attributes}]
[case]
priority = {{ column = "{column}", values = {{ "1" = "P1", "2" = "P2", "3" = "P3" }} }}
"""


def stored(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def mapping(folder: Path, column: str = "prio", attributes: str = "") -> Path:
    return stored(folder / "m.toml", TABLE.format(column=column, attributes=attributes))


def read(*paths: Path, **options: Any) -> EventLog:  # noqa: ANN401 - fields of ReadOptions
    return open_log(paths, ReadOptions(**options))


def table(path: Path, rows: Sequence[tuple[str, ...]], header: str = "id,state,when,prio") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


def rows_of(*words: str, case: str = "A") -> list[tuple[str, ...]]:
    return [(case, f"S{n}", f"2024-05-06T09:{n:02}:00Z", word) for n, word in enumerate(words)]


def then(log: EventLog, case: str | None = None) -> list[str | None] | None:
    if s.PRIORITY_THEN not in log.events.column_names:
        return None
    rows = log.events.to_pylist()
    return [row[s.PRIORITY_THEN] for row in rows if case is None or row[s.CASE_ID] == case]


def priorities(log: EventLog) -> dict[str, str | None]:
    return {row[s.CASE_ID]: row[s.PRIORITY] for row in log.cases.to_pylist()}


def codes(log: EventLog) -> set[str]:
    return {seen.code for seen in log.meta.seen}


# --- tables


def test_a_priority_that_changes_stays_with_the_events_in_the_logs_words(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [*rows_of("3", "", "1", "1"), *rows_of("2", "2", case="B")])
    log = read(path, mapping=mapping(tmp_path))
    assert then(log) == ["P3", None, "P1", "P1", "P2", "P2"]
    assert priorities(log) == {"A": "P1", "B": "P2"}


def test_a_table_in_which_none_changes_has_no_such_column(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [*rows_of("3", "", "3"), *rows_of("2", case="B")])
    assert then(read(path, mapping=mapping(tmp_path))) is None


def test_two_words_of_one_meaning_are_no_change(tmp_path: Path) -> None:
    plan = mapping(tmp_path)
    plan.write_text(plan.read_text().replace('"3" = "P3"', '"3" = "P2"'), encoding="utf-8")
    assert then(read(table(tmp_path / "t.csv", rows_of("3", "2")), mapping=plan)) is None


@pytest.mark.parametrize("words", [("3", "1"), ("3", "3")])
def test_a_raw_attribute_of_that_name_gives_way_to_the_logs_words(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    path = table(tmp_path / "t.csv", rows_of(*words), header="id,state,when,priority")
    log = read(path, mapping=mapping(tmp_path, "priority", '"priority"'))
    assert then(log) == [f"P{word}" for word in words]


def test_so_does_one_that_is_another_column(tmp_path: Path) -> None:
    rows = [(*row, f"raw {row[-1]}") for row in rows_of("3", "1")]
    path = table(tmp_path / "t.csv", rows, header="id,state,when,prio,priority")
    assert then(read(path, mapping=mapping(tmp_path, "prio", '"priority"'))) == ["P3", "P1"]


def test_a_table_with_our_own_names_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = [(*row[:3], "P1", f"P{row[3]}") for row in rows_of("3", "2", "1")]
    path = table(tmp_path / "t.csv", rows, header="case_id,activity,at,priority,attr.priority")
    log = read(path)
    assert (then(log), priorities(log)) == (["P3", "P2", "P1"], {"A": "P1"})


def test_parquet_tells_the_same(tmp_path: Path) -> None:
    rows = [*rows_of("3", "1"), *rows_of("2", "2", case="B")]
    plan, names = mapping(tmp_path), ["id", "state", "when", "prio"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    text = read(table(tmp_path / "t.csv", rows), mapping=plan)
    assert read(tmp_path / "t.parquet", mapping=plan).meta.sha256 == text.meta.sha256
    assert then(text) == ["P3", "P1", "P2", "P2"]


def test_xes_events_under_a_mapping_tell_it_too(tmp_path: Path) -> None:
    events = "".join(
        f'<event><string key="state" value="S{n}"/><string key="prio" value="{word}"/>'
        f'<date key="when" value="2024-05-06T09:{n:02}:00Z"/></event>'
        for n, word in enumerate(("3", "3", "1"))
    )
    trace = f'<trace><string key="id" value="A"/>{events}</trace>'
    path = stored(tmp_path / "t.xes", f'<log xes.version="1849-2016">{trace}</log>')
    log = read(path, mapping=mapping(tmp_path))
    assert (then(log), priorities(log)) == (["P3", "P3", "P1"], {"A": "P1"})


def test_our_own_ndjson_says_it_as_an_attribute(tmp_path: Path) -> None:
    rows = [
        {"case_id": "A", "activity": "Register", "at": f"2024-05-06T09:{n:02}:00Z", **more}
        for n, more in enumerate(({"attributes": {"priority": "P2"}}, {}))
    ]
    path = stored(tmp_path / "t.ndjson", "\n".join(map(json.dumps, rows)) + "\n")
    assert then(read(path)) == ["P2", None]


# --- the log


WORDS = st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["P1", "P2", None])), min_size=1)


def built(found: Sequence[tuple[str, str | None]], **meta: Any) -> EventLog:  # noqa: ANN401
    cases, words = zip(*found, strict=True)
    events = pa.table(
        {
            s.CASE_ID: pa.array(cases, pa.string()),
            s.ACTIVITY: pa.array(["Go"] * len(found), pa.string()),
            s.AT: pa.array([n * MINUTE for n in range(len(found))], pa.int64()),
            s.CASE_PREFIX + s.PRIORITY: pa.array(words, pa.string()),
        }
    )
    return EventLog.build(events, meta=LogMeta(source="test", **meta))


@given(WORDS)
def test_the_column_is_there_if_and_only_if_some_case_changes(
    found: list[tuple[str, str | None]],
) -> None:
    log = built(found)
    known = {case: {w for c, w in found if c == case and w} for case, _ in found}
    if any(len(words) > 1 for words in known.values()):
        assert then(log) == [w for case in sorted(known) for c, w in found if c == case]
    else:
        assert then(log) is None


def test_a_log_without_a_change_has_the_fingerprint_that_it_always_had() -> None:
    log = built([("A", "P1"), ("A", None), ("B", "P2")])
    assert log.meta.sha256.startswith("9e1da8c9d7910aa9")


def test_until_and_select_keep_it_and_addresses_are_masked_in_it() -> None:
    log = built([("A", "P1"), ("A", "ask eve@example.org"), ("B", "P2")])
    first, second, _ = then(log) or []
    assert (first, second) == ("P1", priorities(log)["A"])
    assert "eve@" not in str(log.events.to_pylist())
    assert dict(log.meta.masked) == {"email": 2}  # once in the events, once in the case
    assert then(log.until(0)) == ["P1"]
    assert then(log.select(log.cases[s.CASE_ID].to_numpy(zero_copy_only=False) == "B")) == ["P2"]
    assert "ask eve@example.org" in (then(built([("A", "P1"), ("A", "ask eve@example.org")],
                                                clear_contacts=True)) or [])  # fmt: skip


# --- tools


def servicenow(
    folder: Path, present: str, *changes: tuple[str, str], plan: str = "", field: str = "priority"
) -> EventLog:
    """Read an incident and the audits of one field, one a minute from minute 1 on."""
    ticket = {
        "number": "INC1", "sys_id": "a" * 32, "opened_at": "2024-03-04 09:00:00", "state": "2",
        "priority": "3", "u_prio": "3", field: present,
    }  # fmt: skip
    audits = [
        {
            "tablename": "incident", "documentkey": "a" * 32, "fieldname": field, "oldvalue": old,
            "newvalue": new, "user": "ben", "sys_created_on": f"2024-03-04 09:{n:02}:00",
            "record_checkpoint": str(n), "internal_checkpoint": "",
        }
        for n, (old, new) in enumerate(changes, start=1)
    ]  # fmt: skip
    paths = [folder / "incident.csv", folder / "sys_audit.csv"]
    for path, rows in zip(paths, ([ticket], audits), strict=True):
        table(path, [tuple(row.values()) for row in rows], ",".join(rows[0]))
    return read(*paths, mapping=stored(folder / "m.toml", f'name = "m"\n{plan}') if plan else None)


def test_servicenow_replays_the_audits(tmp_path: Path) -> None:
    log = servicenow(tmp_path, "1", ("3", "2"), ("2", "1"))
    assert (then(log), priorities(log)) == (["P3", "P2", "P1"], {"INC1": "P1"})
    assert "QG147" not in codes(log)
    assert log.events["attr.changed"].to_pylist() == [None, "priority", "priority"]


def test_audits_that_end_elsewhere_than_the_ticket_are_told(tmp_path: Path) -> None:
    assert "QG147" in codes(servicenow(tmp_path, "4", ("3", "2")))


def test_the_desks_own_field_counts_and_not_the_standard_one(tmp_path: Path) -> None:
    plan = '[fields]\npriority = "u_prio"\n[priorities]\n"9" = "P1"\n"3" = "P4"\n'
    log = servicenow(tmp_path, "9", ("3", "9"), plan=plan, field="u_prio")
    assert (then(log), priorities(log)) == (["P4", "P1"], {"INC1": "P1"})
    other = servicenow(tmp_path, "1", ("3", "1"), plan='[fields]\npriority = "u_prio"\n')
    assert then(other) is None
    assert other.events["attr.changed"].to_pylist() == [None, "standard priority"]


def jira(folder: Path, items: Sequence[Mapping[str, object]]) -> EventLog:
    """Read the issue SD-1 with changes of priority at its end, an hour each."""
    search = json.loads(JSM.read_text(encoding="utf-8"))
    search["issues"] = [issue for issue in search["issues"] if issue["key"] == "SD-1"]
    search["total"], log = 1, search["issues"][0]["changelog"]
    log["histories"] += [
        {"id": str(40_000 + n), "author": None, "created": f"2024-05-10T{n:02}:00:00.000+0100",
         "items": [{"field": "priority", "fieldtype": "jira", "fieldId": "priority", **item}]}
        for n, item in enumerate(items)
    ]  # fmt: skip
    log["total"] = log["maxResults"] = len(log["histories"])
    return read(stored(folder / "jsm.json", json.dumps(search)))


def test_jira_replays_the_changelog(tmp_path: Path) -> None:
    items = [
        {"from": "3", "fromString": "Medium", "to": "1", "toString": "Highest"},
        {"from": "1", "fromString": "Highest", "to": "2", "toString": "High"},
    ]
    log = jira(tmp_path, items)
    assert (then(log) or [])[-3:] == ["P3", "P1", "P2"]
    assert set((then(log) or [])[:-2]) == {"P3"}
    assert (priorities(log), "QG147" in codes(log)) == ({"SD-1": "P2"}, False)
    assert "QG147" in codes(jira(tmp_path, items[:1]))
    assert then(jira(tmp_path, [])) is None


def test_zendesk_replays_the_audits(tmp_path: Path) -> None:
    stamp = "2024-05-06T08:00:00Z"
    ticket = {
        "id": 1, "status": "new", "requester_id": 5, "submitter_id": 5, "priority": "urgent",
        "group_id": None, "created_at": stamp, "updated_at": stamp,
    }  # fmt: skip
    audits = [
        {"id": n, "ticket_id": 1, "created_at": f"2024-05-06T08:{n:02}:00Z", "author_id": 7,
         "events": [{"type": "Change", "field_name": "priority", "previous_value": old,
                     "value": new}]}
        for n, (old, new) in enumerate([("low", "high"), ("high", "urgent")], start=1)
    ]  # fmt: skip
    paths = [
        stored(tmp_path / "t.json", json.dumps({"tickets": [ticket], "next_page": None})),
        stored(tmp_path / "a.json", json.dumps({"audits": audits, "next_page": None})),
    ]
    log = read(*paths)
    assert (then(log), priorities(log)) == (["P4", "P2", "P1"], {"1": "P1"})
    plan = stored(tmp_path / "m.toml", 'name = "m"\n[fields]\npriority = "77"\n')
    ticket["custom_fields"] = [{"id": 77, "value": "x"}]
    paths[0].write_text(json.dumps({"tickets": [ticket], "next_page": None}), encoding="utf-8")
    assert then(read(*paths, mapping=plan)) is None


def test_github_replays_labels_with_the_declared_prefix(tmp_path: Path) -> None:
    api, stamp = "https://api.github.com/repos/o/r", "2024-05-06T08:00:00Z"
    issue = {
        "url": f"{api}/issues/1", "repository_url": api, "labels_url": "x", "number": 1,
        "state": "open", "user": {"login": "eve"}, "labels": [{"name": "prio: now"}],
        "created_at": stamp, "updated_at": stamp, "closed_at": None,
    }  # fmt: skip
    events = [
        {"id": n, "node_id": "E", "commit_id": None, "event": name, "actor": {"login": "bo"},
         "created_at": f"2024-05-06T09:{n:02}:00Z", "issue": issue,
         "label": {"name": f"prio: {word}", "color": "f"}}
        for n, (name, word) in enumerate(
            [("labeled", "later"), ("unlabeled", "later"), ("labeled", "now")]
        )
    ]  # fmt: skip
    plan = stored(
        tmp_path / "m.toml",
        'name = "m"\n[fields]\npriority = "prio: "\n[priorities]\nnow = "P1"\nlater = "P4"\n',
    )
    log = read(stored(tmp_path / "e.json", json.dumps(events)), mapping=plan)
    assert (then(log), list(priorities(log).values())) == ([None, "P4", None, "P1"], ["P1"])


# --- a real log


@pytest.mark.skipif(not UCI.is_dir(), reason=f"{UCI} is missing")
def test_the_uci_incidents_change_priority_as_their_rows_say() -> None:
    (path,) = UCI.glob("*.csv.gz")
    raw = pd.read_csv(path, usecols=["number", "priority", "sys_mod_count"], dtype=str)
    grade = "P" + raw["priority"].str[0]
    several = grade.groupby(raw["number"]).nunique()
    log = read(path, mapping=Path("uci_servicenow"))
    events = log.events.select([s.CASE_ID, "attr.sys_mod_count", s.PRIORITY_THEN]).to_pandas()
    ours = events.groupby(s.CASE_ID)[s.PRIORITY_THEN].nunique()
    assert (len(several), int((several > 1).sum())) == (13_302, 204)
    assert ours.to_dict() == several.to_dict()
    told = pd.DataFrame({s.CASE_ID: raw["number"], "n": raw["sys_mod_count"], "p": grade})
    assert _bag(told) == _bag(events)


def _bag(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    return sorted(frame.itertuples(index=False, name=None))


def test_a_log_cut_at_a_moment_knows_no_later_priority() -> None:
    rows = [("a", 0, "P3"), ("a", 10, None), ("a", 20, "P1"), ("b", 0, None), ("b", 30, "P2")]
    events = pa.table(
        {
            s.CASE_ID: [case for case, _, _ in rows],
            s.ACTIVITY: ["Work"] * len(rows),
            s.AT: [at for _, at, _ in rows],
            s.PRIORITY_THEN: pa.array([word for _, _, word in rows], pa.string()),
        }
    )
    cases = pa.table({s.CASE_ID: ["a", "b"], s.PRIORITY: ["P1", "P2"]})
    log = EventLog.build(events, cases=cases, meta=LogMeta("test"))
    for moment, told in ((10, ["P3", "P2"]), (20, ["P1", "P2"]), (40, ["P1", "P2"])):
        assert log.until(moment).cases[s.PRIORITY].to_pylist() == told
