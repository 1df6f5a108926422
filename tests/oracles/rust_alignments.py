"""Alignment costs by r4pm: plain Dijkstra on the synchronous product in Rust, called from Python.

Works on plain nets (`oracles.nets.PlainNet`) and imports nothing of the product. Moves cost 1,
synchronous and silent ones 0. `Log` hands the variants over once, as an XES file; `align` is one
call for all of them, which gives back JSON.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import UUID
from xml.sax.saxutils import quoteattr

import r4pm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oracles.nets import PlainNet

_ALIGN = "process_mining::conformance::case_centric::alignments::align_variants"
_OPTIONS = {
    "cost_fn": {
        "model_move_cost": 1,
        "log_move_cost": 1,
        "sync_move_cost": 0,
        "silent_move_cost": 0,
    }
}


class Log:
    """Variants in r4pm's own registry."""

    def __init__(self, traces: Sequence[Sequence[str]]) -> None:
        self.traces = [tuple(trace) for trace in traces]
        with TemporaryDirectory() as folder:
            path = Path(folder) / "variants.xes"
            path.write_text(_xes(self.traces), encoding="utf-8")
            self.id = r4pm.import_item("EventLogActivityProjection", str(path))

    def close(self) -> None:
        r4pm.remove_item(self.id)

    def align(self, net: str) -> str:
        """Align all variants; the net and the result are JSON."""
        return str(
            r4pm.call_binding(
                _ALIGN, f'{{"net":{net},"projection":"{self.id}","options":{json.dumps(_OPTIONS)}}}'
            )
        )

    def costs(self, result: str) -> list[int]:
        """Read the costs off a result, in the order of the traces."""
        rows: list[dict[str, Any]] = json.loads(result)
        found = {tuple(row["activities"]): int(row["result"]["Ok"]["cost"]) for row in rows}
        return [found[trace] for trace in self.traces]


def net_json(net: PlainNet) -> str:
    """Return a net as r4pm reads it."""
    places = [str(UUID(int=1 + p)) for p in range(net.n_places)]
    names = [str(UUID(int=1_000_000 + t)) for t in range(len(net.transitions))]
    arcs = []
    for name, (_, consumed, produced) in zip(names, net.transitions, strict=True):
        arcs += [_arc("PlaceTransition", [places[p], name], consumed.count(p)) for p in {*consumed}]
        arcs += [_arc("TransitionPlace", [name, places[p]], produced.count(p)) for p in {*produced}]
    return json.dumps(
        {
            "places": {place: {"id": place} for place in places},
            "transitions": {
                name: {"id": name, "label": label}
                for name, (label, _, _) in zip(names, net.transitions, strict=True)
            },
            "arcs": arcs,
            "initial_marking": _marking(places, net.initial),
            "final_markings": [_marking(places, net.final)],
        }
    )


def _arc(kind: str, nodes: list[str], weight: int) -> dict[str, object]:
    return {"from_to": {"type": kind, "nodes": nodes}, "weight": weight}


def _marking(places: Sequence[str], marking: Sequence[int]) -> dict[str, int]:
    return {place: n for place, n in zip(places, marking, strict=True) if n}


def _xes(traces: Sequence[Sequence[str]]) -> str:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<log xes.version="1.0">']
    for number, trace in enumerate(traces):
        events = "".join(
            f'<event><string key="concept:name" value={quoteattr(word)}/></event>' for word in trace
        )
        name = f'<string key="concept:name" value="{number}"/>'
        lines.append(f"<trace>{name}{events}</trace>")
    return "\n".join([*lines, "</log>"])
