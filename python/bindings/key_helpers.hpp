// SPDX-License-Identifier: Apache-2.0
// The shop's keys and the names of placements, from Python and back.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "etalage/serving/key.hpp"
#include "etalage/serving/request.hpp"
#include "id_map_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

namespace py = pybind11;

/// A key of the shop: str, or anything that is an integer, by the rules of id_map_helpers.hpp.
inline Key key_from(py::handle value, const char* argument) {
  if (py::isinstance<py::str>(value)) return std::string(text_of(value, argument));
  if (const auto number = whole_number(value)) {
    if (!number->second) throw std::invalid_argument(std::string(argument) + " is " + std::string(py::str(value)) + ", must fit in 64 bits");
    return number->first;
  }
  throw py::type_error(std::string(argument) + " is " + describe(value) + ", must be a string or an integer");
}

inline py::object key_to(const Key& key) {
  return std::visit([](const auto& k) -> py::object { return py::cast(k); }, key);
}

inline std::vector<Key> keys_from(const py::object& values, const char* argument) {
  std::vector<Key> out;
  if (values.is_none()) return out;
  if (py::isinstance<py::str>(values) || PyIndex_Check(values.ptr())) return {key_from(values, argument)};
  for (const py::handle v : values) out.push_back(key_from(v, argument));
  return out;
}

inline std::vector<KeyView> views_of(const std::vector<Key>& keys) {
  std::vector<KeyView> out;
  for (const Key& k : keys) out.push_back(view_of(k));
  return out;
}

inline Placement placement_from(const std::string& name) {
  const auto placement = placement_from_name(name);
  if (!placement)
    throw std::invalid_argument("placement is '" + name + "', must be one of home, product_page, basket, category_page, search, email");
  return *placement;
}

}  // namespace etalage::python
