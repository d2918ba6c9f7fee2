// SPDX-License-Identifier: Apache-2.0
#include "evaluation/off_policy_checks.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "detail/check.hpp"

namespace etalage::evaluation {
namespace {

std::string shape(MatrixView<const double> m) { return std::to_string(m.rows()) + " x " + std::to_string(m.cols()); }

std::string place(const char* name, std::size_t i, std::size_t k, std::size_t places) {
  return std::string(name) + "[" + std::to_string(i) + (places > 1 ? ", " + std::to_string(k) : "") + "]";
}

template <class Rule>
void check_values(MatrixView<const double> m, const char* name, const char* words, const Rule& rule) {
  for (std::size_t i = 0; i < m.rows(); ++i)
    for (std::size_t k = 0; k < m.cols(); ++k)
      if (!rule(m(i, k))) throw std::invalid_argument(detail::violated(place(name, i, k, m.cols()).c_str(), m(i, k), words));
}

void check_shape(MatrixView<const double> m, MatrixView<const double> rewards, const char* name) {
  if (m.rows() != rewards.rows() || m.cols() != rewards.cols())
    throw std::invalid_argument(std::string(name) + " is " + shape(m) + ", must be " + shape(rewards) + " as rewards");
}

void check_distribution(MatrixView<const double> m, std::size_t rows, const char* name) {
  if (m.empty()) return;
  if (m.rows() != rows)
    throw std::invalid_argument(std::string(name) + " is " + shape(m) + ", must have " + std::to_string(rows) + " rows as rewards");
  check_values(m, name, "in [0, 1]", [](double p) { return p >= 0 && p <= 1; });
  for (std::size_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (const double p : m.row(i)) sum += p;
    // Probabilities often come as float32 or rounded text.
    if (std::abs(sum - 1) > 1e-3)
      throw std::invalid_argument(detail::violated((std::string(name) + "[" + std::to_string(i) + "] summed over all actions").c_str(), sum, "1"));
  }
}

void check_numbers(std::span<const std::int32_t> values, std::size_t n, std::int64_t limit, const char* name) {
  if (values.empty()) return;
  if (values.size() != n)
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(values.size()) + " values, must have " + std::to_string(n));
  for (std::size_t i = 0; i < n; ++i)
    if (values[i] < 0 || values[i] >= limit)
      throw std::invalid_argument(detail::violated(place(name, i, 0, 1).c_str(), values[i], ("in [0, " + std::to_string(limit) + ")").c_str()));
}

}  // namespace

void check_log(const OffPolicyLog& log) {
  const std::size_t n = log.rewards.rows();
  if (log.rewards.empty()) throw std::invalid_argument("rewards is " + shape(log.rewards) + ", must have a row and a place");
  check_shape(log.propensities, log.rewards, "propensities");
  check_shape(log.targets, log.rewards, "target_probabilities");
  check_values(log.rewards, "rewards", "finite", [](double r) { return std::isfinite(r); });
  check_values(log.propensities, "propensities", "in (0, 1]", [](double p) { return p > 0 && p <= 1; });
  check_values(log.targets, "target_probabilities", "in [0, 1]", [](double p) { return p >= 0 && p <= 1; });
  if (!log.q_logged.empty()) check_shape(log.q_logged, log.rewards, "reward_model[0]");
  if (!log.q_target.empty()) check_shape(log.q_target, log.rewards, "reward_model[1]");
  check_values(log.q_logged, "reward_model[0]", "finite", [](double q) { return std::isfinite(q); });
  check_values(log.q_target, "reward_model[1]", "finite", [](double q) { return std::isfinite(q); });
  check_distribution(log.all_propensities, n, "propensities");
  check_distribution(log.all_targets, n, "target_probabilities");
  // Numbers count what is there, so none is above the rows or the actions; that bounds what is allocated by them.
  const auto most = static_cast<std::int64_t>(n + log.action_cells.size());
  check_numbers(log.groups, n, static_cast<std::int64_t>(n), "groups");
  if (!log.groups.empty()) {
    std::vector<bool> seen(static_cast<std::size_t>(*std::max_element(log.groups.begin(), log.groups.end())) + 1, false);
    for (const std::int32_t g : log.groups) seen[static_cast<std::size_t>(g)] = true;
    const auto absent = std::find(seen.begin(), seen.end(), false);
    if (absent != seen.end())
      throw std::invalid_argument("groups has no " + std::to_string(absent - seen.begin()) + ", must number the shoppers without a gap");
  }
  check_numbers(log.cells, n, most, "cells");
  check_numbers(log.action_cells, log.action_cells.size(), most, "action_cells");
  check_numbers(log.actions, n, std::int64_t{1} << 31, "actions");
  for (const auto* all : {&log.all_targets, &log.all_propensities})
    if (!all->empty() && !log.action_cells.empty() && all->cols() != log.action_cells.size())
      throw std::invalid_argument("embeddings has " + std::to_string(log.action_cells.size()) + " rows, must have one for each of the " +
                                  std::to_string(all->cols()) + " actions");
  if (!log.all_propensities.empty() && !log.actions.empty())
    for (std::size_t i = 0; i < n; ++i) {
      const auto action = static_cast<std::size_t>(log.actions[i]);
      if (action >= log.all_propensities.cols() || !(log.all_propensities(i, action) > 0))
        throw std::invalid_argument(detail::violated(place("actions", i, 0, 1).c_str(), log.actions[i], "an action that the log's policy may take"));
    }
  if (!log.action_cells.empty() && !log.cells.empty()) {
    if (log.actions.empty()) throw std::invalid_argument("actions is not given, must be with action_cells");
    for (std::size_t i = 0; i < n; ++i) {
      const auto action = static_cast<std::size_t>(log.actions[i]);
      if (action >= log.action_cells.size() || log.action_cells[action] != log.cells[i])
        throw std::invalid_argument(detail::violated(place("cells", i, 0, 1).c_str(), log.cells[i], "the cell of the row's action"));
    }
  }
}

void check_estimator(const OffPolicyLog& log, OffPolicyEstimator estimator, ListForm form) {
  const std::string name(name_of(estimator));
  const bool list = log.rewards.cols() > 1;
  const bool steps = form == ListForm::kRewardInteraction || form == ListForm::kCascade;
  const auto refuse = [&](const std::string& what) { throw std::invalid_argument("estimator '" + name + "' " + what); };
  switch (estimator) {
    case OffPolicyEstimator::kIps:
    case OffPolicyEstimator::kSnips: return;
    case OffPolicyEstimator::kReplay:
      if (list && form != ListForm::kWhole) refuse("compares whole lists, must have form='whole' with more than one place");
      for (std::size_t i = 0; i < log.targets.rows(); ++i)
        for (const double p : log.targets.row(i))
          if (p != 0 && p != 1) {
            std::string found = detail::violated("target probability", p, "0 or 1");
            refuse("takes a deterministic target: " + found + "; use 'ips' for others");
          }
      return;
    case OffPolicyEstimator::kMips:
      if (log.cells.empty()) refuse("needs embeddings");
      if (list) refuse("is for one place, must not have lists");
      return;
    case OffPolicyEstimator::kDm:
      if (log.q_target.empty()) refuse("needs reward_model");
      if (list && form == ListForm::kRewardInteraction)
        refuse("has no value in form 'reward_interaction', where the model knows a place only beneath those logged above; use 'cascade'");
      return;
    case OffPolicyEstimator::kSwitchDr:
    case OffPolicyEstimator::kDros:
      if (list && steps) refuse("cuts weights place by place, must have form 'independent' or 'whole' with more than one place");
      [[fallthrough]];
    case OffPolicyEstimator::kDr:
    case OffPolicyEstimator::kSndr:
      if (log.q_target.empty() || log.q_logged.empty()) refuse("needs reward_model with both parts");
  }
}

}  // namespace etalage::evaluation
