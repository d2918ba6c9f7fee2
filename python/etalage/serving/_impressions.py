# SPDX-License-Identifier: Apache-2.0
"""What an engine has shown, as a frame, and what another policy would have earned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import _core
from .._frames import packed

_OPTIONS = ("policy", "epsilon", "temperature", "gamma", "slots", "max_share", "pool", "seed")
_COLUMNS = ("request", "time", "user", "placement", "snapshot", "policy", "position", "item", "source", "score", "propensity", "explored", "attributed")
_MARGINAL = ("marginal", "marginal_error")


def exploration(how):
    """Options of exploration as the compiled part reads them; None for none."""
    if how is None:
        return None
    if isinstance(how, str):
        how = {"policy": how}
    if not isinstance(how, Mapping):
        raise TypeError(f"exploration is {how!r}, must be a policy's name, a mapping of {', '.join(_OPTIONS)}, or None")
    unknown = set(how) - set(_OPTIONS)
    if unknown:
        raise ValueError(f"exploration has {sorted(map(str, unknown))[0]!r}, must have {', '.join(_OPTIONS)}")
    return dict(how)


class Impressions:
    """What logged answers showed and what it caused, one row a place; a frame for whoever reads Arrow (pyarrow.table(x), polars.DataFrame(x),
    DuckDB), and of columns by name, x["propensity"].

    request, time  number and moment of the answer            user, placement  whom and where; None for nobody known
    snapshot       number of the publication that answered    policy           of exploration, "greedy" without any
    position       from 1                                     item, source, score
    propensity     float64, probability of this product at this position given the positions above it; 1 where nothing was drawn
    explored       whether it was drawn                       attributed       how events were tied: "request", "window", "both" or ""
    marginal, marginal_error   with impressions(marginals=draws): see there
    and a column of int32 counts for each type of event, called as the type ("event_" before it where that is one of the above).
    A purchase that was returned is counted no more; the return is, as its own type.
    """

    def __init__(self, columns):
        events = columns.pop("events")
        self.columns = {name: np.asarray(columns[name]) for name in (*_COLUMNS, *(c for c in _MARGINAL if c in columns))}
        for name in ("placement", "policy", "source", "attributed"):
            self.columns[name] = np.asarray(columns[name], dtype=object)
        self.columns["time"] = self.columns["time"].view("datetime64[ms]")
        self.columns["explored"] = self.columns["explored"].astype(bool)
        for name, counts in events.items():
            self.columns[name if name not in _COLUMNS + _MARGINAL else f"event_{name}"] = np.asarray(counts)

    def __len__(self):
        return len(self.columns["request"])

    def __getitem__(self, name):
        return self.columns[name]

    def __arrow_c_stream__(self, requested_schema=None):
        return _core.arrow_stream(list(self.columns), packed({n: v.astype(np.uint8) if v.dtype == bool else v for n, v in self.columns.items()}))

    def to_arrow(self):
        """A pyarrow.Table."""
        import pyarrow

        return pyarrow.table(self)

    def to_pandas(self):
        """A pandas.DataFrame; times are datetime64[ms], UTC without a zone."""
        import pandas

        return pandas.DataFrame(self.columns)

    def to_polars(self):
        """A polars.DataFrame."""
        import polars

        return polars.DataFrame(self)

    def __repr__(self):
        return f"Impressions({len(np.unique(self.columns['request']))} answers, {len(self)} places)"


# Why an answer on record is left out of what_if, in words.
_LEFT_OUT = {
    "not_drawn": "of which no place was drawn: they say nothing of others; log answers under explore()",
    "without_question": "whose record does not say what was asked for (impression_requests=False, more than 64 KiB, or written before it was kept)",
    "before_training": "from before the snapshot was trained, whose outcome its models may know; train it on what came before, or wait for newer ones",
    "shopper_changed": "of shoppers whose events of then cannot be told any more (history_limit, late or merged events, a limit that removed them)",
}


def what_if(core, policy, placement, reward, types, form, estimators, explore, options):
    from ..evaluation import off_policy

    snapshot = policy if isinstance(policy, _core.Snapshot) else None
    if snapshot is None and not isinstance(policy, (str, Mapping)):
        raise TypeError(f"policy_or_snapshot is {policy!r}, must be the exploration of another policy, as explore() takes it, or a Snapshot")
    how = None if snapshot is not None else exploration(policy)
    if explore is not None and snapshot is None:
        raise ValueError("exploration is given, must come with a snapshot; a policy is one itself")
    worth = dict.fromkeys([reward] if isinstance(reward, str) else reward or (), 1.0) if not isinstance(reward, Mapping) else dict(reward)
    unknown = [name for name in worth if name not in types]
    if unknown:
        raise ValueError(f"reward names {unknown[0]!r}, must be of the engine's event types {', '.join(types)}")
    logged = _core.engine_what_if(core, how, snapshot, exploration(explore), placement, {name: float(v) for name, v in worth.items()}, form == "independent")
    left_out = {reason: logged[reason] for reason in _LEFT_OUT if logged[reason]}
    if len(logged["rewards"]) == 0:
        raise ValueError("no answer on record can be asked" + (f" for placement {placement!r}" if placement else "") +
                         (": " + "; ".join(f"{n} {_LEFT_OUT[reason]}" for reason, n in left_out.items()) if left_out else ": nothing was logged"))
    worth = logged["worth"]
    low = min(0.0, sum(min(v, 0.0) for v in worth.values()))
    high = max(1.0, sum(max(v, 0.0) for v in worth.values()))
    result = off_policy.estimate(logged["rewards"], logged["propensities"], logged["target"], estimators, form=form, groups=logged["shopper"],
                                 reward_range=(low, high), **options)
    result.left_out = left_out
    return result
