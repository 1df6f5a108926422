"""How many times as fast are our verdicts as one durable-rules fact a case?

Verdicts of every rule: by distinct signatures, against one fact a case, both in a worker process
that is started for it. Asserted is only that the results are equal.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from benchmarks.real_logs import prepared
from benchmarks.turns import interleaved

from rules.catalogue import load_catalogue
from rules.engine import judge
from rules.measuring import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.conftest import Tell

    from rules.engine import Question
    from rules.spec import DecisionTable

pytestmark = pytest.mark.benchmark

TURNS = 3
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


def test_verdicts(tell: Tell) -> None:
    desk = prepared("uci").desk
    questions = [measure(desk, rule).question for rule in load_catalogue().for_cases("incident")]
    rows = np.linspace(0, desk.log.n_cases - 1, CASES).astype(np.int64)
    cut = [
        replace(one, facts={name: values[rows] for name, values in one.facts.items()})
        for one in questions
    ]
    asked = [one for one in cut if one.facts]
    ours, theirs, timed = interleaved(lambda: judge(asked), lambda: one_fact_a_case(asked), TURNS)
    n = f"{len(asked)} rules, {CASES:,} cases of uci"
    tell(timed.line("verdicts by signatures", "one durable-rules fact a case", n))
    assert [one.tolist() for one in ours] == theirs
