// SPDX-License-Identifier: Apache-2.0
#include "core/arrow_chunks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "core/arrow_abi.hpp"

namespace etalage::detail {
namespace {

using Kind = ArrowLayout::Kind;
using Pieces = ArrowLayout::Pieces;
__extension__ using Int128 = __int128;

[[noreturn]] void broken(const std::string& name, const std::string& what) {
  throw std::invalid_argument("column '" + name + "' of the Arrow stream " + what);
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

void check(const ArrowArray& a, std::int64_t buffers, std::int64_t children, const std::string& name) {
  if (a.length < 0 || a.offset < 0 || a.n_buffers < buffers || a.n_children < children)
    broken(name, "has length " + std::to_string(a.length) + ", offset " + std::to_string(a.offset) + ", " + std::to_string(a.n_buffers) +
                     " buffers and " + std::to_string(a.n_children) + " children, which no array of its type has");
}

ColumnChunk plain_chunk(const ArrowArray& a, ColumnType type, const std::string& name) {
  check(a, buffers_of(type), 0, name);
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

/// Cells of `width` bytes that the library has no type for, with their validity.
struct Cells {
  const char* data;
  const std::uint8_t* validity;
  std::int64_t offset;
  std::size_t width;
  [[nodiscard]] const char* at(std::int64_t i) const noexcept { return data + static_cast<std::size_t>(offset + i) * width; }
  [[nodiscard]] bool valid(std::int64_t i) const noexcept {
    return validity == nullptr || (validity[(offset + i) >> 3] >> ((offset + i) & 7) & 1) != 0;
  }
};

Cells cells_of(const ArrowArray& a, std::size_t width, const std::string& name) {
  check(a, 2, 0, name);
  if (a.length > 0 && a.buffers[1] == nullptr) broken(name, "has rows but no data");
  return {static_cast<const char*>(a.buffers[1]), a.null_count != 0 ? static_cast<const std::uint8_t*>(a.buffers[0]) : nullptr, a.offset, width};
}

/// A chunk over memory of its own, whose cells are missing where those of `a` are.
template <class T>
ColumnChunk own_chunk(std::vector<T> values, ColumnType type, const Cells& cells) {
  struct Memory {
    std::vector<T> values;
    std::vector<std::uint8_t> validity;
  };
  const std::size_t n = values.size();
  auto memory = std::make_shared<Memory>();
  memory->values = std::move(values);
  ColumnChunk c;
  c.type = type;
  c.size = static_cast<std::int64_t>(n);
  c.data = memory->values.data();
  if (cells.validity != nullptr) {
    memory->validity.assign(n / 8 + 1, 0);
    for (std::size_t i = 0; i < n; ++i)
      if (cells.valid(static_cast<std::int64_t>(i))) memory->validity[i >> 3] = static_cast<std::uint8_t>(memory->validity[i >> 3] | 1U << (i & 7));
    c.validity = memory->validity.data();
  }
  c.memory = std::move(memory);
  return c;
}

/// A decimal's digits; `high` holds what does not fit in 128 bits, as a multiple of 2^128.
struct Digits {
  Int128 low = 0;
  double high = 0;
};

Digits digits_at(const char* p, std::size_t width) noexcept {
  const auto read = [p]<class T>(T v) {
    std::memcpy(&v, p, sizeof v);
    return v;
  };
  if (width == 4) return {read(std::int32_t{}), 0};
  if (width == 8) return {read(std::int64_t{}), 0};
  if (width == 16) return {read(Int128{}), 0};
  Int128 halves[2];
  std::memcpy(halves, p, sizeof halves);
  if (halves[1] == (halves[0] < 0 ? -1 : 0)) return {halves[0], 0};
  // Too large for any key: the value as a double is all that is asked for.
  const double low = static_cast<double>(halves[0]) + (halves[0] < 0 ? std::ldexp(1.0, 128) : 0.0);
  return {0, static_cast<double>(halves[1]) * std::ldexp(1.0, 128) + low};
}

Int128 power_of_ten(int n) noexcept {
  Int128 p = 1;
  for (; n > 0; --n) p *= 10;
  return p;
}

std::optional<std::int64_t> whole(const Digits& d, int scale) noexcept {
  if (d.high != 0 || scale > 38 || scale < -18) return std::nullopt;
  Int128 v = d.low;
  if (scale > 0) {
    const Int128 one = power_of_ten(scale);
    if (v % one != 0) return std::nullopt;
    v /= one;
  } else if (scale < 0) {
    if (v > std::numeric_limits<std::int64_t>::max() || v < std::numeric_limits<std::int64_t>::min()) return std::nullopt;
    v *= power_of_ten(-scale);
  }
  if (v > std::numeric_limits<std::int64_t>::max() || v < std::numeric_limits<std::int64_t>::min()) return std::nullopt;
  return static_cast<std::int64_t>(v);
}

double as_double(const Digits& d, int scale) noexcept {
  const auto v = d.high != 0 ? static_cast<long double>(d.high) : static_cast<long double>(d.low);
  return static_cast<double>(v / std::pow(10.0L, static_cast<long double>(scale)));
}

ColumnChunk decimal_chunk(const ArrowArray& a, const ArrowLayout& layout, const std::string& name) {
  const Cells cells = cells_of(a, static_cast<std::size_t>(layout.width), name);
  const auto n = static_cast<std::size_t>(a.length);
  std::vector<std::int64_t> integers;
  integers.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const auto v = cells.valid(row) ? whole(digits_at(cells.at(row), cells.width), layout.scale) : std::optional<std::int64_t>(0);
    if (!v) break;
    integers.push_back(*v);
  }
  if (integers.size() == n) return own_chunk(std::move(integers), ColumnType::kInt64, cells);
  std::vector<double> numbers(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = static_cast<std::int64_t>(i);
    if (cells.valid(row)) numbers[i] = as_double(digits_at(cells.at(row), cells.width), layout.scale);
  }
  return own_chunk(std::move(numbers), ColumnType::kFloat64, cells);
}

ColumnChunk uuid_chunk(const ArrowArray& a, const std::string& name) {
  constexpr std::size_t length = 36;
  const Cells cells = cells_of(a, 16, name);
  const auto n = static_cast<std::size_t>(a.length);
  std::vector<char> text(n * length);
  for (std::size_t i = 0; i < n; ++i) {
    const char* from = cells.at(static_cast<std::int64_t>(i));
    char* to = text.data() + i * length;
    for (int byte = 0; byte < 16; ++byte) {
      if (byte == 4 || byte == 6 || byte == 8 || byte == 10) *to++ = '-';
      const auto v = static_cast<unsigned char>(from[byte]);
      *to++ = "0123456789abcdef"[v >> 4];
      *to++ = "0123456789abcdef"[v & 15];
    }
  }
  ColumnChunk c = own_chunk(std::move(text), ColumnType::kLargeUtf8, {nullptr, nullptr, 0, 0});
  c.size = a.length;
  // The offsets and the validity have memory of their own, which holds the text's.
  struct Memory {
    std::vector<std::int64_t> offsets;
    ColumnChunk validity;
    std::shared_ptr<const void> text;
  };
  auto memory = std::make_shared<Memory>();
  memory->offsets.resize(n + 1);
  for (std::size_t i = 0; i <= n; ++i) memory->offsets[i] = static_cast<std::int64_t>(i * length);
  memory->validity = own_chunk(std::vector<char>(n), ColumnType::kInt8, cells);
  memory->text = std::move(c.memory);
  c.validity = memory->validity.validity;
  c.offsets = memory->offsets.data();
  c.memory = std::move(memory);
  return c;
}

ColumnChunk run_chunk(const ArrowArray& a, const ArrowLayout& layout, const std::string& name, LastDictionary& last) {
  check(a, 0, 2, name);
  ColumnChunk ends = plain_chunk(*a.children[0], layout.type, name);
  ColumnChunk runs = arrow_chunk(*a.children[1], *layout.inner, name, last);
  if (ends.size > runs.size) broken(name, "has " + std::to_string(ends.size) + " runs and " + std::to_string(runs.size) + " values");
  std::vector<std::int32_t> index(static_cast<std::size_t>(a.length), -1);
  with_numbers(ends, [&](auto read) {
    std::int64_t row = 0;
    for (std::int64_t r = 0; r < ends.size && row < a.length; ++r) {
      const std::int64_t end = std::min(a.length, static_cast<std::int64_t>(read(r)) - a.offset);
      // Of runs of a dictionary each row takes the word itself, so that there is one level to look through.
      const std::int64_t word = !runs.dictionary ? r : runs.valid(r) ? dictionary_row(runs, r) : -1;
      for (; row < end; ++row) index[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(word);
    }
  });
  ColumnChunk c = own_chunk(std::move(index), ColumnType::kInt32, {nullptr, nullptr, 0, 0});
  c.dictionary = runs.dictionary ? runs.dictionary : std::make_shared<const ColumnChunk>(std::move(runs));
  return c;
}

ColumnChunk list_chunk(const ArrowArray& a, const ArrowLayout& layout, const std::string& name, LastDictionary& last) {
  const bool fixed = layout.pieces == Pieces::kFixed;
  const bool views = layout.pieces == Pieces::kViews32 || layout.pieces == Pieces::kViews64;
  check(a, fixed ? 1 : views ? 3 : 2, 1, name);
  auto pieces = std::make_shared<ListPieces>();
  pieces->first = a.offset;
  pieces->items = arrow_chunk(*a.children[0], *layout.inner, name, last);
  const auto entry = [&](std::int64_t buffer, std::int64_t i) -> std::int64_t {
    if (a.buffers[buffer] == nullptr) broken(name, "has rows but no offsets");
    if (layout.pieces == Pieces::kOffsets64 || layout.pieces == Pieces::kViews64) return static_cast<const std::int64_t*>(a.buffers[buffer])[i];
    return static_cast<const std::int32_t*>(a.buffers[buffer])[i];
  };
  ColumnChunk c;
  c.type = ColumnType::kList;
  c.size = a.length;
  c.offset = a.offset;
  if (a.null_count != 0) c.validity = static_cast<const std::uint8_t*>(a.buffers[0]);
  for (std::int64_t i = 0; i < a.length; ++i) {
    const std::int64_t at = a.offset + i;
    const std::int64_t begin = fixed ? at * layout.width : entry(1, at);
    const std::int64_t end = fixed ? begin + layout.width : views ? begin + entry(2, at) : entry(1, at + 1);
    if (c.valid(i) && (begin < 0 || end < begin || end > pieces->items.size))
      broken(name, "has a list of cells " + std::to_string(begin) + " to " + std::to_string(end) + " of " + std::to_string(pieces->items.size));
    pieces->begins.push_back(begin);
    pieces->ends.push_back(end);
  }
  c.pieces = std::move(pieces);
  return c;
}

}  // namespace

ColumnChunk arrow_chunk(const ArrowArray& a, const ArrowLayout& layout, const std::string& name, LastDictionary& last) {
  switch (layout.kind) {
    case Kind::kPlain: return plain_chunk(a, layout.type, name);
    case Kind::kDecimal: return decimal_chunk(a, layout, name);
    case Kind::kUuid: return uuid_chunk(a, name);
    case Kind::kRunEnds: return run_chunk(a, layout, name, last);
    case Kind::kList: return list_chunk(a, layout, name, last);
    case Kind::kDictionary: break;
  }
  ColumnChunk chunk = plain_chunk(a, layout.type, name);
  if (a.dictionary == nullptr) broken(name, "has no dictionary in one of its batches");
  const ArrowArray& d = *a.dictionary;
  const std::pair<const void*, const void*> buffers{d.n_buffers > 1 ? d.buffers[1] : nullptr, d.n_buffers > 2 ? d.buffers[2] : nullptr};
  if (!last.words || buffers.first == nullptr || buffers != last.buffers || last.words->size != d.length || last.words->offset != d.offset) {
    LastDictionary below;
    ColumnChunk words = arrow_chunk(d, *layout.inner, name, below);
    if (words.dictionary) broken(name, "has a dictionary of a dictionary, must be decoded");
    last.words = std::make_shared<const ColumnChunk>(std::move(words));
  }
  last.buffers = buffers;
  chunk.dictionary = last.words;
  return chunk;
}

}  // namespace etalage::detail
