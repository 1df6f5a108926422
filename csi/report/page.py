"""How is a page made? Jinja2 with autoescaping over plain values; no computation in templates.

The page is one file: its style is inside, a Content-Security-Policy forbids scripts and loads, and
only drawings that our own code made are put in unescaped (as Markup).
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from csi.report.drawings.svg import clean

LONGEST: Final = 1000


def render(template: str, *, title: str, page: object) -> str:
    """Render a template of this folder with `page`, a dataclass of text ready to be shown."""
    style = Markup(files("csi.report").joinpath("templates/style.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
    text = _environment().get_template(template)
    return text.render(title=title, page=page, style=style, version=version("trueloop"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("csi.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def cleaned(value: Any) -> Any:  # noqa: ANN401 - the words of a page are lists and dicts of text
    """Return the same with every text on one line, without characters that steer a reader.

    Drawings (Markup) are made of text that was cleaned already.
    """
    if isinstance(value, dict):
        return {key: cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner) for inner in value]
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value, LONGEST)
    return value
