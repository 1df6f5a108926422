"""Does an event log keep its promises: a total order, one row a case, no names, same bytes?"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.errors import RunError
from process_mining.eventlog import EventLog, LogMeta

if TYPE_CHECKING:
    from collections.abc import Sequence

META = LogMeta(source="test")
CLEAR = LogMeta(source="test", clear_names=True)
WORD = st.sampled_from(["a", "b", "ä", "", "ab", "Z"])
MAYBE = st.none() | WORD
ROW = st.fixed_dictionaries(
    {
        "case_id": st.sampled_from(["1", "10", "2", "ü"]),
        "activity": WORD,
        "at": st.integers(-3, 3),
        "position": st.none() | st.integers(0, 2),
        "actor": MAYBE,
        "team": MAYBE,
        "lifecycle": MAYBE,
        "attr.x": MAYBE,
        "case.priority": MAYBE,
        "case.opened": st.none() | st.integers(-3, 3),
        "case.attr.y": MAYBE,
    }
)
TYPES = pa.schema(
    [
        (name, pa.int64() if name in {"at", "position", "case.opened"} else pa.string())
        for name in ("case_id", "activity", "at", "position", "actor", "team", "lifecycle")
    ]
    + [("attr.x", pa.string()), ("case.priority", pa.string())]
    + [("case.opened", pa.int64()), ("case.attr.y", pa.string())]
)
Rows = list[dict[str, object]]


def table(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TYPES)


def events(**columns: Sequence[object]) -> pa.Table:
    n = len(next(iter(columns.values())))
    defaults: dict[str, Sequence[object]] = {
        "case_id": ["c"] * n, "activity": ["x"] * n, "at": list(range(n))
    }  # fmt: skip
    return pa.table(defaults | columns)


@given(st.data(), st.lists(ROW, max_size=12))
def test_shuffled_rows_give_the_same_log(data: st.DataObject, rows: Rows) -> None:
    one = EventLog.build(table(rows), meta=META)
    other = EventLog.build(table(data.draw(st.permutations(rows))), meta=META)
    assert other.meta == one.meta
    assert other.events.equals(one.events)
    assert other.cases.equals(one.cases)


@given(st.lists(ROW, max_size=12))
def test_events_are_in_total_order_and_numbered_from_0_in_each_case(rows: Rows) -> None:
    log = EventLog.build(table(rows), meta=CLEAR)
    found = log.events.to_pylist()
    assert [(e["case_id"], e["seq"]) for e in found] == sorted(
        (e["case_id"], e["seq"]) for e in found
    )
    for before, after in pairwise(found):
        if before["case_id"] == after["case_id"]:
            assert after["seq"] == before["seq"] + 1
            assert before["at"] <= after["at"]
        else:
            assert after["seq"] == 0
    kept = ("case_id", "activity", "at", "actor", "attr.x")
    assert sorted(repr([e[k] for k in kept]) for e in found) == sorted(
        repr([r[k] for k in kept]) for r in rows
    )


@given(st.lists(ROW, max_size=12))
def test_cases_are_the_sorted_case_ids_and_own_their_events(rows: Rows) -> None:
    log = EventLog.build(table(rows), meta=META)
    ids = log.cases["case_id"].to_pylist()
    assert ids == sorted({row["case_id"] for row in rows})  # type: ignore[type-var]
    arrays = log.arrays
    assert [ids[i] for i in arrays.case_of] == log.events["case_id"].to_pylist()
    names = [arrays.activities[code] for code in arrays.activity]
    assert names == log.events["activity"].to_pylist()
    actors = [None if code < 0 else arrays.actors[code] for code in arrays.actor]
    assert actors == log.events["actor"].to_pylist()
    assert list(arrays.activities) == sorted(set(names))


@given(st.lists(ROW, min_size=1, max_size=12))
def test_a_case_has_the_last_known_value_of_its_events(rows: Rows) -> None:
    # With a position of its own, every event's place is known to the test.
    rows = [row | {"at": 0, "position": place} for place, row in enumerate(rows)]
    log = EventLog.build(table(rows), meta=META)
    for case in log.cases.to_pylist():
        own = [row for row in rows if row["case_id"] == case["case_id"]]
        for name, source in (("priority", "case.priority"), ("attr.y", "case.attr.y")):
            known = [row[source] for row in own if row[source] is not None]
            assert case[name] == (known[-1] if known else None)


@given(st.lists(ROW, max_size=8), st.lists(ROW, max_size=8))
def test_the_fingerprint_tells_logs_apart(one: Rows, other: Rows) -> None:
    logs = [EventLog.build(table(rows), meta=CLEAR) for rows in (one, other)]
    same = logs[0].events.equals(logs[1].events) and logs[0].cases.equals(logs[1].cases)
    if not same:
        assert logs[0].meta.sha256 != logs[1].meta.sha256


def test_the_fingerprint_tells_null_from_empty_and_cells_from_their_joint() -> None:
    tables = [
        events(actor=["ab", "c"]), events(actor=["a", "bc"]),
        events(actor=["", "abc"]), events(actor=[None, "abc"]), events(team=["ab", "c"]),
    ]  # fmt: skip
    assert len({EventLog.build(t, meta=CLEAR).meta.sha256 for t in tables}) == len(tables)


def test_the_case_table_wins_and_may_hold_cases_without_events() -> None:
    cases = pa.table({"case_id": ["d", "c"], "priority": ["P1", None], "attr.k": ["v", "w"]})
    given_events = events(**{"case.priority": ["P4"], "case.attr.m": ["n"]})
    log = EventLog.build(given_events, meta=META, cases=cases)
    assert log.cases.select(["case_id", "priority", "attr.k", "attr.m"]).to_pylist() == [
        {"case_id": "c", "priority": "P4", "attr.k": "w", "attr.m": "n"},
        {"case_id": "d", "priority": "P1", "attr.k": "v", "attr.m": None},
    ]
    assert log.arrays.offsets.tolist() == [0, 1, 1]


def test_names_become_keyed_pseudonyms() -> None:
    named = events(actor=["Eve", None, "Eve", "Bob"])
    first = EventLog.build(named, meta=META, pseudonym_key=b"k").events["actor"].to_pylist()
    assert first[1] is None
    assert first[0] == first[2] != first[3]
    assert all(len(name) == 14 and name.startswith("p-") for name in first if name)
    again = EventLog.build(events(actor=["Eve"]), meta=META, pseudonym_key=b"k")
    assert again.events["actor"].to_pylist() == [first[0]]
    other = EventLog.build(named, meta=META, pseudonym_key=b"l").events["actor"].to_pylist()
    assert other[0] != first[0]
    keyless = [EventLog.build(t, meta=META) for t in (named, named, events(actor=["Eve"]))]
    words = [log.events["actor"][0].as_py() for log in keyless]
    assert words[0] == words[1] != words[2]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"case_id": [None]}, "LG001 1 events have no case_id"),
        ({"activity": [None]}, "LG001 1 events have no activity"),
        ({"at": [1, None]}, "LG002 1 of 2 events have no time"),
    ],
)
def test_what_would_break_the_order_is_refused(columns: dict[str, list[object]], code: str) -> None:
    with pytest.raises(RunError, match=code):
        EventLog.build(events(**columns), meta=META)


def test_a_case_that_stands_twice_is_refused() -> None:
    with pytest.raises(RunError, match="LG003 case 'c'"):
        EventLog.build(events(at=[1]), meta=META, cases=pa.table({"case_id": ["c", "c"]}))


def test_a_log_without_times_keeps_the_order_of_the_positions() -> None:
    at = pa.nulls(3, pa.int64())
    log = EventLog.build(events(activity=["b", "a", "c"], position=[1, 2, 0], at=at), meta=META)
    assert not log.timed
    assert log.events["activity"].to_pylist() == ["c", "b", "a"]


def test_an_empty_log_has_no_case_and_no_event() -> None:
    log = EventLog.build(table([]), meta=META)
    assert (log.n_events, log.n_cases, log.timed) == (0, 0, True)
    assert log.arrays.offsets.tolist() == [0]


def test_selecting_cases_keeps_whole_cases_and_leaves_the_log_alone() -> None:
    log = EventLog.build(events(case_id=["a", "b", "a", "c"]), meta=META)
    part = log.select(np.array([True, False, True]))
    assert part.events["case_id"].to_pylist() == ["a", "a", "c"]
    assert part.cases["case_id"].to_pylist() == ["a", "c"]
    assert (log.n_events, log.n_cases) == (4, 3)


def test_replacing_columns_leaves_the_log_alone() -> None:
    log = EventLog.build(events(at=[1, 2]), meta=META)
    other = log.with_columns(
        events={"activity": pa.array(["y", None]), "attr.n": pa.array(["1", "2"])}
    )
    assert log.events["activity"].to_pylist() == ["x", "x"]
    assert other.arrays.activity.tolist() == [0, -1]
    assert other.arrays.code_of("x") == -2


def test_frames_show_utc_times() -> None:
    frame = EventLog.build(events(at=[0]), meta=META).to_pandas()
    assert str(frame["at"][0]) == "1970-01-01 00:00:00+00:00"


def test_the_hash_seed_changes_nothing() -> None:
    code = (
        "import pyarrow as pa\nfrom process_mining.eventlog import EventLog, LogMeta\n"
        "t = pa.table({'case_id': list('abcab'), 'activity': list('vwxyz'), 'at': [1, 1, 2, 1, 1],"
        " 'actor': list('ppqrs'), 'attr.b': list('nmlkj'), 'attr.a': list('hgfed')})\n"
        "log = EventLog.build(t, meta=LogMeta(source='test'))\n"
        "print(log.meta.sha256, log.events['actor'].to_pylist())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != b""
