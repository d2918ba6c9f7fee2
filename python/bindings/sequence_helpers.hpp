// SPDX-License-Identifier: Apache-2.0
// What the bindings of all models on Sequences share.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "etalage/core/progress.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/models/sequence_model.hpp"
#include "model_helpers.hpp"
#include "option_fields.hpp"

namespace etalage::python {

template <class Model>
auto bind_sequence_model(py::module_& m, const char* name) {
  py::class_<Model, SequenceModel, std::shared_ptr<Model>> c(m, name);
  bind_made_of_options<Model>(c);
  bind_fitted<Model>(c);
  c.def("fit",
        [](Model& s, const Sequences& given, const py::object& callback) {
          const Sequences sequences = given;
          const ProgressCallback progress = progress_callback(callback);
          const py::gil_scoped_release release;
          s.fit(sequences, progress);
        },
        py::arg("sequences"), py::arg("callback").none(true));
  return c;
}

template <class Model>
std::shared_ptr<Model> add_sessions(const std::shared_ptr<Model>& model, const Sequences& given) {
  const Sequences sequences = given;
  return changed(model, small_change(static_cast<std::size_t>(sequences.size()), sequences.items().size()),
                 [&](Model& m) { m.add_sessions(sequences); });
}

}  // namespace etalage::python
