"""Does the register keep what it was told, whole, once, and in order, and notice any change?"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from improvement.register_writer import write

from csi.register import GUARDS, Evaluation, Improvement, Register
from csi.statistics import DecisionRule, Outcome, Share, compare_proportions
from process_mining.errors import CodedError, ManyCodedErrors, RunError

if TYPE_CHECKING:
    from collections.abc import Callable

AT = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)
WHO = "improvement manager"
RULE = DecisionRule(minimum_effect=0.1)
DRAFT = Improvement(
    title="Ask for the error text at once",
    opportunity="Half of the waiting is for the customer",
    hypothesis="A form field for the error text saves one question",
    kpi="KPI01",
    owner="Service desk lead",
    decision_rule=RULE,
    scope={"priority": ("P2", "P1")},
    guardrails=("KPI06",),
    source_findings=("INC003",),
    planned_evaluation="2024-06-01",
)


def evaluation(rule: DecisionRule = RULE) -> Evaluation:
    found = compare_proportions(Share(100, 200), Share(160, 200), rule=rule)
    return replace(Evaluation.of(found, kpi="KPI03"), baseline=("2024-01-01", "2024-02-01"))


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return Register.open(tmp_path / "register.sqlite")


def _started(register: Register) -> str:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO)
    return entry_id


def _filled(path: Path) -> Register:
    register = Register.open(path)
    entry_id = register.add(DRAFT, at=AT, actor=WHO, key="cycle-1")
    register.start(entry_id, at=AT, actor=WHO)
    register.record_evaluation(entry_id, evaluation(), at=AT, actor=WHO)
    register.note(entry_id, "Señor Müller agreed", at=AT, actor=WHO)
    register.close(entry_id, "kept", at=AT, actor=WHO)
    return register


# --- what it keeps ---------------------------------------------------------------------------


def test_an_entry_is_the_fold_over_its_history(tmp_path: Path) -> None:
    entry = _filled(tmp_path / "r.sqlite").show("IMP-0001")
    assert entry.improvement == replace(DRAFT, scope={"priority": ["P1", "P2"]})
    assert (entry.state, entry.verdict, entry.rule_version) == ("closed", Outcome.IMPROVED, 1)
    assert entry.evaluations == (evaluation(),)
    assert entry.closed_at == "2024-03-01T12:00:00.000000Z"
    kinds = [record.kind for record in entry.history]
    assert kinds == ["add", "start", "evaluate", "note", "close"]


def test_it_opens_again_by_path_and_by_url(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    head = _filled(path).head()
    for place in (path, str(path), f"sqlite:///{path}"):
        assert Register.open(place, create=False).head() == head


def test_entries_are_listed_by_id(register: Register) -> None:
    for number in range(3):
        register.add(replace(DRAFT, title=f"t{number}"), at=AT, actor=WHO)
    assert [entry.id for entry in register.list()] == ["IMP-0001", "IMP-0002", "IMP-0003"]
    assert list(register.to_pandas()["title"]) == ["t0", "t1", "t2"]


def test_the_same_words_give_the_same_hashes(tmp_path: Path) -> None:
    assert _filled(tmp_path / "a.sqlite").head() == _filled(tmp_path / "b.sqlite").head()


def test_the_same_key_is_written_once(register: Register) -> None:
    def cycle() -> str:
        entry_id = register.add(DRAFT, at=AT, actor=WHO, key="c1-add")
        register.start(entry_id, at=AT, actor=WHO, key="c1-start")
        register.record_evaluation(entry_id, evaluation(), at=AT, actor=WHO, key="c1-evaluate")
        return entry_id

    first = cycle()
    head = register.head()
    assert cycle() == first
    assert register.head() == head
    assert register.find("c1-add") == first
    assert register.find("c2-add") is None
    other = replace(evaluation(), n=1)
    with pytest.raises(CodedError, match="RG114"):
        register.record_evaluation(first, other, at=AT, actor=WHO, key="c1-evaluate")
    with pytest.raises(CodedError, match="RG114"):
        register.add(replace(DRAFT, title="other"), at=AT, actor=WHO, key="c1-add")
    with pytest.raises(CodedError, match="RG114"):
        register.note(first, "x", at=AT, actor=WHO, key="c1-add")


def test_what_was_planned_and_found_comes_back_as_it_was_told(register: Register) -> None:
    draft = replace(
        DRAFT,
        comparison={"team": ("North",)},
        guardrail_margins={"KPI06": 0.1},
        also=("KPI02",),
    )
    plan = {"design": "difference in differences", "needed_n": 400, "needed_weeks": 12.0}
    found = replace(
        evaluation(),
        design="difference in differences",
        p_value=0.01,
        n_needed=500,
        weeks_needed=3.5,
        also={"KPI02": "improved"},
    )
    entry_id = register.add(draft, at=AT, actor=WHO, key="a")
    register.start(entry_id, at=AT, actor=WHO, plan=plan, key="s")
    register.record_evaluation(entry_id, found, at=AT, actor=WHO)
    entry = register.show(entry_id)
    assert (entry.improvement.comparison, entry.improvement.also) == (
        {"team": ["North"]},
        ("KPI02",),
    )
    assert entry.improvement.guardrail_margins == {"KPI06": 0.1}
    assert (entry.plan, entry.evaluations) == (plan, (found,))
    with pytest.raises(CodedError, match="RG114"):
        register.add(replace(draft, also=()), at=AT, actor=WHO, key="a")
    with pytest.raises(CodedError, match="RG114"):
        register.start(entry_id, at=AT, actor=WHO, key="s")


def test_later_fields_that_say_nothing_are_not_written(register: Register) -> None:
    """So that a record has the hash that it had before they were there."""
    entry_id = _started(register)
    register.record_evaluation(entry_id, replace(evaluation(), p_value=None), at=AT, actor=WHO)
    later = {"comparison", "guardrail_margins", "also", "plan", "design", "weeks_needed"}
    for record in register.show(entry_id).history:
        assert not later & set(record.content)


# --- what it refuses -------------------------------------------------------------------------


def test_the_decision_rule_is_frozen_by_the_start(register: Register) -> None:
    entry_id = _started(register)
    softer = DecisionRule(minimum_effect=0.01)
    with pytest.raises(CodedError, match="RG113"):
        register.start(entry_id, at=AT, actor=WHO, decision_rule=softer)
    with pytest.raises(CodedError, match="RG113"):
        register.record_evaluation(entry_id, evaluation(softer), at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO, decision_rule=softer, reason="Half the tickets")
    register.record_evaluation(entry_id, evaluation(softer), at=AT, actor=WHO)
    entry = register.show(entry_id)
    assert (entry.rule_version, entry.improvement.minimum_effect) == (2, 0.01)
    assert entry.history[2].content["reason"] == "Half the tickets"


def test_steps_out_of_turn_are_refused(register: Register) -> None:
    entry_id = register.add(DRAFT, at=AT, actor=WHO)
    with pytest.raises(CodedError, match="RG112 IMP-0001 is proposed"):
        register.record_evaluation(entry_id, evaluation(), at=AT, actor=WHO)
    register.start(entry_id, at=AT, actor=WHO)
    with pytest.raises(CodedError, match="RG112"):
        register.start(entry_id, at=AT, actor=WHO)
    register.close(entry_id, "stopped", at=AT, actor=WHO)
    with pytest.raises(CodedError, match="RG112"):
        register.close(entry_id, "again", at=AT, actor=WHO)
    register.note(entry_id, "still allowed", at=AT, actor=WHO)
    assert register.verify().records == 4


def test_wrong_words_are_refused(register: Register) -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        replace(DRAFT, title=" ", planned_start="1.4.2024", guardrails=("KPI01",))
    assert [error.code for error in caught.value.errors] == ["RG111"] * 3
    with pytest.raises(ManyCodedErrors) as caught:
        replace(DRAFT, also=("KPI01", "KPI06"), guardrail_margins={"KPI06": 0.0, "KPI09": 0.1})
    assert [error.code for error in caught.value.errors] == ["RG111"] * 4
    register.add(DRAFT, at=AT, actor=WHO)
    with pytest.raises(CodedError, match=r"RG110.*Did you mean 'IMP-0001'"):
        register.show("IMP-001")
    with pytest.raises(CodedError, match=r"RG110.*Did you mean 'IMP-0001'"):
        register.note("IMP-0002", "x", at=AT, actor=WHO)
    with pytest.raises(CodedError, match="RG115"):
        register.add(DRAFT, at=AT.replace(tzinfo=None), actor=WHO)
    with pytest.raises(CodedError, match="RG111"):
        register.add(DRAFT, at=AT, actor=" ")


def test_another_file_is_not_taken_for_a_register(tmp_path: Path) -> None:
    text, foreign = tmp_path / "text", tmp_path / "foreign.sqlite"
    text.write_text("no database\n" * 100)
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE history (x)")
    for path in (text, foreign):
        before = path.read_bytes()
        with pytest.raises(CodedError, match="RG102"):
            Register.open(path)
        assert path.read_bytes()[100:] == before[100:]
    for place in (tmp_path / "no" / "r", "postgresql://host/db", "sqlite://"):
        with pytest.raises(CodedError, match="RG101"):
            Register.open(place)
    with pytest.raises(CodedError, match="RG101"):
        Register.open(tmp_path / "none", create=False)


def test_a_busy_register_says_so(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    _filled(path)
    patient = Register.open(path, busy_seconds=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RunError, match="RG103"):
            patient.add(DRAFT, at=AT, actor=WHO)
        assert patient.verify().ok
        other.execute("ROLLBACK")
    patient.add(DRAFT, at=AT, actor=WHO)


# --- what it notices -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE history SET actor = 'x' WHERE seq = 2",
        "DELETE FROM history WHERE seq = 5",
        "INSERT OR REPLACE INTO history SELECT * FROM history WHERE seq = 2",
        # the key of record 1 under another number
        "INSERT OR REPLACE INTO history VALUES (9, '', '', '', '', 'cycle-1', '', '', '')",
    ],
)
def test_history_cannot_be_rewritten(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "r.sqlite"
    register = _filled(path)
    with (
        closing(sqlite3.connect(path)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append"),
    ):
        connection.execute(statement)
    assert register.verify().ok
    assert register.verify().records == 5


def _tamper(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for name in GUARDS:
            connection.execute(f"DROP TRIGGER {name}")
        change(connection)
        for name, when in GUARDS.items():
            connection.execute(f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, ''); END")
        connection.commit()


FIELDS = ("at", "actor", "entry_id", "kind", "key", "payload", "prev_hash", "hash")


@pytest.mark.parametrize("column", FIELDS)
def test_a_flipped_bit_in_any_field_is_found(tmp_path: Path, column: str) -> None:
    path, rng = tmp_path / "r.sqlite", np.random.default_rng(FIELDS.index(column))
    register = _filled(path)
    for seq in (1, 3, 5):

        def flip(connection: sqlite3.Connection, seq: int = seq) -> None:
            query = f"SELECT CAST({column} AS BLOB) FROM history WHERE seq = ?"  # noqa: S608
            (old,) = connection.execute(query, (seq,)).fetchone()
            new = bytearray(old or b"k")
            if old:
                new[rng.integers(len(new))] ^= 1 << int(rng.integers(8))
            update = f"UPDATE history SET {column} = CAST(? AS TEXT) WHERE seq = ?"  # noqa: S608
            connection.execute(update, (bytes(new), seq))

        with closing(sqlite3.connect(path)) as copy:
            saved = list(copy.execute("SELECT * FROM history"))
        _tamper(path, flip)
        found = register.verify()
        assert (found.ok, found.broken_seq) == (False, seq), f"{column} of {seq}"

        def restore(connection: sqlite3.Connection, saved: list[object] = saved) -> None:
            connection.execute("DELETE FROM history")
            connection.executemany("INSERT INTO history VALUES (?,?,?,?,?,?,?,?,?)", saved)

        _tamper(path, restore)
        assert register.verify().ok


def test_removed_inserted_and_renumbered_records_are_found(tmp_path: Path) -> None:
    changes = {
        "DELETE FROM history WHERE seq = 3": 3,
        "UPDATE history SET seq = 9 WHERE seq = 5": 5,
        "INSERT INTO history SELECT 6, at, actor, entry_id, kind, 'k', payload, hash, hash "
        "FROM history WHERE seq = 5": 6,
    }
    for number, (statement, seq) in enumerate(changes.items()):
        path = tmp_path / f"{number}.sqlite"
        register = _filled(path)
        _tamper(path, lambda connection, sql=statement: connection.execute(sql))
        assert register.verify().broken_seq == seq


def test_a_record_that_was_changed_with_its_hash_breaks_the_next_link(tmp_path: Path) -> None:
    path, other = tmp_path / "r.sqlite", Register.open(tmp_path / "other.sqlite")
    register = _filled(path)
    other.add(replace(DRAFT, title="Something else"), at=AT, actor=WHO, key="cycle-1")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        forged = connection.execute("SELECT payload, hash FROM history").fetchone()
    _tamper(path, lambda c: c.execute("UPDATE history SET payload=?, hash=? WHERE seq=1", forged))
    found = register.verify()
    assert (found.ok, found.broken_seq) == (False, 2)
    assert "does not follow" in found.why


def test_a_cut_end_is_found_with_the_head_kept_outside(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    register = _filled(path)
    head = register.head()
    assert register.verify(head=head).ok
    register.note("IMP-0001", "later", at=AT, actor=WHO)
    assert register.verify(head=head).ok  # an older head stays good
    _tamper(path, lambda connection: connection.execute("DELETE FROM history WHERE seq >= 5"))
    assert register.verify().ok
    assert not register.verify(head=head).ok


def test_missing_guards_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "r.sqlite"
    register = _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TRIGGER history_no_delete")
    assert "history_no_delete" in register.verify().why


def test_a_damaged_file_gives_a_verdict_not_a_traceback(tmp_path: Path) -> None:
    """Bits of the file itself: each either leaves the content as it was, or is reported."""
    path, rng = tmp_path / "r.sqlite", np.random.default_rng(5)
    register = _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    good, head = path.read_bytes(), register.head()
    found, whole = 0, register.list()
    for _ in range(100):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        result = register.verify(head=head)
        found += not result.ok
        try:
            read = register.list()
        except CodedError:
            read = ()
        assert read == whole or not result.ok
    assert found


# --- processes -------------------------------------------------------------------------------

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["csi.register"])  # imported once, not for each process


def test_nothing_that_was_written_is_lost_by_kill_9(tmp_path: Path) -> None:
    """Eight kills, two writers at a time."""
    path, rng = tmp_path / "r.sqlite", np.random.default_rng(3)
    register = Register.open(path)
    register.add(DRAFT, at=AT, actor=WHO)
    begin = FORKS.Event()
    begin.set()
    files = [tmp_path / f"said-{number}" for number in range(8)]
    for pair in range(4):
        mine = files[2 * pair : 2 * pair + 2]
        writers = [
            FORKS.Process(target=write, args=(path, "note", 100_000, said, begin)) for said in mine
        ]
        for writer in writers:
            writer.start()
        _wait_for(mine)
        time.sleep(rng.uniform(0, 0.15))
        for writer in writers:
            writer.kill()
            writer.join()
        acknowledged = sum(said.read_text().count("\n") for said in files if said.exists())
        result = register.verify()
        assert result.ok
        # each kill may leave one record that was committed and not yet reported
        assert acknowledged + 1 <= result.records <= acknowledged + 1 + 2 * (pair + 1)
    register.note("IMP-0001", "alive", at=AT, actor=WHO)


def _wait_for(files: list[Path]) -> None:
    """Wait until every writer has written something."""
    until = time.monotonic() + 60
    while not all(said.exists() and said.stat().st_size for said in files):
        assert time.monotonic() < until
        time.sleep(0.005)


def test_three_processes_share_one_register(tmp_path: Path) -> None:
    path, begin = tmp_path / "r.sqlite", FORKS.Event()
    modes, files = ("left", "right", "left"), [tmp_path / f"said-{number}" for number in range(3)]
    writers = [
        FORKS.Process(target=write, args=(path, mode, 25, said, begin))
        for mode, said in zip(modes, files, strict=True)
    ]
    for writer in writers:
        writer.start()
    begin.set()
    for writer in writers:
        writer.join(timeout=60)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    said = [file.read_text().split() for file in files]
    register = Register.open(path)
    # the two "left" processes mean the same 25 improvements
    assert said[0] == said[2]
    assert sorted(said[0] + said[1]) == [entry.id for entry in register.list()]
    assert len(register.list()) == 50
    assert register.verify().ok
