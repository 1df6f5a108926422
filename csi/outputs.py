"""How does a result reach the disk whole and inert?

Every file is written under a temporary name in its own folder, flushed to the disk (fsync) and
then renamed over the final name, so a reader sees the old file or the new one, never half of it.
Text cells of a CSV that a spreadsheet would run as a formula get a leading apostrophe (OWASP, CSV
injection). What a killed process left under a temporary name is no result;
`clear_unfinished` removes it. Errors: RunError CY001 where the disk refuses.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from process_mining.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FORMULA_START = r"^[=+\-@\t\r]"
ASIDE = ".writing-"
# What `whole` and `whole_set` call their temporary files and folders.
UNFINISHED = re.compile(r"\..*\.[a-z0-9_]{8}\.tmp(\.[^.]+)?|\.writing-[a-z0-9_]{8}", re.DOTALL)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving in peace, sync it and rename it to `path`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem[:40]}.", suffix=f".tmp{path.suffix}"
        )
        os.close(handle)
    except OSError as error:
        raise _refused(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_set(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a temporary folder inside `folder`; on leaving in peace, move `names` from it.

    Nothing is moved unless every file was written, so a failed run leaves the last good set. A name
    may have a folder before it (`customer/mail.html`).
    """
    taken = [name for name in names if (folder / name).is_dir()]
    if taken:
        raise _refused(folder / taken[0], IsADirectoryError(0, "a folder has that name"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=ASIDE) as aside:
            yield Path(aside)
            for name in names:
                _sync(Path(aside) / name)
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
            for name in names:
                (Path(aside) / name).replace(folder / name)
            _sync(folder)
    except OSError as error:
        raise _refused(folder, error) from error


def clear_unfinished(folder: Path) -> None:
    """Remove what a killed process left unfinished in a folder; nobody may be writing there."""
    try:
        for path in folder.iterdir() if folder.is_dir() else ():
            if UNFINISHED.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif UNFINISHED.fullmatch(path.name):
                path.unlink()
    except OSError as error:
        raise _refused(folder, error) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with the line ends that it has."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys; NaN and infinities are refused (they are not JSON)."""
    write_text(path, to_json(value))


def to_json(value: object) -> str:
    """Return the JSON text that `write_json` writes."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write Parquet (zstd); the bytes depend on the table alone."""
    plain = table.replace_schema_metadata(None)
    with whole(path) as temporary:
        pq.write_table(plain, temporary, compression="zstd", version="2.6")


def write_csv(path: Path, table: pa.Table) -> None:
    """Write CSV whose text cells are inert in a spreadsheet; lists become words, times ISO."""
    columns = {name: _inert(table[name]) for name in table.column_names}
    buffer = BytesIO()
    pacsv.write_csv(pa.table(columns), buffer)
    write_bytes(path, buffer.getvalue())


def _inert(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    kind = column.type
    if pa.types.is_list(kind):
        words = [None if v is None else " ".join(map(str, v)) for v in column.to_pylist()]
        column, kind = pa.chunked_array([pa.array(words, pa.string())]), pa.string()
    if pa.types.is_timestamp(kind):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
    if not pa.types.is_string(kind):
        return column
    live = pc.match_substring_regex(column, FORMULA_START)
    return pc.if_else(live, pc.binary_join_element_wise("'", column, ""), column)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, error: OSError) -> RunError:
    return RunError(
        "CY001",
        f"cannot write {path}: {error.strerror}",
        why="The last good output, if there was one, is untouched",
        fix="Give a folder that can be written to and has room",
    )


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Read JSON that trueloop wrote."""
    return json.loads(path.read_text(encoding="utf-8"))
