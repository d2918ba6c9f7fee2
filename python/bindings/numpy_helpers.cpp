// SPDX-License-Identifier: Apache-2.0
#include "numpy_helpers.hpp"

#include <limits>
#include <stdexcept>

#include "etalage/core/interactions.hpp"
#include "memory_limit.hpp"

namespace etalage::python {
namespace {

py::module_ numpy() { return py::module_::import("numpy"); }

py::object arrays_module() { return py::module_::import("etalage._arrays"); }

/// An array of whatever dtype the value has; ValueError for ragged lists, TypeError for things that are no arrays.
py::array as_array(py::handle value, const char* argument) {
  // Masked arrays are a class derived from numpy's own, so that the usual case pays nothing for them.
  if (Py_TYPE(value.ptr()) == py::detail::npy_api::get().PyArray_Type_) return py::reinterpret_borrow<py::array>(value);
  if (value.is_none() || py::isinstance<py::str>(value) || py::isinstance<py::bytes>(value) ||
      py::isinstance<py::dict>(value))
    throw py::type_error(std::string(argument) + " is " + describe(value) + ", must be a numeric array or list");
  return arrays_module().attr("asarray")(value, argument);
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
  if (text.size() > 60) {
    std::size_t kept = 57;
    while (kept > 0 && (static_cast<unsigned char>(text[kept]) & 0xc0) == 0x80) --kept;  // not within a character
    text = text.substr(0, kept) + "...";
  }
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

void check_cells(std::size_t n, std::size_t k, std::size_t bytes) {
  constexpr std::size_t kMost = std::size_t{1} << 31;
  if (k != 0 && n > kMost / k)
    throw std::invalid_argument("k is " + std::to_string(k) + " for " + std::to_string(n) +
                                " questions, n x k must be at most 2^31");
  // The kernel grants memory that it does not have and ends the process that writes to it, so what is much is asked for first.
  // A quarter of what there is stays for everybody else: the kernel's figure is an estimate, and others ask meanwhile.
  constexpr std::size_t kMuch = std::size_t{1} << 26;
  if (bytes < kMuch) return;
  const std::uint64_t available = available_memory() / 4 * 3;
  if (bytes <= available) return;
  const std::string text = "an answer of " + std::to_string(n) + " x " + std::to_string(k) + " needs " + std::to_string(bytes) +
                           " bytes, must be at most " + std::to_string(available) + ", three quarters of the memory that is left";
  py::set_error(PyExc_MemoryError, text.c_str());
  throw py::error_already_set();
}

CsrMatrix csr_from_python(py::handle matrix, const char* argument) {
  if (py::isinstance<Interactions>(matrix)) return matrix.cast<const Interactions&>().user_items();
  py::object m = arrays_module().attr("matrix")(matrix);
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

CsrMatrix kept_csr(py::handle matrix, const char* argument) {
  CsrMatrix m = csr_from_python(matrix, argument);
  if (py::isinstance<Interactions>(matrix)) return m;  // the library's own
  const py::gil_scoped_release release;
  m = {m.rows, m.cols, Array<std::int64_t>(m.offsets.view()), Array<std::int32_t>(m.columns.view()), Array<float>(m.values.view())};
  // Another thread may have written to the arrays since they were looked at; the copy is what counts.
  validate(m.view(), argument);
  return m;
}

namespace {

/// Set piece by piece: the constructor would copy to one index type. `array` makes a numpy array of an Array.
template <class F>
py::object to_csr(const CsrMatrix& matrix, const F& array) {
  Array<std::int64_t> offsets = matrix.offsets;
  if (offsets.empty()) offsets = Array<std::int64_t>(static_cast<std::size_t>(matrix.rows) + 1);
  py::object csr = py::module_::import("scipy.sparse").attr("csr_matrix");
  py::object out = csr(py::make_tuple(matrix.rows, matrix.cols), py::arg("dtype") = py::dtype::of<float>());
  out.attr("data") = array(matrix.values);
  if (matrix.nnz() <= std::numeric_limits<std::int32_t>::max()) {
    out.attr("indices") = array(matrix.columns);
    out.attr("indptr") = to_numpy(offsets).attr("astype")(py::dtype::of<std::int32_t>());
  } else {
    out.attr("indices") = to_numpy(matrix.columns).attr("astype")(py::dtype::of<std::int64_t>());
    out.attr("indptr") = array(offsets);
  }
  return out;
}

}  // namespace

py::object csr_to_python(const CsrMatrix& matrix) {
  return to_csr(matrix, [](const auto& a) { return py::object(to_numpy(a)); });
}

py::object csr_copy_to_python(const CsrMatrix& matrix) {
  return to_csr(matrix, [](const auto& a) { return py::object(to_numpy(a).attr("copy")()); });
}

}  // namespace etalage::python
