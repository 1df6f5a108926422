"""What do answers to surveys say about the cases of a window? Three kinds of KPI.

    mean_score       survey scores (mean: scores are short scales, not skewed times)
    share_satisfied  answers at or above a score among all answers
    response_rate    surveys answered among surveys asked

A survey counts if it was asked by `as_of_us`, an answer if it was given by then. Only customers who
answered are heard: read the first two with the third. Cost: O(n) in surveys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from csi.evidence import to_us
from csi.kpi_samples import Hits, Missing, Sampled, Scores, hits_at

if TYPE_CHECKING:
    from typing import Protocol

    import pandas as pd

    from csi.evidence import Bools, View

    class Threshold(Protocol):
        """The parameters of share_satisfied."""

        at_least: float


def mean_score(view: View, _params: object) -> Sampled:
    """Collect the scores that were given."""
    return _answers(view)


def share_satisfied(view: View, params: Threshold) -> Sampled:
    """Count answers at or above a score."""
    found = _answers(view)
    if not isinstance(found, Scores):
        return found
    return Hits(found.each >= params.at_least, found.days, found.rows)


def response_rate(view: View, _params: object) -> Sampled:
    """Count surveys that were answered among those asked."""
    surveys = view.evidence.surveys
    if surveys is None:
        return Missing("no surveys were given")
    asked = _asked(view, surveys)
    return hits_at(view, _answered(view, surveys)[asked], surveys.loc[asked, "ticket"])


def _answers(view: View) -> Scores | Missing:
    surveys = view.evidence.surveys
    if surveys is None:
        return Missing("no surveys were given")
    chosen = surveys[_asked(view, surveys) & _answered(view, surveys)]
    place = view.places(chosen["ticket"])
    score = chosen["score"].to_numpy(dtype=np.float64)
    return Scores(score, view.days[place], view.rows[place])


def _asked(view: View, surveys: pd.DataFrame) -> Bools:
    asked = to_us(surveys["asked_at"], "asked_at")
    return (view.places(surveys["ticket"]) >= 0) & (asked <= view.as_of_us)


def _answered(view: View, surveys: pd.DataFrame) -> Bools:
    answered = to_us(surveys["answered_at"], "answered_at")
    score = surveys["score"].to_numpy(dtype=np.float64, na_value=np.nan)
    given: Bools = (answered <= view.as_of_us) & ~np.isnan(score)
    return given
