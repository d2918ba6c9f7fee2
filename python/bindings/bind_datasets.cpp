// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "etalage/datasets/synthetic_store.hpp"
#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

py::array texts(const std::vector<std::string>& list) {
  py::list out;
  for (const std::string& s : list) out.append(py::str(s));
  return py::module_::import("numpy").attr("array")(out, py::arg("dtype") = py::module_::import("builtins").attr("object"));
}

}  // namespace

void bind_datasets(py::module_& m) {
  py::class_<SyntheticStore, std::shared_ptr<SyntheticStore>>(m, "SyntheticStore", "The compiled part of a made-up shop.")
      .def_property_readonly("log", [](const SyntheticStore& s) { return std::make_shared<EventLog>(s.log()); })
      .def_property_readonly("segments", [](const SyntheticStore& s) { return to_numpy(s.segments); })
      .def_readonly("num_segments", &SyntheticStore::num_segments)
      .def("catalog",
           [](const SyntheticStore& s) {
             const SyntheticStore::CatalogColumns& c = s.catalog;
             py::dict d;
             put(d, "item", keys_to_numpy(*c.item_ids), "name", texts(c.names), "category", texts(c.category_paths), "brand", texts(c.brands),
                 "style", texts(c.tags), "price", to_numpy(c.prices), "stock", to_numpy(c.stock), "launch", to_numpy(c.launch_ms));
             return d;
           })
      .def("hash", &SyntheticStore::hash, py::call_guard<py::gil_scoped_release>());
  m.def("make_synthetic_store",
        [](std::int32_t users, std::int32_t items, std::int64_t events, std::int32_t days, std::int64_t start_ms, std::uint64_t seed,
           int num_threads) {
          const SyntheticStoreOptions o{users, items, events, days, start_ms, seed, num_threads};
          const py::gil_scoped_release release;
          return std::make_shared<SyntheticStore>(make_synthetic_store(o));
        },
        py::arg("users"), py::arg("items"), py::arg("events"), py::arg("days"), py::arg("start_ms"), py::arg("seed"),
        py::arg("num_threads"));
}

}  // namespace etalage::python
