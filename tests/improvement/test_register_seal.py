"""Does the register notice any change of its file: every record, and every single bit?"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from shutil import copy
from typing import TYPE_CHECKING

import numpy as np
import pytest
from improvement.register_story import AT, DRAFT, WHO, filled

import csi.register.sqlite
from csi.register import GUARDS, Register
from process_mining.errors import CodedError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORDS = 8  # of `filled`


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One sealed register that the tests copy."""
    path = tmp_path_factory.mktemp("master") / "r.sqlite"
    filled(path)
    return path


@pytest.fixture
def path(master: Path, tmp_path: Path) -> Path:
    copy(master, tmp_path / "r.sqlite")
    copy(seal_of(master), seal_of(tmp_path / "r.sqlite"))
    return tmp_path / "r.sqlite"


def seal_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.seal")


def opened(path: Path) -> Register:
    return Register.open(path, create=False)


# --- the chain: records ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET actor = 'x' WHERE seq = 2",
        "DELETE FROM history WHERE seq = 8",
        "INSERT OR REPLACE INTO history SELECT * FROM history WHERE seq = 2",
        # the key of record 1 under another number
        "INSERT OR REPLACE INTO history VALUES (9, '', '', '', '', 'cycle-1', '', '', '')",
    ],
)
def test_history_cannot_be_rewritten(path: Path, statement: str) -> None:
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append"),
    ):
        connection.execute(statement)
    found = opened(path).verify()
    assert (found.ok, found.records, found.seal) == (True, RECORDS, "sealed")


def tamper(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change records behind the guards' back, which are put up again; the seal is taken away."""
    with closing(sqlite3.connect(path)) as connection:
        guards = dict(
            connection.execute("SELECT name, sql FROM sqlite_master WHERE type='trigger'")
        )
        assert set(guards) == set(GUARDS)
        for name in guards:
            connection.execute(f"DROP TRIGGER {name}")
        change(connection)
        for sql in guards.values():
            connection.execute(sql)
        connection.commit()
    seal_of(path).unlink(missing_ok=True)


FIELDS = ("at", "actor", "entry_id", "kind", "key", "payload", "prev_hash", "hash")


@pytest.mark.parametrize("column", FIELDS)
def test_the_chain_finds_a_flipped_bit_in_any_field(path: Path, column: str) -> None:
    rng = np.random.default_rng(FIELDS.index(column))
    good = path.read_bytes()
    for seq in (1, 3, RECORDS):

        def flip(connection: sqlite3.Connection, seq: int = seq) -> None:
            query = f"SELECT CAST({column} AS BLOB) FROM history WHERE seq = ?"  # noqa: S608
            (old,) = connection.execute(query, (seq,)).fetchone()
            new = bytearray(old or b"k")
            if old:
                new[rng.integers(len(new))] ^= 1 << int(rng.integers(8))
            update = f"UPDATE history SET {column} = CAST(? AS TEXT) WHERE seq = ?"  # noqa: S608
            connection.execute(update, (bytes(new), seq))

        tamper(path, flip)
        found = opened(path).verify()
        assert (found.ok, found.broken_seq) == (False, seq), f"{column} of {seq}"
        path.write_bytes(good)
        found = opened(path).verify()
        assert (found.ok, found.seal) == (True, "none")


def test_removed_inserted_and_renumbered_records_are_found(path: Path) -> None:
    good = path.read_bytes()
    changes = {
        "DELETE FROM history WHERE seq = 3": 3,
        "UPDATE history SET seq = 12 WHERE seq = 8": 8,
        "INSERT INTO history SELECT 9, at, actor, entry_id, kind, 'k', payload, hash, hash "
        "FROM history WHERE seq = 8": 9,
    }
    for statement, seq in changes.items():
        tamper(path, lambda connection, sql=statement: connection.execute(sql))
        assert opened(path).verify().broken_seq == seq
        path.write_bytes(good)


def test_a_record_that_was_changed_with_its_hash_breaks_the_next_link(
    path: Path, tmp_path: Path
) -> None:
    other = Register.open(tmp_path / "other.sqlite")
    other.add(DRAFT, at=AT, actor="somebody else", key="cycle-1")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        forged = connection.execute("SELECT actor, hash FROM history").fetchone()
    tamper(path, lambda c: c.execute("UPDATE history SET actor=?, hash=? WHERE seq=1", forged))
    found = opened(path).verify()
    assert (found.ok, found.broken_seq) == (False, 2)
    assert "does not follow" in found.why


def test_a_cut_end_is_found_by_the_seal_or_with_the_head_kept_outside(path: Path) -> None:
    register, seal = opened(path), seal_of(path).read_bytes()
    head = register.head()
    assert register.verify(head=head).ok
    register.note("IMP-0001", "later", at=AT, actor=WHO)
    assert register.verify(head=head).ok  # an older head stays good
    tamper(path, lambda connection: connection.execute("DELETE FROM history WHERE seq >= 8"))
    assert register.verify().ok  # the chain alone cannot see it
    assert not register.verify(head=head).ok
    seal_of(path).write_bytes(seal)
    assert register.verify().why == "it has 7 records, its seal vouches for 8"


IDLE = "CREATE TRIGGER history_no_delete BEFORE DELETE ON history BEGIN SELECT 1; END"


@pytest.mark.parametrize("instead", ["", IDLE])
def test_guards_that_are_missing_or_do_nothing_are_reported(path: Path, instead: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"DROP TRIGGER history_no_delete; {instead}")
    assert "history_no_delete" in opened(path).verify().why


# --- the seal: every bit --------------------------------------------------------------------


def test_every_write_leaves_a_sealed_file_and_reading_leaves_nothing(
    path: Path, tmp_path: Path
) -> None:
    register = opened(path)
    for number in range(3):
        register.note("IMP-0001", f"{number}", at=AT, actor=WHO)
        assert (register.verify().seal, register.notice) == ("sealed", "")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    assert set(before) == {"r.sqlite", "r.sqlite.seal"}
    register.list()
    register.show("IMP-0001")
    register.to_pandas()
    register.verify()
    register.require_intact()
    opened(path).head()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before
    seal = json.loads(seal_of(path).read_text())
    assert (seal["records"], seal["head"]) == (RECORDS + 3, register.head())


def flips_found(path: Path, flips: int, seed: int) -> int:
    """Flip single bits of the file, one at a time; return how many `verify` finds."""
    rng, good, found = np.random.default_rng(seed), path.read_bytes(), 0
    whole = opened(path).list()
    for _ in range(flips):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        result = opened(path).verify()
        found += not result.ok
        try:
            read = opened(path).list()
        except CodedError:
            read = ()
        assert read == whole or not result.ok
        with pytest.raises(CodedError):
            opened(path).note("IMP-0001", "on damage", at=AT, actor=WHO)
        assert path.read_bytes() == bad  # no write touches it, none seals it anew
    path.write_bytes(good)
    assert opened(path).verify().seal == "sealed"
    return found


def test_random_flipped_bits_are_all_found_and_nothing_is_written(path: Path) -> None:
    assert flips_found(path, 150, seed=7) == 150


@pytest.mark.trial
def test_a_thousand_flipped_bits_are_all_found(path: Path) -> None:
    """Of a file with pages of every kind that it can have: records that go on over pages too."""
    register = opened(path)
    for number in range(40):
        register.note("IMP-0001", f"{number} " * 1500, at=AT, actor=WHO, key=f"key-{number}")
    found = flips_found(path, 1000, seed=20_261_201)
    print(f"\nbit flips in {path.stat().st_size:,} bytes: {found} of 1000 found")  # noqa: T201
    assert found == 1000


def test_every_bit_of_the_header_is_vouched_for(path: Path) -> None:
    """The first hundred bytes say what kind of file it is; SQLite itself mends some of them."""
    good = path.read_bytes()
    for place in range(100):
        bad = bytearray(good)
        bad[place] ^= 1 << (place % 8)
        path.write_bytes(bad)
        with pytest.raises(RunError, match="RG116"):
            opened(path).require_intact()
        assert path.read_bytes() == bad


def test_a_flipped_bit_in_the_seal_is_found(path: Path) -> None:
    rng, good = np.random.default_rng(3), seal_of(path).read_bytes()
    for place in rng.choice(len(good), 60, replace=False):
        bad = bytearray(good)
        bad[place] ^= 1 << int(rng.integers(8))
        seal_of(path).write_bytes(bad)
        found = opened(path).verify()
        # white space and the case of a hash digit say the same; then nothing was damaged
        assert not found.ok or json.loads(bad) == json.loads(good)
    for text in ("", "[]", '{"records": 1}', "[" * 100_000):
        seal_of(path).write_text(text)
        assert opened(path).verify().why == "its seal is damaged"
        with pytest.raises(RunError, match="RG116"):
            opened(path).note("IMP-0001", "x", at=AT, actor=WHO)


def test_a_copied_file_without_its_seal_is_vouched_for_by_the_chain_alone(path: Path) -> None:
    seal_of(path).unlink()
    found = opened(path).verify()
    assert (found.ok, found.seal) == (True, "none")
    assert "unused bytes" in found.said
    opened(path).note("IMP-0001", "sealed again", at=AT, actor=WHO)
    assert opened(path).verify().seal == "sealed"


def test_other_bytes_under_the_same_head_are_damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")
        connection.execute("PRAGMA user_version = 9")
    found = opened(path).verify()
    assert "other bytes" in found.why
    with pytest.raises(RunError, match="RG116"):
        opened(path).note("IMP-0001", "x", at=AT, actor=WHO)


def test_another_register_under_the_seal_is_found(path: Path, tmp_path: Path) -> None:
    other = Register.open(tmp_path / "other.sqlite")
    for _ in range(RECORDS + 1):
        other.add(DRAFT, at=AT, actor=WHO)
    copy(tmp_path / "other.sqlite", path)
    assert opened(path).verify().why == "it is not the file that its seal vouches for"


def test_a_register_whose_file_is_gone_is_not_begun_anew(path: Path) -> None:
    path.unlink()
    with pytest.raises(RunError, match=r"RG116 .*it is gone, its seal vouches for 8 records"):
        Register.open(path)
    assert not path.exists()


# --- between commit and seal ----------------------------------------------------------------


def ahead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write a record and fail just before its seal, as a full disk does."""

    def fails(*_: object) -> None:
        code = "CY001"
        raise RunError(code, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(csi.register.sqlite, "write_seal", fails)
        register = opened(path)
        register.note("IMP-0001", "ahead", at=AT, actor=WHO)
        assert "next write seals it" in register.notice


def test_a_register_ahead_of_its_seal_is_whole_and_sealed_by_the_next_write(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead(path, monkeypatch)
    ahead(path, monkeypatch)
    found = opened(path).verify()
    assert (found.ok, found.records, found.seal) == (True, RECORDS + 2, "ahead")
    assert "2 records ahead" in found.said
    opened(path).note("IMP-0001", "sealed", at=AT, actor=WHO)
    assert opened(path).verify().seal == "sealed"


def test_damage_behind_the_sealed_head_is_found_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seal = seal_of(path).read_bytes()
    ahead(path, monkeypatch)
    change = "UPDATE history SET actor = 'x' WHERE seq = 9"
    tamper(path, lambda connection: connection.execute(change))
    seal_of(path).write_bytes(seal)
    assert opened(path).verify().broken_seq == 9
    with pytest.raises(RunError, match="RG116"):
        opened(path).note("IMP-0001", "x", at=AT, actor=WHO)


def test_a_log_that_a_crash_left_is_read_and_goes_into_the_file(path: Path, tmp_path: Path) -> None:
    """Killed after the commit: the record is in the write-ahead log alone."""
    head = opened(path).head()
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        row = ("9", "", "", "IMP-0001", "note", None, "{}", head, "no hash of ours")
        connection.execute("INSERT INTO history VALUES (?,?,?,?,?,?,?,?,?)", row)
        connection.commit()
        for one in tmp_path.iterdir():
            if one.is_file() and not one.name.endswith("-shm"):
                copy(one, crashed / one.name)
    left = crashed / "r.sqlite"
    assert (crashed / "r.sqlite-wal").stat().st_size
    found = opened(left).verify()
    assert (found.records, found.broken_seq) == (9, 9)  # it was read, and is not one of ours


def test_litter_of_a_seal_that_was_cut_short_is_cleared(path: Path, tmp_path: Path) -> None:
    litter = tmp_path / ".r.sqlite.abc123.tmp.seal"
    other = tmp_path / ".other.sqlite.abc123.tmp.seal"
    litter.write_text("{")
    other.write_text("{")
    opened(path).note("IMP-0001", "x", at=AT, actor=WHO)
    assert (litter.exists(), other.exists()) == (False, True)
