// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "etalage/error.hpp"
#include "etalage/models/vectors.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "serving/shop.hpp"

namespace etalage {
namespace {

using P = Predicate;
using Holds = std::function<bool(const Catalog&, std::int32_t)>;

bool has_tag(const Catalog& c, std::int32_t i, const std::string& tag) {
  const auto tags = c.tags(i);
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}
bool within(const Catalog& c, std::int32_t i, const std::vector<std::string>& path) {
  const auto own = c.category(i);
  return own.size() >= path.size() && std::equal(path.begin(), path.end(), own.begin());
}

// Each leaf beside its definition, product by product.
std::vector<std::pair<P, Holds>> leaves() {
  return {
      {P::everything(), [](const Catalog&, std::int32_t) { return true; }},
      {P::in_stock(), [](const Catalog& c, std::int32_t i) { return c.stock(i) > 0; }},
      {P::stock(2, {}), [](const Catalog& c, std::int32_t i) { return c.stock(i) >= 2; }},
      {P::known_stock(), [](const Catalog& c, std::int32_t i) { return !std::isnan(c.stock(i)); }},
      {P::price({}, 20), [](const Catalog& c, std::int32_t i) { return c.price(i) <= 20; }},
      {P::price(19.99, 50), [](const Catalog& c, std::int32_t i) { return c.price(i) >= 19.99f && c.price(i) <= 50; }},
      {P::known_price(), [](const Catalog& c, std::int32_t i) { return !std::isnan(c.price(i)); }},
      {P::category("A"), [](const Catalog& c, std::int32_t i) { return within(c, i, {"A"}); }},
      {P::category("B/a"), [](const Catalog& c, std::int32_t i) { return within(c, i, {"B", "a"}); }},
      {P::category("B/a/leaf"), [](const Catalog& c, std::int32_t i) { return within(c, i, {"B", "a", "leaf"}); }},
      {P::category("a"), [](const Catalog&, std::int32_t) { return false; }},
      {P::brand({"b1", "b7", "nobody"}), [](const Catalog& c, std::int32_t i) { return c.brand(i) == "b1" || c.brand(i) == "b7"; }},
      {P::tag({"new"}), [](const Catalog& c, std::int32_t i) { return has_tag(c, i, "new"); }},
      {P::tag({"new", "sale"}), [](const Catalog& c, std::int32_t i) { return has_tag(c, i, "new") || has_tag(c, i, "sale"); }},
      {P::attribute("product", {"4", "7"}), [](const Catalog& c, std::int32_t i) { return has_tag(c, i, "product:4") || has_tag(c, i, "product:7"); }},
      {P::region("de"), [](const Catalog& c, std::int32_t i) { return has_tag(c, i, "region:de") || !has_tag(c, i, "region:fr"); }},
      {P::region("us"), [](const Catalog& c, std::int32_t i) { return !has_tag(c, i, "region:de") && !has_tag(c, i, "region:fr"); }},
      {P::age(15), [](const Catalog& c, std::int32_t i) { return !has_tag(c, i, "age:18"); }},
      {P::age(3), [](const Catalog& c, std::int32_t i) { return !has_tag(c, i, "age:18") && !has_tag(c, i, "age:15") && !has_tag(c, i, "age:12"); }},
      {P::items({"sku3", "sku199", "none"}), [](const Catalog&, std::int32_t i) { return i == 3 || i == 199; }},
  };
}

void expect_equal(const CatalogIndex& index, const P& p, const Holds& holds) {
  const ItemBitmap bits = index.evaluate(p);
  const SharedFilter filter = index.filter(p);
  std::int64_t count = 0;
  for (std::int32_t i = 0; i < index.size(); ++i) {
    const bool expected = holds(index.catalog(), i);
    count += expected;
    ASSERT_EQ(bits.contains(i), expected) << p.to_json() << " at " << i;
    ASSERT_EQ(filter->filter.allows(i), expected) << p.to_json() << " at " << i;
  }
  EXPECT_EQ(bits.count(), count);
  EXPECT_EQ(filter->count, count);
  EXPECT_FALSE(bits.contains(-1));
  EXPECT_FALSE(filter->filter.allows(index.size()));
}

TEST(Predicate, LeavesHoldByTheirDefinition) {
  const auto index = test::shop(777);
  for (const auto& [p, holds] : leaves()) expect_equal(*index, p, holds);
}

TEST(Predicate, RandomExpressionsHoldByTheirDefinition) {
  const auto index = test::shop(401, 5);
  std::vector<std::pair<P, Holds>> made = leaves();
  std::mt19937 random(3);
  for (int i = 0; i < 150; ++i) {
    const auto a = made[random() % made.size()];
    const auto b = made[random() % made.size()];
    switch (random() % 3) {
      case 0: made.emplace_back(a.first & b.first, [=](const Catalog& c, std::int32_t j) { return a.second(c, j) && b.second(c, j); }); break;
      case 1: made.emplace_back(a.first | b.first, [=](const Catalog& c, std::int32_t j) { return a.second(c, j) || b.second(c, j); }); break;
      default: made.emplace_back(~a.first, [=](const Catalog& c, std::int32_t j) { return !a.second(c, j); });
    }
    expect_equal(*index, made.back().first, made.back().second);
    const P again = P::from_json(made.back().first.to_json());
    EXPECT_EQ(again.to_json(), made.back().first.to_json());
    EXPECT_EQ(index->evaluate(again), index->evaluate(made.back().first));
  }
}

TEST(Predicate, CanonicalFormForgetsOrder) {
  EXPECT_EQ(P::brand({"b", "a", "b"}), P::brand({"a", "b"}));
  EXPECT_EQ(P::in_stock() & (P::tag({"x"}) & P::age(3)), (P::age(3) & P::tag({"x"})) & P::in_stock());
  EXPECT_EQ(~~P::in_stock(), P::in_stock());
  EXPECT_EQ(P::in_stock() & P::everything(), P::in_stock());
  EXPECT_EQ(P::in_stock() | P::everything(), P::everything());
  EXPECT_EQ(P::category("a/b"), P::category(std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(P::price({}, 20).to_json(), "{\"price\":{\"max\":20}}");
  EXPECT_NE(P::price({}, 20), P::price(20, {}));
}

TEST(Predicate, RefusesWhatMakesNoSense) {
  EXPECT_THROW((void)P::price({}, {}), std::invalid_argument);
  EXPECT_THROW((void)P::price(5, 2), std::invalid_argument);
  EXPECT_THROW((void)P::price(-1, 2), std::invalid_argument);
  EXPECT_THROW((void)P::stock(std::nan(""), {}), std::invalid_argument);
  EXPECT_THROW((void)P::brand({}), std::invalid_argument);
  EXPECT_THROW((void)P::brand({""}), std::invalid_argument);
  EXPECT_THROW((void)P::brand({"\xff\xfe"}), std::invalid_argument);
  EXPECT_THROW((void)P::category("a//b"), std::invalid_argument);
  EXPECT_THROW((void)P::category(""), std::invalid_argument);
  EXPECT_THROW((void)P::age(-1), std::invalid_argument);
  EXPECT_THROW((void)P::attribute("a:b", {"c"}), std::invalid_argument);
}

TEST(Predicate, JsonMistakesNameTheirPlace) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"price":{"max":"cheap"}})", "predicate.price.max: is \"cheap\", must be a number >= 0"},
      {R"({"price":{"min":9,"max":5}})", "predicate.price.min: is 9, must be <= max, 5"},
      {R"({"price":{}})", "predicate.price: is {}, must be an object with min, max or both"},
      {R"({"all":[{"brand":"x"},{"bramd":"x"}]})", "predicate.all[1].bramd: is not a field here, must be one of all, any"},
      {R"({"not":{"any":[{"tag":[1]}]}})", "predicate.not.any[0].tag[0]: is 1, must be a string"},
      {R"({"any":[]})", "predicate.any: is [], must be a list that is not empty"},
      {R"({"category":"a//b"})", "predicate.category: category is 'a//b'"},
      {R"({"in_stock":1})", "predicate.in_stock: is 1, must be true or false"},
      {R"({"age":1.5})", "predicate.age: is 1.5, must be a whole number"},
      {R"({"brand":"x","brand":"y"})", "brand: is given twice"},
      {R"([])", "predicate: is [], must be an object"},
      {R"({"brand":)", "predicate: line 1, column"},
      {R"({"price":{"max":1e999}})", "predicate:"},
  };
  for (const auto& [json, message] : cases) {
    try {
      (void)P::from_json(json);
      ADD_FAILURE() << json;
    } catch (const std::invalid_argument& e) {
      EXPECT_EQ(std::string(e.what()).substr(0, message.size()), message) << e.what();
    }
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "{\"not\":";
  EXPECT_THROW((void)P::from_json(deep), std::invalid_argument);
}

TEST(CatalogIndex, MissingColumnsAreNamed) {
  Catalog::Columns c = test::shop_columns(10, 1);
  c.prices = {};
  c.brands.clear();
  c.tags[3] = {"age:old"};
  const CatalogIndex index(std::make_shared<const Catalog>(std::move(c)));
  EXPECT_THROW((void)index.evaluate(P::price({}, 5)), std::invalid_argument);
  EXPECT_THROW((void)index.evaluate(~P::brand({"x"})), std::invalid_argument);
  EXPECT_THROW((void)index.groups("brand"), std::invalid_argument);
  EXPECT_THROW((void)index.evaluate(P::age(3)), std::invalid_argument);
  EXPECT_THROW((void)index.groups("category:0"), std::invalid_argument);
  EXPECT_THROW((void)index.groups("a:b"), std::invalid_argument);
  EXPECT_TRUE(index.groups("colour")->names.empty());
  EXPECT_EQ(index.unknown_names(P::tag({"nope"}) & ~P::category("Z/z")), (std::vector<std::string>{"category Z/z", "tag nope"}));
  const CatalogIndex empty(std::make_shared<const Catalog>());
  EXPECT_EQ(empty.filter(P::in_stock())->count, 0);
}

TEST(CatalogIndex, GroupsAreTheirDefinition) {
  const auto index = test::shop(300, 2);
  const Catalog& c = index->catalog();
  const auto name = [&](const std::string& by, std::int32_t i) -> std::string {
    if (by == "brand") return std::string(c.brand(i));
    if (by == "product") {
      for (const std::string& t : c.tags(i))
        if (t.starts_with("product:")) return t.substr(8);
      return "";
    }
    std::string out;
    const std::size_t levels = by == "category" ? 99 : by == "category:1" ? 1 : 2;
    for (const std::string& part : c.category(i).first(std::min(levels, c.category(i).size()))) out.append(out.empty() ? "" : "/").append(part);
    return out;
  };
  for (const std::string by : {"brand", "product", "category", "category:1", "category:2"}) {
    const auto g = index->groups(by);
    std::set<std::string> names;
    for (std::int32_t i = 0; i < index->size(); ++i) {
      const std::string expected = name(by, i);
      const std::int32_t code = g->code(i);
      ASSERT_EQ(code < 0 ? "" : g->names[static_cast<std::size_t>(code)], expected) << by << " " << i;
      if (code < 0) continue;
      names.insert(expected);
      const auto members = g->members_of(code);
      EXPECT_TRUE(std::binary_search(members.begin(), members.end(), i));
    }
    EXPECT_EQ(names.size(), g->names.size());
    EXPECT_EQ(g->code(-1), -1);
    EXPECT_EQ(g->code(300), -1);
  }
  for (std::int32_t a = 0; a < 60; ++a) {
    for (std::int32_t b = 0; b < 60; ++b) {
      const auto x = c.category(a), y = c.category(b);
      std::int32_t common = 0;
      while (static_cast<std::size_t>(common) < std::min(x.size(), y.size()) && x[static_cast<std::size_t>(common)] == y[static_cast<std::size_t>(common)]) ++common;
      ASSERT_EQ(index->common_depth(a, b), common);
    }
  }
}

TEST(CatalogIndex, EqualNamesInDifferentPlacesAreDifferentCategories) {
  Catalog::Columns c;
  c.item_ids = std::make_shared<const IdMap>(IdMap::from_strings(std::vector<std::string>{"x", "y", "z"}));
  c.categories = {{"a", "b", "a"}, {"a"}, {"b", "a"}};
  const CatalogIndex index(std::make_shared<const Catalog>(std::move(c)));
  EXPECT_EQ(index.evaluate(P::category("a")).items(), (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(index.evaluate(P::category("a/b/a")).items(), (std::vector<std::int32_t>{0}));
  EXPECT_EQ(index.evaluate(P::category("b")).items(), (std::vector<std::int32_t>{2}));
}

TEST(CatalogIndex, CacheKeepsItsBudgetAndItsAnswers) {
  const auto index = test::shop(5000, 3, {.cache_bytes = 60000});
  const P p = P::in_stock();
  const SharedFilter first = index->filter(p);
  EXPECT_EQ(index->filter(P::from_json(R"({"in_stock": true})")), first);
  for (int cents = 0; cents < 300; ++cents) {
    const P range = P::price({}, cents / 3.0);
    const SharedFilter f = index->filter(range);
    const SharedFilter b = index->both(first, f);
    ItemBitmap expected = index->evaluate(range);
    expected &= first->bits;
    ASSERT_EQ(b->bits, expected);
    ASSERT_EQ(b->count, expected.count());
    ASSERT_LE(index->cache_stats().bytes, 60000u);
  }
  EXPECT_EQ(index->both(nullptr, first), first);
  EXPECT_EQ(index->both(first, nullptr), first);
  EXPECT_EQ(index->both(first, first), first);
  EXPECT_EQ(index->both(nullptr, nullptr), nullptr);
  EXPECT_GT(index->cache_stats().misses, 300u);
  EXPECT_THROW((void)index->both(first, test::shop(7)->filter(p)), std::invalid_argument);
}

TEST(CatalogIndex, ThreadsShareOneCache) {
  const auto index = test::shop(3000, 4, {.cache_bytes = 200000});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 60; ++i) {
        const P p = P::price({}, (i * 7 + t) % 20 + 1);
        const SharedFilter a = index->filter(p);
        const SharedFilter b = index->both(a, index->filter(P::in_stock()));
        ItemBitmap expected = index->evaluate(p & P::in_stock());
        if (b->bits != expected || index->groups("brand")->names.size() != 10) ++wrong;
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(AlignCatalog, FollowsTheModelsOrder) {
  const Catalog shop(test::shop_columns(5, 1));
  const IdMap ids = IdMap::from_strings(std::vector<std::string>{"sku3", "unheard", "sku0"});
  const Catalog aligned = align_catalog(shop, ids);
  ASSERT_EQ(aligned.size(), 6);
  EXPECT_EQ(aligned.item_ids()->string_at(0), "sku3");
  EXPECT_EQ(aligned.name(0), "Product 3");
  EXPECT_EQ(aligned.name(1), "unheard");
  EXPECT_TRUE(std::isnan(aligned.price(1)));
  EXPECT_TRUE(aligned.category(1).empty());
  EXPECT_EQ(aligned.name(2), "Product 0");
  EXPECT_EQ(aligned.name(3), "Product 1");
  EXPECT_EQ(aligned.name(5), "Product 4");
  EXPECT_THROW((void)align_catalog(shop, IdMap::from_integers(Array<std::int64_t>(std::vector<std::int64_t>{1}))), std::invalid_argument);
  EXPECT_EQ(align_catalog(shop, IdMap()).size(), 5);
}

TEST(CategoryPaths, RefuseCyclesAndFollowParents) {
  const auto paths = category_paths({{"mugs", "kitchen"}, {"kitchen", "home"}, {"home", ""}, {"toys", "outside"}});
  EXPECT_EQ(paths.at("mugs"), (std::vector<std::string>{"home", "kitchen", "mugs"}));
  EXPECT_EQ(paths.at("toys"), (std::vector<std::string>{"outside", "toys"}));
  try {
    (void)category_paths({{"x", "a"}, {"a", "b"}, {"b", "a"}});
    ADD_FAILURE();
  } catch (const std::invalid_argument& e) {
    EXPECT_NE(std::string(e.what()).find("the cycle a > b > a"), std::string::npos) << e.what();
  }
  EXPECT_THROW((void)category_paths({{"a", "a"}}), std::invalid_argument);
}

// min(k, eligible) results and never a forbidden one, from exact and approximate search and from a model's scan.
TEST(Predicate, IndexesAndModelsReturnAllThatIsEligible) {
  constexpr std::int32_t kItems = 3000;
  constexpr std::size_t kDim = 16;
  const auto index = test::shop(kItems, 9);
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> vectors(kItems * kDim);
  for (float& v : vectors) v = normal(random);
  std::vector<std::int64_t> ids(kItems);
  for (std::int32_t i = 0; i < kItems; ++i) ids[static_cast<std::size_t>(i)] = i;
  const std::vector<P> predicates{P::in_stock(), P::category("A"), P::category("A/a") & P::price({}, 20) & ~P::brand({"b1"}),
                                  P::items({"sku5", "sku6"}), P::items({"none"}), P::attribute("product", {"4"}), P::everything()};
  Scratch scratch;
  const VectorsModel model(Array<float>(std::vector<float>(kDim, 1.0f)), Array<float>(vectors), kDim, {VectorMetric::kDot});
  for (const IndexKind kind : {IndexKind::kExact, IndexKind::kHnsw, IndexKind::kIvfPq}) {
    const auto search = std::make_unique<ItemIndex>(static_cast<int>(kDim), IndexMetric::kDot, kind);
    search->add({vectors.data(), kItems, kDim}, ids);
    for (const P& p : predicates) {
      const SharedFilter f = index->filter(p);
      for (const std::size_t k : {1u, 20u, 500u}) {
        std::vector<Neighbor> out(k);
        const std::size_t n = search->search(std::span(vectors).first(kDim), out, &f->filter, scratch);
        ASSERT_EQ(n, std::min<std::size_t>(k, static_cast<std::size_t>(f->count))) << p.to_json();
        std::set<std::int64_t> distinct;
        for (std::size_t i = 0; i < n; ++i) {
          ASSERT_TRUE(f->bits.contains(static_cast<std::int32_t>(out[i].id))) << p.to_json();
          distinct.insert(out[i].id);
        }
        ASSERT_EQ(distinct.size(), n);
        std::vector<ItemScore> best(k);
        const std::size_t m = model.recommend({.user = 0, .filter = &f->filter}, best, scratch);
        ASSERT_EQ(m, n);
        for (std::size_t i = 0; i < m; ++i) ASSERT_TRUE(f->bits.contains(best[i].item));
      }
    }
  }
}

}  // namespace
}  // namespace etalage
