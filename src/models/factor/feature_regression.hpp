// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "etalage/core/csr_matrix.hpp"

namespace etalage::als {

/// Weighted ridge regression of factor rows on sparse features:
///   minimises  sum_r weight_r |x_r - W^T a_r|^2 + ridge |W|^2  over W [features x width], in double
/// by conjugate gradients on the normal equations, every column on its own, from the W at hand.
/// features_t is the transpose of features; x [rows x stride] floats. Same bits for any number of threads.
void regress(const CsrView& features, const CsrView& features_t, std::span<const double> weights, const float* x,
             std::size_t stride, std::size_t width, double ridge, int num_threads, std::vector<double>& w);

/// out [rows x stride] = W^T a_r in the first `width` columns, the others are left alone.
void predict(const CsrView& features, std::span<const double> w, std::size_t width, std::size_t stride, int num_threads,
             float* out);

}  // namespace etalage::als
