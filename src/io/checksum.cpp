// SPDX-License-Identifier: Apache-2.0
#include "io/checksum.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "detail/parallel_for.hpp"

namespace etalage::io {
namespace {

// Linux 5.14; the C library's headers may be older than the kernel.
constexpr int kPopulateRead = 22;

void bring_in(std::span<const std::byte> bytes) {
  static const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()) / page * page;
  const auto end = reinterpret_cast<std::uintptr_t>(bytes.data() + bytes.size());
  // Faster than one fault a page group. An older kernel says EINVAL, and then the hashing itself brings the pages in.
  if (::madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateRead) != 0 && (errno == EFAULT || errno == EIO))
    throw std::runtime_error("pages of the file cannot be read; it was cut while it was read, or its disk fails");
}

}  // namespace

std::uint64_t hash_bytes(const void* data, std::size_t size) noexcept { return XXH3_64bits(data, size); }

std::vector<std::uint64_t> checksums(std::span<const std::span<const std::byte>> ranges, int num_threads, bool mapped) {
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
      if (mapped) bring_in(chunk);
      hashes[c] = hash_bytes(chunk.data(), chunk.size());
    }
  });
  std::vector<std::uint64_t> out(ranges.size());
  for (std::size_t r = 0; r < ranges.size(); ++r)
    out[r] = hash_bytes(hashes.data() + first[r], (first[r + 1] - first[r]) * sizeof(std::uint64_t));
  return out;
}

}  // namespace etalage::io
