// SPDX-License-Identifier: Apache-2.0
// Item2Vec: the step against numeric differences of the loss, negatives, groups found, parts, repeats, options.
#include "etalage/models/item2vec.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "detail/random_stream.hpp"
#include "etalage/error.hpp"
#include "kernels/sgd_kernels.hpp"
#include "models/pairwise/block_schedule.hpp"
#include "models/pairwise/skip_gram.hpp"
#include "support/refused_option.hpp"

namespace etalage {
namespace {

// Lists of `length` items, all of one of four groups.
Sequences grouped(std::int32_t lists, std::int32_t items, std::size_t length) {
  detail::RandomStream random(5, 1, 1);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> entries;
  for (std::int32_t s = 0; s < lists; ++s) {
    for (std::size_t p = 0; p < length; ++p)
      entries.push_back(s % 4 + 4 * static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(items / 4))));
    offsets.push_back(static_cast<std::int64_t>(entries.size()));
  }
  return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(entries), {}, items);
}

TEST(SkipGram, StepFollowsTheGradientOfTheLoss) {
  constexpr std::size_t n = 16;
  detail::RandomStream random(3, 1, 1);
  Array<float> rows(3 * n);  // center, context, negative
  float* start = rows.mutable_data();
  for (std::size_t k = 0; k < 3 * n; ++k) start[k] = static_cast<float>(random.below(2000)) / 1000.0f - 1;
  const auto loss = [&](const std::vector<double>& z) {
    double context = 0;
    double negative = 0;
    for (std::size_t k = 0; k < n; ++k) {
      context += z[k] * z[n + k];
      negative += z[k] * z[2 * n + k];
    }
    return std::log1p(std::exp(-context)) + std::log1p(std::exp(negative));
  };
  Array<float> moved(rows.view());
  float* m = moved.mutable_data();
  Array<float> gathered(n);
  float* step = gathered.mutable_data();
  constexpr float rate = 1.0f / 1024;
  const kernels::SgdTable& k = kernels::sgd();
  k.attract(m + n, m, step, n, rate * detail::logistic_slope(k.dot(m, m + n, n)));
  k.attract(m + 2 * n, m, step, n, -rate * detail::logistic_slope(-k.dot(m, m + 2 * n, n)));
  for (std::size_t f = 0; f < n; ++f) m[f] += step[f];
  const std::vector<double> z(rows.begin(), rows.end());
  for (std::size_t f = 0; f < 3 * n; ++f) {
    std::vector<double> up = z;
    std::vector<double> down = z;
    up[f] += 1e-5;
    down[f] -= 1e-5;
    const double taken = (static_cast<double>(moved[f]) - static_cast<double>(rows[f])) / static_cast<double>(rate);
    EXPECT_NEAR(taken, -(loss(up) - loss(down)) / 2e-5, 2e-4) << f;
  }
}

TEST(SkipGram, NegativesAreDrawnByTheirWeights) {
  const std::vector<float> weights{0, 1, 2, 5, 0, 8};
  skip_gram::AliasTable table;
  table.build(weights);
  detail::RandomStream random(1, 2, 3);
  std::vector<int> drawn(weights.size(), 0);
  constexpr int kDraws = 160000;
  for (int i = 0; i < kDraws; ++i) ++drawn[table.draw(random)];
  for (std::size_t i = 0; i < weights.size(); ++i)
    EXPECT_NEAR(drawn[i], static_cast<double>(weights[i]) / 16 * kDraws, weights[i] == 0 ? 0 : 900) << i;
}

TEST(BlockSchedule, EntriesComeAsOftenAsTheirValuesSay) {
  const std::vector<std::int64_t> offsets{0, 2, 3};
  const std::vector<std::int32_t> columns{0, 1, 1};
  const std::vector<float> values{0.25f, 2, 1.5f};
  const CsrView entries{2, 2, offsets, columns, values};
  detail::BlockSchedule schedule(entries, 7, 1);
  double seen[2][2] = {};
  constexpr int kEpochs = 4000;
  for (int e = 0; e < kEpochs; ++e)
    schedule.epoch(e, {}, [&](std::size_t r, std::size_t c) {
      for (const auto& pair : schedule.pairs(r, c)) ++seen[pair.row][pair.column];
      return 0.0;
    });
  EXPECT_NEAR(seen[0][0] / kEpochs, 0.25, 0.03);
  EXPECT_EQ(seen[0][1] / kEpochs, 2);
  EXPECT_EQ(seen[1][0], 0);
  EXPECT_NEAR(seen[1][1] / kEpochs, 1.5, 0.04);
}

TEST(BlockSchedule, EveryEntryOnceAndNoTwoTasksAtOnceShareARowOrColumn) {
  constexpr std::int32_t kSize = 1100;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t r = 0; r < kSize; ++r) {
    for (std::int32_t c = r % 37; c < kSize; c += 37) columns.push_back(c);
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  detail::BlockSchedule schedule({kSize, kSize, offsets, columns, {}}, 7, 4);
  ASSERT_EQ(schedule.blocks(), 4u);
  for (const int epoch : {0, 1}) {
    std::vector<std::atomic<int>> rows(4);
    std::vector<std::atomic<int>> cols(4);
    std::atomic<bool> shared{false};
    std::atomic<std::size_t> pairs{0};
    schedule.epoch(epoch, {}, [&](std::size_t r, std::size_t c) {
      if (rows[r].fetch_add(1) != 0 || cols[c].fetch_add(1) != 0) shared = true;
      pairs += schedule.pairs(r, c).size();
      std::this_thread::yield();
      --rows[r];
      --cols[c];
      return 0.0;
    });
    EXPECT_FALSE(shared.load());
    EXPECT_EQ(pairs.load(), columns.size());
    EXPECT_EQ(schedule.num_pairs(), columns.size());
  }
}

TEST(Item2Vec, FindsGroupsAndPartsSumToTheScore) {
  Item2VecModel m(Item2VecOptions{.factors = 16, .epochs = 15, .subsample = 0});
  m.fit(grouped(200, 80, 12));
  EXPECT_LT(m.report().objective.back(), m.report().objective.front());
  EXPECT_EQ(m.report().iterations, 15);
  for (std::int32_t i = 0; i < 80; ++i) {
    double square = 0;
    for (std::size_t f = 0; f < 16; ++f) {
      const double v = static_cast<double>(m.item_vectors()[static_cast<std::size_t>(i) * 16 + f]);
      square += v * v;
    }
    EXPECT_NEAR(square, 1, 1e-5);
  }
  Scratch scratch;
  std::vector<ItemScore> out(10);
  for (std::int32_t i = 0; i < 80; ++i) {
    ASSERT_EQ(m.similar_items(i, out, scratch), out.size());
    for (const ItemScore& r : out) EXPECT_EQ(r.item % 4, i % 4);
  }
  const std::vector<std::int32_t> session{3, 7, 3, 11};
  ASSERT_EQ(m.recommend({.session = session}, out, scratch), out.size());
  for (const ItemScore& r : out) {
    EXPECT_EQ(r.item % 4, 3);
    const Explanation e = m.explain({.session = session}, r.item, 10);
    EXPECT_NEAR(e.total, r.score, 1e-5);
    float sum = 0;
    for (const ItemScore& c : e.contributions) sum += c.score;
    EXPECT_NEAR(sum, e.total, 1e-5);
  }
  // The score is the weighted mean of cosines.
  double expected = 0;
  double total = 0;
  for (std::size_t p = 0; p < session.size(); ++p) {
    const double w = std::exp(-static_cast<double>(session.size() - 1 - p) / 5);
    double cosine = 0;
    for (std::size_t f = 0; f < 16; ++f)
      cosine += static_cast<double>(m.item_vectors()[static_cast<std::size_t>(session[p]) * 16 + f]) *
                static_cast<double>(m.item_vectors()[static_cast<std::size_t>(out[0].item) * 16 + f]);
    expected += w * cosine;
    total += w;
  }
  EXPECT_NEAR(out[0].score, expected / total, 1e-5);
  EXPECT_THROW((void)m.similar_users(0, out, scratch), UnsupportedError);
}

TEST(Item2Vec, SameBitsForAnyNumberOfThreads) {
  const Sequences sequences = grouped(900, 1200, 10);
  Item2VecOptions o{.factors = 20, .epochs = 2, .num_threads = 1};
  Item2VecModel one(o);
  one.fit(sequences);
  for (const int threads : {2, 5}) {
    o.num_threads = threads;
    Item2VecModel many(o);
    many.fit(sequences);
    ASSERT_EQ(one.item_vectors().size(), many.item_vectors().size());
    EXPECT_EQ(std::memcmp(one.item_vectors().data(), many.item_vectors().data(), one.item_vectors().size() * sizeof(float)), 0);
    EXPECT_EQ(one.report().objective, many.report().objective);
  }
}

TEST(Item2Vec, ItemsWithoutEventsHaveZeroVectorsAndBadInputIsNamed) {
  Item2VecModel m(Item2VecOptions{.factors = 4, .epochs = 2});
  const std::vector<std::int64_t> offsets{0, 3, 3};
  const std::vector<std::int32_t> items{0, 1, 0};
  m.fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, 3));
  for (std::size_t f = 0; f < 4; ++f) EXPECT_EQ(m.item_vectors()[8 + f], 0.0f);
  EXPECT_THROW(m.fit(Sequences()), std::invalid_argument);
  const auto expect = test::expect_refused<Item2VecOptions>;
  expect("factors", [](auto& o) { o.factors = 0; });
  expect("window", [](auto& o) { o.window = 0; });
  expect("num_negatives", [](auto& o) { o.num_negatives = 0; });
  expect("epochs", [](auto& o) { o.epochs = -1; });
  expect("learning_rate", [](auto& o) { o.learning_rate = 0; });
  expect("subsample", [](auto& o) { o.subsample = std::numeric_limits<float>::infinity(); });
  expect("negative_exponent", [](auto& o) { o.negative_exponent = 3; });
  expect("query_decay", [](auto& o) { o.query_decay = -1; });
  expect("max_history", [](auto& o) { o.max_history = 0; });
  expect("num_threads", [](auto& o) { o.num_threads = -1; });
}

}  // namespace
}  // namespace etalage
