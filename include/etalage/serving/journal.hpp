// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/extend/journal_files.hpp"

namespace etalage {

/// When an appended record is safe from a power loss. kEveryEvent is for orders: each call waits for the disk, and threads that come at
/// once share a flush. kInterval is for most shops: nobody waits, and a loss of power takes interval_ms of events at most. kNone is for
/// replays and tests.
enum class Durability : std::uint8_t {
  kEveryEvent,  ///< append() returns once it is; threads that append at once share one flush
  kInterval,    ///< within interval_ms, by a thread of the journal's own
  kNone         ///< when sync() is called or the system sees fit; a killed process loses at most interval_ms
};
/// As options spell them.
template <>
inline constexpr auto option_names<Durability> = std::to_array<OptionName<Durability>>(
    {{"every event", Durability::kEveryEvent}, {"interval", Durability::kInterval}, {"none", Durability::kNone}});

/// Somebody else writes this journal.
class ETALAGE_EXPORT JournalLockedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The disk does not take what was appended: full, or broken.
class ETALAGE_EXPORT JournalWriteError : public std::filesystem::filesystem_error {
 public:
  JournalWriteError(std::uint64_t pending, const std::filesystem::filesystem_error& cause);  ///< pending: see pending()
  /// The record's sequence when it was accepted all the same: it waits in memory and is written as soon as the disk takes
  /// it; append it again and it is there twice. 0 when it was refused for good and nothing of it is stored.
  [[nodiscard]] std::uint64_t pending() const noexcept { return pending_; }

 private:
  std::uint64_t pending_;
};

/// Settings of Journal.
struct ETALAGE_EXPORT JournalOptions {
  Durability durability = Durability::kInterval;  ///< when a record is safe
  int interval_ms = 50;                                      ///< of kInterval and kNone, in [1, 3600000]
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;     ///< a file is closed and the next begun beyond this; >= 4096
  std::size_t buffer_bytes = std::size_t{8} << 20;           ///< records waiting to be written; append() writes beyond this; >= 4096
  std::shared_ptr<JournalFiles> files = {};                  ///< null means system_journal_files()
  bool repair = false;                                       ///< open a damaged journal without the events that are lost, see JournalRecovery
  void validate() const;                                     ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "durability", o.durability, "interval_ms", o.interval_ms, OptionRule("in [1, 3600000]"), "segment_bytes", o.segment_bytes,
                  OptionRule(">= 4096"), "buffer_bytes", o.buffer_bytes, OptionRule(">= 4096"), "repair", o.repair);
  }
};

/// Receives what a journal holds: first the records of its newest compaction, then the events behind it, in order.
struct JournalReplay {
  std::function<void(std::span<const std::byte> record)> state;  ///< of a compaction
  std::function<void(std::uint64_t sequence, std::span<const std::byte> payload)> event;  ///< behind the compaction
};

/// What opening found.
struct JournalRecovery {
  std::uint64_t state_sequence = 0;  ///< the newest compaction holds the events up to this one
  std::uint64_t state_records = 0;  ///< records of the compaction
  std::uint64_t events = 0;          ///< replayed behind it
  std::uint64_t last_sequence = 0;  ///< of all that was found
  std::uint64_t cut_bytes = 0;       ///< of a torn tail, none of it acknowledged
  std::uint64_t cut_events = 0;      ///< complete records among these bytes, behind a hole
  std::string cut_reason;            ///< empty when nothing was cut
  std::uint64_t lost_events = 0;     ///< acknowledged and not readable any more; only with JournalOptions::repair
  std::vector<std::string> copies;   ///< names, in the folder, of damaged files as they were before the repair
};

/// An append-only log of records that survives whatever ends the process or the power.
///
/// Acknowledged  means sequence <= durable_through(): recovered on open after kill -9 or power loss at any moment
/// Records       any bytes up to 16 MiB; sequences count from 1 without gaps
/// On disk       a folder of segments, the newest compaction, a manifest and a lock. Each record carries XXH3-64 of itself
///               and what was durable when it was written; the manifest names the newest files and is marked with what is
///               durable after each flush. A tail behind the mark that does not check is cut and reported. Damage before it,
///               and a missing file, are FormatError, never cut; with JournalOptions::repair the records that are lost are
///               counted, those behind them are kept, and damaged segments are copied before they are changed. A damaged
///               compaction cannot be repaired. A folder without a manifest is given one
/// Full disk     append() and sync() throw JournalWriteError, a std::filesystem::filesystem_error with ENOSPC: either the
///               record was accepted, stays in memory and is written as soon as there is room (each append tries), or it
///               was refused for good; pending() says which. The same for any other failure: bytes since the last good
///               flush are kept and written again, because a failed flush says nothing of them
/// Compaction    compact() replaces everything so far by the caller's records; killed midway it leaves the old or the new
/// Forks         a child must not use the parent's journal: append(), sync() and compact() there are
///               std::logic_error. fork() waits for a flush that is under way
/// Cost          32 bytes a record and its payload, rounded up to 8; one write and one flush for all waiting records
/// Threads       every member may be called concurrently
/// Errors        JournalLockedError (a second writer), FormatError (damage), std::filesystem::filesystem_error,
///               std::invalid_argument (options, a payload beyond 16 MiB)
class ETALAGE_EXPORT Journal {
 public:
  static constexpr std::size_t kMaxPayload = std::size_t{16} << 20;  ///< bytes of a record

  /// Opens or makes the folder and replays what is there.
  Journal(const std::filesystem::path& directory, const JournalOptions& options, const JournalReplay& replay);
  /// Writes and flushes what waits; a failure is lost here, so call sync() to know.
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Takes a record and returns its sequence; with kEveryEvent it is durable then. When that flush fails, the record
  /// stays accepted and waits.
  std::uint64_t append(std::span<const std::byte> payload);
  /// append() that never waits for a flush of its own record; see wait_durable().
  std::uint64_t enqueue(std::span<const std::byte> payload);
  /// Returns once sequence is durable, by flushing if nobody else does.
  void wait_durable(std::uint64_t sequence);
  /// Makes everything accepted so far durable.
  void sync();

  [[nodiscard]] std::uint64_t last_sequence() const noexcept;  ///< the last one accepted; 0 for none
  [[nodiscard]] std::uint64_t durable_through() const noexcept;  ///< the last one that survives a power loss
  [[nodiscard]] const JournalRecovery& recovery() const noexcept;  ///< what opening found
  [[nodiscard]] const JournalOptions& options() const noexcept;
  /// Bytes of the events behind the newest compaction.
  [[nodiscard]] std::uint64_t tail_bytes() const noexcept;
  /// The message of the failure that holds records back; empty when all is well.
  [[nodiscard]] std::string failure() const;

  using Put = std::function<void(std::span<const std::byte> record)>;  ///< takes one record of a compaction
  /// Closes the current segment, replays everything up to it from disk, asks `write` for records that replace it, and
  /// removes what they replace. Appending goes on meanwhile. An exception leaves the journal as it was. Returns the
  /// sequence up to which it holds.
  std::uint64_t compact(const JournalReplay& replay, const std::function<void(const Put&)>& write);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
