// SPDX-License-Identifier: Apache-2.0
#include "core/convert.hpp"

#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>
#include <stdexcept>

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

std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

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
  if (c.dictionary || c.validity != nullptr || reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0) return std::nullopt;
  return Array<T>::wrap(data, static_cast<std::size_t>(c.size), column.owner);
}

[[noreturn]] void wrong_type(const Column& column, const char* wanted) {
  throw std::invalid_argument("column '" + column.name + "' is of type " + type_name(column.type) + ", must be " + wanted);
}

}  // namespace

Array<std::int64_t> to_times(const Column& column, const std::optional<TimeUnit>& unit, std::span<std::uint8_t> bad,
                             std::uint8_t mark, int num_threads) {
  const bool numbers = column.has_integers() || column.has_floats();
  if (numbers && !unit)
    throw std::invalid_argument("column '" + column.name + "' holds numbers of type " + type_name(column.type) +
                                " and time_unit is not given, must be one of s, ms, us, ns");
  if (column.type == ColumnType::kBool) wrong_type(column, "a date, a timestamp, ISO-8601 text or numbers with time_unit");
  const auto refuse = [&](std::int64_t i) { bad[static_cast<std::size_t>(i)] |= mark; };
  const bool stored_ms = (column.type == ColumnType::kTimestamp && column.unit == TimeUnit::kMillisecond) ||
                         column.type == ColumnType::kDate64 ||
                         (column.type == ColumnType::kInt64 && unit == TimeUnit::kMillisecond);
  if (stored_ms) {
    if (auto shared = borrowed<std::int64_t>(column, column.type)) {
      parallel_for(shared->size(), kGrain, num_threads, [&](std::size_t b, std::size_t e, int) {
        for (std::size_t i = b; i < e; ++i)
          if ((*shared)[i] < kMinTimeMs || (*shared)[i] > kMaxTimeMs) refuse(static_cast<std::int64_t>(i));
      });
      return *shared;
    }
  }
  Array<std::int64_t> out(static_cast<std::size_t>(column.size()));
  std::int64_t* to = out.mutable_data();
  if (column.has_strings() || column.type == ColumnType::kNull) {
    fill(column, num_threads, to, kStrings, [&](std::string_view s) { return parse_time(s, unit); }, refuse, refuse);
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
  return out;
}

Array<float> to_floats(const Column& column, std::span<std::uint8_t> bad, std::uint8_t mark, int num_threads, bool nullable) {
  const bool numbers = column.has_integers() || column.has_floats() || column.type == ColumnType::kBool;
  if (!numbers && !column.has_strings() && column.type != ColumnType::kNull) wrong_type(column, "a number");
  const auto refuse = [&](std::int64_t i) { bad[static_cast<std::size_t>(i)] |= mark; };
  if (auto shared = borrowed<float>(column, ColumnType::kFloat32)) {
    parallel_for(shared->size(), kGrain, num_threads, [&](std::size_t b, std::size_t e, int) {
      for (std::size_t i = b; i < e; ++i)
        if (!std::isfinite((*shared)[i])) refuse(static_cast<std::int64_t>(i));
    });
    return *shared;
  }
  Array<float> out(static_cast<std::size_t>(column.size()));
  float* to = out.mutable_data();
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
