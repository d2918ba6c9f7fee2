// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

#include "detail/check.hpp"

namespace etalage::marketing {

/// "column[row] is value, must be rule", the text being made only where it is needed: columns are long.
inline void require_row(bool ok, const char* column, std::size_t row, double value, const char* rule) {
  if (!ok) throw std::invalid_argument(detail::violated((std::string(column) + "[" + std::to_string(row) + "]").c_str(), value, rule));
}

/// A count that a double holds exactly.
inline bool whole(double value, double low, double high) { return value >= low && value <= high && value == std::floor(value); }

}  // namespace etalage::marketing
