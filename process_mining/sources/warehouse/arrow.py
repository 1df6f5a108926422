"""Which columns of a query's answer can become a log, and which of its rows cannot?

Text, numbers, booleans, dates and timestamps are read (JSON, numeric and UUID as their text);
lists, structs, bytes, intervals and clocks without a date are refused by name: the query can cast
them to what is meant. A used date or timestamp that is infinite, or outside the years 1 to 9999,
makes its row a reject (LG148); so does text that is no UTF-8 (LG149), which PostgreSQL hands over
from a database in SQL_ASCII.

Complexity: columnar, O(rows); O(rows of the batch) Python steps only where text is damaged.
"""

from __future__ import annotations

import time
from concurrent.futures import wait
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining.errors import CodedError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager
    from types import ModuleType

    from process_mining.sources.warehouse.file import Request

Result = TypeVar("Result")
BATCH: Final = 1 << 16
CANCEL_EVERY_S: Final = 0.1
MESSAGE_LENGTH: Final = 400
_DAYS: Final = (-719_162, 2_932_897)  # 0001-01-01 and 10000-01-01, counted from 1970-01-01
_PER_DAY: Final = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_INFINITE: Final = (-(2**63), 1 - 2**63, 2**63 - 1)
_UUID_DASHES: Final = (8, 13, 18, 23)


@dataclass(frozen=True, eq=False)
class Answer:
    """What a query gives: its columns, and its rows in batches."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Database(Protocol):
    """A module that asks one kind of database."""

    def ask(self, request: Request) -> AbstractContextManager[Answer]:
        """Run the query, read-only; what goes wrong is a coded error."""


def driver(module: str, *, package: str, extra: str) -> ModuleType:
    """Return a database's driver; CodedError LG058 says how it is installed."""
    try:
        return import_module(module)
    except ImportError as error:
        what = f"the driver {package} is not installed"
        fix = f'Install trueloop with its extra: pip install "trueloop[{extra}]"'
        raise CodedError("LG058", what, fix=fix) from error


def one_line(message: str) -> str:
    """Return a database's message on one line, shortened."""
    text = " ".join(message.split())
    return text if len(text) <= MESSAGE_LENGTH else text[:MESSAGE_LENGTH] + "…"


@dataclass(frozen=True, eq=False)
class Patient:
    """Runs calls that block where Ctrl-C does not reach, in a thread, until a deadline."""

    request: Request
    pool: Executor
    cancel: Callable[[], object]
    start: float = field(default_factory=time.monotonic)

    def __call__(self, call: Callable[[], Result]) -> Result:
        """Return what the call returns; RunError LG094 when the query takes too long."""
        limit, future = self.request.timeout_s, self.pool.submit(call)
        left = None if limit is None else max(0.0, self.start + limit - time.monotonic())
        try:
            if not wait([future], left).done:
                raise took_too_long(self.request)
        finally:
            # a query that has not begun yet cannot be cancelled: ask until it has ended
            while not future.done():
                self.cancel()
                wait([future], CANCEL_EVERY_S)
        return future.result()


def took_too_long(request: Request) -> RunError:
    """Return the error of a query that was given up."""
    what = f"the query of {request.file.name} took over {request.timeout_s} s"
    return RunError("LG094", what, fix="Narrow the query, or raise timeout_s under [warehouse]")


def check_types(schema: pa.Schema, used: list[str], file: str) -> None:
    """Raise CodedError LG059 for a column name that stands twice, or a type that is not read."""
    twice = sorted(name for name in set(schema.names) if schema.names.count(name) > 1)
    if twice:
        msg = f"the query of {file} gives {schema.names.count(twice[0])} columns '{twice[0]}'"
        raise CodedError("LG059", msg, fix="Name each column once (select … as …)")
    for name in used:
        if not _readable(schema.field(name)):
            kind = (schema.field(name).metadata or {}).get(b"POSTGRESQL:type", b"").decode()
            msg = f"column '{name}' of the query of {file} is {kind or schema.field(name).type}"
            raise CodedError("LG059", msg, fix="Cast it to text, number or timestamp in the query")


def _readable(field: pa.Field) -> bool:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if (field.metadata or {}).get(b"POSTGRESQL:type") in {b"money", b"oid"}:
        return False  # the driver hands over money as cents, and oid with a sign
    if isinstance(kind, pa.BaseExtensionType):
        return isinstance(kind, (pa.UuidType, pa.JsonType)) or pa.types.is_string(kind.storage_type)
    tests: tuple[Callable[[pa.DataType], bool], ...] = (
        pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating,
        pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp, _is_text,
    )  # fmt: skip
    return any(test(kind) for test in tests)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def plain(column: pa.Array) -> pa.Array:
    """Decode dictionaries and extension types, and bring every kind of text to one."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column.type, pa.UuidType):
        return _uuid_text(column.storage)
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_null(column.type) or _is_text(column.type):
        return column.cast(pa.string())
    return column


def _uuid_text(column: pa.Array) -> pa.Array:
    """Return 16 bytes a value as 8-4-4-4-12 hexadecimal digits (RFC 9562)."""
    data = column.fill_null(bytes(16)).buffers()[1]
    raw = np.frombuffer(data, np.uint8, 16 * len(column), 16 * column.offset).reshape(-1, 16)
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    hexed = np.stack([digits[raw >> 4], digits[raw & 15]], axis=2).reshape(-1, 32)
    dashed = np.insert(hexed, [at - i for i, at in enumerate(_UUID_DASHES)], ord("-"), axis=1)
    texts = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(36), len(column), [None, pa.py_buffer(np.ascontiguousarray(dashed))]
    )
    missing = pa.scalar(None, pa.string())
    return pc.if_else(column.is_valid(), texts.cast(pa.binary()).cast(pa.string()), missing)


def faults(columns: dict[str, pa.Array]) -> dict[int, tuple[str, str]]:
    """Return the rows of a batch that cannot be read, each with a reject's code and reason."""
    found: dict[int, tuple[str, str]] = {}
    for name, column in columns.items():
        if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type):
            reason = f"{name} is infinite, or lies outside the years 1 to 9999"
            for row in np.flatnonzero(_beyond(column)).tolist():
                found.setdefault(row, ("LG148", reason))
        elif pa.types.is_string(column.type):
            for row in _damaged(column):
                found.setdefault(row, ("LG149", f"{name} holds bytes that are no UTF-8"))
    return found


def _beyond(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    per_day = _PER_DAY[column.type.unit] if pa.types.is_timestamp(column.type) else 1
    if pa.types.is_date64(column.type):
        per_day = _PER_DAY["ms"]
    whole = column.cast(pa.int32()) if pa.types.is_date32(column.type) else column
    raw = whole.cast(pa.int64()).fill_null(0).to_numpy()
    first, end = (max(-(2**63), min(day * per_day, 2**63 - 1)) for day in _DAYS)
    beyond: np.ndarray[tuple[int], np.dtype[np.bool_]]
    beyond = (raw < first) | (raw >= end) | np.isin(raw, _INFINITE)
    return beyond


def _damaged(column: pa.Array) -> list[int]:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        values = column.cast(pa.binary()).to_pylist()
        return [row for row, value in enumerate(values) if value and not _is_utf8(value)]
    return []


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
