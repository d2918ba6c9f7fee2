// SPDX-License-Identifier: Apache-2.0
#include "io/registry.hpp"

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "etalage/models/als.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/models/vectors.hpp"

namespace etalage {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, ModelFactory, std::less<>> factories{
      {"ALS", [](const StateReader& r) -> std::shared_ptr<Recommender> { return AlsModel::from_state(r); }},
      {"Popularity", [](const StateReader& r) -> std::shared_ptr<Recommender> { return PopularityModel::from_state(r); }},
      {"Vectors", [](const StateReader& r) -> std::shared_ptr<Recommender> { return VectorsModel::from_state(r); }},
  };
};

Registry& registry() {
  static Registry r;
  return r;
}

}  // namespace

namespace io {
ModelFactory find_model(std::string_view kind) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  const auto found = r.factories.find(kind);
  return found == r.factories.end() ? nullptr : found->second;
}
}  // namespace io

void register_model(std::string_view kind, ModelFactory factory) {
  if (kind.empty() || kind.size() > 31 || factory == nullptr)
    throw std::invalid_argument("kind is '" + std::string(kind) + "', must have 1 to 31 characters and a factory");
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  const auto [at, inserted] = r.factories.emplace(kind, factory);
  if (!inserted && at->second != factory)
    throw std::invalid_argument("kind is '" + std::string(kind) + "', must not have another factory already");
}

std::vector<std::string> model_kinds() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  std::vector<std::string> out;
  for (const auto& entry : r.factories) out.push_back(entry.first);
  return out;
}

}  // namespace etalage
