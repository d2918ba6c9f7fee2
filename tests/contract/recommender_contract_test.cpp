// SPDX-License-Identifier: Apache-2.0
// What every Recommender promises, on checkerboard data with one right answer a user. A model adds a maker to the list.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/error.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "etalage/models/sequential_rules.hpp"
#include "etalage/models/session_knn.hpp"
#include "etalage/models/transitions.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/user_knn.hpp"
#include "etalage/models/vectors.hpp"
#include "etalage/models/warp.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kSize = 40;

// User u bought every item of their own parity but item u.
CsrMatrix checkerboard() {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < kSize; ++u) {
    for (std::int32_t i = u % 2; i < kSize; i += 2)
      if (i != u) columns.push_back(i);
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  const std::vector<float> ones(columns.size(), 1.0f);
  return {kSize, kSize, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(ones)};
}

struct Case {
  std::string name;
  std::function<std::shared_ptr<Recommender>(const Interactions&)> make;
  bool personal = true;
  bool similar_users = true;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

std::shared_ptr<Recommender> als(const Interactions& data, AlsSolver solver) {
  auto model = std::make_shared<AlsModel>(AlsOptions{.factors = 2, .solver = solver, .seed = 1});
  model->fit(data);
  return model;
}

// The rows as lists in ascending order, gone through twice: rules lead only forward.
template <class Model, class Options>
std::shared_ptr<Recommender> in_order(const Interactions& data, Options options) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  for (std::int64_t u = 0; u < data.num_users(); ++u) {
    const auto row = data.user_items().view().row_columns(u);
    for (int lap = 0; lap < 2; ++lap) items.insert(items.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  auto model = std::make_shared<Model>(options);
  model->fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, data.num_items()));
  return model;
}

template <class Model, class... Options>
std::shared_ptr<Recommender> fitted(const Interactions& data, const Options&... options) {
  auto model = std::make_shared<Model>(options...);
  model->fit(data);
  return model;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"AlsCg", [](const Interactions& d) { return als(d, AlsSolver::kConjugateGradient); }},
      {"AlsCholesky", [](const Interactions& d) { return als(d, AlsSolver::kCholesky); }},
      {"AlsSubspace", [](const Interactions& d) { return als(d, AlsSolver::kSubspace); }},
      {"Bpr",
       [](const Interactions& d) { return fitted<BprModel>(d, BprOptions{.factors = 8, .learning_rate = 0.1f, .epochs = 100}); }},
      {"Popularity",
       [](const Interactions& d) { return fitted<PopularityModel>(d); },
       false, false},
      {"Blend",
       [](const Interactions& d) -> std::shared_ptr<Recommender> {
         auto filter = std::make_shared<GraphFilterModel>(GraphFilterOptions{.low_pass_factors = 4});
         filter->fit(d);
         return std::make_shared<BlendModel>(
             std::vector<BlendMember>{{"filter", filter}, {"als", als(d, AlsSolver::kCholesky)}},
             BlendOptions{.method = FusionMethod::kZScore, .candidates = kSize});
       },
       true, false},
      {"GraphFilter",
       [](const Interactions& d) { return fitted<GraphFilterModel>(d, GraphFilterOptions{.low_pass_factors = 4}); }},
      {"GraphFilterChebyshev",
       [](const Interactions& d) { return fitted<GraphFilterModel>(d, GraphFilterOptions::cheby_cf(4, 1.5f, 0.2f, 0.2f, 2)); }},
      {"ItemKnn",
       [](const Interactions& d) { return fitted<ItemKnnModel>(d); },
       true, false},
      {"Ease",
       [](const Interactions& d) { return fitted<EaseModel>(d, EaseOptions{.l2 = 5}); },
       true, false},
      {"Slim",
       [](const Interactions& d) { return fitted<SlimModel>(d, SlimOptions{.l1 = 0.1f, .l2 = 5}); },
       true, false},
      {"UserKnn",
       [](const Interactions& d) { return fitted<UserKnnModel>(d); }},
      {"Rp3Beta",
       [](const Interactions& d) { return fitted<RandomWalkModel>(d, RandomWalkOptions{.beta = 0.3f}); },
       true, false},
      {"RepeatPurchase", [](const Interactions& d) { return in_order<RepeatPurchaseModel>(d, RepeatPurchaseOptions{}); }, false, false},
      {"SequentialRules",
       [](const Interactions& d) { return in_order<SequentialRulesModel>(d, SequentialRulesOptions{.max_gap = kSize}); }, true, false},
      {"SessionKnn", [](const Interactions& d) { return in_order<SessionKnnModel>(d, SessionKnnOptions{}); }, true, false},
      {"Transitions", [](const Interactions& d) { return in_order<TransitionsModel>(d, TransitionsOptions{}); }, true, false},
      {"Warp",
       [](const Interactions& d) { return fitted<WarpModel>(d, WarpOptions{.factors = 8, .regularization = 0.1f, .max_trials = 1}); }},
      {"Vectors",
       [](const Interactions& d) -> std::shared_ptr<Recommender> {
         std::vector<float> vectors(2 * kSize);
         for (std::size_t i = 0; i < kSize; ++i) vectors[2 * i + i % 2] = 1;
         const MatrixView<const float> view(vectors.data(), kSize, 2);
         auto model = std::make_shared<VectorsModel>(view, view);
         model->set_history(d.user_items());
         return model;
       }},
  };
  return all;
}

class RecommenderContract : public testing::TestWithParam<Case> {
 protected:
  const Interactions data{checkerboard()};
  const std::shared_ptr<Recommender> model = GetParam().make(data);
  Scratch scratch;

  std::vector<ItemScore> ask(const Query& q, std::size_t k) {
    std::vector<ItemScore> out(k);
    out.resize(model->recommend(q, out, scratch));
    return out;
  }
  static std::vector<std::int32_t> items(const std::vector<ItemScore>& results) {
    std::vector<std::int32_t> out;
    for (const ItemScore& r : results) out.push_back(r.item);
    return out;
  }
};

TEST_P(RecommenderContract, TheHeldOutItemComesFirst) {
  if (!GetParam().personal) GTEST_SKIP() << "the same ranking for everyone";
  for (std::int32_t u = 0; u < kSize; ++u) EXPECT_EQ(items(ask({.user = u}, 1)), std::vector<std::int32_t>{u});
}

TEST_P(RecommenderContract, ListsFillUpDescendAndLeaveOutWhatWasSeen) {
  for (const std::int32_t u : {0, 7, kSize - 1}) {
    const auto got = ask({.user = u}, 3 * kSize);
    ASSERT_EQ(got.size(), static_cast<std::size_t>(kSize / 2 + 1));
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_TRUE(got[i].item == u || got[i].item % 2 != u % 2);
      EXPECT_TRUE(std::isfinite(got[i].score));
      if (i == 0) continue;
      EXPECT_GE(got[i - 1].score, got[i].score);
      EXPECT_TRUE(got[i - 1].score != got[i].score || got[i - 1].item < got[i].item);
    }
    EXPECT_EQ(ask({.user = u, .exclude_seen = false}, 3 * kSize).size(), static_cast<std::size_t>(kSize));
  }
}

TEST_P(RecommenderContract, FiltersGiveWhatTheyAllowAndNothingElse) {
  const std::vector<std::int32_t> some{1, 3, 4, 30};
  const ItemFilter allow = ItemFilter::allow(some);
  const ItemFilter deny = ItemFilter::deny(some);
  auto got = items(ask({.user = 2, .filter = &allow, .exclude_seen = false}, kSize));
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, some);
  got = items(ask({.user = 2, .filter = &deny, .exclude_seen = false}, kSize));
  EXPECT_EQ(got.size(), kSize - some.size());
  for (const std::int32_t i : some) EXPECT_EQ(std::count(got.begin(), got.end(), i), 0);
}

// A set of bits is looked up where a list is walked: the answers are the same to the bit, whatever the share.
TEST_P(RecommenderContract, BitsFilterAsListsDo) {
  for (const int step : {1, 2, 3, 11, kSize}) {
    std::vector<std::int32_t> some;
    auto words = std::make_shared<std::vector<std::uint64_t>>(kSize / 64 + 1, 0);
    for (std::int32_t i = 0; i < kSize; i += step) {
      some.push_back(i);
      (*words)[static_cast<std::size_t>(i) / 64] |= std::uint64_t{1} << (i % 64);
    }
    const ItemFilter list = ItemFilter::allow(some);
    const ItemFilter bits =
        ItemFilter::from_bits(std::shared_ptr<const std::uint64_t>(words, words->data()), words->size(), static_cast<std::int64_t>(some.size()));
    for (const bool exclude : {false, true})
      for (std::int32_t u = 0; u < kSize; u += 3)
        for (const std::size_t k : {std::size_t{3}, std::size_t{kSize}}) {
          const auto a = ask({.user = u, .filter = &list, .exclude_seen = exclude}, k);
          const auto b = ask({.user = u, .filter = &bits, .exclude_seen = exclude}, k);
          ASSERT_EQ(a.size(), b.size());
          for (std::size_t j = 0; j < a.size(); ++j) {
            ASSERT_EQ(a[j].item, b[j].item);
            ASSERT_EQ(a[j].score, b[j].score);
          }
        }
  }
}

TEST_P(RecommenderContract, BatchEqualsSingleForAnyNumberOfThreads) {
  const std::vector<std::int32_t> history{0, 2, 5};
  const ItemFilter deny = ItemFilter::deny(history);
  std::vector<Query> queries;
  for (std::int32_t u = 0; u < kSize; ++u) {
    queries.push_back({.user = u});
    queries.push_back({.user = u, .history = history});
    queries.push_back({.user = u, .filter = &deny, .recalculate_user = true});
    queries.push_back({.session = history});
    queries.push_back({});
  }
  const std::size_t k = 7;
  for (const int threads : {1, 3}) {
    std::vector<ItemScore> out(queries.size() * k);
    std::vector<std::size_t> counts(queries.size());
    model->recommend_batch(queries, {out.data(), queries.size(), k}, counts, threads);
    for (std::size_t i = 0; i < queries.size(); ++i) {
      const auto single = ask(queries[i], k);
      ASSERT_EQ(counts[i], single.size());
      for (std::size_t j = 0; j < single.size(); ++j) {
        EXPECT_EQ(out[i * k + j].item, single[j].item);
        EXPECT_EQ(out[i * k + j].score, single[j].score);
      }
    }
  }
}

TEST_P(RecommenderContract, ScoresAreThoseOfTheList) {
  const auto got = ask({.user = 5}, 6);
  std::vector<float> scores(got.size());
  model->score({.user = 5}, items(got), scores, scratch);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(scores[i], got[i].score);
}

TEST_P(RecommenderContract, StrangersAreNoError) {
  const std::vector<std::int32_t> session{1, 3};
  for (const ItemScore& r : ask({.session = session}, kSize)) EXPECT_TRUE(std::isfinite(r.score) && r.item != 1 && r.item != 3);
  EXPECT_EQ(ask({}, kSize).size(), static_cast<std::size_t>(kSize));
  EXPECT_TRUE(ask({.user = 1}, 0).empty());
}

TEST_P(RecommenderContract, IndicesOutsideTheModelAreRefused) {
  const std::vector<std::int32_t> beyond{kSize};
  const std::vector<std::int32_t> negative{-1};
  EXPECT_THROW(ask({.user = kSize}, 3), std::out_of_range);
  EXPECT_THROW(ask({.user = -1}, 3), std::out_of_range);
  EXPECT_THROW(ask({.history = beyond}, 3), std::out_of_range);
  EXPECT_THROW(ask({.session = negative}, 3), std::out_of_range);
  std::vector<float> score(1);
  EXPECT_THROW(model->score({.user = 0}, beyond, score, scratch), std::out_of_range);
}

TEST_P(RecommenderContract, SimilarNeverHoldsItselfOrIsNamedUnsupported) {
  std::vector<ItemScore> out(2 * kSize);
  if (!GetParam().personal) {
    EXPECT_THROW((void)model->similar_items(0, out, scratch), UnsupportedError);
  } else {
    const std::size_t n = model->similar_items(4, out, scratch);
    ASSERT_GE(n, 10u);
    for (std::size_t i = 0; i < n; ++i) EXPECT_NE(out[i].item, 4);
    for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(out[i].item % 2, 0);
    EXPECT_THROW((void)model->similar_items(kSize, out, scratch), std::out_of_range);
  }
  if (!GetParam().similar_users) {
    EXPECT_THROW((void)model->similar_users(0, out, scratch), UnsupportedError);
  } else {
    const std::size_t n = model->similar_users(4, out, scratch);
    EXPECT_EQ(n, static_cast<std::size_t>(kSize - 1));
    for (std::size_t i = 0; i < n; ++i) EXPECT_NE(out[i].item, 4);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RecommenderContract, testing::ValuesIn(cases()), [](const auto& c) { return c.param.name; });

}  // namespace
}  // namespace etalage
