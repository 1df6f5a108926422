"""How do tests type a command? In a process of its own, or, where speed matters, in this one."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from csi.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DATA = Path(__file__).parents[2].parent / "shared" / "data"
UCI = DATA / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
BPI13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
COMMAND = Path(sys.executable).with_name("trueloop")


@dataclass(frozen=True)
class Ran:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    def json(self) -> Any:  # noqa: ANN401 - JSON is any of its types
        return json.loads(self.out)


def in_process(*words: object) -> Ran:
    """Run the command here: quick, and a warning of ours is an error."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv = ["trueloop", *map(str, words)]
    with patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
    return Ran(code, out.getvalue(), err.getvalue())


def outside(*words: object, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Ran:
    """Run the installed command in a process of its own."""
    done = subprocess.run(
        [str(COMMAND), *map(str, words)],
        check=False,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=300,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def event_line(case: str, activity: str, at: str, **further: object) -> str:
    """One line of events.ndjson."""
    row = {"case_id": case, "practice": "incident", "activity": activity, "at": at}
    return json.dumps(row | further, ensure_ascii=False)


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")
    return path


INCIDENT_WORDS = (
    *("Register", "Classify", "Assign", "Diagnose", "Escalate", "Await customer"),
    *("Await supplier", "Await problem", "Await evidence", "Resolve", "Reopen", "Close"),
)
HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></svg><iframe src=//evil.example>",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[31mred\x1b]0;title\x07",
    "tab\tand\rreturn\nline",
    "\N{RIGHT-TO-LEFT OVERRIDE}gpj.exe",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "x" * 10_000,
    "&lt;b&gt; &amp; ]]> <!-- -->",
    "https://evil.example/a.png",
    "'; DROP TABLE events; --",
    "\N{PILE OF POO}\N{ZERO WIDTH SPACE}e\N{COMBINING ACUTE ACCENT}",
)


def hostile_log(folder: Path) -> tuple[Path, Path]:
    """A log each of whose texts is an attack: case ids, activities, actors, teams, priorities."""
    lines, tickets = [], [["case_id", "practice", "priority", "category", "service"]]
    for i, text in enumerate(HOSTILE_TEXTS):
        # Words of the practice are to stay the majority, or no vocabulary fits; two reopenings are
        # an offence whatever the hostile word in between may stand for.
        steps = (
            "Register",
            HOSTILE_TEXTS[i % 11],
            "Resolve",
            "Reopen",
            "Reopen",
            "Assign",
            "Close",
        )
        for j, step in enumerate(steps):
            at = f"2025-03-{i + 1:02d}T0{j}:00:00Z"
            further = {"seq": j, "actor": text, "team": text, "attributes": {"note": text}}
            lines.append(event_line(text, step, at, **further))
        tickets.append([text, "incident", text, text, text])
    for j, step in enumerate(INCIDENT_WORDS):
        lines.append(event_line("clean", step, f"2025-02-{j + 1:02d}T00:00:00Z"))
    rows = io.StringIO(newline="")
    csv.writer(rows).writerows(tickets)
    events, cases = write_lines(folder / "events.ndjson", lines), folder / "tickets.csv"
    cases.write_bytes(rows.getvalue().encode())
    return events, cases
