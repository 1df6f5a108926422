"""How does a ticket log become verdicts with evidence? The whole chain, from files to findings.

files → EventLog → quality gate → per practice: its words, its reference model, its rules →
verdicts, findings, tallies, service-level clocks, feedback. A log may hold tickets of several
practices; each is judged by its own. Nothing here depends on the day it runs: open cases are
judged at `as_of`, by default the last event of the log.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from csi.escalations import escalations_of
from csi.feedback import read_surveys
from csi.service_levels.doubts import with_doubts
from process_mining import schema as s
from process_mining.clock import FIRST_YEAR, LAST_YEAR
from process_mining.errors import CodedError, RunError, did_you_mean
from process_mining.extraction import outlying
from process_mining.model import read_model
from process_mining.quality import END, KINDS, MIDDLE, ORDER, START, inspect
from process_mining.sources import ReadOptions, open_log
from rules.catalogue import load_catalogue
from rules.check import check_desks, merge
from rules.doubts import UNMAPPED_WORDS, doubtful_cases
from rules.practice import ENOUGH, prepare_desk, translate, unmapped_words, words_known
from rules.records import Records
from rules.service_level import clocks, load_service_levels
from rules.waivers import FACTS, load_waivers, waive

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from csi.feedback import Feedback
    from process_mining.eventlog import EventLog
    from process_mining.model import ReferenceModel
    from process_mining.quality import Defect, Quality
    from rules.catalogue import Catalogue
    from rules.check import CheckResult
    from rules.escalation import Escalations
    from rules.practice import Practice, PreparedDesk, Translation, Vocabulary
    from rules.service_level import ServiceLevels
    from rules.spec import Severity
    from rules.waivers import WaiverUse


REJECTS_SHOWN = 3
CALENDAR_YEARS = (FIRST_YEAR, LAST_YEAR + 1)
PATH = frozenset({START, MIDDLE, END, ORDER})  # what must be known of a trace to compare it
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and by what; every field is one option of `trueloop audit`."""

    logs: tuple[Path, ...]
    read: ReadOptions = field(default_factory=ReadOptions)
    practice: str | None = None
    model: Path | None = None
    process: str | None = None
    rules: tuple[Path, ...] = ()
    targets: Path | None = None
    surveys: Path | None = None
    as_of: dt.datetime | None = None
    fail_on: Severity | None = None
    allow: tuple[str, ...] = ()
    waivers: Path | None = None


@dataclass(frozen=True, eq=False)
class PracticeAudit:
    """One practice's share of the log, in its words, with what its rules say.

    `in_doubt` tells for each case whether the quality gate doubts that its trace is whole.
    """

    practice: Practice
    translation: Translation
    prepared: PreparedDesk
    result: CheckResult
    in_doubt: npt.NDArray[np.bool_]
    clocks: pa.Table


@dataclass(frozen=True, eq=False)
class Audit:
    """Everything that an audit found.

    `result` joins the verdicts of all practices; waivers are applied to it, and to it alone.
    `waivers` says what became of each. `escalations`: what findings that are not waived lead to.
    """

    request: AuditRequest
    log: EventLog
    as_of_us: int
    quality: Quality
    catalogue: Catalogue
    service_levels: ServiceLevels
    practices: tuple[PracticeAudit, ...]
    result: CheckResult
    feedback: Feedback | None
    escalations: Escalations
    waivers: tuple[WaiverUse, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where an unwaived finding is at or above `fail_on`, else 0."""
        limit = self.request.fail_on
        if limit is None:
            return 0
        return int(
            any(t.violates > t.waived and t.rule.severity >= limit for t in self.result.tallies)
        )


def audit(request: AuditRequest, step: Callable[[str], None] = lambda _: None) -> Audit:
    """Run the whole chain, naming each step to `step`; raises CodedError for the user to mend."""
    step("reading")
    log = open_log(request.logs, request.read)
    return audit_log(log, request, as_of_us=judged_at(log, request.as_of), step=step)


def audit_log(
    log: EventLog,
    request: AuditRequest,
    *,
    as_of_us: int,
    vocabularies: Mapping[str, Vocabulary] = MappingProxyType({}),
    step: Callable[[str], None] = lambda _: None,
) -> Audit:
    """Judge a log that has been read; `vocabularies` fixes those of practices, by name."""
    step("rulebook")
    catalogue = load_catalogue(request.rules)
    waivers = () if request.waivers is None else load_waivers(request.waivers)
    surveys = request.surveys
    feedback = read_surveys(surveys) if surveys is not None else None
    if feedback is not None and not request.read.allow_rejects:
        _require_whole(feedback)
    ready = make_ready(
        log,
        request,
        catalogue.practices,
        as_of_us=as_of_us,
        vocabularies=vocabularies,
        step=step,
    )
    step("rules")
    parts = _judged(ready, catalogue, request.allow)
    result, uses = waive(
        merge([part.result for part in parts]),
        waivers,
        # the log itself need not name the practice of a case
        cases=pa.concat_tables([p.translation.log.cases.select(FACTS) for p in parts]),
        as_of_us=as_of_us if log.timed else None,
    )
    step("escalations")
    return Audit(
        request=request,
        log=log,
        as_of_us=as_of_us,
        quality=with_words(ready.quality, [part.translation for part in parts]),
        catalogue=catalogue,
        service_levels=ready.service_levels,
        practices=tuple(parts),
        result=result,
        feedback=feedback,
        escalations=escalations_of(log, result, catalogue),
        waivers=uses,
    )


@dataclass(frozen=True, eq=False)
class Share:
    """One practice's share of a log, in its words, on a desk that rules can be asked about."""

    translation: Translation
    prepared: PreparedDesk

    @property
    def practice(self) -> Practice:
        """Whose cases they are."""
        return self.translation.practice

    def under(self, levels: ServiceLevels) -> Share:
        """Return the same share with other promises."""
        desk = replace(self.prepared.desk, service_levels=levels)
        return replace(self, prepared=replace(self.prepared, desk=desk))


@dataclass(frozen=True, eq=False)
class ReadyLog:
    """A log that rules can judge: what the gate says of it, and each practice's share of it.

    `doubts` are the findings of the gate that verdicts may hang on.
    """

    quality: Quality
    doubts: tuple[Defect, ...]
    service_levels: ServiceLevels
    shares: tuple[Share, ...]


def make_ready(  # noqa: PLR0913 - what an audit knows before it judges
    log: EventLog,
    request: AuditRequest,
    practices: Mapping[str, Practice],
    *,
    as_of_us: int,
    vocabularies: Mapping[str, Vocabulary] = MappingProxyType({}),
    with_model: bool = True,
    step: Callable[[str], None] = lambda _: None,
) -> ReadyLog:
    """Ask the gate about a log, and put each practice's share of it on a desk of its own.

    Without `with_model` no case is compared with a reference model.
    """
    require_codes(request.allow)
    _require_calendar_years(log)
    levels = load_service_levels(request.targets, practices=practices)
    model = None if request.model is None else read_model(request.model, process=request.process)
    quality = inspect(log)
    found = []
    shares = split_by_practice(log, practices, request.practice)
    if model is not None:
        require_fit(model, [practice for practice, _ in shares])
    translations = []
    for practice, part in shares:
        step(practice.name)
        translations.append(translate(part, practice, vocabularies.get(practice.name)))
    doubts = tuple(quality.doubts(request.allow))
    others = _others(log, [part for _, part in shares], practices, vocabularies)
    records = Records((*translations, *others), log.links, doubts)
    if UNMAPPED_WORDS in request.allow:
        records = records.without_unmapped()
    for translation in translations:
        prepared = prepare_desk(
            translation,
            service_levels=levels,
            as_of_us=as_of_us,
            model=model,
            records=records,
            with_model=with_model,
        )
        if UNMAPPED_WORDS in request.allow:
            prepared = replace(prepared, desk=replace(prepared.desk, unmapped=None))
        found.append(Share(translation, prepared))
    return ReadyLog(quality, doubts, levels, tuple(found))


def _others(
    log: EventLog,
    judged: Sequence[EventLog],
    practices: Mapping[str, Practice],
    vocabularies: Mapping[str, Vocabulary],
) -> list[Translation]:
    """Read the cases that are not judged: rules on the others may speak of them.

    Those that name no practice, one that is not known, or speak in words that no vocabulary of
    theirs knows cannot be read; for the rules they are not in the log.
    """
    mine = pa.concat_arrays([one.cases[s.CASE_ID].combine_chunks() for one in judged])
    left = log.select(~_mask(pc.is_in(log.cases[s.CASE_ID], value_set=mine)))
    kinds = [one for one in practices.values() if one.refines is not None]
    found = []
    for name in sorted(set(left.cases[s.PRACTICE].unique().to_pylist()) & set(practices)):
        share = left.select(
            _mask(pc.fill_null(pc.equal(left.cases[s.PRACTICE], name), fill_value=False))
        )
        for practice, part in _by_kind(practices[name], share, kinds):
            with suppress(CodedError):
                found.append(translate(part, practice, vocabularies.get(practice.name)))
    return found


def _require_calendar_years(log: EventLog) -> None:
    """No calendar reaches the placeholders that some tools write: name them before one is asked."""
    if not log.timed:
        return
    first, end = (np.datetime64(f"{year}-01-01", "us").astype(np.int64) for year in CALENDAR_YEARS)
    absurd = (log.arrays.at < first) | (log.arrays.at >= end)
    if absurd.any():
        row = int(np.flatnonzero(absurd)[0])
        stamp = np.datetime64(int(log.arrays.at[row]), "us").astype("datetime64[s]")
        case = log.cases[s.CASE_ID][int(log.arrays.case_of[row])].as_py()
        what = f"{int(absurd.sum())} events have times that no calendar reaches"
        msg = f"{what}: case '{case}', {stamp}"
        fix = "Declare the text as missing in the mapping, under [csv], and say --allow-rejects"
        raise CodedError("CL020", msg, why="A placeholder is no time of an event", fix=fix)


def _require_whole(feedback: Feedback) -> None:
    """Stop where survey rows were refused (law 1), as a log's reader does."""
    if not feedback.rejects.num_rows:
        return
    first = feedback.rejects.slice(0, REJECTS_SHOWN).to_pylist()
    places = "; ".join(f"{r['file']} {r['place']}: {r['code']} {r['reason']}" for r in first)
    msg = f"{feedback.rejects.num_rows} of {feedback.rows_in} survey rows are refused: {places}"
    fix = "Mend them, or leave them out knowingly with --allow-rejects"
    raise RunError("ST506", msg, why="Scores without them may not be the customers'", fix=fix)


def split_by_practice(
    log: EventLog, practices: Mapping[str, Practice], chosen: str | None
) -> list[tuple[Practice, EventLog]]:
    """Give each practice its cases: the chosen one, what the cases say, or the one that fits.

    Cases that name another practice than the chosen one are not audited (the summary counts them).
    Cases of a kind that a practice of its own refines (a major incident) are that one's; a log
    without the column that tells it has none.

    Where neither `chosen` nor the cases name a practice, the one whose vocabulary knows most of the
    log's words is taken; none, or two that know as many, is an error (CL011), never a guess.
    """
    shares = by_practice(log, practices, chosen)
    kinds = [one for one in practices.values() if one.refines is not None]
    return [part for share in shares for part in _by_kind(*share, kinds)]


def _by_kind(
    practice: Practice, log: EventLog, kinds: Sequence[Practice]
) -> list[tuple[Practice, EventLog]]:
    """Part a practice's cases from those of its kinds; each case goes to the first that has it."""
    free, parts = np.ones(log.n_cases, dtype=bool), []
    for kind in kinds:
        if kind.refines == practice.name and kind.when is not None:
            mine = kind.when.holds(log) & free
            free &= ~mine
            parts += [(kind, log.select(mine))] if mine.any() else []
    if not parts:
        return [(practice, log)]
    return [*([(practice, log.select(free))] if free.any() else []), *parts]


def by_practice(
    log: EventLog, practices: Mapping[str, Practice], chosen: str | None
) -> list[tuple[Practice, EventLog]]:
    """Give each practice its cases, its kinds not parted from it (see `split_by_practice`)."""
    named = log.cases[s.PRACTICE]
    if chosen is not None:
        return [_chosen(_known(chosen, practices), log)]
    if named.null_count == log.n_cases:
        return [(_fitting(log, practices), log)]
    if named.null_count:
        msg = f"{named.null_count} of {log.n_cases} cases name no practice, the others do"
        fix = "Say --practice: it judges those that name it and those that name none"
        raise CodedError(
            "CL012", msg, fix=f"{fix}. Or fill the column, or [practices] in a mapping"
        )
    words = sorted(named.unique().to_pylist())
    return [(_known(word, practices), log.select(_mask(pc.equal(named, word)))) for word in words]


def _chosen(practice: Practice, log: EventLog) -> tuple[Practice, EventLog]:
    """Give the chosen practice the cases that name it, and those that name none."""
    names = pa.array([practice.name, practice.case_type], pa.string())
    said = log.cases[s.PRACTICE]
    mine = pc.or_(pc.is_in(said, value_set=names), pc.is_null(said))
    if practice.when is not None and practice.when.column in log.cases.column_names:
        mine = pc.and_(mine, pa.array(practice.when.holds(log)))
    if log.n_cases and not pc.any(mine).as_py():
        msg = f"no case of the log is of practice '{practice.name}'"
        said = ", ".join(f"'{word}'" for word in sorted(log.cases[s.PRACTICE].unique().to_pylist()))
        fix = f"The log says {said}; tell in a mapping which practice that is, under [practices]"
        raise CodedError("CL014", msg, fix=f"{fix} (a tool's export) or [case] practice (a table)")
    return practice, log.select(_mask(mine))


def _known(name: str, practices: Mapping[str, Practice]) -> Practice:
    if name not in practices:
        msg = f"there is no practice '{name}'"
        fix = (
            f"Say in a mapping which practice it is ([practices] '{name}' = ...), or judge the "
            "other cases alone with --practice"
        )
        raise CodedError("CL010", msg, fix=f"{did_you_mean(name, practices)} {fix}")
    return practices[name]


def _fitting(log: EventLog, practices: Mapping[str, Practice]) -> Practice:
    known = {
        name: share
        for name, one in practices.items()
        if one.model_path is not None and one.refines is None
        if (share := words_known(one, log)) >= ENOUGH
    }
    fitting = [name for name, share in known.items() if share == max(known.values())]
    if len(fitting) == 1:
        return practices[fitting[0]]
    names = ", ".join(fitting or practices)
    what = "several practices know" if fitting else "no practice knows"
    msg = f"the log names no practice, and {what} its activities"
    raise CodedError("CL011", msg, fix=f"Say --practice with one of: {names}")


def require_fit(model: ReferenceModel, practices: Sequence[Practice]) -> None:
    """A model of one's own is for one practice, and speaks its words."""
    if len(practices) > 1:
        names = ", ".join(practice.name for practice in practices)
        msg = f"--model {model.name} was given for a log of several practices: {names}"
        raise CodedError("CL015", msg, fix="Say --practice too")
    known = practices[0].words
    if not known & set(model.activities):
        msg = f"no task of --model {model.name} is a word of practice {practices[0].name}"
        fix = f"Name its tasks as the practice does: {', '.join(sorted(known))}"
        raise CodedError("CL016", msg, why="No ticket could ever follow it", fix=fix)


def check_shares(
    ready: ReadyLog,
    catalogue: Catalogue,
    allowed: Sequence[str],
    *,
    skip: Collection[str] = frozenset(),
) -> list[CheckResult]:
    """Judge every practice's share of a log by its rules, but for some codes, in one worker."""
    asked = [
        (
            share.prepared.desk,
            [rule for rule in catalogue.for_cases(share.practice.name) if rule.code not in skip],
        )
        for share in ready.shares
    ]
    sha256 = ready.shares[0].translation.log.meta.sha256
    return check_desks(asked, log_sha256=sha256, doubts=ready.doubts, allowed=allowed)


def _judged(ready: ReadyLog, catalogue: Catalogue, allowed: tuple[str, ...]) -> list[PracticeAudit]:
    results = check_shares(ready, catalogue, allowed)
    return [
        PracticeAudit(
            practice=share.practice,
            translation=share.translation,
            prepared=share.prepared,
            result=result,
            in_doubt=doubtful_cases(share.prepared.desk, ready.doubts, PATH),
            clocks=clocks_of(share, catalogue, ready.doubts, allowed)[0],
        )
        for share, result in zip(ready.shares, results, strict=True)
    ]


def clocks_of(
    share: Share, catalogue: Catalogue, doubts: Sequence[Defect], allowed: Collection[str]
) -> tuple[pa.Table, Mapping[str, int]]:
    """Run the service-level clocks of a share, less what the log cannot vouch for."""
    desk = share.prepared.desk
    found = clocks(desk, practice=share.practice.case_type)
    return with_doubts(found, desk, catalogue, doubts, allowed)


def with_words(quality: Quality, translations: Sequence[Translation]) -> Quality:
    """Return the gate's findings with the words that each practice's vocabulary does not map."""
    unmapped = [defect for one in translations for defect in unmapped_words(one)]
    found = sorted([*quality.defects, *unmapped], key=lambda defect: (defect.code, defect.subject))
    return replace(quality, defects=tuple(found))


def require_codes(allowed: Sequence[str]) -> None:
    """An acceptance of a defect that does not exist is a slip that would accept nothing."""
    for code in allowed:
        if code not in KINDS:
            msg = f"--allow {code}: the quality gate has no such code"
            raise CodedError("CL018", msg, fix=did_you_mean(code, KINDS))


def judged_at(log: EventLog, moment: dt.datetime | None) -> int:
    """The moment at which open cases are judged; it may not lie before the log's last event.

    Single events more than a year away from all others (QG155) do not say when the log ends.
    """
    at = log.arrays.at
    usual = at[~outlying(at)] if log.timed else at
    last = int(usual.max()) if len(usual) else 0
    if moment is None:
        return last
    asked = (moment - EPOCH) // dt.timedelta(microseconds=1)
    if asked < last:
        seen = (EPOCH + dt.timedelta(microseconds=last)).isoformat()
        msg = f"--as-of {moment.isoformat()} lies before the last event of the log, {seen}"
        raise CodedError(
            "CL013",
            msg,
            why="Later events would be judged as if known",
            fix="Cut the log, or judge it later",
        )
    return asked


def _mask(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    mask: npt.NDArray[np.bool_] = column.combine_chunks().to_numpy(zero_copy_only=False)
    return mask
