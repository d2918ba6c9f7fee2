// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/evaluation/statistics.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// The log and the target policy share too little: the effective sample size is below what was asked for.
class ETALAGE_EXPORT TooFewError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// w = target / propensity, r the reward, q the reward model at the logged action, v its mean under the target.
/// kIps is right on average and wrong by a few large weights; kSnips steadier, and drawn to what the log did where overlap is small. kDr is
/// the first to take with a reward model, unless weights are large and the model poor; kSwitchDr and kDros bound the weights there, where the
/// model has seen least. kDm rests on the model alone, and its interval knows nothing of the model's error. kMips is for many actions, and
/// wrong where the reward depends on more than the embedding. kReplay needs a log that was drawn uniformly (docs/loop.md).
enum class OffPolicyEstimator : std::uint8_t {
  kReplay,    ///< mean r of the rows where a deterministic target does what was logged (Li et al., WSDM 2011)
  kDm,        ///< direct method: mean v
  kIps,       ///< mean w r (Horvitz, Thompson, 1952)
  kSnips,     ///< sum w r / sum w (Swaminathan, Joachims, NeurIPS 2015)
  kDr,        ///< mean v + w (r - q) (Dudik, Langford, Li, ICML 2011)
  kSndr,      ///< mean v + sum w (r - q) / sum w
  kSwitchDr,  ///< DR where w <= threshold, v elsewhere (Wang, Agarwal, Dudik, ICML 2017)
  kDros,      ///< DR with w l / (w^2 + l) for w (Su et al., ICML 2020, optimistic shrinkage)
  kMips,      ///< mean u r, u = P(embedding | target) / P(embedding | log) (Saito, Joachims, ICML 2022)
};

/// What the reward of a place in a list may depend on, and with it what its weight is.
enum class ListForm : std::uint8_t {
  kIndependent,        ///< its own item alone; propensities are marginals of (item, place) (Li et al., KDD 2018)
  kRewardInteraction,  ///< the items down to it; propensities given the places above; q is the reward of the place
                       ///< given those above (McInerney et al., KDD 2020)
  kCascade,            ///< the same; q is the reward of the place and all below it (Kiyohara et al., WSDM 2022)
  kWhole,              ///< every item of the list: the list is one action
};

/// Names as in Python: "ips", "switch_dr" (also "switch-dr"), ...; std::invalid_argument that lists them for any other.
[[nodiscard]] ETALAGE_EXPORT OffPolicyEstimator off_policy_estimator(std::string_view name);
[[nodiscard]] ETALAGE_EXPORT std::string_view name_of(OffPolicyEstimator estimator);
[[nodiscard]] ETALAGE_EXPORT ListForm list_form(std::string_view name);

/// Views of a log; empty means not given. A list shorter than `places` is padded with reward 0, propensity 1, target 1.
struct OffPolicyLog {
  MatrixView<const double> rewards;           ///< [n x places], finite
  MatrixView<const double> propensities;      ///< [n x places], of what was logged, in (0, 1]
  MatrixView<const double> targets;           ///< [n x places], the target's probability of the same, in [0, 1]
  MatrixView<const double> q_logged;          ///< [n x places]
  MatrixView<const double> q_target;          ///< [n x places]
  MatrixView<const double> all_propensities;  ///< [n x actions], rows sum to 1; MIPS is exact with both of these
  MatrixView<const double> all_targets;       ///< [n x actions], rows sum to 1
  std::span<const std::int32_t> actions;      ///< [n], what was logged
  std::span<const std::int32_t> action_cells; ///< [actions], number of the embedding of each action, in [0, cells)
  std::span<const std::int32_t> cells;        ///< [n], number of the embedding of what was logged, >= 0
  std::span<const std::int32_t> groups;       ///< [n], number of the shopper in [0, shoppers), each with a row
};

/// Settings of the estimate.
struct ETALAGE_EXPORT OffPolicyOptions {
  ListForm form = ListForm::kIndependent;  ///< what the places of a list have to do with each other
  std::optional<double> switch_threshold;  ///< >= 0; by default the one of least estimated squared error
  std::optional<double> shrinkage;         ///< lambda of DRos, >= 0; by default the same
  std::optional<double> reward_low;        ///< the rewards that can be; by default 0 and 1, wider where rewards are
  std::optional<double> reward_high;  ///< largest possible reward; by default the largest that was seen
  double min_ess = 50;                     ///< below it an estimate is refused; >= 0
  bool allow_small = false;                ///< do not refuse
  ResamplingOptions resampling;            ///< over shoppers where `groups` are given, else over rows
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "switch_threshold", o.switch_threshold, "shrinkage", o.shrinkage, "reward_low", o.reward_low, OptionRule("finite"),
                  "reward_high", o.reward_high, OptionRule("finite"), "min_ess", o.min_ess, OptionRule("finite and >= 0"), "allow_small", o.allow_small);
    ResamplingOptions::each(o.resampling, visit);
  }
};

/// A policy's value, estimated from the log of another.
struct OffPolicyEstimate {
  double value = 0;           ///< reward a row under the target policy; of lists: of the whole list
  Interval interval;          ///< bootstrap, at each end the further of percentile and normal; see `varied`. Of Switch-DR and DRos wider on both sides by the bias that the
                              ///< log shows, and its standard error; so is `bernstein`
  Interval bernstein;         ///< empirical Bernstein (Maurer, Pontil, COLT 2009, theorem 4, both sides); NaN for ratios.
                              ///< The range is that of what the logged rows could contribute, so it is only as sure as
                              ///< the largest weight seen
  double standard_error = 0;  ///< of the linearised value
  double ess = 0;             ///< (sum w)^2 / sum w^2, of lists at the worst place; matching rows for replay
  double largest_weight = 0;  ///< of the importance weights
  double mean_weight = 0;     ///< 1 in expectation; of lists at the place furthest from it
  double mean_weight_error = 0;  ///< its standard error
  double parameter = std::numeric_limits<double>::quiet_NaN();  ///< threshold or shrinkage that was used
  bool varied = true;         ///< false: no two rows differ (say, no positive at all); `interval` is then that of
                              ///< Clopper and Pearson (1934) for `ess` equal answers
  std::int64_t rows = 0;  ///< that entered the estimate
  std::int64_t groups = 0;  ///< resampled whole for the interval
  std::string assumes;        ///< what must hold for the value to mean anything
};

/// The value of a target policy from the log of another one, an estimate for each estimator asked for.
/// Cost     O(rows * places) each, and samples * shoppers for the bootstrap; MIPS O(rows * actions) with all_*
/// Repeats  the same bits for any num_threads
/// Errors   TooFewError under min_ess, unless allow_small; always when the target never does what was logged.
///          std::invalid_argument: shapes, values out of range, an estimator without its inputs, a log of one policy that
///          never varied (all propensities 1) with a target that differs
[[nodiscard]] ETALAGE_EXPORT std::vector<OffPolicyEstimate> estimate_off_policy(const OffPolicyLog& log,
                                                                                std::span<const OffPolicyEstimator> estimators,
                                                                                const OffPolicyOptions& options = {});

/// Bounds after each row that hold at all rows at once with the confidence: one may look every day and stop at will.
struct ConfidenceSequence {
  std::vector<double> low;   ///< [n], never falls
  std::vector<double> high;  ///< [n], never rises
};

/// Of the IPS value, rows in the order of time; rewards [n] in [reward_low, reward_high], given as for one place. Weights
/// need no bound. Predictable plug-in empirical Bernstein (Waudby-Smith, Wu, Ramdas, Karampatziakis, Mineiro,
/// "Anytime-valid off-policy inference for contextual bandits", 2022, proposition 1): the lower bound of w r by Fan's
/// inequality, the upper one as 1 minus the lower bound of w (1 - r), for which the mean weight must be 1. The value
/// must stay the same over time given the past; rows of one shopper that hang together break that.
/// std::invalid_argument: lengths, values, confidence outside (0, 1).
[[nodiscard]] ETALAGE_EXPORT ConfidenceSequence confidence_sequence(std::span<const double> rewards, std::span<const double> propensities,
                                                                    std::span<const double> targets, double confidence = 0.95,
                                                                    double reward_low = 0, double reward_high = 1);

}  // namespace etalage
