// SPDX-License-Identifier: Apache-2.0
// Figures of shoppers with and without history, and an evaluation taken apart.
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "etalage/evaluation/evaluator.hpp"

namespace etalage {

namespace {
bool belongs(HistoryGroup group, std::uint8_t has_history) noexcept {
  return group == HistoryGroup::kAll || (group == HistoryGroup::kWith) == (has_history != 0);
}
}  // namespace

std::int64_t Evaluation::users(HistoryGroup group) const {
  if (group == HistoryGroup::kAll) return users();
  std::int64_t n = 0;
  for (const std::uint8_t has : has_history_) n += belongs(group, has) ? 1 : 0;
  return n;
}

double Evaluation::value(std::string_view name, HistoryGroup group) const {
  if (group == HistoryGroup::kAll) return value(name);
  const Array<double>& values = per_user(name);
  double sum = 0;
  std::int64_t n = 0;
  for (std::size_t j = 0; j < has_history_.size(); ++j) {
    if (!belongs(group, has_history_[j])) continue;
    sum += values[j];
    ++n;
  }
  return n > 0 ? sum / static_cast<double>(n) : std::numeric_limits<double>::quiet_NaN();
}

Evaluation::Evaluation(Parts parts)
    : names_(std::move(parts.names)), values_(std::move(parts.values)), tied_(std::move(parts.tied)), per_user_(std::move(parts.per_user)),
      user_index_(std::move(parts.user_index)), has_history_(std::move(parts.has_history)), hidden_(parts.hidden), seconds_(parts.seconds) {
  const auto expect = [](const char* name, std::size_t found, std::size_t wanted) {
    if (found != wanted)
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(found) + " entries, must have " + std::to_string(wanted));
  };
  expect("values", values_.size(), names_.size());
  expect("per_user", per_user_.size(), names_.size());
  for (const Array<double>& values : per_user_)
    if (!values.empty()) expect("per_user's values", values.size(), user_index_.size());
  if (!has_history_.empty()) expect("has_history", has_history_.size(), user_index_.size());
}

Evaluation::Parts Evaluation::parts() const { return {names_, values_, per_user_, user_index_, has_history_, tied_, hidden_, seconds_}; }

}  // namespace etalage
