"""What docs/howto-service-levels.md says can be written, and nothing that the code knows lacks."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Final, get_args

from csi.service_levels.pause_audit import CHECKS
from csi.service_levels.tool_row_file import load_declared
from rules.practice import load_practices
from rules.service_level import METRICS, STATUSES, Target, load_service_levels
from rules.service_level.targets import Agreement, ReopenPolicy

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "howto-service-levels.md").read_text(encoding="utf-8")
EXAMPLE: Final = "\n".join(re.findall(r"^```toml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
CODE: Final = r"\bSL2[0-9]{2}\b"


def test_its_blocks_are_one_targets_file(tmp_path: Path) -> None:
    path = tmp_path / "targets.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    levels = load_service_levels(path, practices=load_practices())
    assert {target.agreement for target in levels.targets} == set(get_args(Agreement))
    assert levels.customer == "company"
    assert len(levels.answered) == 1
    declared = load_declared(path, levels=levels)
    assert {bool(one.columns) for one in declared} == {False, True}


def test_it_shows_every_field() -> None:
    shown = {key for target in tomllib.loads(EXAMPLE)["target"] for key in target}
    assert shown == {one.name.removesuffix("_us") for one in fields(Target)}


def test_it_names_every_metric_status_policy_and_check() -> None:
    named = set(re.findall(r"`([a-z][a-z -]*)`", PAGE))
    assert named >= {*STATUSES, *get_args(ReopenPolicy), *CHECKS}
    rows = re.findall(r"^\| ([a-z, ]+) \|", PAGE, re.MULTILINE)
    assert {*METRICS} <= {word for row in rows for word in row.split(", ")}


def test_its_table_has_every_code() -> None:
    sources = [*ROOT.glob("rules/service_level/*.py"), *ROOT.glob("csi/service_levels/*.py")]
    raised = {c for path in sources for c in re.findall(CODE, path.read_text(encoding="utf-8"))}
    table = PAGE[PAGE.index("## Errors") :]
    assert set(re.findall(CODE, table)) == raised
