// SPDX-License-Identifier: Apache-2.0
#include "serving/events/journal_format.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "etalage/error.hpp"
#include "etalage/serving/journal.hpp"

namespace etalage::journal {
namespace {

static_assert(std::endian::native == std::endian::little, "journals are little-endian");

constexpr unsigned char kMagic[8] = {0x89, 'E', 'T', 'J', 'L', '\r', '\n', 0x1a};

struct FileHeader {
  unsigned char magic[8];
  std::uint32_t version;
  std::uint32_t kind;
  std::uint64_t base;
  std::uint64_t zero[4];
  std::uint64_t checksum;
};
static_assert(sizeof(FileHeader) == kFileHeader);

std::string numbered(const char* prefix, std::uint64_t number) {
  const std::string digits = std::to_string(number);
  return prefix + std::string(20 - digits.size(), '0') + digits + ".log";
}

}  // namespace

void append_record(std::vector<std::byte>& out, RecordKind kind, std::uint64_t sequence, std::uint64_t durable,
                   std::span<const std::byte> payload) {
  RecordHeader h{0, sequence, durable, static_cast<std::uint32_t>(payload.size()), static_cast<std::uint32_t>(kind)};
  const std::size_t at = out.size();
  out.resize(at + padded(payload.size()));
  std::byte* p = out.data() + at;
  std::memcpy(p, &h, sizeof h);
  if (!payload.empty()) std::memcpy(p + kRecordHeader, payload.data(), payload.size());
  h.checksum = XXH3_64bits(p + sizeof h.checksum, kRecordHeader - sizeof h.checksum + payload.size());
  std::memcpy(p, &h.checksum, sizeof h.checksum);
}

std::vector<std::byte> file_header(FileKind kind, std::uint64_t base) {
  FileHeader h{};
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.version = kVersion;
  h.kind = static_cast<std::uint32_t>(kind);
  h.base = base;
  h.checksum = XXH3_64bits(&h, offsetof(FileHeader, checksum));
  std::vector<std::byte> out(sizeof h);
  std::memcpy(out.data(), &h, sizeof h);
  return out;
}

bool check_file_header(std::span<const std::byte> bytes, FileKind kind, std::uint64_t base, const std::string& name) {
  FileHeader h{};
  if (bytes.size() < sizeof h) return false;
  std::memcpy(&h, bytes.data(), sizeof h);
  if (h.checksum != XXH3_64bits(&h, offsetof(FileHeader, checksum))) return false;
  if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0) throw FormatError(name + ": found another magic, expected a journal file of etalage");
  if (h.version != kVersion)
    throw FormatError(name + ": found journal version " + std::to_string(h.version) + ", expected " + std::to_string(kVersion) +
                      "; upgrade etalage to read it");
  if (h.kind != static_cast<std::uint32_t>(kind) || h.base != base)
    throw FormatError(name + ": found kind " + std::to_string(h.kind) + " from sequence " + std::to_string(h.base) +
                      ", expected what the file's name says");
  return true;
}

std::optional<Record> parse_record(std::span<const std::byte> bytes) noexcept {
  Record r{};
  if (bytes.size() < kRecordHeader) return std::nullopt;
  std::memcpy(&r.header, bytes.data(), sizeof r.header);
  if (r.header.size > Journal::kMaxPayload || padded(r.header.size) > bytes.size()) return std::nullopt;
  const std::size_t covered = kRecordHeader - sizeof r.header.checksum + r.header.size;
  if (XXH3_64bits(bytes.data() + sizeof r.header.checksum, covered) != r.header.checksum) return std::nullopt;
  r.payload = bytes.subspan(kRecordHeader, r.header.size);
  return r;
}

bool RecordReader::fill(std::size_t need) {
  const std::uint64_t have = window_at_ + window_bytes_;
  if (offset_ >= window_at_ && offset_ + need <= have) return true;
  if (need > size_ - offset_) return false;
  const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(size_ - offset_, std::max(need, std::size_t{1} << 20)));
  if (window_.size() < want) window_.resize(want);
  window_at_ = offset_;
  window_bytes_ = file_.read(offset_, std::span(window_).first(want));
  return window_bytes_ >= need;
}

std::optional<Record> RecordReader::next() {
  if (!fill(kRecordHeader)) return std::nullopt;
  RecordHeader h{};
  std::memcpy(&h, window_.data() + (offset_ - window_at_), sizeof h);
  if (h.size > Journal::kMaxPayload || !fill(padded(h.size))) return std::nullopt;
  const auto record = parse_record(std::span(window_).first(window_bytes_).subspan(static_cast<std::size_t>(offset_ - window_at_)));
  if (record) offset_ += padded(h.size);
  return record;
}

std::string segment_name(std::uint64_t base) { return numbered("events-", base); }
std::string state_name(std::uint64_t through) { return numbered("state-", through); }

std::optional<std::uint64_t> parse_name(const std::string& name, FileKind kind) {
  const std::string prefix = kind == FileKind::kSegment ? "events-" : "state-";
  if (name.size() != prefix.size() + 24 || !name.starts_with(prefix) || !name.ends_with(".log")) return std::nullopt;
  std::uint64_t n = 0;
  for (std::size_t i = prefix.size(); i < prefix.size() + 20; ++i) {
    if (name[i] < '0' || name[i] > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(name[i] - '0');
    if (n > (UINT64_MAX - digit) / 10) return std::nullopt;
    n = n * 10 + digit;
  }
  if (n > kMostSequence) return std::nullopt;
  return n;
}

}  // namespace etalage::journal
