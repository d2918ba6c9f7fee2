// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace etalage::io {

/// A file that appears under its name only when complete: written to a new name in the same directory, flushed,
/// renamed, directory flushed. A symbolic link is followed, the permissions of a file that is replaced are kept.
/// Errors    std::filesystem::filesystem_error with the system's code; the temporary is removed, the old file stays
class AtomicFile {
 public:
  /// std::invalid_argument when path names something that is not a regular file.
  AtomicFile(const std::filesystem::path& path, std::uint64_t expected_bytes);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  [[noreturn]] void raise(const char* what, int error) const;
  void discard() noexcept;

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int fd_ = -1;
};

}  // namespace etalage::io
