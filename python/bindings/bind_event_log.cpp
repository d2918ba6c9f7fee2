// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "data_helpers.hpp"
#include "data_keys.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/io/csv.hpp"
#include "given.hpp"
#include "id_map_helpers.hpp"
#include "log_weights.hpp"
#include "numpy_helpers.hpp"
#include "recipe_helpers.hpp"

namespace etalage::python {

void bind_event_log(py::module_& m) {
  m.def("parse_time", [](const std::string& text) { return parse_time_ms(text); }, py::arg("text"),
        "UTC milliseconds of ISO-8601 text, or None.");
  py::class_<EventLog, std::shared_ptr<EventLog>> log(
      m, "EventLog", py::dynamic_attr(),
      "A shop's record, one row an event, as typed columns over numbered keys. Users and items are numbered in order of first\n"
      "appearance. Immutable.");
  log.def_static(
         "from_frame",
         [](const py::object& frame, const Text& user, const Text& item, const MaybeText& event, const MaybeText& time, const MaybeText& value,
            const MaybeText& session, const MaybeText& time_unit, const Text& on_error, const Count& num_threads, const py::object& like) {
           EventColumns columns = columns_of(user, item, event, time, value, session, time_unit, on_error, num_threads);
           keys_like(columns, like);
           return std::make_shared<EventLog>(log_from_frame(frame, columns));
         },
         py::arg("frame"), py::arg("user") = "user", py::arg("item") = "item", py::arg("event") = py::none(), py::arg("time") = py::none(),
         py::arg("value") = py::none(), py::arg("session") = py::none(), py::arg("time_unit") = py::none(), py::arg("on_error") = "raise",
         py::arg("num_threads") = 0, py::arg("like") = py::none(),
         "Events of a frame: anything with __arrow_c_stream__ (polars, pyarrow, DuckDB, pandas), a pandas frame without\n"
         "pyarrow, or a dict of arrays. The arguments name its columns; None means there is none. Naive times are UTC; numbers\n"
         "in the time column need time_unit, one of 's', 'ms', 'us', 'ns'. on_error='raise' ends at a bad row with ValueError,\n"
         "'skip' leaves bad rows out and reports them in report. like (a model, Interactions, another log) lets its kind of keys\n"
         "decide: text that is a plain integer becomes one, integers become text.")
      .def_static(
          "from_csv",
          [](const Given<std::filesystem::path>& path, const Text& user, const Text& item, const MaybeText& event, const MaybeText& time, const MaybeText& value,
             const MaybeText& session, const MaybeText& time_unit, const Text& on_error, const Text& separator, const Flag& header, const Text& keys,
             const Count& num_threads, const py::object& like) {
            EventColumns columns = columns_of(user, item, event, time, value, session, time_unit, on_error, num_threads);
            keys_like(columns, like);
            CsvOptions options;
            const std::string between = separator("separator"), kind = keys("keys");
            if (between.size() != 1) throw std::invalid_argument("separator is '" + between + "', must be one ASCII character");
            options.separator = between[0];
            options.header = header("header");
            if (kind != "auto" && kind != "str") throw std::invalid_argument("keys is '" + kind + "', must be 'auto' or 'str'");
            options.integer_keys = kind == "auto";
            const std::filesystem::path file = path("path");
            const py::gil_scoped_release release;
            return std::make_shared<EventLog>(read_events_csv(file, columns, options));
          },
          py::arg("path"), py::arg("user") = "user", py::arg("item") = "item", py::arg("event") = py::none(), py::arg("time") = py::none(),
          py::arg("value") = py::none(), py::arg("session") = py::none(), py::arg("time_unit") = py::none(), py::arg("on_error") = "raise",
          py::arg("separator") = ",", py::arg("header") = true, py::arg("keys") = "auto", py::arg("num_threads") = 0, py::arg("like") = py::none(),
          "Events of a CSV file, plain or gzip. With header=False the columns are named by number, from '0'. keys='auto' makes a\n"
          "key column whose every field is a plain integer one of integers, 'str' keeps text; like (a model, Interactions, another log) decides where it is\n"
          "given, so that a file of tomorrow has the kind of keys that the model has. Bad rows are reported by line.")
      .def("interactions",
           [](const EventLog& self, const Given<std::optional<std::map<std::string, double>>>& event_weights, const Given<std::optional<double>>& half_life_days,
              const py::object& now, const MaybeText& duplicates, const Count& min_user_count, const Count& min_item_count, const MaybeText& return_event,
              const py::object& return_cancels, const MaybeText& negative_values, const py::object& value_transform, const MaybeText& normalize_users,
              const Count& num_threads) {
             return interactions_of([&]() -> const EventLog& { return self; },
                                    {event_weights, half_life_days, now, duplicates, min_user_count, min_item_count, return_event, return_cancels, negative_values,
                                     value_transform, normalize_users, num_threads});
           },
           py::arg("event_weights") = py::none(), py::arg("half_life_days") = py::none(), py::arg("now") = py::none(),
           py::arg("duplicates") = "sum", py::arg("min_user_count") = 0, py::arg("min_item_count") = 0,
           py::arg("return_event") = py::none(), py::arg("return_cancels") = py::none(), py::arg("negative_values") = "keep",
           py::arg("value_transform") = py::none(), py::arg("normalize_users") = py::none(), py::arg("num_threads") = 0,
           "The log as a users x items matrix: weight = value * event weight * 2^(-(now - time) / half_life), duplicates of a\n"
           "pair merged by 'sum', 'max', 'last' or 'binary' (the sign of the sum, times the newest event's decay). value_transform,\n"
           "'log1p', 'sqrt', 'rank' (within the user, over the number of pairs) or ('cap', x), is then applied to magnitudes, and\n"
           "normalize_users divides each user's weights by their 'l1', 'l2', 'max' or 'mean'. An event type absent from\n"
           "event_weights, or a return_event or return_cancels that the log does not have, is a ValueError.")
      .def("sequences",
           [](const EventLog& self, const Text& by, const Given<double>& idle_minutes) {
             const auto lists = choice_named<EventLog::By>("by", by.object);
             const double idle = idle_minutes("idle_minutes");
             const py::gil_scoped_release release;
             return std::make_shared<Sequences>(self.sequences(lists, idle));
           },
           py::arg("by") = "user", py::arg("idle_minutes") = 30.0,
           "One list a user, or one a session: by the session column where the log has one, else cut where a user paused for\n"
           "longer than idle_minutes. Oldest first, repeats kept.")
      .def("filtered",
           [](const EventLog& self, const py::object& keep) {
             const py::array mask = py::module_::import("etalage._arrays").attr("asarray")(keep, "keep");
             if (mask.dtype().kind() != 'b')
               throw py::type_error("keep has dtype " + std::string(py::str(mask.dtype())) + ", must be a boolean array");
             const auto bytes = from_numpy<std::uint8_t>(mask.attr("astype")("uint8"), "keep", 1);
             const py::gil_scoped_release release;
             return std::make_shared<EventLog>(
                 self.filtered(std::span<const std::uint8_t>(bytes.data(), static_cast<std::size_t>(bytes.size()))));
           },
                      py::arg("keep"), "The rows where the boolean mask holds, over the same users and items; where `keep` is a masked array, what is masked\n"
           "does not.")
      .def_static(
          "from_parquet",
          [](const Given<std::filesystem::path>& path, const Text& user, const Text& item, const MaybeText& event, const MaybeText& time, const MaybeText& value,
             const MaybeText& session, const MaybeText& time_unit, const Text& on_error, const Count& num_threads, const py::object& like) {
            EventColumns columns = columns_of(user, item, event, time, value, session, time_unit, on_error, num_threads);
            keys_like(columns, like);
            std::vector<std::string> names{columns.user, columns.item};
            for (const auto* name : {&columns.event, &columns.time, &columns.value, &columns.session})
              if (*name) names.push_back(**name);
            return std::make_shared<EventLog>(log_by_column(py::module_::import("etalage._frames").attr("ParquetColumns")(path("path"), names), columns));
          },
          py::arg("path"), py::arg("user") = "user", py::arg("item") = "item", py::arg("event") = py::none(), py::arg("time") = py::none(),
          py::arg("value") = py::none(), py::arg("session") = py::none(), py::arg("time_unit") = py::none(), py::arg("on_error") = "raise",
          py::arg("num_threads") = 0, py::arg("like") = py::none(),
          "Events of a Parquet file, or of all those below a folder in order of their names (columns that hive-like folders name,\n"
          "day=2024-05-01, are columns). Needs pyarrow; only the named columns are read, one after the other, so that no two of them are in\n"
          "memory together. Otherwise as from_frame.")
      .def("__arrow_c_stream__",
           [](const py::object& self, const py::object& /*requested_schema*/) {  // a wish, which the interface lets one ignore
             const py::tuple out = py::module_::import("etalage._log_frames").attr("arrow_columns")(self);
             return stream_capsule(out[0].cast<std::vector<std::string>>(), out[1]);
           },
           py::arg("requested_schema") = py::none(),
           "The log as an Arrow stream of one batch: columns user, item, and event, time, value, session where it has them; keys are\n"
           "the shop's, times are UTC milliseconds. pyarrow.table(log), polars.DataFrame(log) and DuckDB read it.")
      .def("to_arrow", [](const py::object& self) { return py::module_::import("etalage._log_frames").attr("to_arrow")(self); },
           "The log as a pyarrow.Table with columns user, item, event, time, value, session, as far as it has them.")
      .def("to_pandas", [](const py::object& self) { return py::module_::import("etalage._log_frames").attr("to_pandas")(self); },
           "The log as a pandas.DataFrame; times are datetime64[ms], UTC without a zone.")
      .def("to_polars", [](const py::object& self) { return py::module_::import("etalage._log_frames").attr("to_polars")(self); },
           "The log as a polars.DataFrame.")
      .def("describe",
           [](const py::object& self, const py::object& catalog) { return py::module_::import("etalage._describe").attr("describe")(self, catalog); },
           py::arg("catalog") = py::none(),
           "LogDescription: rows, users, items, span, events by type and month, density, repeat share, heavy users, and items that\n"
           "look like postage, tests or vouchers by their key or by their name in the catalogue. print() it, or .plot() it.")
      .def_static("concat",
                  [](const std::vector<std::shared_ptr<EventLog>>& logs) {
                    std::vector<EventLog> parts;
                    for (const auto& log : logs) {
                      if (!log) throw py::type_error("logs holds None, must hold EventLogs");
                      parts.push_back(*log);
                    }
                    const py::gil_scoped_release release;
                    return std::make_shared<EventLog>(EventLog::concat(parts));
                  },
                  py::arg("logs"), "The rows of several logs, one after the other, over the keys of all. Each column must be in all logs or in none.")
      .def("__len__", &EventLog::size)
      .def_property_readonly("num_users", &EventLog::num_users)
      .def_property_readonly("num_items", &EventLog::num_items)
      .def_property_readonly("report", [](const EventLog& l) { return l.report(); }, "ReadReport: rows read, kept and refused, and why.")
      .def_property_readonly("users", [](const EventLog& l) { return to_numpy(l.columns().users); }, "int32 [n], read-only.")
      .def_property_readonly("items", [](const EventLog& l) { return to_numpy(l.columns().items); }, "int32 [n], read-only.")
      .def_property_readonly("events", [](const EventLog& l) { return array_or_none(l.columns().events, !l.columns().event_names.empty()); },
                             "uint16 [n], index into event_names; None without an event column.")
      .def_property_readonly("event_names", [](const EventLog& l) { return l.columns().event_names; })
      .def_property_readonly("times", [](const EventLog& l) { return array_or_none(l.columns().times_ms, !l.columns().times_ms.empty()); },
                             "int64 [n], milliseconds UTC; None without a time column.")
      .def_property_readonly("values", [](const EventLog& l) { return array_or_none(l.columns().values, !l.columns().values.empty()); },
                             "float32 [n]; None without a value column.")
      .def_property_readonly("sessions", [](const EventLog& l) { return array_or_none(l.columns().sessions, !l.columns().sessions.empty()); },
                             "int32 [n], index into session_ids; None without a session column.")
      .def_property_readonly(
          "user_ids", [](const py::object& self) { return cached_keys(self, "_user_ids", self.cast<const EventLog&>().columns().user_ids); })
      .def_property_readonly(
          "item_ids", [](const py::object& self) { return cached_keys(self, "_item_ids", self.cast<const EventLog&>().columns().item_ids); })
      .def_property_readonly(
          "session_ids",
          [](const py::object& self) { return cached_keys(self, "_session_ids", self.cast<const EventLog&>().columns().session_ids); })
      .def_property_readonly("user_id_map", [](const EventLog& l) { return map_or_none(l.columns().user_ids); }, "IdMap or None.")
      .def_property_readonly("item_id_map", [](const EventLog& l) { return map_or_none(l.columns().item_ids); }, "IdMap or None.")
      .def("user_index", [](const EventLog& l, const py::object& keys) { return index_of(l.columns().user_ids, keys, "user"); },
           py::arg("keys"), "int32 [n], -1 for unknown keys; one key gives one int32. ValueError for keys of the other kind.")
      .def("item_index", [](const EventLog& l, const py::object& keys) { return index_of(l.columns().item_ids, keys, "item"); },
           py::arg("keys"), "int32 [n], -1 for unknown keys; one key gives one int32. ValueError for keys of the other kind.")
      .def("__repr__",
           [](const EventLog& l) {
             return "EventLog(" + std::to_string(l.size()) + " events, " + std::to_string(l.num_users()) + " users, " +
                    std::to_string(l.num_items()) + " items)";
           })
      .def(py::pickle([](const EventLog& l) { return log_state(l); },
                      [](const py::tuple& t) { return std::make_shared<EventLog>(log_from_state(t)); }));
}

}  // namespace etalage::python
