// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "etalage/models/gap_weight.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace etalage::detail {

[[nodiscard]] inline float gap_weight(GapWeight weighting, std::size_t gap) noexcept {
  const auto d = static_cast<float>(gap);
  switch (weighting) {
    case GapWeight::kDiv: return 1 / d;
    case GapWeight::kQuadratic: return 1 / (d * d);
    case GapWeight::kLinear: return std::max(0.0f, 1 - 0.1f * (d - 1));
    case GapWeight::kLog: return 1 / std::log10(d + 1.7f);
    case GapWeight::kSame: return 1;
  }
  return 0;
}

}  // namespace etalage::detail
