// SPDX-License-Identifier: Apache-2.0
// The rules of options, as the list of their fields says them.
#pragma once

#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "detail/check.hpp"
#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"

namespace etalage {

/// "auto, exact or candidates"
template <class E>
[[nodiscard]] std::string words_of_choices() {
  std::string out;
  for (std::size_t i = 0; i < option_names<E>.size(); ++i)
    out += (i == 0 ? "" : i + 1 == option_names<E>.size() ? " or " : ", ") + std::string(option_names<E>[i].first);
  return out;
}

/// std::invalid_argument names the field, its value and the rule that it breaks.
template <class T>
void require_option(const char* name, const T& value, const OptionRule& rule) {
  if constexpr (is_auto_option<T>) {
    require_option(name, value.value(), rule);
  } else if constexpr (std::is_same_v<T, std::vector<float>>) {
    for (const float entry : value) require_option(name, entry, rule);
  } else if constexpr (std::is_enum_v<T>) {
    for (const auto& choice : option_names<T>)
      if (choice.second == value) return;
    if (!option_names<T>.empty())
      throw std::invalid_argument(detail::violated(name, static_cast<std::int64_t>(value), words_of_choices<T>().c_str()));
  } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
    if (rule.words().empty()) return;
    std::string_view broken = rule.broken_by(value);
    if constexpr (std::is_floating_point_v<T>)
      if (!std::isfinite(value)) broken = rule.first();
    if (!broken.empty()) throw std::invalid_argument(detail::violated(name, value, std::string(broken).c_str()));
  }
}

/// Every field by its own rule; what fields must be together is for validate() to add.
template <class O>
void require_options(const O& options) {
  O::each(options, [](const char* name, const auto& field, const OptionRule& rule) { require_option(name, field, rule); });
}

}  // namespace etalage
