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

}  // namespace etalage::python
