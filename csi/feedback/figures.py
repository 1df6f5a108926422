"""How high are CSAT, NPS and CES, and what would they be had everybody answered?

Each scale has its own figures (`scales` defines the measures):

    CSAT   satisfied share; on scales of numbers the mean score too
    NPS    points: 100 x (share of 9 and 10 - share of 0 to 6)
    CES    mean agreement; share that agrees (5 to 7)

Answers on several CSAT scales are also pooled, as one share of satisfied answers: each answer is
satisfied or not by its own scale, and nothing else of it is used.

Intervals (95 %): a share has a Wilson interval; the NPS the adjusted Wald interval (three
pseudo-answers, 3/4 promoters, 3/4 detractors; Rocks 2016, The American Statistician 70, 365-372); a
mean a seeded percentile bootstrap. Where a ticket has several answers they are drawn together.

Beside every figure stands what it leaves open about those who did not answer:

    asked    had all who were asked and are silent given the lowest, or the highest, answer (Manski
             1989, Journal of Human Resources 24, 343-360)
    all      the same of all tickets that ended, asked about or not
    weighted each segment of the tickets that ended counts by its size (post-stratification: Holt &
             Smith 1979, Journal of the Royal Statistical Society A 142, 33-46): right if, inside a
             segment, silent customers think as those who answered do. Its interval is the normal
             one from the variances within segments. Segments with fewer than 5 answered tickets
             are pooled into one; were that still too small, with the smallest of the others

In `all` and `weighted` the unit is the ticket (its answers averaged), and tickets count that ended
and whose type somebody was asked about. Figures of fewer than 5 answers are left out (law 6).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from scipy.stats import norm

from csi.feedback.scales import DETRACTOR_TO, PROMOTER_FROM, SCALES
from csi.feedback.summary import SEED, SMALLEST_GROUP, Bounds
from csi.statistics import Estimate, mean, proportion
from csi.statistics.estimate import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NOTHING: Final = Bounds(None, None)
POINTS: Final = 100.0
SHARE: Final = "satisfied share"
POOLED: Final = "satisfied share, scales pooled"
_PSEUDO: Final = 0.75  # promoters, and detractors, that the adjusted Wald interval adds
_NUMBERED: Final = frozenset({"1-5", "1-7", "1-10"})


@dataclass(frozen=True)
class Ask:
    """One ask that counts: of which ticket, over which channel, on which scale, and its score.

    `who` tells one person, or one ask, from others. `known`: the channel lists silent asks too.
    """

    ticket: str
    channel: str
    scale: str
    score: int | None
    who: str
    known: bool = True


class Segment(NamedTuple):
    """One value of one way to part the tickets; `value` None: those of which it is not said."""

    by: str | None
    value: str | None


ALL: Final = Segment(None, None)


@dataclass(frozen=True)
class Kind:
    """What a figure makes of a score, and between which values it lies."""

    measure: str
    what: str
    scales: tuple[str, ...]
    lowest: float
    highest: float
    unit: str
    value: Callable[[str, int], float]

    @property
    def scale(self) -> str:
        """The scales in words."""
        return " + ".join(self.scales)


@dataclass(frozen=True)
class Weighted:
    """A figure with each segment of the ended tickets counted by its size.

    `tickets` of `population` were answered. `segments` is how many strata there were,
    `pooled` which of them had too few answers and were pooled.
    """

    by: str
    value: float
    low: float | None
    high: float | None
    tickets: int
    population: int
    segments: int
    pooled: tuple[str, ...]
    method: str


@dataclass(frozen=True)
class Figure:
    """One figure of one segment (`by` and `segment` None: of all)."""

    measure: str
    what: str
    scale: str
    by: str | None
    segment: str | None
    asked: int | None
    answered: int
    score: Estimate
    asked_bounds: Bounds
    all_bounds: Bounds
    population: int | None
    weighted: tuple[Weighted, ...] = ()
    suppressed: bool = False


@dataclass(frozen=True)
class Rate:
    """Who was asked, and who answered: of all, or of one segment.

    `asked` counts asks; None where a channel does not tell whom it asked. `never_asked` counts
    tickets that ended and of which nobody was asked, None without a log.
    """

    by: str | None
    segment: str | None
    asked: int | None
    answered: int
    rate: Estimate
    never_asked: int | None


@dataclass(frozen=True)
class Population:
    """The tickets that could have been asked about: by id, the value of each segment."""

    segments: Mapping[str, Mapping[str, str | None]]

    def within(self, by: str, value: str | None) -> Population:
        """Return those of one segment."""
        return Population({k: v for k, v in self.segments.items() if v[by] == value})


def kinds(asks: Sequence[Ask]) -> list[Kind]:
    """Return the figures that these asks give, in the order of the scales."""
    met = {ask.scale for ask in asks}
    answered = {ask.scale for ask in asks if ask.score is not None}
    found = [kind for name in SCALES if name in met for kind in _kinds_of(name)]
    csat = tuple(n for n in SCALES if n in answered and SCALES[n].measure == "CSAT")
    if len(csat) > 1:
        found.append(Kind("CSAT", POOLED, csat, 0.0, 1.0, "share of answers", _satisfied))
    return found


def _kinds_of(name: str) -> Iterator[Kind]:
    scale, only = SCALES[name], (name,)
    low, high = float(scale.lowest), float(scale.highest)
    if scale.measure == "NPS":
        yield Kind("NPS", "net promoter score", only, -POINTS, POINTS, "points", _net)
    elif scale.measure == "CES":
        yield Kind("CES", "mean agreement", only, low, high, f"score {name}", _plain)
        yield Kind("CES", "share that agrees", only, 0.0, 1.0, "share of answers", _satisfied)
    else:
        yield Kind("CSAT", SHARE, only, 0.0, 1.0, "share of answers", _satisfied)
        if name in _NUMBERED:
            yield Kind("CSAT", "mean score", only, low, high, f"score {name}", _plain)


def _satisfied(scale: str, score: int) -> float:
    return float(score >= SCALES[scale].satisfied_from)


def _plain(_: str, score: int) -> float:
    return float(score)


def _net(_: str, score: int) -> float:
    return POINTS * (float(score >= PROMOTER_FROM) - float(score <= DETRACTOR_TO))


def figures(
    asks: Sequence[Ask],
    population: Population | None,
    *,
    of: Segment = ALL,
    weigh: Sequence[str] = (),
) -> list[Figure]:
    """Return all figures of some asks, weighted by each segment of `weigh`.

    `population` None: there is no log, so nothing is known of tickets that were not asked about.
    `of` says of which segment these asks are.
    """
    return [_figure(kind, asks, population, of, weigh) for kind in kinds(asks)]


def _figure(
    kind: Kind,
    asks: Sequence[Ask],
    population: Population | None,
    of: Segment,
    weigh: Sequence[str],
) -> Figure:
    mine = [ask for ask in asks if ask.scale in kind.scales]
    answers = [(a.ticket, kind.value(a.scale, a.score)) for a in mine if a.score is not None]
    known = all(ask.known for ask in mine)
    by_ticket = _of_tickets(answers)
    if population is not None:
        by_ticket = {t: v for t, v in by_ticket.items() if t in population.segments}
    found = Figure(
        measure=kind.measure,
        what=kind.what,
        scale=kind.scale,
        by=of.by,
        segment=of.value,
        asked=len(mine) if known else None,
        answered=len(answers),
        score=estimate(kind, answers),
        asked_bounds=_bounds(kind, [v for _, v in answers], len(mine)) if known else NOTHING,
        all_bounds=NOTHING,
        population=None if population is None else len(population.segments),
    )
    if population is not None:
        n = len(population.segments)
        found = replace(found, all_bounds=_bounds(kind, list(by_ticket.values()), n))
        told = (weighted(kind, by_ticket, population, name) for name in weigh)
        found = replace(found, weighted=tuple(one for one in told if one is not None))
    return found if len(answers) >= SMALLEST_GROUP else _suppressed(found)


def _of_tickets(answers: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Average the answers of each ticket."""
    values: dict[str, list[float]] = defaultdict(list)
    for ticket, value in answers:
        values[ticket].append(value)
    return {ticket: sum(some) / len(some) for ticket, some in sorted(values.items())}


def estimate(kind: Kind, answers: Sequence[tuple[str, float]]) -> Estimate:
    """Return the figure of some answers (ticket, value) with its interval."""
    values = np.array([value for _, value in answers], np.float64)
    tickets = np.array([ticket for ticket, _ in answers], np.str_)
    if len(set(tickets.tolist())) == len(values):
        if (kind.lowest, kind.highest) == (0.0, 1.0):
            return proportion(int(values.sum()), len(values), unit=kind.unit)
        if kind.measure == "NPS":
            return _adjusted_wald(values, kind.unit)
        found = mean(values, unit=kind.unit, seed=SEED)
    else:
        found = mean(values, unit=kind.unit, seed=SEED, clusters=tickets)
    if len(values) and values.min() == values.max():
        return replace(found, low=None, high=None, method="mean; no interval: all scores are equal")
    return found


def _adjusted_wald(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], unit: str
) -> Estimate:
    """Return the NPS of values -100, 0, 100 with its interval (Rocks 2016)."""
    n, method = len(values), "NPS, adjusted Wald interval"
    if n == 0:
        return Estimate(None, None, None, 0, method, unit)
    promoters, detractors = int((values > 0).sum()), int((values < 0).sum())
    more = n + 4 * _PSEUDO
    high, low = (promoters + _PSEUDO) / more, (detractors + _PSEUDO) / more
    net = high - low
    half = _z() * float(np.sqrt((high + low - net**2) / more))
    limits = (max(net - half, -1.0) * POINTS, min(net + half, 1.0) * POINTS)
    return Estimate((promoters - detractors) / n * POINTS, *limits, n, method, unit)


def _z() -> float:
    return float(norm.ppf((1 + CONFIDENCE) / 2))


def _bounds(kind: Kind, values: Sequence[float], n: int) -> Bounds:
    """Return what the figure would be had all n answered: the silent the lowest, or the highest."""
    if not n:
        return NOTHING
    silent, total = n - len(values), sum(values)
    return Bounds((total + kind.lowest * silent) / n, (total + kind.highest * silent) / n)


def weighted(
    kind: Kind, values: Mapping[str, float], population: Population, by: str
) -> Weighted | None:
    """Weight values of tickets by the size of each segment; None where there is nothing to weigh.

    That is so where the tickets have one value of the segment or none, too few were answered, or
    all segments but one are too small to stand alone.
    """
    sizes: dict[str, int] = defaultdict(int)
    answered: dict[str, list[float]] = defaultdict(list)
    for ticket, segments in population.segments.items():
        name = segments[by] or "(not said)"
        sizes[name] += 1
        if ticket in values:
            answered[name].append(values[ticket])
    if len(sizes) < 2 or sum(map(len, answered.values())) < SMALLEST_GROUP:  # noqa: PLR2004 - one stratum has no weights
        return None
    strata, pooled = _strata(sizes, answered)
    if len(strata) == 1:
        return None
    n = sum(sizes.values())
    value = variance = 0.0
    for names in strata:
        own = np.array([v for name in names for v in answered[name]], np.float64)
        share = sum(sizes[name] for name in names) / n
        value += share * float(own.mean())
        variance += share**2 * float(own.var(ddof=1)) / len(own)
    half = _z() * variance**0.5
    bounded = variance > 0
    return Weighted(
        by=by,
        value=value,
        low=max(value - half, kind.lowest) if bounded else None,
        high=min(value + half, kind.highest) if bounded else None,
        tickets=sum(map(len, answered.values())),
        population=n,
        segments=len(sizes),
        pooled=pooled,
        method=f"post-stratified by {by}, normal interval from the variances within segments",
    )


def _strata(
    sizes: Mapping[str, int], answered: Mapping[str, list[float]]
) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """Return the strata, each a tuple of segments, and the segments that were pooled."""
    n = {name: len(answered.get(name, ())) for name in sizes}
    large = sorted((name for name in sizes if n[name] >= SMALLEST_GROUP), key=lambda x: (n[x], x))
    small = sorted(name for name in sizes if n[name] < SMALLEST_GROUP)
    if small and sum(n[name] for name in small) < SMALLEST_GROUP and large:
        small = sorted([*small, large.pop(0)])
    strata = [(name,) for name in sorted(large)] + ([tuple(small)] if small else [])
    return strata, tuple(small)


def _suppressed(figure: Figure) -> Figure:
    method = f"left out: fewer than {SMALLEST_GROUP} answers"
    return replace(
        figure,
        score=replace(figure.score, value=None, low=None, high=None, method=method),
        asked_bounds=NOTHING,
        all_bounds=NOTHING,
        weighted=(),
        suppressed=True,
    )


def response_rate(asks: Sequence[Ask], population: Population | None, *, of: Segment = ALL) -> Rate:
    """Return the share of asks that were answered; several questions of one ask are one ask."""
    people: dict[tuple[str, str, str], bool] = defaultdict(bool)
    for ask in asks:
        people[ask.ticket, ask.channel, ask.who] |= ask.score is not None
    answered, known = sum(people.values()), all(ask.known for ask in asks)
    unit = "share of asks"
    rate = proportion(answered, len(people), unit=unit)
    if not known:
        method = "not known: a channel does not tell whom it asked"
        rate = Estimate(None, None, None, 0, method, unit)
    met = {ask.ticket for ask in asks}
    never = None if population is None else sum(t not in met for t in population.segments)
    return Rate(of.by, of.value, len(people) if known else None, answered, rate, never)
