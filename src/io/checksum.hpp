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
/// With `mapped` the ranges lie in a mapped file whose pages are first brought in chunk by chunk by the hashing
/// threads; std::runtime_error when a page is not there any more (the file was cut while it was read).
std::vector<std::uint64_t> checksums(std::span<const std::span<const std::byte>> ranges, int num_threads, bool mapped);

}  // namespace etalage::io
