// SPDX-License-Identifier: Apache-2.0
// Metrics where scores are equal, held to the mean over all orders of the tied items, written out.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/evaluation/evaluator.hpp"
#include "etalage/evaluation/metrics.hpp"
#include "evaluation/lists.hpp"
#include "evaluation/tie_groups.hpp"

namespace etalage {
namespace {

using test::csr;
using test::Items;
using test::options;

using Scores = std::vector<float>;

const std::vector<std::string> kAll{"precision", "recall", "capped_recall", "hit_rate", "ndcg", "map", "mrr"};

// Every order of `items` that `scores` (descending) allow, each as often as any other.
std::vector<Items> orders(const Items& items, const Scores& scores) {
  std::vector<Items> out{{}};
  for (std::size_t begin = 0; begin < items.size();) {
    std::size_t end = begin;
    while (end < items.size() && scores[end] == scores[begin]) ++end;
    Items group(items.begin() + static_cast<std::ptrdiff_t>(begin), items.begin() + static_cast<std::ptrdiff_t>(end));
    std::sort(group.begin(), group.end());
    std::vector<Items> longer;
    do {
      for (const Items& start : out) {
        longer.push_back(start);
        longer.back().insert(longer.back().end(), group.begin(), group.end());
      }
    } while (std::next_permutation(group.begin(), group.end()));
    out = std::move(longer);
    begin = end;
  }
  return out;
}

double mean_over_orders(Metric metric, const Items& relevant, const Items& ranked, const Scores& scores, int k) {
  const std::vector<Items> all = orders(ranked, scores);
  double sum = 0;
  for (const Items& order : all) sum += metric_at_k(metric, relevant, order, k);
  return sum / static_cast<double>(all.size());
}

// Ranks by a table of scores [users x items]; NaN means that the item is not listed. Ties by lower index, as every model.
class Table final : public Recommender {
 public:
  Table(std::int32_t items, std::vector<Scores> rows) : items_(items), rows_(std::move(rows)) {}
  [[nodiscard]] std::string_view kind() const noexcept override { return "Table"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return static_cast<std::int32_t>(rows_.size()); }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return items_; }
  std::size_t recommend(const Query& q, std::span<ItemScore> out, Scratch&) const override {
    const Scores& scores = rows_[static_cast<std::size_t>(q.user ? *q.user : q.session.back())];
    std::vector<ItemScore> all;
    for (std::int32_t i = 0; i < items_; ++i) {
      const bool seen = std::find(q.history.begin(), q.history.end(), i) != q.history.end();
      const float s = scores[static_cast<std::size_t>(i)];
      if (s == s && !(q.exclude_seen && seen)) all.push_back({i, s});
    }
    std::stable_sort(all.begin(), all.end(), [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
    const std::size_t n = std::min(out.size(), all.size());
    std::copy_n(all.begin(), n, out.begin());
    return n;
  }
  void score(const Query&, std::span<const std::int32_t>, std::span<float> out, Scratch&) const override {
    std::fill(out.begin(), out.end(), 0.0f);
  }

 private:
  std::int32_t items_;
  std::vector<Scores> rows_;
};

Items shuffled(std::size_t n, std::mt19937& random) {
  Items order(n);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

TEST(Ties, EveryMetricIsItsMeanOverAllOrdersOfTheTiedItems) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 150; ++trial) {
    const Items ranked = shuffled(7, random);
    Scores scores(7);
    for (float& s : scores) s = static_cast<float>(random() % (1 + random() % 4));
    std::sort(scores.begin(), scores.end(), std::greater<>());
    Items relevant;
    for (std::int32_t i = 0; i < 9; ++i)  // 7 and 8 are never listed
      if (random() % 3 == 0) relevant.push_back(i);
    for (const std::string& name : kAll)
      for (const int k : {0, 1, 2, 3, 5, 7, 12}) {
        const Metric metric = metric_of(name);
        EXPECT_NEAR(metric_at_k(metric, relevant, ranked, k, scores), mean_over_orders(metric, relevant, ranked, scores, k), 1e-12)
            << name << "@" << k << " trial " << trial;
      }
  }
}

TEST(Ties, ALongTieHasTheSameHitsInWhateverOrderItComes) {
  // Ties in order of index are counted the other way round from those that come as they like.
  const Items relevant{3, 50, 51, 399, 1000};
  Items ascending(400);
  std::iota(ascending.begin(), ascending.end(), 0);
  Items shuffled = ascending;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(4));
  const Scores level(400, 0.5f);
  for (const std::size_t k : {std::size_t{1}, std::size_t{20}, std::size_t{400}, std::size_t{500}}) {
    std::vector<TieGroup> a;
    std::vector<TieGroup> b;
    tie_groups(relevant, ascending, level, k, a);
    tie_groups(relevant, shuffled, level, k, b);
    for (const auto* groups : {&a, &b}) {
      ASSERT_EQ(groups->size(), 1u);
      EXPECT_EQ(groups->front().size, 400u);
      EXPECT_EQ(groups->front().hits, 4u);
    }
    EXPECT_DOUBLE_EQ(expected_metric(Metric::kRecall, a, relevant.size(), k), 4.0 * static_cast<double>(std::min<std::size_t>(k, 400)) / 400 / 5);
  }
  // A list that ends within the tie, and one place before it of another score.
  Items ends = ascending;
  ends[100] = -1;
  Scores first = level;
  first[0] = 1;
  std::vector<TieGroup> groups;
  tie_groups(relevant, ends, first, 20, groups);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[1].begin, 1u);
  EXPECT_EQ(groups[1].size, 99u);
  EXPECT_EQ(groups[1].hits, 3u);
}

TEST(Ties, DistinctScoresGiveTheBitsOfTheOrderAsItStands) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 100; ++trial) {
    const Items ranked = shuffled(30, random);
    Scores scores(30);
    for (std::size_t j = 0; j < scores.size(); ++j) scores[j] = 30.0f - static_cast<float>(j);
    Items relevant;
    for (std::int32_t i = 0; i < 30; ++i)
      if (random() % 5 == 0) relevant.push_back(i);
    for (const std::string& name : kAll)
      EXPECT_EQ(metric_at_k(metric_of(name), relevant, ranked, 20, scores), metric_at_k(metric_of(name), relevant, ranked, 20)) << name;
  }
}

TEST(Ties, ItemsBehindTheListThatTieWithItsLastPlaceCount) {
  // 100 items of one score, one of them relevant: each of two places has it with probability 1 / 100, wherever it is numbered.
  for (const std::int32_t relevant : {0, 57, 99}) {
    const CsrMatrix train = csr(100, {{}});
    const CsrMatrix test = csr(100, {{relevant}});
    const Evaluation e = evaluate(Table(100, {Scores(100, 1.0f)}), train.view(), test.view(), options({2}, {"recall", "mrr"}));
    EXPECT_NEAR(e.value("recall@2"), 2.0 / 100, 1e-15) << relevant;
    EXPECT_NEAR(e.value("mrr@2"), (1 + 0.5) / 100, 1e-15) << relevant;
    EXPECT_EQ(e.tied(2), 1.0);
  }
}

TEST(Ties, MissingPlacesOfAShortListAreMissesNotTies) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const CsrMatrix train = csr(5, {{}});
  const CsrMatrix test = csr(5, {{0, 4}});
  const Evaluation e = evaluate(Table(5, {{2, 2, none, none, none}}), train.view(), test.view(), options({1, 3}, {"recall", "precision"}));
  EXPECT_DOUBLE_EQ(e.value("recall@3"), 0.5);
  EXPECT_DOUBLE_EQ(e.value("precision@3"), 1.0 / 3);
  EXPECT_EQ(e.tied(3), 0.0);
  EXPECT_DOUBLE_EQ(e.value("recall@1"), 0.25);
  EXPECT_EQ(e.tied(1), 1.0);
  EXPECT_THROW((void)e.tied(2), std::invalid_argument);
}

TEST(Ties, RandomTablesEqualTheMeanOverAllOrdersOfTheWholeCatalogue) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 40; ++trial) {
    const std::int32_t items = 7;
    std::vector<Scores> rows(3, Scores(items));
    std::vector<Items> seen(3);
    std::vector<Items> held(3);
    for (std::size_t u = 0; u < 3; ++u)
      for (std::int32_t i = 0; i < items; ++i) {
        rows[u][static_cast<std::size_t>(i)] = static_cast<float>(random() % 3);
        if (random() % 6 == 0) seen[u].push_back(i);
        else if (random() % 3 == 0 || i == items - 1) held[u].push_back(i);
      }
    for (std::size_t u = 0; u < 3; ++u)
      if (held[u].empty()) held[u] = {0}, seen[u].clear();
    const Table model(items, rows);
    const CsrMatrix train = csr(items, seen);
    const CsrMatrix test = csr(items, held);
    const std::vector<int> lengths{1, 2, 4};
    const Evaluation e = evaluate(model, train.view(), test.view(), options(lengths, kAll));
    Scratch scratch;
    std::vector<int> cut(lengths.size(), 0);
    for (std::int32_t u = 0; u < 3; ++u) {
      std::vector<ItemScore> list(static_cast<std::size_t>(items));
      Query q;
      q.user = u;
      q.history = seen[static_cast<std::size_t>(u)];
      list.resize(model.recommend(q, list, scratch));
      Items ranked;
      Scores scores;
      for (const ItemScore& s : list) ranked.push_back(s.item), scores.push_back(s.score);
      for (std::size_t c = 0; c < lengths.size(); ++c) {
        const auto k = static_cast<std::size_t>(lengths[c]);
        cut[c] += k < scores.size() && scores[k - 1] == scores[k];
        for (const std::string& name : kAll)
          EXPECT_NEAR(e.per_user(name + "@" + std::to_string(k))[static_cast<std::size_t>(u)],
                      mean_over_orders(metric_of(name), held[static_cast<std::size_t>(u)], ranked, scores, lengths[c]), 1e-12)
              << name << "@" << k << " user " << u << " trial " << trial;
      }
    }
    for (std::size_t c = 0; c < lengths.size(); ++c) EXPECT_DOUBLE_EQ(e.tied(lengths[c]), cut[c] / 3.0);
  }
}

TEST(Ties, CoverageIsItsMeanOverIndependentOrdersOfTheLists) {
  const std::vector<Scores> rows{{1, 1, 1, 0, 0}, {0, 2, 1, 1, 1}};
  const CsrMatrix train = csr(5, {{}, {}});
  const CsrMatrix test = csr(5, {{0}, {0}});
  const Evaluation e = evaluate(Table(5, rows), train.view(), test.view(), options({2, 4}, {"coverage"}));
  const std::vector<Items> first = orders({0, 1, 2, 3, 4}, {1, 1, 1, 0, 0});
  const std::vector<Items> second = orders({1, 2, 3, 4, 0}, {2, 1, 1, 1, 0});
  for (const std::ptrdiff_t k : {2, 4}) {
    double sum = 0;
    for (const Items& a : first)
      for (const Items& b : second) {
        std::set<std::int32_t> shown(a.begin(), a.begin() + k);
        shown.insert(b.begin(), b.begin() + k);
        sum += static_cast<double>(shown.size()) / 5;
      }
    EXPECT_NEAR(e.value("coverage@" + std::to_string(k)), sum / static_cast<double>(first.size() * second.size()), 1e-11);
  }
}

TEST(Ties, NoBitDependsOnThreads) {
  std::mt19937 random(5);
  std::vector<Scores> rows(2000, Scores(60));
  std::vector<Items> held;
  for (Scores& row : rows) {
    for (float& s : row) s = static_cast<float>(random() % 5);
    held.push_back({static_cast<std::int32_t>(random() % 60)});
  }
  const Table model(60, rows);
  const CsrMatrix train = csr(60, std::vector<Items>(2000));
  const CsrMatrix test = csr(60, held);
  std::vector<std::string> names = kAll;
  names.push_back("coverage");
  EvaluationOptions o = options({1, 10}, names);
  o.num_threads = 1;
  const Evaluation one = evaluate(model, train.view(), test.view(), o);
  o.num_threads = 4;
  const Evaluation four = evaluate(model, train.view(), test.view(), o);
  for (const std::string& n : one.names()) EXPECT_EQ(one.value(n), four.value(n)) << n;
  EXPECT_EQ(one.tied(10), four.tied(10));
  EXPECT_GT(one.tied(10), 0.5);
}

TEST(Ties, NextItemsAndListsFromElsewhereCountThemAlike) {
  const Table model(4, {{3, 1, 1, 1}, {0, 0, 0, 0}, {1, 2, 2, 0}, {0, 0, 0, 5}});
  const CsrMatrix lists = csr(4, {{0, 2}, {1, 3}});
  NextItemOptions next;
  next.k = {2};
  next.metrics = {"hit_rate"};
  const Evaluation n = evaluate_next(model, Sequences(lists.offsets, lists.columns, {}, 4), next);
  EXPECT_NEAR(n.per_user("hit_rate@2")[0], 1.0 / 3, 1e-15);
  EXPECT_NEAR(n.per_user("hit_rate@2")[1], 2.0 / 4, 1e-15);

  const CsrMatrix test = csr(4, {{2}, {1}});
  const Items ranked{0, 1, 2, 3, 3, 1, 0, -1};
  const Scores scores{3, 1, 1, 1, 5, 2, 2, 9};  // what stands behind the end of a list does not matter
  const Evaluation e =
      evaluate_ranking({ranked.data(), 2, 4}, test.view(), {}, nullptr, options({2}, {"recall"}), {scores.data(), 2, 4});
  EXPECT_NEAR(e.per_user("recall@2")[0], 1.0 / 3, 1e-15);
  EXPECT_NEAR(e.per_user("recall@2")[1], 0.5, 1e-15);
  const Evaluation as_it_stands = evaluate_ranking({ranked.data(), 2, 4}, test.view(), {}, nullptr, options({2}, {"recall"}));
  EXPECT_EQ(as_it_stands.value("recall@2"), 0.5);
  EXPECT_EQ(as_it_stands.tied(2), 0.0);

  const Scores rising{3, 1, 2, 1, 5, 2, 2, 9};
  EXPECT_THROW((void)evaluate_ranking({ranked.data(), 2, 4}, test.view(), {}, nullptr, options({2}, {"recall"}), {rising.data(), 2, 4}),
               std::invalid_argument);
  EXPECT_THROW((void)evaluate_ranking({ranked.data(), 2, 4}, test.view(), {}, nullptr, options({2}, {"recall"}), {scores.data(), 2, 3}),
               std::invalid_argument);
  EXPECT_THROW((void)metric_at_k(Metric::kRecall, Items{1}, ranked, 2, std::span(scores).first(3)), std::invalid_argument);
}

TEST(Ties, BlocksMayComeInAnyOrderAndOnceOnly) {
  const CsrMatrix test = csr(4, {{2}, {}, {1}});
  RankingEvaluator evaluator(test.view(), {}, nullptr, options({1}, {"recall"}));
  const Items first{2, 0};
  const Items last{1, 2, 3, 0};
  const Scores tied{1, 1, 0, 0};
  evaluator.add(Items{2}, {last.data(), 1, 4}, {tied.data(), 1, 4});
  evaluator.add(Items{1, 0}, {last.data(), 2, 2});
  EXPECT_THROW(evaluator.add(Items{2}, {first.data(), 1, 2}), std::invalid_argument);
  const Evaluation e = evaluator.finish();
  EXPECT_EQ((Items{e.user_index().begin(), e.user_index().end()}), (Items{0, 2}));
  EXPECT_EQ(e.per_user("recall@1")[0], 0.0);
  EXPECT_EQ(e.per_user("recall@1")[1], 0.5);
}

}  // namespace
}  // namespace etalage
