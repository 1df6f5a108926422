"""Which formula does each kind of rule stand for, as its parameters are written in a rule file?

Written from what the kinds are meant to say, in `ltlf`; nothing of the product is imported. A rule
is a template's name and its parameters as plain values; `verdict` says what it says of one story.

Conventions, for all kinds:

- The events that ask (or could offend) are those at which the rule is in force; answers,
  predecessors and what lifts a ban may lie outside of that.
- Texts are compared trimmed and without case; an empty one is missing. A comparison with a missing
  value could turn out either way, each on its own.
- In an open case any step may follow, at the time of judgement or much later, by anybody. In a case
  that has ended only steps outside the model may: they matter where the rule waits for one.
- Updates and steps outside the model are no neighbours, unless the rule names their activity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from oracles.ltlf import (
    FIRST,
    LAST,
    Always,
    Atom,
    Elapsed,
    Eventually,
    Formula,
    Freeze,
    Hours,
    Next,
    Not,
    Once,
    Pair,
    Reading,
    Said,
    Since,
    Step,
    Story,
    Truth,
    Until,
    Within,
    World,
    Yesterday,
    at_least,
    judge,
)

Params = Mapping[str, Any]
LATER = 50_000  # hours after the time of judgement: later than every limit
OTHER = "any other step"
UNSEEN = "never seen before"
HOURS = {"s": Fraction(1, 3600), "m": Fraction(1, 60), "h": 1, "d": 24, "w": 168}


@dataclass(frozen=True)
class Office:
    """What all cases share: the steps outside the model, and the columns that the log keeps."""

    outside: frozenset[str] = frozenset()
    kept: frozenset[str] = frozenset()


def verdict(template: str, params: Params, story: Story, office: Office) -> str:
    """Say what a rule says of one story."""
    found = READINGS[template](params, story, office)
    if isinstance(found, str):
        return found
    return judge([found] if isinstance(found, Reading) else found, story)


# --- atoms


def plain(text: str | None) -> str | None:
    return None if text is None or not text.strip() else text.strip().casefold()


def is_(*activities: str | None) -> Formula:
    return Atom(f"is {activities}", lambda step: step.activity in set(activities) - {None})


IN_FORCE = Atom("in force", lambda step: step.in_force)


def meant(where: Params | None) -> Formula:
    """The event's attribute is a number within bounds, or one of some texts, or none of them."""
    if where is None:
        return Truth()
    name = where["attribute"]
    least, most = where.get("at_least"), where.get("at_most")

    def bounded(step: Step) -> bool | None:
        text = step.attributes.get(name)
        if text is None or not text.removeprefix("-").isdecimal():
            return None
        return (least is None or int(text) >= least) and (most is None or int(text) <= most)

    def listed(step: Step) -> bool | None:
        text = plain(step.attributes.get(name))
        if text is None:
            return None
        if "one_of" in where:
            return text in [plain(x) for x in where["one_of"]]
        return text not in [plain(x) for x in where["none_of"]]

    return Atom("where", listed if least is None and most is None else bounded)


def value_of(step: Step, field: str) -> str | None:
    if field == "actor":
        return step.actor
    if field == "team":
        return step.team
    return plain(step.attributes.get(field.removeprefix("attr.")))


def matches(match: Params | None, variable: str) -> Formula:
    """The step at hand matches the one that was frozen."""
    if match is None:
        return Truth()

    def says(asking: Step, answer: Step) -> bool | None:
        mine, other = value_of(asking, match["field"]), value_of(answer, match["field"])
        if mine is None or other is None:
            return None
        return (mine == other) == (match["relation"] == "same")

    return Pair("match", variable, says)


# --- time


def hours(text: str) -> Hours:
    """A duration as rule files write it."""
    return int(text[:-1]) * HOURS[text[-1]]


def open_hours(start: Hours, end: Hours) -> Hours:
    """Hours between that lie on Monday to Friday from 8 to 18; hour 0 is Monday 00:00."""
    return _opened(end) - _opened(start)


def _opened(moment: Hours) -> Hours:
    """Open hours since hour 0."""
    weeks, rest = divmod(moment, 168)
    days, hour = divmod(rest, 24)
    today = min(max(hour - 8, 0), 10) if days < 5 else 0
    return weeks * 50 + min(days, 5) * 10 + today


def hours_between(calendar: str, start: Hours, end: Hours) -> Hours:
    return end - start if calendar == "24x7" else open_hours(start, end)


def elapsed_in(calendar: str) -> Elapsed:
    return lambda trace, i, j: hours_between(calendar, trace[i].at, trace[j].at)


# --- steps that may come


def coming(
    story: Story,
    activities: Iterable[str | None],
    *,
    where: Params | None = None,
    match: Params | None = None,
    at: Sequence[int] = (0,),
) -> tuple[Step, ...]:
    """Every way in which one of the activities may come, told apart by what the rule reads."""
    fields = ([f"attr.{where['attribute']}"] if where else []) + ([match["field"]] if match else [])
    choices = {field: _values(story, field, where) for field in fields}
    steps = []
    for activity in dict.fromkeys(a for a in activities if a is not None):
        for values in product(*choices.values()):
            chosen = dict(zip(choices, values, strict=True))
            attributes = {
                f.removeprefix("attr."): v for f, v in chosen.items() if f.startswith("attr.")
            }
            steps.append(
                Step(
                    activity,
                    story.as_of,
                    actor=chosen.get("actor"),
                    team=chosen.get("team"),
                    attributes=attributes,
                )
            )
    agreeing = (True, False) if match else (None,)
    return tuple(
        replace(step, agrees=agrees, at=step.at + later)
        for step, agrees, later in product(steps, agreeing, at)
    )


def _values(story: Story, field: str, where: Params | None) -> list[str]:
    """Those that were seen, one that nobody has seen, and one that `where` speaks of."""
    seen = {value_of(step, field) for step in story.steps} - {None}
    found = {*seen, UNSEEN}
    if where and field == f"attr.{where['attribute']}":
        found.update(where.get("one_of", ()))
        bounds = [where[name] for name in ("at_least", "at_most") if where.get(name) is not None]
        found.update(map(str, bounds))
    return sorted(x for x in found if x is not None)


def other(story: Story) -> Step:
    return Step(OTHER, story.as_of)


def neighbours(outside: frozenset[str], *named: str | None) -> Callable[[Step], bool]:
    """Leave out updates and steps outside the model that the rule does not name."""
    return lambda step: (
        step.activity is not None and (step.activity not in outside or step.activity in named)
    )


# --- how often, first and last


def exists(p: Params, story: Story, _: Office) -> Reading:
    return Reading(
        Eventually(is_(p["activity"], p.get("or_else"))),
        None,
        (*coming(story, [p["activity"]]), other(story)),
    )


def exactly(p: Params, story: Story, _: Office) -> Reading:
    n, a = p["times"], is_(p["activity"])
    return Reading(
        at_least(n, a) & Not(at_least(n + 1, a)),
        None,
        coming(story, [p["activity"]]),
        length=n + 1,
    )


def at_most(p: Params, story: Story, _: Office) -> Reading | str:
    """The one that is too many offends; the earlier ones that count may lie out of force."""
    limit, where = p["limit"], p.get("where")
    if p.get("what") == "team_changes":
        if all(step.team is None for step in story.steps):
            return "unknown"
        asks = _changes("team")
        turns = [Step(OTHER, story.as_of, team=f"{UNSEEN} {i}") for i in range(limit + 2)]
        also: tuple[tuple[Step, ...], ...] = (tuple(turns),)
    else:
        asks = is_(p["activity"]) & meant(where)
        also = tuple((step,) * (limit + 1) for step in coming(story, [p["activity"]], where=where))
    near: Formula = Truth()
    if "within" in p:
        near = Within("x", hours(p["within"]), elapsed_in(p["calendar"]))

    def earlier(n: int) -> Formula:
        return Truth() if n == 0 else Yesterday(Once(asks & near & earlier(n - 1)))

    too_many = asks & IN_FORCE & Freeze("x", earlier(limit))
    return Reading(Not(Eventually(too_many)), None, (), length=0, also=also)


def _changes(column: str) -> Formula:
    """The step says another value than the last one that was said."""
    named = Atom("named", lambda step: value_of(step, column) is not None)
    differs = Pair("differs", "here", lambda a, b: value_of(a, column) != value_of(b, column))
    return named & Freeze("here", Yesterday(Since(Not(named), named & differs)))


def starts_with(p: Params, story: Story, office: Office) -> Reading:
    return Reading(
        Always(FIRST >> is_(p["activity"])),
        Truth(),
        (*coming(story, [p["activity"]]), other(story)),
        keeps=neighbours(office.outside, p["activity"]),
    )


def ends_with(p: Params, story: Story, office: Office) -> Reading:
    named = p["activity"], p.get("or_else")
    return Reading(
        Always(LAST >> is_(*named)),
        Truth(),
        (*coming(story, named), other(story)),
        keeps=neighbours(office.outside, *named),
    )


# --- one step and another


def responds(p: Params, story: Story, office: Office) -> Reading:
    activity, named = p["activity"], (p["then"], p.get("or_else"))
    where, match, form = p.get("where"), p.get("match"), p.get("form", "any")
    asks = is_(activity) & meant(where)
    answer = is_(*named) & matches(match, "x")
    within = {
        "any": Next(Eventually(answer)),
        "alternate": Next(Until(Not(asks), answer)),
        "chain": Next(answer),
    }[form]
    answers = coming(story, named, match=match)
    return Reading(
        Always((asks & IN_FORCE) >> Freeze("x", within)),
        asks & IN_FORCE,
        (*answers, *coming(story, [activity], where=where, match=match), other(story)),
        also=(answers,),
        keeps=neighbours(office.outside, activity, *named) if form == "chain" else lambda _: True,
    )


def precedes(p: Params, story: Story, office: Office) -> Reading:
    activity, named = p["activity"], (p["before"], p.get("or_else"))
    where, match, form = p.get("where"), p.get("match"), p.get("form", "any")
    asks = is_(activity) & meant(where)
    allows = is_(*named) & matches(match, "x")
    before = {
        "any": Yesterday(Once(allows)),
        "alternate": Yesterday(Since(Not(asks), allows)),
        "chain": Yesterday(allows),
    }[form]
    return Reading(
        Always((asks & IN_FORCE) >> Freeze("x", before)),
        asks & IN_FORCE,
        (*coming(story, [activity], where=where, match=match), other(story)),
        length=1 if form == "any" else 2,  # the first to come may still have its predecessor
        keeps=neighbours(office.outside, activity, *named) if form == "chain" else lambda _: True,
    )


def succeeds(p: Params, story: Story, office: Office) -> Reading:
    form = p.get("form", "any")
    one = responds({"activity": p["first"], "then": p["second"], "form": form}, story, office)
    two = precedes({"before": p["first"], "activity": p["second"], "form": form}, story, office)
    return replace(
        one,
        formula=one.formula & two.formula,
        activation=is_(p["first"], p["second"]) & IN_FORCE,
        to_come=(*coming(story, [p["first"], p["second"]]), other(story)),
        also=(),
    )


def not_coexists(p: Params, story: Story, _: Office) -> Reading:
    one, two = is_(p["first"]), is_(p["second"])
    return Reading(
        Always((one & IN_FORCE) >> Not(Once(two))) & Always((two & IN_FORCE) >> Not(Once(one))),
        (one | two) & IN_FORCE,
        coming(story, [p["first"], p["second"]]),
        length=2,
    )


def never_follows(p: Params, story: Story, _: Office) -> Reading:
    bans, forbidden = is_(p["activity"]), is_(p["then"]) & IN_FORCE
    lifts = is_(p.get("unless"))
    banned = Yesterday(Since(Not(lifts), bans))
    return Reading(
        Always(bans >> Not(Next(Until(Not(lifts), forbidden & Not(lifts))))),
        (bans & IN_FORCE) | (forbidden & banned),
        coming(story, [p["activity"], p["then"]]),
        length=2,
    )


# --- people


def four_eyes(p: Params, story: Story, _: Office) -> Reading:
    """Updates in the state of `first` are work of that kind."""
    return _by_others(p, story, "actor", is_(p["first"]) | _in_state(p["first"]))


def different_team(p: Params, story: Story, _: Office) -> Reading:
    return _by_others(p, story, "team", is_(p["first"]) | _in_state(p["first"]))


def _in_state(activity: str) -> Formula:
    update = is_step(negated=True)
    return update & Yesterday(Since(update, is_(activity)))


def is_step(*, negated: bool = False) -> Formula:
    return Atom(f"step {negated}", lambda step: (step.activity is None) == negated)


def _by_others(p: Params, story: Story, field: str, does: Formula) -> Reading:
    """For everybody: who does the first never does the second later."""
    second = is_(p["second"])
    same = matches({"field": field, "relation": "same"}, "x")
    coming_steps = coming(
        story, [p["first"], p["second"]], match={"field": field, "relation": "same"}
    )
    return Reading(
        Always(does >> Freeze("x", Not(Next(Eventually(second & IN_FORCE & same))))),
        second & IN_FORCE & Yesterday(Once(is_(p["first"]))),
        tuple(step for step in coming_steps if value_of(step, field) == UNSEEN),
        length=2,
    )


# --- times


def responds_within(p: Params, story: Story, office: Office) -> Reading:
    activity, named = p["activity"], (p["then"], p.get("or_else"))
    where, match = p.get("where"), p.get("match")
    asks = is_(activity) & meant(where) & IN_FORCE & Not(Yesterday(Once(is_(p.get("until")))))
    answer = is_(*named) & matches(match, "x")
    in_time = Within("x", hours(p["within"]), elapsed_in(p["calendar"]))
    answered = Next(Eventually(answer & in_time))
    if p.get("earlier_counts"):
        answered = Yesterday(Once(answer)) | answered
    answers = coming(story, named, match=match)
    again = coming(story, [activity], where=where, match=match, at=(LATER,))
    return Reading(
        Always(asks >> Freeze("x", answered)),
        asks,
        (*answers, *again, other(story)),
        also=(answers,),
        after_end=answers if p["then"] in office.outside else (),
    )


def preceded_within(p: Params, story: Story, _: Office) -> Reading:
    where = p.get("where")
    asks = is_(p["activity"]) & meant(where) & IN_FORCE
    in_time = Within("x", hours(p["within"]), elapsed_in(p["calendar"]))
    return Reading(
        Always(asks >> Freeze("x", Yesterday(Once(is_(p["before"]) & in_time)))),
        asks,
        (*coming(story, [p["activity"]], where=where, at=(0, LATER)), other(story)),
    )


def waits_at_most(p: Params, story: Story, office: Office) -> Reading:
    """A stay that its case's end ends counts no time; an open case is left by a further step."""
    state = is_(p["activity"])
    in_time = Within("x", hours(p["limit"]), elapsed_in(p["calendar"]))
    leaves = Until(state, Not(state) & in_time) | Always(state)
    enters = state & Not(Yesterday(state)) & IN_FORCE
    much_later = replace(other(story), at=story.as_of + LATER)
    return Reading(
        Always(enters >> Freeze("x", leaves)),
        enters,
        (other(story),),
        also=((other(story), *coming(story, [p["activity"]]), much_later),),
        may_rest=False,
        keeps=neighbours(office.outside, p["activity"]),
    )


def resolves_within(p: Params, story: Story, office: Office) -> Reading:
    """The clock of the first `since` stops at the last `activity`, or where the case ends.

    An open case goes on: its clock has run to the time of judgement at least.
    """
    model = Atom(
        "in the model",
        lambda step: step.activity is not None and step.activity not in office.outside,
    )
    since = model if p.get("since") is None else is_(p["since"])
    starts = since & Not(Yesterday(Once(since)))
    again = is_("Reopen", p.get("since"))
    stops = is_(p["activity"]) & Not(Next(Eventually(again | is_(p["activity"]))))
    ends = model & Not(Next(Eventually(model)))
    in_time = Within("x", hours(p["within"]), _running(p, office))
    kept = Eventually(stops & in_time) | (
        Not(Eventually(stops)) & (Eventually(ends & in_time) | Not(Eventually(model)))
    )
    here, late = other(story), replace(other(story), at=story.as_of + LATER)
    stop = Step(p["activity"], story.as_of)
    waits = p["activity"] in office.outside and not _holds_somewhere(stops & Once(starts), story)
    return Reading(
        Always((starts & IN_FORCE) >> Freeze("x", kept)),
        starts & IN_FORCE & Eventually(stops),
        (stop, here, late),
        also=(
            (Step("Reopen", story.as_of), late),
            (here, *coming(story, [p.get("since")]), stop),
            (*coming(story, [p.get("since")]), late),
        ),
        may_rest=False,
        after_end=(stop, replace(stop, at=late.at)) if waits else (),
        waits=waits,
    )


def _running(p: Params, office: Office) -> Elapsed:
    """Open hours, those left out in which the case was in a state of `pauses`."""

    def elapsed(trace: Sequence[Step], i: int, j: int) -> Hours:
        seen = [x for x in trace[i:] if x.activity and x.activity not in office.outside]
        total: Hours = 0
        cuts = sorted({trace[i].at, trace[j].at, *(x.at for x in seen)})
        for start, end in pairwise(cuts):
            if trace[i].at <= start and end <= trace[j].at:
                state = next((x.activity for x in reversed(seen) if x.at <= start), None)
                running = state not in p.get("pauses", ())
                total += hours_between(p["calendar"], start, end) if running else 0
        return total

    return elapsed


# --- data


def has_value(p: Params, story: Story, office: Office) -> Reading | str:
    """A missing value is the offence; a column that the log does not keep leaves it unknown."""
    column, activity = p["column"], p.get("activity")

    def allowed(text: str | None) -> bool:
        said, only, never = plain(text), p.get("one_of"), p.get("none_of", [])
        listed = only is None or said in [plain(x) for x in only]
        return said is not None and listed and said not in [plain(x) for x in never]

    if activity is None:
        value = allowed(story.columns.get(column))
        found = Said("the column", value)
        return Reading(found, None, (), at_end=True) if column in office.kept else "unknown"
    asks = is_(activity) & IN_FORCE
    says = Atom("value", lambda step: allowed(step.attributes.get(column.removeprefix("attr."))))
    asked = any(step.activity == activity and step.in_force for step in story.steps)
    if asked and column not in office.kept:
        return "unknown"
    return Reading(Always(asks >> says), asks, (Step(activity, story.as_of), other(story)))


def consistent_value(p: Params, story: Story, _: Office) -> Reading | str:
    """Between `after` and `until` no event says another value than the last one that was said."""
    column, after = p["column"], p.get("after")
    until = is_(p.get("until"))
    begins, inside = Not(Once(until)), Not(Once(until))
    if after:
        begins = is_(after) & Not(Yesterday(Once(is_(after))))
        inside = Not(until) & Yesterday(Since(Not(until), begins))
    asks = (begins | inside) & IN_FORCE
    if _holds_somewhere(asks, story) and not _said(story, column, after, p.get("until")):
        return "unknown"
    new = {"field": column, "relation": "same"}
    come = [x for x in coming(story, [OTHER], match=new) if value_of(x, column) == UNSEEN]
    return Reading(
        Always((inside & IN_FORCE) >> Not(_changes(column))),
        asks,
        (*coming(story, [after, p.get("until")]), *come),
        length=2,
    )


def _holds_somewhere(what: Formula, story: Story) -> bool:
    return any(what.holds(World(story.steps, {}), i, {}) for i in range(len(story.steps)))


def _said(story: Story, column: str, after: str | None, until: str | None) -> bool:
    """Whether a value was said before the part ended."""
    names = [step.activity for step in story.steps]
    begin = names.index(after) if after in names and after else -1
    ends = [i for i, name in enumerate(names) if i > begin and name == until and until]
    before = story.steps[: ends[0]] if ends else story.steps
    return any(value_of(step, column) is not None for step in before)


def matches_matrix(p: Params, story: Story, office: Office) -> list[Reading] | str:
    """Try every row and column that one that is missing or unreadable could be."""
    names = p["rows"], p["columns"], p.get("result", "priority")
    if not set(names) <= office.kept:
        return "unknown"
    levels, cells = p.get("levels", {}), p["matrix"]
    row = _level(story.columns.get(names[0]), levels, len(cells))
    column = _level(story.columns.get(names[1]), levels, len(cells[0]))
    result = _level(story.columns.get(names[2]), p.get("result_levels", levels))
    if result is None and story.complete:
        return "unknown"
    return [
        Reading(Said("result", cell == result), None, (), at_end=True)
        for r, line in enumerate(cells, start=1)
        for c, cell in enumerate(line, start=1)
        if row in (r, None) and column in (c, None)
    ]


def _level(text: str | None, levels: Mapping[str, int], most: int = 10**9) -> int | None:
    said = plain(text)
    named = {plain(name): level for name, level in levels.items()}
    if said is None:
        return None
    digits, dash, _ = said.partition(" - ")
    found = named.get(said, int(digits) if dash and digits.isdecimal() else 0)
    return found if 1 <= found <= most else None


READINGS: dict[str, Callable[[Params, Story, Office], Reading | list[Reading] | str]] = {
    "exists": exists,
    "exactly": exactly,
    "at_most": at_most,
    "starts_with": starts_with,
    "ends_with": ends_with,
    "responds": responds,
    "precedes": precedes,
    "succeeds": succeeds,
    "not_coexists": not_coexists,
    "never_follows": never_follows,
    "four_eyes": four_eyes,
    "different_team": different_team,
    "responds_within": responds_within,
    "preceded_within": preceded_within,
    "resolves_within": resolves_within,
    "waits_at_most": waits_at_most,
    "has_value": has_value,
    "consistent_value": consistent_value,
    "matches_matrix": matches_matrix,
}
