"""What can still happen to a case whose verdict is pending, and until when?

Both questions are answered by trying, so that no template has to say it:

Deadline. The case is judged as if nothing more happened, at ever later moments, up to HORIZON_US
from now. If the verdict is no longer PENDING then, the first moment at which it is not is found by
halving the time between; a verdict that left PENDING and came back would be missed.

Next steps. The case is judged with each activity of the practice that the source records as its
next step, now: done by somebody who has not been on the case, of another team, and by each person
who has (PEOPLE of them at most, the last on the case first). The step is tried without attributes:
a rule that reads them is UNKNOWN there.

A case is tried in a small log: itself, and for each column and each kind of link one case that has
one, so that what the source keeps is known. The independent evaluator judges; what it says here is
no finding. Cost: one small log for each activity and person, some 50 for the deadline.

Not checked: what several steps would lead to; whether the reference model allows the step; what
the quality gate would take of the verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining.clock import LAST_YEAR
from rules.measuring import measure
from rules.practice import desk_for
from rules.spec import Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import EventLog
    from rules.practice import Practice, PreparedDesk
    from rules.spec import Rule
    from rules.templates import Desk

    Bools = npt.NDArray[np.bool_]

HORIZON_US: Final = 3650 * s.US_PER_DAY
LAST_US: Final = int(np.datetime64(f"{LAST_YEAR}-01-01", "us").astype(np.int64))
PEOPLE: Final = 4
SOMEBODY: Final = "somebody new"
ANOTHER_TEAM: Final = "another team"


@dataclass(frozen=True)
class NextStep:
    """The verdict after one more step; `by` is who does it, None where that does not matter."""

    activity: str
    by: str | None
    verdict: Verdict


@dataclass(frozen=True)
class Ahead:
    """What may still happen: pending up to and with `until_us` if nothing does, `then` after that.

    Both are None where the case stays pending up to the horizon, or the log has no times.
    """

    until_us: int | None
    then: Verdict | None
    steps: tuple[NextStep, ...]


def look_ahead(prepared: PreparedDesk, practice: Practice, rule: Rule, case: int) -> Ahead:
    """Try what may still happen to a case on which the rule is pending."""
    small = _Small.of(prepared, practice, rule, case)
    return Ahead(*_deadline(small), tuple(_next_steps(small)))


@dataclass(frozen=True, eq=False)
class _Small:
    """A case in a log as small as it may be, and the rule to ask; `desk` is that log's."""

    prepared: PreparedDesk
    practice: Practice
    rule: Rule
    desk: Desk
    case: int

    @classmethod
    def of(cls, prepared: PreparedDesk, practice: Practice, rule: Rule, case: int) -> _Small:
        log, unmapped = prepared.desk.log, prepared.desk.unmapped
        keep = _witnesses(log, case)
        desk = desk_for(
            prepared,
            practice,
            log.select(keep),
            unmapped=None if unmapped is None else unmapped[keep],
            with_model=rule.params.READS_MODEL,
        )
        return cls(prepared, practice, rule, desk, int(np.count_nonzero(keep[:case])))

    def verdict(self, desk: Desk) -> Verdict:
        """Judge the case on a desk like this one."""
        measured = measure(desk, self.rule)
        facts = {name: values[[self.case]] for name, values in measured.measure.facts.items()}
        return Verdict(int(decide(measured.table, facts, self.rule.code)[0]))

    def at(self, moment_us: int) -> Verdict:
        """Judge the case as it is, at another moment."""
        return self.verdict(replace(self.desk, as_of_us=moment_us))

    def after(self, activity: str, actor: str, team: str | None) -> Verdict:
        """Judge the case after one more step, done now."""
        last = self.desk.log.arrays.at[self.first : self.end]
        at_us = max([self.desk.as_of_us, *(int(at) for at in last)])
        step = {s.ACTIVITY: activity, s.ACTOR: actor, s.TEAM: team, s.AT: at_us}
        log = _with_step(self.desk.log, self.case, self.end, step)
        desk = desk_for(
            self.prepared,
            self.practice,
            log,
            unmapped=self.desk.unmapped,
            with_model=self.rule.params.READS_MODEL,
        )
        return self.verdict(desk)

    @property
    def first(self) -> int:
        """Where in the small log the events of the case begin."""
        return int(self.desk.log.arrays.offsets[self.case])

    @property
    def end(self) -> int:
        """Where they end."""
        return int(self.desk.log.arrays.offsets[self.case + 1])


def _witnesses(log: EventLog, case: int) -> Bools:
    """Mark the case, and for each column and kind of link the first case that has one."""
    keep = np.zeros(log.n_cases, dtype=bool)
    keep[case] = True
    for table, case_of in ((log.events, log.arrays.case_of), (log.cases, np.arange(log.n_cases))):
        for name in table.column_names:
            known = table[name].combine_chunks().is_valid().to_numpy(zero_copy_only=False)
            if known.any():
                keep[case_of[int(np.argmax(known))]] = True
    for kind in log.links[s.KIND].unique().to_pylist():
        first = pc.index(log.links[s.KIND], kind).as_py()
        place = pc.index(log.cases[s.CASE_ID], log.links[s.CASE_ID][first]).as_py()
        keep[place] = True
    return keep


def _deadline(small: _Small) -> tuple[int | None, Verdict | None]:
    """Find when the verdict changes if nothing more happens."""
    desk = small.desk
    far = min(desk.as_of_us + HORIZON_US, LAST_US)
    if not desk.log.timed or far <= desk.as_of_us or small.at(far) == Verdict.PENDING:
        return None, None
    pending, settled = desk.as_of_us, far
    while settled - pending > 1:
        middle = (pending + settled) // 2
        if small.at(middle) == Verdict.PENDING:
            pending = middle
        else:
            settled = middle
    return pending, small.at(settled)


def _next_steps(small: _Small) -> Iterator[NextStep]:
    """Yield the verdict after each step that the source can record, by whom where it matters."""
    unseen = small.desk.unobserved
    words = (*small.practice.activities, *small.practice.outside_model)
    people = [(SOMEBODY, ANOTHER_TEAM), *_people(small)]
    for activity in (word for word in words if word not in unseen):
        verdicts = [small.after(activity, actor, team) for actor, team in people]
        if len(set(verdicts)) == 1:
            yield NextStep(activity, None, verdicts[0])
        else:
            for (actor, _), verdict in zip(people, verdicts, strict=True):
                yield NextStep(activity, actor, verdict)


def _people(small: _Small) -> Sequence[tuple[str, str | None]]:
    """Return who has been on the case, each with the team of the last time, the last one first."""
    rows = small.desk.log.events.slice(small.first, small.end - small.first)
    last: dict[str, str | None] = {}
    for row in reversed(rows.select([s.ACTOR, s.TEAM]).to_pylist()):
        if row[s.ACTOR] is not None:
            last.setdefault(row[s.ACTOR], row[s.TEAM])
    return list(last.items())[:PEOPLE]


def _with_step(log: EventLog, case: int, end: int, step: Mapping[str, object]) -> EventLog:
    """Return the log with one more event at the end of a case."""
    mine = log.arrays.seq[int(log.arrays.offsets[case]) : end]
    row = {**step, s.CASE_ID: log.cases[s.CASE_ID][case].as_py(), s.SEQ: max([-1, *mine]) + 1}
    row |= {} if log.timed else {s.AT: None}
    events = log.events
    new = pa.Table.from_pylist([{n: row.get(n) for n in events.column_names}], events.schema)
    return replace(log, events=pa.concat_tables([events[:end], new, events[end:]]).combine_chunks())
