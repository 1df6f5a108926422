"""Which deviations can be planted, which rules does each break, and which cases get one?

Every kind breaks exactly the rules named here, as the rulebook that ships states them; a departure
from the reference model is listed wherever the order of steps is touched. What a story does to its
promises of time (SLM001, SLM002) is counted afterwards, for every case (`csi.simulate.promises`): a
planted wait for a supplier makes a case late as well; so is what it does to their clocks
(`csi.simulate.served_clocks`). Kinds of incidents and problems are told by their own story-tellers;
the others are edits of scripts (`csi.simulate.offences`).

What is named here as `clock:...` is no rule: it is what an audit of the pauses has to find.

A case gets at most one kind. Whether a case is chosen does not depend on the intervention: kinds
take cases in turn, each the first in a random order that has none and that it fits. A kind does not
fit where the priority is wrong, or where the story, with the deviation, would not end before the
log does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from csi.simulate import gaming
from csi.simulate import served_clocks as served
from csi.simulate.incident import UNNAMED_PROBLEM, WITHOUT_CODE
from csi.simulate.problem import REOPENED, UNFINISHED, UNWRITTEN
from csi.simulate.trail import REPRIORITISED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csi.simulate.scripts import Edit

INCIDENT: Final = "incident"
PROBLEM: Final = "problem"
CRITICAL: Final = ("P1",)
NOT_CRITICAL: Final = ("P2", "P3", "P4")
LONG: Final = ("P3", "P4")  # a day of the promise and more is left at its last quarter
LEAST: Final = ("P4",)


@dataclass(frozen=True)
class Kind:
    """One thing that can go wrong: the rules it breaks, the activities that show it.

    `group` says with which tickets, `priorities` with which of them (all, where none is named).
    `script` and `edits` tell it where tickets follow scripts (no script: the group's first).
    `without_link` and `without_column` name what the ticket lacks. An offence that is `linked` is
    shown by another ticket, and is none where there is no such ticket.
    """

    name: str
    group: str
    breaks: tuple[str, ...]
    shown_by: tuple[str, ...]
    priorities: tuple[str, ...] = ()
    script: str = ""
    edits: tuple[Edit, ...] = ()
    without_link: str = ""
    without_column: str = ""
    linked: bool = False


BY_UNREVIEWED: Final = "caused by a change that nobody reviewed"

STORIES: Final = (
    Kind("closed without resolution", INCIDENT, ("INC001", "INC006"), ("Close",)),
    Kind(
        "resolved before diagnosed",
        INCIDENT,
        ("INC002", "INC006"),
        ("Resolve",),
        priorities=NOT_CRITICAL,  # a P1 would break INC021 too
    ),
    Kind("worked before classified", INCIDENT, ("INC003", "INC006"), ("Diagnose", "Classify")),
    Kind("passed around", INCIDENT, ("INC004",), ("Escalate", "Assign")),
    Kind("reopened again and again", INCIDENT, ("INC005",), ("Reopen",)),
    Kind("closed twice", INCIDENT, ("INC006",), ("Close",)),
    Kind("waited too long for the customer", INCIDENT, ("INC007",), ("Await customer",)),
    Kind("left open after resolution", INCIDENT, ("INC008",), ("Resolve", "Close")),
    Kind("waited too long for the supplier", INCIDENT, ("INC009",), ("Await supplier",)),
    Kind(UNNAMED_PROBLEM, INCIDENT, ("INC010",), ("Await problem",), without_link="problem"),
    Kind("registered after work began", INCIDENT, ("INC006", "INC011"), ("Classify", "Register")),
    Kind("priority unlike impact and urgency", INCIDENT, ("INC012",), ("Register",)),
    Kind("worked after closure", INCIDENT, ("INC006", "INC013"), ("Close", "Diagnose")),
    Kind("cancelled after resolution", INCIDENT, ("INC006", "INC014"), ("Resolve", "Cancel")),
    Kind("passed around within a day", INCIDENT, ("INC015",), ("Assign", "Close")),
    Kind("escalated into nowhere", INCIDENT, ("INC006", "INC016"), ("Escalate",)),
    Kind(WITHOUT_CODE, INCIDENT, ("INC017",), ("Close",), without_column="close_code"),
    Kind("reopened and left undiagnosed", INCIDENT, ("INC006", "INC018"), ("Reopen", "Resolve")),
    Kind("never classified", INCIDENT, ("INC003", "INC006", "INC019"), ("Diagnose",)),
    Kind("category changed after resolution", INCIDENT, ("INC020",), ("Resolve", "Close")),
    Kind(
        "critical and taken up late",
        INCIDENT,
        ("INC021",),
        ("Register", "Diagnose"),
        priorities=CRITICAL,
    ),
    Kind("nothing promised for its priority", INCIDENT, ("SLM003",), ("Register",)),
    Kind("paused again and again", INCIDENT, ("SLM008",), ("Await customer",)),
    Kind("feedback never asked", INCIDENT, ("FBK001",), ("Close",)),
    Kind("low score left unanswered", INCIDENT, ("FBK002",), ("Receive feedback",)),
    Kind("feedback asked too early", INCIDENT, ("FBK003",), ("Ask feedback", "Close")),
    Kind("customer asked again and again", INCIDENT, ("FBK007",), ("Ask feedback",)),
    Kind(BY_UNREVIEWED, INCIDENT, ("CHG016",), ("Register",), linked=True),
    Kind(
        gaming.JUST_BEFORE,
        INCIDENT,
        (served.JUST_BEFORE, served.ONLY_BY_PAUSING),
        ("Await customer",),
        priorities=NOT_CRITICAL,
    ),
    Kind(
        gaming.NOT_ALLOWED,
        INCIDENT,
        (served.NOT_ALLOWED, served.ONLY_BY_PAUSING),
        ("Await supplier",),
        priorities=NOT_CRITICAL,
    ),
    Kind(
        gaming.SHORT_SPELLS,
        INCIDENT,
        ("SLM008", served.SHORT_SPELLS),
        ("Await customer",),
        priorities=LONG,
    ),
    Kind(
        gaming.AFTER_ANSWER,
        INCIDENT,
        (served.AFTER_ANSWER,),
        ("Await customer",),
        priorities=NOT_CRITICAL,
    ),
    Kind(gaming.EASED, INCIDENT, (served.EASED,), (REPRIORITISED,), priorities=LEAST),
    # its broken promise is counted like all others
    Kind(gaming.EASED_LATE, INCIDENT, (), (REPRIORITISED,), priorities=LEAST),
    Kind("root cause never identified", PROBLEM, ("PRB001", "PRB004"), ("Resolve",)),
    Kind("known error never recorded", PROBLEM, ("PRB002", "PRB004"), ("Identify root cause",)),
    Kind("closed by its investigator", PROBLEM, ("PRB003",), ("Investigate", "Close")),
    Kind("problem closed twice", PROBLEM, ("PRB004",), ("Close",)),
    Kind("investigated late", PROBLEM, ("PRB005",), ("Register", "Investigate")),
    Kind("problem closed unresolved", PROBLEM, ("PRB006", "PRB004"), ("Close",)),
    Kind(
        "known error left without workaround",
        PROBLEM,
        ("PRB004", "PRB006", "PRB007"),
        ("Record known error", "Close"),
    ),
    Kind("problem resolved too late", PROBLEM, ("PRB008",), ("Register", "Resolve")),
    Kind(UNFINISHED, PROBLEM, ("PRB009",), ("Close",), linked=True),
    Kind("problem waited too long", PROBLEM, ("PRB010",), ("Wait",)),
    Kind(REOPENED, PROBLEM, ("PRB011",), ("Reopen",)),
    Kind(
        UNWRITTEN,
        PROBLEM,
        ("PRB012",),
        ("Record known error",),
        without_link="knowledge",
    ),
    Kind(
        "cancelled after its cause was known",
        PROBLEM,
        ("PRB013",),
        ("Identify root cause", "Cancel"),
    ),
    Kind(
        "resolved again without investigation",
        PROBLEM,
        ("PRB004", "PRB014"),
        ("Reopen", "Resolve"),
    ),
)
RESPONSE_LATE: Final = "response late"
RESOLUTION_LATE: Final = "resolution late"
SLOWED: Final = "slowed by the intervention"


def plant(
    order: Sequence[int], *, kinds: Sequence[Kind], n: int, fits: Callable[[int, Kind], bool]
) -> dict[int, str]:
    """Give `n` cases one kind each, in turn.

    `order` holds the candidates in random order. A kind that fits none of those that are left gets
    no more; fewer are planted where candidates run out.
    """
    planted: dict[int, str] = {}
    queue = deque((kind, iter(order)) for kind in kinds)
    while queue and len(planted) < n:
        kind, left = queue.popleft()
        case = next((case for case in left if case not in planted and fits(case, kind)), None)
        if case is not None:
            planted[case] = kind.name
            queue.append((kind, left))
    return planted
