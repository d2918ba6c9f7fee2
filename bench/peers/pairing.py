# SPDX-License-Identifier: Apache-2.0
"""Paired measurement: the two sides alternate until the ratio's interval is narrow, since machines drift."""

from __future__ import annotations

import random
import statistics


def median_interval(values: list[float], draws: int = 2000, seed: int = 1) -> tuple[float, float, float]:
    """Median with its 95 % bootstrap interval."""
    rng = random.Random(seed)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(draws))
    return statistics.median(values), medians[int(0.025 * draws)], medians[int(0.975 * draws) - 1]


def alternate(ours, theirs, width: float = 0.05, at_least: int = 5, at_most: int = 25) -> dict:
    """ours() and theirs() return {"seconds": ...} or {"error": ...}. Ratio = theirs / ours: above 1 we are faster.

    Stops when the 95 % interval of the median ratio is within `width` of it on both sides, or after at_most rounds.
    """
    first = ours(), theirs()  # warm both; not counted
    for side, result in zip(("etalage", "peer"), first):
        if "error" in result:
            return {"error": f"{side}: {result['error'].strip().splitlines()[-1]}"}
    ratios, mine, other = [], [], []
    while len(ratios) < at_most:
        # The order alternates as well, so that neither side always runs in the other's wake.
        pair = (ours(), theirs()) if len(ratios) % 2 == 0 else tuple(reversed((theirs(), ours())))
        mine.append(pair[0])
        other.append(pair[1])
        ratios.append(pair[1]["seconds"] / pair[0]["seconds"])
        if len(ratios) >= at_least:
            median, low, high = median_interval(ratios)
            if high <= median * (1 + width) and low >= median * (1 - width):
                break
    median, low, high = median_interval(ratios)
    return {"ratio": median, "low": low, "high": high, "rounds": len(ratios),
            "ours": min(mine, key=lambda r: r["seconds"]), "theirs": min(other, key=lambda r: r["seconds"])}
