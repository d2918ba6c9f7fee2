// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "serving/ranker_fixture.hpp"
#include "serving/ranking/mixer.hpp"

namespace etalage {
namespace {

using test::answer;
using test::shop_parts;
using P = Predicate;

std::vector<std::int32_t> items(const std::vector<RankedItem>& list) {
  std::vector<std::int32_t> out;
  for (const RankedItem& r : list) out.push_back(r.item);
  return out;
}

bool says(const Trace& trace, std::size_t rule, const std::string& what) {
  return std::any_of(trace.effects.begin(), trace.effects.end(), [&](const RuleEffect& e) { return e.rule == rule && e.what.find(what) != std::string::npos; });
}

TEST(Ranker, WithoutRulesTheOrderIsThatOfTheMix) {
  const Ranker ranker(shop_parts(200));
  const std::vector<std::int32_t> session{3};
  const auto got = answer(ranker, {.user = 1, .session = session}, 15);
  RankerParts parts = shop_parts(200);
  const Mixer mixer(parts.sources, parts.mix);
  RequestContext r{.user = 1, .session = session};
  CandidateSet c;
  Scratch scratch;
  mixer.mix({.request = &r, .denied = session, .num_items = 200}, 15, c, scratch);
  std::vector<std::pair<float, std::int32_t>> order;
  for (std::size_t i = 0; i < c.size(); ++i) order.emplace_back(-c.scores[i], c.items[i]);
  std::sort(order.begin(), order.end());
  ASSERT_EQ(got.size(), 15u);
  for (std::size_t i = 0; i < 15; ++i) EXPECT_EQ(got[i].item, order[i].second);
  EXPECT_FLOAT_EQ(got[0].score, 1.0f);
}

// The promise: min(k, eligible), none forbidden, none twice, for any shopper, filter and placement.
TEST(Ranker, AnswersAreFullAndClean) {
  constexpr std::int32_t kItems = 300;
  const std::vector<Rule> rules{{.type = RuleType::kInclude, .predicate = P::in_stock() | P::tag({"sale"})},
                                {.type = RuleType::kExclude, .placements = {Placement::kEmail}, .predicate = P::tag({"new"})},
                                {.type = RuleType::kNotAgain, .days = 10},
                                {.type = RuleType::kBoost, .predicate = P::price({}, 30), .factor = 2},
                                {.type = RuleType::kMinShare, .predicate = P::brand({"b3"}), .share = 0.3}};
  const std::vector<P> filters{P::everything(), P::category("A"), P::brand({"b1"}) & P::price({}, 15), P::items({"sku1", "sku2", "sku3"}), P::items({"no"})};
  std::mt19937 random(5);
  for (const RerankMethod method : {RerankMethod::kNone, RerankMethod::kMmr, RerankMethod::kDpp, RerankMethod::kCalibrated}) {
    const Ranker ranker(shop_parts(kItems, rules, {.method = method}));
    const CatalogIndex& shop = ranker.catalog();
    RankScratch scratch;
    for (int round = 0; round < 60; ++round) {
      std::vector<std::int32_t> session, anchors;
      std::vector<Purchase> bought;
      for (auto i = random() % 4; i > 0; --i) session.push_back(static_cast<std::int32_t>(random() % 320));
      for (auto i = random() % 3; i > 0; --i) anchors.push_back(static_cast<std::int32_t>(random() % 320) - 5);
      for (auto i = random() % 5; i > 0; --i) bought.push_back({static_cast<std::int32_t>(random() % 300), static_cast<std::int64_t>(random() % 20) * 86400000});
      const SharedFilter f = shop.filter(filters[random() % filters.size()]);
      RequestContext r{.placement = static_cast<Placement>(random() % kPlacements), .session = session, .anchors = anchors, .purchases = bought, .filter = &f};
      r.now_ms = std::int64_t{20} * 86400000;
      r.exclude_seen = random() % 2 == 0;
      if (random() % 3 != 0) r.user = static_cast<std::int32_t>(random() % 12);
      const auto allowed = [&](std::int32_t i) {
        const Catalog& c = shop.catalog();
        const auto tags = c.tags(i);
        const auto tagged = [&](const char* t) { return std::find(tags.begin(), tags.end(), t) != tags.end(); };
        if (!(c.stock(i) > 0) && !tagged("sale")) return false;
        if (r.placement == Placement::kEmail && tagged("new")) return false;
        if (!f->bits.contains(i)) return false;
        if (std::find(anchors.begin(), anchors.end(), i) != anchors.end()) return false;
        if (r.exclude_seen && std::find(session.begin(), session.end(), i) != session.end()) return false;
        return std::none_of(bought.begin(), bought.end(), [&](const Purchase& p) { return p.item == i && r.now_ms - p.time_ms < std::int64_t{10} * 86400000; });
      };
      std::size_t eligible = 0;
      for (std::int32_t i = 0; i < kItems; ++i) eligible += allowed(i);
      for (const std::size_t k : {1u, 10u, 400u}) {
        std::vector<RankedItem> out(k);
        const std::size_t n = ranker.rank(r, out, scratch);
        ASSERT_EQ(n, std::min(k, eligible));
        std::set<std::int32_t> distinct;
        for (std::size_t i = 0; i < n; ++i) {
          ASSERT_TRUE(allowed(out[i].item)) << out[i].item;
          distinct.insert(out[i].item);
        }
        ASSERT_EQ(distinct.size(), n);
      }
    }
  }
}

TEST(Ranker, PinsTakeTheirPlaceUnlessForbidden) {
  const auto shop = test::shop(200);
  std::vector<std::int32_t> good, bad;
  for (std::int32_t i = 0; i < 200; ++i) (shop->catalog().stock(i) > 0 ? good : bad).push_back(i);
  const auto key = [](std::int32_t i) { return test::numbered("sku", i); };
  const Ranker ranker(shop_parts(200, {{.type = RuleType::kInclude, .predicate = P::in_stock()},
                                       {.type = RuleType::kPin, .item = key(good[50]), .position = 3},
                                       {.type = RuleType::kPin, .item = key(bad[0]), .position = 1},
                                       {.type = RuleType::kPin, .item = key(good[51]), .position = 3},
                                       {.type = RuleType::kPin, .item = key(good[50]), .position = 6},
                                       {.type = RuleType::kPin, .item = key(good[52]), .position = 50},
                                       {.type = RuleType::kPin, .item = "nobody", .position = 2}}));
  Trace trace;
  const auto got = items(answer(ranker, {.user = 0}, 8, &trace));
  ASSERT_EQ(got.size(), 8u);
  EXPECT_EQ(got[2], good[50]);
  EXPECT_EQ(got[3], good[51]);
  EXPECT_EQ(std::count(got.begin(), got.end(), good[50]), 1);
  EXPECT_EQ(std::count(got.begin(), got.end(), bad[0]), 0);
  EXPECT_TRUE(says(trace, 1, "pinned to 3"));
  EXPECT_TRUE(says(trace, 2, "not pinned: not eligible"));
  EXPECT_TRUE(says(trace, 3, "pinned to 4"));
  EXPECT_TRUE(says(trace, 5, "not pinned: behind the end"));
  // What the shopper has seen is not eligible, and what is on the page neither.
  const std::vector<std::int32_t> seen{good[50]};
  EXPECT_EQ(items(answer(ranker, {.user = 0, .session = seen}, 8))[2], good[51]);
  EXPECT_EQ(items(answer(ranker, {.user = 0, .anchors = seen}, 8))[2], good[51]);
  // With little left the pins move up.
  const std::vector<std::string> few{key(good[50]), key(good[51]), key(good[60]), key(good[61])};
  const SharedFilter f = ranker.catalog().filter(P::items(few));
  const std::vector<std::int32_t> left{good[60]};
  EXPECT_EQ(items(answer(ranker, {.user = 0, .session = left, .filter = &f}, 8)), (std::vector<std::int32_t>{good[61], good[50], good[51]}));
}

// Marginal relevance with caps, step by step with every likeness taken anew.
TEST(Ranker, MarginalRelevanceIsTakenAmongWhatMayStand) {
  for (const float diversity : {0.0f, 0.3f, 0.7f, 1.0f}) {
    const RerankOptions options{.method = RerankMethod::kMmr, .diversity = diversity, .window = 80};
    const Rule cap{.type = RuleType::kCap, .by = "brand", .max = 2};
    const Ranker ranker(shop_parts(300, {cap}, options));
    const Ranker plain(shop_parts(300, {}, {.method = RerankMethod::kNone}));
    const auto brand = ranker.catalog().groups("brand");
    const RankerParts parts = shop_parts(300);
    const auto cosine = [&](std::int32_t a, std::int32_t b) {
      double dot = 0, x = 0, y = 0;
      for (std::size_t f = 0; f < 16; ++f) {
        const double p = parts.vectors[static_cast<std::size_t>(a) * 16 + f], q = parts.vectors[static_cast<std::size_t>(b) * 16 + f];
        dot += p * q;
        x += p * p;
        y += q * q;
      }
      return dot / std::sqrt(x * y);
    };
    for (std::int32_t user = 0; user < 8; ++user) {
      const std::vector<std::int32_t> session{5 * user};
      const RequestContext request{.user = user, .session = session};
      // The candidates' order and worth are those of an answer that is not re-ranked, without what it falls back on.
      std::vector<RankedItem> candidates = answer(plain, request, 300);
      std::erase_if(candidates, [](const RankedItem& r) { return !(r.score >= 0.1f); });
      candidates.resize(std::min<std::size_t>(candidates.size(), 80));
      ASSERT_GE(candidates.size(), 60u);
      std::vector<std::int32_t> expected;
      std::map<std::int32_t, int> shown;
      while (expected.size() < 20) {
        double most = -1e9;
        std::int32_t best = -1;
        for (const RankedItem& c : candidates) {
          if (std::count(expected.begin(), expected.end(), c.item) != 0) continue;
          if (brand->code(c.item) >= 0 && shown[brand->code(c.item)] >= 2) continue;
          double nearest = expected.empty() ? 0 : -1;
          for (const std::int32_t e : expected) nearest = std::max(nearest, cosine(e, c.item));
          const double gain = (1 - static_cast<double>(diversity)) * static_cast<double>(c.score) - static_cast<double>(diversity) * nearest;
          if (gain > most + 1e-6) {
            most = gain;
            best = c.item;
          }
        }
        expected.push_back(best);
        if (brand->code(best) >= 0) ++shown[brand->code(best)];
      }
      EXPECT_EQ(items(answer(ranker, request, 20)), expected) << "diversity " << diversity << ", user " << user;
    }
  }
}

TEST(Ranker, CapsHoldAndPinsGoBeyondThem) {
  for (const RerankMethod method : {RerankMethod::kNone, RerankMethod::kMmr, RerankMethod::kDpp}) {
    const Ranker ranker(shop_parts(300, {{.type = RuleType::kCap, .by = "brand", .max = 2}, {.type = RuleType::kCap, .by = "product", .max = 1}},
                                   {.method = method}));
    const auto brand = ranker.catalog().groups("brand");
    const auto product = ranker.catalog().groups("product");
    Trace trace;
    const auto got = items(answer(ranker, {.user = 4}, 20, &trace));
    ASSERT_EQ(got.size(), 20u);
    std::map<std::int32_t, int> brands, products;
    for (const std::int32_t i : got) {
      if (brand->code(i) >= 0) { EXPECT_LE(++brands[brand->code(i)], 2); }
      if (product->code(i) >= 0) { EXPECT_LE(++products[product->code(i)], 1); }
    }
    if (method == RerankMethod::kNone) { EXPECT_TRUE(says(trace, 0, "kept out: 2 of brand")); }
  }
  // An answer as long as caps allow: two of each brand and all that have none.
  const Ranker ranker(shop_parts(300, {{.type = RuleType::kCap, .by = "brand", .max = 2}}));
  std::size_t most = 20;
  for (std::int32_t i = 0; i < 300; ++i) most += ranker.catalog().catalog().brand(i).empty();
  EXPECT_EQ(answer(ranker, {.user = 4}, 300).size(), most);
  // Three pins of one brand stand, and no fourth comes.
  const auto groups = ranker.catalog().groups("brand");
  const auto members = groups->members_of(0);
  std::vector<Rule> rules{{.type = RuleType::kCap, .by = "brand", .max = 2}};
  for (int i = 0; i < 3; ++i)
    rules.push_back({.type = RuleType::kPin, .item = test::numbered("sku", members[static_cast<std::size_t>(i)]), .position = 5 * i + 4});
  const Ranker pinned(shop_parts(300, rules));
  const auto got = items(answer(pinned, {.user = 4}, 30));
  EXPECT_EQ(std::count_if(got.begin(), got.end(), [&](std::int32_t i) { return groups->code(i) == 0; }), 3);
  EXPECT_EQ(got[3], members[0]);
  EXPECT_EQ(got[13], members[2]);
}

TEST(Ranker, SharesAreKept) {
  const P set = P::brand({"b1", "b2"}) & P::category("A");
  for (const bool spread : {false, true}) {
    const Ranker ranker(shop_parts(400, {{.type = RuleType::kMinShare, .predicate = set, .share = 0.4, .spread = spread}}));
    const SharedFilter members = ranker.catalog().filter(set);
    ASSERT_GE(members->count, 8);
    for (std::int32_t u = 0; u < 8; ++u) {
      Trace trace;
      const auto got = items(answer(ranker, {.user = u}, 20, &trace));
      ASSERT_EQ(got.size(), 20u);
      int there = 0;
      for (std::size_t p = 0; p < 20; ++p) {
        there += members->bits.contains(got[p]);
        if (spread) { EXPECT_GE(there, static_cast<int>(std::floor(0.4 * static_cast<double>(p + 1) + 1e-9))) << p; }
      }
      EXPECT_GE(there, 8);
      EXPECT_TRUE(says(trace, 0, "chosen for its share"));
    }
  }
  // Two shares at once, and one that only three products can serve.
  const Ranker ranker(shop_parts(400, {{.type = RuleType::kMinShare, .predicate = P::tag({"new"}), .share = 0.5},
                                       {.type = RuleType::kMinShare, .predicate = P::brand({"b5"}), .share = 0.5},
                                       {.type = RuleType::kMinShare, .predicate = P::items({"sku1", "sku2", "sku3"}), .share = 0.3}}));
  const SharedFilter a = ranker.catalog().filter(P::tag({"new"})), b = ranker.catalog().filter(P::brand({"b5"}));
  const auto got = items(answer(ranker, {.user = 2}, 20));
  ASSERT_EQ(got.size(), 20u);
  EXPECT_EQ(std::count_if(got.begin(), got.end(), [](std::int32_t i) { return i >= 1 && i <= 3; }), 3);
  EXPECT_GE(std::count_if(got.begin(), got.end(), [&](std::int32_t i) { return a->bits.contains(i) || b->bits.contains(i); }), 15);
}

TEST(Ranker, NotAgainCoversTheWholeProduct) {
  const auto shop = test::shop(300);
  const auto groups = shop->groups("product");
  std::int32_t group = 0;
  while (groups->members_of(group).size() < 2) ++group;
  const auto members = groups->members_of(group);
  const Ranker ranker(shop_parts(300, {{.type = RuleType::kNotAgain, .by = "product", .days = 7}}));
  const std::vector<Purchase> bought{{members[0], std::int64_t{86400000} * 3}};
  RequestContext r{.user = 1, .purchases = bought, .now_ms = std::int64_t{86400000} * 9};
  const auto soon = items(answer(ranker, r, 300));
  EXPECT_EQ(soon.size(), 300 - members.size());
  for (const std::int32_t i : members) EXPECT_EQ(std::count(soon.begin(), soon.end(), i), 0);
  r.now_ms = std::int64_t{86400000} * 10;
  EXPECT_EQ(answer(ranker, r, 300).size(), 300u) << "seven days later it may come again";
  const Ranker elsewhere(shop_parts(300, {{.type = RuleType::kNotAgain, .predicate = P::items({"sku299"}), .days = 7}}));
  r.now_ms = std::int64_t{86400000} * 9;
  EXPECT_EQ(answer(elsewhere, r, 300).size(), 300u) << "the rule is not about this product";
}

TEST(Ranker, BoostsMultiplyAndAreTraced) {
  const Ranker plain(shop_parts(200));
  const Ranker boosted(shop_parts(200, {{.type = RuleType::kBoost, .predicate = P::tag({"new"}), .factor = 3},
                                        {.type = RuleType::kBury, .predicate = P::category("A"), .factor = 0.5}}));
  Trace before, after;
  answer(plain, {.user = 3}, 200, &before);
  answer(boosted, {.user = 3}, 200, &after);
  std::map<std::int32_t, float> relevance;
  for (const TracedItem& t : before.items) relevance[t.item] = t.relevance;
  const SharedFilter fresh = boosted.catalog().filter(P::tag({"new"})), a = boosted.catalog().filter(P::category("A"));
  ASSERT_EQ(after.items.size(), 200u);
  float last = 1e9f;
  std::size_t both = 0;
  for (const TracedItem& t : after.items) {
    const bool up = fresh->bits.contains(t.item), down = a->bits.contains(t.item);
    if (t.relevance == 0) continue;  // filled up
    EXPECT_FLOAT_EQ(t.boosted, relevance[t.item] * (up ? 3.0f : 1.0f) * (down ? 0.5f : 1.0f));
    EXPECT_LE(t.boosted, last);
    last = t.boosted;
    EXPECT_EQ(t.effects.size(), static_cast<std::size_t>(up) + static_cast<std::size_t>(down));
    both += up && down;
  }
  EXPECT_GT(both, 0u);
}

TEST(Ranker, TraceTellsTheWholeWay) {
  const Ranker ranker(shop_parts(200, {{.type = RuleType::kInclude, .predicate = P::in_stock()}}));
  const std::vector<std::int32_t> session{3, 4};
  RequestContext r{.placement = Placement::kBasket, .user = 1, .session = session, .audit_id = 77};
  Trace trace;
  RankScratch scratch;
  std::vector<RankedItem> out(10);
  ASSERT_EQ(ranker.rank(r, out, scratch, &trace), 10u);
  EXPECT_EQ(trace.audit_id, 77u);
  EXPECT_EQ(trace.catalog_version, ranker.catalog().version());
  EXPECT_EQ(trace.placement, Placement::kBasket);
  EXPECT_EQ(trace.eligible, ranker.catalog().filter(P::in_stock())->count);
  EXPECT_EQ(trace.denied, 2u);
  EXPECT_EQ(trace.produced.size(), 3u);
  EXPECT_EQ(trace.produced[0], 60);
  ASSERT_EQ(trace.items.size(), 10u);
  const RankStats stats = scratch.stats();
  EXPECT_EQ(stats.candidates, trace.candidates);
  EXPECT_EQ(stats.from_fallback, 0u);
  EXPECT_EQ(stats.filled, 0u);
  for (std::size_t i = 0; i < 10; ++i) {
    float mixed = 0;
    float most = -1;
    std::string best;
    for (const TracedItem::Part& p : trace.items[i].parts) {
      mixed += p.part;
      if (p.part > most) {
        most = p.part;
        best = p.source;
      }
    }
    EXPECT_FLOAT_EQ(mixed, trace.items[i].mixed);
    ASSERT_GE(out[i].source, 0);
    EXPECT_EQ(best, ranker.sources()[static_cast<std::size_t>(out[i].source)]->name());
  }
}

TEST(Ranker, UnknownShoppersGetTheFallbackAndThenTheCatalogue) {
  const Ranker ranker(shop_parts(100));
  RankScratch scratch;
  std::vector<RankedItem> out(60);
  const std::vector<std::int32_t> nowhere{1000};
  ASSERT_EQ(ranker.rank({.placement = Placement::kProductPage, .user = 4000, .anchors = nowhere}, out, scratch), 60u);
  for (std::int32_t i = 0; i < 34; ++i) EXPECT_EQ(out[static_cast<std::size_t>(i)].item, 3 * i);
  EXPECT_EQ(out[34].item, 1);
  EXPECT_EQ(out[35].item, 2);
  EXPECT_EQ(out[36].item, 4);
  EXPECT_EQ(out[0].source, 2);
  EXPECT_EQ(out[34].source, -1);
  EXPECT_EQ(scratch.stats().from_fallback, 34u);
  EXPECT_EQ(scratch.stats().filled, 26u);
}

TEST(Ranker, CalibrationFollowsTheHistory) {
  RankerParts parts = shop_parts(400, {}, {.method = RerankMethod::kCalibrated, .diversity = 0.98f});
  const auto groups = parts.catalog->groups("category:1");
  std::vector<std::int32_t> history;
  for (std::int32_t i = 0; i < 400 && history.size() < 9; ++i)
    if (groups->code(i) >= 0 && groups->names[static_cast<std::size_t>(groups->code(i))] == "B") history.push_back(i);
  for (std::int32_t i = 0; i < 400 && history.size() < 12; ++i)
    if (groups->code(i) >= 0 && groups->names[static_cast<std::size_t>(groups->code(i))] == "C") history.push_back(i);
  const Ranker ranker(std::move(parts));
  const auto got = items(answer(ranker, {.user = 5, .history = history}, 20));
  std::map<std::string, int> shown;
  for (const std::int32_t i : got)
    if (groups->code(i) >= 0) ++shown[groups->names[static_cast<std::size_t>(groups->code(i))]];
  const int all = shown["A"] + shown["B"] + shown["C"];
  EXPECT_NEAR(static_cast<double>(shown["B"]) / all, 0.75, 0.12);
  EXPECT_NEAR(static_cast<double>(shown["C"]) / all, 0.25, 0.12);
  const std::vector<float> wrong{1.0f};
  RankScratch scratch;
  std::vector<RankedItem> out(5);
  EXPECT_THROW((void)ranker.rank({.user = 5, .target = wrong}, out, scratch), std::invalid_argument);
  EXPECT_EQ(answer(ranker, {}, 5).size(), 5u) << "nothing to aim at";
}

class Counting final : public StageListener {
 public:
  void on_stage(Stage stage, std::chrono::nanoseconds elapsed) noexcept override {
    stages.push_back(stage);
    total += elapsed;
  }
  std::vector<Stage> stages;
  std::chrono::nanoseconds total{};
};

TEST(Ranker, StagesAreToldInOrder) {
  const Ranker ranker(shop_parts(100));
  Counting listener;
  RequestContext r{.user = 1, .listener = &listener};
  answer(ranker, r, 5);
  EXPECT_EQ(listener.stages, (std::vector<Stage>{Stage::kFilter, Stage::kSources, Stage::kRules, Stage::kRerank, Stage::kFallback}));
  EXPECT_GT(listener.total.count(), 0);
}

TEST(Ranker, ThreadsShareOne) {
  const Ranker ranker(shop_parts(300, {{.type = RuleType::kInclude, .predicate = P::in_stock()}, {.type = RuleType::kCap, .by = "brand", .max = 2}},
                                 {.method = RerankMethod::kMmr}));
  std::vector<std::vector<std::int32_t>> expected;
  for (std::int32_t u = 0; u < 8; ++u) expected.push_back(items(answer(ranker, {.user = u}, 15)));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 40; ++i) {
        const auto u = static_cast<std::size_t>((i + t) % 8);
        const SharedFilter f = ranker.catalog().filter(P::price({}, 10 * (i % 5 + 1)));
        const auto some = answer(ranker, {.user = static_cast<std::int32_t>(u), .filter = &f}, 10);
        for (const RankedItem& r : some) wrong += !f->bits.contains(r.item);
        wrong += items(answer(ranker, {.user = static_cast<std::int32_t>(u)}, 15)) != expected[u];
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Ranker, RefusesPartsThatDoNotFit) {
  const auto refuses = [](auto change, const std::string& message) {
    RankerParts p = shop_parts(50);
    change(p);
    try {
      const Ranker r(std::move(p));
      ADD_FAILURE() << message;
    } catch (const std::invalid_argument& e) {
      EXPECT_EQ(std::string(e.what()).substr(0, message.size()), message) << e.what();
    }
  };
  refuses([](RankerParts& p) { p.catalog = nullptr; }, "catalog is null");
  refuses([](RankerParts& p) { p.dim = 7; }, "vectors has 800 numbers, must be rows of dim = 7");
  refuses([](RankerParts& p) { p.dim = 0; }, "vectors has 800 numbers, must be rows of dim = 0");
  refuses([](RankerParts& p) { p.vectors.mutable_data()[17] = std::nanf(""); }, "vectors holds nan in row 1, must be finite");
  refuses([](RankerParts& p) { p.vectors = {}; p.rerank.method = RerankMethod::kDpp; }, "vectors is empty");
  refuses([](RankerParts& p) { p.rerank.diversity = 2; }, "diversity is 2");
  refuses([](RankerParts& p) { p.mix.standard.fallback = {"x"}; }, "standard.fallback[0] is 'x', must name a source");
  refuses([](RankerParts& p) { p.rules = Rules({{.type = RuleType::kCap, .by = "category:x"}}); }, "rules[0].by: by is 'category:x'");
  const Ranker empty(RankerParts{.catalog = std::make_shared<const CatalogIndex>(std::make_shared<const Catalog>())});
  EXPECT_TRUE(answer(empty, {.user = 1}, 5).empty());
}

}  // namespace
}  // namespace etalage
