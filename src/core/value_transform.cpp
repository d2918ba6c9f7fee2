// SPDX-License-Identifier: Apache-2.0
#include "core/value_transform.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"

namespace etalage::detail {
namespace {

constexpr std::size_t kUserGrain = 1024;  // users

/// Ranks of magnitudes from 1 to n, equal ones at their mean, over n.
void rank_row(std::span<float> row, std::vector<std::uint32_t>& order) {
  const std::size_t n = row.size();
  order.resize(n);
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [row](std::uint32_t a, std::uint32_t b) { return std::abs(row[a]) < std::abs(row[b]); });
  for (std::size_t i = 0; i < n;) {
    const float magnitude = std::abs(row[order[i]]);
    std::size_t end = i + 1;
    while (end < n && std::abs(row[order[end]]) == magnitude) ++end;
    const double rank = static_cast<double>(i + 1 + end) / 2 / static_cast<double>(n);
    for (; i < end; ++i) row[order[i]] = static_cast<float>(std::copysign(rank, row[order[i]]));
  }
}

void transform_row(std::span<float> row, const InteractionOptions& options, std::vector<std::uint32_t>& order) {
  const auto each = [row](auto f) {
    for (float& v : row) v = stored_weight(std::copysign(f(std::abs(static_cast<double>(v))), v));
  };
  switch (options.value_transform) {
    case ValueTransform::kNone: return;
    case ValueTransform::kLog1p: return each([](double a) { return std::log1p(a); });
    case ValueTransform::kSqrt: return each([](double a) { return std::sqrt(a); });
    case ValueTransform::kRank: return rank_row(row, order);
    case ValueTransform::kCap: return each([cap = options.value_cap](double a) { return std::min(a, cap); });
  }
}

double norm_of(std::span<const float> row, UserNormalization how) {
  double sum = 0;
  for (const float v : row) {
    const double a = std::abs(static_cast<double>(v));
    if (how == UserNormalization::kMax) sum = std::max(sum, a);
    else sum += how == UserNormalization::kL2 ? a * a : a;
  }
  if (how == UserNormalization::kL2) return std::sqrt(sum);
  return how == UserNormalization::kMean ? sum / static_cast<double>(row.size()) : sum;
}

}  // namespace

void transform_values(CsrMatrix& m, const InteractionOptions& options) {
  if (options.value_transform == ValueTransform::kNone && options.normalize_users == UserNormalization::kNone) return;
  float* values = m.values.mutable_data();
  parallel_for(static_cast<std::size_t>(m.rows), kUserGrain, options.num_threads, [&](std::size_t first, std::size_t last, int) {
    std::vector<std::uint32_t> order;
    for (std::size_t u = first; u < last; ++u) {
      const auto b = static_cast<std::size_t>(m.offsets[u]);
      const std::span<float> row(values + b, static_cast<std::size_t>(m.offsets[u + 1]) - b);
      if (row.empty()) continue;
      transform_row(row, options, order);
      if (options.normalize_users == UserNormalization::kNone) continue;
      const double norm = norm_of(row, options.normalize_users);  // > 0: no stored weight is 0
      for (float& v : row) v = stored_weight(static_cast<double>(v) / norm);
    }
  });
}

}  // namespace etalage::detail
