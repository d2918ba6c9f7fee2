# SPDX-License-Identifier: Apache-2.0
"""What a learned ranker learns from: histories, the cut between what sources know and what was taken, impressions."""

from __future__ import annotations

import numpy as np

from .. import _core
from . import _arguments as arg


def history_lists(data):
    """data as Sequences, one list a user; a matrix has no order, its items ascend."""
    if isinstance(data, _core.EventLog):
        return data.sequences()
    if isinstance(data, _core.Sequences):
        return data
    rows = data.user_items_view if isinstance(data, _core.Interactions) else arg.rows(data, "train")
    return _core.Sequences(rows.indptr.astype(np.int64), rows.indices.astype(np.int32), None, rows.shape[1])


def split_off(train, share, positions, seed):
    """(what sources are fitted on, what is learned from, positions) of train."""
    from ..evaluation import split

    if isinstance(train, _core.EventLog):
        times = train.times
        if times is None or not len(times):
            parts = split.random_holdout(train, share, seed)
            return parts.train, parts.test, positions
        cut = int(np.quantile(times, 1 - share, method="nearest"))
        if cut <= int(times.min()):
            raise ValueError("train has no event before its newest ones, must reach over more than one moment; give valid")
        parts = split.temporal(train, cut)
        return parts.train, parts.test, positions
    if isinstance(train, _core.Sequences):
        lengths = np.diff(train.offsets)
        shorter = np.where(lengths > 1, lengths - 1, lengths)
        keep = np.arange(len(train.items)) - np.repeat(train.offsets[:-1], lengths) < np.repeat(shorter, lengths)
        offsets = np.concatenate([[0], np.cumsum(shorter)]).astype(np.int64)
        times = None if train.times is None else np.asarray(train.times)[keep]
        head = _core.Sequences(offsets, np.asarray(train.items)[keep], times, train.num_items, train.user_index, train.user_ids, train.item_ids)
        return head, train, "last"
    parts = split.random_holdout(train, share, seed)
    return parts.train, parts.test, positions


_NEEDED, _KNOWN = ("request", "user", "item", "position", "reward"), ("time", "propensity", "placement")


def _read(frame, columns, needed=_NEEDED):
    """The columns of a frame of impressions under their own names; those that are not needed may be absent."""
    for name in columns:
        if name not in _NEEDED + _KNOWN:
            raise ValueError(f"columns has {name!r}, must name some of {', '.join(_NEEDED + _KNOWN)}")
    have = set(getattr(frame, "column_names", None) or getattr(frame, "columns", None) if not isinstance(frame, dict) else frame)
    out = {}
    for name in _NEEDED + _KNOWN:
        source = columns.get(name, name)
        if source in have:
            out[name] = np.asarray(frame[source])
        elif name in columns:
            raise KeyError(f"impressions has no column {source!r} for {name}")
    if "reward" not in out and "clicked" in have:
        out["reward"] = np.asarray(frame["clicked"])
    for name in needed:
        if name not in out:
            raise KeyError(f"impressions has no column {columns.get(name, name)!r}, must have {', '.join(needed)}")
    sizes = {name: len(values) for name, values in out.items()}
    if len(set(sizes.values())) != 1:
        raise ValueError(f"impressions has columns of different lengths: {sizes}")
    return out


def _numbers(columns, name, low, high, rule, missing=False):
    try:
        values = np.asarray(columns[name], np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"column {name!r} of impressions must hold numbers") from None
    bad = ~((values >= low) & (values <= high) & np.isfinite(values)) & ~(np.isnan(values) & missing)
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(f"column {name!r} of impressions holds {values[at]} in row {at}, must be {rule}")
    return values


def shown_positions(position):
    if (position > _core.MOST_POSITIONS).any():
        raise ValueError(f"column 'position' of impressions holds {position.max():g}, must be in [1, {_core.MOST_POSITIONS}]")
    return position.astype(np.int32)


def shown_items(frame, columns):
    """(keys of items, positions int32, reactions float32), a row an impression."""
    shown = _read(frame, columns, ("item", "position", "reward"))
    return shown["item"], shown_positions(_numbers(shown, "position", 1, np.inf, ">= 1")), _numbers(shown, "reward", 0, np.inf, "finite and >= 0").astype(np.float32)


def counts_rates(model):
    """Whether a fit of it takes impressions."""
    return getattr(model, "count", None) == "rate"


def renamed(frame, columns):
    """The columns that rates are counted of, under their own names."""
    shown = _read(frame, columns or {}, ("item", "position", "reward"))
    return {name: shown[name] for name in ("item", "position", "reward")}


def item_indices(keys, ids, size):
    """Indices of keys of items, -1 where unknown."""
    return np.asarray(_indices(keys, ids, size, "item"), np.int32)


def impression_lists(train, frame, columns, ranker, rated):
    """(lists(model, exclude_seen), what sources are fitted on, impressions they count rates of): each request is a list as it was shown.

    rated: whether a source counts rates. The older half of the requests is then what it counts while the others are learned from.
    """
    max_weight = ranker.max_weight
    shown = _read(frame, columns)
    reward = _numbers(shown, "reward", 0, np.inf, "finite and >= 0")
    position = _numbers(shown, "position", 1, np.inf, ">= 1")
    propensity = _numbers(shown, "propensity", np.nextafter(0, 1), 1, "in (0, 1]") if "propensity" in shown else None
    if not (reward > 0).any():
        raise ValueError("column 'reward' of impressions holds nothing above 0, must: nothing was taken, so nothing can be learned")
    placements = np.unique(shown["placement"], return_inverse=True) if "placement" in shown else None
    times = None
    head, early, counted = train, None, None
    _, first, request = np.unique(shown["request"], return_index=True, return_inverse=True)
    if rated and "time" not in shown:
        raise KeyError("impressions has no column 'time', must where a source counts rates: it counts what is older than what is learned from")
    if "time" in shown:
        if shown["time"].dtype.kind == "M":
            times = shown["time"].astype("datetime64[ms]").astype(np.int64)
        elif shown["time"].dtype.kind in "iu":
            times = shown["time"].astype(np.int64)
        else:
            raise TypeError("column 'time' of impressions must hold datetimes or integer milliseconds UTC")
        begin = int(times.min())
        if rated:
            asked = np.full(len(first), np.iinfo(np.int64).max)
            np.minimum.at(asked, request, times)
            begin = int(np.sort(asked)[len(asked) // 2])
            early = asked < begin
            if not early.any():
                raise ValueError("impressions are all of one time, must reach over some: a source counts rates of what is older than what is learned from")
            counted = {name: shown[name][early[request]] for name in ("item", "position", "reward")}
            if not (reward[early[request]] > 0).any():
                raise ValueError("the older half of impressions has no reward above 0, must have some: a source counts rates of them")
        if isinstance(train, _core.EventLog):
            from ..evaluation import split

            head = split.temporal(train, begin).train
            if not len(head):
                raise ValueError("train has no event before the first impression, must have some: sources would know nothing")
    order = np.lexsort((position, request))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(request))]).astype(np.int64)

    def lists(model, exclude_seen):
        users, items = _indices(shown["user"], model.user_ids, model.num_users, "user"), _indices(shown["item"], model.item_ids, model.num_items, "item")
        past = train.sequences() if isinstance(train, _core.EventLog) and times is not None else None
        rows, kept, gains, queries, weights, groups = [], [0], [], [], [], []
        looks = None
        if ranker.position_bias == "weights":
            known = items >= 0
            at = shown_positions(position)
            looks = _core.looked_at(items[known].astype(np.int32), at[known], reward[known].astype(np.float32), model.num_items)
            looks = np.minimum(1.0, np.asarray(looks)[np.minimum(at, len(looks)) - 1])
        taught = np.bincount(request, (reward > 0) & (items >= 0), len(first)) > 0
        if early is not None:
            taught &= ~early
        asked_of = np.flatnonzero(taught)
        if len(asked_of) > ranker.max_lists:
            asked_of = np.sort(np.random.default_rng(ranker.seed).choice(asked_of, ranker.max_lists, replace=False))
        for r in asked_of:
            at = order[offsets[r]:offsets[r + 1]]
            at = at[items[at] >= 0]  # products that the sources did not know then
            user = int(users[at[0]])
            if (users[at] != user).any():
                raise ValueError(f"request {shown['request'][at[0]]!r} of impressions has several users, must have one")
            history = stamps = now = None
            if times is not None:
                now = int(times[at].min())
                if past is not None and user >= 0:
                    mine = slice(past.offsets[user], past.offsets[user + 1])
                    older = np.asarray(past.times[mine]) < now
                    history, stamps = np.asarray(past.items[mine])[older], np.asarray(past.times[mine])[older]
            x = model.features(user, None, items[at].astype(np.int32), exclude_seen, now, history, stamps)
            x[:, -1] = position[at] if looks is None else 1.0
            if placements is not None:
                x[:, -2] = placements[1][at]
            seen = 1.0 if propensity is None else propensity[at]
            counts = reward[at] * np.minimum(1 / (seen if looks is None else seen * looks[at]), max_weight)
            rows.append(x)
            gains.append(counts.astype(np.float32))
            weights.append(counts.sum() / (reward[at] > 0).sum())
            queries.append(r)
            groups.append(user if user >= 0 else model.num_users + r)  # nobody known: a shopper for each request
            kept.append(kept[-1] + len(at))
        if not rows:
            raise ValueError("no request of impressions has a reward for a product that train knows: nothing can be learned")
        weights = np.asarray(weights, np.float32)
        return {"rows": np.concatenate(rows), "offsets": np.asarray(kept, np.int64), "gains": np.concatenate(gains), "queries": np.asarray(queries, np.int32),
                "groups": np.asarray(groups, np.int64),
                "relevant": np.asarray([int((g > 0).sum()) for g in gains], np.int32), "asked": len(offsets) - 1 if early is None else int((~early).sum()),
                "weights": None if (weights == 1).all() else weights, "served_at": (np.nan if placements is None else 0.0, 1.0)}

    return lists, head, counted


def _indices(keys, ids, size, what):
    """Indices of keys, -1 where unknown; without id maps the keys are indices."""
    if ids is not None:
        return np.asarray(ids.find(keys))
    if keys.dtype.kind not in "iu":
        raise TypeError(f"column {what!r} of impressions must hold integer indices, as train has no keys")
    return np.where((keys >= 0) & (keys < size), keys, -1)
