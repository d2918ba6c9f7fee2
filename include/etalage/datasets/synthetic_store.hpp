// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Size of a made-up shop.
struct ETALAGE_EXPORT SyntheticStoreOptions {
  std::int32_t users = 2000;         ///< shoppers, >= 1
  std::int32_t items = 1000;         ///< products, >= 1
  std::int64_t events = 0;           ///< rows of the log, >= users; 0 means 40 a shopper
  std::int32_t days = 365;           ///< length of the record, in [1, 3650]
  std::int64_t start_ms = 1704067200000;  ///< midnight of the first day, UTC milliseconds; 2024-01-01
  std::uint64_t seed = 42;  ///< of the random numbers; equal seeds, equal stores
  int num_threads = 0;               ///< 0 means all CPUs; the content does not depend on it
  void validate() const;             ///< throws std::invalid_argument: field, value, bound
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "users", o.users, OptionRule(">= 1"), "items", o.items, OptionRule(">= 1"), "events", o.events,
                  OptionRule("in [0, 2000000000] (0 means 40 a shopper)"), "days", o.days, OptionRule("in [1, 3650]"), "start_ms", o.start_ms,
                  "seed", o.seed, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// A made-up shop: the record of what its shoppers did, and its catalogue. docs/datasets.md says what is planted.
struct ETALAGE_EXPORT SyntheticStore {
  /// One entry an item, in item index order.
  struct CatalogColumns {
    SharedIdMap item_ids;                    ///< "sku-000042"
    std::vector<std::string> names;          ///< "Norvel Oak Tray"
    std::vector<std::string> category_paths; ///< "Home > Kitchen > Trays"
    std::vector<std::string> brands;  ///< [items]
    std::vector<std::string> tags;           ///< style: "classic", "modern", ...
    Array<float> prices;                     ///< > 0
    Array<std::int32_t> stock;               ///< >= 0; what is sold out is looked at but never bought
    Array<std::int64_t> launch_ms;           ///< no event of an item lies before its launch
  };

  /// Ordered by time; events "view", "cart", "purchase", "return"; value is the quantity; with session ids.
  EventLog::Columns events;
  CatalogColumns catalog;
  /// The circle of taste that each shopper was drawn from, int32 [users] in [0, num_segments); known only here.
  Array<std::int32_t> segments;
  std::int32_t num_segments = 0;

  [[nodiscard]] EventLog log() const { return EventLog(events); }  ///< all events as a log
  /// A hash of every value above: equal for equal options on any machine, for any thread count.
  [[nodiscard]] ETALAGE_EXPORT std::uint64_t hash() const;
};

/// Makes a shop. Every random number is a function of the seed and of the shopper or product it is for, and only
/// exact arithmetic is used, so content is the same bits everywhere.
/// Cost      about 100 ns an event on one thread; 26 bytes an event, twice that while it is sorted by time
/// Errors    std::invalid_argument
[[nodiscard]] ETALAGE_EXPORT SyntheticStore make_synthetic_store(const SyntheticStoreOptions& options = {});

}  // namespace etalage
