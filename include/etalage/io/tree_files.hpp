// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"
#include "etalage/trees/tree_model.hpp"

namespace etalage {

/// A tree ensemble in the project's file format, with the rules of save() and load() for models.
ETALAGE_EXPORT void save(const TreeEnsemble& trees, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const TreeEnsemble& trees);
[[nodiscard]] ETALAGE_EXPORT TreeEnsemble load_tree_model_from_memory(std::span<const char> bytes, LoadOptions options = {});

/// What save() wrote, or the model file of another library (read_tree_model()).
/// Errors    std::filesystem::filesystem_error when it cannot be read; FormatError
[[nodiscard]] ETALAGE_EXPORT TreeEnsemble load_tree_model(const std::filesystem::path& path, LoadOptions options = {});

}  // namespace etalage
