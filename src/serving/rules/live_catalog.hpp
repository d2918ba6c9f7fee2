// SPDX-License-Identifier: Apache-2.0
// What was said of products since the catalogue was made, by the rows of one snapshot.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string_view>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "serving/rules/live_offers.hpp"
#include "serving/ranking/live_sources.hpp"
#include "serving/rules/range_column.hpp"

namespace etalage::serving {

/// Threads  every member may be called concurrently. Locks are taken in one order, this one's before that of the offers:
///          callers of priced() and catch_up() hold no LiveOffers::Reading
class LiveCatalog {
 public:
  /// prices: of the catalogue, null where it is small or has none.
  LiveCatalog(const LiveOffers& offers, const LiveRows& rows, std::shared_ptr<const RangeColumn> prices);

  [[nodiscard]] const LiveOffers& offers() const noexcept { return offers_; }
  [[nodiscard]] const LiveRows& rows() const noexcept { return rows_; }
  /// Whether anything of this kind is said, anywhere; whether something is said of a place; whether something is set
  /// unavailable there or everywhere. No Reading may be held.
  [[nodiscard]] bool says(LiveOffers::What what) const;
  [[nodiscard]] bool knows(std::string_view place) const;
  [[nodiscard]] bool withholds(std::string_view place) const;
  /// Products by the prices of everywhere; nothing where there is no column, and what says so.
  [[nodiscard]] std::optional<ItemBitmap> priced(float min, float max) const;
  /// Moves what was said of prices everywhere into the column.
  void catch_up() const;

 private:
  void rebuild() const;
  const LiveOffers& offers_;
  const LiveRows& rows_;
  const std::shared_ptr<const RangeColumn> base_;
  mutable std::shared_mutex mutex_;                // guards what follows
  mutable std::unique_ptr<RangeColumn> own_;       // null while nothing was said: base_ holds
  mutable std::atomic<std::uint64_t> version_{0};  // of the offers that own_ has taken in
  mutable std::vector<LiveOffers::Change> changes_;
};

}  // namespace etalage::serving
