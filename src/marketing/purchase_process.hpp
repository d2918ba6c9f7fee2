// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/marketing/lifetime.hpp"
#include "marketing/jet.hpp"

namespace etalage::marketing {

/// A customer's history, or all the customers who share one.
struct HistoryGroup {
  double x;
  double tx;
  double age;
  double weight;
};

/// Throws std::invalid_argument naming column, row, value and rule.
void check_histories(const PurchaseHistories& customers);

/// Sorted by x, t_x, T, equal rows as one. Expects checked input.
[[nodiscard]] std::vector<HistoryGroup> grouped(const PurchaseHistories& customers);

/// Log-likelihood with derivatives by r alpha a b (r alpha s beta) of all groups; without the gap term's constant
/// (k - 1) sum ln(gap), which no parameter changes.
[[nodiscard]] Jet log_likelihood(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, std::span<const HistoryGroup> groups, int num_threads);

/// Of one customer; parameters as above.
[[nodiscard]] double p_alive(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, double x, double tx, double age) noexcept;
[[nodiscard]] double expected_purchases(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, double t, double x, double tx, double age) noexcept;

/// Phases up to t that the series of expected_purchases may have to go through; it is refused above this.
constexpr double kMostPhases = 5e6;

}  // namespace etalage::marketing
