# SPDX-License-Identifier: Apache-2.0
"""An experiment's result as one HTML file without anything from outside."""

from __future__ import annotations

import io
import math
import os
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._experiment_metrics import ExperimentResult

# Of every report, also those of campaigns.
STYLE = """body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #ccc }
th:first-child, td:first-child, td.text { text-align: left } .warning { background: #fff0d8; padding: .6em 1em }
svg { max-width: 100%; height: auto }
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
{style}</style></head><body>
<h1>{title}</h1>
{warning}<h2>What it means</h2>
<ul>{sentences}</ul>
<h2>What ran, and on whom</h2>
<p>{what}</p><p>{whom}</p>
<table><tr><th>group</th><th>shoppers</th><th>expected</th></tr>{sizes}</table>
<p>{ratio}</p>
<h2>Metrics</h2>
<table><tr><th>metric</th><th>group</th><th>mean</th><th>control</th><th>difference</th><th>interval</th><th>relative</th><th>p</th>
<th>variance kept by CUPED</th></tr>{rows}</table>
{picture}
<h2>Definitions</h2>
<ul>{definitions}</ul>
</body></html>
"""


def write(result: ExperimentResult, path: Any, what: str, whom: str) -> None:
    for name, value in (("what", what), ("whom", whom)):
        if not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, must be text")
    write_whole(Path(os.fspath(path)), _PAGE.format(style=STYLE, **_parts(result, what, whom)))


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


def _parts(r: ExperimentResult, what: str, whom: str) -> dict[str, str]:
    expected = {} if r.sample_ratio is None else r.sample_ratio["expected"]
    ratio = "The sizes of the groups were not checked: no shares were given."
    warning = ""
    if r.sample_ratio is not None:
        ratio = (f"Check of the sizes: chi-square {r.sample_ratio['statistic']:.3f}, p = {r.sample_ratio['p_value']:.4g}; below 0.001 the groups "
                 "would not be those that were drawn.")
        if not r.sample_ratio["ok"]:
            warning = '<p class="warning">The groups are not of the sizes they were given. No metric below is to be read.</p>\n'
    kind = "holds at all times at once, however often one looks" if r.sequential else "holds for one look at the end (Welch's t)"
    method = [f"Interval: {100 * r.confidence:g} %, of the difference of means a shopper; it {kind}. Each row stands for itself: among twenty "
              "rows without any effect one looks decided.",
              "Relative: the difference over the control's mean. Variance kept by CUPED: what is left after the same metric in the time "
              "before is taken out; 1 where there was none."]
    outside = f" {r.outside} shoppers were in no group and are left out." if r.outside else ""
    return {
        "title": escape(r.name),
        "warning": warning,
        "sentences": "".join(f"<li>{escape(r.sentence(row))}</li>" for row in r.rows),
        "what": escape(what) or "Not described.",
        "whom": (escape(whom) or f"{sum(r.counts.values())} shoppers in {len(r.counts)} groups, drawn at random.") + outside,
        "sizes": "".join(f"<tr><td>{escape(str(g))}{' (control)' if g == r.control else ''}</td><td>{n}</td>"
                         f"<td>{expected[g]:.1f}</td></tr>" if g in expected else f"<tr><td>{escape(str(g))}</td><td>{n}</td><td>-</td></tr>"
                         for g, n in r.counts.items()),
        "ratio": ratio,
        "rows": "".join(
            f'<tr><td>{escape(row.metric)}</td><td class="text">{escape(str(row.group))}</td>'
            + "".join(f"<td>{_number(x)}</td>" for x in (row.mean, row.control_mean, row.difference))
            + f"<td>{_interval(row.interval)}</td><td>{_interval(row.relative_interval, 100, ' %')}</td>"
            f"<td>{_number(row.p_value)}</td><td>{_number(row.variance_kept)}</td></tr>" for row in r.rows),
        "picture": _picture(r),
        "definitions": "".join(f"<li><b>{escape(m)}</b>: {escape(r.definitions.get(m, 'mean a shopper; not defined further'))}</li>"
                               for m in dict.fromkeys(row.metric for row in r.rows)) + "".join(f"<li>{escape(m)}</li>" for m in method),
    }


def _number(x: float) -> str:
    return "-" if math.isnan(x) else f"{x:.4g}"


def _interval(interval: tuple[float, float], scale: float = 1.0, unit: str = "") -> str:
    return "-" if math.isnan(interval[0]) else f"{interval[0] * scale:+.4g} to {interval[1] * scale:+.4g}{unit}"


def _picture(r: ExperimentResult) -> str:
    """Relative differences with intervals; nothing where there is nothing to draw."""
    shown = [row for row in r.rows if not math.isnan(row.relative_interval[0])]
    return intervals_svg([f"{row.metric}, {row.group}" for row in shown], [100 * row.relative for row in shown],
                         [(100 * row.relative_interval[0], 100 * row.relative_interval[1]) for row in shown],
                         f"difference to {r.control} in % of its mean, interval")


def intervals_svg(labels: list[str], values: list[float], intervals: list[tuple[float, float]], xlabel: str) -> str:
    """Dots with intervals as inline SVG; nothing where matplotlib is missing or there is nothing to draw."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        return ""
    if not labels:
        return ""
    with matplotlib.rc_context({"svg.hashsalt": "etalage", "svg.fonttype": "none"}):
        ax = Figure(figsize=(7, 0.8 + 0.4 * len(labels)), layout="constrained").add_subplot()
        for at, (value, interval) in enumerate(zip(values, intervals)):
            ax.plot(interval, [at, at], color="#4477aa", linewidth=2)
            ax.plot(value, at, "o", color="#4477aa")
        ax.axvline(0, color="#999999", linewidth=1, linestyle="--")
        ax.set_yticks(range(len(labels)), [label.replace("$", r"\$") for label in labels])
        ax.invert_yaxis()
        ax.set_xlabel(xlabel.replace("$", r"\$"))
        ax.spines[["top", "right"]].set_visible(False)
        out = io.StringIO()
        ax.figure.savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    return svg[svg.index("<svg"):]
