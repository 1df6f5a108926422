"""What do the tools' own SLA outcomes in the real logs say, and what explains them?

Writes the figures of docs/service-level-reconciliation.md, between its marks, from a run:

    python tests/improvement/reconciled_logs.py docs/service-level-reconciliation.md

The logs are not part of this project. Everything here is deterministic: halves of the tickets are
the parity of the SHA-256 of their numbers.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import re
import sys
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from csi.service_levels.reconciliation import Reconciliation, reconcile
from csi.service_levels.tool_row_file import load_declared
from csi.service_levels.tool_rows import tool_rows
from process_mining import schema as s
from process_mining.clock import ALWAYS, Calendar, business_us
from process_mining.eventlog import POSITION, EventLog, LogMeta
from process_mining.sources import ReadOptions, find_mapping, open_log
from rules.catalogue import load_catalogue
from rules.practice import translate
from rules.service_level import clocks, load_service_levels, pauses
from rules.spec import wilson
from rules.templates import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
UCI = SHARED / "uci_servicenow" / "incident_event_log_opened_before_2016-04-15.csv.gz"
CSAT = SHARED / "csat" / "technical_support_dataset.csv"
JSM = ROOT / "tests" / "data" / "jira" / "jsm_search.json"
FILES = ROOT / "tests" / "data" / "service_levels"
DOC = ROOT / "docs" / "service-level-reconciliation.md"
STEPS = {
    "Created time": "Register",
    "First response time": "Diagnose",
    "Resolution time": "Resolve",
    "Close time": "Close",
}
DUE = {"respond": "Expected SLA to first response", "resolve": "Expected SLA to resolve"}
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
US = dt.timedelta(microseconds=1)


def us(text: str) -> int:
    return (dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC) - EPOCH) // US


# --- technical support (csat)


@cache
def csat_rows() -> tuple[dict[str, str], ...]:
    with CSAT.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def csat_log() -> EventLog:
    """One event a stamp; order of a ticket's stamps of one time as in STEPS."""
    told = [
        (row["Ticket ID"], step, us(row[column]), place)
        for row in csat_rows()
        for place, (column, step) in enumerate(STEPS.items())
        if row[column]
    ]
    ids, activity, at, position = zip(*told, strict=True)
    events = pa.table(
        {s.CASE_ID: ids, s.ACTIVITY: activity, s.AT: at, POSITION: pa.array(position, pa.int64())}
    )
    kept = ["Source", "SLA For first response", "SLA For Resolution", *STEPS, *DUE.values()]
    cases = pa.table(
        {
            s.CASE_ID: [row["Ticket ID"] for row in csat_rows()],
            s.PRACTICE: ["incident"] * len(csat_rows()),
            s.PRIORITY: [row["Priority"] for row in csat_rows()],
        }
        | {f"attr.{name}": [row[name] or None for row in csat_rows()] for name in kept}
    )
    return EventLog.build(events, cases=cases, meta=LogMeta("technical support"))


@cache
def csat() -> Reconciliation:
    levels = load_service_levels(FILES / "technical_support.toml")
    log = csat_log()
    complete = np.array([row["Status"] == "Closed" for row in sorted_rows(log)])
    desk = Desk(log, complete, int(log.arrays.at.max()), levels)
    return reconciled(desk, "technical_support_tool.toml")


def sorted_rows(log: EventLog) -> list[dict[str, str]]:
    by_id = {row["Ticket ID"]: row for row in csat_rows()}
    return [by_id[one] for one in log.cases[s.CASE_ID].to_pylist()]


def reconciled(desk: Desk, declared: str) -> Reconciliation:
    rows = load_declared(FILES / declared, levels=desk.service_levels)
    metrics = sorted({one.metric for one in rows})
    table = clocks(desk)
    mine = table.filter(pa.array([metric in metrics for metric in table["metric"].to_pylist()]))
    return reconcile(desk, mine, pauses(desk), tool_rows(desk.log, rows))


def limits_of(column: str) -> dict[tuple[str, str, int], int]:
    """Count tickets by channel, priority, and minutes from creation to due time."""
    found: dict[tuple[str, str, int], int] = {}
    for row in csat_rows():
        minutes, rest = divmod(us(row[column]) - us(row["Created time"]), s.US_PER_MINUTE)
        key = row["Source"], row["Priority"], minutes if rest == 0 else -1
        found[key] = found.get(key, 0) + 1
    return found


def csat_block() -> str:
    created = sorted(row["Created time"] for row in csat_rows())
    lines = [
        f"{len(created):,} tickets, created from {created[0]} to {created[-1]}.",
        "",
        "Due time less creation, to the second:",
        "",
        "| due column | channel | limit | tickets | of priorities |",
        "|---|---|---|---:|---|",
    ]
    for column in DUE.values():
        found = limits_of(column)
        for source in sorted({key[0] for key in found}):
            mine = {key: n for key, n in found.items() if key[0] == source}
            words = sorted({f"{minutes} min" for _, _, minutes in mine})
            priorities = ", ".join(sorted({priority for _, priority, _ in mine}))
            lines.append(
                f"| {column} | {source} | {' or '.join(words)} "
                f"| {sum(mine.values()):,} | {priorities} |"
            )
    return "\n".join([*lines, "", *reconciliation_lines(csat())])


# --- the flag made_sla of UCI's log


@cache
def uci_desk() -> Desk:
    log = open_log([UCI], ReadOptions(mapping=find_mapping("uci_servicenow")))
    told = translate(log, load_catalogue().practices["incident"])
    unseen = frozenset((*told.unobserved, *told.vocabulary.implied))
    return Desk(
        told.log,
        told.complete,
        int(log.arrays.at.max()),
        load_service_levels(),
        unmapped=told.has_unmapped,
        unobserved=unseen,
    )


@cache
def uci() -> Reconciliation:
    return reconciled(uci_desk(), "uci_tool.toml")


@dataclass(frozen=True, eq=False)
class Tickets:
    """One entry a ticket: number, priority, breached by the flag, and three times (µs)."""

    number: tuple[str, ...]
    priority: npt.NDArray[np.str_]
    breached: Bools
    opened: Ints
    resolved: Ints
    closed: Ints

    def take(self, rows: Bools) -> Tickets:
        number = tuple(n for n, kept in zip(self.number, rows, strict=True) if kept)
        columns = (self.priority, self.breached, self.opened, self.resolved, self.closed)
        return Tickets(number, *(column[rows] for column in columns))

    def halves(self) -> tuple[Tickets, Tickets]:
        odd = [hashlib.sha256(number.encode()).digest()[-1] & 1 for number in self.number]
        mine = np.array(odd, bool)
        return self.take(~mine), self.take(mine)


@cache
def tickets() -> Tickets:
    """The tickets that have all three times; resolved is the last such state, closed as well."""
    log = uci_desk().log
    at = {name: last_of(log, name) for name in ("Resolve", "Close")}
    tool = tool_rows(log, load_declared(FILES / "uci_tool.toml")).table
    flag = dict(zip(tool["case_id"].to_pylist(), tool["breached"].to_pylist(), strict=True))
    opened = log.cases[s.OPENED].to_pylist()
    ids, priority = log.cases[s.CASE_ID].to_pylist(), log.cases[s.PRIORITY].to_pylist()
    kept = [
        i
        for i, one in enumerate(ids)
        if flag.get(one) is not None
        and None not in {opened[i], priority[i]}
        and min(at["Resolve"][i], at["Close"][i]) >= 0
    ]
    return Tickets(
        number=tuple(ids[i] for i in kept),
        priority=np.array([priority[i] for i in kept]),
        breached=np.array([flag[ids[i]] for i in kept], bool),
        opened=np.array([opened[i] for i in kept], np.int64),
        resolved=at["Resolve"][kept],
        closed=at["Close"][kept],
    )


def last_of(log: EventLog, activity: str) -> Ints:
    """When each case last had a step; -1 where never."""
    found = np.full(log.n_cases, -1, np.int64)
    here = log.arrays.activity == log.arrays.code_of(activity)
    np.maximum.at(found, log.arrays.case_of[here], log.arrays.at[here])
    return found


def best_limit(spent: Ints, breached: Bools) -> int:
    """Return the limit under which most outcomes are right; the least such that was observed."""
    order = np.argsort(spent, kind="stable")
    values, late = spent[order], breached[order]
    right = np.cumsum(~late) + late.sum() - np.cumsum(late)
    last = np.append(values[1:] != values[:-1], True)
    return int(values[np.argmax(np.where(last, right, -1))])


@dataclass(frozen=True)
class Fit:
    """A way of counting with limits fitted on one half: how often it is right on the other."""

    name: str
    limits: tuple[tuple[str, int], ...]
    right_on_fit: float
    right: int
    n: int
    wrong: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.right / self.n


def fit(name: str, end: str, calendar: Calendar | None) -> Fit:
    """Fit one limit a priority; without a calendar the outcome that is the more frequent."""
    limits: dict[str, int] = {}
    shares = []
    right, wrong = 0, []
    for place, half in enumerate(tickets().halves()):
        spent = (
            np.zeros(len(half.number), np.int64)
            if calendar is None
            else business_us(half.opened, getattr(half, end), calendar)
        )
        if place == 0:
            for priority in sorted(set(half.priority.tolist())):
                mine = half.priority == priority
                limits[priority] = (
                    (-1 if half.breached[mine].mean() > 0.5 else 0)
                    if calendar is None
                    else best_limit(spent[mine], half.breached[mine])
                )
        limit = np.array([limits[priority] for priority in half.priority], np.int64)
        correct = (spent > limit) == half.breached
        shares.append(float(correct.mean()))
        right = int(correct.sum())
        wrong = [number for number, ok in zip(half.number, correct, strict=True) if not ok]
    return Fit(name, tuple(limits.items()), shares[0], right, len(half.number), tuple(wrong))


def calendars() -> tuple[Calendar, ...]:
    """The calendars that know the year of the log."""
    return (ALWAYS, *uci_desk().service_levels.calendars)


@cache
def fits() -> tuple[Fit, ...]:
    found = [fit("the more frequent outcome of the priority", "closed", None)]
    for end, words in (("resolved", "opened to last Resolve"), ("closed", "opened to last Close")):
        found += [fit(f"{words}, {calendar.name}", end, calendar) for calendar in calendars()]
    return tuple(found)


def office(begin: int, hours: int) -> Calendar:
    day = ((begin * 60, (begin + hours) * 60),)
    return Calendar(f"{begin:02d}:00-{begin + hours:02d}:00", "UTC", (day,) * 5 + ((),) * 2)


@cache
def offices() -> tuple[Fit, ...]:
    """Every office of 8 to 11 whole hours from Monday to Friday, best on the fitted half first."""
    found = [
        fit(calendar.name, "closed", calendar)
        for hours in (8, 9, 10, 11)
        for calendar in (office(begin, hours) for begin in range(25 - hours))
    ]
    return tuple(sorted(found, key=lambda one: (-one.right_on_fit, one.name)))


def flips() -> dict[str, int]:
    """Count, by the state that the same row reports, the rows at which the flag becomes false."""
    log = uci_desk().log
    flag = [text.lower() for text in log.events["attr.made_sla"].to_pylist()]
    case, state = log.arrays.case_of, log.events[s.RAW_ACTIVITY].to_pylist()
    found: dict[str, int] = {}
    for before, after in pairwise(range(log.n_events)):
        if case[before] == case[after] and (flag[before], flag[after]) == ("true", "false"):
            found[state[after]] = found.get(state[after], 0) + 1
    return found


def fit_line(one: Fit, *, base: Callable[[Fit], str]) -> str:
    low, high = wilson(one.right, one.n)
    return f"| {base(one)} | {one.right_on_fit:.2%} | {one.share:.2%} | {low:.2%} to {high:.2%} |"


def uci_block() -> str:
    seen = tickets()
    first, second = seen.halves()
    table = ["| counted | right on the fitted half | right on the other | Wilson 95 % |"]
    table += ["|---|---:|---:|---|"]
    table += [fit_line(one, base=lambda one: one.name) for one in fits()]
    best = max(fits(), key=lambda one: one.right_on_fit)
    windows = [
        (
            "| office, Monday to Friday, UTC; limit of P3 | right on the fitted half "
            "| right on the other | Wilson 95 % |"
        )
    ]
    windows += ["|---|---:|---:|---|"]
    windows += [fit_line(one, base=office_words) for one in offices()[:6]]
    limits = ", ".join(f"{p} {hours(limit)}" for p, limit in best.limits)
    turned = ", ".join(f"{n:,} at a row in state {state}" for state, n in sorted(flips().items()))
    waits = np.sort(seen.closed - seen.resolved)
    low, middle, high = (hours(int(waits[len(waits) * q // 100])) for q in (10, 50, 90))
    halves = (
        f"Limits fitted by priority on {len(first.number):,} tickets, judged on the other "
        f"{len(second.number):,}; {len(seen.number):,} of {uci_desk().log.n_cases:,} tickets have "
        "the flag, an opening, a Resolve and a Close:"
    )
    wrong = ", ".join(best.wrong[:5]) + (" and others" if len(best.wrong) > 5 else "")
    lines = [
        *reconciliation_lines(uci()),
        "",
        f"Where the flag turns from true to false inside a ticket: {turned}.",
        (
            f"From the last Resolve to the last Close: median {middle}, 10th to 90th percentile "
            f"{low} to {high}, n = {len(waits):,}."
        ),
        "",
        halves,
        "",
        *table,
        "",
        (
            f"The best on the fitted half is “{best.name}”, with limits of {limits}. On the other "
            f"half it is wrong of {len(best.wrong):,}: {wrong}."
        ),
        "",
        (
            f"Offices of 8 to 11 hours ({len(offices())} of them), opened to last Close, fitted in "
            "the same way; the six best on the fitted half:"
        ),
        "",
        *windows,
    ]
    return "\n".join(lines)


def office_words(one: Fit) -> str:
    return f"{one.name}, {hours(dict(one.limits)['P3'])}"


def hours(limit: int) -> str:
    return f"{limit / s.US_PER_HOUR:.2f} h"


# --- an export of a service project


@cache
def jsm() -> Reconciliation:
    log = open_log([JSM], ReadOptions())
    told = translate(log, load_catalogue().practices["incident"])
    mine = np.array([one == "incident" for one in log.cases[s.PRACTICE].to_pylist()])
    levels = load_service_levels(FILES / "jsm.toml")
    now = us("2024-05-08T09:10:00")
    desk = Desk(told.log.select(mine), told.complete[mine], now, levels)
    return reconciled(desk, "jsm_tool.toml")


def jsm_block() -> str:
    return "\n".join(reconciliation_lines(jsm()))


# --- tables


def reconciliation_lines(found: Reconciliation) -> list[str]:
    met = (
        f"{found.pairs:,} rows met a clock; {found.same:,} of them are the same in all that both "
        f"say, to the microsecond. Of the {found.differences.num_rows:,} differences "
        f"{found.unexplained:,} are unexplained."
    )
    head = (
        "| the tool's | both met | both breached | only ours breached | only the tool's breached "
        "| n | outcomes that agree | Wilson 95 % | kappa |"
    )
    lines = [met, "", head, "|---|---:|---:|---:|---:|---:|---:|---|---:|"]
    for one in found.agreements:
        low, high = one.interval
        share = "" if one.share is None else f"{one.share:.2%}"
        kappa = "" if one.kappa is None else f"{one.kappa:.3f}"
        lines.append(
            f"| {one.name} | {one.both_met:,} | {one.both_breached:,} | {one.only_ours_breached:,} "
            f"| {one.only_tool_breached:,} | {one.n:,} | {share} | {low:.2%} to {high:.2%} "
            f"| {kappa} |"
        )
    lines += [
        "",
        "| the tool's | cause | in detail | differences | share | shown by times | such as |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {one.name} | {one.cause} | {one.detail} | {one.n:,} | {one.share:.1%} "
        f"| {one.by_times:,} | {', '.join(one.examples)} |"
        for one in found.causes
    ]
    return lines


BLOCKS: dict[str, tuple[Path, Callable[[], str]]] = {
    "technical-support": (CSAT, csat_block),
    "made-sla": (UCI, uci_block),
    "service-project": (JSM, jsm_block),
}


def rewritten(text: str, names: Iterable[str]) -> str:
    """Put fresh figures between the marks `<!-- name -->` and `<!-- end of name -->`."""
    for name in names:
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        parts = re.split("|".join(map(re.escape, marks)), text)
        if len(parts) != 3:
            msg = f"the document has no block {name}"
            raise ValueError(msg)
        fresh = f"\n\n{BLOCKS[name][1]()}\n\n"
        text = parts[0] + marks[0] + fresh + marks[1] + parts[2]
    return text


def main(arguments: Sequence[str]) -> None:
    path = Path(arguments[0]) if arguments else DOC
    here = [name for name, (log, _) in BLOCKS.items() if log.is_file()]
    path.write_text(rewritten(path.read_text(encoding="utf-8"), here), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
