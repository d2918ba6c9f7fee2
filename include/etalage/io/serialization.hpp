// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "etalage/export.hpp"

namespace etalage {

class Recommender;
class ItemIndex;

enum class Verify : std::uint8_t {
  kHeader,  ///< magic, version, sizes and the section table; contents are trusted. Fast for any size
  kFull     ///< and every section's checksum and every offset and index inside
};

struct LoadOptions {
  Verify verify = Verify::kFull;
  int num_threads = 0;  ///< for the checksums
};

/// Writes to a temporary name beside `path`, flushes, renames, flushes the directory: at any moment the old file or
/// the new one is there. std::filesystem::filesystem_error (full disk, permissions) leaves the old file.
ETALAGE_EXPORT void save(const Recommender& model, const std::filesystem::path& path);
/// Maps the file; arrays are shared with every process that maps it. FormatError says what was found and expected.
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<const Recommender> load(const std::filesystem::path& path,
                                                                     LoadOptions options = {});
/// The same, for a caller who goes on training: mutators copy out of the mapped file first.
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<Recommender> load_mutable(const std::filesystem::path& path,
                                                                       LoadOptions options = {});
ETALAGE_EXPORT void save(const ItemIndex& index, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ItemIndex> load_index(const std::filesystem::path& path,
                                                                   LoadOptions options = {});

/// The same bytes in memory, for pickling.
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const Recommender& model);
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const ItemIndex& index);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<Recommender> load_from_memory(std::vector<char> bytes,
                                                                           LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ItemIndex> load_index_from_memory(std::vector<char> bytes,
                                                                               LoadOptions options = {});

/// What a file says of itself, read from the header alone.
struct FileInfo {
  std::uint32_t format_version = 0;
  std::string kind;  ///< "ALS", "ItemIndex", ...
  std::uint64_t bytes = 0;
  struct Section {
    std::string name;
    std::string dtype;
    std::uint64_t count = 0;
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
    std::uint64_t checksum = 0;
  };
  std::vector<Section> sections;
};
[[nodiscard]] ETALAGE_EXPORT FileInfo file_info(const std::filesystem::path& path);

}  // namespace etalage
