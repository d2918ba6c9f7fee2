// SPDX-License-Identifier: Apache-2.0
#include "core/arrow_reader.hpp"

#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "core/arrow_chunks.hpp"
#include "core/arrow_layout.hpp"
#include "core/event_builder.hpp"
#include "etalage/core/arrow.hpp"
#include "core/arrow_abi.hpp"

namespace etalage {
namespace detail {
namespace {

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

/// One type for all chunks of decimals: double as soon as one chunk's are no 64-bit integers.
void settle_decimals(Column& column) {
  const auto type_of = [](const ColumnChunk& c) { return c.dictionary ? c.dictionary->type : c.type; };
  bool whole = true;
  for (const ColumnChunk& c : column.chunks) whole = whole && type_of(c) == ColumnType::kInt64;
  column.type = whole ? ColumnType::kInt64 : ColumnType::kFloat64;
  if (whole) return;
  const auto widened = [](const ColumnChunk& c) {
    const auto values = std::make_shared<std::vector<double>>();
    with_numbers(c, [&](auto read) {
      for (std::int64_t i = -c.offset; i < c.size; ++i) values->push_back(static_cast<double>(read(i)));
    });
    ColumnChunk out = c;  // which keeps its validity and its offset
    out.type = ColumnType::kFloat64;
    out.data = values->data();
    out.memory = std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(c.memory, values);
    return out;
  };
  for (ColumnChunk& c : column.chunks) {
    if (type_of(c) != ColumnType::kInt64) continue;
    if (c.dictionary) c.dictionary = std::make_shared<const ColumnChunk>(widened(*c.dictionary));
    else c = widened(c);
  }
}

}  // namespace

std::vector<Column> read_arrow_columns(ArrowArrayStream* stream, const std::vector<std::string>& names, bool lists) {
  StreamGuard guard(stream);
  Schema schema;
  guard.check(stream->get_schema(stream, &schema), "schema");
  if (schema.format == nullptr || std::string_view(schema.format) != "+s")
    throw std::invalid_argument(std::string("the Arrow stream holds arrays of format '") + (schema.format != nullptr ? schema.format : "") +
                                "', must hold record batches (format '+s')");
  struct Picked {
    std::size_t child;
    ArrowLayout layout;
    LastDictionary last{};
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
    picked.push_back({*child, arrow_layout(*schema.children[*child], name, lists)});
    Column c;
    c.name = name;
    c.type = picked.back().layout.values().type;
    c.unit = picked.back().layout.values().unit;
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
      ColumnChunk chunk = arrow_chunk(a, p.layout, names[k], p.last);
      if (b.offset < 0 || b.length < 0 || b.offset > chunk.size || b.length > chunk.size - b.offset)
        throw std::invalid_argument("column '" + names[k] + "' of the Arrow stream has " + std::to_string(chunk.size) +
                                    " rows in a batch of " + std::to_string(b.length));
      chunk.offset += b.offset;
      chunk.size = b.length;
      columns[k].push(std::move(chunk));
    }
    batches->push_back(std::move(batch));
  }
  for (std::size_t k = 0; k < picked.size(); ++k) {
    columns[k].owner = batches;
    if (picked[k].layout.values().kind == ArrowLayout::Kind::kDecimal) settle_decimals(columns[k]);
  }
  return columns;
}

}  // namespace detail

namespace {

/// What the columns' names are, in the order of EventInput.
std::vector<std::string> names_of(const EventColumns& options) {
  std::vector<std::string> names{options.user, options.item};
  for (const auto* name : {&options.event, &options.time, &options.value, &options.session})
    if (*name) names.push_back(**name);
  return names;
}

detail::EventInput input_of(std::vector<detail::Column> columns, const EventColumns& options) {
  detail::EventInput in;
  std::size_t next = 0;
  in.user = std::move(columns[next++]);
  in.item = std::move(columns[next++]);
  if (options.event) in.event = std::move(columns[next++]);
  if (options.time) in.time = std::move(columns[next++]);
  if (options.value) in.value = std::move(columns[next++]);
  if (options.session) in.session = std::move(columns[next++]);
  return in;
}

}  // namespace

EventLog read_arrow(ArrowArrayStream* stream, const EventColumns& options, std::span<const UnreadableCell> unreadable) {
  detail::EventInput in = input_of(detail::read_arrow_columns(stream, names_of(options), false), options);
  in.unreadable = unreadable;
  return detail::build_event_log(std::move(in), options);
}

EventLog read_arrow_by_column(const std::function<void(const std::string&, ArrowArrayStream*)>& open, const EventColumns& options) {
  if (!open) throw std::invalid_argument("open is empty, must open a column's stream");
  std::vector<detail::Column> columns;
  for (const std::string& name : names_of(options)) columns.emplace_back().name = name;
  detail::EventInput in = input_of(std::move(columns), options);
  in.read = [&open](const std::string& name) {
    ArrowArrayStream stream{};
    open(name, &stream);
    return std::move(detail::read_arrow_columns(&stream, {name}, false).front());
  };
  return detail::build_event_log(std::move(in), options);
}

}  // namespace etalage
