"""What does an OCEL 2.0 JSON file state?

One JSON object with `eventTypes`, `objectTypes`, `events` and `objects`, in any order:

    eventTypes, objectTypes   [{name, attributes: [{name, type}]}]
    events                    [{id, type, time, attributes: [{name, value}], relationships}]
    objects                   [{id, type, attributes: [{name, time, value}], relationships}]
    relationships             [{objectId, qualifier}]

`attributes` and `relationships` may be left out where there are none; so may the declared types,
which a note then says. Values may be texts, numbers or booleans; null is no value. An event that
is built otherwise is a reject (LG152), anything else that is built otherwise stops the reading
(LG098), as does the first version of OCEL, whose keys begin with `ocel:`. Keys that the standard
lacks are counted and left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from process_mining.sources._documents import documents, keys_of
from process_mining.sources._json import Number
from process_mining.sources._rejects import shown
from process_mining.sources.ocel.log import (
    STATIC,
    OcelEvent,
    OcelObject,
    OddError,
    declare,
    distinct,
    needed,
    not_ocel,
    scalar,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from process_mining.sources.ocel.log import Ocel, Pairs, Types

SIGNS: Final = frozenset({"eventTypes", "objectTypes", "ocel:global-log", "ocel:events"})
# Keys that tell where the first bytes show no declared types: any one of these sets.
TELLING: Final = (
    {"events[].relationships"},
    {"objects[].relationships"},
    {"events[].type", "events[].time", "events[].attributes"},
    {"objects[].type", "objects[].attributes"},
)
PARTS: Final = frozenset({"eventTypes", "objectTypes", "events", "objects"})
EVENT_KEYS: Final = frozenset({"id", "type", "time", "attributes", "relationships"})
OBJECT_KEYS: Final = frozenset({"id", "type", "attributes", "relationships"})


def is_ocel_json(head: bytes) -> bool:
    """Whether the first bytes show keys that only an object-centric log has."""
    keys = keys_of(head)
    return bool(keys & SIGNS) or any(keys >= telling for telling in TELLING)


def read_json(path: Path, log: Ocel) -> None:
    """Read one file into the log."""
    texts = list(documents(path))
    whole = texts[0].value if len(texts) == 1 else None
    if not isinstance(whole, dict):
        raise not_ocel(path.name, "it is not one JSON object")
    if any(key.startswith("ocel:") for key in whole):
        raise not_ocel(path.name, "it is OCEL 1.0", "Convert it to OCEL 2.0")
    try:
        _read(whole, path.name, log)
    except OddError as error:
        raise not_ocel(path.name, error.reason) from error


def _read(whole: dict[str, Any], file: str, log: Ocel) -> None:
    for key in sorted(whole.keys() - PARTS):
        log.left_out[f"keys {shown(key)} of a file"] += 1
    missing = [key for key in ("events", "objects") if key not in whole]
    if missing:
        raise not_ocel(file, f"it has no {' and no '.join(missing)}")
    _declare(whole, "eventTypes", log.event_types)
    _declare(whole, "objectTypes", log.object_types)
    for number, raw in enumerate(_list(whole, "objects"), start=1):
        _object(raw, f"{file} object {number}", log)
    for number, raw in enumerate(_list(whole, "events"), start=1):
        log.events.append(_event(raw, file, number, log))


def _declare(whole: dict[str, Any], key: str, types: Types) -> None:
    for item in _objects(whole, key):
        attributes = [(_text(a, "name"), _text(a, "type")) for a in _objects(item, "attributes")]
        declare(types, _text(item, "name"), attributes)


def _object(raw: object, place: str, log: Ocel) -> None:
    try:
        item = _dict(raw, "it")
        _count_unknown(item, OBJECT_KEYS, "objects", log)
        values = tuple(_values(item))
        found = OcelObject(_text(item, "id"), _text(item, "type"), values, _related(item), place)
    except OddError as error:
        raise not_ocel(place, error.reason) from error
    log.add_object(found)


def _values(item: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for attribute in _objects(item, "attributes"):
        value = scalar(attribute.get("value"))
        if value is not None:
            yield _text(attribute, "name"), _optional(attribute, "time") or STATIC, value


def _event(raw: object, file: str, number: int, log: Ocel) -> OcelEvent:
    place = f"event {number}"
    try:
        event = _dict(raw, "it")
        _count_unknown(event, EVENT_KEYS, "events", log)
        name = _text(event, "id")
        place = f"{place} ({shown(name)})"
        pairs = [(_text(a, "name"), scalar(a.get("value"))) for a in _objects(event, "attributes")]
        attributes = distinct((key, value) for key, value in pairs if value is not None)
        time, related = _optional(event, "time"), _related(event)
        return OcelEvent(name, _text(event, "type"), time, attributes, related, file, number, place)
    except OddError as error:
        problem = (error.code, error.reason)
        return OcelEvent("", "", None, (), (), file, number, place, problem)


def _related(item: dict[str, Any]) -> Pairs:
    return tuple(
        (_text(one, "objectId"), _optional(one, "qualifier") or "")
        for one in _objects(item, "relationships")
    )


def _count_unknown(item: dict[str, Any], known: frozenset[str], what: str, log: Ocel) -> None:
    for key in item.keys() - known:
        log.left_out[f"keys {shown(key)} of {what}"] += 1


def _list(item: dict[str, Any], key: str) -> list[Any]:
    value = item.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        msg = f"{key} is no list"
        raise OddError(msg)
    return value


def _objects(item: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [_dict(one, f"an entry of {key}") for one in _list(item, key)]


def _dict(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"{what} is no JSON object"
        raise OddError(msg)
    return value


def _text(item: dict[str, Any], key: str) -> str:
    return needed(_optional(item, key), key)


def _optional(item: dict[str, Any], key: str) -> str | None:
    value = item.get(key)
    if value is None or (isinstance(value, str) and not isinstance(value, Number)):
        return value
    msg = f"{key} is no text"
    raise OddError(msg)
