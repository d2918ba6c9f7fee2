// SPDX-License-Identifier: Apache-2.0
// A query as the equations of a row.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "etalage/models/recommender.hpp"
#include "models/factor/als_solver.hpp"
#include "core/scratch.hpp"

namespace etalage::als {

/// A query's taste as one row: items unique and ascending, values summed, zeros left out.
struct QueryRow {
  std::vector<std::pair<std::int32_t, float>> pairs;
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  RowScratch row;
  std::vector<float> solution;

  void collect(std::span<const std::int32_t> history, std::span<const float> history_values,
               std::span<const std::int32_t> session) {
    pairs.clear();
    for (std::size_t i = 0; i < history.size(); ++i)
      pairs.emplace_back(history[i], history_values.empty() ? 1.0f : history_values[i]);
    for (const std::int32_t item : session) pairs.emplace_back(item, 1.0f);
    // By value too: the sum of repeats does not depend on the order in which they came.
    std::sort(pairs.begin(), pairs.end());
    columns.clear();
    values.clear();
    for (std::size_t i = 0; i < pairs.size();) {
      const std::int32_t item = pairs[i].first;
      float sum = 0;
      for (; i < pairs.size() && pairs[i].first == item; ++i) sum += pairs[i].second;
      if (!std::isfinite(sum)) throw std::invalid_argument(detail::violated("sum of an item's history_values", sum, "finite"));
      if (sum == 0) continue;
      columns.push_back(item);
      values.push_back(sum);
    }
  }
  [[nodiscard]] Observed observed() const { return {columns.data(), values.data(), columns.size()}; }
  [[nodiscard]] bool likes_something() const {
    return std::any_of(values.begin(), values.end(), [](float v) { return v > 0; });
  }
};

/// The one inside, made on first use.
inline QueryRow& query_row(Scratch& scratch) { return scratch.impl().part<QueryRow>(); }

[[noreturn]] inline void not_positive(const std::string& whose) {
  throw NumericalError("the equations of " + whose +
                       " are not positive definite in float32; increase regularization, or lower alpha or the weights");
}

/// y_i^T A^-1 y_j c_j for each liked j of the row, largest first, and their sum in total; `row` holds the factor of A that
/// solve_exactly() left for q.
inline Explanation explain_row(const QueryRow& q, const Fixed& items, std::int32_t item, const Weights& weights, std::size_t n) {
  const auto row_of = [&](std::int32_t i) { return items.rows + static_cast<std::size_t>(i) * items.stride; };
  Array<float> z(n);
  std::copy_n(row_of(item), items.width, z.mutable_data());
  solve_again(q.row, n, z.mutable_data());
  Explanation explanation;
  double total = 0;
  for (std::size_t j = 0; j < q.columns.size(); ++j) {
    if (q.values[j] <= 0) continue;
    const float* row = row_of(q.columns[j]);
    const double part = std::inner_product(row, row + items.width, z.begin(), 0.0) *
                        static_cast<double>(weights.confidence(q.values[j]));
    total += part;
    explanation.contributions.push_back({q.columns[j], static_cast<float>(part)});
  }
  explanation.total = static_cast<float>(total);
  std::stable_sort(explanation.contributions.begin(), explanation.contributions.end(),
                   [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
  return explanation;
}

}  // namespace etalage::als
