// SPDX-License-Identifier: Apache-2.0
// Stock, prices and attributes between two publications.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "etalage/io/engine_files.hpp"
#include "io/tiny_model.hpp"
#include "serving/engine_fixture.hpp"
#include "serving/rules/live_offers.hpp"

namespace etalage {
namespace {

using testing::numbered;
using testing::TempDir;

constexpr std::int64_t kNow = 1'700'000'000'000;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

EngineOptions options() {
  EngineOptions o;
  o.events.now_ms = [] { return kNow; };
  o.events.journal.durability = Durability::kNone;
  o.metrics = true;
  return o;
}

struct Product {
  float price = kNaN;
  float stock = kNaN;
  std::string brand;
  std::vector<std::string> tags;
};

struct Shop {
  std::vector<Product> products;
  std::shared_ptr<const Snapshot> snapshot;
};

Shop make_shop(int n, unsigned seed, const std::string& rules = "") {
  std::mt19937 rng(seed);
  Shop shop;
  Catalog::Columns c;
  std::vector<std::string> keys;
  std::vector<float> prices, stock;
  for (int i = 0; i < n; ++i) {
    Product p;
    if (rng() % 10 != 0) p.price = static_cast<float>(rng() % 100);
    if (rng() % 10 != 0) p.stock = static_cast<float>(rng() % 4);
    p.brand = rng() % 5 == 0 ? "" : numbered("brand", rng() % 4);
    if (rng() % 3 == 0) p.tags.push_back("new");
    if (rng() % 3 == 0) p.tags.push_back("region:de");
    if (rng() % 4 == 0) p.tags.push_back("region:fr");
    if (rng() % 4 == 0) p.tags.push_back(numbered("age:", 6 * (rng() % 4)));
    if (rng() % 2 == 0) p.tags.push_back(rng() % 2 == 0 ? "size:M" : "size:L");
    keys.push_back(numbered("p", i));
    prices.push_back(p.price);
    stock.push_back(p.stock);
    c.brands.push_back(p.brand);
    c.tags.push_back(p.tags);
    shop.products.push_back(std::move(p));
  }
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string>(keys)));
  c.prices = Array<float>(prices);
  c.stock = Array<float>(stock);
  SnapshotParts parts;
  parts.catalog = std::make_shared<const Catalog>(std::move(c));
  if (!rules.empty()) parts.rules = Rules::from_json(rules);
  shop.snapshot = std::make_shared<const Snapshot>(std::move(parts));
  return shop;
}

std::set<std::string> shown(const Engine& engine, std::size_t k, const Predicate* filter = nullptr, const std::string& place = "") {
  std::set<std::string> out;
  const Answer a = engine.recommend({.k = k, .filter = filter, .place = place, .exclude_seen = false});
  for (const Recommended& r : a.items) out.insert(text_of(view_of(r.item)));
  EXPECT_EQ(out.size(), a.items.size());
  EXPECT_EQ(static_cast<std::int64_t>(out.size()), a.eligible);
  return out;
}

/// What was said, the plain way.
struct Model {
  struct Said {
    std::map<int, bool> available;
    std::map<int, float> price;
    std::map<std::pair<int, std::string>, std::vector<std::string>> attributes;
  };
  std::map<std::string, Said> places;

  template <class Map, class Key>
  const typename Map::mapped_type* find(Map Said::* map, const Key& key, const std::string& place) const {
    for (const std::string& p : {place, std::string()}) {
      const auto at = places.find(p);
      if (at == places.end()) continue;
      if (const auto found = (at->second.*map).find(key); found != (at->second.*map).end()) return &found->second;
    }
    return nullptr;
  }
};

/// A condition beside what it means.
struct Condition {
  Predicate predicate;
  std::function<bool(const Model&, const Shop&, int, const std::string&)> holds;
};

std::vector<Condition> conditions() {
  const auto available = [](const Model& m, int i, const std::string& place) { return m.find(&Model::Said::available, i, place); };
  const auto price = [](const Model& m, const Shop& s, int i, const std::string& place) {
    const float* said = m.find(&Model::Said::price, i, place);
    return said != nullptr ? *said : s.products[static_cast<std::size_t>(i)].price;
  };
  const auto stock = [available](const Model& m, const Shop& s, int i, const std::string& place) {
    const bool* said = available(m, i, place);
    const float counted = s.products[static_cast<std::size_t>(i)].stock;
    if (said == nullptr) return counted;
    return !*said ? 0.0f : counted > 0 ? counted : kNaN;
  };
  const auto values = [](const Model& m, const Shop& s, int i, const std::string& name, const std::string& place) {
    std::vector<std::string> out;
    if (const auto* said = m.find(&Model::Said::attributes, std::pair{i, name}, place)) return *said;
    for (const std::string& tag : s.products[static_cast<std::size_t>(i)].tags)
      if (tag.starts_with(name + ":")) out.push_back(tag.substr(name.size() + 1));
    return out;
  };
  const auto in_stock = [available](const Model& m, const Shop& s, int i, const std::string& place) {
    const bool* said = available(m, i, place);
    return said != nullptr ? *said : s.products[static_cast<std::size_t>(i)].stock > 0;
  };
  std::vector<Condition> out;
  out.push_back({Predicate::in_stock(), in_stock});
  out.push_back({Predicate::in_stock("north"), [=](const Model& m, const Shop& s, int i, const std::string&) { return in_stock(m, s, i, "north"); }});
  out.push_back({Predicate::offered("south"), [=](const Model& m, const Shop&, int i, const std::string&) {
                   const bool* said = available(m, i, "south");
                   return said == nullptr || *said;
                 }});
  out.push_back({Predicate::stock(1, 2), [=](const Model& m, const Shop& s, int i, const std::string& at) {
                   const float v = stock(m, s, i, at);
                   return v >= 1 && v <= 2;
                 }});
  out.push_back({Predicate::known_stock(), [=](const Model& m, const Shop& s, int i, const std::string& at) { return !std::isnan(stock(m, s, i, at)); }});
  out.push_back({Predicate::price(20, 60), [=](const Model& m, const Shop& s, int i, const std::string& at) {
                   const float v = price(m, s, i, at);
                   return v >= 20 && v <= 60;
                 }});
  out.push_back({Predicate::price(std::nullopt, 30, "south"), [=](const Model& m, const Shop& s, int i, const std::string&) {
                   return price(m, s, i, "south") <= 30;
                 }});
  out.push_back({Predicate::known_price(), [=](const Model& m, const Shop& s, int i, const std::string& at) { return !std::isnan(price(m, s, i, at)); }});
  out.push_back({Predicate::attribute("size", {"M"}), [=](const Model& m, const Shop& s, int i, const std::string& at) {
                   const auto v = values(m, s, i, "size", at);
                   return std::find(v.begin(), v.end(), "M") != v.end();
                 }});
  out.push_back({Predicate::region("de"), [=](const Model& m, const Shop& s, int i, const std::string& at) {
                   const auto v = values(m, s, i, "region", at);
                   return v.empty() || std::find(v.begin(), v.end(), "de") != v.end();
                 }});
  out.push_back({Predicate::age(10), [=](const Model& m, const Shop& s, int i, const std::string& at) {
                   const auto v = values(m, s, i, "age", at);
                   return std::none_of(v.begin(), v.end(), [](const std::string& age) { return std::stoi(age) > 10; });
                 }});
  out.push_back({Predicate::tag({"new"}), [](const Model&, const Shop& s, int i, const std::string&) {
                   const auto& t = s.products[static_cast<std::size_t>(i)].tags;
                   return std::find(t.begin(), t.end(), "new") != t.end();
                 }});
  out.push_back({Predicate::brand({"brand1", "brand2"}), [](const Model&, const Shop& s, int i, const std::string&) {
                   const std::string& b = s.products[static_cast<std::size_t>(i)].brand;
                   return b == "brand1" || b == "brand2";
                 }});
  out.push_back({Predicate::items({"p1", "p5", "p9"}), [](const Model&, const Shop&, int i, const std::string&) { return i == 1 || i == 5 || i == 9; }});
  const std::size_t leaves = out.size();
  for (std::size_t a = 0; a < leaves; ++a) {
    const Condition x = out[a], y = out[(a * 5 + 3) % leaves];
    out.push_back({x.predicate & ~y.predicate, [=](const Model& m, const Shop& s, int i, const std::string& at) { return x.holds(m, s, i, at) && !y.holds(m, s, i, at); }});
    out.push_back({x.predicate | y.predicate, [=](const Model& m, const Shop& s, int i, const std::string& at) { return x.holds(m, s, i, at) || y.holds(m, s, i, at); }});
  }
  return out;
}

// The small shop reads columns, the larger one has its prices in order: both, patched or made anew, say what was said.
class LiveOffersOver : public ::testing::TestWithParam<int> {};

TEST_P(LiveOffersOver, EveryConditionHoldsAsSaid) {
  const int n = GetParam();
  const Shop shop = make_shop(n, 1);
  const std::vector<Condition> all = conditions();
  const std::vector<std::string> places{"", "north", "south", "nowhere"};
  std::mt19937 rng(2);
  Model model;
  const TempDir dir;
  auto engine = std::make_unique<Engine>(dir.path(), options());
  engine->publish(shop.snapshot);
  const int span = std::min(n, 200);  // of products that are spoken of
  const auto compare = [&](const Condition& c, const std::string& place) {
    const std::set<std::string> got = shown(*engine, static_cast<std::size_t>(n), &c.predicate, place);
    for (int i = 0; i < n; ++i) {
      const bool* said = model.find(&Model::Said::available, i, place);
      const bool want = (said == nullptr || *said) && c.holds(model, shop, i, place);
      ASSERT_EQ(got.contains(numbered("p", i)), want) << numbered("p", i) << " at '" << place << "': " << c.predicate.to_json();
    }
  };
  const int rounds = n > 1000 ? 10 : 250;
  for (int round = 0; round < rounds; ++round) {
    for (std::uint64_t ops = rng() % 6; ops-- > 0;) {
      const int i = static_cast<int>(rng() % static_cast<unsigned>(span));
      const std::string key = numbered("p", i);
      const std::string& place = places[rng() % 3];
      Model::Said& said = model.places[place];
      const bool back = rng() % 4 == 0;
      switch (rng() % 3) {
        case 0: {
          const bool value = rng() % 2 == 0;
          engine->set_available(key, back ? std::nullopt : std::optional<bool>(value), place);
          if (back) said.available.erase(i);
          else said.available[i] = value;
          break;
        }
        case 1: {
          const auto value = static_cast<float>(rng() % 100);
          engine->set_price(key, back ? std::nullopt : std::optional<float>(value), place);
          if (back) said.price.erase(i);
          else said.price[i] = value;
          break;
        }
        default: {
          const std::string name = std::vector<std::string>{"size", "region", "age"}[rng() % 3];
          std::vector<std::string> values;
          if (rng() % 3 != 0) values.push_back(name == "size" ? "M" : name == "region" ? "de" : "18");
          engine->set_attribute(key, name, back ? std::nullopt : std::optional(values), place);
          if (back) said.attributes.erase({i, name});
          else said.attributes[{i, name}] = values;
        }
      }
    }
    for (int q = 0; q < 4; ++q) compare(all[rng() % all.size()], places[rng() % places.size()]);
    if (HasFatalFailure()) return;
    if (round % 60 == 59) engine->publish(shop.snapshot);
    if (round == rounds / 2) engine->events().compact();
    if (round % 100 == 99) {
      engine.reset();
      engine = std::make_unique<Engine>(dir.path(), options());
      engine->publish(shop.snapshot);
    }
  }
  EXPECT_GT(engine->metrics().filters.patches, 0u);
  engine.reset();
  engine = std::make_unique<Engine>(dir.path(), options());
  engine->publish(shop.snapshot);
  for (std::size_t c = 0; c < all.size(); c += n > 1000 ? 6 : 1) compare(all[c], "north");
}

INSTANTIATE_TEST_SUITE_P(Shops, LiveOffersOver, ::testing::Values(80, 17'000));

TEST(LiveOffers, TheNextRequestKnows) {
  Engine engine(options());
  const Shop shop = make_shop(20, 3);
  engine.set_available("p3", false);  // before anything is published
  engine.publish(shop.snapshot);
  EXPECT_FALSE(shown(engine, 20).contains("p3"));
  engine.set_available("p4", false, "north");
  EXPECT_TRUE(shown(engine, 20).contains("p4"));
  EXPECT_FALSE(shown(engine, 20, nullptr, "north").contains("p4"));
  engine.set_available("p3", true, "north");  // what a place says goes first
  EXPECT_TRUE(shown(engine, 20, nullptr, "north").contains("p3"));
  engine.set_available("p3", std::nullopt);
  EXPECT_TRUE(shown(engine, 20).contains("p3"));
  engine.set_price("p7", 1234.5f);
  const Predicate dear = Predicate::price(1000, std::nullopt);
  EXPECT_EQ(shown(engine, 20, &dear), std::set<std::string>{"p7"});
  EXPECT_EQ(engine.offer("p7").price, 1234.5f);
  EXPECT_EQ(engine.offer("p7", "north").price, 1234.5f);
  EXPECT_EQ(engine.offer("p4", "north").available, false);
  EXPECT_FALSE(engine.offer("p4").available.has_value());
  EXPECT_FALSE(engine.offer("unheard of").price.has_value());
  // A product that no catalogue has is kept for one that will have it.
  engine.set_price("p25", 5000.0f);
  EXPECT_EQ(shown(engine, 20, &dear), std::set<std::string>{"p7"});
  engine.publish(make_shop(30, 3).snapshot);
  EXPECT_EQ(shown(engine, 30, &dear), (std::set<std::string>{"p25", "p7"}));
}

TEST(LiveOffers, RulesSeeThem) {
  Engine engine(options());
  const Shop shop = make_shop(40, 4, R"({"rules": [{"type": "include", "predicate": {"in_stock": true}},
                                                   {"type": "boost", "predicate": {"price": {"min": 500}}, "factor": 100},
                                                   {"type": "pin", "item": "p0", "position": 1}]})");
  engine.publish(shop.snapshot);
  for (int i = 0; i < 40; ++i) engine.set_available(numbered("p", i), i < 5);
  EXPECT_EQ(shown(engine, 40), (std::set<std::string>{"p0", "p1", "p2", "p3", "p4"}));
  engine.set_available("p0", false);
  EXPECT_EQ(shown(engine, 40), (std::set<std::string>{"p1", "p2", "p3", "p4"}));
  EXPECT_EQ(engine.recommend({.k = 40, .place = "north"}).items.size(), 4u);
  engine.set_available("p0", true, "north");
  EXPECT_EQ(text_of(view_of(engine.recommend({.k = 40, .place = "north"}).items[0].item)), "p0");
  engine.set_price("p3", 900.0f);
  const Answer a = engine.recommend({.k = 4, .explain = true});
  bool boosted = false;
  for (std::size_t i = 0; i < a.items.size(); ++i)
    if (text_of(view_of(a.items[i].item)) == "p3")
      for (const std::string& what : a.why[i].rules) boosted |= what == "boosted by 100";
  EXPECT_TRUE(a.items[0].source == "catalogue" || boosted);  // what no source names has no score to boost
}

TEST(LiveOffers, WithoutASnapshotWhatIsUnavailableDoesNotTrend) {
  Engine engine(options());
  engine.observe({"ann", "a", "purchase"});
  engine.observe({"ann", "b", "purchase"});
  engine.set_available("a", false);
  const Answer a = engine.recommend({.k = 5});
  ASSERT_EQ(a.items.size(), 1u);
  EXPECT_EQ(text_of(view_of(a.items[0].item)), "b");
}

TEST(LiveOffers, WhatIsRefusedLeavesNothing) {
  Engine engine(options());
  engine.publish(make_shop(5, 1).snapshot);
  const std::uint64_t before = engine.events().last_sequence();
  const std::int32_t items = engine.events().num_items();
  EXPECT_THROW(engine.set_price("x", -1.0f), std::invalid_argument);
  EXPECT_THROW(engine.set_price("x", kNaN), std::invalid_argument);
  EXPECT_THROW(engine.set_price("x", std::numeric_limits<float>::infinity()), std::invalid_argument);
  EXPECT_THROW(engine.set_price("x", 1.0f, std::string(2000, 'p')), std::invalid_argument);
  EXPECT_THROW(engine.set_attribute("x", "", std::vector<std::string>{"v"}), std::invalid_argument);
  EXPECT_THROW(engine.set_attribute("x", "a:b", std::vector<std::string>{"v"}), std::invalid_argument);
  EXPECT_THROW(engine.set_attribute("x", "a", std::vector<std::string>{""}), std::invalid_argument);
  EXPECT_THROW(engine.set_available(std::string(2000, 'k'), true), std::invalid_argument);
  EXPECT_EQ(engine.events().last_sequence(), before);
  EXPECT_EQ(engine.events().num_items(), items);
  engine.set_available("x", true);
  EXPECT_THROW(engine.set_available(std::int64_t{7}, true), std::invalid_argument);
}

TEST(LiveOffers, ASavedEngineKeepsThem) {
  const TempDir dir;
  Engine engine(options());
  const Shop shop = make_shop(20, 3);
  engine.publish(shop.snapshot);
  engine.set_available("p1", false, "north");
  engine.set_price("p2", 7000.0f);
  engine.set_attribute("p3", "size", std::vector<std::string>{"XXL"}, "north");
  save(engine, dir / "shop.etalage");
  const auto opened = load_engine(dir / "shop.etalage", options());
  EXPECT_EQ(opened->offer("p1", "north").available, false);
  EXPECT_EQ(opened->offer("p2").price, 7000.0f);
  const Predicate large = Predicate::attribute("size", {"XXL"});
  EXPECT_EQ(shown(*opened, 20, &large, "north"), std::set<std::string>{"p3"});
  EXPECT_FALSE(shown(*opened, 20, nullptr, "north").contains("p1"));
}

// docs/engine.md states these: a thousand places that differ in one product of a hundred, and one that differs in half.
TEST(LiveOffers, PlacesTakeLittleMemory) {
  serving::LiveOffers offers;
  constexpr std::int32_t kProducts = 1'000'000;
  constexpr int kPlaces = 4;  // the others are as large
  constexpr int kDiffer = 10'000;
  const auto number = [] { return std::uint64_t{1}; };
  std::mt19937_64 rng(3);
  const std::size_t nothing = offers.availability_bytes();
  for (int place = 0; place < kPlaces; ++place)
    for (int i = 0; i < kDiffer; ++i) offers.set_available(static_cast<std::int32_t>(rng() % kProducts), numbered("store", place), false, number);
  const std::size_t sparse = (offers.availability_bytes() - nothing) / kPlaces;
  EXPECT_GT(sparse, 2u * kDiffer * 9 / 10);
  EXPECT_LT(sparse, 3u * kDiffer + 3000) << "30 MB for a thousand places";
  const std::size_t before = offers.availability_bytes();
  for (std::int32_t i = 0; i < kProducts; i += 2) offers.set_available(i, "warehouse", false, number);
  EXPECT_LT(offers.availability_bytes() - before, kProducts / 8 + 20'000u) << "a bit a product at most";
}

// A request sees what was said before it began, while writers and publications go on.
TEST(LiveOffers, ReadersAndWritersAtOnce) {
  Engine engine(options());
  const Shop shop = make_shop(20'000, 3);
  engine.publish(shop.snapshot);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      std::mt19937 rng(static_cast<unsigned>(t));
      while (!stop) {
        const std::string key = numbered("p", 100 + rng() % 5000);
        engine.set_price(key, static_cast<float>(rng() % 100));
        engine.set_available(key, rng() % 2 == 0, t == 0 ? "" : "north");
      }
    });
  threads.emplace_back([&] {
    while (!stop) engine.publish(shop.snapshot);
  });
  const Predicate dear = Predicate::price(5000, std::nullopt);
  for (int i = 0; i < 150; ++i) {
    const std::string key = numbered("p", i % 100);
    engine.set_price(key, 9000.0f);
    if (shown(engine, 10, &dear, i % 2 == 0 ? "" : "north") != std::set<std::string>{key}) ++wrong;
    engine.set_price(key, 1.0f);
    if (!shown(engine, 10, &dear).empty()) ++wrong;
    engine.set_available(key, false);
    const Predicate only = Predicate::items({key});
    if (!shown(engine, 10, &only).empty()) ++wrong;
    engine.set_available(key, std::nullopt);
    if (shown(engine, 10, &only).size() != 1) ++wrong;
  }
  stop = true;
  for (auto& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace etalage
