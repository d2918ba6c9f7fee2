// SPDX-License-Identifier: Apache-2.0
// Time as profiles measure it. Differences are taken in doubles: int64 ones could overflow for invented times.
#pragma once

#include <cmath>
#include <cstdint>

#include "detail/days.hpp"

namespace etalage::profile {

inline double minutes_between(std::int64_t from_ms, std::int64_t to_ms) noexcept {
  return (static_cast<double>(to_ms) - static_cast<double>(from_ms)) / 60000.0;
}

inline double days_between(std::int64_t from_ms, std::int64_t to_ms) noexcept {
  return (static_cast<double>(to_ms) - static_cast<double>(from_ms)) / detail::kMsPerDay;
}

inline double halved(double days, double half_life_days) noexcept { return days <= 0 ? 1.0 : std::exp2(-days / half_life_days); }

}  // namespace etalage::profile
