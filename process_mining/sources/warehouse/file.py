"""What does a warehouse file ask, of which database, and is what it asks sound?

A warehouse file is TOML with the table

    [warehouse]
    url = "duckdb:///tickets.duckdb"      a file, relative to the TOML (four slashes: absolute)
        | "postgresql://user@host:5432/db"   libpq's URL; its parameters after `?` pass through
        | "sc://host:15002"                  Spark Connect
    query = "select …"                    one statement, SELECT or WITH
    timeout_s = 600                       optional: seconds until the query is given up

and beside it the sections of a mapping that maps a table (`_mapping`): name (else the file's),
notes, activity_order, [time], [event], [case]; `csv.missing` too. Without [event] the query gives
our own column names. Text columns that are times are ISO 8601 unless [time] declares a format.

No password, secret or token may stand in the file: libpq reads PGPASSFILE, ~/.pgpass and
PGPASSWORD, Spark Connect SPARK_CONNECT_AUTHENTICATE_TOKEN. A url is shown without user and
parameters. All mistakes of a file are reported together.

That a query is one SELECT is seen here by its first word and its semicolons outside quotes and
comments (nested comments are not counted); the databases check it again by their own parsers.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from process_mining.errors import CodedError, did_you_mean, raise_all
from process_mining.sources._mapping import Mapping, mistake
from process_mining.sources._times import ISO

if TYPE_CHECKING:
    from pathlib import Path
    from urllib.parse import SplitResult

SCHEMES: Final = ("duckdb", "postgresql", "sc")
SPARK_PORT: Final = 15_002
_SECRET: Final = re.compile(r"password|secret|token|client_key", re.IGNORECASE)
_HOST: Final = r"(?:\[[0-9A-Fa-f:.%]+\]|[^:,@/\[\]]*)(?::\d+)?"
_HOSTS: Final = re.compile(rf"{_HOST}(?:,{_HOST})*")
_QUOTED: Final = re.compile(
    r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|(\$\w*\$).*?\1", re.DOTALL
)
_FIRST_WORD: Final = re.compile(r"[\s(]*(\w*)")


@dataclass(frozen=True)
class Url:
    """Where the database is: `text` as given, `shown` without user and parameters."""

    text: str
    scheme: str
    shown: str
    path: str
    host: str = ""
    port: int = 0


class Warehouse(BaseModel):
    """What is asked, and of which database."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    url: str
    query: str
    timeout_s: int | None = Field(default=None, ge=1)


class WarehouseFile(Mapping):
    """One warehouse file."""

    warehouse: Warehouse

    @model_validator(mode="after")
    def _no_tool(self) -> WarehouseFile:
        tool = [name for name in ("words", "practices", "fields") if name in self.model_fields_set]
        if tool:
            msg = f"[{tool[0]}] adapts a tool's export; a query names its columns with [event]"
            raise ValueError(msg)
        return self


@dataclass(frozen=True)
class Request:
    """One query of one database, checked; `file` is the warehouse file."""

    file: Path
    url: Url
    query: str
    sha256: str
    timeout_s: int | None


def load_warehouse(path: Path) -> tuple[WarehouseFile, Request]:
    """Read and check a warehouse file; all its mistakes at once."""
    data = _defaults(_toml(path), path)
    mistakes: list[CodedError] = []
    try:
        file = WarehouseFile.model_validate(data)
    except ValidationError as error:
        mistakes = [_named(path.name, item) for item in error.errors()]
    own = data.get("warehouse")
    own = own if isinstance(own, dict) else {}
    for key, check in (("url", parse_url), ("query", one_select)):
        if isinstance(own.get(key), str):
            try:
                check(own[key], path.name)
            except CodedError as mistake:
                mistakes.append(mistake)
    raise_all(mistakes)
    return file, _request(path, file.warehouse)


def _request(path: Path, asked: Warehouse) -> Request:
    return Request(
        file=path,
        url=parse_url(asked.url, path.name),
        query=one_select(asked.query, path.name),
        sha256=hashlib.sha256(asked.query.encode()).hexdigest(),
        timeout_s=asked.timeout_s,
    )


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise CodedError("LG051", f"{path.name} is no TOML: {error}", fix="Mend it") from error


def _defaults(data: dict[str, object], path: Path) -> dict[str, object]:
    time = data.get("time", {})
    if isinstance(time, dict):
        time = {"format": ISO} | time
    return {"name": path.stem} | data | {"time": time}


def _named(file: str, item: object) -> CodedError:
    """Return a mistake in the words of the mappings; hints for [warehouse] are its own keys."""
    error = mistake(file, item)
    prefix = f"{file}, warehouse."
    if error.what.startswith(prefix):
        key = error.what.removeprefix(prefix).split(":")[0]
        hint = did_you_mean(key, Warehouse.model_fields)
        return CodedError(error.code, error.what, fix=hint if "unknown key" in error.what else "")
    return error


def parse_url(text: str, file: str) -> Url:
    """Return the parts of a url; CodedError LG055 for a secret in it, LG056 for other faults.

    The errors show nothing of a url that is not understood: a part of it may be a password.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _bad_url(file, "it is no URL") from None
    if parts.scheme not in SCHEMES:
        known = did_you_mean(parts.scheme, SCHEMES)
        raise _bad_url(file, f"'{parts.scheme}' is no kind of database that is read", known)
    if parts.password is not None or _secret_parameters(parts):
        raise CodedError(
            "LG055",
            f"{file}, warehouse.url holds a password, secret or token",
            why="a file that is copied and committed is no place for it",
            fix="Take it out. PostgreSQL: PGPASSFILE, ~/.pgpass or PGPASSWORD. "
            "Spark Connect: SPARK_CONNECT_AUTHENTICATE_TOKEN",
        )
    hosts = parts.netloc.rpartition("@")[2]
    if parts.fragment or "@" in parts.path or not _HOSTS.fullmatch(hosts):
        raise _bad_url(file, "characters such as @ # / : in a name have to be written as %40 etc.")
    return _DATABASES[parts.scheme](text, parts, hosts, file)


def _secret_parameters(parts: SplitResult) -> bool:
    given = parts.query + ";" + parts.path.partition(";")[2]
    pairs = parse_qsl(given.replace(";", "&"), keep_blank_values=True)
    return any(_SECRET.search(key) for key, _ in pairs)


def _duckdb(text: str, parts: SplitResult, hosts: str, file: str) -> Url:
    path = unquote(parts.path[1:])
    if hosts or parts.query or not path:
        raise _bad_url(file, 'a DuckDB file is written "duckdb:///folder/file.duckdb"')
    return Url(text=text, scheme="duckdb", shown=f"duckdb:///{path}", path=path)


def _postgresql(text: str, parts: SplitResult, hosts: str, file: str) -> Url:  # noqa: ARG001 - as the others
    shown = f"postgresql://{hosts}{parts.path}"
    return Url(text=text, scheme="postgresql", shown=shown, path=parts.path[1:])


def _spark(text: str, parts: SplitResult, hosts: str, file: str) -> Url:
    try:
        host, port = parts.hostname, parts.port or SPARK_PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.path.partition(";")[0] not in {"", "/"} or "," in hosts:
        raise _bad_url(file, 'Spark Connect is written "sc://host:15002"')
    return Url(text=text, scheme="sc", shown=f"sc://{hosts}", path="", host=host, port=port)


_DATABASES: Final = {"duckdb": _duckdb, "postgresql": _postgresql, "sc": _spark}


def _bad_url(file: str, reason: str, fix: str = "") -> CodedError:
    forms = "duckdb:///file.duckdb, postgresql://user@host:5432/db, sc://host:15002"
    what = f"{file}, warehouse.url is not understood: {reason}"
    return CodedError("LG056", what, fix=fix or f"Known forms: {forms}")


def one_select(query: str, file: str) -> str:
    """Return the query without a last semicolon; CodedError LG057 if it is not one SELECT."""
    bare = _QUOTED.sub(lambda match: " " * len(match.group()), query)
    statement, semicolon, rest = bare.partition(";")
    first = _FIRST_WORD.match(statement)
    word = first.group(1) if first else ""
    if rest.strip(" \t\r\n;"):
        raise _no_select(file, "holds several statements")
    if word.lower() not in {"select", "with"}:
        raise _no_select(file, f"starts with '{word}'" if word else "holds no statement")
    return query[: len(statement)] if semicolon else query


def _no_select(file: str, reason: str) -> CodedError:
    what = f"{file}, warehouse.query {reason}"
    return CodedError("LG057", what, why="a log is read, never written", fix="Give one SELECT")
