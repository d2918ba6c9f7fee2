// SPDX-License-Identifier: Apache-2.0
// Which lists a search reads: the best ones by their ranks, however many, and further ones while rows are missing.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "retrieval/index_data.hpp"
#include "retrieval/lists/ivf_pq.hpp"
#include "retrieval/store_of_vectors.hpp"

namespace etalage::retrieval {
namespace {

using test::store_of;
using test::Vectors;

constexpr std::size_t kDim = 8;
constexpr std::size_t kLists = 600;

class ListChoice : public testing::Test {
 protected:
  ListChoice() {
    ItemIndexOptions options;
    options.nlist = static_cast<int>(kLists);
    lists_ = IvfPq::train(store_of(test::clustered(30 * kLists, kDim, 300, 1)), IndexMetric::kL2, options, false, 2);
  }
  /// Lists in the order in which they are read.
  std::vector<std::size_t> read(const float* query, std::size_t least, int nprobe, SearchScratch& s) const {
    std::vector<std::size_t> out;
    lists_->visit(IndexMetric::kL2, query, least, nprobe, s, [&](std::size_t list) {
      out.push_back(list);
      return lists_->stretch(list).count;
    });
    return out;
  }
  std::shared_ptr<IvfPq> lists_;
};

TEST_F(ListChoice, IsTheBestByRankWhateverTheirNumber) {
  ASSERT_NE(lists_, nullptr);
  ASSERT_EQ(lists_->num_lists(), kLists);
  const Vectors queries = test::clustered(20, kDim, 300, 2);
  SearchScratch s;
  for (std::size_t q = 0; q < queries.rows(); ++q)
    for (const int nprobe : {1, 7, 31, 32, 33, 60, 129, 255, 500, 599, 600, 900}) {
      const auto found = read(queries.row(q).data(), 1, nprobe, s);
      std::vector<std::size_t> best(kLists);
      for (std::size_t l = 0; l < kLists; ++l) best[l] = l;
      std::stable_sort(best.begin(), best.end(), [&](std::size_t a, std::size_t b) { return s.list_ranks[a] > s.list_ranks[b]; });
      const std::size_t wanted = std::min<std::size_t>(static_cast<std::size_t>(nprobe), kLists);
      ASSERT_EQ(found.size(), wanted) << "nprobe " << nprobe;
      EXPECT_EQ(found[0], best[0]) << "nprobe " << nprobe;
      EXPECT_EQ(std::set<std::size_t>(found.begin(), found.end()),
                std::set<std::size_t>(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(wanted)))
          << "nprobe " << nprobe;
    }
}

TEST_F(ListChoice, GoesOnWhileRowsAreMissing) {
  ASSERT_NE(lists_, nullptr);
  const Vectors queries = test::clustered(5, kDim, 300, 3);
  SearchScratch s;
  for (std::size_t q = 0; q < queries.rows(); ++q)
    for (const int nprobe : {1, 40}) {
      for (const std::size_t least : {std::size_t{100}, std::size_t{5000}, 30 * kLists}) {
        const auto found = read(queries.row(q).data(), least, nprobe, s);
        EXPECT_EQ(std::set<std::size_t>(found.begin(), found.end()).size(), found.size());
        std::size_t rows = 0;
        for (const std::size_t list : found) rows += lists_->stretch(list).count;
        EXPECT_GE(rows, least);
        if (found.size() > static_cast<std::size_t>(nprobe)) {
          EXPECT_LT(rows - lists_->stretch(found.back()).count, least);
        }
      }
    }
}

}  // namespace
}  // namespace etalage::retrieval
