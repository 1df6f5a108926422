"""What does a customer of a service read? What was promised, how often it was kept, what was late.

One printable report (A4) in plain words. It names no team, no person, no other customer and no
target: a promise is said by what it is about, its time and its aim. Shares of fewer than five
promises are left out. Times are UTC, to the minute.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow.compute as pc
from markupsafe import Markup

from csi.report.drawings.attained import draw_trend
from csi.report.drawings.svg import clean
from csi.report.level_words import aim_words, calendar_words, open_time, period_of, when
from csi.report.page import cleaned, render
from csi.report.words import number, percent, plural, range_of_shares
from csi.service_levels.attained import MONTH, SMALLEST_GROUP, attained_by
from csi.service_levels.summary import open_and_late
from rules.durations import duration_words
from rules.service_level import attained
from rules.service_level.targets import SLA

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from csi.service_levels.run import LevelReport
    from rules.service_level import Target

Row = dict[str, Any]
LATE_SHOWN: Final = 40
HEAD: Final = 80  # how much of a name stands above every printed page
MONTHS_SHOWN: Final = 18
NO_SERVICE: Final = "Tickets that name no service"
METRICS: Final = {
    "acknowledge": "Acknowledged",
    "respond": "Taken up",
    "resolve": "Solved",
    "fulfil": "Delivered",
    "update": "Word from us at least every",
}
KEPT: Final = {
    "acknowledge": "that a ticket is acknowledged in time",
    "respond": "that a ticket is taken up in time",
    "resolve": "that a ticket is solved in time",
    "fulfil": "that a request is delivered in time",
    "update": "that you hear from us in time",
}
RESULTS: Final = {
    "reached": "aim reached",
    "missed": "aim missed",
    "inconclusive": "too close to say",
}
CAUSES: Final = {
    "customer": "waiting for an answer from you",
    "others": "waiting for a supplier or another party",
    "hand_over": "passing it on between our teams",
    "queue": "it waited to be taken up",
    "work": "the work on it took longer",
    "done": "we took it for done, and it was not",
    "unknown": "not recorded",
}
PAUSES: Final = {
    "Await customer": "We waited for an answer from you",
    "Await supplier": "We waited for a supplier",
    "Await problem": "We waited until the cause behind it was found",
    "Await evidence": "We waited for evidence",
    "Await approval": "We waited for an approval",
}
BESIDE: Final = (
    ("superseded", "counted under another promise, because the priority changed"),
    ("lapsed", "ended without a solution, such as withdrawn ones"),
    ("unknown", "of which our records do not tell whether the promise was kept"),
)
WORDS: Final = (
    (
        "Kept",
        (
            "The time that counted is at most the promised time. Only the hours of the promise "
            "count, and time that is listed under 'Time that does not count' does not."
        ),
    ),
    (
        "Aim",
        (
            "The share of promises that is to be kept. It is reached, or missed, where chance "
            "alone does not explain the difference; else it is too close to say."
        ),
    ),
    (
        "Allowing for chance",
        (
            "Few tickets say little: as many others would give a somewhat other share. In 95 of "
            "100 periods such a range holds the true one (Wilson score interval)."
        ),
    ),
    ("Month", "The month (UTC) in which the promise was kept, or broken."),
)


@dataclass(frozen=True)
class CustomerPage:
    """The words of the report, in reading order; lists hold one dict a row."""

    service: str
    running: str
    period: str
    date: str
    headline: str
    kept: Sequence[str]
    promises: Sequence[Row]
    beside: Sequence[str]
    trends: Sequence[Row]
    trend_note: str
    late: Sequence[Row]
    late_note: str
    open: Sequence[Row]
    open_note: str
    pauses: Sequence[Row]
    pauses_note: str
    words: Sequence[tuple[str, str]]


def customer_page(report: LevelReport, service: str | None, report_date: dt.date | None) -> str:
    """Return the report of one service as HTML; None: that of tickets that name none."""
    found: dict[str, Any] = cleaned(_page(report, service, report_date))
    title = f"Service level report: {clean(found['service'], HEAD)}"
    return render("customer.html.j2", title=title, page=CustomerPage(**found))


def _page(report: LevelReport, service: str | None, report_date: dt.date | None) -> Row:
    clocks = _of(report.clocks, service)
    name = NO_SERVICE if service is None else service
    promises = list(_promises(report, clocks))
    return {
        "service": name,
        "running": clean(name, HEAD),
        "period": _period(clocks, report),
        "date": "" if report_date is None else report_date.isoformat(),
        "headline": _headline(clocks),
        "kept": list(_kept(promises)),
        "promises": [_promise(row) for row in promises],
        "beside": _beside(clocks),
        **_trends(clocks),
        **_late(report, service),
        **_open(clocks),
        **_pauses(report, clocks),
        "words": [*WORDS, *_hours(report, clocks)],
    }


def _of(table: pa.Table, service: str | None) -> pa.Table:
    """Return the promises to customers of one service."""
    column = table["service"]
    mine = column.is_null() if service is None else pc.equal(column, service)
    return table.filter(pc.and_(mine, pc.equal(table["agreement"], SLA)))


def _period(clocks: pa.Table, report: LevelReport) -> str:
    first = pc.min(clocks["start"]).as_py()
    if first is None:
        return ""
    last = pc.max(report.clocks["start"]).as_py()
    ends = report.as_of_us // 1_000_000
    told = max(last, type(last).fromtimestamp(ends, last.tzinfo))
    return f"{first:%Y-%m-%d} to {told:%Y-%m-%d}"


def _headline(clocks: pa.Table) -> str:
    n = len(pc.unique(clocks["case_id"]))
    none = int(pc.sum(clocks["target"].is_null()).as_py() or 0)
    said = f"This report is about {plural(n, 'ticket')} of this service."
    return said if none < clocks.num_rows else f"{said} Nothing was promised for them."


# --- what was promised, and how often it was kept


def _promises(report: LevelReport, clocks: pa.Table) -> Iterator[Row]:
    """One row for each promise that a customer can tell from others; targets alike are one."""
    counts: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    first: dict[tuple[Any, ...], Target] = {}
    rows = clocks.filter(clocks["target"].is_valid()).group_by(["target", "status"])
    for row in rows.aggregate([([], "count_all")]).to_pylist():
        target = report.levels.target(row["target"])
        key = _alike(target)
        first.setdefault(key, target)
        counts[key][row["status"]] += row["count_all"]
    for key in sorted(counts, key=_order):
        target = first[key]
        figures = attained(counts[key], objective=target.objective)
        yield figures | {"target": target}


def _alike(target: Target) -> tuple[Any, ...]:
    """What a customer sees of a target."""
    own = target.customer is not None
    return (
        *(target.case_type, target.metric, target.priority, target.limit_us, target.calendar),
        *(target.objective, own, target.period),
    )


def _order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    case_type, metric, priority, *rest = key
    return case_type, list(METRICS).index(metric), priority or "", *map(str, rest)


def _kept(promises: Sequence[Row]) -> Iterator[str]:
    """Say in a sentence a metric how often it was kept, over all its promises."""
    for metric, said in KEPT.items():
        mine = [row for row in promises if row["target"].metric == metric]
        met, late = (sum(row[name] for row in mine) for name in ("met", "breached"))
        if met + late:
            of = f"{number(met)} of {number(met + late)} times"
            told = met + late >= SMALLEST_GROUP and all(
                r["rate"] is not None for r in mine if r["n"]
            )
            share = f", {percent(met / (met + late))}" if told else ""
            yield f"Our promise {said} was kept {of}{share}."


def _promise(row: Row) -> Row:
    target, n = row["target"], row["n"]
    what = METRICS[target.metric]
    within = "" if target.metric == "update" else " within"
    whose = f", priority {target.priority}" if target.priority else ""
    own = ", under an agreement of its own" if target.customer is not None else ""
    return {
        "what": f"{what}{within} {duration_words(target.limit_us)}",
        "whose": f"{target.case_type.replace('_', ' ')}{whose}{own}",
        "calendar": target.calendar,
        "kept": f"{number(row['met'])} of {number(n)}" if n else "none came due",
        "share": _share(row),
        "chance": _chance(row),
        "aim": aim_words(target.objective),
        "result": RESULTS[row["verdict"]] if n >= SMALLEST_GROUP else "too few to say",
        "verdict": row["verdict"] if n >= SMALLEST_GROUP else "",
    }


def _share(row: Row) -> str:
    return percent(row["rate"]) if row["n"] >= SMALLEST_GROUP and row["rate"] is not None else ""


def _chance(row: Row) -> str:
    if row["n"] < SMALLEST_GROUP or row["low"] is None:
        return ""
    unknown = ", what is not recorded left open" if row["unknown"] else ""
    return f"{range_of_shares(row['low'], row['high'])}{unknown}"


def _beside(clocks: pa.Table) -> list[str]:
    counted = Counter(clocks["status"].to_pylist())
    said = [f"{number(counted[status])} {words}" for status, words in BESIDE if counted[status]]
    return [*said, *[f"{number(counted['running'])} still open in time"] * bool(counted["running"])]


def _trends(clocks: pa.Table) -> Row:
    """One picture a metric: the share that was kept, by month."""
    rows = [row for row in attained_by(clocks, MONTH).to_pylist() if row[MONTH]]
    pictures = []
    for metric in METRICS:
        mine = [row for row in rows if row["metric"] == metric][-MONTHS_SHOWN:]
        aims = {row["objective"] for row in mine}
        aim = next(iter(aims)) if len(aims) == 1 else None
        title = f"{_word(metric)} in time, by month"
        drawn = draw_trend(
            [period_of(row) for row in mine], aim, name=f"trend-{metric}", title=title
        )
        if drawn:
            pictures.append({"title": title, "drawing": Markup(drawn)})  # noqa: S704 - our own
    note = (
        f"Points are months with at least {SMALLEST_GROUP} promises that came due (n of them); "
        "the bars allow for chance."
        if pictures
        else "No month has enough tickets for a picture."
    )
    return {"trends": pictures, "trend_note": note}


# --- what was late, what is open, what does not count


def _late(report: LevelReport, service: str | None) -> Row:
    """The broken promises, the latest first."""
    table = _of(report.causes.breaches, service)
    order = [("over_us", "descending"), ("case_id", "ascending"), ("metric", "ascending")]
    rows = table.sort_by(order).slice(0, LATE_SHOWN).to_pylist()
    more = table.num_rows - len(rows)
    note = "Every promise that came due was kept." if not table.num_rows else ""
    if table.num_rows:
        note = f"{plural(table.num_rows, 'promise was', 'promises were')} not kept."
        note += f" The {LATE_SHOWN} that were latest are listed." if more else ""
    return {
        "late_note": note,
        "late": [
            {
                "ticket": row["case_id"],
                "what": _word(row["metric"]),
                "due": when(row["due"]),
                "done": when(row["stop"]) or ("open" if row["still_open"] else "never"),
                "over": open_time(row["over_us"]),
                "cause": CAUSES[row["cause"]],
            }
            for row in rows
        ],
    }


def _open(clocks: pa.Table) -> Row:
    late = open_and_late(clocks)
    late = late.sort_by([("remaining_us", "ascending"), ("case_id", "ascending")])
    n = len(pc.unique(clocks.filter(clocks["remaining_us"].is_valid())["case_id"]))
    if not n:
        note = "No ticket with a running promise is open."
    else:
        note = f"{plural(n, 'ticket is', 'tickets are')} open with a promise that runs, "
        note += f"{number(late.num_rows)} beyond it." if late.num_rows else "all of them in time."
    return {
        "open_note": note,
        "open": [
            {
                "ticket": row["case_id"],
                "what": _word(row["metric"]),
                "due": when(row["due"]),
                "over": open_time(-row["remaining_us"]),
            }
            for row in late.slice(0, LATE_SHOWN).to_pylist()
        ],
    }


def _pauses(report: LevelReport, clocks: pa.Table) -> Row:
    """The time that did not count, by why; of the promise of a solution where there is one.

    A wait stands once in each clock of a ticket, so those of one metric alone are added up.
    """
    names = pc.unique(clocks["target"].drop_null())
    mine = report.pauses.filter(
        pc.and_(
            pc.is_in(report.pauses["case_id"], value_set=pc.unique(clocks["case_id"])),
            pc.is_in(report.pauses["target"], value_set=names),
        )
    )
    there = set(mine["metric"].to_pylist())
    metric = next((name for name in ("resolve", "fulfil", *METRICS) if name in there), "")
    mine = mine.filter(pc.equal(mine["metric"], metric))
    found = mine.group_by(["cause"]).aggregate([("open_us", "sum"), ("case_id", "count_distinct")])
    rows = sorted(found.to_pylist(), key=lambda row: (-row["open_us_sum"], row["cause"]))
    note = "No clock was stopped: all time counted."
    if rows:
        note = (
            "While a ticket stands still for one of these reasons, its clock does. Left out of the "
        )
        note += f"time of '{_word(metric).lower()}', in the hours of the promise:"
    return {
        "pauses_note": note,
        "pauses": [
            {
                "why": PAUSES.get(row["cause"], row["cause"]),
                "tickets": number(row["case_id_count_distinct"]),
                "time": open_time(row["open_us_sum"]),
            }
            for row in rows
        ],
    }


def _word(metric: str) -> str:
    """Say a metric without its time."""
    return METRICS[metric].removesuffix(" at least every")


def _hours(report: LevelReport, clocks: pa.Table) -> Iterator[tuple[str, str]]:
    """Say the hours of each calendar that a promise of the service counts in."""
    names = [name for name in pc.unique(clocks["target"]).to_pylist() if name is not None]
    for calendar in sorted({report.levels.target(name).calendar for name in names}):
        yield f"Hours '{calendar}'", calendar_words(report.levels.calendar(calendar))
