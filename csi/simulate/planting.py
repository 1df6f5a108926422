"""Which deviations can be planted, which rules does each break, and which cases get one?

Every kind breaks exactly the rules named here, as the rulebook that ships states them; a departure
from the reference model is listed wherever the order of steps is touched. What a story does to its
promises of time (SLM001, SLM002) is counted afterwards, for every case (`csi.simulate.promises`): a
planted wait for a supplier makes a case late as well.

A case gets at most one kind. Whether a case is chosen does not depend on the intervention:
candidates are taken in a random order of their own, kinds in turn, and a case is passed over only
where its story, with the deviation, would not end before the log does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Kind:
    """One thing that can go wrong: the rules it breaks, the activities that show it."""

    name: str
    practice: str
    breaks: tuple[str, ...]
    shown_by: tuple[str, ...]


KINDS: Final = (
    Kind("closed without resolution", "incident", ("INC001", "INC006"), ("Close",)),
    Kind("resolved before diagnosed", "incident", ("INC002", "INC006"), ("Resolve",)),
    Kind("worked before classified", "incident", ("INC003", "INC006"), ("Diagnose", "Classify")),
    Kind("passed around", "incident", ("INC004",), ("Escalate", "Assign")),
    Kind("reopened again and again", "incident", ("INC005",), ("Reopen",)),
    Kind("closed twice", "incident", ("INC006",), ("Close",)),
    Kind("waited too long for the customer", "incident", ("INC007",), ("Await customer",)),
    Kind("left open after resolution", "incident", ("INC008",), ("Resolve", "Close")),
    Kind("waited too long for the supplier", "incident", ("INC009",), ("Await supplier",)),
    Kind("waited for an unnamed problem", "incident", ("INC010",), ("Await problem",)),
    Kind("feedback never asked", "incident", ("FBK001",), ("Close",)),
    Kind("low score left unanswered", "incident", ("FBK002",), ("Receive feedback",)),
    Kind("feedback asked too early", "incident", ("FBK003",), ("Ask feedback", "Close")),
    Kind("root cause never identified", "problem", ("PRB001", "PRB004"), ("Resolve",)),
    Kind("known error never recorded", "problem", ("PRB002", "PRB004"), ("Identify root cause",)),
    Kind("closed by its investigator", "problem", ("PRB003",), ("Investigate", "Close")),
    Kind("investigated late", "problem", ("PRB005",), ("Register", "Investigate")),
    Kind("problem closed unresolved", "problem", ("PRB006", "PRB004"), ("Close",)),
)
RESPONSE_LATE: Final = "response late"
RESOLUTION_LATE: Final = "resolution late"
SLOWED: Final = "slowed by the intervention"


def plant(
    order: Sequence[int], *, kinds: Sequence[str], n: int, ends: Callable[[int, str], bool]
) -> dict[int, str]:
    """Give `n` cases one kind each, in turn; `ends` tells whether the case would end in the log.

    `order` holds the candidates in random order; a kind that does not fit waits for the next one.
    Fewer are planted where candidates run out.
    """
    planted: dict[int, str] = {}
    queue = list(kinds)
    for case in order:
        if len(planted) == n:
            break
        kind = next((kind for kind in queue if ends(case, kind)), None)
        if kind is not None:
            planted[case] = kind
            queue.remove(kind)
            queue.append(kind)
    return planted
