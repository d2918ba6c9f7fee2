// SPDX-License-Identifier: Apache-2.0
#include "serving/journal_recovery.hpp"

#include <algorithm>
#include <string>

#include "etalage/error.hpp"
#include "serving/journal_format.hpp"

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

/// What lies at and behind `offset`, where a record of sequence `expected` should begin and does not. Anything that says
/// that this sequence was durable already means damage, not a torn tail.
void examine_tail(const JournalFile& file, std::uint64_t offset, std::uint64_t expected, const std::string& name, JournalRecovery& found) {
  const std::uint64_t size = file.size();
  std::vector<std::byte> rest(static_cast<std::size_t>(size - std::min(offset, size)));
  rest.resize(file.read(offset, rest));
  const std::uint64_t most = expected + rest.size() / kRecordHeader + 1;
  for (std::size_t at = 0; at + kRecordHeader <= rest.size(); at += 8) {
    const auto bytes = std::span<const std::byte>(rest).subspan(at);
    std::uint64_t sequence = 0;
    std::copy_n(bytes.data() + 8, sizeof sequence, reinterpret_cast<std::byte*>(&sequence));
    if (sequence < expected || sequence > most) continue;
    const auto record = parse_record(bytes);
    if (!record || record->header.kind != static_cast<std::uint32_t>(RecordKind::kEvent)) continue;
    if (record->header.durable >= expected)
      throw FormatError(name + ": damaged at byte " + std::to_string(offset) + ": event " + std::to_string(expected) +
                        " was durable and does not check; restore the folder from a copy");
    ++found.cut_events;
    at += padded(record->header.size) - 8;
  }
}

/// A last segment without any record: begun, or given up for want of room, just before the end. The one before it goes on.
bool is_unused(JournalFiles& files, const fs::path& path, std::uint64_t base, JournalRecovery& found) {
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
    examine_tail(*file, std::min<std::uint64_t>(size, kFileHeader), base, path.string(), found);
    found.cut_bytes += size;
    found.cut_reason = "segment " + path.filename().string() + " was begun and holds no complete event";
  }
  return true;
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

Tail replay_files(JournalFiles& files, const fs::path& directory, std::optional<std::uint64_t> through, const JournalReplay& replay,
                  JournalRecovery& found) {
  const Inventory inventory = take_inventory(files, directory);
  if (!inventory.states.empty()) {
    found.state_sequence = inventory.states.back();
    read_state(files, directory / state_name(found.state_sequence), found.state_sequence, replay, found);
  }
  found.last_sequence = found.state_sequence;
  std::vector<std::uint64_t> segments = inventory.segments;
  if (through) {
    std::erase_if(segments, [&](std::uint64_t base) { return base > *through; });
  } else {
    while (!segments.empty() && is_unused(files, directory / segment_name(segments.back()), segments.back(), found)) {
      files.remove(directory / segment_name(segments.back()));
      segments.pop_back();
    }
  }
  Tail tail;
  std::uint64_t expected = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool open_end = !through && i + 1 == segments.size();
    const std::uint64_t base = segments[i];
    const std::uint64_t end = i + 1 < segments.size() ? segments[i + 1] : through ? *through + 1 : 0;
    if (!open_end && end <= found.state_sequence + 1) continue;  // a compaction holds all of it
    const fs::path path = directory / segment_name(base);
    if (base > found.state_sequence + 1 && base != expected)
      throw FormatError(path.string() + ": found events from " + std::to_string(base) + ", expected " +
                        std::to_string(std::max(expected, found.state_sequence + 1)) + ": files are missing");
    const auto file = files.open(path, open_end ? JournalFiles::Mode::kReadWrite : JournalFiles::Mode::kRead);
    std::vector<std::byte> header(kFileHeader);
    header.resize(file->read(0, header));
    if (!check_file_header(header, FileKind::kSegment, base, path.string()))
      throw FormatError(path.string() + ": damaged: the header does not check");
    expected = base;
    RecordReader reader(*file);
    std::uint64_t good = reader.offset();
    while (const auto r = reader.next()) {
      if (r->header.sequence != expected || r->header.kind != static_cast<std::uint32_t>(RecordKind::kEvent)) break;
      good = reader.offset();
      ++expected;
      if (r->header.sequence <= found.state_sequence) continue;
      ++found.events;
      if (replay.event) replay.event(r->header.sequence, r->payload);
    }
    if (!open_end && expected != end)
      throw FormatError(path.string() + ": damaged at byte " + std::to_string(good) + ": event " + std::to_string(expected) +
                        " was durable and does not check; restore the folder from a copy");
    const std::uint64_t size = file->size();
    if (open_end && size > good) {
      examine_tail(*file, good, expected, path.string(), found);
      found.cut_bytes += size - good;
      found.cut_reason = "event " + std::to_string(expected) + " at byte " + std::to_string(good) + " is incomplete or does not check";
      file->truncate(good);
      file->sync();
    }
    tail.tail_bytes += good;
    if (open_end && expected > found.state_sequence) {
      tail.segment = base;
      tail.bytes = good;
    }
    found.last_sequence = std::max(found.last_sequence, expected - 1);
  }
  return tail;
}

}  // namespace etalage::journal
