"""Which steps of a ticket belong to the loop of one low score, and where do they leave it?

Pure order, no clock: `follow` goes through the steps that come after a score and says which waits
began and ended, where the loop stands, and what broke by order alone. One contact serves all scores
before it. A low score after the contact begins a loop of its own: from there on (`stop`) only steps
that this loop still lacks are taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Break = Literal[
    "not contacted",
    "contacted late",
    "no action",
    "closed early",
    "action not done",
    "action late",
    "customer not informed",
    "informed late",
]
Standing = Literal[
    "closed",
    "settled",
    "to be contacted",
    "to be agreed",
    "to be done",
    "to be informed",
    "unknown",
]
Wait = Literal["contact", "action", "inform"]

BREAKS: Final[tuple[Break, ...]] = (
    "not contacted",
    "contacted late",
    "no action",
    "closed early",
    "action not done",
    "action late",
    "customer not informed",
    "informed late",
)
CONTACT: Final = "Contact customer"
AGREE: Final = "Agree action"
COMPLETE: Final = "Complete action"
INFORM: Final = "Inform customer"
CLOSE: Final = "Close"
STEPS: Final = (CONTACT, AGREE, COMPLETE, INFORM)
ENDED_BY: Final[Mapping[Wait, str]] = {"contact": CONTACT, "action": COMPLETE, "inform": INFORM}
LATE: Final[Mapping[Wait, Break]] = {
    "contact": "contacted late",
    "action": "action late",
    "inform": "informed late",
}
MISSING: Final[Mapping[Wait, Break]] = {
    "contact": "not contacted",
    "action": "action not done",
    "inform": "customer not informed",
}


@dataclass(frozen=True)
class Walk:
    """A low score at a row of the log, and the steps of its ticket after it: (word, row).

    `stop` is the row of the next low score after the loop's contact, else that of the ticket's end;
    `cut` tells which.
    """

    case: int
    row: int
    scale: str
    score: int
    steps: tuple[tuple[str, int], ...]
    stop: int
    cut: bool

    @classmethod
    def of(  # noqa: PLR0913 - a score, where it stands, and what surrounds it
        cls,
        case: int,
        row: int,
        scale: str,
        score: int,
        *,
        steps: Sequence[tuple[str, int]],
        scores: Sequence[int],
        end: int,
    ) -> Walk:
        """Find the stop among the rows of the ticket's low scores; it ends before the row `end`."""
        contact = next((at for word, at in steps if word == CONTACT), None)
        later = [at for at in scores if contact is not None and at > contact]
        stop = min(later, default=end)
        return cls(case, row, scale, score, tuple(steps), stop, bool(later))


@dataclass
class Trail:
    """What was seen; a wait is (which, row of its begin, row of its end or None)."""

    waits: list[tuple[Wait, int, int | None]] = field(default_factory=list)
    breaks: set[Break] = field(default_factory=set)
    standing: Standing = "to be contacted"
    agreed: bool = False


def follow(walk: Walk, *, whole: bool, complete: bool) -> Trail:
    """Follow one loop.

    `whole`: the ticket knows all steps of a loop, else the contact alone, which settles it.
    `complete`: the ticket has ended.
    """
    contact = next((row for word, row in walk.steps if word == CONTACT), None)
    trail = Trail([("contact", walk.row, contact)])
    if contact is None:
        return trail
    if not whole:
        trail.standing = "settled"
        return trail
    for word, row in _own(walk, contact):
        if row < walk.stop or _lacks(trail, word):
            _step(trail, walk, word, row)
    over = complete or walk.cut
    asked = [x for x in _own(walk, contact) if x[0] in (CONTACT, AGREE, CLOSE) and x[1] < walk.stop]
    for (word, _), following in zip(asked, [*(x[0] for x in asked[1:]), ""], strict=True):
        if word == CONTACT and (following == CONTACT or (not following and over)):
            trail.breaks.add("no action")
    return trail


def _own(walk: Walk, contact: int) -> Iterator[tuple[str, int]]:
    return (one for one in walk.steps if one[1] >= contact and one[0] in (*STEPS, CLOSE))


def _lacks(trail: Trail, word: str) -> bool:
    """Tell whether a step after the stop is one that the loop still waits for."""
    wanted = {"to be agreed": CLOSE, "to be done": COMPLETE, "to be informed": INFORM}
    return wanted.get(trail.standing) == word


def _step(trail: Trail, walk: Walk, word: str, row: int) -> None:
    """Go on by one step."""
    if word == CONTACT and trail.standing in ("to be contacted", "closed", "settled"):
        trail.standing = "to be agreed"
    elif word == AGREE:
        trail.agreed, trail.standing = True, "to be done"
        done, closed = _first(walk, COMPLETE, row), _first(walk, CLOSE, row)
        trail.waits.append(("action", row, done))
        if closed is not None and (done is None or closed < done):
            trail.breaks.add("closed early")
    elif word == COMPLETE:
        trail.standing = "to be informed"
        trail.waits.append(("inform", row, _first(walk, INFORM, row)))
    elif word == INFORM and trail.standing == "to be informed":
        trail.standing = "closed"
    elif word == CLOSE and trail.standing == "to be agreed":
        trail.standing = "settled"


def _first(walk: Walk, wanted: str, after: int) -> int | None:
    return next((row for word, row in walk.steps if word == wanted and row > after), None)
