// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Settings of the model of rewards.
struct ETALAGE_EXPORT RewardModelOptions {
  bool logistic = false;        ///< rewards of 0 and 1 by logistic regression; else ridge regression
  std::int32_t folds = 5;       ///< in [2, 1000]
  double l2 = 1;                ///< weight of the penalty on coefficients of standardised contexts; > 0
  std::uint64_t seed = 0;       ///< of the folds
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "logistic", o.logistic, "folds", o.folds, OptionRule("in [2, 1000]"), "l2", o.l2, OptionRule("finite and > 0"),
                  "seed", o.seed, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// What a reward model says of rows that it did not learn from: `reward_model` of off-policy estimates.
struct RewardPredictions {
  std::vector<double> logged;   ///< [n], of the logged action
  std::vector<double> target;   ///< [n], sum over actions a of targets(i, a) q(x_i, a)
};

/// Cross-fitted reward model: the shoppers are cut into folds, each fold is predicted by a model of the others, so a row's
/// own reward never enters its prediction, which doubly robust estimates need (Chernozhukov et al., 2018).
///
/// q(x, a) = link(b + u . x + b_a + u_a . x): first b and u over all rows, then b_a and u_a of each action beneath them,
/// both with penalty l2; an action that was seen little stays near the others. Contexts are standardised.
/// contexts [n x d] (d may be 0), actions [n] in [0, actions), rewards [n], targets [n x actions]; groups [n], the number of
/// the shopper >= 0, or empty for rows that stand alone.
/// Cost    folds * (n d^2 + actions d^3) and n actions d for the target
/// Repeats the same bits for any num_threads
/// Errors  std::invalid_argument: shapes, values that are not finite, rewards other than 0 and 1 with logistic
[[nodiscard]] ETALAGE_EXPORT RewardPredictions cross_fitted_rewards(MatrixView<const double> contexts, std::span<const std::int32_t> actions,
                                                                    std::span<const double> rewards, MatrixView<const double> targets,
                                                                    std::span<const std::int32_t> groups = {},
                                                                    const RewardModelOptions& options = {});

}  // namespace etalage
