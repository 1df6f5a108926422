"""Which findings escalate? Every window looked at one by one; imports nothing of ours.

A finding is a dict: rule, case, at (an integer or None), severity (an integer), team, category,
service, control (a text or None), waived (a bool), fingerprint. A pattern is a dict: code, kind,
by, each, threshold, window (None: no window), rules (empty: all), at_least, of.
"""

from __future__ import annotations

from typing import Any

Told = dict[str, Any]


def escalations(findings: list[Told], patterns: list[Told]) -> list[Told]:
    """Return every escalation: code, subject, rules, n, first, last, cases, findings, parts."""
    base = [one for pattern in patterns for one in from_findings(findings, pattern)]
    return base + [one for pattern in patterns for one in from_escalations(base, pattern)]


def from_findings(findings: list[Told], pattern: Told) -> list[Told]:
    if pattern["kind"] == "chained":
        return []
    groups: dict[tuple[str, str], list[Told]] = {}
    for one in findings:
        subject = one["case"] if pattern["by"] == "case" else one[pattern["by"]]
        part = {"rule": one["rule"], "control": one["control"], "all": ""}[pattern["each"]]
        if subject is not None and part is not None and counts(one, pattern):
            groups.setdefault((subject, part), []).append(one)
    found = []
    for (subject, _), mine in sorted(groups.items()):
        inside = mine if pattern["window"] is None else fullest(mine, pattern["window"])
        cases = {one["case"] for one in inside}
        if len(cases) >= pattern["threshold"]:
            times = [one["at"] for one in inside if one["at"] is not None]
            found.append(
                {
                    "code": pattern["code"],
                    "subject": subject,
                    "rules": {one["rule"] for one in inside},
                    "n": len(cases),
                    "first": min(times, default=None),
                    "last": max(times, default=None),
                    "cases": cases,
                    "findings": {one["fingerprint"] for one in inside},
                    "parts": [],
                }
            )
    return found


def counts(one: Told, pattern: Told) -> bool:
    if one["waived"] or one["severity"] < pattern["at_least"]:
        return False
    if pattern["rules"] and one["rule"] not in pattern["rules"]:
        return False
    return pattern["window"] is None or one["at"] is not None


def fullest(mine: list[Told], length: int) -> list[Told]:
    best: list[Told] = []
    for start in sorted(one["at"] for one in mine):
        window = [x for x in mine if start <= x["at"] < start + length]
        if len({x["case"] for x in window}) > len({x["case"] for x in best}):
            best = window
    return best


def from_escalations(base: list[Told], pattern: Told) -> list[Told]:
    if pattern["kind"] != "chained":
        return []
    found = []
    counted = [one for one in base if one["code"] in pattern["of"] and one["last"] is not None]
    for subject in sorted({one["subject"] for one in counted}):
        mine = [one for one in counted if one["subject"] == subject]
        best: list[Told] = []
        for start in sorted(one["last"] for one in mine):
            window = [x for x in mine if start <= x["last"] < start + pattern["window"]]
            if len(window) > len(best):
                best = window
        if len(best) >= pattern["threshold"]:
            found.append(
                {
                    "code": pattern["code"],
                    "subject": subject,
                    "rules": set().union(*(one["rules"] for one in best)),
                    "n": len(best),
                    "first": min(one["first"] for one in best),
                    "last": max(one["last"] for one in best),
                    "cases": set().union(*(one["cases"] for one in best)),
                    "findings": set().union(*(one["findings"] for one in best)),
                    "parts": [(one["code"], sorted(one["findings"])) for one in best],
                }
            )
    return found
