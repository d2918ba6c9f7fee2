# SPDX-License-Identifier: Apache-2.0
"""What a search may vary: kinds of parameters, and the space of each model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Float:
    """A number from low to high; log spreads the tries evenly over its orders of magnitude."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self):
        _range(self)

    def distribution(self, optuna):
        return optuna.distributions.FloatDistribution(self.low, self.high, log=self.log)

    def clip(self, value):
        return min(max(float(value), self.low), self.high)


@dataclass(frozen=True)
class Int:
    """A whole number from low to high, both included."""

    low: int
    high: int
    log: bool = False

    def __post_init__(self):
        _range(self)

    def distribution(self, optuna):
        return optuna.distributions.IntDistribution(self.low, self.high, log=self.log)

    def clip(self, value):
        return min(max(int(value), self.low), self.high)


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
        return optuna.distributions.CategoricalDistribution(self.values)

    def clip(self, value):
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
        "unobserved_weight": Float(0.002, 1.0, log=True),
        "alpha": Tied("unobserved_weight"),
        "regularization": Float(0.0003, 0.1, log=True),
        "iterations": Int(6, 20),
        "nu": Choice(1.0),
    },
    "Popularity": {"count": Choice("weights", "users")},
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
