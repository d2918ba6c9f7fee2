// SPDX-License-Identifier: Apache-2.0
// What each page leaves out, what a search page may show, and what time it is.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/engine_files.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "io/tiny_model.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

using testing::numbered;
using testing::shop_parts;
using testing::shop_snapshot;

constexpr std::int64_t kDay = 86'400'000;
constexpr std::int64_t kNow = 1'700'000'000'000;

EngineOptions at_noon() {
  EngineOptions o;
  o.events.now_ms = [] { return kNow; };
  o.metrics = true;
  return o;
}

std::vector<std::string> keys(const Answer& a) {
  std::vector<std::string> out;
  for (const Recommended& r : a.items) out.push_back(text_of(view_of(r.item)));
  return out;
}

bool holds(const Answer& a, const std::string& key) {
  const auto all = keys(a);
  return std::find(all.begin(), all.end(), key) != all.end();
}

using Keys = std::vector<std::string>;
const std::vector<std::pair<KeyView, float>> kResults{{"i5", 9.0f}, {"i9", 8.0f}, {"gone", 7.0f}, {"i2", 6.0f}, {"i9", 5.0f}, {"i30", 4.0f}};

TEST(EnginePages, ASearchPageShowsWhatItWasGivenAndNothingElse) {
  Engine engine(at_noon());
  engine.publish(shop_snapshot());
  engine.observe({"ann", "i9", "purchase"});
  engine.observe({"ann", "i5", "view"});
  // What was viewed or bought stays; what no catalogue has cannot be shown.
  const Answer a = engine.recommend({.user = "ann", .placement = Placement::kSearch, .k = 50, .given = kResults});
  EXPECT_EQ(keys(a), (Keys{"i5", "i9", "i2", "i30"}));
  EXPECT_EQ(a.filled, 0u);
  EXPECT_EQ(keys(engine.recommend({.user = "ann", .placement = Placement::kSearch, .k = 2, .given = kResults})), (Keys{"i5", "i9"}));
  EXPECT_EQ(keys(engine.recommend({.user = "u1", .placement = Placement::kSearch, .k = 50, .given = kResults})), (Keys{"i5", "i9", "i2", "i30"}));
  // By the caller's word it leaves out what was seen, or fills up.
  EXPECT_EQ(keys(engine.recommend({.user = "ann", .placement = Placement::kSearch, .k = 50, .given = kResults, .exclude_seen = true})), (Keys{"i2", "i30"}));
  const Answer filled = engine.recommend({.user = "ann", .placement = Placement::kSearch, .k = 50, .given = kResults, .fill = true});
  EXPECT_EQ(filled.items.size(), 50u);
  EXPECT_EQ(keys(filled)[0], "i5");
  EXPECT_TRUE(engine.recommend({.placement = Placement::kSearch, .k = 5, .fill = false}).items.empty()) << "a search without results";
  EXPECT_EQ(engine.recommend({.placement = Placement::kSearch, .k = 5}).items.size(), 5u);
  // Any page may be asked for the same.
  EXPECT_EQ(keys(engine.recommend({.k = 50, .given = kResults, .fill = false})).size(), 4u);
  EXPECT_GT(engine.recommend({.k = 50, .given = kResults}).items.size(), 4u);
}

TEST(EnginePages, OnASearchPageOnlyRulesForbid) {
  Engine engine(at_noon());
  SnapshotParts parts = shop_parts();
  parts.rules = Rules::from_json(R"({"rules": [{"type": "exclude", "predicate": {"items": ["i2"]}},
                                               {"type": "not_again", "days": 30},
                                               {"type": "min_share", "predicate": {"brand": ["brand3"]}, "share": 0.5},
                                               {"type": "pin", "item": "i40", "position": 1},
                                               {"type": "cap", "by": "brand", "max": 1}]})");
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  engine.observe({"ann", "i9", "purchase"});
  const Answer a = engine.recommend({.user = "ann", .placement = Placement::kSearch, .k = 50, .given = kResults});
  EXPECT_EQ(keys(a), (Keys{"i5"})) << "i30 is of i5's brand, i2 excluded, i9 just bought, i40 not given";
  const Predicate cheap = Predicate::price(std::nullopt, 8);
  EXPECT_EQ(keys(engine.recommend({.placement = Placement::kSearch, .k = 50, .filter = &cheap, .given = kResults})), (Keys{"i5"}));
  // More than the mix asks of its sources.
  std::vector<std::string> names;
  for (int i = 0; i < 80; ++i) names.push_back(numbered("i", (i * 7) % 80));
  std::vector<std::pair<KeyView, float>> many;
  for (const std::string& n : names) many.emplace_back(n, 1.0f);
  SnapshotParts narrow = shop_parts();
  narrow.mix.standard.sources = {{"als", 20, 1}};
  engine.publish(std::make_shared<const Snapshot>(std::move(narrow)));
  const Answer all = engine.recommend({.user = "u1", .placement = Placement::kSearch, .k = 100, .given = std::span(many).first(40)});
  const auto got = keys(all);
  EXPECT_EQ(std::set<std::string>(got.begin(), got.end()), std::set<std::string>(names.begin(), names.begin() + 40));
}

TEST(EnginePages, ProductPageAndBasketLeaveOutTheAnchorsAlone) {
  Engine engine(at_noon());
  engine.publish(shop_snapshot());
  for (const char* item : {"i10", "i14"}) engine.observe({"ann", item, "purchase"});
  for (int u = 0; u < 5; ++u)
    for (const char* item : {"i10", "i14"}) engine.observe({numbered("v", u), item, "purchase"});
  const KeyView page[] = {KeyView("i10")};
  for (const Placement p : {Placement::kProductPage, Placement::kBasket}) {
    const Answer a = engine.recommend({.user = "ann", .placement = p, .k = 80, .anchors = page});
    EXPECT_TRUE(holds(a, "i14")) << placement_name(p);
    EXPECT_FALSE(holds(a, "i10")) << placement_name(p);
    EXPECT_FALSE(holds(engine.recommend({.user = "ann", .placement = p, .k = 80, .anchors = page, .exclude_seen = true}), "i14"));
  }
  for (const Placement p : {Placement::kHome, Placement::kCategoryPage, Placement::kEmail}) {
    EXPECT_FALSE(holds(engine.recommend({.user = "ann", .placement = p, .k = 80}), "i14")) << placement_name(p);
    EXPECT_TRUE(holds(engine.recommend({.user = "ann", .placement = p, .k = 80, .exclude_seen = false}), "i14")) << placement_name(p);
  }
}

// Milk every week, filters every sixty days.
std::shared_ptr<RepeatPurchaseModel> habits(std::int64_t end) {
  std::vector<std::int64_t> offsets{0}, times;
  std::vector<std::int32_t> items;
  for (int user = 0; user < 20; ++user) {
    std::vector<std::pair<std::int64_t, std::int32_t>> row;
    for (int n = 0; n < 40; ++n) row.emplace_back(end - 7 * n * kDay, 0);
    for (int n = 0; n < 5; ++n) row.emplace_back(end - 60 * n * kDay - 1, 1);
    std::sort(row.begin(), row.end());
    for (const auto& [time, item] : row) {
      times.push_back(time);
      items.push_back(item);
    }
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  std::vector<std::string> users;
  for (int u = 0; u < 20; ++u) users.push_back(numbered("u", u));
  const std::vector<std::string> names{"milk", "filter", "other"};
  auto model = std::make_shared<RepeatPurchaseModel>(RepeatPurchaseOptions{});
  model->fit(Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), 3, {},
                       std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(users))),
                       std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(names)))));
  return model;
}

TEST(EnginePages, AModelOfTimeIsToldWhatTimeItIs) {
  const std::int64_t end = kNow - 100 * kDay;
  auto now = std::make_shared<std::int64_t>(end);
  EngineOptions o;
  o.events.now_ms = [now] { return *now; };
  Engine engine(o);
  const auto model = habits(end);
  SnapshotParts parts;
  parts.models = {{"repeat", model, RecommenderSource::Ask::kShopper}};
  parts.mix.standard.sources = {{"repeat", 10, 1}};
  const auto snapshot = std::make_shared<const Snapshot>(std::move(parts));
  EXPECT_EQ(snapshot->parts().trained_ms, end) << "the newest event that the model knows";
  engine.publish(snapshot);
  const auto asks = [&](std::int64_t days) {
    *now = end + days * kDay;
    return keys(engine.recommend({.user = "u3", .k = 2, .exclude_seen = false}));
  };
  const auto model_says = [&](std::int64_t days) {
    Scratch scratch;
    std::vector<ItemScore> out(2);
    model->recommend({.user = 3, .exclude_seen = false, .now_ms = end + days * kDay}, out, scratch);
    return Keys{out[0].item == 0 ? "milk" : "filter", out[1].item == 0 ? "milk" : "filter"};
  };
  std::set<Keys> seen;
  for (const std::int64_t days : {1, 7, 30, 60, 100}) {
    EXPECT_EQ(asks(days), model_says(days)) << days;
    seen.insert(asks(days));
  }
  EXPECT_EQ(seen.size(), 2u) << "the order changes as time goes by";
  EXPECT_EQ(asks(7)[0], "milk");
  EXPECT_EQ(asks(60)[0], "filter");
  // A live purchase counts from when it was made, not from now.
  *now = end + 58 * kDay;
  engine.observe({"u3", "filter", "purchase", *now});
  EXPECT_EQ(asks(60)[0], "milk");
  EXPECT_EQ(asks(60 + 58)[0], "filter");
}

TEST(EnginePages, APublicationKeepsWhatWasWorkedOutByTheSameModels) {
  Engine engine(at_noon());
  SnapshotParts parts = shop_parts();
  parts.mix.standard.sources = {{"als", 100, 1}, {"buy_again", 10, 1}};
  engine.publish(std::make_shared<const Snapshot>(parts));
  for (int u = 0; u < 10; ++u) engine.observe({numbered("v", u), "i3"});
  const auto ask_all = [&] {
    for (int u = 0; u < 10; ++u) (void)engine.recommend({.user = numbered("v", u)});
    const EngineMetrics m = engine.metrics();
    return std::pair{m.folded_in, m.profiles_made};
  };
  using Counts = std::pair<std::uint64_t, std::uint64_t>;
  EXPECT_EQ(ask_all(), (Counts{10, 10}));
  EXPECT_EQ(ask_all(), (Counts{10, 10}));
  SnapshotParts other_rules = parts;
  other_rules.rules = Rules::from_json(R"({"rules": [{"type": "cap", "by": "brand", "max": 1}]})");
  engine.publish(std::make_shared<const Snapshot>(other_rules));
  EXPECT_EQ(ask_all(), (Counts{10, 10})) << "other rules, the same models";
  SnapshotParts other_model = parts;
  other_model.models[0].model = testing::shop_als(testing::shop_interactions("i", 2));
  engine.publish(std::make_shared<const Snapshot>(other_model));
  EXPECT_EQ(ask_all(), (Counts{20, 10})) << "another model, the same catalogue";
  engine.rollback();
  EXPECT_EQ(ask_all(), (Counts{30, 10}));
  SnapshotParts later = parts;
  later.trained_ms = 5;
  engine.publish(std::make_shared<const Snapshot>(later));
  EXPECT_EQ(ask_all(), (Counts{40, 20})) << "other events count as live";
  EXPECT_NEAR(engine.metrics().factor_hit_rate(), 20.0 / 60, 1e-9);
  EXPECT_NEAR(engine.metrics().profile_hit_rate(), 40.0 / 60, 1e-9);
}

// The first example of the docs: models of a matrix, which has no times, and the log that it came from observed besides.
TEST(EnginePages, TheLogOfAMatrixIsNotCountedTwice) {
  Engine fitted(at_noon()), told(at_noon());
  const Interactions data = testing::shop_interactions();
  for (int u = 0; u < 120; ++u)
    for (const std::int32_t i : data.user_items().view().row_columns(u))
      told.observe({numbered("u", u), numbered("i", i), "purchase", kNow - 30 * kDay + 1000 * i});
  SnapshotParts alone = shop_parts();
  alone.mix.standard.sources = {{"als", 80, 1}};
  alone.mix.standard.fallback = {};
  const auto only = std::make_shared<const Snapshot>(std::move(alone));
  fitted.publish(only);
  told.publish(only);
  for (int u = 0; u < 120; u += 7) {
    const std::string user = numbered("u", u);
    EXPECT_EQ(keys(fitted.recommend({.user = user, .k = 20})), keys(told.recommend({.user = user, .k = 20}))) << u;
  }
  EXPECT_EQ(told.metrics().folded_in, 0u);
  // What is new is folded in as ever.
  const auto before = keys(told.recommend({.user = "u1", .k = 20}));
  for (const char* item : {"i2", "i6", "i10", "i14"}) told.observe({"u1", item});
  EXPECT_NE(keys(told.recommend({.user = "u1", .k = 20})), before);
  EXPECT_EQ(told.metrics().folded_in, 1u);
}

TEST(EnginePages, SourcesOfTheHostsOwnJoinTheDefaultMix) {
  SnapshotParts parts = shop_parts();
  const auto row = [&](const char* key) { return parts.catalog->item_ids()->find(std::string_view(key)); };
  bool broken = false;
  parts.sources.push_back(std::make_shared<FunctionSource>("editors", [&, a = row("i77"), b = row("i78")](const RequestContext&, const FunctionSource::Emit& emit) {
    if (broken) throw std::runtime_error("the editors' database is away");
    if (emit({a, 2.0f})) emit({b, 1.0f});
  }));
  parts.mix.standard = default_mix(parts, Placement::kHome);
  parts.mix.standard.sources.push_back({"editors", 10, 50});
  const PlacementMix page = default_mix(parts, Placement::kProductPage);
  EXPECT_EQ(page.sources[0].source, "als");
  EXPECT_EQ(page.fallback, default_mix(parts, Placement::kHome).fallback);
  const auto snapshot = std::make_shared<const Snapshot>(parts);
  Engine engine(at_noon());
  engine.publish(snapshot);
  const Answer a = engine.recommend({.user = "u1", .k = 5});
  EXPECT_EQ(keys(a)[0], "i77");
  EXPECT_EQ(a.items[0].source, "editors");
  // One that fails is passed over and counted, and the request is answered.
  broken = true;
  EXPECT_EQ(engine.recommend({.user = "u1", .k = 5}).items.size(), 5u);
  std::uint64_t failures = 0;
  for (const auto& s : engine.metrics().sources) failures += s.failures;
  EXPECT_EQ(failures, 1u);
  EngineOptions strict = at_noon();
  strict.skip_failing_sources = false;
  Engine other(strict);
  other.publish(snapshot);
  EXPECT_THROW((void)other.recommend({.user = "u1", .k = 5}), std::runtime_error);

  const auto rejects = [&](SharedSource source) {
    SnapshotParts wrong = shop_parts();
    wrong.sources.push_back(std::move(source));
    EXPECT_THROW(Snapshot{std::move(wrong)}, std::invalid_argument);
  };
  rejects(nullptr);
  rejects(std::make_shared<GivenSource>("als"));
  rejects(std::make_shared<GivenSource>("trending"));
  const testing::TempDir dir;
  EXPECT_THROW(save(*snapshot, dir / "x.etalage"), UnsupportedError);
}

TEST(EnginePages, WhatCannotServeIsNotPublished) {
  SnapshotParts parts = shop_parts();
  parts.models.push_back({"unfitted", std::make_shared<AlsModel>(AlsOptions{}), RecommenderSource::Ask::kShopper});
  EXPECT_THROW(Snapshot{parts}, NotFittedError);
  Engine numbers(at_noon());
  numbers.observe({std::int64_t{1}, std::int64_t{2}});
  EXPECT_THROW(numbers.publish(shop_snapshot()), std::invalid_argument);
  EXPECT_EQ(numbers.snapshot(), nullptr);
  Engine names(at_noon());
  names.observe({"ann", "i2"});
  EXPECT_EQ(names.publish(shop_snapshot()), 1u);
}

}  // namespace
}  // namespace etalage
