// SPDX-License-Identifier: Apache-2.0
// What one change of a large model costs: a user or an item of ALS with a million users and 64 factors, rows kept, and a
// session of Transitions that counted a million events. The goal is below a millisecond each, for every change but those
// marked as the first of their kind, which make room or sums once.
//   build/bench/live_update_benchmark
// Prints the median and the worst of 50 changes, in milliseconds; each line says beside it what a copy of everything costs.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <utility>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/transitions.hpp"

namespace {

using namespace etalage;

double milliseconds(const std::function<void()>& change) {
  const auto begin = std::chrono::steady_clock::now();
  change();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

void print(const char* what, const std::function<void(int)>& change) {
  std::vector<double> ms;
  const double first = milliseconds([&] { change(0); });
  for (int i = 1; i <= 50; ++i) ms.push_back(milliseconds([&] { change(i); }));
  std::sort(ms.begin(), ms.end());
  std::printf("%-58s first %9.3f   median %9.3f   worst %9.3f ms\n", what, first, ms[ms.size() / 2], ms.back());
}

CsrMatrix one_row(std::int64_t cols, std::size_t entries, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<std::int32_t> columns;
  for (std::size_t i = 0; i < entries; ++i) columns.push_back(static_cast<std::int32_t>(rng() % static_cast<std::uint64_t>(cols)));
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  return {1, cols, Array<std::int64_t>(std::vector<std::int64_t>{0, static_cast<std::int64_t>(columns.size())}), Array<std::int32_t>(columns),
          Array<float>(std::vector<float>(columns.size(), 1.0f))};
}

void als() {
  constexpr std::int32_t kUsers = 1'000'000;
  constexpr std::int32_t kItems = 100'000;
  constexpr std::size_t kRow = 10;
  std::mt19937 rng(1);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    std::vector<std::int32_t> row(kRow);
    for (std::int32_t& i : row) i = static_cast<std::int32_t>(rng() % kItems);
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    columns.insert(columns.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  AlsModel model(AlsOptions{.factors = 64, .iterations = 0, .compute_objective = false, .num_threads = 1});
  model.fit(Interactions(CsrMatrix{kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns),
                                   Array<float>(std::vector<float>(columns.size(), 1.0f))}));
  const auto user = [&](int i, std::int32_t index) {
    model.partial_fit_users({&index, 1}, one_row(kItems, kRow, static_cast<unsigned>(i)).view());
  };
  const auto item = [&](int i, std::int32_t index) {
    model.partial_fit_items({&index, 1}, one_row(model.num_users(), 100, static_cast<unsigned>(i)).view());
  };
  print("ALS, a user replaced", [&](int i) { user(i, 17 * i); });
  print("ALS, a user added", [&](int i) { user(i, model.num_users()); });
  print("ALS, an item added", [&](int i) { item(i, model.num_items()); });
  print("ALS, an item replaced (the first turns the kept rows round)", [&](int i) { item(i, 31 * i); });
  std::printf("%-58s %15.3f ms\n", "  a copy of the users' factors, for comparison", milliseconds([&] {
                Array<float> copy(model.user_factors().view());
                (void)copy;
              }));
}

void transitions() {
  constexpr std::int32_t kItems = 50'000;
  constexpr std::int64_t kSessions = 200'000;
  constexpr std::int64_t kLength = 5;
  std::mt19937 rng(2);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  for (std::int64_t s = 0; s < kSessions; ++s) {
    for (std::int64_t p = 0; p < kLength; ++p) items.push_back(static_cast<std::int32_t>(rng() % kItems));
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  TransitionsModel model;
  const auto fit = [&] {
    model.fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, kItems));
  };
  const double all = milliseconds(fit);
  print("Transitions, a session added", [&](int i) {
    std::vector<std::int32_t> session;
    for (std::int64_t p = 0; p < kLength; ++p) session.push_back(static_cast<std::int32_t>((static_cast<std::int64_t>(i) * 977 + p * 31) % kItems));
    model.add_sessions(Sequences(Array<std::int64_t>(std::vector<std::int64_t>{0, kLength}), Array<std::int32_t>(session), {}, kItems));
  });
  std::printf("%-58s %15.3f ms\n", "  counting all sessions anew, for comparison", all);
}

}  // namespace

int main() {
  als();
  transitions();
  return 0;
}
