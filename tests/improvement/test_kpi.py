"""Does each KPI say what its file defines, on cases small enough to count by hand?"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pandas as pd
import pytest

from csi import kpi as kpis
from csi.evidence import CASE_COLUMNS, Evidence, Scope
from csi.kpi import Kpi, load_kpis, measure
from csi.kpi_kinds import BREACHED, KINDS, MET
from csi.kpi_segments import Side, difference
from process_mining.errors import CodedError, ManyCodedErrors
from rules.practice import load_practices
from rules.service_level import STATUSES, Metric
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path

HOUR, DAY = 3_600_000_000, 86_400_000_000
C, V, P = Verdict.CONFORMS, Verdict.VIOLATES, Verdict.PENDING


@dataclass(frozen=True)
class Window:
    """Days since 1970."""

    start: int
    end: int

    @property
    def start_us(self) -> int:
        return self.start * DAY

    @property
    def end_us(self) -> int:
        return self.end * DAY


KPIS = load_kpis()
WEEK = Window(100, 107)


def _cases(rows: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for name in CASE_COLUMNS:
        if name not in frame:
            frame[name] = None
    times = [name for name in CASE_COLUMNS if name.endswith("_us") or name == "handovers"]
    return frame.astype(dict.fromkeys(times, "Int64"))


def _ticket(number: int, opened: int, **more: object) -> dict[str, object]:
    return {
        "case_id": f"T{number}",
        "case_type": "incident",
        "priority": "P1",
        "opened_us": opened,
        "handovers": 0,
        **more,
    }


def _week() -> Evidence:
    """Seven incidents around a week; as-of two days after it."""
    at = 100 * DAY
    cases = _cases(
        [
            _ticket(1, at - 1, closed_us=at + 9 * DAY),  # a moment too early; open at the end
            _ticket(2, at, resolved_us=at + 2 * HOUR, closed_us=at + 3 * HOUR, handovers=1),
            _ticket(3, at, resolved_us=at + 4 * HOUR, closed_us=at + 5 * HOUR, handovers=4,
                    reopened_us=at + 3 * HOUR),
            _ticket(4, at + DAY, resolved_us=at + DAY + 6 * HOUR, handovers=1, priority="P2"),
            _ticket(5, at + 2 * DAY),
            _ticket(6, at + 6 * DAY, closed_us=at + 6 * DAY + HOUR),  # cancelled
            _ticket(7, at + 7 * DAY, resolved_us=at + 7 * DAY + HOUR),  # a moment too late
            {"case_id": "R1", "case_type": "problem", "opened_us": at, "handovers": 0,
             "root_cause_us": at + 30 * HOUR},
        ]
    )  # fmt: skip
    return Evidence(
        cases=cases,
        as_of_us=at + 9 * DAY,
        verdicts={"INC006": np.array([V, C, V, C, P, C, V, Verdict.VACUOUS], dtype=np.int8)},
        clocks=pd.DataFrame(
            {
                "case_id": ["T1", "T2", "T3", "T4", "T5", "T2"],
                "metric": ["resolve"] * 5 + ["respond"],
                "status": ["breached", "met", "breached", "met", "running", "breached"],
            }
        ),
        surveys=pd.DataFrame(
            {
                "ticket": ["T2", "T3", "T4", "T9", "T7"],
                "asked_at": pd.to_datetime([at + 5 * HOUR] * 5, unit="us", utc=True),
                "answered_at": pd.to_datetime([at + DAY, at + DAY, None, at, at + DAY], unit="us",
                                              utc=True),
                "score": [5, 2, None, 1, 1],
            }
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "value", "n"),
    [
        # hours 2, 4, 6 resolved; T5 still open; T6 cancelled after an hour (censored)
        ("KPI01", 4.0, 5),
        ("KPI02", None, 5),
        ("KPI03", 2 / 3, 3),
        ("KPI04", 0.0, 1),
        ("KPI05", 1 / 3, 3),
        ("KPI06", 3.5, 2),
        ("KPI07", 2 / 3, 3),
        ("KPI08", 3 / 4, 4),
        ("KPI09", 2.0, 3),
        ("KPI10", 3.0, 3),  # T1, T4, T5
        ("KPI11", 30.0, 1),
        ("KPI12", 1 / 2, 2),
    ],
)
def test_each_kpi_counts_what_its_file_says(code: str, value: float | None, n: int) -> None:
    found = measure(KPIS[code], _week(), WEEK)
    assert found.value == (value if value is None else pytest.approx(value))
    assert (found.n, found.unit, found.better) == (n, KPIS[code].unit, KPIS[code].better)
    assert found.method
    json.dumps(found.to_dict(), allow_nan=False)


def test_clock_words_are_those_of_the_service_levels() -> None:
    asked = KINDS["share_met"].params.model_fields["metric"].annotation
    assert get_args(get_args(asked)[0]) == get_args(Metric)
    assert {MET, BREACHED} <= set(STATUSES)


def test_open_cases_are_said_to_be_censored() -> None:
    assert measure(KPIS["KPI01"], _week(), WEEK).note == "2 of 5 had not got there: censored"


def test_a_scope_narrows_the_cases() -> None:
    p2 = measure(KPIS["KPI01"], _week(), WEEK, Scope.of({"priority": ["P2"]}))
    assert (p2.value, p2.n, p2.scope) == (6.0, 1, "priority P2")
    with pytest.raises(CodedError, match=r"ST205 unknown field 'prioriti'.*'priority'"):
        Scope.of({"prioriti": ["P2"]})


def test_the_order_of_rows_does_not_matter() -> None:
    week, order = _week(), np.array([5, 2, 7, 0, 3, 6, 1, 4])
    assert week.clocks is not None
    assert week.surveys is not None
    mixed = Evidence(
        cases=week.cases.take(order).reset_index(drop=True),
        as_of_us=week.as_of_us,
        verdicts={code: array[order] for code, array in week.verdicts.items()},
        clocks=week.clocks[::-1],
        surveys=week.surveys[::-1],
    )
    for kpi in KPIS.values():
        assert measure(kpi, week, WEEK) == measure(kpi, mixed, WEEK)


def test_what_happened_later_is_not_known_yet() -> None:
    just_before = 100 * DAY + 3 * HOUR - 1
    early = measure(KPIS["KPI01"], _week(), WEEK, as_of_us=just_before)
    assert (early.value, early.n) == (2.0, 2)
    assert measure(KPIS["KPI05"], _week(), WEEK, as_of_us=just_before).n == 1


def test_what_happens_at_that_moment_is_known() -> None:
    now = measure(KPIS["KPI05"], _week(), WEEK, as_of_us=100 * DAY + 3 * HOUR)
    assert now.n == 2


def test_what_the_evidence_lacks_is_said_not_guessed() -> None:
    bare = Evidence(cases=_week().cases, as_of_us=109 * DAY)
    notes = {
        code: measure(kpi, bare, WEEK).note
        for code, kpi in KPIS.items()
        if measure(kpi, bare, WEEK).method == "not measured"
    }
    wanting = {"share_of_rule", "share_met", "share_met_by_pausing", "share_first_contact"}
    surveys = {"mean_score", "share_satisfied", "response_rate"}
    assert set(notes) == {
        code
        for code, kpi in KPIS.items()
        if kpi.kind in wanting | surveys
        or kpi.only
        or any(step[0].isupper() for step in kpi.params.steps)
    }
    assert notes["KPI08"] == "rule INC006 was not checked"


def test_evidence_of_several_practices_is_joined() -> None:
    week = _week()
    is_problem = (week.cases["case_type"] == "problem").to_numpy()
    parts = [
        Evidence(
            cases=week.cases[mask].reset_index(drop=True),
            as_of_us=week.as_of_us,
            verdicts={"INC006": week.verdicts["INC006"][mask]} if not mask[-1] else {},
            clocks=week.clocks if not mask[-1] else None,
            surveys=week.surveys if not mask[-1] else None,
        )
        for mask in (is_problem, ~is_problem)
    ]
    joined = Evidence.join(parts)
    for kpi in KPIS.values():
        assert measure(kpi, joined, WEEK) == measure(kpi, week, WEEK)


def test_wrong_evidence_is_refused() -> None:
    week = _week()
    with pytest.raises(ManyCodedErrors) as caught:
        Evidence(cases=week.cases.drop(columns=["team", "opened_us"]), as_of_us=0)
    assert [error.code for error in caught.value.errors] == ["ST201", "ST201"]
    with pytest.raises(CodedError, match="ST202 case 'R1'"):
        Evidence(cases=pd.concat([week.cases, week.cases]), as_of_us=0)
    with pytest.raises(CodedError, match="ST203"):
        Evidence(cases=week.cases, as_of_us=0, verdicts={"X": np.zeros(2, np.int8)})
    naive = pd.DataFrame(
        {
            "ticket": ["T2"],
            "asked_at": pd.to_datetime(["1970-04-11"]),
            "answered_at": pd.NaT,
            "score": 1,
        }
    )
    with pytest.raises(CodedError, match="ST204"):
        measure(KPIS["KPI07"], Evidence(cases=week.cases, as_of_us=109 * DAY, surveys=naive), WEEK)


# --- two windows ---------------------------------------------------------------------------


def _months(ratio: float, seed: int = 1) -> Evidence:
    """Two months of 20 incidents a day; the second month's take `ratio` times as long."""
    rng = np.random.default_rng(seed)
    opened = np.repeat(np.arange(60), 20) * DAY + rng.integers(0, DAY, 1200)
    hours = rng.lognormal(2.5, 1.0, 1200) * np.where(opened < 30 * DAY, 1.0, ratio)
    resolved = opened + (hours * HOUR).astype(np.int64)
    as_of = 62 * DAY
    scores = np.clip(np.round(rng.normal(3 + (opened >= 30 * DAY), 1.0, 1200)), 1, 5)
    ids = [f"T{i:04d}" for i in range(1200)]
    cases = _cases([{"case_id": one, "case_type": "incident"} for one in ids])
    cases["opened_us"] = pd.array(opened, dtype="Int64")
    done = pd.array(resolved, dtype="Int64")
    done[resolved >= as_of] = pd.NA
    cases["resolved_us"] = cases["closed_us"] = done
    cases["handovers"] = pd.array(rng.poisson(1.5, 1200), dtype="Int64")
    surveys = pd.DataFrame(
        {"ticket": ids, "asked_at": opened + 1, "answered_at": opened + 2, "score": scores}
    )
    return Evidence(cases=cases, as_of_us=as_of, surveys=surveys)


BEFORE, AFTER = Window(0, 30), Window(30, 60)


def test_both_windows_are_followed_for_equally_long() -> None:
    """Reopened after ten days: seen for the old window only, unless both are cut alike."""
    desk = _months(1.0)
    cases = desk.cases.copy()
    resolved = cases["opened_us"] + HOUR
    cases["resolved_us"] = resolved
    reopened = resolved + 10 * DAY
    cases["reopened_us"] = reopened.mask(reopened >= desk.as_of_us)
    uneven = Evidence(cases=cases, as_of_us=desk.as_of_us)
    old = measure(KPIS["KPI05"], uneven, BEFORE).value
    new = measure(KPIS["KPI05"], uneven, AFTER).value
    assert old == 1.0
    assert new is not None
    assert new < 0.8
    found = difference(KPIS["KPI05"], uneven, Side(BEFORE), Side(AFTER))
    assert found.value == pytest.approx(0.0, abs=0.02)


# --- files ---------------------------------------------------------------------------------

GOOD = """code = "XYZ01"
name = "some-share"
title = "t"
definition = "d"
unit = "share"
better = "higher"
level = "tactical"
guardrails = ["KPI05"]
margin = 0.05
practice = "p"
case_type = "incident"
kind = "share_of_rule"
[params]
rule = "INC001"
"""


def _folder(tmp_path: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_new_kpi_is_a_new_file(tmp_path: Path) -> None:
    found = load_kpis([_folder(tmp_path, XYZ01_some_share=GOOD)])
    assert list(found) == sorted([*KPIS, "XYZ01"])
    assert isinstance(found["XYZ01"], Kpi)
    assert kpis.pick(found, "some-share") is found["XYZ01"]
    with pytest.raises(CodedError, match=r"ST110.*'some-share'"):
        kpis.pick(found, "some-shares")


def test_the_catalogue_covers_every_practice_and_level() -> None:
    types = {one.case_type for one in load_practices().values()}
    assert {kpi.case_type for kpi in KPIS.values()} == types
    assert {kpi.level for kpi in KPIS.values()} == {"strategic", "tactical", "operational"}
    assert len({kpi.title for kpi in KPIS.values()}) == len(KPIS)
    used = {kpi.kind for kpi in KPIS.values()}
    assert used == set(KINDS), "a kind that no KPI uses"


def test_guardrails_can_be_measured_where_their_kpi_can() -> None:
    for kpi in KPIS.values():
        assert kpi.guardrails, kpi.code
        assert {KPIS[code].case_type for code in kpi.guardrails} == {kpi.case_type}


@pytest.mark.parametrize(
    ("changes", "code", "text"),
    [
        (
            {'case_type = "incident"': 'case_type = "incidents"'},
            "ST112",
            "Did you mean 'incident'?",
        ),
        ({'case_type = "incident"': 'case_type = "major_incident"'}, "ST112", "is no practice"),
        ({'kind = "': 'only = "emergency_change"\nkind = "'}, "ST112", "is no kind of incident"),
        ({'kind = "': 'only = ""\nkind = "'}, "ST103", "only in XYZ01"),
        (
            {"share_of_rule": "share_of_kind", 'rule = "INC001"': 'practice = "major"'},
            "ST112",
            "Known: major_incident",
        ),
        (
            {
                "share_of_rule": "share_with_step",
                'rule = "INC001"': 'step = "Cancell"\namong = "closed"',
            },
            "ST113",
            "Did you mean 'Cancel'?",
        ),
        (
            {
                "share_of_rule": "share_with_step",
                'rule = "INC001"': 'step = "Fulfil"\namong = "closed"',
            },
            "ST113",
            "is no step of incident",
        ),
        (
            {
                "share_of_rule": "share_with_step",
                'rule = "INC001"': 'step = "cancel"\namong = "closed"',
            },
            "ST106",
            "params.step",
        ),
        ({'rule = "INC001"': 'rule = "INC001"\ncounts = "both"'}, "ST106", "params.counts"),
        ({"share_of_rule": "share\\u001b[2J"}, "ST105", r"share\x1b[2J"),
        ({'rule = "INC001"': '"ru\\u001ble" = "x"\nrule = "INC001"'}, "ST106", r"ru\x1ble"),
    ],
)
def test_what_the_practice_does_not_know_is_refused(
    tmp_path: Path, changes: dict[str, str], code: str, text: str
) -> None:
    changed = GOOD
    for old, new in changes.items():
        assert changed.count(old) == 1
        changed = changed.replace(old, new)
    with pytest.raises(CodedError) as caught:
        load_kpis([_folder(tmp_path, XYZ01_some_share=changed)])
    assert caught.value.code == code
    assert text in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_kpis_may_be_about_practices_of_ones_own(tmp_path: Path) -> None:
    ours = load_practices()
    own = {**ours, "parking": replace(ours["incident"], name="parking")}
    folder = _folder(tmp_path, XYZ01_some_share=GOOD.replace('"incident"', '"parking"'))
    assert load_kpis([folder], practices=own)["XYZ01"].case_type == "parking"
    with pytest.raises(CodedError, match="ST112"):
        load_kpis([folder])


def test_every_mistake_of_every_file_is_named_at_once(tmp_path: Path) -> None:
    folder = _folder(
        tmp_path,
        broken="code = ",
        XYZ01_some_share=GOOD.replace('better = "higher"', 'better = "up"\nbeter = "higher"'),
        XYZ02_other=GOOD.replace("XYZ01", "XYZ02").replace("some-share", "other")
        .replace("share_of_rule", "share_of_rules"),
        XYZ03_third=GOOD.replace("XYZ01", "XYZ03").replace("some-share", "third")
        .replace("rule = ", "rul = "),
        misnamed=GOOD.replace("XYZ01", "XYZ04").replace("some-share", "fourth")
        .replace('"share"', '"h"'),
        XYZ05_some=GOOD.replace("XYZ01", "KPI01").replace("some-share", "median-time-to-resolve"),
    )  # fmt: skip
    (folder / "notes.txt").write_text("x")
    with pytest.raises(ManyCodedErrors) as caught:
        load_kpis([folder])
    codes = [error.code for error in caught.value.errors]
    expected = "ST101 ST103 ST102 ST105 ST106 ST106 ST107 ST109 ST107 ST104 ST104 ST108"
    assert sorted(codes) == sorted(expected.split())
    text = str(caught.value)
    assert "unknown key 'beter' in XYZ01_some_share.toml. Did you mean 'better'?" in text
    assert (
        "unknown kind 'share_of_rules' in XYZ02_other.toml. Did you mean 'share_of_rule'?" in text
    )
    assert "params.rul in XYZ03_third.toml" in text
    assert "Did you mean 'rule'?" in text


@pytest.mark.parametrize(
    ("old", "new", "codes"),
    [
        ('["KPI05"]', '["KPI99"]', ["ST111"]),
        ('["KPI05"]', '["XYZ01"]', ["ST111"]),
        ('["KPI05"]', '["KPI05", "KPI05"]', ["ST111"]),
        ('["KPI05"]', '["KPI05", "kpi\\u001b01", 7]', ["ST103", "ST103"]),
        ('["KPI05"]', '"KPI01"', ["ST103"]),
        ("margin = 0.05", "margin = 0", ["ST103"]),
        ("margin = 0.05", "margin = nan", ["ST103"]),
        ("margin = 0.05", "margin = inf", ["ST103"]),
        ("margin = 0.05", 'margin = "0.05"', ["ST103"]),
        ("margin = 0.05\n", "", ["ST103"]),
        ('level = "tactical"', 'level = "personal"', ["ST103"]),
        ('level = "tactical"\n', "", ["ST103"]),
    ],
)
def test_levels_guardrails_and_margins_are_strict(
    tmp_path: Path, old: str, new: str, codes: list[str]
) -> None:
    assert GOOD.count(old) == 1
    folder = _folder(tmp_path, XYZ01_some_share=GOOD.replace(old, new))
    with pytest.raises((CodedError, ManyCodedErrors)) as caught:
        load_kpis([folder])
    assert [one.code for one in getattr(caught.value, "errors", (caught.value,))] == codes
    assert "\x1b" not in str(caught.value)


def test_guardrails_are_read_and_may_be_left_out(tmp_path: Path) -> None:
    text = GOOD.replace('guardrails = ["KPI05"]\n', "").replace("XYZ01", "XYZ02")
    folder = _folder(
        tmp_path, XYZ01_some_share=GOOD, XYZ02_other=text.replace("some-share", "other")
    )
    found = load_kpis([folder])
    assert found["XYZ01"].guardrails == ("KPI05",)
    assert (found["XYZ01"].level, found["XYZ01"].margin) == ("tactical", 0.05)
    assert found["XYZ02"].guardrails == ()


def test_a_hostile_file_is_refused_not_read(tmp_path: Path) -> None:
    (tmp_path / "XYZ01_some_share.toml").write_bytes(b"\xff" * 10)
    (tmp_path / "XYZ02_large.toml").write_bytes(b"#" * 100_000)
    with pytest.raises(ManyCodedErrors) as caught:
        load_kpis([tmp_path, tmp_path / "none"])
    assert [error.code for error in caught.value.errors] == ["ST101"] * 3


def test_measurements_become_a_tidy_table() -> None:
    frame = kpis.to_pandas([measure(one, _week(), WEEK) for one in KPIS.values()])
    assert list(frame["kpi"]) == list(KPIS)
    assert str(frame["start"].iloc[0]) == "1970-04-11 00:00:00+00:00"
