"""Which offences come first, on the page and at the terminal?"""

from __future__ import annotations

from typing import Any


def worst_rules(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the violated rules, the worst first: violating tickets weighted by severity.

    Tickets that have leave to violate are left out; a rule that only they violate is none of these.
    Weights: low 1, medium 3, high 9, critical 27; ties by code. A few grave offences and very many
    small ones can both come first, as they would to a person.
    """
    rows = [row for row in summary["rules"] if _open(row)]
    return sorted(rows, key=lambda r: (-_open(r) * 3 ** (r["severity_rank"] - 1), r["code"]))


def _open(row: dict[str, Any]) -> int:
    """Count the violating tickets without leave."""
    violates, waived = row["violates"], row["waived"]
    return int(violates - waived)
