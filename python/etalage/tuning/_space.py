# SPDX-License-Identifier: Apache-2.0
"""What a search may vary: kinds of parameters, and the space of each model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class _Number:
    """From low to high; what Float and Int share."""

    low: float
    high: float
    log: bool = False
    _type: ClassVar[type]

    def __post_init__(self):
        _range(self)

    def distribution(self, optuna):
        """As optuna has it; optuna is the module."""
        kind = getattr(optuna.distributions, f"{type(self).__name__}Distribution")
        return kind(self.low, self.high, log=self.log)

    def clip(self, value):
        """value within the bounds."""
        return min(max(self._type(value), self.low), self.high)


class Float(_Number):
    """A number from low to high; log spreads the tries evenly over its orders of magnitude."""

    _type = float


class Int(_Number):
    """A whole number from low to high, both included."""

    _type = int


@dataclass(frozen=True)
class Choice:
    """One of some values: None, booleans, numbers or strings."""

    values: tuple

    def __init__(self, *values):
        if len(values) == 1 and isinstance(values[0], (list, tuple)):
            values = tuple(values[0])
        if not values:
            raise ValueError("Choice has no values, must have at least one")
        object.__setattr__(self, "values", tuple(values))

    def distribution(self, optuna):
        """As optuna has it; optuna is the module."""
        return optuna.distributions.CategoricalDistribution(self.values)

    def clip(self, value):
        """value as one of the values."""
        return value if value in self.values else self.values[0]


@dataclass(frozen=True)
class Tied:
    """Always equal to another parameter of the same model."""

    to: str


def _range(p):
    for name, value in (("low", p.low), ("high", p.high)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} is {value!r}, must be a finite number")
    if p.low > p.high:
        raise ValueError(f"low is {p.low} and high {p.high}, low must not be above high")
    if p.log and p.low <= 0:
        raise ValueError(f"low is {p.low}, must be > 0 with log=True")


# Ranges that held the best setting of every data set of docs/tuning.md, with room on both sides.
_SPACES: dict[str, dict[str, Any]] = {
    "ALS": {
        "unobserved_weight": Float(0.002, 3.0, log=True),
        "alpha": Tied("unobserved_weight"),
        "regularization": Float(0.0003, 0.1, log=True),
        "iterations": Int(6, 24),
        "nu": Choice(1.0),
    },
    "BPR": {
        "learning_rate": Float(0.02, 0.3, log=True),
        "regularization": Float(0.0003, 0.1, log=True),
        "epochs": Int(10, 60, log=True),
        "num_candidates": Int(2, 64, log=True),
        "item_bias": Choice(True, False),
    },
    "EASE": {"l2": Float(5.0, 5000.0, log=True), "popularity_penalty": Float(0.0, 0.5)},
    "GraphFilter": {
        "history_exponent": Float(0.0, 1.0),
        "user_exponent": Float(0.2, 1.2),
        "item_exponent": Float(-0.1, 0.7),
        "low_pass_weight": Float(0.0, 1.0),
        "sharpen_weight": Float(0.0, 1.0),
    },
    "Item2Vec": {
        "factors": Choice(32, 64, 128),
        "window": Int(2, 10),
        "epochs": Int(5, 40, log=True),
        "learning_rate": Float(0.03, 0.3, log=True),
        "query_decay": Float(0.5, 20.0, log=True),
    },
    "ItemKNN": {
        "similarity": Choice("cosine", "tfidf", "bm25", "conditional"),
        "num_neighbors": Int(30, 1000, log=True),
        "shrinkage": Float(0.1, 100.0, log=True),
        "asymmetry": Float(0.2, 0.8),
        "user_damping": Float(0.0, 1.0),
        "popularity_penalty": Float(0.0, 0.8),
    },
    "LinearSequence": {
        "l2": Float(3.0, 1000.0, log=True),
        "ridge_exponent": Float(0.0, 1.0),
        "backward": Float(0.0, 1.0),
        "decay": Float(0.5, 10.0, log=True),
        "column_exponent": Float(0.0, 0.6),
        "query_decay": Float(0.5, 20.0, log=True),
    },
    "P3alpha": {"alpha": Float(0.3, 1.5), "num_neighbors": Int(50, 2000, log=True), "normalize": Choice(False, True)},
    "Popularity": {"count": Choice("weights", "users")},
    "RP3beta": {
        "alpha": Float(0.3, 1.5),
        "beta": Float(0.0, 0.9),
        "num_neighbors": Int(50, 2000, log=True),
        "normalize": Choice(False, True),
    },
    "RepeatPurchase": {
        "min_gap_days": Float(0.1, 7.0, log=True),
        "item_shrinkage": Float(1.0, 100.0, log=True),
        "user_shrinkage": Float(0.3, 30.0, log=True),
    },
    "SLIM": {"l1": Float(0.1, 30.0, log=True), "l2": Float(3.0, 1000.0, log=True), "num_candidates": Choice(200, 500)},
    "SequentialRules": {
        "weighting": Choice("div", "quadratic", "linear", "log", "same"),
        "max_gap": Int(1, 50, log=True),
        "max_history": Int(1, 10, log=True),
        "query_decay": Float(0.0, 5.0),
        "num_neighbors": Int(50, 1000, log=True),
    },
    "SessionKNN": {
        "num_neighbors": Int(50, 1500, log=True),
        "recent_sessions": Int(500, 10000, log=True),
        "weighting": Choice("quadratic", "div", "linear", "same", "exponential"),
        "place_decay": Float(0.5, 8.0, log=True),
        "idf_weight": Float(0.0, 10.0),
        "item_decay": Float(0.0, 8.0),
        "backward": Float(0.0, 1.0),
        "length_exponent": Float(0.0, 1.0),
    },
    "Transitions": {
        "backward": Float(0.0, 1.0),
        "decay": Float(0.5, 30.0, log=True),
        "row_exponent": Float(0.0, 1.0),
        "column_exponent": Float(0.0, 0.8),
        "query_decay": Float(0.5, 30.0, log=True),
    },
    "UserKNN": {
        "similarity": Choice("cosine", "tfidf", "bm25", "conditional"),
        "num_neighbors": Int(30, 1000, log=True),
        "shrinkage": Float(0.1, 100.0, log=True),
        "asymmetry": Float(0.2, 0.8),
        "item_damping": Float(0.0, 1.0),
    },
    "WARP": {
        "learning_rate": Float(0.02, 0.3, log=True),
        "regularization": Float(0.003, 0.3, log=True),
        "epochs": Int(10, 60, log=True),
        "max_trials": Int(32, 128, log=True),
        "num_violators": Int(1, 32, log=True),
        "item_bias": Choice(True, False),
        "margin": Float(0.3, 2.0, log=True),
    },
}


def space_of(model) -> dict[str, Any]:
    """The parameters that search() varies for this model (an instance or a class), by name."""
    kind = model if isinstance(model, str) else model._kind
    if kind not in _SPACES:
        raise ValueError(f"there is no ready space for {kind}; pass space={{parameter: Float(...), ...}}. Ready: "
                         f"{', '.join(sorted(_SPACES))}")
    return dict(_SPACES[kind])


def checked(space, model) -> dict[str, Any]:
    """The space of the caller in full form: (low, high) is a Float or an Int, a list a Choice."""
    if not isinstance(space, Mapping) or not space:
        raise ValueError(f"space is {space!r}, must be a mapping of parameter names to Float, Int, Choice or Tied, and not empty")
    known, out = model.get_params(), {}
    for name, p in space.items():
        if name not in known:
            raise ValueError(f"space names {name!r}, which is no parameter of {type(model).__name__}; it has {', '.join(known)}")
        if isinstance(p, tuple) and len(p) == 2 and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in p):
            p = Int(*p) if all(isinstance(v, int) for v in p) else Float(*p)
        elif isinstance(p, list):
            p = Choice(*p)
        if not isinstance(p, (Float, Int, Choice, Tied)):
            raise TypeError(f"space[{name!r}] is {p!r}, must be Float, Int, Choice, Tied, a pair (low, high) or a list")
        out[name] = p
    for name, p in out.items():
        if isinstance(p, Tied) and p.to not in known:
            raise ValueError(f"space[{name!r}] is tied to {p.to!r}, which is no parameter of {type(model).__name__}")
        if isinstance(p, Tied) and isinstance(out.get(p.to), Tied):
            raise ValueError(f"space[{name!r}] is tied to {p.to!r}, which is tied itself; tie both to the same parameter")
    return out


def resolved(space, values: dict[str, Any], model) -> dict[str, Any]:
    """The parameters to set: the values tried, and the tied ones."""
    out = dict(values)
    for name, p in space.items():
        if isinstance(p, Tied):
            out[name] = out[p.to] if p.to in out else model.get_params()[p.to]
    return out
