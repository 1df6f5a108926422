"""What a process does that writes to a register until it is done or killed: for test_register.py.

Each record that the register reported as written is acknowledged by a line in a file; a line that
was handed to the system stays there when the process is killed.
"""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

from csi.register import Improvement, Register
from csi.statistics import DecisionRule

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event
    from pathlib import Path

AT = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


def write(path: Path, mode: str, count: int, said: Path, begin: Event) -> None:
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    register = Register.open(path)
    begin.wait(timeout=60)
    for number in range(count):
        os.write(handle, f"{_one(register, mode, number)}\n".encode())
    os.close(handle)


def _one(register: Register, mode: str, number: int) -> str:
    if mode == "note":
        register.note("IMP-0001", f"{number}" + "x" * 2000, at=AT, actor="writer")
        return str(number)
    rule = DecisionRule(minimum_effect=0.1)
    draft = Improvement(f"{mode} {number}", "o", "h", "KPI01", "owner", rule)
    return register.add(draft, at=AT, actor="writer", key=f"{mode}-{number}")
