// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage {

class LifetimeModel;
class GammaGamma;
class BgBb;

/// Models of customers' lifetime and money in the project's file format, with the rules of save() and load() for models.
ETALAGE_EXPORT void save(const LifetimeModel& model, const std::filesystem::path& path);
ETALAGE_EXPORT void save(const GammaGamma& model, const std::filesystem::path& path);
ETALAGE_EXPORT void save(const BgBb& model, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<LifetimeModel> load_lifetime_model(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<GammaGamma> load_gamma_gamma(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<BgBb> load_bg_bb(const std::filesystem::path& path, LoadOptions options = {});

/// The same bytes in memory, for pickling.
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const LifetimeModel& model);
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const GammaGamma& model);
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const BgBb& model);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<LifetimeModel> load_lifetime_model_from_memory(std::span<const char> bytes, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<GammaGamma> load_gamma_gamma_from_memory(std::span<const char> bytes, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<BgBb> load_bg_bb_from_memory(std::span<const char> bytes, LoadOptions options = {});

}  // namespace etalage
