// SPDX-License-Identifier: Apache-2.0
// ItemIndex over clustered vectors: time of one search with recall@10 against the exact kind beside it.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#include "etalage/retrieval/item_index.hpp"

namespace {

using namespace etalage;

constexpr std::size_t kItems = 50000;
constexpr std::size_t kQueries = 200;
constexpr std::size_t kDim = 96;
constexpr std::size_t kK = 10;

std::vector<float> clustered(std::size_t rows, std::uint32_t seed) {
  std::mt19937 centre_random(1);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> centres(300 * kDim);
  for (float& x : centres) x = normal(centre_random);
  std::vector<float> out(rows * kDim);
  for (std::size_t i = 0; i < rows; ++i) {
    const float* c = &centres[random() % 300 * kDim];
    for (std::size_t f = 0; f < kDim; ++f) out[i * kDim + f] = c[f] + 0.5f * normal(random);
  }
  return out;
}

ItemIndex& index_of(IndexKind kind) {
  static std::unique_ptr<ItemIndex> made[3];
  auto& index = made[static_cast<int>(kind)];
  if (!index) {
    index = std::make_unique<ItemIndex>(static_cast<int>(kDim), IndexMetric::kCosine, kind);
    const auto data = clustered(kItems, 2);
    std::vector<std::int64_t> ids(kItems);
    std::iota(ids.begin(), ids.end(), 0);
    index->add({data.data(), kItems, kDim}, ids);
  }
  return *index;
}

void BM_Search(benchmark::State& state) {
  const auto kind = static_cast<IndexKind>(state.range(0));
  ItemIndex& index = index_of(kind);
  if (kind == IndexKind::kHnsw) index.set_ef_search(static_cast<int>(state.range(1)));
  if (kind == IndexKind::kIvfPq) index.set_nprobe(static_cast<int>(state.range(1)));
  const auto queries = clustered(kQueries, 3);
  Scratch scratch;
  std::vector<Neighbor> found(kK);
  std::vector<Neighbor> exact(kK);
  double hits = 0;
  for (std::size_t i = 0; i < kQueries; ++i) {
    index.search({&queries[i * kDim], kDim}, found, nullptr, scratch);
    index_of(IndexKind::kExact).search({&queries[i * kDim], kDim}, exact, nullptr, scratch);
    for (const Neighbor& e : exact) hits += std::any_of(found.begin(), found.end(), [&](const Neighbor& f) { return f.id == e.id; });
  }
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(index.search({&queries[i * kDim], kDim}, found, nullptr, scratch));
    i = (i + 1) % kQueries;
  }
  state.SetItemsProcessed(state.iterations());
  state.counters["recall@10"] = hits / static_cast<double>(kQueries * kK);
}
BENCHMARK(BM_Search)->ArgNames({"kind", "effort"})->Args({0, 0})->Args({1, 32})->Args({1, 64})->Args({1, 128})->Args({2, 8})->Args({2, 16})->Args({2, 32});

}  // namespace
