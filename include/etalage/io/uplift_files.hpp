// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/marketing/linear_uplift.hpp"

namespace etalage {

/// Linear uplift models in the project's file format, with the rules of save() and load() for models.
ETALAGE_EXPORT void save(const LinearUplift& model, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT LinearUplift load_linear_uplift(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const LinearUplift& model);
[[nodiscard]] ETALAGE_EXPORT LinearUplift load_linear_uplift_from_memory(std::span<const char> bytes, LoadOptions options = {});

}  // namespace etalage
