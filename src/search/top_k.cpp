// SPDX-License-Identifier: Apache-2.0
#include "search/top_k.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "core/scratch.hpp"
#include "kernels/scan_kernels.hpp"
#include "search/best.hpp"

namespace etalage {
namespace {

// Appended between two shrinks.
constexpr std::size_t kListChunk = 256;

std::size_t write(search::Best& s, std::span<ItemScore> out) {
  const std::size_t count = s.finish();
  for (std::size_t i = 0; i < count; ++i)
    out[i] = {static_cast<std::int32_t>(kernels::key_index(s.entries[i])), kernels::key_score(s.entries[i])};
  return count;
}

// n candidates; append(begin, end, threshold, keys) writes the keys of those of [begin, end) that score above.
template <class Append>
std::size_t select(std::size_t n, const Append& append, std::span<const std::int32_t> excluded, const ItemFilter* filter,
                   std::span<ItemScore> out, Scratch& scratch) {
  search::Best s;
  s.k = std::min(out.size(), n);
  if (s.k == 0) return 0;
  s.entries = Scratch::Impl::at_least(scratch.impl().keys, search::Best::limit(s.k) + kListChunk);
  s.allowed.excluded = excluded;
  s.allowed.filter = filter;
  for (std::size_t begin = 0; begin < n; begin += kListChunk) {
    s.count += append(begin, std::min(n, begin + kListChunk), s.threshold, s.entries + s.count);
    if (s.full()) s.shrink();
  }
  return write(s, out);
}

// Candidate i is item index(i), ascending, with score(i).
template <class Index, class Score>
auto one_by_one(const Index& index, const Score& score) {
  return [&index, &score](std::size_t begin, std::size_t end, float threshold, std::uint64_t* keys) {
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const float value = score(i);
      if (value > threshold) keys[count++] = kernels::rank_key(value, static_cast<std::uint32_t>(index(i)));
    }
    return count;
  };
}

}  // namespace

std::span<const std::int32_t> sorted_unique(std::span<const std::int32_t> history, std::span<const std::int32_t> session,
                                            Scratch& scratch) {
  if (session.empty() && std::adjacent_find(history.begin(), history.end(), std::greater_equal<>()) == history.end())
    return history;
  std::vector<std::int32_t>& seen = scratch.impl().seen;
  seen.assign(history.begin(), history.end());
  seen.insert(seen.end(), session.begin(), session.end());
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  return seen;
}

std::size_t select_top_k(std::span<const float> scores, std::span<const std::int32_t> excluded, const ItemFilter* filter,
                         std::span<ItemScore> out, Scratch& scratch) {
  if (filter != nullptr && filter->allows_everything()) filter = nullptr;
  if (filter != nullptr && filter->is_walked(scores.size())) {
    const std::span<const std::int64_t> ids = filter->allowed_ids();
    const auto n = static_cast<std::size_t>(
        std::lower_bound(ids.begin(), ids.end(), static_cast<std::int64_t>(scores.size())) - ids.begin());
    const auto index = [&](std::size_t i) { return ids[i]; };
    const auto score = [&](std::size_t i) { return scores[static_cast<std::size_t>(ids[i])]; };
    return select(n, one_by_one(index, score), excluded, filter->denied_ids().empty() ? nullptr : filter, out, scratch);
  }
  const kernels::ScanTable& table = kernels::scan();
  const auto append = [&](std::size_t begin, std::size_t end, float threshold, std::uint64_t* keys) {
    return table.collect(scores.data() + begin, end - begin, static_cast<std::uint32_t>(begin), threshold, keys);
  };
  return select(scores.size(), append, excluded, filter, out, scratch);
}

std::size_t select_top_k(std::span<const float> scores, std::span<const std::uint64_t> blocks, std::size_t block,
                         std::span<const std::int32_t> excluded, const ItemFilter* filter, std::span<ItemScore> out,
                         Scratch& scratch) {
  search::Best s;
  s.k = std::min(out.size(), scores.size());
  if (s.k == 0) return 0;
  s.entries = Scratch::Impl::at_least(scratch.impl().keys, search::Best::limit(s.k) + block);
  s.allowed.excluded = excluded;
  s.allowed.filter = filter != nullptr && filter->allows_everything() ? nullptr : filter;
  const kernels::ScanTable& table = kernels::scan();
  for (std::size_t word = 0; word < blocks.size(); ++word)
    for (std::uint64_t left = blocks[word]; left != 0; left &= left - 1) {
      const std::size_t begin = (word * 64 + static_cast<std::size_t>(std::countr_zero(left))) * block;
      s.count += table.collect(scores.data() + begin, std::min(block, scores.size() - begin), static_cast<std::uint32_t>(begin),
                               s.threshold, s.entries + s.count);
      if (s.full()) s.shrink();
    }
  return write(s, out);
}

std::size_t select_top_k(std::span<const std::int32_t> items, std::span<const float> scores,
                         std::span<const std::int32_t> excluded, const ItemFilter* filter, std::span<ItemScore> out,
                         Scratch& scratch) {
  if (filter != nullptr && filter->allows_everything()) filter = nullptr;
  const auto index = [&](std::size_t i) { return items[i]; };
  const auto score = [&](std::size_t i) { return scores[i]; };
  return select(items.size(), one_by_one(index, score), excluded, filter, out, scratch);
}

}  // namespace etalage
