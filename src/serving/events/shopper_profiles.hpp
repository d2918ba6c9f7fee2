// SPDX-License-Identifier: Apache-2.0
// The profile of a shopper as they stand: what the snapshot's profiles say of them, and every live event after that.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/profile/user_profile.hpp"
#include "etalage/serving/event_store.hpp"
#include "etalage/serving/snapshot.hpp"
#include "serving/ranking/live_sources.hpp"

namespace etalage::serving {

/// Of one snapshot. Events become profiles by UserProfile::observe, the one that batch profiles use, in the same order.
class ShopperProfiles {
 public:
  ShopperProfiles(const Snapshot& snapshot, const EventStoreOptions& events, const LiveRows& rows);

  /// row: of the snapshot's users, -1 for an unknown one. Events of the view up to trained_ms are left out where the
  /// snapshot's profiles know the shopper; of one whom they do not know, what fell out of their history counts in the totals.
  /// Items are rows of the catalogue; those it lacks come behind them.
  void make(std::int32_t row, const UserView& view, UserProfile& out) const;
  /// Shares of the catalogue's groups in what they like: target [groups]; false, and zeros, when nothing is known.
  bool target(const UserProfile& profile, std::span<float> out) const;
  /// Groups of target(); 0 where the grouping is not one that profiles keep.
  [[nodiscard]] std::size_t num_groups() const noexcept { return num_groups_; }

 private:
  void begin(const EarlierTotals& earlier, UserProfile& out) const;
  [[nodiscard]] std::int32_t row_of(std::int32_t item) const;
  void map_categories(const ItemGroups& groups, std::int32_t depth);

  const Snapshot& snapshot_;
  const LiveRows& rows_;
  std::vector<EventRole> roles_;          // by the store's types
  std::size_t num_groups_ = 0;
  std::vector<std::int32_t> category_;    // group of a category node, -1 without
  std::vector<std::int32_t> brand_;
};

}  // namespace etalage::serving
