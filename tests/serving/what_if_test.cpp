// SPDX-License-Identifier: Apache-2.0
// What another policy or another snapshot would have earned, from the log of the one that ran.
#include "etalage/serving/what_if.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "etalage/etalage.hpp"
#include "io/tiny_model.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

constexpr std::int64_t kStart = 1'700'000'000'000;

/// Without sources of what others do now: trending products of then are not on record.
std::shared_ptr<const Snapshot> steady_snapshot(unsigned seed = 1) {
  SnapshotParts parts = testing::shop_parts("i", seed);
  parts.mix.standard.sources = {{"als", 200, 1}, {"item_to_item", 200, 1}};
  parts.mix.standard.fallback = {"popularity"};
  return std::make_shared<const Snapshot>(parts);
}

/// A shop whose clock stands where it is put, and whose home page is drawn.
struct DrawnShop {
  std::int64_t now = kStart;
  std::unique_ptr<Engine> engine;
  explicit DrawnShop(const Exploration& how, const std::filesystem::path& folder = {}, EngineOptions o = {}) {
    o.events.now_ms = [this] { return now; };
    engine = folder.empty() ? std::make_unique<Engine>(o) : std::make_unique<Engine>(folder, o);
    engine->publish(steady_snapshot());
    engine->explore(Placement::kHome, how);
  }
  Answer show(const Request& request) {
    now += 1000;
    return engine->recommend(request);
  }
};

/// Every place of the answer as another snapshot of the shop would draw it, given those above: what an engine of that snapshot would log.
TEST(WhatIf, OfTheSameSnapshotAndPolicyIsWhatWasLogged) {
  const Exploration how{.policy = PlacePolicy::kEpsilon, .epsilon = 0.6, .slots = {0, 2}, .pool = 4};
  DrawnShop shop(how);
  const auto filter = Predicate::in_stock();
  const std::vector<std::string> anchors{"i7"};
  for (int n = 0; n < 60; ++n) {
    const std::string user = testing::numbered("u", n % 15);
    // Everything that a question can hold, and a shopper who does more all the time.
    const Answer a = n % 3 == 0   ? shop.show({.user = user, .k = 4, .log = true})
                     : n % 3 == 1 ? shop.show({.user = user, .k = 3, .filter = &filter, .anchors = {"i4"}, .session = {"i8", "i12"}, .exclude_seen = false, .log = true})
                                  : shop.show({.user = user, .k = 3, .given = {{"i1", 0.5f}, {"i2", 0.4f}, {"i3", 0.9f}}, .exclude_seen = false, .fill = false, .log = true});
    ASSERT_NE(a.request_id, 0u);
    for (const Recommended& r : a.items)
      if (n % 2 == 0) shop.engine->observe({user, view_of(r.item), "view"}, a.request_id);
    shop.engine->observe({user, testing::numbered("i", n), n % 5 == 0 ? "purchase" : "view"});
  }
  const WhatIf same = shop.engine->what_if(shop.engine->snapshot(), {.exploration = how});
  ASSERT_EQ(same.rows, 60u);
  EXPECT_EQ(same.places, 4u);
  EXPECT_EQ(same.shopper_changed + same.without_question + same.before_training + same.not_drawn, 0);
  for (std::size_t i = 0; i < same.targets.size(); ++i) EXPECT_EQ(same.targets[i], same.propensities[i]) << i;
  // Its best: the same numbers as the policy that shows the best, down to the first place where the log showed another one.
  const WhatIf best = shop.engine->what_if(shop.engine->snapshot());
  const WhatIf greedy = shop.engine->what_if(Exploration{.policy = PlacePolicy::kGreedy});
  int kept = 0;
  for (std::size_t i = 0; i < best.rows; ++i) {
    double a = 1, b = 1;
    for (std::size_t p = 0; p < best.places; ++p) {
      a *= best.targets[i * best.places + p];
      b *= greedy.targets[i * best.places + p];
      EXPECT_EQ(a, b) << i << " " << p;
    }
    kept += a > 0 ? 1 : 0;
  }
  EXPECT_GT(kept, 5);
  EXPECT_LT(kept, 55);
  EXPECT_EQ(best.rewards, greedy.rewards);
  // Nothing of it was logged, and answers go on as before.
  EXPECT_EQ(shop.engine->impressions().size(), 60u);
}

/// Another snapshot is asked what it would have shown then: its answer at that moment, from an engine that knows what was known.
TEST(WhatIf, OfAnotherSnapshotIsItsAnswerOfThen) {
  DrawnShop shop({.policy = PlacePolicy::kEpsilon, .epsilon = 1, .pool = 30});
  const auto other = steady_snapshot(7);
  EngineOptions o;
  std::int64_t now = kStart;
  o.events.now_ms = [&now] { return now; };
  Engine beside(o);
  beside.publish(other);
  std::vector<std::vector<Key>> answers;
  std::vector<std::vector<Key>> logged;
  for (int n = 0; n < 40; ++n) {
    const std::string user = testing::numbered("u", n % 10);
    const Answer a = shop.show({.user = user, .k = 3, .log = true});
    now = shop.now;
    answers.emplace_back();
    logged.emplace_back();
    for (const Recommended& r : beside.recommend({.user = user, .k = 3}).items) answers.back().push_back(r.item);
    for (const Recommended& r : a.items) logged.back().push_back(r.item);
    for (Engine* e : {shop.engine.get(), &beside}) e->observe({user, view_of(a.items[0].item), "view", shop.now});
  }
  const WhatIf independent = shop.engine->what_if(other, {.marginals = false});
  ASSERT_EQ(independent.rows, 40u);
  int met = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    bool same = true;
    for (std::size_t p = 0; p < 3; ++p) {
      same = same && answers[i][p] == logged[i][p];
      EXPECT_EQ(independent.targets[i * 3 + p], same ? 1 : 0) << i << " " << p;
      met += same ? 1 : 0;
    }
  }
  EXPECT_GT(met, 0);
}

TEST(WhatIf, LeavesOutWhatCannotBeToldAnyMore) {
  const Exploration how{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5, .slots = {0}, .pool = 4};
  DrawnShop shop(how);
  const auto ask = [&](KeyView user) { return shop.show({.user = user, .k = 2, .log = true}); };
  shop.engine->observe({"ann", "i1", "view"});
  shop.engine->observe({"guest", "i2", "view"});
  ask("ann");
  ask("guest");
  ask("new");
  ask("late");
  (void)shop.engine->recommend({.placement = Placement::kEmail, .k = 2, .log = true});  // not drawn
  const auto snapshot = shop.engine->snapshot();
  WhatIf w = shop.engine->what_if(snapshot, {.exploration = how});
  EXPECT_EQ(w.rows, 4u);
  EXPECT_EQ(w.not_drawn, 1);
  // What came later changes nothing of what was: neither new events nor events of a visitor who turned out to be somebody unknown then.
  shop.engine->observe({"new", "i3", "purchase"});
  shop.engine->merge_users("guest", "new");
  w = shop.engine->what_if(snapshot, {.exploration = how});
  EXPECT_EQ(w.rows, 3u);
  EXPECT_EQ(w.shopper_changed, 1) << "the guest's events are a customer's";
  shop.engine->observe({"ann", "i5", "view", kStart - 50'000});  // told late: the history of then has another beginning
  EXPECT_EQ(shop.engine->what_if(snapshot, {.exploration = how}).shopper_changed, 2);
  shop.engine->erase_user("late");
  EXPECT_EQ(shop.engine->what_if(snapshot, {.exploration = how}).rows, 1u) << "an erased shopper is in no log";
  // A snapshot that was trained since may know what came of it.
  SnapshotParts parts = testing::shop_parts();
  parts.trained_ms = shop.now;
  w = shop.engine->what_if(std::make_shared<const Snapshot>(parts));
  EXPECT_EQ(w.rows, 0u);
  EXPECT_EQ(w.before_training, 3);
  EXPECT_THROW((void)shop.engine->what_if(std::shared_ptr<const Snapshot>()), std::invalid_argument);
  EXPECT_THROW((void)shop.engine->what_if(snapshot, {.exploration = Exploration{.policy = PlacePolicy::kThompson}}), std::invalid_argument);
  EXPECT_THROW((void)shop.engine->what_if(snapshot, {.exploration = Exploration{.policy = PlacePolicy::kBootstrap}}), std::invalid_argument);
  EXPECT_THROW((void)shop.engine->what_if(how, {.exploration = how}), std::invalid_argument);
}

TEST(WhatIf, AHistoryThatHasFallenOutIsNotMadeUp) {
  EngineOptions o;
  o.events.history_limit = 3;
  const Exploration how{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5, .slots = {0}, .pool = 4};
  DrawnShop shop(how, {}, o);
  for (const char* item : {"i1", "i2", "i3", "i4"}) shop.engine->observe({"ann", item, "view"});
  shop.show({.user = "ann", .k = 2, .log = true});
  EXPECT_EQ(shop.engine->what_if(shop.engine->snapshot()).rows, 1u) << "three events and sums, as they still are";
  shop.engine->observe({"ann", "i5", "view"});
  const WhatIf w = shop.engine->what_if(shop.engine->snapshot());
  EXPECT_EQ(w.rows, 0u);
  EXPECT_EQ(w.shopper_changed, 1);
}

TEST(WhatIf, QuestionsAreKeptInTheFolderUnlessToldNotTo) {
  const testing::TempDir dir;
  const Exploration how{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5, .slots = {0, 1}, .pool = 6};
  const auto filter = Predicate::price(0, 60);
  std::vector<double> targets;
  {
    DrawnShop shop(how, dir / "engine");
    const std::vector<float> vector{1, 0, 0, 0};
    for (int n = 0; n < 20; ++n) {
      shop.engine->observe({testing::numbered("u", n), "i9", "purchase"});
      shop.show({.user = testing::numbered("u", n), .k = 3, .filter = &filter, .anchors = {"i7"}, .query_vector = vector, .segment = "women", .place = "store 7", .log = true});
    }
    targets = shop.engine->what_if(shop.engine->snapshot(), {.exploration = how}).targets;
    shop.engine->impressions().compact();
  }
  DrawnShop again(how, dir / "engine");
  EXPECT_EQ(again.engine->what_if(again.engine->snapshot(), {.exploration = how}).targets, targets);
  again.engine->impressions().each([&](const Impression& shown) {
    ASSERT_TRUE(shown.question);
    EXPECT_EQ(shown.question->k, 3u);
    EXPECT_EQ(shown.question->filter, filter.to_json());
    EXPECT_EQ(shown.question->anchors, std::vector<Key>{"i7"});
    EXPECT_EQ(shown.question->query_vector.size(), 4u);
    EXPECT_EQ(shown.question->segment, "women");
    EXPECT_EQ(shown.question->place, "store 7");
    EXPECT_EQ(shown.question->events, 1u);
  });
  EngineOptions o;
  o.impressions.keep_requests = false;
  DrawnShop plain(how, {}, o);
  plain.show({.user = "ann", .k = 3, .log = true});
  const auto bytes = plain.engine->impressions().bytes();
  const WhatIf w = plain.engine->what_if(plain.engine->snapshot());
  EXPECT_EQ(w.rows, 0u);
  EXPECT_EQ(w.without_question, 1);
  DrawnShop kept(how);
  kept.show({.user = "ann", .k = 3, .log = true});
  EXPECT_EQ(kept.engine->impressions().bytes(), bytes + 17) << "what a plain question takes";
  // One that is too long to be kept.
  std::vector<std::pair<std::string, float>> many;
  for (int i = 0; i < 6000; ++i) many.emplace_back(testing::numbered("i", i), 1.0f);
  const Answer a = kept.show({.user = "ann", .k = 3, .given = many, .log = true});
  EXPECT_FALSE(kept.engine->impressions().find(a.request_id)->question);
}

TEST(WhatIf, FatigueIsThatOfThen) {
  const Exploration how{.policy = PlacePolicy::kEpsilon, .epsilon = 0.3, .slots = {0}, .pool = 5};
  DrawnShop shop(how);
  shop.engine->fatigue(Placement::kHome, Fatigue{.after = 1, .factor = 0.2});
  for (int n = 0; n < 30; ++n) shop.show({.user = "ann", .k = 3, .log = true});
  const WhatIf w = shop.engine->what_if(shop.engine->snapshot(), {.exploration = how});
  ASSERT_EQ(w.rows, 30u);
  EXPECT_EQ(w.targets, w.propensities);
}

TEST(WhatIf, AReturnedPurchaseEarnsNothing) {
  DrawnShop shop({.policy = PlacePolicy::kEpsilon, .epsilon = 0.5, .slots = {0}, .pool = 4});
  const Answer a = shop.show({.user = "ann", .k = 2, .log = true});
  const Key item = a.items[0].item;
  shop.engine->observe({"ann", view_of(item), "purchase"}, a.request_id);
  const Exploration same{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5};
  EXPECT_EQ(shop.engine->what_if(same, {.worth = {{"purchase", 3}}}).rewards[0], 3);
  shop.now += 86'400'000;
  shop.engine->observe({"ann", view_of(item), "return"});
  EXPECT_EQ(shop.engine->what_if(same, {.worth = {{"purchase", 3}}}).rewards[0], 0);
  EXPECT_EQ(shop.engine->what_if(same, {.worth = {{"purchase", 3}, {"return", -4}}}).rewards[0], -1) << "worth what it was said to be";
}

/// Marginals: with two drawn places the second is over both that could stand first.
TEST(WhatIf, IndependentPlacesAreGivenMarginals) {
  const Exploration how{.policy = PlacePolicy::kEpsilon, .epsilon = 0.5, .slots = {0, 1}, .pool = 3};
  DrawnShop shop(how);
  for (int n = 0; n < 30; ++n) shop.show({.user = testing::numbered("u", n), .k = 2, .log = true});
  const WhatIf w = shop.engine->what_if(how, {.marginals = true});
  EXPECT_EQ(w.targets, w.propensities) << "its own policy";
  const WhatIf greedy = shop.engine->what_if(Exploration{.policy = PlacePolicy::kGreedy}, {.marginals = true});
  const WhatIf given = shop.engine->what_if(Exploration{.policy = PlacePolicy::kGreedy});
  std::size_t i = 0;
  int unlike = 0;
  shop.engine->impressions().each([&](const Impression& shown) {
    const auto marginals = shown.marginals();
    for (std::size_t p = 0; p < 2; ++p) EXPECT_EQ(w.propensities[i * 2 + p], marginals[p].probability);
    // The best list is one list, whatever was drawn first: its second is the second best.
    const bool first = shown.places[0].chosen == 0;
    EXPECT_EQ(greedy.targets[i * 2], first ? 1 : 0);
    unlike += greedy.targets[i * 2 + 1] != given.targets[i * 2 + 1] ? 1 : 0;
    ++i;
  });
  EXPECT_GT(unlike, 0) << "given what stood above, the best of the rest is another one";
}

}  // namespace
}  // namespace etalage
