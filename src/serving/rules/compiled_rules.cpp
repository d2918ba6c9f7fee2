// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/compiled_rules.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "serving/rules/json.hpp"
#include "serving/rules/predicate_node.hpp"
#include "serving/rules/rules_detail.hpp"

namespace etalage::serving {
namespace {

// 0.3 of 10 is 3, whatever 0.3 is in binary.
constexpr double kSlack = 1e-9;

}  // namespace

std::size_t RulePlan::Share::of(std::size_t k) const noexcept {
  return static_cast<std::size_t>(std::ceil(share * static_cast<double>(k) - kSlack));
}

std::size_t RulePlan::Share::of_first(std::size_t p) const noexcept {
  return static_cast<std::size_t>(std::floor(share * static_cast<double>(p) + kSlack));
}

std::vector<RulePlan> compile_rules(const Rules& rules, const CatalogIndex& catalog) {
  const std::vector<Rule>& list = rules.rules();
  std::vector<SharedFilter> sets(list.size());
  std::vector<std::shared_ptr<const ItemGroups>> groups(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Rule& r = list[i];
    if (!r.enabled) continue;
    const char* field = ".predicate";
    try {
      // Those of eligibility are looked at too: an error must name its rule.
      if (r.type != RuleType::kPin && r.type != RuleType::kCap && r.predicate != Predicate()) sets[i] = catalog.filter(r.predicate);
      field = ".by";
      if (!r.by.empty()) groups[i] = catalog.groups(r.by);
    } catch (const std::invalid_argument& e) {
      fail_at(rule_path(i) + field, e.what());
    }
  }
  const auto set_of = [&](std::size_t i) { return sets[i] ? sets[i] : catalog.filter(Predicate()); };

  std::vector<RulePlan> plans(kPlacements);
  for (std::size_t p = 0; p < kPlacements; ++p) {
    const auto placement = static_cast<Placement>(p);
    RulePlan& plan = plans[p];
    const Predicate eligible = eligibility(list, placement);
    plan.eligible_predicate = eligible;
    if (eligible != Predicate()) plan.eligible = catalog.filter(eligible);
    plan.live = eligible.node().uses != 0;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Rule& r = list[i];
      if (!holds_at(r, placement)) continue;
      plan.live = plan.live || r.predicate.node().uses != 0;
      switch (r.type) {
        case RuleType::kInclude:
        case RuleType::kExclude: break;
        case RuleType::kNotAgain:
          plan.not_again.push_back({i, static_cast<std::int64_t>(r.days * 86400e3), sets[i], groups[i], r.predicate});
          break;
        case RuleType::kPin: {
          const std::int32_t item = catalog.find(r.item);
          if (item >= 0) plan.pins.push_back({i, item, static_cast<std::size_t>(r.position) - 1});
          break;
        }
        case RuleType::kCap: plan.caps.push_back({i, groups[i], r.max}); break;
        case RuleType::kMinShare:
          plan.shares.push_back({i, set_of(i), r.share, r.spread, r.predicate});
          if (plan.shares.size() > kMostShares) fail_at(rule_path(i), "is one share too many, at most 32 may hold in one placement");
          break;
        case RuleType::kBoost:
        case RuleType::kBury: plan.boosts.push_back({i, set_of(i), static_cast<float>(r.factor), r.predicate}); break;
      }
    }
  }
  return plans;
}

void refresh(RulePlan& plan, const CatalogIndex& catalog, std::string_view place) {
  const auto renew = [&](SharedFilter& set, const Predicate& predicate) {
    if (set && predicate.node().uses != 0) set = catalog.filter(predicate, place);
  };
  renew(plan.eligible, plan.eligible_predicate);
  for (auto& rule : plan.boosts) renew(rule.set, rule.predicate);
  for (auto& rule : plan.not_again) renew(rule.set, rule.predicate);
  for (auto& rule : plan.shares) renew(rule.set, rule.predicate);
}

}  // namespace etalage::serving
