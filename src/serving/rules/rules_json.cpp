// SPDX-License-Identifier: Apache-2.0
#include <limits>
#include <string>
#include <utility>

#include "etalage/serving/rules.hpp"
#include "serving/rules/json.hpp"
#include "serving/rules/predicate_json.hpp"

namespace etalage {
namespace {

using serving::Json;
using serving::JsonValue;

constexpr int kMost = std::numeric_limits<int>::max();
constexpr std::string_view kTypes = "one of include, exclude, not_again, pin, cap, one_variant, min_share, boost, bury";

JsonValue required(const JsonValue& value, const char* key) {
  if (!value.has(key)) serving::fail_at(value.path() + "." + key, "is missing");
  return value.at(key);
}

std::vector<Placement> placements(const JsonValue& value) {
  std::vector<Placement> out;
  const std::vector<std::string> names = value.texts();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto p = placement_from_name(names[i]);
    if (!p) (value.raw().is_string() ? value : value.at(i)).fail("one of home, product_page, basket, category_page, search, email");
    out.push_back(*p);
  }
  return out;
}

double number_in(const JsonValue& value, double min, double max, bool open, const char* rule) {
  if (!value.raw().is_number()) value.fail(rule);
  const double v = value.number();
  if (v < min || v > max || (open && v == min)) value.fail(rule);
  return v;
}



Rule read_rule(const JsonValue& value) {
  value.require_object();
  const JsonValue type = required(value, "type");
  const std::string name = type.raw().is_string() ? type.raw().get<std::string>() : "";
  Rule r;
  const auto predicate = [&] { r.predicate = serving::read_predicate(required(value, "predicate")); };
  if (name == "include" || name == "exclude") {
    value.only({"type", "name", "placements", "enabled", "predicate"});
    r.type = name == "include" ? RuleType::kInclude : RuleType::kExclude;
    predicate();
  } else if (name == "not_again") {
    value.only({"type", "name", "placements", "enabled", "predicate", "days", "by"});
    r.type = RuleType::kNotAgain;
    r.days = number_in(required(value, "days"), 0, 36500, true, "a number in (0, 36500]");
    if (value.has("by")) r.by = value.at("by").text();
    if (value.has("predicate")) predicate();
  } else if (name == "pin") {
    value.only({"type", "name", "placements", "enabled", "item", "position"});
    r.type = RuleType::kPin;
    r.item = required(value, "item").key();
    r.position = static_cast<int>(required(value, "position").integer(1, kMost));
  } else if (name == "cap" || name == "one_variant") {
    r.type = RuleType::kCap;
    if (name == "cap") {
      value.only({"type", "name", "placements", "enabled", "by", "max"});
      r.by = required(value, "by").text();
      r.max = static_cast<int>(required(value, "max").integer(1, kMost));
    } else {
      value.only({"type", "name", "placements", "enabled", "by"});
      r.by = value.has("by") ? value.at("by").text() : "product";
    }
  } else if (name == "min_share") {
    value.only({"type", "name", "placements", "enabled", "predicate", "share", "spread"});
    r.type = RuleType::kMinShare;
    r.share = number_in(required(value, "share"), 0, 1, true, "a number in (0, 1]");
    if (value.has("spread")) r.spread = value.at("spread").boolean();
    predicate();
  } else if (name == "boost" || name == "bury") {
    value.only({"type", "name", "placements", "enabled", "predicate", "factor"});
    r.type = name == "boost" ? RuleType::kBoost : RuleType::kBury;
    r.factor = name == "boost" ? number_in(required(value, "factor"), 1, 1e6, false, "a number in [1, 1000000]")
                               : number_in(required(value, "factor"), 0, 1, false, "a number in [0, 1]");
    predicate();
  } else {
    type.fail(std::string(kTypes));
  }
  if (value.has("name")) r.name = value.at("name").text();
  if (value.has("placements")) r.placements = placements(value.at("placements"));
  if (value.has("enabled")) r.enabled = value.at("enabled").boolean();
  return r;
}

Json write_rule(const Rule& r) {
  Json j = {{"type", std::string(rule_type_name(r.type))}};
  if (!r.name.empty()) j["name"] = r.name;
  for (const Placement p : r.placements) j["placements"].push_back(std::string(placement_name(p)));
  if (!r.enabled) j["enabled"] = false;
  switch (r.type) {
    case RuleType::kInclude:
    case RuleType::kExclude: break;
    case RuleType::kNotAgain:
      j["days"] = r.days;
      if (!r.by.empty()) j["by"] = r.by;
      break;
    case RuleType::kPin:
      j["item"] = r.item;
      j["position"] = r.position;
      return j;
    case RuleType::kCap:
      j["by"] = r.by;
      j["max"] = r.max;
      return j;
    case RuleType::kMinShare:
      j["share"] = r.share;
      if (r.spread) j["spread"] = true;
      break;
    case RuleType::kBoost:
    case RuleType::kBury: j["factor"] = r.factor; break;
  }
  j["predicate"] = Json::parse(r.predicate.to_json());
  return j;
}

}  // namespace

Rules Rules::from_json(std::string_view json) {
  const Json parsed = serving::parse_json(json, "rules");
  const JsonValue top(parsed, "");
  if (!parsed.is_object()) serving::fail_at("rules", "must be an object with the field \"rules\", a list");
  top.only({"rules"});
  if (!top.has("rules")) serving::fail_at("rules", "is missing");
  const JsonValue list = top.at("rules");
  std::vector<Rule> rules;
  const std::size_t n = list.array_size();
  rules.reserve(n);
  for (std::size_t i = 0; i < n; ++i) rules.push_back(read_rule(list.at(i)));
  return Rules(std::move(rules));
}

std::string Rules::to_json() const {
  Json list = Json::array();
  for (const Rule& r : rules_) list.push_back(write_rule(r));
  return Json{{"rules", std::move(list)}}.dump(2);
}

}  // namespace etalage
