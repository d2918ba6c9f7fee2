// SPDX-License-Identifier: Apache-2.0
// Exact top-20 over item factors of Gowalla's size, against the bare matrix product of the BLAS in use (which selects
// nothing) and against the machine's peak of multiply-adds. Compare rows of one run only.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/build_info.hpp"
#include "kernels/rank_key.hpp"
#include "search/exact.hpp"

#if defined(ETALAGE_BENCH_BLAS)
extern "C" {
void sgemm_(const char*, const char*, const int*, const int*, const int*, const float*, const float*, const int*,
            const float*, const int*, const float*, float*, const int*);
void sgemv_(const char*, const int*, const int*, const float*, const float*, const int*, const float*, const int*,
            const float*, float*, const int*);
}
#endif

namespace {

using namespace etalage;
using namespace etalage::kernels;
using namespace etalage::search;

constexpr std::size_t kUsers = 1024;
constexpr std::size_t kItems = 40981;
constexpr std::size_t kK = 20;

struct Data {
  std::size_t dim;
  std::vector<float> users, items;
  [[nodiscard]] ScoredRows rows() const { return {items.data(), kItems, dim, dim}; }
  [[nodiscard]] double flops(double queries) const { return 2.0 * queries * static_cast<double>(kItems * dim); }
};

const Data& data(std::size_t dim) {
  static std::vector<Data> made;
  for (const Data& d : made)
    if (d.dim == dim) return d;
  Data d{dim, std::vector<float>(kUsers * dim), std::vector<float>(kItems * dim)};
  std::mt19937 rng(1);
  std::normal_distribution<float> value(0, 0.1f);
  for (float& v : d.users) v = value(rng);
  for (float& v : d.items) v = value(rng);
  made.reserve(8);
  made.push_back(std::move(d));
  return made.back();
}

void count(benchmark::State& state, const Data& d, std::size_t queries) {
  const double done = static_cast<double>(state.iterations()) * static_cast<double>(queries);
  state.counters["users_per_second"] = benchmark::Counter(done, benchmark::Counter::kIsRate);
  state.counters["flops"] = benchmark::Counter(d.flops(done), benchmark::Counter::kIsRate);
}

// By definition, in double: the first user's best scores.
bool agrees(const Data& d, std::span<const std::uint64_t> keys) {
  std::vector<double> all(kItems);
  for (std::size_t i = 0; i < kItems; ++i)
    for (std::size_t f = 0; f < d.dim; ++f) all[i] += static_cast<double>(d.users[f]) * d.items[i * d.dim + f];
  std::partial_sort(all.begin(), all.begin() + kK, all.end(), std::greater<>());
  for (std::size_t i = 0; i < kK; ++i)
    if (keys.size() != kK || std::abs(key_score(keys[i]) - all[i]) > 1e-5) return false;
  return true;
}

void BM_TopkBatch(benchmark::State& state, SimdLevel level) {
  const Data& d = data(static_cast<std::size_t>(state.range(0)));
  const auto threads = static_cast<int>(state.range(1));
  const ScanTable& table = scan_at(level);
  std::vector<ScanWorkspace> workspaces(static_cast<std::size_t>(threads));
  {
    const std::vector<ScanRequest> few(8, {d.users.data(), kK});
    std::vector<std::span<const std::uint64_t>> results(8);
    exact_top_k(d.rows(), few, results, workspaces[0], table);
    if (!agrees(d, results[7])) return state.SkipWithError("wrong result");
  }
  const std::size_t block = scan_block_size(d.dim, kK, kUsers, threads);
  for (auto _ : state)
    detail::parallel_for(kUsers, block, threads, [&](std::size_t begin, std::size_t end, int thread) {
      std::vector<ScanRequest> requests;
      for (std::size_t u = begin; u < end; ++u) requests.push_back({d.users.data() + u * d.dim, kK});
      std::vector<std::span<const std::uint64_t>> results(requests.size());
      exact_top_k(d.rows(), requests, results, workspaces[static_cast<std::size_t>(thread)], table);
      benchmark::DoNotOptimize(results.data());
    });
  count(state, d, kUsers);
}

void BM_TopkSingle(benchmark::State& state, SimdLevel level) {
  const Data& d = data(static_cast<std::size_t>(state.range(0)));
  const ScanTable& table = scan_at(level);
  ScanWorkspace workspace;
  if (!agrees(d, exact_top_k(d.rows(), ScanRequest{d.users.data(), kK}, workspace, table)))
    return state.SkipWithError("wrong result");
  std::size_t u = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(exact_top_k(d.rows(), ScanRequest{d.users.data() + u * d.dim, kK}, workspace, table).data());
    u = (u + 1) % kUsers;
  }
  count(state, d, 1);
}

// One product in a thousand is allowed: the cost is that of its rows.
void BM_TopkAllowList(benchmark::State& state) {
  const Data& d = data(static_cast<std::size_t>(state.range(0)));
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(kItems); i += 1000) ids.push_back(i);
  const ItemFilter filter = ItemFilter::allow(ids);
  ScanWorkspace workspace;
  std::size_t u = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(exact_top_k(d.rows(), ScanRequest{d.users.data() + u * d.dim, kK, {}, &filter}, workspace).data());
    u = (u + 1) % kUsers;
  }
}

#if defined(ETALAGE_BENCH_BLAS)
void BM_SgemmAlone(benchmark::State& state) {
  const Data& d = data(static_cast<std::size_t>(state.range(0)));
  const auto threads = static_cast<int>(state.range(1));
  constexpr std::size_t kBlock = 128;
  std::vector<std::vector<float>> scores(static_cast<std::size_t>(threads), std::vector<float>(kBlock * kItems));
  for (auto _ : state)
    detail::parallel_for(kUsers, kBlock, threads, [&](std::size_t begin, std::size_t end, int thread) {
      const auto n = static_cast<int>(kItems);
      const auto m = static_cast<int>(end - begin);
      const auto k = static_cast<int>(d.dim);
      const float one = 1, none = 0;
      float* out = scores[static_cast<std::size_t>(thread)].data();
      sgemm_("T", "N", &n, &m, &k, &one, d.items.data(), &k, d.users.data() + begin * d.dim, &k, &none, out, &n);
      benchmark::DoNotOptimize(out);
      benchmark::ClobberMemory();
    });
  count(state, d, kUsers);
}

void BM_SgemvAlone(benchmark::State& state) {
  const Data& d = data(static_cast<std::size_t>(state.range(0)));
  std::vector<float> scores(kItems);
  std::size_t u = 0;
  for (auto _ : state) {
    const auto n = static_cast<int>(kItems);
    const auto k = static_cast<int>(d.dim);
    const int step = 1;
    const float one = 1, none = 0;
    sgemv_("T", &k, &n, &one, d.items.data(), &k, d.users.data() + u * d.dim, &step, &none, scores.data(), &step);
    benchmark::DoNotOptimize(scores.data());
    u = (u + 1) % kUsers;
  }
  count(state, d, 1);
}
#endif

#if defined(__x86_64__)
// Independent multiply-adds that never leave the registers, one thread.
typedef float Vector32 __attribute__((vector_size(32)));
typedef float Vector64 __attribute__((vector_size(64)));

template <class Vector>
__attribute__((always_inline)) inline double multiply_adds(std::int64_t steps) {
  constexpr int kChains = 12;
  const Vector a = Vector{} + 0.999f;
  const Vector b = Vector{} + 1e-9f;
  Vector sums[kChains] = {};
  for (std::int64_t s = 0; s < steps; ++s) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * a + b;
  }
  for (int c = 1; c < kChains; ++c) sums[0] += sums[c];
  float total = sums[0][0];
  benchmark::DoNotOptimize(total);
  return 2.0 * kChains * static_cast<double>(sizeof(Vector) / sizeof(float)) * static_cast<double>(steps);
}
__attribute__((target("avx512f,fma"))) double multiply_adds_avx512(std::int64_t steps) { return multiply_adds<Vector64>(steps); }
__attribute__((target("avx2,fma"))) double multiply_adds_avx2(std::int64_t steps) { return multiply_adds<Vector32>(steps); }

void BM_PeakMultiplyAdds(benchmark::State& state, double (*loop)(std::int64_t)) {
  double flops = 0;
  for (auto _ : state) flops += loop(1 << 22);
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsRate);
}
#endif

}  // namespace

int main(int argc, char** argv) {
  const BuildInfo info = build_info();
  benchmark::AddCustomContext("etalage_simd", info.simd);
  benchmark::AddCustomContext("etalage_compiler", info.compiler);
  benchmark::AddCustomContext("etalage_blas", info.blas);
  for (const SimdLevel level : available_levels()) {
    const std::string suffix = std::string("/") + name(level);
    auto* batch = benchmark::RegisterBenchmark(("BM_TopkBatch" + suffix).c_str(), BM_TopkBatch, level);
    batch->ArgNames({"factors", "num_threads"})->UseRealTime()->Unit(benchmark::kMillisecond)->Args({128, 1});
    if (level == available_levels().back()) batch->Args({64, 1})->Args({256, 1})->Args({128, 2});
    benchmark::RegisterBenchmark(("BM_TopkSingle" + suffix).c_str(), BM_TopkSingle, level)
        ->ArgName("factors")->Arg(128)->Unit(benchmark::kMicrosecond);
  }
  benchmark::RegisterBenchmark("BM_TopkAllowList", BM_TopkAllowList)->ArgName("factors")->Arg(128)->Unit(benchmark::kMicrosecond);
#if defined(ETALAGE_BENCH_BLAS)
  benchmark::RegisterBenchmark("BM_SgemmAlone", BM_SgemmAlone)->ArgNames({"factors", "num_threads"})->UseRealTime()
      ->Unit(benchmark::kMillisecond)->Args({64, 1})->Args({128, 1})->Args({256, 1})->Args({128, 2});
  benchmark::RegisterBenchmark("BM_SgemvAlone", BM_SgemvAlone)->ArgName("factors")->Arg(128)->Unit(benchmark::kMicrosecond);
#endif
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f"))
    benchmark::RegisterBenchmark("BM_PeakMultiplyAdds/avx512", BM_PeakMultiplyAdds, multiply_adds_avx512)->Unit(benchmark::kMillisecond);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    benchmark::RegisterBenchmark("BM_PeakMultiplyAdds/avx2", BM_PeakMultiplyAdds, multiply_adds_avx2)->Unit(benchmark::kMillisecond);
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
