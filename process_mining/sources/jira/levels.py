"""How did a request of Jira Service Management do against its service levels, and was it liked?

A service level (SLA) has completed cycles and at most one ongoing. JQL judges by the last cycle, so
these attributes do, too; `<name>` is the service level's own, such as "Time to resolution":

    sla:<name>:state           running, paused or completed
    sla:<name>:breached        whether the last cycle missed its goal (as far as known, if running)
    sla:<name>:ever_breached   whether any cycle did
    sla:<name>:cycles          how many there are
    sla:<name>:start, :due, :stop        stamps as the tool writes them, with offset
    sla:<name>:goal_ms, :elapsed_ms, :remaining_ms    by the service level's own calendar

Satisfaction is `satisfaction` (the rating as given, 1 to 5) and `satisfaction_date`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_STAMPS = {"startTime": "start", "breachTime": "due", "stopTime": "stop"}
_SPANS = {"goalDuration": "goal_ms", "elapsedTime": "elapsed_ms", "remainingTime": "remaining_ms"}


def is_level(value: object) -> bool:
    """Whether a field's value is a service level."""
    return isinstance(value, dict) and ("completedCycles" in value or "ongoingCycle" in value)


def level_attributes(value: dict[str, Any], name: str) -> dict[str, str | None]:
    """Return the attributes of one service level; none where it never started."""
    done = [cycle for cycle in value.get("completedCycles") or () if isinstance(cycle, dict)]
    done.sort(key=_started)
    ongoing = value.get("ongoingCycle")
    cycles = [*done, *([ongoing] if isinstance(ongoing, dict) else [])]
    if not cycles:
        return {}
    last = cycles[-1]
    state = "completed" if last is not ongoing else "paused" if last.get("paused") else "running"
    title = value.get("name")
    prefix = f"sla:{title if isinstance(title, str) and title else name}:"
    facts = {
        "state": state,
        "breached": _truth(last.get("breached")),
        "ever_breached": _truth(any(cycle.get("breached") is True for cycle in cycles)),
        "cycles": str(len(cycles)),
        **dict(_measures(last)),
    }
    return {prefix + key: fact for key, fact in facts.items() if fact is not None}


def satisfaction(value: object) -> dict[str, str | None]:
    """Return rating and date where a value is a satisfaction score, else nothing."""
    if not isinstance(value, dict) or not isinstance(value.get("rating"), int | str):
        return {}
    if isinstance(value["rating"], bool):
        return {}
    date = value.get("date")
    found: dict[str, str | None] = {"satisfaction": str(value["rating"])}
    if isinstance(date, str) and date:
        found["satisfaction_date"] = date
    return found


def _measures(cycle: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for key, name in _STAMPS.items():
        stamp = cycle.get(key)
        if isinstance(stamp, dict):
            text = stamp.get("iso8601") or stamp.get("jira")
            yield name, text if isinstance(text, str) else None
    for key, name in _SPANS.items():
        span = cycle.get(key)
        if isinstance(span, dict) and isinstance(span.get("millis"), int):
            yield name, str(span["millis"])


def _started(cycle: dict[str, Any]) -> tuple[int, str]:
    """Order cycles by when they started, whatever order they are given in."""
    start = cycle.get("startTime")
    if not isinstance(start, dict):
        return 0, ""
    millis = start.get("epochMillis")
    return millis if isinstance(millis, int) else 0, str(start.get("iso8601") or "")


def _truth(value: object) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None
