"""What follows from facts by a chain of rules? One sweep upwards, level by level; no fixpoint.

Facts are tuples: the level, then the values. A rule is a dict: `on` and `to` (levels), `bounds` (a
list of (place in the fact, lo or None, hi or None)), `then` (one ("is", constant) or ("of", place)
for each value), `tally` (a place or None). Because every rule leads upwards, a level is complete
when all lower ones are. Imports nothing of ours.
"""

from __future__ import annotations

from typing import Any

Fact = tuple[int, ...]


def what_follows(rules: list[dict[str, Any]], given: set[Fact]) -> tuple[set[Fact], set[Any]]:
    """Return all facts, and (rule number, fact, what follows without its count) for each firing."""
    facts, firings = set(given), set()
    waiting: dict[tuple[int, Fact], set[Fact]] = {}
    top = max([rule["to"] for rule in rules] + [fact[0] for fact in given], default=0)
    for level in range(top + 1):
        for (place, key), led in waiting.items():
            if key[0] == level:
                for n in range(len(led)):
                    counted = list(key)
                    counted[place] = n + 1
                    facts.add(tuple(counted))
        here = sorted(fact for fact in facts if fact[0] == level)
        for fact in here:
            for number, rule in enumerate(rules):
                if rule["on"] == level and inside(fact, rule["bounds"]):
                    values = [x if how == "is" else fact[x] for how, x in rule["then"]]
                    follows = (rule["to"], *values)
                    firings.add((number, fact, follows))
                    if rule["tally"] is None:
                        facts.add(follows)
                    else:
                        waiting.setdefault((rule["tally"], follows), set()).add(fact)
    return facts, firings


def inside(fact: Fact, bounds: list[tuple[int, int | None, int | None]]) -> bool:
    for place, lo, hi in bounds:
        if lo is not None and fact[place] < lo:
            return False
        if hi is not None and fact[place] > hi:
            return False
    return True
