// SPDX-License-Identifier: Apache-2.0
// What an engine that runs for a year costs:
//   build/bench/live_state_benchmark soak [visitors]    memory over ten million one-event visitors, a hundred thousand kept
//   build/bench/live_state_benchmark erase [erasures]   a million erasures: made, and replayed when the folder is opened
//   build/bench/live_state_benchmark beside [products]  recommend() with and without 100 erasures a second beside it, in turns
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "etalage/serving/engine.hpp"
#include "quantile.hpp"

namespace {

using namespace etalage;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

double resident_mb() {
  std::ifstream in("/proc/self/statm");
  long pages = 0;
  long resident = 0;
  in >> pages >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1e6;
}

int soak(std::int64_t visitors) {
  EventStoreOptions o;
  o.max_shoppers = 100'000;
  EventStore store(o);
  const auto begun = Clock::now();
  std::printf("visitors   kept     counted MB  resident MB\n");
  for (std::int64_t i = 1; i <= visitors; ++i) {
    store.observe({i, std::int64_t{i % 50'000}, i % 50 == 0 ? "purchase" : "view"});
    if (i % (visitors / 10) == 0)
      std::printf("%9lld  %7lld  %10.1f  %10.1f\n", static_cast<long long>(i), static_cast<long long>(store.counts().shoppers),
                  static_cast<double>(store.counts().shopper_bytes) / 1e6, resident_mb());
  }
  std::printf("%.2f us an event, the visitor who is forgotten for it included\n", seconds_since(begun) / static_cast<double>(visitors) * 1e6);
  return 0;
}

int erase(std::int64_t erasures) {
  const std::filesystem::path dir = std::filesystem::temp_directory_path() / ("etalage-erase-" + std::to_string(::getpid()));
  EventStoreOptions o;
  o.journal.durability = Durability::kNone;
  o.compact_bytes = 0;
  {
    EventStore store(dir, o);
    for (std::int64_t i = 0; i < 320'000; ++i) store.observe({std::int64_t{-1 - i / 200}, i});  // items that are live meanwhile
    for (std::int64_t i = 0; i < erasures; ++i) store.observe({i, i % 320'000});
    const auto begun = Clock::now();
    for (std::int64_t i = 0; i < erasures; ++i) store.erase_user(i);
    std::printf("erase_user: %.2f us each beside 320,000 live items\n", seconds_since(begun) / static_cast<double>(erasures) * 1e6);
  }
  const auto begun = Clock::now();
  const std::clock_t cpu = std::clock();
  { const EventStore store(dir, o); }
  std::printf("replay of %lld events and %lld erasures: %.2f s, %.2f s of processor time\n", static_cast<long long>(erasures + 320'000),
              static_cast<long long>(erasures), seconds_since(begun), static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC);
  std::filesystem::remove_all(dir);
  return 0;
}

int beside(std::int64_t products) {
  Engine engine;
  for (std::int64_t i = 0; i < products; ++i) engine.observe({i % 100'000, i, "view"});
  std::atomic<bool> stop{false};
  std::atomic<bool> erasing{false};
  std::thread other([&] {
    std::mt19937_64 rng(1);
    for (std::int64_t next = 1'000'000; !stop; ++next) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      if (!erasing) continue;
      for (int e = 0; e < 20; ++e) engine.observe({next, static_cast<std::int64_t>(rng() % static_cast<std::uint64_t>(products)), "view"});
      engine.erase_user(next);
    }
  });
  std::vector<double> times[2];
  std::mt19937_64 rng(2);
  for (int turn = 0; turn < 40; ++turn) {
    erasing = turn % 2 == 1;
    const auto begun = Clock::now();
    while (seconds_since(begun) < 0.25) {
      const auto asked = Clock::now();
      const Answer answer = engine.recommend({.user = static_cast<std::int64_t>(rng() % 100'000), .k = 20});
      times[turn % 2].push_back(seconds_since(asked) * 1e6);
    }
  }
  stop = true;
  other.join();
  for (const int which : {0, 1})
    std::printf("%s: p50 %.1f us, p99 %.1f us of %zu requests\n", which == 0 ? "alone                  " : "beside 100 erasures a s", quantile(times[which], 0.5),
                quantile(times[which], 0.99), times[which].size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](std::int64_t standard) { return argc > 2 ? std::atoll(argv[2]) : standard; };
  if (argc > 1 && std::strcmp(argv[1], "soak") == 0) return soak(number(10'000'000));
  if (argc > 1 && std::strcmp(argv[1], "erase") == 0) return erase(number(1'000'000));
  if (argc > 1 && std::strcmp(argv[1], "beside") == 0) return beside(number(1'000'000));
  std::fprintf(stderr, "usage: live_state_benchmark soak|erase|beside [number]\n");
  return 2;
}
