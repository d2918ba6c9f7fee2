// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "search/exact.hpp"

namespace etalage::search {

constexpr std::size_t rounded_up(std::size_t n, std::size_t unit) noexcept { return (n + unit - 1) / unit * unit; }

/// As exact_top_k() of several requests over the same rows, `members` of them, by way of rows in eight bits: the keys of
/// member m into keys + m * room. False when that does not pay or does not apply.
bool scan_coded_together(const ScoredRows& rows, std::span<const ScanRequest> requests, std::span<const std::size_t> members,
                         std::uint64_t* keys, std::size_t room, std::span<std::span<const std::uint64_t>> results,
                         ScanWorkspace& workspace, const ScanTable& table, const CodeTable& codes);

}  // namespace etalage::search
