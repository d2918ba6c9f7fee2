// SPDX-License-Identifier: Apache-2.0
// Blend against its formula, put together from the members' own answers.
#include "etalage/models/blend.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/error.hpp"
#include "etalage/evaluation/evaluator.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/transitions.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kUsers = 80;
constexpr std::int32_t kItems = 60;

CsrMatrix tastes(std::uint32_t seed, int one_in) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    for (std::int32_t i = 0; i < kItems; ++i)
      if (rng() % static_cast<unsigned>(u % 4 == i % 4 ? one_in : 8 * one_in) == 0) columns.push_back(i);
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  Array<float> ones(columns.size());
  ones.fill(1.0f);
  return {kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), ones};
}

std::vector<BlendMember> members(const Interactions& data) {
  auto filter = std::make_shared<GraphFilterModel>(GraphFilterOptions{.low_pass_factors = 4});
  filter->fit(data);
  auto als = std::make_shared<AlsModel>(AlsOptions{.factors = 4, .iterations = 4});
  als->fit(data);
  auto popular = std::make_shared<PopularityModel>();
  popular->fit(data);
  popular->set_history(data.user_items());
  return {{"filter", filter}, {"als", als}, {"popular", popular}};
}

std::vector<ItemScore> ask(const Recommender& m, const Query& q, std::size_t k) {
  Scratch scratch;
  std::vector<ItemScore> out(k);
  out.resize(m.recommend(q, out, scratch));
  return out;
}

std::vector<float> scores_of(const Recommender& m, const Query& q, const std::vector<std::int32_t>& items) {
  Scratch scratch;
  std::vector<float> out(items.size());
  m.score(q, items, out, scratch);
  return out;
}

TEST(Blend, ScoresAreTheFormula) {
  const Interactions data(tastes(1, 3));
  const auto parts = members(data);
  const std::vector<float> weights{3, 1, 0.5f};
  const std::vector<std::int32_t> deny{3, 4, 5, 6, 7};
  const ItemFilter filter = ItemFilter::deny(deny);
  for (const FusionMethod method : {FusionMethod::kRank, FusionMethod::kZScore, FusionMethod::kReciprocalRank}) {
    const BlendModel blend(parts, {.method = method, .weights = weights, .candidates = 9});
    for (const Query& q : {Query{.user = 5}, Query{.user = 8, .filter = &filter}, Query{.session = deny}}) {
      std::set<std::int32_t> together;
      for (const BlendMember& m : parts)
        for (const ItemScore& r : ask(*m.model, q, 9)) together.insert(r.item);
      const std::vector<std::int32_t> items(together.begin(), together.end());
      const double n = static_cast<double>(items.size());
      std::vector<double> fused(items.size(), 0.0);
      for (std::size_t m = 0; m < parts.size(); ++m) {
        const std::vector<float> s = scores_of(*parts[m].model, q, items);
        double mean = 0;
        double square = 0;
        for (const float v : s) mean += static_cast<double>(v) / n;
        for (const float v : s) square += (static_cast<double>(v) - mean) * (static_cast<double>(v) - mean) / n;
        for (std::size_t i = 0; i < items.size(); ++i) {
          double rank = 1;
          for (std::size_t j = 0; j < items.size(); ++j) rank += s[j] > s[i] || (s[j] == s[i] && j < i) ? 1 : 0;
          const double f = method == FusionMethod::kRank ? 1 - (rank - 1) / n
                           : method == FusionMethod::kZScore
                               ? (square > 0 ? (static_cast<double>(s[i]) - mean) / std::sqrt(square) : 0)
                               : 1 / (60 + rank);
          fused[i] += static_cast<double>(weights[m]) / 4.5 * f;
        }
      }
      const auto got = ask(blend, q, 5);
      ASSERT_EQ(got.size(), 5u);
      for (const ItemScore& r : got) {
        const auto at = static_cast<std::size_t>(std::lower_bound(items.begin(), items.end(), r.item) - items.begin());
        EXPECT_NEAR(static_cast<double>(r.score), fused[at], 2e-5);
      }
      std::sort(fused.rbegin(), fused.rend());
      EXPECT_NEAR(static_cast<double>(got[4].score), fused[4], 2e-5);
      for (const ItemScore& r : got) EXPECT_EQ(scores_of(blend, q, {r.item})[0], r.score);
    }
  }
}

/// Everybody buys what they had again: only a member that ranks the history first is right, and only if it may name it.
TEST(Blend, LearnsWithWhatWasSeenWhereThatIsBoughtAgain) {
  const CsrMatrix all = tastes(2, 2);
  const Interactions train(all);
  BlendModel masked(members(train), {.method = FusionMethod::kZScore, .candidates = 30});
  BlendModel open = masked;
  EXPECT_EQ(masked.learn_weights(all.view(), all.view(), 10), 0) << "nothing that is held out may be named";
  EXPECT_GT(open.learn_weights(all.view(), all.view(), 10, 4096, 0, false), 0.2);
}

/// NDCG@10 of the list that u gets.
double ndcg_of(const BlendModel& blend, const CsrMatrix& held_out, std::int32_t u) {
  const auto relevant = held_out.view().row_columns(u);
  double gain = 0;
  double ideal = 0;
  const auto got = ask(blend, {.user = u}, 10);
  for (std::size_t r = 0; r < got.size(); ++r)
    if (std::binary_search(relevant.begin(), relevant.end(), got[r].item)) gain += 1 / std::log2(static_cast<double>(r) + 2);
  for (std::size_t r = 0; r < std::min<std::size_t>(10, relevant.size()); ++r) ideal += 1 / std::log2(static_cast<double>(r) + 2);
  return relevant.empty() ? 0 : gain / ideal;
}

TEST(Blend, LearnsToTrustTheBetterMember) {
  const CsrMatrix all = tastes(2, 2);
  // Every third interaction is held out.
  std::vector<std::int64_t> offsets[2] = {{0}, {0}};
  std::vector<std::int32_t> columns[2];
  for (std::int32_t u = 0; u < kUsers; ++u) {
    const auto row = all.view().row_columns(u);
    for (std::size_t p = 0; p < row.size(); ++p) columns[p % 3 == 1 ? 1 : 0].push_back(row[p]);
    for (int part = 0; part < 2; ++part) offsets[part].push_back(static_cast<std::int64_t>(columns[part].size()));
  }
  CsrMatrix split[2];
  for (int part = 0; part < 2; ++part) {
    Array<float> ones(columns[part].size());
    ones.fill(1.0f);
    split[part] = {kUsers, kItems, Array<std::int64_t>(offsets[part]), Array<std::int32_t>(columns[part]), ones};
  }
  const Interactions train(split[0]);
  auto parts = members(train);
  BlendModel one(parts, {.method = FusionMethod::kZScore, .candidates = 30});
  BlendModel three = one;
  const double reached = one.learn_weights(split[0].view(), split[1].view(), 10, 1000, 1);
  EXPECT_EQ(three.learn_weights(split[0].view(), split[1].view(), 10, 1000, 3), reached);
  EXPECT_EQ(std::vector<float>(one.weights().begin(), one.weights().end()),
            std::vector<float>(three.weights().begin(), three.weights().end()));
  EXPECT_GT(one.weights()[0] + one.weights()[1], 3 * one.weights()[2]);
  // The value that it reports is the NDCG of the lists that it gives.
  double ndcg = 0;
  for (std::int32_t u = 0; u < kUsers; ++u) ndcg += ndcg_of(one, split[1], u) / kUsers;
  EXPECT_NEAR(ndcg, reached, 1e-3);
  // Only the named users count.
  std::vector<float> importance(kUsers, 0.0f);
  for (std::size_t u = 0; u < kUsers; u += 2) importance[u] = u % 4 == 0 ? 3.0f : 1.0f;
  BlendModel some(members(train), {.method = FusionMethod::kZScore, .candidates = 30});
  const double theirs = some.learn_weights(split[0].view(), split[1].view(), 10, 1000, 2, true, importance);
  double gained = 0;
  double whole = 0;
  for (std::int32_t u = 0; u < kUsers; u += 2) {
    const double counts = u % 4 == 0 ? 3 : 1;
    gained += counts * ndcg_of(some, split[1], u);
    whole += split[1].view().row_size(u) > 0 ? counts : 0;
  }
  EXPECT_NEAR(gained / whole, theirs, 1e-3);
  EXPECT_THROW(some.learn_weights(split[0].view(), split[1].view(), 10, 1000, 2, true, std::span(importance).first(3)), std::invalid_argument);
  importance[1] = -1;
  EXPECT_THROW(some.learn_weights(split[0].view(), split[1].view(), 10, 1000, 2, true, importance), std::invalid_argument);
  const CsrMatrix nothing{kUsers, kItems, Array<std::int64_t>(kUsers + 1), {}, {}};
  EXPECT_EQ(three.learn_weights(split[0].view(), nothing.view()), 0);
}

/// Lists that walk a ring of items: what comes next is told by the newest item alone.
Sequences walks(std::uint32_t seed, std::int32_t count) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  for (std::int32_t s = 0; s < count; ++s) {
    auto at = static_cast<std::int32_t>(rng() % kItems);
    for (int step = 0; step < 8; ++step) {
      items.push_back(at);
      at = rng() % 4 == 0 ? static_cast<std::int32_t>(rng() % kItems) : (at + kItems - 7) % kItems;
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  return {Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, kItems};
}

std::vector<BlendMember> ordered_members(const Sequences& lists) {
  auto near = std::make_shared<TransitionsModel>(TransitionsOptions{.backward = 0, .window = 1, .query_decay = 0.3f});
  near->fit(lists);
  auto around = std::make_shared<TransitionsModel>(TransitionsOptions{.backward = 1, .decay = 0, .query_decay = 0});
  around->fit(lists);
  return {{"near", near}, {"around", around}};
}

TEST(Blend, LearnsFromNextItemsInTheirOrder) {
  const Sequences lists = walks(5, kUsers);
  const Sequences others = walks(6, 150);
  for (const bool last_only : {true, false}) {
    BlendModel one(ordered_members(lists), {.method = FusionMethod::kZScore, .candidates = 40});
    BlendModel three = one;
    const double reached = one.learn_weights_next(others, last_only, 10, 5000, 1);
    EXPECT_EQ(three.learn_weights_next(others, last_only, 10, 5000, 3), reached);
    // The value is the NDCG of next items, as the evaluation has it.
    NextItemOptions options;
    options.k = {10};
    options.metrics = {"ndcg"};
    options.positions = last_only ? Positions::kLast : Positions::kAll;
    EXPECT_NEAR(evaluate_next(one, others, options).value("ndcg@10"), reached, 1e-3);
    for (const BlendMember& m : one.members()) EXPECT_GE(reached + 1e-3, evaluate_next(*m.model, others, options).value("ndcg@10"));
  }
  const Sequences one_item(Array<std::int64_t>(std::vector<std::int64_t>{0, 1, 1}), Array<std::int32_t>(std::vector<std::int32_t>{3}), {}, kItems);
  BlendModel blend(ordered_members(lists), {});
  const std::vector<float> before(blend.weights().begin(), blend.weights().end());
  EXPECT_EQ(blend.learn_weights_next(one_item, false), 0) << "lists of one item have no next one";
  EXPECT_EQ(std::vector<float>(blend.weights().begin(), blend.weights().end()), before);
}

TEST(Blend, HistoriesKeepTheirOrder) {
  const Sequences lists = walks(7, kUsers);
  // The continuation of each list's newest item is held out.
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  for (std::int64_t s = 0; s < lists.size(); ++s) {
    columns.push_back((lists.items_of(s).back() + kItems - 7) % kItems);
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  Array<float> ones(columns.size());
  ones.fill(1.0f);
  const CsrMatrix next{kUsers, kItems, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), ones};
  BlendModel blend(ordered_members(lists), {.method = FusionMethod::kZScore, .candidates = 40});
  EXPECT_GT(blend.learn_weights(lists, next.view(), 10, 1000, 0, false), 0.9);
}

TEST(Blend, PartsOfAnExplanationSumToTheScore) {
  const Interactions data(tastes(3, 3));
  const BlendModel blend(members(data), {.method = FusionMethod::kZScore, .candidates = 20});
  for (const std::int32_t item : {2, 17, 40}) {
    const Explanation e = blend.explain({.user = 6}, item, 1000);
    double sum = 0;
    for (const ItemScore& c : e.contributions) sum += static_cast<double>(c.score);
    EXPECT_NEAR(sum, static_cast<double>(e.total), 1e-5);
    EXPECT_EQ(e.total, scores_of(blend, {.user = 6}, {item})[0]);
    EXPECT_EQ(e.contributions.size(), data.user_items().view().row_size(6));
  }
}

TEST(Blend, AFileHoldsASharedHistoryOnce) {
  const Interactions data(tastes(4, 3));
  const auto parts = members(data);
  const BlendModel blend(parts, {.candidates = 20});
  const std::vector<char> bytes = save_to_memory(blend);
  int columns = 0;
  for (const FileInfo::Section& s : memory_info(bytes).sections)
    columns += s.name.find("history/columns") != std::string::npos ? 1 : 0;
  EXPECT_EQ(columns, 1);
  const auto again = load_from_memory(bytes);
  for (const std::int32_t u : {0, 9, 44}) {
    const auto a = ask(blend, {.user = u}, 12);
    const auto b = ask(*again, {.user = u}, 12);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].item, b[i].item);
      EXPECT_EQ(a[i].score, b[i].score);
    }
  }
}

TEST(Blend, BadInputIsNamed) {
  const Interactions data(tastes(5, 3));
  const auto parts = members(data);
  EXPECT_THROW(BlendModel({}, {}), std::invalid_argument);
  EXPECT_THROW(BlendModel({parts[0], parts[0]}, {}), std::invalid_argument);
  EXPECT_THROW(BlendModel(parts, {.weights = {1, 2}}), std::invalid_argument);
  EXPECT_THROW(BlendModel(parts, {.weights = {0, 0, 0}}), std::invalid_argument);
  EXPECT_THROW(BlendModel(parts, {.candidates = 0}), std::invalid_argument);
  const auto blend = std::make_shared<BlendModel>(parts, BlendOptions{});
  EXPECT_THROW(BlendModel({{"inner", blend}}, {}), std::invalid_argument);
  Scratch scratch;
  std::vector<ItemScore> out(4);
  EXPECT_THROW((void)blend->recommend({.user = kUsers}, out, scratch), std::out_of_range);
  EXPECT_EQ(blend->similar_items(3, out, scratch), 4u);
  EXPECT_THROW((void)blend->similar_users(3, out, scratch), UnsupportedError);
}

}  // namespace
}  // namespace etalage
