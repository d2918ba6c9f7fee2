# SPDX-License-Identifier: Apache-2.0
"""What an engine answers, and what is handed to it to be re-ranked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Answer(tuple):
    """What Engine.recommend() found: unpacks into keys and scores.

    keys: the shop's, (n,); scores: float32 (n,); sources: the name of the source that named each product first.
    why: with explain=True a dict for each product: "sources" (all that named it, with their parts), "because" (history
    items with their shares), "rules" (what rules did). snapshot: number of the publication that answered.
    request_id: with log=True the number of this answer, for observe(..., request=); None otherwise.
    """

    def __new__(cls, keys, scores, sources, why, about):
        self = super().__new__(cls, (keys, scores))
        self.keys, self.scores, self.sources, self.why = keys, scores, sources, why
        self.__dict__.update(about)
        return self

    def __repr__(self):
        rows = ", ".join(f"{k!r}: {s:.3f} ({source})" for k, s, source in zip(self.keys[:5], self.scores, self.sources))
        return f"Answer({len(self.keys)} products: {rows}{', ...' if len(self.keys) > 5 else ''})"


def keys_in(values):
    """A key, or what holds keys: an Answer, a list, an array, a Series, an Arrow array."""
    if isinstance(values, Answer):
        return values.keys
    return values.to_pylist() if hasattr(values, "to_pylist") else values


def given_pairs(given):
    """(key, score) pairs in the caller's order; keys alone get falling scores."""
    if isinstance(given, Answer):
        return list(zip(given.keys, given.scores))
    if isinstance(given, Mapping):
        return list(given.items())
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(part, (list, np.ndarray)) for part in given):
        keys, scores = given
        if len(keys) != len(scores):
            raise ValueError(f"given has {len(keys)} keys and {len(scores)} scores, must have one for each")
        return list(zip(keys, scores))
    entries = list(keys_in(given))
    pairs = [isinstance(entry, (tuple, list)) for entry in entries]
    if any(pairs):
        wrong = next((e for e, pair in zip(entries, pairs) if not pair or len(e) != 2), None)
        if wrong is not None:
            raise ValueError(f"given holds {wrong!r}, must hold (key, score) pairs or keys alone")
        return [tuple(entry) for entry in entries]
    return [(key, 1.0 - i / len(entries)) for i, key in enumerate(entries)]


def checked_score(key, score):
    """A finite number: one that is not would sort anyhow."""
    try:
        number = float(score)
    except (TypeError, ValueError):
        raise TypeError(f"given has the score {score!r} for {key!r}, must be a number") from None
    if not -3.4e38 <= number <= 3.4e38:
        raise ValueError(f"given has the score {number} for {key!r}, must be a finite float32")
    return key, number
