// SPDX-License-Identifier: Apache-2.0
// save, load, to_bytes, from_bytes: the same for whatever has a file.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

[[nodiscard]] inline LoadOptions verify_option(const std::string& verify, int num_threads = 0, bool trust_faiss = false) {
  if (verify != "full" && verify != "header")
    throw std::invalid_argument("verify is '" + verify + "', must be 'full' or 'header'");
  return {verify == "full" ? Verify::kFull : Verify::kHeader, num_threads, trust_faiss};
}

[[nodiscard]] inline py::bytes to_bytes(const std::vector<char>& v) { return {v.data(), v.size()}; }

[[nodiscard]] inline std::span<const char> bytes_of(const py::bytes& bytes) {
  const std::string_view v = bytes;
  return {v.data(), v.size()};
}

/// to_bytes and from_bytes; from_memory(span, LoadOptions).
template <class T, class Class, class FromMemory>
void bind_bytes(Class& c, FromMemory from_memory) {
  c.def("to_bytes", [](const T& object) { return to_bytes(save_to_memory(object)); })
      .def_static("from_bytes", [from_memory](const py::bytes& data) { return from_memory(bytes_of(data), LoadOptions{}); }, py::arg("data"));
}

/// And save and load; load(path, LoadOptions).
template <class T, class Class, class Load, class FromMemory>
void bind_files(Class& c, Load load, FromMemory from_memory) {
  c.def("save", [](const T& object, const std::filesystem::path& path) { save(object, path); }, py::arg("path"), py::call_guard<py::gil_scoped_release>())
      .def_static("load", [load](const std::filesystem::path& path, const std::string& verify) { return load(path, verify_option(verify)); }, py::arg("path"),
                  py::arg("verify") = "full");
  bind_bytes<T>(c, from_memory);
}

}  // namespace etalage::python
