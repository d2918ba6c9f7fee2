// SPDX-License-Identifier: Apache-2.0
// The engine's promise on a synthetic store of a million products and a million shoppers, 128 factors:
//   build/bench/engine_benchmark prepare FILE [products shoppers]   makes the snapshot, with its graph; minutes
//   build/bench/engine_benchmark run FILE [seconds]                 measures it; prints floors beside what was measured
//   build/bench/engine_benchmark observe                            observe() alone, journal flushed every 50 ms
//
// run: one thread asks for known shoppers (k 20, 300 candidates from the graph, a filter that leaves half, five rules,
// MMR), each after a new event of his, which is folded in; another observes 5,000 events a second into a journal flushed
// every 50 ms; a third publishes a prepared snapshot every 3 seconds. Recall@300 of the graph under the filter is printed
// beside, against reading every row. The time of a request is that of recommend(); observe() is not in it.
//
// Factors: 64 latent directions whose weight falls like 1 / sqrt(rank), rotated into 128 dimensions, products in 2,000
// clusters with noise, norms log-normal; shoppers are mixtures of five products. Ten kept products a shopper.
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

#include "etalage/io/engine_files.hpp"
#include "etalage/models/als.hpp"
#include "etalage/serving/engine.hpp"

namespace {

using namespace etalage;
using Clock = std::chrono::steady_clock;

constexpr int kFactors = 128;
constexpr int kLatent = 64;
constexpr int kClusters = 2000;
constexpr int kCandidates = 300;
constexpr int kKept = 10;

double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

/// rows [n x 128] from latent rows made one by one.
template <class Latent>
Array<float> rotated(std::size_t n, std::uint64_t seed, const Latent& latent) {
  std::mt19937_64 rng(7);
  std::normal_distribution<float> normal;
  std::vector<float> rotation(kLatent * kFactors);
  for (float& v : rotation) v = normal(rng) / std::sqrt(static_cast<float>(kFactors));
  Array<float> out(n * kFactors, uninitialized);
  float* data = out.mutable_data();
  std::mt19937_64 own(seed);
  std::vector<float> z(kLatent);
  for (std::size_t r = 0; r < n; ++r) {
    latent(own, r, z);
    float* row = data + r * kFactors;
    std::fill_n(row, kFactors, 0.0f);
    for (std::size_t l = 0; l < kLatent; ++l)
      for (std::size_t f = 0; f < kFactors; ++f) row[f] += z[l] * rotation[l * kFactors + f];
  }
  return out;
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
  std::normal_distribution<float> normal;
  std::vector<float> centers(std::size_t{kClusters} * kLatent);
  std::mt19937_64 rng(5);
  for (std::size_t i = 0; i < centers.size(); ++i) centers[i] = normal(rng) / std::sqrt(1.0f + static_cast<float>(i % kLatent));
  std::vector<std::uint32_t> cluster(static_cast<std::size_t>(products));
  for (auto& c : cluster) c = static_cast<std::uint32_t>(rng() % kClusters);
  Array<float> items = rotated(static_cast<std::size_t>(products), 11, [&](std::mt19937_64& own, std::size_t r, std::vector<float>& z) {
    const float norm = std::exp(0.35f * normal(own));
    for (std::size_t l = 0; l < kLatent; ++l)
      z[l] = norm * (centers[cluster[r] * kLatent + l] + 0.7f * normal(own) / std::sqrt(1.0f + static_cast<float>(l)));
  });
  CsrMatrix rows;
  rows.rows = shoppers;
  rows.cols = products;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<std::vector<std::int32_t>> members(kClusters);
  for (std::int32_t i = 0; i < products; ++i) members[cluster[static_cast<std::size_t>(i)]].push_back(i);
  std::vector<std::int32_t> row;
  for (std::int32_t u = 0; u < shoppers; ++u) {
    row.clear();
    for (int j = 0; j < kKept; ++j) {
      const auto& shelf = members[(static_cast<std::size_t>(u) * 31 + static_cast<std::size_t>(j % 5) * 577) % kClusters];
      row.push_back(shelf.empty() ? static_cast<std::int32_t>(rng() % static_cast<unsigned>(products)) : shelf[rng() % shelf.size()]);
    }
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    columns.insert(columns.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  rows.offsets = Array<std::int64_t>(offsets);
  rows.columns = Array<std::int32_t>(columns);
  rows.values = Array<float>(std::vector<float>(columns.size(), 1.0f));
  Array<float> users(static_cast<std::size_t>(shoppers) * kFactors);
  for (std::int32_t u = 0; u < shoppers; ++u) {
    float* x = users.mutable_data() + static_cast<std::size_t>(u) * kFactors;
    for (std::int64_t at = offsets[static_cast<std::size_t>(u)]; at < offsets[static_cast<std::size_t>(u) + 1]; at += 2)
      for (std::size_t f = 0; f < kFactors; ++f) x[f] += items[static_cast<std::size_t>(columns[static_cast<std::size_t>(at)]) * kFactors + f] / 5.0f;
  }
  Array<std::int64_t> user_keys(static_cast<std::size_t>(shoppers));
  std::iota(user_keys.mutable_data(), user_keys.mutable_data() + shoppers, std::int64_t{0});
  const Interactions data(rows, std::make_shared<const IdMap>(IdMap::from_integers(std::move(user_keys))), catalog->item_ids());
  AlsOptions options;
  options.factors = kFactors;
  options.iterations = 0;  // the factors are given
  options.regularization = 1;
  options.alpha = 40;
  options.unobserved_weight = 0.01f;
  options.compute_objective = false;
  auto als = std::make_shared<AlsModel>(options);
  const auto n = static_cast<std::size_t>(products);
  als->fit(data, {}, {.user_factors = {users.data(), static_cast<std::size_t>(shoppers), kFactors}, .item_factors = {items.data(), n, kFactors}});
  std::printf("factors after %.0f s\n", seconds_since(begun));

  auto index = std::make_shared<ItemIndex>(kFactors, IndexMetric::kDot, IndexKind::kHnsw, ItemIndexOptions{.M = 24, .ef_construction = 100});
  std::vector<std::int64_t> ids(n);
  std::iota(ids.begin(), ids.end(), std::int64_t{0});
  index->add({als->item_factors().data(), n, kFactors}, ids);
  std::printf("graph after %.0f s\n", seconds_since(begun));

  SnapshotParts parts;
  parts.label = "bench";
  parts.trained_ms = 1;
  parts.catalog = catalog;
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper}};
  parts.factor_index = index;
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

double quantile(std::vector<double>& times, double q) {
  if (times.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + at, times.end());
  return times[static_cast<std::size_t>(at)];
}

/// Recall@300 of the graph under the filter, against all rows; and the time of one search.
std::pair<double, double> recall(const Snapshot& snapshot, const CompiledFilter& filter, int queries) {
  const FactorModel& model = *snapshot.factors();
  const ItemIndex& index = *snapshot.parts().factor_index;
  std::mt19937_64 rng(21);
  Scratch scratch;
  std::vector<ItemScore> exact(kCandidates);
  std::vector<Neighbor> near(kCandidates);
  std::size_t hits = 0, all = 0;
  double seconds = 0;
  for (int q = 0; q < queries; ++q) {
    const auto user = static_cast<std::int32_t>(rng() % static_cast<unsigned>(model.num_users()));
    exact.resize(kCandidates);
    exact.resize(model.recommend({.user = user, .filter = &filter.filter, .exclude_seen = false}, exact, scratch));
    const auto begun = Clock::now();
    const std::size_t n = index.search(model.user_row(user), near, &filter.filter, scratch);
    seconds += seconds_since(begun);
    std::vector<std::int64_t> found;
    for (std::size_t i = 0; i < n; ++i) found.push_back(near[i].id);
    std::sort(found.begin(), found.end());
    for (const ItemScore& s : exact) hits += std::binary_search(found.begin(), found.end(), s.item) ? 1u : 0u;
    all += exact.size();
  }
  return {static_cast<double>(hits) / static_cast<double>(all), seconds / queries};
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

  // The smallest width of the walk that keeps the recall.
  double reached = 0;
  for (const int ef : {300, 400, 600, 800, 1200, 1600, 2400}) {
    for (const auto& s : {snapshot, second}) std::const_pointer_cast<ItemIndex>(s->parts().factor_index)->set_ef_search(ef);
    const auto [share, time] = recall(*snapshot, *filter, 60);
    std::printf("ef_search %5d: recall@%d %.4f, %.3f ms a search\n", ef, kCandidates, share, time * 1e3);
    reached = share;
    if (share >= 0.95) break;
  }

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

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "prepare" && argc > 2) return prepare(argv[2], argc > 4 ? std::atoi(argv[3]) : 1'000'000, argc > 4 ? std::atoi(argv[4]) : 1'000'000);
  if (what == "run" && argc > 2) return run(argv[2], argc > 3 ? std::atof(argv[3]) : 30);
  if (what == "observe") return observe();
  std::printf("engine_benchmark prepare FILE [products shoppers] | run FILE [seconds] | observe\n");
  return 2;
}
