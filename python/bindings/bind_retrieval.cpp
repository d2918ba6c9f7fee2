// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "etalage/core/id_map.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/retrieval/index_rows.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "given.hpp"
#include "index_methods.hpp"
#include "index_options.hpp"
#include "numpy_helpers.hpp"
#include "option_fields.hpp"
#include "option_helpers.hpp"

namespace etalage::python {
namespace {

ItemFilter make_filter(const py::object& allow, const py::object& deny) {
  ItemFilter f;
  if (!allow.is_none()) f = ItemFilter::allow(span_of(from_numpy<std::int64_t>(allow, "allow", 1)));
  if (!deny.is_none()) f = f & ItemFilter::deny(span_of(from_numpy<std::int64_t>(deny, "deny", 1)));
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

}  // namespace

void bind_retrieval(py::module_& m) {
  py::class_<ItemFilter, std::shared_ptr<ItemFilter>>(
      m, "ItemFilter", "Which ids may be found: an allow list, a deny list, or both. Immutable; made once, used for any number of\n"
                       "searches of any index.")
      .def(py::init(&make_filter), py::arg("allow") = py::none(), py::arg("deny") = py::none(),
           "allow, deny: int64 ids >= 0, one-dimensional, or None. Ids that an index does not have are harmless.")
      .def("allows", [](const ItemFilter& f, const Given<std::int64_t>& id) { return f.allows(id("id")); }, py::arg("id"), "True when the id may be found.")
      .def("__and__", [](const ItemFilter& a, const ItemFilter& b) { return a & b; }, py::arg("other"), "What both allow.")
      .def("__invert__", &complement, "What this one does not allow.")
      .def(py::pickle(
          [](const ItemFilter& f) {
            const auto ids = [](std::span<const std::int64_t> s) { return take(std::vector<std::int64_t>(s.begin(), s.end())); };
            return py::make_tuple(f.has_allow_list() ? py::object(ids(f.allowed_ids())) : py::none(), ids(f.denied_ids()));
          },
          [](const py::tuple& t) { return std::make_shared<ItemFilter>(make_filter(t[0], t[1])); }));

  py::class_<ItemIndex, std::shared_ptr<ItemIndex>> index(m, "ItemIndex", "The compiled part of etalage.retrieval.ItemIndex.");
  bind_index_methods<ItemIndex>(index);
  index
      .def(py::init([](int dim, const py::dict& options) {
             IndexMetric metric = IndexMetric::kCosine;
             IndexKind kind = IndexKind::kExact;
             set_choice(options, "metric", metric, kIndexMetrics);
             set_choice(options, "kind", kind, kIndexKinds);
             return std::make_shared<ItemIndex>(dim, metric, kind, options_from_dict<ItemIndexOptions>(options));
           }),
           py::arg("dim"), py::arg("options"))
      .def("rows",
           [](const ItemIndex& ix) {
             IndexRows rows;
             {
               const py::gil_scoped_release release;
               rows = rows_of(ix);
             }
             return rows_to_python(std::move(rows), ix.dim());
           },
           "The vectors as they are scored, float32 (n, dim), and their ids, int64 (n,).")
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
      .def_property_readonly("kind", [](const ItemIndex& ix) { return name_of_choice(ix.structure(), kIndexKinds); })
      .def("options", [](const ItemIndex& ix) { return options_to_dict(ix.options()); })
      .def_property_readonly("measured_recall", &ItemIndex::measured_recall)
      .def_static("keys_of",
                  [](const std::filesystem::path& path) -> std::shared_ptr<IdMap> {
                    const StateFile file = StateFile::open(path, {Verify::kHeader, 0});
                    if (!file.reader().has(std::string(kIndexKeys) + "/kind")) return nullptr;
                    return std::make_shared<IdMap>(file.reader().get_id_map(kIndexKeys));
                  },
                  py::arg("path"), py::call_guard<py::gil_scoped_release>(), "The keys of a file of save_with_keys(), or None.")
      .def_static("load", [](const std::filesystem::path& path, const std::string& verify) { return load_index(path, verify_option(verify)); },
                  py::arg("path"), py::arg("verify"), py::call_guard<py::gil_scoped_release>())
      .def_static(
          "from_bytes",
          [](const py::bytes& data) {
            const std::span<const char> bytes = bytes_of(data);
            const py::gil_scoped_release release;
            return load_index_from_memory(bytes);
          },
          py::arg("data"));
}

}  // namespace etalage::python
