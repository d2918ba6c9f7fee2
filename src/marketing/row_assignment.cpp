// SPDX-License-Identifier: Apache-2.0
#include "marketing/row_assignment.hpp"

#include <algorithm>
#include <limits>

namespace etalage::marketing {

double assign_rows(const PageProblem& p, const PageCells& cells, std::span<const std::uint8_t> dropped, std::span<const double> worth, std::vector<std::int32_t>& order) {
  order.assign(cells.positions, -1);
  std::vector<std::size_t> rows, places;  // what is free
  double largest = 0;
  for (std::size_t r = 0; r < cells.rows; ++r) {
    const std::int32_t wish = p.row_position.empty() ? kAnywhere : p.row_position[r];
    if (wish >= 0) order[static_cast<std::size_t>(wish)] = static_cast<std::int32_t>(r);
    else if (dropped[r] == 0 || wish == kMustAppear) rows.push_back(r);
  }
  for (std::size_t at = 0; at < cells.positions; ++at)
    if (order[at] < 0) places.push_back(at);
  for (const std::size_t r : rows)
    for (const std::size_t at : places) largest = std::max(largest, worth[r * cells.positions + at]);
  // Rows that must appear are worth more than any change of the others could be. Empty positions are columns of no cost.
  const double must = 4 * (largest + 1e-300) * static_cast<double>(places.size() + 1);
  const std::size_t n = places.size(), m = rows.size() + n;
  std::vector<double> costs(n * m, 0.0);
  for (std::size_t at = 0; at < n; ++at)
    for (std::size_t column = 0; column < rows.size(); ++column) {
      const std::size_t r = rows[column];
      const bool promised = !p.row_position.empty() && p.row_position[r] == kMustAppear;
      costs[at * m + column] = -worth[r * cells.positions + places[at]] - (promised ? must : 0.0);
    }
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<double> u(n + 1), v(m + 1), least(m + 1);
  std::vector<std::size_t> match(m + 1, kNone), from(m + 1);
  std::vector<std::uint8_t> seen(m + 1);
  for (std::size_t i = 0; i < n; ++i) {
    match[m] = i;  // the column m stands for the place that is being assigned
    std::size_t column = m;
    std::fill(least.begin(), least.end(), std::numeric_limits<double>::infinity());
    std::fill(seen.begin(), seen.end(), std::uint8_t{0});
    do {
      seen[column] = 1;
      const std::size_t place = match[column];
      double step = std::numeric_limits<double>::infinity();
      std::size_t next = kNone;
      const double* cost = costs.data() + place * m;
      const double paid = u[place];
      for (std::size_t j = 0; j < m; ++j) {
        if (seen[j] != 0) continue;
        const double reduced = cost[j] - paid - v[j];
        if (reduced < least[j]) {
          least[j] = reduced;
          from[j] = column;
        }
        if (least[j] < step) {
          step = least[j];
          next = j;
        }
      }
      for (std::size_t j = 0; j <= m; ++j) {
        if (seen[j] != 0) {
          u[match[j]] += step;
          if (j < m) v[j] -= step;
        } else {
          least[j] -= step;
        }
      }
      column = next;
    } while (match[column] != kNone);
    while (column != m) {
      match[column] = match[from[column]];
      column = from[column];
    }
    match[m] = kNone;
  }
  for (std::size_t j = 0; j < rows.size(); ++j)
    if (match[j] != kNone) order[places[match[j]]] = static_cast<std::int32_t>(rows[j]);
  double sum = 0;
  for (std::size_t at = 0; at < cells.positions; ++at)
    if (order[at] >= 0) sum += worth[static_cast<std::size_t>(order[at]) * cells.positions + at];
  return sum;
}

}  // namespace etalage::marketing
