// SPDX-License-Identifier: Apache-2.0
#include "io/registry.hpp"

#include <pthread.h>

#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>

#include "etalage/error.hpp"
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
#include "etalage/retrieval/item_index.hpp"

namespace etalage {
namespace {

template <class Model>
std::shared_ptr<Recommender> make(const StateReader& reader) {
  return Model::from_state(reader);
}

struct Registry {
  std::mutex mutex;
  std::set<std::string, std::less<>> read_by_faiss;
  std::map<std::string, IndexFactory, std::less<>> indexes{
      {"ItemIndex", [](const StateReader& reader) -> std::shared_ptr<VectorIndex> { return ItemIndex::from_state(reader); }},
  };
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

template <class Factory>
using Factories = std::map<std::string, Factory, std::less<>>;

template <class Factory>
Factory find(const Factories<Factory>& factories, std::string_view kind) {
  const auto found = factories.find(kind);
  return found == factories.end() ? nullptr : found->second;
}

template <class Factory, class Others>
void add(Factories<Factory>& factories, const Others& others, std::string_view kind, Factory factory) {
  if (kind.empty() || kind.size() > 31 || factory == nullptr)
    throw std::invalid_argument("kind is '" + std::string(kind) + "', must have 1 to 31 characters and a factory");
  if (others.contains(kind)) throw std::invalid_argument("kind is '" + std::string(kind) + "', must not be one of models and of indexes");
  const auto [at, inserted] = factories.emplace(kind, factory);
  if (!inserted && at->second != factory)
    throw std::invalid_argument("kind is '" + std::string(kind) + "', must not have another factory already");
}

template <class Factory>
std::vector<std::string> kinds_of(const Factories<Factory>& factories) {
  std::vector<std::string> out;
  for (const auto& entry : factories) out.push_back(entry.first);
  return out;
}

[[noreturn]] void refuse(std::string_view kind, const char* what, const char* how) {
  throw std::invalid_argument("kind is '" + std::string(kind) + "', must be registered with " + how + "() before " + what +
                              " of it is saved: nothing could read the file");
}

}  // namespace

namespace io {

ModelFactory find_model(std::string_view kind) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  return find(r.factories, kind);
}

IndexFactory find_index(std::string_view kind) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  return find(r.indexes, kind);
}

void require_trusted(std::string_view kind, bool trust_faiss, const std::string& label) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  if (!trust_faiss && r.read_by_faiss.contains(kind))
    throw FormatError(label + ": found an index of kind '" + std::string(kind) +
                      "', whose bytes are read by FAISS, which believes what it reads: open it with trust_faiss, and only where its writer is trusted");
}

void require_model_kind(std::string_view kind) {
  if (find_model(kind) == nullptr) refuse(kind, "a model", "register_model");
}

void require_index_kind(std::string_view kind) {
  if (find_index(kind) == nullptr) refuse(kind, "an index", "register_index");
}

}  // namespace io

void register_model(std::string_view kind, ModelFactory factory) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  add(r.factories, r.indexes, kind, factory);
}

void register_index(std::string_view kind, IndexFactory factory, IndexBytes bytes) {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  add(r.indexes, r.factories, kind, factory);
  if (bytes == IndexBytes::kFaiss) r.read_by_faiss.emplace(kind);
}

std::vector<std::string> model_kinds() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  return kinds_of(r.factories);
}

std::vector<std::string> index_kinds() {
  Registry& r = registry();
  const std::lock_guard lock(r.mutex);
  return kinds_of(r.indexes);
}

}  // namespace etalage
