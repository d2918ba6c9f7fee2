// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/profile/calibration.hpp"
#include "etalage/profile/intent_features.hpp"
#include "etalage/profile/item_facts.hpp"
#include "etalage/profile/logistic_regression.hpp"
#include "etalage/trees/tree_ensemble.hpp"
#include "etalage/profile/user_profile.hpp"

namespace etalage {

/// Whose purchase is predicted, and at which moments: a shopper's, at cut-offs step_days apart, or a session's, at each of
/// its events.
enum class IntentUnit : std::uint8_t { kShopper, kSession };
/// As options spell them.
template <>
inline constexpr auto option_names<IntentUnit> = std::to_array<OptionName<IntentUnit>>(
    {{"shopper", IntentUnit::kShopper}, {"session", IntentUnit::kSession}});
enum class IntentColumns : std::uint8_t { kAll, kRfm };
/// As options spell them.
template <>
inline constexpr auto option_names<IntentColumns> = std::to_array<OptionName<IntentColumns>>(
    {{"all", IntentColumns::kAll}, {"rfm", IntentColumns::kRfm}});

/// Settings of PurchaseIntent.
struct ETALAGE_EXPORT PurchaseIntentOptions {
  IntentUnit unit = IntentUnit::kShopper;  ///< whose purchase is predicted
  double horizon_days = 7;          ///< a purchase in (now, now + horizon] is what is predicted; > 0
  double step_days = 0;             ///< between cut-offs; 0 means horizon_days; >= 0
  double warmup_days = 0;           ///< no moment before the log's first event and this; >= 0
  double max_idle_days = 0;         ///< cut-offs leave out shoppers whose last event is longer ago; 0 keeps all; >= 0
  IntentColumns columns = IntentColumns::kAll;  ///< kRfm: recency, frequency, money alone, the model to beat
  Calibration calibration = Calibration::kPlatt;  ///< how margins become probabilities
  double calibration_share = 0.1;   ///< of the time of the moments, the latest: held out for calibration; in (0, 0.9]
  double l2 = 10;                   ///< of the logistic regression, see LogisticOptions
  std::int32_t knots = 3;  ///< bends of each column; in [0, 16], see LogisticOptions
  std::int32_t max_iterations = 50;  ///< Newton steps; >= 1
  std::int64_t max_examples = 100000;  ///< a fixed sample of so many where there are more; >= 100
  std::uint64_t seed = 42;          ///< of that sample
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;            ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "unit", o.unit, "features", o.columns, "calibration", o.calibration,
                  "horizon_days", o.horizon_days, OptionRule("in (0, 36500]"), "step_days", o.step_days, OptionRule("in [0, 36500]"),
                  "warmup_days", o.warmup_days, OptionRule("in [0, 36500]"), "max_idle_days", o.max_idle_days, OptionRule("a finite number >= 0"),
                  "calibration_share", o.calibration_share, OptionRule("in (0, 0.9]"),
                  "max_examples", o.max_examples, OptionRule(">= 100"), "seed", o.seed);
    LogisticOptions::each_shared(o, visit);
  }
};

/// Moments of a log: what was known at each, and whether a purchase followed. Ordered by user, then by time.
struct IntentExamples {
  Array<float> features;            ///< [n x IntentFeatures::count()]
  Array<std::uint8_t> labels;       ///< [n]
  Array<std::int32_t> users;        ///< [n]
  Array<std::int64_t> times_ms;     ///< [n]
  [[nodiscard]] std::size_t size() const noexcept { return labels.size(); }
  /// Rows as LogisticRegression and predict() take them.
  [[nodiscard]] MatrixView<const float> matrix() const noexcept { return {features.data(), size(), IntentFeatures::count()}; }
};

/// An evaluation with what each example got, for plots, intervals and paired comparison.
struct IntentEvaluation {
  BinaryEvaluation summary;  ///< discrimination and calibration over all
  std::vector<double> probabilities;  ///< [n], in the order of the examples
  IntentExamples examples;  ///< the moments, in the order of probabilities
};

/// The probability that a shopper, or a session, buys within a horizon.
///
/// Training   moments are laid through the log; at each, the features say what the shopper's profile was after every event
///            up to and including that time, and the label whether they bought in (t, t + horizon]. Only moments whose horizon
///            lies within the log count. The latest calibration_share of the time calibrates, moments before it whose
///            horizon ends before it begins train.
/// Model      LogisticRegression on IntentFeatures; or a TreeEnsemble that another library grew, handed over by set_trees
/// Serving    predict(profile, now) on a profile that is kept up to date: the same features, bit for bit
/// Cost       a prediction is about a microsecond, allocates nothing
/// Threads    const members are safe to call concurrently; all others need exclusive access
/// Errors     std::invalid_argument, NotFittedError
class ETALAGE_EXPORT PurchaseIntent {
 public:
  /// What the fit did, and on what. Its objective is that of the regression at the end, its phases "moments", "regression" and
  /// "calibration"; times are not kept in files.
  struct Report : FitReport {
    std::int64_t training_examples = 0;  ///< moments that it learned from
    std::int64_t training_positives = 0;  ///< of these, with a purchase
    std::int64_t calibration_examples = 0;  ///< moments held out for calibration
    std::int64_t calibration_positives = 0;  ///< of these, with a purchase
    std::int64_t calibration_from_ms = 0;  ///< UTC milliseconds of the first of them
    LogisticRegression::Report solver;  ///< what Newton's method did

   private:
    friend class PurchaseIntent;
    void take_solver();
  };

  explicit PurchaseIntent(PurchaseIntentOptions options = {}, ProfileOptions profile_options = {});  ///< validates the options

  /// Learns from a log; std::invalid_argument when it has too few moments, or buyers only or never.
  Report fit(const EventLog& log, const ItemFacts& facts);
  /// The moments of a log from `since` (by default the first) on.
  [[nodiscard]] IntentExamples examples(const EventLog& log, const ItemFacts& facts, std::optional<std::int64_t> since_ms = {}) const;
  /// Splits moments in time as fit() does: indices of what trains and what calibrates.
  void split(const IntentExamples& examples, std::vector<std::size_t>& training, std::vector<std::size_t>& calibration) const;
  /// Takes trees instead of the regression, and calibrates on these examples. The trees' features are IntentFeatures'.
  void set_trees(TreeEnsemble trees, MatrixView<const float> calibration_features, std::span<const std::uint8_t> calibration_labels);

  /// In [0, 1].
  [[nodiscard]] double predict(const UserProfile& profile, std::int64_t now_ms) const;
  /// For rows of features [n x IntentFeatures::count()]; out [n].
  void predict(MatrixView<const float> features, std::span<double> out) const;
  /// ln(p / (1 - p)) before calibration.
  [[nodiscard]] double margin(std::span<const float> row) const;
  /// What was predicted and what came, for the moments of a log from `since` on.
  [[nodiscard]] IntentEvaluation evaluate(const EventLog& log, const ItemFacts& facts, std::optional<std::int64_t> since_ms = {},
                                          std::size_t bins = 10) const;
  /// What each feature adds to the margin, beside that of the average moment of training; out [IntentFeatures::count()].
  /// UnsupportedError with trees.
  void explain(const UserProfile& profile, std::int64_t now_ms, std::span<double> out) const;

  [[nodiscard]] bool fitted() const noexcept { return trees_.has_value() || regression_.fitted(); }
  /// Whether another library's trees predict instead of the regression.
  [[nodiscard]] bool has_trees() const noexcept { return trees_.has_value(); }
  [[nodiscard]] const Report& report() const noexcept { return report_; }
  [[nodiscard]] const PurchaseIntentOptions& options() const noexcept { return options_; }
  [[nodiscard]] const ProfileOptions& profile_options() const noexcept { return profile_options_; }  ///< how profiles are kept that it is asked about
  [[nodiscard]] const LogisticRegression& regression() const noexcept { return regression_; }  ///< not fitted with trees
  [[nodiscard]] const Calibrator& calibrator() const noexcept { return calibrator_; }  ///< from margins to probabilities

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static std::shared_ptr<PurchaseIntent> from_state(const StateReader& reader);

 private:
  PurchaseIntentOptions options_;
  ProfileOptions profile_options_;
  LogisticRegression regression_;
  std::optional<TreeEnsemble> trees_;
  Calibrator calibrator_;
  Report report_;
};

}  // namespace etalage
