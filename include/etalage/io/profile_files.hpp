// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/io/state_file.hpp"

namespace etalage {

class Profiles;
class PurchaseIntent;

/// Profiles and models of purchase intent in the project's file format, with the rules of save() and load() for models.
ETALAGE_EXPORT void save(const Profiles& profiles, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<Profiles> load_profiles(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const Profiles& profiles);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<Profiles> load_profiles_from_memory(std::span<const char> bytes, LoadOptions options = {});

/// The same for a purchase intent.
ETALAGE_EXPORT void save(const PurchaseIntent& model, const std::filesystem::path& path);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<PurchaseIntent> load_purchase_intent(const std::filesystem::path& path, LoadOptions options = {});
[[nodiscard]] ETALAGE_EXPORT std::vector<char> save_to_memory(const PurchaseIntent& model);
[[nodiscard]] ETALAGE_EXPORT std::shared_ptr<PurchaseIntent> load_purchase_intent_from_memory(std::span<const char> bytes,
                                                                                             LoadOptions options = {});

}  // namespace etalage
