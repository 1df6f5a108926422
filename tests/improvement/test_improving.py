"""From a cycle file to verdicts in the register: improve and evaluate, on one small desk.

The numbers are tested in test_evaluation*.py; here it is which improvement is judged, on which
windows, by which plan, and that nothing is written twice.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from csi.cycle_checks import PlanChecks
from csi.evaluation import EvaluationPlan, plan
from csi.improvement_words import NOTHING, evaluate_story, evaluation_of, improve_story
from csi.improving import Days, answered, question_of, windows_of
from csi.register import Register
from csi.simulate import Request, simulate, write
from csi.stages import Loop
from csi.statistics import Outcome
from csi.under_way import AFTERWARDS
from process_mining.errors import CodedError

if TYPE_CHECKING:
    from pathlib import Path

    from csi.improving import Answer

FIRST = dt.date(2025, 1, 6)
END = dt.date(2025, 7, 7)
DESK = Request(
    seed=3,
    tickets=150,
    effect="improved",
    deviation_share=0.0,
    other_practices=False,
    intervention=dt.date(2025, 3, 17),
)


def monday(week: int) -> dt.date:
    return FIRST + dt.timedelta(weeks=week)


HEAD = """
log = ["events.ndjson", "tickets.csv"]
surveys = "surveys.csv"
targets = "targets.toml"
practice = "incident"
register = "register.sqlite"
report_date = {end}
{entry}
[baseline]
start = {start}
end = {middle}
[current]
start = {middle}
end = {end}
"""
IMPROVEMENT = """
[improvement]
title = "{title}"
opportunity = "They wait"
hypothesis = "They wait less"
kpi = "{kpi}"
minimum_effect = 0.1
owner = "Service desk manager"
started = {started}
"""
COMPARED = """
guardrails = ["csat-mean", "KPI09"]
also = ["KPI03", "KPI05"]
[improvement.scope]
priority = ["P3", "P4"]
[improvement.comparison]
priority = ["P1", "P2"]
[improvement.margins]
csat-mean = 0.8
"""


def cycle(  # noqa: PLR0913 - a cycle file
    folder: Path,
    name: str,
    *,
    weeks: tuple[int, int, int],
    title: str = "",
    kpi: str = "KPI01",
    entry: str = "",
    more: str = "",
) -> Path:
    start, middle, end = (monday(week) for week in weeks)
    named = f'entry = "{entry}"' if entry else ""
    text = HEAD.format(start=start, middle=middle, end=end, entry=named)
    if title:
        text += IMPROVEMENT.format(title=title, kpi=kpi, started=middle) + more
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


def of_first(folder: Path) -> Loop:
    """Ten weeks before, eight after, compared with P1 and P2."""
    path = cycle(folder, "first", weeks=(0, 10, 18), title="Route at once", more=COMPARED)
    return Loop.open(path, folder / "out-first")


def of_second(folder: Path) -> Loop:
    """The next cycle, with an improvement of its own."""
    path = cycle(folder, "second", weeks=(10, 18, 26), title="Ask for less", kpi="KPI09")
    return Loop.open(path, folder / "out-second")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("desk")
    write(simulate(DESK), found)
    return found


@pytest.fixture(scope="module")
def first(folder: Path) -> tuple[Loop, Answer]:
    """The first cycle: its improvement is entered, started and judged."""
    loop = of_first(folder)
    loop.check()
    given = loop.cycle.settings.improvement
    assert given is not None
    entry_id = loop.improvements.own_entry(PlanChecks(loop.cycle, given).improvement)
    loop.start_entry(entry_id)
    return loop, loop.evaluate_entry(entry_id)


@pytest.fixture(scope="module")
def second(folder: Path, first: tuple[Loop, Answer]) -> tuple[Loop, Any, str]:
    """The second cycle, whole; and the register's newest record after it."""
    assert first
    loop = of_second(folder)
    found = loop.evaluate()
    return loop, found, loop.improvements.register.head()


def test_an_improvement_is_planned_before_anything_of_it_is_known(
    folder: Path, first: tuple[Loop, Answer], tmp_path: Path
) -> None:
    """The log of then ends with the baseline; the register tells the two kinds of start apart."""
    middle = monday(10)
    for name in ("surveys.csv", "targets.toml", "tickets.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    lines = (folder / "events.ndjson").read_text("utf-8").splitlines()
    then = [line for line in lines if json.loads(line)["at"] < middle.isoformat()]
    (tmp_path / "events.ndjson").write_text("\n".join([*then, ""]), "utf-8")
    known = {json.loads(line)["case_id"] for line in then}
    head, *rows = (folder / "tickets.csv").read_text("utf-8").splitlines()
    kept = [row for row in rows if row.split(",")[0] in known]
    (tmp_path / "tickets.csv").write_text("\n".join([head, *kept, ""]), "utf-8")
    path = cycle(tmp_path, "then", weeks=(0, 10, 18))
    path.write_text(path.read_text("utf-8").replace('surveys = "surveys.csv"\n', ""), "utf-8")
    loop = Loop.open(path, tmp_path / "out")
    register = loop.improvements.register
    draft = replace(first[1].entry.improvement, guardrails=(), guardrail_margins={})
    entry_id = register.add(draft, at=dt.datetime(2025, 3, 1, tzinfo=dt.UTC), actor="Owner")
    started = loop.start_entry(entry_id).entry
    assert started.plan["baseline_window"] == first[1].entry.plan["baseline_window"]
    assert started.plan["design"] == first[1].plan.design.value
    reasons = [
        record.content["reason"]
        for entry in (started, first[1].entry)
        for record in entry.history
        if record.kind == "start"
    ]
    assert reasons == ["", AFTERWARDS]


def test_the_entry_keeps_what_the_cycle_file_says(first: tuple[Loop, Answer]) -> None:
    improvement = first[1].entry.improvement
    assert improvement.kpi == "KPI01"
    assert improvement.also == ("KPI03", "KPI05")
    assert improvement.guardrails == ("KPI06", "KPI09")
    assert improvement.guardrail_margins == {"KPI06": 0.8}
    assert improvement.comparison == {"priority": ["P1", "P2"]}
    assert improvement.comparison_group == "priority P1, P2"
    question = question_of(improvement)
    assert [one.margin for one in question.guardrails] == [0.8, question.guardrails[1].kpi.margin]
    assert question.comparison is not None
    assert question.comparison.priority == ("P1", "P2")


def test_the_plan_is_that_of_the_baseline_and_is_frozen(first: tuple[Loop, Answer]) -> None:
    loop, answer = first
    known = loop.tickets.window("baseline")
    expected = plan(question_of(answer.entry.improvement), known)
    assert dict(answer.entry.plan) == json.loads(json.dumps(expected.to_dict()))
    assert answer.plan == expected
    assert expected.design.value == "difference in differences"
    # the log goes on for sixteen weeks after the first cycle's end: none of it is in the plan
    windows = loop.cycle.windows
    assert expected.baseline_window == (windows["baseline"].start_us, windows["baseline"].end_us)


def test_it_is_judged_by_the_plan_that_was_frozen(first: tuple[Loop, Answer]) -> None:
    """Not by the one that today's baseline would give."""
    answer = first[1]
    entry = replace(answer.entry, plan={**answer.entry.plan, "design": "before and after"})
    found = answered(entry, answer.baseline, answer.current, answer.log_sha256)
    assert found.evaluation().design == "before and after"
    assert found.judged.primary.method != answer.judged.primary.method


def test_all_that_was_asked_is_answered(first: tuple[Loop, Answer]) -> None:
    found = first[1].to_dict()
    assert found["design"] == "difference in differences"
    assert found["comparison"] == "priority P1, P2"
    assert set(found["guardrails"]) == {"KPI06", "KPI09"}
    assert [one["kpi"] for one in found["also"]] == ["KPI03", "KPI05"]
    assert found["windows"] == {
        "baseline": [monday(0).isoformat(), monday(10).isoformat()],
        "current": [monday(10).isoformat(), monday(18).isoformat()],
    }
    assert found["verdict"] in {one.value for one in Outcome}
    assert found["sentence"]
    json.dumps(found, allow_nan=False)


def test_the_register_keeps_what_was_answered(folder: Path, first: tuple[Loop, Answer]) -> None:
    answer = first[1]
    entry = Register.open(folder / "register.sqlite").show(answer.entry.id)
    kept = replace(entry.evaluations[0], rule_version=0)
    said = replace(answer.evaluation(), rule_version=0)
    assert json.dumps(kept.__dict__, default=vars) == json.dumps(said.__dict__, default=vars)
    assert kept.design == "difference in differences"
    assert set(kept.also) == {"KPI03", "KPI05"}
    assert entry.evaluations[0].rule_version == 1


def test_both_improvements_are_judged_the_own_one_first(
    second: tuple[Loop, Any, str],
) -> None:
    found = second[1]
    assert [answer.entry.id for answer in found.answers] == ["IMP-0002", "IMP-0001"]
    lines = str(found.story).splitlines()
    assert lines[0].startswith("IMP-0002, Ask for less: ")
    assert any(line.startswith("IMP-0001, Route at once: ") for line in lines)
    assert found.verdict == found.answers[0].judged.verdict.value


def test_the_older_one_has_its_own_baseline_and_ever_more_weeks(
    second: tuple[Loop, Any, str],
) -> None:
    """From its start to the end of this cycle, against the baseline of its plan."""
    mine, older = second[1].answers
    assert mine.to_dict()["windows"] == {
        "baseline": [monday(10).isoformat(), monday(18).isoformat()],
        "current": [monday(18).isoformat(), monday(26).isoformat()],
    }
    assert older.to_dict()["windows"] == {
        "baseline": [monday(0).isoformat(), monday(10).isoformat()],
        "current": [monday(10).isoformat(), monday(26).isoformat()],
    }
    assert older.judged.primary.current.n > mine.judged.primary.current.n


def test_what_the_cycle_leaves_names_every_improvement(
    folder: Path, second: tuple[Loop, Any, str]
) -> None:
    assert second
    text = (folder / "out-second" / "4_evaluate" / "evaluation.json").read_text("utf-8")
    left = json.loads(text, parse_constant=pytest.fail)
    assert left["entry"] == "IMP-0002"
    assert [one["entry"] for one in left["improvements"]] == ["IMP-0002", "IMP-0001"]
    assert left["verdict"] == left["improvements"][0]["verdict"]
    rows = json.loads((folder / "out-second" / "4_evaluate" / "register.json").read_text("utf-8"))
    assert [row["verdict"] is not None for row in rows] == [True, True]


def test_the_same_run_again_leaves_the_register_as_it_was(
    folder: Path, second: tuple[Loop, Any, str]
) -> None:
    names = ("3_improve/plan.json", "4_evaluate/evaluation.json", "4_evaluate/register.json")
    before = [(folder / "out-second" / name).read_bytes() for name in names]
    again = of_second(folder)
    assert again.improve().entry_id == "IMP-0002"
    assert str(again.evaluate().story) == str(second[1].story)
    assert again.improvements.register.head() == second[2]
    assert [(folder / "out-second" / name).read_bytes() for name in names] == before


def test_an_entry_may_be_named_in_place_of_an_improvement(
    folder: Path, second: tuple[Loop, Any, str]
) -> None:
    assert second
    path = cycle(folder, "third", weeks=(10, 18, 26), entry="IMP-0001")
    loop = Loop.open(path, folder / "out-third")
    own = loop.improvements.own_entry(None)
    assert own == "IMP-0001"
    neither = Loop.open(cycle(folder, "none", weeks=(10, 18, 26)), folder / "out-none")
    assert neither.improvements.own_entry(None) == ""
    before = loop.improvements.register.show(own)
    # it is under way already: neither its plan nor its start changes
    assert loop.start_entry(own).entry.plan == before.plan
    answers = loop.improvements.answers(own)
    assert [answer.entry.id for answer in answers] == ["IMP-0001", "IMP-0002"]
    assert evaluation_of(answers, own)["verdict"] == answers[0].judged.verdict.value
    assert str(answers[0].story) in evaluate_story(answers, own)


def test_without_one_of_its_own_a_cycle_says_the_weightiest_verdict(
    second: tuple[Loop, Any, str],
) -> None:
    answers = list(second[1].answers)
    found = evaluation_of(answers, "")
    assert found["entry"] is None
    verdicts = {answer.judged.verdict for answer in answers}
    order = ("guardrail breached", "worse", "inconclusive", "no effect shown", "improved")
    assert found["verdict"] == next(one for one in order if Outcome(one) in verdicts)
    assert evaluation_of([], "") == {"verdict": None, "entry": None, "improvements": []}
    assert evaluate_story([], "") == NOTHING
    assert "IMP-0009 could not be judged" in evaluate_story(answers, "IMP-0009")
    assert "no improvement of its own" in improve_story(None)


def test_neither_a_closed_improvement_nor_a_draft_is_judged(
    folder: Path, second: tuple[Loop, Any, str], tmp_path: Path
) -> None:
    for path in folder.glob("register.sqlite*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    place, at = tmp_path / "register.sqlite", dt.datetime(2025, 7, 8, tzinfo=dt.UTC)
    register = Register.open(place)
    draft_id = register.add(register.show("IMP-0001").improvement, at=at, actor="somebody")
    register.close("IMP-0001", "done", at=at, actor="Service desk manager")
    loop = Loop.open(second[0].cycle.path, folder / "out-second", register_place=str(place))
    assert [one.entry.id for one in loop.improvements.answers("IMP-0002")] == ["IMP-0002"]
    with pytest.raises(CodedError, match=r"^CY209"):
        loop.evaluate_entry(draft_id)


def test_an_entry_that_starts_after_the_window_is_not_judged(first: tuple[Loop, Answer]) -> None:
    entry = first[1].entry
    window = first[0].cycle.windows["current"]
    assert windows_of(replace(entry, plan={}), window) is None
    assert windows_of(replace(entry, started_at=""), window) is None
    late = replace(entry, started_at=f"{monday(18).isoformat()}T00:00:00+00:00")
    assert windows_of(late, window) is None
    day_before = replace(entry, started_at="2025-05-11T00:00:00+00:00")
    found = windows_of(day_before, window)
    assert found is not None
    assert found[1].iso == ("2025-05-11", "2025-05-12")


def test_the_current_window_never_reaches_into_the_baseline(first: tuple[Loop, Answer]) -> None:
    """Started while the baseline still ran: the current window begins where that ends."""
    entry = replace(first[1].entry, started_at="2025-02-03T00:00:00+00:00")
    found = windows_of(entry, first[0].cycle.windows["current"])
    assert found is not None
    assert isinstance(found[1], Days)
    assert found[1].start_us == EvaluationPlan.from_dict(entry.plan).baseline_window[1]
