// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/event_columns.hpp"

namespace etalage::detail {

/// Physical type of a column, whatever it came from: Arrow, NumPy or a text file.
enum class ColumnType : std::uint8_t {
  kNull, kBool, kInt8, kUInt8, kInt16, kUInt16, kInt32, kUInt32, kInt64, kUInt64, kFloat16, kFloat32, kFloat64,
  kUtf8, kLargeUtf8, kUtf8View, kFieldRefs, kDate32, kDate64, kTimestamp, kList
};

/// A string that lies in a frame or a text file.
struct StringRef {
  const char* data = nullptr;
  std::uint32_t size = 0;
  [[nodiscard]] std::string_view view() const noexcept { return {data, size}; }
};

/// A field of a text file in eight bytes: 40 bits of place, 23 of length, and which of two buffers it lies in (the text
/// itself, or the fields that had to be unescaped).
struct FieldRef {
  static constexpr std::uint64_t kMissing = ~std::uint64_t{0};
  static constexpr std::uint64_t kMaxPlace = (std::uint64_t{1} << 40) - 1;
  static constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 20;
  std::uint64_t bits = kMissing;
  static FieldRef at(std::uint64_t place, std::uint64_t size, bool unescaped) noexcept {
    return {place | size << 40 | (unescaped ? std::uint64_t{1} << 63 : 0)};
  }
  [[nodiscard]] bool missing() const noexcept { return bits == kMissing; }
  /// buffers: the text and the unescaped fields.
  [[nodiscard]] std::string_view view(const void* const* buffers) const noexcept {
    return {static_cast<const char*>(buffers[bits >> 63]) + (bits & kMaxPlace), static_cast<std::size_t>(bits >> 40 & 0x7fffff)};
  }
};

struct ListPieces;

/// A run of rows of one column. Borrows what it does not keep in `memory`; Column::owner keeps the rest alive.
struct ColumnChunk {
  ColumnType type = ColumnType::kNull;  ///< of the values; with a dictionary, of the indices
  std::int64_t size = 0;
  std::int64_t offset = 0;                  ///< of row 0 within every buffer
  const std::uint8_t* validity = nullptr;   ///< bits, null when every row is valid
  const void* data = nullptr;               ///< values, or the bytes of utf8
  const void* offsets = nullptr;            ///< of utf8 and large_utf8
  const void* const* buffers = nullptr;     ///< long strings of utf8_view; the two of kFieldRefs
  std::shared_ptr<const ColumnChunk> dictionary;
  std::shared_ptr<const ListPieces> pieces;  ///< of kList
  std::shared_ptr<const void> memory;        ///< of what was converted

  [[nodiscard]] bool valid(std::int64_t i) const noexcept {
    if (type == ColumnType::kNull) return false;
    if (type == ColumnType::kFieldRefs) return !static_cast<const FieldRef*>(data)[offset + i].missing();
    const std::int64_t at = offset + i;
    return validity == nullptr || (validity[at >> 3] >> (at & 7) & 1) != 0;
  }
};

/// The cells of lists: row i of a chunk holds cells [begins[k], ends[k]) of `items`, k = offset + i - first.
struct ListPieces {
  ColumnChunk items;
  std::int64_t first = 0;
  std::vector<std::int64_t> begins;
  std::vector<std::int64_t> ends;
};

/// A column as its chunks, in row order.
struct Column {
  std::string name;                    ///< as the caller wrote it, for messages
  ColumnType type = ColumnType::kNull;  ///< of the values, also under a dictionary
  TimeUnit unit = TimeUnit::kMillisecond;  ///< of kTimestamp
  std::vector<ColumnChunk> chunks;
  std::vector<std::int64_t> starts{0};  ///< [chunks + 1], first row of each chunk
  std::shared_ptr<const void> owner;
  bool immutable = true;                ///< nobody writes to the buffers, so they may be shared rather than copied

  [[nodiscard]] std::int64_t size() const noexcept { return starts.back(); }
  void push(ColumnChunk chunk) {
    starts.push_back(starts.back() + chunk.size);
    chunks.push_back(std::move(chunk));
  }
  [[nodiscard]] bool has_strings() const noexcept { return type >= ColumnType::kUtf8 && type <= ColumnType::kFieldRefs; }
  [[nodiscard]] bool has_integers() const noexcept { return type >= ColumnType::kInt8 && type <= ColumnType::kUInt64; }
  [[nodiscard]] bool has_floats() const noexcept { return type >= ColumnType::kFloat16 && type <= ColumnType::kFloat64; }
};

/// A column named and as long as that of texts, whose values they say; owner keeps both arrays.
[[nodiscard]] inline Column integers_of(const Column& texts, const std::int64_t* values, const std::uint8_t* validity, std::shared_ptr<const void> owner) {
  Column out;
  out.name = texts.name;
  out.type = ColumnType::kInt64;
  out.owner = std::move(owner);
  ColumnChunk chunk;
  chunk.type = ColumnType::kInt64;
  chunk.size = texts.size();
  chunk.data = values;
  chunk.validity = validity;
  out.push(std::move(chunk));
  return out;
}

/// Calls f(chunk index, first row within it, last row within it, first row in the column) over rows [begin, end).
template <class F>
void for_chunks(const Column& column, std::int64_t begin, std::int64_t end, F&& f) {
  const auto after = std::upper_bound(column.starts.begin(), column.starts.end(), begin);
  for (auto c = static_cast<std::size_t>(std::max<std::ptrdiff_t>(1, after - column.starts.begin())) - 1;
       c < column.chunks.size() && column.starts[c] < end; ++c) {
    const std::int64_t b = std::max(begin, column.starts[c]);
    const std::int64_t e = std::min(end, column.starts[c + 1]);
    if (b < e) f(c, b - column.starts[c], e - column.starts[c], b);
  }
}

/// IEEE half to float.
inline float half_to_float(std::uint16_t h) noexcept {
  const int exponent = (h >> 10) & 31;
  const int mantissa = h & 1023;
  const float sign = (h & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return mantissa != 0 ? std::nanf("") : sign * HUGE_VALF;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
}

/// Calls f(read) with read(i) -> std::string_view for a chunk of strings without a dictionary.
template <class F>
void with_strings(const ColumnChunk& c, F&& f) {
  switch (c.type) {
    case ColumnType::kUtf8: {
      const auto* o = static_cast<const std::int32_t*>(c.offsets) + c.offset;
      const auto* d = static_cast<const char*>(c.data);
      return f([o, d](std::int64_t i) noexcept {
        return std::string_view(d + o[i], static_cast<std::size_t>(o[i + 1] - o[i]));
      });
    }
    case ColumnType::kLargeUtf8: {
      const auto* o = static_cast<const std::int64_t*>(c.offsets) + c.offset;
      const auto* d = static_cast<const char*>(c.data);
      return f([o, d](std::int64_t i) noexcept {
        return std::string_view(d + o[i], static_cast<std::size_t>(o[i + 1] - o[i]));
      });
    }
    case ColumnType::kUtf8View: {
      // 16 bytes a row: length, then 12 bytes of text or prefix, buffer number and offset.
      const char* v = static_cast<const char*>(c.data) + c.offset * 16;
      const void* const* buffers = c.buffers;
      return f([v, buffers](std::int64_t i) noexcept {
        std::int32_t head[4];
        std::memcpy(head, v + i * 16, 16);
        const auto n = static_cast<std::size_t>(head[0]);
        return n <= 12 ? std::string_view(v + i * 16 + 4, n)
                       : std::string_view(static_cast<const char*>(buffers[head[2]]) + head[3], n);
      });
    }
    case ColumnType::kFieldRefs: {
      const auto* r = static_cast<const FieldRef*>(c.data) + c.offset;
      const void* const* buffers = c.buffers;
      return f([r, buffers](std::int64_t i) noexcept { return r[i].view(buffers); });
    }
    default: throw std::logic_error("a column of numbers was read as strings");
  }
}

/// Calls f(read) with read(i) -> the number as it is stored (bool and half precision as int and float).
template <class F>
void with_numbers(const ColumnChunk& c, F&& f) {
  const auto at = [&]<class T>(T) {
    const T* v = static_cast<const T*>(c.data) + c.offset;
    return f([v](std::int64_t i) noexcept { return v[i]; });
  };
  switch (c.type) {
    case ColumnType::kBool: {
      const auto* bits = static_cast<const std::uint8_t*>(c.data);
      const std::int64_t offset = c.offset;
      return f([bits, offset](std::int64_t i) noexcept {
        return static_cast<std::int32_t>(bits[(offset + i) >> 3] >> ((offset + i) & 7) & 1);
      });
    }
    case ColumnType::kInt8: return at(std::int8_t{});
    case ColumnType::kUInt8: return at(std::uint8_t{});
    case ColumnType::kInt16: return at(std::int16_t{});
    case ColumnType::kUInt16: return at(std::uint16_t{});
    case ColumnType::kInt32:
    case ColumnType::kDate32: return at(std::int32_t{});
    case ColumnType::kUInt32: return at(std::uint32_t{});
    case ColumnType::kInt64:
    case ColumnType::kDate64:
    case ColumnType::kTimestamp: return at(std::int64_t{});
    case ColumnType::kUInt64: return at(std::uint64_t{});
    case ColumnType::kFloat16: {
      const auto* v = static_cast<const std::uint16_t*>(c.data) + c.offset;
      return f([v](std::int64_t i) noexcept { return half_to_float(v[i]); });
    }
    case ColumnType::kFloat32: return at(float{});
    case ColumnType::kFloat64: return at(double{});
    default: throw std::logic_error("a column of strings was read as numbers");
  }
}

/// Row of the dictionary for row i of a chunk that has one.
inline std::int64_t dictionary_row(const ColumnChunk& c, std::int64_t i) {
  std::int64_t row = 0;
  with_numbers(c, [&](auto read) { row = static_cast<std::int64_t>(read(i)); });
  return row;
}

/// Name of a type in messages.
inline const char* type_name(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::kNull: return "null";
    case ColumnType::kBool: return "bool";
    case ColumnType::kFloat16: return "float16";
    case ColumnType::kFloat32: return "float32";
    case ColumnType::kFloat64: return "float64";
    case ColumnType::kUtf8:
    case ColumnType::kLargeUtf8:
    case ColumnType::kUtf8View:
    case ColumnType::kFieldRefs: return "text";
    case ColumnType::kDate32:
    case ColumnType::kDate64: return "date";
    case ColumnType::kTimestamp: return "timestamp";
    case ColumnType::kList: return "list";
    default: return "integer";
  }
}

}  // namespace etalage::detail
