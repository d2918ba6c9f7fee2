// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// Distances of float32 vectors, lanes along the dimensions: for few rows in any order, such as the walks of a graph.
/// No alignment is needed. dots and squared_distances give each row the bits of dot and squared_distance.
struct DotTable {
  float (*dot)(const float* a, const float* b, std::size_t dim);
  float (*squared_distance)(const float* a, const float* b, std::size_t dim);
  /// out[i] = query . rows[i] over i < n
  void (*dots)(const float* query, const float* const* rows, std::size_t n, std::size_t dim, float* out);
  /// out[i] = |query - rows[i]|^2 over i < n
  void (*squared_distances)(const float* query, const float* const* rows, std::size_t n, std::size_t dim, float* out);
};

ETALAGE_DECLARE_KERNELS(DotTable, dot)

}  // namespace etalage::kernels
