// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/exact_scan.hpp"

namespace etalage::kernels {

constexpr std::size_t rounded_up(std::size_t n, std::size_t unit) noexcept { return (n + unit - 1) / unit * unit; }

/// Which rows a request is scored against, and what is still to be looked up of its filter.
struct Plan {
  bool listed = false;
  std::span<const std::int64_t> list;  // ascending, inside the rows
  const ItemFilter* filter = nullptr;
  [[nodiscard]] std::size_t size(const ScoredRows& rows) const noexcept { return listed ? list.size() : rows.rows; }
  [[nodiscard]] std::size_t row(std::size_t i) const noexcept { return listed ? static_cast<std::size_t>(list[i]) : i; }
};

inline Plan plan(const ScoredRows& rows, const ItemFilter* filter) {
  Plan p;
  if (filter == nullptr || filter->allows_everything()) return p;
  p.filter = filter;
  if (!filter->has_allow_list()) return p;
  const std::int64_t denied = static_cast<std::int64_t>(filter->denied_ids().size());
  const auto most = filter->count_allowed(static_cast<std::int64_t>(rows.rows)) + denied;
  if (most > static_cast<std::int64_t>(rows.rows / 2)) return p;  // the rows in order, looked up, are quicker than the list
  const std::span<const std::int64_t> ids = filter->allowed_ids();
  const auto end = std::lower_bound(ids.begin(), ids.end(), static_cast<std::int64_t>(rows.rows));
  const auto n = static_cast<std::size_t>(end - ids.begin());
  p.listed = true;
  p.list = ids.first(n);
  if (filter->denied_ids().empty()) p.filter = nullptr;
  return p;
}

/// As exact_top_k() of several requests over the same rows, `members` of them, by way of rows in eight bits: the keys of
/// member m into keys + m * room. False when that does not pay or does not apply.
bool scan_coded_together(const ScoredRows& rows, std::span<const ScanRequest> requests, std::span<const std::size_t> members,
                         std::uint64_t* keys, std::size_t room, std::span<std::span<const std::uint64_t>> results,
                         ScanWorkspace& workspace, const ScanTable& table, const CodeTable& codes);

}  // namespace etalage::kernels
