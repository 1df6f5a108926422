"""How satisfied are the customers who answered on 1-5, and what do we not know about the others?

A survey row is one *ask*: a ticket, when and over which channel its customer was asked, and the
answer if there was one. Definitions, on the scale 1-5:

    response rate   answered / asked
    CSAT mean       mean score of the answers
    satisfied       share of the answers that are 4 or 5

Shares carry Wilson score intervals, the mean a seeded percentile bootstrap over tickets (several
answers to one ticket are drawn together), all at 95 %; where every answer is the same the data do
not show how scores vary and the mean has no limits. An interval speaks about chance alone.
Customers who do not answer may think otherwise, so each figure also comes with the *bounds* that
it would have if all who did not answer had given the lowest, or all the highest, score (Manski
1989, Journal of Human Resources 24, 343-360): no assumption about them is made.

An ask belongs to the window in which it was asked ([start, end), µs UTC), however late the answer.
Segments with fewer than 5 answers show their counts and no scores.

What it does not check: who was asked (a desk that asks only happy customers looks good); that an
answer may still come for asks near the end of the window. Other scales than 1-5: `figures`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.statistics import Estimate, mean, proportion
from process_mining import schema as s
from process_mining.errors import CodedError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from csi.feedback.surveys import Feedback
    from process_mining.eventlog import EventLog, Ints

LOWEST: Final = 1
HIGHEST: Final = 5
SATISFIED_FROM: Final = 4
SMALLEST_GROUP: Final = 5
SEED: Final = 20_250_101


@dataclass(frozen=True, eq=False)
class JoinedFeedback:
    """Asks whose ticket is in the log, with the columns of its case; and what did not join.

    `unmatched` holds the asks (as in RESPONSES) whose ticket the log does not have; `never_asked`
    counts the cases, of those about which somebody should be asked, that nobody was asked about.
    """

    responses: pa.Table
    unmatched: pa.Table
    never_asked: int


@dataclass(frozen=True)
class Bounds:
    """What a figure would be had all who did not answer given the lowest, or the highest, score."""

    low: float | None
    high: float | None


@dataclass(frozen=True)
class Satisfaction:
    """The figures of one window and segment; `suppressed` where too few answered to show scores."""

    segment: str | None
    window: tuple[int, int] | None
    asked: int
    answered: int
    response_rate: Estimate
    csat: Estimate
    csat_bounds: Bounds
    satisfied: Estimate
    satisfied_bounds: Bounds
    suppressed: bool = False


# --- joining


def join(
    feedback: Feedback, log: EventLog, *, eligible: npt.NDArray[np.bool_] | None = None
) -> JoinedFeedback:
    """Put the columns of each ask's case beside it; count what stays alone on either side.

    `eligible` tells for each case of the log whether somebody should have been asked about it
    (tickets that are open, or of a practice that asks nobody, are not): None means every case.
    """
    responses, cases = feedback.responses, log.cases
    index = pc.index_in(responses["ticket"], value_set=cases[s.CASE_ID].combine_chunks())
    found = index.is_valid()
    matched, rows = responses.filter(found), index.filter(found)
    for name in cases.column_names:
        if name not in (s.CASE_ID, *responses.column_names):
            matched = matched.append_column(name, cases[name].take(rows))
    alone = np.ones(log.n_cases, dtype=bool) if eligible is None else eligible.copy()
    alone[rows.to_numpy()] = False
    return JoinedFeedback(
        responses=matched.combine_chunks(),
        unmatched=responses.filter(pc.invert(found)).combine_chunks(),
        never_asked=int(np.count_nonzero(alone)),
    )


# --- summing up


def summarise(
    responses: pa.Table,
    *,
    window: tuple[int, int] | None = None,
    segment: str | None = None,
    seed: int = SEED,
) -> tuple[Satisfaction, ...]:
    """Sum up asks and answers: one Satisfaction, or one for each value of the column `segment`.

    Segments are sorted by value; asks whose value is missing come last, with segment None. Raises
    CodedError ST520 for an unknown column.
    """
    asks = _within(responses, window)
    if segment is None:
        return (_satisfaction(asks, None, window, seed),)
    if segment not in asks.column_names:
        msg = f"unknown segment '{segment}'"
        raise CodedError("ST520", msg, fix=did_you_mean(segment, asks.column_names))
    column = asks[segment].cast(pa.string())
    values = sorted(Counter(column.drop_null().to_pylist()))
    parts = [(value, asks.filter(pc.equal(column, value))) for value in values]
    if column.null_count:
        parts.append((None, asks.filter(column.is_null())))
    return tuple(_suppressed(_satisfaction(part, value, window, seed)) for value, part in parts)


def _within(responses: pa.Table, window: tuple[int, int] | None) -> pa.Table:
    if window is None:
        return responses
    start, end = (pa.scalar(moment, pa.int64()).cast(s.UTC_US) for moment in window)
    asked = responses["asked_at"]
    return responses.filter(pc.and_(pc.greater_equal(asked, start), pc.less(asked, end)))


def _satisfaction(
    asks: pa.Table, segment: str | None, window: tuple[int, int] | None, seed: int
) -> Satisfaction:
    answers = asks.filter(asks["score"].is_valid())
    asked, answered = asks.num_rows, answers.num_rows
    scores = np.asarray(answers["score"].to_numpy(), np.int64)
    total, happy = int(scores.sum()), int((scores >= SATISFIED_FROM).sum())
    silent = asked - answered
    return Satisfaction(
        segment=segment,
        window=window,
        asked=asked,
        answered=answered,
        response_rate=proportion(answered, asked, unit="share of asks"),
        csat=_csat(answers, scores, seed),
        csat_bounds=_bounds(total + LOWEST * silent, total + HIGHEST * silent, asked),
        satisfied=proportion(happy, answered, unit="share of answers"),
        satisfied_bounds=_bounds(happy, happy + silent, asked),
    )


def _bounds(low: int, high: int, n: int) -> Bounds:
    return Bounds(low / n, high / n) if n else Bounds(None, None)


def _csat(answers: pa.Table, scores: Ints, seed: int) -> Estimate:
    """Mean score; tickets are drawn as a whole where one of them has several answers."""
    tickets = answers["ticket"].combine_chunks().dictionary_encode()
    several = len(tickets.dictionary) < len(scores)
    clusters = np.asarray(answers["ticket"].to_pylist()) if several else None
    found = mean(scores, unit="score 1-5", seed=seed, clusters=clusters)
    if len(scores) and scores.min() == scores.max():
        return replace(found, low=None, high=None, method="mean; no interval: all scores are equal")
    return found


def _suppressed(one: Satisfaction) -> Satisfaction:
    """Blank the scores of a segment in which fewer than SMALLEST_GROUP customers answered."""
    if one.answered >= SMALLEST_GROUP:
        return one
    return replace(
        one,
        csat=_blank(one.csat),
        csat_bounds=Bounds(None, None),
        satisfied=_blank(one.satisfied),
        satisfied_bounds=Bounds(None, None),
        suppressed=True,
    )


def _blank(one: Estimate) -> Estimate:
    method = f"suppressed: fewer than {SMALLEST_GROUP} answers"
    return replace(one, value=None, low=None, high=None, method=method)
