"""How far do the cases of a log go along with one reference model?

files → EventLog → quality gate → words → exact alignments → deviations. The model is the practice's
own, or one of yours: then the log's activities are taken as they are, or, with a practice, in its
words. Only what can be compared is compared:

- judged: cases that have ended and of which the order of events, the words and the trace are known;
- open: cases that have not ended, of which the same is known: their prefix alignment says what is
  already wrong, and what is still to come at the least;
- apart: the others, counted by the reason (a case may have several).

A case follows the model (it fits) where its alignment costs nothing. The fitness of the log is

    1 - sum of the costs / sum of the highest costs

over the judged cases; the highest cost of a case is that of leaving out all its events and doing a
cheapest run of the model instead. Where single alignments are only bounded, so is the fitness, and
cases of which it is not settled whether they fit are left out of the share, and counted.

Which cases have ended: the practice says it, or `ends`; with neither, every case is taken as ended.
Not considered: time, data, who acted. Errors: CodedError CL021 to CL026, and those of the reading.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from csi.audit import PATH, judged_at, require_codes, require_fit, split_by_practice
from csi.root_causes import deviates_so, does_not_fit, root_causes
from csi.statistics.estimate import proportion
from process_mining import schema as s
from process_mining.alignment import Costs, align, case_alignment
from process_mining.alignment.deviations import NOTHING, Deviation, DeviationKind, explain
from process_mining.alignment.search import MoveKind
from process_mining.columnar.sql import variants
from process_mining.errors import CodedError, RunError, did_you_mean, raise_all
from process_mining.model import ReferenceModel, read_model
from process_mining.quality import inspect
from process_mining.sources import ReadOptions, open_log
from rules.doubts import UNMAPPED_WORDS, doubtful_cases
from rules.practice import ended, load_practices, prepare_desk, translate
from rules.service_level import ServiceLevels
from rules.templates import Desk

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pyarrow as pa

    from csi.root_causes import RootCauses
    from process_mining.alignment import Alignments, Bounded, PrefixAlignment
    from process_mining.alignment.deviations import Deviations
    from process_mining.eventlog import EventLog, Ints
    from process_mining.quality import Quality
    from rules.practice import Practice, Translation

    Bools = npt.NDArray[np.bool_]

NO_CLOCKS: Final = ServiceLevels(())
EXAMPLES: Final = 3
CAUSES_ASKED: Final = 2
KIND_OF: Final = MappingProxyType({kind.word: kind for kind in DeviationKind})
WORDS_SHOWN: Final = 12
ENDED_BY: Final = MappingProxyType(
    {
        "practice": "the last step says whether a case has ended, as the practice defines it",
        "declared": "the last step says whether a case has ended, as --ends declares it",
        "assumed": "every case is taken as ended: neither a practice nor --ends says otherwise",
    }
)


@dataclass(frozen=True)
class ConformRequest:
    """What to compare with what; every field is an option of `trueloop conform`."""

    logs: tuple[Path, ...]
    read: ReadOptions = field(default_factory=ReadOptions)
    model: Path | None = None
    process: str | None = None
    practice: str | None = None
    ends: tuple[str, ...] = ()
    costs: Path | None = None
    as_of: dt.datetime | None = None
    allow: tuple[str, ...] = ()
    fail_under: float | None = None


@dataclass(frozen=True, eq=False)
class Standing:
    """Which cases can be compared with a model; arrays have one entry a case."""

    complete: Bools
    order_known: Bools
    words_known: Bools
    trace_known: Bools

    @classmethod
    def of(cls, desk: Desk, in_doubt: Bools) -> Standing:
        """Read it off a desk; `in_doubt` are the cases whose trace the quality gate doubts."""
        none = np.zeros(desk.log.n_cases, dtype=bool)
        return cls(
            complete=desk.complete,
            order_known=desk.log.cases[s.ORDER_KNOWN].to_numpy(),
            words_known=~(none if desk.unmapped is None else desk.unmapped),
            trace_known=~in_doubt,
        )

    @property
    def known(self) -> Bools:
        """Cases of which all is known that a comparison rests on."""
        return self.order_known & self.words_known & self.trace_known

    @property
    def judged(self) -> Bools:
        """Cases that have ended and can be compared."""
        return self.complete & self.known

    @property
    def open(self) -> Bools:
        """Cases that have not ended, and can be compared as far as they went."""
        return ~self.complete & self.known

    def counts(self) -> dict[str, int]:
        """Count what is set apart, by reason, over all cases."""
        return {
            "order_unknown": int((~self.order_known).sum()),
            "words_unknown": int((~self.words_known).sum()),
            "trace_in_doubt": int((~self.trace_known).sum()),
        }


@dataclass(frozen=True, eq=False)
class Conformance:
    """What was compared with what, and how it went.

    `cases_log` holds the compared cases, in the words that the model was compared with; `ended_by`
    is a key of ENDED_BY. `translation` is None where the log's activities were taken as they are.
    """

    request: ConformRequest
    log: EventLog
    as_of_us: int
    quality: Quality
    translation: Translation | None
    model_file: Path
    ended_by: str
    desk: Desk
    alignments: Alignments
    deviations: Deviations
    standing: Standing

    @property
    def cases_log(self) -> EventLog:
        """The compared cases."""
        return self.desk.log

    @property
    def model(self) -> ReferenceModel:
        """The model, without the steps that the source cannot record."""
        return self.alignments.model

    @cached_property
    def beginnings(self) -> dict[int, PrefixAlignment | Bounded]:
        """How each variant of an open case goes along with the beginning of a run."""
        taken = np.flatnonzero(self.weights(self.standing.open)).tolist()
        return {variant: self.alignments.prefix_alignment(variant) for variant in taken}

    @cached_property
    def causes(self) -> tuple[RootCauses, ...]:
        """Which groups of the judged cases go with leaving the model, and with what is worst."""
        misses, settled = does_not_fit(self.alignments)
        asked = [("Leaves the model", misses, self.standing.judged & settled)]
        counts = self.deviations.counts(self.weights(self.standing.judged))
        worst = counts.drop_duplicates(["kind", "activity"]).head(CAUSES_ASKED)
        for kind, activity in zip(worst["kind"], worst["activity"], strict=True):
            has = deviates_so(self.deviations, KIND_OF[kind], activity)
            text = f"{activity}: {kind}"
            asked.append((text, has, self.standing.judged & settled))
        return tuple(
            root_causes(self.cases_log, has, subject=subject, judged=judged)
            for subject, has, judged in asked
        )

    def weights(self, cases: Bools) -> Ints:
        """Count the marked cases of each variant."""
        return weights(self.alignments, cases)


def weights(alignments: Alignments, cases: Bools) -> Ints:
    """Count the marked cases of each variant."""
    of_case = alignments.variants.variant_of_case[cases]
    return np.bincount(of_case, minlength=len(alignments))


def case_figures(standing: Standing, alignments: Alignments) -> dict[str, Any]:
    """Return the figures of an audit over the judged cases, and what was set apart.

    Open cases may yet do what is asked; a word outside the vocabulary may stand for any step.
    """
    of_case = alignments.variants.variant_of_case[standing.judged]
    cost, n = alignments.upper[of_case], len(of_case)
    return {
        "cases": n,
        **standing.counts(),
        "fitting_cases": int((cost == 0).sum()),
        "cost": int(cost.sum()),
        "fitness_mean": round(float(alignments.fitness[of_case].mean()), 6) if n else None,
    }


def settled_cases(alignments: Alignments, cases: Ints) -> int:
    """Count the cases whose alignment is optimal: only they have moves, and deviations."""
    return int(cases[alignments.lower == alignments.upper].sum())


def activity_rows(
    alignments: Alignments, deviations: Deviations, cases: Ints
) -> list[dict[str, Any]]:
    """Say of each activity of the model or the log what the cases did there; sorted by name.

    `passed`: cases that did it where the model expects it; `deviating`: cases with a deviation at
    it; `kinds`: the same by kind of deviation, where any; `of`: settled cases in all. `cases` are
    the cases of each variant.
    """
    per_move = np.repeat(np.arange(len(alignments)), np.diff(alignments.move_offsets))
    sync = (alignments.moves & 3) == MoveKind.SYNC
    words, of = alignments.words, settled_cases(alignments, cases)

    def count(variant: Ints, word: Ints) -> list[int]:
        once = np.unique(variant * len(words) + word)
        found = np.bincount(once % len(words), cases[once // len(words)], len(words))
        return [int(n) for n in found]

    passed = count(per_move[sync], alignments.moves[sync] >> 2)
    deviating = count(deviations.variant, deviations.word)
    by_kind = {
        kind.word: count(deviations.variant[mask], deviations.word[mask])
        for kind in DeviationKind
        for mask in [deviations.kind == kind]
    }
    return [
        {
            "activity": activity,
            "passed": passed[i],
            "deviating": deviating[i],
            "kinds": {kind: n[i] for kind, n in by_kind.items() if n[i]},
            "of": of,
        }
        for i, activity in enumerate(words)
    ]


def deviation_rows(
    alignments: Alignments, deviations: Deviations, standing: Standing, case_ids: pa.ChunkedArray
) -> list[dict[str, Any]]:
    """Count the deviations of the judged cases, most cases first.

    A row has kind, activity, instead, all in a text, n (times), cases, of (settled cases), share
    with its Wilson interval (low, high), method, and the first cases by id as examples.
    """
    judged = weights(alignments, standing.judged)
    of = settled_cases(alignments, judged)
    rows = []
    for row in deviations.counts(judged).to_dict("records"):
        share = proportion(int(row["cases"]), of)
        having = _variants_with(deviations, row["kind"], row["activity"], row["instead"])
        with_it = having[alignments.variants.variant_of_case] & standing.judged
        rows.append(
            {
                "kind": row["kind"],
                "activity": row["activity"],
                "instead": row["instead"],
                "text": text_of(row["kind"], row["activity"], row["instead"]),
                "n": int(row["n"]),
                "cases": int(row["cases"]),
                "of": of,
                "share": share.value,
                "low": share.low,
                "high": share.high,
                "method": share.method,
                "examples": [case_ids[int(i)].as_py() for i in np.flatnonzero(with_it)[:EXAMPLES]],
            }
        )
    return rows


def text_of(kind: str, activity: str, instead: str | None) -> str:
    """Say a deviation of this kind in a sentence, as everywhere else."""
    return Deviation(KIND_OF[kind], activity, at=0, instead=instead, moves=1).text


def _variants_with(deviations: Deviations, kind: str, activity: str, instead: str | None) -> Bools:
    """Tell for each variant whether it has this deviation."""
    words = deviations.alignments.words
    code = NOTHING if instead is None else words.index(instead)
    mine = (deviations.kind == KIND_OF[kind]) & (deviations.word == words.index(activity))
    having = np.zeros(len(deviations.alignments), dtype=bool)
    having[deviations.variant[mine & (deviations.instead == code)]] = True
    return having


# --- the chain


def conform(request: ConformRequest, step: Callable[[str], None] = lambda _: None) -> Conformance:
    """Read, align and explain, naming each step to `step`; CodedError for the user to mend."""
    require_codes(request.allow)
    step("reading")
    log = open_log(request.logs, request.read)
    as_of_us = judged_at(log, request.as_of)
    step("inspecting")
    quality = inspect(log)
    step("aligning")
    if request.model is not None and request.practice is None:
        found = _as_they_are(log, request, quality, as_of_us)
    else:
        found = _in_its_words(log, request, quality, as_of_us)
    _require_judged(found)
    return found


def _as_they_are(
    log: EventLog, request: ConformRequest, quality: Quality, as_of_us: int
) -> Conformance:
    """Compare the log's own activities with a model of the user's."""
    assert request.model is not None  # noqa: S101 - the caller asks only where there is one
    _require_one_practice(log)
    model = _read_model(request)
    _require_common(model, log)
    _require_ends(request.ends, {*model.activities, *log.arrays.activities})
    complete = ended(log, request.ends) if request.ends else np.ones(log.n_cases, dtype=bool)
    alignments = align(variants(log), model, costs=read_costs(request.costs))
    desk = Desk(
        log=log,
        complete=complete,
        as_of_us=as_of_us,
        service_levels=NO_CLOCKS,
        alignment=case_alignment(log, alignments, complete),
    )
    return Conformance(
        request=request,
        log=log,
        as_of_us=as_of_us,
        quality=quality,
        translation=None,
        model_file=request.model,
        ended_by="declared" if request.ends else "assumed",
        desk=desk,
        alignments=alignments,
        deviations=explain(alignments),
        standing=_standing(desk, quality, request.allow),
    )


def _in_its_words(
    log: EventLog, request: ConformRequest, quality: Quality, as_of_us: int
) -> Conformance:
    """Compare one practice's cases, in its words, with its own model or one of the user's."""
    practice, part = _one_share(log, request)
    model, file = _model_of(practice, request)
    translation = translate(part, practice)
    if request.ends:
        _require_ends(request.ends, practice.words)
        complete = ended(translation.log, request.ends, outside=practice.outside_model)
        translation = replace(translation, complete=complete)
    prepared = prepare_desk(
        translation,
        service_levels=NO_CLOCKS,
        as_of_us=as_of_us,
        model=model,
        costs=read_costs(request.costs),
    )
    assert prepared.alignments is not None  # noqa: S101 - there is a model
    assert prepared.deviations is not None  # noqa: S101 - the same
    desk = prepared.desk
    if UNMAPPED_WORDS in request.allow:
        desk = replace(desk, unmapped=None)
    return Conformance(
        request=request,
        log=log,
        as_of_us=as_of_us,
        quality=quality,
        translation=translation,
        model_file=file,
        ended_by="declared" if request.ends else "practice",
        desk=desk,
        alignments=prepared.alignments,
        deviations=prepared.deviations,
        standing=_standing(desk, quality, request.allow),
    )


def _one_share(log: EventLog, request: ConformRequest) -> tuple[Practice, EventLog]:
    """Return the one practice that the log is about, and its cases."""
    shares = split_by_practice(log, load_practices(), request.practice)
    if request.practice is not None:
        parts, shares = shares, [one for one in shares if one[0].name == request.practice]
        if not shares:
            raise CodedError(
                "CL021",
                f"every case of practice '{request.practice}' is of a kind with a model of its "
                f"own: {_counted(parts)}",
                fix="Say --practice with one of them",
            )
    if len(shares) > 1:
        raise _several(_counted(shares))
    return shares[0]


def _counted(shares: Sequence[tuple[Practice, EventLog]]) -> str:
    return ", ".join(f"{one.name} ({part.n_cases:,} cases)" for one, part in shares)


def _require_one_practice(log: EventLog) -> None:
    """A model is of one practice; cases of another would all seem to break it."""
    named = log.cases[s.PRACTICE].value_counts().to_pylist()
    if len(named) > 1:
        counts = sorted((row["values"] or "(none)", row["counts"]) for row in named)
        raise _several(", ".join(f"{name} ({n:,} cases)" for name, n in counts))


def _several(said: str) -> CodedError:
    return CodedError(
        "CL021",
        f"the log holds cases of several practices: {said}",
        why="A model is of one practice; cases of another would all seem to break it",
        fix="Say --practice with one of them",
    )


def _model_of(practice: Practice, request: ConformRequest) -> tuple[ReferenceModel, Path]:
    """Return the model to compare with: the user's, in the practice's words, or the practice's."""
    if request.model is not None:
        model = _read_model(request)
        require_fit(model, [practice])
        return model, request.model
    if practice.model_path is None:
        msg = f"practice '{practice.name}' has no reference model of ours"
        raise CodedError("CL022", msg, fix="Give one with --model")
    path, version = practice.model_path, str(practice.version)
    return ReferenceModel.from_bpmn(path, name=practice.name, version=version), path


def _read_model(request: ConformRequest) -> ReferenceModel:
    assert request.model is not None  # noqa: S101 - the callers ask only where there is one
    return read_model(request.model, process=request.process)


def read_costs(path: Path | None) -> Costs:
    """Read costs by activity (TOML); unit costs where there is no file.

    `default_log` and `default_model` are the costs of a move that is not named (1 where they are
    not given); the tables [log] and [model] name activities. CL026 for a file that cannot be read
    and for other keys, MO303 and MO304 for numbers that are no costs: every mistake at once.
    """
    if path is None:
        return Costs()
    fix = 'Write default_log = 1, default_model = 1, and under [log], [model]: "Activity" = 2'
    try:
        found = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CodedError("CL026", f"{path.name} cannot be read: {error}", fix=fix) from None
    kinds = {"log": dict, "model": dict, "default_log": int, "default_model": int}
    raise_all(
        [
            CodedError(
                "CL026", f"{path.name}: '{key}' is no key of costs, or no such value", fix=fix
            )
            for key, value in sorted(found.items())
            if key not in kinds or not isinstance(value, kinds[key])
        ]
    )
    return Costs(
        log=found.get("log", {}),
        model=found.get("model", {}),
        default_log=found.get("default_log", 1),
        default_model=found.get("default_model", 1),
    )


def _require_common(model: ReferenceModel, log: EventLog) -> None:
    """A log none of whose activities the model names would be all deviation."""
    if not log.n_events or set(model.activities) & set(log.arrays.activities):
        return
    msg = f"no activity of the log is a task of --model {model.name}"
    tasks = ", ".join(f"'{name}'" for name in model.activities[:WORDS_SHOWN])
    said = ", ".join(f"'{name}'" for name in log.arrays.activities[:WORDS_SHOWN])
    fix = "Say --practice to read the log in a practice's words, or name the model's tasks as it"
    raise CodedError("CL023", msg, why=f"The model has {tasks}; the log says {said}", fix=fix)


def _require_ends(ends: Sequence[str], known: Collection[str]) -> None:
    raise_all(
        [
            CodedError("CL024", f"--ends '{name}' is no activity", fix=did_you_mean(name, known))
            for name in sorted(set(ends) - set(known))
        ]
    )


def _standing(desk: Desk, quality: Quality, allow: Collection[str]) -> Standing:
    return Standing.of(desk, doubtful_cases(desk, quality.doubts(allow), PATH))


def _require_judged(found: Conformance) -> None:
    """A gate that no case could pass through has not been passed."""
    if found.request.fail_under is None or found.standing.judged.any():
        return
    apart = found.standing.counts()
    said = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in apart.items() if n)
    msg = f"--fail-under: none of {found.cases_log.n_cases:,} cases could be judged"
    raise RunError("CL025", msg, why=said or "No case has ended", fix="See trueloop inspect")
