"""Who may import whom, and which heavy libraries are never loaded by our own imports."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
PACKAGES = ("process_mining", "rules", "csi")
# Loaded only by the commands that need them: pm4py takes seconds, durable starts endless threads.
LAZY = (
    *("pm4py", "durable", "papermill", "matplotlib", "pygraphviz", "nbconvert", "jupyterlab"),
    *("numba", "sklearn", "statsmodels", "ruptures", "psycopg"),
)

IMPORT_ALL = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted(set(json.loads(sys.argv[2])) & set(sys.modules))))
"""


# Is numba code itself: who imports it wants numba.
COMPILED = "process_mining.alignment.compiled"


def our_modules() -> list[str]:
    found = []
    for package in PACKAGES:
        path = import_module(package).__path__
        found += [m.name for m in pkgutil.walk_packages(path, f"{package}.")]
    return [name for name in found if not name.endswith("__main__")]


def test_import_contracts_hold() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_importing_all_of_us_loads_no_heavy_library() -> None:
    names = [name for name in our_modules() if name != COMPILED]
    script = [sys.executable, "-c", IMPORT_ALL, json.dumps(names), json.dumps(LAZY)]
    done = subprocess.run(script, capture_output=True, text=True, check=True, cwd=ROOT)
    assert json.loads(done.stdout) == []


def test_the_lazy_proof_can_fail() -> None:
    script = [sys.executable, "-c", IMPORT_ALL, json.dumps(["papermill"]), json.dumps(LAZY)]
    done = subprocess.run(script, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "papermill" in json.loads(done.stdout)


@pytest.mark.parametrize("package", PACKAGES)
def test_our_packages_are_ours(package: str) -> None:
    """PyPI has another `rules`; installed beside ours it would merge in silence."""
    assert Path(import_module(package).__file__ or "").parent == ROOT / package
