// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/metrics.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"

namespace etalage {
namespace {

constexpr std::array<const char*, 8> kNames{"precision", "recall", "capped_recall", "hit_rate",
                                            "ndcg",      "map",    "mrr",           "coverage"};

// 1 / log2(rank + 1)
double discount(std::size_t rank) { return 1.0 / std::log2(static_cast<double>(rank) + 1.0); }

// Calls hit(rank) for each relevant item of the first k, rank from 1.
template <class Hit>
void for_each_hit(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k, Hit hit) {
  detail::require(k >= 0, "k", k, ">= 0");
  const std::size_t n = std::min(ranked.size(), static_cast<std::size_t>(k));
  for (std::size_t r = 0; r < n && ranked[r] >= 0; ++r)
    if (std::binary_search(relevant.begin(), relevant.end(), ranked[r])) hit(r + 1);
}

std::size_t hits(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  std::size_t n = 0;
  for_each_hit(relevant, ranked, k, [&](std::size_t) { ++n; });
  return n;
}

double ratio(double a, std::size_t b) { return b == 0 ? 0.0 : a / static_cast<double>(b); }

std::size_t attainable(std::span<const std::int32_t> relevant, int k) {
  return std::min(relevant.size(), static_cast<std::size_t>(k));
}

}  // namespace

double precision_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return ratio(static_cast<double>(hits(relevant, ranked, k)), static_cast<std::size_t>(k));
}

double recall_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return ratio(static_cast<double>(hits(relevant, ranked, k)), relevant.size());
}

double capped_recall_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return ratio(static_cast<double>(hits(relevant, ranked, k)), attainable(relevant, k));
}

double hit_rate_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  return hits(relevant, ranked, k) > 0 ? 1.0 : 0.0;
}

double ndcg_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  double gain = 0;
  for_each_hit(relevant, ranked, k, [&](std::size_t rank) { gain += discount(rank); });
  double ideal = 0;
  for (std::size_t rank = 1; rank <= attainable(relevant, k); ++rank) ideal += discount(rank);
  return ideal > 0 ? gain / ideal : 0.0;
}

double average_precision_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  double sum = 0;
  double n = 0;
  for_each_hit(relevant, ranked, k, [&](std::size_t rank) { sum += ++n / static_cast<double>(rank); });
  return ratio(sum, attainable(relevant, k));
}

double reciprocal_rank_at_k(std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  double first = 0;
  for_each_hit(relevant, ranked, k, [&](std::size_t rank) {
    if (first == 0) first = 1.0 / static_cast<double>(rank);
  });
  return first;
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

double metric_at_k(Metric metric, std::span<const std::int32_t> relevant, std::span<const std::int32_t> ranked, int k) {
  switch (metric) {
    case Metric::kPrecision: return precision_at_k(relevant, ranked, k);
    case Metric::kRecall: return recall_at_k(relevant, ranked, k);
    case Metric::kCappedRecall: return capped_recall_at_k(relevant, ranked, k);
    case Metric::kHitRate: return hit_rate_at_k(relevant, ranked, k);
    case Metric::kNdcg: return ndcg_at_k(relevant, ranked, k);
    case Metric::kMap: return average_precision_at_k(relevant, ranked, k);
    case Metric::kMrr: return reciprocal_rank_at_k(relevant, ranked, k);
    case Metric::kCoverage: break;
  }
  throw std::invalid_argument("metric is 'coverage', must be one that a single list has");
}

}  // namespace etalage
