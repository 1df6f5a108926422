"""Does one column of a case say what a matrix makes of two others, such as its priority?

ITIL derives the priority of an incident from its impact and its urgency by an agreed matrix. The
columns `rows` and `columns` of the case choose a row and a column of `matrix`, both counted from 1;
`result` must say the number that stands there. Texts become numbers by `levels` (trimmed, without
case); one that `levels` lacks, and that begins with digits and " - " as in "1 - High", means that
number. The result's texts are read by `result_levels` where they differ ("High" may be an impact of
1 and a priority of 2).

The case is judged when it ends; until then each of the three may be set anew, so an open case is
pending. A value that is missing, or names no level (no row, no column of the matrix), could be any:
where every one would do, or none, the verdict stands; else it is unknown. A result that is missing
or unreadable is unknown always, and so is every case of a log that lacks one of the columns.

Complexity: O(cases), and O(rows x columns x distinct results) once.

Not checked: whether the matrix is the agreed one; whether impact and urgency are right; what the
case said before it ended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from rules.spec import POSITIVE, ZERO, Measure, Row, Verdict
from rules.templates import NOT_MEASURED, Desk, TemplateParams
from rules.templates._values import CASE_COLUMN, Values, end_of_case
from rules.texts import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from process_mining.eventlog import Ints
    from rules.spec import DecisionTable

FORMULA = "at the end: result = matrix[rows][columns]"
HINGES: dict[str, tuple[Verdict, ...]] = {"priority": ()}
UNREAD = 0
_NUMBERED = re.compile(r"([0-9]{1,9}) - .*", re.DOTALL)

Level = Annotated[int, Field(ge=1, le=1000)]
Levels = Annotated[dict[Annotated[str, Field(min_length=1)], Level], Field(max_length=200)]
Line = Annotated[tuple[Level, ...], Field(strict=False, min_length=1, max_length=20)]
EXPLAIN = {
    "kept": "whether the log has all three columns (1 yes, 0 no)",
    "known": "whether '{result}' names a level (1 yes, 0 no)",
    "fits": "cells of the matrix, of those that the case leaves possible, that say the same",
    "differs": "those that say something else",
}


class Params(TemplateParams):
    """The level of `result` is the one that `matrix` has at the levels of `rows` and `columns`."""

    rows: str = Field(
        pattern=CASE_COLUMN,
        examples=["attr.impact"],
        description="the case column that chooses the row",
    )
    columns: str = Field(
        pattern=CASE_COLUMN,
        examples=["attr.urgency"],
        description="the case column that chooses the column",
    )
    result: str = Field(
        default="priority", pattern=CASE_COLUMN, description="the case column that is checked"
    )
    levels: Levels = Field(
        default={},
        examples=[{"1": 1, "2": 2}],
        description="which level a text means",
    )
    result_levels: Levels | None = Field(
        default=None, description="the same for the result (default: levels)"
    )
    matrix: tuple[Line, ...] = Field(
        strict=False,
        min_length=1,
        max_length=20,
        examples=[[[1, 2], [2, 3]]],
        description="the result of each row (1 first) and column (1 first)",
    )

    @model_validator(mode="after")
    def _sense(self) -> Params:
        if len({len(line) for line in self.matrix}) > 1:
            msg = "the rows of the matrix are not equally long"
            raise ValueError(msg)
        if len({self.rows, self.columns, self.result}) < len(("rows", "columns", "result")):
            msg = "rows, columns and result are three different columns"
            raise ValueError(msg)
        for levels in (self.levels, self.result_levels or {}):
            if len({plain(text) for text in levels}) < len(levels):
                msg = "two texts of the levels are the same without case and outer white space"
                raise ValueError(msg)
        return self

    def not_read(self) -> frozenset[str]:
        """A rule on other columns reads no priority."""
        read = {self.rows, self.columns, self.result}
        return frozenset() if "priority" in read else frozenset({"priority"})


@dataclass(frozen=True, eq=False)
class _Read:
    """A column of the cases: whether any case has it, and each case's level (UNREAD for none)."""

    kept: bool
    level: Ints

    @classmethod
    def of(cls, desk: Desk, column: str, levels: Mapping[str, int], most: int) -> _Read:
        """Read a column; levels above `most` name nothing."""
        values = Values.of(desk.log.cases, column)
        known = {plain(text): level for text, level in levels.items()}
        meant = [_level(text, known) for text in values.texts]
        level = np.array([*(x if 1 <= x <= most else UNREAD for x in meant), UNREAD], np.int64)
        return cls(values.kept, level[values.codes])


def _level(text: str, known: Mapping[str, int]) -> int:
    numbered = _NUMBERED.fullmatch(text)
    return known.get(text, int(numbered[1]) if numbered else UNREAD)


def measure(desk: Desk, params: Params) -> Measure:
    """Compare each case's result with the cells that its row and column leave possible."""
    n_rows, n_columns = len(params.matrix), len(params.matrix[0])
    row = _Read.of(desk, params.rows, params.levels, n_rows)
    column = _Read.of(desk, params.columns, params.levels, n_columns)
    named = params.levels if params.result_levels is None else params.result_levels
    result = _Read.of(desk, params.result, named, np.iinfo(np.int64).max)
    fits, differs, off = _compared(params.matrix, row.level, column.level, result.level)
    return Measure(
        facts={
            "kept": np.full(len(fits), int(row.kept and column.kept and result.kept), np.int64),
            "known": (result.level != UNREAD).astype(np.int64),
            "fits": fits,
            "differs": differs,
            "complete": desk.complete.astype(np.int64),
        },
        events=(end_of_case(desk),),
        measured=np.where(result.level == UNREAD, NOT_MEASURED, off),
        limit=np.zeros_like(off),
        unit="levels off the matrix",
        cause=f"'{params.rows}', '{params.columns}' or '{params.result}' is missing or names no"
        " level",
        told=partial(_told, desk, params),
    )


def _compared(
    matrix: tuple[tuple[int, ...], ...], row: Ints, column: Ints, result: Ints
) -> tuple[Ints, Ints, Ints]:
    """Count the possible cells that say the result and those that do not; how far is the nearest.

    An unread row or column (level 0) may be any. Everything is looked up by (row, column, result).
    """
    cells = np.array(matrix, dtype=np.int64)
    levels, place = np.unique(result, return_inverse=True)
    shape = (cells.shape[0] + 1, cells.shape[1] + 1, len(levels))
    fits, size, off = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for r in range(shape[0]):
        for c in range(shape[1]):
            possible = cells[r - 1 : r] if r else cells
            possible = possible[:, c - 1 : c] if c else possible
            apart = np.abs(possible.reshape(-1, 1) - levels)
            fits[r, c], size[r, c] = (apart == 0).sum(axis=0), apart.shape[0]
            off[r, c] = apart.min(axis=0)
    at = (row, column, place)
    return fits[at], (size - fits)[at], off[at]


def _told(desk: Desk, params: Params, cases: Ints) -> pa.Array:
    """What the three columns say of some cases, for a finding."""
    said, rows = [], desk.log.cases.take(pa.array(cases))
    for name in (params.rows, params.columns, params.result):
        values = Values.of(rows, name)
        texts = pa.array(
            [*(f"{name} {text}" for text in values.texts), f"{name} missing"], pa.string()
        )
        said.append(texts.take(pa.array(np.where(values.missing, len(texts) - 1, values.codes))))
    return pc.binary_join_element_wise(*said, ", ")


def decide(_: Params) -> DecisionTable:
    """Judge at the end; a missing value matters where it could decide."""
    ended = {"kept": POSITIVE, "complete": POSITIVE, "known": POSITIVE}
    return (
        Row(Verdict.UNKNOWN, {"kept": ZERO}),
        Row(Verdict.PENDING, {"kept": POSITIVE, "complete": ZERO}),
        Row(Verdict.UNKNOWN, {"kept": POSITIVE, "complete": POSITIVE, "known": ZERO}),
        Row(Verdict.VIOLATES, ended | {"fits": ZERO}),
        Row(Verdict.UNKNOWN, ended | {"fits": POSITIVE, "differs": POSITIVE}),
        Row(Verdict.CONFORMS, ended | {"fits": POSITIVE, "differs": ZERO}),
    )


def describe(params: Params) -> str:
    """Say what must hold."""
    lines = "; ".join(" ".join(map(str, line)) for line in params.matrix)
    return (
        f"When a case ends its '{params.result}' is what the matrix makes of '{params.rows}' (rows)"
        f" and '{params.columns}' (columns): {lines}."
    )
