# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
import re

_UNITS = {"s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60, "h": 3600,
          "hour": 3600, "hours": 3600}


def limits(budget) -> tuple[int | None, float | None]:
    """(trials, seconds) of a budget: 30 is trials; "90 s", "5 min", "1 h" or a timedelta is time."""
    if isinstance(budget, bool):
        raise TypeError(f"budget is {budget!r}, must be a number of trials, a time such as '5 min' or a timedelta")
    if isinstance(budget, int):
        if budget < 1:
            raise ValueError(f"budget is {budget}, must be at least 1 trial")
        return budget, None
    if isinstance(budget, dt.timedelta):
        seconds = budget.total_seconds()
    elif isinstance(budget, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([a-z]+)\s*", budget)
        if not found or found[2] not in _UNITS:
            raise ValueError(f"budget is {budget!r}, must be like '90 s', '5 min' or '1 h'")
        seconds = float(found[1]) * _UNITS[found[2]]
    else:
        raise TypeError(f"budget is {budget!r} ({type(budget).__name__}), must be a number of trials, a time such as '5 min' or a "
                        "timedelta")
    if seconds <= 0:
        raise ValueError(f"budget is {budget!r}, must be more than no time")
    return None, seconds
