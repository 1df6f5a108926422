"""Which ticket names which other one, and which links are left out or made on purpose?

    link.problem      an incident that waited for a problem, every major incident, and one that a
                      problem was closed over -> a problem
    link.caused_by    some incidents -> the change that was made just before
    link.knowledge    a problem with a known error -> an article that has been published
    link.incident     an emergency change -> the incident before it
    link.improvement  a feedback -> the improvement that it led to, registered after it came in
    link.feedback     that improvement -> the feedback; each has one at most

Links are made when all stories have been told, so that none depends on a link. A clean incident
names a problem that is closed after the incident has ended, or never; a clean cause is a change
that was reviewed; a clean feedback with an improvement tells the customer again when that has
ended. Where the log has no ticket to name there is no link (a problem that was closed before the
log begins stands in for one that is named).

Cost: O(n log n).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from csi.simulate.planting import BY_UNREVIEWED
from csi.simulate.practices import EMERGENCY, FEEDBACK, IMPROVEMENT, MAJOR
from csi.simulate.problem import UNFINISHED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from csi.simulate.tables import Story

PROBLEM: Final = "problem"
CAUSED_BY: Final = "caused_by"
KNOWLEDGE: Final = "knowledge"
INCIDENT: Final = "incident"
LED_TO: Final = "improvement"
CAME_FROM: Final = "feedback"
KINDS: Final = (PROBLEM, CAUSED_BY, KNOWLEDGE, INCIDENT, LED_TO, CAME_FROM)
# what is wrong with a feedback and the improvement that it led to
FORGOTTEN_BACK: Final = "feedback forgotten by its improvement"
FORGOTTEN: Final = "improvement forgotten by its feedback"
TOLD_EARLY: Final = "told before the improvement had ended"
UNTOLD: Final = "customer not told of the improvement"
EARLIER_PROBLEM: Final = "PRB0000000"  # one that was closed before the log begins
NEVER: Final = 1 << 62
NEAR: Final = 5  # a link goes to one of so many tickets that are near in time
CAUSED_EVERY: Final = 19
SEARCHED: Final = 1000
INFORM: Final = "Inform customer"


@dataclass(frozen=True)
class Links:
    """`named[case][kind]` is the ticket that a case names.

    `missing` are cases whose offence shows by links, in a log that has no ticket to be linked with.
    """

    named: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    missing: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Line:
    """Tickets in the order of one moment of each."""

    moments: list[int]
    ids: list[str]

    @classmethod
    def of(cls, stories: Sequence[Story], moment: Callable[[Story], int | None]) -> _Line:
        """Line up the stories that have the moment."""
        found = sorted((at, x.ticket.case_id) for x in stories if (at := moment(x)) is not None)
        return cls([at for at, _ in found], [name for _, name in found])

    def later(self, at: int, turn: int) -> str | None:
        """Return one of the next tickets after a moment, or None."""
        start = bisect_right(self.moments, at)
        near = self.ids[start : start + NEAR]
        return near[turn % len(near)] if near else None

    def earlier(self, at: int) -> str | None:
        """Return the last ticket before a moment, or else the first one there is."""
        return self.ids[max(0, bisect_left(self.moments, at) - 1)] if self.ids else None


def link(stories: Sequence[Story], without: Mapping[str, str]) -> Links:
    """Make the links; `without` says for a kind of deviation which kind of link it lacks."""
    links, groups = Links(), defaultdict(list)
    for story in stories:
        groups[story.ticket.group].append(story)
    incidents, problems = groups["incident"], groups["problem"]
    _close_over(links, problems, incidents)
    _name_problems(links, [*incidents, *groups[MAJOR]], problems, without)
    changes = [x for name in sorted(groups) if name.endswith(" change") for x in groups[name]]
    _name_causes(links, incidents, changes)
    _name_articles(links, problems, groups["article"], without)
    _Loops(links, groups[FEEDBACK], groups[IMPROVEMENT]).close()
    line = _Line.of(incidents, lambda story: story.ticket.at)
    for story in groups[EMERGENCY]:
        named = line.earlier(story.ticket.at)
        if named is not None and without.get(story.kind) != INCIDENT:
            links.named[story.ticket.case_id][INCIDENT] = named
    made = {kind for named in links.named.values() for kind in named}
    unkept = {kind for kind, lacking in without.items() if lacking and lacking not in made}
    links.missing.update(story.ticket.case_id for story in stories if story.kind in unkept)
    return links


def _close_over(links: Links, problems: Sequence[Story], incidents: Sequence[Story]) -> None:
    """Let an incident that is open when a problem is closed name it, where that is planted."""
    ordered = sorted(incidents, key=lambda story: story.ticket.at)
    begun = [story.ticket.at for story in ordered]
    for problem in problems:
        if problem.kind != UNFINISHED:
            continue
        closed = problem.last("Close")
        place = NEVER if closed is None else bisect_left(begun, closed)
        before = reversed(ordered[max(0, place - SEARCHED) : place])
        unfinished = (x for x in before if closed is not None and _ended(x) >= closed)
        free = (x for x in unfinished if not x.kind and x.ticket.case_id not in links.named)
        found = next(free, None)
        if found is None:
            links.missing.add(problem.ticket.case_id)
        else:
            links.named[found.ticket.case_id][PROBLEM] = problem.ticket.case_id


def _name_problems(
    links: Links, incidents: Sequence[Story], problems: Sequence[Story], without: Mapping[str, str]
) -> None:
    line = _Line.of(problems, lambda story: story.first("Close") or NEVER)
    for turn, story in enumerate(incidents):
        waited = story.ticket.group == MAJOR or story.first("Await problem") is not None
        case = story.ticket.case_id
        if waited and without.get(story.kind) != PROBLEM and PROBLEM not in links.named[case]:
            ended = min(_ended(story), NEVER - 1)
            links.named[case][PROBLEM] = line.later(ended, turn) or EARLIER_PROBLEM


def _name_causes(links: Links, incidents: Sequence[Story], changes: Sequence[Story]) -> None:
    """Some clean incidents name a reviewed change; where it is planted, one without review."""
    reviewed = [story for story in changes if story.first("Review") is not None]
    forgotten = [x for x in changes if x.first("Review") is None and x.last("Close") is not None]
    good = _Line.of(reviewed, lambda story: story.first("Implement"))
    bad = _Line.of(forgotten, lambda story: story.first("Implement"))
    for turn, story in enumerate(incidents):
        planted = story.kind == BY_UNREVIEWED
        if not planted and (story.kind or turn % CAUSED_EVERY):
            continue
        change = (bad if planted else good).earlier(story.ticket.at)
        if change is not None:
            links.named[story.ticket.case_id][CAUSED_BY] = change
        elif planted:
            links.missing.add(story.ticket.case_id)


def _name_articles(
    links: Links, problems: Sequence[Story], articles: Sequence[Story], without: Mapping[str, str]
) -> None:
    """Give each problem with a known error a published article, of its category if there is one."""
    published = sorted(x.ticket.case_id for x in articles if x.first("Publish") is not None)
    about = {story.ticket.case_id: story.ticket.category for story in articles}
    by_category = defaultdict(list)
    for case in published:
        by_category[about[case]].append(case)
    for turn, story in enumerate(problems):
        fitting = by_category[story.ticket.category] or published
        known = story.first("Record known error") is not None
        if known and fitting and without.get(story.kind) != KNOWLEDGE:
            links.named[story.ticket.case_id][KNOWLEDGE] = fitting[turn % len(fitting)]


class _Loops:
    """Which feedback led to which improvement; each of them is taken once."""

    def __init__(
        self, links: Links, answers: Sequence[Story], improvements: Sequence[Story]
    ) -> None:
        """Begin with all that nothing has been done with yet."""
        self._links = links
        self._answers, self._improvements = list(answers), list(improvements)

    def close(self) -> None:
        """Name what is planted first; then let clean feedback that tells twice name its own."""
        for story in [x for x in self._improvements if x.kind in (FORGOTTEN, UNTOLD)]:
            self._name(_take(self._answers, partial(_closed_before, story)), story, story)
        for story in [x for x in self._answers if x.kind in (FORGOTTEN_BACK, TOLD_EARLY)]:
            fits = _over_when_told if story.kind == FORGOTTEN_BACK else _open_when_told
            self._name(story, _take(self._improvements, partial(fits, story)), story)
        for story in [x for x in self._answers if not x.kind and _tells_twice(x)]:
            found = _take(self._improvements, partial(_over_when_told, story))
            if found is not None:
                self._name(story, found, story)

    def _name(self, answer: Story | None, improvement: Story | None, planted: Story) -> None:
        """Let the two name each other, but for what is planted not to."""
        if answer is None or improvement is None:
            self._links.missing.add(planted.ticket.case_id)
            return
        ids = (answer.ticket.case_id, improvement.ticket.case_id)
        if planted.kind != FORGOTTEN:
            self._links.named[ids[0]][LED_TO] = ids[1]
        if planted.kind != FORGOTTEN_BACK:
            self._links.named[ids[1]][CAME_FROM] = ids[0]


def _take(some: list[Story], fits: Callable[[Story], bool]) -> Story | None:
    """Return the first story that fits, and take it away."""
    found = next((x for x in some if fits(x)), None)
    if found is not None:
        some.remove(found)
    return found


def _closed_before(improvement: Story, answer: Story) -> bool:
    """Tell whether a feedback may have led to an improvement; it was closed without another word.

    Nothing else is wrong with it.
    """
    untold = answer.last("Close") is not None and answer.last(INFORM) is None
    return not answer.kind and untold and _led(answer, improvement)


def _over_when_told(answer: Story, improvement: Story) -> bool:
    """Tell whether an improvement that the feedback may have led to had ended when it last told."""
    may = not improvement.kind and _led(answer, improvement)
    return may and _over(improvement) <= (answer.last(INFORM) or 0)


def _open_when_told(answer: Story, improvement: Story) -> bool:
    """Tell whether an improvement that the feedback may have led to ended later, or is open."""
    may = not improvement.kind and _led(answer, improvement)
    return may and _over(improvement) > (answer.last(INFORM) or 0)


def _led(answer: Story, improvement: Story) -> bool:
    """Tell whether the improvement was registered after the feedback had come in."""
    heard = answer.first("Receive feedback")
    return heard is not None and heard < improvement.ticket.at


def _tells_twice(story: Story) -> bool:
    return sum(step.activity == INFORM for step in story.steps) > 1


def _over(story: Story) -> int:
    """When an improvement ended; NEVER where it is open."""
    last = story.steps[-1]
    return last.at if last.activity in ("Close", "Cancel") else NEVER


def _ended(story: Story) -> int:
    """When an incident ended, feedback left out; NEVER where it is open."""
    own = (step for step in reversed(story.steps) if not step.activity.endswith(" feedback"))
    last = next((step for step in own if step.activity != "Contact customer"), None)
    return last.at if last is not None and last.activity in ("Close", "Cancel") else NEVER
