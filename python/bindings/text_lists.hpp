// SPDX-License-Identifier: Apache-2.0
// Arguments that are one text or a list of texts.
#pragma once

#include <pybind11/pybind11.h>

#include <string>
#include <variant>
#include <vector>

#include "numpy_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {

using TextOrTexts = std::variant<std::string, std::vector<std::string>>;

/// A string as it is, or the strings of a list. must: the rule, for errors.
[[nodiscard]] inline TextOrTexts text_or_texts(const py::handle given, const char* name, const char* must) {
  if (py::isinstance<py::str>(given)) return text_from(given, name);
  if (py::isinstance<py::bytes>(given) || py::isinstance<py::bytearray>(given) || py::isinstance<py::dict>(given) || !py::isinstance<py::iterable>(given))
    throw py::type_error(std::string(name) + " is " + describe(given) + ", must be " + must);
  std::vector<std::string> texts;
  for (const py::handle text : py::reinterpret_borrow<py::object>(given)) {
    if (!py::isinstance<py::str>(text)) throw py::type_error(std::string(name) + " holds " + describe(text) + ", must be " + must);
    texts.push_back(text_from(text, name));
  }
  return texts;
}

}  // namespace etalage::python
