"""When do two texts say the same?

Wherever a rule, a scope, a waiver or a practice compares texts of a log with texts of a file, both
are trimmed and compared without case (Unicode case folding). A text that is empty then is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from process_mining.eventlog import Ints


def plain(text: str) -> str:
    """Return a text as texts are compared: trimmed, without case."""
    return text.strip().casefold()


def text_codes(table: pa.Table, column: str) -> tuple[Ints, tuple[str, ...]]:
    """Code the texts of a column as they are compared; -1 where one is missing or blank.

    Codes index the texts, which are sorted. A column that the table lacks is missing everywhere.
    """
    if column not in table.column_names:
        return np.full(table.num_rows, -1, dtype=np.int64), ()
    coded = table[column].cast(pa.string()).combine_chunks().dictionary_encode()
    said = [plain(text) for text in coded.dictionary.to_pylist()]
    texts = sorted({text for text in said if text})
    place = {text: i for i, text in enumerate(texts)}
    code_of = np.array([*(place.get(text, -1) for text in said), -1], dtype=np.int64)
    return code_of[pc.fill_null(coded.indices, len(said)).to_numpy()], tuple(texts)


def says_one_of(
    table: pa.Table, column: str, listed: Iterable[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Tell for each row whether a column says one of some plain texts, and whether it says any."""
    codes, texts = text_codes(table, column)
    wanted = frozenset(listed)
    return np.isin(codes, [i for i, text in enumerate(texts) if text in wanted]), codes >= 0
