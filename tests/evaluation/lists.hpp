// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/evaluation/evaluator.hpp"

namespace etalage::test {

using Items = std::vector<std::int32_t>;

/// A row of ones for each list.
inline CsrMatrix csr(std::int64_t cols, const std::vector<Items>& rows) {
  std::vector<std::int64_t> offsets{0};
  Items columns;
  for (const Items& row : rows) {
    columns.insert(columns.end(), row.begin(), row.end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  const std::vector<float> ones(columns.size(), 1.0f);
  return {static_cast<std::int64_t>(rows.size()), cols, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(ones)};
}

inline EvaluationOptions options(std::vector<int> k, std::vector<std::string> metrics) {
  EvaluationOptions o;
  o.k = std::move(k);
  o.metrics = std::move(metrics);
  return o;
}

}  // namespace etalage::test
