// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/experiment_files.hpp"

#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kAllocation = "Allocation";

Allocation made(const StateFile& file) {
  file.require_kind(kAllocation);
  return io::make_from(file, [](const StateReader& reader) { return Allocation::from_state(reader); });
}

}  // namespace

void save(const Allocation& allocation, const std::filesystem::path& path) {
  save_state(path, kAllocation, [&](StateWriter& w) { allocation.save_state(w); });
}

Allocation load_allocation(const std::filesystem::path& path, LoadOptions options) { return made(StateFile::open(path, options)); }

std::vector<char> save_to_memory(const Allocation& allocation) {
  return save_state_to_memory(kAllocation, [&](StateWriter& w) { allocation.save_state(w); });
}

Allocation load_allocation_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made(StateFile::from_memory(bytes, options));
}

}  // namespace etalage
