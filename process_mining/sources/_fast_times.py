"""Which instants do many stamps mean, read as `TimeReader` reads each of them?

`TimeReader` is the definition; this is its quick twin for whole columns. A declared format has
finitely many layouts (which of its variable parts are how wide); stamps of one length are compared
with the layouts of that length, in the order in which the regular expression prefers them, byte by
byte in numpy. A stamp that fits is worked out by columns of digits; local times become UTC through
the zone's offsets, which are constant between break points of the wall clock. What does not fit,
or has no such date, or needs a reason to be told, is left undone: the caller gives it to
`TimeReader`. So a fault here can make reading slow, and the tests compare the rest.

Break points come from the zone's TZif file (RFC 9636), and for times after its last entry from
asking the zone day by day and halving: a rule that changed the clock twice within a day would be
missed; no zone has one. Between break points the offsets are asked of zoneinfo itself.

Complexity: O(bytes) numpy work a layout that is tried; O(changes of the clock) Python steps.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise, product
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from process_mining.schema import US_PER_DAY, US_PER_MINUTE, US_PER_SECOND
from process_mining.sources._times import (
    END_US,
    EPOCHS,
    FIRST_US,
    FULL_MONTHS,
    ISO,
    ISO_DATE,
    MONTHS,
    TimeReader,
    offset_at,
    reading,
    zone_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt
    import pyarrow as pa

    from process_mining._coded import Ints
    from process_mining.sources._times import Instant

    Bools = npt.NDArray[np.bool_]
    Bytes = npt.NDArray[np.uint8]

ROWS_AT_ONCE: Final = 1 << 14
LAYOUTS_TRIED: Final = 256
LONGEST: Final = 128
RULE_YEARS: Final = 60
_ANY: Final = 255
_SECOND: Final = timedelta(seconds=1)
_EPOCH_UTC: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S: Final = 253_402_300_800 - 3 * 86_400  # the end of the year 9999, with room for a zone


class Stamps(NamedTuple):
    """What was read: instants (µs UTC) of the rows that are `done`, and where a policy decided."""

    us: Ints
    done: Bools
    policies: dict[str, Bools]


class _Piece(NamedTuple):
    """A run of bytes: of a field (digits or letters), or a literal of which each byte has a set."""

    name: str
    width: int
    sets: tuple[bytes, ...] = ()


@dataclass(frozen=True, eq=False)
class _Layout:
    """One way in which a format is spelled: where its fields lie, and what every byte may be.

    A byte fits if (byte XOR `like`) <= `limit`: digits differ from "0" by their value. Literals and
    bytes of a set are looked at one by one (`sets`).
    """

    fields: dict[str, tuple[int, int]]
    like: Bytes
    limit: Bytes
    sets: tuple[tuple[int, bytes], ...]

    @property
    def width(self) -> int:
        return len(self.like)

    @cached_property
    def _many(self) -> tuple[Bytes, Bytes]:
        return np.tile(self.like, ROWS_AT_ONCE), np.tile(self.limit, ROWS_AT_ONCE)

    def unlike(self, own: Bytes) -> Bytes:
        """Return how each byte differs; flat, for rows of some twenty bytes are slow one by one."""
        return (own.reshape(-1) ^ self._many[0][: own.size]).reshape(own.shape)

    def within(self, digits: Bytes) -> Bools:
        """Return which bytes differ by no more than they may."""
        flat: Bools = digits.reshape(-1) <= self._many[1][: digits.size]
        return flat.reshape(digits.shape)


@dataclass(eq=False)
class StampReader:
    """Reads columns of stamps for one `TimeReader`."""

    reader: TimeReader
    _layouts: dict[int, list[_Layout]] = field(default_factory=dict)
    _starts: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    _some: bool | None = None
    _clock: tuple[int, int, WallClock | None] = (0, -1, None)

    def __post_init__(self) -> None:
        """Lay the format out."""
        for layout in _layouts(self.reader.pattern):
            same = self._layouts.setdefault(layout.width, [])
            if len(same) < LAYOUTS_TRIED:
                same.append(layout)
        months = (np.arange(12 * 10_000 + 1) - 12 * 1970).astype("datetime64[M]")
        self._starts = months.astype("datetime64[D]").astype(np.int64)

    @cached_property
    def one(self) -> Callable[[str], Instant]:
        """Return `TimeReader.read` with a bounded memory."""
        return reading(self.reader)

    def reads_some(self, texts: pa.Array) -> bool:
        """Whether one of a few texts, the same at each call, is a stamp."""
        if self._some is None:
            self._some = bool(self.read(texts).done.any())
        return self._some

    def read(self, texts: pa.Array) -> Stamps:
        """Read a column of text; nulls are left undone."""
        found = Stamps(np.zeros(len(texts), np.int64), np.zeros(len(texts), bool), {})
        starts, lengths, data = _bytes_of(texts)
        for width in np.flatnonzero(np.bincount(np.minimum(lengths, LONGEST))).tolist():
            if width not in self._layouts:
                continue
            for rows in _groups(lengths, width):
                cells = _cells(data, starts[rows], width)
                self._note(found, rows, self._instants(*self._of_one_width(cells, width)))
        return found

    def read_wall(self, wall: Ints) -> Stamps:
        """Read wall-clock times (µs since 1970 by that clock)."""
        everyone = np.ones(len(wall), bool)
        return self._instants(wall, everyone, everyone, np.zeros_like(wall))

    @staticmethod
    def _note(found: Stamps, rows: Ints | slice, some: Stamps) -> None:
        found.us[rows], found.done[rows] = some.us, some.done
        for policy, where in some.policies.items():
            found.policies.setdefault(policy, np.zeros(len(found.us), bool))[rows] = where

    def _of_one_width(self, cells: Bytes, width: int) -> tuple[Ints, Bools, Bools, Ints]:
        """Return wall times, which are sound, which state no offset, and the offsets."""
        n = len(cells)
        wall, shift = np.zeros(n, np.int64), np.zeros(n, np.int64)
        good, bare = np.zeros(n, bool), np.zeros(n, bool)
        rows: Ints | slice = slice(None)
        for layout in self._layouts[width]:
            fits = _fits(cells, layout)
            if fits is not None and not fits.any():
                continue
            mine = rows if fits is None else _some(rows, fits)
            own = cells if fits is None else cells[fits]
            digits = layout.unlike(own)
            wall[mine], sound = self._wall(digits, own, layout)
            if "z" in layout.fields:
                shift[mine], possible = _offset(digits, own, layout)
                sound = sound & possible
            good[mine] = sound
            bare[mine] = not {"z", "Z", "E"} & set(layout.fields)
            if fits is None:
                break
            rows, cells = _some(rows, ~fits), cells[~fits]
        return wall, good, bare, shift

    def _wall(self, digits: Bytes, own: Bytes, layout: _Layout) -> tuple[Ints, Bools]:
        if "E" in layout.fields:
            return _epoch(digits, layout, EPOCHS[self.reader.pattern])
        year = _number(digits, layout, "Y")
        month, named = _month(digits, own, layout)
        day = _number(digits, layout, "d")
        hour, on_clock = _hour(digits, own, layout)
        minute, second = _number(digits, layout, "M"), _number(digits, layout, "S")
        good = named & on_clock & (year > 0) & (month > 0) & (month < 13) & (day > 0)  # noqa: PLR2004 - months
        good &= (hour < 24) & (minute < 60) & (second < 60)  # noqa: PLR2004 - a day's clock
        at = np.where(good, year * 12 + month - 1, 12)
        first = self._starts[at]
        good &= day <= self._starts[at + 1] - first
        seconds = (((first + day - 1) * 24 + hour) * 60 + minute) * 60 + second
        return seconds * US_PER_SECOND + _fraction(digits, layout), good

    def _instants(self, wall: Ints, done: Bools, local: Bools, offset: Ints) -> Stamps:
        """Turn wall times into instants; those out of reach or refused are not done."""
        policies: dict[str, Bools] = {}
        us = wall - offset
        if local.any():
            if self.reader.zone is None:
                done = done & ~local
            else:
                in_reach = (wall >= FIRST_US) & (wall < END_US)
                us, done, policies = self._from_zone(
                    wall, done & in_reach, offset, local & in_reach
                )
        return Stamps(us, done & (us >= FIRST_US) & (us < END_US), policies)

    def _from_zone(
        self, wall: Ints, done: Bools, offset: Ints, local: Bools
    ) -> tuple[Ints, Bools, dict[str, Bools]]:
        """Apply the zone to the stamps that are local; the policies decide as in TimeReader."""
        if not local.any():
            return wall - offset, done, {}
        reader, known = self.reader, wall if local.all() else wall[local]
        clock = self._clock_between(int(known.min()), int(known.max()))
        if clock is None:
            return wall - offset, done & ~local, {}
        if len(clock.starts) == 1 and clock.before[0] == clock.after[0]:
            return wall - np.where(local, clock.before[0], offset), done, {}
        span = np.searchsorted(clock.starts, wall, side="right") - 1
        before, after = clock.before[span], clock.after[span]
        twice, never = local & (before > after), local & (before < after)
        offset = np.where(local, before, offset)
        policies = {}
        if reader.ambiguous == "refuse":
            done = done & ~twice
        elif twice.any():
            policies[f"ambiguous = {reader.ambiguous}"] = twice
            offset = offset if reader.ambiguous == "earlier" else np.where(twice, after, offset)
        if reader.nonexistent == "refuse":
            done = done & ~never
        elif never.any():
            policies["nonexistent = shift_forward"] = never
        return wall - offset, done, policies

    def _clock_between(self, first: int, last: int) -> WallClock | None:
        """Return the zone's offsets; kept for the next columns, with a year to spare."""
        low, high, clock = self._clock  # read and set as one: columns are read side by side
        if not low <= first <= last <= high:
            year = 366 * US_PER_DAY
            low, high = (first, last) if low > high else (min(low, first), max(high, last))
            low, high = max(low - year, FIRST_US + year), min(high + year, END_US - year)
            low, high = min(low, first), max(high, last)
            clock = wall_clock(self.reader, low, high)
            self._clock = (low, high, clock)
        return clock


# --- the zone


@dataclass(frozen=True, eq=False)
class WallClock:
    """The offsets (µs) of a zone by its wall clock: constant from each of `starts` to the next.

    `before` is the offset in force if a time of that span is read as the first of its kind (fold
    0), `after` as the second; they differ where the clock repeats or skips.
    """

    starts: Ints
    before: Ints
    after: Ints


def wall_clock(reader: TimeReader, first: int, last: int) -> WallClock | None:
    """Return the offsets between two wall times, or None where they are not known in bulk."""
    if reader.zone is None or reader.zone.key is None:
        return None
    day = 2 * US_PER_DAY
    breaks = _breaks(reader, (first - day) // US_PER_SECOND, (last + day) // US_PER_SECOND)
    if breaks is None:
        return None
    inside = sorted({at * US_PER_SECOND for at in breaks if first < at * US_PER_SECOND <= last})
    starts = [first, *inside]
    pairs = [reader.offsets(at) for at in starts]
    before, after = (np.array(side, np.int64) for side in zip(*pairs, strict=True))
    return WallClock(np.array(starts, np.int64), before, after)


def _breaks(reader: TimeReader, first: int, last: int) -> list[int] | None:
    """Return wall times (s) at which an offset may change, for instants between two (s, UTC)."""
    if reader.zone is None or reader.zone.key is None:
        return None
    times, offsets, every, rule = _tzif(zone_bytes(reader.zone.key))
    breaks = []
    for index, at in enumerate(times):
        near = every if index == 0 else {offsets[index - 1], offsets[index]}
        breaks += [at + offset for offset in near if first <= at <= last]
    if "," not in rule or (times and last <= times[-1]):
        return breaks
    begin = max(first, times[-1] if times else first)
    if last - begin > RULE_YEARS * 366 * 86_400:
        return None
    return breaks + list(_changes(reader, begin, last))


def _changes(reader: TimeReader, first: int, last: int) -> Iterator[int]:
    """Yield the wall times before and after each change of the clock between two instants (s)."""
    days = range(first, min(last, _LAST_S) + 86_401, 86_400)
    known = [_offset_s(reader, at) for at in days]
    for place, (one, other) in enumerate(pairwise(known)):
        if one == other:
            continue
        low, high = days[place], days[place + 1]
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _offset_s(reader, middle) == one else (low, middle)
        yield from (high + one, high + other)


def _offset_s(reader: TimeReader, at: int) -> int:
    moment = (_EPOCH_UTC + timedelta(seconds=at)).astimezone(reader.zone)
    return offset_at(moment) // US_PER_SECOND


def _tzif(data: bytes) -> tuple[list[int], list[int], set[int], str]:
    """Return the instants of change (s), the offset from each on, all offsets, and the rule."""
    counts = struct.unpack(">4s1s15x6l", data[:44])[2:]
    utc, standard, leap, times, types, chars = counts
    start = 44 + times * 5 + types * 6 + chars + leap * 8 + standard + utc
    utc, standard, leap, times, types, chars = struct.unpack(
        ">4s1s15x6l", data[start : start + 44]
    )[2:]
    place = start + 44
    at = list(struct.unpack(f">{times}q", data[place : place + times * 8]))
    place += times * 8
    which = data[place : place + times]
    place += times
    offset = [struct.unpack(">l", data[p : p + 4])[0] for p in range(place, place + types * 6, 6)]
    place += types * 6 + chars + leap * 12 + standard + utc
    return at, [offset[index] for index in which], set(offset), data[place:].decode().strip()


# --- layouts of a format


def _layouts(pattern: str) -> Iterator[_Layout]:
    """Yield the layouts of a format, those first that its regular expression prefers."""
    for choice in product(*_choices(pattern)):
        yield _layout([piece for part in choice for piece in part])


def _choices(pattern: str) -> list[list[tuple[_Piece, ...]]]:
    if pattern in EPOCHS:
        sign = _Piece("neg", 1, (b"-",))
        widths = _digits("E", range(15, 0, -1))
        return [[*((sign, *width) for width in widths), *widths]]
    if pattern in {ISO, ISO_DATE}:
        return _iso(date_only=pattern == ISO_DATE)
    found: list[list[tuple[_Piece, ...]]] = []
    for directive, text in re.findall(r"%(.)|([^%]+)", pattern, re.DOTALL):
        found.append(_DIRECTIVES[directive] if directive else [_literal(text)])
    return found


def _literal(text: str) -> tuple[_Piece, ...]:
    return (_Piece("", len(text.encode()), tuple(bytes([b]) for b in text.encode())),)


def _digits(name: str, widths: range) -> list[tuple[_Piece, ...]]:
    return [(_Piece(name, width),) for width in widths]


def _zones() -> list[tuple[_Piece, ...]]:
    sign, hours, minutes = _Piece("z", 1, (b"+-",)), _Piece("zH", 2), _Piece("zM", 2)
    return [
        (_Piece("Z", 1, (b"Z",)),),
        (sign, hours, _Piece("", 1, (b":",)), minutes),
        (sign, hours, minutes),
        (sign, hours),
    ]


_LETTERS: Final = bytes(range(65, 91)) + bytes(range(97, 123))
_TWO: Final = range(2, 0, -1)
_DIRECTIVES: Final[dict[str, list[tuple[_Piece, ...]]]] = {
    "Y": _digits("Y", range(4, 3, -1)),
    **{name: _digits(name, _TWO) for name in "mdHIMS"},
    "b": [(_Piece("b", 3, (_LETTERS,) * 3),)],
    "B": [(_Piece("B", width, (_LETTERS,) * width),) for width in range(9, 2, -1)],
    "p": [(_Piece("p", 2, (b"AaPp", b"Mm")),)],
    "f": _digits("f", range(6, 0, -1)),
    "z": _zones(),
    "%": [_literal("%")],
}


def _iso(*, date_only: bool) -> list[list[tuple[_Piece, ...]]]:
    dash, colon = _Piece("", 1, (b"-",)), _Piece("", 1, (b":",))
    date = (_Piece("Y", 4), dash, _Piece("m", 2), dash, _Piece("d", 2))
    if date_only:
        return [[date]]
    minute = (_Piece("", 1, (b"T ",)), _Piece("H", 2), colon, _Piece("M", 2))
    second = (colon, _Piece("S", 2))
    mark = _Piece("", 1, (b".,",))
    seconds: list[tuple[_Piece, ...]] = [
        (*second, mark, _Piece("f", width)) for width in range(9, 0, -1)
    ]
    seconds += [second, ()]
    start: list[tuple[_Piece, ...]] = [(*date, *minute)]
    return [start, seconds, [*_zones(), ()]]


def _layout(pieces: list[_Piece]) -> _Layout:
    fields, like, limit, sets = {}, bytearray(), bytearray(), []
    for piece in pieces:
        if piece.name:
            fields[piece.name] = (len(like), piece.width)
        for index in range(piece.width):
            one = piece.sets[index] if piece.sets else b""
            if piece.sets:
                sets.append((len(like), one))
            like += b"0"
            limit.append(_ANY if piece.sets else 9)
    return _Layout(fields, np.frombuffer(like, np.uint8), np.frombuffer(limit, np.uint8), (*sets,))


# --- bytes


def _bytes_of(texts: pa.Array) -> tuple[Ints, Ints, Bytes]:
    """Return where each text starts and how many bytes it has (0 for null), and all bytes."""
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32, len(texts) + 1, 4 * texts.offset).astype(np.int64)
    lengths = np.diff(bounds)
    if texts.null_count:
        lengths[~texts.is_valid().to_numpy(zero_copy_only=False)] = 0
    return bounds[:-1], lengths, np.frombuffer(data or b"", np.uint8)


def _groups(lengths: Ints, width: int) -> Iterator[Ints | slice]:
    """Yield the rows of one width in pieces that stay in the processor's cache."""
    for low in range(0, len(lengths), ROWS_AT_ONCE):
        own = lengths[low : low + ROWS_AT_ONCE] == width
        if own.all():
            yield slice(low, low + ROWS_AT_ONCE)
        elif own.any():
            yield low + np.flatnonzero(own)


def _cells(data: Bytes, starts: Ints, width: int) -> Bytes:
    """Return the bytes of texts of one width, a row a text."""
    if width == 0:
        return np.empty((len(starts), 0), np.uint8)
    first, last = int(starts[0]), int(starts[-1])
    if last - first == width * (len(starts) - 1) and (np.diff(starts) == width).all():
        return data[first : last + width].reshape(-1, width)
    return np.lib.stride_tricks.sliding_window_view(data, width)[starts]


def _some(rows: Ints | slice, chosen: Bools) -> Ints:
    """Return the chosen ones of some rows."""
    found: Ints = np.flatnonzero(chosen) if isinstance(rows, slice) else rows[chosen]
    return found


def _fits(own: Bytes, layout: _Layout) -> Bools | None:
    """Return which rows have the layout; None for all of them. Literals are looked at first."""
    some: Bools | None = None
    for place, allowed in layout.sets:
        one = _one_of(own[:, place], allowed)
        if not one.all():
            some = one if some is None else some & one
            if not some.any():
                return some
    good = layout.within(layout.unlike(own if some is None else own[some]))
    if good.all():
        return some
    whole = np.asarray(good.all(axis=1), bool)
    if some is None:
        return whole
    some[some] = whole
    return some


def _one_of(column: Bytes, allowed: bytes) -> Bools:
    if len(allowed) <= 2:  # noqa: PLR2004 - comparing is quicker than looking up
        found: Bools = column == allowed[0]
        return found if len(allowed) == 1 else found | (column == allowed[1])
    table = np.zeros(256, bool)
    table[list(allowed)] = True
    return table[column]


def _number(digits: Bytes, layout: _Layout, name: str) -> Ints:
    """Return the value of a field of digits; 0 for a field that the layout lacks."""
    start, width = layout.fields.get(name, (0, 0))
    if width == 0:
        return np.zeros(1, np.int64)
    value: Ints = digits[:, start].astype(np.int64)
    for place in range(start + 1, start + width):
        value *= 10
        value += digits[:, place]
    return value


def _fraction(digits: Bytes, layout: _Layout) -> Ints:
    """Return the microseconds; further digits are cut."""
    start, width = layout.fields.get("f", (0, 0))
    value = np.zeros(len(digits), np.int64) if width else np.zeros(1, np.int64)
    for place in range(start, start + min(width, 6)):
        value = value * 10 + digits[:, place]
    value *= 10 ** max(6 - width, 0)
    return value


def _epoch(digits: Bytes, layout: _Layout, unit: int) -> tuple[Ints, Bools]:
    value = _number(digits, layout, "E")
    good = value <= (END_US - FIRST_US) // unit
    value = np.where(good, value, 0) * unit
    return -value if "neg" in layout.fields else value, good


def _month(digits: Bytes, own: Bytes, layout: _Layout) -> tuple[Ints, Bools]:
    name = next(name for name in ("m", "b", "B") if name in layout.fields)
    if name == "m":
        return _number(digits, layout, "m"), np.ones(1, bool)
    start, width = layout.fields[name]
    letters = np.ascontiguousarray(own[:, start : start + width]) | 32
    found = np.zeros(len(own), np.int64)
    for number, word in enumerate(MONTHS if name == "b" else FULL_MONTHS, start=1):
        if len(word) == width:
            found[(letters == np.frombuffer(word.encode(), np.uint8)).all(axis=1)] = number
    return found, found > 0


def _hour(digits: Bytes, own: Bytes, layout: _Layout) -> tuple[Ints, Bools]:
    if "p" not in layout.fields:
        return _number(digits, layout, "H"), np.ones(1, bool)
    hour = _number(digits, layout, "I")
    afternoon = (own[:, layout.fields["p"][0]] | 32) == ord("p")
    return hour % 12 + 12 * afternoon, (hour >= 1) & (hour <= 12)  # noqa: PLR2004 - twelve hours


def _offset(digits: Bytes, own: Bytes, layout: _Layout) -> tuple[Ints, Bools]:
    hours, minutes = _number(digits, layout, "zH"), _number(digits, layout, "zM")
    size = (hours * 60 + minutes) * US_PER_MINUTE
    sound: Bools = (hours < 24) & (minutes < 60)  # noqa: PLR2004 - the bounds of ISO 8601
    return np.where(own[:, layout.fields["z"][0]] == ord("-"), -size, size), sound
