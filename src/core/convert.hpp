// SPDX-License-Identifier: Apache-2.0
// Columns of any type as the library's own arrays. Rows that cannot be converted are marked, not thrown: the caller
// decides, and asks cell_text() and why_not_*() for the words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/column.hpp"
#include "etalage/core/array.hpp"
#include "etalage/core/event_columns.hpp"

namespace etalage::detail {

/// UTC milliseconds. bad[i] |= mark where row i is missing, unreadable or outside the years 1 to 9999.
/// std::invalid_argument when the type cannot hold times, or holds numbers and `unit` is not given.
[[nodiscard]] Array<std::int64_t> to_times(const Column& column, const std::optional<TimeUnit>& unit,
                                           std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads);

/// Finite floats; bad[i] |= mark where row i is missing, unreadable, NaN, infinite or beyond float32.
/// With `nullable`, missing cells become NaN instead of being marked.
[[nodiscard]] Array<float> to_floats(const Column& column, std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads,
                                     bool nullable = false);

/// What stands in a cell, shortened for messages; nothing when it is missing.
[[nodiscard]] std::optional<std::string> cell_text(const Column& column, std::int64_t row, std::size_t limit = 40);

}  // namespace etalage::detail
