"""Which KPIs can be measured on logs of real desks, and do they agree with plain pandas?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from csi.audit import AuditRequest, audit
from csi.audit_evidence import evidence_of
from csi.kpi import load_kpis, measure
from csi.kpi_segments import measure_by
from process_mining.sources import ReadOptions, find_mapping

if TYPE_CHECKING:
    from csi.evidence import Evidence
    from csi.kpi import Measurement

DATA = Path(__file__).parents[2].parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
CSAT = DATA / "csat" / "technical_support_dataset.csv"
BPIC13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
KPIS = load_kpis()

# what the logs cannot tell: surveys, OLAs, cancelling, major incidents; a third of UCI's response
# clocks are unknown, and so are 7 % of the other log's
UNTOLD = {"KPI04", "KPI21", "KPI23", "KPI50", "KPI51", "KPI52", "KPI57"}


@dataclass(frozen=True)
class Window:
    """Microseconds UTC."""

    start_us: int
    end_us: int


def _whole(evidence: Evidence) -> Window:
    return Window(int(evidence.cases["opened_us"].min()), evidence.as_of_us + 1)


def _measured(evidence: Evidence) -> dict[str, Measurement]:
    types = set(evidence.cases["case_type"])
    mine = [kpi for kpi in KPIS.values() if kpi.case_type in types]
    return {kpi.code: measure(kpi, evidence, _whole(evidence)) for kpi in mine}


def _without_value(found: dict[str, Measurement]) -> set[str]:
    assert all(one.note for one in found.values() if one.value is None)
    return {code for code, one in found.items() if one.value is None}


def _need(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"no {path.name} in shared data")
    return path


@pytest.fixture(scope="module")
def uci() -> Evidence:
    read = ReadOptions(mapping=find_mapping("uci_servicenow"))
    return evidence_of(audit(AuditRequest(logs=(_need(UCI),), read=read)))


def test_kpis_on_the_uci_slice_are_those_of_plain_pandas(uci: Evidence) -> None:
    found = _measured(uci)
    rows = pd.read_csv(UCI, na_values="?", dtype=str)
    at = pd.to_datetime(rows["sys_updated_at"], format="%d/%m/%Y %H:%M")
    opened = pd.to_datetime(rows["opened_at"], format="%d/%m/%Y %H:%M")
    done = rows["incident_state"] == "Resolved"
    hours = ((at - opened).dt.total_seconds() / 3600)[done].groupby(rows["number"])
    # the last step into "Resolved" lies between the first and the last row in that state
    first, last = (np.sort(side.to_numpy())[len(side) // 2] for side in (hours.min(), hours.max()))
    median = found["KPI01"]
    assert first <= (median.value or 0) <= last
    assert median.n == rows["number"].nunique() == 13_302
    weeks = (at.max() - opened.min()).total_seconds() / 604_800
    assert found["KPI20"].value == pytest.approx(13_302 / weeks)
    closed = set(rows.loc[rows["incident_state"] == "Closed", "number"])
    assert found["KPI10"].value == 13_302 - len(closed)


def test_what_the_uci_slice_cannot_tell_is_said(uci: Evidence) -> None:
    found = _measured(uci)
    # no survey was given, and nothing is open at its end
    assert _without_value(found) == UNTOLD | {"KPI06", "KPI07", "KPI12", "KPI19"}
    assert len(found) - len(_without_value(found)) == 16


def test_months_and_priorities_of_the_uci_slice(uci: Evidence) -> None:
    for field in ("priority", "month", "category", "team"):
        frame = measure_by(KPIS["KPI16"], uci, _whole(uci), field)
        whole = measure(KPIS["KPI16"], uci, _whole(uci))
        told = frame[~frame["suppressed"]]
        some = told[told["n"] > 0]
        assert (some["low"] <= some["value"]).all()
        assert (some["value"] <= some["high"]).all()
        hidden = int(frame["suppressed"].sum())
        assert whole.n - 4 * hidden <= told["n"].sum() <= whole.n


def test_kpis_on_a_log_with_surveys(tmp_path: Path) -> None:
    rows = pd.read_csv(_need(CSAT), dtype=str)
    asked = rows[rows["Close time"].notna() & rows["Survey results"].notna()]
    moment = asked["Close time"].str.replace(" ", "T") + "Z"
    surveys = pd.DataFrame(
        {
            "ticket": asked["Ticket ID"],
            "asked_at": moment,
            "answered_at": moment,
            "channel": "portal",
            "scale": "1-5",
            "score": asked["Survey results"].str.removesuffix(".0"),
            "comment": "",
        }
    )
    surveys.to_csv(tmp_path / "surveys.csv", index=False)
    request = AuditRequest(
        logs=(CSAT,),
        practice="incident",
        read=ReadOptions(mapping=find_mapping("technical_support")),
        surveys=tmp_path / "surveys.csv",
    )
    found = _measured(evidence_of(audit(request)))
    scores = asked["Survey results"].astype(float)
    assert found["KPI06"].value == pytest.approx(scores.mean())
    assert found["KPI12"].value == pytest.approx((scores >= 4).mean())
    assert found["KPI06"].n == found["KPI12"].n == len(scores) == 1173
    # nine in ten are never resolved in this log
    assert _without_value(found) == UNTOLD | {"KPI02"}


def test_kpis_on_a_log_of_problems() -> None:
    found = _measured(evidence_of(audit(AuditRequest(logs=(_need(BPIC13),), practice="problem"))))
    # its tool has no word for a root cause, a resolution or a workaround
    assert _without_value(found) == {"KPI11", "KPI27", "KPI29", "KPI30"}
    assert (found["KPI31"].n, found["KPI28"].value) == (1477, 0.0)
