# SPDX-License-Identifier: Apache-2.0
"""Train and test parts as a model is fitted on and asked by them: logs by a recipe, models of order by lists."""

from __future__ import annotations

import warnings

from .. import _core
from .._recipe import Recipe, checked, for_logs
from ..models._sequence import goes_by_order
from ..models.popularity import Popularity


def recipe_of(core, recipe, *parts):
    """The recipe for logs among parts: the one given, else the one that the compiled model keeps, else None."""
    recipe = for_logs(recipe, *parts)
    if recipe is None and core is not None and core.recipe:
        return Recipe.from_json(core.recipe)
    return recipe


def held_out(test, recipe):
    """A test part that is a log as a matrix; others as they are."""
    return (checked(recipe) or Recipe()).held_out(test) if isinstance(test, _core.EventLog) else test


def takes_logs(model, recipe) -> bool:
    """Whether a model makes of a log itself what it needs: blends, and Popularity, which decays and weighs by event type."""
    return hasattr(model, "members") or recipe is None and (model is Popularity or isinstance(model, Popularity))


def to_fit(model, train, recipe):
    """What `model` is fitted on: of a log the matrix or the lists of the recipe, for a blend of both kinds the log itself."""
    if not isinstance(train, _core.EventLog) or takes_logs(model, recipe):
        return train
    recipe = recipe or Recipe()
    return recipe.sequences(train) if goes_by_order(model) else recipe.interactions(train)


def histories(core, train, recipe):
    """What the shoppers of a compiled model are asked by: Interactions, Sequences, or a matrix as it came."""
    ordered = goes_by_order(core)
    if isinstance(train, _core.EventLog):
        if recipe is None:
            return train.sequences()
        return recipe.sequences(train, by="user") if ordered else recipe.interactions(train)
    if not ordered or isinstance(train, _core.Sequences):
        return train
    kept = kept_order(core, train)
    if kept is not None:
        return kept
    warnings.warn(f"train has no order, and {core.kind} goes by it: the items of each shopper are taken ascending; hand over the log "
                  "(with recipe=) or Sequences", UserWarning, stacklevel=4)
    return train


def kept_order(core, train):
    """The lists that a model of order kept from a fit on just the pairs of `train`, one a user; None where it has none."""
    if isinstance(core, _core.BlendModel):
        return next((kept for kept in (kept_order(m, train) for _, m in core.members if goes_by_order(m)) if kept is not None), None)
    if not core.has_history or core.fitted_on is None:
        return None
    matrix = train if isinstance(train, _core.Interactions) else _core.Interactions.from_csr(train)
    return core.sequences if core.fitted_on == _core.pair_hash(matrix) else None
