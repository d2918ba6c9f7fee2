// SPDX-License-Identifier: Apache-2.0
// The shop's keys and the names of placements, from Python and back.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "etalage/core/id_map.hpp"
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

/// std::invalid_argument for a key of the other kind than a map's, which no key there could ever equal.
inline void require_kind(const IdMap& ids, const Key& key, const char* argument) {
  const bool strings = ids.kind() == IdMap::Kind::kString;
  if (ids.empty() || std::holds_alternative<std::string>(key) == strings) return;
  const auto* text = std::get_if<std::string>(&key);
  throw std::invalid_argument(std::string(argument) + " is " + (text != nullptr ? "'" + *text + "'" : std::to_string(std::get<std::int64_t>(key))) +
                              ", must be " + (strings ? "a string" : "an integer") + ", as the models' keys are (" + ids.text_at(0) + ", ...)");
}

inline py::object key_to(const Key& key) {
  return std::visit([](const auto& k) -> py::object { return py::cast(k); }, key);
}

inline std::vector<Key> keys_from(const py::object& values, const char* argument) {
  std::vector<Key> out;
  if (values.is_none()) return out;
  // An array has __index__ too, but is a list of keys; one without dimensions is a key.
  const bool array = py::hasattr(values, "ndim") && py::hasattr(values, "item");
  if (array && values.attr("ndim").cast<int>() == 0) return {key_from(values.attr("item")(), argument)};
  if (py::isinstance<py::str>(values) || (!array && PyIndex_Check(values.ptr()))) return {key_from(values, argument)};
  if (py::isinstance<py::bytes>(values) || !py::isinstance<py::iterable>(values))
    throw py::type_error(std::string(argument) + " is " + describe(values) + ", must be a key or a list of keys: str or int");
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
