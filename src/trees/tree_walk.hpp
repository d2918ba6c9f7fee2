// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "etalage/trees/tree_ensemble.hpp"

namespace etalage::trees {

/// LightGBM's kZeroThreshold: a value this near to 0 is a zero that missing_type Zero takes for missing.
inline constexpr double kZeroThreshold = static_cast<double>(1e-35f);

inline MissingType missing_type(std::uint8_t flag) noexcept { return static_cast<MissingType>((flag >> TreeEnsembleParts::kMissingShift) & 3); }

/// Whether category `x` is in a set. A fraction is cut off, as LightGBM's cast does; XGBoost (float_rows) knows no
/// category below 0.
inline bool in_set(const TreeEnsembleParts& p, std::size_t set, double x) noexcept {
  if (!(p.float_rows ? x >= 0 : x > -1)) return false;
  const auto begin = p.set_offsets[set];
  const auto words = p.set_offsets[set + 1] - begin;
  if (x >= static_cast<double>(words) * 32) return false;
  const auto c = static_cast<std::int64_t>(x);
  return ((p.set_words[static_cast<std::size_t>(begin + c / 32)] >> (c % 32)) & 1u) != 0;
}

/// Whether the row whose value of the node's feature is x goes to the left child.
inline bool goes_left(const TreeEnsembleParts& p, std::size_t node, double x) noexcept {
  const std::uint8_t flag = p.flag[node];
  const MissingType type = missing_type(flag);
  if (std::isnan(x)) {
    if (type != MissingType::kNone) return (flag & TreeEnsembleParts::kMissingLeft) != 0;
    x = 0;
  } else if (type == MissingType::kZero && std::abs(x) <= kZeroThreshold) {
    return (flag & TreeEnsembleParts::kMissingLeft) != 0;
  }
  if ((flag & TreeEnsembleParts::kCategorical) != 0) return in_set(p, static_cast<std::size_t>(p.threshold[node]), x);
  return x <= p.threshold[node];
}

/// The leaf of one tree that a row reaches.
template <class T>
std::size_t walk(const TreeEnsembleParts& p, std::size_t root, const T* row) noexcept {
  std::size_t i = root;
  while (p.feature[i] >= 0) {
    double x = static_cast<double>(row[static_cast<std::size_t>(p.feature[i])]);
    if (p.float_rows) x = static_cast<double>(static_cast<float>(x));
    i = static_cast<std::size_t>(goes_left(p, i, x) ? p.left[i] : p.right[i]);
  }
  return i;
}

}  // namespace etalage::trees
