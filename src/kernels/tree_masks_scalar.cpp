// SPDX-License-Identifier: Apache-2.0
#include "kernels/tree_masks.hpp"

namespace etalage::kernels::scalar {
namespace {

void strike(const TreeNodes& nodes, const double* x, std::uint64_t* masks) {
  for (std::size_t i = 0; i < nodes.size; ++i) {
    std::uint64_t* mask = masks + nodes.tree[i] * kTreeRows;
    bool any = false;
    for (std::size_t r = 0; r < kTreeRows; ++r) {
      const bool above = x[r] > nodes.threshold[i];
      any |= above;
      if (above) mask[r] &= nodes.keep[i];
    }
    if (!any) return;
  }
}

}  // namespace

const TreeMasksTable tree_masks_table{strike};

}  // namespace etalage::kernels::scalar
