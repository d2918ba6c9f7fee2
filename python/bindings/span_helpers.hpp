// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pybind11/numpy.h>

#include <cstddef>
#include <span>

namespace etalage::python {

namespace py = pybind11;

/// All numbers of an array, row after row.
template <class T>
std::span<const T> span_of(const py::array_t<T, py::array::c_style>& a) {
  return {a.data(), static_cast<std::size_t>(a.size())};
}

}  // namespace etalage::python
