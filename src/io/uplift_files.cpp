// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/uplift_files.hpp"

#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kLinearUplift = "LinearUplift";

LinearUplift made(const StateFile& file) {
  file.require_kind(kLinearUplift);
  return io::make_from(file, [](const StateReader& reader) { return LinearUplift::from_state(reader); });
}

}  // namespace

void save(const LinearUplift& model, const std::filesystem::path& path) {
  save_state(path, kLinearUplift, [&](StateWriter& w) { model.save_state(w); });
}

LinearUplift load_linear_uplift(const std::filesystem::path& path, LoadOptions options) { return made(StateFile::open(path, options)); }

std::vector<char> save_to_memory(const LinearUplift& model) {
  return save_state_to_memory(kLinearUplift, [&](StateWriter& w) { model.save_state(w); });
}

LinearUplift load_linear_uplift_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made(StateFile::from_memory(bytes, options));
}

}  // namespace etalage
