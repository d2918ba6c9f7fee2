// SPDX-License-Identifier: Apache-2.0
// A learned ranker as part of a snapshot.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "serving/engine_fixture.hpp"
#include "serving/learned_shop.hpp"

namespace etalage {
namespace {

PlacementMix popular_ones() { return {.sources = {{"popularity", testing::kItems, 1.0f}}, .fallback = {}}; }

std::vector<int> numbers(const Answer& a) {
  std::vector<int> out;
  for (const Recommended& r : a.items) out.push_back(testing::number_of(r.item));
  return out;
}

/// All products of the shop, the ranker's best for u3 first.
std::vector<int> by_ranker(const LearnedRankerModel& ranker) {
  std::vector<std::int32_t> items(testing::kItems);
  std::iota(items.begin(), items.end(), 0);
  std::vector<float> scores(items.size());
  Scratch scratch;
  ranker.rank({.user = 3, .exclude_seen = false}, items, scores, scratch);
  std::vector<int> order(items.begin(), items.end());
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)]; });
  return order;
}

TEST(SecondStage, RanksGivenCandidatesAsItsOwn) {
  const SnapshotParts parts = testing::shop_parts();
  const auto ranker = testing::learned(parts);
  Scratch scratch;
  const Query query{.user = 7, .exclude_seen = false};
  std::vector<ItemScore> own(30);
  ASSERT_EQ(ranker->recommend(query, own, scratch), own.size());
  // The union of what its sources propose, in another order.
  std::vector<std::int32_t> candidates;
  std::vector<ItemScore> list(30);
  for (const BlendMember& s : ranker->sources()) {
    const std::size_t n = s.model->recommend(query, list, scratch);
    for (std::size_t i = 0; i < n; ++i) candidates.push_back(list[i].item);
  }
  std::sort(candidates.begin(), candidates.end(), std::greater<>());
  candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  std::vector<float> scores(candidates.size());
  ranker->rank(query, candidates, scores, scratch);
  for (const ItemScore& o : own) {
    const auto at = std::find(candidates.begin(), candidates.end(), o.item) - candidates.begin();
    ASSERT_LT(static_cast<std::size_t>(at), candidates.size());
    EXPECT_EQ(scores[static_cast<std::size_t>(at)], o.score);
  }
  const std::int32_t unknown = testing::kItems;
  EXPECT_THROW(ranker->rank(query, {&unknown, 1}, std::span(scores).first(1), scratch), std::out_of_range);
  EXPECT_THROW(ranker->rank(query, candidates, std::span(scores).first(1), scratch), std::invalid_argument);
}

TEST(SecondStage, OrdersWhatTheSourcesPropose) {
  SnapshotParts parts = testing::shop_parts();
  parts.mix.standard = popular_ones();
  const auto ranker = testing::learned(parts);
  Engine plain, second;
  plain.publish(std::make_shared<const Snapshot>(parts));
  parts.ranker = ranker;
  second.publish(std::make_shared<const Snapshot>(parts));
  const Request all{.user = "u3", .k = testing::kItems, .exclude_seen = false};
  const std::vector<int> expected = by_ranker(*ranker);
  EXPECT_EQ(numbers(second.recommend(all)), expected);
  EXPECT_NE(numbers(plain.recommend(all)), expected);
  // Rules come after it.
  parts.rules = Rules({{.type = RuleType::kPin, .item = testing::numbered("i", expected[50]), .position = 1}});
  second.publish(std::make_shared<const Snapshot>(parts));
  const auto pinned = numbers(second.recommend(all));
  EXPECT_EQ(pinned[0], expected[50]);
  EXPECT_EQ(pinned[1], expected[0]);
}

TEST(SecondStage, LeavesNewProductsWhereTheMixHasThem) {
  SnapshotParts parts = testing::shop_parts();
  parts.catalog = testing::shop_catalog(testing::shop_interactions(), 5);
  parts.mix.standard = popular_ones();
  parts.mix.standard.sources.push_back({"new_arrivals", 5, 0.7f});
  const auto ranker = testing::learned(parts);
  Engine plain, second;
  plain.publish(std::make_shared<const Snapshot>(parts));
  parts.ranker = ranker;
  second.publish(std::make_shared<const Snapshot>(parts));
  const Request all{.user = "u3", .k = testing::kItems + 5, .exclude_seen = false};
  const auto before = numbers(plain.recommend(all));
  const auto after = numbers(second.recommend(all));
  ASSERT_EQ(after.size(), before.size());
  std::vector<int> known;
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(before[i] >= testing::kItems, after[i] >= testing::kItems) << i;
    if (after[i] < testing::kItems) known.push_back(after[i]);
  }
  EXPECT_EQ(known, by_ranker(*ranker));
}

TEST(SecondStage, IsKeptInFilesAndMustFit) {
  SnapshotParts parts = testing::shop_parts();
  parts.mix.standard = popular_ones();
  parts.ranker = testing::learned(parts);
  const auto path = std::filesystem::temp_directory_path() / "etalage_second_stage.snapshot";
  Engine one, two;
  const auto snapshot = std::make_shared<const Snapshot>(parts);
  one.publish(snapshot);
  save(*snapshot, path);
  two.publish(load_snapshot(path));
  std::filesystem::remove(path);
  const Request ask{.user = "u3", .k = 20, .exclude_seen = false};
  EXPECT_EQ(numbers(two.recommend(ask)), numbers(one.recommend(ask)));
  ASSERT_NE(two.snapshot()->parts().ranker, nullptr);

  SnapshotParts empty = testing::shop_parts();
  const Interactions data = testing::shop_interactions();
  const CsrMatrix& rows = data.user_items();
  const Sequences histories(rows.offsets, rows.columns, {}, testing::kItems);
  empty.ranker = std::make_shared<LearnedRankerModel>(std::vector<BlendMember>{{"popularity", empty.models[2].model}}, ItemSignals::of(histories), histories);
  EXPECT_THROW(Snapshot{empty}, NotFittedError);
  SnapshotParts other = testing::shop_parts("other");
  other.ranker = parts.ranker;
  EXPECT_THROW(Snapshot{other}, std::invalid_argument);
}

}  // namespace
}  // namespace etalage
