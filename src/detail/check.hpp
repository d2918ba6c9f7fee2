// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace etalage::detail {

/// "name is value, must be rule"
template <class T>
[[nodiscard]] std::string violated(const char* name, const T& value, const char* rule) {
  std::ostringstream s;
  s.imbue(std::locale::classic());
  s << name << " is " << value << ", must be " << rule;
  return s.str();
}

template <class T>
void require(bool ok, const char* name, const T& value, const char* rule) {
  if (!ok) throw std::invalid_argument(violated(name, value, rule));
}

/// Finite and inside the rule that the caller tested.
template <class T>
void require_finite(bool ok, const char* name, T value, const char* rule) {
  if (!std::isfinite(value) || !ok) throw std::invalid_argument(violated(name, value, rule));
}

inline void require_index(std::int64_t index, std::int64_t size, const char* name) {
  if (index < 0 || index >= size)
    throw std::out_of_range(std::string(name) + " is " + std::to_string(index) + ", must be in [0, " +
                            std::to_string(size) + ")");
}

}  // namespace etalage::detail
