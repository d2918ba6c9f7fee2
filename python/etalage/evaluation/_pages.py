# SPDX-License-Identifier: Apache-2.0
"""Reports as one HTML file without anything from outside, from the templates beside this file."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Any, Optional


def render(template: str, **values: Any) -> str:
    """A page. Every value is escaped where it is put in; one that the template names and nobody gave is an error."""
    try:
        import jinja2
    except ImportError:
        raise ImportError("a report needs Jinja2: pip install 'etalage[report]'") from None
    pages = jinja2.Environment(loader=jinja2.PackageLoader("etalage.evaluation", "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
                               trim_blocks=True, lstrip_blocks=True)
    pages.filters["columns_to_rows"] = lambda columns: list(zip(*columns))
    return pages.get_template(template).render(**values) + "\n"


def write_whole(path: Path, text: str) -> None:
    # Whole or not at all, as the project's other files.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


_WIDTH, _ROW = 760, 34
_DECIDED, _UNDECIDED = "#33658a", "#9aa5b1"  # whether more is good is for the shop to say


def intervals_picture(labels: list[str], values: list[float], intervals: list[tuple[float, float]], caption: str) -> Optional[dict[str, Any]]:
    """Dots with intervals, for the macro `intervals` of parts.html; None where there is nothing to draw."""
    finite = [x for value, interval in zip(values, intervals) for x in (value, *interval) if math.isfinite(x)]
    if not labels or not finite:
        return None
    left = 24 + min(340, 8 * max(len(label) for label in labels))
    low, high = min(0.0, *finite), max(0.0, *finite)
    spread = (high - low) or 1.0
    low, high = low - 0.04 * spread, high + 0.04 * spread

    def x(value: float) -> float:
        return round(left + (min(max(value, low), high) - low) / (high - low) * (_WIDTH - left - 30), 1)

    axis = 20 + _ROW * len(labels)
    rows = []
    for at, (label, value, interval) in enumerate(zip(labels, values, intervals)):
        colour = _DECIDED if interval[0] > 0 or interval[1] < 0 else _UNDECIDED
        rows.append({"label": label if len(label) <= 46 else label[:45] + "…", "y": 24 + _ROW * at, "x": x(value), "low": x(interval[0]), "high": x(interval[1]),
                     "colour": colour, "told": f"{label}: {value:+.3g}, {interval[0]:+.3g} to {interval[1]:+.3g}"})
    ticks = [{"x": x(t), "text": f"{t:g}", "zero": t == 0} for t in _ticks(low, high)]
    return {"width": _WIDTH, "height": axis + 30, "axis": axis, "left": left, "rows": rows, "ticks": ticks, "caption": caption}


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers, 0 among them."""
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(s * step for s in (1, 2, 5, 10) if (high - low) / (s * step) <= 6)
    return [round(n * step, 12) + 0.0 for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
