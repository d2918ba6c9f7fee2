// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace etalage::search {

/// Rows by falling norm: by Cauchy and Schwarz a scan for the largest products ends where no row that is left is long
/// enough.
struct RowOrder {
  static constexpr std::size_t kStep = 64;
  std::vector<std::uint32_t> rows;  ///< a permutation; empty where a row is not finite or all are zero
  std::vector<float> reach;         ///< [ceil(rows / kStep)], at least the norm of rows[kStep * i] and of each behind it
  bool ascending = false;           ///< the rows lie as ever: most are nearly as long, and order gains little

  /// Of the first dim values of rows that lie stride apart.
  static RowOrder of(const float* data, std::size_t rows, std::size_t stride, std::size_t dim, int num_threads);
};

/// A request whose k-th best score so far is above what the rows behind a place of the order can reach.
inline bool out_of_reach(const RowOrder& order, std::size_t begin, float query_norm, float threshold) noexcept {
  const std::size_t at = begin / RowOrder::kStep;
  return at >= order.reach.size() || query_norm * order.reach[at] < threshold;
}

}  // namespace etalage::search
