// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// A share between 0 and 1 as the decimal that people mean by it: the double nearest to 0.8 is 4/5, not a little more.
/// What is compared with it are integer counts, never quotients.
struct ETALAGE_EXPORT Share {
  std::uint64_t numerator = 0;  ///< of the share of baskets
  std::uint64_t denominator = 1;  ///< of the share of baskets; > 0
  /// The shortest decimal that reads back as `value`. std::invalid_argument unless value is in [0, 1].
  [[nodiscard]] static Share of(double value, const char* argument = "share");
  /// part / whole >= this share, exactly, for any whole > 0.
  [[nodiscard]] bool reached_by(std::uint64_t part, std::uint64_t whole) const noexcept;
  /// The smallest part of `whole` that reaches this share.
  [[nodiscard]] std::uint64_t smallest_part(std::uint64_t whole) const noexcept;
};

/// Settings of the search for frequent sets.
struct ETALAGE_EXPORT FrequentSetOptions {
  std::int64_t min_count = 1;          ///< baskets that hold all items of a set; >= 1
  std::int32_t max_length = 0;         ///< items of a set; 0 means any
  std::int64_t max_sets = 20'000'000;  ///< more than that is an error: min_count is too small; >= 1
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "min_count", o.min_count, OptionRule(">= 1"), "max_length", o.max_length, OptionRule(">= 0 (0 means any)"),
                  "max_sets", o.max_sets, OptionRule(">= 1"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Item sets in flat form: set s is items[offsets[s] .. offsets[s + 1]), ascending, in counts[s] baskets.
struct ETALAGE_EXPORT FrequentSets {
  std::vector<std::int64_t> offsets{0};  ///< [sets + 1]
  std::vector<std::int32_t> items;  ///< [entries], of a set ascending
  std::vector<std::int64_t> counts;  ///< [sets] baskets with all of it
  std::int64_t baskets = 0;  ///< all of them, empty ones too
  [[nodiscard]] std::size_t size() const noexcept { return counts.size(); }
  /// Items of set s; not checked.
  [[nodiscard]] std::span<const std::int32_t> of(std::size_t s) const noexcept {
    return {items.data() + offsets[s], static_cast<std::size_t>(offsets[s + 1] - offsets[s])};
  }
};

/// Every set of items that at least min_count baskets hold, with its exact count; shorter sets first, then larger counts,
/// then lower items.
///
/// offsets int64 [n + 1], items int32 in any order; an item that is twice in a basket counts once, an empty basket counts as a basket.
/// Depth first over projected baskets: those that hold a set, cut to the items that are frequent beside it. Working memory is
/// a few times the baskets for each level, whatever the number of candidates.
/// Threads   the same result for any num_threads
/// Errors    std::invalid_argument (offsets, negative items, more than max_sets sets, 2^32 entries or more)
[[nodiscard]] ETALAGE_EXPORT FrequentSets frequent_sets(std::span<const std::int64_t> offsets, std::span<const std::int32_t> items,
                                                        const FrequentSetOptions& options);

}  // namespace etalage
