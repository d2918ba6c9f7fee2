# SPDX-License-Identifier: Apache-2.0
"""Rows, ids and settings out of an index of the FAISS that the user has, and back."""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

import numpy as np


class Converted(NamedTuple):
    """What an ItemIndex is made from."""

    vectors: np.ndarray  # float32 (n, dim)
    ids: np.ndarray  # int64 (n,)
    metric: str
    kind: str
    options: dict
    exact: bool  # the vectors are what was added; else what is left of them in codes
    type: str  # of the innermost index, as FAISS calls it
    index: object  # what was read, on the CPU
    adoptable: bool  # its codes are worth keeping, and its labels are positions


def faiss_module(asked):
    """The user's own FAISS."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(f"{asked} needs FAISS for Python, which is not installed: pip install faiss-cpu") from error
    return faiss


def _name(index):
    return type(index).__name__


def _array(faiss, pointer, count):
    return faiss.rev_swig_ptr(pointer, count).copy() if count else np.empty(0)


def _list_rows(faiss, index):
    """Rows and labels of inverted lists, read where they lie: a direct map would change the caller's index."""
    lists, flat = index.invlists, _name(index) == "IndexIVFFlat"
    sizes = [lists.list_size(i) for i in range(index.nlist)]
    rows, labels = np.empty((sum(sizes), index.d), np.float32), np.empty(sum(sizes), np.int64)
    at = 0
    for i, size in enumerate(sizes):
        if size == 0:
            continue
        pointer = lists.get_ids(i)
        labels[at:at + size] = _array(faiss, pointer, size)
        lists.release_ids(i, pointer)
        if flat:
            codes = lists.get_codes(i)
            rows[at:at + size] = _array(faiss, codes, size * lists.code_size).view(np.float32).reshape(size, index.d)
            lists.release_codes(i, codes)
        else:
            row = np.empty(index.d, np.float32)
            for offset in range(size):
                index.reconstruct_from_offset(i, offset, faiss.swig_ptr(row))
                rows[at + offset] = row
        at += size
    order = np.argsort(labels, kind="stable")
    return rows[order], labels[order]


def _rows(faiss, index):
    """(rows, labels, exact, normalised) of an index and what it wraps."""
    index = faiss.downcast_index(index)
    name = _name(index)
    if name in ("IndexIDMap", "IndexIDMap2"):
        rows, labels, *rest = _rows(faiss, index.index)
        return rows, faiss.vector_to_array(index.id_map).astype(np.int64)[labels], *rest
    if name.startswith("IndexRefine"):
        return _rows(faiss, index.refine_index)
    if name == "IndexPreTransform":
        rows, labels, exact, unit = _rows(faiss, index.index)
        for i in reversed(range(index.chain.size())):
            step = faiss.downcast_VectorTransform(index.chain.at(i))
            if _name(step) == "NormalizationTransform":
                unit = True
                continue
            exact = exact and step.d_in == step.d_out
            rows = step.reverse_transform(np.ascontiguousarray(rows))
        return rows, labels, exact, unit
    if hasattr(index, "invlists"):
        rows, labels = _list_rows(faiss, index)
        return rows, labels, name in ("IndexIVFFlat", "IndexIVFFlatDedup"), False
    owner = faiss.downcast_index(index.storage) if getattr(index, "storage", None) is not None else index
    try:
        rows = owner.reconstruct_n(0, owner.ntotal) if owner.ntotal else np.empty((0, owner.d), np.float32)
    except RuntimeError as error:
        raise TypeError(f"faiss_index is an {name}, which does not give its vectors back: {str(error).splitlines()[-1]}") from error
    return rows, np.arange(owner.ntotal, dtype=np.int64), _name(owner).startswith("IndexFlat") and _name(owner) != "IndexFlatCodes", False


def _settings_of(faiss, index):
    """The index whose settings count, below whatever wraps it."""
    index = faiss.downcast_index(index)
    return _settings_of(faiss, index.index) if _name(index) in ("IndexIDMap", "IndexIDMap2", "IndexPreTransform") else (
        _settings_of(faiss, index.base_index) if _name(index).startswith("IndexRefine") else index)


def _kind(faiss, index):
    """Our kind, with the settings of an index of FAISS; FAISS's own defaults (efSearch 16, nprobe 1) do not lower ours."""
    if hasattr(index, "hnsw"):
        graph = index.hnsw
        return "hnsw", {"M": int(np.clip(graph.nb_neighbors(1), 2, 256)), "ef_construction": max(int(graph.efConstruction), 1),
                        "ef_search": max(int(graph.efSearch), 64)}
    if hasattr(index, "invlists"):
        return "ivf", {"nlist": int(index.nlist), "nprobe": max(int(index.nprobe), 16)}
    return ("hnsw" if _name(index).startswith(("IndexNSG", "IndexNNDescent")) else "exact"), {}


def _labels_are_positions(faiss, index):
    """Whether the index below what maps ids labels its rows by position."""
    if not hasattr(index, "invlists"):
        return True
    lists = index.invlists
    labels = np.concatenate([np.empty(0, np.int64), *(_array(faiss, lists.get_ids(i), lists.list_size(i)).astype(np.int64) for i in range(index.nlist))])
    return np.array_equal(np.sort(labels), np.arange(index.ntotal))


def read(faiss_index, ids=None) -> Converted:
    """An index of FAISS as rows, ids and settings; it is left as it is."""
    faiss = faiss_module("from_faiss")
    if not isinstance(faiss_index, faiss.Index):
        raise TypeError(f"faiss_index is a {type(faiss_index).__name__}, must be an index of float vectors of the module faiss (a faiss.Index)")
    if _name(faiss_index).startswith("GpuIndex") and hasattr(faiss, "index_gpu_to_cpu"):
        faiss_index = faiss.index_gpu_to_cpu(faiss_index)
    metrics = {faiss.METRIC_INNER_PRODUCT: "dot", faiss.METRIC_L2: "l2"}
    if faiss_index.metric_type not in metrics:
        raise ValueError(f"faiss_index has the metric type {faiss_index.metric_type}, must be METRIC_INNER_PRODUCT or METRIC_L2")
    rows, labels, exact, unit = _rows(faiss, faiss_index)
    inner = _settings_of(faiss, faiss_index)
    if ids is not None:
        if np.ndim(ids) != 1:  # of a set, too, which has no order
            said = f"has shape {np.shape(ids)}" if np.ndim(ids) else f"is {ids!r:.60}"
            raise ValueError(f"ids {said}, must be a list or an array of one dimension")
        if len(ids) != len(labels):
            raise ValueError(f"ids has {len(ids)} entries, must have one for each of the {len(labels)} vectors of faiss_index")
        if not hasattr(faiss_index, "id_map"):
            if not np.array_equal(labels, np.arange(len(labels))):
                raise ValueError("ids were given, and faiss_index has ids of its own: leave ids out, or map the ids of answers yourself")
        labels = ids
    kind, options = _kind(faiss, inner)
    metric = "cosine" if unit else metrics[faiss_index.metric_type]
    plain = _name(inner) in ("IndexFlat", "IndexFlatL2", "IndexFlatIP", "IndexHNSWFlat", "IndexNSGFlat", "IndexNNDescentFlat", "IndexIVFFlat")
    adoptable = not plain and len(rows) > 0 and _labels_are_positions(faiss, inner)
    return Converted(np.ascontiguousarray(rows, np.float32), labels, metric, kind, options, exact, _name(inner), faiss_index, adoptable)


def adopted(found: Converted, module, numbers):
    """The compiled index of kind "faiss" that keeps the codes of found; None where the FAISS of the module does not read them."""
    faiss = faiss_module("from_faiss")
    options = {"metric": found.metric, "nprobe": found.options.get("nprobe", 16)}
    try:
        return module.FaissIndex.from_faiss_bytes(faiss.serialize_index(found.index).tobytes(), found.vectors, numbers, options)
    except ValueError as error:
        warnings.warn(f"{found.type} of FAISS {faiss.__version__} is searched by an ItemIndex of kind {found.kind!r} instead: {error}", UserWarning,
                      stacklevel=3)
        return None


def positions(order, ids):
    """Where each of ids stands in order, which holds them all, each once."""
    by = np.argsort(order)
    return by[np.searchsorted(order, ids, sorter=by)]


def structure(core, ids, metric):
    """The index of FAISS inside an index of kind "faiss", as it answers: queries of any length, codes scored again from the rows."""
    faiss = faiss_module("to_faiss")
    index = faiss.deserialize_index(np.frombuffer(core.to_faiss_bytes(), np.uint8))
    rows, numbers = core.rows()
    own = faiss.vector_to_array(index.id_map)
    order = positions(numbers, own)
    inner = faiss.downcast_index(index.index)
    settings = _settings_of(faiss, inner)
    if _name(settings) not in ("IndexFlat", "IndexFlatL2", "IndexFlatIP", "IndexHNSWFlat", "IndexNSGFlat", "IndexIVFFlat"):
        kept = np.ascontiguousarray(rows[order])  # until it is copied: a pointer keeps nothing
        refined = faiss.IndexRefineFlat(inner, faiss.swig_ptr(kept))
        refined.own_fields, refined.k_factor = True, float(core.options()["rescore_factor"])
        inner = refined
    if metric == "cosine":
        unit = faiss.NormalizationTransform(inner.d, 2.0)
        unit.this.disown()
        behind = faiss.IndexPreTransform(unit, inner)
        behind.own_fields = True
        inner.this.disown()
        inner = behind
    if int(inner.this) != int(index.index.this):
        inner.this.disown()
        index.index = inner
    if ids is not None:
        faiss.copy_array_to_vector(np.ascontiguousarray(ids[order]), index.id_map)
        index.construct_rev_map()
    return index


def build(rows, ids, metric, factory):
    """An index of the user's FAISS over rows: inner products, squared distances, or cosines of queries of any length."""
    faiss = faiss_module("to_faiss")
    if not isinstance(factory, str):
        raise TypeError(f"factory is {factory!r}, must be text as faiss.index_factory reads it, such as 'IVF64,Flat'")
    if not factory or re.search(r"(?<![0-9])0+(?![0-9])", factory):  # which FAISS divides by, or makes no lists of
        raise ValueError(f"factory is {factory!r}, must name a type, and hold numbers from 1 on")
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    try:
        index = faiss.index_factory(rows.shape[1], f"IDMap2,{'L2norm,' if metric == 'cosine' else ''}{factory}", kind)
    except RuntimeError as error:
        raise ValueError(f"factory is {factory!r}, which FAISS {faiss.__version__} does not know: {str(error).splitlines()[-1]}") from error
    try:
        if not index.is_trained:
            index.train(rows)
        if len(rows):
            index.add_with_ids(rows, ids)
    except RuntimeError as error:
        raise ValueError(f"factory is {factory!r}, which FAISS {faiss.__version__} cannot fill with {len(rows)} items: {str(error).splitlines()[-1]}") from error
    return index
