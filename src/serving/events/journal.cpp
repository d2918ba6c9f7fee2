// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/journal.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "serving/events/fork_gate.hpp"
#include "serving/events/fork_guard.hpp"
#include "serving/events/journal_format.hpp"
#include "serving/events/journal_manifest.hpp"
#include "serving/events/journal_recovery.hpp"

namespace etalage {
namespace {

using namespace journal;
namespace fs = std::filesystem;

}  // namespace

void JournalOptions::validate() const { require_options(*this); }

struct Journal::Impl {
  Impl(const fs::path& folder, const JournalOptions& given, const JournalReplay& replay) : directory(folder), options(given) {
    options.validate();
    if (!options.files) options.files = system_journal_files();
    files = options.files.get();
    files->make_directory(directory);
    lock = files->lock(directory / "LOCK");
    const Inventory before = take_inventory(*files, directory);
    for (const std::string& name : before.leftovers) files->remove(directory / name);
    manifest = std::make_unique<Manifest>(*files, directory, options.repair);
    const Tail tail = recover(*files, directory, manifest->found(), options.repair, replay, recovery);
    next.store(recovery.last_sequence + 1, std::memory_order_relaxed);
    written = recovery.last_sequence;
    // One that was begun and got no event is begun again: the manifest may name it already.
    const bool fresh = tail.segment == 0 || std::find(tail.unused.begin(), tail.unused.end(), written + 1) != tail.unused.end();
    segment_base = fresh ? written + 1 : tail.segment;
    segment_size = fresh ? 0 : tail.bytes;
    sealed_bytes = tail.tail_bytes - segment_size;
    file = files->open(directory / segment_name(segment_base), fresh ? JournalFiles::Mode::kCreate : JournalFiles::Mode::kReadWrite);
    if (segment_size < kFileHeader) {
      file->write(0, file_header(FileKind::kSegment, segment_base));
      segment_size = kFileHeader;
    }
    // What was read may have been in the page cache alone; from here on it is acknowledged.
    file->sync();
    files->sync_directory(directory);
    unsynced_at = segment_size;
    durable.store(recovery.last_sequence, std::memory_order_release);
    state = recovery.state_sequence;
    manifest->keep(mark());
    for (const std::uint64_t base : tail.unused)
      if (base != segment_base) files->remove(directory / segment_name(base));
    remove_replaced();
    bytes.store(sealed_bytes + segment_size, std::memory_order_relaxed);
    if (options.durability != Durability::kEveryEvent) ticker = std::thread([this] { tick(); });
  }

  ~Impl() {
    if (ticker.joinable()) {
      {
        const std::lock_guard guard(ticker_mutex);
        stopping = true;
      }
      ticker_wakes.notify_all();
      ticker.join();
    }
    try {
      const std::lock_guard guard(io);
      flush(true);
      manifest->keep(mark());
    } catch (const std::exception&) {  // nobody is left to tell; what was acknowledged is on disk
    }
  }

  [[nodiscard]] bool forked() const noexcept { return process.in_child(); }
  [[nodiscard]] bool keeps_unsynced() const noexcept { return options.durability != Durability::kNone; }

  void require_own() const {
    if (forked()) throw std::logic_error("the journal belongs to the parent process; a forked child must open one of its own");
  }
  /// Under io.
  [[nodiscard]] Mark mark() const noexcept { return {state, segment_base, durable.load(std::memory_order_relaxed)}; }

  std::uint64_t enqueue(std::span<const std::byte> payload) {
    if (payload.size() > kMaxPayload) throw std::invalid_argument(detail::violated("size of payload", payload.size(), "<= 16 MiB"));
    require_own();
    if (failing.load(std::memory_order_relaxed)) {
      // Refuse before anything is accepted, unless there is room again.
      const std::lock_guard guard(io);
      try {
        flush(keeps_unsynced());
      } catch (const fs::filesystem_error& e) {
        throw JournalWriteError(0, e);
      }
    }
    std::uint64_t sequence = 0;
    bool full = false;
    {
      const std::lock_guard guard(mutex);
      sequence = next.load(std::memory_order_relaxed);
      append_record(buffer, RecordKind::kEvent, sequence, durable.load(std::memory_order_relaxed), payload);
      next.store(sequence + 1, std::memory_order_release);
      full = buffer.size() >= options.buffer_bytes;
    }
    if (full) {
      // The record is in; a failure is told to whoever comes next.
      const std::lock_guard guard(io);
      try {
        flush(false);
      } catch (const fs::filesystem_error&) {
      }
    }
    return sequence;
  }

  void wait_durable(std::uint64_t sequence) {
    if (durable.load(std::memory_order_acquire) >= sequence) return;
    require_own();
    const std::lock_guard guard(io);
    if (durable.load(std::memory_order_relaxed) >= sequence) return;
    try {
      flush(true);
    } catch (const fs::filesystem_error& e) {
      // What was durable before the failure, of this record too, is not taken back by it.
      if (durable.load(std::memory_order_relaxed) < sequence) throw JournalWriteError(sequence, e);
    }
  }

  /// Under io. On failure everything that is not durable stays in memory, to be written again.
  void flush(bool sync) {
    try {
      if (!abandoned.empty()) {
        files->remove(abandoned);
        abandoned.clear();
      }
      {
        const std::lock_guard guard(mutex);
        if (pending.empty()) pending.swap(buffer);
        else {
          pending.insert(pending.end(), buffer.begin(), buffer.end());
          buffer.clear();
        }
        pending_last = next.load(std::memory_order_relaxed) - 1;
      }
      if (!pending.empty()) {
        file->write(segment_size, pending);
        segment_size += pending.size();
        if (keeps_unsynced()) unsynced.insert(unsynced.end(), pending.begin(), pending.end());
        pending.clear();
        bytes.store(sealed_bytes + segment_size, std::memory_order_relaxed);
      }
      written = pending_last;
      if (sync && durable.load(std::memory_order_relaxed) < written) sync_file();
      failing.store(false, std::memory_order_relaxed);
    } catch (const fs::filesystem_error& e) {
      failing.store(true, std::memory_order_relaxed);
      const std::lock_guard guard(mutex);
      failure = e.what();
      throw;
    }
    if (segment_size >= options.segment_bytes) {
      try {
        rotate();
      } catch (const fs::filesystem_error&) {  // no room for another file: this one goes on growing
      }
    }
  }

  /// Under io.
  void sync_file() {
    // After a failed flush the system may have dropped the pages while calling them clean: they are made dirty again.
    if (rewrite && !keeps_unsynced())
      throw fs::filesystem_error("a flush failed before, and events since event " + std::to_string(durable.load()) + " may be lost; compact or reopen",
                                 directory, std::make_error_code(std::errc::io_error));
    if (rewrite) file->write(unsynced_at, unsynced);
    rewrite = true;
    file->sync();
    rewrite = false;
    unsynced.clear();
    unsynced_at = segment_size;
    durable.store(written, std::memory_order_release);
    manifest->note(mark());
  }

  /// Under io, with nothing pending. The next record begins a new segment; the old one is durable.
  void rotate() {
    if (durable.load(std::memory_order_relaxed) < written) sync_file();
    const std::uint64_t base = written + 1;
    if (base == segment_base) return;
    const fs::path path = directory / segment_name(base);
    std::unique_ptr<JournalFile> fresh;
    try {
      fresh = files->open(path, JournalFiles::Mode::kCreate);
      fresh->write(0, file_header(FileKind::kSegment, base));
      fresh->sync();
      files->sync_directory(directory);
    } catch (const fs::filesystem_error&) {
      // A name that stays behind would end the old segment too early: nothing is written before it is gone.
      fresh.reset();
      abandoned = path;
      files->remove(path);
      abandoned.clear();
      throw;
    }
    sealed_bytes += segment_size;
    file = std::move(fresh);
    segment_base = base;
    segment_size = kFileHeader;
    unsynced_at = segment_size;
    bytes.store(sealed_bytes + segment_size, std::memory_order_relaxed);
    try {
      manifest->keep(mark());
    } catch (const fs::filesystem_error&) {  // the mark before it still holds
    }
  }

  /// Files that the newest compaction has made superfluous.
  void remove_replaced() {
    const Inventory now = take_inventory(*files, directory);
    if (now.states.empty()) return;
    const std::uint64_t through = now.states.back();
    // Ascending, so that what is left has no hole.
    for (std::size_t i = 0; i + 1 < now.segments.size(); ++i)
      if (now.segments[i + 1] <= through + 1) files->remove(directory / segment_name(now.segments[i]));
    for (std::size_t i = 0; i + 1 < now.states.size(); ++i) files->remove(directory / state_name(now.states[i]));
    files->sync_directory(directory);
  }

  void tick() {
    std::unique_lock guard(ticker_mutex);
    while (!stopping) {
      ticker_wakes.wait_for(guard, std::chrono::milliseconds(options.interval_ms), [this] { return stopping; });
      if (stopping) return;
      guard.unlock();
      try {
        const serving::ForkGate::Section section;
        const std::lock_guard io_guard(io);
        flush(keeps_unsynced());
      } catch (const fs::filesystem_error&) {  // kept in `failure`, told to the next append
      }
      guard.lock();
    }
  }

  fs::path directory;
  JournalOptions options;
  JournalFiles* files = nullptr;
  std::shared_ptr<void> lock;
  JournalRecovery recovery;
  serving::ForkGuard process;

  std::mutex compaction;

  std::mutex io;  // before mutex; guards what follows up to the next one
  std::unique_ptr<JournalFile> file;
  std::uint64_t segment_base = 0;
  std::uint64_t segment_size = 0;
  std::uint64_t sealed_bytes = 0;  // of earlier segments
  std::vector<std::byte> pending;  // taken from buffer, not written
  std::uint64_t pending_last = 0;
  std::uint64_t written = 0;
  std::vector<std::byte> unsynced;  // written at unsynced_at, not flushed
  std::uint64_t unsynced_at = 0;
  bool rewrite = false;
  fs::path abandoned;               // a segment that could not be begun and not be removed
  std::uint64_t state = 0;          // the newest compaction holds the events up to this one
  std::unique_ptr<Manifest> manifest;

  std::mutex mutex;
  std::vector<std::byte> buffer;
  std::atomic<std::uint64_t> next{1};  // written under mutex
  std::string failure;

  std::atomic<std::uint64_t> durable{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<bool> failing{false};

  std::mutex ticker_mutex;
  std::condition_variable ticker_wakes;
  bool stopping = false;
  std::thread ticker;
};

Journal::Journal(const fs::path& directory, const JournalOptions& options, const JournalReplay& replay)
    : impl_(std::make_unique<Impl>(directory, options, replay)) {}
Journal::~Journal() {
  if (impl_ == nullptr || !impl_->forked()) return;
  // The child has the memory of a thread that it does not have; waiting for it would never end.
  impl_->file.reset();
  impl_->lock.reset();
  (void)impl_.release();
}

JournalWriteError::JournalWriteError(std::uint64_t pending, const fs::filesystem_error& cause)
    : fs::filesystem_error(pending == 0 ? "refused for good, nothing of it is stored; the journal cannot be written"
                                        : "event " + std::to_string(pending) + " is accepted and waits in memory until it can be written: do not send it again; it is safe once "
                                          "durable_through() is " + std::to_string(pending),
                           cause.path1(), cause.code()),
      pending_(pending) {}

std::uint64_t Journal::enqueue(std::span<const std::byte> payload) {
  const serving::ForkGate::Section section;
  return impl_->enqueue(payload);
}

std::uint64_t Journal::append(std::span<const std::byte> payload) {
  const serving::ForkGate::Section section;
  const std::uint64_t sequence = impl_->enqueue(payload);
  if (impl_->options.durability == Durability::kEveryEvent) impl_->wait_durable(sequence);
  return sequence;
}

void Journal::wait_durable(std::uint64_t sequence) {
  const serving::ForkGate::Section section;
  impl_->wait_durable(sequence);
}

void Journal::sync() {
  const serving::ForkGate::Section section;
  impl_->require_own();
  const std::lock_guard guard(impl_->io);
  impl_->flush(true);
}

std::uint64_t Journal::last_sequence() const noexcept { return impl_->next.load(std::memory_order_acquire) - 1; }
std::uint64_t Journal::durable_through() const noexcept { return impl_->durable.load(std::memory_order_acquire); }
const JournalRecovery& Journal::recovery() const noexcept { return impl_->recovery; }
const JournalOptions& Journal::options() const noexcept { return impl_->options; }
std::uint64_t Journal::tail_bytes() const noexcept { return impl_->bytes.load(std::memory_order_relaxed); }

std::string Journal::failure() const {
  if (!impl_->failing.load(std::memory_order_relaxed)) return {};
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  return impl_->failure;
}

std::uint64_t Journal::compact(const JournalReplay& replay, const std::function<void(const Put&)>& write) {
  Impl& j = *impl_;
  j.require_own();
  // Nobody takes this one inside a Section, so that it may be held while one is entered.
  const std::lock_guard one_at_a_time(j.compaction);
  std::uint64_t through = 0;
  {
    const serving::ForkGate::Section section;
    const std::lock_guard guard(j.io);
    j.flush(true);
    j.rotate();
    through = j.segment_base - 1;
  }
  JournalRecovery found;
  replay_through(*j.files, j.directory, through, replay, found);

  const fs::path temporary = j.directory / (state_name(through) + ".tmp");
  try {
    const auto file = j.files->open(temporary, JournalFiles::Mode::kCreate);
    std::vector<std::byte> out = file_header(FileKind::kState, through);
    std::uint64_t at = 0;
    std::uint64_t records = 0;
    const auto drain = [&](std::size_t above) {
      if (out.size() <= above) return;
      file->write(at, out);
      at += out.size();
      out.clear();
    };
    write([&](std::span<const std::byte> record) {
      if (record.size() > kMaxPayload) throw std::invalid_argument(detail::violated("size of record", record.size(), "<= 16 MiB"));
      append_record(out, RecordKind::kState, records++, through, record);
      drain(std::size_t{1} << 20);
    });
    append_record(out, RecordKind::kEnd, records, through, {});
    drain(0);
    file->sync();
    j.files->rename(temporary, j.directory / state_name(through));
    j.files->sync_directory(j.directory);
  } catch (...) {
    try {
      j.files->remove(temporary);
    } catch (const fs::filesystem_error&) {  // removed on the next open
    }
    throw;
  }
  {
    // The manifest first: what it does not ask for any more may go.
    const serving::ForkGate::Section section;
    const std::lock_guard guard(j.io);
    j.state = through;
    j.manifest->keep(j.mark());
  }
  j.remove_replaced();
  const serving::ForkGate::Section section;
  const std::lock_guard guard(j.io);
  j.sealed_bytes = 0;
  for (const std::uint64_t base : take_inventory(*j.files, j.directory).segments)
    if (base != j.segment_base) j.sealed_bytes += j.files->open(j.directory / segment_name(base), JournalFiles::Mode::kRead)->size();
  j.bytes.store(j.sealed_bytes + j.segment_size, std::memory_order_relaxed);
  return through;
}

}  // namespace etalage
