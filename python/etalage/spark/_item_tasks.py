# SPDX-License-Identifier: Apache-2.0
"""Tasks of ItemKNN, P3alpha, RP3beta and EASE."""

from __future__ import annotations

from . import _folder as folder
from ._item_steps import ItemFit


def step(batches, place, path, work, kind, options, name, missing):
    """The files of the blocks that the batches name, by their places among the missing ones; reports each."""
    folder.require_seen(work)
    fit = ItemFit(path, work, kind, options)
    for batch in batches:
        for number in batch.column(0).to_pylist():
            fit.make(name, missing[number], place.cpus)
        yield batch


def assemble(batches, place, path, work, kind, options, model_path, keep_history, seconds):
    folder.require_seen(work)
    for batch in batches:
        if batch.num_rows:
            ItemFit(path, work, kind, options).assemble(model_path, keep_history, seconds, place.cpus)
        yield batch
