# SPDX-License-Identifier: Apache-2.0
"""A campaign's result as one HTML file without anything from outside. Without a randomised hold-out no sentence says what it caused."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from ..evaluation._pages import intervals_picture, render, write_whole


def sentences(result):
    percent = f"{100 * result.confidence:g} %"
    out = []
    for e in (e for e in result.effects if e.offer is None):
        if not result.randomised:
            out.append(f"Those written to had {e.outcome} {_number(e.mean)} a shopper, {_number(e.mean * e.sent)} in all. What of it they would have had "
                       f"anyhow is not known: {result.why_not}.")
            continue
        low, high = e.total_interval
        if math.isnan(e.total):
            out.append(f"Nothing can be said of {e.outcome}: an offer has fewer than two shoppers in a group.")
        elif low <= 0 <= high:
            out.append(f"The campaign's effect on {e.outcome} is not told apart from none: the incremental {e.outcome} of all {e.sent} written to may be anything "
                       f"from {low:+.4g} to {high:+.4g} ({percent} interval).")
        else:
            out.append(f"Incremental {e.outcome}: {e.total:+.4g} in all, {e.difference:+.4g} a shopper written to, somewhere from {low:+.4g} to {high:+.4g} in all "
                       f"({percent} interval).")
    if result.cost is not None:
        out.append(f"Sending cost {_number(result.cost)}.")
    return out


def write(result, path, plan, name, what):
    for argument, value in (("name", name), ("what", what)):
        if not isinstance(value, str):
            raise TypeError(f"{argument} is {value!r}, must be text")
    write_whole(Path(os.fspath(path)), render(
        "campaign.html", title=name, randomised=result.randomised, why_not=result.why_not, sentences=sentences(result), what=what, sent=result.sent,
        held_out=result.held_out, budget=None if plan is None else _planned(plan), outcomes=_table(result),
        picture=_picture(result) if result.randomised else None, definitions=_definitions(result)))


def _planned(plan):
    a = plan.allocation
    rows = [[f"budget {b}", _number(limit), _number(a.spent[b]), _number(plan.spent[b]), _number(a.prices[b])] for b, limit in enumerate(plan.budgets)]
    return {"table": dict(zip(("", "limit", "planned", "spent without those held out", "worth of one more"), map(list, zip(*rows)))),
            "text": f"{len(plan)} of {plan.population} shoppers were chosen, worth {_number(a.value)} by the values given; no choice within the budgets is worth "
                    f"more than {_number(a.bound)} (gap {100 * a.gap:.2g} %)."}


def _table(result):
    head = ["outcome", "offer", "written to", "mean", "held out", "their mean"]
    if result.randomised:
        head += ["difference", "interval", "in all", "interval in all"]
    rows = []
    for e in result.effects:
        row = [e.outcome, "all" if e.offer is None else str(e.offer), str(e.sent), _number(e.mean), str(e.held_out), _number(e.held_out_mean)]
        if result.randomised:
            row += [_number(e.difference), _interval(e.interval), _number(e.total), _interval(e.total_interval)]
        rows.append(row)
    return dict(zip(head, map(list, zip(*rows))))


def _definitions(result):
    out = [(n, result.definitions.get(n, "by shopper, as given; not defined further")) for n in dict.fromkeys(e.outcome for e in result.effects)]
    if result.randomised:
        out += [("Incremental", "mean of those written to less the mean of those held out, who were chosen alike and drawn by chance, times how many were "
                                "written to."),
                ("Interval", f"{100 * result.confidence:g} %, normal, variances of both groups apart, shoppers as units; for one look at the end. Among twenty "
                             "rows without any effect one looks decided.")]
    return out


def _picture(result):
    """Totals over all offers with intervals; None where there is nothing to draw."""
    rows = [e for e in result.effects if not math.isnan(e.difference) and e.held_out_mean]
    scale = [100 / abs(e.held_out_mean) for e in rows]
    return intervals_picture([e.outcome if e.offer is None else f"{e.outcome}, {e.offer}" for e in rows], [e.difference * s for e, s in zip(rows, scale)],
                             [tuple(x * s for x in e.interval) for e, s in zip(rows, scale)], "Difference to those held out in % of their mean, with its interval")


def _number(x):
    return "-" if not np.isfinite(x) else f"{x:,.4f}".rstrip("0").rstrip(".") if abs(x) < 10 else f"{x:,.2f}"


def _interval(interval):
    return "-" if math.isnan(interval[0]) else f"{interval[0]:+.4g} to {interval[1]:+.4g}"
