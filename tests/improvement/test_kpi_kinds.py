"""Does each kind of KPI count what it says, on cases small enough to count by hand?"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from csi.evidence import CASE_COLUMNS, Evidence, View, view
from csi.kpi_kinds import KINDS, Ages, Durations, Hits, Missing, Rate, Sampled, estimate
from csi.statistics import Estimate
from csi.statistics.estimate import rate
from process_mining.errors import RunError
from rules.spec import Verdict

HOUR, DAY = 3_600_000_000, 86_400_000_000
START = 100 * DAY


class Week:
    """The week that is measured."""

    start_us = START
    end_us = START + 7 * DAY


def _evidence(rows: list[dict[str, object]], **more: object) -> Evidence:
    frame = pd.DataFrame(
        [
            {"case_id": f"T{i}", "case_type": "incident", "handovers": 0, **row}
            for i, row in enumerate(rows)
        ]
    )
    for name in CASE_COLUMNS:
        if name not in frame:
            frame[name] = None
    times = [name for name in CASE_COLUMNS if name.endswith("_us")]
    given = {"as_of_us": START + 9 * DAY, **more}
    return Evidence(cases=frame.astype(dict.fromkeys(times, "Int64")), **given)  # type: ignore[arg-type]


def _opened(hours: float, **more: float | object) -> dict[str, object]:
    """A case opened some hours into the week; other moments in hours after its opening."""
    at = START + int(hours * HOUR)
    moments = {
        name: at + int(float(str(value)) * HOUR) if name.endswith("_us") else value
        for name, value in more.items()
    }
    return {"opened_us": at, **moments}


def _seen(evidence: Evidence, case_type: str = "incident") -> View:
    return view(evidence, case_type=case_type, window=Week())


def _sample(kind: str, seen: View, **params: object) -> Sampled:
    found: Sampled = KINDS[kind].sample(seen, KINDS[kind].params.model_validate(params))
    return found


def _share(found: Sampled) -> tuple[int, int]:
    assert isinstance(found, Hits), found
    return found.share.k, found.share.n


WAY = {"from": "opened", "to": "resolved", "hours": 24.0}


def test_within_counts_only_cases_that_were_followed_for_as_long() -> None:
    desk = _evidence(
        [
            _opened(0, resolved_us=24, closed_us=30),  # at the last moment
            _opened(0, resolved_us=25, closed_us=30),  # too late
            _opened(0),  # never
            _opened(0, closed_us=3),  # cancelled: nobody knows
            _opened(0, closed_us=30),  # cancelled, but after its time was up
            _opened(150, resolved_us=1),  # quick, but followed for 23 hours only
            _opened(150),
            _opened(0, resolved_us=-1),  # a clock set back
        ],
        as_of_us=START + 173 * HOUR,
    )
    assert _share(_sample("share_within", _seen(desk), **WAY)) == (1, 4)


def test_first_contact_needs_a_team_and_a_resolution() -> None:
    desk = _evidence(
        [
            _opened(0, resolved_us=2, team="Desk"),
            _opened(0, resolved_us=2, team="Desk", handovers=1),
            _opened(0, resolved_us=9, team="Desk", reopened_us=3),
            _opened(0, reopened_us=3, team="Desk"),  # resolved once, open again
            _opened(0, resolved_us=2),  # no team: not known
            _opened(0, team="Desk"),  # not resolved
        ]
    )
    assert _share(_sample("share_first_contact", _seen(desk))) == (1, 4)
    nameless = _evidence([_opened(0, resolved_us=2)])
    assert _sample("share_first_contact", _seen(nameless)) == Missing("the log names no team")


def test_kinds_of_a_case_type_are_told_by_the_practice() -> None:
    kinds = ("emergency_change", "normal_change", "standard_change", "emergency_change", "change")
    rows = [_opened(1, case_type="change", practice=one) for one in kinds]
    found = _sample("share_of_kind", _seen(_evidence(rows), "change"), practice="emergency_change")
    assert _share(found) == (2, 4)
    for untold in ([rows[-1]], [_opened(1, case_type="change")]):
        found = _sample(
            "share_of_kind", _seen(_evidence(untold), "change"), practice="emergency_change"
        )
        assert found == Missing("the log does not tell which kind of change a case is")


def test_an_activity_is_a_step_and_its_first_time_counts() -> None:
    steps = pd.DataFrame(
        {
            "case_id": ["T0", "T0", "T1", "T9"],
            "activity": ["Implement", "Implement", "Back out", "Implement"],
            "first_us": [START + 5 * HOUR, START + 3 * HOUR, START + HOUR, START],
        }
    )
    desk = _evidence([_opened(0, case_type="change"), _opened(0, case_type="change")], steps=steps)
    seen = _seen(desk, "change")
    way = {"from": "opened", "to": "Implement", "percentile": 50.0}
    found = _sample("duration_percentile", seen, **way)
    assert isinstance(found, Durations)
    assert list(found.hours) == [3.0, 9 * 24.0]
    assert list(found.censored) == [False, True]
    share = _sample("share_with_step", seen, step="Back out", among="Implement")
    assert _share(share) == (1, 2)


def test_what_a_log_cannot_tell_is_not_never_done() -> None:
    way = {"from": "opened", "to": "Implement", "percentile": 50.0}
    row = _opened(0, case_type="change")
    bare = _evidence([row])
    assert _sample("duration_percentile", _seen(bare, "change"), **way) == Missing(
        "the log does not tell 'Implement'"
    )
    steps = pd.DataFrame({"case_id": ["T0"], "activity": ["Implement"], "first_us": [START]})
    mute = _evidence([row], steps=steps, untold={"change": frozenset({"Back out"})})
    assert isinstance(_sample("duration_percentile", _seen(mute, "change"), **way), Durations)
    hidden = _sample("share_with_step", _seen(mute, "change"), step="Back out", among="Implement")
    assert hidden == Missing("the log does not tell 'Back out'")
    silent = _evidence([_opened(0)], untold={"incident": frozenset({"closed", "root_cause"})})
    for kind, params in (("open_at_end", {}), ("open_age", {"percentile": 50.0})):
        assert _sample(kind, _seen(silent), **params) == Missing("the log does not tell 'closed'")
    cause = {"from": "opened", "to": "root_cause", "percentile": 50.0}
    assert _sample("duration_percentile", _seen(silent), **cause) == Missing(
        "the log does not tell 'root cause'"
    )


def test_ages_are_those_of_what_is_open_when_the_window_ends() -> None:
    desk = _evidence(
        [
            _opened(-100),  # opened before the window, still open
            _opened(0, closed_us=167),  # closed an hour before its end
            _opened(0, closed_us=168),  # closed at its end: open until then
            _opened(100),
            _opened(170),  # opened after it
        ]
    )
    found = _sample("open_age", _seen(desk), percentile=50.0)
    assert isinstance(found, Ages)
    assert sorted(found.hours) == [68.0, 168.0, 268.0]
    result = estimate(found, unit="h", seed=1)
    assert (result.value, result.n) == (168.0, 3)
    early = _evidence([_opened(0)], as_of_us=START + 5 * HOUR)
    cut = _sample("open_age", _seen(early), percentile=50.0)
    assert isinstance(cut, Ages)
    assert list(cut.hours) == [5.0]


def test_arrivals_are_counted_over_the_time_that_the_log_has_seen() -> None:
    rows = [_opened(hours) for hours in (0, 1, 83)]
    whole = _sample("arrivals", _seen(_evidence(rows)))
    assert whole == Rate(3, 1.0)
    half = _sample("arrivals", _seen(_evidence(rows, as_of_us=START + 84 * HOUR)))
    assert half == Rate(3, 0.5)
    assert estimate(half, unit="tickets a week", seed=1).value == 6.0
    none = _sample("arrivals", _seen(_evidence(rows, as_of_us=START)))
    assert none == Missing("the log ends before the window begins")


def _promises(**columns: list[object]) -> Evidence:
    clocks = {
        "case_id": ["T0", "T1", "T2", "T3", "T0"],
        "metric": ["resolve"] * 4 + ["respond"],
        "status": ["met", "met", "breached", "running", "met"],
    }
    return _evidence([_opened(0)] * 4, clocks=pd.DataFrame({**clocks, **columns}))


def test_whose_promise_a_clock_is() -> None:
    mixed = _seen(_promises(agreement=["SLA", "OLA", "OLA", "SLA", "SLA"]))
    assert _share(_sample("share_met", mixed, metric="resolve")) == (1, 1)
    assert _share(_sample("share_met", mixed, agreement="OLA")) == (1, 2)
    assert _share(_sample("share_met", mixed)) == (2, 2)
    bare = _seen(_promises())
    assert _share(_sample("share_met", bare, metric="resolve")) == (2, 3)
    assert _sample("share_met", bare, agreement="OLA") == Missing(
        "no OLA has a clock on these cases"
    )


def test_met_by_pausing_is_a_share_of_what_was_met() -> None:
    paused = _seen(_promises(by_pausing=[True, False, False, False, True]))
    assert _share(_sample("share_met_by_pausing", paused, metric="resolve")) == (1, 2)
    bare = _sample("share_met_by_pausing", _seen(_promises()), metric="resolve")
    assert bare == Missing("the clocks do not say how long they were paused")


def test_violations_may_be_counted_instead() -> None:
    said = [Verdict.CONFORMS, Verdict.CONFORMS, Verdict.VIOLATES, Verdict.PENDING, Verdict.VACUOUS]
    verdicts = {"INC004": np.array(said, dtype=np.int8)}
    seen = _seen(_evidence([_opened(0)] * len(said), verdicts=verdicts))
    assert _share(_sample("share_of_rule", seen, rule="INC004")) == (2, 3)
    assert _share(_sample("share_of_rule", seen, rule="INC004", counts="violates")) == (1, 3)


@pytest.mark.parametrize(
    # Pearson & Hartley (1966), Biometrika Tables for Statisticians I, table 40, 95 %
    ("count", "low", "high"),
    [(0, 0.0, 3.69), (1, 0.0253, 5.57), (5, 1.62, 11.67), (10, 4.80, 18.39), (30, 20.24, 42.83)],
)
def test_the_limits_of_a_count_are_those_of_the_printed_table(
    count: int, low: float, high: float
) -> None:
    found = rate(count, 1.0, unit="a week")
    assert found.low == pytest.approx(low, abs=0.005)
    assert found.high == pytest.approx(high, abs=0.005)
    half = rate(count, 2.0, unit="a week")
    assert half == Estimate(
        count / 2, _half(found.low), _half(found.high), count, found.method, "a week"
    )


def _half(limit: float | None) -> float:
    assert limit is not None
    return limit / 2


def test_an_impossible_rate_is_refused() -> None:
    for count, weeks in ((-1, 1.0), (1, 0.0), (1, float("nan")), (1, float("inf"))):
        with pytest.raises(RunError, match="ST223"):
            rate(count, weeks, unit="a week")
