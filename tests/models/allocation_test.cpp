// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "etalage/models/blend.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/vectors.hpp"
#include "models/factor_fixture.hpp"
#include "support/count_allocations.hpp"

namespace etalage {
namespace {

TEST(Allocation, WarmQueriesMakeNone) {
  VectorsModel m(testing::normal_factors(30, 20, 1), testing::normal_factors(900, 20, 2), 20, {VectorMetric::kCosine});
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u <= 30; ++u) offsets.push_back(5 * u);
  for (std::int32_t u = 0; u < 30; ++u)
    for (std::int32_t j = 0; j < 5; ++j) columns.push_back(u + 100 * j);
  Array<float> values(columns.size());
  values.fill(1.0f);
  m.set_history({30, 900, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), values});
  const std::vector<std::int32_t> session{30, 7, 500, 7};
  const ItemFilter allow = ItemFilter::allow(std::vector<std::int32_t>{1, 2, 3, 400, 401});
  const ItemFilter deny = ItemFilter::deny(std::vector<std::int32_t>{1, 2, 3, 400, 401});
  const std::vector<Query> queries{{.user = 3},
                                   {.user = 4, .exclude_seen = false},
                                   {.user = 5, .filter = &allow},
                                   {.user = 5, .filter = &deny},
                                   {.user = 6, .session = session},
                                   {.history = session, .filter = &deny},
                                   {.user = 7, .recalculate_user = true}};
  const std::vector<std::int32_t> items{4, 5, 899};
  std::vector<float> scores(3);
  std::vector<ItemScore> out(25);
  Scratch scratch;
  long results = 0;
  const auto ask = [&] {
    for (const Query& q : queries) {
      results += static_cast<long>(m.recommend(q, out, scratch));
      m.score(q, items, scores, scratch);
      results += static_cast<long>(m.recommend_vector(m.user_row(2), q, out, scratch));
    }
    results += static_cast<long>(m.similar_items(3, out, scratch, &deny));
    results += static_cast<long>(m.similar_users(3, out, scratch));
  };
  ask();
  const long before = allocations;
  const long results_before = results;
  for (int i = 0; i < 3; ++i) ask();
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(results, 4 * results_before);
  EXPECT_GT(allocations, 0) << "the counter is in use";
}

TEST(Allocation, WarmFiltersAndBlendsMakeNone) {
  std::vector<std::int64_t> offsets;
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u <= 60; ++u) offsets.push_back(5 * u);
  for (std::int32_t u = 0; u < 60; ++u)
    for (std::int32_t j = 0; j < 5; ++j) columns.push_back(u % 12 + 20 * j);
  Array<float> values(columns.size());
  values.fill(1.0f);
  const Interactions data(CsrMatrix{60, 120, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), values});
  auto filter = std::make_shared<GraphFilterModel>(GraphFilterOptions{.low_pass_factors = 8, .sharpen_factors = 4});
  filter->fit(data);
  auto chebyshev = std::make_shared<GraphFilterModel>(GraphFilterOptions::cheby_cf(3, 1.5f, 0.2f, 0.2f, 8));
  chebyshev->fit(data);
  const BlendModel blend({{"filter", filter}, {"chebyshev", chebyshev}},
                         {.method = FusionMethod::kZScore, .candidates = 30});
  const std::vector<std::int32_t> session{30, 7, 50, 7};
  const ItemFilter deny = ItemFilter::deny(session);
  const std::vector<Query> queries{{.user = 3}, {.user = 5, .filter = &deny}, {.user = 6, .session = session}, {.history = session}};
  const std::vector<std::int32_t> items{4, 5, 119};
  std::vector<float> scores(3);
  std::vector<ItemScore> out(25);
  Scratch scratch[3];
  const Recommender* models[] = {filter.get(), chebyshev.get(), &blend};
  const auto ask = [&] {
    for (int m = 0; m < 3; ++m) {
      for (const Query& q : queries) {
        (void)models[m]->recommend(q, out, scratch[m]);
        models[m]->score(q, items, scores, scratch[m]);
      }
      (void)models[m]->similar_items(3, out, scratch[m], &deny);
    }
  };
  ask();
  const long before = allocations;
  for (int i = 0; i < 3; ++i) ask();
  EXPECT_EQ(allocations, before);
}

}  // namespace
}  // namespace etalage
