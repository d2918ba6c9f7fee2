// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/compare.hpp"

#include <algorithm>
#include <iomanip>
#include <locale>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace etalage {

Comparison compare(const std::vector<NamedEvaluation>& evaluations, const std::string& metric, const ResamplingOptions& resampling) {
  if (evaluations.empty()) throw std::invalid_argument("evaluations is empty, must have at least one");
  std::vector<std::size_t> order(evaluations.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return evaluations[a].second->value(metric) > evaluations[b].second->value(metric);
  });
  const Evaluation& best = *evaluations[order.front()].second;
  Comparison c;
  c.metric = metric;
  for (const std::size_t j : order) {
    const Evaluation& e = *evaluations[j].second;
    Comparison::Row row;
    row.model = evaluations[j].first;
    row.value = e.value(metric);
    row.value_with = e.value(metric, HistoryGroup::kWith);
    row.value_without = e.value(metric, HistoryGroup::kWithout);
    row.users = e.users();
    row.users_with = e.users(HistoryGroup::kWith);
    row.interval = e.interval(metric, resampling);
    if (&e != &best) row.against_best = e.compare(best, metric, resampling);
    row.seconds = e.seconds();
    c.rows.push_back(std::move(row));
  }
  return c;
}

Comparison compare(const std::vector<NamedModel>& models, const Interactions& train, const Interactions& test,
                   const EvaluationOptions& options, const ResamplingOptions& resampling) {
  options.validate();
  std::vector<Evaluation> evaluations;
  evaluations.reserve(models.size());
  std::vector<NamedEvaluation> named;
  for (const auto& [name, model] : models) {
    evaluations.push_back(evaluate(*model, train, test, options));
    named.emplace_back(name, &evaluations.back());
  }
  return compare(named, options.metrics.front() + "@" + std::to_string(options.k.front()), resampling);
}

std::string Comparison::text() const {
  std::size_t width = 5;
  for (const Row& row : rows) width = std::max(width, row.model.size());
  std::ostringstream s;
  s.imbue(std::locale::classic());
  s << std::fixed << std::setprecision(4) << std::left << std::setw(static_cast<int>(width)) << "model" << std::right << std::setw(14)
    << metric << "  interval              minus best         p  with history   without   seconds\n";
  for (const Row& row : rows)
    s << std::left << std::setw(static_cast<int>(width)) << row.model << std::right << std::setw(14) << row.value << "  ["
      << row.interval.low << ", " << row.interval.high << "]" << std::setw(12) << row.against_best.difference << std::setw(10)
      << row.against_best.p_value << std::setw(14) << row.value_with << std::setw(10) << row.value_without << std::setw(10) << std::setprecision(2) << row.seconds << std::setprecision(4) << '\n';
  return s.str();
}

}  // namespace etalage
