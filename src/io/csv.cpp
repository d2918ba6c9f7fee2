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

#include "core/catalog_columns.hpp"
#include "core/event_builder.hpp"
#include "detail/parallel_for.hpp"
#include "io/csv_table.hpp"

namespace etalage {

void CsvOptions::validate() const {
  const auto c = static_cast<unsigned char>(separator);
  if (c >= 0x80 || c == '"' || c == '\n' || c == '\r' || c == 0)
    throw std::invalid_argument("separator is character " + std::to_string(c) + ", must be one ASCII character, not a quote or a line end");
}

namespace detail {
namespace {

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
  return integers_of(text, held->values.data(), missing.load() ? held->validity.data() : nullptr, held);
}

}  // namespace
}  // namespace detail

Catalog read_catalog_csv(const std::filesystem::path& path, const CatalogColumns& columns, const CsvOptions& options) {
  using namespace detail;
  options.validate();
  CsvTable table(path, options);
  if (table.empty()) return Catalog();
  for (const std::string& name : catalog_names(columns)) (void)table.choose(name);
  table.parse(0);
  if (table.refused() != 0) {
    const ReadReport::Refusal& first = table.refusals().front();
    throw std::invalid_argument("line " + std::to_string(first.line) + ": " + first.reason);
  }
  std::vector<Column> read;
  for (std::size_t c = 0; c < table.chosen(); ++c) read.push_back(table.column(c));
  if (options.integer_keys)
    if (std::optional<Column> integers = as_integers(read[0], 0)) read[0] = std::move(*integers);
  return Catalog(catalog_of(read, columns, [&](std::int64_t row) { return "line " + std::to_string(table.line_of(row)); }));
}

EventLog read_events_csv(const std::filesystem::path& path, const EventColumns& columns, const CsvOptions& options) {
  using namespace detail;
  options.validate();
  CsvTable table(path, options);
  if (table.empty()) return EventLog();
  const std::size_t user = table.choose(columns.user);
  const std::size_t item = table.choose(columns.item);
  const auto choose_optional = [&](const std::optional<std::string>& name) {
    return name ? std::optional<std::size_t>(table.choose(*name)) : std::nullopt;
  };
  const auto event = choose_optional(columns.event);
  const auto time = choose_optional(columns.time);
  const auto value = choose_optional(columns.value);
  const auto session = choose_optional(columns.session);
  table.parse(columns.num_threads);
  const auto column = [&](std::size_t c) { return table.column(c); };
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
  in.place_of = [&](std::int64_t row) { return table.line_of(row); };
  in.refused = table.refused();
  in.refusals = table.refusals();
  in.refused_places = table.refused_lines();
  return build_event_log(std::move(in), columns);
}

}  // namespace etalage
