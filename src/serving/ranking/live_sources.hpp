// SPDX-License-Identifier: Apache-2.0
// The engine's own candidate sources: what is live, between the store's item numbers and the snapshot's rows.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "etalage/extend/candidate_source.hpp"
#include "etalage/serving/event_store.hpp"
#include "etalage/serving/snapshot.hpp"

namespace etalage::serving {

inline constexpr std::array<std::string_view, 7> kOwnSources{"content", "popular_in_segment", "new_arrivals", "trending",
                                                             "co_purchase", "buy_again", "given"};

/// The mix of a snapshot that brings none: what is there, by what it is.
MixOptions default_mixes(const SnapshotParts& parts);

/// From the store's item numbers to the rows of one snapshot, and back. Looked up by key once an item, then remembered.
class LiveRows {
 public:
  LiveRows(const EventStore& store, const Catalog& catalog);
  ~LiveRows();
  LiveRows(const LiveRows&) = delete;
  LiveRows& operator=(const LiveRows&) = delete;
  /// -1 for an item that the catalogue does not have.
  [[nodiscard]] std::int32_t row_of(std::int32_t item) const;
  /// -1 for a product without events.
  [[nodiscard]] std::int32_t item_of(std::int32_t row) const;
  [[nodiscard]] std::int32_t row_of_key(KeyView key) const noexcept;

 private:
  static constexpr std::size_t kChunk = std::size_t{1} << 16;
  static constexpr std::size_t kChunks = (std::size_t{1} << 31) / kChunk;
  using Cell = std::atomic<std::int32_t>;  // 0: not looked up; row + 2 otherwise, 1 for none
  const EventStore& store_;
  const Catalog& catalog_;
  std::unique_ptr<std::atomic<Cell*>[]> chunks_;
};

/// All sources of a snapshot, live ones included; `rows` and `store` must outlive them.
std::vector<SharedSource> make_sources(const Snapshot& snapshot, const EventStore& store, const LiveRows& rows);

}  // namespace etalage::serving
