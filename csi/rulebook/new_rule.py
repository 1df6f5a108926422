"""How does somebody begin a rule of their own: `trueloop rules new`.

The file is drafted and its examples found (`rules.scaffold`), then tried in a folder of its own as
`trueloop rules test` would, and only a file that holds is written, with the JSON Schema for editors
beside it. Nothing is ever written over: RU126 for a file that is there, RU127 for a code that is
none.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from csi.outputs import to_json, write_text
from process_mining.errors import CodedError, RunError
from rules.catalogue import SCHEMA_FILE, load_catalogue, run_examples
from rules.rule_schema import rule_schema
from rules.scaffold import draft
from rules.scaffold_file import file_text
from rules.toml_file import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

CODE: Final = re.compile(r"[A-Z]{3}[0-9]{3}")
NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST_NAME: Final = 60


def new_rule(  # noqa: PLR0913 - the options of one command
    code: str,
    *,
    name: str | None,
    template: str,
    practice: str,
    out: Path,
    folders: Sequence[Path] = (),
) -> Path:
    """Write the file of a new rule into a folder, and return its path."""
    _require_form(code, name)
    known = [*folders, *([out] if out.is_dir() else [])]
    found = draft(code, template, practice, load_catalogue(known), name=name)
    path = out / f"{found.rule.code}-{found.rule.name}.toml"
    if path.exists():
        msg = f"{printable(str(path))} exists already"
        raise CodedError("RU126", msg, why="It is somebody's work", fix="Give another --name")
    text = file_text(found, SCHEMA_FILE)
    _require_true(path.name, text, code, folders)
    write_text(out / SCHEMA_FILE, to_json(rule_schema()))
    write_text(path, text)
    return path


def _require_form(code: str, name: str | None) -> None:
    if not CODE.fullmatch(code):
        msg = f"'{printable(code)}' is no code of a rule"
        raise CodedError("RU127", msg, fix="Write three capitals and three digits, like ABC001")
    if name is not None and not (NAME.fullmatch(name) and len(name) <= LONGEST_NAME):
        msg = f"'{printable(name)}' is no name of a rule"
        raise CodedError("RU127", msg, fix="Write words in small letters, like closed-unresolved")


def _require_true(file_name: str, text: str, code: str, folders: Sequence[Path]) -> None:
    """Load the file as it will be read, and run its examples; RunError CL033 where one fails."""
    with tempfile.TemporaryDirectory(prefix="trueloop-rule-") as aside:
        (Path(aside) / file_name).write_text(text, encoding="utf-8")
        results = run_examples(load_catalogue([*folders, Path(aside)]), [code])
    wrong = [one.index + 1 for one in results if not one.ok]
    if wrong:
        msg = f"examples {wrong} of the drafted rule do not come true in its file"
        raise RunError("CL033", msg, why="Found among others, they lean on them", fix="Report it")
