// SPDX-License-Identifier: Apache-2.0
// Slots, groups of experiments, interleaving.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <string>
#include <utility>
#include <vector>

#include "etalage/core/slot.hpp"
#include "etalage/evaluation/experiment.hpp"
#include "etalage/io/experiment_files.hpp"
#include "file_helpers.hpp"
#include "key_helpers.hpp"

namespace etalage::python {
namespace {

std::int32_t slot_of(const Key& key, const std::string& salt) {
  return std::visit([&](const auto& k) { return slot(k, salt); }, key);
}

std::vector<GroupShare> shares_from(const std::vector<std::pair<std::string, double>>& given) {
  std::vector<GroupShare> out;
  for (const auto& [group, share] : given) out.push_back({group, share});
  return out;
}

std::span<const std::int32_t> items_of(const py::array_t<std::int32_t, py::array::c_style>& a) { return {a.data(), static_cast<std::size_t>(a.size())}; }

template <class Draw>
py::tuple interleaved(const Draw& draw, const py::object& first, const py::object& second, std::int64_t k, std::uint64_t seed) {
  const auto a = from_numpy<std::int32_t>(first, "first", 1), b = from_numpy<std::int32_t>(second, "second", 1);
  if (k < 0) throw std::invalid_argument("k is " + std::to_string(k) + ", must be >= 0");
  Interleaved list = draw(items_of(a), items_of(b), static_cast<std::size_t>(k), seed);
  return py::make_tuple(take(std::move(list.items)), take(std::move(list.teams)));
}

}  // namespace

void bind_experiment(py::module_& m) {
  m.attr("SLOTS") = kSlots;
  m.def("slot", [](const py::object& key, const std::string& salt) { return slot_of(key_from(key, "key"), salt); }, py::arg("key"), py::arg("salt"));
  m.def(
      "slots",
      [](const py::object& keys, const std::string& salt) {
        std::vector<std::int32_t> out;
        if (py::isinstance<py::array>(keys) && (py::str(keys.attr("dtype").attr("kind")).cast<std::string>() == "i")) {
          const auto numbers = from_numpy<std::int64_t>(keys, "keys", 1);
          out.resize(static_cast<std::size_t>(numbers.size()));
          const py::gil_scoped_release release;
          for (std::size_t i = 0; i < out.size(); ++i) out[i] = slot(numbers.data()[i], salt);
        } else {
          for (const py::handle key : keys) out.push_back(slot_of(key_from(key, "keys"), salt));
        }
        return take(std::move(out));
      },
      py::arg("keys"), py::arg("salt"));
  py::class_<Allocation> allocation(m, "Allocation");
  allocation
      .def(py::init([](const std::string& salt, const std::vector<std::pair<std::string, double>>& shares) {
             return Allocation(salt, shares_from(shares));
           }),
           py::arg("salt"), py::arg("shares"))
      .def_property_readonly("salt", &Allocation::salt)
      .def_property_readonly("groups", [](const Allocation& a) { return std::vector<std::string>(a.groups().begin(), a.groups().end()); })
      .def_property_readonly("table", [](const Allocation& a) { return take(std::vector<std::int16_t>(a.table().begin(), a.table().end())); })
      .def("assign",
           [](const Allocation& a, const py::object& key) { return std::visit([&](const auto& k) { return a.assign(k); }, key_from(key, "key")); },
           py::arg("key"))
      .def("with_share", [](const Allocation& a, const std::string& group, double share) { return a.with_share(group, share); },
           py::arg("group"), py::arg("share"));
  bind_files<Allocation>(allocation, [](const auto& p, LoadOptions o) { return load_allocation(p, o); },
                         [](auto b, LoadOptions o) { return load_allocation_from_memory(b, o); });
  m.def("team_draft",
        [](const py::object& first, const py::object& second, std::int64_t k, std::uint64_t seed) { return interleaved(team_draft, first, second, k, seed); },
        py::arg("first"), py::arg("second"), py::arg("k"), py::arg("seed"));
  m.def("balanced",
        [](const py::object& first, const py::object& second, std::int64_t k, std::uint64_t seed) { return interleaved(balanced, first, second, k, seed); },
        py::arg("first"), py::arg("second"), py::arg("k"), py::arg("seed"));
  m.def("balanced_credit",
        [](const py::object& first, const py::object& second, const py::object& shown, const std::vector<bool>& clicked) {
          const auto a = from_numpy<std::int32_t>(first, "first", 1), b = from_numpy<std::int32_t>(second, "second", 1),
                     s = from_numpy<std::int32_t>(shown, "shown", 1);
          const std::vector<std::uint8_t> clicks(clicked.begin(), clicked.end());
          const InterleavingCredit c = balanced_credit(items_of(a), items_of(b), items_of(s), clicks);
          return py::make_tuple(c.first, c.second);
        },
        py::arg("first"), py::arg("second"), py::arg("shown"), py::arg("clicked"));
}

}  // namespace etalage::python
