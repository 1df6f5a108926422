"""Are the notebooks' parameters typed and strict, and is hostile text in them only text?"""

from __future__ import annotations

import ast
import json
import unicodedata
from importlib.resources import files
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from papermill.inspection import inspect_notebook
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from csi.runner import NOTEBOOKS, NotebookParameters, checked, is_whole
from process_mining.errors import CodedError, ManyCodedErrors

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    'a"b',
    "a'b",
    '"""',
    "'''",
    "\\",
    "\\n",
    '"; import os; os.abort(); "',
    "{cycle}",
    "{{ cycle }}",
    "%run evil",
    "!rm",
    "#",
    "\N{PILE OF POO}\N{RIGHT-TO-LEFT OVERRIDE}",
    "x" * 4096,
)
BAD = {
    "line-end": "a\nb",
    "return": "a\rb",
    "nul": "a\x00b",
    "escape": "\x1b[31m",
    "c1": "a\x85b",
    "surrogate": "\udcff",
    "long": "x" * 4097,
}


def given_by_papermill(values: dict[str, str]) -> dict[str, object]:
    """What a notebook sees as its parameters: papermill's own cell, which holds literals alone."""
    book = load_notebook_node(str(files("notebooks") / "1_measure.ipynb"))
    parameters = checked("1_measure", values).model_dump(mode="json")
    done = parameterize_notebook(book, parameters, kernel_name="python3", language="python")
    (own,) = [c for c in done.cells if "injected-parameters" in c.metadata.tags]
    names: dict[str, object] = {}
    for line in ast.parse(own.source).body:
        assert isinstance(line, ast.Assign)
        (target,) = line.targets
        assert isinstance(target, ast.Name)
        names[target.id] = ast.literal_eval(line.value)
    return {name: names[name] for name in parameters}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("name", ["cycle", "out", "register_place"])
def test_hostile_text_stays_text(name: str, text: str) -> None:
    assert given_by_papermill({name: text})[name] == text


@given(st.text(max_size=80))
def test_text_arrives_as_it_was_given_or_is_refused(text: str) -> None:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        with pytest.raises(CodedError, match="CY101"):
            checked("1_measure", {"cycle": text})
    else:
        assert given_by_papermill({"cycle": text})["cycle"] == text


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
@pytest.mark.parametrize("name", ["cycle", "out", "register_place"])
def test_what_no_path_should_hold_is_refused(name: str, text: str) -> None:
    with pytest.raises(CodedError, match=rf"CY101 notebook 1_measure: parameter '{name}'"):
        checked("1_measure", {name: text})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("report_date", "soon"),
        ("report_date", "2025-07-07\n"),
        ("report_date", 20250707),
        ("snapshot", "abc"),
        ("snapshot", "g" * 64),
        ("snapshot", "0" * 64 + "\n"),
        ("cycle", 7),
        ("cycle", None),
        ("out", ["a"]),
        ("out", ("a",)),
        ("out", b"a"),
    ],
)
def test_other_types_and_shapes_are_refused(name: str, value: object) -> None:
    with pytest.raises(CodedError, match=f"CY101 .*'{name}'"):
        checked("1_measure", {name: value})


def test_every_mistake_is_named_at_once() -> None:
    with pytest.raises(ManyCodedErrors) as caught:
        checked("1_measure", {"cycel": "x", "out": 1, "report_date": "x"})
    said = [str(error) for error in caught.value.errors]
    assert len(said) == 3
    assert any("'cycel'" in line and "Did you mean 'cycle'" in line for line in said)


@pytest.mark.filterwarnings("ignore:Passed unknown parameter")
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_declares_just_what_its_model_has(name: str) -> None:
    declared = inspect_notebook(str(files("notebooks") / f"{name}.ipynb"))
    assert set(declared) == set(NotebookParameters.model_fields)
    assert {one["default"] for one in declared.values()} == {'""'}


@pytest.mark.parametrize(
    ("told", "whole"),
    [
        ({"parameters": {"snapshot": "s"}, "end_time": "t", "exception": None}, True),
        ({"parameters": {"snapshot": "s"}, "end_time": None, "exception": None}, False),
        ({"parameters": {"snapshot": "s"}, "end_time": "t", "exception": True}, False),
        ({"parameters": {"snapshot": "other"}, "end_time": "t"}, False),
        ({"parameters": {}, "end_time": "t"}, False),
        ({"parameters": None}, False),
        (None, False),
        ({}, False),
    ],
)
def test_only_a_notebook_that_came_to_its_end_is_whole(
    told: object,
    whole: object,
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.ipynb"
    assert not is_whole(path, "s")
    path.write_text(json.dumps({"metadata": {"papermill": told}}), encoding="utf-8")
    assert is_whole(path, "s") is whole
    path.write_text("{", encoding="utf-8")
    assert not is_whole(path, "s")
