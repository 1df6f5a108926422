"""Which rules are there, and what does each one say?

A rule is one TOML file (`rules.rule_file` says what it holds), found by lying anywhere below
`rules/itil` or a folder given with `--rules`. All mistakes of all files are raised at once. Rules
are sorted by code and version. A code may have several versions, in force one after another (never
two at a time) under one name; two rules of one name are a mistake.

Cost: a few milliseconds a file. Hidden files, *.bpmn, *.md, *.py and rule.schema.json (for editors)
are passed by; practice.toml, and in a folder service_level calendars.toml and targets.toml, are
read by their own modules; any other file, and a link to a folder, is a mistake.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Final

from process_mining.errors import CodedError, did_you_mean, raise_all
from rules.durations import duration_words
from rules.examples import ExampleResult, run_examples
from rules.practice import load_practices
from rules.rule_file import read_rule
from rules.templates import templates
from rules.toml_file import TomlFile, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rules.practice import Practice
    from rules.spec import Example, ExampleEvent, Reference, Rule

__all__ = [
    "SCHEMA_FILE",
    "Catalogue",
    "ExampleResult",
    "describe",
    "explain",
    "load_catalogue",
    "run_examples",
]

ITIL: Final = Path(__file__).parent / "itil"
SCHEMA_FILE: Final = "rule.schema.json"
_NO_RULES: Final = {"practice.toml"}
_SERVICE_LEVEL: Final = ("service_level", {"calendars.toml", "targets.toml"})
_OTHER_SUFFIXES: Final = {".bpmn", ".md", ".py"}
_WIDTH: Final = 96
_ON_MODEL: Final = "follows_model"


@dataclass(frozen=True)
class Catalogue:
    """All versions of all rules, sorted by code and version, and the practices that they are about.

    The newest version of a code, that which comes into force last, stands for it where one is to.
    """

    rules: tuple[Rule, ...]
    practices: Mapping[str, Practice]

    def rule(self, code: str) -> Rule:
        """Return the newest version of a rule; CodedError RU120 for a code that no rule has."""
        found = {rule.code: rule for rule in sorted(self.rules, key=lambda one: one.valid_from)}
        if code not in found:
            raise CodedError(
                "RU120", f"there is no rule '{printable(code)}'", fix=did_you_mean(code, found)
            )
        return found[code]

    @property
    def newest(self) -> tuple[Rule, ...]:
        """The newest version of every rule, sorted by code."""
        return tuple(self.rule(code) for code in sorted({rule.code for rule in self.rules}))

    def versions(self, code: str) -> tuple[Rule, ...]:
        """Return all versions of a rule, the first in force first."""
        mine = (rule for rule in self.rules if rule.code == code)
        return tuple(sorted(mine, key=lambda one: one.valid_from))

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

    def rows(self) -> list[dict[str, object]]:
        """Return one row a rule, its newest version, as `rules list` prints it."""
        return [
            {
                "code": rule.code,
                "name": rule.name,
                "version": rule.version,
                "versions": len(self.versions(rule.code)),
                "severity": rule.severity.word,
                "practice": rule.practice,
                "template": rule.template,
                "control": rule.control,
                "title": rule.title,
            }
            for rule in self.newest
        ]


def load_catalogue(extra: Sequence[Path] = (), *, shipped: bool = True) -> Catalogue:
    """Read our own rules and those of further folders; with `shipped` false the further ones alone.

    Our practices are known either way. A rulebook without our rules may be a copy of ours: then a
    practice of its own takes the place of ours of that name.

    Raises CodedError RU101 to RU126 (several: ManyCodedErrors) for everything that is wrong.
    """
    missing = [folder for folder in extra if not folder.is_dir()]
    raise_all([_no_folder(folder) for folder in missing])
    practices = load_practices(extra, replacing=not shipped)
    roots = [*([(ITIL, "rules/itil")] if shipped else []), *((f, f.resolve().name) for f in extra)]
    errors: list[CodedError] = []
    found = [read_rule(file, practices, errors) for file in _files(roots, errors)]
    rules = sorted((r for r in found if r), key=lambda rule: (rule.code, rule.version, rule.path))
    errors += [*_versions_errors(rules), *_name_errors(rules)]
    raise_all(errors)
    return Catalogue(tuple(rules), practices)


def _no_folder(folder: Path) -> CodedError:
    msg = f"the rules folder '{printable(str(folder))}' does not exist"
    return CodedError("RU117", msg, fix="Name a folder of rule files")


def _files(roots: Sequence[tuple[Path, str]], errors: list[CodedError]) -> Iterator[TomlFile]:
    """Yield every rule file, in order of its name; note what does not belong there."""
    for root, name in roots:
        for path in sorted(root.rglob("*")):
            inside = path.relative_to(root)
            if any(part.startswith((".", "__pycache__")) for part in inside.parts):
                continue
            shown = f"{name}/{printable(inside.as_posix())}"
            if path.is_symlink() and not path.is_file():
                errors.append(_link_to_folder(shown))
            elif path.suffix == ".toml" and path.is_file():
                if not _is_other_toml(path):
                    yield TomlFile(path, shown)
            elif not path.is_dir() and not _is_no_rule(path):
                fix = "A rules folder holds CODE-name.toml, practice.toml, *.bpmn, *.md"
                errors.append(CodedError("RU111", f"unexpected file {shown}", fix=fix))


def _link_to_folder(shown: str) -> CodedError:
    msg = f"{shown} is a link to a folder, or to nothing"
    fix = "Put the folder itself there, or name it with another --rules"
    return CodedError("RU124", msg, why="Such links may run in circles; none is followed", fix=fix)


def _is_no_rule(path: Path) -> bool:
    """Tell whether a file may lie among rules without being one."""
    return path.is_file() and (path.suffix in _OTHER_SUFFIXES or path.name == SCHEMA_FILE)


def _is_other_toml(path: Path) -> bool:
    folder, names = _SERVICE_LEVEL
    return path.name in _NO_RULES or (path.parent.name == folder and path.name in names)


def _versions_errors(rules: Sequence[Rule]) -> Iterator[CodedError]:
    """Versions of one code are numbered apart, follow one another, and are one rule."""
    for one, other in _pairs_by(rules, lambda rule: rule.code):
        both = f"{one.path} and {other.path}"
        same = (one.name, one.practice, one.case_type) == (
            other.name,
            other.practice,
            other.case_type,
        )
        if one.version == other.version:
            msg = f"version {one.version} of code '{one.code}' stands in {both}"
            fix = "Number the newer one higher; a code of another rule is never used again"
            yield CodedError("RU108", msg, why="Findings, waivers and pages use it", fix=fix)
        elif not same:
            msg = f"{both} are versions of {one.code}, but differ in name, practice or case_type"
            fix = "Keep the three, or give the new rule a code of its own"
            yield CodedError("RU123", msg, fix=fix)
        elif _overlap(one, other):
            msg = f"{both} are versions of {one.code} that are in force at the same time"
            fix = "End the older one with valid_until where the newer one begins"
            yield CodedError("RU122", msg, why="An event has one version that judges it", fix=fix)


def _overlap(one: Rule, other: Rule) -> bool:
    return _begins_within(one, other) and _begins_within(other, one)


def _begins_within(one: Rule, other: Rule) -> bool:
    """Tell whether a rule comes into force before another one ends."""
    return other.valid_until is None or one.valid_from < other.valid_until


def _name_errors(rules: Sequence[Rule]) -> Iterator[CodedError]:
    for one, other in _pairs_by(rules, lambda rule: rule.name):
        if one.code != other.code:
            msg = f"name '{one.name}' stands in {one.path} and in {other.path}"
            yield CodedError("RU109", msg, fix="Give one of them another name")


def _pairs_by(rules: Sequence[Rule], key: Callable[[Rule], str]) -> Iterator[tuple[Rule, Rule]]:
    """Yield every two rules of one key, by key and in order."""
    groups = defaultdict(list)
    for rule in rules:
        groups[key(rule)].append(rule)
    for _, group in sorted(groups.items()):
        yield from combinations(group, 2)


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
        *([("Only for", "; ".join(one.words for one in rule.scope))] if rule.scope else []),
        *([("Control", rule.control.replace("-", " "))] if rule.control else []),
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
