// SPDX-License-Identifier: Apache-2.0
// Rules that all models share: the cold-start answer, the newest item of a session, the time of a question, and what a fit was
// made of.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/evaluation/compare.hpp"
#include "etalage/evaluation/evaluator.hpp"
#include "etalage/evaluation/fit_check.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/feature_als.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/transitions.hpp"
#include "etalage/models/user_knn.hpp"
#include "etalage/models/warp.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kUsers = 30;
constexpr std::int32_t kItems = 12;
constexpr std::int32_t kNewcomer = 7;

// User u has items u, u + 1 and u + 3 (mod 12), and all but some have item 5; the newcomer has none.
CsrMatrix rows(bool everything = false) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    std::vector<std::int32_t> row;
    if (u != kNewcomer)
      for (const std::int32_t i : {u % kItems, (u + 1) % kItems, (u + 3) % kItems, 5}) row.push_back(i);
    if (everything) row.push_back((u + 6) % kItems);
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    columns.insert(columns.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return {kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(std::vector<float>(columns.size(), 1.0f))};
}

CsrMatrix held_out() {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    columns.push_back((u + 6) % kItems);
    offsets.push_back(u + 1);
  }
  return {kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(std::vector<float>(kUsers, 1.0f))};
}

template <class Model, class Options>
std::shared_ptr<Recommender> fitted(const Options& options, const Interactions& data) {
  auto model = std::make_shared<Model>(options);
  model->fit(data);
  return model;
}

std::vector<std::shared_ptr<Recommender>> models(const Interactions& data) {
  std::vector<std::shared_ptr<Recommender>> all{
      fitted<AlsModel>(AlsOptions{.factors = 4}, data),
      fitted<BprModel>(BprOptions{.factors = 4, .epochs = 10}, data),
      fitted<BprModel>(BprOptions{.factors = 4, .epochs = 10, .item_bias = true}, data),
      fitted<WarpModel>(WarpOptions{.factors = 4, .epochs = 10}, data),
      fitted<EaseModel>(EaseOptions{.l2 = 3}, data),
      fitted<SlimModel>(SlimOptions{}, data),
      fitted<GraphFilterModel>(GraphFilterOptions{.low_pass_factors = 3}, data),
      fitted<GraphFilterModel>(GraphFilterOptions::cheby_cf(4, 1.5f, 0.2f, 0.2f, 2), data),
      fitted<ItemKnnModel>(ItemKnnOptions{}, data),
      fitted<UserKnnModel>(UserKnnOptions{}, data),
      fitted<RandomWalkModel>(RandomWalkOptions{}, data),
      fitted<PopularityModel>(PopularityOptions{}, data)};
  auto features = std::make_shared<FeatureAlsModel>(FeatureAlsOptions{.als = {.factors = 4}});
  features->fit(data, {}, {});
  all.push_back(features);
  all.push_back(std::make_shared<BlendModel>(std::vector<BlendMember>{{"als", all[0]}, {"filter", all[6]}}, BlendOptions{}));
  return all;
}

std::vector<ItemScore> asked(const Recommender& model, const Query& query, std::size_t k = kItems) {
  std::vector<ItemScore> out(k);
  Scratch scratch;
  out.resize(model.recommend(query, out, scratch));
  return out;
}

bool lists(const std::vector<ItemScore>& list, std::int32_t item) {
  return std::any_of(list.begin(), list.end(), [item](const ItemScore& s) { return s.item == item; });
}

TEST(ColdStartAnswer, KnownWithoutRowsIsUnknown) {
  for (const auto& model : models(Interactions(rows()))) {
    SCOPED_TRACE(model->kind());
    const auto unknown = asked(*model, {});
    const auto known = asked(*model, {.user = kNewcomer});
    ASSERT_EQ(known.size(), static_cast<std::size_t>(kItems));
    EXPECT_GT(unknown[0].score, unknown.back().score);
    EXPECT_TRUE(model->is_cold({.user = kNewcomer}));
    EXPECT_TRUE(model->is_cold({}));
    EXPECT_FALSE(model->is_cold({.user = 3}));
    std::vector<Query> queries(9, Query{.user = 3});
    queries[4] = {.user = kNewcomer};
    queries[5] = {};
    queries[6] = {.user = kNewcomer, .history_given = true};
    std::vector<ItemScore> out(queries.size() * kItems);
    std::vector<std::size_t> counts(queries.size());
    model->recommend_batch(queries, {out.data(), queries.size(), kItems}, counts, 2);
    for (std::size_t i = 0; i < known.size(); ++i) {
      EXPECT_EQ(known[i].item, unknown[i].item);
      EXPECT_EQ(known[i].score, unknown[i].score);
      for (const std::size_t row : {4u, 5u, 6u}) EXPECT_EQ(out[row * kItems + i].item, unknown[i].item);
    }
  }
}

TEST(NewestItem, IsLeftOutWhereTheQuerySaysSo) {
  for (const auto& model : models(Interactions(rows()))) {
    SCOPED_TRACE(model->kind());
    const std::vector<std::int32_t> session{4, 5};
    EXPECT_FALSE(lists(asked(*model, {.session = session, .exclude_seen = false, .exclude_last = true}), 5));
    EXPECT_TRUE(lists(asked(*model, {.session = session, .exclude_seen = false, .exclude_last = true}), 4));
    EXPECT_TRUE(lists(asked(*model, {.session = session, .exclude_seen = false}), 5));
    EXPECT_FALSE(lists(asked(*model, {.history = session, .exclude_seen = false, .exclude_last = true}), 5));
    EXPECT_TRUE(lists(asked(*model, {.history = session, .exclude_seen = false}), 5));
  }
}

TEST(TimeOfTheQuestion, IsTheQuerysOwn) {
  constexpr std::int64_t kDay = 86'400'000;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> times;
  for (std::int64_t u = 0; u < 20; ++u) {
    for (std::int64_t t = 0; t < 8; ++t) {
      items.push_back(static_cast<std::int32_t>(t % 2));
      times.push_back((1 + u % 3 + t * (7 + t % 2)) * kDay);
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  const Sequences data{Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), 3};
  RepeatPurchaseModel plain;
  plain.fit(data);
  RepeatPurchaseModel set(RepeatPurchaseOptions{.now_ms = *plain.newest_ms() + 40 * kDay});
  set.fit(data);
  const auto score = [](const Recommender& model, const Query& query) {
    Scratch scratch;
    const std::int32_t item = 0;
    float out = 0;
    model.score(query, {&item, 1}, {&out, 1}, scratch);
    EXPECT_FLOAT_EQ(model.explain(query, 0, 5).total, out);
    return out;
  };
  const std::int64_t newest = *plain.newest_ms();
  const float at_newest = score(plain, {.user = 1});
  const float later = score(set, {.user = 1});
  EXPECT_NE(at_newest, later);
  EXPECT_EQ(score(plain, {.user = 1, .now_ms = newest}), at_newest);
  EXPECT_EQ(score(plain, {.user = 1, .now_ms = newest + 40 * kDay}), later);
  // A question at the newest event's time is asked then, whatever the model is set to.
  EXPECT_EQ(score(set, {.user = 1, .now_ms = newest}), at_newest);
  const BlendModel blend({{"repeat", std::make_shared<RepeatPurchaseModel>(plain)}}, BlendOptions{.method = FusionMethod::kZScore});
  EXPECT_NO_THROW(score(blend, {.user = 1, .now_ms = newest + 40 * kDay}));
}

TEST(FitCheck, KnowsTrainAndWhatLeaked) {
  const Interactions train(rows());
  const CsrMatrix test = held_out();
  const Interactions all(rows(true));
  for (const bool kept : {true, false}) {
    EaseModel honest(EaseOptions{.keep_history = kept});
    honest.fit(train);
    const FitCheck good = check_fit(honest, train.user_items().view(), test.view());
    EXPECT_TRUE(good.known && good.is_train && good.honest());
    EaseModel leaky(EaseOptions{.keep_history = kept});
    leaky.fit(all);
    const FitCheck bad = check_fit(leaky, train.user_items().view(), test.view());
    EXPECT_FALSE(bad.is_train);
    EXPECT_GT(bad.leaked, 20);
    EXPECT_THROW((void)evaluate(leaky, train, Interactions(test)), std::invalid_argument);
    EXPECT_NO_THROW((void)evaluate(leaky, train, Interactions(test), {.check_fit = false}));
    EXPECT_THROW((void)compare({{"honest", &honest}, {"leaky", &leaky}}, train, Interactions(test)), std::invalid_argument);
  }
}

TEST(FitCheck, HashHasNoOrderAndAddsUp) {
  PairHash a;
  PairHash b;
  a.add(1, 2);
  a.add(2, 1);
  b.add(2, 1);
  b.add(1, 2);
  EXPECT_EQ(a, b);
  b.remove(2, 1);
  EXPECT_NE(a, b);
  b.add(1, 1);
  EXPECT_NE(a, b);
  EXPECT_EQ(pair_hash(Sequences(Array<std::int64_t>(std::vector<std::int64_t>{0, 3, 4}), Array<std::int32_t>(std::vector<std::int32_t>{3, 1, 3, 0}), {}, 4)),
            pair_hash(CsrMatrix{2, 4, Array<std::int64_t>(std::vector<std::int64_t>{0, 2, 3}), Array<std::int32_t>(std::vector<std::int32_t>{1, 3, 0}),
                                Array<float>(std::vector<float>{1, 5, 0})}.view()));
}

TEST(HistoryGroups, AddUpToAll) {
  const Interactions train(rows());
  EaseModel model(EaseOptions{});
  model.fit(train);
  const Evaluation e = evaluate(model, train, Interactions(held_out()), {.k = {3}, .metrics = {"recall"}});
  const auto with = static_cast<double>(e.users(HistoryGroup::kWith));
  const auto without = static_cast<double>(e.users(HistoryGroup::kWithout));
  EXPECT_EQ(without, 1);
  EXPECT_EQ(with + without, static_cast<double>(e.users()));
  EXPECT_NEAR(e.value("recall@3"), (with * e.value("recall@3", HistoryGroup::kWith) + without * e.value("recall@3", HistoryGroup::kWithout)) /
                                       (with + without), 1e-12);
  const Comparison c = compare({{"ease", &e}}, "recall@3");
  EXPECT_EQ(c.rows[0].users_with, e.users(HistoryGroup::kWith));
  EXPECT_EQ(c.rows[0].value_without, e.value("recall@3", HistoryGroup::kWithout));
  EXPECT_NE(c.text().find("without"), std::string::npos);
  const Evaluation again(e.parts());
  EXPECT_EQ(again.value("recall@3"), e.value("recall@3"));
  Evaluation::Parts broken = e.parts();
  broken.values.clear();
  EXPECT_THROW(Evaluation{broken}, std::invalid_argument);
}

TEST(EmptyData, HaveOneRule) {
  for (const auto& [users, items] : {std::pair<std::int64_t, std::int64_t>{0, 0}, {0, 4}, {4, 0}}) {
    const Interactions data(CsrMatrix{users, items, Array<std::int64_t>(static_cast<std::size_t>(users) + 1), {}, {}});
    EXPECT_THROW(AlsModel().fit(data), std::invalid_argument);
    EXPECT_THROW(BprModel(BprOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(EaseModel(EaseOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(SlimModel(SlimOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(ItemKnnModel(ItemKnnOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(UserKnnModel(UserKnnOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(RandomWalkModel(RandomWalkOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(GraphFilterModel().fit(data), std::invalid_argument);
    EXPECT_THROW(PopularityModel(PopularityOptions{}).fit(data), std::invalid_argument);
    EXPECT_THROW(FeatureAlsModel(FeatureAlsOptions{}).fit(data, {}, {}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace etalage
