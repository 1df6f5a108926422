"""A desk written by hand: kinds of tickets that call for something, near misses, and the rest.

Eight weeks from Monday 2025-01-06. Each kind says how many tickets, how long they take, by which
way; the rest is noise of many categories. Names are invented.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from improvement.command_line import event_line, write_lines

from csi.audit import AuditRequest, audit
from csi.cycle import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from csi.audit import Audit

START = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)
DAYS = 56
WINDOW = Window(start=START.date(), end=START.date() + dt.timedelta(days=DAYS))
DESK, BACK = "First line", "Back office"
SHORT = ("Register", "Classify", "Diagnose", "Resolve", "Close")
LONG = ("Register", "Classify", "Assign", "Diagnose", "Resolve", "Close")
WAITING = ("Register", "Classify", "Diagnose", "Await customer", "Diagnose", "Resolve", "Close")
REOPENED = ("Register", "Classify", "Diagnose", "Resolve", "Reopen", "Diagnose", "Resolve", "Close")


@dataclass(frozen=True)
class Kind:
    """Some tickets alike: `hours` is their median time to resolve, `hour` when they come."""

    category: str
    code: str
    n: int
    hours: float
    steps: Sequence[str] = SHORT
    handed: float = 0.0
    priority: str = "P3"
    channel: str = "phone"
    article: float = 0.0
    hour: int | None = None
    day: int | None = None
    wait: float = 0.0  # the share of the time that is spent in Await customer


PLANTED = (
    Kind("password", "reset", 80, 0.2, article=0.5),
    Kind("disk", "emptied", 80, 0.3, channel="monitoring", article=0.5),
    Kind("backup", "restarted", 60, 0.4, hour=3, article=0.5),
    Kind("vpn", "configured", 60, 90.0, LONG, handed=1.0),
)
NEAR_MISSES = (
    Kind("printer", "restarted", 60, 0.2, REOPENED, article=0.5),
    Kind("outage", "fixed", 60, 0.2, day=9, article=0.5),
    Kind("alarm", "acknowledged", 60, 0.2, priority="P1", article=0.5),
    Kind("payroll", "answered", 60, 90.0, WAITING, wait=0.97),
    Kind("rare", "done", 6, 0.2),
    Kind("documented", "configured", 60, 90.0, LONG, article=1.0),
)
REST = tuple(
    Kind(f"category {i}", f"code {i % 3}", 45, 24.0, LONG, handed=0.3, article=0.5)
    for i in range(12)
)


def lines(kinds: Sequence[Kind], seed: int = 1) -> tuple[list[str], list[list[str]]]:
    """The events of every ticket, and the table of tickets."""
    rng = random.Random(seed)  # noqa: S311 - invented times, no secret
    events: list[str] = []
    rows: list[list[str]] = []
    for number, kind in enumerate(one for one in kinds for _ in range(one.n)):
        case = f"INC{number:05}"
        day = kind.day if kind.day is not None else rng.randrange(DAYS)
        hour = kind.hour if kind.hour is not None else rng.randrange(7, 19)
        opened = START + dt.timedelta(days=day, hours=hour, minutes=rng.randrange(60))
        hours = kind.hours * rng.lognormvariate(0, 0.5)
        handed = rng.random() < kind.handed
        events += story(case, kind, opened, hours, handed=handed, rng=rng)
        article = "KB1" if rng.random() < kind.article else ""
        rows.append(
            [case, "incident", kind.priority, kind.category, "", kind.code, kind.channel, article]
        )
    return events, rows


def story(  # noqa: PLR0913 - a ticket has a kind, a beginning and a length
    case: str, kind: Kind, opened: dt.datetime, hours: float, *, handed: bool, rng: random.Random
) -> Iterator[str]:
    """One ticket: equal time between its steps until Resolve, but for the wait; closed a day on."""
    last = max(i for i, step in enumerate(kind.steps) if step == "Resolve")
    shares = [kind.wait if step == "Await customer" else 0.0 for step in kind.steps[:last]]
    work = [i for i, share in enumerate(shares) if not share]
    shares = [share or (1 - kind.wait) / len(work) for share in shares]
    at = opened
    for i, step in enumerate(kind.steps):
        team = BACK if handed and 2 < i < len(kind.steps) - 1 else DESK
        who = f"{team} {rng.randrange(7)}"
        yield event_line(case, step, at.isoformat(), seq=i, actor=who, team=team)
        spent = hours * shares[i] if i < last else 24.0
        at += dt.timedelta(seconds=round(spent * 3600))


def audited(folder: Path, kinds: Sequence[Kind], *, columns: bool = True, seed: int = 1) -> Audit:
    """The audit of such a desk; without `columns` no code, channel or article is told."""
    events, rows = lines(kinds, seed)
    head = ["case_id", "practice", "priority", "category", "service"]
    head += ["close_code", "channel", "knowledge_article"] if columns else []
    text = io.StringIO(newline="")
    csv.writer(text).writerows([head, *(row[: len(head)] for row in rows)])
    log = write_lines(folder / "events.ndjson", events)
    tickets = folder / "tickets.csv"
    tickets.write_bytes(text.getvalue().encode())
    return audit(AuditRequest((log, tickets)))
