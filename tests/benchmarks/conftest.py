"""Benchmarks run only where they are asked for: `make bench`, or `pytest -m benchmark`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


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
