// SPDX-License-Identifier: Apache-2.0
// What indexes of rows with ids have in common, for Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/id_map.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/extend/vector_index.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/retrieval/index_rows.hpp"
#include "file_helpers.hpp"
#include "index_options.hpp"
#include "numpy_helpers.hpp"
#include "option_helpers.hpp"
#include "span_helpers.hpp"

namespace etalage::python {

// Beside the index in its file: files of indexes without keys stay as they are, and readers that know no keys pass over them.
inline constexpr const char* kIndexKeys = "info/keys";

/// ids int64 and scores float32, both (n, k), padded with -1 and -inf.
template <class Index>
py::tuple search_index(const Index& index, const py::object& queries, std::int64_t k, const std::vector<const ItemFilter*>& filters,
                       int num_threads) {
  const auto q = from_numpy<float>(queries, "queries", 2);
  if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + ", must be >= 0");
  const auto n = static_cast<std::size_t>(q.shape(0));
  if (q.shape(1) != index.dim())
    throw std::invalid_argument("queries has " + std::to_string(q.shape(1)) + " columns, must have dim = " + std::to_string(index.dim()));
  const auto width = static_cast<std::size_t>(k);
  check_cells(n, width, n * width * (sizeof(std::int64_t) + sizeof(float)));
  const std::vector<py::ssize_t> shape{q.shape(0), static_cast<py::ssize_t>(k)};
  py::array_t<std::int64_t> id_array(shape);
  py::array_t<float> score_array(shape);
  std::int64_t* ids = id_array.mutable_data();
  float* scores = score_array.mutable_data();
  {
    const py::gil_scoped_release release;
    // What is found is at most what is there: a huge k costs the padding alone.
    const std::size_t most = std::min(width, index.size());
    std::fill_n(ids, n * width, -1);
    std::fill_n(scores, n * width, -std::numeric_limits<float>::infinity());
    std::vector<Neighbor> found(n * most);
    std::vector<std::size_t> counts(n);
    index.search_batch(float_rows(q), {found.data(), n, most}, counts, filters, num_threads);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < counts[i]; ++j) {
        ids[i * width + j] = found[i * most + j].id;
        scores[i * width + j] = found[i * most + j].score;
      }
    }
  }
  return py::make_tuple(id_array, score_array);
}

inline py::tuple rows_to_python(IndexRows rows, int dim) {
  const auto n = static_cast<py::ssize_t>(rows.ids.size());
  return py::make_tuple(to_numpy(rows.vectors, {n, dim}), take(std::move(rows.ids)));
}

/// add, update, remove, compact, size, contains, ids, dim, metric, search, set_ef_search, set_nprobe, memory_bytes, dead_rows, save,
/// save_with_keys, to_bytes.
template <class Index, class Class>
void bind_index_methods(Class& c) {
  c.def(
       "add",
       [](Index& ix, const py::object& vectors, const py::object& ids) {
         const auto v = from_numpy<float>(vectors, "vectors", 2);
         const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
         const py::gil_scoped_release release;
         ix.add(float_rows(v), span_of(i));
       },
       py::arg("vectors"), py::arg("ids"))
      .def(
          "update",
          [](Index& ix, const py::object& vectors, const py::object& ids) {
            const auto v = from_numpy<float>(vectors, "vectors", 2);
            const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
            const py::gil_scoped_release release;
            ix.update(float_rows(v), span_of(i));
          },
          py::arg("vectors"), py::arg("ids"))
      .def(
          "remove",
          [](Index& ix, const py::object& ids) {
            const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
            const py::gil_scoped_release release;
            return ix.remove(span_of(i));
          },
          py::arg("ids"))
      .def("compact", &Index::compact, py::call_guard<py::gil_scoped_release>())
      .def("size", &Index::size, py::call_guard<py::gil_scoped_release>())
      .def("contains", &Index::contains, py::arg("id"), py::call_guard<py::gil_scoped_release>())
      .def("ids",
           [](const Index& ix) {
             std::vector<std::int64_t> ids;
             {
               const py::gil_scoped_release release;
               ids = ix.ids();
             }
             return take(std::move(ids));
           })
      .def("search", &search_index<Index>, py::arg("queries"), py::arg("k"), py::arg("filters"), py::arg("num_threads"))
      .def("set_ef_search", &Index::set_ef_search, py::arg("ef_search"), py::call_guard<py::gil_scoped_release>())
      .def("set_nprobe", &Index::set_nprobe, py::arg("nprobe"), py::call_guard<py::gil_scoped_release>())
      .def("memory_bytes", &Index::memory_bytes, py::call_guard<py::gil_scoped_release>())
      .def("dead_rows", &Index::dead_rows, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("dim", &Index::dim)
      .def_property_readonly("metric", [](const Index& ix) { return name_of_choice(ix.metric(), kIndexMetrics); })
      .def("save", [](const Index& ix, const std::filesystem::path& path) { save(ix, path); }, py::arg("path"),
           py::call_guard<py::gil_scoped_release>())
      .def("save_with_keys",
           [](const Index& ix, const std::filesystem::path& path, const IdMap& keys) {
             save_state(path, ix.kind(), [&](StateWriter& writer) {
               ix.save_state(writer);
               writer.put_id_map(kIndexKeys, keys);
             });
           },
           py::arg("path"), py::arg("keys"), py::call_guard<py::gil_scoped_release>(), "The file of save(), with the key of each id beside it.")
      .def("to_bytes", [](const Index& ix) {
        std::vector<char> bytes;
        {
          const py::gil_scoped_release release;
          bytes = save_to_memory(ix);
        }
        return to_bytes(bytes);
      });
}

}  // namespace etalage::python
