// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/id_map.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "index_options.hpp"
#include "numpy_helpers.hpp"
#include "option_helpers.hpp"

namespace etalage::python {
namespace {

using Floats = py::array_t<float, py::array::c_style>;
// Beside the index in its file: files of indexes without keys stay as they are, and readers that know no keys pass over them.
constexpr const char* kKeys = "info/keys";
constexpr const char* kIndexKind = "ItemIndex";

using Ids = py::array_t<std::int64_t, py::array::c_style>;

MatrixView<const float> matrix(const Floats& a) {
  return {a.data(), static_cast<std::size_t>(a.shape(0)), static_cast<std::size_t>(a.shape(1))};
}
std::span<const std::int64_t> list(const Ids& a) { return {a.data(), static_cast<std::size_t>(a.size())}; }

ItemFilter make_filter(const py::object& allow, const py::object& deny) {
  ItemFilter f;
  if (!allow.is_none()) f = ItemFilter::allow(list(from_numpy<std::int64_t>(allow, "allow", 1)));
  if (!deny.is_none()) f = f & ItemFilter::deny(list(from_numpy<std::int64_t>(deny, "deny", 1)));
  return f;
}

/// Allows what f does not.
ItemFilter complement(const ItemFilter& f) {
  if (!f.has_allow_list()) return ItemFilter::allow(f.denied_ids());
  std::vector<std::int64_t> allowed;
  for (const std::int64_t id : f.allowed_ids())
    if (f.allows(id)) allowed.push_back(id);
  return ItemFilter::deny(std::span<const std::int64_t>(allowed));
}

py::tuple search(const ItemIndex& index, const py::object& queries, std::int64_t k, const std::vector<const ItemFilter*>& filters,
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
    index.search_batch(matrix(q), {found.data(), n, most}, counts, filters, num_threads);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < counts[i]; ++j) {
        ids[i * width + j] = found[i * most + j].id;
        scores[i * width + j] = found[i * most + j].score;
      }
    }
  }
  return py::make_tuple(id_array, score_array);
}

LoadOptions load_options(const std::string& verify) {
  if (verify != "full" && verify != "header")
    throw std::invalid_argument("verify is '" + verify + "', must be 'full' or 'header'");
  return {verify == "full" ? Verify::kFull : Verify::kHeader, 0};
}

}  // namespace

void bind_retrieval(py::module_& m) {
  py::class_<ItemFilter, std::shared_ptr<ItemFilter>>(
      m, "ItemFilter", "Which ids may be found: an allow list, a deny list, or both. Immutable; made once, used for any number of\n"
                       "searches of any index.")
      .def(py::init(&make_filter), py::arg("allow") = py::none(), py::arg("deny") = py::none(),
           "allow, deny: int64 ids >= 0, one-dimensional, or None. Ids that an index does not have are harmless.")
      .def("allows", &ItemFilter::allows, py::arg("id"), "True when the id may be found.")
      .def("__and__", [](const ItemFilter& a, const ItemFilter& b) { return a & b; }, py::arg("other"), "What both allow.")
      .def("__invert__", &complement, "What this one does not allow.")
      .def(py::pickle(
          [](const ItemFilter& f) {
            const auto ids = [](std::span<const std::int64_t> s) { return take(std::vector<std::int64_t>(s.begin(), s.end())); };
            return py::make_tuple(f.has_allow_list() ? py::object(ids(f.allowed_ids())) : py::none(), ids(f.denied_ids()));
          },
          [](const py::tuple& t) { return std::make_shared<ItemFilter>(make_filter(t[0], t[1])); }));

  py::class_<ItemIndex, std::shared_ptr<ItemIndex>>(m, "ItemIndex", "The compiled part of etalage.retrieval.ItemIndex.")
      .def(py::init([](int dim, const py::dict& options) {
             IndexMetric metric = IndexMetric::kCosine;
             IndexKind kind = IndexKind::kExact;
             set_choice(options, "metric", metric, kIndexMetrics);
             set_choice(options, "kind", kind, kIndexKinds);
             return std::make_shared<ItemIndex>(dim, metric, kind, index_options_from(options));
           }),
           py::arg("dim"), py::arg("options"))
      .def(
          "add",
          [](ItemIndex& ix, const py::object& vectors, const py::object& ids) {
            const auto v = from_numpy<float>(vectors, "vectors", 2);
            const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
            const py::gil_scoped_release release;
            ix.add(matrix(v), list(i));
          },
          py::arg("vectors"), py::arg("ids"))
      .def(
          "update",
          [](ItemIndex& ix, const py::object& vectors, const py::object& ids) {
            const auto v = from_numpy<float>(vectors, "vectors", 2);
            const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
            const py::gil_scoped_release release;
            ix.update(matrix(v), list(i));
          },
          py::arg("vectors"), py::arg("ids"))
      .def(
          "remove",
          [](ItemIndex& ix, const py::object& ids) {
            const auto i = from_numpy<std::int64_t>(ids, "ids", 1);
            const py::gil_scoped_release release;
            return ix.remove(list(i));
          },
          py::arg("ids"))
      .def("compact", &ItemIndex::compact, py::call_guard<py::gil_scoped_release>())
      .def("size", &ItemIndex::size, py::call_guard<py::gil_scoped_release>())
      .def("contains", &ItemIndex::contains, py::arg("id"), py::call_guard<py::gil_scoped_release>())
      .def("ids",
           [](const ItemIndex& ix) {
             std::vector<std::int64_t> ids;
             {
               const py::gil_scoped_release release;
               ids = ix.ids();
             }
             return take(std::move(ids));
           })
      .def("search", &search, py::arg("queries"), py::arg("k"), py::arg("filters"), py::arg("num_threads"))
      .def("distances_per_query",
           [](const ItemIndex& ix, py::handle queries, std::size_t k) {
             const Array<float> q = wrap(from_numpy<float>(queries, "queries", 2));
             const auto dim = static_cast<std::size_t>(ix.dim());
             const std::size_t n = py::len(queries);
             if (q.size() != n * dim)
               throw py::value_error("queries has " + std::to_string(n == 0 ? 0 : q.size() / n) + " columns, must have dim = " + std::to_string(dim));
             const py::gil_scoped_release release;
             return ix.distances_per_query({q.data(), n, dim}, k);
           },
           py::arg("queries"), py::arg("k"))
      .def_property_readonly("dim", &ItemIndex::dim)
      .def_property_readonly("metric", [](const ItemIndex& ix) { return name_of_choice(ix.metric(), kIndexMetrics); })
      .def_property_readonly("kind", [](const ItemIndex& ix) { return name_of_choice(ix.structure(), kIndexKinds); })
      .def("options", [](const ItemIndex& ix) { return index_options_to(ix.options()); })
      .def("set_ef_search", &ItemIndex::set_ef_search, py::arg("ef_search"))
      .def("set_nprobe", &ItemIndex::set_nprobe, py::arg("nprobe"))
      .def_property_readonly("measured_recall", &ItemIndex::measured_recall)
      .def("memory_bytes", &ItemIndex::memory_bytes, py::call_guard<py::gil_scoped_release>())
      .def("dead_rows", &ItemIndex::dead_rows, py::call_guard<py::gil_scoped_release>())
      .def("save", [](const ItemIndex& ix, const std::filesystem::path& path) { save(ix, path); }, py::arg("path"),
           py::call_guard<py::gil_scoped_release>())
      .def("save_with_keys",
           [](const ItemIndex& ix, const std::filesystem::path& path, const IdMap& keys) {
             save_state(path, kIndexKind, [&](StateWriter& writer) {
               ix.save_state(writer);
               writer.put_id_map(kKeys, keys);
             });
           },
           py::arg("path"), py::arg("keys"), py::call_guard<py::gil_scoped_release>(), "The file of save(), with the key of each id beside it.")
      .def_static("keys_of",
                  [](const std::filesystem::path& path) -> std::shared_ptr<IdMap> {
                    const StateFile file = StateFile::open(path, {Verify::kHeader, 0});
                    if (!file.reader().has(std::string(kKeys) + "/kind")) return nullptr;
                    return std::make_shared<IdMap>(file.reader().get_id_map(kKeys));
                  },
                  py::arg("path"), py::call_guard<py::gil_scoped_release>(), "The keys of a file of save_with_keys(), or None.")
      .def_static("load", [](const std::filesystem::path& path, const std::string& verify) { return load_index(path, load_options(verify)); },
                  py::arg("path"), py::arg("verify"), py::call_guard<py::gil_scoped_release>())
      .def("to_bytes",
           [](const ItemIndex& ix) {
             std::vector<char> bytes;
             {
               const py::gil_scoped_release release;
               bytes = save_to_memory(ix);
             }
             return py::bytes(bytes.data(), bytes.size());
           })
      .def_static(
          "from_bytes",
          [](const py::bytes& data) {
            const std::string_view v = data;
            const py::gil_scoped_release release;
            return load_index_from_memory(std::span<const char>(v.data(), v.size()));
          },
          py::arg("data"));
}

}  // namespace etalage::python
