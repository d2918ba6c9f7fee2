# SPDX-License-Identifier: Apache-2.0
"""Accuracy against fit time: one panel a data set, one dot a model, peers in grey."""

from __future__ import annotations

WIDTH, HEIGHT = 6.2, 4.6  # of a panel, inches
PLACES = ((5, 4), (5, -10), (-5, 4), (-5, -10), (5, 14), (5, -20), (-5, 14), (-5, -20), (5, 24), (-5, 24), (5, -30), (-5, -30))


def _label(ax, figure, dots) -> None:
    """Each label at the first place around its dot where it covers neither another label nor a dot."""
    renderer = figure.canvas.get_renderer()
    taken = []
    for x, y in ((s, v) for _, s, v, _ in dots):
        px, py = ax.transData.transform((x, y))
        taken.append((px - 4, py - 4, px + 4, py + 4))
    for label, x, y, mine in sorted(dots, key=lambda d: -d[2]):
        best = None
        for dx, dy in PLACES:
            text = ax.annotate(label, (x, y), xytext=(dx, dy), textcoords="offset points", fontsize=7, ha="left" if dx > 0 else "right",
                               color="#222222" if mine else "#777777")
            box = text.get_window_extent(renderer).extents
            covered = sum(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken)
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = (covered, text, box)
            else:
                text.remove()
            if covered == 0:
                break
        taken.append(tuple(best[2]))


def accuracy_against_time(results: dict, path: str, peers: dict | None = None) -> None:
    """results, peers: row name -> {"fit": seconds, "values": [...]}. Models far below the best are named in a corner."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from tasks import TASKS

    groups: dict[str, list] = {}
    for source, mine in ((results, True), (peers or {}, False)):
        for key, answer in source.items():
            task, _, label = key.partition(": ")
            value = answer["values"][-1 if len(answer["values"]) < 3 else 1]
            groups.setdefault(task, []).append((label, max(answer["fit"], 1e-3), value, mine))
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(WIDTH * columns, HEIGHT * rows))
    FigureCanvasAgg(figure)
    drawn = []
    for at, (task, dots) in enumerate(groups.items(), start=1):
        ax = figure.add_subplot(rows, columns, at)
        best = max(value for _, _, value, _ in dots)
        shown = [d for d in dots if d[2] >= 0.65 * best]
        for _, seconds, value, mine in shown:
            ax.plot(seconds, value, "o", color="#4477aa" if mine else "#999999", markersize=6)
        ax.set_xscale("log")
        ax.margins(x=0.16, y=0.1)
        ax.set_title(task, fontsize=9)
        ax.set_xlabel("fit, seconds")
        ax.set_ylabel(TASKS[task].metrics[-1 if len(TASKS[task].metrics) < 3 else 1])
        ax.spines[["top", "right"]].set_visible(False)
        below = ", ".join(f"{label} {value:.3f}" for label, _, value, _ in dots if value < 0.65 * best)
        if below:
            ax.text(0.99, 0.01, f"below: {below}", transform=ax.transAxes, fontsize=6.5, ha="right", color="#777777")
        drawn.append((ax, shown))
    figure.tight_layout()
    figure.canvas.draw()
    for ax, shown in drawn:
        _label(ax, figure, shown)
    figure.savefig(path, dpi=110)
