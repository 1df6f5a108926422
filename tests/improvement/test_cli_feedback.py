"""`trueloop feedback`: from files to figures, the files that it leaves, and what it keeps back."""

from __future__ import annotations

import csv
import datetime as dt
import json
import random
from collections import Counter
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from improvement.command_line import in_process

from csi.register import Improvement, Register
from csi.statistics import DecisionRule

if TYPE_CHECKING:
    from pathlib import Path


FILES = {"feedback.json", "responses.parquet", "loops.parquet", "feedback.html"}
HEADER = "ticket,asked_at,answered_at,channel,scale,score,comment"
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("feedback") / "desk"
    assert in_process("simulate", "--out", folder, "--tickets", 150).code == 0
    return folder


def feedback(desk: Path, out: Path) -> dict[str, Any]:
    logs = (desk / "events.ndjson", desk / "tickets.csv")
    ran = in_process("feedback", *logs, "--surveys", desk / "surveys.csv", "--out", out, "--json")
    assert (ran.code, ran.err) == (0, "")
    found: dict[str, Any] = ran.json()
    return found


@pytest.fixture(scope="module")
def whole(desk: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("feedback-out")
    return out, feedback(desk, out)


def surveys(desk: Path) -> list[dict[str, str]]:
    with (desk / "surveys.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_figures_of_a_desk_counted_again(desk: Path, whole: tuple[Path, dict[str, Any]]) -> None:
    out, found = whole
    rows = surveys(desk)
    scores = [int(row["score"]) for row in rows if row["score"]]
    assert {path.name for path in out.iterdir()} == FILES
    assert json.loads((out / "feedback.json").read_text()) == found
    rate, share = found["rates"][0], found["figures"][0]
    assert (rate["asked"], rate["answered"]) == (len(rows), len(scores))
    assert share["score"]["value"] == sum(score >= 4 for score in scores) / len(scores)
    assert share["asked_bounds"]["low"] == sum(score >= 4 for score in scores) / len(rows)
    assert share["score"]["n"] == len(scores)
    with (desk / "tickets.csv").open(encoding="utf-8", newline="") as file:
        tickets = {row["case_id"]: row for row in csv.DictReader(file)}
    by = Counter(tickets[row["ticket"]]["priority"] for row in rows)
    told = {
        r["segment"]: r["asked"] for r in found["rates"] if r["by"] == "priority" and r["asked"]
    }
    assert told == by
    ended = {
        case_id
        for case_id, row in tickets.items()
        if row["practice"] == "incident" and (row["closed"] or row["resolved"])
    }
    assert found["population"] >= len(ended)
    asked = {row["ticket"] for row in rows}
    assert rate["never_asked"] == found["population"] - len(asked & ended)
    written = pq.read_table(out / "responses.parquet")
    assert written.num_rows == len(rows)
    assert {"respondent", "comment"} & set(written.column_names) == set()


def test_the_page_is_whole_inert_and_for_the_keyboard(whole: tuple[Path, dict[str, Any]]) -> None:
    page = (whole[0] / "feedback.html").read_text(encoding="utf-8")
    seen: Counter[str] = Counter()
    ids, links = set(), set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen[tag] += 1
            told = dict(attrs)
            ids.add(told.get("id"))
            links.add(told.get("href"))
            assert not any(name.startswith("on") for name in told)

    Reader().feed(page)
    assert (seen["script"], seen["link"], seen["img"]) == (0, 0, 0)
    assert seen["svg"] == 1
    assert {link.removeprefix("#") for link in links if link} <= ids
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "had everybody who was asked answered" in page


def test_the_same_in_any_order_of_rows(
    desk: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    lines = (desk / "surveys.csv").read_text(encoding="utf-8").splitlines()
    head, rest = lines[0], lines[1:]
    random.Random(3).shuffle(rest)  # noqa: S311 - a seeded test
    shuffled = tmp_path / "surveys.csv"
    shuffled.write_text("\n".join([head, *rest]) + "\n", encoding="utf-8")
    logs = (desk / "events.ndjson", desk / "tickets.csv")
    ran = in_process("feedback", *logs, "--surveys", shuffled, "--out", tmp_path / "out", "--json")
    again = ran.json()
    for name in ("figures", "rates", "excluded", "comments", "loops", "population"):
        assert again[name] == whole[1][name]
    old, new = (pq.read_table(f / "responses.parquet") for f in (whole[0], tmp_path / "out"))
    assert new.equals(old)


def test_comments_leave_only_with_leave(
    desk: Path, whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    written = {row["comment"] for row in surveys(desk) if len(row["comment"]) > 12}
    assert written
    outputs = [(whole[0] / name).read_bytes().decode(errors="replace") for name in FILES]
    assert not any(text in output for text in written for output in outputs)
    words = ("feedback", "--surveys", desk / "surveys.csv", "--show-comments")
    found = in_process(*words, "--out", tmp_path, "--json").json()
    shown = {text for group in found["comments"]["groups"] for text in group["texts"]}
    assert shown
    assert shown <= {row["comment"] for row in surveys(desk)}
    assert "comment" in pq.read_table(tmp_path / "responses.parquet").column_names


def test_who_signs_comments_is_no_term(tmp_path: Path) -> None:
    topics = ("slow login", "printer jam", "lost mail")
    rows = [
        f"T{i},{1 + i % 5},{topics[i % 3]}{' Zoe Quax' if i % 3 == 0 else ''},Zoe Quax\n"
        for i in range(36)
    ]
    (tmp_path / "s.csv").write_text("ticket,score,comment,who\n" + "".join(rows), encoding="utf-8")
    declared = """[[survey]]
    channel = "web"
    scale = "1-5"
    columns = { ticket = "ticket", score = "score", comment = "comment", respondent = "who" }
    """
    (tmp_path / "m.toml").write_text(declared, encoding="utf-8")
    out = tmp_path / "out"
    options = ("--surveys", tmp_path / "s.csv", "--survey-mapping", tmp_path / "m.toml")
    assert in_process("feedback", *options, "--out", out).code == 0
    for name in ("feedback.json", "feedback.html"):
        text = (out / name).read_text(encoding="utf-8").lower()
        assert "printer jam" in text
        assert "quax" not in text


def test_no_loop_to_follow_is_said_as_that(desk: Path, tmp_path: Path) -> None:
    events = (desk / "events.ndjson").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in events if json.loads(line)["activity"] != "Receive feedback"]
    (tmp_path / "events.ndjson").write_text("".join(kept), encoding="utf-8")
    logs = (tmp_path / "events.ndjson", desk / "tickets.csv")
    ran = in_process("feedback", *logs, "--surveys", desk / "surveys.csv", "--out", tmp_path / "o")
    assert ran.code == 0
    assert "No step of the log holds a low score" in ran.out  # while surveys hold some
    assert "0 low scores" not in ran.out


def test_loops_of_low_scores_are_followed(whole: tuple[Path, dict[str, Any]]) -> None:
    out, found = whole
    overall = found["loops"]["figures"][0]
    table = pq.read_table(out / "loops.parquet").to_pylist()
    assert overall["low"] == len(table) > 0
    assert sum(row["closed"] for row in table) == overall["closed"] + overall["settled"]
    assert len(found["loops"]["broken"]) == sum(bool(row["breaks"]) for row in table)
    assert "What became of low scores" in (out / "feedback.html").read_text(encoding="utf-8")


def test_promises_stand_beside_scores_and_the_lowest_are_told(
    desk: Path, whole: tuple[Path, dict[str, Any]]
) -> None:
    found = whole[1]["loops"]
    scores = {row["ticket"]: int(row["score"]) for row in surveys(desk) if row["score"]}
    contrast = found["contrast"]
    unhappy = {row["case"] for row in contrast["green_and_unhappy"]}
    assert len(unhappy) == contrast["counts"]["green, unhappy"]
    assert all(scores[case] <= 2 for case in unhappy)
    assert all(scores[row["case"]] >= 4 for row in contrast["breached_and_happy"])
    assert sum(contrast["counts"].values()) == contrast["n"]
    assert contrast["n"] + sum(contrast["left_out"].values()) == len(scores)
    told = [row["score"] for row in found["drilled"]]
    assert told == sorted(score for score in scores.values() if score <= 2)[: len(told)]
    assert all(row["events"] for row in found["drilled"])
    assert "actor" not in json.dumps(found["drilled"])


def test_agents_that_rate_themselves_are_found_by_the_key(desk: Path, tmp_path: Path) -> None:
    """Names in the survey, pseudonyms in the log: only the key that made them tells."""
    events = [json.loads(line) for line in (desk / "events.ndjson").read_text().splitlines()]
    agents = {e["case_id"]: e["actor"] for e in events if e["activity"] in ("Diagnose", "Resolve")}
    rows = [row for row in surveys(desk) if row["score"]][:20]
    path, mapping, key = (tmp_path / name for name in ("s.csv", "m.toml", "key"))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ticket", "sent", "back", "stars", "who"])
        for i, row in enumerate(rows):
            who = agents[row["ticket"]] if i < 4 else f"Customer {i}"
            cells = [row["asked_at"], row["answered_at"], row["score"], who]
            writer.writerow([row["ticket"], *cells])
    mapping.write_text(
        '[[survey]]\nchannel = "email"\nscale = "1-5"\ntime = { format = "iso" }\n'
        'columns = { ticket = "ticket", asked_at = "sent", answered_at = "back", '
        'score = "stars", respondent = "who" }\n',
        encoding="utf-8",
    )
    key.write_bytes(b"0123456789abcdef0123")
    words = ["feedback", desk / "events.ndjson", desk / "tickets.csv", "--surveys", path]
    words += ["--survey-mapping", mapping, "--out", tmp_path / "out", "--json"]
    found = in_process(*words, "--key-file", key).json()
    assert found["excluded"]["self-rating"] == 4
    assert found["rates"][0]["asked"] == 16
    without = in_process(*words).json()
    assert without["excluded"]["self-rating"] == 0
    assert sum(without["unsure"].values()) == 20
    for name in FILES:
        content = (tmp_path / "out" / name).read_bytes()
        assert all(agent.encode() not in content for agent in set(agents.values()))


def test_hostile_cells_do_nothing(tmp_path: Path) -> None:
    texts = [f"{EVIL} =cmd|calc slow answer", "=1+1 slow answer \u202e", "slow answer"]
    lines = [
        f'"T{i}","2024-01-0{1 + i % 9}T10:00Z","2024-01-20T10:00Z","{EVIL}",1-5,{1 + i % 5},'
        f'"{texts[i % 3]}"'
        for i in range(30)
    ]
    path = tmp_path / "surveys.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n", encoding="utf-8")
    out = tmp_path / "out"
    ran = in_process("feedback", "--surveys", path, "--out", out, "--show-comments")
    assert ran.code == 0, ran.err
    page = (out / "feedback.html").read_text(encoding="utf-8")
    assert EVIL not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page


def test_late_answers_and_lost_tickets(desk: Path, tmp_path: Path) -> None:
    rows = surveys(desk)
    waits = Counter(row["ticket"] for row in rows if row["score"])
    strange = tmp_path / "surveys.csv"
    text = (desk / "surveys.csv").read_text(encoding="utf-8")
    first = next(iter(waits))
    line = "{},2025-02-01T10:00:00Z,2025-02-02T10:00:00Z,mail,1-5,1,\n"
    strange.write_text(text + line.format(first.lower()) + line.format("XYZ1"), encoding="utf-8")
    out = tmp_path / "out"
    logs = (desk / "events.ndjson", desk / "tickets.csv")
    words = ("feedback", *logs, "--surveys", strange, "--out", out, "--answer-within", "1h")
    shown = in_process(*words).out
    assert "2 unmatched" in shown
    found = json.loads((out / "feedback.json").read_text(encoding="utf-8"))
    assert found["excluded"]["unmatched"] == 2
    assert found["unmatched"]["near_misses"] == {"case of its letters": 1}
    assert found["excluded"]["late"] > 0
    told = found["rates"][0]
    assert told["asked"] == len(rows)
    assert told["answered"] + found["excluded"]["late"] == len([r for r in rows if r["score"]])


def test_exit_codes(desk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bad = tmp_path / "bad.csv"
    bad.write_text(f"{HEADER}\nT1,2024-01-01T10:00Z,2024-01-02T10:00Z,mail,1-5,9,\n")
    ran = in_process("feedback", "--surveys", bad, "--out", out)
    assert (ran.code, ran.err.split()[0]) == (3, "ST506")
    assert not out.exists()
    assert in_process("feedback", "--surveys", bad, "--out", out, "--allow-rejects").code == 0
    assert "ST515" in (out / "feedback.html").read_text()
    ran = in_process("feedback", "--out", out)
    assert (ran.code, ran.err.split()[0]) == (2, "ST543")
    ran = in_process("feedback", "--surveys", tmp_path / "none.csv", "--out", out)
    assert (ran.code, ran.err.split()[0]) == (2, "LG011")
    own = tmp_path / "feedback.json"
    own.write_text((desk / "surveys.csv").read_text())
    ran = in_process("feedback", "--surveys", own, "--out", tmp_path)
    assert (ran.code, ran.err.split()[0]) == (2, "CL017")


def test_the_register_says_what_answers_led_to(desk: Path, tmp_path: Path) -> None:
    register, ticket = tmp_path / "register.sqlite", surveys(desk)[0]["ticket"]
    entry = Register.open(register).add(
        Improvement(
            title="Call back after a low score",
            opportunity="One low score in ten is never answered",
            hypothesis="Customers who are called back are content again",
            kpi="KPI06",
            owner="Service desk lead",
            decision_rule=DecisionRule(minimum_effect=0.1),
            source_findings=(f"feedback:{ticket}",),
        ),
        at=dt.datetime(2025, 3, 1, tzinfo=dt.UTC),
        actor="lead",
    )
    logs = (desk / "events.ndjson", desk / "tickets.csv")
    asked = ("--surveys", desk / "surveys.csv", "--register", register, "--out", tmp_path / "out")
    found = in_process("feedback", *logs, *asked, "--json").json()
    [pair] = [one for one in found["loops"]["links"]["pairs"] if one["improvement"] == entry]
    assert (pair["feedback"], pair["named_by_improvement"]) == (ticket, True)
    asked = (*asked[:2], "--register", tmp_path / "none.sqlite", *asked[-2:])
    missing = in_process("feedback", *logs, *asked)
    assert (missing.code, "RG101" in missing.err) == (2, True)
