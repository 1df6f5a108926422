"""What a process does that writes to a register until it is done or killed.

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
        os.write(handle, f"{_one(register, mode, f'{said.name}-{number}')}\n".encode())
    os.close(handle)


def _one(register: Register, mode: str, name: str) -> str:
    """Write one record and return what it can be known by: the text of a note, or an entry's id."""
    if mode == "note":
        register.note("IMP-0001", name + " " * 600, at=AT, actor="writer")
        return name
    number = name.rpartition("-")[2]
    rule = DecisionRule(minimum_effect=0.1)
    draft = Improvement(f"{mode} {number}", "o", "h", "KPI01", "owner", rule)
    return register.add(draft, at=AT, actor="writer", key=f"{mode}-{number}")
