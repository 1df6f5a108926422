"""How is Spark asked, through Spark Connect?

The query runs as a subquery, where Spark's grammar allows nothing but a query. The session's zone
is UTC. The server is tried by a plain connection first (`CONNECT_S` seconds): the client would go
on trying for minutes. The answer comes by `DataFrame.toArrow`, which holds all of it in memory;
the client documents no stream of batches.
"""

from __future__ import annotations

import socket
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from process_mining.errors import CodedError, RunError
from process_mining.sources.warehouse.arrow import BATCH, Answer, Patient, driver, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from process_mining.sources.warehouse.file import Request

CONNECT_S: Final = 10


@contextmanager
def ask(request: Request) -> Iterator[Answer]:
    """Run the query, read-only; what goes wrong is a coded error."""
    with _quiet():
        sql: Any = driver("pyspark.sql", package="pyspark-client", extra="spark")
    _reach(request)
    with _session(sql, request) as session:
        table = _answer(session, _analysed(session, request), request)
        yield Answer(table.schema, iter(table.to_batches(BATCH)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the client's warning that it does not know pandas 3, which is not used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _reach(request: Request) -> None:
    try:
        socket.create_connection((request.url.host, request.url.port), CONNECT_S).close()
    except OSError as error:
        what = f"{request.url.shown} cannot be reached: {error.strerror or error}"
        fix = "Check host and port, and that the server is running"
        raise RunError("LG090", what, fix=fix) from error


@contextmanager
def _session(sql: Any, request: Request) -> Iterator[Any]:  # noqa: ANN401 - untyped driver
    try:
        with _quiet():
            session = sql.SparkSession.builder.remote(request.url.text).create()
        session.conf.set("spark.sql.session.timeZone", "UTC")
    except Exception as error:
        # pyspark and grpc share no base class of their errors
        what = f"{request.url.shown} refuses the session: {one_line(str(error))}"
        raise CodedError("LG091", what, fix="Check the login and the server") from error
    try:
        yield session
    finally:
        session.stop()


def _analysed(session: Any, request: Request) -> Any:  # noqa: ANN401
    """Return the query, its names and types known, not yet run."""
    try:
        frame = session.sql(f"select * from (\n{request.query}\n) as q")  # noqa: S608 - the user's own query
        frame.schema  # noqa: B018 - the server analyses the query here
    except Exception as error:
        what = f"Spark does not take the query of {request.file.name}: {one_line(str(error))}"
        raise CodedError("LG092", what, fix="Correct the query") from error
    return frame


def _answer(session: Any, frame: Any, request: Request) -> pa.Table:  # noqa: ANN401
    try:
        with ThreadPoolExecutor(1) as pool:
            return Patient(request, pool, session.interruptAll)(frame.toArrow)
    except RunError:
        raise
    except Exception as error:
        what = f"Spark gave up on the query of {request.file.name}: {one_line(str(error))}"
        raise RunError("LG093", what, fix="Correct the query or the data") from error
