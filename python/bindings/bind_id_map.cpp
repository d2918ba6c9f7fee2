// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

/// A flat array of keys, whose dtype kind is 'i', 'u', or else stands for objects.
py::array key_array(py::handle keys, const char* argument) {
  if (keys.is_none() || py::isinstance<py::str>(keys) || py::isinstance<py::bytes>(keys) || py::isinstance<py::dict>(keys))
    throw py::type_error(std::string(argument) + " is " + describe(keys) + ", must be a list or array of keys");
  const py::object asarray = py::module_::import("numpy").attr("asarray");
  py::array a;
  if (py::isinstance<py::list>(keys) || py::isinstance<py::tuple>(keys)) {
    // numpy would turn a mixed list into one of strings.
    bool strings = false;
    for (const py::handle key : keys) strings = strings || PyUnicode_Check(key.ptr());
    a = strings ? asarray(keys, py::arg("dtype") = "O") : asarray(keys);
  } else {
    a = py::module_::import("etalage._arrays").attr("keys")(keys);
  }
  if (a.ndim() != 1)
    throw std::invalid_argument(std::string(argument) + " has shape " + std::string(py::str(a.attr("shape"))) +
                                ", must have 1 dimension");
  const char kind = a.dtype().kind();
  if (kind == 'i') return a;
  if (kind == 'u') {
    if (a.size() != 0 && a.itemsize() == 8 && a.attr("max")().cast<unsigned long long>() > 0x7fffffffffffffffULL)
      throw std::invalid_argument(std::string(argument) + " holds " + std::string(py::str(a.attr("max")())) +
                                  ", integer keys must fit in 64 signed bits");
    return a;
  }
  if (a.size() == 0 || kind == 'U' || kind == 'T' || kind == 'O' || kind == 'f') return a.attr("astype")("O");
  throw py::type_error(std::string(argument) + " has dtype " + std::string(py::str(a.dtype())) +
                       ", keys must be strings or integers");
}

bool is_missing(py::handle key) { return py::module_::import("etalage._frames").attr("_missing")(key).cast<bool>(); }

bool is_integer(const py::array& keys) { return keys.dtype().kind() != 'O'; }

bool all_python_integers(const py::array& keys) {
  const py::list list(keys.attr("tolist")());
  if (list.empty()) return false;
  for (const py::handle key : list)
    if (!whole_number(key)) return false;
  return true;
}

py::array_t<std::int64_t, py::array::c_style> as_int64(const py::array& keys) {
  return py::array_t<std::int64_t, py::array::c_style>(keys.attr("astype")("int64"));
}

/// Views into the Python strings of an object array, which must outlive them.
std::vector<std::string_view> string_views(const py::array& keys, const char* argument) {
  std::vector<std::string_view> out;
  out.reserve(static_cast<std::size_t>(keys.size()));
  for (const py::handle key : keys) {
    if (!PyUnicode_Check(key.ptr()))
      throw py::type_error(std::string(argument) + " holds " + describe(key) + ", keys must be all strings or all integers");
    out.push_back(text_of(key, argument));
  }
  return out;
}

/// A key of a file or of a C++ host need not be text as Python has it.
py::str to_str(std::string_view s) {
  PyObject* text = PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), nullptr);
  if (text != nullptr) return py::reinterpret_steal<py::str>(text);
  PyErr_Clear();
  const auto shown = py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "backslashreplace"));
  throw std::invalid_argument("key '" + std::string(shown) + "' holds bytes that are not UTF-8, which Python's strings cannot hold");
}

}  // namespace

std::string_view text_of(py::handle key, const char* argument) {
  Py_ssize_t n = 0;
  const char* text = PyUnicode_AsUTF8AndSize(key.ptr(), &n);
  if (text == nullptr) {
    PyErr_Clear();
    throw std::invalid_argument(std::string(argument) + " holds text with a lone surrogate, must be valid Unicode");
  }
  return {text, static_cast<std::size_t>(n)};
}

std::optional<std::pair<std::int64_t, bool>> whole_number(py::handle key) {
  if (PyBool_Check(key.ptr())) return std::nullopt;
  if (PyFloat_Check(key.ptr())) {
    const double v = PyFloat_AsDouble(key.ptr());
    if (v != std::floor(v) || std::abs(v) > 9007199254740992.0) return std::nullopt;
    return std::pair(static_cast<std::int64_t>(v), true);
  }
  if (PyIndex_Check(key.ptr()) == 0) return std::nullopt;
  const auto integer = py::reinterpret_steal<py::object>(PyNumber_Index(key.ptr()));
  if (!integer) {
    PyErr_Clear();
    return std::nullopt;
  }
  int overflow = 0;
  const long long v = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
  return std::pair(static_cast<std::int64_t>(v), overflow == 0);
}

SharedIdMap id_map_from_keys(py::handle keys, const char* argument) {
  py::array a = key_array(keys, argument);
  if (!is_integer(a) && all_python_integers(a)) a = as_int64(a);
  if (is_integer(a)) {
    // A copy: the map must not change under its slots when the caller writes to the array.
    const auto integers = as_int64(a);
    const py::gil_scoped_release release;
    return std::make_shared<const IdMap>(IdMap::from_integers(
        Array<std::int64_t>(std::span<const std::int64_t>(integers.data(), static_cast<std::size_t>(integers.size())))));
  }
  if (a.size() == 0) return std::make_shared<const IdMap>();
  const std::vector<std::string_view> views = string_views(a, argument);
  const py::gil_scoped_release release;
  return std::make_shared<const IdMap>(IdMap::from_strings(views));
}

py::array_t<std::int32_t> find_keys(const IdMap& ids, py::handle keys, const char* argument) {
  const py::array a = key_array(keys, argument);
  std::vector<std::int32_t> out(static_cast<std::size_t>(a.size()), IdMap::kUnknown);
  if (ids.empty()) return take(std::move(out));
  const bool strings = ids.kind() == IdMap::Kind::kString;
  // A key of the other kind would be unknown to every map, which nobody means who asks for it.
  const auto wrong_kind = [&](const py::handle& key) {
    throw std::invalid_argument(std::string(argument) + " holds " + describe(key) + ", must be " +
                                (strings ? "strings, as the keys here are ('" : "integers, as the keys here are (") + ids.text_at(0) +
                                (strings ? "', ...)" : ", ...)"));
  };
  if (is_integer(a)) {
    if (strings && a.size() != 0) wrong_kind(py::object(a[py::int_(0)]));
    const auto integers = as_int64(a);
    {
      const py::gil_scoped_release release;
      for (std::size_t i = 0; i < out.size(); ++i) out[i] = ids.find(integers.data()[i]);
    }
    return take(std::move(out));
  }
  std::size_t i = 0;
  for (const py::handle key : a) {
    if (PyUnicode_Check(key.ptr())) {
      if (!strings) wrong_kind(key);
      out[i] = ids.find(text_of(key, argument));
    } else if (const auto number = whole_number(key)) {
      if (strings) wrong_kind(key);
      out[i] = number->second ? ids.find(number->first) : IdMap::kUnknown;
    } else if (!is_missing(key)) {
      throw py::type_error(std::string(argument) + " holds " + describe(key) + ", keys must be strings or integers");
    }
    ++i;
  }
  return take(std::move(out));
}

py::array keys_to_numpy(const IdMap& ids) {
  if (ids.kind() == IdMap::Kind::kInteger) return to_numpy(ids.parts().keys);
  py::list keys(static_cast<std::size_t>(ids.size()));
  for (std::int32_t i = 0; i < ids.size(); ++i) keys[static_cast<std::size_t>(i)] = to_str(ids.string_at(i));
  py::array out = py::module_::import("numpy").attr("array")(keys, py::arg("dtype") = "O");
  out.attr("flags").attr("writeable") = false;
  return out;
}

py::array keys_at(const IdMap& ids, const py::array_t<std::int32_t, py::array::c_style>& indices) {
  const std::vector<py::ssize_t> shape(indices.shape(), indices.shape() + indices.ndim());
  const auto n = static_cast<std::size_t>(indices.size());
  if (ids.kind() == IdMap::Kind::kInteger) {
    std::vector<std::int64_t> out(n, -1);
    for (std::size_t i = 0; i < n; ++i)
      if (indices.data()[i] >= 0) out[i] = ids.integer_at(indices.data()[i]);
    return take(std::move(out), shape);
  }
  // Filled where it lies: a reshaped array would be a view of another one.
  py::array out(py::dtype("O"), shape);
  auto** keys = static_cast<PyObject**>(out.mutable_data());
  for (std::size_t i = 0; i < n; ++i) {
    const std::int32_t index = indices.data()[i];
    if (index < 0) continue;
    Py_XDECREF(keys[i]);
    keys[i] = to_str(ids.string_at(index)).release().ptr();
  }
  return out;
}

std::shared_ptr<IdMap> extended(const IdMap& ids, const IdMap& more) {
  if (more.empty()) return std::make_shared<IdMap>(ids);
  if (more.kind() == IdMap::Kind::kInteger) return std::make_shared<IdMap>(ids.extended(more.parts().keys.view()));
  std::vector<std::string_view> keys;
  for (std::int32_t i = 0; i < more.size(); ++i) keys.push_back(more.string_at(i));
  return std::make_shared<IdMap>(ids.extended(std::span<const std::string_view>(keys)));
}

void bind_id_map(py::module_& m) {
  py::class_<IdMap, std::shared_ptr<IdMap>>(m, "IdMap", "The shop's keys in index order, strings or 64-bit integers.")
      .def(py::init([](const py::object& keys) { return std::const_pointer_cast<IdMap>(id_map_from_keys(keys, "keys")); }),
           py::arg("keys"))
      .def("__len__", &IdMap::size)
      .def_property_readonly("keys", &keys_to_numpy, "int64 array, or object array of str, in index order.")
      .def(
          "find", [](const IdMap& ids, const py::object& keys) { return find_keys(ids, keys, "keys"); }, py::arg("keys"),
          "int32 index of each key, -1 for unknown ones; ValueError for keys of the other kind.")
      .def(
          "at",
          [](const IdMap& ids, const py::object& indices) { return keys_at(ids, from_numpy<std::int32_t>(indices, "indices", -1)); },
          py::arg("indices"), "The keys at some indices; -1 gives -1 or None.")
      .def(
          "extended", [](const IdMap& ids, const py::object& keys) { return extended(ids, *id_map_from_keys(keys, "keys")); }, py::arg("keys"),
          "An IdMap with these keys behind its own; ValueError for one that is there and for keys of the other kind.");
}

}  // namespace etalage::python
