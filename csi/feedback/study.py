"""What do customers say of the desk? From survey files and a log to figures with their limits.

survey files and cases → responses (`channels`) → what counts (`screening`) → scores, response
rates, bounds and weights, of all and by segment (`figures`) → what comments are about (`comments`)
→ what lies behind the scores and became of the low ones (`closing`).

Segments are the channel and, where there is a log, the ticket's practice, priority, service,
category, team and month of its end. Teams of fewer than 5 known people are shown as one.
Weights and bounds over all tickets speak of the tickets that ended and are of a practice of which
somebody was asked at all. Nothing depends on the day it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from csi.audit import AuditRequest, audit_log, judged_at
from csi.feedback.channels import file_channels, log_channels
from csi.feedback.channels._own import NAME as OWN
from csi.feedback.channels._own import is_own, read_own
from csi.feedback.channels._table import require_columns
from csi.feedback.closing import closing_of
from csi.feedback.comments import Comment, group_comments
from csi.feedback.declared import Declared, load_declared
from csi.feedback.figures import ALL, Ask, Population, Segment, figures, response_rate
from csi.feedback.responses import CANONICAL
from csi.feedback.scales import SCALES
from csi.feedback.screening import person_of, screen
from csi.feedback.tickets import SEGMENTS, tickets_of
from csi.register import Register
from process_mining import schema as s
from process_mining.errors import CodedError, RunError, did_you_mean
from process_mining.privacy import SMALLEST_TEAM, people_of_teams
from process_mining.sources import ReadOptions, open_log
from process_mining.sources._csv import header_of
from process_mining.sources._files import check_file

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from csi.audit import Audit
    from csi.feedback.closing import Closing
    from csi.feedback.comments import Grouping
    from csi.feedback.declared import SurveyForm
    from csi.feedback.figures import Figure, Rate
    from csi.feedback.responses import Reading
    from csi.feedback.screening import Screening
    from csi.feedback.tickets import Tickets
    from csi.register import Entry
    from process_mining.eventlog import EventLog

CHANNEL: Final = "channel"
SMALL_TEAMS: Final = f"(teams of fewer than {SMALLEST_TEAM} known people)"
REJECTS_SHOWN: Final = 3


@dataclass(frozen=True)
class FeedbackRequest:
    """What to read; every field is an option of `trueloop feedback`."""

    logs: tuple[Path, ...] = ()
    read: ReadOptions = field(default_factory=ReadOptions)
    practice: str | None = None
    surveys: tuple[Path, ...] = ()
    channel: str | None = None
    survey_mapping: Path | None = None
    answer_within_us: int | None = None
    show_comments: bool = False
    as_of: dt.datetime | None = None
    targets: Path | None = None
    register: Path | None = None


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that was found. `population` and `tickets` are None without a log.

    `closing`: what lies behind the scores, None where the log does not tell.
    """

    request: FeedbackRequest
    log: EventLog | None
    readings: tuple[Reading, ...]
    tickets: Tickets | None
    screening: Screening
    population: Population | None
    rates: tuple[Rate, ...]
    figures: tuple[Figure, ...]
    comments: Grouping
    closing: Closing | None
    notes: tuple[str, ...]

    @property
    def rejected(self) -> int:
        """How many rows of survey files, and answers of cases, were refused."""
        return sum(one.rejects.num_rows for one in self.readings)


def study(request: FeedbackRequest, step: Callable[[str], None] = lambda _: None) -> Study:
    """Run the whole, naming each step to `step`; raises CodedError for the user to mend."""
    declared = Declared()
    if request.survey_mapping is not None:
        declared = load_declared(request.survey_mapping)
    _require_sound(request, declared)
    step("reading")
    log = open_log(request.logs, request.read) if request.logs else None
    readings = [one for path in request.surveys for one in _read_file(path, request, declared)]
    if log is not None:
        found = (one.read_log(log, declared.log) for one in log_channels().values())
        readings += [one for one in found if one is not None]
    _require_whole(readings, request)
    step("screening")
    tickets = None if log is None else _tickets(log, request.practice)
    screening = screen(
        pa.concat_tables([CANONICAL.empty_table(), *(one.responses for one in readings)]),
        tickets,
        within_us=request.answer_within_us,
        key=request.read.pseudonym_key,
        clear_names=request.read.clear_names,
    )
    step("figures")
    asks = asks_of(screening)
    population = None if tickets is None else _population(tickets, asks)
    parts = list(_parts(asks, tickets, population))
    step("comments")
    names = {one.response.respondent or "" for one in screening.rows}
    if log is not None and log.meta.clear_names:
        names |= set(log.arrays.actors)
    comments = group_comments(_comments(screening), names=names, texts=request.show_comments)
    closing = None
    if log is not None and tickets is not None and tickets.translations and log.timed:
        closing = closing_of(_audit(log, request, step), screening, _entries(request))
    return Study(
        request=request,
        log=log,
        readings=tuple(readings),
        tickets=tickets,
        screening=screening,
        population=population,
        rates=tuple(response_rate(own, some, of=of) for of, own, some in parts),
        figures=tuple(
            figure
            for of, own, some in parts
            for figure in figures(own, some, of=of, weigh=SEGMENTS if of == ALL else ())
        ),
        comments=comments,
        closing=closing,
        notes=_notes(readings, tickets, population),
    )


# --- reading


def _entries(request: FeedbackRequest) -> tuple[Entry, ...]:
    """The entries of the improvement register; RG116 where its chain is broken."""
    if request.register is None:
        return ()
    register = Register.open(request.register, create=False)
    register.require_intact()
    return register.list()


def _require_sound(request: FeedbackRequest, declared: Declared) -> None:
    """Refuse what no file is needed for to see that it is wrong."""
    known = file_channels()
    named = [form.channel for form in declared.survey]
    if request.channel is not None and request.channel != OWN:
        named.append(request.channel)
    for name in named:
        if name not in known:
            msg = f"there is no channel '{name}' of survey files"
            fix = did_you_mean(name, [*known, OWN])
            if name in log_channels():
                fix = "It is read from the log by itself: name the log alone"
            raise CodedError("ST538", msg, fix=fix)
    for form in declared.survey:
        missing = set(known[form.channel].NEEDS) - form.columns.names().keys()
        if missing:
            msg = f"channel '{form.channel}' needs {', '.join(sorted(missing))} under columns"
            raise CodedError("ST535", msg, fix="Name the column, or declare another channel")
    if not request.surveys and not request.logs:
        msg = "neither a log nor a survey file is given"
        raise CodedError("ST543", msg, fix="Give --surveys FILE, a log that holds ratings, or both")


def _read_file(path: Path, request: FeedbackRequest, declared: Declared) -> Iterator[Reading]:
    """Read one survey file by every declaration of the one channel that fits it."""
    check_file(path)
    wanted = [f for f in declared.survey if request.channel in (None, f.channel)]
    fitting = [form for form in wanted if form.named() <= set(_header(path, form))]
    names = sorted({form.channel for form in fitting})
    if request.channel == OWN or (not fitting and is_own(header_of(path))):
        yield read_own(path)
        return
    if len(names) > 1:
        msg = f"{path.name} has the columns of several channels: {', '.join(names)}"
        raise CodedError("ST536", msg, fix="Say which with --channel")
    if not fitting:
        if len(wanted) == 1:
            require_columns(path.name, _header(path, wanted[0]), wanted[0])
        msg = f"no declaration says how to read {path.name}"
        fix = "Declare its columns under [[survey]] in a TOML file and give --survey-mapping"
        raise CodedError("ST536", msg, fix=f"{fix}; docs/howto-feedback.md shows one")
    for form in fitting:
        yield file_channels()[form.channel].read(path, form)


def _header(path: Path, form: SurveyForm) -> list[str]:
    return header_of(path, delimiter=form.csv.delimiter, encoding=form.csv.encoding)


def _require_whole(readings: Sequence[Reading], request: FeedbackRequest) -> None:
    """Stop where rows were refused without leave, where there is nothing, or a file came twice."""
    rejects = pa.concat_tables([s.REJECT_SCHEMA.empty_table(), *(r.rejects for r in readings)])
    rows = sum(one.rows_in for one in readings)
    if rejects.num_rows and not request.read.allow_rejects:
        first = rejects.slice(0, REJECTS_SHOWN).to_pylist()
        places = "; ".join(f"{r['file']} {r['place']}: {r['code']} {r['reason']}" for r in first)
        msg = f"{rejects.num_rows} of {rows} survey rows are refused: {places}"
        fix = "Mend them, or leave them out knowingly with --allow-rejects"
        raise RunError("ST506", msg, why="Scores without them may not be the customers'", fix=fix)
    if not rows:
        notes = ". ".join(note for one in readings for note in one.notes)
        fix = f"{notes}. Give --surveys FILE" if notes else "Give --surveys FILE"
        raise CodedError("ST543", "neither the files nor the log hold any feedback", fix=fix)
    hashes = {file.sha256: file for one in readings for file in one.files}
    if len(hashes) < len(request.surveys):
        msg = "one survey file is given twice, or two have the same content"
        raise CodedError("ST545", msg, why="Its answers would count twice", fix="Name it once")


def _audit(log: EventLog, request: FeedbackRequest, step: Callable[[str], None]) -> Audit:
    """Audit the log: what lies behind a score is told by its rules and clocks."""
    judged = AuditRequest(
        logs=request.logs,
        read=request.read,
        practice=request.practice,
        targets=request.targets,
        as_of=request.as_of,
    )
    return audit_log(log, judged, as_of_us=judged_at(log, request.as_of), step=step)


# --- who was asked


def _tickets(log: EventLog, practice: str | None) -> Tickets:
    """What the log knows of its tickets; small teams, of which people could be seen, as one."""
    found = tickets_of(log, practice)
    few = {team for team, n in people_of_teams(log).items() if n < SMALLEST_TEAM}
    hidden = {
        case_id: replace(one, segments=one.segments | {s.TEAM: SMALL_TEAMS})
        for case_id, one in found.by_id.items()
        if one.segments[s.TEAM] in few
    }
    return replace(found, by_id=found.by_id | hidden)


def asks_of(screening: Screening) -> list[Ask]:
    """Return the asks that count, with the scores that count."""
    return [
        Ask(
            ticket=one.response.ticket,
            channel=one.response.channel,
            scale=one.response.scale,
            score=one.score,
            who=person_of(one.response, place),
            known=one.response.ask_known,
        )
        for place, one in enumerate(screening.rows)
        if one.asked
    ]


def _population(tickets: Tickets, asks: Sequence[Ask]) -> Population:
    """Return the tickets that ended and are of a practice of which somebody was asked."""
    asked = {tickets.by_id[ask.ticket].segments[s.PRACTICE] for ask in asks}
    return Population(
        {
            case_id: one.segments
            for case_id, one in tickets.ended().items()
            if one.segments[s.PRACTICE] in asked
        }
    )


def _parts(
    asks: Sequence[Ask], tickets: Tickets | None, population: Population | None
) -> Iterator[tuple[Segment, list[Ask], Population | None]]:
    """Yield all asks, and those of each segment, with the tickets they could have been about.

    A channel has no tickets of its own: which tickets it could have asked about is not known.
    """
    yield ALL, list(asks), population
    for channel in sorted({ask.channel for ask in asks}):
        yield Segment(CHANNEL, channel), [a for a in asks if a.channel == channel], None
    if tickets is None or population is None:
        return
    for by in SEGMENTS:
        of_ask = [tickets.by_id[ask.ticket].segments[by] for ask in asks]
        values = {*of_ask, *(one[by] for one in population.segments.values())}
        if values == {None}:
            continue
        for value in sorted(values, key=lambda v: (v is None, v or "")):
            own = [ask for ask, said in zip(asks, of_ask, strict=True) if said == value]
            yield Segment(by, value), own, population.within(by, value)


def _comments(screening: Screening) -> list[Comment]:
    """Return each comment once, however many questions it came with; those that count."""
    order = {name: place for place, name in enumerate(SCALES)}
    found: dict[tuple[str, ...], Comment] = {}
    rows = [(place, one) for place, one in enumerate(screening.rows) if not one.excluded]
    for place, one in sorted(rows, key=lambda pair: order[pair[1].response.scale]):
        row = one.response
        if row.comment is not None:
            key = (row.ticket, row.channel, person_of(row, place), row.comment)
            kept = found.get(key)
            if kept is None or (kept.score is None and one.score is not None):
                found[key] = Comment(row.ticket, row.comment, row.scale, one.score)
    return list(found.values())


def _notes(
    readings: Sequence[Reading], tickets: Tickets | None, population: Population | None
) -> tuple[str, ...]:
    notes = [note for one in readings for note in one.notes]
    if tickets is None or population is None:
        notes.append(
            "no log was given: tickets are not checked, and nobody knows who was not asked"
        )
        return tuple(notes)
    notes += tickets.notes
    ended = tickets.ended()
    others = [
        one.segments[s.PRACTICE] or "(not said)"
        for case_id, one in ended.items()
        if case_id not in population.segments
    ]
    if others:
        named = ", ".join(sorted(set(others)))
        notes.append(f"nobody was asked about {len(others)} ended tickets of: {named}")
    return tuple(notes)
