// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace etalage::io {

/// XXH3-64 with seed 0.
std::uint64_t hash_bytes(const void* data, std::size_t size) noexcept;

inline constexpr std::size_t kChecksumChunk = std::size_t{1} << 20;

/// A section's checksum: XXH3-64 over the little-endian list of the XXH3-64 of each 1 MiB chunk of it, so that any
/// number of threads gives the same value. One result a range.
///
/// Ranges of a mapped file are simply read: faults that map 64 KiB of warm pages at a time cost a tenth of the hashing,
/// where asking for the pages first (MADV_POPULATE_READ, MAP_POPULATE) costs more than all of it.
std::vector<std::uint64_t> checksums(std::span<const std::span<const std::byte>> ranges, int num_threads);

}  // namespace etalage::io
