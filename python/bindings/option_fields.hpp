// SPDX-License-Identifier: Apache-2.0
// Options structs described once, as fields(options, visit) with visit("name", field) or visit("name", field, choices).
#pragma once

#include <pybind11/pybind11.h>

#include <initializer_list>
#include <type_traits>
#include <utility>

#include "etalage/models/recommender.hpp"
#include "auto_options.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

struct SetFromDict {
  const py::dict& d;
  /// "auto", True or False.
  void operator()(const char* name, ExcludeLast& field) const {
    if (!d.contains(name)) return;
    const py::object value = d[name];
    bool yes = false;
    if (py::isinstance<py::str>(value)) {
      set_choice(d, name, field, {{"auto", ExcludeLast::kAuto}});
    } else {
      set_option(d, name, yes);
      field = yes ? ExcludeLast::kYes : ExcludeLast::kNo;
    }
  }
  template <class T>
  void operator()(const char* name, T& field) const {
    set_option(d, name, field);
  }
  template <class E>
  void operator()(const char* name, Auto<E>& field, std::initializer_list<std::pair<const char*, E>> choices) const {
    set_choice(d, name, field, choices);
  }
  template <class E>
  void operator()(const char* name, E& field, std::initializer_list<std::pair<const char*, E>> choices) const {
    set_choice(d, name, field, choices);
  }
};

struct PutIntoDict {
  py::dict& d;
  Shown what = Shown::kGiven;
  void operator()(const char* name, ExcludeLast field) const {
    d[name] = field == ExcludeLast::kAuto ? py::object(py::str("auto")) : py::object(py::bool_(field == ExcludeLast::kYes));
  }
  template <class T>
  void operator()(const char* name, const Auto<T>& field) const {
    d[name] = shown(field, what);
  }
  template <class E>
  void operator()(const char* name, const Auto<E>& field, std::initializer_list<std::pair<const char*, E>> choices) const {
    d[name] = shown(field, what, choices);
  }
  template <class T>
  void operator()(const char* name, const T& field) const {
    if constexpr (std::is_same_v<T, float>)
      // The shortest decimal that gives the same float: 0.01, not 0.009999999776.
      d[name] = py::module_::import("builtins").attr("float")(py::str(py::module_::import("numpy").attr("float32")(field)));
    else d[name] = field;
  }
  template <class E>
  void operator()(const char* name, const E& field, std::initializer_list<std::pair<const char*, E>> choices) const {
    d[name] = name_of_choice(field, choices);
  }
};

template <class O, class Fields>
[[nodiscard]] O options_from_dict(const py::dict& d, const Fields& fields) {
  O options;
  fields(options, SetFromDict{d});
  options.validate();
  return options;
}

template <class O, class Fields>
[[nodiscard]] py::dict options_to_dict(const O& options, const Fields& fields, Shown what = Shown::kGiven) {
  py::dict d;
  fields(options, PutIntoDict{d, what});
  return d;
}

}  // namespace etalage::python
