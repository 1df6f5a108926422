"""What does a column of cases or events say, as texts that can be compared?

A value is compared as a text without outer white space and without case; one that is empty then
is missing. Whole columns: each distinct text is brought to that form once.

Not checked: whether two different texts mean the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from process_mining.eventlog import Codes
    from rules.templates import Desk

CASE_COLUMN = r"^(priority|category|service|attr\.[A-Za-z0-9_]+)$"
EVENT_COLUMN = r"^attr\.[A-Za-z0-9_]+$"
NO_VALUE = -1


def _as_tuple(given: Any) -> Any:  # noqa: ANN401 - whatever a file holds; pydantic checks it next
    return tuple(given) if isinstance(given, list) else given


ListToTuple = BeforeValidator(_as_tuple)
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], ListToTuple, Field(min_length=1)]


def plain(text: str) -> str:
    """Return a text in the form in which it is compared."""
    return text.strip().lower()


def case_values(desk: Desk, column: str) -> pa.DictionaryArray:
    """Return what each case says in a column; null where it says nothing."""
    return _values(desk.log.cases, column)


def event_values(desk: Desk, column: str) -> pa.DictionaryArray:
    """Return what each event says in a column; null where it says nothing."""
    return _values(desk.log.events, column)


def _values(table: pa.Table, column: str) -> pa.DictionaryArray:
    if column not in table.column_names:
        return pa.nulls(table.num_rows, pa.string()).dictionary_encode()
    said = table[column].combine_chunks()
    coded = said if pa.types.is_dictionary(said.type) else said.dictionary_encode()
    texts = [plain(t) or None for t in coded.dictionary.cast(pa.string()).to_pylist()]
    # encoded once more: two spellings of one text get one code
    return pa.array(texts, pa.string()).take(coded.indices).dictionary_encode()


def codes_of(values: pa.DictionaryArray) -> Codes:
    """Return the code of each value, NO_VALUE where there is none."""
    return np.asarray(values.indices.fill_null(NO_VALUE).to_numpy(zero_copy_only=False), np.int32)


def is_missing(values: pa.DictionaryArray) -> npt.NDArray[np.bool_]:
    """Tell for each value whether there is none."""
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def is_among(values: pa.DictionaryArray, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell for each value whether it is one of some texts; a missing one is not."""
    wanted = pa.array(sorted({plain(text) for text in texts}), pa.string())
    found = pc.is_in(values.cast(pa.string()), value_set=wanted)
    return np.asarray(found.to_numpy(zero_copy_only=False), dtype=bool) & ~is_missing(values)
