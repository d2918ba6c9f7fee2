// SPDX-License-Identifier: Apache-2.0
#include "core/arrow_reader.hpp"

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "core/event_builder.hpp"
#include "etalage/core/arrow.hpp"
#include "etalage/core/arrow_abi.hpp"

namespace etalage {
namespace detail {
namespace {

struct Type {
  ColumnType type = ColumnType::kNull;
  TimeUnit unit = TimeUnit::kMillisecond;
};

/// The format string of the specification; nothing for types that no column of events has.
std::optional<Type> parse_format(std::string_view f) {
  static const std::map<std::string_view, ColumnType> simple = {
      {"n", ColumnType::kNull},    {"b", ColumnType::kBool},    {"c", ColumnType::kInt8},      {"C", ColumnType::kUInt8},
      {"s", ColumnType::kInt16},   {"S", ColumnType::kUInt16},  {"i", ColumnType::kInt32},     {"I", ColumnType::kUInt32},
      {"l", ColumnType::kInt64},   {"L", ColumnType::kUInt64},  {"e", ColumnType::kFloat16},   {"f", ColumnType::kFloat32},
      {"g", ColumnType::kFloat64}, {"u", ColumnType::kUtf8},    {"U", ColumnType::kLargeUtf8}, {"vu", ColumnType::kUtf8View},
      {"tdD", ColumnType::kDate32}, {"tdm", ColumnType::kDate64}};
  const auto found = simple.find(f);
  if (found != simple.end()) return Type{found->second, {}};
  // Zoned and naive timestamps both count from 1970-01-01 UTC: the zone is for display, and naive means UTC here.
  if (f.size() >= 4 && f.substr(0, 2) == "ts" && f[3] == ':') switch (f[2]) {
      case 's': return Type{ColumnType::kTimestamp, TimeUnit::kSecond};
      case 'm': return Type{ColumnType::kTimestamp, TimeUnit::kMillisecond};
      case 'u': return Type{ColumnType::kTimestamp, TimeUnit::kMicrosecond};
      case 'n': return Type{ColumnType::kTimestamp, TimeUnit::kNanosecond};
      default: break;
    }
  return std::nullopt;
}

/// How many buffers the specification gives each type at least.
std::int64_t buffers_of(ColumnType type) {
  switch (type) {
    case ColumnType::kNull: return 0;
    case ColumnType::kUtf8:
    case ColumnType::kLargeUtf8: return 3;
    default: return 2;
  }
}

struct Schema : ArrowSchema {
  Schema() : ArrowSchema{} {}
  Schema(const Schema&) = delete;
  Schema& operator=(const Schema&) = delete;
  ~Schema() {
    if (release != nullptr) release(this);
  }
};

struct Batch : ArrowArray {
  Batch() : ArrowArray{} {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() {
    if (release != nullptr) release(this);
  }
};

class StreamGuard {
 public:
  explicit StreamGuard(ArrowArrayStream* s) : stream_(s) {
    if (s == nullptr || s->release == nullptr)
      throw std::invalid_argument("stream is null or was read before, must be a stream that nobody has read");
  }
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;
  ~StreamGuard() {
    if (stream_->release != nullptr) stream_->release(stream_);
  }
  void check(int code, const char* what) {
    if (code == 0) return;
    const char* text = stream_->get_last_error != nullptr ? stream_->get_last_error(stream_) : nullptr;
    throw std::runtime_error(std::string("the Arrow stream's ") + what + " failed: " + (text != nullptr ? text : "no message") +
                             " (code " + std::to_string(code) + ")");
  }

 private:
  ArrowArrayStream* stream_;
};

[[noreturn]] void broken(const std::string& name, const std::string& what) {
  throw std::invalid_argument("column '" + name + "' of the Arrow stream " + what);
}

ColumnChunk make_chunk(const ArrowArray& a, ColumnType type, const std::string& name) {
  if (a.length < 0 || a.offset < 0 || a.n_buffers < buffers_of(type))
    broken(name, "has length " + std::to_string(a.length) + ", offset " + std::to_string(a.offset) + " and " +
                     std::to_string(a.n_buffers) + " buffers, which no array of its type has");
  ColumnChunk c;
  c.type = type;
  c.size = a.length;
  c.offset = a.offset;
  if (type == ColumnType::kNull) return c;
  if (a.null_count != 0) c.validity = static_cast<const std::uint8_t*>(a.buffers[0]);
  if (type == ColumnType::kUtf8 || type == ColumnType::kLargeUtf8) {
    c.offsets = a.buffers[1];
    c.data = a.buffers[2];
  } else {
    c.data = a.buffers[1];
    if (type == ColumnType::kUtf8View) c.buffers = a.buffers + 2;
  }
  if (a.length > 0 && (c.offsets == nullptr) && (c.data == nullptr)) broken(name, "has rows but no data");
  return c;
}

}  // namespace

std::vector<Column> read_arrow_columns(ArrowArrayStream* stream, const std::vector<std::string>& names) {
  StreamGuard guard(stream);
  Schema schema;
  guard.check(stream->get_schema(stream, &schema), "schema");
  if (schema.format == nullptr || std::string_view(schema.format) != "+s")
    throw std::invalid_argument(std::string("the Arrow stream holds arrays of format '") + (schema.format != nullptr ? schema.format : "") +
                                "', must hold record batches (format '+s')");
  struct Picked {
    std::size_t child;
    Type index;  // of what is stored
    Type value;
    bool dictionary;
    std::pair<const void*, const void*> last_buffers{};
    std::shared_ptr<const ColumnChunk> words = nullptr;
  };
  std::vector<Picked> picked;
  std::vector<Column> columns;
  for (const std::string& name : names) {
    std::optional<std::size_t> child;
    std::string known;
    for (std::int64_t i = 0; i < schema.n_children; ++i) {
      const char* n = schema.children[i]->name;
      const std::string_view child_name = n != nullptr ? n : "";
      known += (i == 0 ? "'" : ", '") + std::string(child_name) + "'";
      if (child_name != name) continue;
      if (child) throw std::invalid_argument("column '" + name + "' occurs twice in the frame, must be unique");
      child = static_cast<std::size_t>(i);
    }
    if (!child) throw std::invalid_argument("column '" + name + "' is not in the frame, must be one of " + (known.empty() ? "none" : known));
    const ArrowSchema& s = *schema.children[*child];
    const auto stored = parse_format(s.format);
    const auto value = s.dictionary != nullptr ? parse_format(s.dictionary->format) : stored;
    if (!stored || !value)
      throw std::invalid_argument("column '" + name + "' is of Arrow format '" +
                                  (s.dictionary != nullptr && stored ? s.dictionary->format : s.format) +
                                  "', must be text, a number, a date, a timestamp or a dictionary of them");
    picked.push_back({*child, *stored, *value, s.dictionary != nullptr});
    Column c;
    c.name = name;
    c.type = value->type;
    c.unit = value->unit;
    columns.push_back(std::move(c));
  }
  const auto batches = std::make_shared<std::vector<std::unique_ptr<Batch>>>();
  while (true) {
    auto batch = std::make_unique<Batch>();
    guard.check(stream->get_next(stream, batch.get()), "next batch");
    if (batch->release == nullptr) break;
    const Batch& b = *batch;
    if (b.n_children != schema.n_children)
      throw std::invalid_argument("a batch of the Arrow stream has " + std::to_string(b.n_children) + " columns, its schema " +
                                  std::to_string(schema.n_children));
    if (b.null_count != 0 && b.n_buffers > 0 && b.buffers != nullptr && b.buffers[0] != nullptr)
      throw std::invalid_argument("a batch of the Arrow stream has missing rows of its own, must have missing cells only");
    for (std::size_t k = 0; k < picked.size(); ++k) {
      Picked& p = picked[k];
      const ArrowArray& a = *b.children[p.child];
      ColumnChunk chunk = make_chunk(a, p.index.type, names[k]);
      if (b.offset < 0 || b.length < 0 || b.offset > chunk.size || b.length > chunk.size - b.offset)
        broken(names[k], "has " + std::to_string(chunk.size) + " rows in a batch of " + std::to_string(b.length));
      chunk.offset += b.offset;
      chunk.size = b.length;
      if (p.dictionary) {
        if (a.dictionary == nullptr) broken(names[k], "has no dictionary in one of its batches");
        // Batches that share a dictionary share our view of it, so that its words are looked up once.
        const ArrowArray& d = *a.dictionary;
        const std::pair<const void*, const void*> buffers{d.n_buffers > 1 ? d.buffers[1] : nullptr, d.n_buffers > 2 ? d.buffers[2] : nullptr};
        if (!p.words || buffers.first == nullptr || buffers != p.last_buffers || p.words->size != d.length || p.words->offset != d.offset)
          p.words = std::make_shared<const ColumnChunk>(make_chunk(d, p.value.type, names[k]));
        p.last_buffers = buffers;
        chunk.dictionary = p.words;
      }
      columns[k].push(std::move(chunk));
    }
    batches->push_back(std::move(batch));
  }
  for (Column& c : columns) c.owner = batches;
  return columns;
}

}  // namespace detail

EventLog read_arrow(ArrowArrayStream* stream, const EventColumns& options) {
  std::vector<std::string> names{options.user, options.item};
  for (const auto* name : {&options.event, &options.time, &options.value, &options.session})
    if (*name) names.push_back(**name);
  std::vector<detail::Column> columns = detail::read_arrow_columns(stream, names);
  detail::EventInput in;
  std::size_t next = 0;
  in.user = std::move(columns[next++]);
  in.item = std::move(columns[next++]);
  if (options.event) in.event = std::move(columns[next++]);
  if (options.time) in.time = std::move(columns[next++]);
  if (options.value) in.value = std::move(columns[next++]);
  if (options.session) in.session = std::move(columns[next++]);
  return detail::build_event_log(in, options);
}

}  // namespace etalage
