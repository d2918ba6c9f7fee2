// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "etalage/core/sequences.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage::testing {

constexpr int kItems = 30;
using Dense = std::vector<std::vector<double>>;

/// Lists of 0 to 14 items with repeats, hours apart; the last item of the catalogue is in none.
inline Sequences random_sequences(std::uint32_t seed, int lists = 60) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> times;
  for (int l = 0; l < lists; ++l) {
    std::int64_t t = 1'600'000'000'000 + static_cast<std::int64_t>(rng() % 1000) * 3'600'000;
    for (auto n = rng() % 15; n != 0; --n) {
      // Two draws: low items are more frequent.
      items.push_back(static_cast<std::int32_t>(std::min(rng() % (kItems - 1), rng() % (kItems - 1))));
      times.push_back(t);
      t += static_cast<std::int64_t>(rng() % 50) * 3'600'000;
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), kItems);
}

inline std::vector<float> scores_of(const Recommender& model, const Query& query) {
  std::vector<std::int32_t> items;
  for (std::int32_t i = 0; i < model.num_items(); ++i) items.push_back(i);
  std::vector<float> out(items.size());
  Scratch scratch;
  model.score(query, items, out, scratch);
  return out;
}

}  // namespace etalage::testing
