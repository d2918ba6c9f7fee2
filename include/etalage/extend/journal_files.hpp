// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/export.hpp"

namespace etalage {

/// One open file of a journal. Errors are std::filesystem::filesystem_error with the system's code.
class ETALAGE_EXPORT JournalFile {
 public:
  virtual ~JournalFile();
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Fills `out` from `offset`; returns fewer bytes only at the end of the file.
  virtual std::size_t read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  /// All of the bytes at `offset`, or an error after which any part of them may be there.
  virtual void write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  /// What was written before is safe from a power loss once this returns.
  virtual void sync() = 0;
  virtual void truncate(std::uint64_t size) = 0;
};

/// All that a journal asks of a disk, so that tests and hosts can put something else in its place.
/// Threads   calls on different files may run at once
class ETALAGE_EXPORT JournalFiles {
 public:
  /// How a file is opened.
  enum class Mode : std::uint8_t {
    kRead,       ///< must exist
    kReadWrite,  ///< must exist
    kCreate      ///< an empty file, whatever was there
  };
  virtual ~JournalFiles();
  virtual void make_directory(const std::filesystem::path& directory) = 0;  ///< with its parents; one that is there is fine
  /// Names, not paths, of the files in a directory, in any order.
  [[nodiscard]] virtual std::vector<std::string> list(const std::filesystem::path& directory) = 0;
  [[nodiscard]] virtual std::unique_ptr<JournalFile> open(const std::filesystem::path& path, Mode mode) = 0;
  virtual void rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  virtual void remove(const std::filesystem::path& path) = 0;
  /// Names made, renamed and removed before are safe from a power loss once this returns.
  virtual void sync_directory(const std::filesystem::path& directory) = 0;
  /// Held until the result is destroyed or the process ends, however it ends. JournalLockedError when somebody holds it.
  [[nodiscard]] virtual std::shared_ptr<void> lock(const std::filesystem::path& path) = 0;
};

/// The operating system's files.
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<JournalFiles> system_journal_files();

}  // namespace etalage
