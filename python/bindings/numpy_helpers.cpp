// SPDX-License-Identifier: Apache-2.0
#include "numpy_helpers.hpp"

#include <limits>
#include <stdexcept>

namespace etalage::python {
namespace {

py::module_ numpy() { return py::module_::import("numpy"); }

/// An array of whatever dtype the value has; TypeError for ragged lists and things that are no arrays.
py::array as_array(py::handle value, const char* argument) {
  if (py::isinstance<py::array>(value)) return py::reinterpret_borrow<py::array>(value);
  if (value.is_none() || py::isinstance<py::str>(value) || py::isinstance<py::bytes>(value) ||
      py::isinstance<py::dict>(value))
    throw py::type_error(std::string(argument) + " is " + describe(value) + ", must be a numeric array or list");
  try {
    return numpy().attr("asarray")(value);
  } catch (py::error_already_set& e) {
    if (!e.matches(PyExc_ValueError) && !e.matches(PyExc_TypeError)) throw;
    throw std::invalid_argument(std::string(argument) + " is " + describe(value) +
                                ", must be a numeric array or list whose rows have one length");
  }
}

std::string shape_of(const py::array& a) { return py::str(a.attr("shape")); }

void check_ndim(const py::array& a, const char* argument, int ndim) {
  if (ndim >= 0 && a.ndim() != ndim)
    throw std::invalid_argument(std::string(argument) + " has shape " + shape_of(a) + ", must have " +
                                std::to_string(ndim) + (ndim == 1 ? " dimension" : " dimensions"));
}

template <class T>
py::array_t<T, py::array::c_style> contiguous(const py::object& a) {
  return py::array_t<T, py::array::c_style>(
      numpy().attr("ascontiguousarray")(a, py::arg("dtype") = py::dtype::of<T>()));
}

template <class T>
py::array_t<T, py::array::c_style> integers(py::handle value, const char* argument, int ndim) {
  py::array a = as_array(value, argument);
  const char kind = a.dtype().kind();
  // An empty list has numpy's default dtype, float64.
  if (a.size() == 0 && (kind == 'f' || kind == 'O')) a = a.attr("astype")(py::dtype::of<T>());
  else if (kind != 'i' && kind != 'u')
    throw py::type_error(std::string(argument) + " has dtype " + std::string(py::str(a.dtype())) +
                         ", must be an integer array or list");
  check_ndim(a, argument, ndim);
  if (a.size() != 0 && !a.dtype().equal(py::dtype::of<T>())) {
    const py::object low = a.attr("min")();
    const py::object high = a.attr("max")();
    const py::int_ smallest(static_cast<long long>(std::numeric_limits<T>::min()));
    const py::int_ largest(static_cast<long long>(std::numeric_limits<T>::max()));
    const bool too_low = py::int_(low).attr("__lt__")(smallest).cast<bool>();
    if (too_low || py::int_(high).attr("__gt__")(largest).cast<bool>())
      throw std::out_of_range(std::string(argument) + " holds " + std::string(py::str(too_low ? low : high)) +
                              ", must fit in " + std::to_string(8 * sizeof(T)) + " bits");
  }
  return contiguous<T>(a);
}

template <class T>
py::array_t<T, py::array::c_style> reals(py::handle value, const char* argument, int ndim) {
  py::array a = as_array(value, argument);
  const char kind = a.dtype().kind();
  if (kind != 'f' && kind != 'i' && kind != 'u' && kind != 'b')
    throw py::type_error(std::string(argument) + " has dtype " + std::string(py::str(a.dtype())) +
                         ", must be an array of real numbers");
  check_ndim(a, argument, ndim);
  if (kind == 'f' && a.itemsize() > static_cast<py::ssize_t>(sizeof(T))) {
    // What overflows float32 becomes infinite and is reported as not finite by whoever checks the values.
    const py::object quiet = numpy().attr("errstate")(py::arg("over") = "ignore");
    quiet.attr("__enter__")();
    py::array_t<T, py::array::c_style> out = contiguous<T>(a);
    quiet.attr("__exit__")(py::none(), py::none(), py::none());
    return out;
  }
  return contiguous<T>(a);
}

}  // namespace

std::shared_ptr<const void> keep_alive(py::object object) {
  return {object.release().ptr(), [](const void* p) {
            if (p == nullptr || !Py_IsInitialized()) return;
            const py::gil_scoped_acquire gil;
            Py_DECREF(static_cast<PyObject*>(const_cast<void*>(p)));
          }};
}

std::string describe(py::handle value) {
  if (value.is_none()) return "None";
  std::string text = py::repr(value);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text + " (" + std::string(py::str(py::type::handle_of(value).attr("__name__"))) + ")";
}

template <class T>
py::array_t<T, py::array::c_style> from_numpy(py::handle value, const char* argument, int ndim) {
  if constexpr (std::is_floating_point_v<T>) return reals<T>(value, argument, ndim);
  else return integers<T>(value, argument, ndim);
}

template py::array_t<std::uint8_t, py::array::c_style> from_numpy<std::uint8_t>(py::handle, const char*, int);
template py::array_t<std::int32_t, py::array::c_style> from_numpy<std::int32_t>(py::handle, const char*, int);
template py::array_t<std::int64_t, py::array::c_style> from_numpy<std::int64_t>(py::handle, const char*, int);
template py::array_t<float, py::array::c_style> from_numpy<float>(py::handle, const char*, int);
template py::array_t<double, py::array::c_style> from_numpy<double>(py::handle, const char*, int);

CsrMatrix csr_from_python(py::handle matrix, const char* argument) {
  py::object m = py::reinterpret_borrow<py::object>(matrix);
  if (!py::hasattr(m, "tocsr")) {
    if (!py::isinstance<py::array>(m))
      throw py::type_error(std::string(argument) + " is " + describe(m) +
                           ", must be a scipy sparse matrix or a two-dimensional array");
    check_ndim(m, argument, 2);
    m = py::module_::import("scipy.sparse").attr("csr_matrix")(from_numpy<float>(m, argument, 2));
  } else {
    if (py::len(m.attr("shape")) != 2)
      throw std::invalid_argument(std::string(argument) + " has shape " + std::string(py::str(m.attr("shape"))) +
                                  ", must have 2 dimensions");
    m = m.attr("tocsr")();
  }
  CsrMatrix out;
  const auto shape = m.attr("shape").cast<std::pair<std::int64_t, std::int64_t>>();
  out.rows = shape.first;
  out.cols = shape.second;
  const std::string name(argument);
  out.offsets = wrap(from_numpy<std::int64_t>(m.attr("indptr"), (name + ".indptr").c_str(), 1));
  out.columns = wrap(from_numpy<std::int32_t>(m.attr("indices"), (name + ".indices").c_str(), 1));
  out.values = wrap(from_numpy<float>(m.attr("data"), (name + ".data").c_str(), 1));
  const auto nnz = out.offsets.empty() ? std::int64_t{0} : out.offsets.back();
  // scipy allows arrays longer than the last offset.
  const auto kept = static_cast<std::size_t>(std::max<std::int64_t>(nnz, 0));
  if (kept < out.columns.size()) out.columns = Array<std::int32_t>::wrap(out.columns.data(), kept, out.columns.owner());
  if (kept < out.values.size()) out.values = Array<float>::wrap(out.values.data(), kept, out.values.owner());
  const py::gil_scoped_release release;
  validate(out.view(), argument);
  return out;
}

CsrMatrix owned(const CsrMatrix& matrix) {
  return {matrix.rows, matrix.cols, Array<std::int64_t>(matrix.offsets.view()), Array<std::int32_t>(matrix.columns.view()),
          Array<float>(matrix.values.view())};
}

py::object csr_to_python(const CsrMatrix& matrix) {
  Array<std::int64_t> offsets = matrix.offsets;
  if (offsets.empty()) offsets = Array<std::int64_t>(static_cast<std::size_t>(matrix.rows) + 1);
  py::object csr = py::module_::import("scipy.sparse").attr("csr_matrix");
  py::object out = csr(py::make_tuple(matrix.rows, matrix.cols), py::arg("dtype") = py::dtype::of<float>());
  // Set piece by piece: the constructor would copy to one index type.
  out.attr("data") = to_numpy(matrix.values);
  if (matrix.nnz() <= std::numeric_limits<std::int32_t>::max()) {
    out.attr("indices") = to_numpy(matrix.columns);
    out.attr("indptr") = to_numpy(offsets).attr("astype")(py::dtype::of<std::int32_t>());
  } else {
    out.attr("indices") = to_numpy(matrix.columns).attr("astype")(py::dtype::of<std::int64_t>());
    out.attr("indptr") = to_numpy(offsets);
  }
  return out;
}

}  // namespace etalage::python
