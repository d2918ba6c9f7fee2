// SPDX-License-Identifier: Apache-2.0
// Frames and pickles on the way into the data classes.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/arrow.hpp"
#include "etalage/core/event_columns.hpp"
#include "etalage/core/event_log.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

namespace py = pybind11;

/// Checked: time_unit 's', 'ms', 'us', 'ns' or None, on_error 'raise' or 'skip', num_threads >= 0.
[[nodiscard]] EventColumns event_columns(const std::string& user, const std::string& item, const std::optional<std::string>& event,
                                         const std::optional<std::string>& time, const std::optional<std::string>& value,
                                         const std::optional<std::string>& session, const std::optional<std::string>& time_unit,
                                         const std::string& on_error, int num_threads);

/// The kinds of keys that `like` has: anything with user_ids and item_ids (a model, Interactions, an EventLog), or None.
void keys_like(EventColumns& columns, const py::object& like);

/// Calls read(stream, unreadable cells) with the named columns of any frame, while the GIL is released. With `skip` cells
/// of another kind than most of their column's are unreadable, else the first is a TypeError. What the frame's own
/// library says when its stream fails is passed on, beside what the frame offers instead.
void read_frame(const py::object& frame, const std::vector<std::string>& names, bool skip,
                const std::function<void(ArrowArrayStream*, std::span<const UnreadableCell>)>& read);

/// Columns as to_arrow_or_columns gives them, as a capsule that holds an Arrow stream of one batch.
[[nodiscard]] py::capsule stream_capsule(const std::vector<std::string>& names, const py::list& columns);

/// Any frame; the GIL is released while the columns are read.
[[nodiscard]] EventLog log_from_frame(const py::object& frame, const EventColumns& columns);
/// A log from reader.open(name), the Arrow stream of one column, asked for one after the other; reader.close() in the end.
[[nodiscard]] EventLog log_by_column(const py::object& reader, const EventColumns& columns);

/// What pickling keeps of an id map, or None.
[[nodiscard]] py::object id_map_state(const SharedIdMap& ids);
[[nodiscard]] SharedIdMap id_map_from_state(const py::object& state);
[[nodiscard]] py::tuple log_state(const EventLog& log);
[[nodiscard]] EventLog log_from_state(const py::tuple& state);

/// A copy, so that a state that somebody else holds cannot change the object.
template <class T>
[[nodiscard]] Array<T> array_from_state(const py::handle& state) {
  const py::array_t<T, py::array::c_style> a(py::reinterpret_borrow<py::object>(state));
  return a.size() == 0 ? Array<T>() : Array<T>(std::span<const T>(a.data(), static_cast<std::size_t>(a.size())));
}

}  // namespace etalage::python
