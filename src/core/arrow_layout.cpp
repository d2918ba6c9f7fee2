// SPDX-License-Identifier: Apache-2.0
#include "core/arrow_layout.hpp"

#include <charconv>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "core/arrow_abi.hpp"

namespace etalage::detail {
namespace {

using Kind = ArrowLayout::Kind;
using Pieces = ArrowLayout::Pieces;

/// The value of a key of the schema's metadata; empty when it is not there. The format is the C data interface's: a
/// number of pairs, then each key and value behind its length, all int32 in the machine's byte order.
std::string_view metadata_value(const char* metadata, std::string_view wanted) {
  if (metadata == nullptr) return {};
  const auto number = [&metadata] {
    std::int32_t n = 0;
    std::memcpy(&n, metadata, sizeof n);
    metadata += sizeof n;
    return n;
  };
  const auto text = [&] {
    const std::int32_t n = number();
    const std::string_view s(metadata, static_cast<std::size_t>(n < 0 ? 0 : n));
    metadata += s.size();
    return s;
  };
  for (std::int32_t pairs = number(); pairs > 0; --pairs) {
    const std::string_view key = text();
    const std::string_view value = text();
    if (key == wanted) return value;
  }
  return {};
}

[[noreturn]] void refuse(const std::string& column, std::string_view format, std::string_view what, std::string_view remedy) {
  throw std::invalid_argument("column '" + column + "' holds " + std::string(what) + " (Arrow format '" + std::string(format) +
                              "'), must be text, a number, a date or a timestamp: " + std::string(remedy));
}

/// Types that are known but hold nothing that a column of events or of a catalogue could be.
[[noreturn]] void refuse_format(const std::string& column, std::string_view f) {
  const auto begins = [f](std::string_view with) { return f.substr(0, with.size()) == with; };
  if (f == "z" || f == "Z" || f == "vz" || begins("w:")) refuse(column, f, "bytes", "cast it to text");
  if (begins("tt")) refuse(column, f, "times of day", "add the date, so that it is a timestamp");
  if (begins("tD")) refuse(column, f, "durations", "add the moment they count from, or cast it to integers");
  if (begins("ti")) refuse(column, f, "intervals", "add the moment they count from");
  if (begins("+s") || begins("+m") || begins("+u")) refuse(column, f, "records", "take one of their fields out");
  refuse(column, f, "something else", "cast it to one of them");
}

/// The integers of "w:16", "+w:3", "d:38,0,128" behind the colon.
std::vector<std::int32_t> numbers_of(std::string_view f) {
  std::vector<std::int32_t> out;
  const char* at = f.data() + f.find(':') + 1;
  const char* end = f.data() + f.size();
  while (at < end) {
    std::int32_t n = 0;
    const auto r = std::from_chars(at, end, n);
    if (r.ec != std::errc()) return {};
    out.push_back(n);
    at = r.ptr < end && *r.ptr == ',' ? r.ptr + 1 : end;
  }
  return out;
}

std::optional<ArrowLayout> plain(std::string_view f) {
  static const std::map<std::string_view, ColumnType> simple = {
      {"n", ColumnType::kNull},    {"b", ColumnType::kBool},    {"c", ColumnType::kInt8},      {"C", ColumnType::kUInt8},
      {"s", ColumnType::kInt16},   {"S", ColumnType::kUInt16},  {"i", ColumnType::kInt32},     {"I", ColumnType::kUInt32},
      {"l", ColumnType::kInt64},   {"L", ColumnType::kUInt64},  {"e", ColumnType::kFloat16},   {"f", ColumnType::kFloat32},
      {"g", ColumnType::kFloat64}, {"u", ColumnType::kUtf8},    {"U", ColumnType::kLargeUtf8}, {"vu", ColumnType::kUtf8View},
      {"tdD", ColumnType::kDate32}, {"tdm", ColumnType::kDate64}};
  ArrowLayout out;
  const auto found = simple.find(f);
  if (found != simple.end()) {
    out.type = found->second;
    return out;
  }
  // Zoned and naive timestamps both count from 1970-01-01 UTC: the zone is for display, and naive means UTC here.
  if (f.size() < 4 || f.substr(0, 2) != "ts" || f[3] != ':') return std::nullopt;
  out.type = ColumnType::kTimestamp;
  switch (f[2]) {
    case 's': out.unit = TimeUnit::kSecond; return out;
    case 'm': out.unit = TimeUnit::kMillisecond; return out;
    case 'u': out.unit = TimeUnit::kMicrosecond; return out;
    case 'n': out.unit = TimeUnit::kNanosecond; return out;
    default: return std::nullopt;
  }
}

std::optional<Pieces> list_of(std::string_view f) {
  if (f == "+l") return Pieces::kOffsets32;
  if (f == "+L") return Pieces::kOffsets64;
  if (f == "+vl") return Pieces::kViews32;
  if (f == "+vL") return Pieces::kViews64;
  if (f.substr(0, 3) == "+w:") return Pieces::kFixed;
  return std::nullopt;
}

bool is_index(ColumnType type) noexcept { return type >= ColumnType::kInt8 && type <= ColumnType::kUInt64; }

}  // namespace

ArrowLayout arrow_layout(const ArrowSchema& schema, const std::string& column, bool lists) {
  const std::string_view f = schema.format != nullptr ? schema.format : "";
  const std::string_view extension = metadata_value(schema.metadata, "ARROW:extension:name");
  if (extension == "pandas.period") refuse(column, f, "pandas periods", "call .dt.to_timestamp() on it");
  if (extension == "pandas.interval") refuse(column, f, "pandas intervals", "take their left or right end");
  const auto child = [&](std::int64_t i) -> const ArrowSchema& {
    if (schema.n_children <= i || schema.children == nullptr || schema.children[i] == nullptr)
      throw std::invalid_argument("column '" + column + "' of the Arrow stream has fewer children than its format '" + std::string(f) + "' needs");
    return *schema.children[i];
  };
  ArrowLayout out;
  if (schema.dictionary != nullptr) {
    const auto index = plain(f);
    if (!index || !is_index(index->type)) refuse_format(column, f);
    out.kind = Kind::kDictionary;
    out.type = index->type;
    out.inner = std::make_shared<const ArrowLayout>(arrow_layout(*schema.dictionary, column, lists));
  } else if (f == "+r") {
    const auto ends = plain(child(0).format != nullptr ? child(0).format : "");
    if (!ends || !is_index(ends->type)) refuse_format(column, f);
    out.kind = Kind::kRunEnds;
    out.type = ends->type;
    out.inner = std::make_shared<const ArrowLayout>(arrow_layout(child(1), column, lists));
  } else if (const auto pieces = list_of(f)) {
    if (!lists) refuse(column, f, "lists", "make a row of each of their cells");
    out.kind = Kind::kList;
    out.type = ColumnType::kList;
    out.pieces = *pieces;
    const std::vector<std::int32_t> n = *pieces == Pieces::kFixed ? numbers_of(f) : std::vector<std::int32_t>{0};
    if (n.size() != 1 || n[0] < 0) refuse_format(column, f);
    out.width = n[0];
    out.inner = std::make_shared<const ArrowLayout>(arrow_layout(child(0), column, lists));
    if (out.inner->values().kind == Kind::kList) refuse(column, f, "lists of lists", "take one level of them");
  } else if (f.substr(0, 2) == "d:") {
    const std::vector<std::int32_t> n = numbers_of(f);  // precision, scale, bits (128 where it is not said)
    const std::int32_t bits = n.size() == 3 ? n[2] : 128;
    if (n.size() < 2 || (bits != 32 && bits != 64 && bits != 128 && bits != 256) || n[1] < -76 || n[1] > 76) refuse_format(column, f);
    out.kind = Kind::kDecimal;
    out.type = ColumnType::kFloat64;
    out.width = bits / 8;
    out.scale = n[1];
  } else if (f == "w:16" && extension == "arrow.uuid") {
    out.kind = Kind::kUuid;
    out.type = ColumnType::kLargeUtf8;
  } else if (const auto simple = plain(f)) {
    out = *simple;
  } else {
    refuse_format(column, f);
  }
  if ((out.kind == Kind::kDictionary || out.kind == Kind::kRunEnds) && out.values().kind == Kind::kList)
    refuse(column, f, "encoded lists", "decode it");
  return out;
}

}  // namespace etalage::detail
