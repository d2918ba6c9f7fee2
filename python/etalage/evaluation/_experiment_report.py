# SPDX-License-Identifier: Apache-2.0
"""What an experiment's report says; how it looks is templates/experiment.html."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._pages import intervals_picture, render, write_whole

if TYPE_CHECKING:
    from ._experiment_metrics import ExperimentResult


def write(result: ExperimentResult, path: Any, what: str, whom: str) -> None:
    for name, value in (("what", what), ("whom", whom)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, must be text")
    write_whole(Path(os.fspath(path)), render("experiment.html", title=result.name, **_parts(result, what, whom)))


def _parts(r: ExperimentResult, what: str, whom: str) -> dict[str, Any]:
    expected = {} if r.sample_ratio is None else r.sample_ratio["expected"]
    sizes_hold = r.sample_ratio is None or r.sample_ratio["ok"]
    shown = [row for row in r.rows if not math.isnan(row.relative_interval[0])]
    return {
        "what": what,
        "whom": whom or f"{sum(r.counts.values())} shoppers in {len(r.counts)} groups, drawn at random.",
        "outside": r.outside,
        "sizes_hold": sizes_hold,
        "ratio": r.sample_ratio,
        "verdicts": [{"text": r.sentence(row), "decided": sizes_hold and not math.isnan(row.interval[0]) and row.decided} for row in r.rows],
        "sizes": {"group": [f"{g} (control)" if g == r.control and str(g) != "control" else str(g) for g in r.counts],
                  "shoppers": [str(n) for n in r.counts.values()],
                  "expected": [f"{expected[g]:.1f}" if g in expected else "-" for g in r.counts]},
        "metrics": {"metric": [row.metric for row in r.rows], "group": [str(row.group) for row in r.rows],
                    **{name: [_number(getattr(row, field)) for row in r.rows]
                       for name, field in (("mean", "mean"), ("control", "control_mean"), ("difference", "difference"))},
                    "interval": [_interval(row.interval) for row in r.rows],
                    "relative": [_interval(row.relative_interval, 100, " %") for row in r.rows],
                    "p": [_number(row.p_value) for row in r.rows],
                    "kept by CUPED": [_number(row.variance_kept) for row in r.rows]},
        "picture": intervals_picture([f"{row.metric}, {row.group}" for row in shown], [100 * row.relative for row in shown],
                                     [(100 * row.relative_interval[0], 100 * row.relative_interval[1]) for row in shown],
                                     f"Difference to {r.control} in % of its mean, with its interval"),
        "definitions": [(m, r.definitions.get(m, "mean a shopper; not defined further")) for m in dict.fromkeys(row.metric for row in r.rows)],
        "confidence": r.confidence,
        "sequential": r.sequential,
    }


def _number(x: float) -> str:
    return "-" if math.isnan(x) else f"{x:.4g}"


def _interval(interval: tuple[float, float], scale: float = 1.0, unit: str = "") -> str:
    return "-" if math.isnan(interval[0]) else f"{interval[0] * scale:+.3g} to {interval[1] * scale:+.3g}{unit}"
