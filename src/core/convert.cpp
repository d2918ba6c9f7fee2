// SPDX-License-Identifier: Apache-2.0
#include "core/convert.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "core/large_array.hpp"
#include "core/time_text.hpp"
#include "detail/parallel_for.hpp"

namespace etalage::detail {
namespace {

constexpr std::size_t kGrain = 65536;

/// The chunk that holds the values themselves: the dictionary where there is one.
const ColumnChunk& values_of(const ColumnChunk& chunk) { return chunk.dictionary ? *chunk.dictionary : chunk; }

/// Row of values_of(chunk) for row i, -1 when the cell is missing.
std::int64_t locate(const ColumnChunk& chunk, std::int64_t i) {
  if (!chunk.valid(i)) return -1;
  if (!chunk.dictionary) return i;
  const std::int64_t w = dictionary_row(chunk, i);
  return w >= 0 && w < chunk.dictionary->size && chunk.dictionary->valid(w) ? w : -1;
}

/// Fills out[i] by convert(value) -> optional; missing(i) for missing cells; refuse(i) for those convert refuses.
template <class T, class Reader, class Convert, class Missing, class Refuse>
void fill(const Column& column, int num_threads, T* out, Reader reader, Convert convert, Missing missing, Refuse refuse) {
  parallel_for(static_cast<std::size_t>(column.size()), kGrain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for_chunks(column, static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end),
               [&](std::size_t c, std::int64_t b, std::int64_t e, std::int64_t first) {
                 const ColumnChunk& chunk = column.chunks[c];
                 const ColumnChunk& values = values_of(chunk);
                 const bool plain = !chunk.dictionary && chunk.validity == nullptr && chunk.type != ColumnType::kFieldRefs;
                 if (values.type == ColumnType::kNull) {
                   for (std::int64_t i = b; i < e; ++i) missing(first + i - b);
                   return;
                 }
                 reader(values, [&](auto read) {
                   for (std::int64_t i = b; i < e; ++i) {
                     const std::int64_t at = plain ? i : locate(chunk, i);
                     const std::int64_t row = first + i - b;
                     if (at < 0) {
                       missing(row);
                     } else if (const auto v = convert(read(at))) {
                       out[row] = *v;
                     } else {
                       refuse(row);
                     }
                   }
                 });
               });
  });
}

constexpr auto kNumbers = [](const ColumnChunk& c, auto&& f) { with_numbers(c, f); };
constexpr auto kStrings = [](const ColumnChunk& c, auto&& f) { with_strings(c, f); };

std::optional<float> finite(double v) noexcept {
  const auto f = static_cast<float>(v);
  if (!std::isfinite(f)) return std::nullopt;
  return f;
}

/// The one chunk's own buffer, when its elements are what is wanted and nothing needs converting.
template <class T>
std::optional<Array<T>> borrowed(const Column& column, ColumnType type) {
  if (!column.immutable || column.type != type || column.chunks.size() != 1 || !column.owner) return std::nullopt;
  const ColumnChunk& c = column.chunks[0];
  const T* data = static_cast<const T*>(c.data) + c.offset;
  if (c.memory) return std::nullopt;  // what was converted dies with the column
  if (c.dictionary || c.validity != nullptr || reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0) return std::nullopt;
  return Array<T>::wrap(data, static_cast<std::size_t>(c.size), column.owner);
}

bool holds_numbers(const Column& column) noexcept { return column.has_integers() || column.has_floats(); }

/// Times in a unit that is not theirs land in the first weeks of 1970, where next to no shop's events lie. Refused when
/// nearly all rows do, and nearly all would lie between 1990 and 2070 in one other unit.
void check_unit(const Column& column, std::span<const std::int64_t> times, std::span<const std::uint8_t> bad, TimeUnit unit) {
  constexpr std::int64_t from = 631152000000;    // 1990-01-01
  constexpr std::int64_t until = 3155760000000;  // 2070-01-01
  constexpr std::int64_t early = 315532800000;   // 1980-01-01
  const auto few = [](std::int64_t k, std::int64_t n) { return k * 50 <= n; };
  const auto rows = static_cast<std::int64_t>(times.size());
  std::int64_t late = 0;
  std::int64_t known = 0;
  std::int64_t fits[4] = {0, 0, 0, 0};
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (bad[i] != 0) continue;
    ++known;
    if (times[i] >= early || times[i] < 0) {
      if (!few(++late, rows)) return;
      continue;
    }
    std::int64_t scale = 1;
    for (int u = static_cast<int>(unit) - 1; u >= 0; --u) {
      scale *= 1000;
      if (times[i] >= from / scale && times[i] <= until / scale) ++fits[u];
    }
  }
  if (known == 0) return;
  for (int u = static_cast<int>(unit) - 1; u >= 0; --u)
    if (few(known - fits[u], known))
      throw std::invalid_argument("column '" + column.name + "' counts " + unit_name(unit) + " by time_unit, which puts nearly all of its " +
                                  std::to_string(known) + " times into January or February 1970; time_unit='" +
                                  unit_name(static_cast<TimeUnit>(u)) + "' puts them after 1990 (times that are right as they are: give "
                                  "them as timestamps)");
}

[[noreturn]] void wrong_type(const Column& column, const char* wanted) {
  throw std::invalid_argument("column '" + column.name + "' is of type " + type_name(column.type) + ", must be " + wanted);
}

/// Calls refuse(i) for values that are not good. Nearly always all are, which a loop without branches tells.
template <class T, class Good, class Refuse>
void refuse_unless(std::span<const T> values, int num_threads, Good good, Refuse refuse) {
  parallel_for(values.size(), kGrain, num_threads, [&](std::size_t b, std::size_t e, int) {
    int wrong = 0;
    for (std::size_t i = b; i < e; ++i) wrong |= good(values[i]) ? 0 : 1;
    for (std::size_t i = b; i < e && wrong != 0; ++i)
      if (!good(values[i])) refuse(static_cast<std::int64_t>(i));
  });
}

}  // namespace

Array<std::int64_t> to_times(const Column& column, const std::optional<TimeUnit>& unit, std::span<std::uint8_t> bad,
                             std::uint8_t mark, int num_threads) {
  const bool numbers = holds_numbers(column);
  if (numbers && !unit)
    throw std::invalid_argument("column '" + column.name + "' holds numbers of type " + type_name(column.type) +
                                " and time_unit is not given, must be one of s, ms, us, ns");
  if (column.type == ColumnType::kBool || column.type == ColumnType::kList) wrong_type(column, "a date, a timestamp, ISO-8601 text or numbers with time_unit");
  const auto mark_bad = [&](std::int64_t i) { bad[static_cast<std::size_t>(i)] |= mark; };
  const bool stored_ms = (column.type == ColumnType::kTimestamp && column.unit == TimeUnit::kMillisecond) ||
                         column.type == ColumnType::kDate64 ||
                         (column.type == ColumnType::kInt64 && unit == TimeUnit::kMillisecond);
  if (stored_ms) {
    if (auto shared = borrowed<std::int64_t>(column, column.type)) {
      refuse_unless(shared->view(), num_threads, [](std::int64_t t) { return t >= kMinTimeMs && t <= kMaxTimeMs; }, mark_bad);
      if (numbers) check_unit(column, shared->view(), bad, *unit);
      return *shared;
    }
  }
  Array<std::int64_t> out = large_array<std::int64_t>(static_cast<std::size_t>(column.size()), num_threads);
  std::int64_t* to = out.mutable_data();
  const auto refuse = [&](std::int64_t i) {
    to[i] = 0;
    mark_bad(i);
  };
  if (column.has_strings() || column.type == ColumnType::kNull) {
    fill(column, num_threads, to, kStrings, [&](std::string_view s) { return parse_time(s, unit); }, refuse, refuse);
    if (unit) check_unit(column, out.view(), bad, *unit);
    return out;
  }
  TimeUnit u = TimeUnit::kMillisecond;
  std::int64_t scale = 1;
  if (numbers) u = *unit;
  else if (column.type == ColumnType::kTimestamp) u = column.unit;
  else if (column.type == ColumnType::kDate32) scale = 86400000;
  fill(column, num_threads, to, kNumbers,
       [u, scale](auto v) {
         if constexpr (std::is_floating_point_v<decltype(v)>) {
           return epoch_to_ms(static_cast<double>(v), u);
         } else {
           if constexpr (std::is_same_v<decltype(v), std::uint64_t>)
             if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::optional<std::int64_t>();
           return epoch_to_ms(static_cast<std::int64_t>(v) * scale, u);
         }
       },
       refuse, refuse);
  if (numbers) check_unit(column, out.view(), bad, *unit);
  return out;
}

Array<float> to_floats(const Column& column, std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads, bool nullable) {
  const bool numbers = holds_numbers(column) || column.type == ColumnType::kBool;
  if (!numbers && !column.has_strings() && column.type != ColumnType::kNull) wrong_type(column, "a number");
  const auto mark_bad = [&](std::int64_t i) { bad[static_cast<std::size_t>(i)] |= mark; };
  if (auto shared = borrowed<float>(column, ColumnType::kFloat32)) {
    refuse_unless(shared->view(), num_threads, [](float v) { return std::abs(v) <= std::numeric_limits<float>::max(); }, mark_bad);
    return *shared;
  }
  Array<float> out = large_array<float>(static_cast<std::size_t>(column.size()), num_threads);
  float* to = out.mutable_data();
  const auto refuse = [&](std::int64_t i) {
    to[i] = 0;
    mark_bad(i);
  };
  const auto missing = [&](std::int64_t i) {
    if (nullable) to[i] = std::numeric_limits<float>::quiet_NaN();
    else refuse(i);
  };
  if (numbers) {
    fill(column, num_threads, to, kNumbers, [](auto v) { return finite(static_cast<double>(v)); }, missing, refuse);
  } else {
    fill(column, num_threads, to, kStrings,
         [](std::string_view s) -> std::optional<float> {
           s = trimmed(s);
           if (!s.empty() && s.front() == '+') s.remove_prefix(1);
           double v = 0;
           const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
           if (r.ec != std::errc() || r.ptr != s.data() + s.size()) return std::nullopt;
           return finite(v);
         },
         missing, refuse);
  }
  return out;
}

Column integers_of(const Column& text, int num_threads) {
  struct Memory {
    Array<std::int64_t> values;
    std::vector<std::uint8_t> missing;
    std::vector<std::uint8_t> validity;
  };
  const auto n = static_cast<std::size_t>(text.size());
  const auto memory = std::make_shared<Memory>();
  memory->values = Array<std::int64_t>(n);
  memory->missing.assign(n, 0);
  const auto lacks = [&](std::int64_t i) { memory->missing[static_cast<std::size_t>(i)] = 1; };
  fill(text, num_threads, memory->values.mutable_data(), kStrings,
       [](std::string_view s) -> std::optional<std::int64_t> {
         std::int64_t v = 0;
         const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
         // Only what is written as the integer itself is written: 007 and 7 are two keys in text.
         if (r.ec != std::errc() || r.ptr != s.data() + s.size() || s != std::to_string(v)) return std::nullopt;
         return v;
       },
       lacks, lacks);
  memory->validity.assign(n / 8 + 1, 0);
  for (std::size_t i = 0; i < n; ++i)
    if (memory->missing[i] == 0) memory->validity[i >> 3] = static_cast<std::uint8_t>(memory->validity[i >> 3] | 1U << (i & 7));
  return integers_of(text, memory->values.data(), memory->validity.data(), memory);
}

namespace {

/// Cell `at` of a chunk without a dictionary as text.
std::optional<std::string> text_of(const ColumnChunk& values, std::int64_t at, const Column& column) {
  if (at < 0 || !values.valid(at)) return std::nullopt;
  std::optional<std::string> text;
  if (values.type >= ColumnType::kUtf8 && values.type <= ColumnType::kFieldRefs) {
    with_strings(values, [&](auto read) { text = std::string(read(at)); });
    return text;
  }
  if (values.type == ColumnType::kBool) {
    with_numbers(values, [&](auto read) { text = read(at) != 0 ? "true" : "false"; });
    return text;
  }
  if (values.type < ColumnType::kInt8 || values.type > ColumnType::kFloat64) wrong_type(column, "text or numbers");
  with_numbers(values, [&](auto read) {
    const auto v = read(at);
    if constexpr (std::is_floating_point_v<decltype(v)>)
      if (std::isnan(v)) return;
    char buffer[40];
    text = std::string(buffer, std::to_chars(buffer, buffer + sizeof buffer, v).ptr);
  });
  return text;
}

}  // namespace

std::optional<std::string> cell_string(const Column& column, std::int64_t row) {
  std::optional<std::string> text;
  for_chunks(column, row, row + 1, [&](std::size_t c, std::int64_t i, std::int64_t, std::int64_t) {
    const ColumnChunk& chunk = column.chunks[c];
    text = text_of(values_of(chunk), locate(chunk, i), column);
  });
  return text;
}

std::vector<std::string> cell_strings(const Column& column, std::int64_t row) {
  std::vector<std::string> out;
  if (column.type != ColumnType::kList) {
    if (auto text = cell_string(column, row)) out.push_back(std::move(*text));
    return out;
  }
  for_chunks(column, row, row + 1, [&](std::size_t c, std::int64_t i, std::int64_t, std::int64_t) {
    const ColumnChunk& chunk = column.chunks[c];
    if (!chunk.valid(i)) return;
    const ListPieces& pieces = *chunk.pieces;
    const auto k = static_cast<std::size_t>(chunk.offset + i - pieces.first);
    for (std::int64_t at = pieces.begins[k]; at < pieces.ends[k]; ++at)
      if (auto text = text_of(values_of(pieces.items), locate(pieces.items, at), column)) out.push_back(std::move(*text));
  });
  return out;
}

std::string why_no_key(const Column& column, std::int64_t row, const std::optional<IdMap::Kind>& wanted) {
  const auto text = cell_text(column, row);
  if (!text) return column.name + " is missing";
  if (text->empty()) return column.name + " is empty, must not be";
  if (column.has_strings() && wanted == IdMap::Kind::kInteger && text->size() < 40)
    return column.name + " is '" + *text + "', must be a 64-bit integer, as the keys that it is to match are";
  if (column.has_strings()) return column.name + " is '" + *text + "', must be at most 1048576 bytes";
  return column.name + " is " + *text +
         (column.type == ColumnType::kUInt64 ? ", must be below 2^63 (hashes: cast them to int64 or to text)" : ", must be a 64-bit integer");
}

std::string why_no_time(const Column& column, std::int64_t row, const std::optional<TimeUnit>& unit) {
  const auto text = cell_text(column, row);
  if (!text) return column.name + " is missing";
  if (column.has_strings())
    return column.name + " is '" + *text + "', must be " +
           (unit ? std::string("a number of ") + unit_name(*unit) + " or an ISO-8601 time" : std::string("an ISO-8601 time")) +
           " in the years 1 to 9999";
  return column.name + " is " + *text + (unit ? std::string(" ") + unit_name(*unit) : std::string()) +
         ", must be in the years 1 to 9999" + (unit ? " (is time_unit right?)" : "");
}

std::string why_no_number(const Column& column, std::int64_t row) {
  const auto text = cell_text(column, row);
  if (!text) return column.name + " is missing";
  return column.name + " is " + (column.has_strings() ? "'" + *text + "'" : *text) + ", must be a finite number";
}

std::optional<std::string> cell_text(const Column& column, std::int64_t row, std::size_t limit) {
  std::optional<std::string> text;
  for_chunks(column, row, row + 1, [&](std::size_t c, std::int64_t i, std::int64_t, std::int64_t) {
    const ColumnChunk& chunk = column.chunks[c];
    const std::int64_t at = locate(chunk, i);
    if (at < 0) return;
    const ColumnChunk& values = values_of(chunk);
    if (column.has_strings()) {
      with_strings(values, [&](auto read) { text = std::string(read(at)); });
    } else {
      with_numbers(values, [&](auto read) {
        std::ostringstream s;
        s.imbue(std::locale::classic());
        s.precision(17);
        s << +read(at);
        text = s.str();
      });
    }
  });
  if (!text) return text;
  // Messages stay printable whatever a broken file holds.
  std::string shown;
  for (const char ch : *text) {
    if (shown.size() >= limit) {
      shown += "... (" + std::to_string(text->size()) + " bytes)";
      break;
    }
    const auto u = static_cast<unsigned char>(ch);
    shown += u < 0x20 || u == 0x7f ? '?' : ch;
  }
  while (!shown.empty() && shown.size() > limit && (static_cast<unsigned char>(shown.back()) & 0xC0) == 0x80) shown.pop_back();
  return shown;
}

}  // namespace etalage::detail
