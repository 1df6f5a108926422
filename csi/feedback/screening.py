"""Which responses do not count, and why? Each keeps its reason; none is dropped in silence.

    unmatched       the log has no such ticket. Ids are compared letter by letter; `hints` count
                    those that would match but for case, blanks or a prefix: they are not joined
    undelivered     the ask reached nobody
    self-rating     who was asked worked on the ticket or belongs to the desk, or the channel says
                    so; his ask is left out, answered or not
    duplicate       the same row twice
    superseded      one person's earlier answer to one ticket (by channel and scale): the last one
                    counts; and his unanswered asks beside an answer
    contradictory   several answers of one person to one ticket at one time that differ: none counts
    late            answered after the declared time: the ask stays, as one without an answer

A person is the respondent, where the channel names one, else whoever was asked by one ask. Names
are compared exactly, and only like with like: pseudonyms of a log with those of a survey, names
with names, or, where the key of the pseudonyms is given, the pseudonym of a name with the log's.
What could not be compared is counted, and so are names that differ in case and blanks alone.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from csi.feedback.responses import CANONICAL, Response
from process_mining import privacy
from process_mining.schema import UTC_US

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    from csi.feedback.tickets import Tickets

REASONS: Final = (
    "unmatched",
    "undelivered",
    "self-rating",
    "duplicate",
    "superseded",
    "contradictory",
    "late",
)
UNMATCHED, UNDELIVERED, SELF, DUPLICATE, SUPERSEDED, CONTRADICTORY, LATE = REASONS
_PSEUDONYM: Final = re.compile(privacy.PSEUDONYM)
_DIGITS: Final = re.compile(r"0*([0-9]+)$", re.ASCII)


class Screened(NamedTuple):
    """One response, what became of it, and whether its ask still counts (`excluded` "": it does).

    `excluded` is a reason of REASONS or ""; of a late or contradictory answer the ask may stay.
    """

    response: Response
    excluded: str
    asked: bool

    @property
    def score(self) -> int | None:
        """The score that counts."""
        return self.response.score if not self.excluded else None


@dataclass(frozen=True)
class Screening:
    """All responses with what became of them, in order of ticket, time, channel and scale.

    `counts` has every reason; `unmatched_by` parts those without a ticket by the letters that
    their ids begin with, `hints` counts near misses; `unsure` says what could not be told.
    """

    rows: tuple[Screened, ...]
    counts: dict[str, int]
    unmatched_by: dict[str, int]
    hints: dict[str, int]
    unsure: dict[str, int]


def screen(
    responses: pa.Table,
    tickets: Tickets | None,
    *,
    within_us: int | None = None,
    key: bytes | None = None,
    clear_names: bool = False,
) -> Screening:
    """Tell what becomes of each response (a table of CANONICAL).

    `tickets` None: there is no log, so nothing is unmatched and nobody of the desk is known.
    `within_us`: how long after its ask an answer counts. `key` is the one that made the log's
    pseudonyms; `clear_names`: the log shows names.
    """
    rows = sorted(responses_of(responses), key=_order)
    people = _People(tickets, key, clear_names=clear_names)
    found = [_alone(row, tickets, people) for row in rows]
    found = _apart(found)
    found = [_in_time(one, within_us) for one in found]
    unmatched = [one.response.ticket for one in found if one.excluded == UNMATCHED]
    told = Counter(one.excluded for one in found)
    unsure = dict(people.unsure)
    if within_us is not None:
        untimed = sum(one.score is not None and _took(one.response) is None for one in found)
        unsure["answers without both times, so not held against the time to answer"] = untimed
    return Screening(
        rows=tuple(found),
        counts={reason: told[reason] for reason in REASONS},
        unmatched_by=dict(sorted(Counter(map(_letters, unmatched)).items())),
        hints=_hints(unmatched, tickets),
        unsure={what: n for what, n in unsure.items() if n},
    )


def screened_table(screening: Screening, *, texts: bool) -> pa.Table:
    """Return the responses with `excluded`, `asked` and, with leave (`texts`), their comments.

    Without leave the comment is left out and `commented` says whether there was one. Respondents
    are left out: what they said is in the row, and who they are is nobody's business.
    """
    rows = [one.response for one in screening.rows]
    columns = {
        field.name: pa.array([getattr(row, field.name) for row in rows], field.type)
        for field in CANONICAL
        if field.name not in ("respondent", "comment")
    }
    columns["commented"] = pa.array([row.comment is not None for row in rows], pa.bool_())
    if texts:
        columns["comment"] = pa.array([row.comment for row in rows], pa.string())
    columns["asked"] = pa.array([one.asked for one in screening.rows], pa.bool_())
    columns["excluded"] = pa.array([one.excluded or None for one in screening.rows], pa.string())
    return pa.table(columns)


def responses_of(table: pa.Table) -> list[Response]:
    """Return the rows of a table of CANONICAL."""
    columns = []
    for name in Response._fields:
        column = table[name]
        columns.append((column.cast(pa.int64()) if column.type == UTC_US else column).to_pylist())
    return [Response(*cells) for cells in zip(*columns, strict=True)]


def _order(row: Response) -> tuple[object, ...]:
    """Order rows by what they say, never by where they stood."""
    first = (row.ticket, row.asked_at or 0, row.answered_at or 0, row.channel, row.scale)
    score = -1 if row.score is None else row.score
    return (*first, score, row.respondent or "", row.comment or "", row.file, row.place)


def _alone(row: Response, tickets: Tickets | None, people: _People) -> Screened:
    """Judge a response by itself."""
    if tickets is not None and row.ticket not in tickets.by_id:
        return Screened(row, UNMATCHED, asked=False)
    if not row.delivered:
        return Screened(row, UNDELIVERED, asked=False)
    if people.of_desk(row):
        return Screened(row, SELF, asked=False)
    return Screened(row, "", asked=True)


class _People:
    """Who belongs to the desk, and what could not be compared."""

    def __init__(self, tickets: Tickets | None, key: bytes | None, *, clear_names: bool) -> None:
        self._tickets, self._key, self._clear = tickets, key, clear_names
        self.unsure: Counter[str] = Counter()
        desk = tickets.desk if tickets is not None else frozenset[str]()
        self._alike = {_plainly(name) for name in desk}

    def of_desk(self, row: Response) -> bool:
        """Whether the desk rated itself, as far as that can be told."""
        if row.self_rated is not None or row.respondent is None or self._tickets is None:
            return bool(row.self_rated)
        if not self._tickets.knows_desk:
            self.unsure["answers whose respondent could not be held against the desk's people"] += 1
            return False
        name = self._comparable(row.respondent.strip())
        if name is None:
            self.unsure["answers whose respondent is a name, the log's are pseudonyms"] += 1
            return False
        known = name in self._tickets.by_id[row.ticket].agents or name in self._tickets.desk
        if not known and _plainly(name) in self._alike:
            self.unsure["answers whose respondent differs from an agent in case or blanks"] += 1
        return known

    def _comparable(self, name: str) -> str | None:
        """Return the name as the log would write it, None where that is not known."""
        if self._clear or _PSEUDONYM.fullmatch(name):
            return name
        return None if self._key is None else privacy.pseudonym(name, self._key)


def _plainly(name: str) -> str:
    return " ".join(name.casefold().split())


def _apart(found: Sequence[Screened]) -> list[Screened]:
    """Leave one ask, and at most one answer, to each person, ticket, channel and scale."""
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, one in enumerate(found):
        if not one.excluded:
            row = one.response
            groups[row.ticket, row.channel, row.scale, person_of(row, place)].append(place)
    out = list(found)
    for places in groups.values():
        for place, reason, asked in _judged([(p, found[p].response) for p in places]):
            out[place] = Screened(found[place].response, reason, asked)
    return _without_copies(out)


def person_of(row: Response, place: int) -> str:
    """Return who was asked: the respondent, else the one ask; `place` tells rows from others."""
    if row.respondent is not None:
        return f"person {row.respondent.strip()}"
    return f"row {place}" if row.asked_at is None else f"ask {row.asked_at}"


def _judged(group: Sequence[tuple[int, Response]]) -> Iterator[tuple[int, str, bool]]:
    """Yield place, reason and whether the ask counts, for each response of one person."""
    answers = [(place, row) for place, row in group if row.score is not None]
    if not answers:
        first, *others = group
        yield first[0], "", True
        seen = {_said(first[1])}
        yield from (
            (p, DUPLICATE if _said(row) in seen else SUPERSEDED, False) for p, row in others
        )
        return
    latest = max(row.answered_at or 0 for _, row in answers)
    last = [(place, row) for place, row in answers if (row.answered_at or 0) == latest]
    agree = len({row.score for _, row in last}) == 1
    counting, kept = last[0]
    yield counting, "" if agree else CONTRADICTORY, True
    for place, row in group:
        if place == counting:
            continue
        reason = SUPERSEDED
        if not agree and (place, row) in last:
            reason = CONTRADICTORY
        elif _said(row) == _said(kept):
            reason = DUPLICATE
        yield place, reason, False


def _said(row: Response) -> Response:
    """A row without where it stood."""
    return row._replace(file="", place="")


def _without_copies(found: list[Screened]) -> list[Screened]:
    """Mark rows that repeat another one to the letter where neither person nor ask is known."""
    seen: set[Response] = set()
    out = []
    for one in found:
        said = _said(one.response)
        again = not one.excluded and said in seen
        out.append(Screened(one.response, DUPLICATE, asked=False) if again else one)
        if not one.excluded:
            seen.add(said)
    return out


def _in_time(one: Screened, within_us: int | None) -> Screened:
    took = _took(one.response)
    if one.excluded or within_us is None or one.score is None or took is None:
        return one
    return one._replace(excluded=LATE) if took > within_us else one


def _took(row: Response) -> int | None:
    if row.asked_at is None or row.answered_at is None:
        return None
    return row.answered_at - row.asked_at


def _letters(ticket: str) -> str:
    """The letters that an id begins with: what kind of ticket it would be."""
    found = re.match(r"[^\W\d_]{1,12}", ticket)
    return found[0] if found else "(no letters)"


def _hints(unmatched: Sequence[str], tickets: Tickets | None) -> dict[str, int]:
    """Count ids that would match but for something small; each by the first that fits."""
    if tickets is None or not unmatched:
        return {}
    looks: tuple[tuple[str, Callable[[str], Hashable]], ...] = (
        ("blanks around the id", str.strip),
        ("case of its letters", lambda text: text.strip().casefold()),
        ("leading noughts", lambda text: (text.strip().removesuffix(_tail(text)), _number(text))),
    )
    tables = [(name, look, {look(one) for one in tickets.by_id}) for name, look in looks]
    numbers = {_number(one) for one in tickets.by_id} - {""}
    found: Counter[str] = Counter()
    for ticket in unmatched:
        near = next((name for name, look, table in tables if look(ticket) in table), None)
        if near is None and ticket.strip().isdecimal() and _number(ticket) in numbers:
            near = "a missing prefix"
        found.update([near] if near is not None else [])
    return dict(sorted(found.items()))


def _tail(ticket: str) -> str:
    """The digits that an id ends with, its leading noughts among them."""
    match = _DIGITS.search(ticket.strip())
    return match[0] if match else ""


def _number(ticket: str) -> str:
    """The number that an id ends with, without leading noughts; "" where it has none."""
    match = _DIGITS.search(ticket.strip())
    return match[1] if match else ""
