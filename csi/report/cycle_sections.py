"""What does the cycle's page say of the weeks, and of what weighs most? Its longer sections.

Tables come from `csi.analysis_tables`, pictures from the steps' folders; nothing is computed here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow.parquet as pq
from markupsafe import Markup

from csi import analysis_tables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MOST_CHARTS: Final = 4
MOST_SENTENCES: Final = 12
MOST_OFFENCES: Final = 12
EFFECTS_NOTE: Final = (
    "Tickets that broke a rule against tickets alike in priority, category and month that kept it. "
    "An adjusted difference is an association. The ticket opened just before, in the same "
    "priority, category and team, is the control: where it differs too, something else is at work."
)
OPPORTUNITIES_NOTE: Final = (
    "Ranked by expected gain times ease. Gains overlap and do not add up; each row is a draft for "
    "the register (2_analyse/drafts.json)."
)
TEAMS_NOTE: Final = (
    "By name; this is no ranking. Mix is adjusted as far as the log tells it, and groups that are "
    "too small are left out."
)


@dataclass(frozen=True)
class Table:
    """A table as the page shows it: a heading a column, one list of cells a row."""

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str


@dataclass(frozen=True)
class Figure:
    """An SVG that we drew, and what it shows."""

    svg: str
    caption: str


@dataclass(frozen=True)
class WeeksSection:
    """How the KPIs went from week to week."""

    sentences: Sequence[str]
    more: int
    figures: Sequence[Figure]


@dataclass(frozen=True)
class AnalysisSection:
    """What weighs most, what goes with it, and what could be done."""

    sentences: Sequence[str]
    figures: Sequence[Figure]
    tables: Sequence[Table]


def weeks_section(folder: Path) -> WeeksSection:
    """Return the changes of level, then the signals, the most telling charts drawn."""
    step = folder / "1_measure"
    changes, signals = (_frame(step, name)["sentence"].tolist() for name in ("changes", "signals"))
    said = [*changes, *signals]
    drawn = sorted(step.glob("chart_*.svg"), key=lambda path: path.name)
    caption = "Limits from the baseline window (shaded); marks are signals."
    return WeeksSection(
        sentences=said[:MOST_SENTENCES],
        more=max(0, len(said) - MOST_SENTENCES),
        figures=[Figure(_svg(path), caption) for path in drawn[:MOST_CHARTS]],
    )


def analysis_section(results: Mapping[str, Any], folder: Path) -> AnalysisSection:
    """Return what the analysis found, as sentences, pictures and tables."""
    said, step = results["sentences"]["analyse"], folder / "2_analyse"
    ranked = pd.DataFrame(results["opportunities"])
    tables = [
        _table(
            "Offences by count, time lost and adjusted cost",
            "",
            analysis_tables.pareto_table(_frame(step, "pareto")).head(MOST_OFFENCES),
            "No rule was violated in the current window.",
        ),
        _table(
            "What goes with an offence",
            EFFECTS_NOTE,
            analysis_tables.effects_table(_frame(step, "effects")),
            "Nothing could be estimated: each offence has too few tickets.",
        ),
        _table(
            "Opportunities",
            OPPORTUNITIES_NOTE,
            analysis_tables.opportunities_table(ranked),
            "No opportunity was found.",
        ),
        _table(
            "Articles, self-service, automation",
            " ".join(said["candidates"][:2]),
            analysis_tables.candidates_table(_frame(step, "candidates")),
            "No kind of ticket is a candidate.",
        ),
        _table(
            "Teams",
            TEAMS_NOTE,
            analysis_tables.teams_table(_frame(step, "teams")),
            "The log names no team that may be shown.",
        ),
    ]
    teams = _svg(step / "teams.svg")
    funnel = [Figure(teams, "Each team against the desk, with funnel limits.")] if teams else []
    pareto = Figure(_svg(step / "picture.svg"), "The current window; bars have their intervals.")
    return AnalysisSection(
        sentences=[*said["effects"][:MOST_SENTENCES], *said["causes"]],
        figures=[pareto, *funnel],
        tables=tables,
    )


def _frame(step: Path, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(step / f"{name}.parquet").to_pandas()
    return frame


def _svg(path: Path) -> str:
    return Markup(path.read_text(encoding="utf-8"))  # noqa: S704 - drawn by us, hash in the manifest


def _table(title: str, note: str, frame: pd.DataFrame, empty: str) -> Table:
    rows = [[str(cell) for cell in row] for row in frame.itertuples(index=False)]
    return Table(title, note, [str(name) for name in frame.columns], rows, empty)
