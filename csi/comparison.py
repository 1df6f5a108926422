"""Do two groups of cases really differ, and where? Periods, teams, groups of tickets, two logs.

files → EventLog(s) → words → two sides (`comparison_sides`) → control flow (`comparison_flow`),
times (`comparison_times`).

Ended cases only are compared in their control flow (an open one may yet take any way); times use
all cases, those still open as censored. Where more than `MOST_OPEN` of a side are open, the ended
ones are no fair picture of it (the quick ones end first), and the control flow is inconclusive.
Which cases have ended: the practice says it, or `ends`; with neither, every case is taken as ended.

An export of closed tickets lacks the long ones of its last months: they were still open. Then the
later of two periods looks quicker and simpler than it was (right truncation: Lagakos, Barraj & De
Gruttola 1988, Biometrika 75, 515-523). So for two periods `expected_open` is told: the share of the
cases of B that would be open at the end of the log if they took as long as those of A. Where it is
over `MOST_OPEN` and no case of B is open, neither ways nor times are decided.

Not checked: that the groups are alike in everything but what defines them. Two periods also differ
in season, staff and tickets: a difference says that there is one, not what made it. Errors:
CodedError CL050 to CL057, and those of the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from csi.audit import by_practice
from csi.comparison_flow import Flow, compare_flow
from csi.comparison_sides import VARIANT, Told, by_column, by_date, spans, two_logs
from csi.comparison_times import TimeDifference, compare_times
from csi.conformance import ENDED_BY
from csi.statistics.permutation import PERMUTATIONS
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources import ReadOptions, open_log
from rules.practice import ended, load_practices, translate

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from csi.comparison_sides import Apart, Side
    from process_mining.eventlog import EventLog

SMALLEST_SIDE: Final = 20
MOST_OPEN: Final = 0.2

EndedBy = Literal["practice", "declared", "assumed"]


@dataclass(frozen=True)
class Least:
    """What would matter: a difference of shares of cases, and a change of a median as a share."""

    share: float = 0.05
    change: float = 0.10


@dataclass(frozen=True)
class CompareRequest:
    """What to compare with what; every field is an option of `trueloop compare`."""

    logs: tuple[Path, ...]
    read: ReadOptions = field(default_factory=ReadOptions)
    practice: str | None = None
    ends: tuple[str, ...] = ()
    split_at: dt.datetime | None = None
    column: str | None = None
    a: str | None = None
    b: str | None = None
    least: Least = field(default_factory=Least)
    permutations: int = PERMUTATIONS


@dataclass(frozen=True, eq=False)
class Compared:
    """What was compared with what, and how it came out."""

    request: CompareRequest
    logs: tuple[EventLog, ...]
    a: Side
    b: Side
    split: str
    apart: Apart
    ended_by: EndedBy
    expected_open: float | None
    flow: Flow
    times: tuple[TimeDifference, ...]

    @property
    def sides(self) -> tuple[Side, Side]:
        """A and B."""
        return self.a, self.b


def compare(request: CompareRequest, step: Callable[[str], None] = lambda _: None) -> Compared:
    """Read, split and compare, naming each step to `step`; CodedError for the user to mend."""
    require_sense(request)
    step("reading")
    if request.split_at is None and request.column is None:
        logs = tuple(open_log((path,), request.read) for path in request.logs)
    else:
        logs = (open_log(request.logs, request.read),)
    told = [_told(log, request) for log in logs]
    a, b, apart = _sides(request, told)
    step("comparing ways")
    expected_open = None if request.split_at is None else _expected_open(a, b)
    torn = _cut_short(b, expected_open)
    obstacle = _obstacle(request, (a, b)) or torn
    flow = compare_flow(
        a.ended_log,
        b.ended_log,
        least=request.least.share,
        permutations=request.permutations,
        obstacle=obstacle,
    )
    step("comparing times")
    times = compare_times(
        (a.log, a.complete, a.as_of_us),
        (b.log, b.complete, b.as_of_us),
        least=request.least.change,
        smallest=SMALLEST_SIDE,
        decidable=not torn,
        outside=() if a.words is None else a.words.practice.outside_model,
    )
    return Compared(
        request=request,
        logs=logs,
        a=a,
        b=b,
        split=_split_words(request),
        apart=apart,
        ended_by=_ended_by(request),
        expected_open=expected_open,
        flow=flow,
        times=times,
    )


def require_sense(request: CompareRequest) -> None:
    """Refuse options that do not say one split, all mistakes at once."""
    ways = [request.split_at is not None, request.column is not None]
    grouped = request.a is not None or request.b is not None
    none = not any(ways)
    checks = (
        (not all(ways), "CL050", "--split-at and --column are two splits", "Give one of them"),
        (
            not none or len(request.logs) == 2,  # noqa: PLR2004 - A and B
            "CL050",
            f"{'one log' if len(request.logs) == 1 else f'{len(request.logs)} logs'} and no split",
            "Give two files, or one log with --split-at DATE or --column NAME --a VALUE",
        ),
        (
            request.column is None or request.a is not None,
            "CL050",
            "--column without --a",
            "Say --a VALUE (and --b VALUE; without it, B is all other values)",
        ),
        (
            not grouped or request.column is not None,
            "CL050",
            "--a and --b without --column",
            "Say --column NAME too",
        ),
        (
            request.a is None or request.a != request.b,
            "CL052",
            f"--a and --b are both '{request.a}'",
            "Give two different values",
        ),
        (
            0 < request.least.share < 1,
            "CL056",
            f"--minimum-difference {request.least.share}",
            "Give a share of cases above 0 and below 1, such as 0.05",
        ),
        (
            0 < request.least.change < float("inf"),
            "CL056",
            f"--minimum-change {request.least.change}",
            "Give a share of the median above 0, such as 0.1",
        ),
    )
    raise_all([CodedError(code, what, fix=fix) for good, code, what, fix in checks if not good])


def _ended_by(request: CompareRequest) -> EndedBy:
    return "declared" if request.ends else "practice" if request.practice else "assumed"


def ended_words(found: Compared) -> str:
    """Say by what a case counts as ended."""
    return ENDED_BY[found.ended_by]


def _split_words(request: CompareRequest) -> str:
    if request.split_at is not None:
        return "by the time of the first event of a case"
    if request.column is not None:
        return f"by the column {request.column}"
    return "two logs"


def _sides(request: CompareRequest, told: Sequence[Told]) -> tuple[Side, Side, Apart]:
    if request.split_at is not None:
        return by_date(told[0], request.split_at)
    if request.column is not None and request.a is not None:
        return by_column(told[0], request.column, request.a, request.b)
    names = [path.name for path in request.logs]
    same = names[0] == names[1]
    return two_logs([str(path) for path in request.logs] if same else names, told)


# --- words


def _told(log: EventLog, request: CompareRequest) -> Told:
    """Say a log in the practice's words, if one is named, and tell which cases have ended."""
    if request.practice is None:
        _require_ends(request.ends, log.arrays.activities)
        complete = ended(log, request.ends) if request.ends else np.ones(log.n_cases, dtype=bool)
        return Told(log, complete, None)
    practice, part = by_practice(log, load_practices(), request.practice)[0]
    found = translate(part, practice)
    complete = found.complete
    if request.ends:
        _require_ends(request.ends, sorted(practice.words))
        complete = ended(found.log, request.ends, outside=practice.outside_model)
    return Told(found.log, complete, found, log.n_cases - part.n_cases)


def _require_ends(ends: Sequence[str], known: Sequence[str]) -> None:
    raise_all(
        [
            CodedError("CL057", f"--ends '{name}' is no activity", fix=did_you_mean(name, known))
            for name in sorted(set(ends) - set(known))
        ]
    )


def _expected_open(a: Side, b: Side) -> float:
    """Return the share of B's cases that would be open yet if they took as long as those of A."""
    (begin, end), (opened, _) = spans(a.log), spans(b.log)
    took = np.sort(end - begin)
    longer = len(took) - np.searchsorted(took, b.as_of_us - opened, side="right")
    return float(longer.sum()) / (len(took) * len(opened))


def _cut_short(b: Side, expected_open: float | None) -> str:
    """Say that B may lack its long cases, if so."""
    if expected_open is None or expected_open <= MOST_OPEN or not b.complete.all():
        return ""
    return (
        f"{expected_open:.0%} of B would be open yet if its cases took as long as those of A, and "
        "none is: a log of closed cases lacks the long ones of its last months"
    )


def _obstacle(request: CompareRequest, sides: tuple[Side, Side]) -> str:
    """Say why no test can tell whether the ways differ, if so."""
    if request.column == VARIANT:
        return "the groups are defined by their ways, so a test whether these differ is circular"
    few = [
        f"{name} has {int(side.complete.sum())}"
        for name, side in zip("AB", sides, strict=True)
        if side.complete.sum() < SMALLEST_SIDE
    ]
    if few:
        return f"{' and '.join(few)} ended cases, {SMALLEST_SIDE} a side are needed"
    torn = [
        f"{side.open_share:.0%} of {name}"
        for name, side in zip("AB", sides, strict=True)
        if side.open_share > MOST_OPEN
    ]
    if torn:
        return f"{' and '.join(torn)} have not ended, and the quick ones end first"
    return ""
