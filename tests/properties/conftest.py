"""Where a trial writes what it found, where it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--trial-docs", metavar="FILE", help="write the trial's tables into this page")
    parser.addoption(
        "--trial-cycles", metavar="N", type=int, default=2_000, help="fewer cycles, to rehearse it"
    )
