"""What does a service's customer read? What was promised, how often it was kept, what went wrong.

One printable report a service, in plain words and without anything of the inside: no team, no
person, no agreement between teams or with suppliers. All clocks of SLAs for tickets of the service
count; figures are those of the manager's page for the same tickets (`csi.service_levels.attained`).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
from markupsafe import Markup

from csi.report.drawings.attained import draw_trend
from csi.report.level_words import NOBODY, calendar_words, when
from csi.report.page import cleaned, render
from csi.report.sla_page import period_of
from csi.report.words import duration, number, percent, plural, range_of_shares
from csi.service_levels.attained import attained_by
from csi.service_levels.summary import open_and_late
from rules.durations import duration_words
from rules.service_level import attainment

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from csi.service_levels.run import LevelReport

Row = dict[str, Any]
ROWS_SHOWN: Final = 40
TRENDS_SHOWN: Final = 6
PROMISES: Final = {
    "acknowledge": "We confirm your ticket",
    "respond": "We begin to work on your ticket",
    "resolve": "Your ticket is solved",
    "fulfil": "Your request is fulfilled",
    "update": "You hear from us while we work on your ticket",
}
SPENT: Final = {
    "customer": "waiting for your answer",
    "others": "waiting for others",
    "hand_over": "handed on between our teams",
    "queue": "waiting to be taken up",
    "work": "being worked on",
    "done": "taken as solved until it was opened again",
    "unknown": "not known",
}
VERDICTS: Final = {
    "reached": "goal reached",
    "missed": "goal missed",
    "inconclusive": "too close, or too few tickets, to tell",
}


@dataclass(frozen=True)
class CustomerPage:
    """The words of the page, in reading order."""

    service: str
    period: str
    headline: str
    promises: Sequence[Row]
    trends: Sequence[Row]
    late: Sequence[Row]
    late_note: str
    open: Sequence[Row]
    open_note: str
    held: Sequence[Row]
    held_note: str
    meanings: Sequence[tuple[str, str]]


def customer_page(report: LevelReport, service: str | None, report_date: dt.date | None) -> str:
    """Return the report of one service as HTML; None is the service of tickets that name none."""
    name = NOBODY if service is None else service
    title = f"Service report: {name}" + (f", {report_date.isoformat()}" if report_date else "")
    page = CustomerPage(**cleaned(_page(report, service, name)))
    return render("customer.html.j2", title=cleaned(title), page=page)


def _page(report: LevelReport, service: str | None, name: str) -> Row:
    clocks = _of(report.clocks, service)
    kept = attainment(clocks).to_pylist()
    late = _of(report.causes.breaches, service).to_pylist()
    going = open_and_late(clocks).to_pylist()
    return {
        "service": name,
        "period": _period(clocks),
        "headline": _headline(kept),
        "promises": [_promise(row, report) for row in kept],
        "trends": list(_trends(clocks, report)),
        "late": [_late(row) for row in late[:ROWS_SHOWN]],
        "late_note": _late_note(late),
        "open": [_open(row) for row in going[:ROWS_SHOWN]],
        "open_note": _open_note(clocks, going),
        **_held(report, clocks),
        "meanings": _meanings(report, kept),
    }


def _of(table: pa.Table, service: str | None) -> pa.Table:
    """The rows of promises to the customer about one service."""
    column = table["service"]
    mine = column.is_null() if service is None else pc.equal(column, service)
    promised = pc.equal(table["agreement"], "SLA")
    return table.filter(pc.and_(pc.fill_null(mine, fill_value=False), promised))


def _period(clocks: pa.Table) -> str:
    ends = pc.min_max(clocks["start"]).as_py()
    if ends["min"] is None:
        return "no tickets with times"
    return f"tickets opened from {ends['min']:%Y-%m-%d} to {ends['max']:%Y-%m-%d} (UTC)"


def _headline(kept: Sequence[Row]) -> str:
    met, late = (sum(row[name] for row in kept) for name in ("met", "breached"))
    if not met + late:
        return "In this period no promise for this service came to its end."
    verdicts = [row["verdict"] for row in kept if row["n"]]
    said = (
        f"We kept {number(met)} of {number(met + late)} promises ({percent(met / (met + late))}). "
    )
    of = plural(len(verdicts), "goal")
    return (
        f"{said}Of {of} we reached {verdicts.count('reached')} and missed "
        f"{verdicts.count('missed')}."
    )


def _promise(row: Row, report: LevelReport) -> Row:
    target = report.levels.target(row["target"])
    about = [f"priority {target.priority}"] if target.priority else []
    about += [f"for {target.customer}"] if target.customer else []
    return {
        "promise": PROMISES[target.metric] + (f" ({', '.join(about)})" if about else ""),
        "limit": f"within {duration_words(target.limit_us)}",
        "hours": target.calendar,
        "goal": f"in {percent(target.objective)} of cases",
        "kept": _kept(row),
        "n": number(row["n"]),
        "verdict": VERDICTS[row["verdict"]] if row["n"] else "nothing to judge",
        "class": row["verdict"] if row["n"] else "none",
    }


def _kept(row: Row) -> str:
    """Say how often, and how sure that is, in words."""
    if not row["n"]:
        return "no case yet"
    if row["rate"] is None:
        said = range_of_shares(row["low"], row["high"])
        return f"between {said}: {number(row['unknown'])} more cannot be told"
    sure = range_of_shares(row["low"], row["high"])
    return f"{percent(row['rate'])} (in the long run, 95 % sure: {sure})"


def _trends(clocks: pa.Table, report: LevelReport) -> Iterator[Row]:
    """One picture a promise with at least two months to show, those with most cases first."""
    by_target: dict[str, list[Row]] = defaultdict(list)
    for row in attained_by(clocks, "target", "month").to_pylist():
        if row["target"] and row["month"]:
            by_target[row["target"]].append(row)
    most = sorted(by_target, key=lambda name: (-sum(r["n"] or 0 for r in by_target[name]), name))
    for place, name in enumerate(most[:TRENDS_SHOWN]):
        rows = sorted(by_target[name], key=lambda row: str(row["month"]))
        target = report.levels.target(name)
        title = PROMISES[target.metric] + (f", {target.priority}" if target.priority else "")
        points = [period_of(row) for row in rows]
        drawn = draw_trend(points, target.objective, name=f"trend-{place}", title=title)
        if drawn:
            yield {"title": title, "drawing": Markup(drawn)}  # noqa: S704 - our own drawing


def _late(row: Row) -> Row:
    return {
        "ticket": row["case_id"],
        "promise": PROMISES[row["metric"]],
        "due": when(row["due"]),
        "done": when(row["stop"]) or ("not yet" if row["still_open"] else "ended without"),
        "over": duration(row["over_us"]),
        "cause": SPENT[row["cause"]],
    }


def _late_note(late: Sequence[Row]) -> str:
    if not late:
        return "No promise was broken."
    shown = f"; the {ROWS_SHOWN} that were latest for their limit are listed" if _many(late) else ""
    return f"{plural(len(late), 'promise was', 'promises were')} broken{shown}."


def _many(rows: Sequence[Row]) -> bool:
    return len(rows) > ROWS_SHOWN


def _open(row: Row) -> Row:
    return {
        "ticket": row["case_id"],
        "promise": PROMISES[row["metric"]],
        "due": when(row["due"]),
        "over": duration(-row["remaining_us"]),
    }


def _open_note(clocks: pa.Table, late: Sequence[Row]) -> str:
    running = int(pc.sum(pc.equal(clocks["status"], "running")).as_py() or 0)
    said = f"{plural(running, 'promise is', 'promises are')} open and within the limit"
    if not late:
        return f"{said}; none is open and late."
    return f"{said}; {plural(len(late), 'is', 'are')} open and late."


def _held(report: LevelReport, clocks: pa.Table) -> Row:
    """The time that did not count, by what the ticket waited for."""
    names = clocks["target"].drop_null().unique()
    mine = report.pauses.filter(
        pc.and_(
            pc.is_in(report.pauses["case_id"], value_set=clocks["case_id"].unique()),
            pc.is_in(report.pauses["target"], value_set=names),
        )
    )
    resolving = mine.filter(pc.is_in(mine["metric"], value_set=_longest(mine)))
    counted = resolving.group_by(["cause"]).aggregate(
        [("open_us", "sum"), ([], "count_all"), ("case_id", "count_distinct")]
    )
    rows = sorted(counted.to_pylist(), key=lambda row: (-row["open_us_sum"], row["cause"]))
    note = (
        "Time in which we waited for somebody else does not count against a limit. This "
        "much was left "
        "out of the time to solve:"
        if rows
        else "No time was left out of any limit."
    )
    held = [
        {
            "cause": row["cause"],
            "times": number(row["count_all"]),
            "tickets": number(row["case_id_count_distinct"]),
            "time": duration(row["open_us_sum"]),
        }
        for row in rows
    ]
    return {"held": held, "held_note": note}


def _longest(held: pa.Table) -> pa.Array:
    """The metric whose pauses are told: a wait stands once in each of a ticket's clocks."""
    metrics = held["metric"].unique()
    for name in ("resolve", "fulfil"):
        if name in metrics.to_pylist():
            return metrics.filter(pc.equal(metrics, name))
    return metrics.slice(0, 1)


def _meanings(report: LevelReport, kept: Sequence[Row]) -> list[tuple[str, str]]:
    names = {report.levels.target(row["target"]).calendar for row in kept}
    hours = [
        (f"Hours '{name}'", calendar_words(report.levels.calendar(name))) for name in sorted(names)
    ]
    return [
        (
            "A promise",
            (
                "One limit of time for one ticket. It is kept where the time that counts is at "
                "most the limit. A ticket whose priority changes is promised anew from then on."
            ),
        ),
        (
            "Time that counts",
            "Only the hours below count, without the time in which we waited for somebody else.",
        ),
        *hours,
        (
            "95 % sure",
            (
                "Tickets of one period are a sample of how we work. The range in brackets would "
                "hold the true share in 95 of 100 such periods (Wilson score interval)."
            ),
        ),
        (
            "Goal reached or missed",
            "Said only where the whole range lies on one side of the goal.",
        ),
    ]
