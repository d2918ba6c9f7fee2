# SPDX-License-Identifier: Apache-2.0
"""Tables and pictures of evaluations."""

from __future__ import annotations

import html


def html_table(columns: dict[str, list[str]]) -> str:
    """Columns of text as an HTML table, everything escaped; the first column is the heading of its row."""
    names = list(columns)
    head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    rows = []
    for cells in zip(*columns.values()):
        first, *others = (html.escape(c) for c in cells)
        rows.append(f"<tr><th>{first}</th>" + "".join(f"<td>{c}</td>" for c in others) + "</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def plot_intervals(labels, values, intervals, xlabel: str, path=None, ax=None):
    """Dots with intervals, the first on top; saved to `path` if given. Returns the matplotlib axes."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install etalage[plot]") from None
    if ax is None:
        size = (6, 0.6 + 0.4 * len(labels))
        if path is not None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=size, layout="constrained").add_subplot()
        else:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=size, layout="constrained")
    for at, (value, (low, high)) in enumerate(zip(values, intervals)):
        ax.plot([low, high], [at, at], color="#4477aa", linewidth=2)
        ax.plot(value, at, "o", color="#4477aa")
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.set_xlabel(xlabel)
    ax.spines[["top", "right"]].set_visible(False)
    if path is not None:
        ax.figure.savefig(path, dpi=130)
    return ax
