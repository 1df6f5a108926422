"""Does the case follow the practice's reference model?

A complete case follows it when its optimal alignment (van der Aalst, Adriansyah, van Dongen 2012)
costs nothing; an open case when its prefix alignment costs nothing: some continuation reaches the
end. The cost counts steps that the model does not allow and steps that it demands and the log
lacks; activities that the source never records are silent in the model. A prefix that costs
something is final, for no continuation makes it cheaper.

Alignment costs are intervals: lower = upper where the search ended. A lower bound above 0 is enough
to violate; 0 below a positive upper bound is unknown. Cases with words that the vocabulary does not
map, and desks without a model, are unknown.

Not checked: data, time and people; which of several cheapest explanations is the true one.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from process_mining.quality import COUNT, END, MIDDLE, ORDER, START
from rules.spec import POSITIVE, ZERO, Interval, Measure, Row, Verdict
from rules.templates import CLAIMS, VIOLATION, WORDS, Desk, TemplateParams

if TYPE_CHECKING:
    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

FORMULA = "the trace, or for an open case some continuation of it, is in the language of the model"
ONE = Interval(1, 1)
HINGES = {ORDER: CLAIMS, COUNT: VIOLATION, START: CLAIMS, MIDDLE: CLAIMS, END: CLAIMS, WORDS: ()}
EXPLAIN = {
    "known": "whether there is a model, and its words are all that the case has (1 yes, 0 no)",
    "lower": "steps by which the case departs from the model, at least",
    "upper": "the same, at most",
}


class Params(TemplateParams):
    """No parameters: the model is the practice's own, or the one given on the command line."""

    READS_MODEL: ClassVar[bool] = True


def measure(desk: Desk, _: Params) -> Measure:
    """Take each case's alignment cost; the first event that departs from the model decides."""
    n_cases = desk.log.n_cases
    complete = desk.complete.astype(np.int64)
    if desk.alignment is None:
        nothing = np.zeros(n_cases, dtype=np.int64)
        facts = {"known": nothing, "lower": nothing, "upper": nothing, "complete": complete}
        return Measure(facts=facts, cause="there is no reference model to compare with")
    known = np.ones(n_cases, dtype=bool) if desk.unmapped is None else ~desk.unmapped
    lower, upper = desk.alignment.lower, desk.alignment.upper
    return Measure(
        facts={
            "known": known.astype(np.int64),
            "lower": lower,
            "upper": upper,
            "complete": complete,
        },
        events=(desk.alignment.decisive,),
        measured=lower,
        limit=np.zeros_like(lower),
        unit="steps off the model",
        cause="the case has words that the vocabulary does not map, or its cost is not settled",
        told=None if desk.deviations is None else partial(_told, desk.deviations),
    )


def _told(deviations: pa.Array, cases: Ints) -> pa.Array:
    """What some cases did otherwise, in words."""
    return deviations.take(pa.array(cases))


def decide(_: Params) -> DecisionTable:
    """Judge by the bounds of the cost."""
    known = {"known": ONE}
    free = known | {"lower": ZERO, "upper": ZERO}
    return (
        Row(Verdict.UNKNOWN, {"known": ZERO}),
        Row(Verdict.VIOLATES, known | {"lower": POSITIVE}),
        Row(Verdict.UNKNOWN, known | {"lower": ZERO, "upper": POSITIVE}),
        Row(Verdict.CONFORMS, free | {"complete": ONE}),
        Row(Verdict.PENDING, free | {"complete": ZERO}),
    )


def describe(_: Params) -> str:
    """Say what must hold."""
    return "The case follows the practice's reference model."
