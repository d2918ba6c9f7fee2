// SPDX-License-Identifier: Apache-2.0
// Exceptions and build information: what every other topic may rely on.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "etalage/build_info.hpp"
#include "etalage/error.hpp"
#include "etalage/serving/journal.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

namespace py = pybind11;

namespace {

py::handle g_format_error;
py::handle g_not_fitted_error;
py::handle g_numerical_error;

/// An exception class that lives as long as the process, known as etalage.<name>.
py::handle make_exception(py::module_& m, const char* name, py::handle bases, const char* doc) {
  const std::string full = std::string("etalage.") + name;
  py::object type = py::reinterpret_steal<py::object>(
      PyErr_NewExceptionWithDoc(full.c_str(), doc, bases.ptr(), nullptr));
  if (!type) throw py::error_already_set();
  m.attr(name) = type;
  return type.release();
}

/// Messages repeat what was found, which need not be UTF-8: PyErr_SetString would raise a UnicodeDecodeError in its place.
void raise_text(py::handle type, const char* text) {
  const auto message = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(text, static_cast<Py_ssize_t>(std::strlen(text)), "backslashreplace"));
  if (message) PyErr_SetObject(type.ptr(), message.ptr());
}

void set_os_error(const std::filesystem::filesystem_error& e) {
  // OSError(errno, text, filename) picks FileNotFoundError, PermissionError and so on by itself.
  const std::string path = e.path1().string();
  const py::object filename =
      path.empty() ? py::object(py::none())
                   : py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
  const py::object arguments = py::make_tuple(e.code().value(), e.code().message(), filename);
  PyErr_SetObject(PyExc_OSError, arguments.ptr());
}

/// OSError with what became of the event: `pending` is its number when it was taken all the same, None when it was refused.
void set_journal_error(const JournalWriteError& e) {
  const py::object error = py::reinterpret_borrow<py::object>(PyExc_OSError)(e.code().value(), e.code().message() + ": " + e.what());
  error.attr("pending") = e.pending() == 0 ? py::object(py::none()) : py::object(py::int_(e.pending()));
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
}

}  // namespace

void bind_core(py::module_& m) {
  g_format_error = make_exception(m, "FormatError", PyExc_ValueError,
                                  "A file is damaged, truncated, foreign or newer.");
  const py::tuple as_sklearn = py::make_tuple(py::handle(PyExc_ValueError), py::handle(PyExc_AttributeError));
  g_not_fitted_error = make_exception(m, "NotFittedError", as_sklearn, "A model was asked before it was fitted.");
  g_numerical_error = make_exception(m, "NumericalError", PyExc_ArithmeticError,
                                     "A computation left the finite numbers; the message names the row and what to change.");
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const FormatError& e) {
      raise_text(g_format_error, e.what());
    } catch (const NotFittedError& e) {
      raise_text(g_not_fitted_error, e.what());
    } catch (const NumericalError& e) {
      raise_text(g_numerical_error, e.what());
    } catch (const UnsupportedError& e) {
      raise_text(PyExc_NotImplementedError, e.what());
    } catch (const JournalWriteError& e) {
      set_journal_error(e);
    } catch (const std::filesystem::filesystem_error& e) {
      set_os_error(e);
    } catch (const py::builtin_exception&) {
      throw;  // has a type of its own
    } catch (const std::invalid_argument& e) {
      raise_text(PyExc_ValueError, e.what());
    } catch (const std::length_error& e) {
      raise_text(PyExc_ValueError, e.what());
    } catch (const std::runtime_error& e) {
      if (dynamic_cast<const std::overflow_error*>(&e) != nullptr || dynamic_cast<const std::range_error*>(&e) != nullptr) throw;
      raise_text(PyExc_RuntimeError, e.what());
    }
  });

  m.def(
      "build_info",
      [] {
        const BuildInfo info = build_info();
        py::dict d;
        put(d, "version", info.version, "compiler", info.compiler, "simd", info.simd, "simd_levels", info.simd_levels, "threads", info.threads,
            "thread_backend", info.thread_backend, "blas", info.blas.empty() ? py::object(py::none()) : py::object(py::str(info.blas)),
            "faiss", info.faiss.empty() ? py::object(py::none()) : py::object(py::str(info.faiss)));
        return d;
      },
      "How the library was built and what it uses on this machine.");
}

}  // namespace etalage::python
