// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/evaluation/evaluator.hpp"
#include "evaluation/tie_groups.hpp"

namespace etalage {

/// Collects the metrics of ranked lists; rows may be measured by several threads at once.
class EvaluationBuilder {
 public:
  /// `rows` lists will be measured over a catalogue of num_items.
  EvaluationBuilder(const EvaluationOptions& options, std::size_t rows, std::int32_t num_items);
  [[nodiscard]] std::size_t max_k() const noexcept { return max_k_; }
  /// relevant sorted and unique; ranked best first, ends at its size or the first negative entry; scores as in
  /// tie_groups(). `groups` is working memory.
  void measure(std::size_t row, std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked,
               std::span<const float> scores, std::vector<TieGroup>& groups);
  /// Means in fixed order. Call once.
  [[nodiscard]] Evaluation finish(std::vector<std::int32_t> user_index, std::int64_t hidden);

 private:
  struct Column {
    Metric metric;
    int k;
    Array<double> values;
    std::vector<std::int64_t> log_missed;  // coverage: of each item, ln P(in no list) in units of 2^-40
  };
  struct Cut {
    int k;
    std::int64_t tied = 0;  // lists cut between items of equal score
  };
  static void cover(std::vector<std::int64_t>& log_missed, std::span<const std::int32_t> ranked, std::span<const TieGroup> groups,
                    std::size_t k);
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::vector<Column> columns_;
  std::vector<Cut> cuts_;
  std::vector<double*> out_;
  std::size_t max_k_ = 0;
  std::int32_t num_items_;
};

}  // namespace etalage
