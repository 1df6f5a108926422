"""Does the text of a typed XES attribute have the lexical form that its tag declares?

    int      xs:long: digits with an optional sign, within 64 bits
    float    xs:double: decimal or scientific, INF, -INF, +INF, NaN
    boolean  true, false, 1, 0
    date     xs:dateTime: YYYY-MM-DDThh:mm:ss, fraction and offset optional
    id       a UUID, with or without hyphens

White space around a value does not count. 29 February passes in every year. A violation is counted,
never mended: the value stays the text that stands in the file.

Source: IEEE 1849-2023, clause 5; W3C XML Schema 1.1 part 2.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

if TYPE_CHECKING:
    import pyarrow as pa

SPACE: Final = " \t\r\n"
LONG: Final = 1 << 63
_DATE: Final = (
    r"-?[0-9]{4,9}-"
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
    r"T(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?|24:00:00(?:\.0+)?)"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)?"
)
_HEX: Final = "[0-9A-Fa-f]"
# The syntax is that of re and of RE2 alike, for both judge the same values.
FORMS: Final = {
    "int": r"[+-]?[0-9]+",
    "float": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?INF|NaN",
    "boolean": "true|false|1|0",
    "date": _DATE,
    "id": f"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}|{_HEX}{{32}}",
}
# Whole numbers of up to 18 digits fit into 64 bits; longer ones are looked at one by one.
_SURE: Final = FORMS | {"int": r"[+-]?[0-9]{1,18}"}


@lru_cache(maxsize=1 << 12)
def has_form(tag: str, value: str) -> bool:
    """Whether a value has the form of its tag; a tag without a form takes any text."""
    form = FORMS.get(tag)
    bare = value.strip(SPACE)
    if form is None:
        return True
    if re.fullmatch(form, bare) is None:
        return False
    digits = bare.lstrip("+-").lstrip("0")
    return tag != "int" or (len(digits) <= len(str(LONG)) and -LONG <= int(bare) < LONG)


def count_malformed(tag: str, values: pa.Array) -> int:
    """Return how many values lack the form of their tag."""
    if tag not in FORMS or not len(values):
        return 0
    sure = pc.match_substring_regex(values, pattern=f"^(?:{_SURE[tag]})$")
    rest = values.filter(pc.invert(sure))
    if not len(rest):
        return 0
    return sum(
        pair["counts"].as_py()
        for pair in pc.value_counts(rest)
        if not has_form(tag, pair["values"].as_py())
    )
