"""What does `trueloop feedback` leave behind? Four files: FILES.

They depend on the content of the files and of the log alone. No file names a respondent, and none
holds a customer's words but with leave (`show_comments`), and then without addresses.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from csi.feedback.closing import closing_row, closing_table
from csi.feedback.figures import SHARE
from csi.feedback.scales import SCALES
from csi.feedback.screening import screened_table
from csi.feedback.tickets import SEGMENTS
from csi.outputs import whole_set, write_json, write_parquet, write_text
from csi.report.feedback_page import feedback_page
from csi.report.feedback_words import loop_words, score_words
from csi.report.words import percent, plural

if TYPE_CHECKING:
    from pathlib import Path

    from csi.feedback.responses import Reading
    from csi.feedback.study import Study

FILES: Final = ("feedback.json", "responses.parquet", "loops.parquet", "feedback.html")


def summary_of(found: Study) -> dict[str, Any]:
    """Return what feedback.json holds, and what the page shows."""
    log, screening = found.log, found.screening
    met = {figure.scale for figure in found.figures}
    return {
        "log": None
        if log is None
        else {
            "sha256": log.meta.sha256,
            "source": log.meta.source,
            "cases": log.n_cases,
            "files": [asdict(file) for file in log.meta.files],
        },
        "channels": [_channel(one) for one in found.readings],
        "scales": {name: asdict(scale) for name, scale in SCALES.items() if name in met},
        "responses": len(screening.rows),
        "excluded": screening.counts,
        "unmatched": {"by_prefix": screening.unmatched_by, "near_misses": screening.hints},
        "unsure": screening.unsure,
        "answer_within_us": found.request.answer_within_us,
        "population": None if found.population is None else len(found.population.segments),
        "rates": [asdict(rate) for rate in found.rates],
        "figures": [asdict(figure) for figure in found.figures],
        "loops": None if found.closing is None else closing_row(found.closing),
        "comments": asdict(found.comments),
        "comments_shown": found.request.show_comments,
        "rejects": [row for one in found.readings for row in one.rejects.to_pylist()],
        "notes": list(found.notes),
        "exit_code": 0,
    }


def _channel(one: Reading) -> dict[str, Any]:
    return {
        "channel": one.channel,
        "rows_in": one.rows_in,
        "refused": one.rejects.num_rows,
        "files": [asdict(file) for file in one.files],
        "notes": list(one.notes),
    }


def responses_of(found: Study) -> pa.Table:
    """Return one row a response: what became of it, with the segments of its ticket."""
    table = screened_table(found.screening, texts=found.request.show_comments)
    if found.tickets is None:
        return table
    known = found.tickets.by_id
    tickets = [one.response.ticket for one in found.screening.rows]
    for by in SEGMENTS:
        values = [known[t].segments[by] if t in known else None for t in tickets]
        table = table.append_column(by, pa.array(values, pa.string()))
    return table


def write_feedback(found: Study, summary: dict[str, Any], out: Path) -> None:
    """Write every file: all of them, or, where one cannot be written, none."""
    with whole_set(out, FILES) as aside:
        write_json(aside / "feedback.json", summary)
        write_parquet(aside / "responses.parquet", responses_of(found))
        write_parquet(aside / "loops.parquet", closing_table(found.closing))
        write_text(aside / "feedback.html", feedback_page(summary))


def feedback_lines(summary: dict[str, Any], out: Path) -> list[str]:
    """Say on one screen who answered, how high the scores are and what they leave open."""
    rate = summary["rates"][0]
    asked = "not known" if rate["asked"] is None else f"{rate['asked']:,}"
    share = "" if rate["rate"]["value"] is None else f" ({percent(rate['rate']['value'])})"
    lines = [f"Asked: {asked}; answered: {rate['answered']:,}{share}."]
    left = [f"{n:,} {reason}" for reason, n in summary["excluded"].items() if n]
    lines += [f"Left out: {', '.join(left)}."] * bool(left)
    if summary["rejects"]:
        row = summary["rejects"][0]
        first = f"{row['file']} {row['place']}: {row['code']} {row['reason']}"
        lines.append(f"Refused: {plural(len(summary['rejects']), 'row')}, the first {first}.")
    lines.append("")
    for figure in summary["figures"]:
        if figure["by"] is None:
            name = f"{figure['measure']} {figure['what']}" if figure["what"] != SHARE else "CSAT"
            lines.append(f"{name} ({figure['scale']}): {score_words(figure)}")
    if summary["loops"] is not None:
        lines += ["", loop_words(summary["loops"]["figures"][0])]
    return [*lines, "", f"Look at {out / 'feedback.html'}"]
