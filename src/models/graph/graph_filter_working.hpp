// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "etalage/models/graph_filter.hpp"
#include "core/scratch.hpp"

namespace etalage {

/// Grows on first use. Between queries every entry of users_sum is zero.
struct GraphFilterModel::Working {
  std::vector<std::int32_t> items;    // the history that is asked about, ascending and unique
  std::vector<float> values;
  std::vector<std::pair<std::int32_t, float>> pairs;  // the two, while they are sorted
  std::vector<float> weights;         // values times a scale
  std::vector<float> user_sums;       // [users]
  std::vector<std::int32_t> touched;  // users with an entry in user_sums
  std::vector<float> linear;          // [items x lanes], scores of the polynomial
  std::vector<float> input;           // [items x lanes] of polynomial(): h, then the term before last
  std::vector<float> term;            // [items x lanes]
  std::vector<float> scaled;          // [items x lanes]
  std::vector<float> middle;          // [users x lanes]
  std::vector<float> folded;          // [factors]
  std::vector<float> low;             // low-pass scores
  std::vector<std::int32_t> all;      // 0, 1, ... items - 1
};

}  // namespace etalage
