// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/experiment_files.hpp"

#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kAllocation = "Allocation";

}  // namespace

void save(const Allocation& allocation, const std::filesystem::path& path) { io::save_object(allocation, kAllocation, path); }

Allocation load_allocation(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<Allocation>(StateFile::open(path, options), kAllocation);
}

std::vector<char> save_to_memory(const Allocation& allocation) { return io::object_bytes(allocation, kAllocation); }

Allocation load_allocation_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<Allocation>(StateFile::from_memory(bytes, options), kAllocation);
}

}  // namespace etalage
