// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "etalage/extend/state.hpp"

// The byte layout of docs/file_format.md. The fixed header, the position of its fields and the rule of the header's
// checksum stay as they are in every later version, so that any library can tell a newer file from a damaged one.
namespace etalage::io {

inline constexpr std::uint8_t kMagic[8] = {0x89, 'E', 'T', 'A', 'L', 'A', 'G', 'E'};
inline constexpr std::uint32_t kByteOrder = 0x01020304;  ///< stored as 04 03 02 01
inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::size_t kSectionAlignment = 64;
inline constexpr std::size_t kMaxNameBytes = 1024;
/// Type of the one section that holds structure; its name is empty and it comes first.
inline constexpr std::uint32_t kStructureType = 0;

struct FixedHeader {
  std::uint8_t magic[8];
  std::uint32_t byte_order;
  std::uint32_t version;
  std::uint64_t total_bytes;
  std::uint32_t flags;            ///< none are defined in version 1
  std::uint32_t num_sections;
  std::uint64_t header_bytes;     ///< this header, the section table and the names
  char kind[32];                  ///< printable ASCII, zero-padded, at least one zero
  std::uint32_t library_version;  ///< major << 16 | minor << 8 | patch of the writer, for messages
  std::uint32_t reserved_a;
  std::uint64_t checksum;         ///< XXH3-64 of header_bytes bytes with this field as zero
  std::uint8_t reserved_b[40];
};
static_assert(sizeof(FixedHeader) == 128 && std::is_trivially_copyable_v<FixedHeader>);

struct SectionEntry {
  std::uint64_t offset;  ///< from the file's begin; the previous end rounded up to kSectionAlignment
  std::uint64_t count;
  std::uint64_t bytes;
  std::uint64_t checksum;
  std::uint32_t name_offset;  ///< into the names behind the table
  std::uint32_t name_bytes;
  std::uint32_t type;  ///< DType, or kStructureType
  std::uint32_t reserved;
};
static_assert(sizeof(SectionEntry) == 48 && std::is_trivially_copyable_v<SectionEntry>);

struct Section {
  std::string name;
  std::uint32_t type = kStructureType;
  std::uint64_t count = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

/// What the header says, checked.
struct Header {
  std::uint32_t version = 0;
  std::uint32_t library_version = 0;
  std::uint64_t total_bytes = 0;
  std::string kind;
  std::vector<Section> sections;  ///< in file order; the first is the structure
};

/// Element size of a DType's number; 0 for an unknown one.
std::size_t element_size(std::uint32_t type) noexcept;
const char* type_name(std::uint32_t type) noexcept;

constexpr std::uint64_t align_up(std::uint64_t x) noexcept {
  return (x + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

/// Reads and checks everything in front of the first section. FormatError begins with `label`. `file` is the whole
/// file; only the header's bytes are touched.
Header parse_header(std::span<const std::byte> file, const std::string& label);

/// The header's bytes for sections whose type, count, bytes and checksum are set; sets their offsets.
std::vector<std::byte> make_header(std::string_view kind, std::vector<Section>& sections);

/// "0.1.0" of a packed library version.
std::string version_text(std::uint32_t packed);

}  // namespace etalage::io
