// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/cold_start_files.hpp"

#include "etalage/models/cold_start_items.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kColdStartKind = "ColdStartItems";
constexpr const char* kMatrixKind = "ColdStart";

std::shared_ptr<ColdStartItems> made(const StateFile& file) {
  file.require_kind(kColdStartKind);
  return io::make_from(file, [](const StateReader& reader) { return ColdStartItems::from_state(reader); });
}

}  // namespace

void save(const ColdStartItems& cold, const std::filesystem::path& path) {
  save_state(path, kColdStartKind, [&](StateWriter& w) { cold.save_state(w); });
}

std::shared_ptr<ColdStartItems> load_cold_start(const std::filesystem::path& path, LoadOptions options) { return made(StateFile::open(path, options)); }

std::vector<char> save_to_memory(const ColdStartItems& cold) {
  return save_state_to_memory(kColdStartKind, [&](StateWriter& w) { cold.save_state(w); });
}

std::shared_ptr<ColdStartItems> load_cold_start_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made(StateFile::from_memory(bytes, options));
}

std::vector<char> save_to_memory(const ColdStart& cold) {
  return save_state_to_memory(kMatrixKind, [&](StateWriter& w) { cold.save_state(w); });
}

std::shared_ptr<ColdStart> load_cold_start_matrix_from_memory(std::span<const char> bytes, LoadOptions options) {
  const StateFile file = StateFile::from_memory(bytes, options);
  file.require_kind(kMatrixKind);
  return io::make_from(file, [](const StateReader& reader) { return ColdStart::from_state(reader); });
}

}  // namespace etalage
