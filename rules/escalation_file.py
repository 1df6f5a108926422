"""When do findings become an escalation, and what is proposed then? Patterns, read from TOML files.

A pattern is one file CODE-name.toml in `rules/escalations`. It holds

    code, name, title, kind, by, severity, why          name and title state what has happened
    threshold, window                                    see the kinds; a window is "28d"
    each, rules, at_least                                which findings, see below; optional
    of                                                   chained: the patterns that it counts
    owner, known_problems                                optional
    [opportunity]   improve, hypothesis, kpi, per        optional: what is proposed for the register

    kind = "repeated"   at least `threshold` tickets with findings in one window
    kind = "at_once"    one finding is enough
    kind = "chained"    at least `threshold` escalations of the patterns `of`, in one window

`by` says what the findings must share: team, category, service, case, or control (the change
control that the rule serves). `each` parts them further: by "rule" (the same offence; default), by
"control", or "all" together. `rules` names the rules whose findings count (default: all),
`at_least` the severity that they need. With `each = "control"` or `by = "control"` only findings of
rules that serve one count.

A window is a time of calendar days (of 24 hours) in event time; weekends and holidays count.

Texts of an opportunity may hold {subject} ("team Network A"), {offence} (the titles of the rules),
{rules} (their codes), {n} and {window}; nothing else in braces. `kpi` is the KPI to watch where the
rules concerned have none: `watch.toml` beside the patterns names the KPIs that rules have. `per`
says whether each escalation is an opportunity ("escalation", default), all of the pattern on one
offence are one ("rule": many teams that commit it are one thing to improve), or all of the pattern
("pattern"). `owner` is the role that an opportunity is proposed to; by default the owner of
the rule with the most tickets in it.

Errors: those of `rules.toml_file`, and RU301 file name, RU302 a code or name twice, RU303 `of`
names no pattern that can be counted, RU304 an unknown rule, RU305 an unexpected file, RU306 a word
in braces that is not known, RU307 a rule has two KPIs.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from process_mining.errors import CodedError, did_you_mean, raise_all
from rules.durations import Duration  # noqa: TC001 - pydantic reads the annotation
from rules.spec import Severity
from rules.toml_file import Form, Line, Text, TomlFile, form_errors, huge_numbers, parse, printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

By = Literal["team", "category", "service", "control", "case"]
Each = Literal["rule", "control", "all"]
Kind = Literal["repeated", "at_once", "chained"]

FOLDER: Final = Path(__file__).parent / "escalations"
WATCH: Final = "watch.toml"
WORDS: Final = frozenset({"subject", "offence", "rules", "n", "window"})
IN_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_FILE_NAME: Final = re.compile(r"(ESC[0-9]{3})-([a-z0-9]+(?:-[a-z0-9]+)*)\.toml")
_Code = Annotated[str, Field(pattern=r"^ESC[0-9]{3}$")]
_RuleCode = Annotated[str, Field(pattern=r"^[A-Z]{3}[0-9]{3}$")]
_KpiCode = Annotated[str, Field(pattern=r"^[A-Z]{2,8}[0-9]{2,4}$")]


_F = TypeVar("_F", bound=Form)


Per = Literal["escalation", "rule", "pattern"]


class OpportunityForm(Form):
    """`[opportunity]`."""

    improve: Line
    hypothesis: Text
    kpi: _KpiCode | None = None
    per: Per = "escalation"


class PatternForm(Form):
    """A pattern file."""

    code: _Code
    name: Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Line
    kind: Kind
    by: By
    each: Each = "rule"
    threshold: Annotated[int, Field(ge=2, le=100_000)] | None = None
    window: Duration | None = None
    rules: list[_RuleCode] = Field(default_factory=list)
    at_least: Literal["low", "medium", "high", "critical"] | None = None
    of: list[_Code] = Field(default_factory=list)
    severity: Literal["low", "medium", "high", "critical"]
    why: Text
    known_problems: list[Text] = Field(default_factory=list)
    owner: Line | None = None
    opportunity: OpportunityForm | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> PatternForm:
        """Refuse parameters that the kind does not read, and ask for those that it needs."""
        needed = {"threshold", "window"} if self.kind != "at_once" else set()
        needed |= {"of", "owner"} if self.kind == "chained" else set()
        unread = {"threshold", "window", "each"} if self.kind == "at_once" else {"of"}
        unread = {"each", "rules", "at_least"} if self.kind == "chained" else unread
        given = self.model_fields_set
        wrong = [f"'{name}' is needed" for name in sorted(needed - given)]
        wrong += [f"'{name}' means nothing" for name in sorted(unread & given)]
        wrong += ["by = 'case' is for it alone"] * ((self.by == "case") != (self.kind == "at_once"))
        wrong += ["'each' means nothing by control"] * (self.by == "control" and "each" in given)
        if wrong:
            msg = f"of kind {self.kind}: {'; '.join(wrong)}"
            raise ValueError(msg)
        return self


class WatchForm(Form):
    """`watch.toml`: for each KPI the rules whose offences it makes felt."""

    watch: dict[Annotated[str, Field(pattern=r"^[A-Z]{2,8}[0-9]{2,4}$")], list[_RuleCode]]


@dataclass(frozen=True)
class Proposal:
    """What a pattern proposes for the improvement register, in texts with words in braces."""

    improve: str
    hypothesis: str
    kpi: str | None
    per: Per


@dataclass(frozen=True)
class Pattern:
    """One pattern as its file states it; an empty `rules` means all, no `window_us` means none."""

    code: str
    name: str
    title: str
    kind: Kind
    by: By
    each: Each
    threshold: int
    window_us: int | None
    rules: frozenset[str]
    at_least: Severity
    of: tuple[str, ...]
    severity: Severity
    why: str
    known_problems: tuple[str, ...]
    owner: str | None
    opportunity: Proposal | None
    path: str


@dataclass(frozen=True)
class Escalating:
    """All patterns by code, and the KPI that each rule has (rules that have none are left out)."""

    patterns: tuple[Pattern, ...]
    kpi_of_rule: Mapping[str, str]


def load_patterns(rules: Collection[str], *, folder: Path = FOLDER) -> Escalating:
    """Read every pattern of a folder and its watch.toml; `rules` are the codes that may be named.

    All mistakes of all files are raised at once.
    """
    errors: list[CodedError] = []
    patterns = sorted(_read_all(folder, errors), key=lambda pattern: (pattern.code, pattern.path))
    errors += _twice(patterns)
    errors += [error for one in patterns for error in _wrong_names(one, patterns, rules)]
    watched = _watched(TomlFile(folder / WATCH, f"{folder.name}/{WATCH}"), rules, errors)
    raise_all(errors)
    return Escalating(tuple(patterns), watched)


def _read_all(folder: Path, errors: list[CodedError]) -> Iterator[Pattern]:
    for path in sorted(folder.iterdir()):
        file = TomlFile(path, f"{folder.name}/{printable(path.name)}")
        if path.suffix == ".toml" and path.is_file():
            if path.name != WATCH and (found := _read(file, errors)) is not None:
                yield found
        elif not path.name.startswith((".", "__")):
            fix = f"The folder holds CODE-name.toml and {WATCH}"
            errors.append(CodedError("RU305", f"unexpected file {file.shown}", fix=fix))


def _read(file: TomlFile, errors: list[CodedError]) -> Pattern | None:
    form = _form(file, PatternForm, errors)
    if form is None:
        return None
    found = _FILE_NAME.fullmatch(file.path.name)
    if found is None or found.groups() != (form.code, form.name):
        msg = f"{file.shown} holds pattern {form.code} '{form.name}'"
        errors.append(CodedError("RU301", msg, fix=f"Call it {form.code}-{form.name}.toml"))
    errors += _unknown_words(file, form)
    return _built(file, form)


def _form(file: TomlFile, form: type[_F], errors: list[CodedError]) -> _F | None:
    """Read a file by a form; its mistakes go to `errors`."""
    try:
        document = parse(file)
        wrong = list(huge_numbers(file, document))
        errors += wrong
        return None if wrong else form.model_validate(document)
    except ValidationError as wrong_values:
        errors += form_errors(file, wrong_values, form, "")
    except CodedError as error:
        errors.append(error)
    return None


def _unknown_words(file: TomlFile, form: PatternForm) -> Iterator[CodedError]:
    texts = [form.opportunity.improve, form.opportunity.hypothesis] if form.opportunity else []
    for word in [word for text in texts for word in IN_BRACES.findall(text)]:
        if word not in WORDS:
            msg = f"unknown word '{{{printable(word)}}}' in {file.shown}, opportunity"
            yield CodedError("RU306", msg, fix=did_you_mean(word, WORDS))


def _twice(patterns: list[Pattern]) -> Iterator[CodedError]:
    for key in ("code", "name"):
        for value, n in sorted(Counter(getattr(one, key) for one in patterns).items()):
            if n > 1:
                files = " and ".join(one.path for one in patterns if getattr(one, key) == value)
                yield CodedError("RU302", f"{key} '{value}' stands in {files}", fix="Change one")


def _wrong_names(
    pattern: Pattern, patterns: list[Pattern], rules: Collection[str]
) -> Iterator[CodedError]:
    """Yield an error for every rule that there is not, and every pattern that cannot be counted."""
    for code in sorted(pattern.rules - set(rules)):
        msg = f"unknown rule '{code}' in {pattern.path}, rules"
        yield CodedError("RU304", msg, fix=did_you_mean(code, rules))
    fitting = {one.code for one in patterns if one.by == pattern.by and one.kind != "chained"}
    for code in sorted(set(pattern.of) - fitting):
        msg = f"{pattern.path} counts '{code}', no pattern by {pattern.by} that findings lead to"
        yield CodedError("RU303", msg, fix=did_you_mean(code, fitting))


def _watched(file: TomlFile, rules: Collection[str], errors: list[CodedError]) -> Mapping[str, str]:
    form = _form(file, WatchForm, errors)
    found: dict[str, str] = {}
    for kpi, codes in sorted(form.watch.items()) if form else []:
        for code in codes:
            if code not in rules:
                msg = f"unknown rule '{code}' in {file.shown}, watch.{kpi}"
                errors.append(CodedError("RU304", msg, fix=did_you_mean(code, rules)))
            elif code in found:
                msg = f"{file.shown} gives rule {code} the KPIs {found[code]} and {kpi}"
                errors.append(CodedError("RU307", msg, fix="Keep the one that shows it best"))
            found.setdefault(code, kpi)
    return found


def _built(file: TomlFile, form: PatternForm) -> Pattern:
    told = form.opportunity
    return Pattern(
        code=form.code,
        name=form.name,
        title=form.title,
        kind=form.kind,
        by=form.by,
        each=form.each if form.kind == "repeated" and form.by != "control" else "all",
        threshold=form.threshold or 1,
        window_us=form.window,
        rules=frozenset(form.rules),
        at_least=Severity[(form.at_least or "low").upper()],
        of=tuple(sorted(set(form.of))),
        severity=Severity[form.severity.upper()],
        why=form.why,
        known_problems=tuple(form.known_problems),
        owner=form.owner,
        opportunity=None
        if told is None
        else Proposal(told.improve, told.hypothesis, told.kpi, told.per),
        path=file.shown,
    )
