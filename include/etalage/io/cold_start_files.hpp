// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage {

class ColdStart;
class ColdStartItems;

/// What predicts factors of new products, in the project's file format, with the rules of save() and load() for models.
ETALAGE_EXPORT void save(const ColdStartItems& cold, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ColdStartItems> load_cold_start(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const ColdStartItems& cold);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ColdStartItems> load_cold_start_from_memory(std::span<const char> bytes, LoadOptions options = {});
/// The same for what was learned from a matrix of attributes.
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const ColdStart& cold);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<ColdStart> load_cold_start_matrix_from_memory(std::span<const char> bytes, LoadOptions options = {});

}  // namespace etalage
