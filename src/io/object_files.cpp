// SPDX-License-Identifier: Apache-2.0
// Files of objects that are no models: one kind, one state.
#include "etalage/io/cold_start_files.hpp"
#include "etalage/io/experiment_files.hpp"
#include "etalage/io/profile_files.hpp"
#include "etalage/io/uplift_files.hpp"
#include "etalage/models/cold_start_items.hpp"
#include "etalage/profile/profiles.hpp"
#include "etalage/profile/purchase_intent.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

constexpr const char* kColdStartItems = "ColdStartItems";
constexpr const char* kColdStart = "ColdStart";
constexpr const char* kIntent = "PurchaseIntent";
constexpr const char* kProfiles = "Profiles";
constexpr const char* kAllocation = "Allocation";
constexpr const char* kLinearUplift = "LinearUplift";

}  // namespace

void save(const ColdStartItems& cold, const std::filesystem::path& path) { io::save_object(cold, kColdStartItems, path); }

std::shared_ptr<ColdStartItems> load_cold_start(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<ColdStartItems>(StateFile::open(path, options), kColdStartItems);
}

std::vector<char> save_to_memory(const ColdStartItems& cold) { return io::object_bytes(cold, kColdStartItems); }

std::shared_ptr<ColdStartItems> load_cold_start_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<ColdStartItems>(StateFile::from_memory(bytes, options), kColdStartItems);
}

std::vector<char> save_to_memory(const ColdStart& cold) { return io::object_bytes(cold, kColdStart); }

std::shared_ptr<ColdStart> load_cold_start_matrix_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<ColdStart>(StateFile::from_memory(bytes, options), kColdStart);
}

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

void save(const Allocation& allocation, const std::filesystem::path& path) { io::save_object(allocation, kAllocation, path); }

Allocation load_allocation(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<Allocation>(StateFile::open(path, options), kAllocation);
}

std::vector<char> save_to_memory(const Allocation& allocation) { return io::object_bytes(allocation, kAllocation); }

Allocation load_allocation_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<Allocation>(StateFile::from_memory(bytes, options), kAllocation);
}

void save(const LinearUplift& model, const std::filesystem::path& path) { io::save_object(model, kLinearUplift, path); }

LinearUplift load_linear_uplift(const std::filesystem::path& path, LoadOptions options) {
  return io::object_of<LinearUplift>(StateFile::open(path, options), kLinearUplift);
}

std::vector<char> save_to_memory(const LinearUplift& model) { return io::object_bytes(model, kLinearUplift); }

LinearUplift load_linear_uplift_from_memory(std::span<const char> bytes, LoadOptions options) {
  return io::object_of<LinearUplift>(StateFile::from_memory(bytes, options), kLinearUplift);
}

}  // namespace etalage
