"""Which rules are there, and what does each one say?

A rule is one TOML file (`rules.rule_file` says what it holds), found by lying anywhere below
`rules/itil` or a folder given with `--rules`. All mistakes of all files are raised at once. Rules
are sorted by code; a code or a name that stands twice is a mistake.

Cost: a few milliseconds a file. Hidden files, *.bpmn, *.md and *.py are passed by; practice.toml,
and in a folder service_level calendars.toml and targets.toml, are read by their own modules; any
other file is a mistake.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError, did_you_mean, raise_all
from rules.check import duration_words
from rules.examples import ExampleResult, run_examples
from rules.practice import load_practices
from rules.rule_file import RuleFile, printable, read_rule
from rules.templates import templates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rules.practice import Practice
    from rules.spec import Example, ExampleEvent, Reference, Rule

__all__ = [
    "Catalogue",
    "ExampleResult",
    "describe",
    "explain",
    "load_catalogue",
    "run_examples",
]

ITIL: Final = Path(__file__).parent / "itil"
_NO_RULES: Final = {"practice.toml"}
_SERVICE_LEVEL: Final = ("service_level", {"calendars.toml", "targets.toml"})
_OTHER_SUFFIXES: Final = {".bpmn", ".md", ".py"}
_WIDTH: Final = 96
_ON_MODEL: Final = "follows_model"


@dataclass(frozen=True)
class Catalogue:
    """All rules, sorted by code, and the practices whose words they use."""

    rules: tuple[Rule, ...]
    practices: Mapping[str, Practice]

    def rule(self, code: str) -> Rule:
        """Return one rule. Raises CodedError RU120 for a code that no rule has."""
        found = {rule.code: rule for rule in self.rules}
        if code not in found:
            raise CodedError(
                "RU120", f"there is no rule '{printable(code)}'", fix=did_you_mean(code, found)
            )
        return found[code]

    def for_cases(self, case_type: str) -> tuple[Rule, ...]:
        """Return the rules that judge cases of one type (incident, problem).

        A practice that refines another is judged by that one's rules too, but for those on its
        model: it has one of its own.
        """
        known = self.practices.get(case_type)
        base = None if known is None else known.refines
        return tuple(
            rule
            for rule in self.rules
            if rule.case_type == case_type
            or (rule.case_type == base and rule.template != _ON_MODEL)
        )

    def rows(self) -> list[dict[str, str]]:
        """Return one row a rule, as `rules list` prints it."""
        return [
            {
                "code": rule.code,
                "name": rule.name,
                "practice": rule.practice,
                "severity": rule.severity.word,
                "template": rule.template,
                "title": rule.title,
            }
            for rule in self.rules
        ]


def load_catalogue(extra: Sequence[Path] = ()) -> Catalogue:
    """Read our own rules and those of further folders.

    Raises CodedError RU101 to RU119 (several: ManyCodedErrors) for everything that is wrong.
    """
    missing = [folder for folder in extra if not folder.is_dir()]
    raise_all([_no_folder(folder) for folder in missing])
    practices = load_practices(extra)
    errors: list[CodedError] = []
    found = [read_rule(file, practices, errors) for file in _files(extra, errors)]
    rules = sorted((rule for rule in found if rule), key=lambda rule: (rule.code, rule.path))
    errors += _duplicates(rules, "code", "RU108") + _duplicates(rules, "name", "RU109")
    raise_all(errors)
    return Catalogue(tuple(rules), practices)


def _no_folder(folder: Path) -> CodedError:
    msg = f"the rules folder '{printable(str(folder))}' does not exist"
    return CodedError("RU117", msg, fix="Give --rules a folder of rule files")


def _files(extra: Sequence[Path], errors: list[CodedError]) -> Iterator[RuleFile]:
    """Yield every rule file, in order of its name; note what does not belong there."""
    roots = [(ITIL, "rules/itil"), *((folder, folder.resolve().name) for folder in extra)]
    for root, name in roots:
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if any(part.startswith((".", "__pycache__")) for part in inside.parts) or path.is_dir():
                continue
            shown = f"{name}/{printable(inside.as_posix())}"
            if path.suffix == ".toml" and path.is_file():
                if not _is_other_toml(path):
                    yield RuleFile(path, shown)
            elif path.suffix not in _OTHER_SUFFIXES or not path.is_file():
                fix = "A rules folder holds CODE-name.toml, practice.toml, *.bpmn, *.md"
                errors.append(CodedError("RU111", f"unexpected file {shown}", fix=fix))


def _is_other_toml(path: Path) -> bool:
    folder, names = _SERVICE_LEVEL
    return path.name in _NO_RULES or (path.parent.name == folder and path.name in names)


def _duplicates(rules: Sequence[Rule], field: str, code: str) -> list[CodedError]:
    groups = defaultdict(list)
    for rule in rules:
        groups[getattr(rule, field)].append(rule)
    return [
        CodedError(
            code,
            f"{field} '{value}' stands in {' and in '.join(rule.path for rule in group)}",
            why="Findings, waivers and pages are kept under it",
            fix="Give one of them another; a code is never used again",
        )
        for value, group in sorted(groups.items())
        if len(group) > 1
    ]


# --- explaining a rule


def describe(rule: Rule) -> str:
    """Say in one sentence what must hold."""
    return templates()[rule.template].describe(rule.params)


def explain(rule: Rule) -> str:
    """Say in plain text what a rule demands, why, on what norms, and show its examples."""
    formula = f"{templates()[rule.template].FORMULA}  (template {rule.template})"
    until = f" until {rule.valid_until} (excluded)" if rule.valid_until else ""
    facts = [
        ("What must hold", describe(rule)),
        ("Formula", formula),
        ("Severity", rule.severity.word),
        ("Why", rule.why),
        ("Remedy", rule.remedy),
        ("Reference", _reference(rule.reference)),
        ("Known problems", " ".join(rule.known_problems) or "none"),
        ("Owner", f"{rule.owner}; version {rule.version}, in force from {rule.valid_from}{until}"),
        ("File", rule.path),
    ]
    lines = [f"{rule.code} {rule.name}", rule.title, ""]
    lines += [_paragraph(f"{name}: {' '.join(text.split())}") for name, text in facts]
    lines += ["", "Examples:"]
    lines += [_paragraph(f"  {e.verdict.word:<9} {_told(e)}", indent=12) for e in rule.examples]
    return "\n".join(lines) + "\n"


def _paragraph(text: str, indent: int = 4) -> str:
    return fill(text, _WIDTH, subsequent_indent=" " * indent, break_long_words=False)


def _reference(reference: Reference) -> str:
    parts = [f"ITIL 4 {reference.itil}"]
    if reference.iso20000:
        parts.append(f"ISO/IEC 20000-1:2018 clause {reference.iso20000}")
    if reference.fitsm:
        parts.append(f"FitSM-1 {', '.join(reference.fitsm)}")
    return "; ".join(parts)


def _told(example: Example) -> str:
    """Write an example as one line: the case's columns, then each event with its time."""
    told = ", ".join(_event_told(event) for event in example.events)
    case = ", ".join(f"{name} {value}" for name, value in sorted(example.case.items()))
    moment = "" if example.as_of_us is None else f"; judged at +{duration_words(example.as_of_us)}"
    return f"{f'({case}) ' if case else ''}{told}{moment}"


def _event_told(event: ExampleEvent) -> str:
    attributes = [f"{name}={value}" for name, value in sorted(event.attributes.items())]
    about = ", ".join([part for part in (event.actor, event.team) if part] + attributes)
    return f"+{duration_words(event.at_us)} {event.activity}{f' ({about})' if about else ''}"
