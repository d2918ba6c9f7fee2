// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/evaluator.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/evaluation/compare.hpp"
#include "etalage/models/popularity.hpp"
#include "evaluation/lists.hpp"
#include "support/message_of.hpp"

namespace etalage {
namespace {

using test::csr;
using test::Items;
using test::options;

using test::message_of;


Sequences sequences(const std::vector<Items>& lists, std::int32_t num_items) {
  const CsrMatrix m = csr(num_items, lists);
  return Sequences(m.offsets, m.columns, {}, num_items);
}

// Ranks the item after the last one of session or history first, then the one after that, and so on, round and round.
class NextNumber final : public Recommender {
 public:
  NextNumber(std::int32_t users, std::int32_t items) : users_(users), items_(items) {}
  [[nodiscard]] std::string_view kind() const noexcept override { return "NextNumber"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return items_; }
  std::size_t recommend(const Query& q, std::span<ItemScore> out, Scratch&) const override {
    std::int32_t last = -1;
    if (!q.history.empty()) last = q.history.back();
    if (!q.session.empty()) last = q.session.back();
    std::size_t n = 0;
    for (std::int32_t step = 1; step <= items_ && n < out.size(); ++step) {
      const std::int32_t item = (last + step) % items_;
      const auto has = [&](std::span<const std::int32_t> list) { return std::find(list.begin(), list.end(), item) != list.end(); };
      if (q.exclude_seen && (has(q.history) || has(q.session))) continue;
      out[n++] = {item, static_cast<float>(-step)};
    }
    return n;
  }
  void score(const Query&, std::span<const std::int32_t>, std::span<float> out, Scratch&) const override {
    std::fill(out.begin(), out.end(), 0.0f);
  }

 private:
  std::int32_t users_;
  std::int32_t items_;
};

TEST(Evaluate, MeansAreOverUsersWithARelevantItem) {
  // Lists of length 2: user 0 gets 1, 2; user 1 gets 4, 0; user 2 has no test item; user 3 gets 3, 4.
  const CsrMatrix train = csr(5, {{0}, {3}, {1}, {2}});
  const CsrMatrix test = csr(5, {{1, 4}, {0}, {}, {0, 1}});
  const Evaluation e = evaluate(NextNumber(4, 5), train.view(), test.view(), options({1, 2}, {"recall", "mrr", "coverage"}));
  EXPECT_EQ(e.users(), 3);
  EXPECT_EQ((Items{e.user_index().begin(), e.user_index().end()}), (Items{0, 1, 3}));
  EXPECT_DOUBLE_EQ(e.value("recall@1"), (0.5 + 0 + 0) / 3);
  EXPECT_DOUBLE_EQ(e.value("recall@2"), (0.5 + 1 + 0) / 3);
  EXPECT_DOUBLE_EQ(e.value("mrr@2"), (1 + 0.5 + 0) / 3);
  EXPECT_DOUBLE_EQ(e.value("coverage@1"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(e.value("coverage@2"), 5.0 / 5);
  EXPECT_EQ(e.per_user("recall@2")[1], 1.0);
  EXPECT_EQ(e.names(), (std::vector<std::string>{"recall@1", "recall@2", "mrr@1", "mrr@2", "coverage@1", "coverage@2"}));
}

TEST(Evaluate, SeenItemsAreNeitherRankedNorRelevant) {
  const CsrMatrix train = csr(4, {{0, 1}});
  const CsrMatrix test = csr(4, {{1, 2}});
  EvaluationOptions o = options({1}, {"recall"});
  const Evaluation masked = evaluate(NextNumber(1, 4), train.view(), test.view(), o);
  EXPECT_DOUBLE_EQ(masked.value("recall@1"), 1.0);
  EXPECT_EQ(masked.hidden(), 1);
  o.exclude_seen = false;
  const Evaluation open = evaluate(NextNumber(1, 4), train.view(), test.view(), o);
  EXPECT_DOUBLE_EQ(open.value("recall@1"), 0.5);
  EXPECT_EQ(open.hidden(), 0);
}

TEST(Evaluate, SequencesKeepTheOrderOfHistory) {
  const CsrMatrix test = csr(6, {{1}});
  const Evaluation e = evaluate(NextNumber(1, 6), sequences({{4, 0}}, 6), test.view(), options({1}, {"recall"}));
  EXPECT_DOUBLE_EQ(e.value("recall@1"), 1.0) << "the last item is 0, not the largest";
}

TEST(Evaluate, IsTheSameForAnyThreadCountAndKBeyondTheCatalogue) {
  std::vector<Items> train_rows;
  std::vector<Items> test_rows;
  for (std::int32_t u = 0; u < 3000; ++u) {
    train_rows.push_back({u % 50});
    test_rows.push_back({(u * 7 + 1) % 50});
  }
  const CsrMatrix train = csr(50, train_rows);
  const CsrMatrix test = csr(50, test_rows);
  EvaluationOptions o = options({5, 80}, {"ndcg", "recall", "coverage"});
  o.num_threads = 1;
  const Evaluation one = evaluate(NextNumber(3000, 50), train.view(), test.view(), o);
  o.num_threads = 3;
  const Evaluation three = evaluate(NextNumber(3000, 50), train.view(), test.view(), o);
  for (const std::string& n : one.names()) EXPECT_EQ(one.value(n), three.value(n)) << n;
  EXPECT_DOUBLE_EQ(one.value("recall@80"), 1.0);
  EXPECT_EQ(one.interval("ndcg@5").low, three.interval("ndcg@5").low);
}

TEST(EvaluateRanking, EqualsTheModelsOwnEvaluation) {
  const CsrMatrix train = csr(5, {{0}, {3}, {1}, {2}});
  const CsrMatrix test = csr(5, {{1, 4}, {0}, {}, {0, 1}});
  const EvaluationOptions o = options({2}, {"recall", "ndcg", "map", "coverage"});
  const Evaluation own = evaluate(NextNumber(4, 5), train.view(), test.view(), o);
  const Items lists{1, 2, 4, 0, 2, 3, 3, 4};
  const CsrView seen = train.view();
  const Evaluation foreign = evaluate_ranking({lists.data(), 4, 2}, test.view(), {}, &seen, o);
  for (const std::string& n : own.names()) EXPECT_EQ(own.value(n), foreign.value(n)) << n;
  const Items users{3, 0};
  const Items two{3, 4, 1, 2};
  const Evaluation some = evaluate_ranking({two.data(), 2, 2}, test.view(), users, nullptr, o);
  EXPECT_DOUBLE_EQ(some.value("recall@2"), 0.25);
  EXPECT_EQ((Items{some.user_index().begin(), some.user_index().end()}), users);
}

TEST(EvaluateNext, LastAndAllPositions) {
  // After 0 comes 1, after 1 comes 2; 5 after 2 is at place 3 of the list.
  const Sequences s = sequences({{0, 1, 2, 5}, {3}, {4, 4}}, 6);
  NextItemOptions o;
  o.k = {1, 3};
  o.metrics = {"hit_rate", "mrr"};
  const Evaluation last = evaluate_next(NextNumber(0, 6), s, o);
  EXPECT_EQ(last.users(), 2);
  EXPECT_DOUBLE_EQ(last.value("hit_rate@3"), 0.5);
  EXPECT_DOUBLE_EQ(last.value("mrr@3"), (1.0 / 3) / 2);
  o.positions = Positions::kAll;
  const Evaluation all = evaluate_next(NextNumber(0, 6), s, o);
  EXPECT_EQ(all.users(), 4);
  EXPECT_DOUBLE_EQ(all.value("hit_rate@1"), 2.0 / 4);
  EXPECT_EQ((Items{all.user_index().begin(), all.user_index().end()}), (Items{0, 0, 0, 2}));
}

TEST(Compare, PutsTheBetterModelFirstWithATestAgainstIt) {
  std::vector<Items> train_rows;
  std::vector<Items> test_rows;
  for (std::int32_t u = 0; u < 200; ++u) {
    train_rows.push_back({u % 20});
    test_rows.push_back({(u + 1 + (u % 10 == 0)) % 20});
  }
  const Interactions train(csr(20, train_rows));
  const Interactions test(csr(20, test_rows));
  PopularityModel popular;
  popular.fit(train);
  const NextNumber next(200, 20);
  const Comparison c = compare(std::vector<NamedModel>{{"popular", &popular}, {"next", &next}}, train, test, options({1}, {"recall"}));
  ASSERT_EQ(c.rows.size(), 2u);
  EXPECT_EQ(c.rows[0].model, "next");
  EXPECT_DOUBLE_EQ(c.rows[0].value, 0.9);
  EXPECT_LT(c.rows[0].interval.low, 0.9);
  EXPECT_LT(c.rows[1].against_best.difference, -0.5);
  EXPECT_LT(c.rows[1].against_best.p_value, 0.01);
  EXPECT_NE(c.text().find("next"), std::string::npos);
}

TEST(Evaluate, BadInputIsNamed) {
  const CsrMatrix train = csr(3, {{0}, {1}});
  const CsrMatrix test = csr(3, {{1}, {2}});
  const CsrMatrix nothing = csr(3, {{}, {}});
  const CsrMatrix wide = csr(4, {{1}, {2}});
  const NextNumber model(2, 3);
  const EvaluationOptions ok = options({2}, {"recall"});
  const auto eval = [&](const Recommender& m, const CsrMatrix& a, const CsrMatrix& b, const EvaluationOptions& o) {
    return message_of([&] { (void)evaluate(m, a.view(), b.view(), o); });
  };
  EXPECT_EQ(eval(model, train, test, ok), "");
  EXPECT_EQ(eval(model, train, test, options({-1}, {"recall"})), "k is -1, must be >= 1");
  EXPECT_NE(eval(model, train, test, options({2}, {"auc"})).find("metric is 'auc', must be one of"), std::string::npos);
  EXPECT_NE(eval(model, train, test, options({}, {"recall"})).find("k is empty"), std::string::npos);
  EXPECT_NE(eval(model, train, test, options({2}, {})).find("metrics is empty"), std::string::npos);
  EXPECT_EQ(eval(model, train, wide, ok), "train has shape (2, 3) and test (2, 4), both must have the same users and items");
  EXPECT_NE(eval(model, train, nothing, ok).find("test has no relevant item"), std::string::npos);
  EXPECT_EQ(eval(NextNumber(1, 3), train, test, ok),
            "the model has shape (1, 3), must cover the users and have the items of test (2, 3)");
  EXPECT_NE(eval(NextNumber(2, 2), train, test, ok).find("the model has shape (2, 2)"), std::string::npos);

  const Evaluation e = evaluate(model, train.view(), test.view(), options({2}, {"recall", "coverage"}));
  EXPECT_NE(message_of([&] { (void)e.value("recall@3"); }).find("must be one of recall@2, coverage@2"), std::string::npos);
  EXPECT_THROW((void)e.per_user("coverage@2"), std::invalid_argument);
  const Evaluation other = evaluate(NextNumber(2, 3), train.view(), csr(3, {{1}, {}}).view(), ok);
  EXPECT_THROW((void)e.compare(other, "recall@2"), std::invalid_argument);

  const Items repeated{1, 1, 0, 2};
  EXPECT_NE(message_of([&] { (void)evaluate_ranking({repeated.data(), 2, 2}, test.view(), {}, nullptr, ok); }).find("item 1 twice in row 0"),
            std::string::npos);
  const Items outside{1, 7, 0, 2};
  EXPECT_NE(message_of([&] { (void)evaluate_ranking({outside.data(), 2, 2}, test.view(), {}, nullptr, ok); }).find("item 7"),
            std::string::npos);
  EXPECT_NE(message_of([&] { (void)evaluate_ranking({outside.data(), 1, 2}, test.view(), {}, nullptr, ok); }).find("1 rows"),
            std::string::npos);
  EXPECT_NE(message_of([&] { (void)evaluate_ranking({outside.data(), 2, 1}, test.view(), {}, nullptr, ok); }).find("1 columns"),
            std::string::npos);
  EXPECT_THROW((void)evaluate_next(model, sequences({{0}}, 3)), std::invalid_argument);
  EXPECT_THROW((void)evaluate_next(model, sequences({{0, 5}}, 6)), std::invalid_argument);
}

TEST(Evaluate, DifferentKeysAtOneIndexAreAnError) {
  const auto ids = [](std::vector<std::int64_t> keys) { return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys))); };
  const Interactions train(csr(3, {{0}, {1}}), ids({10, 11}), ids({1, 2, 3}));
  const Interactions same(csr(3, {{1}, {2}}), ids({10, 11}), ids({1, 2, 3}));
  const Interactions swapped(csr(3, {{1}, {2}}), ids({11, 10}), ids({1, 2, 3}));
  PopularityModel m;
  m.fit(train);
  const EvaluationOptions o = options({1}, {"recall"});
  EXPECT_EQ(evaluate(m, train, same, o).users(), 2);
  EXPECT_NE(message_of([&] { (void)evaluate(m, train, swapped, o); }).find("the users of train and test"), std::string::npos);
}

}  // namespace
}  // namespace etalage
