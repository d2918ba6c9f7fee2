// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/serving/rules.hpp"
#include "serving/shop.hpp"

namespace etalage {
namespace {

constexpr const char* kAll = R"({
  "rules": [
    {"type": "include", "name": "sellable", "predicate": {"in_stock": true, "known_price": true}},
    {"type": "exclude", "predicate": {"tag": ["sale"]}, "placements": ["email", "home"]},
    {"type": "not_again", "days": 30, "by": "product", "predicate": {"not": {"category": "A/a"}}},
    {"type": "pin", "item": "sku7", "position": 2},
    {"type": "cap", "by": "brand", "max": 3},
    {"type": "one_variant"},
    {"type": "min_share", "predicate": {"brand": ["b1", "b2"]}, "share": 0.25, "spread": true},
    {"type": "boost", "predicate": {"price": {"min": 10, "max": 20.5}}, "factor": 1.5, "enabled": false},
    {"type": "bury", "predicate": {"any": [{"tag": "new"}, {"region": "de"}, {"age": 18}]}, "factor": 0.5}
  ]
})";

std::string message(const std::string& json) {
  try {
    (void)Rules::from_json(json);
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Rules, EveryTypeIsReadAndWrittenBack) {
  const Rules rules = Rules::from_json(kAll);
  ASSERT_EQ(rules.size(), 9u);
  const std::vector<Rule>& r = rules.rules();
  EXPECT_EQ(r[0].type, RuleType::kInclude);
  EXPECT_EQ(r[0].name, "sellable");
  EXPECT_EQ(r[0].predicate, Predicate::in_stock() & Predicate::known_price());
  EXPECT_EQ(r[1].placements, (std::vector<Placement>{Placement::kEmail, Placement::kHome}));
  EXPECT_EQ(r[2].by, "product");
  EXPECT_DOUBLE_EQ(r[2].days, 30);
  EXPECT_EQ(r[3].item, "sku7");
  EXPECT_EQ(r[3].position, 2);
  EXPECT_EQ(r[4].max, 3);
  EXPECT_EQ(r[5].type, RuleType::kCap);
  EXPECT_EQ(r[5].by, "product");
  EXPECT_EQ(r[5].max, 1);
  EXPECT_TRUE(r[6].spread);
  EXPECT_FALSE(r[7].enabled);
  EXPECT_EQ(r[8].type, RuleType::kBury);
  const Rules again = Rules::from_json(rules.to_json());
  EXPECT_EQ(again.to_json(), rules.to_json());
  EXPECT_EQ(again.rules()[8].predicate, r[8].predicate);
  EXPECT_EQ(Rules::from_json(R"({"rules": []})").size(), 0u);
  EXPECT_EQ(Rules::from_json(R"({"rules": [{"type": "pin", "item": 42, "position": 1}]})").rules()[0].item, "42");
}

TEST(Rules, MistakesNameTheirPath) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {R"({"rules":[{"type":"pin","item":"a","position":1},{"type":"cap","by":"brand"}]})", "rules[1].max: is missing"},
      {R"({"rules":[{"type":"boost","factor":2,"predicate":{"price":{"max":"cheap"}}}]})",
       "rules[0].predicate.price.max: is \"cheap\", must be a number >= 0"},
      {R"({"rules":[{"type":"boost","factor":0.5,"predicate":{}}]})", "rules[0].factor: is 0.5, must be a number in [1, 1000000]"},
      {R"({"rules":[{"type":"bury","factor":1.5,"predicate":{}}]})", "rules[0].factor: is 1.5, must be a number in [0, 1]"},
      {R"({"rules":[{"type":"promote"}]})", "rules[0].type: is \"promote\", must be one of include, exclude"},
      {R"({"rules":[{"predicate":{}}]})", "rules[0].type: is missing"},
      {R"({"rules":[{"type":"pin","item":"a","position":0}]})", "rules[0].position: is 0, must be a whole number in [1, "},
      {R"({"rules":[{"type":"pin","item":["a"],"position":1}]})", "rules[0].item: is [\"a\"], must be a product's key"},
      {R"({"rules":[{"type":"pin","item":"a","position":1,"max":2}]})", "rules[0].max: is not a field here"},
      {R"({"rules":[{"type":"include","predicate":{},"placements":["home","shop"]}]})",
       "rules[0].placements[1]: is \"shop\", must be one of home"},
      {R"({"rules":[{"type":"min_share","predicate":{},"share":0}]})", "rules[0].share: is 0, must be a number in (0, 1]"},
      {R"({"rules":[{"type":"not_again","days":-3}]})", "rules[0].days: is -3, must be a number in (0, 36500]"},
      {R"({"rules":[{"type":"include","predicate":{},"enabled":"yes"}]})", "rules[0].enabled: is \"yes\", must be true or false"},
      {R"({"rules":[7]})", "rules[0]: is 7, must be an object"},
      {R"({"rules":{}})", "rules: is {}, must be an array"},
      {R"({"rule":[]})", "rule: is not a field here, must be one of rules"},
      {R"({})", "rules: is missing"},
      {R"([])", "rules: must be an object"},
      {"{\"rules\": [\n  {\"type\": }\n]}", "rules: line 2, column 12"},
      {R"({"rules":[{"type":"pin","type":"cap"}]})", "rules[0].type: is given twice"},
      {"", "rules: line 1, column 1"},
  };
  for (const auto& [json, expected] : cases) EXPECT_EQ(message(json).substr(0, expected.size()), expected) << json << "\n" << message(json);
}

// Whatever bytes come: rules, or std::invalid_argument.
TEST(Rules, DamagedTextNeverDoesWorse) {
  std::mt19937 random(7);
  int accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = kAll;
    for (auto n = random() % 4 + 1; n > 0; --n) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0: text[at] = static_cast<char>(random() % 256); break;
        case 1: text.erase(at, random() % 20 + 1); break;
        default: text.insert(at, text.substr(random() % text.size(), random() % 20)); break;
      }
    }
    try {
      const Rules rules = Rules::from_json(text);
      EXPECT_EQ(Rules::from_json(rules.to_json()).to_json(), rules.to_json());
      ++accepted;
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()), "");
    }
  }
  EXPECT_LT(accepted, 4000);
  EXPECT_GT(accepted, 0);
}

TEST(Rules, FieldsAreCheckedInCodeToo) {
  EXPECT_THROW(Rules({{.type = RuleType::kPin}}), std::invalid_argument);
  EXPECT_THROW(Rules({{.type = RuleType::kCap}}), std::invalid_argument);
  EXPECT_THROW(Rules({{.type = RuleType::kCap, .by = "brand", .max = 0}}), std::invalid_argument);
  EXPECT_THROW(Rules({{.type = RuleType::kNotAgain}}), std::invalid_argument);
  EXPECT_THROW(Rules({{.type = RuleType::kMinShare, .share = 1.5}}), std::invalid_argument);
  EXPECT_THROW(Rules({{.type = RuleType::kBoost, .factor = 0.5}}), std::invalid_argument);
  EXPECT_THROW(Rules({{.type = RuleType::kBury, .factor = 2}}), std::invalid_argument);
}

bool says(const std::vector<RuleIssue>& issues, std::size_t rule, const std::string& part) {
  for (const RuleIssue& i : issues)
    if (i.rule == rule && i.message.find(part) != std::string::npos) return true;
  return false;
}

TEST(Rules, ContradictionsAreReported) {
  const Predicate sale = Predicate::tag({"sale"});
  const Rules rules({{.type = RuleType::kInclude, .predicate = sale},
                     {.type = RuleType::kExclude, .predicate = sale},
                     {.type = RuleType::kPin, .item = "a", .position = 1},
                     {.type = RuleType::kPin, .item = "b", .position = 1},
                     {.type = RuleType::kPin, .item = "a", .position = 4},
                     {.type = RuleType::kBoost, .predicate = sale, .factor = 2},
                     {.type = RuleType::kBury, .predicate = sale, .factor = 0.5},
                     {.type = RuleType::kMinShare, .predicate = Predicate::tag({"x"}), .share = 0.6},
                     {.type = RuleType::kMinShare, .predicate = Predicate::tag({"y"}), .share = 0.6},
                     {.type = RuleType::kCap, .by = "brand", .max = 2},
                     {.type = RuleType::kCap, .by = "brand", .max = 3}});
  const auto issues = rules.validate();
  EXPECT_TRUE(says(issues, 1, "rules[1]: and rules[0] include and exclude the same products"));
  EXPECT_TRUE(says(issues, 3, "pins to position 1, as rules[2] does"));
  EXPECT_TRUE(says(issues, 4, "pins product a, which rules[2] pins already"));
  EXPECT_TRUE(says(issues, 6, "boost and bury"));
  EXPECT_TRUE(says(issues, 8, "more than the whole answer"));
  EXPECT_TRUE(says(issues, 10, "the smaller max, 2, holds"));
  EXPECT_EQ(issues.size(), 6u);
  // Rules that never meet do not contradict each other.
  EXPECT_TRUE(Rules({{.type = RuleType::kInclude, .placements = {Placement::kHome}, .predicate = sale},
                     {.type = RuleType::kExclude, .placements = {Placement::kEmail}, .predicate = sale},
                     {.type = RuleType::kExclude, .enabled = false, .predicate = sale}})
                  .validate()
                  .empty());
}

TEST(Rules, TheCatalogueFindsMore) {
  const auto shop = test::shop(200, 1);
  std::int32_t sold_out = 0;
  while (!(shop->catalog().stock(sold_out) == 0)) ++sold_out;
  const Rules rules({{.type = RuleType::kInclude, .predicate = Predicate::in_stock()},
                     {.type = RuleType::kPin, .item = test::numbered("sku", sold_out), .position = 1},
                     {.type = RuleType::kPin, .item = "sku9999", .position = 2},
                     {.type = RuleType::kBoost, .predicate = Predicate::brand({"b1", "acme"}), .factor = 2},
                     {.type = RuleType::kMinShare, .predicate = ~Predicate::in_stock(), .share = 0.5},
                     {.type = RuleType::kCap, .by = "colour", .max = 2}});
  const auto issues = rules.validate(shop.get());
  EXPECT_TRUE(says(issues, 1, "which includes and excludes forbid; it is not shown"));
  EXPECT_TRUE(says(issues, 2, "pins product sku9999, which the catalogue does not have"));
  EXPECT_TRUE(says(issues, 3, "names brand acme, which the catalogue does not have"));
  EXPECT_TRUE(says(issues, 4, "asks for a share of products of which none is eligible"));
  EXPECT_TRUE(says(issues, 5, "caps by colour, which no product has"));
  EXPECT_EQ(issues.size(), 5u);
  EXPECT_TRUE(says(Rules({{.type = RuleType::kInclude, .predicate = Predicate::brand({"acme"})}}).validate(shop.get()), 0, "leave no product"));
  Catalog::Columns keys;
  keys.item_ids = shop->catalog().item_ids();
  const CatalogIndex bare(std::make_shared<const Catalog>(std::move(keys)));
  try {
    (void)rules.validate(&bare);
    ADD_FAILURE();
  } catch (const std::invalid_argument& e) {
    EXPECT_EQ(std::string(e.what()).substr(0, 20), "rules[0].predicate: ") << e.what();
  }
}

}  // namespace
}  // namespace etalage
