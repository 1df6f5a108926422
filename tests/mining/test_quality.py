"""Does the gate count each defect, and only where it is?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from process_mining.eventlog import EventLog, LogMeta, Seen
from process_mining.quality import DOUBTFUL, KINDS, Quality, inspect
from process_mining.sources import ReadOptions, find_mapping, open_log

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
UCI = SHARED / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
MINUTE = 60_000_000
BASE = 1_700_000_000_000_007
META = LogMeta(source="test", clear_names=True)


def log_of(
    traces: Mapping[str, Sequence[tuple[str, int]]],
    *,
    cases: Mapping[str, object] | None = None,
    meta: LogMeta = META,
    **columns: list[str | None],
) -> EventLog:
    """A log of traces of (activity, µs after BASE); actor, team and priority are all known."""
    rows = [(case, name, BASE + at) for case, steps in traces.items() for name, at in steps]
    n = len(rows)
    events = pa.table(
        {
            "case_id": [r[0] for r in rows],
            "activity": [r[1] for r in rows],
            "at": pa.array([r[2] for r in rows], pa.int64()),
            "actor": pa.array(columns.get("actor", ["Eve"] * n), pa.string()),
            "team": pa.array(columns.get("team", ["T"] * n), pa.string()),
            "case.priority": pa.array(columns.get("priority", ["P1"] * n), pa.string()),
        }
    )
    return EventLog.build(events, meta=meta, cases=pa.table(cases) if cases else None)


def found(log: EventLog) -> dict[str, int]:
    quality = inspect(log)
    return {defect.code + defect.subject: defect.count for defect in quality.defects}


CLEAN = {"a": [("x", 1), ("y", 2)], "b": [("x", 3), ("y", 4)], "c": [("x", 5), ("y", 6)]}


def test_a_clean_log_has_no_defect() -> None:
    quality = inspect(log_of(CLEAN))
    assert quality.defects == ()
    assert quality.unknown == ()
    assert (quality.events, quality.cases, quality.rows_in, quality.rejected) == (6, 3, 6, 0)
    assert (quality.first_us, quality.last_us) == (BASE + 1, BASE + 6)


def test_every_kind_says_what_it_makes_unknown() -> None:
    facts = DOUBTFUL | {"actor", "team", "priority", "opened", "resolved", "closed", "known_then"}
    for code, kind in KINDS.items():
        assert code.startswith("QG")
        assert kind.explanation
        assert set(kind.unknown) <= facts
    assert len({kind.name for kind in KINDS.values()}) == len(KINDS)


def test_equal_events_are_duplicates_and_different_ones_are_not() -> None:
    traces = CLEAN | {"a": [("x", 1), ("y", 2), ("y", 2), ("y", 2), ("z", 3)]}
    assert found(log_of(traces))["QG101"] == 2
    actors: list[str | None] = ["Eve", "Eve", "Bob", "Joe", "Eve", *["Eve"] * 4]
    assert "QG101" not in found(log_of(traces, actor=actors))
    assert inspect(log_of(traces)).find("QG101")[0].examples == ("a",)


def at(*offsets: int | None) -> pa.Array:
    return pa.array([None if o is None else BASE + o for o in offsets], pa.int64())


@pytest.mark.parametrize(
    ("opened", "resolved", "closed", "expected"),
    [
        (at(1, 3, 5), at(2, 4, 6), at(2, 4, 6), {}),
        (at(1, 3, 5), at(None, None, None), at(None, None, None), {}),
        (at(1, 3, 5), at(2, 4, 6), at(0, 4, 6),
         {"QG102": 1, "QG104": 1, "QG106": 1, "QG108": 1}),
        (at(1, 3, 5), at(2, 2, 6), at(2, 4, 6), {"QG103": 1, "QG107": 1}),
        (at(1, 4, 5), at(2, 4, 6), at(2, 4, 6), {"QG105": 1}),
        (at(1, 3, 5), at(2, 4, 6), at(2, 4, 5), {"QG104": 1, "QG106": 1}),
        (at(0, 3, 5), at(2, 4, 6), at(2, 4, 6), {"QG142": 1}),
        (at(1, 3, 5), at(2, 4, 6), at(9, 4, 6), {"QG108": 1}),
    ],
)  # fmt: skip
def test_case_times_are_held_against_each_other_and_the_events(
    opened: pa.Array, resolved: pa.Array, closed: pa.Array, expected: dict[str, int]
) -> None:
    cases = {"case_id": ["a", "b", "c"], "opened": opened, "resolved": resolved, "closed": closed}
    assert found(log_of(CLEAN, cases=cases)) == expected


def test_follow_up_after_closing_is_no_defect_and_work_is() -> None:
    """Surveys come after closing in most cases, even where one came before; rework does not."""
    done = [("open", 0), ("fix", 1), ("shut", 2)]
    traces = {f"t{i}": [*done, ("ask", 3), ("answer", 4)] for i in range(5)}
    traces["t5"] = [("open", 0), ("ask", 1), ("fix", 1), ("shut", 2)]
    traces["t6"] = [*done, ("fix", 3), ("shut", 4)]
    cases = {"case_id": sorted(traces), "closed": at(*[2] * 7)}
    (defect,) = inspect(log_of(traces, cases=cases)).find("QG106")
    assert (defect.count, defect.of, defect.examples) == (1, 7, ("t6",))


def test_missing_facts_are_counted() -> None:
    log = log_of(
        CLEAN,
        actor=["Eve", None, None, "Bob", "Bob", "Bob"],
        team=[None] * 6,
        priority=["P1", "P1", None, None, "P2", "P2"],
    )
    quality = inspect(log)
    assert {d.code: (d.count, d.of) for d in quality.defects} == {
        "QG130": (2, 6), "QG131": (6, 6), "QG132": (1, 3)
    }  # fmt: skip
    assert quality.unknown == ("actor", "priority", "team")
    assert quality.find("QG132")[0].examples == ("b",)
    assert quality.find("QG130")[0].share == pytest.approx(1 / 3)


def test_a_log_without_times_says_so_and_judges_no_time() -> None:
    events = pa.table({"case_id": ["a", "a"], "activity": ["x", "y"], "position": [0, 1]})
    codes = [d.code for d in inspect(EventLog.build(events, meta=META)).defects]
    assert codes == ["QG112", "QG130", "QG131", "QG132"]


def test_placeholders_are_times_that_tools_write() -> None:
    traces = CLEAN | {"d": [("x", -BASE), ("y", 253_402_300_799_000_000 - BASE)]}
    assert found(log_of(traces))["QG113"] == 2


def test_a_coarse_clock_is_named_with_its_unit() -> None:
    assert found(log_of(CLEAN, meta=replace(META, time_resolution_us=15 * MINUTE))) == {
        "QG12015 min": 6
    }
    assert found(log_of(CLEAN, meta=replace(META, time_resolution_us=1_000_000))) == {}


def test_equal_times_count_within_a_case_only() -> None:
    assert "QG121" not in found(log_of({k: [("x", 1), ("y", 2)] for k in "abc"}))
    assert found(log_of(CLEAN | {"b": [("x", 3), ("y", 3)]}))["QG121"] == 2


def test_a_minute_in_which_many_cases_change_is_a_bulk_edit() -> None:
    quiet = {f"q{i}": [("x", (i + 2) * 7 * MINUTE), ("y", (i + 2) * 9 * MINUTE)] for i in range(60)}
    bulk = {f"b{i:02}": [("x", i), ("y", MINUTE * (1_000 + i))] for i in range(30)}
    (defect,) = inspect(log_of(quiet | bulk)).find("QG122")
    assert (defect.count, defect.unit) == (1, "minutes")
    assert defect.examples == ("2023-11-14T22:13Z: 30 cases",)
    del bulk["b00"]
    assert inspect(log_of(quiet | bulk)).find("QG122") == ()


@pytest.mark.parametrize(("rows", "cut"), [(10_000, 1), (1_000, 1), (9_999, 0), (10_001, 0)])
def test_a_round_number_of_rows_is_suspicious(rows: int, cut: int) -> None:
    assert len(inspect(log_of(CLEAN, meta=replace(META, rows_in=rows))).find("QG140")) == cut


def test_the_usual_start_is_what_most_cases_do() -> None:
    traces = CLEAN | {"d": [("y", 7), ("y", 8)]}
    assert found(log_of(traces)) == {"QG141": 1}
    half = {"a": [("x", 1), ("y", 2)], "b": [("y", 3), ("y", 4)], "c": [("z", 5), ("y", 6)]}
    assert found(log_of(half)) == {}


def test_short_cases_are_counted() -> None:
    cases = {"case_id": ["d"], "priority": ["P1"]}
    assert found(log_of(CLEAN | {"a": [("x", 1)]}, cases=cases)) == {"QG143": 1, "QG144": 1}


def test_what_a_source_saw_is_taken_over_and_other_notes_stay_notes() -> None:
    saw = (Seen("QG109", 4, subject="closed"), Seen("QG110", 1, cases=("a",)))
    meta = replace(META, notes=("the zone is assumed",), seen=saw)
    quality = inspect(log_of(CLEAN, meta=meta))
    assert found(log_of(CLEAN, meta=meta)) == {"QG109closed": 4, "QG110": 1}
    assert quality.notes == ("the zone is assumed",)


def test_frames_have_one_row_a_defect() -> None:
    frame = inspect(log_of(CLEAN | {"a": [("x", 1)]})).to_pandas()
    assert frame["code"].tolist() == ["QG143"]
    assert frame["share"].tolist() == [pytest.approx(1 / 3)]


STEP = st.tuples(st.sampled_from("xyz"), st.integers(0, 3))


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(STEP, min_size=1, max_size=5), min_size=1))
def test_counts_are_those_of_a_plain_loop(traces: dict[str, list[tuple[str, int]]]) -> None:
    counts = found(log_of(traces))
    tied = sum([t for _, t in steps].count(at) > 1 for steps in traces.values() for _, at in steps)
    again = sum(len(steps) - len(set(steps)) for steps in traces.values())
    single = sum(len(steps) == 1 for steps in traces.values())
    assert (counts.get("QG121", 0), counts.get("QG101", 0)) == (tied, again)
    assert counts.get("QG143", 0) == single


@pytest.fixture(scope="module")
def uci() -> Quality:
    if not UCI.exists():
        pytest.skip("shared/data is missing")
    return inspect(open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow"))))


def test_the_known_defects_of_the_uci_log_are_found(uci: Quality) -> None:
    counts = {d.code + d.subject: (d.count, d.of) for d in uci.defects}
    assert counts["QG105"] == (5, 13_302)
    assert counts["QG109closed"] == (68_186, 81_519)
    assert counts["QG109resolved"] == (52_513, 81_519)
    assert counts["QG110"] == (5, 81_519)
    assert counts["QG1201 min"] == (81_519, 81_519)
    assert counts["QG131"] == (12_114, 81_519)
    assert uci.find("QG122")[0].examples[0] == "2016-03-24T18:40Z: 420 cases"
    assert "QG130" not in counts
    assert "QG132" not in counts
    assert any("UTC is assumed" in note for note in uci.notes)
