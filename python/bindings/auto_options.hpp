// SPDX-License-Identifier: Apache-2.0
// Options that a fit chooses unless they are given: "auto" in Python.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "etalage/core/auto_option.hpp"
#include "models/auto_settings.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

/// Which of the two an options dict shows.
enum class Shown : std::uint8_t { kGiven, kInUse };

[[nodiscard]] inline bool says_auto(const py::dict& options, const char* name) {
  const py::object value = options[name];
  return py::isinstance<py::str>(value) && value.equal(py::str("auto"));
}

template <class T>
void set_option(const py::dict& options, const char* name, Auto<T>& field) {
  if (!options.contains(name)) return;
  if (says_auto(options, name)) return;  // as the options are made
  if (!std::is_enum_v<T> && py::isinstance<py::str>(options[name])) {
    const char* rule = std::is_same_v<T, bool> ? "True, False" : std::is_integral_v<T> ? "an integer" : "a number";
    throw py::type_error(std::string(name) + " is " + describe(options[name]) + ", must be " + rule + " or 'auto'");
  }
  T value = field.value();
  if constexpr (std::is_enum_v<T>) {
    const py::object said = options[name];
    for (const auto& [word, choice] : option_names<T>)
      if (py::isinstance<py::str>(said) && said.equal(py::str(word))) {
        field = choice;
        return;
      }
    throw std::invalid_argument(std::string(name) + " is " + describe(said) + ", must be " + words_of_auto_choices<T>());
  }
  set_option(options, name, value);
  field = value;
}

[[nodiscard]] inline DataShape shape_from(std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
  return {users, items, pairs, item_mean};
}

}  // namespace etalage::python
