// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/metrics.hpp"

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/check.hpp"
#include "evaluation/tie_groups.hpp"

namespace etalage {
namespace {

constexpr std::array<const char*, 8> kNames{"precision", "recall", "capped_recall", "hit_rate",
                                            "ndcg",      "map",    "mrr",           "coverage"};

}  // namespace

double precision_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kPrecision, relevant, ranked, k);
}

double recall_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kRecall, relevant, ranked, k);
}

double capped_recall_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kCappedRecall, relevant, ranked, k);
}

double hit_rate_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kHitRate, relevant, ranked, k);
}

double ndcg_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kNdcg, relevant, ranked, k);
}

double average_precision_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kMap, relevant, ranked, k);
}

double reciprocal_rank_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return metric_at_k(Metric::kMrr, relevant, ranked, k);
}

const char* name(Metric metric) noexcept { return kNames[static_cast<std::size_t>(metric)]; }

Metric metric_of(std::string_view name) {
  std::string known;
  for (std::size_t m = 0; m < kNames.size(); ++m) {
    if (name == kNames[m]) return static_cast<Metric>(m);
    known += (m == 0 ? "" : ", ") + std::string(kNames[m]);
  }
  throw std::invalid_argument("metric is '" + std::string(name) + "', must be one of " + known);
}

double metric_at_k(Metric metric, std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k,
                   std::span<const float> scores) {
  detail::require(k >= 0, "k", k, ">= 0");
  if (!scores.empty() && scores.size() != ranked.size())
    throw std::invalid_argument("scores has " + std::to_string(scores.size()) + " entries, must be empty or have one for each of the " +
                                std::to_string(ranked.size()) + " places of ranked");
  std::vector<TieGroup> groups;
  tie_groups(relevant, ranked, scores, static_cast<std::size_t>(k), groups);
  return expected_metric(metric, groups, relevant.size(), static_cast<std::size_t>(k));
}

}  // namespace etalage
