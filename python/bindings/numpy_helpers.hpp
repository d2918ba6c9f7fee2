// SPDX-License-Identifier: Apache-2.0
// What every binding needs to cross between numpy and the library. Errors name the argument, the value and the rule.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"

namespace etalage::python {

namespace py = pybind11;

/// Keeps a Python object alive from C++; released under the GIL on whatever thread comes last.
[[nodiscard]] std::shared_ptr<const void> keep_alive(py::object object);

/// A read-only numpy view of shared memory; its base capsule keeps the owner.
template <class T>
[[nodiscard]] py::array_t<T> to_numpy(const Array<T>& a, std::vector<py::ssize_t> shape = {}) {
  if (shape.empty()) shape = {static_cast<py::ssize_t>(a.size())};
  auto* held = new Array<T>(a);
  const py::capsule base(held, [](void* p) { delete static_cast<Array<T>*>(p); });
  py::array_t<T> out(std::move(shape), held->data(), base);
  out.attr("flags").attr("writeable") = false;
  return out;
}

/// Takes a vector over without a copy; the result is the caller's own, writable.
template <class T>
[[nodiscard]] py::array_t<T> take(std::vector<T>&& v, std::vector<py::ssize_t> shape = {}) {
  if (shape.empty()) shape = {static_cast<py::ssize_t>(v.size())};
  auto* held = new std::vector<T>(std::move(v));
  const py::capsule base(held, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return py::array_t<T>(std::move(shape), held->data(), base);
}

/// "str of value 'x'" and the like, shortened: what was received, for messages.
[[nodiscard]] std::string describe(py::handle value);

/// Any number-like array or list as a contiguous array of T with `ndim` dimensions (-1: any). Integers do not come from
/// floats, booleans, strings or objects; values that T cannot hold are refused. TypeError or ValueError otherwise.
/// No copy when dtype and layout fit already.
template <class T>
[[nodiscard]] py::array_t<T, py::array::c_style> from_numpy(py::handle value, const char* argument, int ndim);

/// The same memory as an Array that keeps the numpy array alive.
template <class T>
[[nodiscard]] Array<T> wrap(const py::array_t<T, py::array::c_style>& a) {
  if (a.size() == 0) return {};
  return Array<T>::wrap(a.data(), static_cast<std::size_t>(a.size()), keep_alive(a));
}

/// Any scipy sparse matrix or array, or a two-dimensional numeric array, as rows. int32 and int64 indices alike; shares
/// float32 values and int32 columns with the caller. Validated: monotone offsets, columns in range, finite values.
[[nodiscard]] CsrMatrix csr_from_python(py::handle matrix, const char* argument);

/// A copy that nobody else can write to: for what outlives the call that got a caller's arrays.
[[nodiscard]] CsrMatrix owned(const CsrMatrix& matrix);

/// scipy.sparse.csr_matrix over the same memory, read-only.
[[nodiscard]] py::object csr_to_python(const CsrMatrix& matrix);

}  // namespace etalage::python
