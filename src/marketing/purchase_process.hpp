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

/// Log-likelihood with derivatives by r alpha a b (r alpha s beta) of all groups, without the gap term, which no parameter
/// changes.
[[nodiscard]] Jet log_likelihood(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, std::span<const HistoryGroup> groups, int num_threads);

/// What k adds to the log-likelihood by the gaps: 0 for k = 1. See LifetimeModel.
[[nodiscard]] double gap_term(std::int32_t k, const PurchaseHistories& customers) noexcept;

/// Of one customer; parameters as above.
[[nodiscard]] double p_alive(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, double x, double tx, double age) noexcept;
/// Infinite (not Pareto's) where millions of purchases are expected, so that the series behind it would be too long: callers
/// refuse such a t, but for draws of parameters, where it stands for "very many".
[[nodiscard]] double expected_purchases(LifetimeKind kind, std::int32_t k, std::span<const double> parameters, double t, double x, double tx, double age) noexcept;

}  // namespace etalage::marketing
