// SPDX-License-Identifier: Apache-2.0
// Fits, kernels and folding in of ALS on planted data of Gowalla's size: 30,000 users, 40,000 items, 800,000 entries,
// both sides with a heavy tail. One fit is one sweep over both sides.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/als.hpp"
#include "kernels/als_kernels.hpp"

namespace {

using namespace etalage;

constexpr std::int32_t kUsers = 30000;
constexpr std::int32_t kItems = 40000;

const Interactions& shop() {
  static const Interactions data = [] {
    std::mt19937_64 rng(1);
    std::uniform_real_distribution<double> u(0, 1);
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> columns;
    for (std::int32_t user = 0; user < kUsers; ++user) {
      const auto want = static_cast<std::size_t>(std::min(600.0, 10 * std::pow(u(rng), -0.6)));
      std::vector<std::int32_t> row;
      for (std::size_t j = 0; j < want; ++j)
        row.push_back(static_cast<std::int32_t>(kItems * std::pow(u(rng), 2.2)) % kItems);
      std::sort(row.begin(), row.end());
      row.erase(std::unique(row.begin(), row.end()), row.end());
      columns.insert(columns.end(), row.begin(), row.end());
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    const std::vector<float> ones(columns.size(), 1.0f);
    return Interactions({kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(ones)});
  }();
  return data;
}

AlsOptions options(benchmark::State& state) {
  AlsOptions o;
  o.factors = static_cast<int>(state.range(0));
  o.num_threads = static_cast<int>(state.range(1));
  o.solver = static_cast<AlsSolver>(state.range(2));
  o.alpha = o.unobserved_weight = 0.02f;
  o.regularization = 0.003f;
  o.nu = 1;
  o.compute_objective = false;
  return o;
}

// solver: 0 Cholesky, 1 conjugate gradient (3 steps), 2 subspace (blocks of 32)
void BM_AlsFit(benchmark::State& state) {
  AlsOptions o = options(state);
  o.iterations = 1;
  const Interactions& data = shop();
  AlsModel model(o);
  model.fit(data);
  double seconds = 0;
  for (auto _ : state) {
    const FitReport report = model.refit(data);
    // The sweep alone, without setting up: what a longer fit repeats.
    double sweep = 0;
    for (const auto& [phase, s] : report.phase_seconds)
      if (phase != "setup") sweep += s;
    state.SetIterationTime(sweep);
    seconds += sweep;
  }
  state.counters["items_per_second"] =
      benchmark::Counter(static_cast<double>(data.nnz()) * static_cast<double>(state.iterations()) / seconds);
}
BENCHMARK(BM_AlsFit)
    ->ArgNames({"factors", "num_threads", "solver"})
    ->ArgsProduct({{64, 128, 256}, {1, 2}, {0, 1, 2}})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Folding in one user of 20 items: nothing is proportional to the catalogue.
void BM_AlsFoldIn(benchmark::State& state) {
  AlsOptions o;
  o.factors = static_cast<int>(state.range(0));
  o.iterations = 1;
  o.compute_objective = false;
  o.keep_history = false;
  static AlsModel model;
  if (!model.fitted() || model.factors() != o.factors) {
    model = AlsModel(o);
    model.fit(shop());
  }
  Scratch scratch;
  std::vector<float> factor(static_cast<std::size_t>(o.factors));
  std::vector<std::int32_t> history(20);
  std::int32_t next = 0;
  for (auto _ : state) {
    for (std::int32_t& item : history) item = (next += 1237) % kItems;
    model.query_factor({.history = history}, factor, scratch);
    benchmark::DoNotOptimize(factor.data());
  }
}
BENCHMARK(BM_AlsFoldIn)->ArgNames({"factors"})->Arg(64)->Arg(128)->Arg(256)->Unit(benchmark::kMicrosecond);

// The kernels with the plain twin as the baseline; simd: 0 scalar, 1 baseline, 2 AVX2, 3 AVX-512.
Array<float> filled(std::size_t n) {
  Array<float> a(n);
  float* p = a.mutable_data();
  for (std::size_t i = 0; i < n; ++i) p[i] = static_cast<float>(i % 13) * 0.1f - 0.6f;
  return a;
}

const kernels::AlsTable* table(benchmark::State& state) {
  const auto level = static_cast<kernels::SimdLevel>(state.range(1));
  const auto levels = kernels::available_levels();
  if (std::find(levels.begin(), levels.end(), level) == levels.end()) {
    state.SkipWithError("this CPU does not have the level");
    return nullptr;
  }
  return &kernels::als_at(level);
}

void BM_AlsGramProduct(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const kernels::AlsTable* k = table(state);
  if (k == nullptr) return;
  constexpr std::size_t kRows = 32;
  const Array<float> x = filled(kRows * n);
  const Array<float> g = filled(n * n);
  Array<float> packed(n * n);
  kernels::pack_panels(g.data(), n, packed.mutable_data());
  Array<float> out(kRows * n);
  for (auto _ : state) {
    k->multiply(x.data(), n, kRows, packed.data(), n, 0, n, out.mutable_data(), n);
    benchmark::ClobberMemory();
  }
  state.counters["flops"] = benchmark::Counter(2.0 * kRows * static_cast<double>(n * n) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_AlsGramProduct)->ArgNames({"factors", "simd"})->ArgsProduct({{64, 128, 256}, {0, 1, 2, 3}});

void BM_AlsCholesky(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const kernels::AlsTable* k = table(state);
  if (k == nullptr) return;
  const Array<float> rows = filled((n + 30) * n);
  Array<float> a(n * n);
  for (std::size_t i = 0; i < n; ++i) a.mutable_data()[i * n + i] = 50;
  k->rank_update(rows.data(), rows.data(), n, 30, n, a.mutable_data(), n);
  Array<float> u(n * n);
  Array<float> b = filled(n);
  for (auto _ : state) {
    std::copy(a.begin(), a.end(), u.mutable_data());
    if (k->cholesky(u.mutable_data(), n, n) != n) state.SkipWithError("not positive definite");
    k->solve(u.data(), n, n, b.mutable_data());
    benchmark::ClobberMemory();
  }
  const auto m = static_cast<double>(n);
  state.counters["flops"] = benchmark::Counter(m * m * m / 3 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_AlsCholesky)->ArgNames({"factors", "simd"})->ArgsProduct({{64, 128, 256}, {0, 1, 2, 3}});

}  // namespace
