// SPDX-License-Identifier: Apache-2.0
// An off-policy estimate is mean(linear) + sum of ratios of sums; this is what the intervals need to know of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "etalage/evaluation/off_policy.hpp"

namespace etalage::evaluation {

/// value = mean_i linear_i + sum_k (sum_i numerator_ik / sum_i denominator_ik); every vector [n].
struct OffPolicyTerms {
  std::vector<double> linear;
  std::vector<std::pair<std::vector<double>, std::vector<double>>> ratios;
  /// What linear_i could have been for the lowest and the highest reward; empty where there are ratios.
  std::vector<double> lowest;
  std::vector<double> highest;
  double floor = 0;    ///< the lowest value that rewards allow
  double ceiling = 1;
};

/// Writes value, standard_error, interval, bernstein, varied, rows and groups; `ess` must be there already.
void fill_intervals(const OffPolicyTerms& terms, std::span<const std::int32_t> groups, const ResamplingOptions& options,
                    OffPolicyEstimate& out);

/// P(embedding | target) / P(embedding | log) of every row, from what the log has of the three ways (docs/loop.md).
std::vector<double> embedding_weights(const OffPolicyLog& log, std::span<const double> weights, int num_threads);

}  // namespace etalage::evaluation
