"""Which change control does which rule serve, for which kind of change? One page, for an auditor.

The table is read off the key `control` of the rules and the kinds of change that they judge. Why a
kind needs no rule for a control, or is judged by those of another, is written at the head of the
practice file of change enablement: notes by letter, as in "(a)", which the written table there
names beside a control and a kind.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, get_args

from csi.rulebook.markdown import inline, table
from rules.spec import Control

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rules.catalogue import Catalogue
    from rules.practice import Practice

CHANGE: Final = "change"
WORDS: Final[Mapping[str, str]] = {
    "request": "the change is requested",
    "approval": "another person approves it before deployment",
    "test": "it is tested",
    "segregation-of-duties": "duties are segregated",
    "review": "it is reviewed",
}
HEAD: Final = """# Change controls

Five controls over changes, and the rules that judge whether they were kept, by kind of change. A
change whose kind is not known is judged by the rules on all changes alone.
"""
_ROW: Final = re.compile(r"^#   (.{23}) ([a-z]+) +(none|[A-Z]{3}[0-9]{3}.*?)(?: \(([a-z])\))?$")
_NOTE: Final = re.compile(r"^# \(([a-z])\) +(.*)$")


def controls_page(catalogue: Catalogue) -> str:
    """Return the page on the five controls."""
    change = catalogue.practices.get(CHANGE)
    kinds = [one for one in catalogue.practices.values() if one.refines == CHANGE]
    letters, notes = ({}, {}) if change is None else _written(change)
    rows = []
    for control in get_args(Control):
        cells = [_cell(catalogue, control, kind, letters) for kind in kinds]
        rows.append(
            (f"**{control}**: {WORDS[control]}", *cells, _beyond(catalogue, control, kinds))
        )
    head = ("control", *(inline(kind.title) for kind in kinds), "cases of others")
    lines = [HEAD, *table(head, rows)]
    lines += [""] * bool(notes)
    lines += [f"- ({letter}) {inline(text)}" for letter, text in notes.items()]
    return "\n".join([*lines, ""])


def _cell(
    catalogue: Catalogue,
    control: str,
    kind: Practice,
    letters: Mapping[tuple[str, str], str],
) -> str:
    """Name the rules of a control that judge changes of a kind, and the note beside them."""
    codes = {rule.code for rule in catalogue.for_cases(kind.name) if rule.control == control}
    noted = letters.get((control, kind.name), "")
    return " ".join([_links(catalogue, codes) or "none", *([f"({noted})"] if noted else [])])


def _beyond(catalogue: Catalogue, control: str, kinds: Iterable[Practice]) -> str:
    """Name the rules of a control that judge other cases than changes, such as incidents."""
    own = {CHANGE, *(kind.name for kind in kinds)}
    codes = {
        rule.code
        for rule in catalogue.rules
        if rule.control == control and rule.case_type not in own
    }
    return _links(catalogue, codes) or "none"


def _links(catalogue: Catalogue, codes: Iterable[str]) -> str:
    rules = [catalogue.rule(code) for code in sorted(codes)]
    return ", ".join(f"[{rule.code}]({rule.code}-{rule.name}.md)" for rule in rules)


def _written(change: Practice) -> tuple[dict[tuple[str, str], str], dict[str, str]]:
    """Read the notes at the head of the practice file, and where the table there names them."""
    letters: dict[tuple[str, str], str] = {}
    notes: dict[str, str] = {}
    control, last = "", ""
    text = change.path.read_text(encoding="utf-8")
    for line in (line for line in text.splitlines() if line.startswith("#")):
        row, begins = _ROW.match(line), _NOTE.match(line)
        if row:
            control = row[1].strip() if row[1].strip() in WORDS else control
            letters[control, f"{row[2]}_{CHANGE}"] = row[4] or ""
        elif begins:
            last, notes[begins[1]] = begins[1], begins[2]
        elif last and line.startswith("#     "):
            notes[last] += f" {line[1:].strip()}"
    return letters, notes
