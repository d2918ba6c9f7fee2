// SPDX-License-Identifier: Apache-2.0
// Quality on Gowalla as the published rows measure it: train + valid -> test, the whole catalogue ranked without the
// training items. Settings were chosen on the last fifth of each row of train (bench/quality/gowalla_als.py).
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "etalage/models/als.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

using Rows = std::vector<std::vector<std::int32_t>>;

std::filesystem::path gowalla() {
  if (const char* data = std::getenv("ETALAGE_DATA")) return std::filesystem::path(data) / "gowalla";
  return std::filesystem::path(::etalage::testing::tests_dir()).parent_path().parent_path() / "shared" / "data" / "gowalla";
}

/// Adds "user item item ..." lines to rows.
void read_into(const std::filesystem::path& path, Rows& rows, std::int32_t& items) {
  gzFile file = gzopen(path.c_str(), "rb");
  ASSERT_NE(file, nullptr) << path;
  std::string text;
  std::vector<char> block(1 << 20);
  for (int n; (n = gzread(file, block.data(), static_cast<unsigned>(block.size()))) > 0;)
    text.append(block.data(), static_cast<std::size_t>(n));
  gzclose(file);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::size_t user = 0;
    if (!(in >> user)) continue;
    if (rows.size() <= user) rows.resize(user + 1);
    for (std::int32_t item = 0; in >> item;) {
      rows[user].push_back(item);
      items = std::max(items, item + 1);
    }
  }
}

struct Quality {
  double recall = 0;
  double ndcg = 0;
};

class GowallaAls : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(gowalla() / "train.txt.gz"))
      GTEST_SKIP() << "no Gowalla data: set ETALAGE_DATA to the folder that holds gowalla/";
    std::int32_t items = 0;
    Rows train;
    read_into(gowalla() / "train.txt.gz", train, items);
    read_into(gowalla() / "valid.txt.gz", train, items);
    read_into(gowalla() / "test.txt.gz", test_, items);
    test_.resize(train.size());
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> columns;
    for (auto& row : train) {
      columns.insert(columns.end(), row.begin(), row.end());
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    data_ = Interactions({static_cast<std::int64_t>(train.size()), items, Array<std::int64_t>(offsets),
                          Array<std::int32_t>(columns), Array<float>(std::vector<float>(columns.size(), 1.0f))});
    for (auto& row : test_) std::sort(row.begin(), row.end());
  }

  static AlsOptions options(int factors) {
    AlsOptions o;
    o.factors = factors;
    o.alpha = o.unobserved_weight = 0.02f;
    o.nu = 1;
    o.regularization = 0.003f;
    o.iterations = 14;
    o.compute_objective = false;
    return o;
  }

  Quality measure(const AlsOptions& o) const {
    AlsModel model(o);
    model.fit(data_);
    constexpr std::size_t k = 20;
    std::vector<Query> queries(test_.size());
    for (std::size_t u = 0; u < queries.size(); ++u) queries[u].user = static_cast<std::int32_t>(u);
    std::vector<ItemScore> out(queries.size() * k);
    std::vector<std::size_t> counts(queries.size());
    model.recommend_batch(queries, {out.data(), queries.size(), k}, counts);
    Quality q;
    std::size_t users = 0;
    for (std::size_t u = 0; u < test_.size(); ++u) {
      if (test_[u].empty()) continue;
      ++users;
      double hits = 0;
      double gain = 0;
      double ideal = 0;
      for (std::size_t i = 0; i < counts[u]; ++i) {
        if (!std::binary_search(test_[u].begin(), test_[u].end(), out[u * k + i].item)) continue;
        hits += 1;
        gain += 1 / std::log2(static_cast<double>(i) + 2);
      }
      for (std::size_t i = 0; i < std::min(k, test_[u].size()); ++i) ideal += 1 / std::log2(static_cast<double>(i) + 2);
      q.recall += hits / static_cast<double>(test_[u].size());
      q.ndcg += gain / ideal;
    }
    q.recall /= static_cast<double>(users);
    q.ndcg /= static_cast<double>(users);
    return q;
  }

  Interactions data_;
  Rows test_;
};

TEST_F(GowallaAls, EverySolverReachesTheFloorAt128FactorsAndIsCloseToCholesky) {
  AlsOptions o = options(128);
  o.solver = AlsSolver::kCholesky;
  const Quality exact = measure(o);
  EXPECT_GE(exact.recall, 0.163);
  EXPECT_GE(exact.ndcg, 0.136);
  for (const AlsSolver solver : {AlsSolver::kConjugateGradient, AlsSolver::kSubspace}) {
    o.solver = solver;
    const Quality q = measure(o);
    RecordProperty(solver == AlsSolver::kSubspace ? "subspace_recall" : "cg_recall", std::to_string(q.recall));
    EXPECT_GE(q.recall, 0.163);
    EXPECT_GE(q.ndcg, 0.136);
    EXPECT_GE(q.recall, 0.995 * exact.recall);
    EXPECT_GE(q.ndcg, 0.995 * exact.ndcg);
  }
}

TEST_F(GowallaAls, ReachesTheFloorAt256Factors) {
  const Quality q = measure(options(256));
  EXPECT_GE(q.recall, 0.172);
  EXPECT_GE(q.ndcg, 0.142);
}

}  // namespace
}  // namespace etalage
