// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/tree_files.hpp"

#include <algorithm>
#include <cstring>
#include <string>

#include "etalage/error.hpp"
#include "io/buffer.hpp"
#include "io/format.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kTreesKind = "TreeEnsemble";

bool is_ours(std::span<const char> bytes) {
  return bytes.size() >= sizeof(io::kMagic) && std::memcmp(bytes.data(), io::kMagic, sizeof(io::kMagic)) == 0;
}

}  // namespace

void save(const TreeEnsemble& trees, const std::filesystem::path& path) { io::save_object(trees, kTreesKind, path); }

std::vector<char> save_to_memory(const TreeEnsemble& trees) { return io::object_bytes(trees, kTreesKind); }

TreeEnsemble load_tree_model_from_memory(std::span<const char> bytes, LoadOptions options) {
  return is_ours(bytes) ? io::object_of<TreeEnsemble>(StateFile::from_memory(bytes, options), kTreesKind) : read_tree_model(bytes);
}

TreeEnsemble load_tree_model(const std::filesystem::path& path, LoadOptions options) {
  std::string label = path.string();
  const io::Buffer file = io::map_file(path, label);
  const std::span<const char> bytes(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  if (is_ours(bytes)) return io::object_of<TreeEnsemble>(StateFile::open(path, options), kTreesKind);
  try {
    return read_tree_model(bytes);
  } catch (const FormatError& e) {
    throw FormatError(label + ": " + e.what());
  }
}

}  // namespace etalage
