"""How is a DuckDB file asked, so that nothing is written and nothing else is read?

The file is opened read-only; no other file, address, extension or Python variable can be reached,
and the settings are locked (DuckDB's guide "Securing DuckDB"). The session's zone is UTC, so that
casts do not depend on the machine. Ctrl-C and `timeout_s` interrupt the query (DuckDB itself does
not hear Ctrl-C while it computes). A file that changes while it is read is an error.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa

from process_mining.errors import CodedError, RunError
from process_mining.sources.warehouse.arrow import BATCH, Answer, Patient, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from process_mining.sources.warehouse.arrow import Result
    from process_mining.sources.warehouse.file import Request

_CONFIG: Final[dict[str, str | bool | int | float | list[str]]] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}
_LOCK: Final = (
    "set TimeZone = 'UTC'",
    "set python_enable_replacements = false",
    "set lock_configuration = true",
)


@contextmanager
def ask(request: Request) -> Iterator[Answer]:
    """Run the query, read-only; what goes wrong is a coded error."""
    path = request.file.parent / request.url.path
    before = _state(path, request)
    with _opened(path, request) as connection:
        relation = _bound(connection, request)
        with ThreadPoolExecutor(1) as pool:
            patient = Patient(request, pool, connection.interrupt)
            reader = _run(patient, lambda: relation.to_arrow_reader(BATCH))
            yield Answer(reader.schema, _batches(patient, reader))
    if _state(path, request) != before:
        raise RunError("LG016", f"{path.name} changed while it was read", fix="Read it again")


def _state(path: Path, request: Request) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError as error:
        what = f"{request.url.shown}: there is no database file ({error.strerror})"
        fix = f"Write the path relative to {request.file.name}; four slashes start an absolute one"
        raise CodedError("LG090", what, fix=fix) from error
    return stat.st_size, stat.st_mtime_ns


@contextmanager
def _opened(path: Path, request: Request) -> Iterator[duckdb.DuckDBPyConnection]:
    try:
        connection = duckdb.connect(str(path), read_only=True, config=dict(_CONFIG))
    except duckdb.Error as error:
        what = f"{request.url.shown} cannot be opened: {one_line(str(error))}"
        fix = "Close the program that writes it, or copy it; check that it is a DuckDB file"
        raise RunError("LG090", what, fix=fix) from error
    try:
        for setting in _LOCK:
            connection.execute(setting)
        yield connection
    finally:
        connection.close()


def _bound(connection: duckdb.DuckDBPyConnection, request: Request) -> duckdb.DuckDBPyRelation:
    """Return the query, its names and types known, not yet run."""
    try:
        statements = connection.extract_statements(request.query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            what = f"{request.file.name}, warehouse.query is not one SELECT for DuckDB"
            raise CodedError("LG057", what, why="a log is read, never written", fix="Give one")
        return connection.sql(request.query)
    except duckdb.Error as error:
        what = f"DuckDB does not take the query of {request.file.name}: {one_line(str(error))}"
        raise CodedError("LG092", what, fix="Correct the query") from error


def _batches(patient: Patient, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    while (batch := _run(patient, lambda: next(reader, None))) is not None:
        yield batch


def _run(patient: Patient, call: Callable[[], Result]) -> Result:
    try:
        return patient(call)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        file = patient.request.file.name
        what = f"DuckDB gave up on the query of {file}: {one_line(str(error))}"
        raise RunError("LG093", what, fix="Correct the query or the data") from error
