// SPDX-License-Identifier: Apache-2.0
#include "io/checksum.hpp"

#include <algorithm>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "detail/parallel_for.hpp"

namespace etalage::io {
std::uint64_t hash_bytes(const void* data, std::size_t size) noexcept { return XXH3_64bits(data, size); }

std::vector<std::uint64_t> checksums(std::span<const std::span<const std::byte>> ranges, int num_threads) {
  std::vector<std::size_t> first(ranges.size() + 1, 0);
  for (std::size_t r = 0; r < ranges.size(); ++r)
    first[r + 1] = first[r] + detail::num_chunks(ranges[r].size(), kChecksumChunk);
  std::vector<std::uint64_t> hashes(first.back());
  // Waking threads costs more than hashing this much alone; the result is the same.
  std::size_t total = 0;
  for (const auto& r : ranges) total += r.size();
  const int threads = detail::resolve_threads(num_threads);
  detail::parallel_for(hashes.size(), 1, total < 4 * kChecksumChunk ? 1 : threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t c = begin; c < end; ++c) {
      const auto r = static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), c) - first.begin() - 1);
      const std::size_t at = (c - first[r]) * kChecksumChunk;
      const auto chunk = ranges[r].subspan(at, std::min(kChecksumChunk, ranges[r].size() - at));
      hashes[c] = hash_bytes(chunk.data(), chunk.size());
    }
  });
  std::vector<std::uint64_t> out(ranges.size());
  for (std::size_t r = 0; r < ranges.size(); ++r)
    out[r] = hash_bytes(hashes.data() + first[r], (first[r + 1] - first[r]) * sizeof(std::uint64_t));
  return out;
}

}  // namespace etalage::io
