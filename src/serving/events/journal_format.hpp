// SPDX-License-Identifier: Apache-2.0
// The bytes of a journal: files of a 64-byte header and records, everything little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/extend/journal_files.hpp"

namespace etalage::journal {

enum class FileKind : std::uint32_t { kSegment = 1, kState = 2 };
/// kLost, of repaired segments: its payload is how many records from its sequence on are gone.
enum class RecordKind : std::uint32_t { kEvent = 1, kState = 2, kEnd = 3, kLost = 4 };

inline constexpr std::size_t kFileHeader = 64;
inline constexpr std::size_t kRecordHeader = 32;
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint64_t kMostSequence = std::uint64_t{1} << 60;  // what claims a larger one is none of ours

/// A record as it lies in a file: checksum of what follows it, sequence, what was durable when it was written, size of
/// the payload, kind, payload, zeros up to a multiple of 8.
struct RecordHeader {
  std::uint64_t checksum;
  std::uint64_t sequence;
  std::uint64_t durable;
  std::uint32_t size;
  std::uint32_t kind;
};
static_assert(sizeof(RecordHeader) == kRecordHeader);

constexpr std::size_t padded(std::size_t payload) noexcept { return kRecordHeader + ((payload + 7) & ~std::size_t{7}); }

void append_record(std::vector<std::byte>& out, RecordKind kind, std::uint64_t sequence, std::uint64_t durable,
                   std::span<const std::byte> payload);

/// base is the first sequence of a segment, the last one of a compaction.
std::vector<std::byte> file_header(FileKind kind, std::uint64_t base);

/// FormatError for a file of another kind, base, version or byte order; nullopt-like false when the header is absent or
/// damaged, which an unfinished creation leaves behind.
bool check_file_header(std::span<const std::byte> bytes, FileKind kind, std::uint64_t base, const std::string& name);

struct Record {
  RecordHeader header;
  std::span<const std::byte> payload;
};

/// The record at the beginning of `bytes` when it is complete and its checksum holds.
std::optional<Record> parse_record(std::span<const std::byte> bytes) noexcept;

/// Reads a file from its header on, a megabyte at a time.
class RecordReader {
 public:
  explicit RecordReader(const JournalFile& file) : file_(file), size_(file.size()), offset_(kFileHeader) {}
  /// The next record, valid until the next call; nullopt at the end and at what does not check.
  std::optional<Record> next();
  /// Where the next record begins.
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
  [[nodiscard]] bool at_end() const noexcept { return offset_ == size_; }

 private:
  /// At least `need` bytes from offset_ in the window, or false.
  bool fill(std::size_t need);
  const JournalFile& file_;
  std::uint64_t size_;
  std::uint64_t offset_;
  std::vector<std::byte> window_;
  std::uint64_t window_at_ = 0;
  std::size_t window_bytes_ = 0;
};

std::string segment_name(std::uint64_t base);
std::string state_name(std::uint64_t through);
/// The number in a name of that kind.
std::optional<std::uint64_t> parse_name(const std::string& name, FileKind kind);

}  // namespace etalage::journal
