// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kKind = "ItemIndex";

std::shared_ptr<ItemIndex> make_index(const StateFile& file) {
  file.require_kind(kKind);
  return io::make_from(file, [](const StateReader& reader) { return ItemIndex::from_state(reader); });
}

}  // namespace

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
