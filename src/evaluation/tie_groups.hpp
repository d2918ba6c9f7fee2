// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/evaluation/metrics.hpp"

namespace etalage {

/// Places [begin, begin + size) of a list, counted from 0, whose items have equal scores: every order of them is as good
/// as any other. `hits` of them are relevant.
struct TieGroup {
  std::size_t begin;
  std::size_t size;
  std::size_t hits;
  /// Of its places, those among the first k.
  [[nodiscard]] std::size_t within(std::size_t k) const noexcept { return k <= begin ? 0 : k - begin < size ? k - begin : size; }
};

/// The groups that hold the first k places of `ranked`, the last one whole even where it goes on behind place k. The list
/// ends at its first negative item; what is missing after it belongs to no group. relevant is sorted and unique; scores
/// is descending [ranked.size()], or empty where the order is meant as it stands: each place is a group then.
void tie_groups(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, std::span<const float> scores,
                std::size_t k, std::vector<TieGroup>& out);

/// Whether the cut behind place k separates items of equal score.
[[nodiscard]] bool cut_in_tie(std::span<const TieGroup> groups, std::size_t k) noexcept;

/// The metric's expectation when each group is put into a random order, all orders alike and groups independent of each
/// other; num_relevant counts all relevant items, listed or not. Not for kCoverage.
[[nodiscard]] double expected_metric(Metric metric, std::span<const TieGroup> groups, std::size_t num_relevant, std::size_t k);

}  // namespace etalage
