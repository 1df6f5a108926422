"""Chains of rules: durable-rules, the fixpoint and a sweep by levels conclude the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.chain_by_levels import what_follows

from process_mining.errors import RunError
from rules.chain import Chained, ChainProgram, ChainRule, Firing, follow
from rules.engine import MAX_CONDITIONS, MAX_FACTS, MAX_FIELDS, chain
from rules.spec import POSITIVE, Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rules.chain import Fact

FIELDS = ("p", "g", "n")
WIDE = (*FIELDS, "x")
AT_LEAST_2 = Interval(2, None)
# groups (level 0) of 3 and more escalate (1), escalations are counted (2), two of them again (3)
SMALL = ChainProgram(
    FIELDS,
    (
        ChainRule(0, 1, {"n": Interval(3, None)}, {"p": "p", "g": "g"}),
        ChainRule(1, 2, {}, {"p": 9}, tally="n"),
        ChainRule(2, 3, {"n": AT_LEAST_2}, {"p": "p"}),
    ),
)


def worker(script: str) -> tuple[str, ...]:
    """A worker of our own making: the real module, changed by a script."""
    return (sys.executable, "-P", "-c", "from rules import engine\n" + script)


def by_levels(program: ChainProgram, facts: Sequence[Fact]) -> Chained:
    """The oracle's answer, in our words."""
    rules: list[dict[str, Any]] = [
        {
            "on": rule.on,
            "to": rule.to,
            "bounds": [(program.place(f), x.lo, x.hi) for f, x in rule.when.items()],
            "then": [
                ("of", program.place(v)) if isinstance(v, str) else ("is", v)
                for v in (rule.then.get(f, 0) for f in program.fields)
            ],
            "tally": None if rule.tally is None else program.place(rule.tally),
        }
        for rule in program.rules
    ]
    found, firings = what_follows(rules, set(facts))
    return Chained(frozenset(found), frozenset(Firing(*firing) for firing in firings))


def assert_agree(program: ChainProgram, sessions: Sequence[Sequence[Fact]]) -> int:
    """All three conclude the same; return how many firings they agree on."""
    answers = chain(program, sessions, about="the chain")
    for facts, answer in zip(sessions, answers, strict=True):
        assert answer == follow(program, facts)
        assert answer == by_levels(program, facts)
    return sum(len(answer.firings) for answer in answers)


def test_by_hand() -> None:
    given_ = [(0, 1, 0, 2), (0, 1, 1, 3), (0, 2, 2, 7)]
    (found,) = chain(SMALL, [given_], about="the chain")
    escalated, counted = {(1, 1, 1, 0), (1, 2, 2, 0)}, {(2, 9, 0, 1), (2, 9, 0, 2)}
    assert found.facts == {*given_, *escalated, *counted, (3, 9, 0, 0)}
    assert found.firings == {
        (0, (0, 1, 1, 3), (1, 1, 1, 0)),
        (0, (0, 2, 2, 7), (1, 2, 2, 0)),
        (1, (1, 1, 1, 0), (2, 9, 0, 0)),
        (1, (1, 2, 2, 0), (2, 9, 0, 0)),
        (2, (2, 9, 0, 2), (3, 9, 0, 0)),
    }


def test_sessions_know_nothing_of_each_other() -> None:
    one, other = [(0, 1, 0, 3)], [(0, 2, 0, 3)]
    answers = chain(SMALL, [one, other, [], one, one + other], about="the chain")
    tops = [any(fact[0] == 3 for fact in answer.facts) for answer in answers]
    assert tops == [False, False, False, False, True]
    assert answers[2] == Chained(frozenset(), frozenset())
    assert answers[0] == answers[3]
    assert chain(SMALL, [], about="the chain") == []


def test_neither_order_nor_repetition_of_facts_matters() -> None:
    facts = [(0, p, g, n) for p in range(2) for g in range(3) for n in (2, 3)]
    forth, back = chain(SMALL, [facts, [*reversed(facts), facts[0]]], about="the chain")
    assert forth == back


def test_a_program_over_several_rulesets() -> None:
    """Every level's rules lie in another ruleset than those that lead to them."""
    n = MAX_CONDITIONS
    rules = [ChainRule(i, i + 1, {"n": Interval(0, 9)}, {"n": "n"}) for i in range(n)]
    tally = ChainRule(n, n + 1, {}, {"p": 1}, tally="n")
    program = ChainProgram(FIELDS, (*rules[::2], tally, *rules[1::2]))
    assert assert_agree(program, [[(0, 0, 0, 4), (0, 0, 0, 5), (0, 0, 0, 10)]]) == 2 * n + 2


def test_a_chain_of_a_thousand_links() -> None:
    rules = tuple(ChainRule(i, i + 1) for i in range(40))
    program = ChainProgram(("n",), (*rules, ChainRule(40, 41, {}, {}, tally="n")))
    assert assert_agree(program, [[(40, n) for n in range(1000)]]) == 1000


def test_fields_that_are_only_compared_are_binned() -> None:
    """Sessions that differ only within the bounds of the rules are one to the worker."""
    program = ChainProgram(WIDE, (ChainRule(0, 1, {"x": Interval(3, 7)}, {"g": "g"}),))
    sessions = [[(0, 0, g, 0, x) for g in range(2)] for x in range(10)]
    assert assert_agree(program, sessions) == 2 * 5
    script = """
def follow(self, given, old=engine.Following.follow):
    engine.calls = getattr(engine, "calls", 0) + 1
    if engine.calls > 3: raise RuntimeError("too many")
    return old(self, given)
engine.Following.follow = follow
engine.main()
"""
    chain(program, sessions, about="the chain", command=worker(script))


def test_facts_that_binning_would_make_one_are_not_binned() -> None:
    counted = ChainRule(0, 1, {"x": POSITIVE}, {"p": "p"}, tally="n")
    program = ChainProgram(WIDE, (counted, ChainRule(1, 2, {"x": Interval(None, 5)})))
    assert assert_agree(program, [[(0, 1, 1, 0, x) for x in range(4)]]) == 3 + 3
    # a given fact that is nearly one that follows
    assert assert_agree(program, [[(0, 1, 1, 0, 7), (1, 1, 0, 1, 3)]]) == 1 + 2


# --- random programs

intervals = st.builds(
    lambda lo, hi: Interval(lo, hi if lo is None or hi is None else max(lo, hi)),
    st.none() | st.integers(0, 3),
    st.none() | st.integers(0, 3),
)


@st.composite
def chain_rules(draw: st.DrawFn) -> ChainRule:
    """A rule that may look at every field, but leads to the first three alone."""
    on = draw(st.integers(0, 3))
    tally = draw(st.sampled_from([None, None, *FIELDS]))
    value = st.sampled_from([0, 1, 2, *FIELDS])
    then = draw(st.dictionaries(st.sampled_from(FIELDS), value))
    return ChainRule(
        on=on,
        to=draw(st.integers(on + 1, 5)),
        when=draw(st.dictionaries(st.sampled_from(WIDE), intervals)),
        then={name: v for name, v in then.items() if name != tally},
        tally=tally,
    )


@st.composite
def sessions(draw: st.DrawFn) -> list[list[Fact]]:
    """Facts of the lowest level alone, which can be binned, or of several."""
    top = draw(st.sampled_from([0, 0, 2]))
    value = st.integers(0, 4)
    fact = st.tuples(st.integers(0, top), st.integers(0, 2), value, value, value)
    return draw(st.lists(st.lists(fact, max_size=12), min_size=4, max_size=16))


cases = st.tuples(st.lists(chain_rules(), max_size=40), sessions())


@settings(max_examples=12, deadline=None)
@given(cases)
def test_random_programs(case: tuple[list[ChainRule], list[list[Fact]]]) -> None:
    assert_agree(ChainProgram(WIDE, tuple(case[0])), case[1])


@pytest.mark.trial
def test_many_random_programs() -> None:
    told = []

    @settings(max_examples=1500, deadline=None)
    @given(cases)
    def run(case: tuple[list[ChainRule], list[list[Fact]]]) -> None:
        told.append(assert_agree(ChainProgram(WIDE, tuple(case[0])), case[1]))

    run()
    print(f"{len(told)} programs, {sum(told)} firings, three readings agree")  # noqa: T201


# --- what may go wrong


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (ChainRule(1, 1), "from level 1 to 1"),
        (ChainRule(2, 1), "from level 2 to 1"),
        (ChainRule(-1, 1), "from level -1"),
        (ChainRule(0, 1, {"q": POSITIVE}), "unknown field 'q'"),
        (ChainRule(0, 1, {}, {"p": "q"}), "unknown field 'q'"),
        (ChainRule(0, 1, {}, {"p": 2**31}), "no small number"),
        (ChainRule(0, 1, {}, {"p": -1}), "no small number"),
        (ChainRule(0, 1, {}, {"p": 1}, tally="p"), "counts in"),
    ],
)
def test_rules_that_lead_nowhere(rule: ChainRule, why: str) -> None:
    with pytest.raises(RunError, match=f"EN010 .*{why}"):
        ChainProgram(FIELDS, (rule,))


@pytest.mark.parametrize("fact", [(0, 1, 2), (0, 1, 2, 2**31), (0, 1, 2, -1), (0, 1, 2, 3, 4)])
def test_facts_that_do_not_fit(fact: Fact) -> None:
    for judge in (lambda: chain(SMALL, [[fact]], about="the chain"), lambda: follow(SMALL, [fact])):
        with pytest.raises(RunError, match="EN008"):
            judge()


def test_as_many_fields_as_a_message_holds_and_one_more() -> None:
    names = tuple(f"x{i}" for i in range(MAX_FIELDS - 1))
    last = names[-1]
    assert_agree(
        ChainProgram(names, (ChainRule(0, 1, {last: POSITIVE}, {last: 7}),)),
        [[(0,) * MAX_FIELDS, (0,) * (MAX_FIELDS - 1) + (1,)]],
    )
    with pytest.raises(RunError, match=f"EN008 the chain reads {MAX_FIELDS + 1} fields"):
        chain(ChainProgram((*names, "more"), ()), [[(0,) * (MAX_FIELDS + 1)]], about="the chain")


GIVEN = [[(0, 1, 0, 3), (0, 2, 0, 3)]]


def test_an_action_that_raises_is_noticed() -> None:
    script = """
def noted(self, number, rule, fact, old=engine.Following._noted):
    if number == 2: raise ValueError("boom")
    return old(self, number, rule, fact)
engine.Following._noted = noted
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .* the chain.*an action failed.*boom"):
        chain(SMALL, GIVEN, about="the chain", command=worker(script))


def test_a_derived_fact_that_is_refused_is_noticed() -> None:
    """Two facts with one id: the library takes the second for the first."""
    script = """
def stated(self, fact, inside="", old=engine.Following._stated):
    message = old(self, fact, inside)
    if message and fact[0] == 1: message["id"] = 7
    return message
engine.Following._stated = stated
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .* the chain.*action failed: MessageObserved"):
        chain(SMALL, GIVEN, about="the chain", command=worker(script))


def test_a_given_fact_that_is_refused_is_noticed() -> None:
    script = """
def stated(self, fact, inside="", old=engine.Following._stated):
    message = old(self, fact, inside)
    if message and fact[0] == 0: message["id"] = 7
    return message
engine.Following._stated = stated
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .* the chain.*MessageObserved"):
        chain(SMALL, GIVEN, about="the chain", command=worker(script))


def test_a_fact_that_stays_is_noticed() -> None:
    script = """
def keep(self, *args, old=engine.Following.__init__):
    old(self, *args)
    self._host.retract_fact = lambda name, fact: None
engine.Following.__init__ = keep
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .*a fact stayed"):
        chain(SMALL, GIVEN, about="the chain", command=worker(script))


def test_a_rule_that_fires_twice_is_noticed() -> None:
    script = """
def noted(self, number, rule, fact, old=engine.Following._noted):
    old(self, number, rule, fact)
    return old(self, number, rule, fact)
engine.Following._noted = noted
engine.main()
"""
    with pytest.raises(RunError, match=r"EN005 .*fired twice"):
        chain(SMALL, GIVEN, about="the chain", command=worker(script))


def test_a_session_with_too_many_facts_is_noticed() -> None:
    script = "engine.MAX_FACTS = 4\nengine.main()"
    with pytest.raises(RunError, match=r"EN005 .*more than 4 facts"):
        chain(SMALL, GIVEN, about="the chain", command=worker(script))


def test_no_two_ids_of_a_session_collide() -> None:
    """The library knows a fact by a 32-bit hash of its id: all that a session can hold differ."""
    script = f"""
import durable.engine as durable
host = type("Quiet", (durable.Host,), {{"_run": lambda _: None}})()
rule = {{"all": [{{"m": {{"$gte": {{"k": 0}}}}}}], "run": lambda _: None}}
host.register_rulesets({{"t": {{"r": rule}}}})
for number in range(1, {MAX_FACTS} + 1):
    host.assert_fact("t", {{"id": number, "k": 0}})
assert len(host.get_facts("t")) == {MAX_FACTS}
engine.main()
"""
    (found,) = chain(SMALL, GIVEN, about="the chain", command=worker(script))
    assert found == follow(SMALL, GIVEN[0])


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "{}",
        '{"hits": [[0]]}',
        '{"chains": []}',
        '{"chains": [7]}',
        '{"chains": [{"facts": []}]}',
        '{"chains": [{"facts": [[1, 2]], "firings": []}]}',
        '{"chains": [{"facts": [[1, 2, 3, true]], "firings": []}]}',
        '{"chains": [{"facts": [], "firings": [[3, [0, 0, 0, 0], [1, 0, 0, 0]]]}]}',
        '{"chains": [{"facts": [], "firings": [[0, [0, 0, 0, 0]]]}]}',
        '{"chains": [{"facts": [], "firings": [[0, [0, 0, 0, 0], [1, 0, 0]]]}]}',
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(line: str) -> None:
    with pytest.raises(RunError, match=r"EN007 .* the chain"):
        chain(SMALL, GIVEN, about="the chain", command=worker(f"print({line!r})"))


def test_a_worker_that_hangs_or_dies() -> None:
    asleep = worker("import time; time.sleep(60)")
    with pytest.raises(RunError, match=r"EN006 .* the chain within 1 s"):
        chain(SMALL, GIVEN, about="the chain", command=asleep, timeout_s=0.5)
    with pytest.raises(RunError, match=r"EN005 .* the chain.*exit code"):
        chain(SMALL, GIVEN, about="the chain", command=worker("raise SystemExit(0)"))
