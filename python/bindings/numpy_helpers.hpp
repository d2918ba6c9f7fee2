// SPDX-License-Identifier: Apache-2.0
// What every binding needs to cross between numpy and the library. Errors name the argument, the value and the rule.
// Every binding reads pybind11's casters from here at the latest: what a std::vector or a path becomes is the same in all.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/matrix_view.hpp"

namespace etalage::python {

namespace py = pybind11;

/// Keeps a Python object alive from C++; released under the GIL on whatever thread comes last. For what ends with the
/// call: nothing that outlives it may need the interpreter to be freed.
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

/// The rows of an array of two dimensions, as it lies in memory.
[[nodiscard]] inline MatrixView<const float> float_rows(const py::array_t<float, py::array::c_style>& a) {
  return {a.data(), static_cast<std::size_t>(a.shape(0)), static_cast<std::size_t>(a.shape(1))};
}

/// The caller's own array, of memory that numpy allocated: writable, and able to become so again once it is set read-only.
template <class T>
[[nodiscard]] py::array_t<T> take(const std::vector<T>& v, std::vector<py::ssize_t> shape = {}) {
  if (shape.empty()) shape = {static_cast<py::ssize_t>(v.size())};
  py::array_t<T> out(std::move(shape));
  std::copy(v.begin(), v.end(), out.mutable_data());
  return out;
}

/// Before an answer of n x k that takes `bytes` in all is allocated: std::invalid_argument when n x k is above 2^31,
/// MemoryError that names the size when the process cannot have it.
void check_cells(std::size_t n, std::size_t k, std::size_t bytes);

/// "str of value 'x'" and the like, shortened: what was received, for messages.
[[nodiscard]] std::string describe(py::handle value);

/// Any number-like array or list as a contiguous array of T with `ndim` dimensions (-1: any). Integers do not come from
/// floats, booleans, strings or objects; values that T cannot hold are refused. TypeError or ValueError otherwise.
/// What a mask hides is NaN among floats and refused among integers. No copy when dtype and layout fit already.
template <class T>
[[nodiscard]] py::array_t<T, py::array::c_style> from_numpy(py::handle value, const char* argument, int ndim);

/// The same memory as an Array that keeps the numpy array alive: for what a call reads, and no longer.
template <class T>
[[nodiscard]] Array<T> wrap(const py::array_t<T, py::array::c_style>& a) {
  if (a.size() == 0) return {};
  return Array<T>::wrap(a.data(), static_cast<std::size_t>(a.size()), keep_alive(a));
}

/// A copy that nobody else can write to: for what outlives the call.
template <class T>
[[nodiscard]] Array<T> kept(const py::array_t<T, py::array::c_style>& a) {
  if (a.size() == 0) return {};
  return Array<T>(std::span<const T>(a.data(), static_cast<std::size_t>(a.size())));
}

/// Any scipy sparse matrix or array, Interactions, or a two-dimensional numeric array, as rows. int32 and int64 indices
/// alike; shares float32 values and int32 columns with the caller, so for what a call reads, and no longer. Validated:
/// monotone offsets, columns in range, finite values. A masked cell is a pair that nobody observed.
[[nodiscard]] CsrMatrix csr_from_python(py::handle matrix, const char* argument);

/// The same in memory that nobody else can write to: for what outlives the call.
[[nodiscard]] CsrMatrix kept_csr(py::handle matrix, const char* argument);

/// scipy.sparse.csr_matrix over the same memory, read-only.
[[nodiscard]] py::object csr_to_python(const CsrMatrix& matrix);

/// scipy.sparse.csr_matrix of the caller's own: its methods that work in place do, and never reach the library.
[[nodiscard]] py::object csr_copy_to_python(const CsrMatrix& matrix);

/// What `make` gives for an object, made on first access and kept in the object's attribute `slot`.
template <class F>
[[nodiscard]] py::object made_once(const py::object& self, const char* slot, const F& make) {
  if (!py::hasattr(self, slot)) py::setattr(self, slot, make());
  return self.attr(slot);
}

/// put(d, "a", x, "b", y): d["a"] = x, d["b"] = y.
template <class Value, class... More>
void put(const py::dict& d, const char* name, Value&& value, More&&... more) {
  d[name] = std::forward<Value>(value);
  if constexpr (sizeof...(more) > 0) put(d, std::forward<More>(more)...);
}

}  // namespace etalage::python
