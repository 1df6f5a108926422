"""Is this machine fit to run trueloop, and if not, what is to be done?

Each check answers yes or no with a mend. The engine is tried out for real: a rule is judged by
durable-rules in its worker process.
"""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from process_mining.errors import CodedError
from rules import engine
from rules.spec import POSITIVE, ZERO, Row, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

LIBRARIES = ("duckdb", "pyarrow", "numpy", "scipy", "pandas", "networkx", "pm4py", "papermill")
OLDEST, NEWEST = (3, 11), (3, 13)


@dataclass(frozen=True)
class Check:
    """One question about the machine; `fix` is empty where all is well."""

    name: str
    ok: bool
    seen: str
    fix: str = ""


def examine() -> list[Check]:
    """Run every check, in a fixed order."""
    checks: list[Callable[[], Check]] = [
        _python, _own_packages, _libraries, _engine, _graphviz, _kernel,
    ]  # fmt: skip
    return [check() for check in checks]


def _python() -> Check:
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    fix = "" if fits else "Use Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3 setup"
    return Check("Python", fits, platform.python_version(), fix)


def _own_packages() -> Check:
    """PyPI has another package that imports as `rules`; the two would merge in silence."""
    spec = importlib.util.find_spec("rules")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    ours = (folder / "templates").is_dir() and (folder / "itil").is_dir()
    fix = (
        ""
        if ours
        else "Another package owns the name: pip uninstall rules, then install trueloop anew"
    )
    return Check("package 'rules' is ours", ours, "yes" if ours else "no", fix)


def _libraries() -> Check:
    seen, missing = [], []
    for name in LIBRARIES:
        try:
            seen.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    fix = f"Missing: {', '.join(missing)}. Run make setup" if missing else ""
    return Check("libraries", not missing, ", ".join(seen), fix)


def _engine() -> Check:
    table = (Row(Verdict.CONFORMS, {"x": ZERO}), Row(Verdict.VIOLATES, {"x": POSITIVE}))
    question = engine.Question(rule="DOC001", table=table, facts={"x": np.array([0, 3])})
    try:
        (verdicts,) = engine.judge([question])
    except CodedError as error:
        return Check("durable-rules", ok=False, seen="it does not judge", fix=str(error))
    right = verdicts.tolist() == [Verdict.CONFORMS, Verdict.VIOLATES]
    return Check("durable-rules", right, "judges two facts right" if right else str(verdicts))


def _graphviz() -> Check:
    found = importlib.util.find_spec("pygraphviz") is not None
    return Check(
        "pygraphviz", found, "found" if found else "missing", "" if found else "Run make setup"
    )


def _kernel() -> Check:
    """The notebooks run in a Jupyter kernel named python3."""
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415 - slow to import

    found = "python3" in KernelSpecManager().find_kernel_specs()
    fix = "" if found else "python -m ipykernel install --sys-prefix"
    return Check("Jupyter kernel 'python3'", found, "found" if found else "missing", fix)
