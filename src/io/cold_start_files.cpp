// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/cold_start_files.hpp"

#include "etalage/models/cold_start_items.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kKind = "ColdStartItems";
constexpr const char* kMatrixKind = "ColdStart";

}  // namespace

void save(const ColdStartItems& cold, const std::filesystem::path& path) { io::save_object(cold, kKind, path); }

std::shared_ptr<ColdStartItems> load_cold_start(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<ColdStartItems>(StateFile::open(path, options), kKind);
}

std::vector<char> save_to_memory(const ColdStartItems& cold) { return io::object_bytes(cold, kKind); }

std::shared_ptr<ColdStartItems> load_cold_start_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<ColdStartItems>(StateFile::from_memory(bytes, options), kKind);
}

std::vector<char> save_to_memory(const ColdStart& cold) { return io::object_bytes(cold, kMatrixKind); }

std::shared_ptr<ColdStart> load_cold_start_matrix_from_memory(std::span<const char> bytes, LoadOptions options) {
  const StateFile file = StateFile::from_memory(bytes, options);
  file.require_kind(kMatrixKind);
  return io::make_from(file, [](const StateReader& reader) { return ColdStart::from_state(reader); });
}

}  // namespace etalage
