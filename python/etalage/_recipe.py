# SPDX-License-Identifier: Apache-2.0
"""How a shop's events become what models are fitted on: said once, and kept with the model."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping

import numpy as np

from . import _core

_CHOICES = {"duplicates": ("sum", "max", "last", "binary"), "normalize_users": (None, "l1", "l2", "max", "mean"),
            "negative_values": ("keep", "cancel"), "sessions": ("user", "session")}
# What interactions() takes; the others say how lists are made.
_OF_MATRICES = ("event_weights", "half_life_days", "duplicates", "return_event", "return_cancels", "negative_values", "value_transform",
                "normalize_users")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How events become a matrix, or lists for models to which order matters. Said once, it goes with the log through fit(),
    evaluate(), compare(), search(), Blend and the command line, and a model keeps the one it was fitted by (model.recipe).

    event_weights    {event type: weight} for every type of the log; None counts each 1. Weight 0: the type says nothing; below 0: a
                     dislike
    half_life_days   an event counts half after so many days; > 0, or None
    duplicates       what several events of a (user, item) pair become: "sum", "max", "last" or "binary"
    return_event     event type that is a return, or None
    return_cancels   event types that it takes back; None means all others
    negative_values  "keep": a value below 0 is a dislike; "cancel": it is a return
    value_transform  of a pair's weight: "log1p", "sqrt", "rank", ("cap", x) or None
    normalize_users  divides each user's weights by their "l1", "l2", "max" or "mean", or None
    sessions         lists for models of order: "user" makes one a shopper, "session" one a visit
    idle_minutes     where the log has no sessions, a visit ends after so long a pause; > 0

    r.interactions(log) is log.interactions(**r), r.sequences(log) the lists, r.held_out(log) the matrix of a test part. Equal
    recipes compare equal; to_json() and from_json() write and read one. ValueError names what is wrong, as the calls do.
    """

    event_weights: Mapping[str, float] | None = None
    half_life_days: float | None = None
    duplicates: str = "sum"
    return_event: str | None = None
    return_cancels: tuple[str, ...] | None = None
    negative_values: str = "keep"
    value_transform: str | tuple[str, float] | None = None
    normalize_users: str | None = None
    sessions: str = "user"
    idle_minutes: float = 30.0

    def __post_init__(self) -> None:
        weights = self.event_weights
        if weights is not None:
            if not isinstance(weights, Mapping) or not weights:
                raise ValueError(f"event_weights is {weights!r}, must be {{event type: weight}}, not empty, or None")
            weights = {_text(n, "event_weights"): _number(w, f"event_weights[{n!r}]") for n, w in weights.items()}
            self._set("event_weights", dict(sorted(weights.items())))
        if self.half_life_days is not None:
            self._set("half_life_days", _positive(self.half_life_days, "half_life_days"))
        self._set("idle_minutes", _positive(self.idle_minutes, "idle_minutes"))
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}, must be one of {', '.join(map(repr, known))}")
        if self.return_event is not None:
            _text(self.return_event, "return_event")
        cancels = self.return_cancels
        if cancels is not None:
            cancels = (cancels,) if isinstance(cancels, str) else tuple(_text(n, "return_cancels") for n in cancels)
            if cancels and self.return_event is None:
                raise ValueError(f"return_cancels is {cancels!r} and return_event None, must go with a return_event")
            self._set("return_cancels", cancels or None)
        self._set("value_transform", _transform(self.value_transform))

    def _set(self, name, value) -> None:
        object.__setattr__(self, name, value)

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{n}={v!r}' for n, v in self._given().items())})"

    def _given(self) -> dict:
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if getattr(self, f.name) != f.default}

    # log.interactions(**recipe)

    def keys(self) -> tuple[str, ...]:
        """The arguments of EventLog.interactions that are not at their defaults: what ** takes."""
        return tuple(n for n in self._given() if n in _OF_MATRICES)

    def __getitem__(self, name: str):
        if name not in _OF_MATRICES:
            raise KeyError(name)
        return getattr(self, name)

    # Making

    def interactions(self, log, *, now=None, num_threads: int = 0):
        """The log as a users x items matrix (Interactions), which knows this recipe. now: the moment that half_life_days counts
        back from; None means the log's newest event."""
        return _marked(_log(log).interactions(**self, now=now, num_threads=num_threads), self)

    def sequences(self, log, by: str | None = None):
        """The log as lists in order of time (Sequences), without events that weigh 0 or less, returns, and, under
        negative_values="cancel", values below 0. by: "user" or "session"; None means what `sessions` says.
        half_life_days, value_transform and normalize_users do nothing to lists."""
        return _marked(self.counting(log).sequences(by or self.sessions, idle_minutes=self.idle_minutes), self)

    def counting(self, log):
        """The events of the log that lists are made of: no return, and nothing that was returned whole."""
        keep = None
        names = _log(log).event_names if log.events is not None else None
        if names is None and (self.event_weights or self.return_event):
            raise ValueError("event_weights or return_event are given and the log has no event column, must have one")
        if names is not None and (self.event_weights is not None or self.return_event is not None):
            absent = sorted(set(names) - set(self.event_weights or names) - {self.return_event})
            if absent:
                raise ValueError(f"event_weights has none for {', '.join(absent)}, must have one for every event type")
            counts = [n != self.return_event and (self.event_weights is None or self.event_weights[n] > 0) for n in names]
            keep = np.array(counts, bool)[np.asarray(log.events)]
        if self.negative_values == "cancel" and log.values is not None:
            positive = np.asarray(log.values) >= 0
            keep = positive if keep is None else keep & positive
        negative = min((self.event_weights or {"": 0}).values()) < 0 or log.values is not None and bool((np.asarray(log.values) < 0).any())
        if self.return_event is not None or negative:  # a pair may come to nothing, and is in no matrix then
            left = self.held_out(log).user_items_view.tocoo()
            pairs = np.asarray(log.users, np.int64) * log.num_items + np.asarray(log.items)
            had = np.isin(pairs, left.row.astype(np.int64) * log.num_items + left.col)
            keep = had if keep is None else keep & had
        return log if keep is None or keep.all() else log.filtered(keep)

    def held_out(self, log):
        """The matrix of held-out events: the same weights and returns, without decay and transforms, for what was bought is a
        hit whenever it was and however much."""
        return dataclasses.replace(self, half_life_days=None, value_transform=None, normalize_users=None).interactions(log)

    # Keeping

    def to_json(self) -> str:
        """What is not at its default, as JSON: {"duplicates": "max", ...}."""
        return json.dumps(self._given(), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe of to_json()'s text; ValueError names what it does not know."""
        try:
            found = json.loads(text)
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"recipe is {text!r}, must be JSON: {error}") from None
        return cls._of(found)

    @classmethod
    def _of(cls, found) -> Recipe:
        known = [f.name for f in dataclasses.fields(cls)]
        if not isinstance(found, dict):
            raise ValueError(f"recipe is {found!r}, must be an object of {', '.join(known)}")
        for name in found:
            if name not in known:
                raise ValueError(f"recipe has {name!r}, must have only {', '.join(known)}")
        return cls(**found)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Recipe:
        """The recipe of a .json file, or the one that a model's file keeps."""
        path = os.fspath(path)
        if path.lower().endswith(".json"):
            with open(path, encoding="utf-8") as file:
                try:
                    found = json.load(file)
                except (UnicodeDecodeError, json.JSONDecodeError) as error:
                    raise ValueError(f"{path} is no JSON: {error}") from None
            return cls._of(found["recipe"] if isinstance(found, dict) and "recipe" in found else found)
        from . import load

        recipe = getattr(load(path), "recipe", None)
        if recipe is None:
            raise ValueError(f"{path} keeps no recipe: its model was fitted on a matrix of which nobody said how it was made")
        return recipe


def _text(value, name):
    if not isinstance(value, str) or not value:
        raise TypeError(f"{name} holds {value!r}, must be the name of an event type")
    return value


def _number(value, name):
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, must be a number")
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} is {value!r}, must be a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}, must be finite")
    return value


def _positive(value, name):
    value = _number(value, name)
    if value <= 0:
        raise ValueError(f"{name} is {value}, must be > 0")
    return value


def _transform(value):
    if value in (None, "log1p", "sqrt", "rank") and not isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (list, tuple)) and len(value) == 2 and value[0] == "cap":
        return "cap", _positive(value[1], "value_transform: the cap")
    raise ValueError(f"value_transform is {value!r}, must be 'log1p', 'sqrt', 'rank', ('cap', x) or None")


def _log(log):
    if not isinstance(log, _core.EventLog):
        raise TypeError(f"log is a {type(log).__name__}, must be an etalage.EventLog")
    return log


def _marked(data, recipe):
    data._recipe = recipe
    return data


def of_options(options) -> Recipe | None:
    """The recipe of a call of EventLog.interactions; called by the compiled part, which has checked the options."""
    options = {n: v for n, v in options.items() if v is not None}
    if isinstance(options.get("return_cancels"), (list, tuple)) and not options.get("return_event"):
        options.pop("return_cancels")
    try:
        return Recipe(**options)
    except (TypeError, ValueError):  # what the call bears and a recipe does not say
        return None


def checked(recipe) -> Recipe | None:
    """What callers give as recipe=: one, a mapping of its fields, or None."""
    if recipe is None or isinstance(recipe, Recipe):
        return recipe
    if isinstance(recipe, Mapping):
        return Recipe(**recipe)
    raise TypeError(f"recipe is {recipe!r}, must be an etalage.Recipe or None")


def for_logs(recipe, *parts) -> Recipe | None:
    """checked(recipe), refused where none of the parts is a log that it could be applied to."""
    recipe = checked(recipe)
    if recipe is not None and not any(isinstance(p, _core.EventLog) for p in parts):
        raise ValueError("recipe is given and the data is no EventLog, must go with the log: what is a matrix already was made by one")
    return recipe
