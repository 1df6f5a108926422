"""Which tickets of a window are alike, and what is measured on each kind of them?

Tickets are alike where practice, subject and resolution are the same (`csi.opportunities.tickets`);
where the log names no resolution, practice and subject alone. Tickets of no repeated kind that have
a wider subject (the same without its last part) are tried again by that: "(others)" stands in the
name of such a kind. A ticket without a subject, or without a resolution in a log that names them,
is of no kind. A kind is *repeated* by the
definitions of `csi.opportunities.definitions`: one bad day makes no kind.

Of each repeated kind: n, tickets a month, time to resolve (median, Kaplan-Meier where some are
open), shares with Wilson limits; and against the other tickets of its practice, by Fisher's exact
test: took longer than the desk's median, less waits for the customer or others (Mood's median test;
open tickets that have not yet taken so long do not count), was handed over, was resolved at first
contact. Tickets of one day can share an outage, so Fisher's p is not enough: a score test whose
variance comes from whole days of opening has to agree (the sum of the kind's outcomes less the
others' share, by day, against its own root sum of squares: Liang & Zeger 1986, Biometrika 73,
13-22, under the null), and the greater p counts. The p-values of all kinds and questions are
adjusted together (Benjamini & Hochberg).

*Regular* is a kind whose occasions fall for the greater part into one hour of the day (an occasion
is then an hour in which such tickets were opened, however many) or onto one day of the week (then
it is a day), and more so than the desk's occasions do: binomial test, multiplied by the 31 slots
that were looked at (Bonferroni), adjusted over all kinds.

Medians take tickets to be independent; that a kind needs many days guards them against an outage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import binom, norm

from csi.opportunities.gain import Range, monthly, share_of, whole_weeks
from csi.opportunities.tickets import MONDAY
from csi.statistics import Estimate, censored_quantile, quantile
from csi.statistics.association import Table, adjusted, p_value
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    from csi.opportunities.definitions import Definitions
    from csi.opportunities.tickets import Tickets

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

HOURS: Final = 24
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SLOTS: Final = HOURS + len(WEEKDAYS)
_MACHINES: Final = (
    "monitoring monitor event events alert alerts alarm api system integration automatic machine"
)
_HIGH: Final = "critical urgent emergency blocker highest high major"
MACHINES: Final = frozenset(_MACHINES.split())
HIGH: Final = frozenset(_HIGH.split())
_LEVEL: Final = re.compile(r"\d+")
HIGHEST_LEVELS: Final = 2
_LETTERS: Final = re.compile(r"[^\W\d_]+")
OTHERS: Final = "(others)"
QUESTIONS: Final = ("long", "handed_over", "first_contact")


@dataclass(frozen=True)
class Contrast:
    """A share of the kind, of the other tickets of its practice, and the adjusted p-value."""

    share: Estimate
    others: Estimate
    p: float

    @property
    def gap(self) -> float:
        """The kind's share less that of the others; 0 where one is not known."""
        if self.share.value is None or self.others.value is None:
            return 0.0
        return self.share.value - self.others.value


@dataclass(frozen=True)
class Kind:
    """A repeated kind of ticket and what was measured on it.

    `hours`: time to resolve; `net`: less the waits for the customer or others; `touch`: in states
    of work. `slot` says into which hour or weekday its occasions fall, "" where they are not
    regular. `machine`: share that came by a channel of machines, None where no channel is told.
    `article`: None where articles are not told.
    """

    practice: str
    case_type: str
    subject: str
    category: str | None
    service: str | None
    resolution: str | None
    cases: tuple[str, ...] = field(repr=False)
    n: int
    a_month: Range
    share_of_all: float
    hours: Estimate
    desk_hours: Estimate
    net: Estimate
    desk_net: Estimate
    touch: Estimate
    reopened: Estimate
    commonest: Estimate
    simple: Estimate
    high_priority: Estimate
    article: Estimate | None
    machine: Estimate | None
    regular: Estimate
    slot: str
    contrasts: dict[str, Contrast]


@dataclass(frozen=True)
class Found:
    """The repeated kinds by practice, subject, resolution; and what was left out, in numbers."""

    kinds: tuple[Kind, ...]
    tickets: int
    without_subject: int
    without_resolution: int
    too_rare: int


def kinds_of(tickets: Tickets, given: Definitions, *, case_types: frozenset[str]) -> Found:
    """Return the repeated kinds among the tickets of some case types."""
    frame = tickets.frame[tickets.frame["case_type"].isin(case_types)]
    parts = [
        _Practice(part.reset_index(drop=True), tickets, given)
        for _, part in frame.groupby("practice", sort=True)
    ]
    kinds = [one for part in parts for one in part.kinds()]
    known = frame["subject"].notna()
    coded = known & (frame["resolution"].notna() | _no_resolution(frame))
    return Found(
        kinds=tuple(kinds),
        tickets=len(frame),
        without_subject=int((~known).sum()),
        without_resolution=int((known & ~coded).sum()),
        too_rare=int(coded.sum()) - sum(one.n for one in kinds),
    )


def _no_resolution(frame: pd.DataFrame) -> pd.Series:
    """Whether the practice of each ticket names no resolution at all."""
    told = frame["resolution"].notna().groupby(frame["practice"]).transform("any")
    return ~told.astype(bool)


def is_high(priority: pd.Series) -> Bools:
    """Tell tickets of the two highest priorities: by a number of 1 or 2, else by the word."""
    table = {word: _is_high(word) for word in priority.dropna().unique()}
    return np.array([table.get(word, False) for word in priority], dtype=bool)


def _is_high(word: str) -> bool:
    number = _LEVEL.search(word)
    if number is not None:
        return int(number[0][:9]) <= HIGHEST_LEVELS
    return bool(HIGH & set(_LETTERS.findall(word.lower())))


class _Practice:
    """The tickets of one practice, with what each kind is measured against."""

    def __init__(self, frame: pd.DataFrame, tickets: Tickets, given: Definitions) -> None:
        self.frame, self.tickets, self.given = frame, tickets, given
        self.hours, self.net = (frame[n].to_numpy(dtype=np.float64) for n in ("hours", "net_h"))
        self.timed, self.running = ~np.isnan(self.hours), frame["running"].to_numpy(dtype=bool)
        self.desk_hours = self._median(self.hours, self.timed)
        self.desk_net = self._median(self.net, self.timed)
        self.long, self.long_known = self._longer_than(self.desk_net.value)
        handed = frame["handovers"]
        self.handed_known = handed.notna().to_numpy()
        self.handed = handed.fillna(0).to_numpy(dtype=np.int64) > 0
        self.contact_known = frame["first_contact"].notna().to_numpy()
        self.contact = frame["first_contact"].fillna(value=False).to_numpy(dtype=bool)
        self.reopened = frame["reopened"].to_numpy(dtype=bool)
        self.high = is_high(frame["priority"])
        teams_told = bool(self.handed_known.any())
        one_team = ~self.handed & self.handed_known if teams_told else np.ones(len(frame), bool)
        few_steps = frame["steps"].to_numpy() <= given.steps
        self.simple = one_team & few_steps & ~self.reopened & ~self.running
        self.day = frame["day"].to_numpy(dtype=np.int64)
        self.hour = self.day * HOURS + frame["hour"].to_numpy(dtype=np.int64)
        self.whole = whole_weeks(tickets.first_day, tickets.first_day + tickets.days)

    def kinds(self) -> Iterator[Kind]:
        """Yield each repeated kind, by subject and resolution."""
        named = [(one, "") for one in self._repeated("subject", np.ones(len(self.frame), bool))]
        left = np.ones(len(self.frame), dtype=bool)
        for rows, _ in named:
            left[rows] = False
        named += [(rows, OTHERS) for rows in self._repeated("wider", left)]
        found = [self._rows(rows) for rows, _ in named]
        told = zip(found, named, self._contrasts(found), self._slots(found), strict=True)
        for mine, (_, others), contrast, (regular, slot) in told:
            kind = self._kind(mine, contrast, regular, slot)
            yield replace(kind, subject=self._name(mine, others))

    def _name(self, rows: Bools, others: str) -> str:
        first = self.frame[rows].iloc[0]
        return f"{first['wider']} {others}" if others else str(first["subject"])

    def _repeated(self, subject: str, among: Bools) -> Iterator[Ints]:
        """Yield the rows of each repeated kind by a subject, of the tickets that are left."""
        given, frame = self.given, self.frame
        coded = frame["resolution"].notna().any()
        groups = frame.groupby([subject, "resolution"] if coded else [subject], dropna=True).indices
        for key in sorted(groups, key=str):
            rows = np.sort(groups[key])
            rows = rows[among[rows]]
            if len(rows) < given.least:
                continue
            _, each = np.unique(self.day[rows], return_counts=True)
            spread = len(each) >= given.days and each.max() <= given.one_day * len(rows)
            if spread and len(rows) >= given.a_month * self.tickets.months:
                yield rows

    def _rows(self, rows: Ints) -> Bools:
        inside = np.zeros(len(self.frame), dtype=bool)
        inside[rows] = True
        return inside

    def _longer_than(self, median: float | None) -> tuple[Bools, Bools]:
        """Return which tickets took longer than the median, and of which that is known."""
        if median is None:
            return np.zeros(len(self.hours), dtype=bool), np.zeros(len(self.hours), dtype=bool)
        longer = self.timed & (self.net > median)
        return longer, self.timed & (longer | ~self.running)

    def _median(self, hours: Floats, rows: Bools) -> Estimate:
        rows = rows & self.timed
        if not self.running[rows].any():
            return quantile(hours[rows])
        return censored_quantile(hours[rows], self.running[rows])

    def _contrasts(self, found: list[Bools]) -> list[dict[str, Contrast]]:
        asked = (
            (self.long, self.long_known),
            (self.handed, self.handed_known),
            (self.contact, self.contact_known),
        )
        sides = [(hit, known, rows) for rows in found for hit, known in asked]
        tables = [_table(*side) for side in sides]
        keys = [
            max(p_value(table), _by_days(*side, self.day))
            for table, side in zip(tables, sides, strict=True)
        ]
        p_values = adjusted(keys)
        made = [_contrast(table, p) for table, p in zip(tables, p_values, strict=True)]
        step = len(QUESTIONS)
        return [
            dict(zip(QUESTIONS, made[i : i + step], strict=True)) for i in range(0, len(made), step)
        ]

    def _slots(self, found: list[Bools]) -> list[tuple[Estimate, str]]:
        """Say for each kind in which slot most of its occasions lie, and whether that is chance."""
        asked = [self._slot(rows) for rows in found]
        p_values = adjusted([p for _, _, p in asked])
        return [
            (share, slot if p <= self.given.level and _reaches(share, self.given.regular) else "")
            for (share, slot, _), p in zip(asked, p_values, strict=True)
        ]

    def _slot(self, rows: Bools) -> tuple[Estimate, str, float]:
        (counts, n), (base, of) = (self._in_slots(side) for side in (rows, ~rows))
        usual = (base + 1) / (of + 2)  # never 0: a slot that nobody else uses is rare
        chance = np.asarray(binom.sf(counts - 1, n, usual), dtype=np.float64)
        # the rarest; of equals the fullest, then the first
        best = int(np.lexsort((np.arange(SLOTS), -counts, chance))[0])
        return (
            share_of(int(counts[best]), int(n[best])),
            _slot_words(best),
            min(1.0, float(chance[best]) * SLOTS),
        )

    def _in_slots(self, rows: Bools) -> tuple[Ints, Ints]:
        """Count occasions in each slot (hours, then weekdays from Monday), and all of its sort."""
        hours, days = np.unique(self.hour[rows]), np.unique(self.day[rows])
        by_hour = np.bincount(hours % HOURS, minlength=HOURS)
        by_weekday = np.bincount((days + MONDAY) % len(WEEKDAYS), minlength=len(WEEKDAYS))
        totals = np.repeat([len(hours), len(days)], [HOURS, len(WEEKDAYS)])
        return np.concatenate([by_hour, by_weekday]), totals

    def _kind(
        self, rows: Bools, contrasts: dict[str, Contrast], regular: Estimate, slot: str
    ) -> Kind:
        mine = self.frame[rows]
        first = mine.iloc[0]
        n = len(mine)
        ways = np.unique(mine["variant"].to_numpy(), return_counts=True)[1]
        hours = self._median(self.hours, rows)
        touch = mine["working_h"].dropna().to_numpy(dtype=np.float64)
        return Kind(
            practice=first["practice"],
            case_type=first["case_type"],
            subject=first["subject"],
            category=_same(mine[s.CATEGORY]),
            service=_same(mine[s.SERVICE]),
            resolution=_same(mine["resolution"]),
            cases=tuple(mine[s.CASE_ID]),
            n=n,
            a_month=monthly(mine["week"].to_numpy(), self.tickets.days, whole=self.whole),
            share_of_all=n / len(self.frame),
            hours=hours,
            desk_hours=self.desk_hours,
            net=self._median(self.net, rows),
            desk_net=self.desk_net,
            touch=quantile(touch) if len(touch) else hours,
            reopened=share_of(int(self.reopened[rows].sum()), n),
            commonest=share_of(int(ways.max()), n),
            simple=share_of(int(self.simple[rows].sum()), n),
            high_priority=share_of(int(self.high[rows].sum()), n),
            article=_known_share(mine["article"]),
            machine=_known_share(_by_machine(mine["channel"])),
            regular=regular,
            slot=slot,
            contrasts=contrasts,
        )


def _reaches(share: Estimate, least: float) -> bool:
    return share.value is not None and share.value >= least


def _table(hit: Bools, known: Bools, rows: Bools) -> Table:
    inside, outside = known & rows, known & ~rows
    return Table(
        int((hit & inside).sum()),
        int(inside.sum()),
        int((hit & outside).sum()),
        int(outside.sum()),
    )


def _by_days(hit: Bools, known: Bools, rows: Bools, day: Ints) -> float:
    """Return the p-value of the score test with whole days as clusters; 1 where nothing is told."""
    inside, outside = known & rows, known & ~rows
    if not inside.any() or not outside.any():
        return 1.0
    _, which = np.unique(day[inside], return_inverse=True)
    scores = np.bincount(which, hit[inside] - hit[outside].mean())
    spread = float((scores**2).sum())
    return float(2 * norm.sf(abs(scores.sum()) / spread**0.5)) if spread else 1.0


def _contrast(table: Table, p: float) -> Contrast:
    return Contrast(share_of(table.k, table.n), share_of(table.k_rest, table.n_rest), p)


def _slot_words(slot: int) -> str:
    if slot < HOURS:
        return f"between {slot:02d} and {(slot + 1) % HOURS:02d} o'clock UTC"
    return f"on a {WEEKDAYS[slot - HOURS]}"


def _same(column: pd.Series) -> str | None:
    """The value that all tickets have, None where they differ or have none."""
    values = column.dropna().unique()
    return str(values[0]) if len(values) == 1 and column.notna().all() else None


def _known_share(column: pd.Series) -> Estimate | None:
    known = column.dropna()
    return share_of(int(known.sum()), len(known)) if len(known) else None


def _by_machine(channel: pd.Series) -> pd.Series:
    table = {
        word: bool(MACHINES & set(_LETTERS.findall(word.lower())))
        for word in channel.dropna().unique()
    }
    return channel.map(table).astype("boolean")
