"""Do effects run on 13,302 real incidents, and in time?"""

from __future__ import annotations

import time

import pytest
from improvement.command_line import UCI

from csi.audit import AuditRequest, audit
from csi.effects import BREACH, SATISFACTION, TIME, Standing, effects_of, pareto_picture
from process_mining.sources import ReadOptions, find_mapping


@pytest.mark.skipif(not UCI.is_file(), reason=f"no {UCI}")
def test_thirteen_thousand_real_incidents() -> None:
    found = audit(
        AuditRequest(logs=(UCI,), read=ReadOptions(mapping=find_mapping("uci_servicenow")))
    )
    started = time.process_time()
    told = effects_of(found)
    assert time.process_time() - started < 20  # of the processor; measured: 4
    assert told.clusters == "days of opening"  # seven weeks
    # whoever passes a ticket round and round breaks the promise more often: alike or matched
    frame = told.effects.set_index(["outcome", "code"]).to_dict("index")
    one = frame[BREACH, "INC004"]
    assert one["low"] > 5
    assert one["matched_value"] > 5
    assert one["n"] + one["n_others"] > 12_000
    assert frame[TIME, "INC007"]["standing"] == Standing.BY_DEFINITION
    # what has no score, or hardly a ticket, is no figure
    assert told.effects.loc[told.effects["outcome"] == SATISFACTION, "value"].isna().all()
    assert pareto_picture(told.pareto).svg.startswith("<svg")
