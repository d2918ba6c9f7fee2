// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "data_helpers.hpp"
#include "data_keys.hpp"
#include "etalage/core/interactions.hpp"
#include "given.hpp"
#include "id_map_helpers.hpp"
#include "log_weights.hpp"
#include "numpy_helpers.hpp"
#include "recipe_helpers.hpp"

namespace etalage::python {

void bind_interactions(py::module_& m) {
  py::class_<Interactions, std::shared_ptr<Interactions>>(
      m, "Interactions", py::dynamic_attr(),
      "Who did how much of what: users x items, float32, with the shop's keys beside it. Immutable.")
      .def_static(
          "from_csr",
          [](const py::object& user_items, const py::object& user_ids, const py::object& item_ids, const Given<std::optional<std::int64_t>>& newest_ms) {
            const std::optional<std::int64_t> newest = newest_ms("newest_ms");
            CsrMatrix csr = kept_csr(user_items, "user_items");
            SharedIdMap users = user_ids.is_none() ? nullptr : id_map_from_keys(user_ids, "user_ids");
            SharedIdMap items = item_ids.is_none() ? nullptr : id_map_from_keys(item_ids, "item_ids");
            const py::gil_scoped_release release;
            return std::make_shared<Interactions>(std::move(csr), std::move(users), std::move(items), newest);
          },
          py::arg("user_items"), py::arg("user_ids") = py::none(), py::arg("item_ids") = py::none(), py::arg("newest_ms") = py::none(),
          "A scipy sparse matrix or 2-d array users x items of finite values; unsorted columns are sorted, duplicates\n"
          "summed, the input left alone. Keys: one a row and one a column, strings or 64-bit integers. newest_ms: UTC milliseconds\n"
          "of the newest event behind it, where it is known.")
      .def_static(
          "from_frame",
          [](const py::object& frame, const Text& user, const Text& item, const MaybeText& event, const MaybeText& time, const MaybeText& value,
             const MaybeText& time_unit, const Text& on_error, const Given<std::optional<std::map<std::string, double>>>& event_weights,
             const Given<std::optional<double>>& half_life_days, const py::object& now, const MaybeText& duplicates, const Count& min_user_count,
             const Count& min_item_count, const MaybeText& return_event, const py::object& return_cancels, const MaybeText& negative_values,
             const py::object& value_transform, const MaybeText& normalize_users, const Count& num_threads) {
            return interactions_of(
                [&] { return log_from_frame(frame, columns_of(user, item, event, time, value, {py::none()}, time_unit, on_error, num_threads)); },
                {event_weights, half_life_days, now, duplicates, min_user_count, min_item_count, return_event, return_cancels, negative_values, value_transform,
                 normalize_users, num_threads});
          },
          py::arg("frame"), py::arg("user") = "user", py::arg("item") = "item", py::arg("event") = py::none(),
          py::arg("time") = py::none(), py::arg("value") = py::none(), py::arg("time_unit") = py::none(), py::arg("on_error") = "raise",
          py::arg("event_weights") = py::none(), py::arg("half_life_days") = py::none(), py::arg("now") = py::none(),
          py::arg("duplicates") = "sum", py::arg("min_user_count") = 0, py::arg("min_item_count") = 0,
          py::arg("return_event") = py::none(), py::arg("return_cancels") = py::none(), py::arg("negative_values") = "keep",
          py::arg("value_transform") = py::none(), py::arg("normalize_users") = py::none(), py::arg("num_threads") = 0, "EventLog.from_frame(...).interactions(...) in one step.")
      .def_property_readonly(
          "user_items",
          [](const py::object& self) {
            return made_once(self, "_user_items", [&] { return csr_copy_to_python(self.cast<const Interactions&>().user_items()); });
          },
          "scipy CSR, float32, sorted columns: a private copy, made on first access. What is done to it never reaches the\n"
          "library; calls that take Interactions read their own rows.")
      .def_property_readonly("user_items_view", [](const Interactions& d) { return csr_to_python(d.user_items()); },
                             "The same, sharing memory with the library: read-only, and no copy.")
      .def_property_readonly(
          "user_ids", [](const py::object& self) { return cached_keys(self, "_user_ids", self.cast<const Interactions&>().user_ids()); },
          "The shop's keys in index order: int64, or an object array of str; None without keys.")
      .def_property_readonly(
          "item_ids", [](const py::object& self) { return cached_keys(self, "_item_ids", self.cast<const Interactions&>().item_ids()); },
          "The shop's keys in index order: int64, or an object array of str; None without keys.")
      .def_property_readonly("user_id_map", [](const Interactions& d) { return map_or_none(d.user_ids()); }, "IdMap or None.")
      .def_property_readonly("item_id_map", [](const Interactions& d) { return map_or_none(d.item_ids()); }, "IdMap or None.")
      .def("user_index", [](const Interactions& d, const py::object& keys) { return index_of(d.user_ids(), keys, "user"); },
           py::arg("keys"), "int32 [n], -1 for unknown keys; one key gives one int32. ValueError for keys of the other kind.")
      .def("item_index", [](const Interactions& d, const py::object& keys) { return index_of(d.item_ids(), keys, "item"); },
           py::arg("keys"), "int32 [n], -1 for unknown keys; one key gives one int32. ValueError for keys of the other kind.")
      .def_property_readonly("recipe", &recipe_of, "etalage.Recipe: how the log became this matrix; None for one made elsewhere.")
      .def_property_readonly("num_users", &Interactions::num_users)
      .def_property_readonly("num_items", &Interactions::num_items)
      .def_property_readonly("nnz", &Interactions::nnz)
      .def_property_readonly("newest_ms", [](const Interactions& d) { return d.newest_ms(); },
                             "UTC milliseconds of the newest event of the log that they were made of; None without times.")
      .def_property_readonly("shape", [](const Interactions& d) { return py::make_tuple(d.num_users(), d.num_items()); })
      .def("__repr__",
           [](const Interactions& d) {
             return "Interactions(" + std::to_string(d.num_users()) + " users x " + std::to_string(d.num_items()) + " items, " +
                    std::to_string(d.nnz()) + " pairs)";
           })
      .def(py::pickle(
          [](const Interactions& d) {
            const CsrMatrix& m = d.user_items();
            return py::make_tuple(m.rows, m.cols, to_numpy(m.offsets), to_numpy(m.columns), to_numpy(m.values),
                                  id_map_state(d.user_ids()), id_map_state(d.item_ids()), d.newest_ms());
          },
          [](const py::tuple& t) {
            CsrMatrix m{t[0].cast<std::int64_t>(), t[1].cast<std::int64_t>(), array_from_state<std::int64_t>(t[2]),
                        array_from_state<std::int32_t>(t[3]), array_from_state<float>(t[4])};
            if (m.offsets.empty()) m.offsets = Array<std::int64_t>(static_cast<std::size_t>(m.rows) + 1);
            const auto newest_ms = t.size() > 7 ? t[7].cast<std::optional<std::int64_t>>() : std::nullopt;  // older pickles lack it
            return std::make_shared<Interactions>(std::move(m), id_map_from_state(t[5]), id_map_from_state(t[6]), newest_ms);
          }));
}

}  // namespace etalage::python
