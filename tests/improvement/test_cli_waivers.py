"""Waivers: what is allowed is marked and counted apart, never hidden; orphans are told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from improvement.command_line import Ran, in_process

if TYPE_CHECKING:
    from pathlib import Path

# Four incidents that nobody diagnosed, resolved on the 6th, 7th, 8th and 9th by two teams.
RULE = "INC002"
DAYS = {"A": 6, "B": 7, "C": 8, "D": 9}
TEAMS = {"A": "desk", "B": "desk", "C": " Network ", "D": None}

ONE = """
[[waiver]]
id = "W-1"
rule = "INC002"
reason = "Known errors are resolved from the catalogue"
approver = "Service manager"
granted = 2025-01-07
expires = 2025-01-09
[waiver.scope]
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        {
            "case_id": case,
            "practice": "incident",
            "activity": word,
            "at": f"2025-01-{day:02d}T{hour:02d}:00:00Z",
            "seq": hour,
            "actor": "somebody",
            "team": TEAMS[case],
            "attributes": {},
        }
        for case, day in DAYS.items()
        for hour, word in enumerate(("Register", "Classify", "Assign", "Resolve", "Close"), 9)
    ]
    path = tmp_path / "log.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def audit(log: Path, text: str, *words: object) -> Ran:
    waivers = log.with_name("waivers.toml")
    waivers.write_text(text, encoding="utf-8")
    out = log.with_name("out")
    return in_process("audit", log, "--waivers", waivers, "--out", out, "--json", *words)


def row(found: dict[str, Any], code: str = RULE) -> dict[str, Any]:
    return next(one for one in found["rules"] if one["code"] == code)


def waived(log: Path) -> dict[str, str | None]:
    """The waiver of each case's finding of the rule."""
    found = pq.read_table(log.with_name("out") / "findings.parquet").to_pylist()
    return {one["case_id"]: one["waived_by"] for one in found if one["rule"] == RULE}


def test_a_waiver_covers_what_happened_while_it_was_in_force(log: Path) -> None:
    found = audit(log, ONE + "all = true").json()
    assert waived(log) == {"A": None, "B": "W-1", "C": "W-1", "D": None}
    rule = row(found)
    assert (rule["violates"], rule["waived"], rule["rate"], rule["net_rate"]) == (4, 2, 0.0, 0.0)
    assert rule["net_interval"][1] > rule["interval"][1]  # fewer cases tell less
    (use,) = found["waivers"]
    assert (use["state"], use["findings"], use["cases"], use["orphan"]) == ("expired", 2, 2, None)
    assert use["approver"] == "Service manager"
    assert row(found, "INC006")["waived"] == 0


@pytest.mark.parametrize(
    ("scope", "cases"),
    [
        ('case = ["B"]', "B"),
        ('case = ["b"]', ""),
        ('team = ["NETWORK"]', "C"),
        ('team = ["desk", "network"]', "BC"),
        ('practice = ["incident"]\nteam = ["desk"]', "B"),
        ('priority = ["P1"]', ""),
    ],
)
def test_a_scope_must_hold_in_all_its_parts(log: Path, scope: str, cases: str) -> None:
    found = audit(log, ONE + scope).json()
    assert sorted(case for case, by in waived(log).items() if by) == list(cases)
    (use,) = found["waivers"]
    assert use["orphan"] == (None if cases else "nothing inside its scope violates the rule")


def test_a_practice_that_only_the_command_names_is_known_to_a_scope(log: Path) -> None:
    """The audit looked for it in the log; explain knew it."""
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    nameless = [{k: v for k, v in line.items() if k != "practice"} for line in lines]
    log.write_text("".join(json.dumps(line) + "\n" for line in nameless), encoding="utf-8")
    text = ONE + 'practice = ["Incident"]'
    (use,) = audit(log, text, "--practice", "incident").json()["waivers"]
    assert (use["findings"], use["orphan"]) == (2, None)
    file = log.with_name("waivers.toml")
    words = (log, "--practice", "incident", "--case", "B", "--waivers", file, "--json")
    assert in_process("rules", "explain", RULE, *words).json()["waived_by"] == ["W-1"]


def test_the_first_that_was_granted_counts(log: Path) -> None:
    later = ONE.replace("W-1", "W-2").replace("2025-01-07", "2025-01-08")
    found = audit(log, later + "all = true" + ONE + 'team = ["network"]').json()
    assert waived(log) == {"A": None, "B": None, "C": "W-1", "D": None}
    first, second = found["waivers"]
    assert (first["id"], first["findings"], first["orphan"]) == ("W-1", 1, None)
    assert (second["id"], second["findings"]) == ("W-2", 0)
    assert second["orphan"] == "all that it could cover is covered by one that was granted before"


@pytest.mark.parametrize(
    ("old", "new", "orphan", "state"),
    [
        ("INC002", "INC999", "the rulebook has no such rule", "expired"),
        ("INC002", "FBK002", "no case of this log was judged by the rule", "expired"),
        ("2025-01-09", "2026-01-01", None, "active"),
        (
            "granted = 2025-01-07\nexpires = 2025-01-09",
            "granted = 2025-02-01\nexpires = 2025-03-01",
            "what violates the rule inside its scope happened outside its time",
            "not yet in force",
        ),
    ],
)
def test_orphans_and_states_are_told(
    log: Path, old: str, new: str, orphan: str | None, state: str
) -> None:
    assert ONE.count(old) == 1
    (use,) = audit(log, ONE.replace(old, new) + "all = true").json()["waivers"]
    assert (use["orphan"], use["state"]) == (orphan, state)
    said = in_process(
        "audit", log, "--waivers", log.with_name("waivers.toml"), "--out", log.with_name("two")
    ).out
    assert "Waivers" in said
    assert state in said
    assert (orphan or "covers 3 findings") in said


def test_only_what_is_not_waived_fails_the_gate(log: Path) -> None:
    """INC002 is of medium severity, and nothing of higher severity is violated."""
    lasting = ONE.replace("2025-01-07", "2024-01-01").replace("2025-01-09", "2026-01-01")
    others = "".join(
        lasting.replace("W-1", code).replace("INC002", code) + "all = true"
        for code in ("INC006", "INC011", "INC017", "INC019", "FBK001", "SLM003")
    )
    gate = ("--fail-on", "medium")
    assert audit(log, ONE + "all = true" + others, *gate).code == 1
    ran = audit(log, lasting + "all = true" + others, *gate)
    open_ones = [r["code"] for r in ran.json()["rules"] if r["violates"] > r["waived"]]
    assert (ran.code, open_ones) == (0, [])


def test_a_waived_finding_is_marked_wherever_it_is_shown(log: Path) -> None:
    audit(log, ONE.replace("Service manager", "<b>Boss</b>") + "all = true")
    out = log.with_name("out")
    page = (out / "report.html").read_text("utf-8")
    assert page.count("waived by W-1") == 2
    assert "&lt;b&gt;Boss&lt;/b&gt;" in page
    assert "<b>Boss" not in page
    assert "2 waived" in page
    table = pacsv.read_csv(out / "findings.csv")
    assert table["waived_by"].to_pylist().count("W-1") == 2
    assert "evidence" not in table.column_names
    read = json.loads((out / "provenance.json").read_text("utf-8"))["read"]
    assert [one["role"] for one in read] == ["log", "waivers"]


def test_every_link_of_the_page_leads_somewhere_also_those_of_orphans(log: Path) -> None:
    other = ONE.replace("W-1", "W-2").replace("INC002", "INC999")
    audit(log, ONE + "all = true" + other + "all = true")
    page = (log.with_name("out") / "report.html").read_text("utf-8")
    anchors = re.findall(r'\sid="([^"]+)"', page)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(anchors)
    assert "INC999" in page


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ONE + "", "RU105 wrong value {} in waivers.toml, waiver[0].scope"),
        (ONE + 'all = true\nteam = ["x"]', "not both and not neither"),
        (ONE + "all = false", "RU105"),
        (ONE.replace("reason", "raeson") + "all = true", "Did you mean 'reason'?"),
        (ONE.replace("2025-01-09", "2025-01-07") + "all = true", "not after the day"),
        (ONE.replace("approver", "# approver") + "all = true", "RU103 'approver' is missing"),
        (ONE + "all = true" + ONE + "all = true", "RU131 waiver 'W-1' stands 2 times"),
        (ONE.replace('"W-1"', '"W\\n1"') + "all = true", "RU105"),
        ("waiver = []", "RU105"),
        ("[waiver", "RU101 waivers.toml is no valid TOML"),
    ],
)
def test_senseless_waivers_are_refused(log: Path, text: str, says: str) -> None:
    ran = audit(log, text)
    assert ran.code == 2
    assert says in ran.err
    assert not log.with_name("out").exists()
