// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "etalage/serving/catalog_index.hpp"
#include "etalage/serving/rules.hpp"

namespace etalage::serving {

/// The rules of one placement over one catalogue.
struct RulePlan {
  struct Boost {
    std::size_t rule;
    SharedFilter set;
    float factor;
    Predicate predicate;
  };
  struct Pin {
    std::size_t rule;
    std::int32_t item;
    std::size_t position;  ///< from 0
  };
  struct Cap {
    std::size_t rule;
    std::shared_ptr<const ItemGroups> groups;
    std::int32_t max;
  };
  struct NotAgain {
    std::size_t rule;
    std::int64_t ms;
    SharedFilter set;                          ///< null: everything
    std::shared_ptr<const ItemGroups> groups;  ///< null: the product alone
    Predicate predicate;
  };
  struct Share {
    std::size_t rule;
    SharedFilter set;
    double share;
    bool spread;
    Predicate predicate;
    /// How many of k.
    [[nodiscard]] std::size_t of(std::size_t k) const noexcept;
    /// How many of the first p where they are spread.
    [[nodiscard]] std::size_t of_first(std::size_t p) const noexcept;
  };
  SharedFilter eligible;  ///< null: everything
  Predicate eligible_predicate;
  bool live = false;      ///< what is said of products can change a set
  std::vector<Boost> boosts;
  std::vector<Pin> pins;
  std::vector<Cap> caps;
  std::vector<NotAgain> not_again;
  std::vector<Share> shares;
};

inline constexpr std::size_t kMostShares = 32;  // a bit each

/// The sets of a plan as they stand at a place now.
void refresh(RulePlan& plan, const CatalogIndex& catalog, std::string_view place);

/// One plan a placement; std::invalid_argument begins with the rule's path.
std::vector<RulePlan> compile_rules(const Rules& rules, const CatalogIndex& catalog);

}  // namespace etalage::serving
