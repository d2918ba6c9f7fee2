// SPDX-License-Identifier: Apache-2.0
// The engine that golden files hold: every part of a snapshot, and events of some shoppers.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "etalage/io/engine_files.hpp"
#include "profile/intent_sample.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage::testing {

inline constexpr std::int64_t kSampleNow = kStart + 400 * kDay;

inline EngineOptions sample_engine_options() {
  EngineOptions o;
  o.events.now_ms = [] { return kSampleNow; };
  o.events.journal.durability = Durability::kEveryEvent;
  o.events.compact_bytes = 0;
  return o;
}

inline std::shared_ptr<const Snapshot> sample_snapshot() {
  SnapshotParts p = shop_parts();
  const Interactions data = shop_interactions();
  p.label = "golden";
  p.trained_ms = kStart + 380 * kDay;
  p.catalog = shop_catalog(data, 4);
  auto profiles = std::make_shared<Profiles>(std::make_shared<const ItemFacts>(*p.catalog));
  EventLog::Columns log = random_log(30, 4, 4, kItems).columns();
  log.user_ids = data.user_ids();
  log.item_ids = data.item_ids();
  profiles->add(EventLog(std::move(log)));
  p.profiles = profiles;
  p.intent = sample_intent(false);
  const auto& als = dynamic_cast<const FactorModel&>(*p.models[0].model);
  p.cold_start = std::make_shared<const ColdStartItems>(als, *p.catalog, CatalogAttributesOptions{}, ColdStartOptions{}, false);
  p.segment_factors["south"].assign(als.user_row(2).begin(), als.user_row(2).end());
  p.segment_popularity["south"] = p.models[2].model;
  p.rules = Rules::from_json(R"({"rules": [{"type": "cap", "by": "brand", "max": 3}, {"type": "boost", "predicate": {"brand": ["brand1"]}, "factor": 1.5}]})");
  p.rerank.method = RerankMethod::kCalibrated;
  return std::make_shared<const Snapshot>(std::move(p));
}

inline void sample_events(Engine& engine) {
  for (int e = 0; e < 60; ++e) {
    const std::string user = e % 3 == 0 ? "u4" : e % 3 == 1 ? "ann" : "bob";
    const char* type = e % 7 == 0 ? "purchase" : e % 5 == 0 ? "cart" : "view";
    engine.observe({user, numbered("i", (e * 13) % kItems), type, kStart + 385 * kDay + e * 3'600'000, static_cast<float>(1 + e % 2)});
  }
  engine.observe({"visitor", "i2", "purchase", kStart + 399 * kDay});
  engine.merge_users("visitor", "ann");
  engine.erase_user("bob");
}

/// What an engine says, one number after the other.
inline std::vector<double> engine_answers(const Engine& engine) {
  std::vector<double> out;
  for (const char* user : {"u4", "ann", "bob", "u7", "stranger"}) {
    UserView view;
    out.push_back(engine.events().read_user(std::string_view(user), view) ? 1 : 0);
    for (const auto& p : view.history) out.insert(out.end(), {static_cast<double>(p.time_ms - kStart), static_cast<double>(p.item), static_cast<double>(p.value)});
    for (const auto& s : view.seen) out.insert(out.end(), {static_cast<double>(s.item), static_cast<double>(s.purchases)});
    if (!engine.snapshot()) continue;
    out.push_back(engine.intent(user));
    for (const Placement p : {Placement::kHome, Placement::kEmail})
      for (const Recommended& r : engine.recommend({.user = user, .placement = p, .k = 6, .segment = "south", .exclude_seen = false}).items)
        out.insert(out.end(), {static_cast<double>(number_of(r.item)), static_cast<double>(r.score)});
  }
  std::vector<std::pair<std::int32_t, float>> top(10);
  top.resize(engine.events().trending(top));
  for (const auto& [item, count] : top) out.insert(out.end(), {static_cast<double>(item), static_cast<double>(count)});
  return out;
}

/// Engine and snapshot without a folder.
inline std::unique_ptr<Engine> sample_engine() {
  auto engine = std::make_unique<Engine>(sample_engine_options());
  engine->publish(sample_snapshot());
  sample_events(*engine);
  return engine;
}

/// A journal with a compaction and records behind it; writes it where the folder is not there yet.
inline std::vector<double> sample_journal(const std::filesystem::path& folder) {
  Engine engine(folder, sample_engine_options());
  if (engine.events().last_sequence() == 0) {
    sample_events(engine);
    engine.events().compact();
    engine.observe({"ann", "i9", "cart", kStart + 399 * kDay + 1, 2});
  }
  return engine_answers(engine);
}

}  // namespace etalage::testing
