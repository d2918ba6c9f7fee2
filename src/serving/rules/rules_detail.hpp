// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "etalage/serving/rules.hpp"

namespace etalage::serving {

std::string rule_path(std::size_t index);                        ///< "rules[3]"
std::string rule_label(const Rule& rule, std::size_t index);     ///< "rules[3] (its name)"
bool holds_at(const Rule& rule, Placement placement) noexcept;
/// What the includes and excludes of a placement leave.
Predicate eligibility(const std::vector<Rule>& rules, Placement placement);

}  // namespace etalage::serving
