// SPDX-License-Identifier: Apache-2.0
// The extension module etalage._faiss: FAISS behind ItemIndex(kind="faiss"), loaded on use.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/io/faiss_files.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/retrieval/faiss_index.hpp"
#include "etalage/retrieval/index_rows.hpp"
#include "index_methods.hpp"
#include "index_options.hpp"
#include "option_fields.hpp"
#include "option_helpers.hpp"
#include "scipy_blas.hpp"

namespace etalage::python {
namespace {

py::bytes to_bytes(std::span<const std::uint8_t> v) { return {reinterpret_cast<const char*>(v.data()), v.size()}; }

py::dict options_of(const FaissIndex& ix) {
  py::dict d = options_to_dict(ix.options());
  d["factory"] = ix.factory();
  return d;
}

IndexMetric metric_from(const py::dict& d) {
  IndexMetric metric = IndexMetric::kCosine;
  set_choice(d, "metric", metric, kIndexMetrics);
  return metric;
}

}  // namespace

void bind_faiss(py::module_& m) {
  py::class_<FaissIndex, std::shared_ptr<FaissIndex>> index(m, "FaissIndex", "The compiled part of etalage.retrieval.ItemIndex of kind \"faiss\".");
  bind_index_methods<FaissIndex>(index);
  index
      .def(py::init([](int dim, const std::string& factory, const py::dict& options) {
             return std::make_shared<FaissIndex>(dim, metric_from(options), factory, options_from_dict<FaissIndexOptions>(options));
           }),
           py::arg("dim"), py::arg("factory"), py::arg("options"))
      .def("train", &FaissIndex::train, py::call_guard<py::gil_scoped_release>())
      .def("built", &FaissIndex::built, py::call_guard<py::gil_scoped_release>())
      .def("min_training_rows", &FaissIndex::min_training_rows)
      .def_property_readonly("kind", [](const FaissIndex&) { return "faiss"; })
      .def("options", &options_of)
      .def("rows",
           [](const FaissIndex& ix) {
             IndexRows rows;
             {
               const py::gil_scoped_release release;
               rows = ix.rows();
             }
             return rows_to_python(std::move(rows), ix.dim());
           })
      .def("to_faiss_bytes",
           [](const FaissIndex& ix) {
             std::vector<std::uint8_t> bytes;
             {
               const py::gil_scoped_release release;
               bytes = ix.to_faiss_bytes();
             }
             return to_bytes(bytes);
           })
      .def_static("load",
                  [](const std::filesystem::path& path, const std::string& verify, bool trust_faiss) {
                    return load_faiss_index(path, verify_option(verify, 0, trust_faiss));
                  },
                  py::arg("path"), py::arg("verify"), py::arg("trust_faiss"), py::call_guard<py::gil_scoped_release>())
      .def_static(
          "from_bytes",
          [](const py::bytes& data) {  // of a pickle, which is trusted as it stands
            const std::span<const char> bytes = bytes_of(data);
            const py::gil_scoped_release release;
            return load_faiss_index_from_memory(bytes, verify_option("full", 0, true));
          },
          py::arg("data"))
      .def_static(
          "from_faiss_bytes",
          [](const py::bytes& data, const py::object& vectors, const py::object& ids, const py::dict& options) {
            const auto v = from_numpy<float>(vectors, "vectors", 2);
            const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
            const std::span<const char> chars = bytes_of(data);
            const std::span<const std::uint8_t> bytes(reinterpret_cast<const std::uint8_t*>(chars.data()), chars.size());
            const IndexMetric metric = metric_from(options);
            const FaissIndexOptions o = options_from_dict<FaissIndexOptions>(options);
            const py::gil_scoped_release release;
            return FaissIndex::from_faiss_bytes(bytes, float_rows(v), span_of(i), metric, o);
          },
          py::arg("data"), py::arg("vectors"), py::arg("ids"), py::arg("options"));
}

}  // namespace etalage::python

PYBIND11_MODULE(_faiss, m) {
  m.doc() = "FAISS for etalage.retrieval.ItemIndex(kind=\"faiss\"); linear algebra is SciPy's.";
  pybind11::module_::import("etalage._core");  // ItemFilter, IdMap and the exceptions are its
  etalage::python::use_scipy_blas();
  etalage::python::bind_faiss(m);
}
