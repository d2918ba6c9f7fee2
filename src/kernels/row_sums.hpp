// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// One row of a product of a sparse and a dense matrix.
struct RowSums {
  /// out [n] = sum over j < m of weights[j] * data[rows[j] * stride .. + n). Every entry is one chain of multiply-adds in
  /// ascending j from +0, so a column's sum does not depend on how many columns are taken with it. No alignment needed.
  void (*combine)(const float* data, std::size_t stride, std::size_t n, const std::int32_t* rows, const float* weights,
                  std::size_t m, float* out);
};

ETALAGE_DECLARE_KERNELS(RowSums, row_sums)

}  // namespace etalage::kernels
