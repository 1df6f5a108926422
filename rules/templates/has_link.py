"""Does a case name a ticket of the kind that it should, such as the problem it waits for?

Links come with the log (`EventLog.links`): a tool's reference fields and link tables, or the
relations of an object-centric log. Tools let people fill them in at any time, so a case may be
linked before or after the activity that asks for it, and only the end of the case decides. In a
log that has no link of the kind at all it cannot be told whether the source keeps such links, so
every case that asks for one is unknown.

Not checked: when the link was made, whether the ticket that is named exists or is the right one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc
from pydantic import Field

from process_mining import schema as s
from process_mining.columnar import segments
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import Activity, Desk, TemplateParams

if TYPE_CHECKING:
    from rules.spec import DecisionTable

FORMULA = "F activity -> the case has a link of the kind"
ONE = Interval(1, 1)
HINGES: dict[str, tuple[Verdict, ...]] = {}
EXPLAIN = {
    "recorded": "whether the log has any link of kind '{kind}' (1 yes, 0 no)",
    "count": "times '{activity}' happened",
    "links": "links of kind '{kind}' that the case has",
}


class Params(TemplateParams):
    """A case with `activity` has a link of `kind` to another ticket."""

    activity: Activity
    kind: str = Field(min_length=1, max_length=80)


def measure(desk: Desk, params: Params) -> Measure:
    """Count the links of the kind; the last asking event is shown."""
    arrays, links = desk.log.arrays, desk.log.links
    asks = desk.mask(params.activity)
    own = links.filter(pc.equal(links[s.KIND], params.kind))
    place = pc.index_in(own[s.CASE_ID], value_set=desk.log.cases[s.CASE_ID].combine_chunks())
    linked = np.bincount(
        place.drop_null().to_numpy().astype(np.int64), minlength=arrays.n_cases
    ).astype(np.int64)
    return Measure(
        facts={
            "recorded": np.full(arrays.n_cases, int(own.num_rows > 0), dtype=np.int64),
            "count": segments.count(arrays, asks),
            "links": linked,
            "complete": desk.complete.astype(np.int64),
        },
        events=(segments.last(arrays, asks),),
        measured=linked,
        limit=np.ones_like(linked),
        unit="links",
        cause=f"the log has no link of kind '{params.kind}'",
    )


def decide(_: Params) -> DecisionTable:
    """A link is enough at once; its absence counts when the case has ended."""
    asked = {"count": POSITIVE, "recorded": ONE}
    return (
        Row(Verdict.VACUOUS, {"count": ZERO, "complete": ONE}),
        Row(Verdict.PENDING, {"count": ZERO, "complete": ZERO}),
        Row(Verdict.UNKNOWN, {"count": POSITIVE, "recorded": ZERO}),
        Row(Verdict.CONFORMS, asked | {"links": POSITIVE}),
        Row(Verdict.VIOLATES, asked | {"links": ZERO, "complete": ONE}),
        Row(Verdict.PENDING, asked | {"links": ZERO, "complete": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    return f"A case with '{params.activity}' names a ticket: it has a link '{params.kind}'."
