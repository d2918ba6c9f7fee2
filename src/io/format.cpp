// SPDX-License-Identifier: Apache-2.0
#include "io/format.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <set>
#include <stdexcept>

#include "etalage/error.hpp"
#include "etalage/version.hpp"
#include "io/checksum.hpp"

namespace etalage::io {
namespace {

constexpr std::uint32_t kLibraryVersion =
    (ETALAGE_VERSION_MAJOR << 16) | (ETALAGE_VERSION_MINOR << 8) | ETALAGE_VERSION_PATCH;

std::string hex(std::span<const std::byte> bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const std::byte b : bytes) {
    if (!out.empty()) out += ' ';
    out += digits[std::to_integer<unsigned>(b) >> 4];
    out += digits[std::to_integer<unsigned>(b) & 15];
  }
  return out;
}

bool all_zero(const std::uint8_t* p, std::size_t n) {
  return std::all_of(p, p + n, [](std::uint8_t b) { return b == 0; });
}

std::uint64_t header_checksum(std::vector<std::byte> bytes) {
  FixedHeader h;
  std::memcpy(&h, bytes.data(), sizeof h);
  h.checksum = 0;
  std::memcpy(bytes.data(), &h, sizeof h);
  return hash_bytes(bytes.data(), bytes.size());
}

}  // namespace

std::size_t element_size(std::uint32_t type) noexcept {
  switch (static_cast<DType>(type)) {
    case DType::kInt8:
    case DType::kUInt8:
      return 1;
    case DType::kInt16:
    case DType::kUInt16:
      return 2;
    case DType::kInt32:
    case DType::kUInt32:
    case DType::kFloat32:
      return 4;
    case DType::kInt64:
    case DType::kUInt64:
    case DType::kFloat64:
      return 8;
  }
  return 0;
}

const char* type_name(std::uint32_t type) noexcept {
  static constexpr const char* names[] = {"structure", "int8",  "uint8",  "int16",   "uint16", "int32",
                                          "uint32",    "int64", "uint64", "float32", "float64"};
  return type < std::size(names) ? names[type] : "unknown";
}

std::string version_text(std::uint32_t v) {
  return std::to_string(v >> 16) + "." + std::to_string(v >> 8 & 255) + "." + std::to_string(v & 255);
}

Header parse_header(std::span<const std::byte> file, const std::string& label) {
  const auto fail = [&](const std::string& what) { throw FormatError(label + ": " + what); };
  if constexpr (std::endian::native != std::endian::little)
    fail("found little-endian arrays, expected a little-endian machine to map them on");

  const std::size_t magic_bytes = std::min(file.size(), sizeof kMagic);
  if (file.empty()) fail("truncated: found 0 bytes, expected at least " + std::to_string(sizeof(FixedHeader)));
  if (std::memcmp(file.data(), kMagic, magic_bytes) != 0)
    fail("not an etalage file: begins with " + hex(file.first(magic_bytes)) + ", expected " +
         hex(std::as_bytes(std::span(kMagic))));
  if (file.size() < sizeof(FixedHeader))
    fail("truncated: found " + std::to_string(file.size()) + " bytes, expected at least " +
         std::to_string(sizeof(FixedHeader)));
  FixedHeader h;
  std::memcpy(&h, file.data(), sizeof h);
  if (h.byte_order != kByteOrder)
    fail("found byte order mark " + hex(file.subspan(offsetof(FixedHeader, byte_order), 4)) +
         ", expected 04 03 02 01 (little-endian)");
  if (h.total_bytes != file.size())
    fail(std::string(h.total_bytes > file.size() ? "truncated" : "damaged") + ": found " + std::to_string(file.size()) +
         " bytes, expected " + std::to_string(h.total_bytes));
  const std::uint64_t names_at = sizeof(FixedHeader) + std::uint64_t{h.num_sections} * sizeof(SectionEntry);
  if (h.header_bytes < names_at || h.header_bytes > file.size())
    fail("damaged: found a header of " + std::to_string(h.header_bytes) + " bytes, expected between " +
         std::to_string(names_at) + " and the file's " + std::to_string(file.size()));
  // Bounded by the file's real size from here on.
  const std::vector<std::byte> bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(h.header_bytes));
  if (header_checksum(bytes) != h.checksum) fail("damaged: the header's checksum does not match its contents");
  if (h.version > kFormatVersion)
    fail("found format version " + std::to_string(h.version) + " (written by etalage " + version_text(h.library_version) +
         "), this library reads up to version " + std::to_string(kFormatVersion) + ": upgrade etalage to read it");
  if (h.version == 0) fail("found format version 0, expected 1 to " + std::to_string(kFormatVersion));
  if (h.flags != 0 || h.reserved_a != 0 || !all_zero(h.reserved_b, sizeof h.reserved_b))
    fail("found flags " + std::to_string(h.flags) + " or reserved bytes in use, expected none in format version " +
         std::to_string(h.version));

  Header out;
  out.version = h.version;
  out.library_version = h.library_version;
  out.total_bytes = h.total_bytes;
  const std::string_view field(h.kind, sizeof h.kind);
  out.kind = field.substr(0, field.find('\0'));
  const auto printable = [](char c) { return c > ' ' && c < 127; };
  const std::string_view rest = field.substr(out.kind.size());
  if (out.kind.empty() || rest.empty() || !std::all_of(out.kind.begin(), out.kind.end(), printable) ||
      rest.find_first_not_of('\0') != std::string_view::npos)
    fail("damaged: found a kind that is not 1 to 31 printable characters");

  if (h.num_sections == 0) fail("damaged: found no section, expected at least the structure");
  const std::uint64_t names_bytes = h.header_bytes - names_at;
  std::uint64_t end = h.header_bytes;
  std::uint64_t name_end = 0;
  std::set<std::string_view> seen;
  out.sections.reserve(h.num_sections);
  for (std::uint32_t i = 0; i < h.num_sections; ++i) {
    SectionEntry e;
    std::memcpy(&e, bytes.data() + sizeof h + i * sizeof e, sizeof e);
    const auto bad = [&](const std::string& what) { fail("damaged: section " + std::to_string(i) + ": " + what); };
    const bool structure = i == 0;
    if ((e.type == kStructureType) != structure || (!structure && element_size(e.type) == 0))
      bad("found element type " + std::to_string(e.type) + ", expected " + (structure ? "structure" : "1 to 10"));
    if (e.reserved != 0) bad("found reserved bytes in use");
    if (e.name_offset != name_end || e.name_bytes > kMaxNameBytes || e.name_bytes > names_bytes - name_end ||
        (e.name_bytes == 0) != structure)
      bad("found a name of " + std::to_string(e.name_bytes) + " bytes at " + std::to_string(e.name_offset) +
          ", expected 1 to 1024 at " + std::to_string(name_end));
    const std::string_view name(reinterpret_cast<const char*>(bytes.data()) + names_at + e.name_offset, e.name_bytes);
    if (!seen.insert(name).second) bad("found the name '" + std::string(name) + "' twice");
    const std::uint64_t size = structure ? 1 : element_size(e.type);
    if (e.bytes / size != e.count || e.bytes % size != 0)
      bad("found " + std::to_string(e.bytes) + " bytes for " + std::to_string(e.count) + " elements of " +
          std::to_string(size) + " bytes");
    if (e.offset != align_up(end) || e.offset > h.total_bytes || e.bytes > h.total_bytes - e.offset)
      bad("found " + std::to_string(e.bytes) + " bytes at " + std::to_string(e.offset) + ", expected them at " +
          std::to_string(align_up(end)) + " and within the file's " + std::to_string(h.total_bytes));
    end = e.offset + e.bytes;
    name_end += e.name_bytes;
    out.sections.push_back({std::string(name), e.type, e.count, e.offset, e.bytes, e.checksum});
  }
  if (name_end != names_bytes) fail("damaged: found " + std::to_string(names_bytes) + " bytes of names, expected " + std::to_string(name_end));
  if (end != h.total_bytes)
    fail("damaged: found sections that end at " + std::to_string(end) + ", expected " + std::to_string(h.total_bytes));
  return out;
}

std::vector<std::byte> make_header(std::string_view kind, std::vector<Section>& sections) {
  FixedHeader h{};
  if (kind.empty() || kind.size() >= sizeof h.kind)
    throw std::invalid_argument("kind is '" + std::string(kind) + "', must have 1 to 31 characters");
  std::memcpy(h.magic, kMagic, sizeof kMagic);
  h.byte_order = kByteOrder;
  h.version = kFormatVersion;
  h.num_sections = static_cast<std::uint32_t>(sections.size());
  std::copy(kind.begin(), kind.end(), h.kind);
  h.library_version = kLibraryVersion;
  std::uint64_t name_bytes = 0;
  for (const Section& s : sections) name_bytes += s.name.size();
  h.header_bytes = sizeof h + sections.size() * sizeof(SectionEntry) + name_bytes;

  std::vector<std::byte> out(h.header_bytes, std::byte{0});
  std::uint64_t end = h.header_bytes;
  std::uint32_t name_at = 0;
  std::byte* entry = out.data() + sizeof h;
  std::byte* names = entry + sections.size() * sizeof(SectionEntry);
  for (Section& s : sections) {
    s.offset = align_up(end);
    end = s.offset + s.bytes;
    const SectionEntry e{s.offset, s.count, s.bytes, s.checksum, name_at, static_cast<std::uint32_t>(s.name.size()), s.type, 0};
    std::memcpy(entry, &e, sizeof e);
    entry += sizeof e;
    if (!s.name.empty()) std::memcpy(names + name_at, s.name.data(), s.name.size());
    name_at += e.name_bytes;
  }
  h.total_bytes = end;
  std::memcpy(out.data(), &h, sizeof h);
  h.checksum = header_checksum(out);
  std::memcpy(out.data(), &h, sizeof h);
  return out;
}

}  // namespace etalage::io
