// SPDX-License-Identifier: Apache-2.0
// What the bindings of all models on Sequences share.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <type_traits>
#include <utility>

#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/models/sequence_model.hpp"
#include "model_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {

template <class Model, class Fields>
auto bind_sequence_model(py::module_& m, const char* name, const Fields& fields) {
  using O = std::remove_cvref_t<decltype(std::declval<const Model&>().options())>;
  return py::class_<Model, SequenceModel, std::shared_ptr<Model>>(m, name)
      .def(py::init([fields](const py::dict& options) { return std::make_shared<Model>(options_from_dict<O>(options, fields)); }),
           py::arg("options"))
      .def_property_readonly("options", [fields](const Model& s) { return options_to_dict(s.options(), fields); })
      .def_property_readonly("report", [](const Model& s) { return s.report(); })
      .def("copy", [](const Model& s) { return std::make_shared<Model>(s); })
      .def("fit",
           [](Model& s, const Sequences& given, const py::object& callback) {
             const Sequences sequences = given;
             const ProgressCallback progress = progress_callback(callback);
             const py::gil_scoped_release release;
             s.fit(sequences, progress);
           },
           py::arg("sequences"), py::arg("callback").none(true));
}

template <class Model>
std::shared_ptr<Model> add_sessions(const std::shared_ptr<Model>& model, const Sequences& given) {
  const Sequences sequences = given;
  return changed(model, small_change(static_cast<std::size_t>(sequences.size()), sequences.items().size()),
                 [&](Model& m) { m.add_sessions(sequences); });
}

}  // namespace etalage::python
