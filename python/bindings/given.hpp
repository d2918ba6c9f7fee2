// SPDX-License-Identifier: Apache-2.0
// Arguments of what callers use directly. pybind11 answers an argument of a wrong type with the whole signature; these are read under their
// names, by the rules of options, and the error says argument, value and rule.
#pragma once

#include <pybind11/pybind11.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <type_traits>

#include "numpy_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

/// A T as it was given; (name) reads it. Signatures and stubs show the T.
template <class T>
struct Given {
  py::object object;

  [[nodiscard]] T operator()(const char* name) const {
    T value{};
    read(object, name, value);
    return value;
  }

 private:
  template <class U>
  static void read(const py::handle given, const char* name, U& value) {
    py::dict one;
    one[name] = given;
    set_option(one, name, value);
  }
  template <class U>
  static void read(const py::handle given, const char* name, std::optional<U>& value) {
    if (!given.is_none()) read(given, name, value.emplace());
  }
  static void read(const py::handle given, const char* name, std::filesystem::path& value) {
    const auto path = py::reinterpret_steal<py::object>(PyOS_FSPath(given.ptr()));
    if (!path) {
      PyErr_Clear();
      throw py::type_error(std::string(name) + " is " + describe(given) + ", must be a path");
    }
    value = py::cast<std::filesystem::path>(path);
  }
  static void read(const py::handle given, const char* name, std::map<std::string, double>& value) {
    if (!py::isinstance(given, py::module_::import("collections.abc").attr("Mapping")))
      throw py::type_error(std::string(name) + " is " + describe(given) + ", must be a mapping of names to numbers");
    for (const auto& entry : py::dict(py::reinterpret_borrow<py::object>(given))) {
      if (!py::isinstance<py::str>(entry.first)) throw py::type_error(std::string(name) + " names " + describe(entry.first) + ", must be a mapping of names to numbers");
      const std::string key = text_from(entry.first, name);
      read(entry.second, (std::string(name) + "['" + key + "']").c_str(), value[key]);
    }
  }
};

using Text = Given<std::string>;
using MaybeText = Given<std::optional<std::string>>;
using Count = Given<int>;
using Flag = Given<bool>;

}  // namespace etalage::python

namespace pybind11::detail {
template <class T>
struct type_caster<etalage::python::Given<T>> {
  PYBIND11_TYPE_CASTER(etalage::python::Given<T>, make_caster<T>::name);
  bool load(handle src, bool) {
    value.object = reinterpret_borrow<pybind11::object>(src);
    return true;
  }
  static handle cast(const etalage::python::Given<T>& given, return_value_policy, handle) { return given.object.inc_ref(); }
};
}  // namespace pybind11::detail
