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


def alternate(ours, theirs, width: float = 0.05, at_least: int = 5, at_most: int = 25, fields=("seconds",), long: float = 60) -> dict:
    """ours() and theirs() return {"seconds": ...} or {"error": ...}. Ratio = theirs / ours: above 1 we are faster.

    Stops when the 95 % interval of the median ratio is within `width` of it on both sides, or after at_most rounds. Further
    fields are compared from the same rounds. The first pair warms both and is not counted, unless it took `long` seconds.
    """
    first = ours(), theirs()
    for side, result in zip(("etalage", "peer"), first):
        if "error" in result:
            return {"error": f"{side}: {result['error'].strip().splitlines()[-1]}"}
    pairs = [first] if sum(r["seconds"] for r in first) >= long else []
    if pairs:
        at_least = 2
    while len(pairs) < at_most:
        if len(pairs) >= at_least:
            median, low, high = median_interval([b["seconds"] / a["seconds"] for a, b in pairs])
            if high <= median * (1 + width) and low >= median * (1 - width):
                break
        # The order alternates as well, so that neither side always runs in the other's wake.
        pairs.append((ours(), theirs()) if len(pairs) % 2 == 0 else tuple(reversed((theirs(), ours()))))
    found = {}
    for field in fields:
        median, low, high = median_interval([b[field] / a[field] for a, b in pairs])
        found[field] = {"ratio": median, "low": low, "high": high, "ours": min(a[field] for a, _ in pairs), "theirs": min(b[field] for _, b in pairs)}
    return {k: found["seconds"][k] for k in ("ratio", "low", "high")} | {
        "rounds": len(pairs), "fields": found, "ours": min((a for a, _ in pairs), key=lambda r: r["seconds"]), "theirs": min((b for _, b in pairs), key=lambda r: r["seconds"])}
