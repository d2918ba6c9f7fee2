// SPDX-License-Identifier: Apache-2.0
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>

#include "data_helpers.hpp"
#include "data_keys.hpp"
#include "etalage/core/sequences.hpp"
#include "given.hpp"
#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"
#include "recipe_helpers.hpp"

namespace etalage::python {

void bind_sequences(py::module_& m) {
  py::class_<Sequences, std::shared_ptr<Sequences>>(m, "Sequences", py::dynamic_attr(),
                                                    "Items in the order in which they happened, one list a user or a session.")
      .def(py::init([](const py::object& offsets, const py::object& items, const py::object& times, const Count& num_items,
                       const py::object& user_index, const py::object& user_ids, const py::object& item_ids) {
             return std::make_shared<Sequences>(
                 kept(from_numpy<std::int64_t>(offsets, "offsets", 1)), kept(from_numpy<std::int32_t>(items, "items", 1)),
                 times.is_none() ? Array<std::int64_t>() : kept(from_numpy<std::int64_t>(times, "times", 1)), num_items("num_items"),
                 user_index.is_none() ? Array<std::int32_t>() : kept(from_numpy<std::int32_t>(user_index, "user_index", 1)),
                 user_ids.is_none() ? nullptr : id_map_from_keys(user_ids, "user_ids"),
                 item_ids.is_none() ? nullptr : id_map_from_keys(item_ids, "item_ids"));
           }),
           py::arg("offsets"), py::arg("items"), py::arg("times") = py::none(), py::arg("num_items") = -1,
           py::arg("user_index") = py::none(), py::arg("user_ids") = py::none(), py::arg("item_ids") = py::none(),
           "List i is items[offsets[i]:offsets[i + 1]], oldest first, repeats kept. offsets int [n + 1], items int, times int64\n"
           "milliseconds UTC or None; user_index [n] says whose each list is (None: list i is user i).")
      .def("__len__", &Sequences::size)
      .def("__getitem__",
           [](const Sequences& s, std::int64_t i) {
             const std::int64_t at = i < 0 ? i + s.size() : i;
             if (at < 0 || at >= s.size()) throw py::index_error("list " + std::to_string(i) + " of " + std::to_string(s.size()));
             const auto list = s.items_of(at);
             return to_numpy(Array<std::int32_t>::wrap(list.data(), list.size(), s.items().owner()));
           })
      .def_property_readonly("offsets", [](const Sequences& s) { return to_numpy(s.offsets()); }, "int64 [n + 1], read-only.")
      .def_property_readonly("items", [](const Sequences& s) { return to_numpy(s.items()); }, "int32, read-only.")
      .def_property_readonly("times", [](const Sequences& s) { return array_or_none(s.times(), s.has_times()); },
                             "int64 milliseconds UTC, read-only, or None.")
      .def_property_readonly(
          "user_index", [](const Sequences& s) { return array_or_none(s.user_index(), !s.user_index().empty()); },
          "int32 [n]: whose each list is; None when list i is user i's.")
      .def_property_readonly("recipe", &recipe_of, "etalage.Recipe: how the log became these lists, where Recipe.sequences made them; else None.")
      .def_property_readonly("num_items", &Sequences::num_items)
      .def_property_readonly(
          "user_ids", [](const py::object& self) { return cached_keys(self, "_user_ids", self.cast<const Sequences&>().user_ids()); })
      .def_property_readonly(
          "item_ids", [](const py::object& self) { return cached_keys(self, "_item_ids", self.cast<const Sequences&>().item_ids()); })
      .def_property_readonly("user_id_map", [](const Sequences& s) { return map_or_none(s.user_ids()); }, "IdMap or None.")
      .def_property_readonly("item_id_map", [](const Sequences& s) { return map_or_none(s.item_ids()); }, "IdMap or None.")
      .def("__repr__",
           [](const Sequences& s) {
             return "Sequences(" + std::to_string(s.size()) + " lists, " + std::to_string(s.items().size()) + " events, " +
                    std::to_string(s.num_items()) + " items)";
           })
      .def(py::pickle(
          [](const Sequences& s) {
            return py::make_tuple(to_numpy(s.offsets()), to_numpy(s.items()), to_numpy(s.times()), s.num_items(), to_numpy(s.user_index()),
                                  id_map_state(s.user_ids()), id_map_state(s.item_ids()));
          },
          [](const py::tuple& t) {
            return std::make_shared<Sequences>(array_from_state<std::int64_t>(t[0]), array_from_state<std::int32_t>(t[1]),
                                               array_from_state<std::int64_t>(t[2]), t[3].cast<std::int32_t>(),
                                               array_from_state<std::int32_t>(t[4]), id_map_from_state(t[5]), id_map_from_state(t[6]));
          }));
}

}  // namespace etalage::python
