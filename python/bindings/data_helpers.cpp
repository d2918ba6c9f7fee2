// SPDX-License-Identifier: Apache-2.0
#include "data_helpers.hpp"

#include <pybind11/stl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <tuple>
#include <typeinfo>
#include <utility>
#include <vector>

#include "etalage/core/arrow.hpp"
#include "core/arrow_abi.hpp"
#include "core/large_array.hpp"

namespace etalage::python {
namespace {

std::optional<TimeUnit> time_unit_of(const std::optional<std::string>& name) {
  if (!name) return std::nullopt;
  if (*name == "s") return TimeUnit::kSecond;
  if (*name == "ms") return TimeUnit::kMillisecond;
  if (*name == "us") return TimeUnit::kMicrosecond;
  if (*name == "ns") return TimeUnit::kNanosecond;
  throw std::invalid_argument("time_unit is '" + *name + "', must be 's', 'ms', 'us' or 'ns'");
}

/// One column without Arrow, in Arrow's layout.
struct PlainColumn {
  std::string name;
  std::string format;
  std::int64_t size = 0;
  py::array numbers;                   // of numeric formats
  std::vector<std::int64_t> offsets;   // of strings
  std::vector<char> bytes;
  std::vector<std::uint8_t> validity;  // bits; empty when nothing is missing
  std::vector<std::int64_t> lists;     // offsets of lists of strings; empty for any other column
  const void* buffers[3] = {nullptr, nullptr, nullptr};
  const void* list_buffers[2] = {nullptr, nullptr};
  ArrowSchema schema{};
  ArrowArray array{};
  ArrowSchema list_schema{};
  ArrowArray list_array{};
  ArrowSchema* child_schema = nullptr;
  ArrowArray* child_array = nullptr;
};

/// A frame without Arrow as a stream of one batch. The frame outlives the log's reading and everything that borrows
/// from it, so releasing is left to the shared pointer that the private data holds.
struct PlainFrame {
  std::vector<PlainColumn> columns;
  std::vector<ArrowSchema*> schemas;
  std::vector<ArrowArray*> arrays;
  std::int64_t size = 0;
  bool delivered = false;
  const void* no_validity = nullptr;
  ~PlainFrame() {
    if (!Py_IsInitialized()) return;
    const py::gil_scoped_acquire gil;
    columns.clear();
  }
};

using FrameOwner = std::shared_ptr<PlainFrame>;

/// What a structure of Arrow that was handed out holds: the frame, and its children, which consumers may move away.
template <class T>
struct Handed {
  FrameOwner frame;
  std::vector<T> children;
  std::vector<T*> pointers;
};

template <class T>
void release_handed(T* object) {
  for (std::int64_t i = 0; i < object->n_children; ++i)
    if (object->children[i]->release != nullptr) object->children[i]->release(object->children[i]);
  delete static_cast<Handed<T>*>(object->private_data);
  object->private_data = nullptr;
  object->release = nullptr;
}

/// A copy of a schema or array and of all below it, each of which keeps the frame alive by itself.
template <class T>
void hand_out(const T& from, const FrameOwner& frame, T* out) {
  auto held = std::make_unique<Handed<T>>();
  held->frame = frame;
  held->children.resize(static_cast<std::size_t>(from.n_children));
  for (std::size_t i = 0; i < held->children.size(); ++i) {
    hand_out(*from.children[i], frame, &held->children[i]);
    held->pointers.push_back(&held->children[i]);
  }
  *out = from;
  out->children = held->pointers.data();
  out->release = &release_handed<T>;
  out->private_data = held.release();
}

/// The same across a border of C, where no exception may pass: 0 or an errno.
template <class T>
int handed_out(const T& from, const FrameOwner& frame, T* out) noexcept {
  try {
    hand_out(from, frame, out);
    return 0;
  } catch (...) {
    *out = {};
    return ENOMEM;
  }
}

/// Text that is no Unicode (a lone surrogate) is missing and noted.
void add_strings(PlainColumn& c, const py::array& objects, std::vector<UnreadableCell>& unreadable) {
  c.format = "U";
  c.size = objects.size();
  c.offsets.reserve(static_cast<std::size_t>(c.size) + 1);
  c.offsets.push_back(0);
  std::vector<std::uint8_t> valid((static_cast<std::size_t>(c.size) + 7) / 8, 0);
  bool missing = false;
  std::size_t i = 0;
  for (const py::handle value : objects) {
    Py_ssize_t n = 0;
    const char* text = value.is_none() ? nullptr : PyUnicode_AsUTF8AndSize(value.ptr(), &n);
    if (text == nullptr) {
      missing = true;
      if (PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        if (unreadable.size() < 2 * ReadReport::kMaxRefusals)
          unreadable.push_back({c.name, static_cast<std::int64_t>(i), "is text with a lone surrogate, must be valid Unicode"});
      }
    } else {
      c.bytes.insert(c.bytes.end(), text, text + n);
      valid[i >> 3] = static_cast<std::uint8_t>(valid[i >> 3] | 1u << (i & 7));
    }
    c.offsets.push_back(static_cast<std::int64_t>(c.bytes.size()));
    ++i;
  }
  if (c.bytes.empty()) c.bytes.push_back(0);
  if (missing) c.validity = std::move(valid);
}

/// A column of strings as one of lists, whose cells they are.
void make_lists(PlainColumn& c, const py::handle& offsets) {
  const auto o = py::reinterpret_borrow<py::object>(offsets).cast<py::array_t<std::int64_t, py::array::c_style>>();
  c.lists.assign(o.data(), o.data() + o.size());
  c.child_schema = &c.schema;
  c.child_array = &c.array;
  c.list_buffers[1] = c.lists.data();
  c.list_schema = {"+L", c.name.c_str(), nullptr, ARROW_FLAG_NULLABLE, 1, &c.child_schema, nullptr, nullptr, nullptr};
  c.list_array = {static_cast<std::int64_t>(c.lists.size()) - 1, 0, 0, 2, 1, c.list_buffers, &c.child_array, nullptr, nullptr, nullptr};
}

FrameOwner plain_frame(const std::vector<std::string>& names, const py::list& columns, std::vector<UnreadableCell>& unreadable) {
  auto frame = std::make_shared<PlainFrame>();
  frame->columns.resize(names.size());
  for (std::size_t k = 0; k < names.size(); ++k) {
    PlainColumn& c = frame->columns[k];
    c.name = names[k];
    const py::tuple t = columns[k];
    c.format = t[0].cast<std::string>();
    const py::array values = t[1];
    if (c.format == "O") {
      add_strings(c, values, unreadable);
      c.buffers[1] = c.offsets.data();
      c.buffers[2] = c.bytes.data();
    } else {
      c.numbers = values;
      c.size = t[3].cast<std::int64_t>();
      c.buffers[1] = values.data();
      if (!t[2].is_none()) {
        const auto bits = py::object(t[2]).cast<py::array_t<std::uint8_t, py::array::c_style>>();
        c.validity.assign(bits.data(), bits.data() + bits.size());
      }
    }
    const std::int64_t rows = t[3].cast<std::int64_t>();
    if (k == 0) frame->size = rows;
    if (rows != frame->size)
      throw std::invalid_argument("column '" + c.name + "' has " + std::to_string(rows) + " rows, must have as many as '" + names[0] +
                                  "', " + std::to_string(frame->size));
    if (!c.validity.empty()) c.buffers[0] = c.validity.data();
    c.schema = {c.format.c_str(), c.name.c_str(), nullptr, ARROW_FLAG_NULLABLE, 0, nullptr, nullptr, nullptr, nullptr};
    c.array = {c.size, c.validity.empty() ? 0 : -1, 0, c.format == "U" ? 3 : 2, 0, c.buffers, nullptr, nullptr, nullptr, nullptr};
    if (!t[4].is_none()) make_lists(c, t[4]);
  }
  for (PlainColumn& c : frame->columns) {
    frame->schemas.push_back(c.lists.empty() ? &c.schema : &c.list_schema);
    frame->arrays.push_back(c.lists.empty() ? &c.array : &c.list_array);
  }
  return frame;
}

ArrowArrayStream stream_of(const FrameOwner& frame) {
  ArrowArrayStream s{};
  s.private_data = new FrameOwner(frame);
  s.get_schema = [](ArrowArrayStream* self, ArrowSchema* out) {
    const FrameOwner& f = *static_cast<FrameOwner*>(self->private_data);
    return handed_out({"+s", "", nullptr, 0, static_cast<std::int64_t>(f->schemas.size()), f->schemas.data(), nullptr, nullptr, nullptr}, f, out);
  };
  s.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
    const FrameOwner& f = *static_cast<FrameOwner*>(self->private_data);
    *out = {};
    if (f->delivered) return 0;
    f->delivered = true;
    return handed_out({f->size, 0, 0, 1, static_cast<std::int64_t>(f->arrays.size()), &f->no_validity, f->arrays.data(), nullptr, nullptr, nullptr}, f, out);
  };
  s.get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
  s.release = [](ArrowArrayStream* self) {
    delete static_cast<FrameOwner*>(self->private_data);
    self->release = nullptr;
  };
  return s;
}

/// One array of records, as frames without streams give them, as a stream of it. Takes both structures.
ArrowArrayStream stream_of_array(ArrowSchema& schema, ArrowArray& array) {
  struct Parts {
    ArrowSchema schema{};
    ArrowArray array{};
    ~Parts() {
      if (schema.release != nullptr) schema.release(&schema);
      if (array.release != nullptr) array.release(&array);
    }
  };
  auto parts = std::make_unique<Parts>();
  parts->schema = std::exchange(schema, ArrowSchema{});
  parts->array = std::exchange(array, ArrowArray{});
  ArrowArrayStream s{};
  // Each is asked for once by a reader that reads to the end, so it is moved out.
  s.get_schema = [](ArrowArrayStream* self, ArrowSchema* out) {
    *out = std::exchange(static_cast<Parts*>(self->private_data)->schema, ArrowSchema{});
    return 0;
  };
  s.get_next = [](ArrowArrayStream* self, ArrowArray* out) {
    *out = std::exchange(static_cast<Parts*>(self->private_data)->array, ArrowArray{});
    return 0;
  };
  s.get_last_error = [](ArrowArrayStream*) -> const char* { return nullptr; };
  s.release = [](ArrowArrayStream* self) {
    delete static_cast<Parts*>(self->private_data);
    self->release = nullptr;
  };
  s.private_data = parts.release();
  return s;
}

/// With times and values in memory of their own: the reader shares them where they need no conversion, and what pandas,
/// polars and pyarrow hand over may be the memory of numpy arrays that somebody goes on writing to.
EventLog owned(const EventLog& log, int num_threads) {
  EventLog::Columns c = log.columns();
  c.times_ms = detail::large_copy(c.times_ms.view(), num_threads);
  c.values = detail::large_copy(c.values.view(), num_threads);
  return EventLog(std::move(c), log.report(), EventLog::Checked{});
}

template <class T>
T* pointer_in(const py::handle& capsule, const char* name) {
  auto* pointer = static_cast<T*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (pointer == nullptr) throw py::error_already_set();
  return pointer;
}

template <class T>
T checked(const py::tuple& t, std::size_t i) {
  return t[i].cast<T>();
}

}  // namespace

EventColumns event_columns(const std::string& user, const std::string& item, const std::optional<std::string>& event,
                           const std::optional<std::string>& time, const std::optional<std::string>& value,
                           const std::optional<std::string>& session, const std::optional<std::string>& time_unit, const std::string& on_error,
                           int num_threads) {
  if (on_error != "raise" && on_error != "skip")
    throw std::invalid_argument("on_error is '" + on_error + "', must be 'raise' or 'skip'");
  if (num_threads < 0)
    throw std::invalid_argument("num_threads is " + std::to_string(num_threads) + ", must be >= 0 (0 means all CPUs)");
  EventColumns c;
  c.user = user;
  c.item = item;
  c.event = event;
  c.time = time;
  c.value = value;
  c.session = session;
  c.time_unit = time_unit_of(time_unit);
  c.on_error = on_error == "raise" ? OnError::kRaise : OnError::kSkip;
  c.num_threads = num_threads;
  return c;
}

py::capsule stream_capsule(const std::vector<std::string>& names, const py::list& columns) {
  std::vector<UnreadableCell> unreadable;
  auto stream = std::make_unique<ArrowArrayStream>(stream_of(plain_frame(names, columns, unreadable)));
  py::capsule out(stream.get(), "arrow_array_stream", [](PyObject* capsule) {
    auto* s = static_cast<ArrowArrayStream*>(PyCapsule_GetPointer(capsule, "arrow_array_stream"));
    if (s->release != nullptr) s->release(s);
    delete s;
  });
  stream.release();
  return out;
}

void keys_like(EventColumns& columns, const py::object& like) {
  if (like.is_none()) return;
  const auto kind_of = [&](const char* attribute) -> std::optional<IdMap::Kind> {
    if (!py::hasattr(like, attribute))
      throw py::type_error("like is " + describe(like) + ", must have user_ids and item_ids: a model, Interactions or an EventLog");
    const py::object ids = like.attr(attribute);
    if (ids.is_none()) return std::nullopt;
    const auto keys = py::module_::import("numpy").attr("asarray")(ids).cast<py::array>();
    if (keys.size() == 0) return std::nullopt;
    return keys.dtype().kind() == 'i' ? IdMap::Kind::kInteger : IdMap::Kind::kString;
  };
  columns.user_kind = kind_of("user_ids");
  columns.item_kind = kind_of("item_ids");
}

void read_frame(const py::object& frame, const std::vector<std::string>& names, bool skip,
                const std::function<void(ArrowArrayStream*, std::span<const UnreadableCell>)>& read) {
  const py::module_ frames = py::module_::import("etalage._frames");
  const py::tuple found = frames.attr("to_arrow_or_columns")(frame, names, skip);
  std::vector<UnreadableCell> unreadable;
  for (const py::handle cell : found[2]) {
    const auto [column, row, reason] = cell.cast<std::tuple<std::string, std::int64_t, py::object>>();
    unreadable.push_back({column, row, reason.attr("encode")("utf-8", "replace").cast<std::string>()});
  }
  if (found[0].is_none()) {
    std::vector<std::string> once;
    for (const std::string& name : names)
      if (std::find(once.begin(), once.end(), name) == once.end()) once.push_back(name);
    ArrowArrayStream stream = stream_of(plain_frame(once, found[1], unreadable));
    const py::gil_scoped_release release;
    return read(&stream, unreadable);
  }
  const py::object given = found[0];
  ArrowArrayStream one{};
  ArrowArrayStream* stream = &one;
  if (py::isinstance<py::tuple>(given)) {
    const py::tuple pair = given;
    one = stream_of_array(*pointer_in<ArrowSchema>(pair[0], "arrow_schema"), *pointer_in<ArrowArray>(pair[1], "arrow_array"));
  } else {
    stream = pointer_in<ArrowArrayStream>(given, "arrow_array_stream");
  }
  try {
    const py::gil_scoped_release release;
    read(stream, unreadable);
  } catch (const std::runtime_error& e) {
    if (typeid(e) != typeid(std::runtime_error)) throw;  // a file's own error rather than the stream's
    throw std::runtime_error(e.what() + frames.attr("stream_hint")(frame).cast<std::string>());
  }
}

EventLog log_from_frame(const py::object& frame, const EventColumns& columns) {
  std::vector<std::string> names{columns.user};
  if (columns.item != columns.user) names.push_back(columns.item);
  for (const auto* name : {&columns.event, &columns.time, &columns.value, &columns.session})
    if (*name && std::find(names.begin(), names.end(), **name) == names.end()) names.push_back(**name);
  EventLog log;
  read_frame(frame, names, columns.on_error == OnError::kSkip, [&](ArrowArrayStream* stream, std::span<const UnreadableCell> unreadable) {
    log = owned(read_arrow(stream, columns, unreadable), columns.num_threads);
  });
  return log;
}

EventLog log_by_column(const py::object& reader, const EventColumns& columns) {
  EventLog log;
  // Also where a row is refused: what was read until then is kept by nobody.
  const struct Closed {
    const py::object& reader;
    ~Closed() {
      const py::error_scope pending;
      try {
        reader.attr("close")();
      } catch (py::error_already_set& e) {
        e.discard_as_unraisable("closing a Parquet file");
      }
    }
  } closed{reader};
  {
    const py::gil_scoped_release release;
    const EventLog read = read_arrow_by_column(
        [&](const std::string& name, ArrowArrayStream* to) {
          const py::gil_scoped_acquire gil;
          const py::object capsule = reader.attr("open")(name);
          auto* from = pointer_in<ArrowArrayStream>(capsule, "arrow_array_stream");
          *to = *from;
          from->release = nullptr;  // moved: the capsule has none to release
        },
        columns);
    log = owned(read, columns.num_threads);
  }
  return log;
}

py::object id_map_state(const SharedIdMap& ids) {
  if (!ids) return py::none();
  const IdMap::Parts p = ids->parts();
  return py::make_tuple(static_cast<int>(p.kind), p.size, to_numpy(p.keys), to_numpy(p.offsets),
                        py::bytes(p.bytes.data(), p.bytes.size()), to_numpy(p.slots));
}

SharedIdMap id_map_from_state(const py::object& state) {
  if (state.is_none()) return nullptr;
  const py::tuple t = state;
  IdMap::Parts p;
  p.kind = checked<int>(t, 0) == 0 ? IdMap::Kind::kInteger : IdMap::Kind::kString;
  p.size = checked<std::int32_t>(t, 1);
  p.keys = array_from_state<std::int64_t>(t[2]);
  p.offsets = array_from_state<std::int64_t>(t[3]);
  const auto bytes = checked<std::string>(t, 4);
  p.bytes = Array<char>(std::span<const char>(bytes.data(), bytes.size()));
  p.slots = array_from_state<std::uint32_t>(t[5]);
  return std::make_shared<const IdMap>(IdMap::from_parts(std::move(p), true));
}

py::tuple log_state(const EventLog& log) {
  const EventLog::Columns& c = log.columns();
  const ReadReport& r = log.report();
  return py::make_tuple(to_numpy(c.users), to_numpy(c.items), to_numpy(c.events), to_numpy(c.times_ms), to_numpy(c.values),
                        to_numpy(c.sessions), py::cast(c.event_names), id_map_state(c.user_ids), id_map_state(c.item_ids),
                        id_map_state(c.session_ids), py::make_tuple(r.rows_read, r.rows_kept, r.rows_refused, r.lines));
}

EventLog log_from_state(const py::tuple& t) {
  EventLog::Columns c;
  c.users = array_from_state<std::int32_t>(t[0]);
  c.items = array_from_state<std::int32_t>(t[1]);
  c.events = array_from_state<std::uint16_t>(t[2]);
  c.times_ms = array_from_state<std::int64_t>(t[3]);
  c.values = array_from_state<float>(t[4]);
  c.sessions = array_from_state<std::int32_t>(t[5]);
  for (const py::handle name : py::reinterpret_borrow<py::list>(t[6])) c.event_names.push_back(name.cast<std::string>());
  c.user_ids = id_map_from_state(t[7]);
  c.item_ids = id_map_from_state(t[8]);
  c.session_ids = id_map_from_state(t[9]);
  const py::tuple counts = t[10];
  ReadReport r;
  r.rows_read = checked<std::int64_t>(counts, 0);
  r.rows_kept = checked<std::int64_t>(counts, 1);
  r.rows_refused = checked<std::int64_t>(counts, 2);
  r.lines = checked<bool>(counts, 3);
  return EventLog(std::move(c), std::move(r));
}

}  // namespace etalage::python
