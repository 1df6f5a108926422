"""Does a wrong input give a coded message with place and mend, and leave nothing half done?

Every line of the table is one mistake that a user can make. It must end with the exit code and the
error code that are stated, name the place, say a mend, and leave neither a traceback nor an output.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from gzip import compress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from improvement.command_line import event_line, in_process, outside, write_lines

from csi.register import Improvement, Register
from csi.statistics import DecisionRule

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
RULE = ROOT / "rules" / "itil" / "incident" / "INC001-closed-without-resolution.toml"
STEPS = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")
CODE = re.compile(r"[A-Z]{2}[0-9]{3} \S")

MAPPING = """
name = "desk"
[csv]
delimiter = ","
[time]
timezone = "UTC"
format = "%d/%m/%Y %H:%M"
[event]
case_id = "number"
activity = "state"
at = "updated"
"""
BPMN = """<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL"><process id="p">
<startEvent id="s"/><complexGateway id="gate" name="Register"/><endEvent id="e"/>
<sequenceFlow id="f" sourceRef="s" targetRef="gate"/>
<sequenceFlow id="g" sourceRef="gate" targetRef="e"/></process></definitions>
"""
CYCLE = """
log = ["events.ndjson"]
register = "register.sqlite"
report_date = 2025-07-07
[baseline]
start = 2025-01-01
end = 2025-02-01
[current]
start = 2025-02-01
end = 2025-03-01
[improvement]
title = "Route at once"
opportunity = "They wait"
hypothesis = "It gets quicker"
kpi = "KPI01"
minimum_effect = 0.1
owner = "Desk manager"
started = 2025-02-01
"""


AT = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
DRAFT = Improvement(
    title="Route at once",
    opportunity="They wait",
    hypothesis="It gets quicker",
    kpi="KPI01",
    owner="Desk manager",
    decision_rule=DecisionRule(minimum_effect=0.1),
)


class Desk:
    """A folder of small files, most of them right; a test spoils one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.events = write_lines(folder / "events.ndjson", self.lines())

    @staticmethod
    def lines() -> list[str]:
        return [
            event_line(f"INC{case}", step, f"2025-0{1 + case % 2}-{10 + case}T0{i}:00:00Z")
            for case in range(8)
            for i, step in enumerate(STEPS)
        ]

    def text(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def data(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path

    def table(self, text: str) -> list[object]:
        """A CSV under the mapping above, as arguments."""
        path = self.text("desk.csv", text)
        return ["audit", path, "--mapping", self.text("desk.toml", MAPPING)]

    def audit(self, *words: object) -> list[object]:
        return ["audit", self.events, *words]

    def cycle(self, old: str = "", new: str = "", *, more: str = "") -> list[object]:
        assert old in CYCLE
        text = CYCLE.replace(old, new, 1) if old else CYCLE
        return ["cycle", "run", self.text("cycle.toml", text + more)]

    def rule(self, old: str, new: str) -> list[object]:
        text = RULE.read_text("utf-8").replace("INC001", "INC901")
        assert old in text
        name = "INC901-closed-without-resolution.toml"
        self.text(f"my/incident/{name}", text.replace(old, new).replace(RULE.stem[7:], name[7:-5]))
        return self.audit("--rules", self.folder / "my")


@dataclass(frozen=True)
class Mistake:
    """What is done wrong, and what is to be said about it."""

    name: str
    do: Callable[[Desk], list[object]]
    code: str
    exit_code: int
    place: str


def rows(*extra: str) -> str:
    return "\n".join(["number,state,updated", "I1,New,01/02/2025 10:00", *extra, ""])


def no_permission(desk: Desk) -> list[object]:
    """The folder for the results is below a file: not even root can write there."""
    return [*desk.audit(), "--out", desk.events / "out"]


def big_json(desk: Desk) -> list[object]:
    path = write_lines(desk.folder / "log.ndjson", [*desk.lines(), '{"case_id": "x", "acti'])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    return ["audit", path]


MISTAKES = (
    # the log
    Mistake("no-file", lambda d: ["audit", d.folder / "nowhere.csv"], "LG011", 2, "nowhere.csv"),
    Mistake("folder", lambda d: ["audit", d.folder], "LG012", 2, "folder"),
    Mistake("empty-file", lambda d: ["audit", d.data("e.csv", b"")], "LG014", 3, "e.csv"),
    Mistake("empty-gzip", lambda d: ["audit", d.data("e.gz", compress(b""))], "LG014", 3, "e.gz"),
    Mistake("twice", lambda d: d.audit(d.events), "LG015", 2, "events.ndjson"),
    Mistake("zip", lambda d: ["audit", d.data("a.csv", b"PK\3\4....")], "LG017", 2, "zip"),
    Mistake("noise", lambda d: ["audit", d.data("n", bytes(range(256)) * 9)], "LG030", 2, "n "),
    Mistake(
        "truncated-gzip",
        lambda d: ["audit", d.data("l.gz", compress(d.events.read_bytes())[:-40])],
        "LG020",
        3,
        "l.gz",
    ),
    Mistake(
        "damaged-gzip",
        lambda d: [
            "audit",
            d.data("l.gz", compress(d.events.read_bytes())[:-8] + b"\0\0\0\0\0\0\0\0"),
        ],
        "LG021",
        3,
        "l.gz",
    ),
    Mistake("cut-line", big_json, "LG060", 3, "log.ndjson"),
    Mistake(
        "missing-column",
        lambda d: d.table("number,status,updated\nI1,New,01/02/2025 10:00\n"),
        "LG041",
        2,
        "'state'",
    ),
    Mistake(
        "unparsable-date", lambda d: d.table(rows("I1,Closed,31/02/2025 10:00")), "LG", 3, "line 3"
    ),
    Mistake("short-row", lambda d: d.table(rows("I1,Closed")), "LG", 3, "line 3"),
    Mistake("no-case-id", lambda d: d.table(rows(",Closed,01/02/2025 11:00")), "LG", 3, "line 3"),
    Mistake("header-alone", lambda d: d.table("number,state,updated\n"), "LG034", 3, "desk.csv"),
    Mistake("no-mapping", lambda d: d.audit("--mapping", "nowhere"), "LG050", 2, "nowhere"),
    Mistake("unknown-source", lambda d: d.audit("--source", "nds"), "LG032", 2, "'nds'"),
    Mistake("zone", lambda d: [*d.table(rows()), "--timezone", "Mars/Base"], "LG", 2, "Mars/Base"),
    Mistake(
        "unknown-words",
        lambda d: [*d.table(rows().replace("New", "Nix")), "--practice", "incident"],
        "RU212",
        2,
        "Nix",
    ),
    # by what it is judged
    Mistake("unknown-practice", lambda d: d.audit("--practice", "incidnt"), "CL010", 2, "incident"),
    Mistake("other-practice", lambda d: d.audit("--practice", "problem"), "CL014", 2, "problem"),
    Mistake("as-of-too-early", lambda d: d.audit("--as-of", "2025-01-12"), "CL013", 2, "2025-02"),
    Mistake(
        "bpmn-element",
        lambda d: d.audit("--model", d.text("m.bpmn", BPMN)),
        "MO",
        2,
        "complexGateway",
    ),
    Mistake("bpmn-missing", lambda d: d.audit("--model", "no.bpmn"), "MO", 2, "no.bpmn"),
    Mistake("bpmn-no-xml", lambda d: d.audit("--model", d.text("m", "<a")), "MO", 2, "m "),
    Mistake("rule-param", lambda d: d.rule("before = ", "befor = "), "RU", 2, "befor"),
    Mistake("rule-activity", lambda d: d.rule('"Resolve"\n', '"Resolv"\n'), "RU", 2, "Resolve"),
    Mistake("rule-template", lambda d: d.rule("precedes", "precede"), "RU", 2, "precede"),
    Mistake("rule-toml", lambda d: d.rule("[params]", "[params"), "RU", 2, "INC901"),
    Mistake("rules-missing", lambda d: d.audit("--rules", "nowhere"), "RU", 2, "nowhere"),
    Mistake("rules-a-file", lambda d: d.audit("--rules", d.events), "RU", 2, "events.ndjson"),
    Mistake("targets-toml", lambda d: d.audit("--targets", d.text("t", "[[x")), "SL", 2, "t"),
    Mistake(
        "targets-key",
        lambda d: d.audit("--targets", d.text("t.toml", '[[target]]\nnam = "x"\n')),
        "SL",
        2,
        "t.toml",
    ),
    Mistake("targets-missing", lambda d: d.audit("--targets", "t.toml"), "SL", 2, "t.toml"),
    Mistake("surveys-missing", lambda d: d.audit("--surveys", "s.csv"), "", 2, "s.csv"),
    Mistake(
        "surveys-noise", lambda d: d.audit("--surveys", d.text("s.csv", "a\n")), "", 2, "s.csv"
    ),
    Mistake("key-short", lambda d: d.audit("--key-file", d.text("k", "short")), "CL001", 2, "16"),
    Mistake("key-missing", lambda d: d.audit("--key-file", "nokey"), "CL001", 2, "nokey"),
    # where it goes
    Mistake("out-below-a-file", no_permission, "CY001", 3, "events.ndjson"),
    # the cycle
    Mistake("cycle-missing", lambda _: ["cycle", "run", "no.toml"], "CY201", 2, "no.toml"),
    Mistake("cycle-key", lambda d: d.cycle("hypothesis", "hypotesis"), "CY202", 2, "hypothesis"),
    Mistake("cycle-window", lambda d: d.cycle("2025-02-01", "2024-02-01"), "CY202", 2, "baseline"),
    Mistake(
        "cycle-overlap",
        lambda d: d.cycle("start = 2025-02-01", "start = 2025-01-15"),
        "CY202",
        2,
        "baseline",
    ),
    Mistake("cycle-no-toml", lambda d: d.cycle("[baseline]", "[baseline"), "CY201", 2, "line"),
    Mistake("cycle-type", lambda d: d.cycle("0.1", '"0.1"'), "CY202", 2, "minimum_effect"),
    # the register
    Mistake("register-none", lambda _: ["register", "list", "no.db"], "RG101", 2, "no.db"),
    Mistake(
        "register-noise",
        lambda d: ["register", "list", d.data("r.db", b"noise" * 500)],
        "RG102",
        2,
        "r.db",
    ),
    # the rulebook
    Mistake("rule-unknown", lambda _: ["rules", "explain", "INC0001"], "RU120", 2, "INC001"),
)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def check_said(err: str, mistake: Mistake) -> None:
    assert "Traceback" not in err
    lines = err.splitlines()
    assert lines
    assert [line for line in lines if not CODE.match(line)] == []
    assert lines[0].startswith(mistake.code)
    assert mistake.place in err
    assert all(re.search(r"[.?] .+[.?]$", line) for line in lines), "no mend is named"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_named_and_leaves_nothing(mistake: Mistake, desk: Desk) -> None:
    words = mistake.do(desk)
    before = sorted(desk.folder.rglob("*"))
    if "audit" in words and "--out" not in words:
        words += ["--out", desk.out]
    if "cycle" in words:
        words += ["--out", desk.out]
    ran = in_process(*words)
    check_said(ran.err, mistake)
    assert ran.code == mistake.exit_code
    assert ran.out == ""
    assert sorted(desk.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "x", "--as-of", "rubbish"], "--as-of"),
        (["audit", "x", "--as-of", "2025-06-30T18:00:00"], "no zone"),
        (["audit", "x", "--report-date", "2025-13-01"], "--report-date"),
        (["audit", "x", "--fail-on", "severe"], "--fail-on"),
        (["audit"], "LOG"),
        (["audit", "x", "--outt", "y"], "--out"),
        (["audt"], "audit"),
        (["simulate", "--out", "x", "--tickets", "0"], "--tickets"),
    ],
)
def test_wrong_usage_is_named(words: list[str], said: str) -> None:
    ran = in_process(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_wrong_usage_has_a_code() -> None:
    assert CODE.match(in_process("audit", "x", "--report-date", "rubbish").err)


def test_an_out_that_is_a_file_is_refused(desk: Desk) -> None:
    ran = in_process(*desk.audit("--out", desk.events))
    assert ran.code == 2
    assert "events.ndjson" in ran.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_refused(desk: Desk) -> None:
    desk.out.mkdir(mode=0o500)
    ran = in_process(*desk.audit("--out", desk.out))
    assert (ran.code, ran.err[:5]) == (3, "CY001")


def test_wrong_rows_may_be_allowed_and_are_counted(desk: Desk) -> None:
    lines = [*desk.lines(), event_line("INC9", "Register", "yesterday")]
    path = write_lines(desk.folder / "log.ndjson", lines)
    assert in_process("audit", path, "--out", desk.out).code == 3
    ran = in_process("audit", path, "--allow-rejects", "--json", "--out", desk.out)
    log = ran.json()["log"]
    assert (log["rows_in"], log["events"], log["rejected"]) == (len(lines), len(lines) - 1, 1)


def test_every_mistake_of_a_cycle_file_is_named_at_once(desk: Desk) -> None:
    words = desk.cycle("kpi =", "kpy =", more='\n[improvement.scope]\npriority = "P1"\n')
    ran = in_process(*words, "--out", desk.out)
    assert ran.code == 2
    lines = ran.err.splitlines()
    assert [line[:5] for line in lines] == ["CY202"] * len(lines)
    for said in ("improvement.kpi ", "improvement.kpy ", "improvement.scope.priority"):
        assert said in ran.err


def test_a_window_without_tickets_is_an_outcome_of_its_own(desk: Desk) -> None:
    words = desk.cycle(
        "start = 2025-02-01\nend = 2025-03-01", "start = 2025-06-01\nend = 2025-07-01"
    )
    ran = outside(*words, "--out", desk.out)
    assert (ran.code, ran.err, ran.out[:8]) == (0, "", "No data:")
    assert "2025-01-1" in ran.out
    assert json.loads((desk.out / "results.json").read_text("utf-8"))["outcome"] == "no data"
    assert not (desk.folder / "register.sqlite").exists()


def register_of(desk: Desk) -> Path:
    path = desk.folder / "register.sqlite"
    Register.open(path).add(DRAFT, at=AT, actor="Desk manager")
    return path


def test_a_changed_record_is_noticed(desk: Desk) -> None:
    path = register_of(desk)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER history_no_update")
        connection.execute("UPDATE history SET actor = 'Somebody else'")
    verified = in_process("register", "verify", path)
    assert (verified.code, verified.out) == (3, "")
    assert verified.err.startswith("RG116 ")


def test_a_register_with_broken_bytes_is_noticed(desk: Desk) -> None:
    path = register_of(desk)
    data = bytearray(path.read_bytes())
    place = data.index(b"Route at once")
    data[place - 600 : place] = b"\xff" * 600
    path.write_bytes(data)
    for words in (["list"], ["show", "IMP-0001"], ["verify"]):
        ran = in_process("register", words[0], path, *words[1:])
        assert (ran.code, ran.err[:2]) == (3, "RG")
        assert "Traceback" not in ran.err


def test_no_coded_error_is_a_traceback_outside_of_tests(desk: Desk) -> None:
    ran = outside("audit", desk.folder / "nowhere.csv", "--out", desk.out)
    assert (ran.code, ran.out, ran.err[:6]) == (2, "", "LG011 ")
    assert ran.err.count("\n") == 1
