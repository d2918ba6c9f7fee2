// SPDX-License-Identifier: Apache-2.0
// One request from 300 candidates to 20 products: filter that leaves half of the catalogue, five rules, re-ranking on 128
// dimensions. Candidates come from a list, so that the ranker alone is timed. The answer is checked before.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "etalage/serving/ranker.hpp"

namespace {

using namespace etalage;

constexpr std::size_t kDim = 128;
constexpr std::size_t kK = 20;
constexpr int kCandidates = 300;

std::shared_ptr<const CatalogIndex> catalog(std::int32_t n) {
  std::mt19937 random(1);
  Catalog::Columns c;
  std::vector<std::int64_t> keys(static_cast<std::size_t>(n));
  std::vector<float> prices, stock;
  for (std::int32_t i = 0; i < n; ++i) {
    keys[static_cast<std::size_t>(i)] = i;
    c.categories.push_back({std::string(1, static_cast<char>('A' + random() % 20)), std::string(1, static_cast<char>('a' + random() % 20))});
    c.brands.push_back(std::string("b").append(std::to_string(random() % 2000)));
    prices.push_back(static_cast<float>(random() % 10000) / 100);
    stock.push_back(static_cast<float>(random() % 2));
    c.tags.push_back({std::string("product:").append(std::to_string(i / 3))});
    if (random() % 10 == 0) c.tags.back().push_back("new");
  }
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
  c.prices = Array<float>(prices);
  c.stock = Array<float>(stock);
  return std::make_shared<const CatalogIndex>(std::make_shared<const Catalog>(std::move(c)));
}

struct Shop {
  explicit Shop(std::int32_t n) : size(n), index(catalog(n)), vectors(static_cast<std::size_t>(n) * kDim, uninitialized) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    for (float& v : vectors.mutable_view()) v = normal(random);
  }
  [[nodiscard]] Ranker ranker(RerankMethod method) const {
    RankerParts p;
    p.catalog = index;
    p.sources = {std::make_shared<GivenSource>()};
    p.mix.standard = {{{"given", kCandidates, 1.0f}}, {}, Normalization::kMinMax};
    p.rules = Rules::from_json(R"({"rules": [
      {"type": "include", "predicate": {"in_stock": true}},
      {"type": "boost", "predicate": {"tag": "new"}, "factor": 1.3},
      {"type": "cap", "by": "brand", "max": 2},
      {"type": "one_variant"},
      {"type": "min_share", "predicate": {"price": {"max": 30}}, "share": 0.3}]})");
    p.rerank = {.method = method, .window = kCandidates};
    p.vectors = vectors;
    p.dim = static_cast<std::int32_t>(kDim);
    return Ranker(std::move(p));
  }
  std::int32_t size;
  std::shared_ptr<const CatalogIndex> index;
  Array<float> vectors;
};

const Shop& shop(std::int32_t n) {
  static std::unique_ptr<Shop> made;
  if (!made || made->size != n) made = std::make_unique<Shop>(n);
  return *made;
}

void BM_Rank(benchmark::State& state) {
  const Shop& s = shop(static_cast<std::int32_t>(state.range(0)));
  const Ranker ranker = s.ranker(static_cast<RerankMethod>(state.range(1)));
  // Other candidates each time, more than any cache holds; half of them are in stock.
  std::mt19937 random(3);
  std::vector<std::vector<ItemScore>> given(512);
  for (auto& list : given) {
    for (int i = 0; i < 2 * kCandidates; ++i)
      list.push_back({static_cast<std::int32_t>(random() % static_cast<unsigned>(s.size)), static_cast<float>(2 * kCandidates - i)});
  }
  RankScratch scratch;
  std::vector<RankedItem> out(kK);
  const auto in_stock = s.index->filter(Predicate::in_stock());
  for (const auto& list : given) {
    if (ranker.rank({.given = list}, out, scratch) != kK) return state.SkipWithError("short answer");
    for (const RankedItem& r : out)
      if (!in_stock->bits.contains(r.item)) return state.SkipWithError("forbidden product");
  }
  std::vector<double> times;
  times.reserve(1 << 20);
  std::size_t at = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    benchmark::DoNotOptimize(ranker.rank({.given = given[at]}, out, scratch));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    state.SetIterationTime(took.count());
    times.push_back(took.count() * 1e6);
    at = (at + 1) % given.size();
  }
  std::sort(times.begin(), times.end());
  const auto share = [&](double q) { return times[static_cast<std::size_t>(q * static_cast<double>(times.size() - 1))]; };
  state.counters["p50_us"] = share(0.5);
  state.counters["p95_us"] = share(0.95);
  state.counters["p99_us"] = share(0.99);
}
BENCHMARK(BM_Rank)->ArgNames({"items", "method"})->ArgsProduct({{1000000}, {0, 1, 2}})->UseManualTime()->Unit(benchmark::kMicrosecond);

// A predicate of four leaves, evaluated anew.
void BM_EvaluatePredicate(benchmark::State& state) {
  const Shop& s = shop(static_cast<std::int32_t>(state.range(0)));
  const Predicate p = Predicate::in_stock() & Predicate::price({}, 50) & ~Predicate::category("A/b") & ~Predicate::brand({"b1", "b2"});
  for (auto _ : state) benchmark::DoNotOptimize(s.index->evaluate(p));
  state.counters["items_per_second"] = benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(s.size), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_EvaluatePredicate)->ArgName("items")->Arg(1000000)->Unit(benchmark::kMillisecond);

// The same, cached, and joined with a request's own condition.
void BM_CachedFilter(benchmark::State& state) {
  const Shop& s = shop(static_cast<std::int32_t>(state.range(0)));
  const SharedFilter a = s.index->filter(Predicate::in_stock());
  const SharedFilter b = s.index->filter(Predicate::category("A"));
  for (auto _ : state) benchmark::DoNotOptimize(s.index->both(a, b));
}
BENCHMARK(BM_CachedFilter)->ArgName("items")->Arg(1000000)->Unit(benchmark::kNanosecond);

}  // namespace
