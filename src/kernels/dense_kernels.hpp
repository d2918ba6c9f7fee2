// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

#include "kernels/dispatch.hpp"

namespace etalage::kernels {

/// Dense steps of closed-form models. Packed panels are 64-byte aligned; an entry of a product is one chain of
/// multiply-adds over the depth in ascending order from 0, whatever tile it falls in.
struct DenseTable {
  std::size_t rows;  ///< height of a register tile, <= 16
  std::size_t cols;  ///< width of a register tile, <= 32
  /// c [rows x cols], ldc floats apart, -= a^T b with a [depth x rows] and b [depth x cols] packed row after row.
  void (*subtract_product)(const float* a, const float* b, std::size_t depth, float* c, std::size_t ldc);
  /// y [n] += sum_k weights[k] x_k over count vectors x_k = base + index[k] * ld; no alignment is asked for. Every y_i is
  /// one chain over k in ascending order.
  void (*add_rows)(const float* base, std::size_t ld, const std::size_t* index, const float* weights, std::size_t count,
                   std::size_t n, float* y);
};

ETALAGE_DECLARE_KERNELS(DenseTable, dense)

}  // namespace etalage::kernels
