// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "etalage/core/csr_matrix.hpp"

namespace etalage::detail {

/// Values beyond this are refused by every fit: sums of their squares would leave float32.
inline constexpr double kLargestValue = 1e15;

/// What every model on rows asks of its training data: at least one user and one item (no entries are fine: everybody then
/// gets the cold-start answer), values finite and at most kLargestValue in size. std::invalid_argument otherwise.
void check_training_rows(const CsrMatrix& user_items);
/// The rule of shape alone, for lists too.
void check_training_shape(std::int64_t users, std::int64_t items);

}  // namespace etalage::detail
