"""`trueloop compare`: two groups that differ are told apart, two that do not are not."""

from __future__ import annotations

import datetime as dt
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from defusedxml.ElementTree import fromstring
from improvement.command_line import UCI, Ran, event_line, hostile_log, in_process, write_lines

from csi.comparison_flow import compare_flow
from csi.comparison_times import compare_times
from csi.outputs import write_text
from csi.report.drawings.difference_map import A_COLOUR, B_COLOUR, Part, draw_difference_map
from csi.simulate import Request, simulate, write
from process_mining.sources import ReadOptions, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.eventlog import EventLog

needs_data = pytest.mark.skipif(not UCI.exists(), reason="../shared/data is not there")

FILES = {"compare.html", "summary.json", "differences.parquet", "provenance.json"}
HOUR = 3_600_000_000
DAY = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


def trail(
    case: str, at: dt.datetime, steps: Sequence[tuple[str, float]], **further: str
) -> list[str]:
    """One case: each step comes so many hours after the one before."""
    lines = []
    for seq, (name, hours) in enumerate(steps):
        at += dt.timedelta(hours=hours)
        lines.append(event_line(case, name, at.isoformat(), seq=seq, **further))
    return lines


def desk(  # noqa: PLR0913 - what a case of this desk can differ in
    path: Path, cases: int, *, skip: float = 0.0, slow: float = 1.0, seed: int = 1, first: int = 0
) -> Path:
    """Incidents of which a share skips its diagnosis, `slow` times as long in Diagnose."""
    draw, lines = random.Random(seed), []  # noqa: S311 - no secret
    for i in range(first, first + cases):
        steps = [("Register", 0.0), ("Classify", 1.0), ("Assign", 1.0)]
        if draw.random() >= skip:
            steps += [("Diagnose", draw.uniform(0.5, 4))]
        steps += [("Resolve", draw.uniform(2, 6) * slow), ("Close", 24.0)]
        lines += trail(f"C{i:04d}", DAY + dt.timedelta(hours=3 * i), steps, team="desk")
    return write_lines(path, lines)


def compared(*words: object, out: Path) -> dict[str, Any]:
    ran = in_process("compare", *words, "--out", out, "--json")
    assert (ran.code, ran.err) == (0, "")
    summary: dict[str, Any] = ran.json()
    assert summary == json.loads((out / "summary.json").read_text("utf-8"))
    return summary


def row(summary: dict[str, Any], kind: str, activity: str | None, after: str | None) -> Any:  # noqa: ANN401 - JSON
    (found,) = [
        one
        for one in [*summary["features"], *summary["times"]]
        if (one["kind"], one["activity"], one["next"]) == (kind, activity, after)
    ]
    return found


# --- two logs


def test_a_planted_skip_is_found_where_it_is(tmp_path: Path) -> None:
    a, b = desk(tmp_path / "a.ndjson", 200), desk(tmp_path / "b.ndjson", 200, skip=0.3, seed=2)
    found = compared(a, b, "--practice", "incident", out=tmp_path / "out")
    assert found["flow"]["verdict"] == "differs"
    assert found["flow"]["p"] == 1 / 2000
    step = row(found, "step", "Diagnose", None)
    assert (step["k_a"], step["n_a"], step["n_b"]) == (200, 200, 200)
    assert step["difference"] == pytest.approx(step["k_b"] / 200 - 1)
    assert step["low"] < step["difference"] < step["high"] < 0
    differing = {(one["kind"], one["activity"], one["next"]) for one in found["features"]
                 if one["verdict"] == "differs"}  # fmt: skip
    assert differing == {
        ("step", "Diagnose", None),
        ("succession", "Assign", "Diagnose"),
        ("succession", "Diagnose", "Resolve"),
        ("succession", "Assign", "Resolve"),
    }
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert (found["a"]["label"], found["b"]["label"]) == ("a.ndjson", "b.ndjson")
    assert found["apart"]["in_both"] == 200
    assert any("stand in both logs" in one for one in found["remarks"])


def test_slower_is_no_other_way(tmp_path: Path) -> None:
    a = desk(tmp_path / "a.ndjson", 150, skip=0.1)
    b = desk(tmp_path / "b.ndjson", 150, skip=0.1, slow=1.5, seed=1, first=900)
    found = compared(a, b, "--practice", "incident", out=tmp_path / "out")
    assert found["flow"]["verdict"] == "inconclusive"  # 150 cases cannot rule out 5 points
    assert found["flow"]["differing"] == 0
    slow = row(found, "time", "Diagnose", None)
    assert slow["verdict"] == "differs"
    assert slow["difference"] / slow["a"] == pytest.approx(0.5, abs=0.1)
    assert row(found, "time", "Register", None)["verdict"] == "no difference shown"
    assert found["exit_code"] == 0


def test_alike_logs_show_no_difference(tmp_path: Path) -> None:
    a, b = (desk(tmp_path / f"{name}.ndjson", 400) for name in "ab")
    found = compared(a, b, "--minimum-difference", "0.1", out=tmp_path / "out")
    assert (found["flow"]["verdict"], found["flow"]["obstacle"]) == (
        "inconclusive",
        NOTHING_TO_TEST,
    )
    page = (tmp_path / "out" / "compare.html").read_text("utf-8")  # all steps are in all cases
    assert "13 more are in too few cases, or in too many, to test" in " ".join(page.split())
    a, b = (desk(tmp_path / f"{seed}.ndjson", 900, skip=0.5, seed=seed) for seed in (3, 4))
    found = compared(a, b, "--minimum-difference", "0.1", out=tmp_path / "out")
    assert found["flow"]["verdict"] == "no difference shown"


NOTHING_TO_TEST = "no step or succession is in enough cases, and missing in enough, to test"


def test_a_survey_after_the_end_makes_no_case_longer(tmp_path: Path) -> None:
    steps = [("Register", 0.0), ("Diagnose", 1.0), ("Resolve", 1.0), ("Close", 1.0)]
    late = [*steps, ("Ask feedback", 1.0), ("Receive feedback", 90.0)]
    logs = [
        write_lines(
            tmp_path / f"{name}.ndjson",
            [
                line
                for i in range(60)
                for line in trail(f"{name}{i}", DAY + dt.timedelta(hours=i), way)
            ],
        )
        for name, way in (("a", steps), ("b", late))
    ]
    found = compared(*logs, "--practice", "incident", out=tmp_path / "out")
    case = row(found, "time", None, None)
    assert (case["a"], case["b"], case["verdict"]) == (3.0, 3.0, "no difference shown")
    assert row(found, "step", "Receive feedback", None)["verdict"] == "differs"


def test_an_order_that_nobody_declared_is_told(tmp_path: Path) -> None:
    logs = [
        write_lines(
            tmp_path / f"{name}.ndjson",
            [event_line(f"{name}{i}", step, DAY.isoformat()) for i in range(30) for step in "XY"],
        )
        for name in "ab"
    ]
    said = " ".join(compared(*logs, out=tmp_path / "out")["remarks"])
    for name in "AB":
        assert f"30 cases of {name} have events at one time whose order is not declared" in said
    assert "successions there may not be real" in said


def test_small_numbers_are_said_on_a_terminal_as_they_are(tmp_path: Path) -> None:
    quick = [("Register", 0.0), ("Resolve", 0.01), ("Close", 0.01)]
    logs = []
    for name, steps in (("a", quick), ("b", [*quick[:1], ("Assign", 7.0), *quick[1:]])):
        lines = [
            line
            for i in range(60)
            for line in trail(f"{name}{i}", DAY + dt.timedelta(hours=i), steps)
        ]
        logs.append(write_lines(tmp_path / f"{name}.ndjson", lines))
    ran = in_process("compare", *logs, "--minimum-difference", 0.005, "--out", tmp_path / "out")
    assert "differ by 0.5 percentage points or more" in ran.out
    assert "Median case time: A 1 min 12 s, B 7 h 1 min" in ran.out


def test_few_cases_decide_nothing(tmp_path: Path) -> None:
    a, b = desk(tmp_path / "a.ndjson", 19), desk(tmp_path / "b.ndjson", 200, skip=1.0)
    found = compared(a, b, out=tmp_path / "out")
    assert found["flow"]["verdict"] == "inconclusive"
    assert found["sentence"] == "Inconclusive: A has 19 ended cases, 20 a side are needed."
    assert {one["verdict"] for one in found["times"]} == {"too rare"}
    assert all(one["verdict"] != "differs" for one in found["features"])


def test_open_cases_are_censored_and_too_many_decide_nothing(tmp_path: Path) -> None:
    half = [("Register", 0.0), ("Classify", 1.0)]
    whole = [*half, ("Resolve", 5.0), ("Close", 24.0)]
    lines = [
        line
        for i in range(90)
        for line in trail(f"C{i}", DAY + dt.timedelta(hours=i), half if i % 3 == 0 else whole)
    ]
    a = write_lines(tmp_path / "a.ndjson", lines)
    b = desk(tmp_path / "b.ndjson", 60)
    found = compared(a, b, "--practice", "incident", out=tmp_path / "out")
    assert (found["a"]["ended"], found["a"]["open"]) == (60, 30)
    assert found["flow"]["verdict"] == "inconclusive"
    assert "33% of A have not ended" in found["sentence"]
    assert row(found, "time", None, None)["open_a"] == 30
    assert row(found, "time", "Classify", None)["open_a"] == 30
    page = (tmp_path / "out" / "compare.html").read_text("utf-8")
    assert "30 of them still open" in page


# --- one log


def test_two_periods_by_the_opening(tmp_path: Path) -> None:
    a = desk(tmp_path / "a.ndjson", 80)
    b = desk(tmp_path / "b.ndjson", 80, skip=0.5, first=80)
    log = tmp_path / "log.ndjson"
    write_text(log, a.read_text("utf-8") + b.read_text("utf-8"))
    found = compared(log, "--split-at", "2025-01-11", out=tmp_path / "out")
    assert (found["a"]["cases"], found["b"]["cases"]) == (80, 80)
    assert found["a"]["label"] == "opened before 2025-01-11"
    assert found["flow"]["verdict"] == "differs"
    assert 0 < found["apart"]["across_the_split"] < 20


def test_a_log_of_closed_cases_cannot_show_that_the_later_ones_are_quicker(tmp_path: Path) -> None:
    """Every case takes 1 to 40 days; those open when the export was made are not in it."""
    lines, end = [], DAY + dt.timedelta(days=60)
    for i in range(240):
        at, days = DAY + dt.timedelta(hours=6 * i), 1 + 13 * i % 40
        if at + dt.timedelta(days=days) < end:
            steps = [("Register", 0.0), ("Resolve", 24.0 * days), ("Close", 0.5)]
            lines += trail(f"C{i:03d}", at, steps)
    log = write_lines(tmp_path / "log.ndjson", lines)
    found = compared(log, "--split-at", "2025-01-31", out=tmp_path / "out")
    median = row(found, "time", None, None)
    assert median["b"] < 0.75 * median["a"]
    assert median["verdict"] == "inconclusive"
    assert found["expected_open"] > 0.2
    assert "lacks the long ones" in found["sentence"]
    assert not [one for one in [*found["features"], *found["times"]] if one["verdict"] == "differs"]
    early = compared(log, "--split-at", "2025-01-04", out=tmp_path / "early")
    assert early["flow"]["verdict"] == "inconclusive"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk")
    write(simulate(Request(seed=5, tickets=1000, effect="improved")), folder)
    return folder


def test_an_improvement_is_in_the_times_and_not_in_the_ways(simulated: Path) -> None:
    """The simulated desk gets quicker by a known factor and does nothing else otherwise."""
    logs = (simulated / "events.ndjson", simulated / "tickets.csv")
    middle = ("--split-at", "2025-04-07", "--practice", "incident")
    found = compared(*logs, *middle, out=simulated / "out")
    assert found["flow"]["differing"] == 0
    assert found["flow"]["p"] > 0.05
    slower = [one for one in found["times"] if one["verdict"] == "differs"]
    assert slower
    assert all(one["difference"] < 0 for one in slower)


def test_groups_by_a_column(simulated: Path) -> None:
    logs = (simulated / "events.ndjson", simulated / "tickets.csv")
    found = compared(*logs, "--column", "practice", "--a", "incident", out=simulated / "p")
    assert found["b"]["label"] == "any other practice"
    assert found["flow"]["verdict"] == "differs"
    found = compared(
        *logs, "--practice", "incident", "--column", "channel", "--a", "phone", "--b", "portal",
        out=simulated / "c",
    )  # fmt: skip
    assert found["flow"]["differing"] == 0
    assert found["apart"]["other_value"] > 0
    cases = (
        found["a"]["cases"]
        + found["b"]["cases"]
        + sum(found["apart"][name] for name in ("other_value", "no_value", "other_practice"))
    )
    assert cases == found["logs"][0]["cases"]
    same = compared(
        *logs, "--practice", "incident", "--column", "attr.channel", "--a", "phone", "--b",
        "portal", out=simulated / "d",
    )  # fmt: skip
    assert same["features"] == found["features"]


def test_variants_are_compared_in_their_times_only(simulated: Path) -> None:
    logs = (simulated / "events.ndjson", simulated / "tickets.csv", "--practice", "incident")
    found = compared(*logs, "--column", "variant", "--a", "1", "--b", "2", out=simulated / "v")
    assert "circular" in found["flow"]["obstacle"]
    assert found["flow"]["verdict"] == "inconclusive"
    assert any(one["n_a"] >= 20 for one in found["times"])


def people_log(path: Path, people: int) -> Path:
    lines = [
        event_line(f"C{i}", step, f"2025-01-{1 + i % 28:02d}T0{j}:00:00Z", seq=j,
                   team="small" if i % 2 else "large", actor=f"{i % 2}-{i % (2 * people)}")
        for i in range(80) for j, step in enumerate(("Register", "Resolve", "Close"))
    ]  # fmt: skip
    return write_lines(path, lines)


def test_groups_of_few_people_are_not_compared(tmp_path: Path) -> None:
    words = ("--column", "first_team", "--a", "small", "--out", tmp_path / "out")
    ran = in_process("compare", people_log(tmp_path / "few.ndjson", 4), *words)
    assert (ran.code, ran.err[:6]) == (2, "CL055 ")
    assert "4 known people" in ran.err
    ran = in_process("compare", people_log(tmp_path / "enough.ndjson", 5), *words)
    assert (ran.code, ran.err) == (0, "")


# --- mistakes


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        ((), ["CL050"]),
        (("--split-at", "2025-01-05", "--column", "team"), ["CL050", "CL050"]),
        (("--a", "x"), ["CL050", "CL050"]),
        (("--column", "prioritty", "--a", "P1"), ["CL051"]),
        (("--column", "first_team", "--a", "dessk", "--b", "other"), ["CL052", "CL052"]),
        (("--column", "first_team", "--a", "desk", "--b", "desk"), ["CL052"]),
        (("--column", "first_team", "--a", "desk"), ["CL053"]),
        (("--split-at", "2031-01-01"), ["CL053"]),
        (("--split-at", "2025-01-03", "--minimum-difference", "0", "--minimum-change", "0"),
         ["CL056", "CL056"]),
        (("--split-at", "2025-01-03", "--minimum-change", "inf"), ["CL056"]),
        (("--split-at", "2025-01-03", "--ends", "Closed"), ["CL057"]),
        (("--split-at", "2025-01-03", "--permutations", "5"), ["ST521"]),
    ],
)  # fmt: skip
def test_mistakes_are_named(tmp_path: Path, words: tuple[str, ...], codes: list[str]) -> None:
    log = desk(tmp_path / "log.ndjson", 60)
    ran: Ran = in_process("compare", log, *words, "--out", tmp_path / "out")
    assert ran.code == 2
    assert [line.split()[0] for line in ran.err.splitlines()] == codes
    assert not (tmp_path / "out").exists()


def test_an_input_is_not_written_over(tmp_path: Path) -> None:
    log = desk(tmp_path / "summary.json", 30)
    ran = in_process("compare", log, log, "--out", tmp_path)
    assert (ran.code, ran.err[:5]) == (2, "CL017")


# --- what it leaves


def test_same_input_same_bytes(tmp_path: Path) -> None:
    """Neither the order of rows nor of files nor a second run changes a byte."""
    a, b = desk(tmp_path / "a.ndjson", 120, skip=0.2), desk(tmp_path / "b.ndjson", 90, skip=0.4)
    compared(a, b, out=tmp_path / "one")
    for path in (a, b):
        lines = path.read_text("utf-8").splitlines()
        random.Random(3).shuffle(lines)  # noqa: S311 - no secret
        write_lines(path, lines)
    compared(a, b, out=tmp_path / "two")
    for name in sorted(FILES - {"provenance.json"}):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), (
            name
        )


def test_the_table_says_what_the_summary_says(tmp_path: Path) -> None:
    a, b = desk(tmp_path / "a.ndjson", 60), desk(tmp_path / "b.ndjson", 60, skip=0.4)
    found = compared(a, b, out=tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "differences.parquet").to_pylist()
    assert table == [*found["features"], *found["times"]]


def test_hostile_words_do_nothing_on_the_page(tmp_path: Path) -> None:
    events, cases = hostile_log(tmp_path)
    ran = in_process("compare", events, cases, "--split-at", "2025-03-06", "--clear-names",
                     "--out", tmp_path / "out")  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    page = (tmp_path / "out" / "compare.html").read_text("utf-8")
    for bad in ("<script", "<img", "<iframe", "\x1b", "\u202e"):
        assert bad not in page.replace("&lt;", "")
    assert "\x1b" not in ran.out


def test_no_word_of_the_page_says_because(tmp_path: Path) -> None:
    a, b = desk(tmp_path / "a.ndjson", 60), desk(tmp_path / "b.ndjson", 60, skip=0.4)
    compared(a, b, out=tmp_path / "out")
    page = (tmp_path / "out" / "compare.html").read_text("utf-8").lower()
    assert "because" not in page
    assert "caused" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


def part(source: str | None, target: str | None, a: float, b: float, *, step: bool = False) -> Part:
    return Part(step, source, target, a, b, round(100 * (a + b)), abs(a - b) >= 0.05)


def test_the_map_marks_what_differs_by_colour_and_stroke() -> None:
    steps = [part("One", None, 1.0, 1.0, step=True), part('<"&>', None, 0.2, 0.6, step=True)]
    lines = [
        part(None, "One", 1.0, 1.0),
        part("One", '<"&>', 0.2, 0.6),
        part("One", None, 0.8, 0.4),
        part('<"&>', None, 0.2, 0.6),
    ]
    drawn = draw_difference_map(steps, lines, name="m", title="Two")
    assert drawn == draw_difference_map(steps[::-1], lines[::-1], name="m", title="Two")
    root = fromstring(drawn)
    by_title = {
        group[0].text: group[1].attrib for group in root if group.tag.endswith("}g") and len(group)
    }
    more_a = by_title["One → end: A 80.0 % · B 40.0 % of cases (120 cases in all)"]
    more_b = by_title['One → <"&>: A 20.0 % · B 60.0 % of cases (80 cases in all)']
    same = by_title["start → One: A 100.0 % · B 100.0 % of cases (200 cases in all)"]
    assert (more_a["stroke"], "stroke-dasharray" in more_a) == (A_COLOUR, True)
    assert (more_b["stroke"], "stroke-dasharray" in more_b) == (B_COLOUR, False)
    assert same["stroke"] not in (A_COLOUR, B_COLOUR)
    assert "Nothing is left out." in drawn


# --- size on logs


def log_of(folder: Path, name: str, seed: int, cases: int, skip: float = 0.2) -> EventLog:
    return open_log([desk(folder / name, cases, skip=skip, seed=seed)], ReadOptions())


def test_two_halves_of_one_desk_seldom_differ(tmp_path: Path) -> None:
    """12 null pairs: at true 5 % more than 3 would come up in 1 of 450 runs."""
    ways = times = 0
    end = int((DAY + dt.timedelta(days=40)).timestamp()) * 1_000_000
    for seed in range(12):
        a, b = (log_of(tmp_path, f"{side}.ndjson", 2 * seed + i, 60) for i, side in enumerate("ab"))
        ways += compare_flow(a, b, least=0.05, permutations=199).verdict.startswith("differs")
        every = np.ones(60, dtype=bool)
        found = compare_times((a, every, end), (b, every, end), least=0.1, smallest=20)
        times += any(one.verdict.startswith("differs") for one in found)
    assert ways <= 3
    assert times <= 3


# --- real logs


@needs_data
def test_the_uci_log_by_periods_and_teams(tmp_path: Path) -> None:
    words = (UCI, "--mapping", "uci_servicenow", "--practice", "incident")
    periods = compared(*words, "--split-at", "2016-03-22", out=tmp_path / "p")
    assert (periods["a"]["cases"], periods["b"]["cases"]) == (6344, 6958)
    assert periods["flow"]["verdict"] == "differs"
    assert periods["features"][0]["activity"] == "Await customer"
    teams = compared(*words, "--column", "first_team", "--a", "Group 70", out=tmp_path / "t")
    assert teams["apart"]["no_value"] == 13302 - teams["a"]["cases"] - teams["b"]["cases"]
    assert teams["flow"]["verdict"] == "differs"
