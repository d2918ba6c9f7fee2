// SPDX-License-Identifier: Apache-2.0
// What was shown and what it caused: recorded, tied, recovered, forgotten.
#include "etalage/serving/impressions.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/serving/impression_credit.hpp"
#include "io/tiny_model.hpp"
#include "serving/engine_fixture.hpp"

namespace etalage {
namespace {

constexpr std::int64_t kDay = 86'400'000;
constexpr std::int64_t kStart = 1'700'000'000'000;

struct Shop {
  std::int64_t now = kStart;
  std::unique_ptr<Engine> engine;
  explicit Shop(const std::filesystem::path& folder = {}, ImpressionOptions options = {}, Durability durability = Durability::kInterval) {
    EngineOptions o;
    o.events.now_ms = [this] { return now; };
    o.events.journal.durability = durability;
    o.impressions = options;
    engine = folder.empty() ? std::make_unique<Engine>(o) : std::make_unique<Engine>(folder, o);
    engine->publish(testing::shop_snapshot());
  }
  Answer show(KeyView user, std::size_t k = 5) { return engine->recommend({.user = user, .k = k, .exclude_seen = false, .log = true}); }
  [[nodiscard]] Impression of(const Answer& a) const { return *engine->impressions().find(a.request_id); }
};

void refused(const std::function<void()>& call, const std::string& why) {
  try {
    call();
    ADD_FAILURE() << why << " passed";
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
  }
}

TEST(Impressions, AreWhatWasAnswered) {
  Shop shop;
  const Answer a = shop.show("ann", 7);
  ASSERT_NE(a.request_id, 0u);
  const Impression i = shop.of(a);
  EXPECT_EQ(i.request, a.request_id);
  EXPECT_EQ(i.time_ms, kStart);
  EXPECT_EQ(i.user, Key("ann"));
  EXPECT_EQ(i.placement, Placement::kHome);
  EXPECT_EQ(i.snapshot, a.snapshot);
  ASSERT_EQ(i.places.size(), a.items.size());
  for (std::size_t p = 0; p < a.items.size(); ++p) {
    EXPECT_EQ(i.places[p].item, a.items[p].item);
    EXPECT_EQ(i.places[p].source, a.items[p].source);
    EXPECT_EQ(i.places[p].score, a.items[p].score);
    EXPECT_EQ(i.places[p].propensity, 1);
  }
  const Answer anonymous = shop.engine->recommend({.placement = Placement::kEmail, .k = 3, .log = true});
  EXPECT_GT(anonymous.request_id, a.request_id);
  EXPECT_EQ(shop.of(anonymous).user, std::nullopt);
  EXPECT_EQ(shop.engine->recommend({.k = 3}).request_id, 0u);
  EXPECT_EQ(shop.engine->impressions().size(), 2u);
}

TEST(Impressions, EventsAreTiedByTheRequestsNumber) {
  Shop shop;
  const Answer a = shop.show("ann");
  const KeyView item = view_of(a.items[1].item);
  shop.now += 1000;
  shop.engine->observe({"ann", item, "view"}, a.request_id);
  shop.engine->observe({"ann", item, "view", shop.now}, a.request_id);  // the same click told twice
  shop.engine->observe({"ann", item, "purchase"}, a.request_id);
  const auto reactions = shop.of(a).places[1].reactions;
  ASSERT_EQ(reactions.size(), 2u);
  EXPECT_EQ(reactions[0].event, "view");
  EXPECT_EQ(reactions[1].event, "purchase");
  EXPECT_TRUE(reactions[0].by_request);
  EXPECT_EQ(shop.engine->impressions().counts_of(item).shown, 1u);
  EXPECT_EQ(shop.engine->impressions().counts_of(item).reacted, 1u);
  const auto events = shop.engine->events().last_sequence();
  refused([&] { shop.engine->observe({"ann", item, "view"}, a.request_id + 100); }, "request is");
  refused([&] { shop.engine->observe({"ann", "never shown", "view"}, a.request_id); }, "item is 'never shown'");
  refused([&] { shop.engine->observe({"ann", item, "view", kStart - 1}, a.request_id); }, "must not be before its request");
  EXPECT_EQ(shop.engine->events().last_sequence(), events) << "nothing was stored";
}

TEST(Impressions, WithoutANumberTheLastTouchWithinTheWindowCounts) {
  Shop shop({}, {.attribution_hours = 24});
  const Answer first = shop.show("ann");
  shop.now += 3'600'000;
  const Answer second = shop.show("ann");
  const Key item = first.items[0].item;
  ASSERT_EQ(second.items[0].item, item);
  shop.now += 60'000;
  shop.engine->observe({"bob", view_of(item), "purchase"});  // somebody else's
  shop.engine->observe({"ann", view_of(item), "purchase"});
  EXPECT_TRUE(shop.of(first).places[0].reactions.empty());
  ASSERT_EQ(shop.of(second).places[0].reactions.size(), 1u);
  EXPECT_FALSE(shop.of(second).places[0].reactions[0].by_request);
  // A return takes the credit of the purchase back, however late.
  shop.now += 10 * kDay;
  shop.engine->observe({"ann", view_of(item), "return"});
  ASSERT_EQ(shop.of(second).places[0].reactions.size(), 2u);
  EXPECT_EQ(shop.of(second).places[0].reactions[1].event, "return");
  shop.engine->observe({"ann", view_of(item), "return"});  // nothing is left to be returned
  EXPECT_EQ(shop.of(second).places[0].reactions.size(), 2u);
  // Beyond the window nothing is credited.
  const Answer third = shop.show("cyn");
  shop.now += 25 * 3'600'000;
  shop.engine->observe({"cyn", view_of(third.items[0].item), "view"});
  EXPECT_TRUE(shop.of(third).places[0].reactions.empty());
}

TEST(Impressions, AReturnTakesThePurchaseOutOfEveryCount) {
  const testing::TempDir dir;
  Key item;
  std::uint64_t request = 0;
  {
    Shop shop(dir / "engine");
    const Answer a = shop.show("ann");
    request = a.request_id;
    item = a.items[2].item;
    const auto counts = [&] { return shop.engine->impressions().counts_of(view_of(item)).reacted; };
    const auto tell = [&](std::string_view what) {
      shop.now += 1000;
      shop.engine->observe({"ann", view_of(item), what}, request);
      return credited(shop.of(a).places[2]);
    };
    using Counts = std::map<std::string, int>;
    EXPECT_EQ(tell("purchase"), (Counts{{"purchase", 1}}));
    EXPECT_EQ(counts(), 1u);
    EXPECT_EQ(tell("return"), (Counts{{"purchase", 0}, {"return", 1}}));
    EXPECT_EQ(counts(), 0u) << "nothing is left of what they did";
    EXPECT_EQ(credited(shop.of(a).places[2], {{"return", -1}}), (Counts{{"purchase", 1}, {"return", 1}}));
    EXPECT_EQ(tell("view"), (Counts{{"purchase", 0}, {"return", 1}, {"view", 1}}));
    EXPECT_EQ(counts(), 1u);
    EXPECT_EQ(tell("purchase"), (Counts{{"purchase", 1}, {"return", 1}, {"view", 1}}));
    EXPECT_EQ(tell("return"), (Counts{{"purchase", 0}, {"return", 2}, {"view", 1}}));
    EXPECT_EQ(counts(), 1u) << "the click stays";
    shop.engine->impressions().compact();
  }
  Shop again(dir / "engine");
  EXPECT_EQ(again.engine->impressions().counts_of(view_of(item)).reacted, 1u);
  EXPECT_EQ(credited(again.engine->impressions().find(request)->places[2]).at("purchase"), 0);
  again.engine->erase_user("ann");
  EXPECT_EQ(again.engine->impressions().counts_of(view_of(item)).reacted, 0u);
}

TEST(Impressions, OfErasedShoppersAreGone) {
  Shop shop;
  const Answer visitor = shop.show("cookie");
  shop.engine->merge_users("cookie", "ann");
  const Answer ann = shop.show("ann");
  const Answer bob = shop.show("bob");
  const Key item = ann.items[0].item;
  shop.engine->observe({"ann", view_of(item), "view"}, ann.request_id);
  shop.engine->erase_user("ann");
  EXPECT_FALSE(shop.engine->impressions().find(ann.request_id));
  EXPECT_FALSE(shop.engine->impressions().find(visitor.request_id)) << "the visitor that became them";
  EXPECT_TRUE(shop.engine->impressions().find(bob.request_id));
  EXPECT_EQ(shop.engine->impressions().counts_of(view_of(item)).reacted, 0u);
  refused([&] { shop.engine->observe({"ann", view_of(item), "view"}, ann.request_id); }, "request is");
}

std::vector<std::string> told(const ImpressionLog& log) {
  std::vector<std::string> out;
  log.each([&](const Impression& i) {
    std::string line = std::to_string(i.request) + " " + (i.user ? text_of(view_of(*i.user)) : "-");
    for (const auto& p : i.places) {
      line += " " + text_of(view_of(p.item)) + ":" + std::to_string(p.propensity);
      for (const auto& r : p.reactions) line += "/" + r.event + "@" + std::to_string(r.time_ms) + (r.by_request ? "r" : "w");
    }
    out.push_back(line);
  });
  return out;
}

TEST(Impressions, ComeBackAsTheyWere) {
  const testing::TempDir dir;
  std::vector<std::string> before;
  std::uint64_t last = 0;
  {
    Shop shop(dir / "engine", {}, Durability::kEveryEvent);
    shop.engine->explore(Placement::kHome, Exploration{.policy = PlacePolicy::kSoftmax, .temperature = 0.2});
    for (int n = 0; n < 300; ++n) {
      const Answer a = shop.show(n % 17 == 0 ? KeyView("ann") : KeyView("bob"));
      shop.now += 1000;
      if (n % 3 == 0) shop.engine->observe({n % 17 == 0 ? "ann" : "bob", view_of(a.items[0].item), "view"}, a.request_id);
      if (n % 5 == 0) shop.engine->observe({"bob", view_of(a.items[2].item), "purchase"});
      last = a.request_id;
    }
    shop.engine->merge_users("cookie", "ann");
    before = told(shop.engine->impressions());
    EXPECT_EQ(before.size(), 300u);
  }
  for (const bool compacted : {false, true}) {
    Shop shop(dir / "engine");
    EXPECT_EQ(told(shop.engine->impressions()), before) << compacted;
    if (!compacted) shop.engine->impressions().compact();
    EXPECT_EQ(told(shop.engine->impressions()), before);
  }
  Shop shop(dir / "engine");
  EXPECT_EQ(told(shop.engine->impressions()), before) << "after a compaction";
  EXPECT_GT(shop.show("ann").request_id, last) << "numbers go on";
  shop.engine->erase_user("ann");
  shop.engine->impressions().compact();
  const auto left = told(shop.engine->impressions());
  shop.engine.reset();
  Shop again(dir / "engine");
  EXPECT_EQ(told(again.engine->impressions()), left);
  for (const std::string& line : left) EXPECT_EQ(line.find(" ann"), std::string::npos) << line;
}

TEST(Impressions, AreForgottenByAgeAndByBytes) {
  Shop shop({}, {.keep_days = 2});
  const Answer old = shop.show("ann");
  shop.engine->observe({"ann", view_of(old.items[0].item), "view"}, old.request_id);
  shop.now += 3 * kDay;
  const Answer fresh = shop.show("ann");
  shop.engine->impressions().forget(shop.now);
  EXPECT_FALSE(shop.engine->impressions().find(old.request_id));
  EXPECT_TRUE(shop.engine->impressions().find(fresh.request_id));
  EXPECT_EQ(shop.engine->impressions().counts_of(view_of(fresh.items[0].item)).shown, 1u);

  Shop little({}, {.max_bytes = std::uint64_t{1} << 20});
  std::uint64_t most = 0;
  for (int n = 0; n < 30'000; ++n) {
    const Answer a = little.show(n % 2 == 0 ? KeyView("ann") : KeyView("bob"), 4);
    if (n % 7 == 0) little.engine->observe({"ann", view_of(a.items[0].item), "view"}, a.request_id);
    most = std::max(most, little.engine->impressions().bytes());
  }
  EXPECT_LT(most, (std::uint64_t{1} << 20) + 300'000) << "what is shown between two looks at it";
  EXPECT_GT(little.engine->impressions().size(), 1000u);
}

TEST(Impressions, ABadFileIsRefused) {
  const testing::TempDir dir;
  Journal(dir / "log", {}, {[](auto) {}, [](auto, auto) {}}).append(std::as_bytes(std::span("what is this")));
  EXPECT_THROW(ImpressionLog(dir / "log", {}, {}), FormatError);
}

TEST(Impressions, AreTakenFromManyThreads) {
  Shop shop;
  shop.engine->explore(Placement::kHome, Exploration{.policy = PlacePolicy::kThompson});
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const std::string user = testing::numbered("u", t);
      for (int n = 0; n < 100; ++n) {
        const Answer a = shop.show(std::string_view(user));
        try {
          shop.engine->observe({std::string_view(user), view_of(a.items[0].item), "view"}, a.request_id);
        } catch (const std::invalid_argument& e) {  // erased between the answer and the event, once
          EXPECT_EQ(t, 3);
          EXPECT_NE(std::string(e.what()).find("request is"), std::string::npos) << e.what();
          ++refused;
        }
        if (n == 50 && t == 0) shop.engine->erase_user("u3");
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_LE(refused, 1);
  std::uint64_t before = 0;
  shop.engine->impressions().each([&](const Impression& i) {
    EXPECT_GT(i.request, before);
    before = i.request;
    EXPECT_TRUE(i.replays());
  });
  EXPECT_GE(shop.engine->impressions().size(), 300u);
}

}  // namespace
}  // namespace etalage
