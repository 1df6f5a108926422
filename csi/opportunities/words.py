"""How is a candidate said to somebody who runs a desk? In plain sentences, with the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from csi.report.drawings.svg import clean
from csi.report.words import duration, number, percent, plural
from process_mining import schema as s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from csi.opportunities.candidates import Candidate
    from csi.opportunities.definitions import Could, Definitions
    from csi.opportunities.gain import Range
    from csi.opportunities.kinds import Found, Kind
    from csi.opportunities.tickets import Tickets
    from csi.statistics import Estimate

FEW: Final = 10
LONGEST: Final = 120


def hours(value: float) -> str:
    """Say hours: "2 h 5 min"."""
    return duration(round(value * s.US_PER_HOUR))


def count(value: float) -> str:
    """Say a count that need not be whole: "12", "3.4" where it is small."""
    return number(round(value)) if value >= FEW else number(round(value, 1))


def span(one: Range | Estimate, say: Callable[[float], str]) -> str:
    """Say a figure with its limits: "12 (9 to 16)"; "not known" where there is none."""
    if one.value is None:
        return "not known"
    if one.low is None or one.high is None:
        return say(one.value)
    return f"{say(one.value)} ({say(one.low)} to {say(one.high)})"


def kind_words(kind: Kind) -> str:
    """Name a kind: "Category 42 / Printer, ended with code 6"; cut, and without control signs."""
    subject = clean(kind.subject, LONGEST)
    if kind.resolution is None:
        return subject
    return f"{subject}, ended with {clean(kind.resolution, LONGEST)}"


def candidate_words(one: Candidate, given: Definitions) -> str:
    """Say what was seen, why it is a candidate, and what could be saved under which assumption."""
    kind = one.kind
    seen = (
        f"{_TITLES[one.sort]}: {plural(kind.n, 'ticket')} of {kind_words(kind)}, "
        f"{span(kind.a_month, count)} a month, {percent(kind.share_of_all)} of all; "
        f"median time to resolve {span(kind.hours, hours)}, the desk's is "
        f"{span(kind.desk_hours, hours)}."
    )
    return f"{seen} {_reasons(one)} {_saving(one, given)}"


_TITLES: Final = {
    "automation": "To automate",
    "self-service": "For self-service",
    "knowledge gap": "An article may be missing",
}


def _reasons(one: Candidate) -> str:
    kind, contrast = one.kind, one.kind.contrasts
    facts = {
        "automation": f"{_of(kind.commonest)} took the same steps",
        "self-service": f"{_of(kind.simple)} were resolved by one team in few steps for good",
        "knowledge gap": (
            f"{_of(contrast['handed_over'].share)} were handed over, "
            f"{_of(contrast['first_contact'].share)} resolved at first contact "
            f"(elsewhere {_of(contrast['first_contact'].others)}); half were resolved within "
            f"{span(kind.net, hours)}, waits for the customer and others not counted (all tickets: "
            f"{span(kind.desk_net, hours)})"
        ),
    }
    said = listed(one.why)
    return f"{said[:1].upper()}{said[1:]}: {facts[one.sort]}."


def listed(parts: Sequence[str]) -> str:
    """Join parts of a sentence: "a", "a and b", "a, b and c"."""
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last


def _of(one: Estimate) -> str:
    return "not known how many" if one.value is None else percent(one.value)


def _saving(one: Candidate, given: Definitions) -> str:
    if one.sort == "knowledge gap":
        gains = [
            f"{span(figure, count)} {what}"
            for figure, what in (
                (one.tickets, "more first contacts"),
                (one.hours, "hours less to resolve"),
            )
            if figure.value is not None
        ]
        if not gains:
            return "What an article would save cannot be told from this log."
        share = assumed(given.knowledge)
        return f"If it were as elsewhere for {share}, that would be {listed(gains)} a month."
    reached = given.automation if one.sort == "automation" else given.self_service
    does = "no longer needed a person" if one.sort == "automation" else "were settled by customers"
    return (
        f"If {assumed(reached)} {does}, that would be {span(one.tickets, count)} tickets "
        f"and {span(one.hours, count)} hours to resolve less a month."
    )


def assumed(one: Could, *, of: str = "of them") -> str:
    """Say an assumption: "40 % of them (assumed; 20 to 60 %)"."""
    low, expected, high = (f"{round(share * 100)}" for share in (one.low, one.expected, one.high))
    return f"{expected} % {of} (assumed; {low} to {high} %)"


def sought_words(
    tickets: Tickets, seen: Found, found: Sequence[Candidate], given: Definitions
) -> tuple[str, ...]:
    """Say among what candidates were sought, and what the log does not tell."""
    if not seen.tickets:
        return (
            "No candidates were sought: the window holds no incidents and no service requests.",
        )
    what = plural(seen.tickets, "incident or request", "incidents and requests")
    sought = (
        f"{plural(len(found), 'candidate')} in {what}. Repeated kinds of tickets (at least "
        f"{given.least}, {number(given.a_month, 0)} a month, on {given.days} days): "
        f"{number(len(seen.kinds))}; {plural(seen.too_rare, 'ticket')} of rarer kinds."
    )
    lines = [sought]
    if seen.without_subject:
        lines.append(f"{plural(seen.without_subject, 'ticket')} name neither category nor service.")
    if seen.without_resolution:
        lines.append(f"{plural(seen.without_resolution, 'ticket')} name no resolution.")
    if found:
        lines.append(
            "A candidate is a question to those who know the work: the share that a change would "
            "reach is assumed, not measured."
        )
    return (*lines, *tickets.untold)
