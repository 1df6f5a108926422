"""Do effects run on whole audits: the simulated desk, a support desk's real scores?"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from improvement.reconciled_logs import CSAT, csat_rows

from csi.audit import Audit, AuditRequest, audit
from csi.effects import (
    BREACH,
    SATISFACTION,
    TIME,
    Effects,
    Standing,
    causes_of,
    effects_of,
)
from csi.evidence import Evidence
from csi.simulate import Request, simulate, write
from rules.spec import Verdict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder: Path = tmp_path_factory.mktemp("desk")
    write(simulate(Request(seed=7, tickets=2000, late_share=0.1)), folder)
    files = (folder / "events.ndjson", folder / "tickets.csv")
    surveys, targets = folder / "surveys.csv", folder / "targets.toml"
    return audit(AuditRequest(logs=files, surveys=surveys, targets=targets))


@pytest.fixture(scope="module")
def told(desk: Audit) -> Effects:
    return effects_of(desk)


def row(effects: Effects, outcome: str, code: str) -> pd.Series:
    frame = effects.effects
    return frame[(frame["outcome"] == outcome) & (frame["code"] == code)].iloc[0]


def test_every_violated_rule_of_the_desk_has_a_row_an_outcome(desk: Audit, told: Effects) -> None:
    broken = {one.rule.code for one in desk.result.tallies if one.violates}
    assert set(told.pareto["code"]) == broken
    counts = {one.rule.code: one.violates for one in desk.result.tallies}
    assert dict(zip(told.pareto["code"], told.pareto["violates"], strict=True)) == {
        code: counts[code] for code in broken
    }
    assert len(told.effects) == 4 * len(broken)
    assert (told.effects["sentence"].str.len() > 0).all()
    assert not told.effects.loc[told.effects["standing"] == Standing.BY_DEFINITION, "value"].any()


def test_customers_of_late_incidents_are_found_to_be_less_satisfied(told: Effects) -> None:
    # the simulated customer takes points off where the promise was broken
    one = row(told, SATISFACTION, "SLM002")
    assert one["standing"] != Standing.NOT_SHOWN
    assert -2 < one["low"] < one["high"] < -0.5
    assert -2 < one["matched_value"] < -0.5
    assert row(told, TIME, "SLM002")["standing"] == Standing.BY_DEFINITION


def test_evidence_alone_gives_the_same_as_the_audit(desk: Audit, told: Effects) -> None:
    from csi.audit_evidence import evidence_of  # noqa: PLC0415 - only here

    alone = effects_of(evidence_of(desk))
    pd.testing.assert_frame_equal(alone.effects, told.effects)
    pd.testing.assert_frame_equal(alone.pareto, told.pareto)


def test_root_causes_of_the_weightiest_offences(desk: Audit, told: Effects) -> None:
    found = causes_of(desk, told.pareto, most=2)
    codes = [one.code for one in found]
    assert codes == sorted(codes)
    first = told.pareto.iloc[0]["code"]
    assert first in codes
    for one in found:
        assert one.leads
        assert one.sentence.startswith(one.code)
        frame = one.to_pandas()
        assert set(frame["code"]) <= {one.code}
        assert (frame["violates"] <= frame["n"]).all()
    assert causes_of(desk, told.pareto, most=0) == ()


@cache
def support_desk() -> Evidence:
    """The support desk's tickets; the response promise as its own export judged it."""
    rows = csat_rows()

    def us(name: str) -> pd.Series:
        texts = pd.Series([row[name] or None for row in rows])
        at = pd.to_datetime(texts, format="ISO8601", utc=True)
        whole = pd.Series((at - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(microseconds=1))
        return whole.astype("Int64")

    opened, resolved = us("Created time"), us("Resolution time")
    ids = [row["Ticket ID"] for row in rows]
    cases = pd.DataFrame(
        {
            "case_id": ids,
            "case_type": "incident",
            "priority": [row["Priority"] for row in rows],
            "category": [row["Topic"] for row in rows],
            "service": None,
            "team": [row["Agent Group"] for row in rows],
            "opened_us": opened,
            "first_response_us": us("First response time"),
            "root_cause_us": pd.Series([None] * len(rows), dtype="Int64"),
            "resolved_us": resolved,
            "closed_us": us("Close time"),
            "reopened_us": pd.Series([None] * len(rows), dtype="Int64"),
            "handovers": 0,
        }
    )
    verdict = {"Within SLA": Verdict.CONFORMS, "SLA Violated": Verdict.VIOLATES}
    status = {"Within SLA": "met", "SLA Violated": "breached"}
    respond = [verdict.get(row["SLA For first response"], Verdict.UNKNOWN) for row in rows]
    resolve = [status.get(row["SLA For Resolution"], "unknown") for row in rows]
    scores = [float(row["Survey results"] or "nan") for row in rows]
    end = int(max(column.max() for column in (opened, resolved)))
    return Evidence(
        cases=cases,
        as_of_us=end,
        verdicts={"SLM001": np.array(respond, dtype=np.int8)},
        clocks=pd.DataFrame({"case_id": ids, "metric": "resolve", "status": resolve}),
        surveys=pd.DataFrame(
            {"ticket": ids, "asked_at": opened, "answered_at": opened, "score": scores}
        ),
    )


@pytest.mark.skipif(not CSAT.is_file(), reason=f"no {CSAT}")
def test_a_late_response_and_satisfaction_on_a_real_support_desk() -> None:
    evidence = support_desk()
    one = row(effects_of(evidence), SATISFACTION, "SLM001")
    violates = evidence.verdicts["SLM001"] == Verdict.VIOLATES
    conforms = evidence.verdicts["SLM001"] == Verdict.CONFORMS
    assert evidence.surveys is not None
    scored = evidence.surveys["score"].notna().to_numpy()
    assert (one["n"], one["n_others"]) == ((violates & scored).sum(), (conforms & scored).sum())
    assert -4 < one["low"] < one["value"] < one["high"] < 4
    for outcome in (TIME, BREACH):
        assert row(effects_of(evidence), outcome, "SLM001")["standing"] == Standing.BY_DEFINITION
