"""What does a rule on linked tickets say of one ticket, by looking at each linked one in turn?

A `Record` is one ticket of any practice; links are (from, to, kind). What a source may hide is
judged by trying: hidden steps are there or not, an open record may go on. Nothing of the product is
imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Link = tuple[str, str, str]


@dataclass(frozen=True)
class Record:
    """One ticket: `practices` are its own and the one that it is a kind of.

    `hidden` are words that its source may not show; `words` has those that nobody knows as None.
    `whole`: no step can be missing; `timed`: its times are right.
    """

    practices: tuple[str, ...]
    steps: tuple[tuple[str | None, int], ...]
    ends: frozenset[str] = frozenset({"Close", "Cancel"})
    outside: frozenset[str] = frozenset({"Ask feedback"})
    hidden: frozenset[str] = frozenset()
    whole: bool = True
    timed: bool = True

    def closed(self, by: int | None = None) -> bool:
        """Whether its last step (by then) ends it."""
        words = [w for w, at in self.steps if w not in self.outside and (by is None or at <= by)]
        return bool(words) and words[-1] in self.ends

    @property
    def sure(self) -> bool:
        """Whether every step of it is seen and understood."""
        return self.whole and all(word is not None for word, _ in self.steps)


@dataclass(frozen=True)
class Demand:
    """The parameters of the template."""

    kind: str
    direction: str = "names"
    activity: str | None = None
    practice: str | None = None
    contains: str | None = None
    ended: bool = False
    quantifier: str = "some"
    by: str = "ever"
    back: str | None = None


def linked_record(
    name: str, log: Mapping[str, Record], links: Sequence[Link], demand: Demand
) -> str:
    case = log[name]
    asks = [at for word, at in case.steps if word == demand.activity]
    if demand.activity is not None and not asks:
        return "vacuous" if case.closed() else "pending"
    kept = {kind for _, _, kind in links}
    if demand.kind not in kept or (demand.back is not None and demand.back not in kept):
        return "unknown"
    if demand.direction == "names":
        others = {to for mine, to, kind in links if (mine, kind) == (name, demand.kind)}
    else:
        others = {mine for mine, to, kind in links if (to, kind) == (name, demand.kind)}
    moment = asks[-1] if demand.by == "before" else None
    if demand.quantifier == "every" and demand.practice is not None:
        found = {other: log.get(other) for other in others}
        others = {x for x, r in found.items() if r is None or demand.practice in r.practices}
    back = {mine for mine, to, kind in links if (to, kind) == (name, demand.back)}
    told = [state(log.get(x), demand, moment, back=x in back) for x in sorted(others)]
    return _every(case, told, demand) if demand.quantifier == "every" else _some(case, told)


def _some(case: Record, told: Sequence[str]) -> str:
    if "yes" in told:
        return "conforms"
    if not case.closed() or "maybe" in told:
        return "pending"
    return "unknown" if "unknown" in told else "violates"


def _every(case: Record, told: Sequence[str], demand: Demand) -> str:
    if not told:
        return "vacuous" if case.closed() else "pending"
    if not case.closed() and demand.by == "before":
        return "pending"
    if "no" in told:
        return "violates"
    if "unknown" in told:
        return "unknown"
    return "conforms" if case.closed() and "maybe" not in told else "pending"


def state(record: Record | None, demand: Demand, moment: int | None, *, back: bool) -> str:
    """Whether a record is as demanded: yes, no, maybe later, or unknown."""
    if record is None:
        demanding = demand.practice or demand.contains or demand.ended or demand.back
        return "unknown" if demanding else "yes"
    parts = []
    if demand.practice is not None:
        parts.append("yes" if demand.practice in record.practices else "no")
    if demand.contains is not None:
        parts.append(_contains(record, demand.contains, moment))
    if demand.ended:
        parts.append(_ended(record, moment))
    if demand.back is not None:
        parts.append("yes" if back else "no" if record.closed() else "maybe")
    return next((word for word in ("no", "unknown", "maybe") if word in parts), "yes")


def _contains(record: Record, wanted: str, moment: int | None) -> str:
    ats = [at for word, at in record.steps if word == wanted]
    missing = record.sure and wanted not in record.hidden
    if moment is None:
        if ats:
            return "yes"
        return "unknown" if not missing else "no" if record.closed() else "maybe"
    if not record.timed and (ats or not missing):
        return "unknown"
    if any(at <= moment for at in ats):
        return "yes"
    return "no" if missing else "unknown"


def _ended(record: Record, moment: int | None) -> str:
    if moment is not None and not record.timed:
        return "unknown"
    if record.closed(moment):
        return "yes"
    if moment is None:  # a step that is missing before the last one changes nothing
        return "maybe" if all(word is not None for word, _ in record.steps) else "unknown"
    return "no" if record.sure else "unknown"
