// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <limits>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/event_log.hpp"

namespace etalage::detail {

/// A weight as it is stored: float32, where what is not 0 stays so (at least the smallest normal number, with its sign).
[[nodiscard]] inline float stored_weight(double w) noexcept {
  constexpr float least = std::numeric_limits<float>::min();
  const auto f = static_cast<float>(w);
  return w != 0 && std::abs(f) < least ? static_cast<float>(std::copysign(least, w)) : f;
}

/// options.value_transform and options.normalize_users over the rows of a canonical matrix, in place.
void transform_values(CsrMatrix& user_items, const InteractionOptions& options);

}  // namespace etalage::detail
