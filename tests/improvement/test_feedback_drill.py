"""From a score to its ticket, and promises beside scores: hand-made cells, a desk that is known."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from csi.audit import Audit, AuditRequest, audit
from csi.feedback import read_surveys
from csi.feedback.drill import (
    Answer,
    answers_of,
    answers_that_count,
    contrast,
    counts_row,
    drill,
    lowest,
)
from csi.feedback.responses import CANONICAL
from csi.feedback.screening import screen
from csi.simulate import Request, Simulation, simulate, write
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from pathlib import Path

STATUSES = ("met", "breached", "running", "lapsed", "superseded", "no target", "unknown")


def clocks(*rows: tuple[str, str, str], agreement: str = "SLA") -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    named = zip(("case_id", "metric", "status"), columns, strict=True)
    table = {name: pa.array(values, pa.string()) for name, values in named}
    return pa.table(table | {"agreement": pa.array([agreement] * len(rows), pa.string())})


def rated(ticket: str, score: int, scale: str = "1-5", at: int | None = None) -> Answer:
    return Answer(ticket, scale, score, at)


@pytest.mark.parametrize(
    ("statuses", "promise"),
    [
        (("met",), "green"),
        (("met", "lapsed", "superseded"), "green"),
        (("met", "no target"), "green"),
        (("met", "breached"), "breached"),
        (("breached", "running"), "breached"),
        (("breached", "unknown"), "breached"),
        (("met", "running"), "a clock is running"),
        (("met", "unknown", "running"), "a clock is unknown"),
        (("lapsed",), "no promise"),
        (("no target",), "no promise"),
        ((), "no promise"),
    ],
)
def test_what_counts_as_green(statuses: tuple[str, ...], promise: str) -> None:
    table = clocks(*(("T1", f"m{i}", status) for i, status in enumerate(statuses)))
    found = contrast(table, [rated("T1", 1)])
    assert [x.promise for x in found.judged] == (
        [promise] if promise in ("green", "breached") else []
    )
    assert sum(found.left_out.values()) == (promise not in ("green", "breached"))
    assert found.judged or found.left_out == {promise: 1}


def test_the_agreement_of_a_team_is_no_promise_to_the_customer() -> None:
    table = pa.concat_tables(
        [clocks(("T1", "resolve", "met")), clocks(("T1", "resolve", "breached"), agreement="OLA")]
    )
    assert [x.promise for x in contrast(table, [rated("T1", 1)]).judged] == ["green"]


@pytest.mark.parametrize(
    ("answers", "mood"),
    [
        ([("1-5", 2)], "unhappy"),
        ([("1-5", 3)], None),
        ([("1-5", 4)], "happy"),
        ([("1-5", 5), ("1-5", 1)], "unhappy"),
        ([("1-5", 5), ("1-5", 3)], None),
        ([("0-10", 6)], "unhappy"),
        ([("0-10", 8)], None),
        ([("0-10", 9), ("good/bad", 1)], "happy"),
        ([("good/bad", 0)], "unhappy"),
        ([("ces 1-7", 3)], "unhappy"),
    ],
)
def test_who_is_unhappy(answers: list[tuple[str, int]], mood: str | None) -> None:
    given_ = [rated("T1", score, scale) for scale, score in answers]
    found = contrast(clocks(("T1", "resolve", "met")), given_)
    assert [x.mood for x in found.judged] == ([] if mood is None else [mood])
    assert found.left_out == ({} if mood else {"neither happy nor unhappy": 1})


def test_the_four_cells_the_lists_and_the_ratio() -> None:
    kinds = {"breached": (6, 4), "met": (5, 15)}
    rows, answers = [], []
    for status, (unhappy, happy) in kinds.items():
        for i in range(unhappy + happy):
            ticket = f"{status[0].upper()}{i:02d}"
            rows.append((ticket, "resolve", status))
            answers.append(rated(ticket, 1 if i < unhappy else 5))
    found = contrast(clocks(*rows), [*answers, rated("elsewhere", 1)])
    assert found.counts == {
        ("breached", "unhappy"): 6,
        ("breached", "happy"): 4,
        ("green", "unhappy"): 5,
        ("green", "happy"): 15,
    }
    assert [x.ticket for x in found.green_and_unhappy] == [f"M{i:02d}" for i in range(5)]
    assert [x.ticket for x in found.breached_and_happy] == [f"B{i:02d}" for i in range(6, 10)]
    assert found.breached_and_happy[0].breached == ("resolve",)
    assert found.ratio.value == pytest.approx((6 / 10) / (5 / 20))
    assert found.ratio.low is not None
    assert found.ratio.high is not None
    assert found.ratio.low < 2.4 < found.ratio.high
    assert found.p == pytest.approx(fisher_exact([[6, 4], [5, 15]]).pvalue)
    row = counts_row(found)
    assert (row["n"], row["left_out"]) == (30, {"no promise": 1})
    assert len(found.to_pandas()) == 30


def test_without_two_sides_there_is_no_ratio() -> None:
    found = contrast(clocks(("T1", "resolve", "met")), [rated("T1", 1)])
    assert (found.ratio.value, found.p) == (None, None)
    empty = contrast(clocks(), [])
    assert (empty.judged, empty.p, dict(empty.left_out)) == ((), None, {})
    assert next(iter(empty.to_pandas().columns)) == "ticket"


def test_the_lowest_answers_by_their_place_on_their_scale() -> None:
    some = [
        rated("A", 3),  # 0.5
        rated("B", 3, "0-10"),  # 0.3
        rated("C", 1, at=5),  # 0
        rated("D", 1, at=9),
        rated("E", 1, "good/bad"),  # 1
    ]
    assert [x.ticket for x in lowest(some, 4)] == ["D", "C", "B", "A"]
    assert lowest(some, 0) == ()


@given(
    st.lists(st.tuples(st.sampled_from("ABCDE"), st.sampled_from(STATUSES)), max_size=12),
    st.lists(st.tuples(st.sampled_from("ABCDEF"), st.integers(1, 5)), max_size=12),
)
def test_every_answered_ticket_is_in_one_place(
    rows: list[tuple[str, str]], scores: list[tuple[str, int]]
) -> None:
    told = [(ticket, "resolve", status) for ticket, status in rows]
    table = clocks(*told)
    answers = [rated(ticket, score) for ticket, score in scores]
    found = contrast(table, answers)
    assert sum(found.counts.values()) + sum(found.left_out.values()) == len(dict(scores))
    again = contrast(clocks(*told[::-1]), answers[::-1])
    assert again == found


# --- a desk that is known


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Simulation, Audit, Path]:
    folder = tmp_path_factory.mktemp("desk")
    simulation = simulate(Request(seed=2, tickets=600))
    write(simulation, folder)
    logs = (folder / "events.ndjson", folder / "tickets.csv")
    return simulation, audit(AuditRequest(logs=logs, targets=folder / "targets.toml")), folder


def test_the_cells_of_a_desk_are_those_of_a_plain_count(
    desk: tuple[Simulation, Audit, Path],
) -> None:
    simulation, found, folder = desk
    (part,) = [x for x in found.practices if x.practice.name == "incident"]
    answers = answers_of(read_surveys(folder / "surveys.csv").responses)
    seen = contrast(part.clocks, answers)
    truth = simulation.truth.to_pylist()
    late = {x["case_id"] for x in truth if x["rule"] in ("SLM001", "SLM002")}
    unpromised = {x["case_id"] for x in truth if x["rule"] == "SLM003"}
    incidents = set(part.translation.log.cases["case_id"].to_pylist())
    expected: Counter[tuple[str, str]] = Counter()
    for row in simulation.surveys.to_pylist():
        ticket, score = row["ticket"], row["score"]
        if score in ("1", "2", "4", "5") and ticket in incidents - unpromised:
            mood = "unhappy" if score in "12" else "happy"
            expected["breached" if ticket in late else "green", mood] += 1
    assert {key: n for key, n in seen.counts.items() if n} == dict(expected)
    assert len(seen.green_and_unhappy) == expected["green", "unhappy"] > 0
    assert seen.ratio.low is not None
    assert seen.ratio.low > 1  # customers of late tickets are planted to be less content


def test_behind_a_score_lies_its_ticket(desk: tuple[Simulation, Audit, Path]) -> None:
    simulation, found, folder = desk
    answers = answers_of(read_surveys(folder / "surveys.csv").responses)
    truth = simulation.truth.to_pylist()
    planted = {x["case_id"] for x in truth if x["rule"] == "FBK002"}
    one = next(x for x in lowest(answers, len(answers)) if x.ticket in planted)
    seen = drill(found, one)
    rows = [x for x in simulation.events.to_pylist() if x["case_id"] == one.ticket]
    assert [(x.seq, x.activity, x.team) for x in seen.events] == [
        (x["seq"], x["activity"], x["team"]) for x in rows
    ]
    people = {x["actor"] for x in rows}
    assert not people & {x.actor for x in seen.events}  # pseudonyms
    broken = {x["rule"] for x in truth if x["case_id"] == one.ticket}
    assert {x.rule for x in seen.broken} == {x for x in broken if not x.startswith("clock:")}
    assert set(seen.clocks["case_id"].to_pylist()) == {one.ticket}
    assert (seen.practice, seen.ended) == ("incident", True)
    table = seen.to_pandas()
    assert len(table) == len(rows)
    (shown,) = [x.seqs for x in seen.broken if x.rule == "FBK002"]
    assert all("FBK002" in table["rules"][seq] for seq in shown)


def test_a_ticket_that_the_log_lacks(desk: tuple[Simulation, Audit, Path]) -> None:
    _, found, _ = desk
    with pytest.raises(CodedError, match=r"ST552.*INC9999999"):
        drill(found, rated("INC9999999", 1))


def test_answers_come_from_tables_and_from_screening(
    desk: tuple[Simulation, Audit, Path],
) -> None:
    simulation, _, folder = desk
    feedback = read_surveys(folder / "surveys.csv")
    n = simulation.surveys["score"].is_valid().to_pylist().count(True)
    assert len(answers_of(feedback.responses)) == n
    assert answers_that_count(screen(_canonical(feedback.responses), None)) == tuple(
        sorted(answers_of(feedback.responses), key=lambda x: x.ticket)
    )


def _canonical(table: pa.Table) -> pa.Table:
    rows = [
        {
            **{name: row.get(name) for name in CANONICAL.names},
            "delivered": True,
            "ask_known": True,
            "file": "surveys.csv",
            "place": f"line {i}",
        }
        for i, row in enumerate(table.to_pylist())
    ]
    return pa.Table.from_pylist(rows, schema=CANONICAL)
