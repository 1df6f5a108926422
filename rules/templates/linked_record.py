"""Is a case linked with a ticket of the kind that it should be, and is that ticket as it should be?

Links come with the log (`EventLog.links`): a tool's reference fields and link tables, or the
relations of an object-centric log. The case names the other ticket, or (`direction = "named_by"`)
is named by it. Of the other ticket, the *record*, it may be demanded that it is of a `practice` (or
of a kind of it), that it `contains` an activity of that practice, that it has `ended`, and that it
names the case `back`, by a link of that kind: all that is named must hold. With `by = "before"` it
must have held when this case did its last `activity` (what happened at that very time counts).
Demands across cases are first-order LTL over the log.

`some`: one linked record that fulfils the demand is enough; without a demand, any link is, wherever
it leads. `every`: all linked records must fulfil it, of a `practice` all that are of it (a change
that names a problem is no incident that was left open); a case without such links is vacuous. With
`activity` the rule asks those cases only that contain it; else every case, when it ends.

Tools let people fill links in at any time, before or after the activity that asks for one, so only
the end of the case decides that one is missing: until then it is pending. With `some` a fulfilled
demand is final. With `every` and `by = "ever"` one record that can fulfil it no more violates at
once; an ended record is taken not to be opened again. A record that is still open and may yet
fulfil the demand leaves an ended case pending where it decides. A record that is not in the log, of
which the source does not show what is demanded, or of which it is in doubt, leaves it unknown where
it decides. In a log that has no link of the kind at all, or none of the kind `back` where that is
demanded, it cannot be told whether the source keeps such links: every case that asks for one is
unknown. A link back may come as long as the record is open.

Complexity: O(events of all practices) an activity demanded, O(n log n) in the links.

Not checked: when the link was made; whether the ticket that is named is the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from process_mining import schema as s
from process_mining.columnar import segments
from process_mining.quality import END, MIDDLE, RECORDED, TIME
from rules.records import NOT_IN_LOG, Direction, Links, Records
from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import CLAIMS, Desk, OptionalActivity, TemplateParams
from rules.templates._values import end_of_case

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Ints
    from rules.records import Answer
    from rules.spec import DecisionTable

    Bools = npt.NDArray[np.bool_]

FORMULA = (
    "F activity -> some r with link(case, r): practice(r) & contains(r) & ended(r) & back(r, case)"
    "   every: for all r with link(case, r) & practice(r): contains(r) & ended(r)"
    "   by before: ... so at the last activity"
)
# Of a case itself only the time of its last `activity` is read, and that by `before` alone.
HINGES = {MIDDLE: CLAIMS, END: CLAIMS, TIME: CLAIMS, RECORDED: CLAIMS}
EXPLAIN = {
    "recorded": "whether the log has any link '{kind}': 1 yes, 0 no",
    "count": "times the case asks: occurrences of the activity, or 1 for the case",
    "links": "linked tickets",
    "yes": "linked tickets that fulfil the demand",
    "no": "linked tickets that do not and cannot any more",
    "maybe": "linked tickets that are open and may yet fulfil it",
    "unknown": "linked tickets of which it cannot be told",
}


class Params(TemplateParams):
    """`some` (or `every`) ticket linked with the case is as demanded."""

    kind: str = Field(
        min_length=1,
        max_length=80,
        examples=["problem"],
        description="the kind of link, such as problem",
    )
    direction: Direction = Field(
        default="names", description="names: the case names the record; named_by: the reverse"
    )
    activity: OptionalActivity = Field(
        default=None, description="the activity that asks (default: every case, when it ends)"
    )
    practice: str | None = Field(
        default=None,
        min_length=1,
        description="some: the practice that the record must be of; every: whose records are asked",
    )
    contains: str | None = Field(
        default=None,
        min_length=1,
        description="an activity of that practice that the record must contain",
    )
    ended: bool = Field(default=False, description="whether the record must have ended")
    back: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="the kind of link by which the record must name the case back",
    )
    quantifier: Literal["some", "every"] = Field(
        default="some", description="some: one such record is enough; every: all must be such"
    )
    by: Literal["ever", "before"] = Field(
        default="ever",
        description="before: as demanded when the case did its last activity; ever: at any time",
    )

    @model_validator(mode="after")
    def _sense(self) -> Params:
        if self.contains is not None and self.practice is None:
            msg = "contains names an activity of a practice: name the practice"
            raise ValueError(msg)
        if self.quantifier == "every" and not self.changing and self.back is None:
            msg = "every linked record fulfils no demand: name contains, ended or back"
            raise ValueError(msg)
        if self.by == "before" and self.activity is None:
            msg = "before what? name an activity"
            raise ValueError(msg)
        if self.by == "before" and not self.changing:
            msg = "nothing that is demanded comes at a time: name contains or ended"
            raise ValueError(msg)
        if self.by == "before" and self.back is not None:
            msg = "a link has no time: say by = 'ever' with back"
            raise ValueError(msg)
        if self.direction == "named_by" and self.back is not None:
            msg = "the record names the case already: say direction = 'names' with back"
            raise ValueError(msg)
        offending = self.contains is not None or self.back is not None
        if self.quantifier == "every" and not offending and self.by == "ever":
            msg = "an open record may always end yet, so nothing offends: say by = 'before'"
            raise ValueError(msg)
        return self

    @property
    def demanding(self) -> bool:
        """Whether anything is demanded of the record."""
        return self.practice is not None or self.changing or self.back is not None

    @property
    def changing(self) -> bool:
        """Whether something is demanded that comes at a time."""
        return self.contains is not None or self.ended

    def hinges(self, named: Mapping[str, tuple[Verdict, ...]]) -> dict[str, tuple[Verdict, ...]]:
        """Only a demand that must hold before the activity hangs on a fact of the case itself."""
        return super().hinges(named) if self.by == "before" else {}

    def spoken_elsewhere(self) -> dict[str, tuple[str, str | None]]:
        """Return the practice and the activity of other cases that the rule names."""
        named: dict[str, tuple[str, str | None]] = {}
        if self.practice is not None:
            named["practice"] = (self.practice, None)
            if self.contains is not None:
                named["contains"] = (self.practice, self.contains)
        return named


@dataclass(frozen=True, eq=False)
class _Told:
    """Of each link: does its record fulfil the demand, can it no more, may it yet, or who knows."""

    yes: Bools
    no: Bools
    maybe: Bools
    unknown: Bools


def measure(desk: Desk, params: Params) -> Measure:
    """Ask every linked record; the last asking event (else the last of the case) is shown."""
    arrays = desk.log.arrays
    records = desk.records or Records((), desk.log.links)
    ids = desk.log.cases[s.CASE_ID].combine_chunks()
    links = _asked(records, records.linked(ids, params.kind, params.direction), params)
    judged = None if params.activity is None else desk.judged(desk.mask(params.activity))
    count = np.ones(arrays.n_cases, np.int64) if judged is None else segments.count(arrays, judged)
    last = end_of_case(desk) if judged is None else segments.last(arrays, judged)
    moment = segments.take(arrays.at, last, fill=0) if params.by == "before" else None
    told = _told(records, links, params, None if moment is None else moment[links.case])
    if params.back is not None:
        told = _linked_back(told, records, links, _returned(records, ids, links, params.back))
    counts = {
        "links": _per_case(links, np.ones(len(links.case), dtype=bool), arrays.n_cases),
        "yes": _per_case(links, told.yes, arrays.n_cases),
        "no": _per_case(links, told.no, arrays.n_cases),
        "maybe": _per_case(links, told.maybe, arrays.n_cases),
        "unknown": _per_case(links, told.unknown, arrays.n_cases),
    }
    there = set(records.links[s.KIND].unique().to_pylist())
    missing = [kind for kind in (params.kind, params.back) if kind and kind not in there]
    every = params.quantifier == "every"
    measured = counts["no"] if every else counts["yes"]
    return Measure(
        facts={
            "recorded": np.full(arrays.n_cases, int(not missing), dtype=np.int64),
            "count": count,
            **counts,
            "complete": desk.complete.astype(np.int64),
        },
        events=(last,),
        measured=measured,
        limit=np.zeros_like(measured) if every else np.ones_like(measured),
        unit=_unit(params),
        starts=judged,
        stops=judged,
        cause=_cause(missing),
        told=partial(_named, links, told.no if every else ~told.yes),
        judged=judged,
    )


def _asked(records: Records, links: Links, params: Params) -> Links:
    """Leave out the records of other practices where every record of one is asked."""
    if params.quantifier == "some" or params.practice is None:
        return links
    here = links.record != NOT_IN_LOG
    other = here.copy()
    other[here] = ~records.of_practice(links.record[here], params.practice)
    return Links(links.case[~other], links.record[~other], links.named.filter(pa.array(~other)))


def _told(records: Records, links: Links, params: Params, moment: Ints | None) -> _Told:
    """Ask the records that are in the log; of the others nothing is known."""
    here = links.record != NOT_IN_LOG
    rows = links.record[here]
    moment = None if moment is None else moment[here]
    no, unknown, maybe = (np.zeros(len(rows), dtype=bool) for _ in range(3))
    if params.practice is not None:
        no = ~records.of_practice(rows, params.practice)
    answers: list[Answer] = []
    if params.contains is not None:
        answers.append(records.contains(rows, params.contains, moment))
    if params.ended:
        answers.append(records.ended(rows, moment))
    for answer in answers:
        lacking = ~answer.yes & ~answer.perhaps
        may_come = records.is_open[rows] & (moment is None)
        unknown, maybe = unknown | answer.perhaps, maybe | (lacking & may_come)
        no = no | (lacking & ~may_come)
    spread = {name: np.zeros(len(here), dtype=bool) for name in ("no", "unknown", "maybe")}
    spread["unknown"][:] = params.demanding
    spread["no"][here], spread["unknown"][here] = no, unknown & ~no
    spread["maybe"][here] = maybe & ~no & ~unknown
    rest = spread["no"] | spread["unknown"] | spread["maybe"]
    return _Told(yes=~rest, **spread)


def _returned(records: Records, ids: pa.Array, links: Links, kind: str) -> Bools:
    """Tell for each link whether its record names the case by a link of a kind."""
    found = records.linked(ids, kind, "named_by")
    both = pa.concat_arrays([links.named, found.named]).dictionary_encode().indices.to_numpy()
    size, n = len(both) + 1, len(links.case)
    return np.isin(links.case * size + both[:n], found.case * size + both[n:])


def _linked_back(told: _Told, records: Records, links: Links, back: Bools) -> _Told:
    """Demand the link back as well; it may still come while the record is open.

    Of a record that is not in the log nothing is known, nor whom it names.
    """
    here = links.record != NOT_IN_LOG
    may_come = np.zeros(len(here), dtype=bool)
    may_come[here] = records.is_open[links.record[here]]
    lacking = here & ~back
    no = told.no | (lacking & ~may_come)
    unknown = told.unknown & ~no
    maybe = (told.maybe | (lacking & may_come)) & ~no & ~unknown
    return _Told(yes=~(no | unknown | maybe), no=no, maybe=maybe, unknown=unknown)


def _per_case(links: Links, marked: Bools, n_cases: int) -> Ints:
    """Count the marked links of each case."""
    return np.bincount(links.case[marked], minlength=n_cases).astype(np.int64)


def _named(links: Links, marked: Bools, cases: Ints) -> pa.Array:
    """Say which tickets the marked links of some cases, which ascend, lead to; null for none."""
    mine = marked & np.isin(links.case, cases)
    ends = np.searchsorted(links.case[mine], cases, side="right")
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    names = pc.binary_join(pa.ListArray.from_arrays(offsets, links.named.filter(mine)), ", ")
    named = pc.binary_join_element_wise("linked with ", names, "")
    return pc.if_else(pc.equal(names, ""), pa.scalar(None, pa.string()), named)


def _unit(params: Params) -> str:
    if params.quantifier == "every":
        return "linked tickets not as demanded"
    return "linked tickets as demanded" if params.demanding else "links"


def _cause(missing: Sequence[str]) -> str:
    if missing:
        return f"the log has no link of kind '{missing[0]}'"
    return "a linked record is not in the log, or its source cannot show what is demanded of it"


def decide(params: Params) -> DecisionTable:
    """Judge by the links of a case; see the head of this module for what may still change."""
    asked = {"count": POSITIVE, "recorded": POSITIVE}
    judge = _every if params.quantifier == "every" else _some
    return (
        Row(Verdict.VACUOUS, {"count": ZERO, "complete": POSITIVE}),
        Row(Verdict.PENDING, {"count": ZERO, "complete": ZERO}),
        Row(Verdict.UNKNOWN, {"count": POSITIVE, "recorded": ZERO}),
        *(Row(row.verdict, {**asked, **row.when}) for row in judge(params)),
    )


def _some(_: Params) -> DecisionTable:
    """One is enough; none is final only when the case has ended and no record can change."""
    lacking = {"yes": ZERO, "complete": POSITIVE}
    return (
        Row(Verdict.CONFORMS, {"yes": POSITIVE}),
        Row(Verdict.PENDING, {"yes": ZERO, "complete": ZERO}),
        Row(Verdict.PENDING, lacking | {"maybe": POSITIVE}),
        Row(Verdict.UNKNOWN, lacking | {"maybe": ZERO, "unknown": POSITIVE}),
        Row(Verdict.VIOLATES, lacking | {"maybe": ZERO, "unknown": ZERO}),
    )


def _every(params: Params) -> DecisionTable:
    """One that does not is too much; by `before` a later `activity` of an open case may mend it."""
    ended, linked = {"complete": POSITIVE}, {"links": POSITIVE}
    clear = linked | {"no": ZERO, "unknown": ZERO}
    if params.by == "before":
        claims = (
            Row(Verdict.VIOLATES, linked | ended | {"no": POSITIVE}),
            Row(Verdict.UNKNOWN, linked | ended | {"no": ZERO, "unknown": POSITIVE}),
            Row(Verdict.PENDING, linked | {"complete": ZERO}),
        )
    else:
        claims = (
            Row(Verdict.VIOLATES, linked | {"no": POSITIVE}),
            Row(Verdict.UNKNOWN, linked | {"no": ZERO, "unknown": POSITIVE}),
            Row(Verdict.PENDING, clear | {"complete": ZERO}),
        )
    return (
        Row(Verdict.VACUOUS, ended | {"links": ZERO}),
        Row(Verdict.PENDING, {"links": ZERO, "complete": ZERO}),
        *claims,
        Row(Verdict.PENDING, clear | ended | {"maybe": POSITIVE}),
        Row(Verdict.CONFORMS, clear | ended | {"maybe": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    case = "a case" if params.activity is None else f"a case with '{params.activity}'"
    ticket = "ticket" if params.practice is None else f"ticket of practice '{params.practice}'"
    link = f"(link '{params.kind}')"
    demands = [] if params.contains is None else [f"contains '{params.contains}'"]
    demands += ["has ended"] * params.ended
    demands += [] if params.back is None else [f"names the case back (link '{params.back}')"]
    when = f" before the case's last '{params.activity}'" if params.by == "before" else ""
    demand = " and ".join(demands) + when
    if params.quantifier == "every":
        which = f"{case} names" if params.direction == "names" else f"names {case}"
        return f"Each {ticket} that {which} {link} {demand}."
    verb = "names" if params.direction == "names" else "is named by"
    such = f" that {demand}" if demands else ""
    return f"A{case[1:]} {verb} a {ticket} {link}{such}."
