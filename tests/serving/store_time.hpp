// SPDX-License-Identifier: Apache-2.0
// The time at which tests of event stores play, and names of what is in them.
#pragma once

#include <cstdint>
#include <string>

namespace etalage::test {

constexpr std::int64_t kNow = 1'700'000'000'000;
constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

inline std::string named(std::string prefix, std::int64_t number) { return prefix.append(std::to_string(number)); }

}  // namespace etalage::test
