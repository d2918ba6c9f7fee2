// SPDX-License-Identifier: Apache-2.0
// Every distance kernel on every level that this CPU has; the scalar twin is the baseline. Rows are taken at random from
// a table larger than the caches, as a graph walk does.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "kernels/dot_kernels.hpp"
#include "kernels/scan_kernels.hpp"

namespace {

using namespace etalage::kernels;

constexpr std::size_t kRows = 200'000;
constexpr std::size_t kRun = 240;  // a multiple of every level's panel

struct Table {
  std::size_t dim;
  std::vector<float> values;
  std::vector<const float*> order;
};

const Table& table_of(std::size_t dim) {
  static std::vector<Table> made;
  for (const Table& t : made)
    if (t.dim == dim) return t;
  Table t{dim, std::vector<float>(kRows * dim), {}};
  std::mt19937 rng(1);
  std::uniform_real_distribution<float> value(-1, 1);
  for (float& v : t.values) v = value(rng);
  for (std::size_t i = 0; i < kRows / kRun * kRun; ++i) t.order.push_back(t.values.data() + rng() % kRows * dim);
  made.reserve(8);
  made.push_back(std::move(t));
  return made.back();
}

void count(benchmark::State& state, std::size_t rows, std::size_t dim) {
  const auto done = static_cast<std::int64_t>(rows) * state.iterations();
  state.SetItemsProcessed(done);
  state.SetBytesProcessed(done * static_cast<std::int64_t>(dim * sizeof(float)));
}

using Many = void (*)(const float*, const float* const*, std::size_t, std::size_t, float*);

void BM_Distances(benchmark::State& state, Many kernel, Many oracle) {
  const auto dim = static_cast<std::size_t>(state.range(0));
  const Table& t = table_of(dim);
  std::vector<float> out(kRun), expected(kRun);
  kernel(t.values.data(), t.order.data(), kRun, dim, out.data());
  oracle(t.values.data(), t.order.data(), kRun, dim, expected.data());
  for (std::size_t i = 0; i < kRun; ++i)
    if (std::abs(out[i] - expected[i]) > 1e-3f) return state.SkipWithError("wrong result");
  std::size_t at = 0;
  for (auto _ : state) {
    kernel(t.values.data(), t.order.data() + at, kRun, dim, out.data());
    benchmark::DoNotOptimize(out.data());
    at = (at + kRun) % t.order.size();
  }
  count(state, kRun, dim);
}

// The single-query scan's kernel, over rows in order.
void BM_ScoreRows(benchmark::State& state, SimdLevel level) {
  const auto dim = static_cast<std::size_t>(state.range(0));
  const Table& t = table_of(dim);
  std::vector<const float*> rows;
  for (std::size_t i = 0; i < kRows / kRun * kRun; ++i) rows.push_back(t.values.data() + i * dim);
  std::vector<float> out(kRun + 64), expected(kRun + 64);
  scan_at(level).score_rows(rows.data(), kRun, t.values.data(), dim, nullptr, nullptr, out.data());
  scan_at(SimdLevel::kScalar).score_rows(rows.data(), kRun, t.values.data(), dim, nullptr, nullptr, expected.data());
  for (std::size_t i = 0; i < kRun; ++i)
    if (std::abs(out[i] - expected[i]) > 1e-3f) return state.SkipWithError("wrong result");
  std::size_t at = 0;
  for (auto _ : state) {
    scan_at(level).score_rows(rows.data() + at, kRun, t.values.data(), dim, nullptr, nullptr, out.data());
    benchmark::DoNotOptimize(out.data());
    at = (at + kRun) % rows.size();
  }
  count(state, kRun, dim);
}

}  // namespace

int main(int argc, char** argv) {
  const DotTable& oracle = dot_at(SimdLevel::kScalar);
  for (const SimdLevel level : available_levels()) {
    const std::string suffix = std::string("/") + name(level);
    const DotTable& table = dot_at(level);
    benchmark::RegisterBenchmark(("BM_Dots" + suffix).c_str(), BM_Distances, table.dots, oracle.dots)
        ->ArgName("dim")->Arg(64)->Arg(128);
    benchmark::RegisterBenchmark(("BM_SquaredDistances" + suffix).c_str(), BM_Distances, table.squared_distances,
                                 oracle.squared_distances)->ArgName("dim")->Arg(64)->Arg(128);
    benchmark::RegisterBenchmark(("BM_ScoreRows" + suffix).c_str(), BM_ScoreRows, level)->ArgName("dim")->Arg(64)->Arg(128);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
