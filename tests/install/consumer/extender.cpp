// SPDX-License-Identifier: Apache-2.0
// What a shop extends: a model, an index, a source and a listener of its own, linked against the library as it is installed.
#include <etalage/etalage.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace etalage;

/// Newest products first.
class Newest final : public Recommender {
 public:
  explicit Newest(std::int32_t items) : items_(items) {}
  std::string_view kind() const noexcept override { return "Newest"; }
  std::int32_t num_users() const noexcept override { return 1; }
  std::int32_t num_items() const noexcept override { return items_; }
  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override {
    check(query);
    const auto excluded = excluded_of(query, scratch);
    std::size_t n = 0;
    for (std::int32_t i = items_ - 1; i >= 0 && n < out.size(); --i) {
      if (std::binary_search(excluded.begin(), excluded.end(), i) || (query.filter != nullptr && !query.filter->allows(i))) continue;
      out[n++] = {i, static_cast<float>(i)};
    }
    return n;
  }
  void score(const Query&, std::span<const std::int32_t> items, std::span<float> out, Scratch&) const override {
    for (std::size_t j = 0; j < items.size(); ++j) out[j] = static_cast<float>(items[j]);
  }
  void save_state(StateWriter& w) const override {
    Recommender::save_state(w);
    w.put_int("items", items_);
  }
  static std::shared_ptr<Recommender> from_state(const StateReader& r) {
    auto model = std::make_shared<Newest>(static_cast<std::int32_t>(r.get_int("items", 0, 1 << 30)));
    model->load_base(r);
    return model;
  }

 private:
  std::int32_t items_;
};

/// Reads every vector.
class Linear final : public VectorIndex {
 public:
  Linear(Array<float> rows, int dim) : rows_(std::move(rows)), dim_(dim) {}
  std::string_view kind() const noexcept override { return "Linear"; }
  int dim() const noexcept override { return dim_; }
  std::size_t size() const override { return rows_.size() / static_cast<std::size_t>(dim_); }
  bool ranks_by_dot() const noexcept override { return true; }
  std::size_t search(std::span<const float> query, std::span<Neighbor> out, const ItemFilter* filter, Scratch&) const override {
    const std::span<const float> rows = rows_;  // a span wherever one is read, under -Wconversion too
    std::vector<Neighbor> all;
    for (std::size_t i = 0; i < size(); ++i) {
      if (filter != nullptr && !filter->allows(static_cast<std::int64_t>(i))) continue;
      float sum = 0;
      for (std::size_t f = 0; f < query.size(); ++f) sum += query[f] * rows[i * query.size() + f];
      all.push_back({static_cast<std::int64_t>(i), sum});
    }
    std::stable_sort(all.begin(), all.end(), [](const Neighbor& a, const Neighbor& b) { return a.score > b.score; });
    const std::size_t n = std::min(out.size(), all.size());
    std::copy_n(all.begin(), n, out.begin());
    return n;
  }
  void save_state(StateWriter& w) const override {
    w.put_int("dim", dim_);
    w.put_array("rows", rows_);
  }
  static std::shared_ptr<VectorIndex> from_state(const StateReader& r) {
    return std::make_shared<Linear>(r.get_array<float>("rows"), static_cast<int>(r.get_int("dim", 1, 1 << 20)));
  }

 private:
  Array<float> rows_;
  int dim_;
};

class Editors final : public CandidateSource {
 public:
  Editors() : CandidateSource("editors") {}
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch&) const override {
    std::size_t n = 0;
    for (std::int32_t row = 0; row < query.num_items && n < out.size(); ++row)
      if (query.allows(row)) out[n++] = {row, 1.0f};
    return n;
  }
};

class Counter final : public StageListener {
 public:
  void on_stage(Stage, std::chrono::nanoseconds) noexcept override { ++stages; }
  std::atomic<int> stages{0};
};

/// Every option struct is checked by whoever links the library.
template <class... Options>
void validate(const Options&... options) {
  (options.validate(), ...);
}

float sum(std::span<const float> values) {
  float out = 0;
  for (const float v : values) out += v;
  return out;
}

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

void run(const std::string& path) {
  validate(AlsOptions(), EaseOptions(), ItemKnnOptions(), UserKnnOptions(), SlimOptions(), PopularityOptions(), TransitionsOptions(), SessionKnnOptions(),
           SequentialRulesOptions(), RepeatPurchaseOptions(), LinearSequenceOptions(), RandomWalkOptions(), EvaluationOptions(), ResamplingOptions(),
           SyntheticStoreOptions(), SpendLedgerOptions{{1}, 0, nullptr}, ItemIndexOptions(), EngineOptions());
  register_model("Newest", &Newest::from_state);
  register_index("Linear", &Linear::from_state);

  const SyntheticStore store = make_synthetic_store({.users = 200, .items = 80});
  const Interactions data = store.log().interactions();
  auto als = std::make_shared<AlsModel>(AlsOptions{.factors = 16, .iterations = 2});
  als->fit(data);
  als->set_index(std::make_shared<Linear>(als->item_factors(), als->factors()));
  SnapshotParts parts;
  parts.models = {{"als", als, RecommenderSource::Ask::kShopper}, {"newest", std::make_shared<Newest>(data.num_items()), RecommenderSource::Ask::kAnyone}};
  save(Snapshot(parts), path);

  parts = load_snapshot(path)->parts();
  const auto& loaded = dynamic_cast<const FactorModel&>(*parts.models[0].model);
  require(loaded.index() != nullptr && loaded.index()->kind() == "Linear" && parts.models[1].model->kind() == "Newest", "own classes come back");
  parts.mix.standard = default_mix(parts, Placement::kHome);
  parts.mix.standard.sources.push_back({"editors", 10, 100.0f});
  parts.sources.push_back(std::make_shared<Editors>());

  Array<float> ones(3);  // as a span where it is const, where it is not, and where it is a temporary
  ones.fill(1.0f);
  require(sum(ones) == 3.0f && sum(Array<float>(2)) == 0.0f && sum(std::as_const(ones)) == 3.0f, "arrays are spans");

  Counter counter;
  EngineOptions options;
  options.listener = &counter;
  Engine engine(options);
  engine.publish(std::make_shared<const Snapshot>(std::move(parts)));
  const Answer answer = engine.recommend({.user = "visitor-" + std::to_string(7), .k = 5});
  require(answer.items.size() == 5 && answer.items[0].source == "editors", "the own source answers");
  require(counter.stages > 0, "the own listener is told");
  std::printf("own model, index, source and listener: %zu products, %d stages\n", answer.items.size(), counter.stages.load());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    run(argv[1]);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
