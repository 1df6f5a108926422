"""Whom could a log give away, and how is that prevented?

Names become keyed pseudonyms: `p-` and 12 hex digits of HMAC-SHA-256 (RFC 2104) over the name. The
key never leaves the process. E-mail addresses, telephone numbers and IP addresses that stand in
other texts are masked: a text that is nothing but one address keeps its identity as a pseudonym
(two mailboxes of two teams stay two), and inside a longer text the address becomes `[email]`,
`[phone]` or `[ip]`.

What counts as an address is decided by form alone, wherever it stands in a text (`Tel:+49...`):
- e-mail: a local part (RFC 5322 dot-atom or quoted string), @ or %40, and a domain whose last
  label is of letters of any script or punycode, or an IPv4 address;
- IP: four numbers up to 255 with dots and no fifth, or groups with colons that `ipaddress` takes;
- telephone (ITU-T E.164, 7 to 15 digits): after +, after 00 in one piece, after a trunk 0 in at
  least two groups, or as North America writes it (1-800-867-5309); an extension belongs to it.
Full-width signs, no-break spaces, typographic hyphens and digits of other scripts are read as
their plain ones. Dates, times, decimals, MAC addresses, version numbers of three parts and ticket
numbers are none of these. Names inside free text are not recognised, nor numbers in words.
Complexity: linear in the text; every repetition is bounded or possessive.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from process_mining.columnar.groups import distinct

if TYPE_CHECKING:
    from process_mining.eventlog import EventLog

SMALLEST_TEAM: Final = 5  # known people; fewer are too few to be spoken of as a group
PSEUDONYM_DIGITS: Final = 12
PSEUDONYM: Final = r"p-[0-9a-f]{8,64}"  # what may be one, of this or another tool's log
PHONE_DIGITS: Final = range(7, 16)

# In each pattern the group `a` is the address.
_EMAIL: Final = re.compile(
    r"""(?P<a>(?:(?<![\w.+&~-])[\w.+&~-](?:[\w.+&~'-]|%(?!40)[0-9A-Fa-f]{2}){0,128}+
    |"(?:[^"\\\r\n]|\\.){1,64}+")
    (?:@|%40)
    (?:(?:[\w-]{1,63}\.){1,30}(?:xn--[\w-]{1,59}|[^\W\d_]{2,63})[\w-]*+
    |\[?\d{1,3}(?:\.\d{1,3}){3}\]?))""",
    re.VERBOSE,
)
_IPV4: Final = re.compile(
    r"(?<![^\W_])(?<!\d\.)(?P<a>(?:\d{1,3}\.){3}\d{1,3})(?![^\W_]|\.\d)", re.ASCII
)
# A word before it that is no group of hexadecimal digits is a label, as in `IP:2001:db8::77`.
_IPV6: Final = re.compile(
    r"(?<![\w:.])(?:[0-9A-Za-z_]{0,40}[G-Zg-z_][0-9A-Za-z_]{0,40}:)?"
    r"(?P<a>(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?<=::))(?:%\w{1,20})?)(?![^\W_]|:\w)",
    re.ASCII,
)
_PHONE: Final = re.compile(
    r"""(?P<a>(?:(?<![\w+])\+\(?[1-9](?:[ /.()-]{0,3}\d){6,14}
    |(?<![\w+-])(?<!\d[.:/,])(?:
        \(?(?!\d{1,4}([./-])\d{1,2}\2\d{1,4}(?!\d)|\d\d?[ ./-]\d\d?[ ./-]\d{4}(?!\d))
          (?!(?:\w\w-){5}\w\w\b)
          0\d{1,5}\)?[ /-]\(?\d(?:[ /-]?\d){3,8}
        |00[1-9]\d{9,12}
        |1[ -]\(?\d{3}\)?[ -]\d{3}-\d{4}
        |\(\d{3}\)[ ]?\d{3}[ -]\d{4}
        |\d{3}-\d{3}-\d{4}))
    (?P<extension>[ ]?(?:x|ext\.?)[ ]?\d{1,6})?)(?!\w|[:/.]\d|-\w)""",
    re.ASCII | re.VERBOSE,
)
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
# A cheap look: only texts with one of these can hold an address.
_SUSPECT: Final = (
    "[@\N{FULLWIDTH COMMERCIAL AT}\N{SMALL COMMERCIAL AT}]|%40|"
    r"\d{1,3}\.\d{1,3}\.\d{1,3}|:[0-9A-Fa-f]*:|\+\(?\d|\d\d\)?[ /-]"
    r"|00[1-9]\d{9}|\p{Nd}[^\x00-\x7f]|[^\x00-\x7f]\p{Nd}"
)
_SUSPECT_HERE: Final = re.compile(_SUSPECT.replace(r"\p{Nd}", r"\d"))


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


def people_of_teams(log: EventLog) -> dict[str, int]:
    """Count the distinct known people who acted for each team; a team without any is left out."""
    arrays = log.arrays
    both = (arrays.team >= 0) & (arrays.actor >= 0)
    team, actor = (codes[both].astype(np.int64) for codes in (arrays.team, arrays.actor))
    n = distinct(team, actor, n=len(arrays.teams))
    return {team: int(n[i]) for i, team in enumerate(arrays.teams) if n[i]}


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


def without_contacts(text: str) -> str:
    """Return a text with `[email]`, `[phone]` and `[ip]` in the place of its addresses."""
    return _found_in(text)[0] if _SUSPECT_HERE.search(text) else text


def _masked(text: str, key: bytes) -> tuple[str, frozenset[str]]:
    out, kinds = _found_in(text)
    pure = len(kinds) == 1 and out.strip() == f"[{min(kinds)}]"
    return (pseudonym(text, key) if pure else out), kinds


def _found_in(text: str) -> tuple[str, frozenset[str]]:
    """Mask a text; also return the kinds of its addresses."""
    plain = text if text.isascii() else "".join(map(_plain, text))
    found: set[str] = set()
    for kind, pattern, sound in (
        ("email", _EMAIL, _is_email),
        ("ip", _IPV4, _is_ip),
        ("ip", _IPV6, _is_ip),
        ("phone", _PHONE, _is_phone),
    ):
        spans = [match.span("a") for match in pattern.finditer(plain) if sound(match)]
        if spans:
            found.add(kind)
            text, plain = (_replaced(one, spans, f"[{kind}]") for one in (text, plain))
    return text, frozenset(found)


def _replaced(text: str, spans: list[tuple[int, int]], marker: str) -> str:
    starts = [0, *(end for _, end in spans)]
    ends = [*(start for start, _ in spans), len(text)]
    return marker.join(text[start:end] for start, end in zip(starts, ends, strict=True))


@lru_cache(maxsize=1 << 12)
def _plain(letter: str) -> str:
    """Return the one character as which a character is read, so that places stay the same."""
    category = unicodedata.category(letter)
    if category == "Nd":
        return str(unicodedata.digit(letter))
    if category in {"Zs", "Pd"}:
        return " " if category == "Zs" else "-"
    if category[0] == "M":
        return "a"  # vowel signs belong to the words of a domain
    folded = unicodedata.normalize("NFKC", letter)
    return folded if len(folded) == 1 else letter


def _is_email(_: re.Match[str]) -> bool:
    return True


def _is_ip(match: re.Match[str]) -> bool:
    text = match["a"]
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text not in {"::", "::1"} and _MAC.fullmatch(text) is None


def _is_phone(match: re.Match[str]) -> bool:
    number = match["a"].removesuffix(match["extension"] or "")
    digits = sum(letter.isdigit() for letter in number)
    return digits in PHONE_DIGITS or number.startswith("00")
