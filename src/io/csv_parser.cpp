// SPDX-License-Identifier: Apache-2.0
#include "io/csv_parser.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"

namespace etalage::detail {
namespace {

constexpr char kQuote = '"';

/// First separator or line end in [p, end); end when there is none.
inline const char* find_end_of_field(const char* p, const char* end, char separator) noexcept {
#if defined(__SSE2__)
  const __m128i s = _mm_set1_epi8(separator);
  const __m128i n = _mm_set1_epi8('\n');
  for (; end - p >= 16; p += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(v, s), _mm_cmpeq_epi8(v, n))));
    if (mask != 0) return p + std::countr_zero(mask);
  }
#endif
  for (; p < end; ++p)
    if (*p == separator || *p == '\n') return p;
  return end;
}

bool is_ascii(std::string_view s) noexcept {
  const char* p = s.data();
  std::size_t n = s.size();
  std::uint64_t all = 0;
  for (; n >= 8; p += 8, n -= 8) {
    std::uint64_t v = 0;
    std::memcpy(&v, p, 8);
    all |= v;
  }
  for (; n != 0; ++p, --n) all |= static_cast<unsigned char>(*p);
  return (all & 0x8080808080808080ULL) == 0;
}

bool is_utf8(std::string_view s) noexcept {
  if (is_ascii(s)) return true;
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  for (std::size_t i = 0; i < s.size();) {
    const unsigned c = at(i);
    std::size_t more = 0;
    std::uint32_t low = 0;
    std::uint32_t code = 0;
    if (c < 0x80) {
      ++i;
      continue;
    }
    if (c >= 0xc2 && c <= 0xdf) more = 1, low = 0x80, code = c & 0x1f;
    else if (c >= 0xe0 && c <= 0xef) more = 2, low = 0x800, code = c & 0x0f;
    else if (c >= 0xf0 && c <= 0xf4) more = 3, low = 0x10000, code = c & 0x07;
    else return false;
    if (i + more >= s.size()) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
      code = code << 6 | (at(i + k) & 0x3f);
    }
    if (code < low || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
    i += more + 1;
  }
  return true;
}

enum class Ended { kField, kRecord, kBroken };

/// One field from p; p moves behind its separator or line end.
struct Field {
  const char* begin = nullptr;
  std::size_t size = 0;
  std::size_t doubled = 0;  // quotes to halve
  const char* why = nullptr;
};

Ended next_field(const char*& p, const char* end, char separator, Field& f) {
  f = {};
  if (p < end && *p == kQuote) {
    f.begin = ++p;
    while (true) {
      const auto limit = std::min<std::size_t>(static_cast<std::size_t>(end - p), FieldRef::kMaxSize + 2 - std::min<std::size_t>(FieldRef::kMaxSize + 2, static_cast<std::size_t>(p - f.begin)));
      const char* q = limit == 0 ? nullptr : static_cast<const char*>(std::memchr(p, kQuote, limit));
      if (q == nullptr) {
        f.why = "has a quoted field that is not closed within 1048576 bytes";
        return Ended::kBroken;
      }
      if (q + 1 < end && q[1] == kQuote) {
        ++f.doubled;
        p = q + 2;
        continue;
      }
      f.size = static_cast<std::size_t>(q - f.begin);
      p = q + 1;
      break;
    }
    if (p < end && *p == separator) {
      ++p;
      return Ended::kField;
    }
    if (p < end && *p == '\r' && (p + 1 == end || p[1] == '\n')) ++p;
    if (p == end) return Ended::kRecord;
    if (*p == '\n') {
      ++p;
      return Ended::kRecord;
    }
    f.why = "has text after a closing quote";
    return Ended::kBroken;
  }
  f.begin = p;
  const char* e = find_end_of_field(p, end, separator);
  f.size = static_cast<std::size_t>(e - p);
  if (e < end && *e == separator) {
    p = e + 1;
    return Ended::kField;
  }
  if (f.size != 0 && e[-1] == '\r') --f.size;
  p = e < end ? e + 1 : end;
  return Ended::kRecord;
}

class Parser {
 public:
  Parser(std::string_view text, const CsvLayout& layout) : text_(text), layout_(layout), fields_(layout.chosen.size()) {
    wanted_.assign(layout.num_fields, kNone);
    // One field may be chosen for two columns: the second is copied from the first.
    for (std::size_t c = 0; c < layout.chosen.size(); ++c) {
      std::size_t& slot = wanted_[layout.chosen[c]];
      if (slot == kNone) slot = c;
      else copies_.emplace_back(c, slot);
    }
  }

  /// Records that begin in [begin, stop).
  void parse(CsvChunk& out, std::size_t begin, std::size_t stop) {
    out = CsvChunk();
    out.begin = begin;
    out.columns.resize(layout_.chosen.size());
    const std::size_t guess = (stop - begin) / 32 + 16;
    for (auto& c : out.columns) c.reserve(guess);
    const char* const base = text_.data();
    const char* const end = base + text_.size();
    const char* p = base + begin;
    while (p < base + stop) {
      const char* const start = p;
      if (*p == '\n' || (*p == '\r' && p + 1 < end && p[1] == '\n')) {  // blank
        p += *p == '\r' ? 2 : 1;
        ++out.lines;
        continue;
      }
      bool quoted_lines = false;
      const std::string why = record(p, end, out, quoted_lines);
      if (!why.empty()) {
        ++out.refused;
        out.refused_lines.push_back(out.lines);
        if (out.refusals.size() < ReadReport::kMaxRefusals) out.refusals.push_back({out.lines, why});
        if (broken_) {
          // Whatever the quotes meant, the next line is a place to begin again.
          const auto* n = static_cast<const char*>(std::memchr(start, '\n', static_cast<std::size_t>(end - start)));
          p = n != nullptr ? n + 1 : end;
          out.lines += n != nullptr;
          continue;
        }
      } else {
        if (out.row_lines.empty() && out.lines == out.rows) ++out.regular_rows;
        else out.row_lines.push_back(static_cast<std::uint32_t>(out.lines));
        ++out.rows;
        for (std::size_t c = 0; c < fields_.size(); ++c) out.columns[c].push_back(fields_[c]);
      }
      if (quoted_lines) out.lines += std::count(start, p, '\n');
      else out.lines += p[-1] == '\n';
    }
    out.end = static_cast<std::size_t>(p - base);
  }

 private:
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  /// Reads one record; why it is refused, or nothing.
  std::string record(const char*& p, const char* end, CsvChunk& out, bool& quoted_lines) {
    broken_ = false;
    const char* reason = nullptr;
    std::size_t reason_column = kNone;
    std::size_t count = 0;
    for (auto ended = Ended::kField; ended == Ended::kField; ++count) {
      Field f;
      ended = next_field(p, end, layout_.separator, f);
      if (ended == Ended::kBroken) {
        broken_ = true;
        return f.why;
      }
      quoted_lines = quoted_lines || (f.begin != text_.data() && f.begin[-1] == kQuote && std::memchr(f.begin, '\n', f.size) != nullptr);
      const std::size_t column = count < wanted_.size() ? wanted_[count] : kNone;
      if (column == kNone) continue;
      if (f.size == 0) {
        fields_[column] = {};
      } else if (f.size > FieldRef::kMaxSize) {
        reason = "is longer than 1048576 bytes";
        reason_column = column;
      } else if (!is_utf8({f.begin, f.size})) {
        reason = "is not UTF-8";
        reason_column = column;
      } else if (f.doubled != 0) {
        fields_[column] = unescape(f, out.unescaped);
      } else {
        fields_[column] = FieldRef::at(static_cast<std::uint64_t>(f.begin - text_.data()), f.size, false);
      }
    }
    if (count != layout_.num_fields)
      return "has " + std::to_string(count) + " fields, must have " + std::to_string(layout_.num_fields);
    if (reason != nullptr) return layout_.chosen_names[reason_column] + " " + reason;
    for (const auto& [to, from] : copies_) fields_[to] = fields_[from];
    return {};
  }

  static FieldRef unescape(const Field& f, std::string& to) {
    const std::size_t place = to.size();
    for (std::size_t i = 0; i < f.size; ++i) {
      to.push_back(f.begin[i]);
      if (f.begin[i] == kQuote) ++i;
    }
    return FieldRef::at(place, to.size() - place, true);
  }

  std::string_view text_;
  const CsvLayout& layout_;
  std::vector<std::size_t> wanted_;
  std::vector<std::pair<std::size_t, std::size_t>> copies_;
  std::vector<FieldRef> fields_;
  bool broken_ = false;
};

}  // namespace

std::vector<std::string> parse_first_record(std::string_view text, char separator, std::size_t& at, std::int64_t& line) {
  std::vector<std::string> out;
  const char* const end = text.data() + text.size();
  const char* p = text.data() + at;
  while (p < end && (*p == '\n' || (*p == '\r' && p + 1 < end && p[1] == '\n'))) {
    p += *p == '\r' ? 2 : 1;
    ++line;
  }
  const char* const start = p;
  if (p < end) {
    for (auto ended = Ended::kField; ended == Ended::kField;) {
      Field f;
      ended = next_field(p, end, separator, f);
      if (ended == Ended::kBroken) throw FormatError("the first record " + std::string(f.why) + ", expected the names of the columns");
      std::string name;
      for (std::size_t i = 0; i < f.size; ++i) {
        name.push_back(f.begin[i]);
        if (f.doubled != 0 && f.begin[i] == kQuote) ++i;
      }
      if (!is_utf8(name)) throw FormatError("the first record is not UTF-8, expected a text file in UTF-8");
      out.push_back(std::move(name));
    }
  }
  line += std::count(start, p, '\n');
  at = static_cast<std::size_t>(p - text.data());
  return out;
}

std::vector<CsvChunk> parse_records(std::string_view text, std::size_t begin, std::int64_t first_line, const CsvLayout& layout,
                                    std::size_t chunk_bytes, int num_threads) {
  const std::size_t size = text.size() - begin;
  if (text.size() > FieldRef::kMaxPlace) throw FormatError("found more than a terabyte of text, expected a smaller file");
  std::vector<CsvChunk> chunks(num_chunks(size, chunk_bytes));
  const auto border = [&](std::size_t c) { return std::min(text.size(), begin + c * chunk_bytes); };
  parallel_for(chunks.size(), 1, num_threads, [&](std::size_t c, std::size_t, int) {
    std::size_t from = border(c);
    if (c != 0) {
      // No further than the chunk itself, or a file of one line would be searched once a chunk.
      const void* n = std::memchr(text.data() + from - 1, '\n', border(c + 1) - from);
      if (n == nullptr) {
        chunks[c].begin = std::string_view::npos;
        return;
      }
      from = static_cast<std::size_t>(static_cast<const char*>(n) - text.data()) + 1;
    }
    Parser(text, layout).parse(chunks[c], from, border(c + 1));
  });
  std::size_t place = begin;
  std::int64_t line = first_line;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    // A chunk that lies within one long record of its predecessor has no records of its own.
    if (chunks[c].begin != place) Parser(text, layout).parse(chunks[c], place, std::max(place, border(c + 1)));
    chunks[c].first_line = line;
    for (auto& r : chunks[c].refusals) r.line += line;
    for (auto& place : chunks[c].refused_lines) place += line;
    line += chunks[c].lines;
    place = chunks[c].end;
    chunks[c].buffers[0] = text.data();
    chunks[c].buffers[1] = chunks[c].unescaped.data();
  }
  return chunks;
}

}  // namespace etalage::detail
