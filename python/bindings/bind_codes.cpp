// SPDX-License-Identifier: Apache-2.0
// A log from columns of numbers and the maps of their keys, for logs that come in parts whose keys are numbered together.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "data_helpers.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/core/id_map.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {
namespace {

template <class T>
Array<T> array_or_none(const py::object& given, const char* name) {
  return given.is_none() ? Array<T>() : array_from_state<T>(from_numpy<T>(given, name, 1));
}

std::shared_ptr<EventLog> log_of_codes(const py::object& users, const py::object& items, const std::shared_ptr<IdMap>& user_ids,
                                       const std::shared_ptr<IdMap>& item_ids, const py::object& events, std::vector<std::string> event_names,
                                       const py::object& times, const py::object& values) {
  EventLog::Columns c;
  c.users = array_or_none<std::int32_t>(users, "users");
  c.items = array_or_none<std::int32_t>(items, "items");
  if (!events.is_none()) {
    const auto given = from_numpy<std::int32_t>(events, "events", 1);
    Array<std::uint16_t> types(static_cast<std::size_t>(given.size()), uninitialized);
    for (py::ssize_t i = 0; i < given.size(); ++i) {
      const std::int32_t type = given.data()[i];
      if (type < 0 || type > UINT16_MAX || static_cast<std::size_t>(type) >= event_names.size())
        throw std::invalid_argument("events[" + std::to_string(i) + "] is " + std::to_string(type) + ", must be in [0, " +
                                    std::to_string(event_names.size()) + ") as event_names has them");
      types.mutable_data()[i] = static_cast<std::uint16_t>(type);
    }
    c.events = std::move(types);
  }
  c.event_names = std::move(event_names);
  c.times_ms = array_or_none<std::int64_t>(times, "times");
  c.values = array_or_none<float>(values, "values");
  c.user_ids = user_ids;
  c.item_ids = item_ids;
  return std::make_shared<EventLog>(EventLog(std::move(c)));
}

}  // namespace

void bind_codes(py::module_& m) {
  m.def("log_of_codes", &log_of_codes, py::arg("users"), py::arg("items"), py::arg("user_ids").none(true), py::arg("item_ids").none(true),
        py::arg("events") = py::none(), py::arg("event_names") = std::vector<std::string>(), py::arg("times") = py::none(),
        py::arg("values") = py::none(),
        "An EventLog of numbers: users, items int32 [n] below the sizes of their IdMaps (None: keys are the numbers), events int32 into\n"
        "event_names, times int64 UTC milliseconds, values float32; each [n] or None.");
}

}  // namespace etalage::python
