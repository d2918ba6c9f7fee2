// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

#include "etalage/core/csr_matrix.hpp"

namespace etalage {

/// The weights of EASE through the users' Gram matrix, where there are fewer users than items: with M = (X X^T + l2 I)^-1
///   P = (X^T X + l2 I)^-1 = (I - X^T M X) / l2   (Woodbury),  so  W(i, j) = x_i^T M x_j / (1 - x_j^T M x_j),  i != j
/// num_users^3 flops and 4 num_users^2 bytes, then a product with the sparse X on both sides.
///
/// after(done) as in negated_inverse(), over users; stopped early, the weights are those of the users done so far.
/// take(first, count, rows) gets the rows [count x num_items] of W of the items from first on, from any thread, every item
/// once; place(first) says where to make them [kDualBlock x num_items], or null for memory of the thread's own.
/// Returns false when stopped.
inline constexpr std::size_t kDualBlock = 64;
bool dual_weights(const CsrMatrix& user_items, const CsrMatrix& item_users, float l2, int num_threads,
                  const std::function<bool(std::size_t done)>& after, const std::function<float*(std::size_t first)>& place,
                  const std::function<void(std::size_t first, std::size_t count, const float* rows)>& take);

/// Upper triangle of X^T X + l2 I, a [n x n], from X's rows and columns.
void fill_gram(const CsrMatrix& rows, const CsrMatrix& columns, float l2, int num_threads, float* a);

/// The same bits of some columns [count x users] of X, the first of them number `first`, before the ridge: [count x n], from the
/// diagonal on, without zeros. The users may be those who have one of these items.
CsrMatrix gram_rows(const CsrView& rows, const CsrView& columns, std::size_t first, int num_threads);

}  // namespace etalage
