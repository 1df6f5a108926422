"""What does a JSON text say, read strictly, and what does its beginning show?

RFC 8259, and stricter where leniency loses data in silence: a key that stands twice in an object,
NaN and Infinity, NUL characters and lone surrogates are refused. Numbers that are no whole numbers
keep their own digits (`Number`); nesting ends where the parser's own limit does.

`outline` tells a format by its keys from the first bytes of a file, without parsing the rest.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from typing import Any, Final

from process_mining.sources._rejects import shown

DEPTH_SHOWN: Final = 4
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(:?)|([\[\]{}])', re.DOTALL)


class BadJsonError(Exception):
    """A text that is not taken: the code and the reason of its reject."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep both for the list of rejects."""
        super().__init__(reason)
        self.code, self.reason = code, reason


class Number(str):
    """A number that is no whole number, in its own digits."""

    __slots__ = ()


def parse_json(text: str, *, mend: bool = False) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Return the value; BadJsonError LG120 (no JSON), LG122 (key twice), LG125 (no text).

    With `mend`, NUL characters and halves of characters become U+FFFD instead: a tool's document
    holds free text that no log takes, and is not refused for it.
    """
    try:
        value = _decoder().decode(text.strip())
    except (ValueError, RecursionError) as error:
        raise BadJsonError("LG120", f"is no JSON ({error})") from error
    if "\\u0000" in text or ("\\ud" in text.lower() and _lone_surrogate(value)):
        if mend:
            return _mended(value)
        raise BadJsonError("LG125", "holds a NUL character or half of a character")
    return value


def _mended(value: object) -> object:
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, str) and not isinstance(value, Number):
        return (
            value.replace("\0", "\ufffd")
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
        )
    return value


def outline(text: str) -> frozenset[str]:
    """Return the paths of the keys that a beginning of JSON shows, up to `DEPTH_SHOWN` deep.

    A path is "result[].number" for the key `number` in an object of the list `result`; the list or
    object at the top adds "[]" or nothing. Empty for a text that does not start like JSON.
    """
    if not text.lstrip("\ufeff \t\r\n").startswith(("{", "[")):
        return frozenset()
    found: set[str] = set()
    stack: list[str] = []
    key = ""
    for match in _TOKEN.finditer(text):
        name, colon, bracket = match.groups()
        if bracket in {"{", "["}:
            stack.append(key + ("[]" if bracket == "[" else ""))
            key = ""
        elif bracket:
            if stack:
                stack.pop()
            key = ""
        elif colon:
            key = name
            if len(stack) <= DEPTH_SHOWN:
                found.add(_path([*stack, name]))
        else:
            key = ""
    return frozenset(found)


def _path(parts: list[str]) -> str:
    out = ""
    for part in parts:
        out += part if part.startswith("[") or not out or not part else f".{part}"
    return out


@lru_cache(maxsize=1)
def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_float=Number, parse_constant=_no_constant
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise BadJsonError("LG122", f"key {shown(twice)} stands twice")
    return found


def _no_constant(word: str) -> None:
    msg = f"{word} is no JSON"
    raise ValueError(msg)


def _lone_surrogate(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
