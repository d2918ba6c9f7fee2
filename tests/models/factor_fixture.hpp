// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <random>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/models/factor_model.hpp"

namespace etalage::testing {

/// The smallest factor model: rows are given, folding in adds the rows of history and session.
class GivenFactors final : public FactorModel {
 public:
  [[nodiscard]] std::string_view kind() const noexcept override { return "GivenFactors"; }
  using FactorModel::set_factors;
  using FactorModel::set_item_rows;
  using FactorModel::set_user_rows;

 protected:
  void fold_in(const Query& query, std::span<float> factor, Scratch&) const override {
    std::fill(factor.begin(), factor.end(), 0.0f);
    const auto add = [&](std::span<const std::int32_t> items) {
      for (const std::int32_t i : items)
        for (std::size_t f = 0; f < factor.size(); ++f) factor[f] += item_row(i)[f];
    };
    add(history_of(query));
    add(query.session);
  }
};

/// Values of a coarse grid, so that equal scores are frequent; exact in any order of summation.
inline Array<float> grid_factors(std::size_t rows, std::size_t factors, unsigned seed, int levels) {
  std::mt19937 rng(seed);
  std::uniform_int_distribution<int> value(-levels, levels);
  Array<float> a(rows * factors);
  for (float& v : a.mutable_view()) v = static_cast<float>(value(rng));
  return a;
}

inline Array<float> normal_factors(std::size_t rows, std::size_t factors, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> value(0, 0.3f);
  Array<float> a(rows * factors);
  for (float& v : a.mutable_view()) v = value(rng);
  return a;
}

inline GivenFactors given(Array<float> users, Array<float> items, std::int32_t factors) {
  GivenFactors m;
  const auto n = [factors](const Array<float>& a) { return static_cast<std::int32_t>(a.size()) / factors; };
  const std::int32_t num_users = n(users);
  const std::int32_t num_items = n(items);
  m.set_factors(std::move(users), num_users, std::move(items), num_items, factors);
  return m;
}

/// Ranks every item by score() and drops what is excluded: the definition of recommend().
inline std::vector<ItemScore> brute_force(const FactorModel& model, const Query& query,
                                          const std::vector<std::int32_t>& seen, std::size_t k) {
  std::vector<std::int32_t> items;
  const std::set<std::int32_t> out(seen.begin(), seen.end());
  for (std::int32_t i = 0; i < model.num_items(); ++i)
    if ((!query.exclude_seen || out.count(i) == 0) && (query.filter == nullptr || query.filter->allows(i)))
      items.push_back(i);
  std::vector<float> scores(items.size());
  Scratch scratch;
  model.score(query, items, scores, scratch);
  std::vector<ItemScore> all(items.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = {items[i], scores[i]};
  std::stable_sort(all.begin(), all.end(), [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
  all.resize(std::min(k, all.size()));
  return all;
}

inline std::vector<ItemScore> recommend(const Recommender& model, const Query& query, std::size_t k) {
  std::vector<ItemScore> out(k);
  Scratch scratch;
  out.resize(model.recommend(query, out, scratch));
  return out;
}

}  // namespace etalage::testing

namespace etalage {
inline bool operator==(const ItemScore& a, const ItemScore& b) { return a.item == b.item && a.score == b.score; }
}  // namespace etalage
