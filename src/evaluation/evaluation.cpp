// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "etalage/evaluation/evaluator.hpp"
#include "evaluation/evaluation_builder.hpp"

namespace etalage {
namespace {

// Coverage is the mean over items of P(in some list) = 1 - the product over lists of P(not in it). The logarithms are
// added as integers, which gives the same bits in any order of threads; each is rounded by at most 2^-41.
constexpr double kUnit = 1099511627776.0;  // 2^40
// In some list for certain. Far below kSurely, so that what another thread adds meanwhile does not matter.
constexpr std::int64_t kCertain = std::numeric_limits<std::int64_t>::min() / 2;
// e^-64 is nothing beside 1 in double precision: no need to count further.
constexpr std::int64_t kSurely = -64 * static_cast<std::int64_t>(kUnit);

double covered(std::int64_t log_missed) {
  return log_missed == 0 ? 0.0 : log_missed <= kSurely ? 1.0 : -std::expm1(static_cast<double>(log_missed) / kUnit);
}

}  // namespace

void EvaluationOptions::validate() const {
  if (k.empty()) throw std::invalid_argument("k is empty, must have at least one list length");
  if (metrics.empty()) throw std::invalid_argument("metrics is empty, must have at least one name");
  for (const std::string& m : metrics) (void)metric_of(m);
  require_options(*this);
}

EvaluationBuilder::EvaluationBuilder(const EvaluationOptions& options, std::size_t rows, std::int32_t num_items)
    : num_items_(num_items) {
  for (const std::string& m : options.metrics) {
    for (const int k : options.k) {
      Column c{metric_of(m), k, {}, {}};
      const auto same = [&](const Column& other) { return other.metric == c.metric && other.k == c.k; };
      if (std::any_of(columns_.begin(), columns_.end(), same)) continue;
      if (c.metric == Metric::kCoverage) c.log_missed.assign(static_cast<std::size_t>(num_items), 0);
      else c.values = Array<double>(rows);
      columns_.push_back(std::move(c));
      max_k_ = std::max(max_k_, static_cast<std::size_t>(k));
      if (std::none_of(cuts_.begin(), cuts_.end(), [&](const Cut& cut) { return cut.k == k; })) cuts_.push_back({k});
    }
  }
  for (Column& c : columns_) out_.push_back(c.values.mutable_data());
}

void EvaluationBuilder::measure(std::size_t row, std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked,
                                std::span<const float> scores, std::vector<TieGroup>& groups) {
  tie_groups(relevant, ranked, scores, max_k_, groups);
  for (std::size_t c = 0; c < columns_.size(); ++c) {
    Column& column = columns_[c];
    const auto k = static_cast<std::size_t>(column.k);
    if (column.metric == Metric::kCoverage) cover(column.log_missed, ranked, groups, k);
    else out_[c][row] = expected_metric(column.metric, groups, relevant.size(), k);
  }
  for (Cut& cut : cuts_)
    if (cut_in_tie(groups, static_cast<std::size_t>(cut.k)))
      std::atomic_ref<std::int64_t>(cut.tied).fetch_add(1, std::memory_order_relaxed);
}

void EvaluationBuilder::cover(std::vector<std::int64_t>& log_missed, std::span<const std::int32_t> ranked,
                              std::span<const TieGroup> groups, std::size_t k) {
  for (const TieGroup& t : groups) {
    const std::size_t within = t.within(k);
    if (within == 0) return;
    const double share = static_cast<double>(within) / static_cast<double>(t.size);
    const std::int64_t missed = within == t.size ? kCertain : std::llround(std::log1p(-share) * kUnit);
    for (const std::int32_t item : ranked.subspan(t.begin, t.size)) {
      const std::atomic_ref<std::int64_t> sum(log_missed[static_cast<std::size_t>(item)]);
      if (missed == kCertain) sum.store(kCertain, std::memory_order_relaxed);
      else if (sum.load(std::memory_order_relaxed) > kSurely) sum.fetch_add(missed, std::memory_order_relaxed);
    }
  }
}

Evaluation EvaluationBuilder::finish(std::vector<std::int32_t> user_index, std::int64_t hidden, Array<std::uint8_t> has_history) {
  Evaluation e;
  const auto users = static_cast<double>(user_index.size());
  for (Column& c : columns_) {
    e.names_.push_back(std::string(name(c.metric)) + "@" + std::to_string(c.k));
    double sum = 0;
    if (c.metric == Metric::kCoverage) {
      for (const std::int64_t missed : c.log_missed) sum += covered(missed);
      e.values_.push_back(num_items_ > 0 ? sum / num_items_ : std::numeric_limits<double>::quiet_NaN());
    } else {
      for (const double v : c.values) sum += v;
      e.values_.push_back(users > 0 ? sum / users : std::numeric_limits<double>::quiet_NaN());
    }
    e.per_user_.push_back(std::move(c.values));
  }
  for (const Cut& cut : cuts_)
    e.tied_.emplace_back(cut.k, users > 0 ? static_cast<double>(cut.tied) / users : std::numeric_limits<double>::quiet_NaN());
  e.user_index_ = Array<std::int32_t>(user_index);
  e.has_history_ = std::move(has_history);
  e.hidden_ = hidden;
  e.seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  return e;
}

std::size_t Evaluation::find(std::string_view name) const {
  std::string known;
  for (std::size_t j = 0; j < names_.size(); ++j) {
    if (names_[j] == name) return j;
    known += (j == 0 ? "" : ", ") + names_[j];
  }
  throw std::invalid_argument("name is '" + std::string(name) + "', must be one of " + known);
}

double Evaluation::value(std::string_view name) const { return values_[find(name)]; }

double Evaluation::tied(int k) const {
  std::string known;
  for (const auto& [length, share] : tied_) {
    if (length == k) return share;
    known += (known.empty() ? "" : ", ") + std::to_string(length);
  }
  throw std::invalid_argument("k is " + std::to_string(k) + ", must be one of " + known);
}

const Array<double>& Evaluation::per_user(std::string_view name) const {
  const std::size_t at = find(name);
  if (per_user_[at].size() != user_index_.size())
    throw std::invalid_argument("name is '" + std::string(name) + "', must be a metric that each user has");
  return per_user_[at];
}

Interval Evaluation::interval(std::string_view name, const ResamplingOptions& options) const {
  return bootstrap_interval(per_user(name), options);
}

PairedTest Evaluation::compare(const Evaluation& other, std::string_view name, const ResamplingOptions& options) const {
  if (!std::equal(user_index_.begin(), user_index_.end(), other.user_index_.begin(), other.user_index_.end()))
    throw std::invalid_argument("other is an evaluation of " + std::to_string(other.users()) + " users, must be of the same " +
                                std::to_string(users()) + " users");
  return paired_test(per_user(name), other.per_user(name), options);
}

}  // namespace etalage
