# SPDX-License-Identifier: Apache-2.0
"""Seconds at a recall, from points (recall, seconds) of several efforts."""

from __future__ import annotations

import math


def front_of(points):
    """Of each recall the fastest point that reaches it, by rising recall."""
    front = []
    for point in reversed(sorted(points)):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    front.reverse()
    return front


def seconds_at(points, target):
    """Interpolated (log seconds over recall); None when the recall is not reached."""
    front = front_of(points)
    above = [p for p in front if p[0] >= target]
    below = [p for p in front if p[0] < target]
    if not above:
        return None
    if not below:
        return above[0][1]
    (r0, s0), (r1, s1) = below[-1], above[0]
    share = (target - r0) / (r1 - r0)
    return math.exp(math.log(s0) * (1 - share) + math.log(s1) * share)
