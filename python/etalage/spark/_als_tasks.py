# SPDX-License-Identifier: Apache-2.0
"""Tasks of ALS.fit: blocks of a half-sweep, and the model's file at the end."""

from __future__ import annotations

import os

from . import _folder as folder
from ._sweeps import Fit

_FITS: dict = {}


def half(batches, place, path, work, options, number):
    """The files of the blocks that the batches name; reports each."""
    folder.require_seen(work)
    key = (path, work, repr(options))
    if key not in _FITS:
        _FITS.clear()
        _FITS[key] = Fit(path, work, options)
    for batch in batches:
        for block in batch.column(0).to_pylist():
            _FITS[key].make(number, block, place.cpus)
        yield batch


def assemble(batches, place, path, work, options, number, seconds, keep_history, model_path):
    folder.require_seen(work)
    for batch in batches:
        if batch.num_rows:
            Fit(path, work, options).assemble(model_path, number, seconds, keep_history)
            os.stat(model_path)
        yield batch
