"""What do customers say of the desk, how far does it speak for all of them, and what came of it?

surveys      the file surveys.csv, as the audit and the KPIs read it
summary      its asks joined to tickets; satisfaction on the scale 1-5
scales       which scales there are, and which measure belongs to each: CSAT, NPS, CES
responses    the canonical response, from whatever channel it came
channels/    one file a channel: survey files, and what a ticket tool keeps with its tickets
declared     the TOML file in which a desk says what its survey files mean
tickets      what the log knows of each ticket, and who works at the desk
screening    which responses do not count, each with its reason
figures      scores with intervals, bounds for those who are silent, and weights by segment
comments     what comments speak of, by terms
loop         where each low score stands, or where its loop broke (loop_steps, loop_figures)
links        which improvement a feedback led to, and whether the customer was told
drill        from a score to its ticket; promises kept beside customers who are not content
study        the whole: `trueloop feedback`
"""

from __future__ import annotations

from csi.feedback.summary import (
    SEED,
    SMALLEST_GROUP,
    Bounds,
    JoinedFeedback,
    Satisfaction,
    join,
    summarise,
)
from csi.feedback.surveys import COLUMNS, RESPONSES, SCALE, Feedback, read_surveys

__all__ = [
    "COLUMNS",
    "RESPONSES",
    "SCALE",
    "SEED",
    "SMALLEST_GROUP",
    "Bounds",
    "Feedback",
    "JoinedFeedback",
    "Satisfaction",
    "join",
    "read_surveys",
    "summarise",
]
