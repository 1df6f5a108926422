"""Does a run go on where one ended, pin what it reads, keep others out, and say how far it is?

One run over the desk of `improvement.cycle_desk` is done once for all tests. Where a test is about
the run and not about the steps, notebooks are replayed: each leaves what it left in that run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from improvement.command_line import in_process
from improvement.cycle_here import here

from csi.cycle import load_cycle
from csi.cycle_run import run
from csi.cycle_status import status_of
from csi.locks import Holder, folder_holder, folder_lock, register_lock
from csi.manifest import NAME, RESULTS, Manifest
from csi.outputs import whole
from csi.runner import NOTEBOOKS, NotebookParameters
from csi.stages import Loop
from process_mining.errors import CodedError, RunError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


ROOT = Path(__file__).parents[2]


class Replayed:
    """A desk whose cycle was run once; `run` replays the notebooks that are to be run."""

    def __init__(self, folder: Path, golden: Path) -> None:
        self.folder, self.golden = folder, golden
        self.cycle, self.out = folder / "desk" / "cycle.toml", folder / "desk" / "out"
        self.ran: list[str] = []
        self.before: Callable[[str], None] = lambda _: None

    def notebook(
        self, notebook: str, parameters: NotebookParameters, out: Path, **_: object
    ) -> None:
        self.before(notebook)
        loop = Loop.open(
            parameters.cycle,
            parameters.out,
            parameters.report_date,
            parameters.register_place,
            parameters.snapshot,
        )
        loop.manifest.pin_log(loop.manifest.log)
        with loop.manifest.step(notebook) as step:
            for path in (self.golden / notebook).iterdir():
                with whole(step / path.name) as temporary:
                    shutil.copyfile(path, temporary)
        told = {"parameters": parameters.model_dump(), "end_time": "then", "exception": None}
        with whole(out) as temporary:
            temporary.write_text(json.dumps({"metadata": {"papermill": told}}), encoding="utf-8")
        self.ran.append(notebook)

    def run(self, **options: Any) -> list[str]:  # noqa: ANN401 - handed on
        """Run the cycle; return the notebooks that were run."""
        self.ran.clear()
        run(self.cycle, self.out, execute=self.notebook, **options)
        return list(self.ran)

    @property
    def register(self) -> Path:
        return self.cycle.parent / "register.sqlite"

    def results(self) -> dict[str, bytes]:
        kept = [*RESULTS, NAME, *(f"{s}/{p.name}" for s in NOTEBOOKS for p in self._in(s))]
        return {name: (self.out / name).read_bytes() for name in kept}

    def _in(self, step: str) -> list[Path]:
        return sorted((self.out / step).iterdir())


@pytest.fixture
def desk(golden: Path, tmp_path: Path) -> Replayed:
    shutil.copytree(golden / "desk", tmp_path / "desk")
    return Replayed(tmp_path, golden / "desk" / "out")


def records(register: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(register)) as connection:
        return connection.execute("SELECT * FROM history ORDER BY seq").fetchall()


# --- going on


def test_a_complete_cycle_has_nothing_to_do(desk: Replayed) -> None:
    files = {p: p.read_bytes() for p in desk.folder.rglob("*") if p.is_file()}
    assert desk.run() == []
    ran = in_process("cycle", "run", desk.cycle, "--out", desk.out)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("Nothing to do: this cycle is complete.")
    after = {p: p.read_bytes() for p in desk.folder.rglob("*") if p.is_file()}
    assert {p: b for p, b in after.items() if "register" not in p.name} == {
        p: b for p, b in files.items() if "register" not in p.name
    }


@pytest.mark.parametrize("failing", NOTEBOOKS)
def test_a_run_goes_on_at_the_failed_notebook(failing: str, desk: Replayed) -> None:
    whole_run = desk.results()
    shutil.rmtree(desk.out)
    history = records(desk.register)

    def fail(name: str) -> None:
        if name == failing:
            raise RunError("CY104", "the kernel died")

    desk.before = fail
    with pytest.raises(RunError, match="CY104"):
        desk.run()
    place = NOTEBOOKS.index(failing)
    assert tuple(desk.ran) == NOTEBOOKS[:place]
    found = status_of(desk.cycle, desk.out)
    assert (found.state, found.done, found.next) == ("failed", NOTEBOOKS[:place], failing)
    assert found.failed.startswith("CY104 the kernel died")
    desk.before = lambda _: None
    steps: list[str] = []
    assert tuple(desk.run(step=steps.append)) == NOTEBOOKS[place:]
    kept = [line for line in steps if line.endswith(": done already")]
    assert kept == [f"notebook {name}: done already" for name in NOTEBOOKS[:place]]
    assert desk.results() == whole_run
    assert not (desk.out / "failed.json").exists()
    assert records(desk.register) == history


@pytest.mark.parametrize(
    "harm",
    [
        lambda out: (out / "notebooks" / "2_analyse.ipynb").unlink(),
        lambda out: (out / "notebooks" / "2_analyse.ipynb").write_text('{"metadata": {}}'),
        lambda out: (out / "2_analyse" / "pareto.parquet").write_bytes(b"torn"),
        lambda out: (out / "2_analyse" / "pareto.parquet").unlink(),
    ],
    ids=["notebook-lost", "notebook-torn", "file-torn", "file-lost"],
)
def test_only_what_is_not_whole_is_done_anew(harm: Callable[[Path], None], desk: Replayed) -> None:
    before = desk.results()
    harm(desk.out)
    (desk.out / "results.json").unlink()
    assert desk.run() == ["2_analyse"]
    assert desk.results() == before


def test_a_first_notebook_that_was_lost_leaves_the_same_bytes_again(desk: Replayed) -> None:
    """It was killed after its step and before it was written: the evidence is read back."""
    before = desk.results()
    (desk.out / "notebooks" / "1_measure.ipynb").unlink()
    (desk.out / "results.json").unlink()
    run(desk.cycle, desk.out, execute=here)
    assert desk.results() == before


def test_other_inputs_begin_anew(desk: Replayed) -> None:
    with (desk.cycle.parent / "tickets.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert tuple(desk.run()) == NOTEBOOKS


def test_another_report_date_is_another_report(desk: Replayed) -> None:
    first = desk.results()
    assert tuple(desk.run(report_date="2025-08-01")) == NOTEBOOKS
    assert json.loads(desk.results()["results.json"])["report_date"] == "2025-08-01"
    assert "2025-08-01" in desk.results()["report.html"].decode()
    assert tuple(desk.run(report_date="2025-07-07")) == NOTEBOOKS
    assert desk.results() == first


@pytest.mark.parametrize("date", ["soon", "2025-02-28", "2200-01-01", "2025-07-07\n", "20250707x"])
def test_a_report_date_that_cannot_be_is_refused(date: str, desk: Replayed) -> None:
    ran = in_process("cycle", "run", desk.cycle, "--out", desk.out, "--report-date", date)
    assert (ran.code, ran.err[:6]) == (2, "CY211 ")


def test_a_lost_register_is_written_again(desk: Replayed) -> None:
    for path in desk.cycle.parent.glob("register.sqlite*"):
        path.unlink()
    assert desk.run() == ["3_improve", "4_evaluate"]


def test_a_lost_history_is_written_again(desk: Replayed) -> None:
    history = desk.cycle.parent / "register.sqlite.cycles.json"
    before = history.read_bytes()
    history.unlink()
    assert desk.run() == []
    assert history.read_bytes() == before


def test_a_damaged_history_stops_a_run_before_it_begins(desk: Replayed) -> None:
    (desk.cycle.parent / "register.sqlite.cycles.json").write_text("{", encoding="utf-8")
    ran = in_process("cycle", "run", desk.cycle, "--out", desk.folder / "new")
    assert (ran.code, ran.err[:6]) == (3, "CY310 ")
    assert not (desk.folder / "new").exists()


def test_a_later_cycle_is_set_against_the_earlier_one(desk: Replayed) -> None:
    later = desk.cycle.with_name("later.toml")
    text = desk.cycle.read_text("utf-8")
    later.write_text(text.replace("end = 2025-03-01", "end = 2025-03-02"), encoding="utf-8")
    desk.cycle, desk.out = later, desk.folder / "later"
    assert tuple(desk.run()) == NOTEBOOKS
    found = json.loads(desk.results()["results.json"])["earlier"]
    assert [one["window"]["current"]["end"] for one in found["cycles"]] == ["2025-03-01"]
    assert found["against"]["independent"] is False
    page = desk.results()["report.html"].decode()
    assert "1 earlier cycle of this register" in page
    assert "The two windows overlap" in page
    first = in_process("cycle", "compare", desk.folder / "desk" / "out", desk.out)
    assert (first.code, "The two windows overlap" in first.out) == (0, True)


def test_what_a_killed_run_left_unfinished_is_cleared(desk: Replayed) -> None:
    left = [
        desk.out / "1_measure" / ".kpis.abcd1234.tmp.json",
        desk.out / "notebooks" / ".2_analyse.abcd_234.tmp.ipynb",
        desk.out / ".writing-abcd1234" / "results.json",
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_text("half", encoding="utf-8")
    own = desk.out / "1_measure" / ".notes.txt"
    own.write_text("mine", encoding="utf-8")
    assert desk.run() == []
    assert [path for path in left if path.exists()] == []
    assert (own.exists(), (desk.out / ".writing-abcd1234").exists()) == (True, False)


# --- one run, one snapshot


def test_a_file_that_changes_during_a_run_stops_it(desk: Replayed) -> None:
    shutil.rmtree(desk.out)

    def change(name: str) -> None:
        if name == "3_improve":
            with (desk.cycle.parent / "tickets.csv").open("a", encoding="utf-8") as file:
                file.write("\n")

    desk.before = change
    with pytest.raises(RunError, match=r"CY301 tickets\.csv changed while the cycle was running"):
        desk.run()
    assert not (desk.out / "results.json").exists()


@pytest.mark.parametrize("name", ["cycle.toml", "my/incident/INC901-own.toml"])
def test_every_input_and_the_cycle_file_are_pinned(name: str, desk: Replayed) -> None:
    snapshot = Manifest.open(desk.out, load_cycle(desk.cycle)).snapshot
    Loop.open(desk.cycle, desk.out, "", "", snapshot)
    with (desk.cycle.parent / name).open("a", encoding="utf-8") as file:
        file.write("# more\n")
    with pytest.raises(RunError, match=f"CY301 {name} changed"):
        Loop.open(desk.cycle, desk.out, "", "", snapshot)
    alone = Loop.open(desk.cycle, desk.out)
    assert not alone.manifest.done("1_measure")


def test_a_log_that_was_read_otherwise_stops_a_run(desk: Replayed) -> None:
    snapshot = Manifest.open(desk.out, load_cycle(desk.cycle)).snapshot
    path = desk.out / NAME
    stored = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(stored | {"log": "0" * 64}), encoding="utf-8")
    loop = Loop.open(desk.cycle, desk.out, "", "", snapshot)
    with pytest.raises(RunError, match=r"CY301 events\.ndjson, tickets\.csv changed"):
        _ = loop.tickets.audit


def test_a_step_alone_vouches_for_nothing_that_moved_under_it(desk: Replayed) -> None:
    manifest = Manifest.open(desk.out, load_cycle(desk.cycle))
    with manifest.step("1_measure") as folder:
        (folder / "kpis.json").write_text("{}", encoding="utf-8")
        with (desk.cycle.parent / "tickets.csv").open("a", encoding="utf-8") as file:
            file.write("\n")
    assert not Manifest.open(desk.out, load_cycle(desk.cycle)).done("1_measure")


def test_other_results_of_a_step_make_the_later_ones_void(desk: Replayed) -> None:
    manifest = Manifest.open(desk.out, load_cycle(desk.cycle))
    assert manifest.finished()
    with manifest.step("2_analyse") as folder:
        (folder / "pareto.parquet").write_bytes(b"other")
    again = Manifest.open(desk.out, load_cycle(desk.cycle))
    done = {name: again.done(name) for name in NOTEBOOKS}
    assert done == dict(zip(NOTEBOOKS, (True, True, False, False), strict=True))
    assert not again.finished()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"steps": 3}', "[" * 100_000], ids=range(6)
)
def test_a_damaged_manifest_vouches_for_nothing(text: str, desk: Replayed) -> None:
    (desk.out / NAME).write_text(text, encoding="utf-8")
    manifest = Manifest.open(desk.out, load_cycle(desk.cycle))
    assert not any(manifest.done(name) for name in NOTEBOOKS)
    assert status_of(desk.cycle, desk.out).done == ()


# --- one run at a time


HOLD = """
import sys
from pathlib import Path
from csi.locks import Holder, folder_lock, register_lock
register, folder = map(Path, sys.argv[1:])
me = Holder.me(folder / "theirs.toml")
with register_lock(register, me), folder_lock(folder, me):
    print(flush=True)
    sys.stdin.read()
"""


class Other:
    """Another process that holds a register and a folder until it is killed or let go."""

    def __init__(self, register: Path, folder: Path) -> None:
        words = [sys.executable, "-c", HOLD, str(register), str(folder)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, cwd=ROOT)
        self.pid = self.process.pid
        assert self.process.stdout is not None
        assert self.process.stdout.readline()

    def end(self, number: int = 0) -> None:
        if number:
            self.process.send_signal(number)
        self.process.communicate()


@pytest.fixture
def other(desk: Replayed) -> Iterator[Other]:
    """Another run on the desk's register, into a folder of its own."""
    theirs = desk.folder / "theirs"
    theirs.mkdir()
    process = Other(desk.register, theirs)
    yield process
    process.end()


def test_two_runs_on_one_register_are_refused_and_none_is_stale(
    desk: Replayed, other: Other
) -> None:
    with pytest.raises(RunError, match="CY302 another run works on this register") as caught:
        desk.run()
    said = str(caught.value)
    assert f"process {other.pid} on {os.uname().nodename}, since 2" in said
    assert str(desk.folder / "theirs" / "theirs.toml") in said
    ran = in_process("cycle", "run", desk.cycle, "--out", desk.out)
    assert (ran.code, ran.err[:6]) == (3, "CY302 ")
    other.end(signal.SIGKILL)
    assert (desk.register.parent / "register.sqlite.lock").exists()
    assert desk.run() == []
    assert not (desk.register.parent / "register.sqlite.lock").exists()


def test_a_link_to_the_register_is_the_same_register(desk: Replayed, other: Other) -> None:
    assert other
    link = desk.folder / "linked.sqlite"
    link.symlink_to(desk.register)
    me = Holder.me(desk.cycle)
    for place in (link, f"sqlite:///{desk.register}", str(desk.register)):
        with pytest.raises(RunError, match="CY302"), register_lock(place, me):
            pass


def test_another_register_is_free(desk: Replayed, other: Other) -> None:
    assert other
    assert tuple(desk.run(register_place=str(desk.folder / "new.sqlite"))) == NOTEBOOKS


def test_two_runs_into_one_folder_are_refused(desk: Replayed, other: Other) -> None:
    theirs = desk.folder / "theirs"
    assert folder_holder(theirs) is not None
    status = in_process("cycle", "status", theirs)
    assert (status.code, f"Run by process {other.pid} on " in status.out) == (0, True)
    place = str(desk.folder / "new.sqlite")
    with pytest.raises(RunError, match="CY303 another run writes into this folder"):
        run(desk.cycle, theirs, register_place=place, execute=desk.notebook)
    other.end()
    assert folder_holder(theirs) is None
    assert list(theirs.iterdir()) == []


def test_a_lock_that_says_nothing_is_a_lock(tmp_path: Path) -> None:
    me = Holder.me(tmp_path)
    with folder_lock(tmp_path, me):
        (tmp_path / ".cycle.lock").write_text("{}", encoding="utf-8")
        with pytest.raises(RunError, match=r"CY303 .*: not named"), folder_lock(tmp_path, me):
            pass


def test_a_lock_is_no_link_to_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine", encoding="utf-8")
    (tmp_path / ".cycle.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(RunError, match="CY304"), folder_lock(tmp_path, Holder.me(tmp_path)):
        pass
    assert (tmp_path / "victim").read_text("utf-8") == "mine"


# --- how far it is


def test_status_of_what_has_not_begun_and_what_was_interrupted(desk: Replayed) -> None:
    assert status_of(desk.cycle, desk.folder / "new").state == "not begun"
    complete = status_of(desk.cycle, desk.out)
    assert (complete.state, complete.next, complete.done) == ("complete", "", NOTEBOOKS)
    assert complete.verdicts == ("IMP-0001 Route at once: inconclusive",)
    assert complete.windows["current"] == {"start": "2025-02-01", "end": "2025-03-01"}
    (desk.out / "results.json").unlink()
    (desk.out / "notebooks" / "4_evaluate.ipynb").unlink()
    for found in (status_of(desk.cycle, desk.out), status_of(desk.out)):
        assert (found.state, found.done, found.next) == ("interrupted", NOTEBOOKS[:3], "4_evaluate")
    with (desk.cycle.parent / "tickets.csv").open("a", encoding="utf-8") as file:
        file.write("\n")
    changed = in_process("cycle", "status", desk.cycle, "--out", desk.out)
    assert changed.out.splitlines()[3:] == [
        "Changed since its last run: tickets.csv.",
        "Next: 1_measure.",
    ]


def test_status_of_nothing_is_a_mistake(tmp_path: Path) -> None:
    assert in_process("cycle", "status", tmp_path).err[:6] == "CY320 "
    assert in_process("cycle", "status", tmp_path / "no.toml").err[:6] == "CY201 "


def test_a_password_is_not_taken_where_it_would_be_kept(desk: Replayed) -> None:
    with pytest.raises(CodedError, match="CY212") as caught:
        desk.run(register_place="postgresql://me:secret@host/db")
    assert "secret" not in str(caught.value)
