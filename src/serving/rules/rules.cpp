// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/rules.hpp"

#include <array>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "serving/rules/json.hpp"
#include "serving/rules/rules_detail.hpp"

namespace etalage {
namespace {

constexpr std::array<std::string_view, 8> kTypeNames{"include", "exclude", "not_again", "pin", "cap", "min_share", "boost", "bury"};

void check(const Rule& r, const std::string& path) {
  const auto fail = [&](const char* field, double value, const char* rule) {
    serving::fail_at(path + "." + field, "is " + serving::number_text(value) + ", must be " + rule);
  };
  switch (r.type) {
    case RuleType::kInclude:
    case RuleType::kExclude: break;
    case RuleType::kNotAgain:
      if (!(r.days > 0) || !(r.days <= 36500)) fail("days", r.days, "in (0, 36500]");
      break;
    case RuleType::kPin:
      if (r.item.empty()) serving::fail_at(path + ".item", "is empty, must be a product's key");
      if (r.position < 1) fail("position", r.position, ">= 1");
      break;
    case RuleType::kCap:
      if (r.by.empty()) serving::fail_at(path + ".by", "is empty, must be 'brand', 'category', 'category:N' or an attribute");
      if (r.max < 1) fail("max", r.max, ">= 1");
      break;
    case RuleType::kMinShare:
      if (!(r.share > 0) || !(r.share <= 1)) fail("share", r.share, "in (0, 1]");
      break;
    case RuleType::kBoost:
      if (!(r.factor >= 1) || !(r.factor <= 1e6)) fail("factor", r.factor, "in [1, 1000000]");
      break;
    case RuleType::kBury:
      if (!(r.factor >= 0) || !(r.factor <= 1)) fail("factor", r.factor, "in [0, 1]");
      break;
  }
}

}  // namespace

std::string_view rule_type_name(RuleType type) noexcept { return kTypeNames[static_cast<std::size_t>(type)]; }

namespace serving {

std::string rule_path(std::size_t index) { return "rules[" + std::to_string(index) + "]"; }

std::string rule_label(const Rule& rule, std::size_t index) {
  return rule_path(index) + (rule.name.empty() ? "" : " (" + rule.name + ")");
}

bool holds_at(const Rule& rule, Placement placement) noexcept {
  if (!rule.enabled) return false;
  if (rule.placements.empty()) return true;
  for (const Placement p : rule.placements)
    if (p == placement) return true;
  return false;
}

Predicate eligibility(const std::vector<Rule>& rules, Placement placement) {
  Predicate out;
  for (const Rule& r : rules) {
    if (!holds_at(r, placement)) continue;
    if (r.type == RuleType::kInclude) out = out & r.predicate;
    if (r.type == RuleType::kExclude) out = out & ~r.predicate;
  }
  return out;
}

}  // namespace serving

Rules::Rules(std::vector<Rule> rules) : rules_(std::move(rules)) {
  for (std::size_t i = 0; i < rules_.size(); ++i) check(rules_[i], serving::rule_path(i));
}

}  // namespace etalage
