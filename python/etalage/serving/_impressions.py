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


def what_if(core, policy, placement, reward, types, form, estimators, options):
    from ..evaluation import off_policy

    if not isinstance(policy, (str, Mapping)):
        raise TypeError(f"policy is {policy!r}, must be the exploration of another policy, as explore() takes it: what another snapshot would "
                        "have shown was not drawn, so the log says nothing of it")
    how = exploration(policy)
    if reward is None:
        reward = [t for t in types if t != "return"]
    worth = dict.fromkeys([reward] if isinstance(reward, str) else reward, 1.0) if not isinstance(reward, Mapping) else dict(reward)
    unknown = [name for name in worth if name not in types]
    if unknown:
        raise ValueError(f"reward names {unknown[0]!r}, must be of the engine's event types {', '.join(types)}")
    logged = _core.engine_what_if(core, how, placement, {name: float(v) for name, v in worth.items()})
    if len(logged["rewards"]) == 0:
        raise ValueError("no answer on record was drawn" + (f" for placement {placement!r}" if placement else "") +
                         ": log answers under explore() first; a log of one list for everybody says nothing of others")
    low, high = min(0.0, *worth.values()), max(1.0, sum(max(v, 0.0) for v in worth.values()))
    return off_policy.estimate(logged["rewards"], logged["propensities"], logged["target"], estimators, form=form, groups=logged["shopper"],
                               reward_range=(low, high), **options)
