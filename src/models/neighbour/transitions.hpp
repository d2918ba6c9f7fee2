// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "models/neighbour/sparse_product.hpp"

namespace etalage {

/// Rows as transition probabilities to the power alpha.
inline void to_transitions(CsrMatrix& m, float alpha) {
  normalize_rows(m);
  if (alpha == 1.0f) return;
  for (float& v : m.values.mutable_view()) v = std::pow(v, alpha);
}

/// What a walk's weights are divided by: (users of j)^beta.
inline Ratio walk_ratio(std::span<const std::int64_t> users_of, float beta) {
  const std::size_t n = users_of.size();
  Ratio ratio{std::vector<float>(n, 1.0f), std::vector<float>(n, 0.0f), std::vector<float>(n, 1.0f), std::vector<float>(n, 0.0f)};
  for (std::size_t j = 0; j < n; ++j)
    if (users_of[j] > 0) ratio.b[j] = static_cast<float>(std::pow(static_cast<double>(users_of[j]), static_cast<double>(beta)));
  return ratio;
}

}  // namespace etalage
