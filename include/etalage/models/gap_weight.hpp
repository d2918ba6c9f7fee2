// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace etalage {

/// How a weight falls with a number of places d = 1, 2, ...
enum class GapWeight : std::uint8_t {
  kDiv,        ///< 1 / d
  kQuadratic,  ///< 1 / d^2
  kLinear,     ///< max(0, 1 - 0.1 (d - 1))
  kLog,        ///< 1 / log10(d + 1.7)
  kSame        ///< 1
};

}  // namespace etalage
