// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "etalage/evaluation/evaluator.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Evaluations of several models on the same users, side by side.
struct ETALAGE_EXPORT Comparison {
  /// One model beside the others.
  struct Row {
    std::string model;  ///< its name
    double value = 0;         ///< mean of the metric
    double value_with = 0;    ///< over users of whom train holds something; NaN without such users, or without train
    double value_without = 0; ///< over the others
    std::int64_t users = 0;  ///< that were measured
    std::int64_t users_with = 0;  ///< of these, with rows in train
    Interval interval;        ///< bootstrap
    PairedTest against_best;  ///< this model minus the best one; p 1 for the best itself
    double seconds = 0;       ///< recommending and measuring
  };
  std::string metric;  ///< what was compared, "ndcg@20" say
  std::vector<Row> rows;      ///< best first, ties in the order given
  /// A table in plain text, columns aligned.
  [[nodiscard]] ETALAGE_EXPORT std::string text() const;
};

/// An evaluation, and a model, under the name that a table shows.
using NamedEvaluation = std::pair<std::string, const Evaluation*>;
using NamedModel = std::pair<std::string, const Recommender*>;

/// `metric` such as "ndcg@10"; all evaluations must be of the same users and have it.
[[nodiscard]] ETALAGE_EXPORT Comparison compare(const std::vector<NamedEvaluation>& evaluations, const std::string& metric,
                                                const ResamplingOptions& resampling = {});
/// Evaluates fitted models, each of which must have been fitted without the pairs of test (fit_check.hpp), and compares them by the first metric and k of the options.
[[nodiscard]] ETALAGE_EXPORT Comparison compare(const std::vector<NamedModel>& models, const Interactions& train,
                                                const Interactions& test, const EvaluationOptions& options = {},
                                                const ResamplingOptions& resampling = {});

}  // namespace etalage
