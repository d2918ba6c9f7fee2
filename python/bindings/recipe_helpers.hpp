// SPDX-License-Identifier: Apache-2.0
// How events became a matrix, beside the matrix: etalage.Recipe, which models take over from what they are fitted on.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <utility>

namespace etalage::python {

/// What was made of a log, as a Python object that knows its options by name.
template <class T>
[[nodiscard]] pybind11::object with_recipe(std::shared_ptr<T> made, const pybind11::dict& options) {
  pybind11::object out = pybind11::cast(std::move(made));
  pybind11::setattr(out, "_recipe", pybind11::module_::import("etalage._recipe").attr("of_options")(options));
  return out;
}

[[nodiscard]] inline pybind11::object recipe_of(const pybind11::object& self) { return pybind11::getattr(self, "_recipe", pybind11::none()); }

}  // namespace etalage::python
