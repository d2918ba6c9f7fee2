// SPDX-License-Identifier: Apache-2.0
// What an exact EASE takes.
#pragma once

#include <algorithm>

#include "etalage/models/ease.hpp"

namespace etalage::detail {

struct EaseBytes {
  double over_items = 0;  // in place
  double over_users = 0;  // beside W
  [[nodiscard]] double least() const noexcept { return std::min(over_items, over_users); }
};

[[nodiscard]] inline EaseBytes ease_bytes(const EaseOptions& o, double users, double items) noexcept {
  const double whole = 4 * items * items;
  return {whole, 4 * users * users + (o.num_neighbors > 0 ? 24 * items * std::min<double>(items, o.num_neighbors) : whole)};
}

/// What method becomes where it is not given.
[[nodiscard]] inline EaseMethod ease_method(const EaseOptions& o, double users, double items) noexcept {
  return ease_bytes(o, users, items).least() <= static_cast<double>(o.memory_budget) ? EaseMethod::kExact : EaseMethod::kApproximate;
}

}  // namespace etalage::detail
