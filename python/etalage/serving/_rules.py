# SPDX-License-Identifier: Apache-2.0
"""Rules from JSON, and a catalogue in a model's order."""

from __future__ import annotations

import json

import numpy as np

from .. import _core
from .._catalogs import as_catalog


def to_json(value):
    """The JSON of a filter or of rules: text as it is, or dicts and lists that may hold Filters, arrays and NumPy scalars."""
    if isinstance(value, str):
        return value
    if isinstance(value, (_core.Filter, Rules)):
        return value.to_json()
    return json.dumps(value, allow_nan=False, default=_plain)


def _plain(value):
    if isinstance(value, _core.Filter):
        return json.loads(value.to_json())
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"a filter or a rule holds {value!r}, must hold text, numbers, lists, dicts and Filters")


class Rules:
    """A shop's rules, in the order in which they are written; docs/rules.md has the schema and the precedence."""

    def __init__(self, rules=()):
        """rules: a list of dicts, each one rule of the schema; predicates may be Filters."""
        self._core = _core.Rules(to_json({"rules": list(rules)}))

    @classmethod
    def from_json(cls, source):
        """From JSON text, or the dict that such a text holds: {"rules": [...]}.

        ValueError begins with the path of the mistake: "rules[3].predicate.price.max: ...".
        source: JSON text, or the dict.
        """
        new = cls.__new__(cls)
        new._core = _core.Rules(to_json(source))
        return new

    def to_json(self):
        """The rules as JSON text."""
        return self._core.to_json()

    def to_dict(self):
        """The rules as the dict that from_json() takes."""
        return json.loads(self.to_json())

    def validate(self, catalog=None):
        """Contradictions as a list of messages; with a CatalogIndex also what it makes of the rules."""
        return self._core.validate(catalog)

    def __len__(self):
        return len(self._core)

    def __eq__(self, other):
        return isinstance(other, Rules) and self.to_json() == other.to_json()

    __hash__ = None

    def __reduce__(self):
        return Rules.from_json, (self.to_json(),)

    def __repr__(self):
        return f"Rules({len(self)} rules)"


def align_catalog(catalog, model):
    """The catalogue in the order of a model's items, followed by its products that the model lacks.

    model: a fitted model with item keys, or an IdMap. Keys that the catalogue lacks become products of which nothing is
    known. Rows of the result are the model's item indices.
    """
    ids = model
    if not isinstance(ids, _core.IdMap):
        ids = model._fitted().item_ids
        if ids is None:
            raise ValueError(f"this {type(model).__name__} has no item keys: fit it on Interactions or a log that has them")
    return _core.align_catalog(as_catalog(catalog), ids)
