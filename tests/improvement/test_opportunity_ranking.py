"""Opportunities of all sources in one table: gains counted again, ease in words, whole drafts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from improvement.command_line import UCI
from improvement.opportunity_desk import (
    DAYS,
    NEAR_MISSES,
    PLANTED,
    REST,
    WINDOW,
    Kind,
    audited,
)

from csi.audit import AuditRequest, audit
from csi.cycle import Window
from csi.escalations import draft_of
from csi.kpi import load_kpis
from csi.opportunities import Opportunities, opportunities_of
from csi.opportunities.gain import Range
from csi.opportunities.proposals import Ease, Proposal, ease_of
from csi.opportunities.tickets import tickets_of
from csi.register import Improvement
from csi.statistics import DecisionRule
from process_mining.errors import CodedError
from process_mining.sources import ReadOptions, find_mapping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csi.audit import Audit

MONTHS = DAYS / 30.4375
LOST = ("INC006", 400.0, 100.0, 900.0)


def losses(*rows: tuple[str, float | None, float | None, float | None]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["rule", "hours_lost", "low", "high"])
    return frame.assign(n=50)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The planted desk, and some tickets that were resolved without a diagnosis."""
    sloppy = Kind("sloppy", "guessed", 40, 24.0, ("Register", "Classify", "Resolve", "Close"))
    kinds = [*PLANTED, *NEAR_MISSES[:4], *REST[:6], sloppy]
    return audited(tmp_path_factory.mktemp("desk"), kinds)


@pytest.fixture(scope="module")
def found(desk: Audit) -> Opportunities:
    return opportunities_of(desk, WINDOW, losses=losses(("INC002", 400.0, 100.0, 900.0)))


def rows(found: Opportunities, source: str) -> pd.DataFrame:
    frame = found.ranked.frame
    return frame[frame["source"] == source].set_index("code")


def test_every_source_is_in_the_table(found: Opportunities) -> None:
    assert set(found.ranked.frame["source"]) == {
        "rule",
        "candidate",
        "escalation",
        "wait",
        "breach cause",
    }


def test_gain_and_rank_are_as_they_are_said(desk: Audit, found: Opportunities) -> None:
    frame, tickets = found.ranked.frame, tickets_of(desk, WINDOW).frame
    month = {"relieved": len(tickets) / MONTHS, "hours": tickets["hours"].sum() / MONTHS}
    for side in ("", "_low", "_high"):
        parts = [frame[f"{name}{side}"].fillna(0) / whole for name, whole in month.items()]
        gain = parts[0] + parts[1]
        told = frame[f"gain{side}"].notna()
        assert np.allclose(frame.loc[told, f"gain{side}"], gain[told])
    known = frame["score"].notna()
    assert np.allclose(frame.loc[known, "score"], (frame["gain"] * frame["ease"])[known])
    assert list(frame["rank"]) == list(range(1, len(frame) + 1))
    assert list(known) == sorted(known, reverse=True)  # what cannot be told comes last
    assert frame.loc[known, "score"].is_monotonic_decreasing
    rest = (frame["tickets"] * frame["ease"])[~known]
    assert rest.is_monotonic_decreasing
    assert set(frame["ease"]) <= {1, 2, 3, 4, 5}


def test_time_lost_by_an_offence_is_its_gain(found: Opportunities) -> None:
    row = rows(found, "rule").loc["INC002"]
    assert row["hours"] == pytest.approx(400 / MONTHS * 0.5)
    assert row["hours_low"] == pytest.approx(100 / MONTHS * 0.25)
    assert row["hours_high"] == pytest.approx(900 / MONTHS * 0.75)
    assert row["tickets"] == pytest.approx(40 / MONTHS)
    assert "50 % of it (assumed; 25 to 75 %) won back" in row["how"]
    assert row["kpi"] == "KPI08"
    assert row["guardrails"] == load_kpis()["KPI08"].guardrails
    assert len(row["evidence"]) == 40


def test_an_escalation_has_the_part_of_its_tickets(found: Opportunities) -> None:
    escalated = rows(found, "escalation")
    diagnosed = escalated[escalated["what"].str.contains("nobody had diagnosed")]
    assert len(diagnosed)
    whole = 400 / MONTHS * 0.5
    for _, row in diagnosed.iterrows():
        assert row["hours"] <= whole * (1 + 1e-9)
        share = len(set(row["evidence"])) / 40
        assert row["hours"] == pytest.approx(whole * share)


def test_an_offence_that_costs_nothing_or_is_not_told(desk: Audit) -> None:
    none = rows(opportunities_of(desk, WINDOW), "rule").loc["INC002"]
    assert pd.isna(none["gain"])
    assert none["how"] == "the time lost by this offence is not told"
    quicker = losses(("INC002", -50.0, -90.0, 20.0))
    row = rows(opportunities_of(desk, WINDOW, losses=quicker), "rule").loc["INC002"]
    assert (row["hours"], row["hours_low"]) == (0, 0)
    assert row["hours_high"] > 0
    assert not row["sure"]
    untold = losses(("INC002", None, None, None))
    again = rows(opportunities_of(desk, WINDOW, losses=untold), "rule").loc["INC002"]
    assert pd.isna(again["hours"])


def test_time_that_is_no_gain_does_not_count_and_says_why(desk: Audit) -> None:
    noted = losses(("INC002", 400.0, 100.0, 900.0)).assign(note="it measures the time itself")
    made = opportunities_of(desk, WINDOW, losses=noted)
    row = rows(made, "rule").loc["INC002"]
    assert pd.isna(row["hours"])
    assert row["how"] == "it measures the time itself"
    escalated = rows(made, "escalation")
    row = escalated[escalated["what"].str.contains("nobody had diagnosed")].iloc[0]
    assert pd.isna(row["hours"])
    assert row["how"] == "INC002: it measures the time itself"
    plain = losses(("INC002", 400.0, 100.0, 900.0)).assign(note="")
    assert rows(opportunities_of(desk, WINDOW, losses=plain), "rule").loc["INC002", "hours"] > 0


def test_losses_have_their_columns_and_a_rule_once(desk: Audit) -> None:
    with pytest.raises(CodedError, match="ST581 losses have no column 'hours_lost'"):
        opportunities_of(desk, WINDOW, losses=pd.DataFrame({"rule": ["INC002"]}))
    with pytest.raises(CodedError, match="ST582"):
        opportunities_of(desk, WINDOW, losses=losses(LOST, LOST))


def test_what_somebody_allowed_is_no_opportunity(desk: Audit) -> None:
    findings = desk.result.findings
    mine = pa.compute.equal(findings["rule"], "INC002")
    by = pa.compute.if_else(mine, "W-1", findings["waived_by"])
    place = findings.column_names.index("waived_by")
    waived = findings.set_column(place, "waived_by", by)
    made = replace(desk, result=replace(desk.result, findings=waived))
    assert "INC002" not in rows(opportunities_of(made, WINDOW), "rule").index


def test_only_tickets_of_the_window_count(desk: Audit) -> None:
    half = Window(start=WINDOW.start, end=WINDOW.start.replace(day=27))
    tickets = tickets_of(desk, half).frame
    row = rows(opportunities_of(desk, half), "rule").loc["INC002"]
    sloppy = int((tickets["category"] == "sloppy").sum())
    assert 0 < sloppy < 40
    assert row["tickets"] == pytest.approx(sloppy / 21 * 30.4375)


def test_a_wait_is_visits_times_the_typical_stay(desk: Audit, found: Opportunities) -> None:
    waits = rows(found, "wait")
    row = waits[waits["what"].str.endswith("Await customer")].iloc[0]
    payroll = tickets_of(desk, WINDOW).frame
    payroll = payroll[payroll["category"] == "payroll"]
    stay = np.sort(payroll["waiting_h"])[len(payroll) // 2 - 1]
    assert row["tickets"] == pytest.approx(60 / MONTHS)
    assert row["hours"] == pytest.approx(60 / MONTHS * stay * 0.25, rel=1e-6)
    assert row["kpi"] == "KPI01"
    said = " ".join(waits["what"])
    assert "Resolve" not in said  # the time until closure is no wait of the customer
    assert "Diagnose" not in said  # nor is a state of work


def test_ease_is_said_point_by_point(found: Opportunities) -> None:
    candidates = found.ranked.frame[found.ranked.frame["source"] == "candidate"]
    ease = {row["what"]: row["ease_why"] for _, row in candidates.iterrows()}
    reset = ease["Let customers settle themselves: password, ended with reset"]
    assert reset == "4 of 5: less 1, a change of the portal needs an approval"
    vpn = ease["Write an article on vpn, ended with configured"]
    assert vpn == "4 of 5: less 1, 100.0 % of the tickets are handed over"


def tickets_table(**columns: Any) -> pd.DataFrame:  # noqa: ANN401 - any column
    base = {"team": ["A"] * 20, "case_type": ["incident"] * 20, "handovers": [0] * 20}
    return pd.DataFrame(base | {"priority": ["P3"] * 20} | columns)


def proposal(**changes: Any) -> Proposal:  # noqa: ANN401 - any field
    told: Mapping[str, Any] = {
        **dict.fromkeys(("source", "code", "title", "seen", "hypothesis", "how", "owner"), "x"),
        "mine": np.ones(20, dtype=bool),
        "tickets": Range(1.0, 1.0, 1.0),
    }
    return Proposal(**{**told, **changes})


@pytest.mark.parametrize(
    ("columns", "changes", "score"),
    [
        ({}, {}, 5),
        ({"team": ["A"] * 10 + ["B"] * 10}, {}, 4),
        ({"team": ["A"] * 16 + ["B"] * 4}, {}, 5),  # four tickets are no part
        ({"team": ["A", "B", "C", "D"] * 5}, {}, 3),
        ({"case_type": ["incident"] * 10 + ["problem"] * 10}, {}, 4),
        ({"handovers": [0, 1] * 10}, {}, 4),
        ({"handovers": [None] * 20}, {}, 5),
        ({}, {"approval": "a control"}, 4),
        ({}, {"critical": True}, 4),
        ({"priority": ["P1"] * 5 + ["P3"] * 15}, {}, 4),
        ({"priority": [None] * 20}, {}, 5),
        (
            {"team": ["A", "B", "C", "D"] * 5, "handovers": [1] * 20, "priority": ["P1"] * 20},
            {"approval": "a control", "critical": True},
            1,
        ),
    ],
)
def test_points_of_ease(columns: dict[str, Any], changes: dict[str, Any], score: int) -> None:
    frame = tickets_table(**columns)
    found = ease_of(proposal(**changes), frame)
    assert found.score == score
    assert bool(found.why) == (score < 5)


def test_nothing_against_it_is_said_too() -> None:
    assert Ease(5, ()).words == "5 of 5: nothing in the log speaks against it"


def test_a_row_is_a_draft_of_the_register(desk: Audit, found: Opportunities) -> None:
    kpis = load_kpis()
    fields = set(draft_of(desk.escalations.opportunities[0]))
    assert len(found.ranked.drafts) == len(found.ranked.frame)
    for draft, code in zip(found.ranked.drafts, found.ranked.frame["code"], strict=True):
        assert draft["code"] == code
        told = draft["draft"]
        assert set(told) == fields
        assert draft["to_be_said"] == sorted(k for k, v in told.items() if v is None)
        said = {
            "decision_rule": DecisionRule(minimum_effect=0.1),
            "comparison_group": "",
            "planned_start": "",
            "planned_evaluation": "",
            "kpi": "KPI01",
            "guardrails": [],
        }
        filled = told | {name: said[name] for name in draft["to_be_said"]}
        one = Improvement(**filled | {"guardrails": tuple(filled["guardrails"])})
        assert one.kpi in kpis
        assert set(one.guardrails) <= set(kpis)
    json.dumps(found.ranked.drafts)


def test_sentences_lead_with_the_first_rows_and_say_what_they_rest_on(
    found: Opportunities,
) -> None:
    first = found.ranked.frame.iloc[0]
    assert found.sentences[0].startswith(f"{len(found.ranked.frame)} opportunities")
    assert any(line.startswith(first["what"]) for line in found.sentences)
    assert any("do not add up" in line for line in found.sentences)


def test_same_audit_same_result(desk: Audit, found: Opportunities) -> None:
    again = opportunities_of(desk, WINDOW, losses=losses(("INC002", 400.0, 100.0, 900.0)))
    assert again.sentences == found.sentences
    assert again.ranked.frame.equals(found.ranked.frame)
    assert again.teams.picture == found.teams.picture


def test_a_window_without_tickets(desk: Audit) -> None:
    later = Window(start=WINDOW.end, end=WINDOW.end.replace(month=6))
    none = opportunities_of(desk, later)
    assert none.ranked.frame.empty
    assert none.ranked.drafts == ()
    assert none.sentences[0] == "No opportunity was found in the window."


@pytest.mark.trial
@pytest.mark.skipif(not UCI.exists(), reason="../shared/data is not there")
def test_uci_in_two_windows() -> None:
    """The real log: each half has candidates, and one of them stands in both."""
    options = ReadOptions(mapping=find_mapping("uci_servicenow"), allow_rejects=True)
    done = audit(AuditRequest((UCI,), read=options))
    sides = [
        opportunities_of(done, Window(start=pd.Timestamp(a).date(), end=pd.Timestamp(b).date()))
        for a, b in (("2016-02-29", "2016-03-21"), ("2016-03-21", "2016-04-11"))
    ]
    codes = [set(side.candidates.frame["code"]) for side in sides]
    assert codes[0]
    assert len(codes[1]) >= 10
    assert codes[0] & codes[1]
    teams = [set(side.teams.frame["team"]) for side in sides]
    assert len(teams[0] & teams[1]) > 40
