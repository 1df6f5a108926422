"""What does a list of an XES trace or event hold, as one text?

A list becomes JSON, so that nothing of it is lost: an array with one object for each element, key →
value, attributes nested in an element as "key.inner" → value, a list in a list as an array. Keys
may repeat from element to element.

    <list key="l"><values><string key="a" value="1"/><int key="a" value="2"/></values></list>
    → attr.l = [{"a":"1"},{"a":"2"}]

IEEE 1849-2016 puts the elements into <values>, and what stands beside it describes the list itself
(kept as attr.l.<key>); 1849-2023 has no <values>: the children are the elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from process_mining.sources._rejects import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUES: Final = frozenset({"string", "date", "int", "float", "boolean", "id"})
HOLDERS: Final = VALUES | {"container"}
Elements = list[dict[str, object]]


class Notes(Protocol):
    """Who is told of what is wrong in a list, and of every typed value."""

    def note(self, code: str, reason: str) -> None:
        """Take a problem."""

    def typed(self, tag: str, value: str) -> None:
        """Take a value with its tag."""


def put(cells: dict[str, object], name: str, value: object, notes: Notes) -> None:
    """Keep a value; a name that is taken is a problem, and the later value stays."""
    if name in cells:
        notes.note("LG142", f"has key {shown(name)} twice")
    cells[name] = value


@dataclass(eq=False)
class OpenList:
    """A list while it is open; `start` and `end` take the tags inside it, `end` also its own."""

    key: str
    notes: Notes
    _beside: Elements = field(default_factory=list)
    _listed: Elements | None = None
    _in_values: bool = False
    _skip: int = 0
    _path: list[str] = field(default_factory=list)
    _inner: OpenList | None = None

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Take a start tag."""
        if self._inner is not None:
            self._inner.start(tag, attributes)
        elif self._skip:
            self._skip += 1
        elif tag in HOLDERS:
            self._attribute(tag, attributes.get("key"), attributes.get("value"))
        elif tag == "list":
            self._list(attributes.get("key"))
        elif tag == "values" and not self._path and not self._in_values:
            self._in_values, self._listed = True, self._listed or []
        else:
            self._skip = 1

    def end(self) -> bool:
        """Take an end tag; return whether it was this list's own."""
        if self._inner is not None:
            if self._inner.end():
                self._keep_inner(self._inner)
        elif self._skip:
            self._skip -= 1
        elif self._path:
            self._path.pop()
        elif self._in_values:
            self._in_values = False
        else:
            return True
        return False

    def cells(self) -> dict[str, object]:
        """Return what the closed list gives: its elements, and what describes it."""
        if self._listed is None:
            return {self.key: self._beside}
        found: dict[str, object] = {self.key: self._listed}
        for element in self._beside:
            for name, value in element.items():
                put(found, f"{self.key}.{name}", value, self.notes)
        return found

    def _attribute(self, tag: str, key: str | None, value: str | None) -> None:
        element = self._element()
        if key is None:
            self.notes.note("LG143", "has an attribute without key")
        elif tag != "container" and value is None:
            self.notes.note("LG143", f"has an attribute without value for key {shown(key)}")
        elif tag != "container" and value is not None:
            self.notes.typed(tag, value)
            put(element, ".".join([*self._path, key]), value, self.notes)
        self._path.append(key or "")

    def _list(self, key: str | None) -> None:
        self._element()
        if key is None:
            self.notes.note("LG143", "has an attribute without key")
        self._inner = OpenList(key or "", self.notes)

    def _keep_inner(self, inner: OpenList) -> None:
        element = self._elements()[-1]
        for name, value in inner.cells().items():
            put(element, ".".join([*self._path, name]), value, self.notes)
        self._inner = None

    def _element(self) -> dict[str, object]:
        """Return the element that is open; an attribute directly in the list opens one."""
        if not self._path:
            self._elements().append({})
        return self._elements()[-1]

    def _elements(self) -> Elements:
        return self._listed if self._in_values and self._listed is not None else self._beside
