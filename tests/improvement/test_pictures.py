"""Charts are inert, the same bytes for the same input, and leave the page around them alone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from csi.kpi_kinds import Durations, Hits, Missing
from csi.pictures import Picture, before_after, rates

HOSTILE = "<script>alert('$x_1$')</script> & \"quoted\" \N{RIGHT-TO-LEFT OVERRIDE}"


def hits(k: int, n: int) -> Hits:
    return Hits(np.arange(n) < k, np.arange(n), np.arange(n))


def durations(scale: float) -> Durations:
    hours = scale * np.linspace(0.5, 90, 60)
    return Durations(hours, np.arange(60) % 9 == 0, np.arange(60), np.arange(60), 0.5)


def rules() -> pd.DataFrame:
    rows = [
        {
            "window": window,
            "code": f"INC{i:03d}",
            "title": HOSTILE,
            "severity": "high",
            "violates": 10 * i,
            "rate": 1 - 0.05 * i,
            "low": 0.9 - 0.05 * i,
            "high": 1 - 0.04 * i,
        }
        for window in ("baseline", "current")
        for i in (1, 2, 3)
    ]
    return pd.DataFrame(rows)


def drawn() -> dict[str, Picture]:
    frame = rules()
    return {
        "times": before_after(
            {"baseline": durations(2), "current": durations(1)}, title=HOSTILE, unit="h"
        ),
        "shares": before_after(
            {"baseline": hits(3, 9), "current": hits(5, 9)}, title="A share", unit="share"
        ),
        "nothing": before_after(
            {"baseline": Missing("no surveys"), "current": Missing("no surveys")},
            title="Nothing",
            unit="points",
        ),
        "rates": rates(frame),
    }


@pytest.mark.parametrize("name", ["times", "shares", "nothing", "rates"])
def test_a_chart_is_one_inert_element(name: str) -> None:
    svg = drawn()[name].svg
    root = ET.fromstring(svg)  # noqa: S314 - made by us a line ago
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert root.tag.endswith("svg")
    assert not tags & {"script", "style", "image", "foreignObject", "metadata"}
    assert not re.search(r"""(href|src)="(?!#)""", svg)


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = drawn(), drawn()
    assert {name: p.svg for name, p in first.items()} == {n: p.svg for n, p in second.items()}


def test_charts_in_one_page_share_no_plain_id() -> None:
    ids = [set(re.findall(r' id="([^"]+)"', p.svg)) for p in drawn().values()]
    shared = ids[0] & ids[3]
    assert all(re.fullmatch(r"[a-z][0-9a-f]{10}", one) for one in shared), shared


def test_jupyter_is_given_an_image() -> None:
    shown = drawn()["rates"]._repr_html_()
    assert shown.startswith('<img alt="" src="data:image/svg+xml;base64,')
    assert "<script" not in shown
