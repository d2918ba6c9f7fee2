// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "etalage/core/option_names.hpp"

namespace etalage {

/// How a weight falls with a number of places d = 1, 2, ...
enum class GapWeight : std::uint8_t {
  kDiv,        ///< 1 / d
  kQuadratic,  ///< 1 / d^2
  kLinear,     ///< max(0, 1 - 0.1 (d - 1))
  kLog,        ///< 1 / log10(d + 1.7)
  kSame        ///< 1
};
/// As options spell them.
template <>
inline constexpr auto option_names<GapWeight> = std::to_array<OptionName<GapWeight>>(
    {{"div", GapWeight::kDiv}, {"quadratic", GapWeight::kQuadratic}, {"linear", GapWeight::kLinear},
     {"log", GapWeight::kLog}, {"same", GapWeight::kSame}});

}  // namespace etalage
