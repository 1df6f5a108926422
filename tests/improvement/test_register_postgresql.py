"""Does a register in PostgreSQL keep the same promises, on a real server of our own?

The server listens on the loopback alone, on a free port, and asks for a password that is full of
characters which a URL has to escape. Skipped where no PostgreSQL server is installed.
"""

from __future__ import annotations

import sys
import threading
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from improvement.register_story import AT, DRAFT, WHO, filled
from postgresql_server import USER, serving
from sqlalchemy.pool import NullPool

from csi.commands.register import register as command_group
from csi.register import Register
from process_mining.errors import CodedError, ManyCodedErrors, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "correct horse/@#:secret"  # noqa: S105 - of a server that lives for one test run
SECRETS = ("correct", "horse", "secret")
NUMBERS = count()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Return the URL of a server of our own, up to the name of the database."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with serving(PASSWORD) as place:
        yield f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{place}"


def engine(url: str) -> sa.Engine:
    plain = url.replace("postgresql://", "postgresql+psycopg://")
    return sa.create_engine(plain, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def ask(url: str, *statements: str) -> list[Any]:
    """Run statements as the owner of the database; return the rows of the last."""
    with engine(url).connect() as connection:
        for statement in statements:
            found = connection.exec_driver_sql(statement)
        return list(found) if found.returns_rows else []


@pytest.fixture
def url(server: str) -> str:
    """Return the URL of an empty database."""
    name = f"desk{next(NUMBERS)}"
    ask(f"{server}/postgres", f"CREATE DATABASE {name}")
    return f"{server}/{name}"


# --- the same promises ----------------------------------------------------------------------


def test_it_is_the_same_register_as_in_a_file(url: str, tmp_path: Path) -> None:
    there, here = filled(url), filled(tmp_path / "r.sqlite")
    assert there.list() == here.list()
    assert there.head() == here.head()  # the same records have the same hashes
    found = there.verify(head=here.head())
    assert (found.ok, found.records, found.seal) == (True, 8, "server")
    again = Register.open(url.replace("postgresql:", "postgresql+psycopg:"), create=False)
    assert again.show("IMP-0001") == here.show("IMP-0001")
    Register.preflight(url)


def test_the_same_key_is_written_once_and_steps_out_of_turn_are_refused(url: str) -> None:
    register = Register.open(url)
    entry = register.add(DRAFT, at=AT, actor=WHO, key="k")
    assert register.add(DRAFT, at=AT, actor=WHO, key="k") == entry
    assert register.find("k") == entry
    with pytest.raises(CodedError, match="RG114"):
        register.note(entry, "x", at=AT, actor=WHO, key="k")
    with pytest.raises(CodedError, match="RG112"):
        register.implement(entry, "done", at=AT, actor=WHO)
    with pytest.raises(CodedError, match=r"RG110.*Did you mean 'IMP-0001'"):
        register.show("IMP-001")
    assert register.verify().records == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET actor = 'x' WHERE seq = 2",
        "DELETE FROM history WHERE seq = 8",
        "TRUNCATE history",
        (
            "INSERT INTO history SELECT * FROM history WHERE seq = 2 "
            "ON CONFLICT (seq) DO UPDATE SET actor = 'x'"
        ),
        "SET session_replication_role = replica; DELETE FROM history",
    ],
)
def test_history_cannot_be_rewritten(url: str, statement: str) -> None:
    register = filled(url)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        ask(url, *statement.split("; "))
    assert register.verify().ok
    assert register.verify().records == 8


@pytest.mark.parametrize(
    "weaken",
    [
        "DROP TRIGGER history_no_delete ON history",
        "ALTER TABLE history DISABLE TRIGGER history_no_delete",
        "ALTER TABLE history ENABLE TRIGGER history_no_delete",  # no longer always
        (
            "CREATE OR REPLACE FUNCTION trueloop_history_append_only() RETURNS trigger "
            "LANGUAGE plpgsql AS $$BEGIN RETURN OLD; END$$"
        ),
    ],
)
def test_weakened_guards_are_reported(url: str, weaken: str) -> None:
    register = filled(url)
    ask(url, weaken)
    assert "history_no_delete" in register.verify().why
    with pytest.raises(RunError, match="RG116"):
        register.require_intact()


CHANGES = {
    "UPDATE history SET actor = 'x' WHERE seq = 3": 3,
    "UPDATE history SET payload = payload || ' ' WHERE seq = 8": 8,
    "DELETE FROM history WHERE seq = 5": 5,
    "UPDATE history SET seq = 12 WHERE seq = 8": 8,
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_chain_finds_what_is_changed_behind_the_guards(url: str, change: str) -> None:
    register = filled(url)
    head = register.head()
    ask(
        url,
        "ALTER TABLE history DISABLE TRIGGER USER",
        change,
        "ALTER TABLE history ENABLE ALWAYS TRIGGER history_no_update",
        "ALTER TABLE history ENABLE ALWAYS TRIGGER history_no_delete",
        "ALTER TABLE history ENABLE ALWAYS TRIGGER history_no_truncate",
    )
    found = register.verify(head=head)
    assert (found.ok, found.broken_seq) == (False, CHANGES[change])


# --- one writer at a time -------------------------------------------------------------------


def test_writers_at_once_leave_no_gap(url: str) -> None:
    def work(side: str) -> None:
        register = Register.open(url)
        for number in range(10):
            register.add(DRAFT, at=AT, actor=side, key=f"{number}" if side != "c" else f"c{number}")

    threads = [threading.Thread(target=work, args=(side,)) for side in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    register = Register.open(url)
    # "a" and "b" mean the same ten
    assert [entry.id for entry in register.list()] == [f"IMP-{n:04}" for n in range(1, 21)]
    assert register.verify().ok


def test_a_busy_register_says_so(url: str) -> None:
    filled(url)
    patient = Register.open(url, busy_seconds=0.1)
    with engine(url).connect() as other:
        other.exec_driver_sql(f"SELECT pg_advisory_lock({0x746C7267}, 2)")
        with pytest.raises(RunError, match="RG103"):
            patient.add(DRAFT, at=AT, actor=WHO)
        assert patient.verify().ok
    patient.add(DRAFT, at=AT, actor=WHO)


def test_a_writer_whose_server_lets_it_down_writes_nothing(url: str) -> None:
    """Its connection is cut in the middle of the transaction."""
    register = filled(url)
    store = register._store

    def cut() -> None:
        with store.writing() as mine:
            pid = mine.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            ask(url, f"SELECT pg_terminate_backend({pid})")
            mine.exec_driver_sql("SELECT 1")

    with pytest.raises(RunError, match=r"RG107 .*may be there or not"):
        cut()
    assert register.verify().records == 8
    register.note("IMP-0001", "alive", at=AT, actor=WHO)


# --- what is refused, and without a secret --------------------------------------------------


def refused(place: str, code: str, *, create: bool = True) -> str:
    with pytest.raises(CodedError) as caught:
        Register.open(place, create=create)
    error = caught.value
    assert error.code == code
    every = error.errors if isinstance(error, ManyCodedErrors) else (error,)
    said = " ".join(str(one) for one in every)
    assert not [secret for secret in SECRETS if secret in said]
    assert error.__cause__ is None or not str(error.__cause__)
    return said


def test_what_is_no_register_is_refused(server: str, url: str) -> None:
    place = url.partition("@")[2]
    assert f"there is no register in postgresql://{place}" in refused(url, "RG101", create=False)
    ask(url, "CREATE TABLE history (seq integer, x text)")
    refused(url, "RG102")
    ask(f"{server}/postgres", "CREATE DATABASE raw ENCODING 'SQL_ASCII' TEMPLATE template0")
    assert "UTF8" in refused(f"{server}/raw", "RG101")
    refused(f"{server}/nowhere", "RG107")


def test_a_role_without_the_right_is_told_so(server: str, url: str) -> None:
    filled(url)
    ask(url, "CREATE ROLE reader LOGIN PASSWORD 'horse'", "GRANT SELECT ON history TO reader")
    reader = url.replace(f"mine:{quote(PASSWORD, safe='')}", "reader:horse")
    register = Register.open(reader, create=False)
    assert register.verify().ok
    with pytest.raises(CodedError, match=r"RG101 .*no right"):
        register.note("IMP-0001", "x", at=AT, actor=WHO)
    other = f"desk{next(NUMBERS)}"
    ask(f"{server}/postgres", f"CREATE DATABASE {other}")
    empty = f"{reader.rpartition('/')[0]}/{other}"
    refused(empty, "RG101")
    with pytest.raises(CodedError, match="RG101 no register can be made"):
        Register.preflight(empty)
    ask(url, "GRANT INSERT ON history TO reader")  # all that a writer needs
    register.note("IMP-0001", "x", at=AT, actor=WHO)
    assert register.verify().records == 9


def test_a_wrong_password_is_not_repeated(url: str) -> None:
    wrong = url.replace(quote(PASSWORD, safe=""), "horse%20secret")
    assert "not accepted" in refused(wrong, "RG107")


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("postgresql://u:secret@127.0.0.1:1/db", "RG107"),
        ("postgresql://u:horse@secret@127.0.0.1:1/db", "RG101"),
        ("postgresql://u@127.0.0.1:1/db?password=secret", "RG101"),
        ("postgresql://u@127.0.0.1:1/db?passfile=/secret", "RG101"),
        ("postgresql://u@127.0.0.1:1/db?host=secret", "RG101"),
        ("postgresql://u@127.0.0.1:1/db?sslmode=require&sslmode=secret", "RG101"),
        ("postgresql://u:secret@127.0.0.1:1/db;horse", "RG101"),
        ("postgresql://u:secret@127.0.0.1:1/", "RG101"),
        ("postgresql://u:secret@no.such.host.invalid/db", "RG107"),
        ("postgresql://u:p@127.0.0.1:port/secret", "RG101"),
        ("postgresql://u:secret@127.0.0.1:99999/db", "RG107"),
        ("postgresql+psycopg2://u:secret@h/db", "RG101"),
        ("postgres://u:secret@h/db", "RG101"),
        ("mysql://u:secret@h/db", "RG101"),
        ("://secret", "RG101"),
    ],
)
def test_hostile_urls_are_refused_and_not_shown(place: str, code: str) -> None:
    refused(place, code)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = refused("postgresql://u:secret@127.0.0.1/db", "RG106")
    assert "trueloop[postgresql]" in said


# --- by command -----------------------------------------------------------------------------


def test_the_commands_take_its_url(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    filled(url)
    for words in (["list", url], ["show", url, "IMP-0001"], ["verify", url]):
        command_group.main(words, standalone_mode=False)
    said = capsys.readouterr().out
    assert "8 records, the chain holds" in said
    assert not [secret for secret in SECRETS if secret in said]
