"""Benchmarks run only where they are asked for: `make bench`, or `pytest -m benchmark`.

What a benchmark finds it hands to `tell`: it is printed, and with `--bench-docs FILE` kept as the
section of its file in that page. Sections of files that did not run stay as they were.
"""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from matplotlib import rc_context

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

PAGE: Final = pytest.StashKey["Page"]()
PACKAGES = ("numpy", "scipy", "numba", "pm4py", "r4pm", "duckdb", "pyarrow", "durable-rules")
HEAD = """# How fast is it?

Written by `make bench`, from a run; every ratio compares the same work on the same data with equal
results, side by side in one process, turn by turn. Ratios are told, never asserted: they hang on
the machine and on what else it does. One machine's figures, with {cores} cores shared with other
work; Python {python}, {packages}.
"""


class Page:
    """The page of results: one section for each benchmark file, in the order of their names."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: dict[str, list[str]] = {}
        self.heads: dict[str, str] = {}

    def add(self, module: str, doc: str, text: str) -> None:
        self.heads[module] = _section_head(doc)
        self.found.setdefault(module, []).append(text)

    def write(self) -> None:
        if self.path is None or not self.found:
            return
        sections = _sections(self.path.read_text("utf-8")) if self.path.is_file() else {}
        for module, texts in self.found.items():
            body = "\n".join(texts)
            sections[module] = f"<!-- {module} -->\n{self.heads[module]}\n\n{body}\n"
        known = [f"{name} {number}" for name in PACKAGES if (number := _version(name))]
        head = HEAD.format(
            cores=os.cpu_count(), python=platform.python_version(), packages=", ".join(known)
        )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join([head, *(sections[module] for module in sorted(sections))])
        self.path.write_text(text, encoding="utf-8")


class Tell:
    """Prints what one benchmark finds, and keeps it for the page."""

    def __init__(self, page: Page, module: str, doc: str) -> None:
        self._page, self._module, self._doc = page, module, doc

    def __call__(self, line: str) -> None:
        print(f"\n{line}")  # noqa: T201 - a benchmark is there to print
        head, *rest = line.strip("\n").split("\n")
        self._page.add(
            self._module, self._doc, "\n".join([f"- {head}", *(f"  - {x.strip()}" for x in rest)])
        )

    def picture(self, figure: Figure, name: str, caption: str) -> None:
        """Keep a picture beside the page, in the folder of the page's name; none without a page."""
        page = self._page.path
        if page is None:
            return
        folder = page.with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        with rc_context({"svg.hashsalt": "trueloop"}):  # else names in it change from run to run
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
        self._page.add(self._module, self._doc, f"\n![{caption}]({folder.name}/{name}.svg)\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench-docs", metavar="FILE", help="write the results into this page")


def pytest_configure(config: pytest.Config) -> None:
    where = config.getoption("--bench-docs", default=None)
    config.stash[PAGE] = Page(Path(where) if where else None)


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[PAGE].write()


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    module = request.module
    page = request.config.stash[PAGE]
    return Tell(page, Path(module.__file__).stem, module.__doc__)


@pytest.fixture(scope="session", autouse=True)
def quiet_pm4py() -> Iterator[None]:
    """Keep its progress bars out of the figures; it reads this when it is first imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PM4PY_SHOW_PROGRESS_BAR", "False")
        yield


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "benchmark" in config.getoption("markexpr"):
        return
    here = Path(__file__).parent
    kept = [item for item in items if here not in item.path.parents]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def _section_head(doc: str) -> str:
    """A file's own words: its question as heading, then what is measured and how."""
    question, _, method = cleandoc(doc).partition("\n")
    return f"## {question}\n\n{method.strip()}"


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^<!-- (\w+) -->\n", text, flags=re.MULTILINE)
    return {
        name: f"<!-- {name} -->\n{body.rstrip()}\n"
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
