// SPDX-License-Identifier: Apache-2.0
// Options structs from keyword arguments, with messages that name the argument.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "etalage/core/option_names.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

/// An integer that its field cannot hold: whoever knows the option's own rule says that one.
struct BeyondField : std::invalid_argument {
  BeyondField(const char* name, std::string given, const std::string& rule)
      : std::invalid_argument(std::string(name) + " is " + given + ", must be " + rule), value(std::move(given)) {}
  std::string value;
};

/// Sets `field` from options[name] when it is there. Integers come from integers alone, numbers from integers and floats
/// (numpy's too); TypeError otherwise, ValueError for an integer that the field cannot hold.
template <class T>
  requires std::is_arithmetic_v<T>
void set_option(const py::dict& options, const char* name, T& field) {
  if (!options.contains(name)) return;
  const py::object value = options[name];
  // numpy's own are called bool_ before numpy 2.
  const std::string type = py::str(py::type::handle_of(value).attr("__name__"));
  const bool is_bool = type == "bool" || type == "bool_";
  const auto refuse = [&](const char* rule) {
    throw py::type_error(std::string(name) + " is " + describe(value) + ", must be " + rule);
  };
  if constexpr (std::is_same_v<T, bool>) {
    if (!is_bool) refuse("True or False");
    field = py::cast<bool>(py::bool_(value));
  } else if constexpr (std::is_integral_v<T>) {
    if (is_bool || !PyIndex_Check(value.ptr())) refuse("an integer");
    const py::object integer = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!integer) {  // an array of several
      PyErr_Clear();
      refuse("an integer");
    }
    const bool low = PyObject_RichCompareBool(integer.ptr(), py::int_(std::numeric_limits<T>::min()).ptr(), Py_LT) == 1;
    if (low || PyObject_RichCompareBool(integer.ptr(), py::int_(std::numeric_limits<T>::max()).ptr(), Py_GT) == 1)
      throw BeyondField(name, py::str(integer), "in [" + std::to_string(std::numeric_limits<T>::min()) + ", " + std::to_string(std::numeric_limits<T>::max()) + "]");
    field = py::cast<T>(integer);
  } else {
    if (is_bool || (!PyIndex_Check(value.ptr()) && !PyFloat_Check(value.ptr()) && !py::hasattr(value, "__float__")))
      refuse("a number");
    const double number = PyFloat_AsDouble(value.ptr());
    if (number == -1.0 && PyErr_Occurred() != nullptr) {
      const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
      PyErr_Clear();
      if (too_large) throw std::invalid_argument(std::string(name) + " is " + describe(value) + ", must be a number that a float64 holds");
      refuse("a number");
    }
    field = static_cast<T>(number);
  }
}

/// A string's bytes; TypeError for anything else, ValueError for half a surrogate pair, which UTF-8 has no bytes for.
[[nodiscard]] inline std::string text_from(py::handle value, const char* name) {
  if (!py::isinstance<py::str>(value)) throw py::type_error(std::string(name) + " is " + describe(value) + ", must be a string");
  py::ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
  if (bytes == nullptr) {
    PyErr_Clear();
    throw std::invalid_argument(std::string(name) + " is " + describe(value) + ", must be text that UTF-8 can write");
  }
  return {bytes, static_cast<std::size_t>(size)};
}

/// The same for text, for what None leaves out, and for a list of numbers.
inline void set_option(const py::dict& options, const char* name, std::string& field) {
  if (!options.contains(name)) return;
  const py::object value = options[name];
  field = text_from(value, name);
}
template <class T>
void set_option(const py::dict& options, const char* name, std::optional<T>& field) {
  if (options.contains(name) && !py::object(options[name]).is_none()) set_option(options, name, field.emplace());
}
template <class T>
  requires std::is_arithmetic_v<T>
void set_option(const py::dict& options, const char* name, std::vector<T>& field) {
  if (!options.contains(name)) return;
  const py::object value = options[name];
  if (!py::isinstance<py::sequence>(value) || py::isinstance<py::str>(value))
    throw py::type_error(std::string(name) + " is " + describe(value) + ", must be a list of " + (std::is_integral_v<T> ? "integers" : "numbers"));
  std::vector<T> out;
  for (const py::handle element : py::reinterpret_borrow<py::sequence>(value)) {
    py::dict one;
    one[name] = element;
    T number = 0;
    set_option(one, name, number);
    out.push_back(number);
  }
  field = std::move(out);
}

/// The same for an enumeration, by name; choices are pairs (const char*, E).
template <class E, class Choices = std::initializer_list<OptionName<E>>>
void set_choice(const py::dict& options, const char* name, E& field, const Choices& choices) {
  if (!options.contains(name)) return;
  const py::object value = options[name];
  for (const auto& [text, choice] : choices) {
    if (py::isinstance<py::str>(value) && value.equal(py::str(text))) {
      field = choice;
      return;
    }
  }
  throw std::invalid_argument(std::string(name) + " is " + describe(value) + ", must be " + words_of_choices(choices));
}

/// By the words that the enumeration has for all languages.
template <class E>
  requires std::is_enum_v<E>
void set_option(const py::dict& options, const char* name, E& field) {
  set_choice(options, name, field, option_names<E>);
}

/// The shortest decimal that gives the same float: 0.01, not 0.009999999776.
[[nodiscard]] inline py::object shortest(float value) {
  return py::module_::import("builtins").attr("float")(py::str(py::module_::import("numpy").attr("float32")(value)));
}

[[nodiscard]] inline py::tuple numbers(const std::vector<float>& values) {
  py::tuple out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = shortest(values[i]);
  return out;
}

/// The name of a choice.
template <class E, class Choices = std::initializer_list<OptionName<E>>>
[[nodiscard]] const char* name_of_choice(E field, const Choices& choices) {
  for (const auto& [text, choice] : choices)
    if (choice == field) return text;
  return "";
}
template <class E>
[[nodiscard]] const char* name_of_choice(E field) {
  return name_of_choice(field, option_names<E>);
}

}  // namespace etalage::python
