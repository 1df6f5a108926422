"""Whom could a log give away, and how is that prevented?

Names become keyed pseudonyms: `p-` and 12 hex digits of HMAC-SHA-256 (RFC 2104) over the name. The
key never leaves the process. E-mail addresses, telephone numbers and IP addresses that stand in
other texts are masked: a text that is nothing but one address keeps its identity as a pseudonym
(two mailboxes of two teams stay two), and inside a longer text the address becomes `[email]`,
`[phone]` or `[ip]`.

What counts as an address is decided by form alone: an e-mail address has an @ between a local part
and a dotted domain; an IP address is four numbers up to 255 with dots, or colon-separated groups
that `ipaddress` accepts; a telephone number starts with + or a trunk 0 or a bracket, and has 7 to
15 digits (ITU-T E.164) in at least two groups, or all in one after +. Dates, times, version numbers
and ticket numbers are none of these. Names inside free text are not recognised.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

PSEUDONYM_DIGITS: Final = 12
PHONE_DIGITS: Final = range(7, 16)

_EMAIL: Final = re.compile(
    r"(?<![\w.+-])[\w.+'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_IPV4: Final = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)", re.ASCII)
_IPV6: Final = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:%\w+)?(?![\w:])", re.ASCII)
_PHONE: Final = re.compile(
    r"(?<![\w.+/:-])(?:\+\d[\d /.()-]{5,22}\d|\(?0\d{1,5}\)?[ /-]\(?\d[\d /-]{3,18}\d|"
    r"\(\d{3}\) ?\d{3}[ -]\d{4}|\d{3}-\d{3}-\d{4})(?![\w:/-]|\.\d)",
    re.ASCII,
)
_DATE: Final = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}(?!\d)")
# A cheap look: only texts with one of these can hold an address.
_SUSPECT: Final = r"@|\d{1,3}\.\d{1,3}\.\d{1,3}|[0-9A-Fa-f]*:[0-9A-Fa-f]*:|\+\d|\(?\d{2,}\)?[ /-]"


def pseudonyms(names: pa.ChunkedArray, key: bytes) -> pa.ChunkedArray:
    """Replace each name by its pseudonym; null stays null."""
    coded = names.combine_chunks().dictionary_encode()
    return pa.chunked_array([pseudonyms_of(coded.dictionary, key).take(coded.indices)])


def pseudonyms_of(names: pa.Array, key: bytes) -> pa.Array:
    """Return the pseudonym of each of some distinct names."""
    return pa.array([pseudonym(name, key) for name in names.to_pylist()], pa.string())


def pseudonym(name: str, key: bytes) -> str:
    """Return the pseudonym of one name."""
    return "p-" + hmac.new(key, name.encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_DIGITS]


def mask_contacts(texts: pa.ChunkedArray, key: bytes) -> tuple[pa.ChunkedArray, dict[str, int]]:
    """Mask the addresses in a column of texts; also return how many texts had one, by kind."""
    coded = texts.combine_chunks().dictionary_encode()
    if not may_hold(coded.dictionary):
        return texts, {}
    words, kinds = masked_words(coded.dictionary, key)
    counts: dict[str, int] = {}
    for entry in pc.value_counts(coded.indices.drop_null()).to_pylist():
        for kind in kinds[entry["values"]]:
            counts[kind] = counts.get(kind, 0) + entry["counts"]
    return (pa.chunked_array([words.take(coded.indices)]), counts) if counts else (texts, {})


def may_hold(words: pa.Array) -> bool:
    """Whether one of these texts may hold an address; a cheap look."""
    return bool(pc.any(pc.match_substring_regex(words, _SUSPECT)).as_py())


def masked_words(words: pa.Array, key: bytes) -> tuple[pa.Array, list[frozenset[str]]]:
    """Mask the addresses in distinct texts; also return which kinds each had."""
    out: list[str] = words.to_pylist()
    kinds = [frozenset[str]()] * len(out)
    suspects = pc.match_substring_regex(words, _SUSPECT).to_numpy(zero_copy_only=False)
    for index in suspects.nonzero()[0].tolist():
        out[index], kinds[index] = _masked(out[index], key)
    return pa.array(out, pa.string()), kinds


def _masked(text: str, key: bytes) -> tuple[str, frozenset[str]]:
    found: set[str] = set()

    def marker(kind: str, sound: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
        def replace(match: re.Match[str]) -> str:
            if not sound(match[0]):
                return match[0]
            found.add(kind)
            return pseudonym(text, key) if match[0] == text.strip() else f"[{kind}]"

        return replace

    out = _EMAIL.sub(marker("email", lambda _: True), text)
    out = _IPV4.sub(marker("ip", _is_ip), out)
    out = _IPV6.sub(marker("ip", _is_ip), out)
    out = _PHONE.sub(marker("phone", _is_phone), out)
    return out, frozenset(found)


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text not in {"::", "::1"}


def _is_phone(text: str) -> bool:
    digits = sum(letter.isdigit() for letter in text)
    return digits in PHONE_DIGITS and _DATE.match(text) is None
