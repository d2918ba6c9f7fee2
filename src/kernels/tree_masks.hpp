// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// Rows that trees are scored for at a time.
inline constexpr std::size_t kTreeRows = 8;

/// Nodes of one feature and one way of missing, by rising threshold.
struct TreeNodes {
  const double* threshold;
  const std::uint32_t* tree;
  const std::uint64_t* keep;  ///< leaves of the tree that a row going to the right can still reach
  std::size_t size;
};

struct TreeMasksTable {
  /// masks [tree][kTreeRows] &= keep for each row whose x [kTreeRows] is above the threshold; NaN is above none. Both
  /// aligned to 64 bytes.
  void (*strike)(const TreeNodes& nodes, const double* x, std::uint64_t* masks);
};

ETALAGE_DECLARE_KERNELS(TreeMasksTable, tree_masks)

}  // namespace etalage::kernels
