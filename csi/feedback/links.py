"""Which feedback led to which improvement, do both say so, and was the customer told?

    feedback -> improvement   a link of the kind `improvement` from the ticket, to an entry of the
                              register or to a ticket of continual improvement in the log
    improvement -> feedback   a link of the kind `feedback` in the log; in the register an entry of
                              its sources, or a note that says nothing else: `feedback:` and the id

The customer is told by the last `Inform customer` of the ticket (in tickets that do not know that
step by the last contact): with the outcome, when the improvement had ended by then, whatever came
of it. What the rules FBK011 to FBK014 say of links inside one log is said here of the register too,
and of names that lead nowhere (`BREAKS`):

    improvement unknown             the feedback names one that neither log nor register has
    feedback unknown                the improvement names a ticket that the log lacks
    forgotten by the improvement    it has ended and does not name the feedback back       FBK011
    forgotten by the feedback       it has ended and does not name the improvement back    FBK012
    told early                      the feedback has ended; last told before the outcome   FBK013
    not told                        the feedback has ended, and nobody told the customer   FBK014

A ticket of the log wins over an entry of the same id. O(links + entries + their events). Not
checked: whether the improvement is what the customer asked for; when a link was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow.compute as pc

from csi.feedback.loop_steps import CONTACT, INFORM
from csi.statistics import Estimate, proportion
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from csi.feedback.loop import Share
    from csi.register import Entry
    from process_mining.eventlog import EventLog

Break = Literal[
    "improvement unknown",
    "feedback unknown",
    "forgotten by the improvement",
    "forgotten by the feedback",
    "told early",
    "not told",
]
Standing = Literal["told", "to be told", "waiting", "broken", "unknown"]

BREAKS: Final[tuple[Break, ...]] = (
    "improvement unknown",
    "feedback unknown",
    "forgotten by the improvement",
    "forgotten by the feedback",
    "told early",
    "not told",
)
LED_TO: Final = "improvement"
CAME_FROM: Final = "feedback"
SOURCE: Final = "feedback:"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Pair:
    """A feedback and an improvement of which one names the other, at least; times in µs UTC.

    `told_us`: when the customer was told last, `outcome_us`: when the improvement ended. Standing:
    told, to be told (the outcome is known, the feedback open), waiting (for the outcome), broken
    (nobody will tell), unknown (one of the two is not known).
    """

    feedback: str
    improvement: str
    named_by_feedback: bool
    named_by_improvement: bool
    told_us: int | None
    outcome_us: int | None
    standing: Standing
    breaks: tuple[Break, ...]


@dataclass(frozen=True)
class FeedbackLinks:
    """Every pair, by feedback and improvement.

    `both_ways`: share of pairs of which both are known that name each other. `told`: share of told
    among those that are told or broken. Wilson intervals; a feedback may stand in several pairs.
    """

    pairs: tuple[Pair, ...]
    both_ways: Estimate
    told: Estimate

    def broken(self, how: Break) -> tuple[Pair, ...]:
        """Return the pairs that broke in one way."""
        return tuple(one for one in self.pairs if how in one.breaks)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a pair."""
        import pandas as pd  # noqa: PLC0415 - the links themselves need none

        rows = [
            {
                "feedback": one.feedback,
                "improvement": one.improvement,
                "named_by_feedback": one.named_by_feedback,
                "named_by_improvement": one.named_by_improvement,
                "told": _moment(one.told_us),
                "outcome": _moment(one.outcome_us),
                "standing": one.standing,
                "breaks": ", ".join(one.breaks),
            }
            for one in self.pairs
        ]
        columns = ["feedback", "improvement", "named_by_feedback", "named_by_improvement"]
        return pd.DataFrame(rows, columns=[*columns, "told", "outcome", "standing", "breaks"])


@dataclass(frozen=True)
class _Known:
    """What is known of one end of a pair: when it ended, and when the customer was told last."""

    ended_us: int | None
    told_us: int | None = None
    hidden: bool = False


def feedback_of(entry: Entry) -> tuple[str, ...]:
    """Return the tickets whose feedback led to an entry of the register, each once, in order."""
    notes = [x.content.get("text", "") for x in entry.history if x.kind == "note"]
    named = [*entry.improvement.source_findings, *notes]
    ids = [one.strip().removeprefix(SOURCE) for one in named if one.strip().startswith(SOURCE)]
    return tuple(dict.fromkeys(one.strip() for one in ids if one.strip() and "\n" not in one))


def feedback_links(
    log: EventLog, shares: Sequence[Share], entries: Sequence[Entry] = ()
) -> FeedbackLinks:
    """Put both ends of every link together; `shares` are all of the log's practices."""
    answers, improvements = _known(shares, entries)
    there = _named(log, LED_TO)
    back = {(ticket, entry) for entry, ticket in _named(log, CAME_FROM)}
    back |= {(ticket, entry.id) for entry in entries for ticket in feedback_of(entry)}
    pairs = tuple(
        _pair(one, answers.get(one[0]), improvements.get(one[1]), one in there, one in back)
        for one in sorted(there | back)
    )
    known = [one for one in pairs if one.standing != "unknown"]
    mutual = sum(one.named_by_feedback and one.named_by_improvement for one in known)
    decided = [one for one in pairs if one.standing in ("told", "broken")]
    told = sum(one.standing == "told" for one in decided)
    return FeedbackLinks(
        pairs=pairs,
        both_ways=proportion(mutual, len(known), unit="share of pairs"),
        told=proportion(told, len(decided), unit="share of decided pairs"),
    )


def _known(
    shares: Sequence[Share], entries: Sequence[Entry]
) -> tuple[dict[str, _Known], dict[str, _Known]]:
    """Return the tickets that can be feedback, and the improvements, by id."""
    answers: dict[str, _Known] = {}
    improvements = {
        one.id: _Known(_us(one.closed_at) if one.state == "closed" else None) for one in entries
    }
    for share in shares:
        found = dict(_ends(share))
        target = improvements if share.practice.case_type == "continual_improvement" else answers
        target |= found
    return answers, improvements


def _ends(share: Share) -> Iterator[tuple[str, _Known]]:
    """Yield when each case of a share ended, and when its customer was told last."""
    log, complete = share.translation.log, share.translation.complete
    arrays = log.arrays
    word = INFORM if INFORM in share.practice.words else CONTACT
    hidden = word in share.prepared.desk.unobserved
    told = np.full(log.n_cases, -1, dtype=np.int64)
    rows = np.flatnonzero(arrays.activity == arrays.code_of(word))
    told[arrays.case_of[rows]] = rows  # the last one stays
    ends = [arrays.code_of(end) for end in share.practice.ends]
    last = np.full(log.n_cases, -1, dtype=np.int64)
    rows = np.flatnonzero(np.isin(arrays.activity, ends))
    last[arrays.case_of[rows]] = rows
    at = arrays.at
    ids = log.cases[s.CASE_ID].to_pylist()
    for case, (end, row, over) in enumerate(
        zip(last.tolist(), told.tolist(), complete.tolist(), strict=True)
    ):
        yield (
            ids[case],
            _Known(
                ended_us=int(at[end]) if over and end >= 0 else None,
                told_us=int(at[row]) if row >= 0 else None,
                hidden=hidden,
            ),
        )


def _named(log: EventLog, kind: str) -> set[tuple[str, str]]:
    links = log.links.filter(pc.equal(log.links[s.KIND], kind))
    return set(zip(*(links[x].to_pylist() for x in (s.CASE_ID, s.LINKED_TO)), strict=True))


def _pair(
    ids: tuple[str, str],
    answer: _Known | None,
    improvement: _Known | None,
    there: bool,  # noqa: FBT001 - which of the two names the other
    back: bool,  # noqa: FBT001
) -> Pair:
    breaks: list[Break] = []
    if improvement is None:
        breaks.append("improvement unknown")
    elif improvement.ended_us is not None and not back:
        breaks.append("forgotten by the improvement")
    if answer is None:
        breaks.append("feedback unknown")
    elif answer.ended_us is not None and not there:
        breaks.append("forgotten by the feedback")
    told = None if answer is None else answer.told_us
    outcome = None if improvement is None else improvement.ended_us
    standing: Standing = "unknown"
    if answer is not None and improvement is not None and (told is not None or not answer.hidden):
        standing = _standing(answer, told, outcome)
        if standing == "broken" and there:
            breaks.append("not told" if told is None else "told early")
    return Pair(
        feedback=ids[0],
        improvement=ids[1],
        named_by_feedback=there,
        named_by_improvement=back,
        told_us=told,
        outcome_us=outcome,
        standing=standing,
        breaks=tuple(one for one in BREAKS if one in breaks),
    )


def _standing(answer: _Known, told: int | None, outcome: int | None) -> Standing:
    if told is not None and outcome is not None and told >= outcome:
        return "told"
    if answer.ended_us is not None:
        return "broken"
    return "waiting" if outcome is None else "to be told"


def _us(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def _moment(us: int | None) -> np.datetime64 | None:
    return None if us is None else np.datetime64(us, "us")
