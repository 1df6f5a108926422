"""Desks made up by numbers, whose violations have a known effect on every outcome.

A ticket's rule INC004 is broken more often in some priorities and categories (which the adjustment
has to allow for), and with `trouble` more often in a team's bad weeks, which make its tickets slow,
late, reopened and disliked besides: a cause that is not recorded. Weeks differ (`week_spread`), so
tickets of one week are alike. The log ends with the last week: what is not resolved is open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from csi.evidence import Evidence
from rules.spec import Verdict

RULE = "INC004"
MONDAY_US = 1_736_121_600_000_000  # 2025-01-06
HOUR_US = 3_600_000_000
WEEK_US = 7 * 24 * HOUR_US
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
WORDS = {"priority": ("P1", "P2", "P3"), "category": ("mail", "net", "erp"), "team": ("a", "b")}


@dataclass(frozen=True)
class Desk:
    """`times`, `odds`, `points`: the true effect on time, breach and reopening, and satisfaction.

    `trouble` is how much bad weeks of a team do to the outcomes (in logarithms and points) and,
    twice that, to the odds of a violation; `runs` what weeks do to the odds of a violation alone.
    """

    seed: int
    n: int = 900
    weeks: int = 26
    share: float = 0.06
    times: float = 1.0
    odds: float = 1.0
    points: float = 0.0
    trouble: float = 0.0
    runs: float = 0.0
    week_spread: float = 0.15

    def evidence(self) -> Evidence:
        """Draw the desk."""
        rng = np.random.default_rng(self.seed)
        opened = np.sort(rng.integers(0, self.weeks * WEEK_US, self.n))
        codes = {name: rng.integers(0, len(words), self.n) for name, words in WORDS.items()}
        hard = 0.5 * codes["priority"] + 0.4 * (codes["category"] == 1)
        level = rng.normal(0, 1, (len(WORDS["team"]), self.weeks))
        week = level[codes["team"], opened // WEEK_US]
        bad = self.trouble * week
        bad += rng.normal(0, self.week_spread, self.weeks)[opened // WEEK_US]
        logit = np.log(self.share / (1 - self.share)) + hard - hard.mean()
        mark = rng.random(self.n) < _share(logit + (2.0 * self.trouble + self.runs) * week)
        hours = np.exp(2.0 + hard + bad + np.log(self.times) * mark + rng.normal(0, 1, self.n))
        late = _share(-1.0 + hard + bad + np.log(self.odds) * mark)
        return _Drawn(
            opened=opened,
            codes=codes,
            mark=mark,
            done=opened + np.maximum(1, np.rint(hours * HOUR_US)).astype(np.int64),
            end=self.weeks * WEEK_US,
            breached=rng.random(self.n) < late,
            again=rng.random(self.n) < late,
            score=3.0 - 0.3 * hard - bad + self.points * mark + rng.normal(0, 1, self.n),
        ).evidence()


def _share(logit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-logit))


@dataclass(frozen=True)
class _Drawn:
    """What was drawn for each ticket; `done` may lie after the `end` of the log."""

    opened: Ints
    codes: dict[str, Ints]
    mark: Bools
    done: Ints
    end: int
    breached: Bools
    again: Bools
    score: npt.NDArray[np.float64]

    def evidence(self) -> Evidence:
        """The same as evidence."""
        ids = [f"INC{i:05d}" for i in range(len(self.opened))]
        open_ = self.done > self.end
        resolved = pd.Series(MONDAY_US + self.done, dtype="Int64").mask(open_)
        never = pd.Series([None] * len(ids), dtype="Int64")
        words = {name: np.array(WORDS[name], dtype=object)[c] for name, c in self.codes.items()}
        cases = pd.DataFrame(
            {
                "case_id": ids,
                "case_type": "incident",
                **words,
                "service": None,
                "opened_us": pd.Series(MONDAY_US + self.opened, dtype="Int64"),
                "first_response_us": never,
                "root_cause_us": never,
                "resolved_us": resolved,
                "closed_us": resolved,
                "reopened_us": resolved.where(self.again),
                "handovers": 0,
            }
        )
        kept = np.where(open_, Verdict.PENDING, Verdict.CONFORMS)
        status = np.where(self.breached, "breached", "met")
        at = pd.to_datetime(MONDAY_US + self.opened, unit="us", utc=True)
        return Evidence(
            cases=cases,
            as_of_us=MONDAY_US + self.end,
            verdicts={RULE: np.where(self.mark, Verdict.VIOLATES, kept).astype(np.int8)},
            clocks=pd.DataFrame({"case_id": ids, "metric": "resolve", "status": status}),
            surveys=pd.DataFrame(
                {"ticket": ids, "asked_at": at, "answered_at": at, "score": self.score}
            ),
        )
