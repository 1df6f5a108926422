"""What does each constraint say of one trace, by the slowest plain reading?

Traces are lists of `Step`; times are whole hours; a `Story` is one case as it is judged. Formulas
are evaluated on finite traces (De Giacomo & Vardi 2013) by quantifying over positions. An open case
is judged by trying continuations (Bauer, Leucker, Schallhart 2011): it violates when none of them
satisfies the formula, and is decided in its favour only when every one does. What is not known is
judged by trying every value that it could have.

Nothing of the product is imported here.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Elapsed = Callable[[int, int], int]
Formula = Callable[[Sequence["Step"]], bool]
Markings = frozenset[tuple[str, ...]]
BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"


@dataclass(frozen=True)
class Step:
    """One event; `at` in hours."""

    activity: str
    at: int = 0
    actor: str | None = None
    team: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """One case: its steps, whether it has ended, when it is judged, which steps are outside."""

    steps: tuple[Step, ...]
    complete: bool
    as_of: int
    outside: frozenset[str] = frozenset()


def wall_clock(start: int, end: int) -> int:
    return end - start


def office_hours(start: int, end: int) -> int:
    """Hours between that lie on Monday to Friday from 8 to 18; hour 0 is Monday 00:00."""
    return sum(1 for hour in range(start, end) if hour // 24 % 7 < 5 and 8 <= hour % 24 < 18)


# --- untimed constraints: a formula, an activation, an alphabet for continuations


def exists(story: Story, activity: str) -> str:
    def holds(trace: Sequence[Step]) -> bool:
        return any(x.activity == activity for x in trace)

    return _judge(story, holds, lambda _: True, _steps(activity, "other"))


def at_most(story: Story, activity: str, limit: int) -> str:
    def holds(trace: Sequence[Step]) -> bool:
        """No limit + 1 different positions all carry the activity."""
        return len([i for i, x in enumerate(trace) if x.activity == activity]) <= limit

    return _judge(story, holds, lambda _: True, _steps(activity), length=limit + 1)


def team_changes_at_most(story: Story, limit: int) -> str:
    if all(x.team is None for x in story.steps):
        return "unknown"

    def holds(trace: Sequence[Step]) -> bool:
        teams = [x.team for x in trace if x.team is not None]
        return sum(1 for i in range(1, len(teams)) if teams[i] != teams[i - 1]) <= limit

    alphabet = [Step("other", team="t1"), Step("other", team="t2")]
    return _judge(story, holds, lambda _: True, alphabet, length=limit + 2)


def precedes(story: Story, before: str, activity: str) -> str:
    def holds(trace: Sequence[Step]) -> bool:
        return all(
            any(trace[j].activity == before for j in range(i))
            for i, x in enumerate(trace)
            if x.activity == activity
        )

    def activated(trace: Sequence[Step]) -> bool:
        return any(x.activity == activity for x in trace)

    return _judge(story, holds, activated, _steps(before, activity))


def responds(story: Story, activity: str, then: str) -> str:
    def holds(trace: Sequence[Step]) -> bool:
        return all(
            any(y.activity == then for y in trace[i + 1 :])
            for i, x in enumerate(trace)
            if x.activity == activity
        )

    def activated(trace: Sequence[Step]) -> bool:
        return any(x.activity == activity for x in trace)

    return _judge(story, holds, activated, _steps(activity, then))


def four_eyes(story: Story, first: str, second: str, update: str = "") -> str:
    """Rows called `update` are no steps; in the state `first` they are further work of it."""

    def holds(trace: Sequence[Step]) -> bool:
        """For every actor p: G (at work on first by p -> not F (second by p))."""
        return not any(
            y.activity == second and x.actor == y.actor
            for i, x in enumerate(trace)
            if _state_after(trace[: i + 1], update) == first
            for y in trace[i + 1 :]
        )

    def activated(trace: Sequence[Step]) -> bool:
        seen = [x.activity for x in trace]
        return any(a == second and first in seen[:i] for i, a in enumerate(seen))

    relevant = [
        _state_after(story.steps[: i + 1], update) == first or x.activity == second
        for i, x in enumerate(story.steps)
    ]
    worlds = list(_worlds_of_actors(story, relevant))
    broken = [not holds(world) for world in worlds]
    if any(broken) and not all(broken):
        return "unknown"
    alphabet = [Step(a, actor="p9") for a in (first, second)]
    return _judge(replace(story, steps=worlds[0]), holds, activated, alphabet)


def _state_after(trace: Sequence[Step], update: str) -> str | None:
    """The last activity that is not an update."""
    for x in reversed(trace):
        if x.activity != update:
            return x.activity
    return None


def _worlds_of_actors(story: Story, relevant: Sequence[bool]) -> Iterator[tuple[Step, ...]]:
    """Fill in every missing actor of the relevant rows with each known one, or with a new one."""
    known = sorted({x.actor for x in story.steps if x.actor is not None})
    gaps = [i for i, x in enumerate(story.steps) if x.actor is None and relevant[i]]
    for names in product(*[[f"new{i}", *known, "somebody"] for i in gaps]):
        steps = list(story.steps)
        for i, name in zip(gaps, names, strict=True):
            steps[i] = replace(steps[i], actor=name)
        yield tuple(steps)


def _steps(*activities: str) -> list[Step]:
    return [Step(activity) for activity in activities]


def _judge(
    story: Story, holds: Formula, activated: Formula, alphabet: Sequence[Step], *, length: int = 2
) -> str:
    if story.complete:
        return _decided(holds(story.steps), activated(story.steps))
    futures = [
        holds((*story.steps, *more))
        for n in range(length + 1)
        for more in product(alphabet, repeat=n)
    ]
    if not any(futures):
        return "violates"
    return "conforms" if all(futures) and activated(story.steps) else "pending"


def _decided(holds: bool, activated: bool) -> str:  # noqa: FBT001 - two facts of one trace
    if not holds:
        return "violates"
    return "conforms" if activated else "vacuous"


# --- timed constraints


@dataclass(frozen=True)
class Answer:
    """What `responds_within` asks for; `where` tells for an attribute value, None if it cannot."""

    activity: str
    then: str
    within: int
    or_else: str | None = None
    where: tuple[str, int | None, int | None] | None = None
    earlier_counts: bool = False
    elapsed: Elapsed = wall_clock


def responds_within(story: Story, ask: Answer) -> str:
    """Try every world: does an event of unknown attribute ask or not?"""
    gaps = [i for i, x in enumerate(story.steps) if _asks(x, ask) is None]
    worlds = []
    for guess in product([False, True], repeat=len(gaps)):
        guessed = dict(zip(gaps, guess, strict=True))
        asking = [i for i, x in enumerate(story.steps) if guessed.get(i, _asks(x, ask))]
        worlds.append(_answered(story, ask, asking))
    if "violates" in worlds:
        return "violates" if set(worlds) == {"violates"} else "unknown"
    return "pending" if "pending" in worlds else worlds[0]


def _answered(story: Story, ask: Answer, asking: Sequence[int]) -> str:
    """Judge with exactly these positions asking."""
    over = story.complete and ask.then not in story.outside
    states = [_state(story, ask, i, over=over) for i in asking]
    if "late" in states:
        return "violates"
    if "waiting" in states:
        return "pending"
    if story.complete:
        return "conforms" if asking else "vacuous"
    answered = any(x.activity in (ask.then, ask.or_else) for x in story.steps)
    return "conforms" if asking and ask.earlier_counts and answered else "pending"


def _state(story: Story, ask: Answer, i: int, *, over: bool) -> str:
    """One asking event: kept, late for good, or waiting (a step at `as_of` would keep it)."""
    answers = (ask.then, ask.or_else)
    now = story.steps[i].at
    if ask.earlier_counts and any(x.activity in answers for x in story.steps[:i]):
        return "kept"
    if any(
        x.activity in answers and ask.elapsed(now, x.at) <= ask.within for x in story.steps[i + 1 :]
    ):
        return "kept"
    came = any(x.activity in answers for x in story.steps[i + 1 :])
    hopeless = came or over or ask.elapsed(now, max(now, story.as_of)) > ask.within
    return "late" if hopeless else "waiting"


def _asks(step: Step, ask: Answer) -> bool | None:
    if step.activity != ask.activity:
        return False
    if ask.where is None:
        return True
    name, least, most = ask.where
    text = step.attributes.get(name)
    if text is None or not text.removeprefix("-").isdecimal():
        return None
    return (least is None or int(text) >= least) and (most is None or int(text) <= most)


def waits_at_most(story: Story, activity: str, limit: int, elapsed: Elapsed = wall_clock) -> str:
    def holds(trace: Sequence[Step]) -> bool:
        return all(elapsed(a, b) <= limit for a, b in stays(trace))

    def stays(trace: Sequence[Step]) -> Iterator[tuple[int, int]]:
        inside = [x for x in trace if x.activity == activity or x.activity not in story.outside]
        for i, x in enumerate(inside):
            if x.activity != activity or (i and inside[i - 1].activity == activity):
                continue
            left = next((y.at for y in inside[i + 1 :] if y.activity != activity), None)
            yield x.at, x.at if left is None else left

    if story.complete:
        return _decided(holds(story.steps), any(True for _ in stays(story.steps)))
    leaves = Step("another step", story.as_of)
    return "pending" if holds((*story.steps, leaves)) else "violates"


# --- the reference model: the token game, straight from the BPMN file


class TokenGame:
    """Runs of a BPMN process as sets of markings (multisets of flows that hold a token)."""

    def __init__(self, path: Path, hidden: Iterable[str] = ()) -> None:
        process = ET.parse(path).getroot().find(f"{BPMN}process")  # noqa: S314 - our own file
        assert process is not None
        self.hidden = set(hidden)
        flows = list(process.iter(f"{BPMN}sequenceFlow"))
        self.nodes = []
        for node in process:
            kind, name = node.tag.removeprefix(BPMN), node.get("name", "")
            into = [f.get("id", "") for f in flows if f.get("targetRef") == node.get("id")]
            out = [f.get("id", "") for f in flows if f.get("sourceRef") == node.get("id")]
            if into or out:
                self.nodes.append((kind, name, into, out))
        start = next(out for kind, _, _, out in self.nodes if kind == "startEvent")
        self.start = self._settle([tuple(sorted(start))])
        self._seen: dict[tuple[Markings, str], Markings] = {}

    def verdict(self, trace: Sequence[str], *, complete: bool) -> str:
        markings = self.start
        for activity in trace:
            markings = self._after(markings, activity)
        if complete:
            return "conforms" if () in markings else "violates"
        return "pending" if markings else "violates"

    def _after(self, markings: Markings, activity: str) -> Markings:
        if (markings, activity) not in self._seen:
            moves = (move for marking in markings for move in self._moves(marking))
            moved = {after for label, after in moves if label == activity}
            self._seen[markings, activity] = self._settle(moved)
        return self._seen[markings, activity]

    def _settle(self, markings: Iterable[tuple[str, ...]]) -> Markings:
        seen, todo = set(markings), list(markings)
        while todo:
            for label, after in self._moves(todo.pop()):
                if label is None and after not in seen:
                    seen.add(after)
                    todo.append(after)
        return frozenset(seen)

    def _moves(self, marking: tuple[str, ...]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
        for kind, name, into, out in self.nodes:
            label = name if kind == "task" and name not in self.hidden else None
            if kind == "parallelGateway":
                if all(flow in marking for flow in into):
                    yield None, _moved(marking, into, out)
            elif kind == "exclusiveGateway":
                for flow in set(into) & set(marking):
                    for way in out:
                        yield None, _moved(marking, [flow], [way])
            else:
                for flow in set(into) & set(marking):
                    yield label, _moved(marking, [flow], out)


def _moved(marking: tuple[str, ...], taken: Sequence[str], put: Sequence[str]) -> tuple[str, ...]:
    left = list(marking)
    for flow in taken:
        left.remove(flow)
    return tuple(sorted([*left, *put]))
