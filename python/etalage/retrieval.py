# SPDX-License-Identifier: Apache-2.0
"""Nearest items by their vectors: an index that changes while it is searched, and filters of what may be found."""

from __future__ import annotations

import operator
import os

import numpy as np

from . import _core
from ._arrays import asarray
from ._core import ItemFilter
from ._index_keys import Keys, are_keys

__all__ = ["ItemFilter", "ItemIndex"]

_OPTIONS = ("M", "ef_construction", "ef_search", "nlist", "nprobe", "pq_m", "pq_bits", "rescore_factor", "recall", "compact_share", "seed",
            "num_threads", "deterministic")


def _is_lists(value):
    """One list a query: a list whose entries are lists, arrays, filters or None."""
    if isinstance(value, np.ndarray):
        return value.ndim == 2 or value.dtype == object and not are_keys(value)
    return isinstance(value, (list, tuple)) and any(
        v is None or isinstance(v, (list, tuple, np.ndarray, ItemFilter)) for v in value)


class ItemIndex:
    """Nearest items by their vectors, for any int64 ids >= 0 or the shop's text keys, changing while it is searched.

    The first items added decide: after text keys every call takes and gives text keys, and they are saved with the index (C++
    numbers them in order of first appearance).

    dim: length of a vector. metric: "cosine" (a zero vector has cosine 0 with everything), "dot" or "l2" (scores are
    negative squared distances). kind: "exact" reads every vector, "hnsw" walks a graph, "ivf" reads inverted lists, "ivf_pq"
    inverted lists of compressed vectors; both score the best from the vectors themselves.

    Options, with their defaults; those of another kind are ignored:
      hnsw    M=16, ef_construction=100, ef_search=64, deterministic=False
      ivf     nlist=0 (grows with the items), nprobe=16
      ivf_pq  the same and pq_m=0 (about dim / 4), pq_bits=8, rescore_factor=10
      hnsw, ivf, ivf_pq   recall=0: with recall=0.95, say, ef_search or nprobe are tuned by 1,000 held-out queries to that share of the
              best 10 while items come in, at first from 2,000 items on and after growth by half; see measured_recall
      all     compact_share=0.3, seed=42, num_threads=0 (all CPUs of this process)

    Any number of threads may search while others add, update and remove. No call holds the GIL while it works.
    """

    def __init__(self, dim, metric="cosine", kind="hnsw", **options):
        for name in options:
            if name not in _OPTIONS:
                raise TypeError(f"{name} is not an option of ItemIndex, must be one of {', '.join(_OPTIONS)}")
        self._core = _core.ItemIndex(operator.index(dim), {"metric": metric, "kind": kind, **options})
        self._keys = None

    @classmethod
    def _from_core(cls, core, keys=None):
        index = cls.__new__(cls)
        index._core = core
        index._keys = None if keys is None else Keys(keys)
        return index

    @property
    def keyed(self):
        """Whether ids are text keys."""
        return self._keys is not None

    def _numbers(self, ids, argument="ids"):
        """Text keys as the index's numbers, -1 for unknown ones; ids as they are."""
        if self._keys is None:
            if are_keys(ids):
                raise TypeError(f"{argument} holds text keys, must hold integers: the items of this index were added under integer ids")
            return ids
        if isinstance(ids, str):
            return int(self._keys.numbered([ids])[0])
        return self._keys.numbered(Keys.listed(ids, argument)) if np.size(ids) else np.empty(0, np.int64)

    @staticmethod
    def _rows(vectors, ids):
        if np.ndim(ids) == 0 and np.ndim(vectors) == 1:
            return asarray(vectors, "vectors")[None], [operator.index(ids)]
        return vectors, np.empty(np.shape(ids), np.int64) if np.size(ids) == 0 else ids

    def add(self, vectors, ids):
        """Adds items. vectors: float32 (n, dim), finite; ids: int64 (n,) or text keys. One vector and one id will do too.

        ValueError, and nothing is added, when an id is negative, occurs twice, or is in the index already.
        """
        if self._keys is None and are_keys(ids):
            if len(self):
                self._numbers(ids)
            self._keys = Keys()
        if self._keys is None:
            self._core.add(*self._rows(vectors, ids))
            return
        keys = Keys.listed(ids, "ids")
        for key, number in zip(keys, self._keys.numbered(keys).tolist()):
            if not key or number >= 0 and self._core.contains(number):
                raise ValueError(f"ids holds {key!r}, which is {'in the index already' if key else 'empty'}")
        if len(set(keys)) < len(keys):
            raise ValueError(f"ids holds {next(k for k in keys if keys.count(k) > 1)!r} twice")
        self._keys.added(keys, lambda numbers: self._core.add(np.atleast_2d(asarray(vectors, "vectors")), numbers))

    def update(self, vectors, ids):
        """Replaces the vectors of ids that are in the index, else ValueError and nothing changes."""
        numbers = self._numbers(ids)
        if self._keys is not None:
            for key in Keys.listed(ids, "ids"):
                if key not in self:
                    raise ValueError(f"ids holds {key!r}, which is not in the index")
        self._core.update(*self._rows(vectors, numbers))

    def remove(self, ids):
        """Removes items and returns how many there were; ids that are not there are passed over."""
        ids = self._numbers(ids)
        if self._keys is not None:
            ids = np.unique(np.atleast_1d(ids))
            return self._core.remove(ids[ids >= 0])
        if np.ndim(ids) == 0:
            ids = [operator.index(ids)]
        elif np.size(ids) == 0:
            ids = np.empty(0, np.int64)
        return self._core.remove(ids)

    def compact(self):
        """Gives back what removed and replaced items occupy; happens by itself above compact_share."""
        self._core.compact()

    def __len__(self):
        return self._core.size()

    def __contains__(self, item_id):
        if self._keys is not None:
            number = self._numbers(item_id) if isinstance(item_id, str) else -1
            return number >= 0 and self._core.contains(number)
        return not isinstance(item_id, str) and self._core.contains(operator.index(item_id))

    @property
    def ids(self):
        """int64 (n,), or an object array of text keys, in order of insertion; an updated item counts as inserted anew."""
        found = self._core.ids()
        return found if self._keys is None else self._keys.at(found)

    def search(self, queries, k=10, allow=None, deny=None, num_threads=0):
        """The k best items for each query: ids int64 and scores float32, (k,) for one vector (dim,), else (n, k).

        allow, deny: a list of ids, one list a query, a boolean mask over ix.ids, or an ItemFilter. min(k, allowed)
        results are always found; what is missing is padded with -1 and -inf. Ties are broken by the lower id. With text keys the
        ids, allow and deny are keys: missing results are None, unknown keys in lists are passed over, ties go to the key that was
        there first, and an ItemFilter must come from filter().
        """
        k = operator.index(k)
        if k > 2**62:
            raise ValueError(f"k is {k}, n x k must be at most 2^31")
        single = np.ndim(queries) == 1
        queries = asarray(queries, "queries")[None] if single else queries
        count = 1 if single else len(queries)
        filters = self._filters(allow, deny, count)
        ids, scores = self._core.search(queries, k, filters, num_threads)
        if self._keys is not None:
            ids = self._keys.at(ids)
        return (ids[0].copy(), scores[0].copy()) if single else (ids, scores)

    def filter(self, allow=None, deny=None):
        """An ItemFilter from lists of ids or keys, made once for any number of searches of this index.

        allow: what alone may be found, None for everything; deny: what may not.
        """
        return ItemFilter(*(None if v is None else self._listed(v, n) for v, n in ((allow, "allow"), (deny, "deny"))))

    def _listed(self, value, argument):
        numbers = self._numbers(list(value) if isinstance(value, (set, frozenset)) else value, argument)
        numbers = np.atleast_1d(numbers)
        return numbers[numbers >= 0] if self._keys is not None else numbers

    def distances_per_query(self, queries, k=10):
        """How many vectors a search for k items scores, as a mean over queries (n, dim), each asked by itself: what a
        search costs, whatever the machine. Of kind "ivf_pq" codes are counted."""
        k = operator.index(k)
        if k < 0:
            raise ValueError(f"k is {k}, must be >= 0")
        return self._core.distances_per_query(np.atleast_2d(asarray(queries, "queries")), k)

    def _filters(self, allow, deny, count):
        if allow is None and deny is None:
            return []
        allow = self._one_or_each(allow, "allow", count)
        deny = self._one_or_each(deny, "deny", count)
        out = []
        for i in range(max(len(allow), len(deny))):
            a, d = allow[i if len(allow) > 1 else 0], deny[i if len(deny) > 1 else 0]
            out.append(a if d is None else ~d if a is None else a & ~d)
        return out

    def _one_or_each(self, value, argument, count):
        """ItemFilters that allow what was listed: one for all, or one a query. None where nothing is said."""
        if hasattr(value, "tocsr"):
            raise TypeError(f"{argument} is a sparse matrix, must be ids, one list a query, a mask over ids, or an ItemFilter")
        if _is_lists(value) and not (isinstance(value, np.ndarray) and value.dtype == bool and value.ndim == 1):
            if len(value) != count:
                raise ValueError(f"{argument} has {len(value)} lists, must have one for each of the {count} queries")
            return [self._filter(v, argument) for v in value]
        return [self._filter(value, argument)]

    def _filter(self, value, argument):
        if value is None or isinstance(value, ItemFilter):
            return value
        if isinstance(value, (set, frozenset)):
            value = list(value)
        array = asarray(value, argument)
        if array.dtype != bool and (self._keys is not None or are_keys(value)):
            return ItemFilter(allow=self._listed(value, argument))
        if array.dtype == bool and array.ndim == 1 and array.size:
            ids = self._core.ids()
            if len(ids) != len(array):
                raise ValueError(f"{argument} is a mask of {len(array)} entries, must have one for each of the {len(ids)} ids")
            array = ids[array]
        elif array.size == 0:
            array = np.empty(0, np.int64)
        if array.ndim != 1:
            raise ValueError(f"{argument} has shape {array.shape}, must have 1 dimension")
        if array.dtype.kind not in "iu":
            raise TypeError(f"{argument} has dtype {array.dtype}, must be integer ids, a mask, or an ItemFilter")
        if array.size and array.min() < 0:
            raise ValueError(f"{argument} holds id {array.min()}, must be >= 0")
        return ItemFilter(allow=array)

    @property
    def dim(self):
        """Length of a vector."""
        return self._core.dim

    @property
    def metric(self):
        """"cosine", "dot" or "l2"."""
        return self._core.metric

    @property
    def kind(self):
        """"exact", "hnsw", "ivf" or "ivf_pq"."""
        return self._core.kind

    @property
    def options(self):
        """The options in use, as a dict."""
        return self._core.options()

    @property
    def ef_search(self):
        """hnsw: candidates kept while searching; may be set at any time."""
        return self._core.options()["ef_search"]

    @ef_search.setter
    def ef_search(self, value):
        self._core.set_ef_search(operator.index(value))

    @property
    def nprobe(self):
        """ivf_pq: lists read for a query; may be set at any time."""
        return self._core.options()["nprobe"]

    @nprobe.setter
    def nprobe(self, value):
        self._core.set_nprobe(operator.index(value))

    @property
    def measured_recall(self):
        """recall@10 of the held-out queries by which the search setting was chosen last (recall=); 1.0 where searches are exact,
        nan where nothing was measured."""
        return self._core.measured_recall

    @property
    def memory_bytes(self):
        """Bytes of vectors, ids and structure, with what is reserved for growth."""
        return self._core.memory_bytes()

    @property
    def dead_rows(self):
        """Rows of removed and replaced items that are still held."""
        return self._core.dead_rows()

    def save(self, path):
        """Writes the index to a file; etalage.load() maps it, and nothing is rebuilt."""
        keys = None if self._keys is None else self._keys.id_map()
        if keys is None:
            self._core.save(os.fspath(path))
        else:
            self._core.save_with_keys(os.fspath(path), keys)

    @classmethod
    def load(cls, path, verify="full"):
        """Opens a file that save() wrote. verify: as in etalage.load()."""
        keys = _core.ItemIndex.keys_of(os.fspath(path))
        return cls._from_core(_core.ItemIndex.load(os.fspath(path), verify), None if keys is None else list(keys.keys))

    def __reduce__(self):
        return _from_bytes, (self._core.to_bytes(), None if self._keys is None else self._keys.names())

    def __repr__(self):
        return f"ItemIndex(dim={self.dim}, metric={self.metric!r}, kind={self.kind!r}, items={len(self)})"


def _from_bytes(data, keys=None):
    return ItemIndex._from_core(_core.ItemIndex.from_bytes(data), keys)
