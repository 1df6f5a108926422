"""What is wrong with this TOML file? One way to read the files that people write for us.

Rules, waivers and other settings are TOML in UTF-8 of limited size, checked against a form (a
strict pydantic model, unknown keys refused). Every mistake names the file, the key and the nearest
known word, and all of a file are found at once: RU101 no TOML, RU102 an unknown key (RU107: an
unknown parameter), RU103 a key that is missing, RU105 a wrong value, RU112 too large, RU113 not
UTF-8, RU114 a number that int64 arithmetic cannot carry. Nothing in a file is executed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from process_mining.errors import CodedError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

MAX_BYTES: Final = 64 * 1024
MAX_NUMBER: Final = 2**53  # in microseconds 285 years


def _check_printable(text: str) -> str:
    if not all(char.isprintable() or char == "\n" for char in text):
        msg = "control characters are not allowed"
        raise ValueError(msg)
    return text


def _check_one_line(text: str) -> str:
    if not text.isprintable():
        msg = "one line of printable characters is needed"
        raise ValueError(msg)
    return text


Line = Annotated[str, Field(min_length=1, max_length=160), AfterValidator(_check_one_line)]
Text = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_check_printable)]


class Form(BaseModel):
    """Base of what files hold: frozen, strict, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True)
class TomlFile:
    """A file and the name that messages give it."""

    path: Path
    shown: str


def parse(file: TomlFile) -> dict[str, Any]:
    """Read a file as TOML; CodedError RU112, RU113 or RU101 where it is none."""
    size = file.path.stat().st_size
    if size > MAX_BYTES:
        msg = f"{file.shown} has {size} bytes, more than {MAX_BYTES}"
        raise CodedError("RU112", msg, fix="A rule file holds one rule")
    try:
        return tomllib.loads(file.path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        msg = f"{file.shown} is not UTF-8 at byte {error.start}"
        raise CodedError("RU113", msg, fix="Save it as UTF-8") from None
    except (ValueError, RecursionError) as error:
        msg = f"{file.shown} is no valid TOML: {printable(str(error))[:200]}"
        raise CodedError("RU101", msg, fix="Mend the line") from None


def huge_numbers(file: TomlFile, value: object, path: str = "") -> Iterator[CodedError]:
    """Yield an error for every number that int64 arithmetic could not carry."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from huge_numbers(file, inner, f"{path}.{printable(key)}".lstrip("."))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from huge_numbers(file, inner, f"{path}[{index}]")
    elif isinstance(value, (int, float)) and not abs(value) <= MAX_NUMBER:  # nor is NaN
        msg = f"number out of range in {file.shown}, {path}"
        yield CodedError("RU114", msg, fix=f"Stay within {MAX_NUMBER} on both sides of 0")


def form_errors(
    file: TomlFile, wrong: ValidationError, form: type[BaseModel], inside: str
) -> Iterator[CodedError]:
    """Turn pydantic's errors into ours; a key that is only misspelt is not missing as well."""
    items = wrong.errors()
    misspelt = set()
    for *steps, last in (item["loc"] for item in items if item["type"] == "extra_forbidden"):
        near = get_close_matches(str(last), _fields_at(form, steps), n=1)
        misspelt.add((*steps, *near))
    for item in items:
        if item["type"] != "missing" or item["loc"] not in misspelt:
            yield _error(file, item, form, inside)


def _error(file: TomlFile, item: ErrorDetails, form: type[BaseModel], inside: str) -> CodedError:
    """Turn one of pydantic's errors into ours; `inside` is the key that `form` describes."""
    steps = [step for step in item["loc"] if step != "[key]"]
    path = _key_path([inside, *steps] if inside else steps)
    where = f"{file.shown}, {path}" if path else file.shown
    last = str(steps[-1]) if steps else inside
    if item["type"] == "extra_forbidden":
        code, kind = ("RU107", "parameter") if inside else ("RU102", "key")
        near = did_you_mean(last, _fields_at(form, steps[:-1]))
        return CodedError(code, f"unknown {kind} '{printable(last)}' in {where}", fix=near)
    if item["type"] == "missing":
        return CodedError("RU103", f"'{last}' is missing in {where}", fix="Give it")
    reason = printable(item["msg"].removeprefix("Value error, "))
    msg = f"wrong value {printable(repr(item['input']))[:60]} in {where}"
    return CodedError("RU105", msg, why=reason, fix="Mend the value")


def _fields_at(form: type[BaseModel], steps: Sequence[str | int]) -> list[str]:
    """Return the keys that are known at a place inside a form; none where it is free."""
    for step in steps:
        if isinstance(step, str):
            inner = (
                _form_in(form.model_fields[step].annotation) if step in form.model_fields else None
            )
            if inner is None:
                return []
            form = inner
    return list(form.model_fields)


def _form_in(annotation: object) -> type[BaseModel] | None:
    """Find the form inside list[...], Annotated[...] and unions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_form_in(part) for part in get_args(annotation))
    return next((form for form in inner if form is not None), None)


def _key_path(steps: Sequence[str | int]) -> str:
    path = "".join(f"[{x}]" if isinstance(x, int) else f".{printable(x)}" for x in steps)
    return path.lstrip(".")


def printable(text: str) -> str:
    """Make a foreign text safe for one line of a message."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
