// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/profile_files.hpp"

#include "etalage/profile/profiles.hpp"
#include "etalage/profile/purchase_intent.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kIntent = "PurchaseIntent";
constexpr const char* kProfiles = "Profiles";

template <class Object>
std::shared_ptr<Object> made(const StateFile& file, const char* kind) {
  file.require_kind(kind);
  return io::make_from(file, [](const StateReader& reader) { return Object::from_state(reader); });
}

}  // namespace

void save(const Profiles& profiles, const std::filesystem::path& path) {
  save_state(path, kProfiles, [&](StateWriter& w) { profiles.save_state(w); });
}

std::shared_ptr<Profiles> load_profiles(const std::filesystem::path& path, LoadOptions options) {
  return made<Profiles>(StateFile::open(path, options), kProfiles);
}

std::vector<char> save_to_memory(const Profiles& profiles) {
  return save_state_to_memory(kProfiles, [&](StateWriter& w) { profiles.save_state(w); });
}

std::shared_ptr<Profiles> load_profiles_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made<Profiles>(StateFile::from_memory(bytes, options), kProfiles);
}

void save(const PurchaseIntent& model, const std::filesystem::path& path) {
  save_state(path, kIntent, [&](StateWriter& w) { model.save_state(w); });
}

std::shared_ptr<PurchaseIntent> load_purchase_intent(const std::filesystem::path& path, LoadOptions options) {
  return made<PurchaseIntent>(StateFile::open(path, options), kIntent);
}

std::vector<char> save_to_memory(const PurchaseIntent& model) {
  return save_state_to_memory(kIntent, [&](StateWriter& w) { model.save_state(w); });
}

std::shared_ptr<PurchaseIntent> load_purchase_intent_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made<PurchaseIntent>(StateFile::from_memory(bytes, options), kIntent);
}

}  // namespace etalage
