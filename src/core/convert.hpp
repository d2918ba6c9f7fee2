// SPDX-License-Identifier: Apache-2.0
// Columns of any type as the library's own arrays. Rows that cannot be converted are marked, not thrown: the caller
// decides, and asks why_no_*() for the words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/column.hpp"
#include "etalage/core/array.hpp"
#include "etalage/core/event_columns.hpp"

namespace etalage::detail {

/// UTC milliseconds. bad[i] |= mark where row i is missing, unreadable or outside the years 1 to 9999.
/// std::invalid_argument when the type cannot hold times, or holds numbers and `unit` is not given or plainly wrong.
[[nodiscard]] Array<std::int64_t> to_times(const Column& column, const std::optional<TimeUnit>& unit,
                                           std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads);

/// Finite floats; bad[i] |= mark where row i is missing, unreadable, NaN, infinite or beyond float32.
/// With `nullable`, missing cells become NaN instead of being marked.
[[nodiscard]] Array<float> to_floats(const Column& column, std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads,
                                     bool nullable = false);

/// A column of text as one of integers, for keys that shall be integers: a cell that is no plain integer (17, not 017 or
/// +17) is missing in it.
[[nodiscard]] Column integers_of(const Column& text, int num_threads);

/// A cell as text, whole: text itself, integers and floats in their shortest form. Nothing for missing cells and NaN.
/// std::invalid_argument for dates and lists.
[[nodiscard]] std::optional<std::string> cell_string(const Column& column, std::int64_t row);
/// The texts of a list's cells, or the one of a cell that is no list (nothing for a missing one); nothing for missing
/// lists. std::invalid_argument for dates.
[[nodiscard]] std::vector<std::string> cell_strings(const Column& column, std::int64_t row);

/// Why a cell is no key, no time, no number, in words that name the column and the value.
[[nodiscard]] std::string why_no_key(const Column& column, std::int64_t row, const std::optional<IdMap::Kind>& wanted = {});
[[nodiscard]] std::string why_no_time(const Column& column, std::int64_t row, const std::optional<TimeUnit>& unit);
[[nodiscard]] std::string why_no_number(const Column& column, std::int64_t row);

/// What stands in a cell, shortened for messages; nothing when it is missing.
[[nodiscard]] std::optional<std::string> cell_text(const Column& column, std::int64_t row, std::size_t limit = 40);

}  // namespace etalage::detail
