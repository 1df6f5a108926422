"""How many times as fast are we as what we are measured against? Printed, never asserted.

Both sides do the same work on the same data in the same process tree, turn by turn, so that a busy
machine slows both; the ratio is that of the medians. Asserted is only that the results are equal.
Run with `make bench`.

(a) exact alignments of a log's variants: ours, the building of the automaton included, against
    pm4py's A* with the state equation (exact) and its quickest search (not always optimal);
(b) verdicts of every rule: by distinct signatures against one durable-rules fact a case, both in a
    worker process that is started for it.

Reading XES has a file of its own, `test_xes_ratios.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest

from process_mining.alignment import align
from process_mining.interop import pm4py_alignment_costs, to_pm4py_net, to_pm4py_trace
from process_mining.sources import ReadOptions, open_log
from process_mining.sources._mapping import find_mapping
from process_mining.variants import Variants
from rules.catalogue import load_catalogue
from rules.check import measure
from rules.engine import judge
from rules.practice import PreparedDesk, prepare_desk, translate
from rules.service_level import load_service_levels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from process_mining.eventlog import EventLog
    from rules.engine import Question
    from rules.spec import DecisionTable

pytestmark = [
    pytest.mark.benchmark,
    # pm4py's own warnings are none of ours
    pytest.mark.filterwarnings("ignore"),
]
Result = TypeVar("Result")
Other = TypeVar("Other")

DATA = Path(__file__).parents[2].parent / "shared" / "data"
LOGS = {
    "uci": (DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz",),
    "bpi13": (DATA / "bpic13" / "BPIC13_closed_problems.xes.gz",),
}
PRACTICES = {"uci": "incident", "bpi13": "problem"}
TURNS = 3
VARIANTS = 300
CASES = 3_000

# One fact a case, each row of the table a rule of its own, in a process of its own.
DIRECT = """
import json, sys
from durable import engine
Host = type("QuietHost", (engine.Host,), {"_run": lambda _: None})
host, answers = Host(), []
for number, sheet in enumerate(json.load(sys.stdin)):
    fired = []
    def rule(row, tests):
        return {"all": [{"m": {"$and": tests} if len(tests) > 1 else tests[0]}],
                "run": lambda _: fired.append(row)}
    name = f"t{number}"
    host.register_rulesets({name: {f"r{i}": rule(i, t) for i, t in enumerate(sheet["rows"])}})
    verdicts = []
    for case, values in enumerate(sheet["facts"]):
        fact = {"id": case + 1, "k": 0} | dict(zip(sheet["names"], values))
        fired.clear()
        for do in (host.assert_fact, host.retract_fact):
            try:
                do(name, dict(fact))
            except engine.MessageNotHandledException:
                pass
        (row,) = fired
        verdicts.append(sheet["verdicts"][row])
    answers.append(verdicts)
json.dump(answers, sys.stdout)
"""


@dataclass(frozen=True)
class Timed:
    """Seconds of each turn."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    def say(self, what: str, against: str, n: str) -> None:
        ours, theirs = median(self.ours), median(self.theirs)
        print(  # noqa: T201 - a benchmark is there to print
            f"\n{what}: {theirs / ours:,.1f} times as fast as {against} "
            f"(ours {ours * 1e3:,.1f} ms, theirs {theirs * 1e3:,.1f} ms; n = {n}, "
            f"median of {len(self.ours)} turns)"
        )


def interleaved(
    ours: Callable[[], Result], theirs: Callable[[], Other], turns: int = TURNS
) -> tuple[Result, Other, Timed]:
    """Time both, turn by turn, after one run of each to warm up."""
    mine, other = ours(), theirs()
    spent: tuple[list[float], list[float]] = ([], [])
    for _ in range(turns):
        for times, do in zip(spent, (ours, theirs), strict=True):
            start = time.perf_counter()
            do()
            times.append(time.perf_counter() - start)
    return mine, other, Timed(tuple(spent[0]), tuple(spent[1]))


def opened(name: str) -> EventLog:
    paths = LOGS[name]
    if not paths[0].is_file():
        pytest.skip(f"{paths[0]} is missing: the real logs are not part of this project")
    mapping = find_mapping("uci_servicenow") if name == "uci" else None
    return open_log(paths, ReadOptions(mapping=mapping))


def prepared(name: str) -> PreparedDesk:
    log = opened(name)
    practice = load_catalogue().practices[PRACTICES[name]]
    now = int(log.arrays.at.max())
    return prepare_desk(
        translate(log, practice), service_levels=load_service_levels(), as_of_us=now
    )


# --- (a) alignments


def some(variants: Variants, n: int) -> Variants:
    """Every k-th variant, so that rare ones are among them as often as they are."""
    chosen = range(0, len(variants), max(1, len(variants) // n))
    spans = [slice(*variants.offsets[i : i + 2]) for i in chosen]
    return Variants(
        activities=variants.activities,
        offsets=np.cumsum([0, *(span.stop - span.start for span in spans)]),
        codes=np.concatenate([variants.codes[span] for span in spans]),
        counts=variants.counts[list(chosen)],
        variant_of_case=np.arange(len(spans)),
    )


def quickest_costs(traces: Sequence[Sequence[str]], desk: PreparedDesk) -> list[int]:
    from pm4py.algo.conformance.alignments.petri_net import (  # noqa: PLC0415 - slow import
        algorithm,
    )

    assert desk.model is not None
    net = to_pm4py_net(desk.model)
    variant = algorithm.Variants.VERSION_DIJKSTRA_LESS_MEMORY
    found = [algorithm.apply(to_pm4py_trace(t), *net, variant=variant) for t in traces]
    return [int(one["cost"]) // 10_000 for one in found]


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("search", ["A* with state equation", "quickest search"])
def test_alignments(name: str, search: str) -> None:
    desk = prepared(name)
    assert desk.variants is not None
    model = desk.model
    assert model is not None
    sample = some(desk.variants, VARIANTS)
    traces = [sample.trace(i) for i in range(len(sample))]
    exact = search.startswith("A*")

    def theirs() -> list[int]:
        return pm4py_alignment_costs(traces, model) if exact else quickest_costs(traces, desk)

    # A fresh copy has built no automaton yet.
    ours, costs, timed = interleaved(lambda: align(sample, replace(model)), theirs)
    n = f"{len(traces):,} variants of {name}, {len(sample.codes):,} events"
    timed.say("alignments", f"pm4py's {search}", n)
    if exact:
        assert ours.upper.tolist() == ours.lower.tolist() == costs
    else:
        assert all(own <= cost for own, cost in zip(ours.upper.tolist(), costs, strict=True))


# --- (b) verdicts


def raw_tests(table: DecisionTable) -> list[list[dict[str, dict[str, int | None]]]]:
    """The rows of a table as durable-rules reads them, with the bounds as they stand."""
    rows = []
    for row in table:
        tests: list[dict[str, dict[str, int | None]]] = []
        for name, interval in row.when.items():
            tests += [{"$gte": {name: interval.lo}}] * (interval.lo is not None)
            tests += [{"$lte": {name: interval.hi}}] * (interval.hi is not None)
        rows.append(tests or [{"$gte": {"k": 0}}])
    return rows


def one_fact_a_case(questions: Sequence[Question]) -> list[list[int]]:
    sheets = [
        {
            "rows": raw_tests(one.table),
            "verdicts": [int(row.verdict) for row in one.table],
            "names": list(one.facts),
            "facts": list(zip(*(values.tolist() for values in one.facts.values()), strict=True)),
        }
        for one in questions
    ]
    done = subprocess.run(
        [sys.executable, "-c", DIRECT],
        input=json.dumps(sheets),
        check=True,
        capture_output=True,
        text=True,
    )
    answers: list[list[int]] = json.loads(done.stdout)
    return answers


def test_verdicts() -> None:
    desk = prepared("uci").desk
    questions = [measure(desk, rule).question for rule in load_catalogue().for_cases("incident")]
    rows = np.linspace(0, desk.log.n_cases - 1, CASES).astype(np.int64)
    cut = [
        replace(one, facts={name: values[rows] for name, values in one.facts.items()})
        for one in questions
    ]
    asked = [one for one in cut if one.facts]
    ours, theirs, timed = interleaved(lambda: judge(asked), lambda: one_fact_a_case(asked))
    n = f"{len(asked)} rules, {CASES:,} cases of uci"
    timed.say("verdicts by signatures", "one durable-rules fact a case", n)
    assert [one.tolist() for one in ours] == theirs
