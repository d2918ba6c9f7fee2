// SPDX-License-Identifier: Apache-2.0
// Events a second that one thread gets into Engine::observe(): one figure for one durability and one order of shoppers.
//   build/bench/observe_benchmark memory|none|interval|every random|cyclic|text [events [shoppers]]
// random: shoppers as they come; cyclic: one after the other, round and round, so that each is the one idle longest; text:
// as random, with keys of text. It uses nothing that releases differ in: bench/observe_pair.py runs it beside the program
// that the same file makes with an earlier one.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "etalage/serving/engine.hpp"

namespace {

using namespace etalage;

double run(const std::string& durability, const std::string& order, std::int64_t events, std::int64_t shoppers) {
  const auto folder = std::filesystem::temp_directory_path() / ("etalage-observe-" + std::to_string(::getpid()));
  EngineOptions options;
  options.events.compact_bytes = 0;
  options.events.journal.durability =
      durability == "every" ? Durability::kEveryEvent : durability == "interval" ? Durability::kInterval : Durability::kNone;
  const auto engine = durability == "memory" ? std::make_unique<Engine>(options) : std::make_unique<Engine>(folder, options);
  constexpr std::int64_t kProducts = 100'000;
  std::vector<std::string> users;
  std::vector<std::string> items;
  if (order == "text") {
    for (std::int64_t u = 0; u < shoppers; ++u) users.push_back("shopper-" + std::to_string(u));
    for (std::int64_t i = 0; i < kProducts; ++i) items.push_back("sku-" + std::to_string(i));
  }
  std::mt19937_64 rng(4);
  const auto below = [&](std::int64_t n) { return static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(n)); };
  const auto begun = std::chrono::steady_clock::now();
  for (std::int64_t e = 0; e < events; ++e) {
    const std::int64_t u = order == "cyclic" ? e % shoppers : below(shoppers);
    const std::int64_t i = below(kProducts);
    const char* type = rng() % 20 == 0 ? "purchase" : "view";
    if (order == "text") engine->observe({users[static_cast<std::size_t>(u)], items[static_cast<std::size_t>(i)], type});
    else engine->observe({u, i, type});
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::filesystem::remove_all(folder);
  return static_cast<double>(events) / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: observe_benchmark memory|none|interval|every random|cyclic|text [events [shoppers]]\n");
    return 2;
  }
  const std::string durability = argv[1];
  const std::int64_t events = argc > 3 ? std::atoll(argv[3]) : durability == "every" ? 3'000 : 2'000'000;
  std::printf("%.1f\n", run(durability, argv[2], events, argc > 4 ? std::atoll(argv[4]) : 500'000));
  return 0;
}
