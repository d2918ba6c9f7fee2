// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "etalage/serving/rules.hpp"
#include "serving/rules/compiled_rules.hpp"
#include "serving/rules/rules_detail.hpp"

namespace etalage {

using serving::rule_label;

namespace {

std::string first_common(const Rule& a, const Rule& b) {
  for (std::size_t p = 0; p < kPlacements; ++p)
    if (serving::holds_at(a, static_cast<Placement>(p)) && serving::holds_at(b, static_cast<Placement>(p)))
      return std::string(placement_name(static_cast<Placement>(p)));
  return {};
}

// What two rules that hold at one place say against each other; empty when nothing.
std::string against(const Rule& a, const Rule& b, const std::string& first) {
  using T = RuleType;
  if (a.type == T::kPin && b.type == T::kPin) {
    if (a.item == b.item) return "pins product " + b.item + ", which " + first + " pins already; the first place holds";
    if (a.position == b.position)
      return "pins to position " + std::to_string(b.position) + ", as " + first + " does; this one takes the next free position";
  }
  if (a.type == T::kCap && b.type == T::kCap && a.by == b.by)
    return "caps by " + b.by + ", as " + first + " does; the smaller max, " + std::to_string(std::min(a.max, b.max)) + ", holds";
  if (a.predicate != b.predicate) return {};
  const auto pair = [&](T x, T y) { return (a.type == x && b.type == y) || (a.type == y && b.type == x); };
  if (pair(T::kInclude, T::kExclude)) return "and " + first + " include and exclude the same products: nothing is left";
  if (pair(T::kBoost, T::kBury)) return "and " + first + " boost and bury the same products; both factors apply";
  if (pair(T::kMinShare, T::kExclude)) return "and " + first + " ask for a share of the products that are excluded; nothing of them is shown";
  return {};
}

// What the catalogue makes of the rules of one placement.
void check_placement(const std::vector<Rule>& rules, const serving::RulePlan& plan, const CatalogIndex& catalog, Placement placement,
                     std::set<std::pair<std::size_t, std::string>>& said, std::vector<RuleIssue>& issues) {
  const std::string where = " (" + std::string(placement_name(placement)) + ")";
  // Once a rule: what holds at one placement mostly holds at all.
  const auto say = [&](std::size_t rule, const std::string& what) {
    if (said.insert({rule, what}).second) issues.push_back({rule, rule_label(rules[rule], rule) + ": " + what + where});
  };
  const auto count = [&](const SharedFilter& set) { return catalog.both(plan.eligible, set)->count; };
  if (plan.eligible && plan.eligible->count == 0) {
    for (std::size_t i = rules.size(); i-- > 0;) {
      if (!serving::holds_at(rules[i], placement) || (rules[i].type != RuleType::kInclude && rules[i].type != RuleType::kExclude)) continue;
      say(i, "includes and excludes up to here leave no product of this catalogue");
      break;
    }
  }
  for (const auto& pin : plan.pins)
    if (plan.eligible && !plan.eligible->bits.contains(pin.item))
      say(pin.rule, "pins product " + rules[pin.rule].item + ", which includes and excludes forbid; it is not shown");
  for (const auto& share : plan.shares)
    if (count(share.set) == 0) say(share.rule, "asks for a share of products of which none is eligible");
  for (const auto& boost : plan.boosts)
    if (count(boost.set) == 0) say(boost.rule, "changes nothing: none of its products is eligible");
  for (const auto& cap : plan.caps)
    if (cap.groups->names.empty()) say(cap.rule, "caps by " + cap.groups->by + ", which no product has");
}

}  // namespace

std::vector<RuleIssue> Rules::validate(const CatalogIndex* catalog) const {
  std::vector<RuleIssue> issues;
  for (std::size_t j = 0; j < rules_.size(); ++j) {
    for (std::size_t i = 0; i < j; ++i) {
      const std::string where = first_common(rules_[i], rules_[j]);
      if (where.empty()) continue;
      const std::string what = against(rules_[i], rules_[j], rule_label(rules_[i], i));
      if (!what.empty()) issues.push_back({j, rule_label(rules_[j], j) + ": " + what + " (" + where + ")"});
    }
  }
  for (std::size_t p = 0; p < kPlacements; ++p) {
    double whole = 0;
    std::size_t last = 0;
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      if (rules_[i].type != RuleType::kMinShare || !serving::holds_at(rules_[i], static_cast<Placement>(p))) continue;
      whole += rules_[i].share;
      last = i;
    }
    if (whole <= 1 + 1e-9) continue;
    issues.push_back({last, rule_label(rules_[last], last) + ": shares up to here come to more than the whole answer; they can be kept only by products in several sets (" +
                                std::string(placement_name(static_cast<Placement>(p))) + ")"});
    break;
  }
  if (catalog == nullptr) return issues;

  const std::vector<serving::RulePlan> plans = serving::compile_rules(*this, *catalog);
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    const Rule& r = rules_[i];
    if (!r.enabled) continue;
    if (r.type == RuleType::kPin && catalog->find(r.item) < 0)
      issues.push_back({i, rule_label(r, i) + ": pins product " + r.item + ", which the catalogue does not have"});
    for (const std::string& name : catalog->unknown_names(r.predicate))
      issues.push_back({i, rule_label(r, i) + ": names " + name + ", which the catalogue does not have"});
  }
  std::set<std::pair<std::size_t, std::string>> said;
  for (std::size_t p = 0; p < kPlacements; ++p)
    check_placement(rules_, plans[p], *catalog, static_cast<Placement>(p), said, issues);
  return issues;
}

}  // namespace etalage
