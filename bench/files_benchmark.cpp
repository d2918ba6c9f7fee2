// SPDX-License-Identifier: Apache-2.0
// Opening and saving a model of 512 MB of arrays and a million string keys, pages warm.
//   verify:1 checks every checksum and index, verify:0 the header alone. The baselines do less: ReadWholeFile copies the bytes
//   and checks nothing, RebuildKeys is what a format that stores keys as text pays to rebuild its hash table.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "etalage/core/id_map.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/vectors.hpp"

namespace {

using namespace etalage;

constexpr int kUsers = 1'000'000;
constexpr int kItems = 20'000;
constexpr int kDim = 128;  // (1,000,000 + 20,000) x 128 x 4 bytes = 522 MB

std::vector<std::string> user_keys() {
  std::vector<std::string> keys;
  keys.reserve(kUsers);
  for (int u = 0; u < kUsers; ++u) keys.push_back(std::string("shopper-").append(std::to_string(u * 7919LL % 1'000'003 + 1'000'000)));
  return keys;
}

/// The file, written once and removed at the end.
struct ModelFile {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("etalage-bench-" + std::to_string(::getpid()) + ".etalage");
  std::uint64_t bytes = 0;
  ModelFile() {
    const auto fill = [](std::size_t n) {
      Array<float> a(n, uninitialized);
      std::uint32_t x = 1;
      for (float& v : a.mutable_view()) v = static_cast<float>((x = x * 1664525u + 1013904223u) >> 8) * 0x1p-24f - 0.5f;
      return a;
    };
    VectorsModel model(fill(std::size_t{kUsers} * kDim), fill(std::size_t{kItems} * kDim), kDim);
    const auto keys = user_keys();
    model.set_ids(std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(keys))), nullptr);
    save(model, path);
    bytes = std::filesystem::file_size(path);
  }
  ~ModelFile() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};

const ModelFile& file() {
  static const ModelFile f;
  return f;
}

void report(benchmark::State& state) {
  state.counters["bytes_per_second"] =
      benchmark::Counter(static_cast<double>(file().bytes) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void BM_OpenModel(benchmark::State& state) {
  const LoadOptions options{.verify = state.range(0) ? Verify::kFull : Verify::kHeader, .num_threads = static_cast<int>(state.range(1))};
  if (load(file().path)->user_ids()->find("shopper-1000000") != 0) state.SkipWithError("the loaded model is not the saved one");
  for (auto _ : state) benchmark::DoNotOptimize(load(file().path, options));
  report(state);
}
BENCHMARK(BM_OpenModel)->ArgNames({"verify", "num_threads"})->Args({0, 1})->Args({1, 1})->Args({1, 0})->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(1);

void BM_ReadWholeFile(benchmark::State& state) {
  const std::unique_ptr<char[]> buffer(new char[file().bytes]);
  for (auto _ : state) {
    const int fd = ::open(file().path.c_str(), O_RDONLY);
    std::uint64_t got = 0;
    for (ssize_t n = 0; (n = ::read(fd, buffer.get() + got, file().bytes - got)) > 0;) got += static_cast<std::uint64_t>(n);
    ::close(fd);
    if (got != file().bytes) state.SkipWithError("short read");
  }
  report(state);
}
BENCHMARK(BM_ReadWholeFile)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_RebuildKeys(benchmark::State& state) {
  const auto keys = user_keys();
  for (auto _ : state) benchmark::DoNotOptimize(IdMap::from_strings(std::span<const std::string>(keys)));
}
BENCHMARK(BM_RebuildKeys)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_SaveModel(benchmark::State& state) {
  const auto model = load(file().path);
  const auto target = file().path.string() + ".saved";
  for (auto _ : state) save(*model, target);
  std::filesystem::remove(target);
  report(state);
}
BENCHMARK(BM_SaveModel)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(2);

}  // namespace

BENCHMARK_MAIN();
