// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace etalage::detail {

/// Times are milliseconds since 1970; habits, decay and ages are told in days.
inline constexpr double kMsPerDay = 86'400'000.0;

}  // namespace etalage::detail
