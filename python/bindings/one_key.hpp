// SPDX-License-Identifier: Apache-2.0
// Look-ups that take one key as well as many.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>

#include "id_map_helpers.hpp"

namespace etalage::python {

/// int32 [n] of n keys, or one int32 of a single key: text, a number, or an array without dimensions.
[[nodiscard]] inline pybind11::object index_or_one(const IdMap& ids, const pybind11::object& keys, const char* name) {
  namespace py = pybind11;
  py::list one;
  if (py::isinstance<py::str>(keys) || py::isinstance<py::int_>(keys) || py::isinstance<py::float_>(keys)) one.append(keys);
  else if (py::hasattr(keys, "ndim") && py::hasattr(keys, "item") && py::object(keys.attr("ndim")).equal(py::int_(0))) one.append(keys.attr("item")());
  else return find_keys(ids, keys, name);
  return py::object(find_keys(ids, one, name)[py::int_(0)]);
}

}  // namespace etalage::python
