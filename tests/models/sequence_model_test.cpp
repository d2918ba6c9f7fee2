// SPDX-License-Identifier: Apache-2.0
// Transitions and SequentialRules against their defining equations in plain dense loops, and what models on sequences share.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "etalage/core/event_log.hpp"
#include "etalage/error.hpp"
#include "etalage/models/sequential_rules.hpp"
#include "etalage/models/transitions.hpp"
#include "models/sequence_fixture.hpp"

namespace etalage {
namespace {

using testing::Dense;
using testing::kItems;
using testing::random_sequences;
using testing::scores_of;

Dense dense_pairs(const Sequences& s, const TransitionsOptions& o) {
  Dense w(kItems, std::vector<double>(kItems, 0.0));
  for (std::int64_t l = 0; l < s.size(); ++l) {
    const auto items = s.items_of(l);
    for (std::size_t p = 0; p < items.size(); ++p)
      for (std::size_t q = 0; q < items.size(); ++q) {
        const auto d = static_cast<double>(p < q ? q - p : p - q);
        if (p == q || d > o.window) continue;
        const double decay = o.decay > 0 ? std::exp(-(d - 1) / static_cast<double>(o.decay)) : 1.0;
        w[static_cast<std::size_t>(items[p])][static_cast<std::size_t>(items[q])] +=
            static_cast<double>(q > p ? o.forward : o.backward) * decay;
      }
  }
  return w;
}

std::vector<double> expected_scores(const Dense& w, double row_exponent, double column_exponent, double query_decay,
                                    std::size_t max_history, std::span<const std::int32_t> items) {
  std::vector<double> rows(kItems, 0.0);
  std::vector<double> columns(kItems, 0.0);
  for (std::size_t i = 0; i < kItems; ++i)
    for (std::size_t j = 0; j < kItems; ++j) {
      rows[i] += w[i][j];
      columns[j] += w[i][j];
    }
  std::vector<double> out(kItems, 0.0);
  for (std::size_t p = items.size() - std::min(items.size(), max_history); p < items.size(); ++p) {
    const auto i = static_cast<std::size_t>(items[p]);
    const double v = query_decay > 0 ? std::exp(-static_cast<double>(items.size() - 1 - p) / query_decay) : 1.0;
    for (std::size_t j = 0; j < kItems; ++j)
      if (w[i][j] > 0) out[j] += v * w[i][j] * std::pow(rows[i], -row_exponent) * std::pow(columns[j], -column_exponent);
  }
  return out;
}

TEST(TransitionsModel, EqualsItsFormula) {
  const Sequences s = random_sequences(1);
  for (const TransitionsOptions& o :
       {TransitionsOptions{}, TransitionsOptions{.forward = 0.7f, .backward = 0, .decay = 0, .window = 2, .query_decay = 0, .max_history = 3},
        TransitionsOptions{.forward = 0, .backward = 1, .row_exponent = 0, .column_exponent = 0}}) {
    TransitionsModel model(o);
    model.fit(s);
    const Dense w = dense_pairs(s, o);
    for (std::int32_t u = 0; u < model.num_users(); ++u) {
      const auto got = scores_of(model, {.user = u});
      const auto expected =
          expected_scores(w, static_cast<double>(o.row_exponent), static_cast<double>(o.column_exponent),
                          static_cast<double>(o.query_decay), static_cast<std::size_t>(o.max_history), s.items_of(u));
      for (std::size_t j = 0; j < kItems; ++j) EXPECT_NEAR(static_cast<double>(got[j]), expected[j], 2e-5 * (1 + expected[j]));
    }
  }
}

TEST(SequentialRulesModel, EqualsItsFormula) {
  const Sequences s = random_sequences(2);
  const std::vector<std::pair<GapWeight, double (*)(double)>> all{{GapWeight::kDiv, [](double d) { return 1 / d; }},
                                                                  {GapWeight::kQuadratic, [](double d) { return 1 / (d * d); }},
                                                                  {GapWeight::kLinear, [](double d) { return std::max(0.0, 1 - 0.1 * (d - 1)); }},
                                                                  {GapWeight::kLog, [](double d) { return 1 / std::log10(d + 1.7); }},
                                                                  {GapWeight::kSame, [](double) { return 1.0; }}};
  for (const auto& [weighting, weight] : all) {
    SequentialRulesModel model({.weighting = weighting, .max_gap = 3});
    model.fit(s);
    Dense w(kItems, std::vector<double>(kItems, 0.0));
    std::vector<double> n(kItems, 0.0);
    for (std::int64_t l = 0; l < s.size(); ++l) {
      const auto items = s.items_of(l);
      for (std::size_t p = 0; p < items.size(); ++p) {
        ++n[static_cast<std::size_t>(items[p])];
        for (std::size_t d = 1; d <= 3 && p + d < items.size(); ++d)
          w[static_cast<std::size_t>(items[p])][static_cast<std::size_t>(items[p + d])] += weight(static_cast<double>(d));
      }
    }
    for (std::int32_t u = 0; u < model.num_users(); ++u) {
      if (s.items_of(u).empty()) continue;
      const auto last = static_cast<std::size_t>(s.items_of(u).back());
      const auto got = scores_of(model, {.user = u});
      for (std::size_t j = 0; j < kItems; ++j) EXPECT_NEAR(static_cast<double>(got[j]), w[last][j] / n[last], 1e-5);
    }
  }
}

TEST(SequentialRulesModel, SupportAndNeighboursCutRules) {
  const Sequences s = random_sequences(3);
  SequentialRulesModel all;
  SequentialRulesModel few({.num_neighbors = 2});
  SequentialRulesModel supported({.min_support = 3});
  all.fit(s);
  few.fit(s);
  supported.fit(s);
  for (std::int32_t i = 0; i < kItems; ++i) {
    EXPECT_EQ(few.weights().view().row_size(i), std::min<std::size_t>(2, all.weights().view().row_size(i)));
    EXPECT_LE(supported.weights().view().row_size(i), all.weights().view().row_size(i));
  }
  EXPECT_LT(supported.weights().nnz(), all.weights().nnz());
  EXPECT_GT(supported.weights().nnz(), 0);
}

TEST(TransitionsModel, SessionsAddedLaterCountAsIfTheyHadBeenThere) {
  const Sequences first = random_sequences(4);
  const Sequences second = random_sequences(5);
  std::vector<std::int64_t> offsets(first.offsets().begin(), first.offsets().end());
  std::vector<std::int32_t> items(first.items().begin(), first.items().end());
  for (std::int64_t s = 0; s < second.size(); ++s) offsets.push_back(offsets.back() + static_cast<std::int64_t>(second.items_of(s).size()));
  items.insert(items.end(), second.items().begin(), second.items().end());
  TransitionsModel grown;
  TransitionsModel whole;
  grown.fit(first);
  grown.add_sessions(second);
  whole.fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, kItems));
  const std::vector<std::int32_t> session{3, 8, 3, 1};
  const auto a = scores_of(grown, {.session = session});
  const auto b = scores_of(whole, {.session = session});
  for (std::size_t j = 0; j < kItems; ++j) EXPECT_NEAR(a[j], b[j], 1e-5f * (1 + b[j]));
  EXPECT_EQ(grown.num_users(), static_cast<std::int32_t>(first.size()));
}

TEST(TransitionsModel, NewItemsJoinByKey) {
  const auto keys = [](std::vector<std::string> k) {
    return std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(k)));
  };
  const auto lists = [](std::vector<std::int32_t> items, SharedIdMap ids) {
    const std::vector<std::int64_t> offsets{0, static_cast<std::int64_t>(items.size())};
    return Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, -1, {}, nullptr, std::move(ids));
  };
  TransitionsModel model({.backward = 0});
  model.fit(lists({0, 1}, keys({"tea", "pot"})));
  model.add_sessions(lists({1, 0, 2}, keys({"cup", "tea", "tray"})));  // tea, cup, tray
  ASSERT_EQ(model.num_items(), 4);
  const std::int32_t tea = model.item_ids()->find(std::string_view("tea"));
  const std::int32_t cup = model.item_ids()->find(std::string_view("cup"));
  EXPECT_EQ(tea, 0);
  EXPECT_EQ(cup, 2);
  const std::vector<std::int32_t> session{tea};
  const auto scores = scores_of(model, {.session = session});
  EXPECT_GT(scores[static_cast<std::size_t>(cup)], 0.1f);
  EXPECT_GT(scores[1], 0.1f) << "pot";
  EXPECT_THROW(model.add_sessions(lists({0, 7}, nullptr)), std::invalid_argument);
  EXPECT_EQ(model.num_items(), 4);
}

TEST(SequenceModel, OrderMattersAndTheSessionComesLast) {
  const Sequences s = random_sequences(6);
  TransitionsModel model;
  model.fit(s);
  const std::vector<std::int32_t> one{1, 5, 9};
  const std::vector<std::int32_t> turned{9, 5, 1};
  EXPECT_NE(scores_of(model, {.session = one}), scores_of(model, {.session = turned}));
  EXPECT_EQ(scores_of(model, {.history = one}), scores_of(model, {.session = one}));
  const std::vector<std::int32_t> begin{1, 5};
  const std::vector<std::int32_t> end{9};
  EXPECT_EQ(scores_of(model, {.history = begin, .session = end}), scores_of(model, {.session = one}));
  EXPECT_EQ(scores_of(model, {.user = 3}), scores_of(model, {.session = s.items_of(3)}));
  EXPECT_EQ(scores_of(model, {.user = 3, .history = one}), scores_of(model, {.session = one}));
  EXPECT_EQ(scores_of(model, {.user = 3, .history_given = true}), scores_of(model, {}));
}

TEST(SequenceModel, EveryKindOfSessionHasAnAnswer) {
  const Sequences s = random_sequences(7);
  TransitionsModel model({.window = 3, .max_history = 4});
  model.fit(s);
  Scratch scratch;
  std::vector<ItemScore> out(kItems + 3);
  std::vector<std::int32_t> longest(5000);
  for (std::size_t i = 0; i < longest.size(); ++i) longest[i] = static_cast<std::int32_t>(i % 7);
  const std::int32_t unseen = kItems - 1;  // of the catalogue, in no list
  const std::vector<std::int32_t> strange{unseen};
  EXPECT_EQ(model.recommend({.session = longest, .exclude_seen = false}, out, scratch), static_cast<std::size_t>(kItems - 1));
  EXPECT_EQ(model.recommend({.session = longest}, out, scratch), static_cast<std::size_t>(kItems - 7));
  ASSERT_EQ(model.recommend({.session = strange, .exclude_seen = false, .exclude_last = false}, out, scratch), static_cast<std::size_t>(kItems));
  const std::int32_t first = out[0].item;
  ASSERT_EQ(model.recommend({}, out, scratch), static_cast<std::size_t>(kItems));
  EXPECT_EQ(out[0].item, first);
  const auto most = static_cast<std::int32_t>(std::max_element(model.counts().begin(), model.counts().end()) - model.counts().begin());
  EXPECT_EQ(first, most) << "nothing known: the most popular item";
  EXPECT_EQ(out[kItems - 1].item, unseen);
}

TEST(SequenceModel, PartsSumToTheScoreAndSimilarIsARow) {
  const Sequences s = random_sequences(8);
  TransitionsModel model;
  model.fit(s);
  Scratch scratch;
  for (std::int32_t u = 0; u < 10; ++u) {
    const auto scores = scores_of(model, {.user = u});
    for (std::int32_t i = 0; i < kItems; ++i) {
      const Explanation e = model.explain({.user = u}, i, 1000);
      float sum = 0;
      for (std::size_t p = 0; p < e.contributions.size(); ++p) {
        sum += e.contributions[p].score;
        for (std::size_t q = 0; q < p; ++q) EXPECT_NE(e.contributions[p].item, e.contributions[q].item);
      }
      EXPECT_NEAR(e.total, scores[static_cast<std::size_t>(i)], 1e-5f);
      EXPECT_NEAR(sum, e.total, 2e-6f + 1e-5f * e.total);
    }
  }
  const std::vector<std::int32_t> just{4};
  const auto row = scores_of(model, {.session = just});
  std::vector<ItemScore> out(kItems);
  ASSERT_EQ(model.similar_items(4, out, scratch), static_cast<std::size_t>(kItems - 1));
  for (std::size_t p = 0; p + 1 < kItems; ++p) EXPECT_EQ(out[p].score, row[static_cast<std::size_t>(out[p].item)]);
  EXPECT_THROW((void)model.similar_users(0, out, scratch), UnsupportedError);
}

TEST(SequenceModel, ListsOfOneUserAreJoinedInOrderWithTheirTimes) {
  const std::vector<std::int64_t> offsets{0, 2, 3, 5};
  const std::vector<std::int32_t> items{4, 2, 7, 2, 1};
  const std::vector<std::int64_t> times{10, 20, 5, 30, 40};
  const std::vector<std::int32_t> users{1, 0, 1};
  SequentialRulesModel model;
  model.fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), 8, Array<std::int32_t>(users)));
  EXPECT_EQ(model.num_users(), 2);
  const std::vector<std::int32_t> joined{4, 2, 2, 1};
  EXPECT_TRUE(std::ranges::equal(model.history().view().row_columns(1), joined));
  const std::vector<std::int64_t> kept{5, 10, 20, 30, 40};
  EXPECT_TRUE(std::ranges::equal(model.history_times(), kept));
  EXPECT_EQ(model.newest_ms(), 40);
  EXPECT_EQ(scores_of(model, {.user = 1})[2], scores_of(model, {})[2]) << "a rule never leads from one list to the next";
  model.set_history({});
  EXPECT_FALSE(model.has_history());
  EXPECT_TRUE(model.history_times().empty());
  SequentialRulesModel without({.keep_history = false});
  without.fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items)));
  EXPECT_FALSE(without.has_history());
}

TEST(SequenceModel, ThreadsDoNotChangeABit) {
  const Sequences s = random_sequences(9, 400);
  TransitionsModel one({.num_threads = 1});
  TransitionsModel four({.num_threads = 4});
  one.fit(s);
  four.fit(s);
  EXPECT_TRUE(std::ranges::equal(one.weights().columns, four.weights().columns));
  EXPECT_TRUE(std::ranges::equal(one.weights().values, four.weights().values));
  EXPECT_TRUE(std::ranges::equal(one.row_scale(), four.row_scale()));
}

TEST(SequenceModel, BadInputIsRefusedAndLeavesTheModelAsItWas) {
  EXPECT_THROW(TransitionsModel({.forward = 0, .backward = 0}), std::invalid_argument);
  EXPECT_THROW(TransitionsModel({.decay = NAN}), std::invalid_argument);
  EXPECT_THROW(TransitionsModel({.window = 0}), std::invalid_argument);
  EXPECT_THROW(SequentialRulesModel({.max_gap = 0}), std::invalid_argument);
  EXPECT_THROW(SequentialRulesModel({.num_neighbors = 0}), std::invalid_argument);
  TransitionsModel model;
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_THROW((void)model.recommend({}, out, scratch), NotFittedError);
  EXPECT_THROW(model.add_sessions(random_sequences(1)), NotFittedError);
  model.fit(random_sequences(1));
  const auto before = scores_of(model, {.user = 2});
  EXPECT_THROW(model.fit(Sequences()), std::invalid_argument);
  EXPECT_EQ(scores_of(model, {.user = 2}), before);
  const std::vector<std::int32_t> history{1, 2};
  const std::vector<std::int64_t> times{1};
  EXPECT_THROW((void)model.recommend({.history = history, .history_times = times}, out, scratch), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
