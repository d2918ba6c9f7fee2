// SPDX-License-Identifier: Apache-2.0
// The rules of options, as the list of their fields says them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "detail/check.hpp"
#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"

namespace etalage {

/// "'l1', 'l2' or None": choices as errors and rules list them.
[[nodiscard]] std::string listed_choices(std::span<const std::string> choices);
/// "'auto'"
[[nodiscard]] std::string quoted_choice(std::string_view choice);

/// "'auto', 'exact' or 'candidates'", and what else may be said.
template <class Choices>
[[nodiscard]] std::string words_of_choices(const Choices& choices, const std::vector<std::string>& others = {}) {
  std::vector<std::string> words;
  for (const auto& choice : choices) words.push_back(quoted_choice(choice.first));
  words.insert(words.end(), others.begin(), others.end());
  return listed_choices(words);
}
template <class E>
[[nodiscard]] std::string words_of_choices(const std::vector<std::string>& others = {}) {
  return words_of_choices(option_names<E>, others);
}

/// "'auto', 'exact' or 'candidates'", of an enumeration that a fit chooses from unless a value is given.
template <class E>
[[nodiscard]] std::string words_of_auto_choices() {
  std::vector<OptionName<E>> choices{{"auto", E{}}};
  choices.insert(choices.end(), option_names<E>.begin(), option_names<E>.end());
  return words_of_choices(choices);
}

template <class T>
inline constexpr bool is_option_list = false;
template <class T>
inline constexpr bool is_option_list<std::vector<T>> = std::is_arithmetic_v<T>;
template <class T>
inline constexpr bool is_optional_option = false;
template <class T>
inline constexpr bool is_optional_option<std::optional<T>> = true;

/// std::invalid_argument names the field, its value and the rule that it breaks.
template <class T>
void require_option(const char* name, const T& value, const OptionRule& rule) {
  if constexpr (is_auto_option<T>) {
    using E = std::remove_cvref_t<decltype(value.value())>;
    if constexpr (std::is_enum_v<E>) {
      for (const auto& choice : option_names<E>)
        if (choice.second == value.value()) return;
      throw std::invalid_argument(detail::violated(name, static_cast<std::int64_t>(value.value()), words_of_auto_choices<E>().c_str()));
    } else {
      require_option(name, value.value(), rule);
    }
  } else if constexpr (is_optional_option<T>) {
    if (value) require_option(name, *value, rule);
  } else if constexpr (is_option_list<T>) {
    for (const auto& entry : value) require_option(name, entry, rule);
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
