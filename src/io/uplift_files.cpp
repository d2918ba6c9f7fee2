// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/uplift_files.hpp"

#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kLinearUplift = "LinearUplift";

}  // namespace

void save(const LinearUplift& model, const std::filesystem::path& path) { io::save_object(model, kLinearUplift, path); }

LinearUplift load_linear_uplift(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<LinearUplift>(StateFile::open(path, options), kLinearUplift);
}

std::vector<char> save_to_memory(const LinearUplift& model) { return io::object_bytes(model, kLinearUplift); }

LinearUplift load_linear_uplift_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<LinearUplift>(StateFile::from_memory(bytes, options), kLinearUplift);
}

}  // namespace etalage
