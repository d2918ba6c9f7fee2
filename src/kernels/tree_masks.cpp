// SPDX-License-Identifier: Apache-2.0
#include <hwy/highway.h>

#include "kernels/tree_masks.hpp"

HWY_BEFORE_NAMESPACE();
namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128

// Plain x86-64: eight rows side by side without branches, which the compiler puts into SSE2.
void strike(const TreeNodes& nodes, const double* x, std::uint64_t* masks) {
  double highest = x[0];
  for (std::size_t r = 1; r < kTreeRows; ++r) highest = x[r] > highest || highest != highest ? x[r] : highest;
  for (std::size_t i = 0; i < nodes.size; ++i) {
    const double threshold = nodes.threshold[i];
    if (!(highest > threshold)) return;
    const std::uint64_t strike_out = ~nodes.keep[i];
    std::uint64_t* mask = masks + nodes.tree[i] * kTreeRows;
    for (std::size_t r = 0; r < kTreeRows; ++r) mask[r] &= ~(strike_out & (std::uint64_t{0} - static_cast<std::uint64_t>(x[r] > threshold)));
  }
}

#else

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<double, kTreeRows>;
using U = hn::RebindToUnsigned<D>;
constexpr D kTag;
constexpr U kBits;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr std::size_t kVectors = kTreeRows / kLanes;

void strike(const TreeNodes& nodes, const double* x, std::uint64_t* masks) {
  hn::Vec<D> value[kVectors];
  for (std::size_t v = 0; v < kVectors; ++v) value[v] = hn::Load(kTag, x + v * kLanes);
  for (std::size_t i = 0; i < nodes.size; ++i) {
    const auto threshold = hn::Set(kTag, nodes.threshold[i]);
    const auto keep = hn::Set(kBits, nodes.keep[i]);
    std::uint64_t* mask = masks + nodes.tree[i] * kTreeRows;
    bool any = false;
    for (std::size_t v = 0; v < kVectors; ++v) {
      const auto above = hn::Gt(value[v], threshold);
      any |= !hn::AllFalse(kTag, above);
      const auto old = hn::Load(kBits, mask + v * kLanes);
      hn::Store(hn::IfThenElse(hn::RebindMask(kBits, above), hn::And(old, keep), old), kBits, mask + v * kLanes);
    }
    if (!any) return;
  }
}

#endif

}  // namespace

extern const TreeMasksTable tree_masks_table;
const TreeMasksTable tree_masks_table{strike};

}  // namespace etalage::kernels::ETALAGE_SIMD_NAMESPACE
HWY_AFTER_NAMESPACE();
