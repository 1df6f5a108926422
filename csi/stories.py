"""How do a step's results read? Plain sentences first, then tidy tables.

Only words and tables: every number comes from `csi.kpi`, `csi.statistics` or the rules' tallies.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from csi.report.words import duration, number, percent, plural, range_of_shares
from csi.statistics import proportion
from process_mining import schema as s
from rules.spec import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import numpy.typing as npt

    from csi.effects import Cause, Effects
    from csi.kpi import Measurement
    from csi.kpi_charts import KpiCharts
    from csi.opportunities import Opportunities
    from rules.spec import Rule

BASELINE: Final = "baseline"
CURRENT: Final = "current"


class Story(str):
    """Plain sentences, one a line; Jupyter shows each as a paragraph, as text and nothing else."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in self.splitlines())


def in_hours(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its columns in microseconds (`_us`) as hours (`_h`)."""
    times = {name: name.removesuffix("_us") for name in frame.columns if name.endswith("_us")}
    hours = {f"{stem}_h": frame[name] / s.US_PER_HOUR for name, stem in times.items()}
    return frame.drop(columns=list(times)).assign(**hours)


def value_in_words(value: float | None, unit: str) -> str:
    """Say a KPI's value with its unit: "12.4 h", "93.1 %", "4.2 points", "" for none."""
    if value is None:
        return ""
    if unit == "share":
        return percent(value)
    if unit == "h":
        return duration(round(value * s.US_PER_HOUR))
    return f"{_plain(value)} {unit}"


def _plain(value: float) -> str:
    return number(int(value)) if value == int(value) else number(value)


def interval_in_words(one: Mapping[str, Any]) -> str:
    """Say a measurement's interval: "1 d 1 h to 1 d 6 h", "" where it has none."""
    low, high, unit = one["low"], one["high"], one["unit"]
    if one["value"] is None or low is None or high is None:
        return ""
    if unit == "share":
        return range_of_shares(low, high)
    ends = [value_in_words(end, unit) if unit == "h" else number(end, 2) for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def measured_in_words(one: Mapping[str, Any]) -> str:
    """Say a measurement (as `Measurement.to_dict` gives it) with its interval."""
    interval = interval_in_words(one)
    said = value_in_words(one["value"], one["unit"]) or "not measured"
    return f"{said} ({interval})" if interval else said


def kpi_frame(found: Mapping[str, Sequence[Measurement]]) -> pd.DataFrame:
    """One row a KPI: its value with interval in both windows, n, unit, method."""
    rows = []
    for before, after in zip(found[BASELINE], found[CURRENT], strict=True):
        rows.append(
            {
                "kpi": before.kpi,
                "title": before.title,
                BASELINE: measured_in_words(before.to_dict()),
                CURRENT: measured_in_words(after.to_dict()),
                "n_baseline": before.n,
                "n_current": after.n,
                "better": before.better,
                "method": before.method,
                "note": after.note,
            }
        )
    return pd.DataFrame(rows)


def tally_row(rule: Rule, verdicts: npt.NDArray[np.int8]) -> dict[str, Any]:
    """One rule's verdicts in one window: counts, rate of conforming among decided, interval."""
    counts = {verdict.word: int(np.sum(verdicts == verdict)) for verdict in Verdict}
    rate = proportion(counts["conforms"], counts["conforms"] + counts["violates"])
    return {
        "code": rule.code,
        "title": rule.title,
        "severity": rule.severity.word,
        **counts,
        "rate": rate.value,
        "low": rate.low,
        "high": rate.high,
    }


def pareto(rules: pd.DataFrame) -> pd.DataFrame:
    """The offences of the current window by falling count, with their running share of all."""
    now = rules[(rules["window"] == CURRENT) & (rules["violates"] > 0)].copy()
    now["rank"] = [Severity[word.upper()] for word in now["severity"]]
    now = now.sort_values(["violates", "rank", "code"], ascending=[False, False, True])
    now["share"] = now["violates"] / max(1, int(now["violates"].sum()))
    now["running_share"] = now["share"].cumsum()
    columns = ["code", "title", "severity", "violates", "rate", "share", "running_share"]
    return now[columns].reset_index(drop=True)


def measure_story(
    found: Mapping[str, Sequence[Measurement]],
    rules: pd.DataFrame,
    charts: KpiCharts,
    *,
    most: int = 3,
) -> str:
    """Say where we stand, and what changed its level or left its limits."""
    said = measured_in_words
    moved = [
        f"{after.title}: {said(before.to_dict())} before, {said(after.to_dict())} now."
        for before, after in zip(found[BASELINE], found[CURRENT], strict=True)
        if before.value is not None and after.value is not None
    ]
    now = rules[rules["window"] == CURRENT]
    broken = int((now["violates"] > 0).sum())
    rest = f"{plural(broken, 'rule')} of {len(now)} violated in the current window."
    changed = [f"{sentence}." for sentence in charts.changes["sentence"].head(most)]
    signals = (
        f"{plural(len(charts.signals), 'signal')} in {len(charts.charts)} control charts. "
        "A signal says where to look."
    )
    return "\n".join([*moved[:most], *changed, signals, rest])


def segment_frame(segments: pd.DataFrame) -> pd.DataFrame:
    """A KPI by segment, for reading; what is suppressed says why."""
    rows = [
        {
            "kpi": row["kpi"],
            "by": row["field"],
            "segment": row["segment"],
            "value": measured_in_words(_nones(row)),
            "n": "" if pd.isna(row["n"]) else number(int(row["n"])),
            "note": row["note"],
        }
        for row in segments.to_dict(orient="records")
    ]
    return pd.DataFrame(rows)


def _nones(row: Mapping[Hashable, Any]) -> dict[str, Any]:
    names = ("value", "low", "high")
    return {"unit": row["unit"]} | {n: None if pd.isna(row[n]) else row[n] for n in names}


def analyse_story(
    found: Effects, causes: Sequence[Cause], could: Opportunities, *, most: int = 4
) -> str:
    """Say what weighs most, what goes with it, and what is worth doing first."""
    said = [
        *found.sentences[:most],
        *(cause.sentence for cause in causes),
        *could.ranked.sentences[:most],
    ]
    return "\n".join(said)


def analysis_sentences(
    found: Effects, causes: Sequence[Cause], could: Opportunities
) -> dict[str, list[str]]:
    """Everything that the analysis says, by what it is about."""
    return {
        "effects": list(found.sentences),
        "causes": [cause.sentence for cause in causes],
        "opportunities": list(could.ranked.sentences),
        "candidates": list(could.candidates.sentences),
        "teams": list(could.teams.sentences),
    }


def losses(pareto: pd.DataFrame) -> pd.DataFrame:
    """The adjusted time lost of each rule, as `csi.opportunities` reads it."""
    names = {
        "code": "rule",
        "time_lost_h": "hours_lost",
        "time_lost_low_h": "low",
        "time_lost_high_h": "high",
        "violates": "n",
        "note": "note",  # why a time is no gain
    }
    return pareto[list(names)].rename(columns=names)


def causes_frame(causes: Sequence[Cause]) -> pd.DataFrame:
    """The attributes that go with the weightiest offences, one row a group."""
    frames = [cause.to_pandas() for cause in causes]
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def drafts_json(could: Opportunities, log_sha256: str) -> dict[str, Any]:
    """The ranked opportunities as drafts of the register, in the form of an audit's."""
    return {
        "log_sha256": log_sha256,
        "opportunities": [{"fingerprint": one["code"], **one} for one in could.ranked.drafts],
    }
