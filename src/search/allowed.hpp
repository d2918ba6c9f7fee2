// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/item_filter.hpp"

namespace etalage::search {

/// What a request may be answered with, resolved once: which of n rows are read at all, and what is still looked up of each
/// survivor. Rows that are read come in ascending order unless `ascending` says otherwise.
struct Allowed {
  bool listed = false;
  std::span<const std::int64_t> list;      ///< the rows that are read, where listed: ascending, inside the rows
  const ItemFilter* filter = nullptr;      ///< null when every row that is read is allowed by it
  std::span<const std::int32_t> excluded;  ///< sorted
  bool ascending = true;                   ///< indices come in order; else what equals the k-th best may still win the tie
  std::size_t cursor = 0;                  ///< of ascending ones: excluded[0, cursor) lie below every index still to come
  const std::uint64_t* marks = nullptr;    ///< a bit for each excluded row, where they are marked

  /// A short allow list is read instead of the rows; of a longer one, and of a deny list, survivors are looked up.
  [[nodiscard]] static Allowed of(std::size_t rows, const ItemFilter* filter, std::span<const std::int32_t> excluded = {}) {
    Allowed a;
    a.excluded = excluded;
    if (filter == nullptr || filter->allows_everything()) return a;
    a.filter = filter;
    if (!filter->has_allow_list()) return a;
    const std::int64_t denied = static_cast<std::int64_t>(filter->denied_ids().size());
    const auto most = filter->count_allowed(static_cast<std::int64_t>(rows)) + denied;
    if (most > static_cast<std::int64_t>(rows / 2)) return a;  // the rows in order, looked up, are quicker than the list
    const std::span<const std::int64_t> ids = filter->allowed_ids();
    const auto end = std::lower_bound(ids.begin(), ids.end(), static_cast<std::int64_t>(rows));
    a.listed = true;
    a.list = ids.first(static_cast<std::size_t>(end - ids.begin()));
    if (filter->denied_ids().empty()) a.filter = nullptr;
    return a;
  }

  [[nodiscard]] std::size_t size(std::size_t rows) const noexcept { return listed ? list.size() : rows; }
  [[nodiscard]] std::size_t row(std::size_t i) const noexcept { return listed ? static_cast<std::size_t>(list[i]) : i; }
  [[nodiscard]] bool everything() const noexcept { return excluded.empty() && filter == nullptr; }

  /// Whether a row that was read may be among the results.
  [[nodiscard]] bool operator()(std::int32_t index) noexcept {
    if (marks != nullptr) {
      const auto row = static_cast<std::uint32_t>(index);
      if ((marks[row / 64] >> (row % 64) & 1) != 0) return false;
    } else if (!excluded.empty()) {
      if (!ascending) cursor = 0;
      cursor = static_cast<std::size_t>(
          std::lower_bound(excluded.begin() + static_cast<std::ptrdiff_t>(cursor), excluded.end(), index) - excluded.begin());
      if (cursor < excluded.size() && excluded[cursor] == index) return false;
    }
    return filter == nullptr || filter->allows(index);
  }
};

}  // namespace etalage::search
