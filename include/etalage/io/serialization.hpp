// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage {

class Recommender;
class ItemIndex;
class VectorIndex;

/// Saves any model. At any moment the old file or the new one is there, complete.
/// std::filesystem::filesystem_error (full disk, permissions) leaves the old file. std::invalid_argument, before anything
/// is written, when a model or an index inside it is of a kind that is not registered. The model itself need not be: whoever
/// loads the file registers its kind.
ETALAGE_EXPORT void save(const Recommender& model, const std::filesystem::path& path);
/// Maps the file; arrays are shared with every process that maps it. FormatError says what was found and expected. Never
/// null: a factory that makes nothing is a FormatError too.
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<const Recommender> load(const std::filesystem::path& path,
                                                                     LoadOptions options = {});
/// The same, for a caller who goes on training: mutators copy out of the mapped file first.
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<Recommender> load_mutable(const std::filesystem::path& path,
                                                                       LoadOptions options = {});

/// The same bytes in memory, for pickling.
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const Recommender& model);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<Recommender> load_from_memory(std::span<const char> bytes,
                                                                           LoadOptions options = {});

/// The same for indexes of vectors: stored with their graph or codes, not linked or trained anew.
ETALAGE_EXPORT void save(const ItemIndex& index, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ItemIndex> load_index(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const ItemIndex& index);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ItemIndex> load_index_from_memory(std::span<const char> bytes,
                                                                               LoadOptions options = {});

/// The same for indexes of any class: a host's own by register_index().
ETALAGE_EXPORT void save(const VectorIndex& index, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<VectorIndex> load_vector_index(const std::filesystem::path& path, LoadOptions options = {});

/// Makes a model of one kind from its state.
using ModelFactory = std::shared_ptr<Recommender> (*)(const StateReader&);
/// Lets load() make models of a host's own class, and save() write them inside a snapshot or a blend. `kind` is
/// what the class's kind() answers. std::invalid_argument when the kind is taken by another factory.
/// Threads   safe to call concurrently with everything
ETALAGE_EXPORT void register_model(std::string_view kind, ModelFactory factory);
/// Makes an index of one kind from its state.
using IndexFactory = std::shared_ptr<VectorIndex> (*)(const StateReader&);
/// Who answers for the bytes of an index.
enum class IndexBytes : std::uint8_t {
  kChecked,  ///< its factory, which refuses what is damaged or made to harm
  kFaiss     ///< FAISS, which does not: opened only with LoadOptions::trust_faiss
};
/// The same for a VectorIndex of a host's own class, which a model may hold (FactorModel::set_index) or a file alone.
ETALAGE_EXPORT void register_index(std::string_view kind, IndexFactory factory, IndexBytes bytes = IndexBytes::kChecked);
/// Every kind that load() knows, sorted.
[[nodiscard]] ETALAGE_EXPORT std::vector<std::string> model_kinds();
/// Every kind that load_vector_index() and a model's own index know, sorted.
[[nodiscard]] ETALAGE_EXPORT std::vector<std::string> index_kinds();

/// What a file says of itself, read from the header alone.
struct FileInfo {
  std::uint32_t format_version = 0;  ///< of the file
  std::string library_version;  ///< of the writer, "0.1.0"
  std::string kind;             ///< "ALS", "ItemIndex", ...
  std::uint64_t bytes = 0;  ///< of the whole file
  /// An array of the file.
  struct Section {
    std::string name;   ///< empty for the structure
    std::string dtype;  ///< "float32", ..., "structure"
    std::uint64_t count = 0;  ///< entries
    std::uint64_t offset = 0;  ///< bytes from the file's begin
    std::uint64_t bytes = 0;  ///< of the section
    std::uint64_t checksum = 0;  ///< XXH3-64 of its bytes
  };
  std::vector<Section> sections;  ///< in the order of the file
};
/// Reads the header of a file, or of the same bytes in memory.
[[nodiscard]] ETALAGE_EXPORT FileInfo file_info(const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT FileInfo memory_info(std::span<const char> bytes);

}  // namespace etalage
