// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "etalage/evaluation/experiment.hpp"
#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage {

/// Allocations in the project's file format, with the rules of save() and load() for models.
ETALAGE_EXPORT void save(const Allocation& allocation, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT Allocation load_allocation(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const Allocation& allocation);
[[nodiscard]] ETALAGE_EXPORT Allocation load_allocation_from_memory(std::span<const char> bytes, LoadOptions options = {});

}  // namespace etalage
