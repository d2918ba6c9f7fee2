// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/slot.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// A group of an experiment and its share of the shoppers.
struct GroupShare {
  std::string group;  ///< its name
  double share = 0;  ///< in [0, 1]; 0 or at least half a slot
};

/// Which group of an experiment a shopper is in, for shares that stay: number in `shares`, -1 for nobody. The first group
/// has the first slots, and so on; the border of slots is that of the shares summed, rounded. What the shares leave of 1
/// is nobody's. The same as Allocation(salt, shares).assign(key).
/// std::invalid_argument: no group, a name twice or empty, a share out of range, shares above 1 together.
[[nodiscard]] ETALAGE_EXPORT std::int32_t assign(std::string_view key, std::string_view salt, std::span<const GroupShare> shares);
[[nodiscard]] ETALAGE_EXPORT std::int32_t assign(std::int64_t key, std::string_view salt, std::span<const GroupShare> shares);

/// A table of who has which slot, to be kept for as long as an experiment runs. Immutable: a change gives a new table, in
/// which slots moved between one group and nobody alone, so no shopper ever goes from one group to another.
class ETALAGE_EXPORT Allocation {
 public:
  Allocation(std::string salt, std::span<const GroupShare> shares);  ///< shares must add up to 1; std::invalid_argument

  /// Number in groups(), -1 for nobody.
  [[nodiscard]] std::int32_t assign(std::string_view key) const { return table_[static_cast<std::size_t>(slot(key, salt_))]; }
  [[nodiscard]] std::int32_t assign(std::int64_t key) const { return table_[static_cast<std::size_t>(slot(key, salt_))]; }
  /// The group, which may be new, has round(share * kSlots) slots from here on: it takes the lowest free ones, or gives up
  /// its highest. std::invalid_argument when fewer are free than it needs.
  [[nodiscard]] Allocation with_share(std::string_view group, double share) const;

  [[nodiscard]] const std::string& salt() const noexcept { return salt_; }  ///< what keeps experiments apart from each other
  [[nodiscard]] std::span<const std::string> groups() const noexcept { return groups_; }  ///< names, in the order of the shares
  /// Group of each slot [kSlots], -1 for nobody.
  [[nodiscard]] std::span<const std::int16_t> table() const noexcept { return table_; }
  [[nodiscard]] std::int32_t slots_of(std::size_t group) const;

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static Allocation from_state(const StateReader& reader);

 private:
  Allocation() = default;
  std::string salt_;
  std::vector<std::string> groups_;
  std::vector<std::int16_t> table_;
};

/// One list made of two rankers' lists, by which a shopper's clicks compare them.
struct Interleaved {
  std::vector<std::int32_t> items;  ///< as they are shown
  std::vector<std::int32_t> teams;  ///< [items]: 0 first list, 1 second; balanced: who put the item there
};

/// Team draft (Radlinski, Kurup, Joachims, CIKM 2008): in each round both lists pick their best item not there yet, in an
/// order drawn anew. A click counts for the team of the item. Items below 0 and repeats are passed over; at most k items.
[[nodiscard]] ETALAGE_EXPORT Interleaved team_draft(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                                                    std::size_t k, std::uint64_t seed);
/// Balanced (Joachims, 2002): the lists take turns by rank, the first turn drawn once. Judge it by balanced_credit.
[[nodiscard]] ETALAGE_EXPORT Interleaved balanced(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                                                  std::size_t k, std::uint64_t seed);
/// Clicks that each side of an interleaved list earned.
struct InterleavingCredit {
  std::int32_t first = 0;  ///< that the first list gets
  std::int32_t second = 0;  ///< that the second list gets
};
/// Clicks among the best j items of each list, j the least rank by which one of them shows the lowest item clicked.
/// clicked [shown]: 0 or 1. std::invalid_argument when lengths differ.
[[nodiscard]] ETALAGE_EXPORT InterleavingCredit balanced_credit(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                                                                std::span<const std::int32_t> shown, std::span<const std::uint8_t> clicked);

}  // namespace etalage
