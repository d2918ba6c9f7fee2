// SPDX-License-Identifier: Apache-2.0
// A day of a shop, in one process: 32 threads answer requests while shoppers view and buy, the models are fitted anew in
// the background and published, and one bad publication is rolled back. No request waits for any of it. Prints latency
// and counters, and fails when an answer is short, or of a snapshot that was not published.
//   build/examples/example_shop_engine [seconds, 3 by default]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <etalage/etalage.hpp>

namespace {

using namespace etalage;

std::shared_ptr<const Catalog> catalog_of(const SyntheticStore& store) {
  Catalog::Columns c;
  c.item_ids = store.catalog.item_ids;
  c.names = store.catalog.names;
  c.brands = store.catalog.brands;
  c.prices = store.catalog.prices;
  std::vector<float> stock;
  for (const std::int32_t s : store.catalog.stock) stock.push_back(static_cast<float>(s));
  c.stock = Array<float>(stock);
  for (const std::string& path : store.catalog.category_paths) {
    auto& names = c.categories.emplace_back();
    for (std::size_t at = 0; at < path.size();) {
      const std::size_t end = std::min(path.find(" > ", at), path.size());
      names.push_back(path.substr(at, end - at));
      at = end + 3;
    }
  }
  return std::make_shared<const Catalog>(std::move(c));
}

/// Models, catalogue and rules as of now: what a nightly job makes.
std::shared_ptr<const Snapshot> train(const SyntheticStore& store, std::uint64_t seed, const char* label) {
  const EventLog log = store.log();
  InteractionOptions weights;
  weights.event_weights = {{"view", 1}, {"cart", 3}, {"purchase", 5}};
  weights.return_event = "return";
  const Interactions data = log.interactions(weights);
  AlsOptions options;
  options.factors = 32;
  options.iterations = 5;
  options.seed = seed;
  auto als = std::make_shared<AlsModel>(options);
  als->fit(data);
  auto neighbours = std::make_shared<ItemKnnModel>();
  neighbours->fit(data);
  auto popularity = std::make_shared<PopularityModel>();
  popularity->fit(data);
  SnapshotParts parts;
  parts.label = label;
  parts.trained_ms = log.columns().times_ms.back();
  parts.catalog = catalog_of(store);
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper},
                  {"item_to_item", neighbours, RecommenderSource::Ask::kSimilar},
                  {"popularity", popularity, RecommenderSource::Ask::kAnyone}};
  parts.rules = Rules::from_json(R"({"rules": [
      {"type": "include", "predicate": {"in_stock": true}},
      {"type": "cap", "by": "brand", "max": 4},
      {"type": "not_again", "days": 30}]})");
  parts.rerank.method = RerankMethod::kMmr;
  return std::make_shared<const Snapshot>(std::move(parts));
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  SyntheticStoreOptions size;
  size.users = 3000;
  size.items = 1500;
  const SyntheticStore store = make_synthetic_store(size);
  const IdMap& users = *store.events.user_ids;
  const IdMap& items = *store.events.item_ids;

  const auto folder = std::filesystem::temp_directory_path() / ("shop-engine-" + std::to_string(::getpid()));
  EngineOptions options;
  options.metrics = true;
  int failures = 0;
  {
    Engine engine(folder, options);
    const auto good = train(store, 1, "this morning's");
    std::printf("publication %llu: %s models\n", static_cast<unsigned long long>(engine.publish(good)), good->parts().label.c_str());

    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> answers{0}, short_answers{0}, published{1};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 32; ++t)
      threads.emplace_back([&, t] {
        std::mt19937 rng(t);
        EngineScratch scratch;
        Answer answer;
        while (!stop) {
          const auto user = static_cast<std::int32_t>(rng() % static_cast<unsigned>(users.size()));
          const KeyView page[] = {items.string_at(static_cast<std::int32_t>(rng() % static_cast<unsigned>(items.size())))};
          Request request{.user = users.string_at(user), .k = 12};
          if (rng() % 3 == 0) request.user = "somebody new";
          if (rng() % 2 == 0) {
            request.placement = Placement::kProductPage;
            request.anchors = page;
          }
          engine.recommend(request, answer, scratch);
          ++answers;
          if (answer.items.size() != 12 || answer.snapshot > published) ++short_answers;
          std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the network of a real shop
        }
      });
    threads.emplace_back([&] {
      std::mt19937 rng(99);
      constexpr const char* types[] = {"view", "view", "view", "view", "cart", "purchase"};
      while (!stop) {
        for (int i = 0; i < 5; ++i)
          engine.observe({users.string_at(static_cast<std::int32_t>(rng() % static_cast<unsigned>(users.size()))),
                          items.string_at(static_cast<std::int32_t>(rng() % static_cast<unsigned>(items.size()))), types[rng() % 6]});
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });

    const auto third = std::chrono::duration<double>(seconds / 3);
    std::this_thread::sleep_for(third);
    const auto retrained = train(store, 2, "retrained");
    published = 2;
    std::printf("publication %llu: %s models, while 32 threads ask\n", static_cast<unsigned long long>(engine.publish(retrained)), retrained->parts().label.c_str());
    std::this_thread::sleep_for(third);
    std::printf("rolled back to publication %llu\n", static_cast<unsigned long long>(engine.rollback()));
    std::this_thread::sleep_for(third);
    stop = true;
    for (std::thread& t : threads) t.join();
    engine.merge_users("somebody new", users.string_at(0));
    engine.erase_user(users.string_at(1));
    engine.events().sync();

    const EngineMetrics m = engine.metrics();
    std::printf("\n%llu answers, %llu events, all durable: %s\n", static_cast<unsigned long long>(answers), static_cast<unsigned long long>(m.events),
                engine.durable_through() == engine.events().last_sequence() ? "yes" : "no");
    std::printf("%-10s %10s %10s %10s\n", "stage", "p50 us", "p99 us", "count");
    for (const auto& s : m.stages)
      std::printf("%-10s %10.1f %10.1f %10llu\n", s.name.c_str(), s.seconds.quantile(0.5) * 1e6, s.seconds.quantile(0.99) * 1e6,
                  static_cast<unsigned long long>(s.seconds.count));
    std::printf("%-18s %12s %10s\n", "source", "candidates", "shown");
    for (const auto& s : m.sources)
      std::printf("%-18s %12llu %10llu\n", s.name.c_str(), static_cast<unsigned long long>(s.candidates), static_cast<unsigned long long>(s.shown));
    std::printf("coverage %.1f %%, folded in %llu, from cache %llu, filtered %llu, denied %llu\n", m.coverage * 100,
                static_cast<unsigned long long>(m.folded_in), static_cast<unsigned long long>(m.folded_from_cache),
                static_cast<unsigned long long>(m.filtered), static_cast<unsigned long long>(m.denied));
    failures += short_answers > 0 || answers == 0 || m.rollbacks != 1;

    const Answer why = engine.recommend({.user = users.string_at(2), .k = 3, .explain = true});
    for (std::size_t i = 0; i < why.items.size(); ++i) {
      const std::int32_t row = engine.snapshot()->item_ids().find(std::get<std::string>(why.items[i].item));
      std::printf("%s  %s (%s)", i == 0 ? "\nfor one of them:\n" : "", engine.snapshot()->catalog()->catalog().name(row).c_str(), why.items[i].source.c_str());
      for (const auto& [item, share] : why.why[i].because) std::printf(", %.0f %% for %s", static_cast<double>(share) * 100, text_of(view_of(item)).c_str());
      std::printf("\n");
    }
  }
  // The next morning: the journal brings everything back.
  const Engine engine(folder, options);
  std::printf("\nopened again: %llu events recovered, nothing cut: %s\n", static_cast<unsigned long long>(engine.events().recovery()->events),
              engine.events().recovery()->cut_reason.empty() ? "yes" : engine.events().recovery()->cut_reason.c_str());
  failures += !engine.events().recovery()->cut_reason.empty();
  std::filesystem::remove_all(folder);
  return failures == 0 ? 0 : 1;
}
