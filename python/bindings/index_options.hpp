// SPDX-License-Identifier: Apache-2.0
// Settings of ItemIndex to and from Python.
#pragma once

#include <pybind11/pybind11.h>

#include "etalage/retrieval/item_index.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

inline constexpr std::initializer_list<std::pair<const char*, IndexMetric>> kIndexMetrics{
    {"cosine", IndexMetric::kCosine}, {"dot", IndexMetric::kDot}, {"l2", IndexMetric::kL2}};
inline constexpr std::initializer_list<std::pair<const char*, IndexKind>> kIndexKinds{
    {"exact", IndexKind::kExact}, {"hnsw", IndexKind::kHnsw}, {"ivf_pq", IndexKind::kIvfPq}, {"ivf", IndexKind::kIvf}};

inline ItemIndexOptions index_options_from(const py::dict& d) {
  ItemIndexOptions o;
  set_option(d, "M", o.M);
  set_option(d, "ef_construction", o.ef_construction);
  set_option(d, "ef_search", o.ef_search);
  set_option(d, "nlist", o.nlist);
  set_option(d, "nprobe", o.nprobe);
  set_option(d, "pq_m", o.pq_m);
  set_option(d, "pq_bits", o.pq_bits);
  set_option(d, "recall", o.recall);
  set_option(d, "rescore_factor", o.rescore_factor);
  set_option(d, "compact_share", o.compact_share);
  set_option(d, "seed", o.seed);
  set_option(d, "num_threads", o.num_threads);
  set_option(d, "deterministic", o.deterministic);
  return o;
}

inline py::dict index_options_to(const ItemIndexOptions& o) {
  py::dict d;
  d["M"] = o.M;
  d["ef_construction"] = o.ef_construction;
  d["ef_search"] = o.ef_search;
  d["nlist"] = o.nlist;
  d["nprobe"] = o.nprobe;
  d["pq_m"] = o.pq_m;
  d["pq_bits"] = o.pq_bits;
  d["recall"] = o.recall;
  d["rescore_factor"] = o.rescore_factor;
  d["compact_share"] = o.compact_share;
  d["seed"] = o.seed;
  d["num_threads"] = o.num_threads;
  d["deterministic"] = o.deterministic;
  return d;
}

}  // namespace etalage::python
