// SPDX-License-Identifier: Apache-2.0
#include "serving/events/journal_manifest.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <vector>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "etalage/error.hpp"
#include "serving/events/journal_format.hpp"

namespace etalage::journal {
namespace {

constexpr unsigned char kManifestMagic[8] = {0x89, 'E', 'T', 'J', 'M', '\r', '\n', 0x1a};
constexpr std::uint64_t kManifestVersion = 1;

struct Entry {
  unsigned char magic[8];
  std::uint64_t version;
  Mark mark;
  std::uint64_t zero[2];
  std::uint64_t checksum;
};
static_assert(sizeof(Entry) == 64);

Entry entry_of(const Mark& mark) noexcept {
  Entry e{};
  std::memcpy(e.magic, kManifestMagic, sizeof kManifestMagic);
  e.version = kManifestVersion;
  e.mark = mark;
  e.checksum = XXH3_64bits(&e, offsetof(Entry, checksum));
  return e;
}

}  // namespace

Manifest::Manifest(JournalFiles& files, const std::filesystem::path& directory, bool repair) : files_(files), directory_(directory) {
  const std::vector<std::string> names = files.list(directory);
  if (std::find(names.begin(), names.end(), kName) == names.end()) return;
  const std::filesystem::path path = directory / kName;
  auto file = files.open(path, JournalFiles::Mode::kReadWrite);
  std::array<Entry, kEntries> entries{};
  std::vector<std::byte> bytes(sizeof entries);
  bytes.resize(file->read(0, bytes));
  std::memcpy(entries.data(), bytes.data(), bytes.size());
  bool kept = false;
  for (std::size_t i = 0; i < kEntries; ++i) {
    const Entry& e = entries[i];
    if (e.checksum != XXH3_64bits(&e, offsetof(Entry, checksum)) || std::memcmp(e.magic, kManifestMagic, sizeof kManifestMagic) != 0) continue;
    if (e.version != kManifestVersion)
      throw FormatError(path.string() + ": found manifest version " + std::to_string(e.version) + ", expected 1; upgrade etalage to read it");
    if (std::max({e.mark.state, e.mark.segment, e.mark.durable}) > kMostSequence) continue;
    kept = kept || i < 2;
    found_.state = std::max(found_.state, e.mark.state);
    found_.segment = std::max(found_.segment, e.mark.segment);
    found_.durable = std::max(found_.durable, e.mark.durable);
  }
  if (!kept && !repair) throw FormatError(path.string() + ": damaged: no entry checks; restore the folder from a copy, or open it with repair");
  if (kept) file_ = std::move(file);  // else a new one takes its place
}

void Manifest::put(std::size_t entry, const Mark& mark) {
  const Entry e = entry_of(mark);
  file_->write(entry * sizeof e, std::as_bytes(std::span(&e, 1)));
}

void Manifest::note(const Mark& mark) noexcept {
  if (!file_) return;
  try {
    put(2 + noted_++ % 2, mark);
  } catch (...) {  // whatever a host's files throw
  }
}

void Manifest::keep(const Mark& mark) {
  if (!file_) return make(mark);
  put(kept_++ % 2, mark);
  file_->sync();
}

void Manifest::make(const Mark& mark) {
  const std::filesystem::path temporary = directory_ / (std::string(kName) + ".tmp");
  const std::array<Entry, kEntries> entries{entry_of(mark), entry_of(mark), entry_of(mark), entry_of(mark)};
  auto file = files_.open(temporary, JournalFiles::Mode::kCreate);
  file->write(0, std::as_bytes(std::span(entries)));
  file->sync();
  files_.rename(temporary, directory_ / kName);
  files_.sync_directory(directory_);
  file_ = std::move(file);
}

}  // namespace etalage::journal
