// SPDX-License-Identifier: Apache-2.0
// Options structs to and from dicts, by the one list of fields that each struct has: Options::each(options, visit).
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/models/recommender.hpp"
#include "auto_options.hpp"
#include "model_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

inline constexpr const char* kExcludeLastWords = "'auto', 'session', True or False";

struct SetFromDict {
  const py::dict& d;
  /// "auto", "session", True or False.
  void operator()(const char* name, Auto<ExcludeLast>& field, const OptionRule& = {}) const {
    if (!d.contains(name) || says_auto(d, name)) return;
    if (py::isinstance<py::str>(d[name])) {
      if (!py::object(d[name]).equal(py::str("session")))
        throw std::invalid_argument(std::string(name) + " is " + describe(d[name]) + ", must be " + kExcludeLastWords);
      field = ExcludeLast::kSession;
    } else {
      bool yes = false;
      set_option(d, name, yes);
      field = yes ? ExcludeLast::kYes : ExcludeLast::kNo;
    }
  }
  template <class T>
  void operator()(const char* name, T& field, const OptionRule& rule = {}) const {
    try {
      set_option(d, name, field);
    } catch (const BeyondField& e) {
      if (rule.words().empty()) throw;
      throw BeyondField(name, e.value, std::string(rule.words()));
    }
  }
};

struct PutIntoDict {
  py::dict& d;
  Shown what = Shown::kGiven;
  template <class T>
  void operator()(const char* name, const T& field, const OptionRule& = {}) const {
    if constexpr (is_auto_option<T>) d[name] = what == Shown::kGiven && !field.given() ? py::str("auto") : to_python(field.value());
    else d[name] = to_python(field);
  }

 private:
  template <class T>
  static py::object to_python(const T& field) {
    if constexpr (std::is_same_v<T, ExcludeLast>) return field == ExcludeLast::kSession ? py::object(py::str("session")) : py::object(py::bool_(field == ExcludeLast::kYes));
    else if constexpr (std::is_enum_v<T>) return py::str(name_of_choice(field));
    else if constexpr (std::is_same_v<T, float>) return shortest(field);
    else if constexpr (std::is_same_v<T, std::vector<float>>) return numbers(field);
    else return py::cast(field);
  }
};

template <class T>
[[nodiscard]] std::string words_of_rule(const OptionRule& rule) {
  if constexpr (is_auto_option<T>) {
    using Value = std::remove_cvref_t<decltype(std::declval<const T&>().value())>;
    if constexpr (std::is_same_v<Value, ExcludeLast>) return kExcludeLastWords;
    else if constexpr (std::is_enum_v<Value>) return words_of_auto_choices<Value>();
    else return words_of_rule<Value>(rule);
  } else if constexpr (std::is_enum_v<T>) return words_of_choices<T>();
  else return std::string(rule.words());
}

template <class O>
[[nodiscard]] O options_from_dict(const py::dict& d) {
  O options;
  O::each(options, SetFromDict{d});
  options.validate();
  return options;
}

template <class O>
[[nodiscard]] py::dict options_to_dict(const O& options, Shown what = Shown::kGiven) {
  py::dict d;
  O::each(options, PutIntoDict{d, what});
  return d;
}

/// What each option must be, in words: {"factors": "in [1, 4096]", ...}; "" for anything of its type.
template <class O>
[[nodiscard]] py::dict option_rules() {
  py::dict d;
  const O usual;
  O::each(usual, [&](const char* name, const auto& field, const OptionRule& rule) {
    d[name] = words_of_rule<std::remove_cvref_t<decltype(field)>>(rule);
  });
  return d;
}

template <class Model>
using OptionsOf = std::remove_cvref_t<decltype(std::declval<const Model&>().options())>;

/// options and resolved.
template <class Model, class Class>
void bind_options(Class& c) {
  c.def_property_readonly("options", [](const Model& m) { return options_to_dict(m.options()); })
      .def_static("rules", &option_rules<OptionsOf<Model>>, "What each option must be, in words.")
      .def_property_readonly("resolved", [](const Model& m) { return options_to_dict(m.options(), Shown::kInUse); });
}

/// Made of a dict of options; with what they become on data of a shape, where fits choose any.
template <class Model, class Class>
void bind_made_of_options(Class& c) {
  using O = OptionsOf<Model>;
  c.def(py::init([](const py::dict& options) { return std::make_shared<Model>(options_from_dict<O>(options)); }), py::arg("options"));
  bind_options<Model>(c);
  if constexpr (requires(const O& o, const DataShape& shape) { settled(o, shape); })
    c.def_static("settled",
                 [](const py::dict& options, std::int64_t users, std::int64_t items, std::int64_t pairs, double item_mean) {
                   return options_to_dict(settled(options_from_dict<O>(options), shape_from(users, items, pairs, item_mean)), Shown::kInUse);
                 },
                 py::arg("options"), py::arg("users"), py::arg("items"), py::arg("pairs"), py::arg("item_mean"), "What options become on data of this shape.");
}

/// report and copy: what every model that is fitted has.
template <class Model, class Class>
void bind_fitted(Class& c) {
  c.def_property_readonly("report", [](const Model& m) { return m.report(); }).def("copy", [](const Model& m) { return std::make_shared<Model>(m); });
}

/// fit on Interactions.
template <class Model, class Class>
void bind_fit(Class& c) {
  c.def("fit",
        [](Model& m, const py::object& data, const py::object& callback) {
          const Interactions interactions = interactions_from_python(data);
          const ProgressCallback progress = progress_callback(callback);
          const py::gil_scoped_release release;
          m.fit(interactions, progress);
        },
        py::arg("data"), py::arg("callback"));
}

/// A model of options that is fitted on Interactions.
template <class Model, class Base>
py::class_<Model, Base, std::shared_ptr<Model>> bind_model(py::module_& m, const char* name) {
  py::class_<Model, Base, std::shared_ptr<Model>> c(m, name);
  bind_made_of_options<Model>(c);
  bind_fitted<Model>(c);
  bind_fit<Model>(c);
  return c;
}

}  // namespace etalage::python
