# SPDX-License-Identifier: Apache-2.0
"""The model of a job: mapped once a Python worker, its pages shared by all workers of a host."""

from __future__ import annotations

import os

import numpy as np

from .. import _core
from .._load import load
from ..models import Recommender

_OPEN: dict = {}


class Model:
    """A mapped model with its keys as Arrow columns."""

    def __init__(self, path):
        self.model = load(path, verify="header")
        if not isinstance(self.model, Recommender):
            raise ValueError(f"model_path is {path!r}, which holds a {type(self.model).__name__}, must hold a model that recommends")
        self.core = self.model._fitted()
        self._columns = {}

    def ids(self, side):
        return self.model._ids(side)

    def strings(self, side):
        return self.ids(side).at(np.array([-1], np.int32)).dtype == object

    def keys(self, side, index):
        """Arrow keys of indices >= 0."""
        import pyarrow as pa

        if not self.strings(side):
            return pa.array(self.ids(side).at(index), pa.int64())
        if side not in self._columns:
            self._columns[side] = pa.array(self.ids(side).keys, pa.large_string())
        return self._columns[side].take(pa.array(index)).cast(pa.string())


def identity(path):
    """What tells one model file from another, from its header: every section's size and checksum."""
    info = _core.file_info(path)
    return [info["kind"], info["library_version"], info["bytes"], *(str(s["checksum"]) for s in info["sections"])]


def checked_path(path):
    """The path as a string, absolute: workers have working folders of their own."""
    path = os.path.abspath(os.fspath(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"model_path is {path!r}, where there is no file")
    return path


def opened(path, expected, shipped):
    """The worker's model; held open for the next partition. A file that is not the driver's is refused."""
    if shipped:
        from pyspark import SparkFiles

        path = SparkFiles.get(os.path.basename(path))
    if not os.path.isfile(path):
        raise FileNotFoundError(f"model file {path!r} is not on this host: put it on every host or a shared folder, or pass ship=True")
    stat = os.stat(path)
    key = (path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if _OPEN.get("key") != key:
        found = identity(path)
        if found != expected:
            raise ValueError(f"model file {path!r} on this host is not the driver's ({found[0]}, {found[2]} bytes against {expected[0]}, "
                             f"{expected[2]} bytes, or of other contents): copy it anew")
        _OPEN.update(key=key, model=Model(path))
    return _OPEN["model"]
