// SPDX-License-Identifier: Apache-2.0
#include "io/registry.hpp"

#include <pthread.h>

#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "etalage/models/als.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/feature_als.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/item2vec.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "etalage/models/linear_sequence.hpp"
#include "etalage/models/popularity.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "etalage/models/sequential_rules.hpp"
#include "etalage/models/session_knn.hpp"
#include "etalage/models/transitions.hpp"
#include "etalage/models/slim.hpp"
#include "etalage/models/user_knn.hpp"
#include "etalage/models/vectors.hpp"
#include "etalage/models/warp.hpp"

namespace etalage {
namespace {

template <class Model>
std::shared_ptr<Recommender> make(const StateReader& reader) {
  return Model::from_state(reader);
}

struct Registry {
  std::mutex mutex;
  std::map<std::string, ModelFactory, std::less<>> factories{
      {"ALS", &make<AlsModel>},
      {"Blend", &make<BlendModel>},
      {"GraphFilter", &make<GraphFilterModel>},
      {"EASE", &make<EaseModel>},
      {"BPR", &make<BprModel>},
      {"FeatureALS", &make<FeatureAlsModel>},
      {"Item2Vec", &make<Item2VecModel>},
      {"ItemKNN", &make<ItemKnnModel>},
      {"LearnedRanker", &make<LearnedRankerModel>},
      {"LinearSequence", &make<LinearSequenceModel>},
      {"P3alpha", &make<RandomWalkModel>},
      {"Popularity", &make<PopularityModel>},
      {"RP3beta", &make<RandomWalkModel>},
      {"RepeatPurchase", &make<RepeatPurchaseModel>},
      {"SequentialRules", &make<SequentialRulesModel>},
      {"SessionKNN", &make<SessionKnnModel>},
      {"Transitions", &make<TransitionsModel>},
      {"SLIM", &make<SlimModel>},
      {"UserKNN", &make<UserKnnModel>},
      {"Vectors", &make<VectorsModel>},
      {"WARP", &make<WarpModel>},
  };
};

Registry& registry() {
  static Registry& r = *new Registry;
  // A child must not find the lock held by a thread that it does not have.
  static const int registered = ::pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
                                                 [] { registry().mutex.unlock(); });
  (void)registered;
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
