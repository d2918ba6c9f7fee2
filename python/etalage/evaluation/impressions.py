# SPDX-License-Identifier: Apache-2.0
"""What was shown, what it caused, and what another policy would have caused: frames of impressions, a shop's own or another system's.

The rules of credit, and what they can mislead into, are in docs/loop.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _core
from .._arrays import reals
from . import off_policy
from ._impression_frames import COLUMNS, NO_TIME, Impressions, as_impressions, from_frame, read
from ._impression_rates import Counters, Rate, counters, wilson_interval
from ._ubi import UbiLog, from_ubi

__all__ = ["COLUMNS", "OUTCOMES", "Attribution", "Counters", "Impressions", "Rate", "UbiLog", "attribute", "counters", "estimate", "from_frame",
           "from_ubi", "wilson_interval"]

OUTCOMES: tuple[str, ...] = _core.CREDIT_OUTCOMES
_DAY = 86_400_000


@dataclass(frozen=True)
class Attribution:
    """What attribute() found.

    impressions     with reward and outcomes {event type: how often, after returns}
    row             int64 [events], the impression that an event was credited to, or whose credit a return took; -1 none
    outcome         [events] of strings, of OUTCOMES; "" for events of types that were not asked for
    counts          {event type: {outcome: events}}
    mature          bool [impressions], False where the longest window had not passed when the last event happened: what these will earn is
                    not all known. All True without times or windows
    """

    impressions: Impressions
    row: np.ndarray
    outcome: np.ndarray
    counts: dict[str, dict[str, int]]
    mature: np.ndarray

    def __str__(self) -> str:
        used = [o for o in OUTCOMES if any(o in c for c in self.counts.values())]
        width = max([len(t) for t in self.counts] + [5])
        lines = [f"{'event':<{width}} " + " ".join(f"{o:>{max(len(o), 7)}}" for o in used)]
        lines += [f"{name:<{width}} " + " ".join(f"{c.get(o, 0):>{max(len(o), 7)}}" for o in used) for name, c in self.counts.items()]
        return "\n".join(lines)


def attribute(shown: Any, events: Any, rewards: Mapping[str, Any], *, window_days: Any = 7.0, returns: Mapping[str, str] | None = None,
              user: str | None = None, item: str | None = None, event: str | None = None, time: str | None = None, value: str | None = None,
              request: str | None = None, time_unit: str | None = None) -> Attribution:
    """Credits events to what was shown. One event has one impression at most, so credits add up to no more than what happened.

    shown           Impressions, or a frame of them with columns named as in COLUMNS
    events          a frame or EventLog with item and event, and user, time, value, request as far as there are; their columns are those of
                    the same names unless named here; time_unit: 's', 'ms', 'us' or 'ns', of times that are numbers
    rewards         {event type: reward}: a number counts once an impression, however often it was clicked; "value" is the sum of the
                    events' values. Types that are not named are left alone
    window_days     of events that name no request: the latest impression of shopper and product at or before the event and at most
                    so long before it. A number, {event type: days}, or None for no such credit
    returns         {event type: type whose credit it takes back}: the newest purchases of the shopper and product before it (those of the
                    request, where the return names one) lose as much as its value says, or one of them whole where values are missing

    An event that names a request has that request's impression of its product, however old it is, or none: an unknown request, a product
    that it did not show, an event before it are counted (`counts`), not guessed at. The same event twice (shopper, product, type, time,
    request, value) is one. ValueError: no event of the types, values below 0 of what is no return, a credited value that is missing, times
    on one side only.
    """
    where = as_impressions(shown)
    if not isinstance(rewards, Mapping) or not rewards:
        raise ValueError(f"rewards is {rewards!r}, must be a mapping of event type to reward, with at least one")
    back = dict(returns or {})
    weights = {name: _weight(name, reward) for name, reward in rewards.items()}
    for name, of in back.items():
        if name in weights or of not in weights:
            raise ValueError(f"returns has {name!r}: {of!r}, must name a type of its own, and one of the rewards {list(weights)!r}")
    types = [*weights, *back]
    clash = [name for name in types if name in COLUMNS]
    if clash:
        raise ValueError(f"rewards or returns has {clash[0]!r}, which is a column of impressions; rename that event type")
    found = read(events, {"user": user, "item": item, "event": event, "time": time, "value": value, "request": request}, time_unit)
    for name in ("item", "event"):
        if found.get(name) is None:
            raise ValueError(f"events have no column {name!r}, must have one; name it: {name}=...")
    if any(w is None for w in weights.values()) and found["value"] is None:
        raise ValueError("rewards asks for values, events have no column 'value'; name it: value=...")
    codes, ids = found["event"]
    names = np.asarray(ids.keys, dtype=object)
    lookup = np.array([types.index(n) if n in types else -1 for n in names.tolist()] + [-1])
    kinds = lookup[codes]
    rows = np.flatnonzero(kinds >= 0)
    if len(codes) and not len(rows):
        raise ValueError(f"events have none of {types!r}, must have one of them; they have {sorted(map(str, names))[:10]!r}")
    user_codes = _joined(where, found["user"], "user")
    request_codes = _joined(where, found["request"], "request")
    shown_times, times = where.times_ms(), found["time"]
    if window_days is None and (shown_times is None or times is None):
        shown_times = times = None
    values = found["value"]
    if values is not None:
        wrong = rows[(values[rows] < 0) & (kinds[rows] < len(weights))]
        if len(wrong):
            raise ValueError(f"row {wrong[0]}: value is {values[wrong[0]]:g}, must be at least 0 (what takes back is an event of a type of "
                             "its own: returns)")
        values = values[rows]
    windows = _windows(window_days, weights)

    def taken(column: np.ndarray | None) -> np.ndarray | None:
        return None if column is None else np.ascontiguousarray(column[rows])

    at, outcome, left, counts = _core.attribute_events(
        where.codes("request"), where.codes("user"), where.codes("item"), shown_times, taken(request_codes), taken(user_codes),
        taken(_joined(where, found["item"], "item")), kinds[rows].astype(np.int32), taken(times), values,
        windows + [-1] * len(back), [-1] * len(weights) + [list(weights).index(of) for of in back.values()])
    reward, outcomes = np.zeros(len(where)), {}
    credited = counts.astype(bool)
    for number, (name, weight) in enumerate(weights.items()):
        mine = credited & (kinds[rows] == number)
        outcomes[name] = np.bincount(at[mine], minlength=len(where)).astype(np.int32)
        if weight is not None:
            reward += weight * (outcomes[name] > 0)
            continue
        gap = np.flatnonzero(mine & np.isnan(left))
        if len(gap):
            raise ValueError(f"row {rows[gap[0]]}: value is missing, must be there for the {name} that was credited, as rewards asks for values")
        reward += np.bincount(at[mine], weights=left[mine], minlength=len(where))
    said = np.full(len(codes), "", dtype=object)
    said[rows] = np.array(OUTCOMES, dtype=object)[outcome]
    row = np.full(len(codes), -1)
    row[rows] = at
    tally = {name: {OUTCOMES[o]: int(c) for o, c in enumerate(np.bincount(outcome[kinds[rows] == k], minlength=len(OUTCOMES))) if c}
             for k, name in enumerate(types)}
    return Attribution(where._with(reward, outcomes), row, said, tally, _mature(len(where), shown_times, times, windows))


def estimate(shown: Any, target_probabilities: Any, estimators: Sequence[str] | None = None, *, form: str = "reward_interaction",
             places: int | None = None, reward_model: tuple[Any, Any] | None = None, **options: Any) -> off_policy.OffPolicyResult:
    """What another policy would have earned a request: off_policy.estimate on impressions with reward and propensity.

    target_probabilities    float64 [n], the probability with which the other policy shows the row's product at its place, given the
                            products above it; or a callable that gives them for Impressions
    form, places            a request is a list, its products in order of position, the first `places` of them; shorter ones are padded.
                            The default "reward_interaction" takes propensities given the places above, as logs of an engine hold them;
                            "independent" takes the marginal ones of each place
    reward_model            (q_logged [n], q_target [n]), as for off_policy.estimate; the estimators and options are those of it, groups
                            being the shoppers where they are known
    ValueError: no rewards or propensities, or missing ones (take shown[~np.isnan(shown.propensity)], whole requests of it); a request with
    two products at one place. TooFewError as off_policy.estimate.
    """
    where = as_impressions(shown)
    n = len(where)
    if n == 0:
        raise ValueError("there are no impressions, must be at least one")
    if "groups" in options:
        raise TypeError("groups are the impressions' shoppers; for others call off_policy.estimate")
    for name in ("reward", "propensity"):
        column = getattr(where, name)
        if column is None:
            remedy = "attribute() makes rewards of events" if name == "reward" else "a log without propensities says nothing of other policies"
            raise ValueError(f"the impressions have no column {name!r}: {remedy}")
        gaps = np.flatnonzero(np.isnan(column))
        if len(gaps):
            raise ValueError(f"row {gaps[0]}: {name} is missing ({len(gaps)} rows), must be there; leave such requests out")
    target = _of_rows(target_probabilities(where) if callable(target_probabilities) else target_probabilities, n, "target_probabilities")
    model = None
    if reward_model is not None:
        if not isinstance(reward_model, (tuple, list)) or len(reward_model) != 2:
            raise ValueError("reward_model is not a pair, must be (q_logged, q_target)")
        model = [None if q is None else _of_rows(q, n, f"reward_model[{at}]") for at, q in enumerate(reward_model)]
    order, lists, place = _lists(where)
    width = int(place.max()) + 1
    if places is not None:
        if isinstance(places, bool) or not isinstance(places, (int, np.integer)) or places < 1:
            raise ValueError(f"places is {places!r}, must be a whole number, at least 1")
        width = min(width, int(places))
    kept = place < width
    order, lists, place = order[kept], lists[kept], place[kept]
    num_lists = int(lists[-1]) + 1

    def padded(column: np.ndarray, filler: float) -> np.ndarray:
        out = np.full((num_lists, width), filler)
        out[lists, place] = column[order]
        return out[:, 0] if width == 1 else out

    codes = where.codes("user")
    groups = None
    if codes is not None:
        groups = np.zeros(num_lists, dtype=np.int64)
        groups[lists[::-1]] = codes[order[::-1]]  # the first row's
        groups = np.where(groups >= 0, groups, len(where.ids("user")) + np.arange(num_lists))  # unknown: a shopper of its own
    if model is not None:
        model = [None if q is None else padded(q, 0.0) for q in model]
    return off_policy.estimate(padded(where.reward, 0.0), padded(where.propensity, 1.0), padded(target, 1.0), estimators,
                               None if model is None else (model[0], model[1]), form=form if width > 1 else "independent", groups=groups, **options)


def _weight(name: Any, reward: Any) -> float | None:
    """None for "value"."""
    if not isinstance(name, str):
        raise TypeError(f"rewards names {name!r}, must be names of event types")
    if isinstance(reward, str):
        if reward != "value":
            raise ValueError(f"reward of {name!r} is {reward!r}, must be a number or 'value'")
        return None
    if isinstance(reward, (bool, np.bool_)) or not isinstance(reward, (int, float, np.integer, np.floating)) or not np.isfinite(reward):
        raise ValueError(f"reward of {name!r} is {reward!r}, must be a finite number or 'value'")
    return float(reward)


def _windows(window_days: Any, weights: Mapping[str, Any]) -> list[int]:
    """Milliseconds of each type, -1 for none."""
    if isinstance(window_days, Mapping):
        lacking = [name for name in weights if name not in window_days]
        if lacking:
            raise ValueError(f"window_days has no {lacking[0]!r}, must have every type of rewards")
        days = [window_days[name] for name in weights]
    else:
        days = [window_days] * len(weights)
    out = []
    for d in days:
        if d is not None and (isinstance(d, (bool, np.bool_, str)) or not isinstance(d, (int, float, np.integer, np.floating)) or not 0 < d <= 36525):
            raise ValueError(f"window_days is {d!r}, must be in (0, 36525] days, or None")
        out.append(-1 if d is None else int(d * _DAY))
    return out


def _joined(where: Impressions, column: Any, name: str) -> np.ndarray | None:
    """Numbers of an event column's keys among the impressions'; numbers beyond them for others, which returns and repeats tell
    apart all the same; -1 for missing ones."""
    if column is None:
        return None
    codes, ids = column
    known, found = 0, np.full(len(ids), -1, dtype=np.int64)
    if where.codes(name) is not None:
        known = len(where.ids(name))
        try:
            found = where.ids(name).find(ids.keys).astype(np.int64)
        except ValueError as error:
            raise ValueError(f"events' column {name!r} is not of the kind of the impressions': {error}") from None
    found = np.where(found < 0, known + np.arange(len(ids)), found)
    return np.append(found, -1)[codes].astype(np.int32)


def _mature(n: int, shown_times: np.ndarray | None, times: np.ndarray | None, windows: list[int]) -> np.ndarray:
    if shown_times is None or times is None or max(windows) < 0 or not (times != NO_TIME).any():
        return np.ones(n, dtype=bool)
    return (shown_times == NO_TIME) | (shown_times <= times.max() - max(windows))


def _of_rows(values: Any, n: int, name: str) -> np.ndarray:
    array = reals(values, name)
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, must be ({n},), one for each impression")
    return array


def _lists(where: Impressions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows in order of request and place, number of each one's list, its place)."""
    n = len(where)
    codes = where.codes("request")
    requests = np.arange(n) if codes is None else np.where(codes >= 0, codes.astype(np.int64), 2**32 + np.arange(n))
    position = where.position
    order = np.lexsort((np.arange(n) if position is None else position, requests))
    ordered = requests[order]
    first = np.append(True, ordered[1:] != ordered[:-1])
    if position is not None:
        p = position[order]
        wrong = np.flatnonzero(~first[1:] & ((p[1:] == p[:-1]) | (p[:-1] < 0)))
        if len(wrong):
            row = order[wrong[0] + 1]
            raise ValueError(f"row {row}: its request has two products at position {p[wrong[0] + 1]}, must have one at each place"
                             if p[wrong[0]] >= 0 else f"row {order[wrong[0]]}: position is missing, must be there in a request of several products")
    starts = np.flatnonzero(first)
    lists = np.cumsum(first) - 1
    return order, lists, np.arange(n) - starts[lists]
