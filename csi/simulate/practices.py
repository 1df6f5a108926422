"""What happens in the practices beside incidents and problems, when all goes well?

A `Group` is a practice, or a kind of one (a normal change is a change): how many of its tickets
there are, since when, and the scripts that they follow. Every script follows the practice's
reference model and keeps every rule of the rulebook with room to spare, also where the log ends in
the middle of it; what their tickets name is chosen in `csi.simulate.links`. Scripts of weight 0 are
told where something goes wrong only (`csi.simulate.offences`). Weights add up to 1.

Agreements, articles and improvements live for a year and more, and the feedback that led to an
improvement as long as that: theirs begin long before the log's first incident, as the records of a
real desk do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from csi.simulate.scripts import Do, Perhaps, days, hours, minutes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from csi.simulate.scripts import Script

MAJOR: Final = "major incident"
NORMAL: Final = "normal change"
STANDARD: Final = "standard change"
EMERGENCY: Final = "emergency change"
RELEASE: Final = "release"
REQUEST: Final = "service request"
AGREEMENT: Final = "agreement"
FEEDBACK: Final = "feedback"
ARTICLE: Final = "article"
IMPROVEMENT: Final = "improvement"


@dataclass(frozen=True)
class Group:
    """One kind of ticket that follows scripts.

    A desk of `FULL_DESK` incidents and problems or more has `least` of them, and `share` of the
    number of incidents and problems besides; a smaller one has fewer in proportion. The first begin
    `days_before` the log does. `prefix` and `first_number` make their ids.
    """

    name: str
    practice: str
    prefix: str
    least: int
    share: float
    scripts: Mapping[str, tuple[float, Script]]
    days_before: int = 0
    first_number: int = 1
    priorities: tuple[str, ...] = ("",)
    columns: Mapping[str, str] = field(default_factory=dict)


FULL_DESK: Final = 600

# --- incidents that were declared major: P1, resolved within the promise, day and night

_MAJOR: Final[Script] = (
    Do("Register", "agent"),
    Do("Classify", "agent", minutes(1, 3)),
    Do("Assign", "agent", minutes(1, 6)),
    Do("Diagnose", "worker", minutes(1, 8)),
    Do("Declare major incident", "worker", minutes(1, 10)),
    Do("Assign coordinator", "coordinator", minutes(2, 15)),
    Do("Inform stakeholders", "coordinator", minutes(2, 12)),
    Perhaps(
        0.4,
        (
            Do("Await supplier", "worker", minutes(5, 20)),
            Do("Diagnose", "worker", minutes(5, 20)),
        ),
    ),
    Perhaps(0.5, (Do("Inform stakeholders", "coordinator", minutes(20, 45)),)),
    Do("Resolve", "worker", minutes(15, 70)),
    Do("Review", "reviewer", hours(5, 25)),
    Do("Close", "agent", hours(1, 10)),
    Do("Ask feedback", "robot", minutes(1, 90)),
    Perhaps(0.4, (Do("Receive feedback", "customer", hours(1, 20), score="4"),)),
)

# --- changes

_PROPOSED: Final[Script] = (
    Do("Register", "requester"),
    Do("Classify", "manager", hours(0.5, 6)),
    Do("Assess", "assessor", hours(2, 16), risk="medium"),
    Do("Plan", "colleague", hours(2, 16)),
    Do("Request approval", "requester", hours(0.5, 6)),
)
_APPROVED: Final[Script] = (
    Do("Approve", "approver", hours(2, 20), risk="medium"),
    Do("Schedule", "manager", hours(0.5, 6)),
    Do("Test", "tester", hours(2, 16)),
    Do("Implement", "worker", hours(4, 40), risk="medium"),
)
_REVIEWED: Final[Script] = (
    Do("Review", "owner", hours(2, 20)),
    Do("Close", "manager", hours(0.5, 6)),
)
_REJECTED: Final = Do("Reject", "approver", hours(2, 20))
_BACKED_OUT: Final = Do("Back out", "worker", hours(0.2, 3))
_SENT_BACK: Final[Script] = (
    _REJECTED,
    Do("Assess", "assessor", hours(2, 16), risk="medium"),
    Do("Plan", "colleague", hours(2, 16)),
    Do("Request approval", "requester", hours(0.5, 6)),
)
_ROUTINE: Final[Script] = (
    Do("Register", "agent"),
    Do("Classify", "agent", hours(0.1, 2)),
    Perhaps(0.5, (Do("Schedule", "agent", hours(0.5, 4)),)),
    Do("Implement", "worker", hours(1, 20), risk="low"),
)
_URGENT: Final[Script] = (
    Do("Register", "agent"),
    Do("Classify", "agent", minutes(2, 10)),
    Perhaps(0.3, (Do("Assess", "assessor", minutes(5, 20), risk="high"),)),
    Do("Request approval", "agent", minutes(2, 10)),
)
_AT_ONCE: Final[Script] = (
    Do("Approve", "approver", minutes(5, 40), risk="high"),
    Do("Implement", "worker", minutes(10, 90), risk="high"),
)

# --- releases

_BUILT: Final[Script] = (
    Do("Build", "worker", hours(10, 60)),
    Do("Test", "tester", hours(4, 30)),
)
_ACCEPTED: Final[Script] = (
    Do("Accept", "owner", hours(2, 20)),
    Perhaps(0.5, (Do("Inform and train", "manager", hours(2, 20)),)),
    Do("Prepare deployment", "colleague", hours(2, 20)),
    Do("Deploy", "worker", hours(2, 30)),
)
_RELEASED: Final[Script] = (
    Do("Review", "manager", hours(4, 30)),
    Do("Inform stakeholders", "manager", hours(0.5, 8)),
    Do("Close", "manager", hours(0.5, 8)),
)
_PLANNED: Final = Do("Plan", "manager")

# --- service requests

_ASKED_FOR: Final[Script] = (
    Do("Register", "agent"),
    Do("Classify", "agent", hours(0.1, 2)),
)
_ASKED_APPROVAL: Final = Do("Request approval", "agent", hours(0.1, 1))
_GRANTED: Final = Do("Approve", "line manager", hours(0.5, 14))
_WORKED: Final[Script] = (
    Do("Assign", "agent", hours(0.2, 2)),
    Do("Work", "worker", hours(0.5, 4)),
)
_AWAITED: Final[Script] = (
    Perhaps(
        0.25,
        (
            Do("Await customer", "worker", hours(0.2, 2)),
            Do("Work", "worker", hours(1, 30)),
        ),
    ),
    Perhaps(
        0.15,
        (
            Do("Await supplier", "worker", hours(0.2, 2)),
            Do("Work", "worker", hours(2, 60)),
        ),
    ),
)
_FULFILLED: Final = Do("Fulfil", "worker", hours(0.5, 6))
_DONE: Final = Do("Close", "agent", hours(0.5, 20))

# --- agreements

_AGREED: Final[Script] = (
    Do("Define", "owner", hours(5, 30)),
    Do("Negotiate", "owner", hours(5, 40)),
    Do("Agree underpinning", "colleague", hours(5, 30)),
    Do("Agree", "customer", hours(2, 30)),
)
_KEPT: Final = Do("Evaluate", "owner", days(60, 85), violations="0")
_IN_FORCE: Final[Script] = (
    _KEPT,
    Do("Evaluate", "owner", days(60, 85), violations="2"),
    Do("Notify violation", "owner", hours(2, 30)),
    _KEPT,
    Do("Review", "owner", days(20, 40)),
)
_REQUIRED: Final = Do("Register requirement", "assessor")
_TERMINATED: Final = Do("Terminate", "owner", days(5, 30))

# --- answers of customers

_HEARD: Final[Script] = (
    Do("Ask feedback", "robot"),
    Do("Receive feedback", "customer", hours(0.5, 30), score="5"),
    Do("Classify", "agent", hours(0.2, 5)),
)
_COMPLAINT: Final[Script] = (
    Do("Receive feedback", "customer", score="1"),
    Do("Classify", "agent", hours(0.2, 5)),
    Do("Contact customer", "agent", hours(0.5, 8)),
    Do("Agree action", "agent", hours(0.5, 8)),
    Do("Complete action", "worker", hours(10, 120)),
    Do("Inform customer", "agent", hours(0.5, 8)),
)
_TOLD_LATER: Final = Do("Inform customer", "agent", days(150, 175))
_SETTLED: Final = Do("Close", "agent", hours(0.2, 6))

# --- articles: written, reviewed, kept right

_WRITTEN: Final[Script] = (
    Do("Draft", "worker"),
    Do("Request review", "worker", hours(2, 30)),
    Do("Review", "colleague", hours(2, 30)),
    Do("Publish", "worker", hours(0.5, 10)),
)
_CORRECTED: Final[Script] = (
    Do("Flag", "agent", days(30, 120)),
    Do("Update", "worker", hours(5, 60)),
    Do("Request review", "worker", hours(1, 10)),
    Do("Review", "colleague", hours(2, 30)),
    Do("Publish", "worker", hours(0.5, 10)),
)
_CONFIRMED: Final[Script] = (
    Do("Review", "colleague", days(150, 320)),
    Do("Publish", "worker", hours(0.5, 10)),
)
_RETIRED: Final = Do("Retire", "manager", days(60, 330))

# --- improvements

_WANTED: Final[Script] = (
    Do("Register", "colleague"),
    Do("Assess", "manager", days(2, 20)),
)
_POSTPONED: Final = Perhaps(
    0.2, (Do("Postpone", "manager", hours(1, 20)), Do("Assess", "manager", days(15, 45)))
)
_STARTED: Final[Script] = (
    Do("Measure baseline", "assessor", hours(4, 30)),
    Do("Start", "manager", hours(1, 10)),
)
_IMPLEMENTED: Final[Script] = (
    Do("Implement", "worker", days(5, 30)),
    Do("Evaluate", "assessor", days(15, 50)),
)
_ACHIEVED: Final = Do("Close", "manager", hours(1, 20))

CHANGE: Final = "change"

GROUPS: Final = (
    Group(
        MAJOR,
        "incident",
        "INC",
        least=20,
        share=0.003,
        first_number=9_000_001,
        priorities=("P1",),
        columns={"major_incident_state": "accepted"},
        scripts={"resolved": (1.0, _MAJOR)},
    ),
    Group(
        NORMAL,
        CHANGE,
        "CHG",
        least=34,
        share=0.02,
        columns={"type": "normal"},
        scripts={
            "done": (0.8, (*_PROPOSED, *_APPROVED, *_REVIEWED)),
            "backed out": (0.06, (*_PROPOSED, *_APPROVED, _BACKED_OUT, *_REVIEWED)),
            "sent back": (0.05, (*_PROPOSED, *_SENT_BACK, *_APPROVED, *_REVIEWED)),
            "rejected": (0.05, (*_PROPOSED, _REJECTED)),
            "cancelled": (0.04, (*_PROPOSED[:2], Do("Cancel", "requester", hours(1, 10)))),
        },
    ),
    Group(
        STANDARD,
        CHANGE,
        "CHG",
        least=10,
        share=0.02,
        first_number=3_000_001,
        columns={"type": "standard"},
        scripts={
            "done": (0.6, (*_ROUTINE, _REVIEWED[-1])),
            "reviewed": (0.35, (*_ROUTINE, *_REVIEWED)),
            "cancelled": (0.05, (*_ROUTINE[:2], Do("Cancel", "agent", hours(0.5, 4)))),
            "backed out": (0.0, (*_ROUTINE, _BACKED_OUT, *_REVIEWED)),
        },
    ),
    Group(
        EMERGENCY,
        CHANGE,
        "CHG",
        least=12,
        share=0.004,
        first_number=6_000_001,
        columns={"type": "emergency"},
        scripts={
            "done": (0.85, (*_URGENT, *_AT_ONCE, *_REVIEWED)),
            "backed out": (0.1, (*_URGENT, *_AT_ONCE, _BACKED_OUT, *_REVIEWED)),
            "rejected": (0.05, (*_URGENT, Do("Reject", "approver", minutes(5, 40)))),
        },
    ),
    Group(
        RELEASE,
        "release",
        "REL",
        least=14,
        share=0.005,
        scripts={
            "done": (0.7, (_PLANNED, *_BUILT, *_ACCEPTED, *_RELEASED)),
            "built again": (0.15, (_PLANNED, *_BUILT, *_BUILT, *_ACCEPTED, *_RELEASED)),
            "deployed again": (
                0.1,
                (
                    _PLANNED,
                    *_BUILT,
                    *_ACCEPTED,
                    Do("Back out", "worker", hours(0.5, 4)),
                    Do("Deploy", "worker", hours(2, 20)),
                    *_RELEASED,
                ),
            ),
            "cancelled": (0.05, (_PLANNED, *_BUILT, Do("Cancel", "manager", hours(1, 10)))),
        },
    ),
    Group(
        REQUEST,
        "service_request",
        "REQ",
        least=30,
        share=0.06,
        priorities=("P3", "P4"),
        scripts={
            "done": (0.5, (*_ASKED_FOR, *_WORKED, *_AWAITED, _FULFILLED, _DONE)),
            "approved": (
                0.3,
                (
                    *_ASKED_FOR,
                    _ASKED_APPROVAL,
                    _GRANTED,
                    *_WORKED,
                    *_AWAITED,
                    _FULFILLED,
                    _DONE,
                ),
            ),
            "quick": (
                0.05,
                (*_ASKED_FOR, _ASKED_APPROVAL, _GRANTED, *_WORKED, _FULFILLED, _DONE),
            ),
            "rejected": (
                0.05,
                (*_ASKED_FOR, _ASKED_APPROVAL, Do("Reject", "line manager", hours(0.5, 14))),
            ),
            "reopened": (
                0.05,
                (
                    *_ASKED_FOR,
                    *_WORKED,
                    _FULFILLED,
                    Do("Reopen", "worker", hours(0.5, 8)),
                    Do("Work", "worker", hours(0.2, 2)),
                    _FULFILLED,
                    _DONE,
                ),
            ),
            "cancelled": (0.05, (*_ASKED_FOR, Do("Cancel", "agent", hours(0.1, 2)))),
        },
    ),
    Group(
        AGREEMENT,
        "service_level",
        "SLA",
        least=20,
        share=0.001,
        days_before=600,
        scripts={
            "terminated": (0.3, (_REQUIRED, *_AGREED, *_IN_FORCE, _TERMINATED)),
            "renewed": (
                0.6,
                (
                    _REQUIRED,
                    *_AGREED,
                    *_IN_FORCE,
                    Do("Update", "owner", days(2, 20)),
                    *_AGREED,
                    *_IN_FORCE,
                    *_IN_FORCE,
                ),
            ),
            "cancelled": (
                0.1,
                (_REQUIRED, *_AGREED[:2], Do("Cancel", "assessor", days(2, 20))),
            ),
        },
    ),
    Group(
        FEEDBACK,
        "feedback",
        "FBK",
        least=30,
        share=0.01,
        days_before=200,
        scripts={
            "praise": (0.5, (*_HEARD, _SETTLED)),
            "complaint": (0.2, (*_COMPLAINT, _SETTLED)),
            "one call": (0.08, (*_COMPLAINT[:3], _SETTLED)),
            "improvement": (0.12, (*_COMPLAINT, _TOLD_LATER, _SETTLED)),
            "silence": (
                0.1,
                (Do("Ask feedback", "robot"), Do("Expire", "robot", days(20, 30))),
            ),
        },
    ),
    Group(
        ARTICLE,
        "knowledge",
        "KB",
        least=24,
        share=0.005,
        days_before=600,
        scripts={
            "kept": (0.4, (*_WRITTEN, *_CONFIRMED, *_CONFIRMED, *_CONFIRMED, *_CONFIRMED)),
            "corrected": (0.35, (*_WRITTEN, *_CORRECTED, _RETIRED)),
            "retired": (0.2, (*_WRITTEN, _RETIRED)),
            "cancelled": (0.05, (_WRITTEN[0], Do("Cancel", "worker", days(2, 20)))),
        },
    ),
    Group(
        IMPROVEMENT,
        "continual_improvement",
        "CSI",
        least=24,
        share=0.002,
        days_before=200,
        columns={"kpi": "KPI01"},
        scripts={
            "achieved": (0.75, (*_WANTED, _POSTPONED, *_STARTED, *_IMPLEMENTED, _ACHIEVED)),
            "restarted": (
                0.15,
                (
                    *_WANTED,
                    *_STARTED,
                    *_IMPLEMENTED,
                    Do("Restart", "manager", days(1, 10)),
                    *_IMPLEMENTED,
                    _ACHIEVED,
                ),
            ),
            "cancelled": (0.1, (*_WANTED, Do("Cancel", "manager", hours(1, 20)))),
        },
    ),
)
