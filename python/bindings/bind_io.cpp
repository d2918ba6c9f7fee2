// SPDX-License-Identifier: Apache-2.0
// Files: save and load of whatever the library keeps, by kind.
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "etalage/models/recommender.hpp"
#include "file_helpers.hpp"

namespace etalage::python {

namespace py = pybind11;

namespace {

py::dict info_to_python(const FileInfo& info) {
  py::list sections;
  for (const FileInfo::Section& s : info.sections) {
    py::dict d;
    put(d, "name", s.name, "dtype", s.dtype, "count", s.count, "offset", s.offset, "bytes", s.bytes, "checksum", s.checksum);
    sections.append(d);
  }
  py::dict out;
  put(out, "kind", info.kind, "format_version", info.format_version, "library_version", info.library_version, "bytes", info.bytes,
      "sections", sections);
  return out;
}


}  // namespace

void bind_io(py::module_& m) {
  m.def(
      "save", [](const std::shared_ptr<Recommender>& model, const std::filesystem::path& path) { save(*model, path); }, py::arg("model"),
      py::arg("path"), py::call_guard<py::gil_scoped_release>(),
      "Writes a model to a file: to a temporary name beside it, flushed, then renamed. OSError leaves the old file.");
  m.def(
      "load",
      [](const std::filesystem::path& path, const std::string& verify, int num_threads) {
        return load_mutable(path, verify_option(verify, num_threads));
      },
      py::arg("path"), py::arg("verify") = "full", py::arg("num_threads") = 0, py::call_guard<py::gil_scoped_release>(),
      "Maps a model's file and returns the model. verify='full' checks every checksum and index, 'header' trusts the\n"
      "contents and opens in constant time. FormatError says what was found and what was expected.");
  m.def(
      "save_to_memory",
      [](const std::shared_ptr<Recommender>& model) {
        std::vector<char> bytes;
        {
          const py::gil_scoped_release release;
          bytes = save_to_memory(*model);
        }
        return to_bytes(bytes);
      },
      py::arg("model"), "The bytes of the model's file.");
  m.def(
      "load_from_memory",
      [](const py::bytes& data, const std::string& verify) {
        const std::span<const char> bytes = bytes_of(data);
        const py::gil_scoped_release release;
        return load_from_memory(bytes, verify_option(verify, 0));
      },
      py::arg("data"), py::arg("verify") = "full", "The model from the bytes of its file, which are copied.");
  m.def(
      "file_info",
      [](const std::filesystem::path& path) {
        FileInfo info;
        {
          const py::gil_scoped_release release;
          info = file_info(path);
        }
        return info_to_python(info);
      },
      py::arg("path"),
      "What a file says of itself, from its header alone: kind, format_version, library_version, bytes, and sections as\n"
      "a list of dicts with name, dtype, count, offset, bytes and checksum.");
}

}  // namespace etalage::python
