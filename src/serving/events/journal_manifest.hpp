// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "etalage/extend/journal_files.hpp"

namespace etalage::journal {

/// What a folder is known to hold: segments follow one another without a gap, so the newest one says which must be there.
struct Mark {
  std::uint64_t state = 0;    ///< the newest compaction holds the events up to this one, 0 for none
  std::uint64_t segment = 0;  ///< first sequence of the newest segment, 0 for none
  std::uint64_t durable = 0;  ///< events up to this one were acknowledged
};

/// The file MANIFEST: four entries of 64 bytes that are written in place, so that marking costs no room on a full disk.
/// An entry is never ahead of the folder, and the highest of those that check counts. Two entries are written after each
/// flush of events, in turn, and not flushed themselves: they stand for what a process that is killed leaves behind. Two
/// are flushed before the other one is written, whenever a file begins or goes and on closing: a loss of power cannot take
/// both, so that a manifest without one of them is damaged.
class Manifest {
 public:
  static constexpr const char* kName = "MANIFEST";

  /// Reads what is there. FormatError for a damaged manifest, unless `repair`.
  Manifest(JournalFiles& files, const std::filesystem::path& directory, bool repair);

  /// Zeros for a folder without a manifest: one that was just begun.
  [[nodiscard]] const Mark& found() const noexcept { return found_; }
  /// After a flush of events. A failure is nobody's: the mark before it still holds.
  void note(const Mark& mark) noexcept;
  /// Safe from a power loss on return; makes the file if it is not there.
  void keep(const Mark& mark);

 private:
  static constexpr std::size_t kEntries = 4;  // 0 and 1 kept, 2 and 3 noted
  void put(std::size_t entry, const Mark& mark);
  void make(const Mark& mark);

  JournalFiles& files_;
  std::filesystem::path directory_;
  std::unique_ptr<JournalFile> file_;
  Mark found_;
  std::uint64_t kept_ = 0;
  std::uint64_t noted_ = 0;
};

}  // namespace etalage::journal
