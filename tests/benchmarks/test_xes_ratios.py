"""How many times as fast do we read XES as pm4py's back-ends? Printed, never asserted.

Both sides read the same file in the same process, turn by turn, so that a busy machine slows both;
each ratio is that of the medians. Asserted is only that both hold the same events of the same cases
in the same order. Two figures are ours: reading alone (file → typed columns, each value checked),
and `open_log` (with the finished, ordered, pseudonymised log). pm4py gives a DataFrame.

The logs: BPI Challenge 2013 ten times over (each copy with cases and years of its own, so that no
stamp is read twice; in ASCII, for pm4py's default fails on a letter across its 4 KiB chunks),
and the certification log B1. pm4py's default, where no Rust back-end is
installed, is `chunk_regex`; `rustxes` stands for whichever Rust package is there (r4pm, rustxes).
"""

from __future__ import annotations

import gzip
import re
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

from process_mining.sources import ReadOptions, open_log, xes

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from benchmarks.conftest import Tell

pytestmark = [
    pytest.mark.benchmark,
    # pm4py's own warnings are none of ours
    pytest.mark.filterwarnings("ignore"),
]
DATA = Path(__file__).parents[2].parent / "shared" / "data"
BPIC13 = DATA / "bpic13" / "BPIC13_closed_problems.xes.gz"
LEVEL_B1 = DATA / "hostile" / "xes_certification" / "LevelB1.xes.gz"
COPIES = 10
TURNS = 5
THEIRS = ("chunk_regex", "line_by_line", "iterparse", "iterparse_mem_compressed", "rustxes")


def many_times(text: str) -> str:
    """The log's traces several times over, each copy with names and years of its own."""
    start, end = text.index("<trace>"), text.rindex("</trace>") + len("</trace>")
    bodies = [
        re.sub(
            r'value="(20\d\d)(-\d\d-\d\dT)',
            # the leap years of the log stay leap years
            lambda match: f'value="{int(match[1]) + 28 * copy}{match[2]}',  # noqa: B023 - used at once
            re.sub(r'(<trace>\s*<string key="concept:name" value=")', rf"\g<1>{copy}-", body),
        )
        for copy in range(COPIES)
        for body in (text[start:end],)
    ]
    return text[:start] + "".join(bodies) + text[end:]


@pytest.fixture(scope="module", params=["bpi13 x 10", "LevelB1"])
def log_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = BPIC13 if request.param.startswith("bpi13") else LEVEL_B1
    if not source.is_file():
        pytest.skip(f"{source.name} is missing: the real logs are not part of this project")
    text = gzip.decompress(source.read_bytes()).decode("utf-8-sig")
    path: Path = tmp_path_factory.mktemp("xes") / f"{request.param}.xes"
    whole = many_times(text) if source == BPIC13 else text
    path.write_bytes(whole.encode("ascii", errors="replace"))
    return path


def traces_of(frame: pd.DataFrame, case: str, activity: str) -> dict[str, list[str]]:
    named = frame.astype({case: str}).groupby(case, sort=False)[activity].agg(list)
    return {str(name): steps for name, steps in named.items()}


def test_reading_xes(log_file: Path, tell: Tell) -> None:
    import pm4py  # noqa: PLC0415 - slow import

    def by_pm4py(variant: str) -> Callable[[], object]:
        return lambda: pm4py.read_xes(str(log_file), variant=variant)

    rust = next((name for name in ("r4pm", "rustxes") if find_spec(name)), None)
    names = THEIRS if rust else THEIRS[:-1]
    doers: dict[str, Callable[[], object]] = {
        "reading": lambda: xes.read([log_file], ReadOptions()),
        "open_log": lambda: open_log([log_file]),
    } | {name: by_pm4py(name) for name in names}
    for do in doers.values():
        do()
    spent: dict[str, list[float]] = {name: [] for name in doers}
    for _ in range(TURNS):
        for name, do in doers.items():
            begin = time.perf_counter()
            do()
            spent[name].append(time.perf_counter() - begin)
    log = open_log([log_file])
    tell(said(spent, names, f"{log.n_events:,} events of {log_file.stem}", rust))
    frame = log.events.select(["case_id", "activity"]).to_pandas()
    other = pm4py.read_xes(str(log_file), variant="chunk_regex")
    assert traces_of(frame, "case_id", "activity") == traces_of(
        other, "case:concept:name", "concept:name"
    )


def said(spent: dict[str, list[float]], names: tuple[str, ...], n: str, rust: str | None) -> str:
    middle = {name: median(times) for name, times in spent.items()}
    lines = [f"reading XES, {n}, median of {TURNS} interleaved turns:"]
    lines += [
        f"  ours, {name}: {middle[name] * 1e3:,.0f} ms; times as fast as pm4py's "
        + ", ".join(f"{other} {middle[other] / middle[name]:,.2f}" for other in names)
        for name in ("reading", "open_log")
    ]
    lines.append("  pm4py: " + ", ".join(f"{name} {middle[name] * 1e3:,.0f} ms" for name in names))
    lines.append(f"  Rust back-end: {rust or 'none is installed'}")
    return "\n".join(lines)
