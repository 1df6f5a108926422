"""How is a page made? Jinja2 with autoescaping over plain values; no computation in templates.

The page is one file: its style is inside, a Content-Security-Policy forbids scripts and loads, and
only drawings that our own code made are put in unescaped (as Markup).
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


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
