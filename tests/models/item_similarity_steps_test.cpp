// SPDX-License-Identifier: Apache-2.0
// Blocks of items, each from the rows of its users alone, have the bits of a fit over everything.
#include "models/neighbour/item_similarity_steps.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/ease.hpp"
#include "models/auto_settings.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kUsers = 150;
constexpr std::int32_t kItems = 70;

CsrMatrix random_rows() {
  std::mt19937 random(3);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    for (std::int32_t i = 0; i < kItems; ++i)
      if (random() % 7 == 0) {
        columns.push_back(i);
        values.push_back(0.25f * static_cast<float>(1 + random() % 9));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return {kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)};
}

/// The whole rows of the users who have an item of [first, first + count).
ItemBlock block_of(const CsrMatrix& all, std::int32_t first, std::int32_t count) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (std::int64_t u = 0; u < all.rows; ++u) {
    const auto c = all.view().row_columns(u);
    if (std::none_of(c.begin(), c.end(), [&](std::int32_t i) { return i >= first && i < first + count; })) continue;
    const auto v = all.view().row_values(u);
    columns.insert(columns.end(), c.begin(), c.end());
    values.insert(values.end(), v.begin(), v.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  const CsrMatrix users{static_cast<std::int64_t>(offsets.size()) - 1, all.cols, Array<std::int64_t>(offsets), Array<std::int32_t>(columns),
                        Array<float>(values)};
  return {users, first, count};
}

void expect_same(const CsrMatrix& block, const CsrMatrix& whole, std::int32_t first) {
  for (std::int64_t r = 0; r < block.rows; ++r) {
    const auto c = block.view().row_columns(r);
    const auto expected = whole.view().row_columns(first + r);
    ASSERT_TRUE(std::ranges::equal(c, expected)) << first + r;
    EXPECT_TRUE(std::ranges::equal(block.view().row_values(r), whole.view().row_values(first + r))) << first + r;
  }
}

constexpr std::int32_t kFirsts[] = {0, 13, 14, 60};
constexpr std::int32_t kCounts[] = {13, 1, 46, 10};

TEST(ItemSimilaritySteps, ItemKnnHasTheBitsOfAFit) {
  const CsrMatrix rows = random_rows();
  const CsrMatrix items = transpose(rows.view());
  std::vector<double> lengths(kItems, 0.0);
  double mean = 0;
  for (std::int32_t i = 0; i < kItems; ++i) {
    for (const float v : items.view().row_values(i)) lengths[static_cast<std::size_t>(i)] += static_cast<double>(v);
    mean += lengths[static_cast<std::size_t>(i)] / kItems;
  }
  for (int s = 0; s <= static_cast<int>(Similarity::kLift); ++s) {
    ItemKnnOptions options;
    options.similarity = static_cast<Similarity>(s);
    options.num_neighbors = 9;
    options.shrinkage = 1.5f;
    options.user_damping = 0.25f;
    options.normalize = s % 2 == 1;
    ItemKnnModel whole(options);
    whole.fit(Interactions(rows));
    std::vector<double> squares;
    for (std::size_t b = 0; b < 4; ++b) {
      const auto part = item_knn_squares(options, block_of(rows, kFirsts[b], kCounts[b]), {kUsers, lengths, mean, {}});
      squares.insert(squares.end(), part.begin(), part.end());
    }
    for (std::size_t b = 0; b < 4; ++b)
      expect_same(item_knn_rows(options, block_of(rows, kFirsts[b], kCounts[b]), {kUsers, lengths, mean, squares}), whole.weights(), kFirsts[b]);
    const auto again = ItemKnnModel::from_rows(options, Interactions(rows), whole.weights(), 1.0);
    expect_same(again->weights(), whole.weights(), 0);
  }
}

TEST(ItemSimilaritySteps, RandomWalksHaveTheBitsOfAFit) {
  const CsrMatrix rows = random_rows();
  std::vector<std::int64_t> users_of(kItems, 0);
  for (const std::int32_t i : rows.columns) ++users_of[static_cast<std::size_t>(i)];
  for (const float beta : {0.0f, 0.6f}) {
    RandomWalkOptions options;
    options.alpha = beta == 0.0f ? 1.0f : 1.3f;
    options.beta = beta;
    options.num_neighbors = 11;
    options.normalize = beta > 0;
    RandomWalkModel whole(options);
    whole.fit(Interactions(rows));
    for (std::size_t b = 0; b < 4; ++b)
      expect_same(random_walk_rows(options, block_of(rows, kFirsts[b], kCounts[b]), users_of), whole.weights(), kFirsts[b]);
  }
}

TEST(ItemSimilaritySteps, EaseHasTheBitsOfAFit) {
  const CsrMatrix rows = random_rows();
  const auto blocks_of = [&] {
    std::vector<CsrMatrix> blocks;
    for (std::size_t b = 0; b < 4; ++b) blocks.push_back(ease_gram_rows(block_of(rows, kFirsts[b], kCounts[b]), static_cast<int>(b) + 1));
    return blocks;
  }();
  for (const int neighbors : {0, 9})
    for (const float penalty : {0.0f, 0.4f}) {
      EaseOptions options;
      options.l2 = 20;
      options.num_neighbors = neighbors;
      options.popularity_penalty = penalty;
      EaseModel whole(options);
      whole.fit(Interactions(rows));
      const auto again = EaseModel::from_gram(options, Interactions(rows), blocks_of, 3, 1.0);
      ASSERT_EQ(again->is_dense(), neighbors == 0);
      if (neighbors > 0) expect_same(again->weights(), whole.weights(), 0);
      else EXPECT_TRUE(std::ranges::equal(again->dense_weights().view(), whole.dense_weights().view()));
    }
}

TEST(ItemSimilaritySteps, EaseOverUsersOrBeyondItsMemoryIsNotThatOfItems) {
  EaseOptions options;
  options.l2 = 20;
  EXPECT_TRUE(EaseModel::over_items(options, 80, 100));
  EXPECT_FALSE(EaseModel::over_items(options, 79, 100));
  options.memory_budget = 4 * 99 * 99;
  EXPECT_FALSE(EaseModel::over_items(options, 1000, 100));
  options.method = EaseMethod::kExact;
  EXPECT_THROW((void)EaseModel::over_items(options, 1000, 100), std::invalid_argument);
  options.method = EaseMethod::kApproximate;
  EXPECT_FALSE(EaseModel::over_items(options, 1000, 99));
  const CsrMatrix rows = random_rows();
  EXPECT_THROW((void)EaseModel::from_gram(options, Interactions(rows), {}, 1, 1.0), std::invalid_argument);
  const EaseOptions exact{.l2 = 20};
  EXPECT_THROW((void)EaseModel::from_gram(exact, Interactions(rows), {}, 1, 1.0), std::invalid_argument);
  const std::vector<CsrMatrix> half{ease_gram_rows(block_of(rows, 0, 35), 1)};
  EXPECT_THROW((void)EaseModel::from_gram(exact, Interactions(rows), half, 1, 1.0), std::invalid_argument);
  EXPECT_THROW((void)ease_gram_rows({rows, 60, 11}, 1), std::invalid_argument);
  const CsrMatrix few = block_of(rows, 0, 2).users;  // about 40 users of 70 items
  EaseModel whole(exact);
  whole.fit(Interactions(few));
  const auto over_users = EaseModel::from_gram(exact, Interactions(few), {}, 2, 1.0);
  EXPECT_TRUE(std::ranges::equal(over_users->dense_weights().view(), whole.dense_weights().view()));
  EXPECT_EQ(over_users->options().num_threads, 0);
}

TEST(ItemSimilaritySteps, MistakesAreNamed) {
  const CsrMatrix rows = random_rows();
  const std::vector<std::int64_t> few(3, 1);
  EXPECT_THROW((void)random_walk_rows({}, {rows, 0, kItems}, few), std::invalid_argument);
  EXPECT_THROW((void)random_walk_rows({}, {rows, 60, 11}, std::vector<std::int64_t>(kItems, 1)), std::invalid_argument);
  EXPECT_THROW((void)random_walk_rows({}, {rows, -1, 2}, std::vector<std::int64_t>(kItems, 1)), std::invalid_argument);
  EXPECT_THROW((void)item_knn_rows({}, {rows, 0, kItems}, {kUsers, {}, 0, {}}), std::invalid_argument);
  EXPECT_THROW((void)ItemKnnModel::from_rows({}, Interactions(rows), rows, 0), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
