// SPDX-License-Identifier: Apache-2.0
// What a shopper passes over sinks; impressions in an engine's file.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "etalage/io/engine_files.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

constexpr std::int64_t kDay = 86'400'000;

struct Shop {
  std::int64_t now = 1'700'000'000'000;
  Engine engine;
  Shop() : engine(options()) { engine.publish(testing::shop_snapshot()); }
  EngineOptions options() {
    EngineOptions o;
    o.events.now_ms = [this] { return now; };
    return o;
  }
  Answer show(KeyView user, bool log = true) { return engine.recommend({.user = user, .k = 5, .exclude_seen = false, .log = log}); }
};

std::size_t place_of(const Answer& a, const Key& item) {
  return static_cast<std::size_t>(std::find_if(a.items.begin(), a.items.end(), [&](const Recommended& r) { return r.item == item; }) - a.items.begin());
}

TEST(Fatigue, SinksWhatIsPassedOverAndNothingElse) {
  Shop shop;
  const Answer first = shop.show("u1");
  const Key top = first.items[0].item;
  const Key second = first.items[1].item;
  const std::string clicked = std::get<std::string>(second);
  shop.engine.fatigue(Placement::kHome, Fatigue{.after = 2, .factor = 0});
  shop.engine.observe({.user = "u1", .item = clicked, .type = "view", .time_ms = shop.now}, first.request_id);
  EXPECT_LT(place_of(shop.show("u1", false), top), 5u) << "shown once";
  (void)shop.show("u1");
  const Answer tired = shop.show("u1", false);
  EXPECT_EQ(place_of(tired, top), 5u) << "shown twice, never clicked";
  // What was clicked there does not count as passed over.
  std::vector<bool> reactions;
  shop.engine.impressions().each_shown_to("u1", 0, 10, [&](KeyView item, bool reacted) {
    if (item == view_of(second)) reactions.push_back(reacted);
  });
  ASSERT_FALSE(reactions.empty());
  EXPECT_TRUE(reactions.back());
  EXPECT_EQ(std::count(reactions.begin(), reactions.end(), true), 1);
  EXPECT_EQ(place_of(shop.show("u5", false), top), place_of(shop.engine.recommend({.user = "u5", .k = 5, .exclude_seen = false}), top)) << "others are not tired of it";
  EXPECT_LT(place_of(shop.engine.recommend({.user = "u1", .placement = Placement::kEmail, .k = 5, .exclude_seen = false}), top), 5u) << "another placement";
  shop.engine.fatigue(Placement::kHome, {});
  EXPECT_LT(place_of(shop.show("u1", false), top), 5u) << "turned off";
  shop.engine.fatigue(Placement::kHome, Fatigue{.after = 2, .factor = 0});
  shop.now += 31 * kDay;
  EXPECT_LT(place_of(shop.show("u1", false), top), 5u) << "long ago";
}

TEST(Fatigue, FallsByItsFactor) {
  Shop shop;
  const Key top = shop.show("u2").items[0].item;
  const float whole = shop.show("u2").items[0].score;
  shop.engine.fatigue(Placement::kHome, Fatigue{.after = 1, .factor = 0.9});
  const Answer twice = shop.engine.recommend({.user = "u2", .k = testing::kItems, .exclude_seen = false});
  ASSERT_LT(place_of(twice, top), twice.items.size());
  EXPECT_FLOAT_EQ(twice.items[place_of(twice, top)].score, whole * 0.9f * 0.9f);
  for (const Fatigue& bad : {Fatigue{.after = 0}, Fatigue{.factor = 1.1}, Fatigue{.days = 0}, Fatigue{.answers = 257}})
    EXPECT_THROW(shop.engine.fatigue(Placement::kHome, bad), std::invalid_argument);
}

TEST(Impressions, AreInTheFileOfAnEngine) {
  Shop shop;
  shop.engine.explore(Placement::kHome, Exploration{.policy = PlacePolicy::kSoftmax});
  const Answer shown = shop.show("u1");
  const Answer newer = shop.show("u2");
  const std::string item = std::get<std::string>(shown.items[0].item);
  shop.engine.observe({.user = "u1", .item = item, .type = "purchase", .time_ms = shop.now, .value = 7}, shown.request_id);
  const auto path = std::filesystem::temp_directory_path() / "etalage_impressions.engine";
  save(shop.engine, path);
  const auto again = load_engine(path, shop.options());
  std::filesystem::remove(path);
  ASSERT_EQ(again->impressions().size(), 2u);
  const Impression i = *again->impressions().find(shown.request_id);
  EXPECT_TRUE(i.replays());
  ASSERT_EQ(i.places[0].reactions.size(), 1u);
  EXPECT_EQ(i.places[0].reactions[0].event, "purchase");
  EXPECT_EQ(i.places[0].reactions[0].value, 7);
  EXPECT_EQ(i.places[2].propensity, shop.engine.impressions().find(shown.request_id)->places[2].propensity);
  // Numbers go on behind those of the file, and a log that has something takes no other.
  EXPECT_GT(again->recommend({.user = "u3", .k = 5, .log = true}).request_id, newer.request_id);
}

}  // namespace
}  // namespace etalage
