// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "detail/parallel_for.hpp"
#include "evaluation/off_policy_terms.hpp"

namespace etalage::evaluation {
namespace {

std::vector<double> cell_sums(std::span<const std::int32_t> cells, std::span<const double> values) {
  std::vector<double> sums(static_cast<std::size_t>(*std::max_element(cells.begin(), cells.end())) + 1, 0.0);
  for (std::size_t i = 0; i < cells.size(); ++i) sums[static_cast<std::size_t>(cells[i])] += values.empty() ? 1.0 : values[i];
  return sums;
}

/// Probability of the row's own cell.
double cell_probability(std::span<const double> probabilities, std::span<const std::int32_t> action_cells, std::int32_t cell) {
  double sum = 0;
  for (std::size_t a = 0; a < probabilities.size(); ++a) sum += action_cells[a] == cell ? probabilities[a] : 0.0;
  return sum;
}

/// A row of each action seen, if both policies' probabilities depend on nothing but the action; else empty.
std::unordered_map<std::int32_t, std::size_t> first_rows(const OffPolicyLog& log) {
  std::unordered_map<std::int32_t, std::size_t> first;
  for (std::size_t i = 0; i < log.actions.size(); ++i) {
    const auto [at, added] = first.emplace(log.actions[i], i);
    if (!added && (log.propensities(at->second, 0) != log.propensities(i, 0) || log.targets(at->second, 0) != log.targets(i, 0) ||
                   log.cells[at->second] != log.cells[i]))
      return {};
  }
  return first;
}

}  // namespace

std::vector<double> embedding_weights(const OffPolicyLog& log, std::span<const double> weights, int num_threads) {
  const std::size_t n = log.cells.size();
  std::vector<double> out(n);
  if (!log.all_targets.empty() && !log.action_cells.empty()) {
    const bool exact = !log.all_propensities.empty();
    const std::vector<double> counts = cell_sums(log.cells, {});
    detail::parallel_for(n, 256, num_threads, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t i = begin; i < end; ++i) {
        const double above = cell_probability(log.all_targets.row(i), log.action_cells, log.cells[i]);
        const double below = exact ? cell_probability(log.all_propensities.row(i), log.action_cells, log.cells[i])
                                   : counts[static_cast<std::size_t>(log.cells[i])] / static_cast<double>(n);
        out[i] = above / below;
      }
    });
    return out;
  }
  const auto first = first_rows(log);
  std::vector<double> above;
  std::vector<double> below;
  if (first.empty()) {
    above = cell_sums(log.cells, weights);
    below = cell_sums(log.cells, {});
  } else {
    above.assign(static_cast<std::size_t>(*std::max_element(log.cells.begin(), log.cells.end())) + 1, 0.0);
    below = above;
    // In the order of the rows: the order of a hash table is not the same everywhere.
    std::vector<std::size_t> rows;
    rows.reserve(first.size());
    for (const auto& entry : first) rows.push_back(entry.second);
    std::sort(rows.begin(), rows.end());
    double targets = 0;
    double propensities = 0;
    for (const std::size_t i : rows) {
      // An action of small p is in a log of n rows with probability 1 - (1 - p)^n alone; those that are stand for those that
      // are not (Horvitz, Thompson, 1952), and each policy sums to 1.
      const double p = log.propensities(i, 0);
      const double seen = p < 1 ? -std::expm1(static_cast<double>(n) * std::log1p(-p)) : 1.0;
      const auto cell = static_cast<std::size_t>(log.cells[i]);
      above[cell] += log.targets(i, 0) / seen;
      below[cell] += p / seen;
      targets += log.targets(i, 0) / seen;
      propensities += p / seen;
    }
    if (targets > 0)
      for (double& x : above) x *= propensities / targets;
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto cell = static_cast<std::size_t>(log.cells[i]);
    out[i] = above[cell] / below[cell];
  }
  return out;
}

}  // namespace etalage::evaluation
