// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/lifetime_files.hpp"

#include "etalage/marketing/bg_bb.hpp"
#include "etalage/marketing/gamma_gamma.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "io/loading.hpp"

namespace etalage {
namespace {

template <class Model>
constexpr const char* kKindOf = nullptr;
template <>
constexpr const char* kKindOf<LifetimeModel> = "LifetimeModel";
template <>
constexpr const char* kKindOf<GammaGamma> = "GammaGamma";
template <>
constexpr const char* kKindOf<BgBb> = "BgBb";

template <class Model>
std::shared_ptr<Model> made(const StateFile& file) {
  file.require_kind(kKindOf<Model>);
  return io::make_from(file, [](const StateReader& reader) { return std::make_shared<Model>(Model::from_state(reader)); });
}

}  // namespace

void save(const LifetimeModel& model, const std::filesystem::path& path) { io::save_object(model, kKindOf<LifetimeModel>, path); }
void save(const GammaGamma& model, const std::filesystem::path& path) { io::save_object(model, kKindOf<GammaGamma>, path); }
void save(const BgBb& model, const std::filesystem::path& path) { io::save_object(model, kKindOf<BgBb>, path); }

std::shared_ptr<LifetimeModel> load_lifetime_model(const std::filesystem::path& path, LoadOptions options) {
  return made<LifetimeModel>(StateFile::open(path, options));
}
std::shared_ptr<GammaGamma> load_gamma_gamma(const std::filesystem::path& path, LoadOptions options) {
  return made<GammaGamma>(StateFile::open(path, options));
}
std::shared_ptr<BgBb> load_bg_bb(const std::filesystem::path& path, LoadOptions options) { return made<BgBb>(StateFile::open(path, options)); }

std::vector<char> save_to_memory(const LifetimeModel& model) { return io::object_bytes(model, kKindOf<LifetimeModel>); }
std::vector<char> save_to_memory(const GammaGamma& model) { return io::object_bytes(model, kKindOf<GammaGamma>); }
std::vector<char> save_to_memory(const BgBb& model) { return io::object_bytes(model, kKindOf<BgBb>); }

std::shared_ptr<LifetimeModel> load_lifetime_model_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made<LifetimeModel>(StateFile::from_memory(bytes, options));
}
std::shared_ptr<GammaGamma> load_gamma_gamma_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made<GammaGamma>(StateFile::from_memory(bytes, options));
}
std::shared_ptr<BgBb> load_bg_bb_from_memory(std::span<const char> bytes, LoadOptions options) {
  return made<BgBb>(StateFile::from_memory(bytes, options));
}

}  // namespace etalage
