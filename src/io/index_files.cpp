// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/serialization.hpp"

#include <string>

#include "etalage/error.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "io/loading.hpp"
#include "io/registry.hpp"

namespace etalage {
namespace {

constexpr const char* kKind = "ItemIndex";

std::shared_ptr<ItemIndex> make_index(const StateFile& file) {
  file.require_kind(kKind);
  return io::make_from(file, [](const StateReader& reader) { return ItemIndex::from_state(reader); });
}

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

void save(const ItemIndex& index, const std::filesystem::path& path) {
  save_state(path, kKind, [&](StateWriter& w) { index.save_state(w); });
}

std::shared_ptr<ItemIndex> load_index(const std::filesystem::path& path, LoadOptions options) {
  return make_index(StateFile::open(path, options));
}

std::vector<char> save_to_memory(const ItemIndex& index) {
  return save_state_to_memory(kKind, [&](StateWriter& w) { index.save_state(w); });
}

std::shared_ptr<ItemIndex> load_index_from_memory(std::span<const char> bytes, LoadOptions options) {
  return make_index(StateFile::from_memory(bytes, options));
}

}  // namespace etalage
