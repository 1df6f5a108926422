"""durable-rules in its worker: right on random tables, and every known trap is noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from process_mining.errors import RunError
from rules.engine import MAX_CONDITIONS, Question, judge
from rules.spec import NEGATIVE, POSITIVE, ZERO, Interval, Row, Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rules.spec import DecisionTable

ROOT = Path(__file__).parents[2]
INT64 = np.iinfo(np.int64)
SIGNS: DecisionTable = (
    Row(Verdict.VACUOUS, {"count": ZERO}),
    Row(Verdict.VIOLATES, {"count": POSITIVE, "late": POSITIVE}),
    Row(Verdict.CONFORMS, {"count": POSITIVE, "late": NEGATIVE}),
    Row(Verdict.PENDING, {"count": POSITIVE, "late": ZERO}),
)


def question(table: DecisionTable, facts: Mapping[str, object], rule: str = "INC001") -> Question:
    return Question(rule, table, {k: np.array(v, dtype=np.int64) for k, v in facts.items()})


def assert_agree(*questions: Question) -> None:
    for one, judged in zip(questions, judge(questions), strict=True):
        assert judged.dtype == np.int8
        assert judged.tolist() == decide(one.table, one.facts, one.rule).tolist()


def worker(script: str) -> tuple[str, ...]:
    """A worker of our own making: the real module, changed by a script."""
    return (sys.executable, "-P", "-c", "from rules import engine\n" + script)


def test_verdicts_by_hand() -> None:
    facts = {"count": [0, 1, 5, 2], "late": [9, 3, -1, 0]}
    (judged,) = judge([question(SIGNS, facts)])
    words = [Verdict(v).word for v in judged]
    assert words == ["vacuous", "violates", "conforms", "pending"]


def test_cases_get_the_verdict_of_their_group() -> None:
    of_groups = question(SIGNS, {"count": [0, 1, 5], "late": [9, 3, -1]})
    (judged,) = judge([replace(of_groups, of_case=np.array([2, 0, 1, 1, 2]))])
    words = [Verdict(v).word for v in judged]
    assert words == ["conforms", "vacuous", "violates", "violates", "conforms"]


def test_no_questions_and_no_cases() -> None:
    assert judge([]) == []
    (empty,) = judge([question(SIGNS, {"count": [], "late": []})])
    assert empty.tolist() == []


def test_a_row_without_conditions_always_holds() -> None:
    assert_agree(question((Row(Verdict.UNKNOWN),), {"count": [-3, 0, 3]}))


# --- random tables: cut each field's axis at random bounds, give each box a verdict

values = st.one_of(
    st.integers(-5, 5),
    st.integers(INT64.min, INT64.max),
    st.sampled_from([INT64.min, INT64.min + 1, INT64.max - 1, INT64.max]),
)


@st.composite
def tables(draw: st.DrawFn) -> Question:
    """A table that covers the whole space once: a random binary splitting of boxes."""
    names = draw(st.sampled_from([("a",), ("a", "b"), ("a", "b", "c")]))
    boxes: list[dict[str, Interval]] = [{}]
    for _ in range(draw(st.integers(0, 6))):
        box = boxes.pop(draw(st.integers(0, len(boxes) - 1)))
        name, cut = draw(st.sampled_from(names)), draw(values)
        whole = box.get(name, Interval())
        boxes += [
            box | {name: Interval(whole.lo, cut if whole.hi is None else min(cut, whole.hi))},
            box
            | {name: Interval(cut + 1 if whole.lo is None else max(cut + 1, whole.lo), whole.hi)},
        ]
    table = tuple(Row(draw(st.sampled_from(Verdict)), box) for box in boxes)
    bounds = [
        b + d for box in boxes for i in box.values() for b in (i.lo, i.hi) if b for d in (-1, 0, 1)
    ]
    inside = [b for b in bounds if INT64.min <= b <= INT64.max]
    value = st.one_of(values, st.sampled_from(inside)) if inside else values
    size = draw(st.integers(1, 20))
    facts = {n: draw(st.lists(value, min_size=size, max_size=size)) for n in names}
    return question(table, facts, draw(st.sampled_from(["INC001", "PRB002"])))


@settings(max_examples=15, deadline=None)
@given(st.lists(tables(), min_size=8, max_size=16))
def test_random_tables_agree_with_the_evaluator(questions: list[Question]) -> None:
    assert_agree(*questions)


def test_integers_around_the_edges_of_int64() -> None:
    table = (
        Row(Verdict.CONFORMS, {"a": Interval(None, INT64.min)}),
        Row(Verdict.VIOLATES, {"a": Interval(INT64.min + 1, INT64.max - 1)}),
        Row(Verdict.PENDING, {"a": Interval(INT64.max, 2**63)}),
        Row(Verdict.UNKNOWN, {"a": Interval(2**63 + 1, None)}),
    )
    assert_agree(question(table, {"a": [INT64.min, INT64.min + 1, 0, INT64.max - 1, INT64.max]}))


def test_neighbours_that_a_double_cannot_tell_apart() -> None:
    table = (
        Row(Verdict.CONFORMS, {"a": Interval(None, 2**53)}),
        Row(Verdict.VIOLATES, {"a": Interval(2**53 + 1, None)}),
    )
    assert_agree(question(table, {"a": [2**53 - 1, 2**53, 2**53 + 1, 2**53 + 2]}))


# --- size


def test_600_rules_with_tables_of_their_own() -> None:
    facts = {"a": np.arange(-10, 700)}
    questions = [
        question(
            (
                *(Row(Verdict.PENDING, {"a": Interval(k, k)}) for k in range(1, 1 + i % 7)),
                Row(Verdict.CONFORMS, {"a": Interval(None, 0)}),
                Row(Verdict.VIOLATES, {"a": Interval(1 + i % 7, 100 + i)}),
                Row(Verdict.UNKNOWN, {"a": Interval(101 + i, None)}),
            ),
            facts,
            f"INC{i:03d}",
        )
        for i in range(600)
    ]
    assert_agree(*questions)


def test_more_conditions_than_one_ruleset_can_hold() -> None:
    n = 4 * MAX_CONDITIONS
    table = (
        Row(Verdict.UNKNOWN, {"a": NEGATIVE}),
        *(Row(Verdict(i % 5), {"a": Interval(3 * i, 3 * i + 2)}) for i in range(n)),
        Row(Verdict.VACUOUS, {"a": Interval(3 * n, None)}),
    )
    assert_agree(question(table, {"a": np.arange(-5, 3 * n + 5)}))


def test_one_row_with_more_conditions_than_a_ruleset_should_hold() -> None:
    names = [f"fact{i}" for i in range(40)]
    inside = {name: Interval(0, 9) for name in names}
    table = (
        Row(Verdict.CONFORMS, inside),
        Row(Verdict.VIOLATES, inside | {"fact39": Interval(10, None)}),
    )
    assert_agree(question(table, {name: [0, 9] for name in names[:-1]} | {"fact39": [9, 10]}))


def test_many_signatures() -> None:
    """3,600 distinct vectors of one table, each asserted in every ruleset of the table."""
    n = 60
    table = (
        *(Row(Verdict.CONFORMS, {"a": Interval(i, i), "b": Interval(None, i)}) for i in range(n)),
        *(
            Row(Verdict(1 + i % 4), {"a": Interval(i, i), "b": Interval(i + 1, None)})
            for i in range(n)
        ),
    )
    a, b = np.meshgrid(np.arange(n), np.arange(n))
    assert_agree(question(table, {"a": a.ravel(), "b": b.ravel()}))


def test_codes_whose_hashes_collide_stay_apart() -> None:
    """durable-rules takes these two for the same session; our rules never reach it by name."""
    late = (Row(Verdict.VIOLATES, {"a": POSITIVE}), Row(Verdict.CONFORMS, {"a": Interval(None, 0)}))
    early = (Row(Verdict.CONFORMS, {"a": POSITIVE}), Row(Verdict.PENDING, {"a": Interval(None, 0)}))
    one, other = judge(
        [question(late, {"a": [1, 0]}, "INC0112789"), question(early, {"a": [1, 0]}, "INC0349192")]
    )
    assert one.tolist() == [Verdict.VIOLATES, Verdict.CONFORMS]
    assert other.tolist() == [Verdict.CONFORMS, Verdict.PENDING]


# --- what may go wrong


def test_a_table_with_a_gap_or_an_overlap() -> None:
    gap = SIGNS[1:]
    overlap = (*SIGNS, Row(Verdict.PENDING, {"count": POSITIVE, "late": Interval(5, None)}))
    with pytest.raises(
        RunError, match=r"EN003 rule INC009: durable-rules fires 0 rows for.*'count': 0"
    ):
        judge([question(gap, {"count": [1, 0], "late": [1, 7]}, "INC009")])
    with pytest.raises(RunError, match="EN003 rule INC009: durable-rules fires 2 rows"):
        judge([question(overlap, {"count": [1], "late": [7]}, "INC009")])
    with pytest.raises(RunError, match="EN001 rule INC009: 2 rows"):
        decide(overlap, {"count": np.array([1]), "late": np.array([7])}, "INC009")


@pytest.mark.parametrize(
    "facts",
    [
        {"count": np.array([1])},
        {"count": np.array([1]), "late": np.array([1, 2])},
        {"count": np.array([1]), "late": np.array([1.0])},
    ],
)
def test_facts_that_do_not_fit(facts: dict[str, np.ndarray]) -> None:
    with pytest.raises(RunError, match="EN008 rule INC001"):
        judge([Question("INC001", SIGNS, facts)])


GOOD = question(SIGNS, {"count": [1, 2], "late": [1, -1]})


def test_an_action_that_raises_is_noticed() -> None:
    script = """
class Boom(list):
    def append(self, row): raise ValueError("boom")
def init(self, *args, old=engine.Judged.__init__):
    old(self, *args)
    self._fired = Boom()
engine.Judged.__init__ = init
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .* rule INC001.*an action failed.*boom"):
        judge([GOOD], command=worker(script))


def test_a_refused_fact_is_noticed() -> None:
    script = """
engine.Judged._retract = lambda self, name, fact: None
def twice(self, vector, old=engine.Judged.rows_for):
    self._messages = 0
    return old(self, vector)
engine.Judged.rows_for = twice
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .* rule INC001.*MessageObserved"):
        judge([question(SIGNS, {"count": [0, 1], "late": [0, 0]})], command=worker(script))


def test_a_fact_that_stays_is_noticed() -> None:
    script = """
def keep(self, *args, old=engine.Judged.__init__):
    old(self, *args)
    self._host.retract_fact = lambda name, fact: None
engine.Judged.__init__ = keep
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .*a fact stayed"):
        judge([GOOD], command=worker(script))


@pytest.mark.parametrize(
    "script",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import sys; sys.stdin.readline(); print('{\"hits\": [[', end='')",
        "raise SystemExit(0)",
    ],
)
def test_a_worker_that_dies_is_noticed(script: str) -> None:
    with pytest.raises(RunError, match=r"EN005 .* rule INC001.*exit code"):
        judge([GOOD], command=worker(script))


def test_the_error_names_the_rule_at_which_the_worker_died() -> None:
    other = question((Row(Verdict.UNKNOWN),), {"a": [1]}, "INC002")
    script = """
def rows_for(self, vector, old=engine.Judged.rows_for):
    if not vector: import os; os.abort()
    return old(self, vector)
engine.Judged.rows_for = rows_for
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .* rule INC002"):
        judge([GOOD, other], command=worker(script))


def test_a_worker_that_hangs_is_stopped() -> None:
    with pytest.raises(RunError, match=r"EN006 .* rule INC001 within 1 s"):
        judge([GOOD], command=worker("import time; time.sleep(60)"), timeout_s=0.5)


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "[]",
        '{"hits": [[0]]}',
        '{"hits": [[1], 2]}',
        '{"hits": [[1], [4]]}',
        '{"hits": [[1], [-1]]}',
        '{"hits": [[1], [true]]}',
        '{"hits": [[1], ["2"]]}',
        '{"hits": null}',
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(RunError, match=r"EN007 .* rule INC001"):
        judge([GOOD], command=worker(f"print({line!r})"))


def test_a_library_that_cannot_be_loaded_is_explained() -> None:
    script = "import sys; sys.modules['durable'] = None; engine.main()"
    with pytest.raises(RunError, match=r"EN004 .*C compiler.*PyEval_CallObject"):
        judge([GOOD], command=worker(script))


def test_what_a_library_prints_does_not_spoil_the_answers() -> None:
    script = """
def rows_for(self, vector, old=engine.Judged.rows_for):
    print("noise", flush=True)
    return old(self, vector)
engine.Judged.rows_for = rows_for
engine.main()
"""
    (judged,) = judge([GOOD], command=worker(script))
    assert judged.tolist() == [Verdict.VIOLATES, Verdict.CONFORMS]


def test_only_the_worker_loads_durable_and_it_has_one_thread() -> None:
    script = """
import json, sys, threading
from rules import engine
before = "durable" in sys.modules
sys.stdin = iter([json.dumps({"rows": [[[0, None, 0]], [[0, 1, None]]], "facts": [[0], [1]]})])
engine.main()
print(json.dumps([before, "durable" in sys.modules, threading.active_count()]), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert json.loads(done.stdout) == {"hits": [[0], [1]]}
    assert json.loads(done.stderr) == [False, True, 1]
