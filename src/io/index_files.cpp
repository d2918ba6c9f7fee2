// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/serialization.hpp"

#include <string>

#include "etalage/error.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "io/loading.hpp"
#include "io/registry.hpp"

namespace etalage {
namespace {

constexpr const char* kIndexKind = "ItemIndex";

}  // namespace

void save(const VectorIndex& index, const std::filesystem::path& path) {
  io::require_index_kind(index.kind());
  save_state(path, index.kind(), [&](StateWriter& w) { index.save_state(w); });
}

std::shared_ptr<VectorIndex> load_vector_index(const std::filesystem::path& path, LoadOptions options) {
  const StateFile file = StateFile::open(path, options);
  const IndexFactory factory = io::find_index(file.kind());
  if (factory == nullptr) {
    std::string known;
    for (const std::string& k : index_kinds()) known += (known.empty() ? "" : ", ") + k;
    throw FormatError(path.string() + ": found a file of kind " + file.kind() + ", expected an index (" + known + ")");
  }
  io::require_trusted(file.kind(), options.trust_faiss, path.string());
  return io::make_from(file, factory);
}

void save(const ItemIndex& index, const std::filesystem::path& path) { io::save_object(index, kIndexKind, path); }

std::shared_ptr<ItemIndex> load_index(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<ItemIndex>(StateFile::open(path, options), kIndexKind);
}

std::vector<char> save_to_memory(const ItemIndex& index) { return io::object_bytes(index, kIndexKind); }

std::shared_ptr<ItemIndex> load_index_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<ItemIndex>(StateFile::from_memory(bytes, options), kIndexKind);
}

}  // namespace etalage
