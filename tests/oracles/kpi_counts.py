"""What does each KPI come to on a desk, counted case by case in plain loops?

Reads the raw events and the ticket table as they are written, not what the package makes of them.
Verdicts of rules and clocks of targets are taken as given: other oracles judge those.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

HOUR = 3600.0
CONFORMS, VIOLATES = "conforms", "violates"
ENDS = {
    "incident": {"Close", "Cancel"},
    "problem": {"Close", "Cancel"},
    "change": {"Close", "Cancel", "Reject"},
    "service_request": {"Close", "Cancel", "Reject"},
}
FEEDBACK = {"Ask feedback", "Receive feedback", "Contact customer"}
BESIDE = {"incident": FEEDBACK, "service_request": FEEDBACK, "change": {"Test"}}
NO_STEP = {"Customer replied", "Customer reminded", "Priority changed"}
TAKES_UP = {"Assign", "Diagnose", "Work", "Investigate", "Resolve", "Fulfil"}


class Event(NamedTuple):
    """One row: seconds UTC, what was done, by which team."""

    at: float
    activity: str
    team: str | None


@dataclass
class Case:
    """One ticket with its rows in order; `kind` is the practice that judges it."""

    case_id: str
    practice: str
    kind: str
    opened: float
    events: list[Event]

    def first(self, *activities: str) -> float | None:
        return next((e.at for e in self.events if e.activity in activities), None)

    def last_where(self, wanted: Callable[[str], bool]) -> int:
        places = [i for i, e in enumerate(self.events) if wanted(e.activity)]
        return places[-1] if places else -1

    def is_work(self, activity: str) -> bool:
        return (
            activity not in NO_STEP
            and activity not in BESIDE.get(self.practice, set())
            and activity not in ENDS.get(self.practice, set())
            and activity not in {"Resolve", "Fulfil", "Review", "Inform stakeholders"}
        )

    @property
    def resolved(self) -> float | None:
        done = self.last_where(lambda a: a in {"Resolve", "Fulfil"})
        worked = self.last_where(self.is_work)
        return self.events[done].at if done > worked else None

    @property
    def reopened(self) -> bool:
        seen = False
        for event in self.events:
            if seen and self.is_work(event.activity):
                return True
            seen = seen or event.activity in {"Resolve", "Fulfil"}
        return False

    @property
    def closed(self) -> float | None:
        beside = BESIDE.get(self.practice, set()) | NO_STEP
        steps = [e for e in self.events if e.activity not in beside]
        ends = ENDS.get(self.practice, {"Close", "Cancel", "Retire", "Terminate", "Expire"})
        return steps[-1].at if steps and steps[-1].activity in ends else None

    @property
    def handovers(self) -> int:
        teams = [e.team for e in self.events if e.team]
        return sum(a != b for a, b in itertools.pairwise(teams))


@dataclass
class Desk:
    """All cases, what rules and clocks say of them, the answers of customers, and the end."""

    cases: list[Case]
    verdicts: Mapping[str, Mapping[str, str]]
    clocks: list[dict[str, object]]
    surveys: list[dict[str, object]]
    end: float


class Counted(NamedTuple):
    """The value (None: cannot be said) and how many it rests on."""

    value: float | None
    n: int


@dataclass
class Counter:
    """One desk through one window [start, end), seconds UTC."""

    desk: Desk
    start: float
    end: float

    def of(self, practice: str, kind: str = "") -> list[Case]:
        return [
            c
            for c in self.desk.cases
            if c.practice == practice
            and (not kind or c.kind == kind)
            and self.start <= c.opened < self.end
        ]

    def time(
        self,
        cases: Iterable[Case],
        begin: Callable[[Case], float | None],
        stop: Callable[[Case], float | None],
        percent: int = 50,
    ) -> Counted:
        lengths = []
        for case in cases:
            start, got = begin(case), stop(case)
            if start is None:
                continue
            seen = got if got is not None else case.closed
            length = ((self.desk.end if seen is None else seen) - start) / HOUR
            if length >= 0:
                lengths.append((length, got is not None))
        return Counted(kaplan_meier(lengths, percent), len(lengths))

    def rule(self, practice: str, code: str, counted: str = CONFORMS) -> Counted:
        said = [self.desk.verdicts[code].get(c.case_id) for c in self.of(practice)]
        decided = [one for one in said if one in {CONFORMS, VIOLATES}]
        return share([one == counted for one in decided])

    def open_cases(self, practice: str) -> list[Case]:
        early = [c for c in self.desk.cases if c.practice == practice and c.opened < self.end]
        return [c for c in early if c.closed is None or c.closed >= self.end]

    def answers(self) -> list[float]:
        mine = {c.case_id for c in self.of("incident")}
        rows = [r for r in self.desk.surveys if r["ticket"] in mine]
        return [float(str(r["score"])) for r in rows if r["score"] not in {None, ""}]

    def clock(self, metric: str | None, agreement: str) -> list[dict[str, object]]:
        mine = {c.case_id for c in self.of("incident")}
        return [
            row
            for row in self.desk.clocks
            if row["case_id"] in mine
            and row["agreement"] == agreement
            and (metric is None or row["metric"] == metric)
        ]

    def met(self, metric: str | None, agreement: str) -> Counted:
        rows = [r for r in self.clock(metric, agreement) if r["status"] in {"met", "breached"}]
        return share([r["status"] == "met" for r in rows])


def share(flags: Iterable[bool]) -> Counted:
    given = list(flags)
    return Counted(sum(given) / len(given) if given else None, len(given))


def average(values: list[float]) -> Counted:
    return Counted(math.fsum(values) / len(values) if values else None, len(values))


def kaplan_meier(lengths: list[tuple[float, bool]], percent: int) -> float | None:
    """The first length by which `percent` of a hundred have got there; exact fractions."""
    ended: dict[float, int] = defaultdict(int)
    left: dict[float, int] = defaultdict(int)
    for length, got in lengths:
        ended[length] += got
        left[length] += 1
    waiting, at_risk = Fraction(1), len(lengths)
    for length in sorted(left):
        waiting *= 1 - Fraction(ended[length], at_risk)
        if waiting <= 1 - Fraction(percent, 100):
            return length
        at_risk -= left[length]
    return None


def percentile(values: list[float], percent: int) -> float | None:
    """The smallest value that at least `percent` of a hundred do not pass."""
    ordered = sorted(values)
    place = math.ceil(Fraction(percent * len(ordered), 100))
    return ordered[max(place, 1) - 1] if ordered else None


def within(counter: Counter, hours: float) -> Counted:
    flags = []
    for case in counter.of("incident"):
        due = case.opened + hours * HOUR
        gave_up = case.resolved is None and case.closed is not None and case.closed < due
        if due <= counter.desk.end and not gave_up:
            flags.append(case.resolved is not None and case.resolved <= due)
    return share(flags)


def with_step(cases: Iterable[Case], step: str, among: str) -> Counted:
    counted = [c for c in cases if c.first(step) is not None or c.first(among) is not None]
    return share([c.first(step) is not None for c in counted])


def opened(case: Case) -> float:
    return case.opened


def resolved(case: Case) -> float | None:
    return case.resolved


def taken_up(case: Case) -> float | None:
    return case.first(*TAKES_UP)


def step(*names: str) -> Callable[[Case], float | None]:
    return lambda case: case.first(*names)


def _reopened(c: Counter, practice: str) -> Counted:
    done = [one for one in c.of(practice) if one.resolved is not None or one.reopened]
    return share([one.reopened for one in done])


def _first_contact(c: Counter) -> Counted:
    done = [one for one in c.of("incident") if one.resolved is not None or one.reopened]
    named = [one for one in done if any(e.team for e in one.events)]
    return share([one.handovers == 0 and not one.reopened for one in named])


def _backlog(c: Counter, practice: str) -> Counted:
    n = len(c.open_cases(practice))
    return Counted(float(n), n)


def _ages(c: Counter) -> Counted:
    end = min(c.end, c.desk.end)
    hours = [(end - one.opened) / HOUR for one in c.open_cases("incident")]
    return Counted(percentile(hours, 50), len(hours))


def _a_week(c: Counter) -> Counted:
    n = len(c.of("incident"))
    return Counted(n / ((min(c.end, c.desk.end) - c.start) / (7 * 24 * HOUR)), n)


def _by_pausing(c: Counter) -> Counted:
    met = [r for r in c.clock("resolve", "SLA") if r["status"] == "met"]
    return share([int(str(r["ran"])) > int(str(r["limit"])) for r in met])


def _cancelled(c: Counter) -> Counted:
    ended = [one for one in c.of("incident") if one.closed is not None or one.first("Cancel")]
    return share([one.first("Cancel") is not None for one in ended])


def _responses(c: Counter) -> Counted:
    mine = {one.case_id for one in c.of("incident")}
    return share([r["score"] not in {None, ""} for r in c.desk.surveys if r["ticket"] in mine])


def _emergencies(c: Counter) -> Counted:
    told = [one for one in c.of("change") if one.kind != "change"]
    return share([one.kind == "emergency_change" for one in told])


def _handovers(c: Counter) -> Counted:
    return average([float(one.handovers) for one in c.of("incident") if one.resolved is not None])


KPIS: Mapping[str, Callable[[Counter], Counted]] = {
    "KPI01": lambda c: c.time(c.of("incident"), opened, resolved),
    "KPI02": lambda c: c.time(c.of("incident"), opened, resolved, 90),
    "KPI03": lambda c: c.met("resolve", "SLA"),
    "KPI04": lambda c: c.met("respond", "SLA"),
    "KPI05": lambda c: _reopened(c, "incident"),
    "KPI06": lambda c: average(c.answers()),
    "KPI07": _responses,
    "KPI08": lambda c: c.rule("incident", "INC006"),
    "KPI09": _handovers,
    "KPI10": lambda c: _backlog(c, "incident"),
    "KPI11": lambda c: c.time(c.of("problem"), opened, step("Identify root cause")),
    "KPI12": lambda c: share([score >= 4 for score in c.answers()]),
    "KPI13": lambda c: c.time(c.of("incident"), opened, taken_up),
    "KPI14": lambda c: c.time(c.of("incident"), opened, taken_up, 90),
    "KPI15": lambda c: c.time(c.of("incident"), opened, resolved, 75),
    "KPI16": lambda c: within(c, 24),
    "KPI17": _first_contact,
    "KPI18": lambda c: c.time(c.of("incident"), resolved, lambda case: case.closed),
    "KPI19": _ages,
    "KPI20": _a_week,
    "KPI21": _cancelled,
    "KPI22": lambda c: c.rule("incident", "INC004", VIOLATES),
    "KPI23": lambda c: c.met(None, "OLA"),
    "KPI24": _by_pausing,
    "KPI25": lambda c: c.rule("service_level", "SLM005"),
    "KPI26": lambda c: c.rule("service_level", "SLM006"),
    "KPI27": lambda c: c.time(c.of("problem"), opened, resolved),
    "KPI28": lambda c: _backlog(c, "problem"),
    "KPI29": lambda c: c.rule("problem", "PRB007"),
    "KPI30": lambda c: c.rule("problem", "PRB006", VIOLATES),
    "KPI31": lambda c: c.rule("problem", "PRB004"),
    "KPI32": lambda c: with_step(c.of("change"), "Back out", "Implement"),
    "KPI33": _emergencies,
    "KPI34": lambda c: c.rule("change", "CHG009"),
    "KPI35": lambda c: c.rule("change", "CHG022"),
    "KPI36": lambda c: c.rule("change", "CHG002"),
    "KPI37": lambda c: c.rule("change", "CHG001"),
    "KPI38": lambda c: c.rule("change", "CHG003"),
    "KPI39": lambda c: c.time(c.of("change", "normal_change"), opened, step("Implement")),
    "KPI40": lambda c: c.time(c.of("service_request"), opened, resolved),
    "KPI41": lambda c: c.time(c.of("service_request"), opened, resolved, 90),
    "KPI42": lambda c: c.rule("service_request", "REQ005"),
    "KPI43": lambda c: c.rule("service_request", "REQ001"),
    "KPI44": lambda c: _backlog(c, "service_request"),
    "KPI45": lambda c: _reopened(c, "service_request"),
    "KPI46": lambda c: c.rule("release", "REL002"),
    "KPI47": lambda c: c.rule("release", "REL003"),
    "KPI48": lambda c: with_step(c.of("release"), "Back out", "Deploy"),
    "KPI49": lambda c: c.time(c.of("release"), opened, step("Deploy")),
    "KPI50": lambda c: c.time(c.of("incident", "major_incident"), opened, resolved),
    "KPI51": lambda c: c.time(
        c.of("incident", "major_incident"),
        step("Declare major incident"),
        step("Inform stakeholders"),
    ),
    "KPI52": lambda c: c.rule("incident", "MAJ004"),
    "KPI53": lambda c: c.rule("knowledge", "KNW004"),
    "KPI54": lambda c: c.rule("knowledge", "KNW006"),
    "KPI55": lambda c: c.time(c.of("knowledge"), opened, step("Publish")),
    "KPI56": lambda c: c.rule("knowledge", "KNW002"),
    "KPI57": lambda c: c.rule("incident", "FBK002"),
    "KPI58": lambda c: c.rule("feedback", "FBK010"),
    "KPI59": lambda c: c.rule("feedback", "FBK006"),
    "KPI60": lambda c: c.rule("feedback", "FBK004"),
    "KPI61": lambda c: c.rule("continual_improvement", "CSI003"),
    "KPI62": lambda c: c.rule("continual_improvement", "CSI007"),
    "KPI63": lambda c: c.time(c.of("continual_improvement"), step("Start"), step("Evaluate")),
}
