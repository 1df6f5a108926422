"""What does the log know of each ticket that was asked about, and who works at the desk?

A ticket has *ended* where it has a time of closing or of resolution, or where its last step ends it
in the words of its practice. Its month is that of its end (closing, else resolution, else its last
event; UTC), so that answered and silent tickets are parted alike. Its team is the last one named,
by a step of its practice's process where that is known: who asks for feedback is not who worked.

The desk's people are the actors of steps that only a desk does (HANDS_ON): customers register,
reopen, approve and close too. A log whose words no practice knows tells nobody of the desk.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from csi.audit import split_by_practice
from process_mining import schema as s
from process_mining.errors import CodedError
from rules.practice import load_practices, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from process_mining.eventlog import EventLog
    from rules.practice import Translation

    Bools = npt.NDArray[np.bool_]

SEGMENTS: Final = (s.PRACTICE, s.PRIORITY, s.SERVICE, s.CATEGORY, s.TEAM, "month")
HANDS_ON: Final = frozenset(
    {
        "Classify", "Assign", "Diagnose", "Escalate", "Investigate", "Resolve", "Fulfil", "Work",
        "Implement", "Build", "Deploy", "Identify root cause", "Find workaround",
    }
)  # fmt: skip
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Ticket:
    """One ticket: its value of each segment (None: not said), whether it ended, who worked on it.

    `ended_at` is µs UTC; None where it has not ended or the log has no times.
    """

    segments: dict[str, str | None]
    ended: bool
    ended_at: int | None
    agents: frozenset[str]


@dataclass(frozen=True)
class Tickets:
    """All tickets of the log by id, and the people of its desk; `notes` say what is not known.

    `translations`: each practice's share of the log in its words; none where they are not known.
    """

    by_id: dict[str, Ticket]
    desk: frozenset[str]
    notes: tuple[str, ...]
    translations: tuple[Translation, ...] = ()

    @property
    def knows_desk(self) -> bool:
        """Whether anybody of the desk is known."""
        return bool(self.desk)

    def ended(self) -> dict[str, Ticket]:
        """Return those that have ended."""
        return {key: one for key, one in self.by_id.items() if one.ended}


def tickets_of(log: EventLog, practice: str | None = None) -> Tickets:
    """Return what a log knows of its tickets, read in the words of `practice` or of their own."""
    translations: list[Translation] = []
    notes = []
    try:
        shares = split_by_practice(log, load_practices(), practice)
        translations = [translate(part, known) for known, part in shares]
    except CodedError as error:
        if practice is not None:
            raise
        notes.append(
            f"whose words the log speaks is not known, so neither is who works at the desk: {error}"
        )
    complete: dict[str, bool] = {}
    agents: dict[str, set[str]] = {}
    teams = _teams(log, np.ones(log.n_events, dtype=bool))
    for one in translations:
        ids = one.log.cases[s.CASE_ID].to_pylist()
        complete |= dict(zip(ids, one.complete.tolist(), strict=True))
        teams |= _teams(one.log, ~_acts(one.log, one.practice.outside_model))
        for case_id, actor in _hands_on(one.log):
            agents.setdefault(case_id, set()).add(actor)
    found = {
        case_id: _ticket(
            cells | {s.TEAM: teams.get(case_id)},
            complete=complete.get(case_id, False),
            agents=agents.get(case_id, set()),
        )
        for case_id, cells in _rows(log)
    }
    desk = frozenset(actor for some in agents.values() for actor in some)
    return Tickets(found, desk, tuple(notes), tuple(translations))


def _acts(log: EventLog, activities: Iterable[str]) -> Bools:
    """Tell for each event whether it is one of these activities."""
    codes = [log.arrays.code_of(activity) for activity in activities]
    return np.isin(log.arrays.activity, codes)


def _hands_on(log: EventLog) -> Iterator[tuple[str, str]]:
    arrays = log.arrays
    rows = np.flatnonzero(_acts(log, HANDS_ON) & (arrays.actor >= 0))
    ids = log.cases[s.CASE_ID].to_pylist()
    both = {(int(arrays.case_of[row]), int(arrays.actor[row])) for row in rows.tolist()}
    for case, actor in sorted(both):
        yield ids[case], arrays.actors[actor]


def _teams(log: EventLog, counting: Bools) -> dict[str, str]:
    """Return the last team that the counting events of each case name."""
    arrays, ids = log.arrays, log.cases[s.CASE_ID].to_pylist()
    rows = np.flatnonzero(counting & (arrays.team >= 0))
    pairs = zip(arrays.case_of[rows].tolist(), arrays.team[rows].tolist(), strict=True)
    return {ids[case]: arrays.teams[team] for case, team in pairs}  # the last one stays


def _rows(log: EventLog) -> Iterator[tuple[str, dict[str, object]]]:
    arrays, cases = log.arrays, log.cases
    last = arrays.at[arrays.offsets[1:] - 1] if log.n_events else np.zeros(log.n_cases, np.int64)
    names = (s.PRACTICE, s.PRIORITY, s.SERVICE, s.CATEGORY, s.CLOSED, s.RESOLVED)
    columns = {name: cases[name].to_pylist() for name in names}
    for case, case_id in enumerate(cases[s.CASE_ID].to_pylist()):
        cells: dict[str, object] = {name: columns[name][case] for name in names}
        cells["last"] = int(last[case]) if log.timed else None
        yield case_id, cells


def _ticket(cells: dict[str, object], *, complete: bool, agents: set[str]) -> Ticket:
    told = cells[s.CLOSED] if cells[s.CLOSED] is not None else cells[s.RESOLVED]
    at = told if told is not None else (cells["last"] if complete else None)
    ended_at = at if isinstance(at, int) else None
    segments = {name: cells.get(name) for name in SEGMENTS}
    segments["month"] = None if ended_at is None else _month(ended_at)
    return Ticket(
        segments={k: v if isinstance(v, str) else None for k, v in segments.items()},
        ended=told is not None or complete,
        ended_at=ended_at,
        agents=frozenset(agents),
    )


def _month(us: int) -> str:
    return (_EPOCH + dt.timedelta(microseconds=us)).strftime("%Y-%m")
