// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "detail/random_stream.hpp"
#include "datasets/synthetic_catalog.hpp"
#include "etalage/datasets/synthetic_store.hpp"

namespace etalage::detail {

/// Circles of people with a taste in common; each loves a few leaves of the catalogue.
inline constexpr std::int32_t kSegments = 24;

/// Day `index` of the record in the calendar; leap years are not kept, which moves Christmas by a day at most.
struct Day {
  std::int32_t weekday;  ///< 0 is Monday
  std::int32_t of_year;
  std::int8_t season;    ///< 0 is January to March
  Day(std::int64_t start_ms, std::int32_t index) {
    const std::int64_t day = start_ms / 86'400'000 + index;
    weekday = static_cast<std::int32_t>((day + 3) % 7);
    of_year = static_cast<std::int32_t>((day % 1461) % 365);
    season = static_cast<std::int8_t>(of_year * 4 / 365);
  }
};

/// Columns of the log while it is ordered by shopper. Sessions are counted from 0 for each shopper.
struct ShopperEvents {
  std::vector<std::int32_t> items;
  std::vector<std::uint16_t> types;
  std::vector<std::int64_t> times;
  std::vector<float> values;
  std::vector<std::int32_t> sessions;
  explicit ShopperEvents(std::size_t n) : items(n), types(n), times(n), values(n), sessions(n) {}
};

/// Acts out one shopper after another; the vectors inside are reused.
class Shopper {
 public:
  Shopper(const SyntheticStoreOptions& options, const CatalogModel& catalog, std::span<const std::uint32_t> days)
      : options_(options), catalog_(catalog), days_(days) {}
  /// Writes rows [begin, end) of `out` for shopper `user`, in time order; returns the number of sessions.
  std::int32_t shop(std::int32_t user, std::size_t begin, std::size_t end, ShopperEvents& out, std::int32_t& segment);

 private:
  struct Cycle {
    std::int32_t item;
    std::int32_t due_day;
    std::int32_t days;
  };
  struct Return {
    std::int32_t item;
    float quantity;
  };
  void form_taste(RandomStream& random, std::int32_t user, std::int32_t& segment);
  void plan_visits(RandomStream& random, std::size_t events);
  std::int32_t pick_leaf(RandomStream& random, const Day& day);
  std::int32_t pick_item(RandomStream& random, std::int32_t leaf, std::int32_t day);
  [[nodiscard]] int liking(const ItemTraits& item) const;

  const SyntheticStoreOptions& options_;
  const CatalogModel& catalog_;
  std::span<const std::uint32_t> days_;

  std::vector<std::int32_t> leaves_;  // loved ones, best first
  std::uint8_t style_ = 0;
  int tier_ = 0;
  int thrift_ = 0;                    // how much a price above the own tier puts off
  std::uint16_t brands_[2] = {0, 0};
  std::int32_t first_day_ = 0;
  std::vector<std::int64_t> visits_;  // start of each, milliseconds
  std::vector<Cycle> cycles_;
  std::vector<Return> returns_;
};

}  // namespace etalage::detail
