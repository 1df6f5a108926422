"""How does a notebook run with checked parameters, and how does its output reach the disk whole?

The only importer of papermill. Every notebook has one pydantic model of its parameters (strict,
unknown names refused); the model's names must be just those of the notebook's own `parameters`
cell, so neither can drift. The notebook runs from a copy in the wheel; the executed one is written
aside, checked to have come to its end, and renamed (papermill writes in place, and a killed run
leaves valid JSON behind). `is_whole` tells whether an executed notebook is there and came to its
end on a given snapshot.

Parameters are text of one line, at most 4,096 characters, that UTF-8 can hold; papermill writes
them into a cell as Python literals, and quotes, braces and backslashes stay text there.

Errors: CodedError CY101 for wrong parameters (all at once), RunError CY102 where a cell fails,
CY103 where the run did not come to its end, CY104 where the kernel's process died.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from importlib.resources import as_file, files
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from csi.outputs import whole
from process_mining.errors import (
    CodedError,
    ManyCodedErrors,
    RunError,
    did_you_mean,
    many,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

NOTEBOOKS = ("1_measure", "2_analyse", "3_improve", "4_evaluate")
CELL_TIMEOUT_S = 3600
LAST_WORDS = 300
# What a cell raises reaches us as a message; the kernel's own log is noise on standard error.
KERNEL_QUIET = "--log-level=50"
CODED = frozenset(kind.__name__ for kind in (CodedError, RunError, ManyCodedErrors))


def _plain_text(text: str) -> str:
    if any(character < " " or "\x7f" <= character <= "\x9f" for character in text):
        msg = "it holds a line end or another control character"
        raise ValueError(msg)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        msg = "it holds what UTF-8 cannot"
        raise ValueError(msg) from error
    return text


PathText = Annotated[str, Field(max_length=4096), AfterValidator(_plain_text)]
DayText = Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
Sha256Text = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


class NotebookParameters(BaseModel):
    """What every notebook of the cycle takes; an empty `cycle` means the demo data.

    `report_date` (ISO 8601) and `register_place` stand in for those of the cycle file. `snapshot`
    is what a whole run has pinned; empty where a notebook runs alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    cycle: PathText = ""
    out: PathText = ""
    register_place: PathText = ""
    report_date: DayText = ""
    snapshot: Sha256Text = ""


def checked(notebook: str, values: Mapping[str, Any]) -> NotebookParameters:
    """Return the values as typed parameters, or raise CY101 naming each wrong one."""
    try:
        return NotebookParameters.model_validate(dict(values))
    except ValidationError as error:
        wrong = [_wrong(notebook, ".".join(map(str, e["loc"])), e["msg"]) for e in error.errors()]
        raise many(wrong) from error


def _wrong(notebook: str, name: str, message: str) -> CodedError:
    known = NotebookParameters.model_fields
    fix = "It is text" if name in known else did_you_mean(name, known)
    said = message.removeprefix("Value error, ")
    return CodedError("CY101", f"notebook {notebook}: parameter '{name}': {said}", fix=fix)


def is_whole(executed: Path, snapshot: str) -> bool:
    """Tell whether a notebook is there that came to its end on this snapshot."""
    try:
        told = json.loads(executed.read_text(encoding="utf-8"))["metadata"]["papermill"]
        same = told["parameters"]["snapshot"] == snapshot
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False
    return bool(same and told.get("end_time") and not told.get("exception"))


def run_notebook(
    notebook: str,
    parameters: NotebookParameters,
    out: Path,
    *,
    on_cell: Callable[[int, int], None] | None = None,
) -> None:
    """Execute a notebook of the package with `parameters`; write it whole to `out`, or not at all.

    `on_cell(done, all)` is called after each cell, for a progress bar.
    """
    with _quiet_frontend(), as_file(files("notebooks") / f"{notebook}.ipynb") as source:
        _require_same_names(notebook, source, parameters)
        with whole(out) as temporary:
            _execute(notebook, source, temporary, parameters, on_cell)


def _execute(
    notebook: str,
    source: Path,
    target: Path,
    parameters: NotebookParameters,
    on_cell: Callable[[int, int], None] | None,
) -> None:
    import papermill  # noqa: PLC0415 - heavy: loaded only when a notebook runs
    from nbclient.exceptions import DeadKernelError  # noqa: PLC0415 - the same
    from papermill.exceptions import PapermillExecutionError  # noqa: PLC0415 - the same
    from traitlets.config import Config  # noqa: PLC0415 - the same

    total = len(json.loads(source.read_text(encoding="utf-8"))["cells"]) + 1

    def executed(cell_index: int, **_: object) -> None:
        if on_cell is not None:
            on_cell(cell_index + 1, total)

    log = TemporaryFile()  # noqa: SIM115 - closed below, once it is known whether it is needed
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters=parameters.model_dump(mode="json"),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            log_output=False,
            execution_timeout=CELL_TIMEOUT_S,
            extra_arguments=[KERNEL_QUIET],
            config=Config({"KernelManager": {"transport": "ipc"}}),  # no port is opened
            kernel_manager_class=_logging_kernels(log),
            on_cell_executed=executed,
        )
    except PapermillExecutionError as error:
        raise _cell_failed(notebook, error) from error
    except DeadKernelError as error:
        raise _kernel_died(notebook, log) from error
    finally:
        log.close()
    meta = json.loads(target.read_text(encoding="utf-8"))["metadata"]["papermill"]
    if not meta.get("end_time") or meta.get("exception"):
        msg = f"notebook {notebook} did not come to its end"
        raise RunError("CY103", msg, fix="Run the cycle again")


def _logging_kernels(log: IO[bytes]) -> type:
    """Return a kernel manager whose kernels print into a file, not on our standard error.

    What a cell prints comes to us as messages. What the process itself prints is of use where it
    dies, and else noise: libzmq may fail an assertion when a kernel that has answered is stopped.
    """
    from jupyter_client.manager import AsyncKernelManager  # noqa: PLC0415 - heavy: loaded only here

    class LoggingKernels(AsyncKernelManager):
        # jupyter_client declares it as the synchronous one that it inherits
        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # noqa: ANN401
            await super().start_kernel(stderr=log, **options)

    return LoggingKernels


def _kernel_died(notebook: str, log: IO[bytes]) -> RunError:
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    msg = f"the process that ran notebook {notebook} ended"
    why = f"The last that it said: {''.join(c for c in said if c.isprintable())[:LAST_WORDS]}"
    return RunError("CY104", msg, why=why, fix="Run the cycle again; it may need more memory")


def _cell_failed(notebook: str, error: Any) -> RunError:  # noqa: ANN401 - papermill has no types
    """Hand on what the cell says, on one line; a coded error of ours names its mend itself."""
    said = " ".join(str(error.evalue).split())
    what = f"notebook {notebook}, cell {error.exec_count}:"
    if error.ename in CODED:
        return RunError("CY102", f"{what} {said}", fix="Then run the cycle again")
    fix = "Mend what the cell names, then run the cycle again"
    return RunError("CY102", f"{what} {error.ename}: {said}", fix=fix)


def _require_same_names(notebook: str, source: Path, parameters: NotebookParameters) -> None:
    import papermill  # noqa: PLC0415 - heavy: loaded only when a notebook runs

    declared = set(papermill.inspect_notebook(str(source)))
    expected = set(type(parameters).model_fields)
    if declared != expected:
        msg = f"notebook {notebook} declares {sorted(declared)}, its model {sorted(expected)}"
        raise CodedError("CY101", msg, fix="Bring the parameters cell and the model together")


@contextmanager
def _quiet_frontend() -> Iterator[None]:
    """Keep Jupyter's debugger notices out of our output while a kernel runs."""
    name = "PYDEVD_DISABLE_FILE_VALIDATION"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name)
        else:
            os.environ[name] = before
