// SPDX-License-Identifier: Apache-2.0
// The event store that the golden journal "JournalLog" holds: segments without a compaction, events, a merge and an
// erasure.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "etalage/serving/event_store.hpp"

namespace etalage::testing {

inline constexpr std::int64_t kLogNow = 1'700'000'000'000;

inline EventStoreOptions log_sample_options() {
  EventStoreOptions o;
  o.now_ms = [] { return kLogNow; };
  o.journal.durability = Durability::kEveryEvent;
  o.journal.segment_bytes = 4096;
  o.compact_bytes = 0;
  return o;
}

/// Appends: GCC 12 warns of the other way round.
inline std::string name(std::string prefix, int n) { return prefix += std::to_string(n); }

inline void log_sample_events(EventStore& store) {
  for (int e = 0; e < 150; ++e) {
    const char* type = e % 4 == 0 ? "purchase" : e % 9 == 0 ? "return" : e % 3 == 0 ? "cart" : "view";
    store.observe({name("u", e % 11), name("i", (e * 7) % 13), type, kLogNow - 200 * 3'600'000LL + (e * 37 % 150) * 3'600'000LL});
    if (e == 60) store.merge_users("u3", "u4");
    if (e == 90) store.erase_user("u5");
  }
}

/// What a store says, one number after the other.
inline std::vector<double> store_answers(const EventStore& store) {
  std::vector<double> out;
  for (int u = 0; u < 11; ++u) {
    UserView view;
    const std::string key = name("u", u);
    out.push_back(store.read_user(std::string_view(key), view) ? 1 : 0);
    out.push_back(static_cast<double>(view.version));
    for (const auto& p : view.history) out.insert(out.end(), {static_cast<double>(p.time_ms - kLogNow), static_cast<double>(p.item), static_cast<double>(p.taste)});
    for (const auto& s : view.seen) out.insert(out.end(), {static_cast<double>(s.item), static_cast<double>(s.purchases)});
  }
  std::vector<std::pair<std::int32_t, float>> top(20);
  top.resize(store.trending(top));
  for (const auto& [item, count] : top) out.insert(out.end(), {static_cast<double>(item), static_cast<double>(count)});
  for (std::int32_t i = 0; i < store.num_items(); ++i) {
    top.assign(20, {});
    top.resize(store.bought_together(i, top));
    for (const auto& [item, count] : top) out.insert(out.end(), {static_cast<double>(i), static_cast<double>(item), static_cast<double>(count)});
  }
  return out;
}

}  // namespace etalage::testing
