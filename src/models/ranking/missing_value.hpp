// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <limits>

namespace etalage {

/// A feature that is not known, which rankers treat as missing and never as 0.
inline constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

}  // namespace etalage
