// SPDX-License-Identifier: Apache-2.0
#include "models/training_data.hpp"

#include <cmath>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"

namespace etalage::detail {

void check_training_shape(std::int64_t users, std::int64_t items) {
  if (users == 0 || items == 0)
    throw std::invalid_argument("data has shape (" + std::to_string(users) + ", " + std::to_string(items) +
                                "), must have at least one user and one item");
}

void check_training_rows(const CsrMatrix& user_items) {
  check_training_shape(user_items.rows, user_items.cols);
  for (const float v : user_items.values) {
    if (!std::isfinite(v)) throw std::invalid_argument(violated("user_items value", v, "finite"));
    if (!(std::abs(static_cast<double>(v)) <= kLargestValue))
      throw std::invalid_argument(violated("user_items value", v, "at most 1e15 in size; scale the values down"));
  }
}

}  // namespace etalage::detail
