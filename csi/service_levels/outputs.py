"""What does `trueloop sla` leave behind? The files that scripts, managers and customers read.

    summary.json                    every figure; `csi.service_levels.summary` explains its keys
    clocks, pauses                  one row a clock, and a pause (`rules.service_level`)
    attainment                      by target, and by each dimension: `by` says by which
    breaches (.csv too)             the broken promises, and where the time of each went
    at_risk                         the clocks that run, and how likely each is to be too late
    reconciliation                  differences to the tool's own rows; empty where none is declared
    what_if                         the tickets whose standing would change; empty without a file
    sla.html                        the page of the service-level manager
    customer/<service>.html         one printable report a service, for its customers
    provenance.json                 the files read, and the SHA-256 of every file written

Tables are Parquet. All of it depends on the content of the log alone: not on the order of its rows,
nor on the day. Customers' reports of an earlier run that this one does not write are deleted.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import Counter
from dataclasses import asdict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from csi.manifest import sha256_of
from csi.outputs import read_json, whole_set, write_csv, write_json, write_parquet, write_text
from csi.report.customer_page import customer_page
from csi.report.sla_page import sla_page
from csi.service_levels.attained import DIMENSIONS
from csi.service_levels.reconciliation import DIFFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from csi.service_levels.run import LevelReport

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SUMMARY, PAGE, PROVENANCE = "summary.json", "sla.html", "provenance.json"
TABLES: Final = (
    *("clocks.parquet", "pauses.parquet", "attainment.parquet", "breaches.parquet"),
    *("at_risk.parquet", "reconciliation.parquet", "what_if.parquet"),
)
FILES: Final = (SUMMARY, PAGE, *TABLES, "breaches.csv")
CUSTOMER: Final = "customer"
UNNAMED: Final = "no service named"
MOVED: Final = pa.schema(
    [
        *((name, pa.string()) for name in ("case_id", "agreement", "party", "metric")),
        *((name, pa.string()) for name in ("before", "after")),
    ]
)
_REPORT: Final = re.compile(rf"{CUSTOMER}/[a-z0-9][a-z0-9-]{{0,120}}\.html")
_LONGEST: Final = 60
_MARK: Final = 12


def write_levels(
    report: LevelReport, summary: dict[str, Any], out: Path, report_date: dt.datetime | None
) -> None:
    """Write every file: all of them, or, where one cannot be written, none."""
    judged = EPOCH + dt.timedelta(microseconds=report.as_of_us) if report.log.timed else None
    shown = report_date or judged
    date = None if shown is None else shown.date()
    services = slugs(report.clocks["service"].unique().to_pylist())
    pages = {name: f"{CUSTOMER}/{slug}.html" for name, slug in services.items()}
    earlier = _earlier(out)
    names = [*FILES, *pages.values()]
    with whole_set(out, [*names, PROVENANCE]) as aside:
        write_json(aside / SUMMARY, summary)
        for name, table in tables_of(report).items():
            write_parquet(aside / name, table)
        write_csv(aside / "breaches.csv", report.causes.breaches)
        write_text(aside / PAGE, sla_page(report, summary, pages, date))
        for service, name in pages.items():
            write_text(aside / name, customer_page(report, service, date))
        written = {name: sha256_of(aside / name) for name in names}
        write_json(aside / PROVENANCE, {"read": _read_files(report), "written": written})
    for name in earlier - set(names):
        (out / name).unlink(missing_ok=True)


def tables_of(report: LevelReport) -> dict[str, pa.Table]:
    """Return the tables by file name."""
    found = [one.reconciliation for one in report.practices]
    differences = [one.differences for one in found if one is not None]
    moved = MOVED.empty_table() if report.what_if is None else report.what_if.cases
    return {
        "clocks.parquet": report.clocks,
        "pauses.parquet": report.pauses,
        "attainment.parquet": attainment_of(report),
        "breaches.parquet": report.causes.breaches,
        "at_risk.parquet": report.at_risk.table,
        "reconciliation.parquet": pa.concat_tables([DIFFERENCES.empty_table(), *differences]),
        "what_if.parquet": moved.select(MOVED.names).cast(MOVED),
    }


def attainment_of(report: LevelReport) -> pa.Table:
    """Put attainment by each dimension under each other; `by` names the dimensions of a row."""
    parts = []
    for by, table in report.by.items():
        wide = table.add_column(0, "by", pa.repeat(" and ".join(by), table.num_rows))
        for name in DIMENSIONS:
            if name not in by:
                wide = wide.append_column(name, pa.nulls(table.num_rows, pa.string()))
        parts.append(wide.select(["by", *DIMENSIONS, *_without(table, DIMENSIONS)]))
    return pa.concat_tables(parts).combine_chunks()


def _without(table: pa.Table, names: Sequence[str]) -> list[str]:
    return [name for name in table.column_names if name not in names]


# --- names of files


def slugs(names: Iterable[str | None]) -> dict[str | None, str]:
    """Return a name for the file of each service: letters, digits and hyphens, each its own.

    Names that would be the same get a part of their SHA-256 behind them, and so does one that is
    cut, so that the file of a service keeps its name when others come and go, but for its likes.
    """
    known = sorted(set(names), key=lambda name: (name is None, name or ""))
    plain = {name: _plain(UNNAMED if name is None else name) for name in known}
    often = Counter(plain.values())
    found = {name: slug if often[slug] == 1 else "" for name, slug in plain.items()}
    found = {name: "" if len(slug) > _LONGEST else slug for name, slug in found.items()}
    marked = {name: _marked(name, plain[name]) for name in known}
    taken = set(marked.values())
    return {
        name: slug if slug and slug not in taken else marked[name] for name, slug in found.items()
    }


def _plain(name: str) -> str:
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")


def _marked(name: str | None, plain: str) -> str:
    told = b"" if name is None else b"=" + name.encode("utf-8", "surrogatepass")
    mark = sha256(told).hexdigest()[:_MARK]
    return "-".join(part for part in (plain[:_LONGEST].strip("-"), mark) if part)


def _earlier(out: Path) -> set[str]:
    """Return the customers' reports that an earlier run says it wrote here."""
    try:
        written = read_json(out / PROVENANCE)["written"]
        return {name for name in written if _REPORT.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _read_files(report: LevelReport) -> list[dict[str, Any]]:
    """Every file that the run was given: the logs by their hash, and what it judged them by."""
    request = report.request
    named: Mapping[str, Path | None] = {
        "mapping": request.read.mapping,
        "targets": request.targets,
        "what-if": request.what_if,
        "tool rows": request.tool_rows,
    }
    files = sorted(report.log.meta.files, key=lambda file: (file.sha256, file.name))
    logs: list[dict[str, Any]] = [{"role": "log"} | asdict(file) for file in files]
    return logs + [
        {"role": role, "name": path.name, "sha256": sha256_of(path), "size": path.stat().st_size}
        for role, path in named.items()
        if path is not None
    ]
