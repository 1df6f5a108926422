"""How is PostgreSQL asked, so that nothing is written and every value arrives exactly?

One connection (libpq, at most `CONNECT_S` seconds), one transaction that the server itself holds
read-only, one statement, given up after `timeout_s` by the server. The session's zone is UTC and
its text UTF-8, so that casts depend neither on the server's settings nor on the machine.

Rows arrive as Arrow through ADBC (COPY in binary format, about 16 MiB a batch): timestamps to the
microsecond, numeric as its text. Types that the driver does not know (enum, citext, …) arrive as
bytes; those whose binary form is their text (pg_type.typsend) are read, the others refused.
char(n) loses its padding, as PostgreSQL's own cast to text does.

Functions with effects outside the database (a superuser's pg_write_file, dblink) are not caught by
a read-only transaction, nor undone by its end, which is never a commit: the role that asks should
be allowed to read and no more. Ctrl-C cancels the statement on the server; it shows as LG093 with
the server's words.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from process_mining.errors import CodedError, RunError
from process_mining.sources.warehouse.arrow import Answer, driver, one_line, took_too_long

if TYPE_CHECKING:
    from collections.abc import Iterator

    from process_mining.sources.warehouse.file import Request

CONNECT_S: Final = 10
_SETTINGS: Final = (
    "begin transaction isolation level repeatable read, read only",
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO, YMD'",
    "set local client_encoding = 'UTF8'",
)
_TEXT_TYPES: Final = """
select t.oid::int8 from pg_catalog.pg_type t join pg_catalog.pg_proc p on p.oid = t.typsend
where p.proname in ('enum_send', 'textsend', 'citextsend', 'varcharsend', 'bpcharsend', 'namesend')
"""
_UNKNOWN: Final = re.compile(rb"unnamed<oid:(\d+)>")
_COPY: Final = "COPY ("
_QUERY_AT_FAULT: Final = ("42", "0A", "25")


@contextmanager
def ask(request: Request) -> Iterator[Answer]:
    """Run the query, read-only; what goes wrong is a coded error."""
    adbc: Any = driver(
        "adbc_driver_postgresql.dbapi", package="adbc-driver-postgresql", extra="postgresql"
    )
    with _connected(adbc, request) as connection, connection.cursor() as cursor:
        for setting in _SETTINGS:
            cursor.execute(setting)
        if request.timeout_s:
            cursor.execute(f"set local statement_timeout = {request.timeout_s * 1_000:d}")
        schema = _prepared(adbc, cursor, request)
        yield Answer(schema, _batches(adbc, cursor, schema, request))


@contextmanager
def _connected(adbc: Any, request: Request) -> Iterator[Any]:  # noqa: ANN401 - untyped driver
    url = request.url.text
    if "connect_timeout=" not in url:
        url += ("&" if "?" in url else "?") + f"connect_timeout={CONNECT_S}"
    try:
        connection = adbc.connect(url, autocommit=True)
    except adbc.Error as error:
        raise _no_connection(request, one_line(str(error))) from error
    try:
        yield connection
    finally:
        connection.close()


def _no_connection(request: Request, message: str) -> CodedError:
    reason = message.removeprefix("IO: [libpq] Failed to connect: ")
    if "FATAL" in reason or "password" in reason:
        what = f"{request.url.shown} refuses the login: {reason}"
        fix = "Check user and database in the url; the password comes from PGPASSFILE or PGPASSWORD"
        return CodedError("LG091", what, fix=fix)
    what = f"{request.url.shown} cannot be reached: {reason}"
    return RunError("LG090", what, fix="Check host and port, and that the server is running")


def _prepared(adbc: Any, cursor: Any, request: Request) -> pa.Schema:  # noqa: ANN401
    """Return the columns of the query, which the server has parsed and not yet run."""
    try:
        schema = cursor.adbc_execute_schema(_text_of(request))
        texts = _text_columns(cursor, schema)
    except adbc.Error as error:
        raise _failure(error, request, time.monotonic()) from error
    if not schema.names:
        what = f"{request.file.name}, warehouse.query gives no columns"
        raise CodedError("LG057", what, why="a log is read, never written", fix="Give one SELECT")
    return pa.schema([f.with_type(pa.string()) if f.name in texts else f for f in schema])


def _text_of(request: Request) -> str:
    return request.query + "\n"  # a last comment must not swallow what the driver appends


def _text_columns(cursor: Any, schema: pa.Schema) -> frozenset[str]:  # noqa: ANN401
    unknown = {field.name: _UNKNOWN.fullmatch(_type_of(field)) for field in schema}
    oids = {name: int(match.group(1)) for name, match in unknown.items() if match}
    if not oids:
        return frozenset()
    cursor.execute(_TEXT_TYPES)
    known = {oid for (oid,) in cursor.fetchall()}
    return frozenset(name for name, oid in oids.items() if oid in known)


def _type_of(field: pa.Field) -> bytes:
    kind: bytes = (field.metadata or {}).get(b"POSTGRESQL:type", b"")
    return kind


def _batches(
    adbc: Any,  # noqa: ANN401 - untyped driver
    cursor: Any,  # noqa: ANN401
    schema: pa.Schema,
    request: Request,
) -> Iterator[pa.RecordBatch]:
    start = time.monotonic()
    try:
        cursor.execute(_text_of(request))
        for batch in cursor.fetch_record_batch():
            columns = [_exact(c, f) for c, f in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
    except (adbc.Error, pa.ArrowException, OSError) as error:
        raise _failure(error, request, start) from error


def _exact(column: pa.Array, field: pa.Field) -> pa.Array:
    if _UNKNOWN.fullmatch(_type_of(field)) and pa.types.is_string(field.type):
        return column.storage.cast(pa.string())
    return pc.utf8_rtrim(column, " ") if _type_of(field) == b"bpchar" else column


def _failure(error: Exception, request: Request, start: float) -> CodedError:
    if request.timeout_s and time.monotonic() - start >= request.timeout_s:
        return took_too_long(request)
    state = str(getattr(error, "sqlstate", None) or "")
    said = f"{_message(error)}{f' (SQLSTATE {state})' if state else ''}{_place(error, request)}"
    if state.startswith(_QUERY_AT_FAULT):
        what = f"PostgreSQL does not take the query of {request.file.name}: {said}"
        return CodedError("LG092", what, fix="Correct the query, or the role's rights")
    what = f"PostgreSQL gave up on the query of {request.file.name}: {said}"
    return RunError("LG093", what, fix="Correct the query or the data")


def _message(error: Exception) -> str:
    primary = _detail(error, "PG_DIAG_MESSAGE_PRIMARY")
    return one_line(primary or str(error).rpartition("ERROR:")[2])


def _place(error: Exception, request: Request) -> str:
    position = _detail(error, "PG_DIAG_STATEMENT_POSITION")
    at = int(position) if position else 0
    if f"Query was: {_COPY}" in str(error):
        at -= len(_COPY)
    if not 0 < at <= len(request.query):
        return ""
    before = request.query[: at - 1]
    return f" at line {before.count(chr(10)) + 1}, column {at - 1 - before.rfind(chr(10))}"


def _detail(error: Exception, name: str) -> str:
    for key, value in getattr(error, "details", None) or ():
        if _text(key) == name:
            return _text(value)
    return ""


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
