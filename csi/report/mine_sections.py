"""How are the times, the rework, the teams and the arrivals of a mining said in words?

The particular sections of the mining page, from its summary: one dict a row of a table, one text a
note. The page itself is put together in `mine_page`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup

from csi.report.drawings.curves import draw_backlog, draw_week
from csi.report.drawings.network import draw_network
from csi.report.words import duration, number, percent, plural, range_of_shares
from process_mining import schema as s

if TYPE_CHECKING:
    from csi.mining import Mining

    Row = dict[str, Any]

ROWS_SHOWN: Final = 10


def time_part(summary: Row) -> Row:
    """Say between which steps and in which states time goes."""
    times = summary["times"]
    return {
        "bottlenecks": [_bottleneck(row) for row in times["bottlenecks"][:ROWS_SHOWN]],
        "bottlenecks_note": _bottlenecks_note(summary),
        "states": [_state(row, summary) for row in times["states"]],
        "states_note": _states_note(summary),
        "service": [_service(row) for row in times["service"] if row["n"]][:ROWS_SHOWN],
    }


def rework_part(summary: Row) -> Row:
    """Say what is done again, and what is done in batches."""
    found, batches = summary["rework"], summary["batches"]
    repeated = [row for row in found["activities"] if row["direct_repeats"]]
    return {
        "note": _rework_note(summary),
        "returns": [_return(row) for row in found["returns"] if row["returns"]][:ROWS_SHOWN],
        "paths": [_path(row) for row in found["paths"][:ROWS_SHOWN]],
        "repeats": [_repeat(row) for row in repeated[:ROWS_SHOWN]],
        "batches_note": _batches_note(batches),
        "batches": [_batch(row) for row in batches["activities"][:ROWS_SHOWN]],
    }


def resolution_part(summary: Row) -> Row:
    """Say how many tickets are solved at first contact, and how many come back."""
    return {"rows": _resolution_rows(summary), "note": _resolution_note(summary)}


# --- time


def hours_words(hours: float) -> str:
    """Say a duration given in hours."""
    return duration(round(hours * s.US_PER_HOUR))


def _us(value: int | None) -> str:
    return "" if value is None else duration(int(value))


def _bottleneck(row: Row) -> Row:
    low, high = row["median_low_us"], row["median_high_us"]
    between = f"{_us(low)} to {_us(high)}" if low is not None and high is not None else ""
    return {
        "rank": row["rank_total"],
        "source": row["source"],
        "target": row["target"],
        "n": number(row["n"]),
        "cases": number(row["cases"]),
        "median": _us(row["median_us"]),
        "interval": between,
        "p90": _us(row["p90_us"]),
        "total": f"{number(row['total_h'], 0)} h",
        "share": percent(row["share"]),
        "bar": round(100 * row["share"], 2),
        "typical": row["rank_typical"],
    }


def _bottlenecks_note(summary: Row) -> str:
    times = summary["times"]
    if not times["bottlenecks"]:
        return "The log has no times, or no ticket has two steps."
    return (
        f"The {min(len(times['bottlenecks']), ROWS_SHOWN)} of {number(times['successions'])} pairs "
        "of steps between which most elapsed time passes. The rank by typical wait (median times "
        "number) says whether that is usual: a place that ranks high in all but low by it owes its "
        "time to a few very long waits. Medians with 95 % intervals by order statistics; waits of "
        "one ticket are treated as independent."
    )


def _state(row: Row, summary: Row) -> Row:
    means = summary["mined"]["meanings"]
    kind = ""
    if row["activity"] in means["waiting"]:
        kind = "waiting"
    elif row["activity"] in (*means["resolving"], *means["ends"]):
        kind = "resolved or ended"
    elif means["waiting"]:
        kind = "working, at most"
    return {
        "activity": row["activity"],
        "kind": kind,
        "visits": number(row["visits"]),
        "cases": number(row["cases"]),
        "open": number(row["open_visits"]),
        "median": _us(row["median_us"]),
        "p90": _us(row["p90_us"]),
        "total": "" if row["total_h"] is None else f"{number(row['total_h'], 0)} h",
        "share": "" if row["share"] is None else percent(row["share"]),
        "bar": 0 if row["share"] is None else round(100 * row["share"], 2),
    }


def _states_note(summary: Row) -> str:
    said = (
        "A step is read as a state that lasts until the next step of the ticket. Medians are of "
        "visits that have ended; where many are open they are too short."
    )
    split = summary["times"]["split"]
    if split is None and summary["mined"]["meanings"]["waiting"]:
        return f"{said} No ticket has a step that waits."
    if split is None:
        return f"{said} Which steps wait is not known: say it with --practice or --waiting."
    return (
        f"{said} Waiting {number(split['waiting_h'], 0)} h, working at most "
        f"{number(split['working_h'], 0)} h, resolved but not closed "
        f"{number(split['done_h'], 0)} h; elapsed time of {plural(split['cases'], 'ticket')}."
    )


def _service(row: Row) -> Row:
    return {
        "activity": row["activity"],
        "n": number(row["n"]),
        "median": _us(row["median_service_us"]),
        "p90": _us(row["p90_service_us"]),
        "waited": _us(row["median_waiting_us"]),
        "unmatched": number(row["unmatched_starts"] + row["unmatched_completes"]),
    }


# --- rework


def _rework_note(summary: Row) -> str:
    found = summary["rework"]
    if not found["cases"]:
        return "No ticket has a step."
    rate = found["looping"]
    between = range_of_shares(rate["low"], rate["high"])
    said = (
        f"{number(found['cases_looping'])} of {plural(found['cases'], 'ticket')} "
        f"({percent(rate['value'])}, 95 % interval {between}) come back to a step they had left"
    )
    if found["looped_h"] is None or not found["total_h"]:
        return f"{said}."
    part = percent(found["looped_h"] / found["total_h"])
    return f"{said}; {part} of all time between steps lies between leaving a step and coming back."


def _return(row: Row) -> Row:
    return {
        "activity": row["activity"],
        "returns": number(row["returns"]),
        "cases": number(row["cases_return"]),
        "median": _us(row["median_away_us"]),
        "total": "" if row["total_away_h"] is None else f"{number(row['total_away_h'], 0)} h",
    }


def _path(row: Row) -> Row:
    between = row["path"]
    way = "by a longer way" if between is None else " → ".join(between)
    return {
        "path": f"{row['activity']} → {way} → {row['activity']}",
        "n": number(row["n"]),
        "cases": number(row["cases"]),
        "median": _us(row["median_away_us"]),
    }


def _repeat(row: Row) -> Row:
    return {
        "activity": row["activity"],
        "n": number(row["direct_repeats"]),
        "cases": number(row["cases_repeating"]),
        "share": percent(row["case_share"]),
    }


# --- teams


def teams_part(mining: Mining, found: Row | None) -> Row | None:
    """Say who hands over to whom; None for a log without teams."""
    if found is None or mining.teams is None:
        return None
    drawing = draw_network(mining.teams.network)
    return {
        "note": _teams_note(found),
        "drawing": Markup(drawing),  # noqa: S704 - our own drawing
        "handovers": [_handover(row) for row in found["handovers"][:ROWS_SHOWN]],
        "ping_pongs": [_ping_pong(row) for row in found["ping_pongs"][:ROWS_SHOWN]],
        "central": [_central(row) for row in found["teams"] if row["betweenness"]][:ROWS_SHOWN],
        "a_case": _a_case(found["handovers_a_case"]),
    }


def _teams_note(found: Row) -> str:
    if not found["cases_known"]:
        return "No ticket names a team."
    shares = [
        (found["handed_over"], "were handed over to another team at least once"),
        (found["reassigned"], "were reassigned: they changed hands while their state stayed"),
        (found["passed_on"], "were passed on by a team that did nothing the log shows"),
        (found["bouncing"], "bounced: from a team to another and straight back"),
    ]
    said = [
        f"{percent(rate['value'])} ({range_of_shares(rate['low'], rate['high'])}) {words}"
        for rate, words in shares
    ]
    return (
        f"{plural(found['n_handovers'], 'hand-over')} in {plural(found['cases_known'], 'ticket')} "
        f"that name a team, {plural(found['n_ping_pongs'], 'ping-pong')}. Of these tickets "
        f"{'; '.join(said)}. Shares with 95 % Wilson intervals. "
        "Teams of under 5 people stand as one."
    )


def _a_case(rows: list[Row]) -> list[Row]:
    """How many tickets were handed over how often; the last line holds all that is more."""
    shown = list(rows[: ROWS_SHOWN if len(rows) <= ROWS_SHOWN else ROWS_SHOWN - 1])
    said = [
        {
            "times": number(row["times"]),
            "cases": number(row["cases"]),
            "share": percent(row["share"]),
        }
        for row in shown
    ]
    if rest := rows[len(shown) :]:
        cases, share = (sum(row[key] for row in rest) for key in ("cases", "share"))
        times = f"{number(rest[0]['times'])} or more"
        said.append({"times": times, "cases": number(cases), "share": percent(share)})
    return said


def _handover(row: Row) -> Row:
    return {
        "source": row["source"],
        "target": row["target"],
        "n": number(row["n"]),
        "cases": number(row["cases"]),
        "median": _us(row["median_us"]),
    }


def _ping_pong(row: Row) -> Row:
    return {
        "team": row["team"],
        "other": row["other"],
        "n": number(row["n"]),
        "cases": number(row["cases"]),
        "median": _us(row["median_held_us"]),
    }


def _central(row: Row) -> Row:
    return {
        "team": row["team"],
        "share": percent(row["betweenness"]),
        "received": number(row["received"]),
        "given": number(row["given"]),
        "sources": number(row["sources"]),
        "targets": number(row["targets"]),
        "only": "yes" if row["articulation"] else "",
    }


def _batches_note(found: Row) -> str:
    who = {"actor": "one person", "team": "one team", "anyone": "anyone"}[found["doer"]]
    window = duration(found["window_us"])
    if not found["decidable"]:
        clock = duration(found["resolution_us"])
        return f"Not decidable: a batch is steps within {window}, and this log's clock has {clock}."
    said = (
        f"A batch is one step on at least {found['least_cases']} tickets by {who}, each within "
        f"{window} of the one before."
    )
    unknown = found["unknown"]
    said += f" Of {plural(unknown, 'step')} it is not known who did them." * bool(unknown)
    return said + ("" if found["activities"] else " There are none.")


def _batch(row: Row) -> Row:
    return {
        "activity": row["activity"],
        "batches": number(row["batches"]),
        "batched": number(row["batched"]),
        "share": percent(row["share"]),
        "median": number(row["median_size"]),
        "largest": number(row["largest"]),
    }


# --- arrivals, resolution


def flow_part(mining: Mining, found: Row) -> Row:
    """Say what comes, what ends and what stays open, and draw it."""
    flow = mining.flow
    if flow.backlog is None or flow.profile is None:
        return {"note": f"Not known: {found['failed']}", "curves": "", "week": "", "week_note": ""}
    curves = draw_backlog(flow.backlog.days, ends_known=flow.ends_known)
    week = draw_week(flow.profile, "opened", name="week", title="When tickets are opened")
    return {
        "note": _flow_note(found),
        "curves": Markup(curves),  # noqa: S704 - our own drawing
        "week": Markup(week),  # noqa: S704 - our own drawing
        "week_note": f"Tickets opened by hour of the week, local time of {found['zone']}.",
    }


def _flow_note(found: Row) -> str:
    said = (
        f"{plural(found['cases'], 'ticket')} over {plural(found['days'], 'day')} ({found['zone']})."
    )
    if not found["ends_known"]:
        return f"{said} When they end is not known (no closing time, no practice)."
    said += f" {number(found['open'])} are open at the end."
    if found["reversed"]:
        said += (
            f" {plural(found['reversed'], 'ticket')} end before they begin; taken as ended at once."
        )
    if found["without_start"]:
        said += f" {plural(found['without_start'], 'ticket')} have no beginning and are left out."
    little = found["little"]
    if little is None:
        return said
    return (
        f"{said} On average {number(little['mean_open'])} are open and "
        f"{number(little['arrivals_a_day'])} arrive a day, while ended ones took "
        f"{number(little['mean_days'])} days in the mean: by Little's law these fit each other "
        f"with a ratio of {number(little['ratio'], 2)}; well above 1 means that tickets stay open "
        "which no duration of ended ones tells of. Tickets that were open before the log begins "
        "are not in it, so its first weeks look emptier than they were."
    )


def _resolution_rows(summary: Row) -> list[tuple[str, str]]:
    back, first = (summary["resolution"][key] for key in ("reopened", "first_contact"))
    rows = []
    if first:
        said = rate_words(first["rate"], first["first_contact"], first["n"])
        said += f". Criteria: {', '.join(first['criteria'])}."
        if first["undecided"]:
            n = plural(first["undecided"], "further ticket")
            said += f" {n} not decided for want of a team."
        rows.append(("Solved at first contact", said))
    if back:
        after = ""
        if back["median_us"] is not None:
            after = (
                f" Half of the reopenings come within {duration(back['median_us'])} of resolution"
            )
            after += f", nine in ten within {duration(back['p90_us'])}."
        said = rate_words(back["rate"], back["reopened"], back["resolved"])
        rows.append(("Reopened", f"{said}; {plural(back['reopenings'], 'reopening')}.{after}"))
    return rows


def rate_words(rate: Row, part: int, whole: int) -> str:
    """Say a share with its counts and its interval."""
    if rate["value"] is None:
        return "no ticket to count"
    between = range_of_shares(rate["low"], rate["high"])
    return f"{number(part)} of {number(whole)}, {percent(rate['value'])} (95 % interval {between})"


def _resolution_note(summary: Row) -> str:
    words = summary["mined"]["meanings"]["resolving"]
    if words and not summary["mined"]["meanings"]["ends"]:
        return (
            "Which steps end a ticket is not known, so closing a resolved one cannot be told from "
            "coming back to it: say it with --practice or --ends."
        )
    if summary["resolution"]["reopened"] is None and words:
        return f"No ticket has a step that resolves it ({', '.join(words)})."
    if summary["resolution"]["reopened"] is None:
        return "Which step resolves a ticket is not known: say it with --practice or --resolving."
    return (
        "No standard fixes what first contact means; the criteria are stated. Tickets that were "
        "resolved lately have had less time to come back."
    )
