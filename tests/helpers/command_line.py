"""How do tests type a command? In a process of its own, or, where speed matters, in this one."""

from __future__ import annotations

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
