// SPDX-License-Identifier: Apache-2.0
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data_helpers.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/recipe.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/io/csv.hpp"
#include "given.hpp"
#include "id_map_helpers.hpp"
#include "numpy_helpers.hpp"
#include "one_key.hpp"
#include "recipe_helpers.hpp"
#include "text_lists.hpp"

namespace etalage::python {
namespace {

/// The choice that a recipe calls by `text`; others says what else the argument may be.
template <class E>
E choice_named(const char* argument, const std::string& text, const std::string& found, const std::vector<std::string>& others = {}) {
  for (const auto& [word, choice] : option_names<E>)
    if (word == text) return choice;
  throw std::invalid_argument(std::string(argument) + " is " + found + ", must be " + words_of_choices<E>(others));
}
template <class E>
E choice_named(const char* argument, const py::object& given, const std::vector<std::string>& others = {}) {
  const bool text = py::isinstance<py::str>(given);
  for (const auto& [word, choice] : option_names<E>)
    if (text && given.equal(py::str(word))) return choice;
  return choice_named<E>(argument, std::string(), text ? std::string(py::repr(given)) : describe(given), others);
}

void set_transform(InteractionOptions& o, const py::object& transform, const py::object& normalize) {
  if (!normalize.is_none()) o.normalize_users = choice_named<UserNormalization>("normalize_users", normalize, {"None"});
  if (transform.is_none()) return;
  if (py::isinstance<py::tuple>(transform) || py::isinstance<py::list>(transform)) {
    const py::list pair(transform);
    if (pair.size() == 2 && py::isinstance<py::str>(pair[0]) && py::object(pair[0]).equal(py::str("cap")) && PyNumber_Check(pair[1].ptr()) != 0) {
      o.value_transform = ValueTransform::kCap;
      o.value_cap = py::float_(py::object(pair[1]));
      return;
    }
  }
  const std::vector<std::string> others{"('cap', x)", "None"};
  o.value_transform = py::isinstance<py::str>(transform) ? choice_named<ValueTransform>("value_transform", transform, others)
                                                         : choice_named<ValueTransform>("value_transform", "", std::string(py::repr(transform)), others);
}

/// How a log becomes a matrix, as it was given.
struct GivenWeights {
  const Given<std::optional<std::map<std::string, double>>>& event_weights;
  const Given<std::optional<double>>& half_life_days;
  const py::object& now;
  const MaybeText& duplicates;
  const Count& min_user_count;
  const Count& min_item_count;
  const MaybeText& return_event;
  const py::object& return_cancels;
  const MaybeText& negative_values;
  const py::object& value_transform;
  const MaybeText& normalize_users;
  const Count& num_threads;

  [[nodiscard]] InteractionOptions options() const {
    InteractionOptions o;
    set_transform(o, value_transform, normalize_users.object);
    if (const auto weights = event_weights("event_weights")) {
      if (weights->empty()) throw std::invalid_argument("event_weights is empty, must name every event type or be None");
      o.event_weights = *weights;
    }
    if (const auto days = half_life_days("half_life_days")) {
      if (!(*days > 0)) throw std::invalid_argument("half_life_days is " + std::to_string(*days) + ", must be > 0 or None");
      o.half_life_days = *days;
    }
    if (!now.is_none()) o.now_ms = py::module_::import("etalage._times").attr("to_ms")(now, "now").cast<std::int64_t>();
    o.duplicates = choice_named<Duplicates>("duplicates", duplicates.object);
    o.min_user_count = min_user_count("min_user_count");
    o.min_item_count = min_item_count("min_item_count");
    o.return_event = return_event("return_event").value_or("");
    if (!return_cancels.is_none()) {
      const auto names = text_or_texts(return_cancels, "return_cancels", "an event type, a list of event types or None");
      const auto* one = std::get_if<std::string>(&names);
      o.return_cancels = one != nullptr ? std::vector<std::string>{*one} : std::get<std::vector<std::string>>(names);
    }
    o.negative_values = choice_named<NegativeValues>("negative_values", negative_values.object);
    o.num_threads = num_threads("num_threads");
    o.validate();
    return o;
  }
};

/// Interactions of the log that `read` gives, once the options are known to mean something; the recipe goes with them.
template <class Read>
py::object interactions_of(const Read& read, const GivenWeights& how) {
  const InteractionOptions options = how.options();
  const EventLog& log = read();  // lives as long as this call, where it is made here
  std::shared_ptr<Interactions> made;
  {
    const py::gil_scoped_release release;
    made = std::make_shared<Interactions>(log.interactions(options));
  }
  return with_recipe(std::move(made), py::dict(py::arg("event_weights") = how.event_weights, py::arg("half_life_days") = how.half_life_days,
                                               py::arg("duplicates") = how.duplicates, py::arg("return_event") = how.return_event,
                                               py::arg("return_cancels") = how.return_cancels, py::arg("negative_values") = how.negative_values,
                                               py::arg("value_transform") = how.value_transform, py::arg("normalize_users") = how.normalize_users));
}

/// What the columns of a table mean, as it was given.
EventColumns columns_of(const Text& user, const Text& item, const MaybeText& event, const MaybeText& time, const MaybeText& value,
                        const MaybeText& session, const MaybeText& time_unit, const Text& on_error, const Count& num_threads) {
  return event_columns(user("user"), item("item"), event("event"), time("time"), value("value"), session("session"), time_unit("time_unit"),
                       on_error("on_error"), num_threads("num_threads"));
}

/// Keys of strings become Python objects once, not on every access.
py::object cached_keys(const py::object& self, const char* slot, const SharedIdMap& ids) {
  if (!ids) return py::none();
  return made_once(self, slot, [&] { return keys_to_numpy(*ids); });
}

py::object index_of(const SharedIdMap& ids, const py::object& keys, const char* what) {
  if (!ids) throw std::invalid_argument(std::string(what) + "_ids are not known: these data were made without keys");
  return index_or_one(*ids, keys, (std::string(what) + "_ids").c_str());
}

py::object map_or_none(const SharedIdMap& ids) {
  return ids ? py::cast(std::const_pointer_cast<IdMap>(ids)) : py::object(py::none());
}

template <class T>
py::object array_or_none(const Array<T>& a, bool present) {
  return present ? py::object(to_numpy(a)) : py::object(py::none());
}

void bind_report(py::module_& m) {
  py::class_<ReadReport>(m, "ReadReport", "What reading did: rows read, kept and refused, with the place and the reason.")
      .def_readonly("rows_read", &ReadReport::rows_read)
      .def_readonly("rows_kept", &ReadReport::rows_kept)
      .def_readonly("rows_refused", &ReadReport::rows_refused)
      .def_property_readonly("place", [](const ReadReport& r) { return r.lines ? "line" : "row"; },
                             "'line' (1-based, of a file) or 'row' (0-based, of a frame): what the places in refusals count.")
      .def_property_readonly(
          "refusals",
          [](const ReadReport& r) {
            py::list out;
            for (const auto& x : r.refusals) out.append(py::make_tuple(x.line, py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(x.reason.data(), static_cast<Py_ssize_t>(x.reason.size()), "replace"))));
            return out;
          },
          "The first 1000 refused rows as (place, reason), in order.")
      .def_property_readonly("refused", [](const ReadReport& r) { return take(std::vector<std::int64_t>(r.refused)); },
                             "int64 [rows_refused]: the places of all refused rows, ascending: of a frame its rows, as frame.iloc[...] takes\n"
                             "them, of a file its lines.")
      .def("__repr__", [](const ReadReport& r) {
        std::string s = "ReadReport(rows_read=" + std::to_string(r.rows_read) + ", rows_kept=" + std::to_string(r.rows_kept) +
                        ", rows_refused=" + std::to_string(r.rows_refused) + ")";
        for (std::size_t i = 0; i < r.refusals.size() && i < 5; ++i)
          s += std::string("\n  ") + (r.lines ? "line " : "row ") + std::to_string(r.refusals[i].line) + ": " + r.refusals[i].reason;
        if (r.rows_refused > 5) s += "\n  ...";
        return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "replace"));
      });
}

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

void bind_event_log(py::module_& m) {
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

}  // namespace

void bind_data(py::module_& m) {
  m.def("parse_time", [](const std::string& text) { return parse_time_ms(text); }, py::arg("text"),
        "UTC milliseconds of ISO-8601 text, or None.");
  bind_report(m);
  bind_interactions(m);
  bind_sequences(m);
  bind_event_log(m);
}

}  // namespace etalage::python
