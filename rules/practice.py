"""In which words does a practice speak, and how does a tool's log say the same?

A practice (ITIL 4's word: incident management, problem management) names its activities once;
models and rules use those words only. Every tool has its own words, so a practice file ships
*vocabularies*: maps from a source's raw words to the practice's. `translate` replaces the words of
a log, column-wise over dictionary codes, O(events).

Definitions
- Raw word: the event's `activity`, or `activity+lifecycle` where the vocabulary's keys say so (a
  missing lifecycle adds nothing).
- Unmapped: a raw word that the vocabulary does not know. It stays as it is, and is counted; one
  that already is a word of the practice is taken as that word.
- Update: with `repeats = "updates"`, an event with the same word as the event before it in its
  case. State-based tools write a row for each change of any field; only a change of state is a
  step. An update keeps its row, and its activity becomes null.
  So is an event whose raw word a vocabulary lists under `updates`: it records a change that is no
  step of the practice (a cause was noted, an impact was changed). The practice's own words for such
  events stand in its `updates`.
- Unobserved: words of the practice that the vocabulary cannot produce and the log does not have.
  A source that cannot record a step cannot show that it was left out.
- Implied: words that the vocabulary can produce, but the source shows only sometimes although
  every case has them: a tool that records states has no row for "registered" where a ticket was
  created in its next state. The model may pass such a step with or without an event.
- Complete: the last step of the case, steps outside the model left out, is one of `ends`.
- Time in: what a case does from a step of an activity to its next step, one of TIME_IN: it waits
  for somebody to begin (`queue`), is worked on (`work`), waits for its next team (`hand_over`), for
  the customer (`customer`), for anybody or anything else (`others`), or is done (`done`).

Not checked: whether a vocabulary translates rightly; cases that began before the log does.
"""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - pydantic reads the annotations
import tomllib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from process_mining import schema as s
from process_mining.alignment import align, case_alignment
from process_mining.alignment.deviations import explain
from process_mining.columnar import segments
from process_mining.columnar.sql import variants
from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.model import ReferenceModel
from process_mining.quality import EXAMPLES, KINDS, Defect
from rules.records import records_of
from rules.templates import Desk
from rules.texts import plain, says_one_of
from rules.toml_file import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt
    from pydantic_core import ErrorDetails

    from process_mining.alignment import Alignments, Costs
    from process_mining.alignment.deviations import Deviations
    from process_mining.eventlog import EventLog, Ints
    from process_mining.variants import Variants
    from rules.records import Records
    from rules.service_level import ServiceLevels

    Bools = npt.NDArray[np.bool_]

BUILT_IN: Final = Path(__file__).parent / "itil"
FILE_NAME: Final = "practice.toml"
MAX_BYTES: Final = 256 * 1024
OWN: Final = "own"
JOINT: Final = "+"
ENOUGH: Final = Fraction(1, 2)
WORDS_SHOWN: Final = 12

Word = Annotated[str, Field(min_length=1, max_length=200)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
Step = Annotated[str, Field(pattern=r"^[A-Z]{2,6}\.A[1-9] step [1-9]$")]
TimeIn = Literal["queue", "work", "hand_over", "customer", "others", "done"]
TIME_IN: Final[tuple[TimeIn, ...]] = get_args(TimeIn)
Keys = tuple[Literal["activity", "lifecycle"], ...]
KEYS: Final[tuple[Keys, ...]] = ((s.ACTIVITY,), (s.ACTIVITY, s.LIFECYCLE))


@dataclass(frozen=True)
class Vocabulary:
    """How one tool's raw words map to a practice's words."""

    name: str
    title: str
    keys: Keys
    repeats: Literal["steps", "updates"]
    words: Mapping[str, str]
    implied: tuple[str, ...] = ()
    updates: frozenset[str] = frozenset()

    def knows(self, word: str) -> bool:
        """Tell whether the vocabulary says what a raw word stands for."""
        return word in self.words or word in self.updates


@dataclass(frozen=True)
class When:
    """Which cases are of a kind of their own: `column` of the cases holds one of `values`."""

    column: str
    values: frozenset[str]

    def holds(self, log: EventLog) -> Bools:
        """Tell it for each case; texts are compared without case and outer white space."""
        holds, _ = says_one_of(log.cases, self.column, self.values)
        return holds


@dataclass(frozen=True)
class Citation:
    """A clause that a practice rests on; `text` only where the norm's licence lets it be shown."""

    norm: str
    clause: str
    text: str = ""


@dataclass(frozen=True)
class Practice:
    """One practice as its file states it.

    `activities` are the reference model's; `outside_model` are steps that its cases may show
    besides, which neither the model nor the end of a case depends on; `updates` are words for what
    is written into them and is no step. A practice that `refines` another is a kind of it (a major
    incident is an incident): it has the other's words and vocabularies too, and a model of its own
    for the cases that `when` names. `fitsm` says for an activity which step of FitSM-2 it stands
    for, such as "ISRM.A1 step 2", `time_in` what the time from it to the next step is.
    """

    name: str
    title: str
    itil: str
    owner: str
    version: int
    valid_from: dt.date
    activities: tuple[str, ...]
    ends: tuple[str, ...]
    outside_model: tuple[str, ...]
    vocabularies: tuple[Vocabulary, ...]
    model_path: Path | None
    path: Path
    refines: str | None = None
    when: When | None = None
    references: tuple[Citation, ...] = ()
    fitsm: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    updates: tuple[str, ...] = ()
    time_in: Mapping[str, TimeIn] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def case_type(self) -> str:
        """What its cases are to rules, targets and KPIs: a major incident is an incident."""
        return self.refines or self.name

    @property
    def words(self) -> frozenset[str]:
        """Every word of the practice."""
        return frozenset((*self.activities, *self.outside_model))

    @property
    def candidates(self) -> tuple[Vocabulary, ...]:
        """Every vocabulary, sorted by name; the practice's own words are always one of them."""
        same = MappingProxyType({word: word for word in sorted(self.words)})
        own = Vocabulary(
            OWN,
            f"{self.title}: its own words",
            KEYS[0],
            "steps",
            same,
            updates=frozenset(self.updates),
        )
        return tuple(sorted((*self.vocabularies, own), key=lambda one: one.name))


@dataclass(frozen=True, eq=False)
class Translation:
    """A log in a practice's words.

    `log` has the practice's word in `activity` (null where the event is an update) and the source's
    in `raw_activity`. `unmapped` counts the events of each unmapped word, by word; `complete` and
    `has_unmapped` have one entry a case.
    """

    log: EventLog
    practice: Practice
    vocabulary: Vocabulary
    steps: int
    updates: int
    unmapped: Mapping[str, int]
    unobserved: tuple[str, ...]
    complete: Bools
    has_unmapped: Bools


@dataclass(frozen=True, eq=False)
class PreparedDesk:
    """What the templates read, and the alignment it rests on; None where there is no model."""

    desk: Desk
    variants: Variants | None
    alignments: Alignments | None
    deviations: Deviations | None
    model: ReferenceModel | None


# --- the files


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class VocabularyForm(_Form):
    """One `[[vocabularies]]`."""

    name: Name
    title: Word
    keys: list[Literal["activity", "lifecycle"]] = [s.ACTIVITY]
    repeats: Literal["steps", "updates"] = "steps"
    implied: list[Word] = []
    updates: list[Word] = []
    words: dict[Word, Word] = Field(min_length=1)


class WhenForm(_Form):
    """`[when]`: the cases that a refining practice takes."""

    column: Word
    values: list[Word] = Field(min_length=1)


class CitationForm(_Form):
    """One `[[references]]`; only FitSM (CC BY 4.0) may be quoted."""

    norm: Literal["FitSM", "ISO/IEC 20000-1"]
    clause: Annotated[str, Field(min_length=1, max_length=60)]
    text: Annotated[str, Field(max_length=600)] = ""


class PracticeForm(_Form):
    """A practice file."""

    name: Name
    title: Word
    itil: Word
    owner: Word
    version: Annotated[int, Field(ge=1, le=100_000)]
    valid_from: dt.date
    activities: list[Word] = []
    ends: list[Word] = []
    outside_model: list[Word] = []
    updates: list[Word] = []
    model: Word | None = None
    refines: Name | None = None
    when: WhenForm | None = None
    references: list[CitationForm] = []
    fitsm: dict[Word, Step] = {}
    time_in: dict[TimeIn, list[Word]] = {}
    vocabularies: list[VocabularyForm] = []


_PARTS: Final[dict[str, type[_Form]]] = {
    "vocabularies": VocabularyForm,
    "when": WhenForm,
    "references": CitationForm,
}


def load_practices(extra: Sequence[Path] = (), *, replacing: bool = False) -> dict[str, Practice]:
    """Read our own practices and those below further folders, by name, sorted.

    With `replacing` a practice of a further folder takes the place of ours of that name.

    Raises CodedError RU201 to RU208 and RU213 to RU220, every mistake of every file at once.
    """
    errors: list[CodedError] = []
    own, *others = [_forms(root, errors) for root in (BUILT_IN, *extra)]
    further = [one for forms in others for one in forms]
    if replacing:
        taken = {form.name for _, form in further}
        own = [(path, form) for path, form in own if form.name not in taken]
    forms = [*own, *further]
    named = {form.name: form for _, form in reversed(forms)}
    found = [_practice(path, form, named, errors) for path, form in forms]
    practices = sorted((one for one in found if one), key=lambda one: (one.name, str(one.path)))
    errors += _twice(practices)
    raise_all(errors)
    return {practice.name: practice for practice in practices}


def _forms(root: Path, errors: list[CodedError]) -> list[tuple[Path, PracticeForm]]:
    """Read every practice file below a folder."""
    found = ((path, _read(path, errors)) for path in sorted(root.rglob(FILE_NAME)))
    return [(path, form) for path, form in found if form is not None]


def _practice(
    path: Path, form: PracticeForm, named: Mapping[str, PracticeForm], errors: list[CodedError]
) -> Practice | None:
    """Build one practice, with what it takes over from the one it refines."""
    mistakes = [*_refining_errors(path, form, named)]
    if not mistakes:
        says_times = bool(form.time_in)
        form = form if form.refines is None else _refined(form, named[form.refines])
        mistakes += [*_word_errors(path, form), *_vocabulary_errors(path, form)]
        mistakes += _time_errors(path, form, complete=says_times)
    errors += mistakes
    return None if mistakes else _built(path, form)


def _refined(form: PracticeForm, base: PracticeForm) -> PracticeForm:
    """Add the base's words and vocabularies; what the form says itself goes before."""
    own = {one.name: one for one in form.vocabularies}
    joint = [_joined(own.pop(one.name, None), one) for one in base.vocabularies]
    return form.model_copy(
        update={
            "activities": list(dict.fromkeys([*base.activities, *form.activities])),
            "ends": list(dict.fromkeys([*base.ends, *form.ends])),
            "outside_model": list(dict.fromkeys([*base.outside_model, *form.outside_model])),
            "updates": list(dict.fromkeys([*base.updates, *form.updates])),
            "fitsm": base.fitsm | form.fitsm,
            "time_in": _joined_times(form.time_in, base.time_in),
            "vocabularies": [*joint, *own.values()],
        }
    )


def _joined(own: VocabularyForm | None, base: VocabularyForm) -> VocabularyForm:
    """Let a refining practice say some words of a vocabulary otherwise, or more of them."""
    if own is None:
        return base
    kept = [word for word in base.updates if word not in own.words]
    words = {k: v for k, v in base.words.items() if k not in own.updates} | own.words
    return own.model_copy(update={"words": words, "updates": [*kept, *own.updates]})


def _joined_times(
    own: Mapping[TimeIn, list[str]], base: Mapping[TimeIn, list[str]]
) -> dict[TimeIn, list[str]]:
    """Let a refining practice say of some activities otherwise what their time is."""
    said = {word for words in own.values() for word in words}
    return {
        part: [*(word for word in base.get(part, []) if word not in said), *own.get(part, [])]
        for part in TIME_IN
    }


def _refining_errors(
    path: Path, form: PracticeForm, named: Mapping[str, PracticeForm]
) -> Iterator[CodedError]:
    """A kind of a practice names one that is no kind itself, its cases, and its own model."""
    where = _shown(path)
    if form.refines is None:
        if form.when is not None:
            fix = "Name the practice that it refines, or leave [when] out"
            yield CodedError("RU213", f"{where} has [when] but refines nothing", fix=fix)
        return
    base = named.get(form.refines)
    if base is None:
        msg = f"unknown practice '{form.refines}' in {where}, refines"
        yield CodedError("RU214", msg, fix=did_you_mean(form.refines, named))
    elif base.refines is not None:
        msg = f"{where} refines '{form.refines}', which refines '{base.refines}' itself"
        yield CodedError("RU215", msg, fix=f"Refine '{base.refines}'")
    if form.when is None or form.model is None:
        msg = f"{where} refines a practice, but has no [when] or no model of its own"
        fix = "Say which cases it takes, and name the .bpmn file that they are compared with"
        yield CodedError("RU216", msg, why="Without both it is the same practice", fix=fix)


def _twice(practices: Sequence[Practice]) -> Iterator[CodedError]:
    first: dict[str, Practice] = {}
    for practice in practices:
        other = first.setdefault(practice.name, practice)
        if other is not practice:
            files = f"{_shown(other.path)} and {_shown(practice.path)}"
            msg = f"practice '{practice.name}' stands in {files}"
            yield CodedError("RU208", msg, fix="Rename one of them")


def _read(path: Path, errors: list[CodedError]) -> PracticeForm | None:
    """Read one practice file; its mistakes go to `errors`."""
    try:
        return PracticeForm.model_validate(_parse(path))
    except CodedError as error:
        errors.append(error)
    except ValidationError as wrong:
        errors += [_form_error(path, item) for item in wrong.errors()]
    return None


def _parse(path: Path) -> dict[str, object]:
    fix = f"A practice file is UTF-8 TOML of at most {MAX_BYTES} bytes"
    if not path.is_file():  # a pipe or a device could be read for ever
        raise CodedError("RU201", f"{_shown(path)} is no file", fix=fix)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CodedError("RU201", f"{_shown(path)} is too large", fix=fix)
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{_shown(path)} cannot be read: {printable(str(error))}"
        raise CodedError("RU201", msg, fix=fix) from None


def _form_error(path: Path, item: ErrorDetails) -> CodedError:
    """Turn one of pydantic's errors into ours."""
    loc = (step for step in item["loc"] if step != "[key]")
    steps = [step if isinstance(step, int) else printable(step) for step in loc]
    place = "".join(f"[{x}]" if isinstance(x, int) else f".{x}" for x in steps).lstrip(".")
    where = f"{_shown(path)}, {place}"
    if item["type"] == "extra_forbidden":
        form = _PARTS.get(str(steps[0]), PracticeForm)
        fix = did_you_mean(str(steps[-1]), form.model_fields)
        return CodedError("RU202", f"unknown key '{steps[-1]}' in {where}", fix=fix)
    if item["type"] == "missing":
        return CodedError("RU203", f"'{steps[-1]}' is missing in {where}", fix="Give it")
    return CodedError("RU204", f"wrong value in {where}", why=item["msg"], fix="Mend the value")


def _word_errors(path: Path, form: PracticeForm) -> Iterator[CodedError]:
    """Words stand once each; the ends are words of the model; the model file is there."""
    words = [*form.activities, *form.outside_model, *form.updates]
    for word in sorted({word for word in words if words.count(word) > 1}):
        msg = f"'{word}' stands twice among the activities of {_shown(path)}"
        yield CodedError("RU205", msg, fix="Keep one")
    for word in form.ends:
        if word not in form.activities:
            msg = f"unknown activity '{word}' in {_shown(path)}, ends"
            yield CodedError("RU205", msg, fix=did_you_mean(word, form.activities))
    for word in form.fitsm:
        if word not in form.activities:
            msg = f"unknown activity '{word}' in {_shown(path)}, fitsm"
            yield CodedError("RU217", msg, fix=did_you_mean(word, form.activities))
    if form.model is not None and not (path.parent / form.model).is_file():
        msg = f"the model '{form.model}' named in {_shown(path)} does not exist"
        yield CodedError("RU206", msg, fix="Name a .bpmn file beside practice.toml")


def _time_errors(path: Path, form: PracticeForm, *, complete: bool) -> Iterator[CodedError]:
    """Times are of activities, once each; of all of them where the file itself speaks of times."""
    timed = [word for words in form.time_in.values() for word in words]
    for word in sorted({word for word in timed if word not in form.activities}):
        msg = f"unknown activity '{word}' in {_shown(path)}, time_in"
        yield CodedError("RU218", msg, fix=did_you_mean(word, form.activities))
    for word in sorted({word for word in timed if timed.count(word) > 1}):
        msg = f"'{word}' stands twice in {_shown(path)}, time_in"
        yield CodedError("RU219", msg, why="Its time would count twice", fix="Keep one")
    forgotten = [word for word in form.activities if word not in timed]
    if forgotten and complete:
        msg = f"{_shown(path)}, time_in, leaves out: {', '.join(forgotten)}"
        why = "What a case does after such a step would not be known"
        fix = f"Put each under one of {', '.join(TIME_IN)}, or leave [time_in] out"
        yield CodedError("RU220", msg, why=why, fix=fix)


def _vocabulary_errors(path: Path, form: PracticeForm) -> Iterator[CodedError]:
    known = {*form.activities, *form.outside_model}
    names = [OWN, *(one.name for one in form.vocabularies)]
    for index, one in enumerate(form.vocabularies):
        where = f"{_shown(path)}, vocabularies[{index}] '{one.name}'"
        if one.name in names[: index + 1]:
            yield CodedError("RU207", f"the name of {where} is taken", fix="Give it another")
        if tuple(one.keys) not in KEYS:
            fix = 'Write keys = ["activity"] or keys = ["activity", "lifecycle"]'
            yield CodedError("RU207", f"wrong keys in {where}", fix=fix)
        for word in sorted({*one.updates} & {*one.words}):
            msg = f"'{word}' stands under words and under updates in {where}"
            yield CodedError("RU207", msg, fix="Keep one: it is a step of the practice, or none")
        named = [*sorted(one.words.items()), *(("implied", word) for word in one.implied)]
        for key, word in named:
            if word not in known:
                msg = f"unknown activity '{word}' for '{key}' in {where}"
                yield CodedError("RU205", msg, fix=did_you_mean(word, known))


def _built(path: Path, form: PracticeForm) -> Practice:
    return Practice(
        name=form.name,
        title=form.title,
        itil=form.itil,
        owner=form.owner,
        version=form.version,
        valid_from=form.valid_from,
        activities=tuple(form.activities),
        ends=tuple(form.ends),
        outside_model=tuple(form.outside_model),
        vocabularies=tuple(map(_vocabulary, form.vocabularies)),
        model_path=None if form.model is None else path.parent / form.model,
        path=path,
        refines=form.refines,
        when=None if form.when is None else _when(form.when),
        references=tuple(Citation(one.norm, one.clause, one.text) for one in form.references),
        fitsm=MappingProxyType(form.fitsm),
        updates=tuple(form.updates),
        time_in=MappingProxyType(
            {word: part for part in TIME_IN for word in form.time_in.get(part, [])}
        ),
    )


def _when(form: WhenForm) -> When:
    return When(form.column, frozenset(map(plain, form.values)))


def _vocabulary(form: VocabularyForm) -> Vocabulary:
    return Vocabulary(
        name=form.name,
        title=form.title,
        keys=tuple(form.keys),
        repeats=form.repeats,
        words=MappingProxyType(form.words),
        implied=tuple(form.implied),
        updates=frozenset(form.updates),
    )


def _shown(path: Path) -> str:
    return printable("/".join(path.parts[-3:]))


# --- choosing a vocabulary


def choose_vocabulary(practice: Practice, log: EventLog, name: str | None = None) -> Vocabulary:
    """Return the vocabulary asked for, or the one that knows most of the log's distinct words.

    Raises CodedError RU211 for a name that no vocabulary has, RU212 where none knows half of them.
    """
    candidates = {one.name: one for one in practice.candidates}
    if name is not None:
        if name not in candidates:
            msg = f"practice '{practice.name}' has no vocabulary '{name}'"
            raise CodedError("RU211", msg, fix=did_you_mean(name, candidates))
        return candidates[name]
    best = max(practice.candidates, key=lambda one: coverage(one, log))
    if log.n_events and coverage(best, log) < ENOUGH:
        raise _no_vocabulary(practice, log)
    return best


def words_known(practice: Practice, log: EventLog) -> Fraction:
    """Return the share of the log's distinct words that its best vocabulary knows."""
    return max(coverage(one, log) for one in practice.candidates)


def coverage(vocabulary: Vocabulary, log: EventLog) -> Fraction:
    """Return the share of the log's distinct raw words that the vocabulary maps (0 for none)."""
    words = _raw_words(log, vocabulary.keys).unique().to_pylist()
    known = sum(vocabulary.knows(word) for word in words)
    return Fraction(known, len(words)) if words else Fraction(0)


def _no_vocabulary(practice: Practice, log: EventLog) -> CodedError:
    words = sorted(_raw_words(log, KEYS[0]).unique().to_pylist())
    names = ", ".join(one.name for one in practice.candidates)
    msg = f"no vocabulary of practice '{practice.name}' knows half of the log's words"
    return CodedError(
        "RU212",
        msg,
        why=f"The log says {_listed(words)}",
        fix=f"Name one of {names}, or give a practice.toml with a vocabulary for these words",
    )


def _listed(words: Sequence[str]) -> str:
    shown = ", ".join(repr(word) for word in words[:WORDS_SHOWN])
    more = len(words) - WORDS_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _raw_words(log: EventLog, keys: Keys) -> pa.Array:
    """The raw word of every event, dictionary-coded."""
    activity = log.events[s.ACTIVITY].combine_chunks()
    if keys == KEYS[0]:
        return activity.dictionary_encode()
    lifecycle = log.events[s.LIFECYCLE].combine_chunks()
    joined = pc.binary_join_element_wise(activity, lifecycle, JOINT)
    return pc.coalesce(joined, activity).dictionary_encode()


# --- translating


def unmapped_words(translation: Translation) -> list[Defect]:
    """Return the quality gate's finding on words that the vocabulary does not map, if any."""
    words = translation.unmapped
    if not words:
        return []
    kind, log = KINDS["QG160"], translation.log
    most = sorted(words, key=lambda word: (-words[word], word))[:EXAMPLES]
    return [
        Defect(
            code="QG160",
            name=kind.name,
            count=sum(words.values()),
            of=log.n_events,
            unit="events",
            examples=tuple(most),
            explanation=kind.explanation,
            makes_unknown=kind.unknown,
            subject=f"{translation.practice.name}, vocabulary {translation.vocabulary.name}",
            cases=log.cases[s.CASE_ID].filter(pa.array(translation.has_unmapped)).combine_chunks(),
        )
    ]


def translate(
    log: EventLog, practice: Practice, vocabulary: str | Vocabulary | None = None
) -> Translation:
    """Say a log in the practice's words; the vocabulary is chosen where none is named."""
    if not isinstance(vocabulary, Vocabulary):
        vocabulary = choose_vocabulary(practice, log, vocabulary)
    raw = _raw_words(log, vocabulary.keys)
    said: list[str] = raw.dictionary.to_pylist()
    foreign = [not vocabulary.knows(word) and word not in practice.words for word in said]
    meant = [None if w in vocabulary.updates else vocabulary.words.get(w, w) for w in said]
    words = pa.array(meant, pa.string())
    activity = words.take(raw.indices)
    update = _updates(log, activity, vocabulary)
    step = pc.if_else(pa.array(update), pa.scalar(None, pa.string()), activity)
    translated = log.with_columns(
        events={s.ACTIVITY: step, s.RAW_ACTIVITY: raw.dictionary_decode()},
        cases={s.PRACTICE: pa.repeat(pa.scalar(practice.case_type), log.n_cases)},
    )
    index = raw.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(index, minlength=len(said))
    is_foreign = np.array(foreign, dtype=bool)[index]
    producible = {*vocabulary.words.values(), *meant}  # not what is said: that may mean another
    if log.meta.recordable:
        producible &= {*meant, *(vocabulary.words.get(w, w) for w in log.meta.recordable)}
    return Translation(
        log=translated,
        practice=practice,
        vocabulary=vocabulary,
        steps=log.n_events - int(update.sum()),
        updates=int(update.sum()),
        unmapped={
            said[i]: int(counts[i]) for i in sorted(np.flatnonzero(foreign), key=said.__getitem__)
        },
        unobserved=tuple(sorted(practice.words - producible)),
        complete=ended(translated, practice.ends, outside=practice.outside_model),
        has_unmapped=segments.count(log.arrays, is_foreign) > 0,
    )


def _updates(log: EventLog, activity: pa.Array, vocabulary: Vocabulary) -> Bools:
    """Tell for each event whether it is no step: declared so, or the word before it again."""
    update = np.asarray(activity.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    if vocabulary.repeats == "steps":
        return update
    named = np.flatnonzero(~update)
    code = activity.take(pa.array(named)).dictionary_encode().indices.to_numpy()
    case = log.arrays.case_of[named]
    again = (code[1:] == code[:-1]) & (case[1:] == case[:-1])
    update[named[1:][again]] = True
    return update


def ended(log: EventLog, ends: Iterable[str], *, outside: Iterable[str] = ()) -> Bools:
    """Tell for each case whether its last step, those `outside` left out, is one of `ends`."""
    arrays = log.arrays
    inside = (arrays.activity >= 0) & ~np.isin(arrays.activity, _codes_of(log, outside))
    last = segments.take(arrays.activity, segments.last(arrays, inside), fill=segments.NONE)
    return np.isin(last, _codes_of(log, ends))


def _codes_of(log: EventLog, words: Iterable[str]) -> Ints:
    return np.array([log.arrays.code_of(word) for word in words], dtype=np.int64)


# --- the desk


def prepare_desk(  # noqa: PLR0913 - what can be known of a desk
    translation: Translation,
    *,
    service_levels: ServiceLevels,
    as_of_us: int,
    model: ReferenceModel | None = None,
    costs: Costs | None = None,
    records: Records | None = None,
    with_model: bool = True,
) -> PreparedDesk:
    """Align the log with the practice's model (or the given one) and put the desk together.

    `records` are all cases of the log that this one is a share of (default: its own cases).
    Without `with_model` the cases are not compared with any.

    Steps outside the model are left out of the traces; unmapped words stay in them, as steps that
    the model does not know; unobserved activities are silent in the model, implied ones may be.
    For the rules both are unobserved: that one is missing says nothing.
    """
    practice = translation.practice
    if with_model and model is None and practice.model_path is not None:
        model = ReferenceModel.from_bpmn(
            practice.model_path, name=practice.name, version=str(practice.version)
        )
    desk = Desk(
        log=translation.log,
        complete=translation.complete,
        as_of_us=as_of_us,
        service_levels=service_levels,
        unmapped=translation.has_unmapped,
        outside=frozenset(practice.outside_model),
        unobserved=frozenset((*translation.unobserved, *translation.vocabulary.implied)),
        records=records or records_of([translation]),
    )
    if model is None:
        return PreparedDesk(desk, None, None, None, None)
    model = model.hide(translation.unobserved)
    return _aligned(desk, _skippable(model, translation.vocabulary.implied), costs)


def desk_for(
    prepared: PreparedDesk,
    practice: Practice,
    log: EventLog,
    *,
    unmapped: Bools | None,
    with_model: bool = True,
) -> Desk:
    """Put another log of the same source, in the practice's words, on a desk like a prepared one.

    `unmapped` has one entry a case of that log. What the source records is the same, and so is the
    model; without `with_model` the cases are not compared with it.
    """
    desk = replace(
        prepared.desk,
        log=log,
        complete=ended(log, practice.ends, outside=practice.outside_model),
        unmapped=unmapped,
        alignment=None,
        deviations=None,
    )
    if prepared.model is None or not with_model:
        return desk
    return _aligned(desk, prepared.model, None).desk


def _skippable(model: ReferenceModel, activities: Collection[str]) -> ReferenceModel:
    """Return the model in which these activities may also leave no event."""
    unseen = tuple(
        replace(step, name=f"{step.name} (not recorded)", label=None)
        for step in model.net.transitions
        if step.label in activities
    )
    net = replace(model.net, transitions=(*model.net.transitions, *unseen))
    return replace(model, net=net) if unseen else model


def _aligned(desk: Desk, model: ReferenceModel, costs: Costs | None) -> PreparedDesk:
    """Add each case's alignment to the desk."""
    leave_out = sorted(desk.outside - set(model.activities))
    traces = variants(desk.log, leave_out=leave_out)
    alignments = align(traces, model, costs=costs)
    cases = case_alignment(desk.log, alignments, desk.complete, leave_out=leave_out)
    deviations = explain(alignments)
    desk = replace(desk, alignment=cases, deviations=_told(deviations, desk.complete))
    return PreparedDesk(desk, traces, alignments, deviations, model)


def _told(deviations: Deviations, complete: Bools) -> pa.Array:
    """Say for each complete case how it departs from the model; an open one may yet mend it."""
    texts = pa.array([*deviations.texts(), None], pa.string())
    of_case = deviations.alignments.variants.variant_of_case
    return texts.take(pa.array(np.where(complete, of_case, len(texts) - 1)))
