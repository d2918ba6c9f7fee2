// SPDX-License-Identifier: Apache-2.0
#include "serving/events/journal_recovery.hpp"

#include <algorithm>
#include <string>

#include "etalage/error.hpp"
#include "serving/events/journal_format.hpp"

namespace etalage::journal {
namespace {

namespace fs = std::filesystem;

void read_state(JournalFiles& files, const fs::path& path, std::uint64_t through, const JournalReplay& replay, JournalRecovery& found) {
  const auto file = files.open(path, JournalFiles::Mode::kRead);
  std::vector<std::byte> header(kFileHeader);
  header.resize(file->read(0, header));
  const std::string name = path.string();
  if (!check_file_header(header, FileKind::kState, through, name)) throw FormatError(name + ": damaged: the header does not check");
  RecordReader reader(*file);
  for (;;) {
    const auto r = reader.next();
    if (!r) throw FormatError(name + ": damaged at byte " + std::to_string(reader.offset()) + ": found no valid record, expected " +
                              std::to_string(found.state_records) + " records and their end");
    if (r->header.sequence != found.state_records) throw FormatError(name + ": damaged: records are out of order");
    if (r->header.kind == static_cast<std::uint32_t>(RecordKind::kEnd)) break;
    ++found.state_records;
    if (replay.state) replay.state(r->payload);
  }
}

std::vector<std::byte> read_from(const JournalFile& file, std::uint64_t offset) {
  const std::uint64_t size = file.size();
  std::vector<std::byte> rest(static_cast<std::size_t>(size - std::min(offset, size)));
  rest.resize(file.read(offset, rest));
  return rest;
}

/// What checks among bytes where a record of sequence `expected` should begin and does not.
struct Rest {
  std::vector<Record> events;   // by rising sequence; their payloads lie in the bytes
  bool acknowledged = false;    // one of them says that `expected` was durable
};
Rest examine(std::span<const std::byte> bytes, std::uint64_t expected, std::uint64_t most) {
  Rest out;
  std::uint64_t next = expected;
  for (std::size_t at = 0; at + kRecordHeader <= bytes.size(); at += 8) {
    std::uint64_t sequence = 0;
    std::copy_n(bytes.data() + at + 8, sizeof sequence, reinterpret_cast<std::byte*>(&sequence));
    if (sequence < next || sequence > most) continue;
    const auto record = parse_record(bytes.subspan(at));
    if (!record || record->header.kind != static_cast<std::uint32_t>(RecordKind::kEvent)) continue;
    out.acknowledged = out.acknowledged || record->header.durable >= expected;
    out.events.push_back(*record);
    next = sequence + 1;
    at += padded(record->header.size) - 8;
  }
  return out;
}

/// No more records than this can lie in so many bytes: what claims a sequence beyond is none.
std::uint64_t most_in(std::uint64_t expected, std::size_t bytes, const Mark& mark) { return std::max(expected + bytes / kRecordHeader + 1, mark.durable); }

/// How many records a record says are gone; 0 for one that says nothing sensible.
std::uint64_t lost_in(const Record& r) {
  std::uint64_t n = 0;
  if (r.header.kind != static_cast<std::uint32_t>(RecordKind::kLost) || r.payload.size() != sizeof n) return 0;
  std::copy_n(r.payload.data(), sizeof n, reinterpret_cast<std::byte*>(&n));
  return n <= kMostSequence && r.header.sequence <= kMostSequence - n ? n : 0;
}

void append_lost(std::vector<std::byte>& out, std::uint64_t sequence, std::uint64_t count) {
  append_record(out, RecordKind::kLost, sequence, 0, std::as_bytes(std::span(&count, 1)));
}

/// A last segment without any record: begun, or given up for want of room, just before the end. The one before it goes on.
bool is_unused(JournalFiles& files, const fs::path& path, std::uint64_t base, const Mark& mark, JournalRecovery& found) {
  if (mark.durable >= base) return false;  // it held acknowledged events
  const auto file = files.open(path, JournalFiles::Mode::kRead);
  std::vector<std::byte> header(kFileHeader);
  header.resize(file->read(0, header));
  const bool begun = check_file_header(header, FileKind::kSegment, base, path.string());
  if (begun) {
    RecordReader reader(*file);
    const auto first = reader.next();
    if (first && first->header.sequence == base) return false;
  }
  const std::uint64_t size = file->size();
  if (size > kFileHeader || (!begun && size != 0)) {
    const std::vector<std::byte> bytes = read_from(*file, std::min<std::uint64_t>(size, kFileHeader));
    const Rest rest = examine(bytes, base, most_in(base, bytes.size(), mark));
    if (rest.acknowledged) return false;
    found.cut_events += rest.events.size();
    found.cut_bytes += size;
    found.cut_reason = "segment " + path.filename().string() + " was begun and holds no complete event";
  }
  return true;
}

/// The sequence behind the newest compaction, after replaying it.
std::uint64_t replay_state(JournalFiles& files, const fs::path& directory, const Inventory& inventory, const JournalReplay& replay, JournalRecovery& found) {
  if (!inventory.states.empty()) {
    found.state_sequence = inventory.states.back();
    read_state(files, directory / state_name(found.state_sequence), found.state_sequence, replay, found);
  }
  found.last_sequence = found.state_sequence;
  return found.state_sequence + 1;
}

/// Reads a segment from its header on, as far as it checks.
struct SegmentScan {
  std::uint64_t good = kFileHeader;  // where the first byte lies that does not check
  std::uint64_t expected = 0;        // the sequence that should begin there
};
SegmentScan scan_segment(const JournalFile& file, std::uint64_t base, const JournalReplay& replay, JournalRecovery& found) {
  SegmentScan scan{kFileHeader, base};
  RecordReader reader(file);
  while (const auto r = reader.next()) {
    if (r->header.sequence != scan.expected) break;
    const bool event = r->header.kind == static_cast<std::uint32_t>(RecordKind::kEvent);
    const std::uint64_t count = event ? 1 : lost_in(*r);
    if (count == 0) break;
    scan.good = reader.offset();
    scan.expected += count;
    if (!event || r->header.sequence <= found.state_sequence) continue;
    ++found.events;
    if (replay.event) replay.event(r->header.sequence, r->payload);
  }
  return scan;
}

[[noreturn]] void damaged(const fs::path& path, const SegmentScan& scan) {
  throw FormatError(path.string() + ": damaged at byte " + std::to_string(scan.good) + ": event " + std::to_string(scan.expected) +
                    " was durable and does not check; restore the folder from a copy, or open it with repair");
}

/// Writes `content` where the segment is, after keeping a copy of it.
void replace_segment(JournalFiles& files, const fs::path& directory, std::uint64_t base, std::span<const std::byte> old, std::span<const std::byte> content,
                     JournalRecovery& found) {
  const std::string name = segment_name(base);
  const std::vector<std::string> names = files.list(directory);
  std::string copy = name + ".damaged";
  for (int i = 2; std::find(names.begin(), names.end(), copy) != names.end(); ++i) copy = name + ".damaged-" + std::to_string(i);
  const auto write = [&](const std::string& to, std::span<const std::byte> bytes) {
    const auto file = files.open(directory / to, JournalFiles::Mode::kCreate);
    file->write(0, bytes);
    file->sync();
  };
  write(copy, old);
  files.sync_directory(directory);
  write(name + ".tmp", content);
  files.rename(directory / (name + ".tmp"), directory / name);
  files.sync_directory(directory);
  found.copies.push_back(copy);
}

/// Makes a segment whole again: what checks stays, and a note stands for each run of records that are gone, up to `end` if
/// that is beyond them (0: no end). Returns what a scan of the mended one would.
SegmentScan mend(JournalFiles& files, const fs::path& directory, std::uint64_t base, const JournalFile& file, SegmentScan scan, std::uint64_t end, const Mark& mark,
                 const JournalReplay& replay, JournalRecovery& found) {
  const std::vector<std::byte> old = read_from(file, 0);
  const std::size_t whole = static_cast<std::size_t>(std::min<std::uint64_t>(scan.good, old.size()));
  std::vector<std::byte> content = file_header(FileKind::kSegment, base);
  if (whole > kFileHeader) content.insert(content.end(), old.begin() + kFileHeader, old.begin() + static_cast<std::ptrdiff_t>(whole));
  const auto bytes = std::span<const std::byte>(old).subspan(std::min(old.size(), std::max(whole, kFileHeader)));
  const Rest rest = examine(bytes, scan.expected, end != 0 ? end - 1 : most_in(scan.expected, bytes.size(), mark));
  const auto lose = [&](std::uint64_t to) {
    if (to <= scan.expected) return;
    append_lost(content, scan.expected, to - scan.expected);
    const std::uint64_t first = std::max(scan.expected, found.state_sequence + 1);
    if (to > first) found.lost_events += to - first;
    scan.expected = to;
  };
  for (const Record& r : rest.events) {
    lose(r.header.sequence);
    append_record(content, RecordKind::kEvent, r.header.sequence, r.header.durable, r.payload);
    ++scan.expected;
    if (r.header.sequence <= found.state_sequence) continue;
    ++found.events;
    if (replay.event) replay.event(r.header.sequence, r.payload);
  }
  lose(end != 0 ? end : mark.durable + 1);
  replace_segment(files, directory, base, old, content, found);
  scan.good = content.size();
  return scan;
}

/// A segment that says that everything from `begin` to before `end` is gone, where files are missing.
void bridge(JournalFiles& files, const fs::path& directory, std::uint64_t begin, std::uint64_t end, JournalRecovery& found) {
  std::vector<std::byte> content = file_header(FileKind::kSegment, begin);
  append_lost(content, begin, end - begin);
  const auto file = files.open(directory / segment_name(begin), JournalFiles::Mode::kCreate);
  file->write(0, content);
  file->sync();
  files.sync_directory(directory);
  found.lost_events += end - begin;
}

}  // namespace

Inventory take_inventory(JournalFiles& files, const fs::path& directory) {
  Inventory out;
  for (const std::string& name : files.list(directory)) {
    if (const auto state = parse_name(name, FileKind::kState)) out.states.push_back(*state);
    else if (const auto segment = parse_name(name, FileKind::kSegment)) out.segments.push_back(*segment);
    else if (name.ends_with(".tmp")) out.leftovers.push_back(name);
  }
  std::sort(out.states.begin(), out.states.end());
  std::sort(out.segments.begin(), out.segments.end());
  return out;
}

void replay_through(JournalFiles& files, const fs::path& directory, std::uint64_t through, const JournalReplay& replay, JournalRecovery& found) {
  const Inventory inventory = take_inventory(files, directory);
  std::uint64_t expected = replay_state(files, directory, inventory, replay, found);
  for (std::size_t i = 0; i < inventory.segments.size() && inventory.segments[i] <= through; ++i) {
    const std::uint64_t base = inventory.segments[i];
    const std::uint64_t end = i + 1 < inventory.segments.size() ? std::min(inventory.segments[i + 1], through + 1) : through + 1;
    if (end <= found.state_sequence + 1) continue;  // a compaction holds all of it
    const fs::path path = directory / segment_name(base);
    if (base > expected) throw FormatError(path.string() + ": found events from " + std::to_string(base) + ", expected " + std::to_string(expected) + ": files are missing");
    const SegmentScan scan = scan_segment(*files.open(path, JournalFiles::Mode::kRead), base, replay, found);
    if (scan.expected != end) damaged(path, scan);
    expected = end;
    found.last_sequence = end - 1;
  }
}

Tail recover(JournalFiles& files, const fs::path& directory, const Mark& mark, bool repair, const JournalReplay& replay, JournalRecovery& found) {
  const Inventory inventory = take_inventory(files, directory);
  if (mark.state != 0 && (inventory.states.empty() || inventory.states.back() < mark.state))
    throw FormatError((directory / state_name(mark.state)).string() + ": is missing, and events up to " + std::to_string(mark.state) +
                      " with it; restore the folder from a copy");
  std::vector<std::uint64_t> segments = inventory.segments;
  if (!repair && mark.segment != 0 && (segments.empty() || segments.back() < mark.segment))
    throw FormatError((directory / segment_name(mark.segment)).string() + ": is missing; restore the folder from a copy, or open it with repair");
  std::uint64_t expected = replay_state(files, directory, inventory, replay, found);
  Tail tail;
  while (!segments.empty() && is_unused(files, directory / segment_name(segments.back()), segments.back(), mark, found)) {
    tail.unused.push_back(segments.back());
    segments.pop_back();
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool open_end = i + 1 == segments.size();
    const std::uint64_t base = segments[i];
    const std::uint64_t end = open_end ? 0 : segments[i + 1];
    if (!open_end && end <= found.state_sequence + 1) continue;  // a compaction holds all of it
    const fs::path path = directory / segment_name(base);
    if (base > expected) {
      if (!repair)
        throw FormatError(path.string() + ": found events from " + std::to_string(base) + ", expected " + std::to_string(expected) +
                          ": files are missing; restore the folder from a copy, or open it with repair");
      bridge(files, directory, expected, base, found);
    }
    const auto file = files.open(path, open_end ? JournalFiles::Mode::kReadWrite : JournalFiles::Mode::kRead);
    std::vector<std::byte> header(kFileHeader);
    header.resize(file->read(0, header));
    const bool headed = check_file_header(header, FileKind::kSegment, base, path.string());
    if (!headed && !repair) throw FormatError(path.string() + ": damaged: the header does not check; restore the folder from a copy, or open it with repair");
    SegmentScan scan = scan_segment(*file, base, replay, found);
    if (!open_end && scan.expected > end)
      throw FormatError(path.string() + ": holds events beyond " + std::to_string(end - 1) + ", where the next segment begins; restore the folder from a copy");
    const std::uint64_t size = file->size();
    bool broken = !headed || (open_end ? scan.expected <= mark.durable : scan.expected != end);
    if (open_end && !broken && size > scan.good) {
      const std::vector<std::byte> bytes = read_from(*file, scan.good);
      const Rest rest = examine(bytes, scan.expected, most_in(scan.expected, bytes.size(), mark));
      broken = rest.acknowledged;
      if (!broken) {
        found.cut_events += rest.events.size();
        found.cut_bytes += size - scan.good;
        found.cut_reason = "event " + std::to_string(scan.expected) + " at byte " + std::to_string(scan.good) + " is incomplete or does not check";
        file->truncate(scan.good);
        file->sync();
      }
    }
    if (broken && !repair) damaged(path, scan);
    if (broken) scan = mend(files, directory, base, *file, scan, end, mark, replay, found);
    expected = std::max(expected, scan.expected);
    tail.tail_bytes += scan.good;
    if (open_end && scan.expected > found.state_sequence) {
      tail.segment = base;
      tail.bytes = scan.good;
    }
    found.last_sequence = std::max(found.last_sequence, scan.expected - 1);
  }
  if (segments.empty() && mark.durable > found.last_sequence) {  // with repair alone: all segments are missing
    bridge(files, directory, found.last_sequence + 1, mark.durable + 1, found);
    found.last_sequence = mark.durable;
  }
  if (found.last_sequence >= kMostSequence)
    throw FormatError(directory.string() + ": damaged: found event " + std::to_string(found.last_sequence) + ", which no log reaches; restore the folder from a copy");
  return tail;
}

}  // namespace etalage::journal
