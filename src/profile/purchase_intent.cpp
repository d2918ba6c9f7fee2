// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/purchase_intent.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "profile/options_state.hpp"

namespace etalage {
namespace {

/// Room for one row of features without the heap.
using Row = std::array<float, 128>;

std::span<float> row_of(Row& row) {
  detail::require(IntentFeatures::count() <= row.size(), "IntentFeatures::count()", IntentFeatures::count(), "at most 128");
  return std::span(row).first(IntentFeatures::count());
}

struct Part {
  std::vector<float> features;
  std::vector<std::uint8_t> labels;
  std::int64_t positives = 0;
  [[nodiscard]] MatrixView<const float> matrix() const { return {features.data(), labels.size(), IntentFeatures::count()}; }
};

Part take(const IntentExamples& from, std::span<const std::size_t> rows) {
  Part out;
  const std::size_t d = IntentFeatures::count();
  out.features.reserve(rows.size() * d);
  for (const std::size_t i : rows) {
    const auto row = from.matrix().row(i);
    out.features.insert(out.features.end(), row.begin(), row.end());
    out.labels.push_back(from.labels[i]);
    out.positives += from.labels[i];
  }
  return out;
}

}  // namespace

void PurchaseIntentOptions::validate() const {
  require_options(*this);
}

PurchaseIntent::PurchaseIntent(PurchaseIntentOptions options, ProfileOptions profile_options)
    : options_(options), profile_options_(std::move(profile_options)) {
  options_.validate();
  profile_options_.validate();
}

void PurchaseIntent::Report::take_solver() {
  stop_reason = solver.converged ? StopReason::kConverged : StopReason::kIterations;
  iterations = solver.iterations;
  objective = {solver.objective};
}

PurchaseIntent::Report PurchaseIntent::fit(const EventLog& log, const ItemFacts& facts) {
  const auto begun = std::chrono::steady_clock::now();
  const auto since = [](std::chrono::steady_clock::time_point t) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count(); };
  const IntentExamples all = examples(log, facts);
  std::vector<std::size_t> training_rows;
  std::vector<std::size_t> calibration_rows;
  split(all, training_rows, calibration_rows);
  if (training_rows.empty() || calibration_rows.empty())
    throw std::invalid_argument("log has " + std::to_string(all.size()) + " moments, " + std::to_string(training_rows.size()) +
                                " to train and " + std::to_string(calibration_rows.size()) +
                                " to calibrate, must have both: give a longer log, or shorten horizon_days or step_days");
  const Part training = take(all, training_rows);
  const Part calibration = take(all, calibration_rows);
  Report report;
  report.training_examples = static_cast<std::int64_t>(training.labels.size());
  report.training_positives = training.positives;
  report.calibration_examples = static_cast<std::int64_t>(calibration.labels.size());
  report.calibration_positives = calibration.positives;
  report.calibration_from_ms = all.times_ms[calibration_rows.front()];
  for (const std::size_t i : calibration_rows) report.calibration_from_ms = std::min(report.calibration_from_ms, all.times_ms[i]);

  report.phase_seconds.emplace_back("moments", since(begun));

  const auto regression_begun = std::chrono::steady_clock::now();
  LogisticRegression regression;
  const LogisticOptions solver{.l2 = options_.l2, .knots = options_.knots, .max_iterations = options_.max_iterations, .num_threads = options_.num_threads};
  const std::span<const std::int32_t> columns = options_.columns == IntentColumns::kRfm ? IntentFeatures::rfm() : std::span<const std::int32_t>{};
  report.solver = regression.fit(training.matrix(), training.labels, solver, columns);
  report.take_solver();
  report.phase_seconds.emplace_back("regression", since(regression_begun));
  const auto calibration_begun = std::chrono::steady_clock::now();
  std::vector<double> margins(calibration.labels.size());
  for (std::size_t i = 0; i < margins.size(); ++i) margins[i] = regression.margin(calibration.matrix().row(i));
  calibrator_ = Calibrator(options_.calibration, margins, calibration.labels);
  report.phase_seconds.emplace_back("calibration", since(calibration_begun));
  report.seconds = since(begun);
  regression_ = std::move(regression);
  trees_.reset();
  report_ = report;
  return report;
}

void PurchaseIntent::set_trees(TreeEnsemble trees, MatrixView<const float> features, std::span<const std::uint8_t> labels) {
  detail::require(static_cast<std::size_t>(trees.num_features()) == IntentFeatures::count(), "trees.num_features()", trees.num_features(), "IntentFeatures::count()");
  detail::require(features.rows() == labels.size(), "labels.size()", labels.size(), "the number of rows of features");
  std::vector<double> margins(labels.size());
  for (std::size_t i = 0; i < margins.size(); ++i) margins[i] = trees.margin(features.row(i));
  calibrator_ = Calibrator(options_.calibration, margins, labels);
  trees_ = std::move(trees);
  regression_ = LogisticRegression();
  report_ = Report();
  report_.calibration_examples = static_cast<std::int64_t>(labels.size());
  for (const std::uint8_t y : labels) report_.calibration_positives += y != 0;
}

double PurchaseIntent::margin(std::span<const float> row) const {
  if (!fitted()) throw NotFittedError("PurchaseIntent is not fitted; call fit() first");
  return trees_ ? trees_->margin(row) : regression_.margin(row);
}

double PurchaseIntent::predict(const UserProfile& profile, std::int64_t now_ms) const {
  Row memory;
  const std::span<float> row = row_of(memory);
  IntentFeatures::compute(profile, now_ms, profile_options_, row);
  return calibrator_.probability(margin(row));
}

void PurchaseIntent::predict(MatrixView<const float> features, std::span<double> out) const {
  detail::require(features.rows() == out.size(), "out.size()", out.size(), "the number of rows of features");
  detail::require(features.rows() == 0 || features.cols() == IntentFeatures::count(), "features.cols()", features.cols(), "IntentFeatures::count()");
  if (!fitted()) throw NotFittedError("PurchaseIntent is not fitted; call fit() first");
  detail::parallel_for(out.size(), 1024, options_.num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t i = b; i < e; ++i) out[i] = calibrator_.probability(margin(features.row(i)));
  });
}

IntentEvaluation PurchaseIntent::evaluate(const EventLog& log, const ItemFacts& facts, std::optional<std::int64_t> since_ms, std::size_t bins) const {
  if (!fitted()) throw NotFittedError("PurchaseIntent is not fitted; call fit() first");
  IntentEvaluation out;
  out.examples = examples(log, facts, since_ms);
  out.probabilities.resize(out.examples.size());
  predict(out.examples.matrix(), out.probabilities);
  out.summary = evaluate_probabilities(out.probabilities, out.examples.labels.view(), bins);
  return out;
}

void PurchaseIntent::explain(const UserProfile& profile, std::int64_t now_ms, std::span<double> out) const {
  if (trees_) throw UnsupportedError("PurchaseIntent with trees has no explain");
  Row memory;
  const std::span<float> row = row_of(memory);
  IntentFeatures::compute(profile, now_ms, profile_options_, row);
  regression_.contributions(row, out);
}

void PurchaseIntent::save_state(StateWriter& writer) const {
  if (!fitted()) throw NotFittedError("PurchaseIntent is not fitted; call fit() first");
  put_options(writer, options_);
  ScopedWriter profile(writer, "profile/");
  profile::put_profile_options(profile, profile_options_);
  // A feature that a later library adds or redefines makes another model: the names say which were learned.
  std::vector<std::string> names;
  for (const std::string_view n : IntentFeatures::names()) names.emplace_back(n);
  writer.put_strings("feature_names", names);
  writer.put_bool("has_trees", trees_.has_value());
  if (trees_) {
    ScopedWriter trees(writer, "trees/");
    trees_->save_state(trees);
  } else {
    ScopedWriter regression(writer, "regression/");
    regression_.save_state(regression);
  }
  ScopedWriter calibrator(writer, "calibrator/");
  calibrator_.save_state(calibrator);
  const Report& r = report_;
  const std::vector<double> report{static_cast<double>(r.training_examples), static_cast<double>(r.training_positives),
                                   static_cast<double>(r.calibration_examples), static_cast<double>(r.calibration_positives),
                                   static_cast<double>(r.calibration_from_ms), static_cast<double>(r.solver.iterations),
                                   r.solver.objective, r.solver.gradient, r.solver.converged ? 1.0 : 0.0};
  writer.put_doubles("info/report", report);
}

std::shared_ptr<PurchaseIntent> PurchaseIntent::from_state(const StateReader& reader) {
  auto out = std::make_shared<PurchaseIntent>(get_options<PurchaseIntentOptions>(reader), profile::get_profile_options(ScopedReader(reader, "profile/")));
  const std::vector<std::string> names = reader.get_strings("feature_names");
  if (!std::ranges::equal(names, IntentFeatures::names()))
    reader.fail("feature_names", "found features that this library does not compute, expected its own " + std::to_string(IntentFeatures::count()) + ": fit the model anew");
  const auto d = static_cast<std::int64_t>(IntentFeatures::count());
  if (reader.get_bool("has_trees")) {
    out->trees_ = TreeEnsemble::from_state(ScopedReader(reader, "trees/"));
    if (out->trees_->num_features() != d) reader.fail("trees/features", "found " + std::to_string(out->trees_->num_features()) + ", expected " + std::to_string(d));
  } else {
    out->regression_ = LogisticRegression::from_state(ScopedReader(reader, "regression/"));
    if (out->regression_.num_features() != names.size()) reader.fail("regression/features", "found " + std::to_string(out->regression_.num_features()) + ", expected " + std::to_string(d));
  }
  out->calibrator_ = Calibrator::from_state(ScopedReader(reader, "calibrator/"));
  if (reader.has("info/report"))
    if (const std::vector<double> r = reader.get_doubles("info/report"); r.size() == 9 && std::all_of(r.begin(), r.end(), [](double x) { return std::abs(x) < 9e15; })) {
      Report& report = out->report_;
      std::size_t at = 0;
      for (std::int64_t* count : {&report.training_examples, &report.training_positives, &report.calibration_examples, &report.calibration_positives,
                                  &report.calibration_from_ms})
        *count = static_cast<std::int64_t>(r[at++]);
      report.solver = {static_cast<std::int32_t>(std::clamp(r[5], 0.0, 1e9)), r[6], r[7], r[8] != 0};
      report.take_solver();
    }
  return out;
}

}  // namespace etalage
