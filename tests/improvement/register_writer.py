"""A process that writes to a register until it is done or killed: for test_register.py."""

from __future__ import annotations

import datetime as dt
import sys

from csi.register import Improvement, Register
from csi.statistics import DecisionRule

AT = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


def main(path: str, mode: str, count: int) -> None:
    register = Register.open(path)
    sys.stdin.readline()  # so that several begin together
    for number in range(count):
        if mode == "note":
            register.note("IMP-0001", f"{number}" + "x" * 2000, at=AT, actor="writer")
            written = str(number)
        else:
            rule = DecisionRule(minimum_effect=0.1)
            draft = Improvement(f"{mode} {number}", "o", "h", "KPI01", "owner", rule)
            written = register.add(draft, at=AT, actor="writer", key=f"{mode}-{number}")
        sys.stdout.write(f"{written}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
