// SPDX-License-Identifier: Apache-2.0
// How far above its mean the best rows of a list are expected, learned from rows held out: taken where that reads fewer rows than
// the nearest means do, the same for any number of threads, and kept in files.
#include "retrieval/lists/list_reach.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"
#include "retrieval/lists/ivf_pq.hpp"
#include "retrieval/scorer.hpp"
#include "retrieval/store_of_vectors.hpp"

namespace etalage::retrieval {
namespace {

using test::id_range;
using test::store_of;
using test::Vectors;

constexpr std::size_t kRows = 12000;

/// Unit rows around 100 directions, from tight to wide.
Vectors mixed(std::size_t rows, std::size_t dim, std::uint32_t seed) {
  Vectors v = test::clustered(100, dim, 100, 5);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Vectors out{dim, std::vector<float>(rows * dim)};
  std::vector<float> row(dim);
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t c = random() % 100;
    for (std::size_t f = 0; f < dim; ++f) row[f] = v.data[c * dim + f] + (0.1f + 0.02f * static_cast<float>(c)) * normal(random);
    normalize(row.data(), dim, &out.data[i * dim]);
  }
  return out;
}

struct Trained {
  Trained(std::size_t dim, int threads) : rows(mixed(kRows, dim, 1)), store(store_of(rows)) {
    ItemIndexOptions options;
    options.nlist = 150;
    lists = IvfPq::train(store, IndexMetric::kCosine, options, false, threads);
  }
  /// (rank - product) of each list for a query, |mean|^2 / 2, both by the rows of the lists.
  void measure(const float* query, std::vector<double>& added, std::vector<double>& half_norms) const {
    SearchScratch s;
    lists->visit(IndexMetric::kCosine, query, 1, 1, s, [](std::size_t) { return std::size_t{1}; });
    for (std::size_t l = 0; l < lists->num_lists(); ++l) {
      const IvfPq::Stretch rows_of = lists->stretch(l);
      if (rows_of.count == 0) continue;
      std::vector<double> mean(store.dim);
      for (std::size_t i = 0; i < rows_of.count; ++i)
        for (std::size_t f = 0; f < store.dim; ++f) mean[f] += static_cast<double>(store.vector(rows_of.row(i))[f]) / static_cast<double>(rows_of.count);
      double dot = 0, norm2 = 0;
      for (std::size_t f = 0; f < store.dim; ++f) {
        dot += mean[f] * static_cast<double>(query[f]);
        norm2 += mean[f] * mean[f];
      }
      added.push_back(static_cast<double>(s.list_ranks[l]) - dot);
      half_norms.push_back(norm2 / 2);
    }
  }
  Vectors rows;
  ItemStore store;
  std::shared_ptr<IvfPq> lists;
};

TEST(ListReach, DeviationIsOneDirectionsPartOfTheSpread) {
  EXPECT_FLOAT_EQ(unit_deviation(0.18f, 64), 0.1f);  // |c| = .6, so .64 in 64 directions
  EXPECT_EQ(unit_deviation(0.5f, 64), 0.0f);
  EXPECT_EQ(unit_deviation(0.5001f, 64), 0.0f);  // rounded above 1
}

TEST(ListReach, RanksListsOfManyDimensionsByWhatTheirBestRowsReach) {
  const Trained t(64, 2);
  ASSERT_NE(t.lists, nullptr);
  const Vectors queries = mixed(3, 64, 2);
  double reach = -1;
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    std::vector<double> added, half_norms;
    t.measure(queries.row(q).data(), added, half_norms);
    for (std::size_t l = 0; l < added.size(); ++l) {
      const double deviation = std::sqrt(std::max(1 - 2 * half_norms[l], 0.0) / 64);
      if (deviation < 0.01) continue;
      if (reach < 0) reach = std::round(added[l] / deviation);
      EXPECT_NEAR(added[l], reach * deviation, 1e-3) << "list " << l;
    }
  }
  EXPECT_GE(reach, 1);
  EXPECT_LE(reach, 5);
}

TEST(ListReach, LeavesTheNearestMeansWhereTheyReadLess) {
  const Trained t(3, 2);  // on a sphere rows of a list end at its border
  ASSERT_NE(t.lists, nullptr);
  std::vector<double> added, half_norms;
  t.measure(t.rows.row(0).data(), added, half_norms);
  for (std::size_t l = 0; l < added.size(); ++l) EXPECT_NEAR(added[l], -half_norms[l], 1e-5) << "list " << l;
}

TEST(ListReach, AnyNumberOfThreadsGivesTheSameRanks) {
  const Trained one(48, 1), three(48, 3);
  ASSERT_NE(one.lists, nullptr);
  SearchScratch a, b;
  const auto first = [](std::size_t) { return std::size_t{1}; };
  one.lists->visit(IndexMetric::kCosine, one.rows.row(7).data(), 1, 1, a, first);
  three.lists->visit(IndexMetric::kCosine, one.rows.row(7).data(), 1, 1, b, first);
  for (std::size_t l = 0; l < one.lists->num_lists(); ++l) ASSERT_EQ(a.list_ranks[l], b.list_ranks[l]);
}

TEST(ListReach, OutlivesFiles) {
  const Vectors rows = mixed(kRows, 64, 1), queries = mixed(40, 64, 2);
  for (const IndexKind kind : {IndexKind::kIvf, IndexKind::kIvfPq}) {
    ItemIndexOptions options;
    options.nlist = 150;
    options.nprobe = 3;
    ItemIndex index(64, IndexMetric::kCosine, kind, options);
    index.add(rows.view(), id_range(0, kRows));
    const auto again = load_index_from_memory(save_to_memory(index));
    const auto before = test::search_all(index, queries, 10), after = test::search_all(*again, queries, 10);
    for (std::size_t q = 0; q < before.size(); ++q) {
      ASSERT_EQ(before[q].size(), after[q].size());
      for (std::size_t j = 0; j < before[q].size(); ++j) {
        EXPECT_EQ(before[q][j].id, after[q][j].id);
        EXPECT_EQ(before[q][j].score, after[q][j].score);
      }
    }
  }
}

}  // namespace
}  // namespace etalage::retrieval
