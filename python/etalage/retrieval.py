# SPDX-License-Identifier: Apache-2.0
"""Nearest items by their vectors: an index that changes while it is searched, and filters of what may be found."""

from __future__ import annotations

import os
import warnings

import numpy as np

from . import _core
from ._arrays import asarray, flag, whole_number
from ._core import ItemFilter
from ._index_keys import Keys, are_keys

__all__ = ["ItemFilter", "ItemIndex"]

_OPTIONS = ("M", "ef_construction", "ef_search", "nlist", "nprobe", "pq_m", "pq_bits", "rescore_factor", "recall", "compact_share", "seed",
            "num_threads", "deterministic")
_KINDS = ("exact", "hnsw", "ivf", "ivf_pq", "faiss")
_FAISS_OPTIONS = ("factory", "nprobe", "ef_search", "rescore_factor", "compact_share", "num_threads")


def _faiss_module():
    """The module that holds FAISS, loaded by the first who asks for kind "faiss"."""
    try:
        from . import _faiss
    except ImportError as error:
        raise ImportError(
            'kind="faiss" needs the module etalage._faiss, which this build of etalage is without or cannot load: it is built with the package where '
            "FAISS is installed (Debian: libfaiss-dev). The other kinds, from_faiss() and to_faiss() do without it") from error
    return _faiss


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
    inverted lists of compressed vectors; both score the best from the vectors themselves. "faiss" is any type that FAISS makes from
    factory="OPQ32,IVF4096,PQ32x4fs,RFlat", say: it proposes, and the vectors themselves, kept beside, are scored.

    Options, with their defaults; those of another kind are ignored:
      hnsw    M=16, ef_construction=100, ef_search=64, deterministic=False
      ivf     nlist=0 (grows with the items), nprobe=16
      ivf_pq  the same and pq_m=0 (about dim / 4), pq_bits=8, rescore_factor=10
      hnsw, ivf, ivf_pq   recall=0: with recall=0.95, say, ef_search or nprobe are tuned by 1,000 held-out queries to that share of the
              best 10 while items come in, at first from 2,000 items on and after growth by half; see measured_recall
      all     compact_share=0.3, seed=42, num_threads=0 (all CPUs of this process)
      faiss   factory (no default), nprobe=16, ef_search=64, rescore_factor=10, compact_share=0.3, num_threads=0 and no others. Types that
              train answer exactly until there are 39 items for each centroid, or train() is called. NSG and NNDescent take no items
              once they are built (ValueError). ImportError where the package was built without FAISS

    Any number of threads may search while others add, update and remove. No call holds the GIL while it works.
    """

    def __init__(self, dim, metric="cosine", kind="hnsw", **options):
        if not isinstance(kind, str) or kind not in _KINDS:
            raise ValueError(f"kind is {kind!r}, must be one of {', '.join(_KINDS)}")
        known = _FAISS_OPTIONS if kind == "faiss" else _OPTIONS
        for name in options:
            if name not in known:
                raise TypeError(f"{name} is not an option of ItemIndex{' of this kind' if name in _OPTIONS + _FAISS_OPTIONS else ''}, must be one of "
                                f"{', '.join(known)}")
        if kind == "faiss":
            factory = options.pop("factory", None)
            if not isinstance(factory, str):
                raise TypeError(f"factory is {factory!r}, must be text as faiss.index_factory reads it, such as 'OPQ32,IVF4096,PQ32x4fs,RFlat'")
            self._core = _faiss_module().FaissIndex(whole_number(dim, "dim"), factory, {"metric": metric, **options})
        else:
            self._core = _core.ItemIndex(whole_number(dim, "dim"), {"metric": metric, "kind": kind, **options})
        self._keys = None

    @classmethod
    def _from_core(cls, core, keys=None):
        index = cls.__new__(cls)
        index._core = core
        index._keys = None if keys is None else Keys(keys)
        return index

    @classmethod
    def from_faiss(cls, faiss_index, ids=None):
        """An index of the items of one that the module faiss made, whatever its version; that one is left as it is.

        faiss_index: any faiss.Index of float vectors. ids: int64 (n,) or text keys, one for each vector in the order in which
        they were added; None keeps FAISS's own (positions, or those of add_with_ids and IndexIDMap).

        Metric: METRIC_INNER_PRODUCT becomes "dot" (unit vectors stay a "dot": queries are not normalised, as in FAISS), behind a
        NormalizationTransform ("L2norm,...") "cosine", and METRIC_L2 "l2", whose scores are FAISS's squared distances negated.
        Flat indexes become kind "exact", HNSW and NSG "hnsw" (M and ef_construction kept, linked anew), lists "ivf" (nlist kept,
        trained anew); ef_search and nprobe are FAISS's where those are above ours. Vectors are the ones that were added, of
        IndexRefineFlat too. Other types become kind "faiss" as they were trained, where this package has the module for it and its FAISS
        reads them (a UserWarning names a type that it does not read, and one of the kinds above is built); of those that only have codes
        left vectors are reconstructed, and a UserWarning says so.

        TypeError for what is no such index or does not give its vectors back, ValueError for another metric or ids that do not fit,
        ImportError without the module faiss.
        """
        from . import _faiss_bridge

        found = _faiss_bridge.read(faiss_index, ids)
        if not found.exact:
            warnings.warn(f"faiss_index ({found.type}) does not keep its vectors as they were added: scores are those of vectors reconstructed from it. "
                          "Build it with RFlat, or add the vectors to an ItemIndex, for exact ones", UserWarning, stacklevel=2)
        if found.adoptable:
            try:
                module = _faiss_module()
            except ImportError:
                module = None
            keys = list(found.ids) if are_keys(found.ids) else None
            core = None if module is None else _faiss_bridge.adopted(found, module, found.ids if keys is None else np.arange(len(keys)))
            if core is not None:
                return cls._from_core(core, keys)
        index = cls(found.vectors.shape[1], metric=found.metric, kind=found.kind, **found.options)
        if len(found.vectors):
            index.add(found.vectors, found.ids)
        return index

    def to_faiss(self, factory=None):
        """The items as an index of the module faiss that is installed, whatever its version: an IndexIDMap2.

        factory: as faiss.index_factory reads it; "Flat", the default, answers exactly. It is trained on the items where it needs
        training. The default of kind "faiss" is what it has inside, as it was trained, with IndexRefineFlat where that keeps codes.
        Its ids are this index's; with text keys they are positions in ix.ids, so that ix.ids[label] is the key. "dot" gives inner
        products, "l2" squared distances (ours negated), "cosine" inner products behind a NormalizationTransform, which takes
        queries of any length; vectors are then the normalised ones.

        ValueError for a factory that FAISS does not know or cannot train on these items, ImportError without the module faiss.
        """
        from . import _faiss_bridge

        vectors, ids = self._core.rows()
        if self._keys is not None:
            ids = _faiss_bridge.positions(self._core.ids(), ids)
        if factory is None and self.kind == "faiss" and self.trained:
            return _faiss_bridge.structure(self._core, None if self._keys is None else ids, self.metric)
        return _faiss_bridge.build(vectors, ids, self.metric, "Flat" if factory is None else factory)

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
            return asarray(vectors, "vectors")[None], [whole_number(ids, "ids", bits=64)]
        return vectors, np.empty(np.shape(ids), np.int64) if np.size(ids) == 0 else ids

    def add(self, vectors, ids):
        """Adds items. vectors: float32 (n, dim), finite; ids: int64 (n,) or text keys. One vector and one id will do too.

        ValueError, and nothing is added, when an id is negative, occurs twice, or is in the index already.
        """
        if self._keys is None and are_keys(ids):
            if len(self):
                self._numbers(ids)
            self._keys = keys = Keys()
            try:
                return self.add(vectors, ids)
            except BaseException:
                if not len(keys):
                    self._keys = None  # the first that are added decide
                raise
        if self._keys is None:
            self._core.add(*self._rows(vectors, ids))
            return
        keys = Keys.listed(ids, "ids")
        for key, number in zip(keys, self._keys.numbered(keys).tolist()):
            if not key or number >= 0 and self._core.contains(number):
                raise ValueError(f"ids holds {key!r}, which is {'in the index already' if key else 'empty'}, must hold new keys of a character or more")
        if len(set(keys)) < len(keys):
            raise ValueError(f"ids holds {next(k for k in keys if keys.count(k) > 1)!r} twice, must hold each key once")
        self._keys.added(keys, lambda numbers: self._core.add(np.atleast_2d(asarray(vectors, "vectors")), numbers))

    def update(self, vectors, ids):
        """Replaces the vectors of ids that are in the index, else ValueError and nothing changes."""
        numbers = self._numbers(ids)
        if self._keys is not None:
            for key in Keys.listed(ids, "ids"):
                if key not in self:
                    raise ValueError(f"ids holds {key!r}, which is not in the index, must hold keys that are")
        self._core.update(*self._rows(vectors, numbers))

    def remove(self, ids):
        """Removes items and returns how many there were; ids that are not there are passed over."""
        ids = self._numbers(ids)
        if self._keys is not None:
            ids = np.unique(np.atleast_1d(ids))
            return self._core.remove(ids[ids >= 0])
        if np.ndim(ids) == 0:
            ids = [whole_number(ids, "ids", bits=64)]
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
        return not isinstance(item_id, str) and self._core.contains(whole_number(item_id, "item_id", bits=64))

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
        if isinstance(k, int) and k > 2**62:
            raise ValueError(f"k is {k}, n x k must be at most 2^31")
        k = whole_number(k, "k", bits=64)
        single = np.ndim(queries) == 1
        queries = asarray(queries, "queries")[None] if single else queries
        count = 1 if single else len(queries)
        filters = self._filters(allow, deny, count)
        ids, scores = self._core.search(queries, k, filters, whole_number(num_threads, "num_threads"))
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
        search costs, whatever the machine. Of kind "ivf_pq" codes are counted; TypeError for kind "faiss", which does not count."""
        if self.kind == "faiss":
            raise TypeError('kind is "faiss", must be another one: FAISS does not say how many vectors it scores')
        k = whole_number(k, "k", bits=64)
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
        """"exact", "hnsw", "ivf", "ivf_pq" or "faiss"."""
        return self._core.kind

    @property
    def options(self):
        """The options in use, as a dict."""
        return self._core.options()

    @property
    def ef_search(self):
        """hnsw, graphs of faiss: candidates kept while searching; may be set at any time."""
        return self._core.options()["ef_search"]

    @ef_search.setter
    def ef_search(self, value):
        self._core.set_ef_search(whole_number(value, "ef_search"))

    @property
    def nprobe(self):
        """ivf, ivf_pq, lists of faiss: lists read for a query; may be set at any time."""
        return self._core.options()["nprobe"]

    @nprobe.setter
    def nprobe(self, value):
        self._core.set_nprobe(whole_number(value, "nprobe"))

    @property
    def measured_recall(self):
        """recall@10 of the held-out queries by which the search setting was chosen last (recall=); 1.0 where searches are exact,
        nan where nothing was measured."""
        return float("nan") if self.kind == "faiss" else self._core.measured_recall

    def train(self):
        """Of kind "faiss": trains with the items that are there and builds, if it is not built yet; the other kinds train by themselves.

        ValueError without items, RuntimeError with FAISS's words where they are too few for the type."""
        if self.kind == "faiss":
            if len(self) == 0:
                raise ValueError("the index has 0 items, must have some to train on")
            self._core.train()

    @property
    def trained(self):
        """Of kind "faiss": whether FAISS answers, or searches are exact until there are enough items. True for the other kinds."""
        return self.kind != "faiss" or self._core.built()

    @property
    def memory_bytes(self):
        """Bytes of vectors, ids and structure, with what is reserved for growth."""
        return self._core.memory_bytes()

    @property
    def dead_rows(self):
        """Rows of removed and replaced items that are still held."""
        return self._core.dead_rows()

    def save(self, path):
        """Writes the index to a file; etalage.load() maps it, and nothing is rebuilt. What FAISS holds of kind "faiss" is copied on loading."""
        keys = None if self._keys is None else self._keys.id_map()
        if keys is None:
            self._core.save(os.fspath(path))
        else:
            self._core.save_with_keys(os.fspath(path), keys)

    @classmethod
    def load(cls, path, verify="full", trust_faiss=False):
        """Opens a file that save() wrote. verify, trust_faiss: as in etalage.load()."""
        path = os.fspath(path)
        trust_faiss = flag(trust_faiss, "trust_faiss")
        if _core.file_info(path)["kind"] == "FaissIndex":
            core = _faiss_module().FaissIndex.load(path, verify, trust_faiss)
        else:
            core = _core.ItemIndex.load(path, verify)
        keys = _core.ItemIndex.keys_of(path)
        return cls._from_core(core, None if keys is None else list(keys.keys))

    def __reduce__(self):
        return _from_bytes, (self._core.to_bytes(), None if self._keys is None else self._keys.names(), self.kind == "faiss")

    def __repr__(self):
        return f"ItemIndex(dim={self.dim}, metric={self.metric!r}, kind={self.kind!r}, items={len(self)})"


def _from_bytes(data, keys=None, faiss=False):
    return ItemIndex._from_core((_faiss_module().FaissIndex if faiss else _core.ItemIndex).from_bytes(data), keys)
