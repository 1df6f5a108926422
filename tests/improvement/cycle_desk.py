"""A desk of 200 incidents in two windows, with a log, a rule folder and a cycle file.

P1 comes in both windows, P4 in the current one only, and reopening grows from 2 of 100 to 30 of 100
while the time to resolve stays as it is.
"""

from __future__ import annotations

from pathlib import Path

from improvement.command_line import event_line, write_lines

from csi.stages import Loop

ROOT = Path(__file__).parents[2]
RULE = ROOT / "rules" / "itil" / "incident" / "INC001-closed-without-resolution.toml"
MAPPING = ROOT / "process_mining" / "sources" / "mappings" / "uci_servicenow.toml"
OWN_RULE = "incident/INC901-own.toml"
FIRST_STEPS = ("Register", "Classify", "Assign", "Diagnose", "Resolve")
CYCLE = """
log = ["events.ndjson", "tickets.csv"]
register = "register.sqlite"
report_date = 2025-07-07
rules = ["my"]
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
minimum_effect = 0.5
owner = "Desk manager"
started = 2025-02-01
"""


def incident(number: int) -> tuple[str, list[str]]:
    """A row of tickets.csv and the events of one incident: 100 open in each of two months."""
    current, place = divmod(number, 100)
    day = f"2025-0{1 + current}-{1 + place % 28:02d}"
    name, minute = f"INC{number:03d}", number % 60
    again = ("Reopen", "Diagnose", "Resolve") if place < (2, 30)[current] else ()
    # The last Resolve does not move when work is taken up again, so that the time to resolve stays.
    last = 8 + place % 3
    hours = (0, 1, 2, 3, last) if not again else (0, 1, 2, 3, 4, 5, 6, last)
    steps = [*zip((*FIRST_STEPS, *again), hours, strict=True), ("Close", 12)]
    priority = "P4" if current and place % 2 else "P1"
    row = f"{name},incident,{priority},{'mail' if priority == 'P1' else 'print'}"
    return row, [event_line(name, s, f"{day}T{h:02d}:{minute:02d}:00Z") for s, h in steps]


class Desk:
    """A folder with a log, a rule folder and a cycle file."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        rows, events = zip(*map(incident, range(200)), strict=True)
        write_lines(folder / "events.ndjson", [line for lines in events for line in lines])
        write_lines(folder / "tickets.csv", ["case_id,practice,priority,service", *rows])
        self.write_rule("high")

    def write_rule(self, severity: str) -> Path:
        text = RULE.read_text("utf-8").replace("INC001", "INC901")
        text = text.replace("closed-without-resolution", "own")
        path = self.folder / "my" / OWN_RULE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace('"high"', f'"{severity}"'), encoding="utf-8")
        return path

    def cycle(self, *changes: tuple[str, str], more: str = "") -> Path:
        text = CYCLE
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        path = self.folder / "cycle.toml"
        path.write_text(text + more, encoding="utf-8")
        return path

    def loop(self, *changes: tuple[str, str], more: str = "") -> Loop:
        return Loop.open(self.cycle(*changes, more=more), self.out)

    @property
    def register(self) -> Path:
        return self.folder / "register.sqlite"
