// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// How much of a file is checked when it is opened.
enum class Verify : std::uint8_t {
  kHeader,  ///< magic, version, sizes and the section table; contents are trusted. Fast for any size
  kFull     ///< and every section's checksum and every offset and index inside
};

/// How a file is opened.
struct LoadOptions {
  Verify verify = Verify::kFull;  ///< how much is checked
  int num_threads = 0;  ///< for the checksums
  /// Indexes that FAISS reads from bytes of its own (FaissIndex) are opened too. Its reader believes what it reads: only for files whose
  /// writer is trusted. Without it they are a FormatError that says so.
  bool trust_faiss = false;
};

/// A file of state that is open for reading, whatever its kind: what load() and its kin are made of, and the way for a
/// host to keep objects of its own in the same format.
///
/// The file is mapped: arrays read from it borrow its pages, which stay after this object is gone for as long as an
/// array lives. A file in use must be replaced by renaming, as saving does, never be cut or overwritten in place.
/// Threads   use from one thread; what was read from it is free
/// Errors    std::filesystem::filesystem_error when the file cannot be opened; FormatError, with what was found and
///           what was expected, when it is damaged, truncated, foreign or newer
class ETALAGE_EXPORT StateFile {
 public:
  /// std::filesystem::filesystem_error, FormatError.
  [[nodiscard]] static StateFile open(const std::filesystem::path& path, LoadOptions options = {});
  /// Copies the bytes.
  [[nodiscard]] static StateFile from_memory(std::span<const char> bytes, LoadOptions options = {});
  StateFile(StateFile&&) noexcept;
  StateFile& operator=(StateFile&&) noexcept;
  ~StateFile();

  [[nodiscard]] const std::string& kind() const noexcept;
  [[nodiscard]] const StateReader& reader() const noexcept;  ///< its fields; lives as long as this object
  /// FormatError naming both kinds unless this file's is `expected`.
  void require_kind(std::string_view expected) const;
  /// FormatError when the file holds a field that nobody asked for: it was written by a later version of its kind,
  /// and would be half understood. Fields below "info/" are exempt.
  void require_all_read() const;

 private:
  struct Impl;
  explicit StateFile(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

/// Writes to a temporary name beside `path`, flushes, renames, flushes the directory: at any moment the old file or
/// the new one is there. std::filesystem::filesystem_error (full disk, permissions) leaves the old file.
/// kind is 1 to 31 printable ASCII characters.
ETALAGE_EXPORT void save_state(const std::filesystem::path& path, std::string_view kind,
                               const std::function<void(StateWriter&)>& put);
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_state_to_memory(std::string_view kind,
                                                                    const std::function<void(StateWriter&)>& put);

}  // namespace etalage
