// SPDX-License-Identifier: Apache-2.0
// Keys and columns that Interactions, Sequences and EventLog hand out alike.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "etalage/core/array.hpp"
#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"
#include "one_key.hpp"

namespace etalage::python {

/// Keys of strings become Python objects once, not on every access.
inline py::object cached_keys(const py::object& self, const char* slot, const SharedIdMap& ids) {
  if (!ids) return py::none();
  return made_once(self, slot, [&] { return keys_to_numpy(*ids); });
}

inline py::object index_of(const SharedIdMap& ids, const py::object& keys, const char* what) {
  if (!ids) throw std::invalid_argument(std::string(what) + "_ids are not known: these data were made without keys");
  return index_or_one(*ids, keys, (std::string(what) + "_ids").c_str());
}

inline py::object map_or_none(const SharedIdMap& ids) {
  return ids ? py::cast(std::const_pointer_cast<IdMap>(ids)) : py::object(py::none());
}

template <class T>
py::object array_or_none(const Array<T>& a, bool present) {
  return present ? py::object(to_numpy(a)) : py::object(py::none());
}

}  // namespace etalage::python
