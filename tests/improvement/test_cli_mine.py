"""`trueloop mine`: the figures equal a recount, filters add up, and the page is inert."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from improvement.command_line import (
    BPI13,
    DATA,
    UCI,
    event_line,
    hostile_log,
    in_process,
    outside,
    write_lines,
)
from oracles import naive_mining as naive

from process_mining.model import ReferenceModel

if TYPE_CHECKING:
    from pathlib import Path

needs_data = pytest.mark.skipif(not UCI.exists(), reason="../shared/data is not there")
STEPS = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")
WAYS = (
    STEPS,
    STEPS,
    (*STEPS[:4], "Await customer", "Diagnose", "Resolve", "Close"),
    (*STEPS[:5], "Reopen", "Diagnose", "Resolve", "Close"),
    STEPS[:4],
    ("Register", "Classify", "Cancel"),
)
TEAMS = ("desk", "network", "desk", "storage")
CASES = 24


def rows(cases: int = CASES) -> list[dict[str, Any]]:
    """One ticket a day; the k-th step of ticket i comes i + k hours after the one before."""
    found = []
    for case in range(cases):
        hour = 0
        for k, activity in enumerate(WAYS[case % len(WAYS)]):
            hour += (case % 5) + k
            day = f"2024-{3 + case // 28:02d}-{1 + case % 28:02d}"
            found.append(
                {
                    "case_id": f"T{case:03d}",
                    "practice": "incident",
                    "activity": activity,
                    "at": f"{day}T00:00:07Z" if not hour else _later(day, hour),
                    "seq": k,
                    "actor": f"p{(case + k) % 11}",
                    "team": TEAMS[k % 4] if case % 2 else "desk",
                }
            )
    return found


def _later(day: str, hours: int) -> str:
    month, first = int(day[5:7]), int(day[8:10])
    days, hour = divmod(hours, 24)
    total = first + days
    shift, in_month = divmod(total - 1, 28)
    return f"2024-{month + shift:02d}-{in_month + 1:02d}T{hour:02d}:00:07Z"


def written(path: Path, found: list[dict[str, Any]]) -> Path:
    return write_lines(path, [json.dumps(row) for row in found])


def mined(log: Path, out: Path, *words: object) -> dict[str, Any]:
    ran = in_process("mine", log, "--out", out, "--json", *words)
    assert (ran.code, ran.err) == (0, "")
    summary: dict[str, Any] = ran.json()
    assert summary == json.loads((out / "summary.json").read_text())
    return summary


def as_cases(found: list[dict[str, Any]]) -> list[naive.Case]:
    """The rows as the recount wants them, times in µs."""
    by_case: dict[str, list[naive.Event]] = {}
    for row in found:
        day, hour = int(row["at"][8:10]), int(row["at"][11:13])
        hours = (int(row["at"][5:7]) * 28 + day) * 24 + hour
        event = (row["activity"], hours * 3_600_000_000, row["actor"], row["team"])
        by_case.setdefault(row["case_id"], []).append(event)
    return list(by_case.items())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("mine")
    log = written(folder / "log.ndjson", rows())
    return folder / "out", mined(log, folder / "out", "--practice", "incident", "--keep-share", 1)


def test_the_figures_equal_a_recount(small: tuple[Path, dict[str, Any]]) -> None:
    out, summary = small
    cases = as_cases(rows())
    assert summary["mined"]["cases"] == CASES
    assert summary["mined"]["ended"] == sum(c[1][-1][0] in {"Close", "Cancel"} for c in cases)
    ways = [(tuple(way["trace"]), way["n"]) for way in summary["ways"]]
    assert ways == naive.variants(cases)
    known = naive.successions([naive.steps(case) for case in cases])
    lines = {(e["source"], e["target"]): e for e in summary["map"]["lines"]}
    assert {pair: line["n"] for pair, line in lines.items()} == {p: e.n for p, e in known.items()}
    for pair, line in lines.items():
        assert line["median_us"] == naive.quantile(known[pair].waits, 50)
    between = {pair: e for pair, e in known.items() if None not in pair}
    spent = {pair: sum(e.waits) / 3_600_000_000 for pair, e in between.items()}
    for row in summary["times"]["bottlenecks"]:
        assert row["total_h"] == pytest.approx(spent[row["source"], row["target"]])
    assert summary["times"]["successions"] == len(between)
    assert summary["teams"]["n_ping_pongs"] == sum(map(naive.ping_pongs, cases))
    assert summary["rework"]["cases_looping"] == sum(loops(naive.trace(case)) for case in cases)
    back = [case for case in cases if "Reopen" in naive.trace(case)]
    assert summary["resolution"]["reopened"]["reopened"] == len(back)
    table = pq.read_table(out / "variants.parquet").to_pandas()
    assert table["n"].sum() == CASES
    assert pq.read_table(out / "days.parquet")["opened"].to_pandas().sum() == CASES


def loops(trace: tuple[str, ...]) -> bool:
    """Whether a step comes again after others in between."""
    last = {}
    for i, step in enumerate(trace):
        if i - last.get(step, i) > 1:
            return True
        last[step] = i
    return False


def test_the_model_beside_the_page_is_the_one_that_was_measured(
    small: tuple[Path, dict[str, Any]],
) -> None:
    out, summary = small
    model = ReferenceModel.from_bpmn(out / "model.bpmn")
    found, fit = summary["model"], summary["model"]["fit"]
    assert list(model.activities) == found["activities"]
    assert len(model.diagram.shapes) > len(found["activities"])
    assert fit["cases"] == summary["mined"]["ended"]
    assert fit["fitting"]["value"] == fit["fitting_cases"] / fit["cases"]
    assert 0 <= fit["fitness"]["low"] <= fit["fitness"]["high"] <= 1
    provenance = json.loads((out / "provenance.json").read_text())
    there = {path.name for path in out.iterdir()} - {"provenance.json"}
    assert provenance["written"].keys() == there


def test_the_page_is_inert_and_says_what_it_rests_on(small: tuple[Path, dict[str, Any]]) -> None:
    page = (small[0] / "mine.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    anchors = set(re.findall(r' id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for words in ("Process map", "95 % interval", "Await customer", "discovered"):
        assert words in page


def test_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    found = rows()
    random.Random(4).shuffle(found)  # noqa: S311 - a test, not a secret
    for name, some in (("a", rows()), ("b", found)):
        mined(written(tmp_path / f"{name}.ndjson", some), tmp_path / name, "--practice", "incident")
    for path in sorted((tmp_path / "a").iterdir()):
        if path.name != "provenance.json":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("rule", ["inside", "begins"])
def test_what_the_window_hides_is_counted(tmp_path: Path, rule: str) -> None:
    log = written(tmp_path / "log.ndjson", rows())
    words = ("--from", "2024-03-05", "--to", "2024-03-12", "--window", rule)
    summary = mined(log, tmp_path / "out", *words)
    first, last = {}, {}
    for row in rows():
        first.setdefault(row["case_id"], row["at"])
        last[row["case_id"]] = row["at"]
    kept = [c for c in first if "2024-03-05" <= first[c] < "2024-03-12"]
    kept = [c for c in kept if rule == "begins" or last[c] < "2024-03-12"]
    hidden = summary["filters"]["hidden"]
    assert summary["mined"]["cases"] == len(kept) < CASES
    assert hidden["outside_window"] == CASES - len(kept)
    assert hidden["events_outside"] + summary["mined"]["events"] == len(rows())
    assert summary["filters"]["window"]["rule"] == rule


def test_what_the_map_hides_is_counted(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", rows())
    whole = mined(log, tmp_path / "a", "--keep-share", 1)
    part = mined(log, tmp_path / "b", "--keep-share", 0.3, "--top-activities", 5)
    hidden = part["filters"]
    counts = Counter(row["activity"] for row in rows())
    assert (
        sorted(set(counts) - {n["activity"] for n in part["map"]["activities"]})
        == hidden["rare_activities"]
    )
    assert hidden["rare_steps"] == sum(counts[name] for name in hidden["rare_activities"])
    assert len(part["map"]["activities"]) == 5
    shown = sum(line["n"] for line in part["map"]["lines"])
    kept = [
        [e for e in case[1] if e[0] not in hidden["rare_activities"]] for case in as_cases(rows())
    ]
    assert shown + hidden["hidden_successions"] == sum(len(events) + 1 for events in kept)
    assert whole["filters"]["hidden_lines"] == whole["filters"]["rare_steps"] == 0
    assert len(whole["map"]["lines"]) > len(part["map"]["lines"])
    page = (tmp_path / "b" / "mine.html").read_text()
    ways = part["mined"]["variants"]
    assert f"{ways} different ways through the 5 most frequent steps, 4 rare ones left out" in page
    assert "different ways;" in (tmp_path / "a" / "mine.html").read_text()
    said = in_process("mine", log, "--out", tmp_path / "b", "--top-activities", 5).out
    assert "Of variants, map and model 4 rare kinds of steps are left out." in said


def test_one_way_is_said_as_one(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", [row for row in rows() if row["case_id"] == "T000"])
    mined(log, tmp_path / "out")
    page = (tmp_path / "out" / "mine.html").read_text()
    assert "took 1 different way. Most time" in page


def test_no_ticket_is_missing_from_the_hand_overs_a_ticket(tmp_path: Path) -> None:
    lines = [
        event_line(
            f"T{case:02d}", "Diagnose", f"2025-01-01T{k:02d}:00:00Z", seq=k, team=TEAMS[k % 2]
        )
        for case in range(20)
        for k in range(case + 1)
    ]
    mined(write_lines(tmp_path / "log.ndjson", lines), tmp_path / "out")
    page = (tmp_path / "out" / "mine.html").read_text()
    table = page[page.index("Hand-overs a ticket") :]
    cells = re.findall(r'<td class="n">([^<]*)</td>', table[: table.index("</table>")])
    assert cells[-3:] == ["9 or more", "11", "55.0 %"]
    assert sum(map(int, cells[1::3])) == 20


def test_ended_tickets_of_one_length_have_an_interval(tmp_path: Path) -> None:
    lines = [
        event_line(f"T{case:02d}", step, f"2025-01-{case + 1:02d}T{8 + k:02d}:00:00Z", seq=k)
        for case in range(20)
        for k, step in enumerate(STEPS)
    ]
    log = write_lines(tmp_path / "log.ndjson", lines)
    found = mined(log, tmp_path / "out", "--practice", "incident")["duration"]
    half = found["p50"]
    assert (half["low"], half["value"], half["high"], found["censored"]) == (5.0, 5.0, 5.0, 0)


def test_slow_lines_are_marked(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", rows())
    summary = mined(log, tmp_path / "out", "--slower-than", "6h", "--keep-share", 0)
    limit = 6 * 3_600_000_000
    slow = [e for e in summary["map"]["lines"] if (e["median_us"] or 0) > limit]
    known = naive.successions([naive.steps(case) for case in as_cases(rows())])
    assert len(slow) == sum((naive.quantile(e.waits, 50) or 0) > limit for e in known.values())
    assert summary["filters"]["slow_lines"] == len(slow) > 0
    page = (tmp_path / "out" / "mine.html").read_text()
    assert page.count('stroke-dasharray="9 4"') == len(slow)


def test_a_log_without_a_practice_knows_no_meanings_unless_told(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", rows())
    raw = mined(log, tmp_path / "a")
    assert raw["mined"]["ended"] is None
    assert raw["times"]["split"] is None
    assert raw["resolution"] == {"reopened": None, "first_contact": None}
    assert raw["flow"]["open"] is None
    assert raw["mined"]["practices_named"] == ["incident"]
    words = ("--waiting", "Await customer", "--resolving", "Resolve")
    half = mined(log, tmp_path / "b", *words)
    assert half["times"]["split"]["waiting_h"] > 0
    assert half["mined"]["meanings"]["waiting"] == ["Await customer"]
    # every Close after Resolve would else be a coming back
    assert half["resolution"] == {"reopened": None, "first_contact": None}
    assert "cannot be told from coming back" in (tmp_path / "b" / "mine.html").read_text()
    told = mined(log, tmp_path / "c", *words, "--ends", "Close", "--ends", "Cancel")
    back = told["resolution"]["reopened"]
    assert (back["resolved"], back["reopened"], back["reopenings"]) == (16, 4, 4)
    assert (told["mined"]["ended"], told["flow"]["open"]) == (20, 4)
    assert told["resolution"] == mined(log, tmp_path / "d", "--practice", "incident")["resolution"]


def test_an_unsound_model_is_told_and_leaves_no_file_of_an_earlier_run(tmp_path: Path) -> None:
    traces = ["abcdef", "bacedf", "cabfed", "afcbde", "fdabce"]
    lines = [
        event_line(f"T{i}", step, f"2025-01-{i + 1:02d}T{k:02d}:00:00Z", seq=k)
        for i, trace in enumerate(traces)
        for k, step in enumerate(trace)
    ]
    log = write_lines(tmp_path / "log.ndjson", lines)
    mined(log, tmp_path / "out")
    assert (tmp_path / "out" / "model.bpmn").exists()
    summary = mined(log, tmp_path / "out", "--discover", "heuristics", "--noise", 0)
    assert summary["model"]["unsound"]
    assert "not sound" in summary["model"]["fit"]["failed"]
    assert not (tmp_path / "out" / "model.bpmn").exists()
    assert "not sound" in (tmp_path / "out" / "mine.html").read_text()


def test_hostile_texts_are_only_text(tmp_path: Path) -> None:
    events, cases = hostile_log(tmp_path)
    ran = in_process("mine", events, cases, "--out", tmp_path / "out", "--practice", "incident")
    assert (ran.code, ran.err) == (0, "")
    page = (tmp_path / "out" / "mine.html").read_text()
    for harm in ("<script", "<img", "<iframe", "onerror=alert(1)>", "</style></svg>"):
        assert harm not in page
    assert "\x1b" not in page + ran.out
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in page + ran.out
    model = ReferenceModel.from_bpmn(tmp_path / "out" / "model.bpmn")
    assert len(model.activities) > 5


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--from", "2031-01-01"), "CL040"),
        (("--to", "2024-01-01", "--from", "2024-02-01"), "LG344"),
        (("--waiting", "Awaiting"), "CL041"),
        (("--resolving", "resolve"), "CL041"),
        (("--ends", "Closed"), "CL041"),
        (("--waiting", "Resolve", "--practice", "incident"), "LG315"),
        (("--practice", "incidents"), "CL010"),
        (("--slower-than", "soon"), "CL002"),
        (("--noise", "2"), "CL002"),
        (("--top-activities", "0"), "CL002"),
        (("--discover", "alpha"), "CL002"),
    ],
)
def test_wrong_options_are_coded_errors(tmp_path: Path, words: tuple[str, ...], code: str) -> None:
    log = written(tmp_path / "log.ndjson", rows(3))
    ran = in_process("mine", log, "--out", tmp_path / "out", *words)
    assert ran.code == 2
    assert ran.err.startswith(f"{code} ")
    assert not (tmp_path / "out").exists()


def test_a_survey_after_the_end_makes_no_ticket_longer(tmp_path: Path) -> None:
    plain = rows()
    asked = [
        row | {"activity": said, "at": f"2024-12-{day}T00:00:07Z", "seq": row["seq"] + 1 + k}
        for row in plain
        if row["activity"] == "Close"
        for k, (said, day) in enumerate((("Ask feedback", 20), ("Receive feedback", 27)))
    ]
    logs = [
        written(tmp_path / f"{i}.ndjson", found) for i, found in enumerate((plain, plain + asked))
    ]
    first, second = (
        mined(log, tmp_path / log.stem, "--practice", "incident", "--to", "2025-01-01")
        for log in logs
    )
    assert second["mined"]["events"] == first["mined"]["events"] + len(asked)
    assert second["ways"] == first["ways"]
    closed = [pq.read_table(tmp_path / str(i) / "variants.parquet") for i in (0, 1)]
    assert (
        closed[0]["median_duration_us"].to_pylist() == closed[1]["median_duration_us"].to_pylist()
    )
    a = second["duration"]["p50"]["value"]
    assert a is not None
    assert a < 24 * 7


def test_the_log_is_not_written_over(tmp_path: Path) -> None:
    log = written(tmp_path / "summary.json", rows(2))
    ran = in_process("mine", log, "--source", "ndjson", "--out", tmp_path)
    assert (ran.code, ran.err[:6]) == (2, "CL017 ")
    assert log.read_text().startswith("{")


def test_a_log_without_times_or_teams_has_a_page(tmp_path: Path) -> None:
    xes = "".join(
        f'<trace><string key="concept:name" value="{trace}"/>'
        + "".join(f'<event><string key="concept:name" value="{step}"/></event>' for step in trace)
        + "</trace>"
        for trace in ("abc", "ac")
    )
    head = '<?xml version="1.0"?><log xes.version="1.0" xmlns="http://www.xes-standard.org/">'
    path = tmp_path / "log.xes"
    path.write_text(f"{head}{xes}</log>")
    summary = mined(path, tmp_path / "out")
    assert summary["teams"] is None
    assert summary["duration"]["p50"]["value"] is None
    assert summary["flow"] == {"failed": "the log has no times"}
    assert summary["model"]["fit"]["fitting_cases"] == 2


@pytest.mark.trial
def test_the_hash_seed_changes_nothing(tmp_path: Path) -> None:
    log = written(tmp_path / "log.ndjson", rows(12))
    for seed in ("1", "30"):
        env = {"PYTHONHASHSEED": seed}
        ran = outside("mine", log, "--practice", "incident", "--out", tmp_path / seed, env=env)
        assert (ran.code, ran.err) == (0, "")
    for path in sorted((tmp_path / "1").iterdir()):
        assert path.read_bytes() == (tmp_path / "30" / path.name).read_bytes(), path.name


@needs_data
def test_volvos_problems(tmp_path: Path) -> None:
    """Figures that the log's own documentation gives, and those of the map add up."""
    words = ("--mapping", "bpic13_volvo", "--practice", "problem", "--keep-share", 1)
    summary = mined(BPI13, tmp_path / "out", *words)
    assert (summary["mined"]["cases"], summary["mined"]["events"]) == (1487, 6660)
    steps = sum(node["n"] for node in summary["map"]["activities"])
    assert sum(line["n"] for line in summary["map"]["lines"]) == steps + 1487
    share = summary["times"]["bottlenecks"]
    assert all(a["total_h"] >= b["total_h"] for a, b in pairwise(share))
    assert summary["model"]["fit"]["fitting"]["value"] > 0.9


@needs_data
@pytest.mark.trial
def test_real_logs_are_mined_in_every_way(tmp_path: Path) -> None:
    bpi14 = sorted((DATA / "bpic14").glob("*.csv.gz"))
    runs = [
        ([UCI], "uci_servicenow", "--practice", "incident", "--slower-than", "5d"),
        ([UCI], "uci_servicenow", "--discover", "heuristics"),
        ([BPI13], "bpic13_volvo", "--practice", "problem", "--discover", "heuristics"),
        (bpi14, "bpic14_rabobank", "--top-activities", 12),
    ]
    for i, (logs, mapping, *words) in enumerate(runs):
        ran = in_process("mine", *logs, "--mapping", mapping, "--out", tmp_path / str(i), *words)
        assert (ran.code, ran.err) == (0, "")
