// SPDX-License-Identifier: Apache-2.0
// Features and order of the learned second stage.
#include "etalage/models/learned_ranker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/transitions.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kUsers = 120;
constexpr std::int32_t kItems = 50;
constexpr std::int64_t kDay = 86'400'000;

struct Shop {
  Sequences past;
  CsrMatrix later;
};

Shop shop(std::uint32_t seed = 5) {
  std::mt19937 rng(seed);
  std::vector<std::int64_t> offsets{0}, times, later_offsets{0};
  std::vector<std::int32_t> items, later;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    std::vector<std::int32_t> row;
    for (int n = 0; n < 8; ++n) {
      const auto taste = static_cast<std::int32_t>(rng() % 10 * 5 + static_cast<unsigned>(u % 5));
      row.push_back(rng() % 4 == 0 ? static_cast<std::int32_t>(rng() % kItems) : taste);
    }
    for (int n = 0; n < 6; ++n) {
      items.push_back(row[static_cast<std::size_t>(n)]);
      times.push_back((10 * n + 3 * (u % 7)) * kDay);
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
    std::vector<std::int32_t> held(row.begin() + 6, row.end());
    std::sort(held.begin(), held.end());
    held.erase(std::unique(held.begin(), held.end()), held.end());
    later.insert(later.end(), held.begin(), held.end());
    later_offsets.push_back(static_cast<std::int64_t>(later.size()));
  }
  Array<float> ones(later.size());
  ones.fill(1.0f);
  return {Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), kItems),
          {kUsers, kItems, Array<std::int64_t>(later_offsets), Array<std::int32_t>(later), ones}};
}

std::vector<BlendMember> sources(const Sequences& past) {
  const Interactions rows(ordered_rows(past));
  auto ease = std::make_shared<EaseModel>(EaseOptions{.l2 = 20});
  ease->fit(rows);
  auto popular = std::make_shared<PopularityModel>();
  popular->fit(rows);
  auto steps = std::make_shared<TransitionsModel>();
  steps->fit(past);
  return {{"ease", ease}, {"popular", popular}, {"steps", steps}};
}

LearnedRankerModel made(const Shop& s, LearnedRankerOptions options = {.candidates = 20}) {
  return LearnedRankerModel(sources(s.past), ItemSignals::of(s.past), s.past, options);
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST(LearnedRanker, LearnsFromAndAnswersWithTheSameBits) {
  const Shop s = shop();
  LearnedRankerModel ranker = made(s);
  const RankingLists lists = ranker.lists(s.later.view(), kUsers, true, 1000);
  ASSERT_GT(lists.queries.size(), 20u);
  ranker.set_scorer(LinearRanker::fit({lists.rows.data(), lists.items.size(), ranker.num_features()}, lists.offsets, lists.gains, {}));
  std::vector<std::int32_t> users;
  for (std::int32_t u = 0; u < kUsers; ++u)
    if (s.later.view().row_size(u) > 0) users.push_back(u);
  Scratch scratch;
  for (std::size_t l = 0; l < lists.queries.size(); ++l) {
    const auto b = static_cast<std::size_t>(lists.offsets[l]);
    const auto n = static_cast<std::size_t>(lists.offsets[l + 1]) - b;
    const Query query{.user = users[static_cast<std::size_t>(lists.queries[l])]};
    const std::span<const std::int32_t> items(lists.items.data() + b, n);
    std::vector<float> rows(n * ranker.num_features());
    ranker.features(query, items, {rows.data(), n, ranker.num_features()}, scratch);
    EXPECT_TRUE(same_bits(rows, {lists.rows.data() + b * ranker.num_features(), rows.size()}));
    // What is served is what the scorer says of these rows, in order.
    std::vector<ItemScore> out(20);  // longer lists than `candidates` have more of them, and other ranks
    ASSERT_EQ(ranker.recommend(query, out, scratch), 20u);
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto at = static_cast<std::size_t>(std::find(items.begin(), items.end(), out[i].item) - items.begin());
      ASSERT_LT(at, n);
      EXPECT_EQ(out[i].score, static_cast<float>(ranker.linear().score({rows.data() + at * ranker.num_features(), ranker.num_features()})));
      if (i > 0) {
        EXPECT_GE(out[i - 1].score, out[i].score);
      }
    }
    std::vector<float> scores(n);
    ranker.score(query, items, scores, scratch);
    for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(scores[i], static_cast<float>(ranker.linear().score({rows.data() + i * ranker.num_features(), ranker.num_features()})));
  }
}

TEST(LearnedRanker, ListsOfOneVisitAreOneGroup) {
  const Shop s = shop();
  const LearnedRankerModel ranker = made(s, {.candidates = kItems});
  const RankingLists lists = ranker.lists_next(s.past, false, 100'000, false, kItems);
  ASSERT_EQ(lists.groups.size(), lists.queries.size());
  std::vector<int> of_visit(kUsers);
  for (std::size_t l = 0; l < lists.groups.size(); ++l) {
    const auto visit = static_cast<std::size_t>(lists.groups[l]);
    ASSERT_LT(visit, of_visit.size());
    ++of_visit[visit];
    const std::span<const std::int32_t> bought = s.past.items_of(lists.groups[l]);
    for (auto r = static_cast<std::size_t>(lists.offsets[l]); r < static_cast<std::size_t>(lists.offsets[l + 1]); ++r)
      EXPECT_TRUE(lists.gains[r] == 0 || std::ranges::find(bought, lists.items[r]) != bought.end()) << "list " << l;
  }
  EXPECT_GT(std::ranges::min(of_visit), 1) << "a visit asks more than once";
  const std::vector<std::int64_t> groups(lists.groups.begin(), lists.groups.end());
  const std::vector<float> drawn = bootstrap_weights(groups, std::vector<std::uint8_t>(groups.size(), 1), 3, 0);
  for (std::size_t l = 1; l < groups.size(); ++l)
    EXPECT_TRUE(groups[l] != groups[l - 1] || drawn[l] == drawn[l - 1]) << "list " << l;
}

TEST(LearnedRanker, ListsDoNotDependOnThreads) {
  const Shop s = shop();
  const LearnedRankerModel ranker = made(s);
  const RankingLists one = ranker.lists(s.later.view(), kUsers, true, 5, 3, 1);
  const RankingLists four = ranker.lists(s.later.view(), kUsers, true, 5, 3, 4);
  EXPECT_EQ(one.items, four.items);
  EXPECT_EQ(one.offsets, four.offsets);
  EXPECT_TRUE(same_bits(one.rows, four.rows));
  EXPECT_NE(one.items, ranker.lists(s.later.view(), kUsers, true, 5, 4, 1).items);
}

TEST(LearnedRanker, FeaturesAreWhatTheyAreCalled) {
  const Shop s = shop();
  ItemSignals signals = ItemSignals::of(s.past, 30);
  Array<float> prices(kItems);
  Array<std::int32_t> categories(kItems);
  for (std::int32_t i = 0; i < kItems; ++i) {
    prices.mutable_data()[i] = i == 7 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(1 + i);
    categories.mutable_data()[i] = i == 7 ? -1 : i % 5;
  }
  signals.set_facts(prices, categories, {});
  const std::vector<std::int32_t> history{3, 8, 3, 13};
  const std::vector<std::int64_t> times{0, kDay, 2 * kDay, 3 * kDay};
  const std::vector<std::int32_t> items{3, 7, 20, 3};
  std::vector<float> rows(items.size() * RankingFeatures::kColumns);
  RankingFeatures::Scratch scratch;
  RankingFeatures::compute(signals, {history, times, 5 * kDay}, 10, items, rows.data(), RankingFeatures::kColumns, scratch);
  const auto at = [&](std::size_t row, RankingFeatures::Column c) { return static_cast<double>(rows[row * RankingFeatures::kColumns + c]); };
  EXPECT_NEAR(at(0, RankingFeatures::kTimesTaken), std::log(3.0), 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kStepsSince), 1.0 / 2, 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kDaysSince), std::log(4.0), 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kShopperIdleDays), std::log(3.0), 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kCategoryShare), 1.0, 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kCategorySteps), 1.0, 1e-6);
  EXPECT_NEAR(at(2, RankingFeatures::kCategoryShare), 0.0, 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kPrice), std::log(4.0), 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kPriceGap), std::log(4.0) - (2 * std::log(4.0) + std::log(9.0) + std::log(14.0)) / 4, 1e-6);
  // Unknown is missing, not 0; an item that was never taken has no time since.
  for (const auto c : {RankingFeatures::kPrice, RankingFeatures::kPriceGap, RankingFeatures::kPriceBand, RankingFeatures::kCategoryShare,
                       RankingFeatures::kStepsSince, RankingFeatures::kDaysSince, RankingFeatures::kVectorBest, RankingFeatures::kPosition})
    EXPECT_TRUE(std::isnan(at(1, c))) << c;
  EXPECT_EQ(at(1, RankingFeatures::kTimesTaken), 0);
  // The cosine of the sets of shoppers, written out.
  const auto shoppers = [&](std::int32_t item) {
    std::vector<bool> has(kUsers);
    for (std::int32_t u = 0; u < kUsers; ++u) {
      const auto row = s.past.items_of(u);
      has[static_cast<std::size_t>(u)] = std::find(row.begin(), row.end(), item) != row.end();
    }
    return has;
  };
  const auto cosine = [&](std::int32_t a, std::int32_t b) {
    const auto x = shoppers(a), y = shoppers(b);
    double both = 0, nx = 0, ny = 0;
    for (std::size_t u = 0; u < kUsers; ++u) {
      both += x[u] && y[u] ? 1 : 0;
      nx += x[u] ? 1 : 0;
      ny += y[u] ? 1 : 0;
    }
    return both / std::sqrt(nx * ny);
  };
  EXPECT_NEAR(at(2, RankingFeatures::kAnchorLast), cosine(13, 20), 1e-6);
  EXPECT_NEAR(at(2, RankingFeatures::kAnchorMean), (cosine(13, 20) + cosine(3, 20) + cosine(8, 20)) / 3, 1e-6);
  EXPECT_NEAR(at(2, RankingFeatures::kAnchorBest), std::max({cosine(13, 20), cosine(3, 20), cosine(8, 20)}), 1e-6);
  for (std::size_t c = 0; c < RankingFeatures::kColumns; ++c)
    EXPECT_EQ(std::memcmp(&rows[c], &rows[3 * RankingFeatures::kColumns + c], sizeof(float)), 0) << "an item that comes again: " << c;
}

TEST(LearnedRanker, RepeatsAreCountedAndDrawnTowardsTheShopsRate) {
  // Of the five steps two lead to the same item: 0 -> 0, 0 -> 0, 0 -> 1, 1 -> 2, 2 -> 0.
  const Sequences past(Array<std::int64_t>(std::vector<std::int64_t>{0, 5, 7}), Array<std::int32_t>(std::vector<std::int32_t>{0, 0, 0, 1, 2, 2, 0}), {}, 4);
  const ItemSignals signals = ItemSignals::of(past);
  const double base = 2.5 / 6;
  const auto odds = [&](double same, double steps) { return std::log((same + 10 * base) / (steps - same + 10 * (1 - base))); };
  ASSERT_EQ(signals.again.size(), 4u);
  EXPECT_NEAR(static_cast<double>(signals.again[0]), odds(2, 3), 1e-6);
  EXPECT_NEAR(static_cast<double>(signals.again[1]), odds(0, 1), 1e-6);
  EXPECT_NEAR(static_cast<double>(signals.again[3]), odds(0, 0), 1e-6);
  EXPECT_TRUE(ItemSignals::of(Sequences(Array<std::int64_t>(std::vector<std::int64_t>{0, 1}), Array<std::int32_t>(std::vector<std::int32_t>{0}), {}, 2)).again.empty());

  const std::vector<std::int32_t> history{1, 2, 1, 0, 0};
  const std::vector<std::int32_t> items{0, 1, 3};
  std::vector<float> rows(items.size() * RankingFeatures::kColumns);
  RankingFeatures::Scratch scratch;
  RankingFeatures::compute(signals, {history, {}, {}}, 10, items, rows.data(), RankingFeatures::kColumns, scratch);
  const auto at = [&](std::size_t row, RankingFeatures::Column c) { return static_cast<double>(rows[row * RankingFeatures::kColumns + c]); };
  EXPECT_NEAR(at(0, RankingFeatures::kRepeatRate), odds(2, 3), 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kRepeatRun), std::log(2.0), 1e-6);
  EXPECT_NEAR(at(0, RankingFeatures::kRepeats), std::log(3.0), 1e-6);
  EXPECT_NEAR(at(1, RankingFeatures::kRepeats), std::log(3.0), 1e-6);
  for (const std::size_t other : {1u, 2u})
    for (const auto c : {RankingFeatures::kRepeatRate, RankingFeatures::kRepeatRun}) EXPECT_TRUE(std::isnan(at(other, c))) << other;
  EXPECT_TRUE(std::isnan(at(2, RankingFeatures::kRepeats)));
}

TEST(LearnedRanker, SharesOfWhatIsNewAndOfWhatWasHad) {
  const Shop s = shop();
  const LearnedRankerModel ranker(sources(s.past), ItemSignals::of(s.past), s.past, {.candidates = kItems});  // every item is a candidate
  const std::vector<std::int32_t> session{4, 9};
  const Query query{.session = session, .exclude_seen = false, .exclude_last = false};
  std::vector<std::int32_t> items(kItems);
  for (std::int32_t i = 0; i < kItems; ++i) items[static_cast<std::size_t>(i)] = i;
  const std::size_t f = ranker.num_features();
  std::vector<float> rows(items.size() * f);
  Scratch scratch;
  ranker.features(query, items, {rows.data(), items.size(), f}, scratch);
  for (std::size_t m = 0; m < 3; ++m) {
    const auto at = [&](std::size_t i, RankingFeatures::SourceColumn c) { return static_cast<double>(rows[i * f + m * RankingFeatures::kColumnsOfSource + c]); };
    double all = 0, fresh = 0, best = 0;
    for (std::size_t i = 0; i < kItems; ++i) {
      const double p = std::max(0.0, at(i, RankingFeatures::kScore));
      all += p;
      if (i == 4 || i == 9) continue;
      fresh += p;
      best = std::max(best, p);
    }
    ASSERT_GT(fresh, 0);
    for (std::size_t i = 0; i < kItems; ++i) {
      const double p = std::max(0.0, at(i, RankingFeatures::kScore));
      if (i == 4 || i == 9) {
        EXPECT_NEAR(at(i, RankingFeatures::kAgain), std::log(p / all + 1e-3), 1e-4) << m << ' ' << i;
        EXPECT_TRUE(std::isnan(at(i, RankingFeatures::kNew)) && std::isnan(at(i, RankingFeatures::kSure)));
      } else {
        EXPECT_NEAR(at(i, RankingFeatures::kNew), std::log(p / fresh + 1e-3), 1e-4) << m << ' ' << i;
        EXPECT_NEAR(at(i, RankingFeatures::kSure), std::log(best / fresh + 1e-3), 1e-4);
        EXPECT_TRUE(std::isnan(at(i, RankingFeatures::kAgain)));
      }
    }
  }
}

TEST(LearnedRanker, AGivenHistoryHasTheTimesOfTheKeptOneItEquals) {
  const Shop s = shop();
  const LearnedRankerModel ranker = made(s);
  Scratch scratch;
  const std::vector<std::int32_t> items{1, 2, 30};
  std::vector<float> kept(3 * ranker.num_features()), given(kept.size());
  ranker.features({.user = 4}, items, {kept.data(), 3, ranker.num_features()}, scratch);
  ranker.features({.user = 4, .history = s.past.items_of(4), .history_given = true}, items, {given.data(), 3, ranker.num_features()}, scratch);
  EXPECT_TRUE(same_bits(kept, given));
}

TEST(LearnedRanker, IsSavedWithItsSources) {
  const Shop s = shop();
  LearnedRankerModel ranker = made(s, {.candidates = 20, .anchors = 3, .position = 1, .half_life_days = 12, .learning = "{}"});
  EXPECT_THROW((void)ranker.recommend({.user = 0}, {}, *std::make_unique<Scratch>()), NotFittedError);
  const RankingLists lists = ranker.lists(s.later.view(), kUsers, true, 1000);
  ranker.set_scorer(LinearRanker::fit({lists.rows.data(), lists.items.size(), ranker.num_features()}, lists.offsets, lists.gains, {}));
  const auto bytes = save_to_memory(ranker);
  const auto back = load_from_memory(bytes);
  ASSERT_EQ(back->kind(), "LearnedRanker");
  Scratch a, b;
  for (std::int32_t u = 0; u < kUsers; ++u) {
    std::vector<ItemScore> x(10), y(10);
    ASSERT_EQ(ranker.recommend({.user = u}, x, a), back->recommend({.user = u}, y, b));
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(x[i].item, y[i].item);
      EXPECT_EQ(x[i].score, y[i].score);
    }
  }
  EXPECT_THROW(ranker.set_scorer({}, {}), std::invalid_argument);
}

TEST(LearnedRanker, TheModelsOfItsBagScoreTheSameRowsAndAreSavedWithIt) {
  const Shop s = shop();
  LearnedRankerModel ranker = made(s);
  const RankingLists lists = ranker.lists(s.later.view(), kUsers, true, 1000);
  const MatrixView<const float> rows(lists.rows.data(), lists.items.size(), ranker.num_features());
  ranker.set_scorer(LinearRanker::fit(rows, lists.offsets, lists.gains, {}));
  const std::vector<std::int64_t> groups(lists.queries.begin(), lists.queries.end());
  const std::vector<std::uint8_t> taught(groups.size(), 1);
  std::vector<RankerScorer> bag;
  for (std::uint64_t m = 0; m < 3; ++m) bag.push_back({.linear = LinearRanker::fit(rows, lists.offsets, lists.gains, bootstrap_weights(groups, taught, 5, m))});
  EXPECT_THROW(ranker.set_bag({bag[0]}), std::invalid_argument);
  EXPECT_THROW(ranker.set_bag({bag[0], {}}), std::invalid_argument);
  const std::size_t plain = save_to_memory(ranker).size();
  ranker.set_bag(bag);
  const auto bytes = save_to_memory(ranker);
  EXPECT_GT(bytes.size(), plain);
  const auto back = std::dynamic_pointer_cast<LearnedRankerModel>(load_from_memory(bytes));
  ASSERT_EQ(back->bag().size(), 3u);
  const std::vector<std::int32_t> items = {1, 4, 2, 7};
  const Query query{.user = 3, .exclude_seen = false};
  Scratch scratch;
  std::vector<float> own(4), again(4), by_models(12), loaded(12);
  ranker.rank(query, items, own, scratch);
  ranker.rank(query, items, again, scratch, by_models);
  back->rank(query, items, again, scratch, loaded);
  EXPECT_EQ(own, again);
  EXPECT_EQ(by_models, loaded);
  for (std::size_t m = 0; m < 3; ++m) {  // each is what it would say as the scorer
    LearnedRankerModel alone = ranker;
    alone.set_scorer(bag[m].linear);
    alone.rank(query, items, again, scratch);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(by_models[m * 4 + i], again[i]);
    EXPECT_NE(again, own);
  }
  EXPECT_THROW(ranker.rank(query, items, again, scratch, std::span(by_models).first(5)), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
