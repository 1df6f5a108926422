"""Which events does an XES log hold?

A reader of our own for IEEE 1849 logs (1849-2016 and 1849-2023). What it takes, and as what:

    trace: concept:name → case_id; other attributes → the case's attr.<key>
    event: concept:name → activity, lifecycle:transition → lifecycle, org:resource → actor,
           org:group → team, time:timestamp → at, place in the trace → position;
           other attributes → attr.<key>

A mapping with [event] names other keys: `case_id` a key of the trace, the rest of [event] keys of
the event; what [case] names is looked for in the trace first, then in its events (the last known
value). A mapping without [event] may still declare [time], activity_order and `same_name`.

Values are kept as the text that stands in the file, whatever their tag (int, float, boolean, id,
date); one that lacks the lexical form of its tag is counted in a note. Attributes nested in an
attribute or container are kept as attr.<outer>.<inner>, lists as JSON (`lists`). Attributes of
the log and extensions are not read, globals and classifiers only for notes: a global's value is the
default of a tool, not a fact. Names may have any namespace prefix; the namespace is not checked.

A log without any time is read (level A: order only). Rejected: an event without name, one whose
time is missing or unreadable, one with a key twice or an attribute without key or value, and every
event of a trace without name. These stop the reading: DOCTYPE (so no entity can be declared),
malformed or cut XML, an event outside a trace, two logs in one file, two traces of one name (unless
`same_name = "separate"` makes each a case), and a tag of more than `by_tags.MAX_TAG` bytes.

How: whole traces are cut out of the bytes by vector operations where they are plain
(`plain`), everything else goes tag by tag through expat (`by_tags`); both give the same
tables. Where something is wrong that only the tags can place (a line number), all is read again
tag by tag. Memory: the columns, and one block of `BLOCK` to `MAX_BLOCK` bytes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np

from process_mining.errors import CodedError, RunError
from process_mining.sources._files import UTF16_MARKS, open_bytes
from process_mining.sources._mapped import zone_of
from process_mining.sources._mapping import load_mapping
from process_mining.sources._times import ISO, TimeReader, load_zone
from process_mining.sources.ocel.from_xml import is_ocel_xml
from process_mining.sources.xes.by_tags import FileFacts, TagReader
from process_mining.sources.xes.log import Plan, UnsureError, assemble
from process_mining.sources.xes.plain import scan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import BufferedReader
    from pathlib import Path

    from process_mining.sources import Parts, ReadOptions
    from process_mining.sources.xes.plain import Block

NAME: Final = "xes"
CHUNK: Final = 1 << 20
BLOCK: Final = 4 << 20
MAX_BLOCK: Final = 32 << 20

_ROOT: Final = re.compile(r"<(?!\?|!--)(?:[\w.-]+:)?(!DOCTYPE|[\w.-]+)")
_COMMENT: Final = re.compile(r"<!--.*?(-->|\Z)", re.DOTALL)
# In well-formed XML these four can begin nowhere but where they are what they look like.
_FIRST: Final = re.compile(rb"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|(<trace)", re.DOTALL)
_DECLARATION: Final = re.compile(rb"(?:\xef\xbb\xbf)?<\?xml[ \t\r\n](.*?)\?>", re.DOTALL)
_ENCODING: Final = re.compile(rb"encoding[ \t\r\n]*=[ \t\r\n]*[\"']([^\"']*)[\"']")
_END: Final = b"</trace>"


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001 - the content decides, not the name
    """Whether this is XML with root `log` that is no OCEL, or has a DOCTYPE (then refused)."""
    text = _COMMENT.sub("", _xml_text(head)).lstrip("\ufeff \t\r\n")
    if not text.startswith("<"):
        return False
    root = _ROOT.search(text)
    if root is None or root.group(1) not in {"log", "!DOCTYPE"}:
        return False
    return not is_ocel_xml(head)


def _xml_text(head: bytes) -> str:
    if head.startswith(UTF16_MARKS):
        return head.decode("utf-16", errors="replace")
    if head.startswith((b"<\0", b"\0<")):
        return head.replace(b"\0", b"").decode("latin-1")
    return head.decode("utf-8", errors="replace")


def read(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files as one log."""
    plan = _plan(paths, options)
    try:
        return assemble(_read_all(paths, by_tags=False), paths, plan)
    except UnsureError:
        return read_by_tags(paths, options)


def read_by_tags(paths: Sequence[Path], options: ReadOptions) -> Parts:
    """Read the files tag by tag: the same log, slower; what is wrong has its line."""
    return assemble(_read_all(paths, by_tags=True), paths, _plan(paths, options))


def _plan(paths: Sequence[Path], options: ReadOptions) -> Plan:
    if options.mapping is None:
        zone = options.timezone
        reader = TimeReader(pattern=ISO, zone=load_zone(zone) if zone else None)
        return Plan(None, "refuse", reader, zone)
    mapping = load_mapping(options.mapping)
    if mapping.milestones:
        msg = f"mapping '{mapping.name}' has [milestones], and {paths[0].name} is no table"
        raise CodedError("LG053", msg, fix="Name the keys of its events under [event]")
    of_tool = mapping.model_fields_set & {"words", "practices", "priorities", "fields"}
    table = mapping.table(paths[0]) if mapping.event or of_tool else None
    zone = zone_of(mapping, options.timezone)
    reader = TimeReader(
        pattern=mapping.time.format or ISO,
        zone=load_zone(zone) if zone else None,
        ambiguous=mapping.time.ambiguous,
        nonexistent=mapping.time.nonexistent,
    )
    return Plan(
        table, mapping.same_name, reader, zone, tuple(mapping.notes), mapping.activity_order
    )


def _read_all(paths: Sequence[Path], *, by_tags: bool) -> list[FileFacts]:
    files: list[FileFacts] = []
    for path in paths:
        first = files[-1].first + files[-1].n_traces if files else 0
        files.append(FileFacts(path.name, first))
        _File(path, files[-1]).read(by_tags=by_tags)
    return files


class _File:
    """One file: its plain stretches as blocks of columns, the rest tag by tag."""

    def __init__(self, path: Path, facts: FileFacts) -> None:
        self._path, self._facts = path, facts
        self._tags = TagReader(facts)

    def read(self, *, by_tags: bool) -> None:
        """Read the whole file; UnsureError where only reading by tags can tell what is wrong."""
        try:
            with open_bytes(self._path) as stream:
                if not by_tags:
                    self._read_blocks(stream)
                while chunk := stream.read(CHUNK):
                    self._tags.feed(chunk)
            self._tags.close()
        except RunError as error:
            # Plain stretches were not fed to expat: let it see all before it says where.
            if not by_tags and error.code.startswith("LG07"):
                raise UnsureError from error
            raise

    def _read_blocks(self, stream: BufferedReader) -> None:
        """Read blocks of whole traces until one is not plain; the rest is fed or unread."""
        rest = self._after_head(stream)
        while rest is not None:
            more = stream.read(BLOCK)
            rest += more
            end = _end_of_traces(rest)
            if end and self._tags.between_traces and rest.startswith(b"<trace"):
                if not self._take(rest[:end]):
                    self._tags.feed(rest[end:])
                    return
                rest = rest[end:]
            elif not more or len(rest) > MAX_BLOCK or not rest.startswith(b"<trace"):
                self._tags.feed(rest)
                return

    def _after_head(self, stream: BufferedReader) -> bytes | None:
        """Feed what stands before the first trace; return what follows, if it may be plain."""
        head, start = b"", None
        while start is None and len(head) <= MAX_BLOCK and (more := stream.read(BLOCK)):
            head += more
            start = next((m.start(1) for m in _FIRST.finditer(head) if m[1]), None)
        if start is None or not _is_utf8(head):
            self._tags.feed(head)
            return None
        self._tags.feed(head[:start])
        return head[start:]

    def _take(self, data: bytes) -> bool:
        """Read a block of whole traces; return whether what follows may be plain again."""
        block = scan(data)
        if block is None:
            self._tags.feed(data)
            return False
        rest = self._feed_doubtful(data, block)
        if rest is not None:
            self._tags.feed(rest)
        return rest is None

    def _feed_doubtful(self, data: bytes, block: Block) -> bytes | None:
        """Read the doubtful traces by tags and take the others as columns.

        Returns what is left because a trace did not end where it seemed to: that is for expat
        alone.
        """
        facts, begin, rest = self._facts, 0, None
        before, extra = facts.n_traces, np.zeros(len(block.doubtful), np.int64)
        for trace in np.flatnonzero(block.doubtful).tolist():
            start, end = block.starts[trace : trace + 2].tolist()
            self._skip(data, begin, start)
            begin = end
            number = before + trace + int(extra[:trace].sum())
            facts.n_traces = number
            self._tags.feed(data[start:end])
            extra[trace] = facts.n_traces - number - 1
            if not self._tags.between_traces:
                block.doubtful[trace:] = True
                rest = data[end:]
                break
        else:
            self._skip(data, begin, len(data))
            facts.n_traces = before + len(extra) + int(extra.sum())
        shifted = np.arange(len(extra)) + np.cumsum(extra) - extra
        block.take(facts, facts.first + before + shifted)
        return rest

    def _skip(self, data: bytes, start: int, end: int) -> None:
        """Tell the tag reader how many lines it does not see."""
        stretch = np.frombuffer(data, np.uint8)[start:end]
        lines = int(np.count_nonzero(stretch == ord("\n")))
        if np.any(stretch == ord("\r")):
            lines += data.count(b"\r", start, end) - data.count(b"\r\n", start, end)
        self._tags.skip_lines(lines)


def _end_of_traces(data: bytes) -> int:
    """Return where the next tag after the last whole trace begins, 0 where there is none."""
    last = data.rfind(b"<")
    end = data.rfind(_END, 0, max(last, 0))
    return data.find(b"<", end + 1) if end >= 0 else 0


def _is_utf8(head: bytes) -> bool:
    """Whether the bytes are UTF-8 by declaration or for want of one."""
    if head.startswith(UTF16_MARKS) or b"\0" in head[:4]:
        return False
    declaration = _DECLARATION.match(head)
    encoding = _ENCODING.search(declaration[1]) if declaration else None
    return encoding is None or encoding[1].lower() == b"utf-8"
