"""Which offences come first, on the page and at the terminal?"""

from __future__ import annotations

from typing import Any


def worst_rules(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the violated rules, the worst first: violating tickets weighted by severity.

    Weights: low 1, medium 3, high 9, critical 27; ties by code. A few grave offences and very many
    small ones can both come first, as they would to a person.
    """
    rows = [row for row in summary["rules"] if row["violates"]]
    return sorted(rows, key=lambda r: (-r["violates"] * 3 ** (r["severity_rank"] - 1), r["code"]))
