// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/audience.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <stdexcept>
#include <vector>

#include "etalage/core/slot.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/vectors.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage::marketing {
namespace {

VectorsModel made(std::size_t users, std::size_t dim, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> u(users * dim), i(7 * dim);
  for (float& x : u) x = normal(rng);
  for (float& x : i) x = normal(rng);
  for (std::size_t z = 5; z < users; z += 50) std::fill_n(u.begin() + static_cast<std::ptrdiff_t>(z * dim), dim, 0.0f);
  for (std::size_t z = 9; z + 1 < users; z += 60) std::copy_n(u.begin() + static_cast<std::ptrdiff_t>(z * dim), dim, u.begin() + static_cast<std::ptrdiff_t>((z + 1) * dim));
  return VectorsModel(Array<float>(u), Array<float>(i), static_cast<std::int32_t>(dim));
}

TEST(Audience, IsTheBestOfASortOfEverybody) {
  // 40,000 users are several chunks of the parallel loop.
  for (const std::size_t users : {std::size_t{30}, std::size_t{40'000}}) {
    const VectorsModel model = made(users, 11, 3);
    std::vector<std::uint8_t> allowed(users);
    for (std::size_t u = 0; u < users; ++u) allowed[u] = u % 3 != 0;
    const std::span<const float> vector = model.item_row(2);
    std::vector<std::pair<double, std::int32_t>> all;
    for (std::size_t u = 0; u < users; ++u) {
      const auto row = model.user_row(static_cast<std::int32_t>(u));
      if (allowed[u] == 0 || std::all_of(row.begin(), row.end(), [](float x) { return x == 0; })) continue;
      double sum = 0;
      for (std::size_t f = 0; f < row.size(); ++f) sum += static_cast<double>(row[f]) * static_cast<double>(vector[f]);
      all.emplace_back(-sum, static_cast<std::int32_t>(u));
    }
    std::sort(all.begin(), all.end());
    const auto got = audience(model, 2, 25, {.allowed = allowed, .hold_out_salt = {}, .hold_out_slots = 0, .num_threads = 2});
    ASSERT_EQ(got.size(), std::min<std::size_t>(25, all.size()));
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i].score, -all[i].first, 1e-4);
      const AudienceMember& before = got[i == 0 ? 0 : i - 1];
      EXPECT_TRUE(i == 0 || before.score > got[i].score || (before.score == got[i].score && before.user < got[i].user));
    }
    const auto one = audience(model, 2, 25, {.allowed = allowed, .hold_out_salt = {}, .hold_out_slots = 0, .num_threads = 1});
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].user, one[i].user);
    EXPECT_EQ(audience(model, 2, users + 5).size(), users - (users - 5 + 49) / 50);
  }
}

TEST(Audience, HoldsOutByKeyAndMovesNobodyElse) {
  AlsModel model({.factors = 4, .iterations = 3});
  model.fit(testing::shop_interactions());
  const auto everybody = audience(model, 1, 1000);
  std::set<std::int32_t> small_group;
  for (const std::int32_t slots : {1000, 3000, 10'000}) {
    const auto kept = audience(model, 1, 1000, {.allowed = {}, .hold_out_salt = "spring", .hold_out_slots = slots, .num_threads = 1});
    std::set<std::int32_t> out;
    for (const AudienceMember& m : everybody)
      if (slot(model.user_ids()->string_at(m.user), "spring") < slots) out.insert(m.user);
    EXPECT_EQ(kept.size() + out.size(), everybody.size());
    for (const AudienceMember& m : kept) EXPECT_FALSE(out.contains(m.user));
    EXPECT_TRUE(std::includes(out.begin(), out.end(), small_group.begin(), small_group.end()));
    small_group = out;
  }
}

TEST(Audience, RefusesWhatMeansNothing) {
  const VectorsModel model = made(20, 4, 1);
  const std::vector<float> wrong{1, 2, std::numeric_limits<float>::quiet_NaN(), 0}, large(4, 3e38f);
  const std::vector<std::uint8_t> few(3, 1);
  EXPECT_THROW((void)audience(model, 7, 5), std::invalid_argument);
  EXPECT_THROW((void)audience(model, -1, 5), std::invalid_argument);
  EXPECT_THROW((void)audience(model, std::span(wrong), 5), std::invalid_argument);
  EXPECT_THROW((void)audience(model, std::span(wrong).first(2), 5), std::invalid_argument);
  EXPECT_THROW((void)audience(model, std::span(large), 20), std::invalid_argument);
  EXPECT_THROW((void)audience(model, 0, 5, {.allowed = few, .hold_out_salt = {}}), std::invalid_argument);
  EXPECT_THROW((void)audience(model, 0, 5, {.allowed = {}, .hold_out_salt = "a", .hold_out_slots = 10'001}), std::invalid_argument);
  EXPECT_THROW((void)audience(model, 0, 5, {.allowed = {}, .hold_out_salt = "", .hold_out_slots = 10}), std::invalid_argument);
  EXPECT_THROW((void)audience(model, 0, 5, {.allowed = {}, .hold_out_salt = "a", .hold_out_slots = 10}), std::invalid_argument);  // no keys
  EXPECT_TRUE(audience(model, 0, 0).empty());
}

TEST(AudienceProducts, AreThoseOfEveryRowWithTheLargestLength) {
  for (const std::size_t dim : {std::size_t{1}, std::size_t{11}, std::size_t{64}}) {
    const std::size_t users = 40'000;
    std::mt19937 rng(5);
    std::normal_distribution<float> normal;
    std::vector<float> rows(users * dim), vector(dim), out(users), again(users);
    for (float& x : rows) x = normal(rng);
    for (float& x : vector) x = normal(rng);
    const double longest = audience_products(rows, vector, out, 1);
    EXPECT_EQ(longest, audience_products(rows, vector, again, 3));
    EXPECT_EQ(out, again);
    double most = 0;
    for (std::size_t u = 0; u < users; ++u) {
      double sum = 0, square = 0, size = 0;
      for (std::size_t f = 0; f < dim; ++f) {
        const double x = rows[u * dim + f];
        sum += x * vector[f];
        size += std::abs(x * vector[f]);
        square += x * x;
      }
      ASSERT_NEAR(out[u], sum, 1e-5 * size) << "user " << u;
      most = std::max(most, square);
    }
    EXPECT_NEAR(longest, most, 1e-5 * most);
    rows[7 * dim] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(std::isfinite(audience_products(rows, vector, out, 2)));
  }
  std::vector<float> five(5), two(2);
  EXPECT_THROW((void)audience_products(five, two, two), std::invalid_argument);
  EXPECT_THROW((void)audience_products(five, {}, two), std::invalid_argument);
  EXPECT_EQ(audience_products({}, two, {}), 0);
}

}  // namespace
}  // namespace etalage::marketing
