// SPDX-License-Identifier: Apache-2.0
#include "core/intern.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "core/intern_table.hpp"
#include "detail/parallel_for.hpp"

namespace etalage::detail {
namespace {

// A key longer than this is a broken file, not a key.
constexpr std::size_t kMaxKeyBytes = std::size_t{1} << 20;

/// Number -> key; false where it is no 64-bit integer.
template <class T>
bool to_integer(T v, std::int64_t& key) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    // 2^53 bounds the integers that every double tells apart.
    if (!(v == std::floor(v) && std::abs(static_cast<double>(v)) <= 9007199254740992.0)) return false;
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    if (v > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return false;
  }
  key = static_cast<std::int64_t>(v);
  return true;
}

template <class Policy, class Read>
bool read_key(const Read& read, std::int64_t i, typename Policy::Key& key) {
  if constexpr (std::is_same_v<typename Policy::Key, std::int64_t>) {
    return to_integer(read(i), key);
  } else {
    const std::string_view s = read(i);
    if (s.empty() || s.size() > kMaxKeyBytes) return false;
    key = {s.data(), static_cast<std::uint32_t>(s.size())};
    return true;
  }
}

template <class Policy, class F>
void with_values(const ColumnChunk& chunk, F&& f) {
  if constexpr (std::is_same_v<typename Policy::Key, std::int64_t>) with_numbers(chunk, f);
  else with_strings(chunk, f);
}

/// Adds rows [b, e) of a chunk without a dictionary; codes go to out.
template <class Policy>
void add_rows(InternTable<Policy>& table, const ColumnChunk& chunk, std::int64_t b, std::int64_t e, std::int32_t* out) {
  using Key = typename Policy::Key;
  constexpr std::size_t batch = InternTable<Policy>::kBatch;
  if (chunk.type == ColumnType::kNull) {
    std::fill(out, out + (e - b), -1);
    return;
  }
  with_values<Policy>(chunk, [&](auto read) {
    std::array<Key, batch> keys{};
    std::array<std::int32_t, batch> codes;
    std::array<std::int64_t, batch> rows;
    std::size_t n = 0;
    const bool nullable = chunk.validity != nullptr || chunk.type == ColumnType::kFieldRefs;
    const auto flush = [&] {
      table.add(keys.data(), n, codes.data());
      for (std::size_t j = 0; j < n; ++j) out[rows[j]] = codes[j];
      n = 0;
    };
    for (std::int64_t i = b; i < e; ++i) {
      if ((nullable && !chunk.valid(i)) || !read_key<Policy>(read, i, keys[n])) {
        out[i - b] = -1;
        continue;
      }
      rows[n] = i - b;
      if (++n == batch) flush();
    }
    flush();
  });
}

/// One thread's part: a contiguous range of rows with a table of its own.
template <class Policy>
struct Range {
  InternTable<Policy> table;
  // Codes of a dictionary's entries, -2 where no row has used it yet; dictionaries are told apart by address, since
  // chunks of one stream usually share one.
  std::map<const void*, std::vector<std::int32_t>> dictionaries;

  void add(const Column& column, std::int64_t begin, std::int64_t end, std::int32_t* codes) {
    for_chunks(column, begin, end, [&](std::size_t c, std::int64_t b, std::int64_t e, std::int64_t first) {
      const ColumnChunk& chunk = column.chunks[c];
      if (chunk.dictionary) add_dictionary_rows(chunk, b, e, codes + first);
      else add_rows(table, chunk, b, e, codes + first);
    });
  }

  void add_dictionary_rows(const ColumnChunk& chunk, std::int64_t b, std::int64_t e, std::int32_t* out) {
    const ColumnChunk& words = *chunk.dictionary;
    std::vector<std::int32_t>& known = dictionaries[chunk.dictionary.get()];
    known.resize(static_cast<std::size_t>(words.size), -2);
    with_numbers(chunk, [&](auto read) {
      for (std::int64_t i = b; i < e; ++i) {
        const auto w = static_cast<std::int64_t>(read(i));
        if (!chunk.valid(i) || w < 0 || w >= words.size) {
          out[i - b] = -1;
          continue;
        }
        std::int32_t& code = known[static_cast<std::size_t>(w)];
        if (code == -2) add_rows(table, words, w, w + 1, &code);
        out[i - b] = code;
      }
    });
  }
};

SharedIdMap make_map(const std::vector<std::int64_t>& keys, int /*num_threads*/) {
  return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
}

SharedIdMap make_map(const std::vector<StringRef>& keys, int num_threads) {
  Array<std::int64_t> offsets(keys.size() + 1, uninitialized);
  std::int64_t* o = offsets.mutable_data();
  o[0] = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) o[i + 1] = o[i] + keys[i].size;
  Array<char> bytes(static_cast<std::size_t>(o[keys.size()]), uninitialized);
  char* to = bytes.mutable_data();
  parallel_for(keys.size(), 65536, num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t i = b; i < e; ++i) std::memcpy(to + o[i], keys[i].data, keys[i].size);
  });
  return std::make_shared<const IdMap>(IdMap::from_strings(std::move(offsets), std::move(bytes)));
}

template <class Policy>
Interned intern(const Column& column, int num_threads) {
  const auto n = static_cast<std::size_t>(column.size());
  Interned out{Array<std::int32_t>(n, uninitialized), nullptr, nullptr};
  std::int32_t* codes = out.codes.mutable_data();
  // Order of first appearance is the same wherever the rows are cut, so the number of ranges may follow the threads.
  const std::size_t grain = std::max<std::size_t>(65536, (n + static_cast<std::size_t>(num_threads) - 1) / static_cast<std::size_t>(num_threads));
  const std::size_t count = std::max<std::size_t>(1, num_chunks(n, grain));
  std::vector<Range<Policy>> ranges(count);
  parallel_for(n, grain, num_threads, [&](std::size_t b, std::size_t e, int) {
    ranges[b / grain].add(column, static_cast<std::int64_t>(b), static_cast<std::int64_t>(e), codes);
  });
  auto& first = ranges[0].table;
  std::vector<std::vector<std::int32_t>> global(count);
  for (std::size_t r = 1; r < count; ++r) {
    const auto& keys = ranges[r].table.keys();
    ranges[r].table.release_slots();
    global[r].resize(keys.size());
    for (std::size_t i = 0; i < keys.size(); i += InternTable<Policy>::kBatch)
      first.add(keys.data() + i, std::min(InternTable<Policy>::kBatch, keys.size() - i), global[r].data() + i);
  }
  parallel_for(n, grain, num_threads, [&](std::size_t b, std::size_t e, int) {
    const std::size_t r = b / grain;
    if (r == 0) return;
    const std::int32_t* map = global[r].data();
    for (std::size_t i = b; i < e; ++i)
      if (codes[i] >= 0) codes[i] = map[codes[i]];
  });
  first.release_slots();
  auto keys = std::make_shared<const std::vector<typename Policy::Key>>(first.take_keys());
  out.make_ids = [keys, num_threads] { return make_map(*keys, num_threads); };
  return out;
}

}  // namespace

Interned intern_keys(const Column& column, int num_threads) {
  const int threads = resolve_threads(num_threads);
  if (column.has_strings() || column.type == ColumnType::kNull) return intern<StringPolicy>(column, threads);
  if (column.has_integers() || column.has_floats()) return intern<IntegerPolicy>(column, threads);
  throw std::invalid_argument("column '" + column.name + "' is of type " + type_name(column.type) +
                              ", keys must be strings or integers");
}

Interned renumbered(const Array<std::int32_t>& codes, const IdMap& ids) {
  std::vector<std::int32_t> next(static_cast<std::size_t>(ids.size()), -1);
  std::vector<std::int32_t> order;
  Interned out{Array<std::int32_t>(codes.size(), uninitialized), nullptr, nullptr};
  std::int32_t* to = out.codes.mutable_data();
  for (std::size_t i = 0; i < codes.size(); ++i) {
    std::int32_t& number = next[static_cast<std::size_t>(codes[i])];
    if (number < 0) {
      number = static_cast<std::int32_t>(order.size());
      order.push_back(codes[i]);
    }
    to[i] = number;
  }
  if (ids.kind() == IdMap::Kind::kInteger) {
    std::vector<std::int64_t> keys;
    keys.reserve(order.size());
    for (const std::int32_t c : order) keys.push_back(ids.integer_at(c));
    out.ids = make_map(keys, 1);
  } else {
    std::vector<StringRef> keys;
    keys.reserve(order.size());
    for (const std::int32_t c : order) {
      const std::string_view s = ids.string_at(c);
      keys.push_back({s.data(), static_cast<std::uint32_t>(s.size())});
    }
    out.ids = make_map(keys, 1);
  }
  return out;
}

}  // namespace etalage::detail
