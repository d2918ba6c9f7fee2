// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "etalage/serving/journal.hpp"
#include "serving/events/journal_manifest.hpp"

namespace etalage::journal {

/// The files of a folder, ascending.
struct Inventory {
  std::vector<std::uint64_t> states;
  std::vector<std::uint64_t> segments;
  std::vector<std::string> leftovers;  ///< of compactions that were not finished
};
Inventory take_inventory(JournalFiles& files, const std::filesystem::path& directory);

/// Where appending goes on.
struct Tail {
  std::uint64_t segment = 0;             ///< base of the last segment, 0 when a new one must be begun
  std::uint64_t bytes = 0;               ///< its size after the cut
  std::uint64_t tail_bytes = 0;          ///< of all segments that were read
  std::vector<std::uint64_t> unused;     ///< segments that hold nothing, to be removed or begun again
};

/// Replays everything on opening: the newest compaction and the segments behind it to the end, where a torn tail is
/// reported in `found` and cut from the file. `mark` is what the manifest knows. FormatError for damage to what it says was
/// acknowledged, and for missing files; with `repair` they are counted and the segments mended.
Tail recover(JournalFiles& files, const std::filesystem::path& directory, const Mark& mark, bool repair, const JournalReplay& replay,
             JournalRecovery& found);

/// Replays the newest compaction and the segments behind it through the given sequence; FormatError for any damage.
void replay_through(JournalFiles& files, const std::filesystem::path& directory, std::uint64_t through, const JournalReplay& replay,
                    JournalRecovery& found);

}  // namespace etalage::journal
