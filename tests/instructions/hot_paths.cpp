// SPDX-License-Identifier: Apache-2.0
// One hot path on small fixed inputs, for check_instructions.py: valgrind counts what runs inside etalage_measured().
//   hot_paths            lists the paths
//   hot_paths PATH       prepares its input, runs it once
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include "etalage/etalage.hpp"

namespace {

using namespace etalage;
using Work = std::function<std::uint64_t()>;  // returns something that depends on the result

std::vector<float> random_floats(std::size_t n, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<float> out(n);
  for (float& x : out) x = static_cast<float>(random() >> 8) * 0x1p-24f - 0.5f;
  return out;
}

Interactions shop(std::int32_t users, std::int32_t items) {
  return make_synthetic_store({.users = users, .items = items, .seed = 7, .num_threads = 1}).log().interactions({.num_threads = 1});
}

std::shared_ptr<AlsModel> als(AlsSolver solver, int factors, int iterations, const Interactions& data) {
  auto model = std::make_shared<AlsModel>(AlsOptions{.factors = factors, .regularization = 0.003f, .alpha = 0.05f, .unobserved_weight = 0.05f,
                                                     .nu = 1, .iterations = iterations, .solver = solver, .compute_objective = false,
                                                     .num_threads = 1});
  model->fit(data);
  return model;
}

std::uint64_t bits(std::span<const ItemScore> out) {
  std::uint64_t sum = 0;
  for (const ItemScore& s : out) sum = sum * 31 + static_cast<std::uint64_t>(s.item);
  return sum;
}

Work als_fit(AlsSolver solver, int factors) {
  const auto data = std::make_shared<Interactions>(shop(400, 300));
  return [=] { return static_cast<std::uint64_t>(als(solver, factors, 2, *data)->item_factors()[0] * 1e6f); };
}

Work als_fold_in() {
  const auto model = als(AlsSolver::kConjugateGradient, 64, 2, shop(200, 300));
  return [model] {
    Scratch scratch;
    std::vector<ItemScore> out(20);
    const std::int32_t history[] = {3, 17, 40, 41, 90, 120, 151, 188, 201, 260};
    std::uint64_t sum = 0;
    for (int i = 0; i < 20; ++i) {
      model->recommend({.history = history}, out, scratch);
      sum += bits(out);
    }
    return sum;
  };
}

Work top_k(bool batch) {
  const auto users = random_floats(std::size_t{256} * 64, 1);
  const auto items = random_floats(std::size_t{5000} * 64, 2);
  const auto model = std::make_shared<VectorsModel>(MatrixView<const float>{users.data(), 256, 64}, MatrixView<const float>{items.data(), 5000, 64});
  return [model, batch] {
    std::vector<Query> queries(batch ? 256 : 16);
    for (std::size_t u = 0; u < queries.size(); ++u) queries[u].user = static_cast<std::int32_t>(u);
    std::vector<ItemScore> out(queries.size() * 20);
    if (batch) {
      std::vector<std::size_t> counts(queries.size());
      model->recommend_batch(queries, {out.data(), queries.size(), 20}, counts, 1);
    } else {
      Scratch scratch;
      for (std::size_t u = 0; u < queries.size(); ++u) model->recommend(queries[u], {out.data() + u * 20, 20}, scratch);
    }
    return bits(out);
  };
}

Work index_search(IndexKind kind) {
  const auto vectors = random_floats(std::size_t{4000} * 32, 3);
  const auto index = std::make_shared<ItemIndex>(32, IndexMetric::kCosine, kind, ItemIndexOptions{.num_threads = 1, .deterministic = true});
  std::vector<std::int64_t> ids(4000);
  std::iota(ids.begin(), ids.end(), 0);
  index->add({vectors.data(), ids.size(), 32}, ids);
  return [index] {
    const auto queries = random_floats(std::size_t{50} * 32, 4);
    Scratch scratch;
    std::vector<Neighbor> out(10);
    std::uint64_t sum = 0;
    for (std::size_t q = 0; q < 50; ++q) {
      index->search({queries.data() + q * 32, 32}, out, nullptr, scratch);
      sum += static_cast<std::uint64_t>(out[0].id);
    }
    return sum;
  };
}

template <class Model>
Work neighbours(Model model) {
  const auto data = std::make_shared<Interactions>(shop(600, 300));
  const auto shared = std::make_shared<Model>(std::move(model));
  return [=] {
    shared->fit(*data);
    return static_cast<std::uint64_t>(shared->weights().columns.size());
  };
}

Work events_to_matrix() {
  const auto log = std::make_shared<EventLog>(make_synthetic_store({.users = 500, .items = 300, .seed = 7, .num_threads = 1}).log());
  return [log] { return static_cast<std::uint64_t>(log->interactions({.num_threads = 1}).user_items().columns.size()); };
}

Work csv() {
  const auto path = std::filesystem::temp_directory_path() / ("hot_paths_" + std::to_string(::getpid()) + ".csv");
  {
    std::ofstream file(path);
    file << "user,item,time\n";
    std::mt19937 random(5);
    for (int i = 0; i < 5000; ++i) file << "shopper-" << random() % 700 << ",sku-" << random() % 300 << ",2024-03-0" << random() % 9 + 1 << "T10:11:12Z\n";
  }
  return [path] {
    const EventLog log = read_events_csv(path, {.user = "user", .item = "item", .time = "time", .num_threads = 1});
    std::filesystem::remove(path);
    return static_cast<std::uint64_t>(log.num_users());
  };
}

Work evaluation() {
  const auto data = std::make_shared<Interactions>(shop(400, 300));
  const auto model = std::make_shared<PopularityModel>();
  model->fit(*data);
  return [=] {
    const Evaluation e = evaluate(*model, *data, *data, {.k = {10, 20}, .metrics = {"recall", "ndcg"}, .exclude_seen = false, .num_threads = 1});
    return static_cast<std::uint64_t>(e.value("recall@20") * 1e6);
  };
}

const std::map<std::string, std::function<Work()>> kPaths = {
    {"als_cg_64", [] { return als_fit(AlsSolver::kConjugateGradient, 64); }},
    {"als_cholesky_32", [] { return als_fit(AlsSolver::kCholesky, 32); }},
    {"als_fold_in_64", als_fold_in},
    {"als_subspace_64", [] { return als_fit(AlsSolver::kSubspace, 64); }},
    {"csv_to_events", csv},
    {"evaluate", evaluation},
    {"events_to_matrix", events_to_matrix},
    {"index_exact_search", [] { return index_search(IndexKind::kExact); }},
#ifdef ETALAGE_TEST_FAISS
    {"index_hnsw_search", [] { return index_search(IndexKind::kHnsw); }},
#endif
    {"index_ivf_pq_search", [] { return index_search(IndexKind::kIvfPq); }},
    {"item_knn_fit", [] { return neighbours(ItemKnnModel({.similarity = Similarity::kCosine, .num_neighbors = 50, .num_threads = 1})); }},
    {"rp3beta_fit", [] { return neighbours(RandomWalkModel({.alpha = 1, .beta = 0.3f, .num_neighbors = 50, .num_threads = 1})); }},
    {"top_k_batch_64", [] { return top_k(true); }},
    {"top_k_single_64", [] { return top_k(false); }},
};

}  // namespace

extern "C" __attribute__((noinline, visibility("default"))) std::uint64_t etalage_measured(const void* work) {
  return (*static_cast<const Work*>(work))();
}

int main(int argc, char** argv) {
  if (argc != 2) {
    for (const auto& [name, make] : kPaths) std::printf("%s\n", name.c_str());
    return 0;
  }
  const auto found = kPaths.find(argv[1]);
  if (found == kPaths.end()) {
    std::fprintf(stderr, "there is no path %s\n", argv[1]);
    return 2;
  }
  const Work work = found->second();
  std::printf("%llu\n", static_cast<unsigned long long>(etalage_measured(&work)));
  return 0;
}
