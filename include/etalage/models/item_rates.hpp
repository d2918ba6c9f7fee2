// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Reactions per look of items that were shown in lists, from what was shown where and what became of it.
///
/// Model      an impression of item i at position p has on average l_p r_i reactions: l_p says how often p is looked at against the
///            first position (l_1 = 1), r_i is the rate of i. Rates are drawn from a prior of mean m and variance v; m and v are
///            those of the items at hand
/// Estimate   looks E_i = sum over impressions of l_p;  r_i = (reactions of i + k m) / (E_i + k), k = m / v: the linear Bayes
///            estimate (Buehlmann, Straub, 1970) for counts. m is the mean of observed rates with weights 1 / (m / E_i + v), v the
///            one at which their weighted squares are what is expected (Paule, Mandel, 1982), l_p = (reactions at p + 1) / (sum
///            over impressions there of r_i + 1): in turn until nothing moves
/// Never shown  an item has the prior's mean; so has every item where rates differ by no more than chance
/// Assumes    what is looked at does not depend on the item; each impression counts for itself. Positions and items can be told
///            apart only as far as the same items stood at several positions
/// Cost       O(n log n) once, then O(distinct pairs of item and position) a turn, at most 200 turns
struct ETALAGE_EXPORT ItemRates {
  Array<float> rates;          ///< [items] r_i, reactions per look
  Array<float> looks;          ///< [items] E_i
  std::vector<double> looked;  ///< [highest position] l_p; 1 where nothing was shown
  double prior_rate = 0;       ///< m
  double prior_looks = 0;      ///< k: as many looks as the prior weighs; infinite where rates do not differ

  static constexpr std::int32_t kMostPositions = 10'000;  ///< of positions

  /// One entry an impression: items in [0, num_items), positions in [1, kMostPositions], reactions finite and >= 0.
  /// std::invalid_argument names the array, the entry and the rule; also where no reaction is above 0.
  [[nodiscard]] static ItemRates of(std::span<const std::int32_t> items, std::span<const std::int32_t> positions,
                                    std::span<const float> reactions, std::int32_t num_items);
};

}  // namespace etalage
