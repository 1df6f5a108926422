"""What can go wrong with a ticket that follows a script, and which rules does each offence break?

Each kind is a script of its group, edited; nothing else of the ticket changes. `breaks` names every
rule that the edit breaks, the reference model's included wherever the order of steps is touched. It
is reasoned from the rules' wording, and nothing here asks the rules: if a rule and this table
disagree, the tests fail.

A cluster is what a desk's managers should see at once: `CLUSTER` tickets of one category in one
week, fulfilled by one team before anybody had approved them.
"""

from __future__ import annotations

from typing import Final

from csi.simulate.planting import Kind
from csi.simulate.practices import (
    AGREEMENT,
    ARTICLE,
    EMERGENCY,
    FEEDBACK,
    IMPROVEMENT,
    MAJOR,
    NORMAL,
    RELEASE,
    REQUEST,
    STANDARD,
)
from csi.simulate.scripts import (
    Do,
    after,
    by,
    days,
    first_only,
    hours,
    minutes,
    of_risk,
    swapped,
    taking,
    without,
)

CLUSTER: Final = 6
CLUSTERED: Final = "fulfilled while approval was pending"

_PASSED_ON: Final = (
    Do("Escalate", "worker", hours(0.5, 4)),
    Do("Assign", "worker", hours(0.2, 2)),
)

OFFENCES: Final = (
    # --- major incidents
    Kind(
        "stakeholders informed before a coordinator was named",
        MAJOR,
        ("MAJ001",),
        ("Inform stakeholders",),
        edits=(swapped("Assign coordinator", "Inform stakeholders"),),
    ),
    Kind(
        "coordinator named too late",
        MAJOR,
        ("MAJ002",),
        ("Declare major incident", "Assign coordinator"),
        edits=(
            taking("Assign coordinator", minutes(34, 44)),
            first_only("Inform stakeholders", taking("Inform stakeholders", minutes(2, 8))),
        ),
    ),
    Kind(
        "stakeholders informed too late",
        MAJOR,
        ("MAJ003",),
        ("Declare major incident", "Inform stakeholders"),
        edits=(first_only("Inform stakeholders", taking("Inform stakeholders", minutes(70, 95))),),
    ),
    Kind(
        "major incident closed without review",
        MAJOR,
        ("MAJ001", "MAJ004"),
        ("Close",),
        edits=(without("Review"),),
    ),
    Kind(
        "no problem raised after a major incident",
        MAJOR,
        ("MAJ005",),
        ("Close",),
        without_link="problem",
    ),
    Kind(
        "major incident declared too late",
        MAJOR,
        ("MAJ006",),
        ("Register", "Declare major incident"),
        edits=(taking("Declare major incident", minutes(128, 150)),),
    ),
    Kind(
        "stakeholders left waiting",
        MAJOR,
        ("MAJ007",),
        ("Inform stakeholders", "Resolve"),
        edits=(taking("Resolve", minutes(260, 330)),),
    ),
    Kind(
        "major incident declared twice",
        MAJOR,
        ("MAJ001", "MAJ008"),
        ("Declare major incident",),
        edits=(
            after(
                "Declare major incident", Do("Declare major incident", "colleague", minutes(1, 4))
            ),
        ),
    ),
    Kind(
        "major incident reviewed by its coordinator",
        MAJOR,
        ("MAJ009",),
        ("Assign coordinator", "Review"),
        edits=(by("Review", "coordinator"),),
    ),
    # --- normal changes
    Kind(
        "assessed before classified",
        NORMAL,
        ("CHG002",),
        ("Assess", "Classify"),
        edits=(swapped("Classify", "Assess"),),
    ),
    Kind(
        "implemented without request",
        NORMAL,
        ("CHG002", "CHG004"),
        ("Implement",),
        edits=(without("Request approval"),),
    ),
    Kind(
        "implemented without approval",
        NORMAL,
        ("CHG002", "CHG005", "CHG013", "CHG021"),
        ("Implement",),
        edits=(without("Approve"),),
    ),
    Kind(
        "change approved by its requester",
        NORMAL,
        ("CHG006",),
        ("Request approval", "Approve"),
        edits=(by("Approve", "requester"),),
    ),
    Kind(
        "change implemented by its approver",
        NORMAL,
        ("CHG005", "CHG007", "CHG015"),
        ("Approve", "Implement"),
        edits=(by("Implement", "approver"),),
    ),
    Kind("implemented untested", NORMAL, ("CHG008",), ("Implement",), edits=(without("Test"),)),
    Kind(
        "change closed without review",
        NORMAL,
        ("CHG002", "CHG009"),
        ("Close",),
        edits=(without("Review"),),
    ),
    Kind(
        "backed out and closed without review",
        NORMAL,
        ("CHG002", "CHG009", "CHG010"),
        ("Back out", "Close"),
        script="backed out",
        edits=(without("Review"),),
    ),
    Kind(
        "implemented after rejection",
        NORMAL,
        ("CHG002", "CHG011"),
        ("Reject", "Implement"),
        edits=(
            after(
                "Approve",
                Do("Request approval", "requester", hours(0.5, 4)),
                Do("Reject", "second approver", hours(2, 20)),
            ),
        ),
    ),
    Kind(
        "approval out of date",
        NORMAL,
        ("CHG013",),
        ("Approve", "Implement"),
        edits=(taking("Implement", days(35, 50)),),
    ),
    Kind(
        "risk changed after approval",
        NORMAL,
        ("CHG014",),
        ("Approve", "Implement"),
        edits=(of_risk("Implement", "high"),),
    ),
    Kind(
        "implemented by the approving team",
        NORMAL,
        ("CHG015",),
        ("Approve", "Implement"),
        edits=(by("Implement", "second approver"),),
    ),
    Kind("scheduled without plan", NORMAL, ("CHG017",), ("Schedule",), edits=(without("Plan"),)),
    Kind(
        "approved unassessed",
        NORMAL,
        ("CHG002", "CHG018"),
        ("Approve",),
        edits=(without("Assess"),),
    ),
    Kind(
        "implemented again without approval",
        NORMAL,
        ("CHG002", "CHG021"),
        ("Implement",),
        edits=(after("Implement", Do("Implement", "worker", hours(2, 20), risk="medium")),),
    ),
    # --- standard changes
    Kind(
        "standard change unclassified",
        STANDARD,
        ("CHG001",),
        ("Implement",),
        edits=(without("Classify"),),
    ),
    Kind("standard change backed out", STANDARD, ("CHG020",), ("Back out",), script="backed out"),
    Kind(
        "standard change backed out and not reviewed",
        STANDARD,
        ("CHG001", "CHG010", "CHG020"),
        ("Back out", "Close"),
        script="backed out",
        edits=(without("Review"),),
    ),
    # --- emergency changes
    Kind(
        "approved after the fact",
        EMERGENCY,
        ("CHG003",),
        ("Implement", "Approve"),
        edits=(
            without("Approve"),
            after("Implement", Do("Approve", "approver", minutes(60, 600), risk="high")),
        ),
    ),
    Kind(
        "emergency change approved too late",
        EMERGENCY,
        ("CHG003", "CHG012"),
        ("Implement", "Approve"),
        edits=(
            without("Approve"),
            after("Implement", Do("Approve", "approver", days(4, 6), risk="high")),
        ),
    ),
    Kind(
        "emergency without an incident",
        EMERGENCY,
        ("CHG019",),
        ("Implement",),
        without_link="incident",
    ),
    Kind(
        "emergency left unreviewed",
        EMERGENCY,
        ("CHG003", "CHG022"),
        ("Implement", "Close"),
        edits=(without("Review"),),
    ),
    Kind(
        "emergency change approved by its requester",
        EMERGENCY,
        ("CHG006",),
        ("Request approval", "Approve"),
        edits=(by("Approve", "agent"),),
    ),
    # --- releases
    Kind(
        "stakeholders not told of a release",
        RELEASE,
        ("REL001",),
        ("Close",),
        edits=(without("Inform stakeholders"),),
    ),
    Kind("deployed untested", RELEASE, ("REL001", "REL002"), ("Deploy",), edits=(without("Test"),)),
    Kind(
        "deployed without acceptance",
        RELEASE,
        ("REL001", "REL003"),
        ("Deploy",),
        edits=(without("Accept"),),
    ),
    Kind(
        "release closed without review",
        RELEASE,
        ("REL001", "REL004"),
        ("Close",),
        edits=(without("Review"),),
    ),
    Kind(
        "release accepted by its builder",
        RELEASE,
        ("REL005",),
        ("Build", "Accept"),
        edits=(by("Accept", "worker"),),
    ),
    # --- service requests
    Kind(
        "request closed twice",
        REQUEST,
        ("REQ001",),
        ("Close",),
        edits=(after("Close", Do("Close", "agent", minutes(5, 30))),),
    ),
    Kind(
        CLUSTERED,
        REQUEST,
        ("REQ001", "REQ002"),
        ("Request approval", "Fulfil"),
        script="quick",
        edits=(
            without("Approve"),
            after("Fulfil", Do("Approve", "line manager", hours(0.5, 4))),
        ),
    ),
    Kind(
        "fulfilled after rejection",
        REQUEST,
        ("REQ001", "REQ002", "REQ003"),
        ("Reject", "Fulfil"),
        script="approved",
        edits=(
            without("Approve"),
            after("Request approval", Do("Reject", "line manager", hours(0.5, 14))),
        ),
    ),
    Kind(
        "request approved by its requester",
        REQUEST,
        ("REQ004",),
        ("Request approval", "Approve"),
        script="approved",
        edits=(by("Approve", "agent"),),
    ),
    Kind(
        "fulfilled too late",
        REQUEST,
        ("REQ005",),
        ("Register", "Fulfil"),
        script="done",
        edits=(taking("Fulfil", hours(60, 90)),),
    ),
    Kind(
        "approval left waiting",
        REQUEST,
        ("REQ006",),
        ("Request approval", "Approve"),
        script="approved",
        edits=(taking("Approve", hours(25, 33)),),
    ),
    Kind(
        "closed unfulfilled",
        REQUEST,
        ("REQ001", "REQ007"),
        ("Close",),
        script="done",
        edits=(without("Fulfil"),),
    ),
    Kind(
        "request waited too long for the customer",
        REQUEST,
        ("REQ008",),
        ("Await customer",),
        script="quick",
        edits=(
            after(
                "Work",
                Do("Await customer", "worker", hours(0.2, 2)),
                Do("Work", "worker", hours(60, 90)),
            ),
        ),
    ),
    Kind(
        "request passed around",
        REQUEST,
        ("REQ009",),
        ("Escalate", "Assign"),
        script="done",
        edits=(
            after(
                "Work",
                *_PASSED_ON,
                Do("Work", "next worker", hours(0.5, 4)),
                Do("Escalate", "next worker", hours(0.5, 4)),
                Do("Assign", "next worker", hours(0.2, 2)),
                Do("Work", "third worker", hours(0.5, 4)),
                Do("Escalate", "third worker", hours(0.2, 2)),
                Do("Assign", "third worker", hours(0.2, 2)),
                Do("Work", "worker", hours(0.2, 2)),
            ),
        ),
    ),
    # --- agreements
    Kind(
        "agreed without negotiation",
        AGREEMENT,
        ("SLM004",),
        ("Agree",),
        script="terminated",
        edits=(without("Negotiate"),),
    ),
    Kind(
        "agreement left unreviewed",
        AGREEMENT,
        ("SLM005",),
        ("Agree", "Review"),
        script="terminated",
        edits=(taking("Review", days(190, 210)),),
    ),
    Kind(
        "violation not notified",
        AGREEMENT,
        ("SLM006",),
        ("Evaluate", "Notify violation"),
        script="terminated",
        edits=(taking("Notify violation", hours(60, 90)),),
    ),
    Kind(
        "underpinned after the agreement",
        AGREEMENT,
        ("SLM004", "SLM007"),
        ("Agree", "Agree underpinning"),
        script="terminated",
        edits=(swapped("Agree underpinning", "Agree"),),
    ),
    Kind(
        "agreed by its author",
        AGREEMENT,
        ("SLM009",),
        ("Define", "Agree"),
        script="terminated",
        edits=(by("Agree", "owner"),),
    ),
    # --- answers of customers
    Kind(
        "complaint unclassified",
        FEEDBACK,
        ("FBK004",),
        ("Receive feedback",),
        script="complaint",
        edits=(without("Classify"),),
    ),
    Kind(
        "contact without agreed action",
        FEEDBACK,
        ("FBK004", "FBK005"),
        ("Contact customer",),
        script="complaint",
        edits=(after("Contact customer", Do("Contact customer", "agent", hours(0.5, 8))),),
    ),
    Kind(
        "agreed action left undone",
        FEEDBACK,
        ("FBK006",),
        ("Agree action", "Complete action"),
        script="complaint",
        edits=(taking("Complete action", hours(220, 300)),),
    ),
    Kind(
        "closed before the action was done",
        FEEDBACK,
        ("FBK004", "FBK006", "FBK008"),
        ("Agree action", "Close"),
        script="complaint",
        edits=(without("Complete action"),),
    ),
    # --- articles
    Kind(
        "review not asked for",
        ARTICLE,
        ("KNW001",),
        ("Review",),
        script="retired",
        edits=(without("Request review"),),
    ),
    Kind(
        "published unreviewed",
        ARTICLE,
        ("KNW001", "KNW002"),
        ("Publish",),
        script="retired",
        edits=(without("Review"),),
    ),
    Kind(
        "reviewed by its author",
        ARTICLE,
        ("KNW003",),
        ("Draft", "Review"),
        script="retired",
        edits=(by("Review", "worker"),),
    ),
    Kind(
        "left unreviewed for a year",
        ARTICLE,
        ("KNW004",),
        ("Publish", "Retire"),
        script="retired",
        edits=(taking("Retire", days(370, 420)),),
    ),
    Kind(
        "published after retirement",
        ARTICLE,
        ("KNW001", "KNW005"),
        ("Retire", "Publish"),
        script="retired",
        edits=(
            after(
                "Retire",
                Do("Publish", "worker", hours(5, 50)),
                Do("Retire", "manager", hours(5, 50)),
            ),
        ),
    ),
    Kind(
        "flagged and left",
        ARTICLE,
        ("KNW006",),
        ("Flag", "Retire"),
        script="retired",
        edits=(
            after("Publish", Do("Flag", "agent", days(5, 60))),
            taking("Retire", hours(120, 200)),
        ),
    ),
    Kind(
        "article without category",
        ARTICLE,
        ("KNW007",),
        ("Publish",),
        script="retired",
        without_column="category",
    ),
    Kind(
        "updated without review",
        ARTICLE,
        ("KNW001", "KNW008"),
        ("Update",),
        script="retired",
        edits=(
            after(
                "Publish",
                Do("Update", "worker", days(5, 60)),
                Do("Publish", "worker", hours(1, 5)),
            ),
        ),
    ),
    # --- improvements
    Kind(
        "implemented before it was started",
        IMPROVEMENT,
        ("CSI001",),
        ("Implement", "Start"),
        script="achieved",
        edits=(swapped("Start", "Implement"),),
    ),
    Kind(
        "evaluated without baseline",
        IMPROVEMENT,
        ("CSI001", "CSI002"),
        ("Evaluate",),
        script="achieved",
        edits=(without("Measure baseline"),),
    ),
    Kind(
        "implemented and not evaluated",
        IMPROVEMENT,
        ("CSI001", "CSI003", "CSI005"),
        ("Implement",),
        script="achieved",
        edits=(without("Evaluate"),),
    ),
    Kind(
        "evaluated by its implementer",
        IMPROVEMENT,
        ("CSI004",),
        ("Implement", "Evaluate"),
        script="achieved",
        edits=(by("Evaluate", "worker"),),
    ),
    Kind(
        "evaluated too late",
        IMPROVEMENT,
        ("CSI005",),
        ("Implement", "Evaluate"),
        script="achieved",
        edits=(taking("Evaluate", days(95, 110)),),
    ),
    Kind(
        "left unassessed",
        IMPROVEMENT,
        ("CSI006",),
        ("Register", "Assess"),
        script="achieved",
        edits=(taking("Assess", days(33, 45)),),
    ),
    Kind(
        "opportunity without metric",
        IMPROVEMENT,
        ("CSI007",),
        ("Register",),
        script="achieved",
        without_column="kpi",
    ),
)
