// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "models/factor/als_solver.hpp"

namespace etalage {

/// The Gram matrices of both sides, in double [f x f] and as the solvers read them.
struct AlsModel::Grams {
  Array<double> user;
  Array<double> item;
  als::ScaledGram scaled_user;
  als::ScaledGram scaled_item;
  Grams(Array<double> user_gram, Array<double> item_gram, std::size_t factors, float w0)
      : user(std::move(user_gram)),
        item(std::move(item_gram)),
        scaled_user(user.data(), factors, w0),
        scaled_item(item.data(), factors, w0) {}
};

namespace als {

/// The same rows without stored zeros; shares the memory when there are none.
CsrMatrix without_zeros(const CsrMatrix& matrix);

/// The random start of row r of a side (0 users, 1 items): `factors` floats.
void start_row(const AlsOptions& options, std::uint64_t side, std::size_t r, float* out) noexcept;

/// Rows as they lie in a model's factor array.
inline Fixed factor_rows(const Array<float>& factors, std::int32_t rows, std::int32_t width) {
  const auto f = static_cast<std::size_t>(width);
  return {factors.data(), static_cast<std::size_t>(rows), f, f};
}

}  // namespace als
}  // namespace etalage
