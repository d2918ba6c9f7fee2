// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace etalage::io {

/// The bytes of a file, mapped or in memory, 64-byte aligned. Whoever holds `owner` keeps them.
struct Buffer {
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
};

/// Maps a whole file, read-only. std::filesystem::filesystem_error when it cannot be opened; FormatError, beginning with
/// `label`, for what is not a regular file.
Buffer map_file(const std::filesystem::path& path, const std::string& label);

/// Copies memory to an aligned place.
Buffer copy_memory(std::span<const char> bytes);

}  // namespace etalage::io
