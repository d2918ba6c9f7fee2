// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "etalage/core/event_columns.hpp"

namespace etalage::detail {

// Times outside the years 1 to 9999 are refused: they come from a wrong unit far more often than from a shop.
inline constexpr std::int64_t kMinTimeMs = -62135596800000;
inline constexpr std::int64_t kMaxTimeMs = 253402300799999;

/// Without the blanks and tabs around it.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

/// ISO-8601: YYYY-MM-DD, then optionally 'T' or a space and hh:mm[:ss[.fraction]], then optionally Z or +hh[:]mm.
/// '/' may stand for '-' in the date. Without a zone the time is UTC. Fractions are cut to milliseconds, downwards.
[[nodiscard]] std::optional<std::int64_t> parse_iso_time(std::string_view text) noexcept;

/// A count of `unit` since 1970-01-01 as milliseconds, rounded down; nothing outside the years 1 to 9999.
[[nodiscard]] std::optional<std::int64_t> epoch_to_ms(std::int64_t count, TimeUnit unit) noexcept;
[[nodiscard]] std::optional<std::int64_t> epoch_to_ms(double count, TimeUnit unit) noexcept;

/// Text of a time column: ISO-8601, or a number when a unit is given.
[[nodiscard]] std::optional<std::int64_t> parse_time(std::string_view text, const std::optional<TimeUnit>& unit) noexcept;

[[nodiscard]] const char* unit_name(TimeUnit unit) noexcept;

}  // namespace etalage::detail
