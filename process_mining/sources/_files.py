"""Can this file be read, and what are its bytes?

Files are opened here and nowhere else: a missing file, a folder, an unreadable or an empty file
gives a coded error. gzip is recognised by its first two bytes, not by its name, and unpacked as a
stream: a file that ends early or fails its check sum is an error, never a shorter log, and output
is limited so that a small file cannot fill the machine (`MAX_BYTES` in all, and at most
`MAX_RATIO` bytes out for one byte in once `RATIO_FROM` bytes are out; logs have 10 to 60, one row
written again and again 300 to 400, and deflate itself ends at 1,032). Source: RFC 1952.

Other archives (zip, bzip2, xz, zstandard) are named in the error and not unpacked.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final

from process_mining.errors import CodedError, RunError
from process_mining.eventlog import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES: Final = 1 << 16
CHUNK: Final = 1 << 18
MAX_BYTES: Final = 8 << 30
MAX_RATIO: Final = 250
RATIO_FROM: Final = 32 << 20

DELIMITERS: Final = ",;\t|"
GZIP_MAGIC: Final = b"\x1f\x8b"
ARCHIVES: Final = {
    b"PK\x03\x04": "zip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
}
UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")


def check_file(path: Path) -> None:
    """Raise the coded error that says why `path` cannot be read, if it cannot."""
    if path.is_dir():
        raise CodedError("LG012", f"{path} is a folder", fix="Name the files in it")
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*")) if path.parent.is_dir() else []
        here = f"In that folder: {', '.join(near[:8])}" if near else "The folder is missing too"
        raise CodedError("LG011", f"there is no file {path}", fix=here)
    if not path.is_file():
        raise CodedError("LG013", f"{path} is no regular file", fix="Store the log in a file first")
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise CodedError("LG013", msg, fix="Check its permissions") from error
    _check_start(path, start)


def _check_start(path: Path, start: bytes) -> None:
    if not start:
        raise RunError("LG014", f"{path} is empty", fix="Export it again")
    for magic, kind in ARCHIVES.items():
        if start.startswith(magic):
            msg = f"{path} is a {kind} archive"
            raise CodedError("LG017", msg, fix="Unpack it, or pack the log with gzip")


def fingerprint(path: Path) -> SourceFile:
    """Return the file's name, SHA-256 and size (of the bytes as stored, packed or not)."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    # a name that is no UTF-8 is shown by its bytes, so that it can stand in JSON
    name = path.name.encode("utf-8", "backslashreplace").decode()
    return SourceFile(name=name, sha256=digest, size=path.stat().st_size)


def head_of(path: Path) -> bytes:
    """Return the first bytes of the content, unpacked, in one read.

    One read only: where a packed file breaks off, what came out before still shows what it is,
    and the reader of that format then names the break.
    """
    with open_bytes(path) as stream:
        head = stream.read1(HEAD_BYTES)
    if not head:
        raise RunError("LG014", f"{path} holds no bytes", fix="Export it again")
    return head


def open_bytes(path: Path) -> io.BufferedReader:
    """Open the content as bytes: unpacked if the file is gzip, as stored if it is not."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
    if packed:
        return io.BufferedReader(_Unpacked(path.open("rb"), path), CHUNK)
    return io.BufferedReader(io.FileIO(path), CHUNK)  # one read gives a whole head


def encoding_of(head: bytes) -> str:
    """Return the encoding that a byte order mark declares; without one it is UTF-8."""
    return "utf-16" if head.startswith(UTF16_MARKS) else "utf-8-sig"


def first_line(head: bytes) -> str:
    """Return the first line that is not blank, as text, for recognising a format."""
    text = head.decode(encoding_of(head), errors="replace")
    return next((line for line in text.splitlines() if line.strip()), "")


def cells_of(head: bytes) -> list[str]:
    """Return the cells of the first line, whatever known delimiter parts them."""
    line = first_line(head).removeprefix("\ufeff")
    return [cell for mark in DELIMITERS for cell in next(csv.reader([line], delimiter=mark), [])]


def looks_binary(head: bytes) -> bool:
    """Return whether the first line is no text: it holds control characters, and no UTF-16 mark."""
    first = head.split(b"\n", 1)[0]
    return _CONTROL.search(first) is not None and not head.startswith(UTF16_MARKS)


class _Unpacked(io.RawIOBase):
    """The content of a gzip file (one member or several), with limits."""

    def __init__(self, raw: BinaryIO, path: Path) -> None:
        self._raw, self._path = raw, path
        self._zlib = zlib.decompressobj(wbits=31)
        self._input = b""
        self._read = self._written = 0
        self._in_member = False

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._raw.close()
        super().close()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        view = memoryview(buffer)
        data = self._next(min(len(view), CHUNK))  # however much is wanted, the limits come first
        view[: len(data)] = data
        return len(data)

    def _next(self, size: int) -> bytes:
        while True:
            if not self._input and not self._refill():
                return b""
            data = self._unpack(size)
            if data:
                self._written += len(data)
                self._check_limits()
                return data

    def _refill(self) -> bool:
        self._input = self._raw.read(CHUNK)
        self._read += len(self._input)
        if self._input:
            return True
        if self._in_member:
            msg = f"{self._path.name} ends in the middle of its gzip data"
            raise RunError("LG020", msg, why="the log would be cut", fix="Copy or export it again")
        return False

    def _unpack(self, size: int) -> bytes:
        if not self._in_member:
            # Zero bytes between and after members are padding (RFC 1952 leaves them to tapes).
            self._input = self._input.lstrip(b"\0")
            self._in_member = bool(self._input)
        try:
            data = self._zlib.decompress(self._input, size)
        except zlib.error as error:
            msg = f"{self._path.name} is damaged near byte {self._read} of its gzip data ({error})"
            raise RunError("LG021", msg, fix="Copy or export it again") from error
        self._input = self._zlib.unconsumed_tail
        if self._zlib.eof:
            self._input = self._zlib.unused_data
            self._zlib = zlib.decompressobj(wbits=31)
            self._in_member = False
        return data

    def _check_limits(self) -> None:
        used = self._read - len(self._input)
        ratio = self._written / max(used, 1)
        if self._written > MAX_BYTES or (self._written > RATIO_FROM and ratio > MAX_RATIO):
            raise RunError(
                "LG022",
                f"{self._path.name} unpacks to more than {self._written >> 20} MiB, "
                f"{ratio:,.0f} times its size",
                why=f"the limits are {MAX_BYTES >> 30} GiB and {MAX_RATIO:,} times",
                fix="If the file is what it should be, unpack or split it first",
            )
