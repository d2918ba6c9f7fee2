// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/frame_columns.hpp"

#include <charconv>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "core/arrow_reader.hpp"
#include "core/convert.hpp"
#include "core/intern.hpp"

namespace etalage {
namespace {

using detail::Column;

[[noreturn]] void refuse(std::int64_t row, const std::string& reason) {
  throw std::invalid_argument("row " + std::to_string(row) + ": column " + reason);
}

void read_keys(const Column& column, int num_threads, FrameColumn& out) {
  detail::Interned keys = detail::intern_keys(column, num_threads);
  if (!keys.complete)
    for (std::size_t row = 0; row < keys.codes.size(); ++row) {
      if (keys.codes[row] >= 0) continue;
      const auto text = detail::cell_text(column, static_cast<std::int64_t>(row));
      if (text && !text->empty()) refuse(static_cast<std::int64_t>(row), detail::why_no_key(column, static_cast<std::int64_t>(row)));
    }
  keys.finish();
  out.codes = std::move(keys.codes);
  out.ids = std::move(keys.ids);
}

void read_times(const Column& column, const std::optional<TimeUnit>& unit, int num_threads, FrameColumn& out) {
  std::vector<std::uint8_t> bad(static_cast<std::size_t>(column.size()));
  Array<std::int64_t> times = detail::to_times(column, unit, bad, 1, num_threads);
  // A copy: what needed no conversion is the producer's own memory.
  out.times_ms = Array<std::int64_t>(times.view());
  std::int64_t* to = out.times_ms.mutable_data();
  for (std::size_t row = 0; row < bad.size(); ++row) {
    if (bad[row] == 0) continue;
    const auto text = detail::cell_text(column, static_cast<std::int64_t>(row));
    if (text && !text->empty()) refuse(static_cast<std::int64_t>(row), detail::why_no_time(column, static_cast<std::int64_t>(row), unit));
    to[row] = FrameColumn::kNoTime;
  }
}

/// A number as text says it; nothing for anything else.
std::optional<double> parsed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n+");
  if (first == std::string::npos) return std::nullopt;
  const char* end = text.data() + text.find_last_not_of(" \t\r\n") + 1;
  double v = 0;
  const auto r = std::from_chars(text.data() + first, end, v);
  if (r.ec != std::errc() || r.ptr != end) return std::nullopt;
  return v;
}

void read_numbers(const Column& column, FrameColumn& out) {
  const bool plain = column.has_integers() || column.has_floats() || column.type == detail::ColumnType::kBool;
  if (!plain && !column.has_strings() && column.type != detail::ColumnType::kNull)
    throw std::invalid_argument("column " + column.name + " has type " + detail::type_name(column.type) + ", must hold numbers");
  out.numbers.assign(static_cast<std::size_t>(column.size()), std::numeric_limits<double>::quiet_NaN());
  detail::for_chunks(column, 0, column.size(), [&](std::size_t c, std::int64_t begin, std::int64_t end, std::int64_t row) {
    const detail::ColumnChunk& chunk = column.chunks[c];
    double* to = out.numbers.data() + row;
    if (plain && chunk.dictionary == nullptr) {
      if (chunk.type == detail::ColumnType::kNull) return;
      detail::with_numbers(chunk, [&](auto read) {
        for (std::int64_t i = begin; i < end; ++i) {
          if (!chunk.valid(i)) continue;
          const auto v = static_cast<double>(read(i));
          if (std::isinf(v)) refuse(row + i - begin, detail::why_no_number(column, row + i - begin));
          to[i - begin] = v;
        }
      });
      return;
    }
    for (std::int64_t i = begin; i < end; ++i) {
      const auto text = detail::cell_string(column, row + i - begin);
      if (!text || text->empty()) continue;
      const auto v = parsed(*text);
      if (!v || !std::isfinite(*v)) refuse(row + i - begin, detail::why_no_number(column, row + i - begin));
      to[i - begin] = *v;
    }
  });
}

}  // namespace

std::vector<FrameColumn> read_frame_columns(ArrowArrayStream* stream, std::span<const FrameColumnRequest> requests,
                                            const std::optional<TimeUnit>& time_unit, std::span<const UnreadableCell> unreadable,
                                            int num_threads) {
  std::vector<std::string> names;
  for (const FrameColumnRequest& request : requests) names.push_back(request.name);
  const std::vector<Column> columns = detail::read_arrow_columns(stream, names, false);
  for (const UnreadableCell& cell : unreadable) refuse(cell.row, cell.column + " " + cell.reason);
  std::vector<FrameColumn> out(requests.size());
  for (std::size_t k = 0; k < requests.size(); ++k) {
    switch (requests[k].kind) {
      case FrameColumnRequest::Kind::kKeys: read_keys(columns[k], num_threads, out[k]); break;
      case FrameColumnRequest::Kind::kTimes: read_times(columns[k], time_unit, num_threads, out[k]); break;
      case FrameColumnRequest::Kind::kNumbers: read_numbers(columns[k], out[k]); break;
    }
  }
  return out;
}

}  // namespace etalage
