"""Which log do these files hold?

A source is a module that lies in this folder (its name does not start with `_`): it has NAME,
`sniff(path, head) -> bool`, which tells by content and not by name, and
`read(paths, options) -> Parts`. A module with FALLBACK = True takes a file only where no other
source knows it, or where a mapping declares the columns ([event]); one with IS_MAPPING = True reads
files that are mappings themselves. `open_log` picks the source of
every file, reads the files of each source together, joins what they give to one log and remembers
name, SHA-256 and size of each file.

Nothing is lost in silence: rows in = accepted + rejected. Rejects stop the reading unless
`allow_rejects` is set; then they are kept in `LogMeta.rejects`.

The clock's resolution is the coarsest of day, hour, minute, second, millisecond of which every
time is a multiple, 1 µs below `MIN_TIMES` distinct times (too few to tell).
"""

from __future__ import annotations

import importlib
import pkgutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining import schema as s
from process_mining._coded import plain, ranked
from process_mining._order import packed_keys
from process_mining.clock import wall_us
from process_mining.errors import CodedError, RunError, did_you_mean
from process_mining.eventlog import POSITION, EventLog, LogMeta, Seen
from process_mining.extraction import truncated_last_case
from process_mining.sources._files import cells_of, check_file, fingerprint, head_of
from process_mining.sources._rejects import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from process_mining.eventlog import Ints, SourceFile
    from process_mining.sources._proposal import Proposal


MIN_TIMES: Final = 30
SOME_TIMES: Final = 1 << 12
RESOLUTIONS: Final = (s.US_PER_DAY, s.US_PER_HOUR, s.US_PER_MINUTE, s.US_PER_SECOND, 1_000)
CASE_TABLE: Final = "own_cases"


@dataclass(frozen=True)
class ReadOptions:
    """How to read: a source by name, a mapping file, the zone of stamps without offset.

    `object_types` are the OCEL object types whose objects are the cases.
    """

    source: str | None = None
    mapping: Path | None = None
    timezone: str | None = None
    object_types: tuple[str, ...] = ()
    pseudonym_key: bytes | None = None
    clear_names: bool = False
    clear_contacts: bool = False
    allow_rejects: bool = False


@dataclass(frozen=True, eq=False)
class Parts:
    """What one source read, as `EventLog.build` takes it, and what only the reader could see.

    `refused_cases` are the ids of the cases that lost rows to `rejects`, None where it may be any.
    `milestones` are the only activities that the source can record, where a row tells all of a
    ticket: then no end of a file cuts one, and no other step is ever seen. Empty: not known.
    """

    events: pa.Table
    cases: pa.Table | None
    rows_in: int
    rejects: pa.Table
    timezone: str
    refused_cases: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    seen: tuple[Seen, ...] = ()
    links: pa.Table | None = None
    people: frozenset[str] = frozenset()
    activity_order: tuple[str, ...] = ()
    milestones: tuple[str, ...] = ()


class Source(Protocol):
    """A module of this folder."""

    NAME: str

    def sniff(self, path: Path, head: bytes) -> bool:
        """Whether the content is of this kind."""

    def read(self, paths: Sequence[Path], options: ReadOptions) -> Parts:
        """Read the files as one log."""


def open_log(paths: Sequence[Path], options: ReadOptions | None = None) -> EventLog:
    """Read the files as one log; coded errors say what cannot be read and how it is mended."""
    options = options or ReadOptions()
    _check_paths(paths)
    before = [path.stat() for path in paths]
    with ThreadPoolExecutor(1) as pool:  # a file is hashed while it is read
        hashing = pool.map(fingerprint, paths)
        if len(paths) > 1:
            hashing = iter(_refuse_copies(tuple(hashing)))
        chosen = _choose(paths, options)
        parts = [source.read(own, options) for source, own in chosen]
        files = tuple(hashing)
    read = list(zip(chosen, parts, strict=True))
    for path, stat in zip(paths, before, strict=True):
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            raise RunError("LG016", f"{path.name} changed while it was read", fix="Read it again")
    meta = LogMeta(
        source="+".join(source.NAME for source, _ in chosen),
        files=files,
        timezone=next((p.timezone for p in parts if p.events.num_rows), "UTC"),
        rows_in=sum(part.rows_in for part in parts),
        rejects=pa.concat_tables([part.rejects for part in parts]),
        clear_names=options.clear_names,
        clear_contacts=options.clear_contacts,
        notes=tuple(note for part in parts for note in part.notes),
        recordable=_recordable(parts),
        seen=(
            *(seen for part in parts for seen in part.seen),
            *(seen for (source, _), part in read for seen in _cut(source, part)),
        ),
    )
    return _build(parts, meta, options)


def _recordable(parts: Sequence[Parts]) -> tuple[str, ...]:
    """The only activities that these sources can record; nothing where one of them does not say."""
    told = [part.milestones for part in parts if part.events.num_rows]
    return tuple(sorted({word for words in told for word in words})) if all(told) else ()


def sources() -> dict[str, Source]:
    """Return the sources that lie in this folder, by name."""
    modules = [entry.name for entry in pkgutil.iter_modules(__path__) if entry.name[0] != "_"]
    loaded = [importlib.import_module(f"{__name__}.{name}") for name in sorted(modules)]
    return {module.NAME: cast("Source", module) for module in loaded}


def find_mapping(name_or_path: str | Path) -> Path:
    """Return the path of a mapping: a file, or the name of one that ships."""
    # Imported here: pydantic is needed only where there is a mapping.
    from process_mining.sources import _mapping  # noqa: PLC0415

    return _mapping.find_mapping(name_or_path)


def propose_mapping(path: Path) -> Proposal:
    """Propose a mapping for a table; see `_proposal`."""
    from process_mining.sources import _proposal  # noqa: PLC0415 - as above

    return _proposal.propose_mapping(path)


def _declared_columns(mapping: Path) -> frozenset[str]:
    """The columns besides the case id that a mapping names; none if it adapts a tool's export."""
    from process_mining.sources import _mapping  # noqa: PLC0415 - as above

    found = _mapping.load_mapping(mapping)
    case_id = found.event.case_id if found.event is not None else None
    return frozenset(found.columns()) - {case_id}


def refuse_mapping(options: ReadOptions, source: str) -> None:
    """Raise CodedError LG033 where a mapping is given for a source that states its own columns."""
    if options.mapping is not None:
        msg = f"mapping {options.mapping.name} would not be used: {source} names its own columns"
        raise CodedError("LG033", msg, fix="Leave --mapping out")


def _check_paths(paths: Sequence[Path]) -> None:
    if not paths:
        raise CodedError("LG010", "no log is given", fix="Name one file or more")
    for path in paths:
        check_file(path)
    real = [path.resolve() for path in paths]
    twice = [path for path in paths if real.count(path.resolve()) > 1]
    if twice:
        msg = f"{twice[0]} is given twice"
        raise CodedError("LG015", msg, why="every event would count twice", fix="Name it once")


def _refuse_copies(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
    """Return the files; refuse a file and its copy under another name."""
    first: dict[str, str] = {}
    for file in files:
        if file.sha256 in first:
            msg = f"{first[file.sha256]} and {file.name} hold the same bytes"
            raise CodedError("LG015", msg, why="every event would count twice", fix="Name one")
        first[file.sha256] = file.name
    return files


def _choose(paths: Sequence[Path], options: ReadOptions) -> list[tuple[Source, list[Path]]]:
    """Give every file to its source; sources by name, files of a source by fingerprint order."""
    known = sources()
    if options.source is not None and options.source not in known:
        msg = f"there is no source '{options.source}'"
        raise CodedError("LG032", msg, fix=did_you_mean(options.source, known))
    columns = _declared_columns(options.mapping) if options.mapping else frozenset()
    own: dict[str, list[Path]] = {}
    for path in paths:
        name = _source_of(path, known, options.source, columns)
        own.setdefault(name, []).append(path)
    if options.source is not None and options.source not in own:
        own = {options.source: list(paths)}
    if options.object_types and "ocel" not in own:
        msg = f"{paths[0].name} is no object-centric log, so it has no object types"
        raise CodedError("LG038", msg, fix="Leave --object-type out")
    return [(known[name], own[name]) for name in sorted(own)]


def _source_of(
    path: Path, known: dict[str, Source], forced: str | None, columns: frozenset[str]
) -> str:
    """Return the name of the source of a file; a case table stays one beside a forced source.

    `columns` are those that a mapping declares: a table that has one of them besides the case id
    is read by the mapping.
    """
    head = head_of(path)
    fits = [name for name, source in known.items() if source.sniff(path, head)]
    general = [name for name in fits if getattr(known[name], "FALLBACK", False)]
    certain = any(getattr(known[name], "IS_MAPPING", False) for name in fits)
    declared = CASE_TABLE not in fits or bool(columns & set(cells_of(head)))
    if columns and general and declared and not certain:
        fits = general
    elif len(fits) > len(general):
        fits = [name for name in fits if name not in general]
    if forced is not None:
        return CASE_TABLE if fits == [CASE_TABLE] else forced
    if not fits:
        raise CodedError(
            "LG030",
            f"{path.name} holds nothing that a source knows",
            fix=f"Known sources: {', '.join(known)}. Choose one with --source if it is one of them",
        )
    if len(fits) > 1:
        msg = f"{path.name} could be read by {' or '.join(fits)}"
        raise CodedError("LG031", msg, fix="Choose one with --source")
    return fits[0]


def _build(parts: Sequence[Parts], meta: LogMeta, options: ReadOptions) -> EventLog:
    if meta.rejects.num_rows and not options.allow_rejects:
        refuse(meta.rejects, meta.rows_in)
    events = _joined([part.events for part in parts])
    if events is None and meta.rejects.num_rows:
        refuse(meta.rejects, meta.rows_in, nothing_left=True)
    if events is None:
        names = ", ".join(file.name for file in meta.files)
        raise RunError("LG034", f"{names}: there is no event in it", fix="Give a log with events")
    meta = replace(
        meta,
        time_resolution_us=resolution_us(
            events[s.AT], meta.timezone, dates=any(seen.code == "QG123" for seen in meta.seen)
        ),
        seen=(*meta.seen, *_contradictions(events), *_refused(parts)),
    )
    cases = _joined([part.cases for part in parts if part.cases is not None])
    links = [part.links for part in parts if part.links is not None]
    events, links_of_events = _without_links(events)
    if cases is not None:
        cases, links_of_cases = _without_links(cases)
        links += links_of_cases
    return EventLog.build(
        events,
        meta=meta,
        cases=cases,
        links=_joined([*links, *links_of_events]),
        people=frozenset().union(*(part.people for part in parts)),
        activity_order=_one_order([part.activity_order for part in parts]),
        pseudonym_key=options.pseudonym_key,
    )


def _without_links(table: pa.Table) -> tuple[pa.Table, list[pa.Table]]:
    """Split the `link.*` columns off; a link is known from the first row that shows it."""
    names = [name for name in table.column_names if name.startswith(s.LINK_PREFIX)]
    timed = s.AT in table.column_names
    found = []
    for name in names:
        columns = [s.CASE_ID, name, *([s.AT] if timed else [])]
        rows = plain(table.select(columns).filter(table[name].is_valid()))
        first = rows.group_by([s.CASE_ID, name]).aggregate([(s.AT, "min")] if timed else [])
        at = first[f"{s.AT}_min"] if timed else pa.nulls(len(first), pa.int64())
        kind = pa.repeat(pa.scalar(name.removeprefix(s.LINK_PREFIX)), len(first))
        found.append(pa.table([first[s.CASE_ID], first[name], kind, at], schema=s.LINK_SCHEMA))
    return table.drop_columns(names) if names else table, found


def _one_order(orders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the one declared order of activities; a run reads one mapping, so there is one."""
    return next((order for order in orders if order), ())


def _joined(tables: Sequence[pa.Table]) -> pa.Table | None:
    """Return the rows of all tables; columns that a table lacks are null in its rows."""
    filled = [table for table in tables if table.num_rows]
    if len(filled) > 1:  # one may have its texts coded and another not
        filled = [plain(table) for table in filled]
    return pa.concat_tables(filled, promote_options="default") if filled else None


def _refused(parts: Sequence[Parts]) -> list[Seen]:
    """Return that rows were left out by leave: what they would have told is missing."""
    torn = [part for part in parts if part.events.num_rows and part.rejects.num_rows]
    if not torn:
        return []
    known = [part.refused_cases for part in torn]
    every = None if None in known else {case for cases in known for case in cases or ()}
    count, of = sum(part.rejects.num_rows for part in torn), sum(part.rows_in for part in torn)
    cases = None if every is None else tuple(sorted(every))
    return [Seen("QG154", count, unit="rows", of=of, cases=cases)]


def resolution_us(at: pa.ChunkedArray, zone: str = "UTC", *, dates: bool = False) -> int:
    """Return the coarsest unit of which every time is a multiple, 1 where too few tell.

    A clock is coarse as people read it: in UTC or in the zone that the times were written in.
    `dates` says that some column holds dates only; then few times tell, too.
    """
    times = at.drop_null().to_numpy()
    few = len(np.unique(times[:SOME_TIMES])) < MIN_TIMES and len(np.unique(times)) < MIN_TIMES
    if not len(times) or (few and not dates):
        return 1
    wall = times if zone == "UTC" else wall_us(times, zone)
    coarsest = max(_unit_of(times), _unit_of(wall))
    return coarsest if not few or coarsest == s.US_PER_DAY else 1


def _unit_of(times: Ints) -> int:
    units = (unit for unit in RESOLUTIONS if not np.any(times[:SOME_TIMES] % unit))
    return next((unit for unit in units if not np.any(times % unit)), 1)


def _cut(source: Source, part: Parts) -> list[Seen]:
    """Return the last case of a table if it seems to be cut; other formats say where they end."""
    events = part.events
    table = getattr(source, "FALLBACK", False) and not part.milestones
    if not table or not events.num_rows or events[s.AT].null_count:
        return []
    case, activity = (ranked(events[name]).codes for name in (s.CASE_ID, s.ACTIVITY))
    row = truncated_last_case(case, activity, events[s.AT].to_numpy())
    if row < 0:
        return []
    cases = (str(events[s.CASE_ID][row].as_py()),)
    return [
        Seen("QG152", 1, unit="cases", of=int(np.count_nonzero(np.bincount(case))), cases=cases)
    ]


def _contradictions(events: pa.Table) -> list[Seen]:
    """Return what only the rows as read can show: times filled in backwards, order against time."""
    found = []
    for name in (s.RESOLVED, s.CLOSED):
        column = s.CASE_PREFIX + name
        if column in events.column_names:
            ahead = events[s.CASE_ID].filter(pc.greater(events[column], events[s.AT]))
            if len(ahead):
                found.append(Seen("QG109", len(ahead), subject=name, cases=_distinct(ahead)))
    backwards = _against_order(events)
    if len(backwards):
        found.append(Seen("QG110", len(backwards), cases=_distinct(backwards)))
    return found


def _distinct(ids: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(ranked(ids).used().to_pylist())


def _against_order(events: pa.Table) -> pa.ChunkedArray:
    """Return the case of each event that the declared order puts after one with a later time."""
    if POSITION not in events.column_names or events[s.AT].null_count:
        return events[s.CASE_ID].slice(0, 0)
    case = ranked(events[s.CASE_ID]).codes
    position, at = events[POSITION].fill_null(0).to_numpy(), events[s.AT].to_numpy()
    order = np.argsort(packed_keys([case.astype(np.int64), position, at]))
    same = np.diff(case[order]) == 0
    late = order[1:][same & (np.diff(at[order]) < 0)]
    return events[s.CASE_ID].take(pa.array(late))
