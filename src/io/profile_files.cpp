// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/profile_files.hpp"

#include "etalage/profile/profiles.hpp"
#include "etalage/profile/purchase_intent.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kIntent = "PurchaseIntent";
constexpr const char* kProfiles = "Profiles";

}  // namespace

void save(const Profiles& profiles, const std::filesystem::path& path) { io::save_object(profiles, kProfiles, path); }

std::shared_ptr<Profiles> load_profiles(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<Profiles>(StateFile::open(path, options), kProfiles);
}

std::vector<char> save_to_memory(const Profiles& profiles) { return io::object_bytes(profiles, kProfiles); }

std::shared_ptr<Profiles> load_profiles_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<Profiles>(StateFile::from_memory(bytes, options), kProfiles);
}

void save(const PurchaseIntent& model, const std::filesystem::path& path) { io::save_object(model, kIntent, path); }

std::shared_ptr<PurchaseIntent> load_purchase_intent(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<PurchaseIntent>(StateFile::open(path, options), kIntent);
}

std::vector<char> save_to_memory(const PurchaseIntent& model) { return io::object_bytes(model, kIntent); }

std::shared_ptr<PurchaseIntent> load_purchase_intent_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<PurchaseIntent>(StateFile::from_memory(bytes, options), kIntent);
}

}  // namespace etalage
