"""How do results look in a notebook? Whole sentences in tables, few digits.

pandas cuts long texts at 50 characters by default; a finding that is cut says nothing.
"""

from __future__ import annotations

import pandas as pd


def for_reading() -> None:
    """Set what pandas shows, for the notebook that calls it."""
    pd.set_option("display.max_colwidth", None)
    pd.set_option("display.float_format", "{:,.3f}".format)
