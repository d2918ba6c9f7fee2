// SPDX-License-Identifier: Apache-2.0
// Tree ensembles: read from other libraries' files, scored natively.
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/io/tree_files.hpp"
#include "etalage/trees/tree_ensemble.hpp"
#include "file_helpers.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

namespace {

template <class T>
py::object predicted(const TreeEnsemble& trees, const py::object& rows, int num_threads) {
  const auto x = from_numpy<T>(rows, "X", 2);
  const auto n = static_cast<std::size_t>(x.shape(0));
  const auto features = static_cast<std::size_t>(x.shape(1));
  if (features != static_cast<std::size_t>(trees.num_features()))
    throw std::invalid_argument("X has " + std::to_string(features) + " features, must have the " + std::to_string(trees.num_features()) + " of the model");
  std::vector<double> out(n * trees.num_outputs());
  {
    const MatrixView<const T> view(x.data(), n, features);
    const py::gil_scoped_release release;
    trees.predict(view, out, num_threads);
  }
  if (trees.num_outputs() == 1) return take(std::move(out));
  const auto outputs = static_cast<py::ssize_t>(trees.num_outputs());
  return take(std::move(out), {static_cast<py::ssize_t>(n), outputs});
}

bool is_float32(const py::object& rows) {
  return py::isinstance<py::array>(rows) && rows.cast<py::array>().dtype().is(py::dtype::of<float>());
}

}  // namespace

void bind_trees(py::module_& m) {
  py::class_<TreeEnsemble, std::shared_ptr<TreeEnsemble>> trees(m, "TreeEnsemble", "The compiled part of etalage.models.TreeEnsemble.");
  trees.def(py::init([](const py::object& feature, const py::object& threshold, const py::object& left, const py::object& right,
                       const py::object& nan_left, const py::object& value, const py::object& roots, double base, std::int32_t num_features) {
             return std::make_shared<TreeEnsemble>(kept(from_numpy<std::int32_t>(feature, "feature", 1)), kept(from_numpy<double>(threshold, "threshold", 1)),
                                                   kept(from_numpy<std::int32_t>(left, "left", 1)), kept(from_numpy<std::int32_t>(right, "right", 1)),
                                                   kept(from_numpy<std::uint8_t>(nan_left, "nan_left", 1)), kept(from_numpy<double>(value, "value", 1)),
                                                   kept(from_numpy<std::int32_t>(roots, "roots", 1)), base, num_features);
           }),
           py::arg("feature"), py::arg("threshold"), py::arg("left"), py::arg("right"), py::arg("nan_left"), py::arg("value"), py::arg("roots"),
           py::arg("base"), py::arg("num_features"))
      .def("__len__", &TreeEnsemble::num_trees)
      .def_property_readonly("num_features", &TreeEnsemble::num_features)
      .def_property_readonly("num_outputs", &TreeEnsemble::num_outputs)
      .def_property_readonly("num_nodes", &TreeEnsemble::num_nodes)
      .def("predict",
           [](const TreeEnsemble& t, const py::object& rows, int num_threads) {
             return is_float32(rows) ? predicted<float>(t, rows, num_threads) : predicted<double>(t, rows, num_threads);
           },
           py::arg("X"), py::arg("num_threads") = 0, "float64 [n] or [n, outputs] for float64 or float32 [n, features].")
      .def("save", [](const TreeEnsemble& t, const std::filesystem::path& path) { save(t, path); }, py::arg("path"),
           py::call_guard<py::gil_scoped_release>())
      .def_static(
          "load",
          [](const std::filesystem::path& path, const std::string& verify) {
            return std::make_shared<TreeEnsemble>(load_tree_model(path, verify_option(verify)));
          },
          py::arg("path"), py::arg("verify") = "full", py::call_guard<py::gil_scoped_release>());
  bind_bytes<TreeEnsemble>(trees, [](std::span<const char> bytes, LoadOptions options) {
    return std::make_shared<TreeEnsemble>(load_tree_model_from_memory(bytes, options));
  });
}

}  // namespace etalage::python
