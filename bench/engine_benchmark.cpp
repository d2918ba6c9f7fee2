// SPDX-License-Identifier: Apache-2.0
// The engine's promise on a synthetic store of a million products and a million shoppers, 128 factors:
//   build/bench/engine_benchmark prepare FILE [products shoppers]   makes the snapshot, with its index; minutes
//   build/bench/engine_benchmark run FILE [seconds]                 measures it; prints floors beside what was measured
//   build/bench/engine_benchmark observe                            observe() alone, journal flushed every 50 ms
//   build/bench/engine_benchmark filters [products]                 price limits never seen before beside one that is cached
//   build/bench/engine_benchmark offers [products seconds]          10,000 set_price() a second beside readers
//
// run: one thread asks for known shoppers (k 20, 300 candidates from the index, a filter that leaves half, five rules,
// MMR), each after a new event of theirs, which is folded in; another observes 5,000 events a second into a journal flushed
// every 50 ms; a third publishes a prepared snapshot every 3 seconds. Recall@300 of the index under the filter is printed
// beside, against reading every row. The time of a request is that of recommend(); observe() is not in it.
//
// The store is etalage's own made-up shop, ten events a shopper; the factors are ALS's, fitted to it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "etalage/datasets/synthetic_store.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/models/als.hpp"
#include "etalage/serving/engine.hpp"
#include "etalage/serving/factor_index.hpp"
#include "quantile.hpp"

namespace {

using namespace etalage;
using Clock = std::chrono::steady_clock;

constexpr int kFactors = 128;
constexpr int kCandidates = 300;
constexpr int kEvents = 10;  // a shopper

double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

/// Who of the made-up shop touched what, as ones; shoppers and products have their numbers as keys.
Interactions touched(std::int32_t products, std::int32_t shoppers, const SharedIdMap& product_keys) {
  const SyntheticStore store = make_synthetic_store({.users = shoppers, .items = products, .events = std::int64_t{kEvents} * shoppers});
  Array<std::int64_t> user_keys(static_cast<std::size_t>(shoppers));
  std::iota(user_keys.mutable_data(), user_keys.mutable_data() + shoppers, std::int64_t{0});
  return Interactions(store.log().interactions({.duplicates = Duplicates::kBinary}).user_items(),
                      std::make_shared<const IdMap>(IdMap::from_integers(std::move(user_keys))), product_keys);
}

std::shared_ptr<const Catalog> make_catalog(std::int32_t products) {
  Catalog::Columns c;
  Array<std::int64_t> keys(static_cast<std::size_t>(products));
  std::iota(keys.mutable_data(), keys.mutable_data() + products, std::int64_t{0});
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_integers(std::move(keys)));
  std::mt19937_64 rng(3);
  std::vector<float> prices, stock;
  for (std::int32_t i = 0; i < products; ++i) {
    prices.push_back(static_cast<float>(rng() % 10000) / 100.0f);
    stock.push_back(static_cast<float>(rng() % 20));
    c.brands.push_back("brand " + std::to_string(rng() % 2000));
    c.categories.push_back({"department " + std::to_string(rng() % 20), "shelf " + std::to_string(rng() % 20)});
  }
  c.prices = Array<float>(prices);
  c.stock = Array<float>(stock);
  return std::make_shared<const Catalog>(std::move(c));
}

int prepare(const std::filesystem::path& file, std::int32_t products, std::int32_t shoppers) {
  const auto begun = Clock::now();
  const auto catalog = make_catalog(products);
  const Interactions data = touched(products, shoppers, catalog->item_ids());
  std::printf("%.1f million pairs after %.0f s\n", static_cast<double>(data.user_items().columns.size()) / 1e6, seconds_since(begun));
  AlsOptions options;
  options.factors = kFactors;
  options.iterations = 4;
  options.alpha = 0.02f;
  options.unobserved_weight = 0.02f;
  options.regularization = 2.4f / (options.unobserved_weight * static_cast<float>(products));  // times that product it is what fits real data
  options.nu = 1;
  options.compute_objective = false;
  auto als = std::make_shared<AlsModel>(options);
  als->fit(data);
  std::printf("factors after %.0f s\n", seconds_since(begun));

  build_index(*als, IndexKind::kIvf);
  std::printf("index after %.0f s\n", seconds_since(begun));

  SnapshotParts parts;
  parts.label = "bench";
  parts.trained_ms = 1;
  parts.catalog = catalog;
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper}};
  parts.mix.standard.sources = {{"als", kCandidates, 1}};
  parts.mix.standard.fallback = {"trending"};
  parts.rerank.method = RerankMethod::kMmr;
  parts.rules = Rules::from_json(R"({"rules": [
      {"type": "exclude", "predicate": {"brand": ["brand 7"]}},
      {"type": "boost", "predicate": {"brand": ["brand 1", "brand 2", "brand 3"]}, "factor": 1.2},
      {"type": "bury", "predicate": {"category": "department 3"}, "factor": 0.8},
      {"type": "cap", "by": "brand", "max": 3},
      {"type": "not_again", "days": 30}]})");
  save(Snapshot(std::move(parts)), file);
  std::printf("%s after %.0f s, %.2f GB\n", file.c_str(), seconds_since(begun), static_cast<double>(std::filesystem::file_size(file)) / 1e9);
  return 0;
}

/// Recall@300 of the index under the filter, against all rows, for shoppers with a new event folded in; and the time of
/// one search, the first half of the queries left out.
std::pair<double, double> recall(const Snapshot& snapshot, const CompiledFilter& filter, int queries) {
  const FactorModel& model = *snapshot.factors();
  const VectorIndex& index = *model.index();
  AlsModel by_all_rows(dynamic_cast<const AlsModel&>(model));
  by_all_rows.set_index(nullptr);
  std::mt19937_64 rng(21);
  Scratch scratch;
  std::vector<ItemScore> exact(kCandidates);
  std::vector<Neighbor> near(kCandidates);
  std::size_t hits = 0, all = 0;
  std::vector<double> times;
  std::vector<float> factor(static_cast<std::size_t>(model.factors()));
  for (int q = 0; q < queries; ++q) {
    const auto user = static_cast<std::int32_t>(rng() % static_cast<unsigned>(model.num_users()));
    const auto kept = model.history().view().row_columns(user);
    std::vector<std::int32_t> history(kept.begin(), kept.end());
    history.push_back(static_cast<std::int32_t>(rng() % static_cast<unsigned>(model.num_items())));
    model.query_factor({.history = history, .recalculate_user = true, .history_given = true}, factor, scratch);
    exact.resize(kCandidates);
    exact.resize(by_all_rows.recommend_vector(factor, {.filter = &filter.filter, .exclude_seen = false}, exact, scratch));
    const auto begun = Clock::now();
    const std::size_t n = index.search(factor, near, &filter.filter, scratch);
    times.push_back(seconds_since(begun));
    std::vector<std::int64_t> found;
    for (std::size_t i = 0; i < n; ++i) found.push_back(near[i].id);
    std::sort(found.begin(), found.end());
    for (const ItemScore& s : exact) hits += std::binary_search(found.begin(), found.end(), s.item) ? 1u : 0u;
    all += exact.size();
  }
  times.erase(times.begin(), times.begin() + queries / 2);
  return {static_cast<double>(hits) / static_cast<double>(all), quantile(times, 0.5)};
}

/// Sets the fewest lists that keep the recall; returns it.
double keep_recall(const std::vector<std::shared_ptr<const Snapshot>>& snapshots, const CompiledFilter& filter) {
  double reached = 0;
  for (const int nprobe : {1, 2, 3, 4, 6, 8, 12, 16}) {
    for (const auto& s : snapshots) std::const_pointer_cast<ItemIndex>(std::dynamic_pointer_cast<const ItemIndex>(s->factors()->index()))->set_nprobe(nprobe);
    const auto [share, time] = recall(*snapshots[0], filter, 200);
    std::printf("nprobe %3d: recall@%d %.4f, %.3f ms a search\n", nprobe, kCandidates, share, time * 1e3);
    reached = share;
    if (share >= 0.95) break;
  }
  return reached;
}

std::filesystem::path journal_folder() { return std::filesystem::temp_directory_path() / ("engine-benchmark-" + std::to_string(::getpid())); }

int run(const std::filesystem::path& file, double seconds) {
  auto begun = Clock::now();
  const auto snapshot = load_snapshot(file, {.verify = Verify::kHeader});
  const auto second = load_snapshot(file, {.verify = Verify::kHeader});
  std::printf("%d products, %d shoppers, opened twice in %.1f s\n", snapshot->catalog()->size(), snapshot->factors()->num_users(), seconds_since(begun));
  const Predicate half = Predicate::price(std::nullopt, 49.99);
  const SharedFilter filter = snapshot->catalog()->filter(half);
  std::printf("filter leaves %.1f %%\n", 100.0 * static_cast<double>(filter->count) / snapshot->catalog()->size());

  const double reached = keep_recall({snapshot, second}, *filter);

  const auto folder = journal_folder();
  std::filesystem::remove_all(folder);
  EngineOptions options;
  options.events.journal.interval_ms = 50;
  int missed = 0;
  for (const bool metrics : {false, true}) {
    options.metrics = metrics;
    Engine engine(folder, options);
    engine.publish(snapshot);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> observed{0}, published{1};
    std::thread observer([&] {
      std::mt19937_64 rng(1);
      auto next = Clock::now();
      while (!stop) {
        for (int i = 0; i < 10; ++i) {
          engine.observe({static_cast<std::int64_t>(rng() % 1'000'000), static_cast<std::int64_t>(rng() % static_cast<unsigned>(snapshot->catalog()->size())),
                          rng() % 20 == 0 ? "purchase" : "view"});
          ++observed;
        }
        next += std::chrono::milliseconds(2);
        std::this_thread::sleep_until(next);
      }
    });
    std::thread publisher([&] {
      for (int n = 1; !stop; ++n) {
        for (int i = 0; i < 30 && !stop; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
        if (stop) break;
        engine.publish(n % 2 == 1 ? second : snapshot);
        ++published;
      }
    });
    std::mt19937_64 rng(2);
    EngineScratch scratch;
    Answer answer;
    std::vector<double> times;
    const auto ask = [&] {
      const std::int64_t user = static_cast<std::int64_t>(rng() % static_cast<unsigned>(snapshot->factors()->num_users()));
      const std::int64_t item = static_cast<std::int64_t>(rng() % static_cast<unsigned>(snapshot->catalog()->size()));
      engine.observe({user, item});
      const auto at = Clock::now();
      engine.recommend({.user = user, .k = 20, .filter = &half}, answer, scratch);
      times.push_back(seconds_since(at));
      if (answer.items.size() != 20) ++missed;
    };
    for (int i = 0; i < 500; ++i) ask();  // warm
    times.clear();
    begun = Clock::now();
    while (seconds_since(begun) < (metrics ? seconds / 3 : seconds)) ask();
    const double took = seconds_since(begun);
    stop = true;
    observer.join();
    publisher.join();
    if (!metrics) {
      std::printf("\n%zu requests in %.1f s beside %.0f events/s and %llu publications, recall@%d %.4f\n", times.size(), took,
                  static_cast<double>(observed) / took, static_cast<unsigned long long>(published.load()), kCandidates, reached);
      std::printf("%-24s %10s %10s\n", "recommend()", "measured", "floor");
      std::printf("%-24s %7.3f ms %7.3f ms\n", "p50", quantile(times, 0.5) * 1e3, 0.4);
      std::printf("%-24s %7.3f ms %7.3f ms\n", "p99", quantile(times, 0.99) * 1e3, 1.0);
      std::printf("%-24s %7.3f ms\n", "p99.9", quantile(times, 0.999) * 1e3);
      std::printf("%-24s %7.3f ms\n", "mean", std::accumulate(times.begin(), times.end(), 0.0) / static_cast<double>(times.size()) * 1e3);
    } else {
      std::printf("\nwith metrics: p50 %.3f ms; stages\n", quantile(times, 0.5) * 1e3);
      for (const auto& s : engine.metrics().stages)
        std::printf("  %-10s p50 %8.1f us   p99 %8.1f us\n", s.name.c_str(), s.seconds.quantile(0.5) * 1e6, s.seconds.quantile(0.99) * 1e6);
    }
  }
  std::filesystem::remove_all(folder);
  if (missed > 0) std::printf("%d answers were short\n", missed);
  return missed > 0 || reached < 0.95 ? 1 : 0;
}

int observe() {
  const auto folder = journal_folder();
  std::filesystem::remove_all(folder);
  std::printf("%-42s %12s %12s\n", "observe(), one thread", "events/s", "floor");
  for (const bool text : {false, true}) {
    EngineOptions options;
    options.events.journal.interval_ms = 50;
    Engine engine(folder, options);
    constexpr int kEvents = 2'000'000;
    std::mt19937_64 rng(4);
    std::vector<std::string> users, items;
    for (int i = 0; text && i < 100'000; ++i) {
      users.push_back("shopper-" + std::to_string(i));
      items.push_back("sku-" + std::to_string(i));
    }
    const auto begun = Clock::now();
    for (int i = 0; i < kEvents; ++i) {
      const std::uint64_t u = rng() % 100'000, v = rng() % 100'000;
      const std::string_view type = rng() % 20 == 0 ? "purchase" : "view";
      if (text) engine.observe({users[u], items[v], type});
      else engine.observe({static_cast<std::int64_t>(u), static_cast<std::int64_t>(v), type});
    }
    const double accepted = seconds_since(begun);
    engine.events().sync();
    const double durable = seconds_since(begun);
    std::printf("%-42s %12.0f %12d\n", text ? "string keys, journal flushed every 50 ms" : "integer keys, journal flushed every 50 ms", kEvents / accepted, 200'000);
    std::printf("%-42s %12.0f\n", "  until all of them are durable", kEvents / durable);
    std::filesystem::remove_all(folder);
  }
  return 0;
}

/// A shop of nothing but its catalogue and what is new in it.
std::shared_ptr<const Snapshot> bare_shop(std::int32_t products) {
  SnapshotParts parts;
  parts.catalog = make_catalog(products);
  for (std::int64_t i = 0; i < 1000; ++i) parts.new_arrivals.emplace_back(std::in_place_type<std::int64_t>, i * products / 1000);
  return std::make_shared<const Snapshot>(std::move(parts));
}

/// Times of recommend() with a limit that is in the cache and with a thousand that come in turn, one after the other.
int filters(std::int32_t products) {
  const auto begun = Clock::now();
  const auto snapshot = bare_shop(products);
  constexpr int kLimits = 1000;
  bool held = true;
  for (const std::size_t cache : {std::size_t{16} << 20, std::size_t{64} << 20, EngineOptions{}.filter_cache_bytes}) {
    EngineOptions options;
    options.filter_cache_bytes = cache;
    options.metrics = true;
    Engine engine(options);
    engine.publish(snapshot);
    std::vector<Predicate> limits;
    for (int i = 0; i < kLimits; ++i) limits.push_back(Predicate::price(std::nullopt, 0.05 + 99.0 * i / kLimits));
    EngineScratch scratch;
    Answer answer;
    std::vector<double> cached, distinct;
    const auto ask = [&](const Predicate& filter, std::vector<double>& times) {
      const auto at = Clock::now();
      engine.recommend({.k = 20, .filter = &filter}, answer, scratch);
      times.push_back(seconds_since(at));
    };
    for (int i = 0; i < 100; ++i) ask(limits[500], cached);
    cached.clear();
    const auto before = engine.metrics().filters;
    for (int round = 0; round < 3; ++round)
      for (int i = 0; i < kLimits; ++i) {
        ask(limits[static_cast<std::size_t>(i)], distinct);
        ask(limits[500], cached);
      }
    const auto after = engine.metrics().filters;
    const double one = quantile(cached, 0.5), many = quantile(distinct, 0.5);
    std::printf("%d products, cache of %3zu MB: cached p50 %.4f ms, distinct p50 %.4f ms (%.2f times, floor 2), p99 %.4f ms; %zu filters kept, %llu compiled\n",
                products, cache >> 20, one * 1e3, many * 1e3, many / one, quantile(distinct, 0.99) * 1e3, after.entries,
                static_cast<unsigned long long>(after.misses - before.misses));
    // Asked of a cache that holds them all; a smaller one shows what compiling a limit costs, in a shop that does nothing else.
    if (after.entries >= kLimits) held = held && many <= 2 * one;
  }
  std::printf("%.0f s\n", seconds_since(begun));
  return held ? 0 : 1;
}

/// Prices that move all the time, and what readers with a price limit pay for it.
int offers(std::int32_t products, double seconds) {
  const auto snapshot = bare_shop(products);
  const auto folder = journal_folder();
  std::filesystem::remove_all(folder);
  EngineOptions options;
  options.events.journal.interval_ms = 50;
  options.metrics = true;
  Engine engine(folder, options);
  engine.publish(snapshot);
  const Predicate half = Predicate::price(std::nullopt, 49.99) & Predicate::in_stock();
  double still = 0;
  bool slow = false;
  for (const int rate : {0, 10'000}) {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> set{0};
    std::thread writer([&] {
      std::mt19937_64 rng(1);
      auto next = Clock::now();
      while (!stop && rate > 0) {
        for (int i = 0; i < rate / 500; ++i, ++set)
          engine.set_price(static_cast<std::int64_t>(rng() % static_cast<unsigned>(products)), static_cast<float>(rng() % 10000) / 100.0f);
        next += std::chrono::milliseconds(2);
        std::this_thread::sleep_until(next);
      }
    });
    EngineScratch scratch;
    Answer answer;
    std::vector<double> times;
    const auto begun = Clock::now();
    while (seconds_since(begun) < seconds) {
      const auto at = Clock::now();
      engine.recommend({.k = 20, .filter = &half}, answer, scratch);
      times.push_back(seconds_since(at));
    }
    const double took = seconds_since(begun);
    stop = true;
    writer.join();
    const auto stats = engine.metrics().filters;
    std::printf("%6.0f set_price() a second: recommend p50 %.4f ms, p99 %.4f ms, %.0f a second; %llu filters patched, %llu compiled since the start\n",
                static_cast<double>(set) / took, quantile(times, 0.5) * 1e3, quantile(times, 0.99) * 1e3, static_cast<double>(times.size()) / took,
                static_cast<unsigned long long>(stats.patches), static_cast<unsigned long long>(stats.misses));
    if (rate == 0) still = static_cast<double>(stats.misses);
    else if (static_cast<double>(set) / took < 0.95 * rate) slow = true;
  }
  const bool thrown_away = static_cast<double>(engine.metrics().filters.misses) > still + 2;
  std::filesystem::remove_all(folder);
  if (slow) std::printf("fewer than 10,000 a second\n");
  return thrown_away || slow ? 1 : 0;
}

/// What putting answers on record costs the one who asks: without, with, and with what was asked for, request after request in turn.
int logged(const std::filesystem::path& file, double seconds) {
  const auto snapshot = load_snapshot(file, {.verify = Verify::kHeader});
  const Predicate half = Predicate::price(std::nullopt, 49.99);
  keep_recall({snapshot}, *snapshot->catalog()->filter(half));
  for (const int drawn : {0, 2}) {
    const auto folder = journal_folder();
    std::filesystem::remove_all(folder);
    std::vector<std::unique_ptr<Engine>> engines;
    for (const bool questions : {false, false, true}) {
      EngineOptions options;
      options.events.journal.interval_ms = 50;
      options.impressions.keep_requests = questions;
      engines.push_back(std::make_unique<Engine>(folder / std::to_string(engines.size()), options));
      engines.back()->publish(snapshot);
      if (drawn > 0) engines.back()->explore(Placement::kHome, Exploration{.policy = PlacePolicy::kEpsilon, .epsilon = 0.1, .slots = {3, 7}, .pool = 20});
    }
    constexpr int kBlock = 500, kWarm = 2;
    std::mt19937_64 rng(2);
    EngineScratch scratch;
    Answer answer;
    std::vector<std::vector<double>> all(3), ratios(3);
    const auto begun = Clock::now();
    for (int block = 0; block < kWarm + 8 || seconds_since(begun) < seconds / 2; ++block) {
      std::vector<std::vector<double>> times(3);
      for (int n = 0; n < 3 * kBlock; ++n) {
        const auto which = static_cast<std::size_t>((n + n / 3) % 3);  // each is first, second and third as often
        const auto user = static_cast<std::int64_t>(rng() % static_cast<unsigned>(snapshot->factors()->num_users()));
        const auto at = Clock::now();
        engines[which]->recommend({.user = user, .k = 20, .filter = &half, .log = which > 0}, answer, scratch);
        times[which].push_back(seconds_since(at));
      }
      if (block < kWarm) continue;
      for (std::size_t e = 0; e < 3; ++e) {
        ratios[e].push_back(quantile(times[e], 0.5) / quantile(times[0], 0.5));
        all[e].insert(all[e].end(), times[e].begin(), times[e].end());
      }
    }
    std::printf("\n%d products, %zu requests each in turn, %d places drawn\n%-28s %10s %10s %28s\n", snapshot->catalog()->size(), all[0].size(), drawn, "recommend()", "p50",
                "p99", "p50 over that without");
    for (std::size_t e = 0; e < 3; ++e) {
      const double n = static_cast<double>(ratios[e].size());
      const double mean = std::accumulate(ratios[e].begin(), ratios[e].end(), 0.0) / n;
      double square = 0;
      for (const double r : ratios[e]) square += (r - mean) * (r - mean);
      const double half_width = 1.96 * std::sqrt(square / (n - 1) / n);
      const char* const names[] = {"without", "logged", "logged with questions"};
      std::printf("%-28s %7.4f ms %7.4f ms %12.4f [%.4f, %.4f]\n", names[e], quantile(all[e], 0.5) * 1e3, quantile(all[e], 0.99) * 1e3, mean, mean - half_width,
                  mean + half_width);
    }
    engines.clear();
    std::filesystem::remove_all(folder);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // progress shows in a pipe too
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "prepare" && argc > 2) return prepare(argv[2], argc > 4 ? std::atoi(argv[3]) : 1'000'000, argc > 4 ? std::atoi(argv[4]) : 1'000'000);
  if (what == "run" && argc > 2) return run(argv[2], argc > 3 ? std::atof(argv[3]) : 30);
  if (what == "logged" && argc > 2) return logged(argv[2], argc > 3 ? std::atof(argv[3]) : 20);
  if (what == "observe") return observe();
  if (what == "filters") return filters(argc > 2 ? std::atoi(argv[2]) : 1'000'000);
  if (what == "offers") return offers(argc > 2 ? std::atoi(argv[2]) : 1'000'000, argc > 3 ? std::atof(argv[3]) : 5);
  std::printf("engine_benchmark prepare FILE [products shoppers] | run FILE [seconds] | logged FILE [seconds] | observe | filters [products] | offers [products seconds]\n");
  return 2;
}
