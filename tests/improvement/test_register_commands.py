"""Does `trueloop register` write, show and judge the register, and say what is wrong in a draft?"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest
from improvement.command_line import in_process
from improvement.register_story import BASELINE, DRAFT, WHO, evaluation, filled

from csi.commands.register import MANAGER
from csi.kpi import load_kpis
from csi.register import Register

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
[improvement]
title = "Ask for the error text at once"
opportunity = "Half of the waiting is for the customer"
hypothesis = "A form field for the error text saves one question"
kpi = "mean-time-to-resolve"
minimum_effect = 0.1
owner = "Service desk lead"
"""
MORE = """
also = ["KPI03"]
guardrails = ["KPI06"]
margins = { KPI06 = 0.05 }
scope = { priority = ["P2", "P1"] }
comparison = { priority = ["P3"] }
comparison_group = "priority 3"
source_findings = ["INC003"]
planned_start = 2024-03-04
planned_evaluation = 2024-06-01
confidence = 0.9
power = 0.8
min_n = 50
min_clusters = 10
"""


def toml(folder: Path, text: str, name: str = "draft.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "register.sqlite"


# --- drafts from a file ---------------------------------------------------------------------


def test_a_draft_is_added_as_it_stands_in_the_file(place: Path, tmp_path: Path) -> None:
    whole = WHOLE.replace("mean-time-to-resolve", "KPI01") + MORE
    ran = in_process("register", "add", place, toml(tmp_path, whole), "--at", "2024-02-20")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("IMP-0001 added: Ask for the error text at once\nhead ")
    (entry,) = Register.open(place).list()
    plan, rule = entry.improvement, entry.improvement.decision_rule
    assert (plan.kpi, plan.also, plan.guardrails) == ("KPI01", ("KPI03",), ("KPI06",))
    assert plan.guardrail_margins == {"KPI06": 0.05}
    assert (plan.scope, plan.comparison) == ({"priority": ["P1", "P2"]}, {"priority": ["P3"]})
    assert (plan.planned_start, plan.planned_evaluation) == ("2024-03-04", "2024-06-01")
    assert (rule.minimum_effect, rule.confidence, rule.power) == (0.1, 0.9, 0.8)
    assert (rule.min_n, rule.min_clusters) == (50, 10)
    assert entry.added_at == "2024-02-20T00:00:00.000000Z"
    assert entry.history[0].actor == MANAGER


def test_a_kpi_may_be_named_by_its_name(place: Path, tmp_path: Path) -> None:
    name = load_kpis()["KPI02"].name
    draft = WHOLE.replace("mean-time-to-resolve", name)
    assert in_process("register", "add", place, toml(tmp_path, draft)).code == 0
    (entry,) = Register.open(place).list()
    assert entry.improvement.kpi == "KPI02"
    today = dt.datetime.now(tz=dt.UTC).date()
    assert dt.date.fromisoformat(entry.added_at[:10]) in (today, today - dt.timedelta(days=1))


def test_all_mistakes_of_a_draft_are_named_at_once(place: Path, tmp_path: Path) -> None:
    wrong = """
[improvement]
titel = "Ask at once"
opportunity = ""
hypothesis = "h"
kpi = 3
minimum_effect = "ten"
owner = "lead"
scope = { prioritty = ["P1"] }
margins = { KPI06 = -1.0 }
planned_start = "soon"
"""
    ran = in_process("register", "add", place, toml(tmp_path, wrong))
    assert (ran.code, ran.out) == (2, "")
    lines = ran.err.splitlines()
    assert all(line.startswith("RG121 improvement.") for line in lines)
    places = {line.split(" in draft.toml")[0].removeprefix("RG121 improvement.") for line in lines}
    assert places == {
        *("title", "titel", "opportunity", "kpi", "minimum_effect"),
        *("scope.prioritty", "margins.KPI06", "planned_start"),
    }
    assert "Did you mean 'title'?" in ran.err
    assert "Did you mean 'priority'?" in ran.err
    assert not place.exists()


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[improvement", "RG120", "no TOML"),
        ("x" * 70_000, "RG120", "more than 65536 bytes"),
        ("[improvment]\ntitle = 'x'", "RG121", "improvment"),
        ("improvement = 3", "RG121", "no table"),
        (WHOLE.replace("mean-time-to-resolve", "KPI0"), "RG121", "improvement.kpi"),
        (WHOLE.replace("mean-time-to-resolve", "KPI01") + "guardrails = ['KPI01']", "RG111", ""),
        (WHOLE + 'comparison_group = "a\\u0000b"', "RG121", "control"),
        (WHOLE + "comparison = { team = ['North'] }", "RG121", "may be in the scope too"),
    ],
)
def test_a_file_that_is_no_draft_is_refused(
    place: Path, tmp_path: Path, text: str, code: str, said: str
) -> None:
    ran = in_process("register", "add", place, toml(tmp_path, text))
    assert (ran.code, ran.out, ran.err[:5]) == (2, "", code)
    assert said in ran.err
    assert not place.exists()
    assert in_process("register", "add", place, tmp_path / "none.toml").err[:5] == "RG120"


# --- drafts that an audit proposes ----------------------------------------------------------


def proposals(folder: Path, **draft: object) -> Path:
    one: dict[str, object] = {
        "title": "Find the common cause",
        "opportunity": "Twelve tickets in a month",
        "hypothesis": "A checklist",
        "kpi": "KPI01",
        "owner": "Problem manager",
        "decision_rule": None,
        "scope": {"team": ["Net"]},
        "comparison_group": None,
        "guardrails": None,
        "source_findings": ["f1", "f2"],
        "planned_start": None,
        "planned_evaluation": None,
    } | draft
    rows = [{"fingerprint": "abcd1234", "draft": one, "to_be_said": ["decision_rule"]}]
    path = folder / "opportunities.json"
    path.write_text(json.dumps({"log_sha256": "0" * 64, "opportunities": rows}), encoding="utf-8")
    return path


def test_what_an_audit_proposes_is_added_with_what_people_say(place: Path, tmp_path: Path) -> None:
    said = toml(
        tmp_path,
        '[improvement]\nminimum_effect = 0.2\nguardrails = ["KPI06"]\ntitle = "Our words"\n'
        'source_findings = ["f2", "f3"]\nplanned_start = 2024-03-04\n',
    )
    which = ["--opportunity", "abcd1234", "--with", said]
    ran = in_process("register", "add", place, proposals(tmp_path), *which, "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["entry"] == "IMP-0001"
    (entry,) = Register.open(place).list()
    plan = entry.improvement
    assert (plan.title, plan.owner, plan.kpi) == ("Our words", "Problem manager", "KPI01")
    assert plan.source_findings == ("f1", "f2", "f3")
    assert (plan.minimum_effect, plan.scope) == (0.2, {"team": ["Net"]})


def test_what_nobody_has_said_is_named(place: Path, tmp_path: Path) -> None:
    said = toml(tmp_path, "[improvement]\n")
    path = proposals(tmp_path, kpi=None)
    ran = in_process("register", "add", place, path, "--opportunity", "abcd1234", "--with", said)
    assert ran.code == 2
    assert "improvement.kpi in draft.toml: it is missing" in ran.err
    assert "improvement.minimum_effect in draft.toml: it is missing" in ran.err
    ran = in_process("register", "add", place, path, "--opportunity", "abcd123", "--with", said)
    assert (ran.code, ran.err[:5]) == (2, "RG122")
    assert "Did you mean 'abcd1234'?" in ran.err
    assert in_process("register", "add", place, path, "--opportunity", "abcd1234").code == 2


@pytest.mark.parametrize(
    "text", ["", "[]", '{"opportunities": 3}', '{"opportunities": [{"draft": 3}]}', "[" * 100_000]
)
def test_a_file_that_holds_no_opportunities_is_refused(
    place: Path, tmp_path: Path, text: str
) -> None:
    path = toml(tmp_path, text, "opportunities.json")
    said = toml(tmp_path, "[improvement]\n")
    ran = in_process("register", "add", place, path, "--opportunity", "x", "--with", said)
    assert (ran.code, ran.err[:5]) == (2, "RG120")


# --- the life of an entry -------------------------------------------------------------------


def test_an_improvement_is_kept_by_command_alone(place: Path, tmp_path: Path) -> None:
    """All but start and evaluate, which need a log: the register writes these here."""
    draft = toml(tmp_path, WHOLE.replace("mean-time-to-resolve", "KPI01") + MORE)
    assert in_process("register", "add", place, draft, "--at", "2024-02-20").code == 0
    entry = (place, "IMP-0001")

    def does(command: str, *more: object) -> str:
        ran = in_process("register", command, *entry, *more)
        assert ran.code == 0, ran.err
        return ran.out

    does("assess", "--decision", "postpone", "--reason", "after the fair", "--at", "2024-02-21")
    does("assess", "--decision", "pursue", "--reason", "it pays", "--at", "2024-02-28")
    register, at = Register.open(place), dt.datetime(2024, 3, 4, tzinfo=dt.UTC)
    register.record_baseline("IMP-0001", BASELINE, at=at, actor=WHO)
    register.start("IMP-0001", at=at, actor=WHO)
    does("implement", "--what", "The form asks", "--at", "2024-03-10")
    does("note", "Two teams ask for it", "--at", "2024-03-20T10:00:00+01:00", "--actor", "Owner")
    found = register.show("IMP-0001")
    judged = evaluation(found.improvement.decision_rule)
    judged = type(judged)(**{**vars(judged), "also": {"KPI03": "improved"}})
    at = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
    register.record_evaluation("IMP-0001", judged, at=at, actor=WHO)
    head = json.loads(does("close", "--reason", "It stays", "--at", "2024-06-02", "--json"))["head"]
    entry_now = register.show("IMP-0001")
    assert (entry_now.state, entry_now.cancelled) == ("closed", False)
    actors = {record.kind: record.actor for record in entry_now.history}
    assert actors["implement"] == "Service desk lead"  # its owner
    assert (actors["assess"], actors["note"]) == (MANAGER, "Owner")
    assert head == register.head()
    out = tmp_path / "out"
    assert in_process("register", "audit", place, "--out", out, "--fail-on", "low").code == 0
    ran = in_process("register", "note", *entry, " ", "--actor", " ")
    assert (ran.code, ran.err[:5]) == (2, "RG111")


def test_what_is_not_wanted_is_cancelled(place: Path) -> None:
    register, at = Register.open(place), dt.datetime(2024, 3, 4, tzinfo=dt.UTC)
    register.add(DRAFT, at=at, actor=WHO)
    register.start("IMP-0001", at=at, actor=WHO)
    ran = in_process("register", "close", place, "IMP-0001", "--reason", "no money", "--cancel")
    assert ran.code == 0
    assert register.show("IMP-0001").cancelled
    ran = in_process("register", "close", place, "IMP-0001", "--reason", "again")
    assert (ran.code, ran.err[:5]) == (2, "RG112")
    assert "cancelled" in in_process("register", "list", place).out


# --- what is shown --------------------------------------------------------------------------


def test_the_list_fits_a_terminal(place: Path) -> None:
    register = filled(place)
    long = {"title": "Ask for the error text " * 9, "owner": "Manager of everything and more " * 5}
    at = dt.datetime(2024, 3, 4, tzinfo=dt.UTC)
    draft = type(DRAFT)(**{**vars(DRAFT), **long})
    register.add(draft, at=at, actor=WHO)
    ran = in_process("register", "list", place)
    lines = ran.out.splitlines()
    assert lines[0].split() == ["id", "title", "metric", "state", "verdict", "owner", "due"]
    assert max(map(len, lines)) <= 100
    assert "improved" in lines[1]
    assert lines[2].endswith("2024-03-04")
    assert "…" in lines[2]
    rows = json.loads(in_process("register", "list", place, "--json").out)
    assert [(row["id"], row["due"], row["due_on"]) for row in rows] == [
        ("IMP-0001", None, None),
        ("IMP-0002", "start", "2024-03-04"),
    ]


def test_an_entry_is_shown_with_what_decides_and_its_history(place: Path) -> None:
    filled(place)
    said = in_process("register", "show", place, "IMP-0001").out
    assert "What decides (frozen as version 1):" in said
    assert "scope priority P1, P2" in said
    assert "Baseline KPI01: 30 h (27.5 to 33), n = 412, 2024-01-01 to 2024-02-01" in said
    assert "Evaluated under version 1" in said
    told = json.loads(in_process("register", "show", place, "IMP-0001", "--json").out)
    assert [record["kind"] for record in told["history"]] == [
        *("add", "assess", "baseline", "start", "implement", "evaluate", "note", "close"),
    ]
    assert told["versions"][0]["improvement"]["kpi"] == "KPI01"


def test_verify_says_what_vouches_for_the_file(place: Path) -> None:
    register = filled(place)
    head = register.head()
    ran = in_process("register", "verify", place, "--head", head)
    assert ran.out == (
        f"8 records, the chain holds; head {head}\nThe seal holds: every byte is as written.\n"
    )
    assert json.loads(in_process("register", "verify", place, "--json").out)["seal"] == "sealed"
    ran = in_process("register", "verify", place, "--head", "1" * 64)
    assert (ran.code, ran.err[:5]) == (3, "RG116")
    place.with_name("register.sqlite.seal").unlink()
    assert "nothing for unused bytes" in in_process("register", "verify", place).out


@pytest.mark.parametrize(
    "command",
    [
        *("add", "list", "show", "assess", "start", "implement"),
        *("evaluate", "close", "note", "verify", "audit"),
    ],
)
def test_every_command_has_an_example(command: str) -> None:
    said = in_process("register", command, "--help").out
    assert f"trueloop register {command} " in said


@pytest.mark.parametrize("command", ["list", "show", "assess", "implement", "close", "note"])
def test_nothing_is_written_into_or_read_from_a_damaged_register(place: Path, command: str) -> None:
    filled(place)
    data = bytearray(place.read_bytes())
    data[-1] ^= 1
    place.write_bytes(data)
    more: dict[str, list[object]] = {
        "list": [place],
        "show": [place, "IMP-0001"],
        "assess": [place, "IMP-0001", "--decision", "pursue", "--reason", "x"],
        "implement": [place, "IMP-0001", "--what", "x"],
        "close": [place, "IMP-0001", "--reason", "x"],
        "note": [place, "IMP-0001", "x"],
    }
    ran = in_process("register", command, *more[command])
    assert (ran.code, ran.out, ran.err[:5]) == (3, "", "RG116")
    assert place.read_bytes() == data
