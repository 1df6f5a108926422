"""What does an XML file say, element by element, and on which line?

Parsed by defusedxml. A DOCTYPE is refused, so there are no entities, no external references and
no bombs made of them; the size is limited. Of an element's text the part before its first child
is kept: what we read stands there. Namespaces are kept apart from the names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, XMLParser

from process_mining.errors import CodedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES = 16 * 1024 * 1024


@dataclass(eq=False)
class Element:
    """One element: `namespace` and `tag` apart, its attributes, the line where it begins.

    `text` is what stands before the first child, with white space collapsed.
    """

    namespace: str
    tag: str
    attributes: Mapping[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, name: str) -> str:
        """Return an attribute with white space collapsed; empty when it is absent."""
        return " ".join(self.attributes.get(name, "").split())

    def named(self, namespace: str, tag: str) -> Iterator[Element]:
        """Yield the children of this name."""
        return (c for c in self.children if (c.namespace, c.tag) == (namespace, tag))


class _Expat(Protocol):
    CurrentLineNumber: int


class _Builder:
    """The parser's target: builds the tree, and asks the parser for lines."""

    def __init__(self) -> None:
        self.expat: _Expat | None = None
        self.root: Element | None = None
        self.open: list[Element] = []
        self.words: list[str] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        namespace, _, local = tag.rpartition("}")
        line = self.expat.CurrentLineNumber if self.expat else 0
        element = Element(namespace.removeprefix("{"), local, dict(attributes), line)
        self._keep_text()
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def data(self, words: str) -> None:
        self.words.append(words)

    def end(self, tag: str) -> None:
        del tag
        self._keep_text()
        self.open.pop()

    def _keep_text(self) -> None:
        if self.open and not self.open[-1].children:
            self.open[-1].text = " ".join("".join(self.words).split())
        self.words.clear()

    def close(self) -> Element | None:
        return self.root


def parse(data: bytes, *, place: str, max_bytes: int = MAX_BYTES) -> Element:
    """Return the root element; MO101 not well-formed, MO102 DOCTYPE, MO103 too large."""
    if len(data) > max_bytes:
        raise CodedError(
            "MO103",
            f"{place} has {len(data):,} bytes; at most {max_bytes:,} are read",
            fix="Save the process alone, without embedded pictures or documents",
        )
    builder = _Builder()
    try:
        parser = XMLParser(target=builder, forbid_dtd=True)
        builder.expat = parser.parser
        parser.feed(data)
        root: Element | None = parser.close()
    except DefusedXmlException as error:
        raise _doctype(place) from error
    except (ParseError, ValueError, LookupError) as error:
        raise _broken(place, str(error)) from error
    if root is None:
        raise _broken(place, "it holds no element")
    return root


def _doctype(place: str) -> CodedError:
    return CodedError(
        "MO102",
        f"{place} has a DOCTYPE, which is refused",
        why="It can pull in other files or swell without limit, and no such format needs one",
        fix="Save the file again from a modelling tool, or delete the DOCTYPE",
    )


def _broken(place: str, reason: str) -> CodedError:
    fix = "Save the file again as BPMN 2.0 XML"
    return CodedError("MO101", f"{place} is not well-formed XML: {reason}", fix=fix)
