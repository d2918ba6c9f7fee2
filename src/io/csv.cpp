// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/csv.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/event_builder.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "io/csv_bytes.hpp"
#include "io/csv_parser.hpp"

namespace etalage {

void CsvOptions::validate() const {
  const auto c = static_cast<unsigned char>(separator);
  if (c >= 0x80 || c == '"' || c == '\n' || c == '\r' || c == 0)
    throw std::invalid_argument("separator is character " + std::to_string(c) + ", must be one ASCII character, not a quote or a line end");
}

namespace detail {
namespace {

// Large enough that a chunk's own cost does not count, small enough that threads end together.
constexpr std::size_t kChunkBytes = std::size_t{2} << 20;

/// What the columns of a file borrow from.
struct Parsed {
  Array<char> text;
  std::vector<CsvChunk> chunks;
};

std::size_t find_column(const std::vector<std::string>& names, const std::string& name, bool header, const std::string& file) {
  if (!header) {
    std::size_t index = 0;
    const auto r = std::from_chars(name.data(), name.data() + name.size(), index);
    if (name.empty() || r.ec != std::errc() || r.ptr != name.data() + name.size() || index >= names.size())
      throw std::invalid_argument("column '" + name + "' is not in " + file + ", which has no header: must be a number from 0 to " +
                                  std::to_string(names.empty() ? 0 : names.size() - 1));
    return index;
  }
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    std::string known;
    for (std::size_t i = 0; i < names.size() && i < 30; ++i) known += (i == 0 ? "'" : ", '") + names[i].substr(0, 60) + "'";
    throw std::invalid_argument("column '" + name + "' is not in " + file + ", must be one of " + (known.empty() ? "none" : known));
  }
  if (std::find(found + 1, names.end(), name) != names.end())
    throw std::invalid_argument("column '" + name + "' occurs twice in the header of " + file + ", must be unique");
  return static_cast<std::size_t>(found - names.begin());
}

bool plain_integer(std::string_view s, std::int64_t& value) noexcept {
  const std::string_view digits = s.substr(!s.empty() && s[0] == '-' ? 1 : 0);
  if (digits.empty() || (digits[0] == '0' && s.size() != 1)) return false;
  const auto r = std::from_chars(s.data(), s.data() + s.size(), value);
  return r.ec == std::errc() && r.ptr == s.data() + s.size();
}

/// The column's fields as integers, or nothing as soon as one is no plain integer.
std::optional<Column> as_integers(const Column& text, int num_threads) {
  const auto n = static_cast<std::size_t>(text.size());
  if (n == 0) return std::nullopt;
  struct Integers {
    Array<std::int64_t> values;
    std::vector<std::uint8_t> validity;
  };
  auto held = std::make_shared<Integers>();
  held->values = Array<std::int64_t>(n, uninitialized);
  std::int64_t* to = held->values.mutable_data();
  std::atomic<bool> all{true};
  std::atomic<bool> missing{false};
  // Whole bytes of the bitmap belong to one piece.
  constexpr std::size_t grain = 65536;
  held->validity.assign((n + 7) / 8, 0);
  std::uint8_t* bits = held->validity.data();
  parallel_for(n, grain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    if (!all.load(std::memory_order_relaxed)) return;
    for_chunks(text, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end),
               [&](std::size_t c, std::int64_t b, std::int64_t e, std::int64_t first) {
                 const ColumnChunk& chunk = text.chunks[c];
                 with_strings(chunk, [&](auto read) {
                   for (std::int64_t i = b; i < e; ++i) {
                     const auto row = static_cast<std::size_t>(first + i - b);
                     if (!chunk.valid(i)) {
                       to[row] = 0;
                       missing.store(true, std::memory_order_relaxed);
                     } else if (plain_integer(read(i), to[row])) {
                       bits[row >> 3] = static_cast<std::uint8_t>(bits[row >> 3] | 1u << (row & 7));
                     } else {
                       all.store(false, std::memory_order_relaxed);
                       return;
                     }
                   }
                 });
               });
  });
  if (!all.load()) return std::nullopt;
  Column out;
  out.name = text.name;
  out.type = ColumnType::kInt64;
  ColumnChunk chunk;
  chunk.type = ColumnType::kInt64;
  chunk.size = text.size();
  chunk.data = held->values.data();
  if (missing.load()) chunk.validity = held->validity.data();
  out.owner = held;
  out.push(std::move(chunk));
  return out;
}

}  // namespace
}  // namespace detail

EventLog read_events_csv(const std::filesystem::path& path, const EventColumns& columns, const CsvOptions& options) {
  using namespace detail;
  options.validate();
  const std::string file = path.string();
  const auto parsed = std::make_shared<Parsed>();
  parsed->text = read_text(path);
  const std::string_view text(parsed->text.data(), parsed->text.size());
  std::size_t at = text.substr(0, 3) == "\xef\xbb\xbf" ? 3 : 0;
  std::int64_t line = 1;
  std::size_t after = at;
  std::int64_t line_after = line;
  std::vector<std::string> names;
  try {
    names = parse_first_record(text, options.separator, after, line_after);
  } catch (const FormatError& e) {
    throw FormatError(file + ": " + e.what());
  }
  if (options.header) {
    if (names.empty()) throw FormatError(file + ": found no text, expected a header with the names of the columns");
    at = after;
    line = line_after;
  }

  CsvLayout layout;
  layout.separator = options.separator;
  layout.num_fields = names.size();
  const auto choose = [&](const std::string& name) {
    layout.chosen.push_back(find_column(names, name, options.header, file));
    layout.chosen_names.push_back(name);
    return layout.chosen.size() - 1;
  };
  if (names.empty()) return EventLog();
  const std::size_t user = choose(columns.user);
  const std::size_t item = choose(columns.item);
  const auto choose_optional = [&](const std::optional<std::string>& name) {
    return name ? std::optional<std::size_t>(choose(*name)) : std::nullopt;
  };
  const auto event = choose_optional(columns.event);
  const auto time = choose_optional(columns.time);
  const auto value = choose_optional(columns.value);
  const auto session = choose_optional(columns.session);

  parsed->chunks = parse_records(text, at, line, layout, kChunkBytes, columns.num_threads);
  std::vector<std::int64_t> starts{0};
  for (const CsvChunk& c : parsed->chunks) starts.push_back(starts.back() + c.rows);

  const auto column = [&](std::size_t c) {
    Column out;
    out.name = layout.chosen_names[c];
    out.type = ColumnType::kFieldRefs;
    out.owner = parsed;
    for (const CsvChunk& chunk : parsed->chunks) {
      ColumnChunk rows;
      rows.type = ColumnType::kFieldRefs;
      rows.size = chunk.rows;
      rows.data = chunk.columns[c].data();
      rows.buffers = chunk.buffers;
      out.push(std::move(rows));
    }
    return out;
  };
  const auto key_column = [&](std::size_t c, const std::optional<IdMap::Kind>& wanted = std::nullopt) {
    Column out = column(c);
    if (wanted ? *wanted == IdMap::Kind::kString : !options.integer_keys) return out;
    std::optional<Column> integers = as_integers(out, columns.num_threads);
    return integers ? std::move(*integers) : out;
  };
  EventInput in;
  in.user = key_column(user, columns.user_kind);
  in.item = key_column(item, columns.item_kind);
  if (event) in.event = column(*event);
  if (time) in.time = column(*time);
  if (value) in.value = column(*value);
  if (session) in.session = key_column(*session);
  in.lines = true;
  in.place_of = [&](std::int64_t row) {
    const auto c = static_cast<std::size_t>(std::upper_bound(starts.begin(), starts.end(), row) - starts.begin()) - 1;
    return parsed->chunks[c].line_of(row - starts[c]);
  };
  for (const CsvChunk& c : parsed->chunks) {
    in.refused += c.refused;
    in.refused_places.insert(in.refused_places.end(), c.refused_lines.begin(), c.refused_lines.end());
    for (const auto& r : c.refusals)
      if (in.refusals.size() < ReadReport::kMaxRefusals) in.refusals.push_back(r);
  }
  return build_event_log(in, columns);
}

}  // namespace etalage
