// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/factor_model.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>
#include <thread>

#include "etalage/error.hpp"
#include "models/factor_fixture.hpp"

namespace etalage {
namespace {

using testing::brute_force;
using testing::given;
using testing::GivenFactors;
using testing::grid_factors;
using testing::normal_factors;
using testing::recommend;

CsrMatrix random_rows(std::int32_t users, std::int32_t items, std::int32_t most, unsigned seed) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < users; ++u) {
    std::set<std::int32_t> row;
    const std::int32_t size = static_cast<std::int32_t>(rng()) % (most + 1);
    for (std::int32_t j = 0; j < std::abs(size); ++j)
      row.insert(static_cast<std::int32_t>(rng() % static_cast<unsigned>(items)));
    columns.insert(columns.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  CsrMatrix m{users, items, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(columns.size())};
  m.values.fill(1.0f);
  return m;
}

std::vector<std::int32_t> row(const CsrMatrix& m, std::int32_t u) {
  const auto r = m.view().row_columns(u);
  return {r.begin(), r.end()};
}

// Shape sweeps: around vector widths, panels and chunks, with many ties.
struct Shape {
  std::int32_t users, items, factors;
  int levels;  // 0: normal values
};
class FactorModelShapes : public ::testing::TestWithParam<Shape> {
 protected:
  GivenFactors model() const {
    const Shape s = GetParam();
    const auto rows = [&](std::int32_t n, unsigned seed) {
      const auto r = static_cast<std::size_t>(n);
      const auto f = static_cast<std::size_t>(s.factors);
      return s.levels == 0 ? normal_factors(r, f, seed) : grid_factors(r, f, seed, s.levels);
    };
    GivenFactors m = given(rows(s.users, 1), rows(s.items, 2), s.factors);
    m.set_history(random_rows(s.users, s.items, std::min(s.items, 40), 3));
    return m;
  }
};

TEST_P(FactorModelShapes, RecommendEqualsBruteForceWithTies) {
  const GivenFactors m = model();
  for (std::int32_t u = 0; u < std::min(m.num_users(), 12); ++u)
    for (const std::size_t k : {std::size_t{1}, std::size_t{7}, std::size_t{20}, static_cast<std::size_t>(m.num_items()) + 5}) {
      const Query q{.user = u};
      EXPECT_EQ(recommend(m, q, k), brute_force(m, q, row(m.history(), u), k)) << "user " << u << " k " << k;
      const Query all{.user = u, .exclude_seen = false};
      EXPECT_EQ(recommend(m, all, k), brute_force(m, all, {}, k));
    }
}

TEST_P(FactorModelShapes, BatchEqualsSingleForAnyThreadCount) {
  const GivenFactors m = model();
  std::vector<std::int64_t> few{0, 5};
  std::vector<std::int64_t> half;
  for (std::int64_t i = 0; i < m.num_items(); i += 2) half.push_back(i);
  const std::vector<ItemFilter> filters{ItemFilter(), ItemFilter::allow(few), ItemFilter::allow(half),
                                        ItemFilter::deny(half), ItemFilter::allow(half) & ItemFilter::deny(few)};
  const std::vector<std::int32_t> session{m.num_items() - 1, 0, 0};
  std::vector<Query> queries;
  std::mt19937 rng(9);
  for (int n = 0; n < 150; ++n) {
    Query q{.user = static_cast<std::int32_t>(rng() % static_cast<unsigned>(m.num_users()))};
    if (n % 3 == 1) q.filter = &filters[rng() % filters.size()];
    if (n % 7 == 2) q.exclude_seen = false;
    if (n % 11 == 3) q.session = session;
    if (n % 13 == 4) q = Query{.history = session};
    queries.push_back(q);
  }
  for (const std::size_t k : {std::size_t{1}, std::size_t{10}, static_cast<std::size_t>(m.num_items()) + 3})
    for (const int threads : {1, 2, 5}) {
      std::vector<ItemScore> out(queries.size() * k, {-7, 0});
      std::vector<std::size_t> counts(queries.size());
      m.recommend_batch(queries, {out.data(), queries.size(), k}, counts, threads);
      for (std::size_t i = 0; i < queries.size(); ++i) {
        const auto begin = out.begin() + static_cast<std::ptrdiff_t>(i * k);
        const std::vector<ItemScore> got(begin, begin + static_cast<std::ptrdiff_t>(counts[i]));
        EXPECT_EQ(got, recommend(m, queries[i], k)) << "query " << i << " k " << k << " threads " << threads;
        for (std::size_t j = counts[i]; j < k; ++j) EXPECT_EQ(out[i * k + j].item, -7) << "rows beyond counts are left alone";
      }
    }
}

TEST_P(FactorModelShapes, ScoreIsTheInnerProduct) {
  const GivenFactors m = model();
  std::vector<std::int32_t> items(static_cast<std::size_t>(m.num_items()));
  std::iota(items.rbegin(), items.rend(), 0);
  std::vector<float> scores(items.size());
  Scratch scratch;
  m.score({.user = 0}, items, scores, scratch);
  for (std::size_t i = 0; i < items.size(); ++i) {
    double dot = 0;
    double magnitude = 0;
    for (std::size_t f = 0; f < static_cast<std::size_t>(m.factors()); ++f) {
      const double p = static_cast<double>(m.user_row(0)[f]) * m.item_row(items[i])[f];
      dot += p;
      magnitude += std::abs(p);
    }
    if (GetParam().levels != 0) {
      EXPECT_EQ(scores[i], static_cast<float>(dot));
    } else {
      EXPECT_NEAR(scores[i], dot, 1e-6 * magnitude * std::sqrt(m.factors()));
    }
  }
}

TEST_P(FactorModelShapes, FiltersNeverLeakAndFillUp) {
  const GivenFactors m = model();
  std::mt19937 rng(4);
  for (const int percent : {0, 1, 10, 50, 90, 100}) {
    std::vector<std::int64_t> ids{m.num_items() + 100};  // unknown to the catalogue: harmless
    for (std::int64_t i = 0; i < m.num_items(); ++i)
      if (static_cast<int>(rng() % 100) < percent) ids.push_back(i);
    for (const ItemFilter& filter : {ItemFilter::allow(ids), ItemFilter::deny(ids)})
      for (std::int32_t u = 0; u < std::min(m.num_users(), 4); ++u) {
        const Query q{.user = u, .filter = &filter};
        EXPECT_EQ(recommend(m, q, 25), brute_force(m, q, row(m.history(), u), 25)) << percent << " %, user " << u;
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, FactorModelShapes,
                         ::testing::Values(Shape{3, 1, 1, 2}, Shape{5, 7, 3, 1}, Shape{9, 15, 4, 1}, Shape{20, 16, 5, 1},
                                           Shape{33, 47, 8, 1}, Shape{17, 48, 16, 1}, Shape{64, 49, 17, 0},
                                           Shape{70, 700, 31, 1}, Shape{300, 1500, 32, 0}, Shape{40, 3001, 66, 0},
                                           Shape{13, 900, 128, 1}));

TEST(FactorModel, SimilarItemsAreTheCosineWithoutTheItem) {
  const GivenFactors m = given(normal_factors(5, 19, 1), normal_factors(400, 19, 2), 19);
  Scratch scratch;
  std::vector<ItemScore> out(500);
  const std::size_t n = m.similar_items(17, out, scratch);
  ASSERT_EQ(n, 399u);
  for (std::size_t i = 0; i < n; ++i) {
    EXPECT_NE(out[i].item, 17);
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t f = 0; f < 19; ++f) {
      const double a = m.item_row(17)[f];
      const double b = m.item_row(out[i].item)[f];
      ab += a * b;
      aa += a * a;
      bb += b * b;
    }
    EXPECT_NEAR(out[i].score, ab / std::sqrt(aa * bb), 1e-6);
    EXPECT_LE(out[i].score, out[i == 0 ? 0 : i - 1].score);
  }
  const ItemFilter only = ItemFilter::allow(std::vector<std::int32_t>{17, 3, 4});
  EXPECT_EQ(m.similar_items(17, out, scratch, &only), 2u);
  EXPECT_EQ(m.similar_users(2, out, scratch), 4u);
}

TEST(FactorModel, ZeroRowsAreSimilarToNothing) {
  const std::vector<float> items{1, 0, 0, 0, -1, 0};
  const GivenFactors m = given(Array<float>(2), Array<float>(items), 2);
  Scratch scratch;
  std::vector<ItemScore> out(3);
  ASSERT_EQ(m.similar_items(0, out, scratch), 2u);
  EXPECT_EQ(out[0], (ItemScore{1, 0.0f}));
  EXPECT_EQ(out[1], (ItemScore{2, -1.0f}));
  EXPECT_EQ(m.similar_items(1, out, scratch), 0u);
}

TEST(FactorModel, CopiesAndChangesDoNotShareStaleNorms) {
  GivenFactors m = given(normal_factors(3, 4, 1), normal_factors(6, 4, 2), 4);
  Scratch scratch;
  std::vector<ItemScore> before(5), after(5), of_copy(5);
  m.similar_items(0, before, scratch);
  const GivenFactors copy = m;
  const Array<float> handed_out = m.item_factors();
  const std::vector<float> content(handed_out.begin(), handed_out.end());
  std::vector<float> parallel(m.item_row(0).begin(), m.item_row(0).end());  // item 1 becomes parallel to item 0
  for (float& v : parallel) v *= 100;
  const std::int32_t changed = 1;
  m.set_item_rows({&changed, 1}, parallel, 6);
  m.similar_items(0, after, scratch);
  EXPECT_EQ(after[0].item, 1);
  EXPECT_NEAR(after[0].score, 1.0f, 1e-6);
  copy.similar_items(0, of_copy, scratch);
  EXPECT_EQ(of_copy, before);
  EXPECT_TRUE(std::equal(handed_out.begin(), handed_out.end(), content.begin()));
}

TEST(FactorModel, WhoIsFoldedIn) {
  GivenFactors m = given(grid_factors(4, 6, 1, 3), grid_factors(30, 6, 2, 3), 6);
  m.set_history(random_rows(4, 30, 5, 8));
  const std::vector<std::int32_t> items{3, 9};
  const auto factor = [&](const Query& q) {
    std::vector<float> f(6);
    Scratch scratch;
    m.query_factor(q, f, scratch);
    return f;
  };
  const std::vector<float> fitted(m.user_row(2).begin(), m.user_row(2).end());
  std::vector<float> sum(6);
  for (std::size_t f = 0; f < 6; ++f) sum[f] = m.item_row(3)[f] + m.item_row(9)[f];
  EXPECT_EQ(factor({.user = 2}), fitted);
  EXPECT_EQ(factor({.user = 2, .history = items}), fitted);
  EXPECT_EQ(factor({.history = items}), sum);
  EXPECT_EQ(factor({.session = items}), sum);
  EXPECT_EQ(factor({.user = 2, .history = items, .recalculate_user = true}), sum);
  EXPECT_EQ(factor({.user = 2, .recalculate_user = true, .history_given = true}),
            std::vector<float>(m.cold_start_row().begin(), m.cold_start_row().end()));
  EXPECT_NE(factor({.user = 2, .session = items}), fitted);
  // What was seen: given history replaces the kept rows, a session adds to them.
  const auto got = recommend(m, {.user = 2, .history = items}, 30);
  EXPECT_EQ(got, brute_force(m, {.user = 2, .history = items}, items, 30));
  std::vector<std::int32_t> both = row(m.history(), 2);
  both.insert(both.end(), items.begin(), items.end());
  EXPECT_EQ(recommend(m, {.user = 2, .session = items}, 30), brute_force(m, {.user = 2, .session = items}, both, 30));
}

TEST(FactorModel, NobodyGetsTheAverageUser) {
  GivenFactors m = given(grid_factors(4, 6, 1, 3), grid_factors(30, 6, 2, 3), 6);
  std::vector<float> mean(6);
  for (std::int32_t u = 0; u < 4; ++u)
    for (std::size_t f = 0; f < 6; ++f) mean[f] += m.user_row(u)[f] / 4;
  std::vector<float> factor(6);
  std::vector<ItemScore> out(30);
  Scratch scratch;
  m.query_factor({}, factor, scratch);
  EXPECT_EQ(factor, mean);
  ASSERT_EQ(m.recommend({}, out, scratch), 30u);
  std::vector<ItemScore> by_vector(30);
  ASSERT_EQ(m.recommend_vector(mean, {}, by_vector, scratch), 30u);
  for (std::size_t i = 0; i < 30; ++i) EXPECT_EQ(out[i].item, by_vector[i].item);
}

TEST(FactorModel, VectorsOfTheCallersAreRanked) {
  const GivenFactors m = given(normal_factors(4, 8, 1), normal_factors(60, 8, 2), 8);
  Scratch scratch;
  std::vector<ItemScore> out(10);
  ASSERT_EQ(m.recommend_vector(m.user_row(3), {}, out, scratch), 10u);
  EXPECT_EQ(out, recommend(m, {.user = 3}, 10));
  EXPECT_THROW((void)m.recommend_vector(m.user_row(3).first(7), {}, out, scratch), std::invalid_argument);
  std::vector<float> bad(8, 1.0f);
  bad[5] = std::nanf("");
  EXPECT_THROW((void)m.recommend_vector(bad, {}, out, scratch), std::invalid_argument);
}

TEST(FactorModel, BadCallsNameWhatIsWrong) {
  GivenFactors m = given(normal_factors(4, 8, 1), normal_factors(6, 8, 2), 8);
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_THROW((void)m.recommend({.user = 4}, out, scratch), std::out_of_range);
  EXPECT_THROW((void)m.recommend({.user = -1}, out, scratch), std::out_of_range);
  const std::vector<std::int32_t> outside{6};
  EXPECT_THROW((void)m.recommend({.session = outside}, out, scratch), std::out_of_range);
  EXPECT_THROW((void)m.similar_items(6, out, scratch), std::out_of_range);
  EXPECT_THROW((void)m.similar_users(4, out, scratch), std::out_of_range);
  std::vector<float> scores(2);
  EXPECT_THROW(m.score({.user = 0}, outside, std::span<float>(scores).first(1), scratch), std::out_of_range);
  EXPECT_THROW(m.score({.user = 0}, {}, scores, scratch), std::invalid_argument);
  std::vector<std::size_t> counts(1);
  const std::vector<Query> queries{{.user = 0}, {.user = 9}};
  EXPECT_THROW(m.recommend_batch(queries, {out.data(), 1, 3}, counts), std::invalid_argument);
  std::vector<std::size_t> two(2);
  std::vector<ItemScore> six(6);
  EXPECT_THROW(m.recommend_batch(queries, {six.data(), 2, 3}, two), std::out_of_range);
  EXPECT_THROW(m.set_factors(Array<float>(5), 1, Array<float>(4), 1, 4), std::invalid_argument);
  const GivenFactors empty;
  try {
    (void)empty.recommend({.user = 0}, out, scratch);
    FAIL() << "an unfitted model answered";
  } catch (const NotFittedError& e) {
    EXPECT_NE(std::string(e.what()).find("GivenFactors"), std::string::npos);
  }
}

TEST(FactorModel, NothingAskedForIsNothingReturned) {
  const GivenFactors m = given(normal_factors(4, 8, 1), normal_factors(6, 8, 2), 8);
  EXPECT_TRUE(recommend(m, {.user = 0}, 0).empty());
  std::vector<std::size_t> counts(2, 99);
  const std::vector<Query> queries{{.user = 0}, {.user = 1}};
  m.recommend_batch(queries, {nullptr, 2, 0}, counts);
  EXPECT_EQ(counts, (std::vector<std::size_t>{0, 0}));
  m.recommend_batch({}, {}, {});
  const std::vector<std::int32_t> all{0, 1, 2, 3, 4, 5};
  EXPECT_TRUE(recommend(m, {.user = 0, .history = all}, 3).empty());
}

TEST(FactorModel, ConstMembersAreConcurrent) {
  const GivenFactors m = given(normal_factors(64, 24, 1), normal_factors(500, 24, 2), 24);
  std::vector<std::vector<ItemScore>> expected(64);
  for (std::int32_t u = 0; u < 64; ++u) expected[static_cast<std::size_t>(u)] = recommend(m, {.user = u}, 9);
  const GivenFactors fresh = given(normal_factors(64, 24, 1), normal_factors(500, 24, 2), 24);  // norms not yet made
  std::vector<ItemScore> similar(9);
  {
    Scratch scratch;
    m.similar_items(7, similar, scratch);
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      Scratch scratch;
      std::vector<ItemScore> out(9);
      fresh.similar_items(7, out, scratch);
      if (out != similar) ++wrong;
      for (std::int32_t n = 0; n < 64; ++n) {
        const std::int32_t u = (n + 8 * t) % 64;
        if (fresh.recommend({.user = u}, out, scratch) != 9 || out != expected[static_cast<std::size_t>(u)]) ++wrong;
      }
      std::vector<ItemScore> batch(64 * 9);
      std::vector<std::size_t> counts(64);
      std::vector<Query> queries(64);
      for (std::int32_t u = 0; u < 64; ++u) queries[static_cast<std::size_t>(u)].user = u;
      fresh.recommend_batch(queries, {batch.data(), 64, 9}, counts, 2);
      for (std::size_t u = 0; u < 64; ++u)
        if (!std::equal(expected[u].begin(), expected[u].end(), batch.begin() + static_cast<std::ptrdiff_t>(u * 9))) ++wrong;
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace etalage
