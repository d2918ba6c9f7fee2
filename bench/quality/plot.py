# SPDX-License-Identifier: Apache-2.0
"""Accuracy against fit time: one panel a data set, one dot a model, peers in grey."""

from __future__ import annotations


def accuracy_against_time(results: dict, path: str, peers: dict | None = None) -> None:
    from matplotlib.figure import Figure

    from tasks import TASKS

    groups: dict[str, list] = {}
    for source, mine in ((results, True), (peers or {}, False)):
        for key, answer in source.items():
            task, _, label = key.partition(": ")
            groups.setdefault(task, []).append((label, answer["fit"], answer["values"][-1 if len(answer["values"]) < 3 else 1], mine))
    columns = min(3, len(groups))
    rows = -(-len(groups) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.6 * rows), layout="constrained")
    for at, (task, dots) in enumerate(groups.items(), start=1):
        ax = figure.add_subplot(rows, columns, at)
        for label, seconds, value, mine in dots:
            ax.plot(max(seconds, 1e-3), value, "o", color="#4477aa" if mine else "#999999", markersize=6)
            ax.annotate(label, (max(seconds, 1e-3), value), xytext=(4, 4), textcoords="offset points", fontsize=7,
                        color="#222222" if mine else "#777777")
        ax.set_xscale("log")
        ax.set_title(task, fontsize=9)
        ax.set_xlabel("fit, seconds")
        ax.set_ylabel(TASKS[task].metrics[-1 if len(TASKS[task].metrics) < 3 else 1])
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=130)
