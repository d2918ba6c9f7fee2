// SPDX-License-Identifier: Apache-2.0
#include "core/intern.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "core/hash.hpp"
#include "core/id_map_slots.hpp"
#include "core/intern_partitioned.hpp"
#include "core/intern_rows.hpp"
#include "core/intern_table.hpp"
#include "core/large_array.hpp"
#include "detail/parallel_for.hpp"

namespace etalage::detail {
namespace {

// From here on one table falls out of the caches, and dealing rows out to smaller ones pays.
constexpr std::size_t kManyKeys = 200000;

/// Adds rows [b, e) of a chunk without a dictionary; codes go to out. Returns how many rows had no usable key.
template <class Policy>
std::size_t add_rows(InternTable<Policy>& table, const ColumnChunk& chunk, std::int64_t b, std::int64_t e, std::int32_t* out) {
  using Key = typename Policy::Key;
  constexpr std::size_t batch = InternTable<Policy>::kBatch;
  std::array<Key, batch> keys{};
  std::array<std::int32_t, batch> codes;
  std::array<std::int64_t, batch> rows;
  std::size_t n = 0;
  std::size_t missing = 0;
  const auto flush = [&] {
    table.add(keys.data(), n, codes.data());
    for (std::size_t j = 0; j < n; ++j) out[rows[j]] = codes[j];
    n = 0;
  };
  for_keys<Policy>(
      chunk, b, e,
      [&](std::int64_t i, const Key& key) {
        keys[n] = key;
        rows[n] = i - b;
        if (++n == batch) flush();
      },
      [&](std::int64_t i) {
        out[i - b] = -1;
        ++missing;
      });
  flush();
  return missing;
}

/// One thread's part: a contiguous range of rows with a table of its own.
template <class Policy>
struct Range {
  explicit Range(std::size_t expected_keys) : table(expected_keys) {}

  InternTable<Policy> table;
  std::size_t missing = 0;
  // Codes of a dictionary's entries, -2 where no row has used it yet; dictionaries are told apart by address, since
  // chunks of one stream usually share one.
  std::map<const void*, std::vector<std::int32_t>> dictionaries;

  void add(const Column& column, std::int64_t begin, std::int64_t end, std::int32_t* codes) {
    for_chunks(column, begin, end, [&](std::size_t c, std::int64_t b, std::int64_t e, std::int64_t first) {
      const ColumnChunk& chunk = column.chunks[c];
      if (chunk.dictionary) add_dictionary_rows(chunk, b, e, codes + first);
      else missing += add_rows(table, chunk, b, e, codes + first);
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
          ++missing;
          continue;
        }
        std::int32_t& code = known[static_cast<std::size_t>(w)];
        if (code == -2) {
          for_keys<Policy>(
              words, w, w + 1, [&](std::int64_t, const typename Policy::Key& key) { table.add(&key, 1, &code); },
              [&](std::int64_t) { code = -1; });
        }
        out[i - b] = code;
        missing += code < 0 ? 1 : 0;
      }
    });
  }
};

/// The map of keys that are known to differ, whose slots need not be compared.
template <class HashOf>
SharedIdMap make_unique_map(IdMap::Parts parts, std::size_t n, int num_threads, HashOf hash_of) {
  parts.size = static_cast<std::int32_t>(n);
  Array<std::uint64_t> hashes = large_array<std::uint64_t>(n, num_threads);
  std::uint64_t* h = hashes.mutable_data();
  parts.slots = large_array<std::uint32_t>(slot_count(n), num_threads);
  std::uint32_t* slots = parts.slots.mutable_data();
  std::memset(slots, 0, parts.slots.size() * sizeof *slots);
  parallel_for(n, 65536, num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t i = b; i < e; ++i) h[i] = hash_of(i);
  });
  fill_slots(hashes.view(), slots, parts.slots.size() - 1, [](std::size_t, std::size_t) {});
  return std::make_shared<const IdMap>(IdMap::from_parts(std::move(parts), false));
}

SharedIdMap make_map(const std::vector<std::int64_t>& keys, int num_threads) {
  IdMap::Parts parts;
  parts.kind = IdMap::Kind::kInteger;
  parts.keys = Array<std::int64_t>(keys);
  return make_unique_map(std::move(parts), keys.size(), num_threads, [&](std::size_t i) { return hash_key(keys[i]); });
}

SharedIdMap make_map(const std::vector<StringRef>& keys, int num_threads) {
  IdMap::Parts parts;
  parts.kind = IdMap::Kind::kString;
  parts.offsets = large_array<std::int64_t>(keys.size() + 1, num_threads);
  std::int64_t* o = parts.offsets.mutable_data();
  o[0] = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) o[i + 1] = o[i] + keys[i].size;
  parts.bytes = large_array<char>(static_cast<std::size_t>(o[keys.size()]), num_threads);
  char* to = parts.bytes.mutable_data();
  return make_unique_map(std::move(parts), keys.size(), num_threads, [&, to, o](std::size_t i) {
    std::memcpy(to + o[i], keys[i].data, keys[i].size);
    return hash_key(keys[i].view());
  });
}

/// How many keys a long column holds, by how many of a sample's rows repeat one (as if all were as frequent, so rather
/// fewer than there are); 0 where the column is short. Speed alone depends on it.
template <class Policy>
std::size_t estimate_keys(const Column& column) {
  constexpr std::int64_t runs = 64;
  constexpr std::int64_t per_run = 256;
  if (column.size() < (std::int64_t{1} << 20)) return 0;
  InternTable<Policy> table(runs * per_run);
  std::vector<std::int32_t> codes(per_run);
  std::size_t used = static_cast<std::size_t>(runs * per_run);
  for (std::int64_t r = 0; r < runs; ++r) {
    const std::int64_t begin = column.size() / runs * r;
    for_chunks(column, begin, begin + per_run, [&](std::size_t c, std::int64_t b, std::int64_t e, std::int64_t first) {
      used -= add_rows(table, column.chunks[c], b, e, codes.data() + (first - begin));
    });
  }
  const std::size_t repeated = std::max<std::size_t>(1, used - table.keys().size());
  return std::min(static_cast<std::size_t>(column.size()), used * used / (2 * repeated));
}

template <class Policy>
Interned intern(const Column& column, int num_threads, InternWay way) {
  const auto n = static_cast<std::size_t>(column.size());
  Interned out{large_array<std::int32_t>(n, num_threads), nullptr, nullptr, false};
  std::int32_t* codes = out.codes.mutable_data();
  const auto finish = [&](std::vector<typename Policy::Key> of_column) {
    auto keys = std::make_shared<const std::vector<typename Policy::Key>>(std::move(of_column));
    out.make_ids = [keys, num_threads] { return make_map(*keys, num_threads); };
    return std::move(out);
  };
  // A dictionary's words are looked up once each, which one table does well.
  const bool words = std::any_of(column.chunks.begin(), column.chunks.end(), [](const ColumnChunk& c) { return c.dictionary != nullptr; });
  const std::size_t expected = words || way == InternWay::kOneTable ? 0 : estimate_keys<Policy>(column);
  if (!words && (way == InternWay::kPartitioned || expected >= kManyKeys)) {
    PartitionedInterner<Policy> parts(column, expected, num_threads);
    auto keys = parts.run(codes);
    out.complete = parts.missing() == 0;
    return finish(std::move(keys));
  }
  // Order of first appearance is the same wherever the rows are cut, so the number of ranges may follow the threads.
  const std::size_t grain = std::max<std::size_t>(65536, (n + static_cast<std::size_t>(num_threads) - 1) / static_cast<std::size_t>(num_threads));
  const std::size_t count = std::max<std::size_t>(1, num_chunks(n, grain));
  std::vector<Range<Policy>> ranges;
  ranges.reserve(count);
  for (std::size_t r = 0; r < count; ++r) ranges.emplace_back(expected + expected / 4);
  parallel_for(n, grain, num_threads, [&](std::size_t b, std::size_t e, int) {
    ranges[b / grain].add(column, static_cast<std::int64_t>(b), static_cast<std::int64_t>(e), codes);
  });
  out.complete = std::all_of(ranges.begin(), ranges.end(), [](const auto& r) { return r.missing == 0; });
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
  return finish(first.take_keys());
}

}  // namespace

Interned intern_keys(const Column& column, int num_threads, InternWay way) {
  const int threads = resolve_threads(num_threads);
  if (column.has_strings() || column.type == ColumnType::kNull) return intern<StringPolicy>(column, threads, way);
  if (column.has_integers() || column.has_floats()) return intern<IntegerPolicy>(column, threads, way);
  throw std::invalid_argument("column '" + column.name + "' is of type " + type_name(column.type) +
                              ", keys must be strings or integers");
}

Interned renumbered(const Array<std::int32_t>& codes, const IdMap& ids) {
  std::vector<std::int32_t> next(static_cast<std::size_t>(ids.size()), -1);
  std::vector<std::int32_t> order;
  Interned out{Array<std::int32_t>(codes.size(), uninitialized), nullptr, nullptr, true};
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
