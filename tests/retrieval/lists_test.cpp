// SPDX-License-Identifier: Apache-2.0
// Lists whose rows lie together: answers of a batch are those of its queries alone and, where every list is read, of
// brute force, while rows come and go; the order of insertion outlives the sorting.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"

namespace etalage {
namespace {

using test::id_range;
using test::Vectors;

constexpr std::size_t kDim = 24;

using Answers = std::vector<std::vector<Neighbor>>;

Answers batch(const ItemIndex& index, const Vectors& queries, std::size_t k, int threads) {
  std::vector<Neighbor> all(queries.rows() * k);
  std::vector<std::size_t> counts(queries.rows(), 999);
  index.search_batch(queries.view(), {all.data(), queries.rows(), k}, counts, {}, threads);
  Answers out;
  for (std::size_t i = 0; i < queries.rows(); ++i)
    out.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(i * k), all.begin() + static_cast<std::ptrdiff_t>(i * k + counts.at(i)));
  return out;
}

void expect_equal(const Answers& a, const Answers& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].size(), b[i].size()) << what << ", query " << i;
    for (std::size_t j = 0; j < a[i].size(); ++j) {
      ASSERT_EQ(a[i][j].id, b[i][j].id) << what << ", query " << i << ", rank " << j;
      ASSERT_EQ(a[i][j].score, b[i][j].score) << what << ", query " << i << ", rank " << j;
    }
  }
}

/// Some without length, some too long for codes, copies, and ties among rows.
Vectors odd(Vectors v) {
  for (std::size_t f = 0; f < v.dim; ++f) {
    v.data[f] = 0;
    v.data[5 * v.dim + f] *= 1e9f;
    v.data[6 * v.dim + f] *= 1e-12f;
    for (std::size_t r = 40; r < 60; ++r) v.data[r * v.dim + f] = v.data[39 * v.dim + f];
  }
  return v;
}

class Lists : public testing::TestWithParam<IndexMetric> {
 protected:
  void expect_batches_as_singles(const ItemIndex& index, const Vectors& queries, const std::string& what) const {
    for (const std::size_t k : {1u, 10u, 70u}) {
      const Answers alone = test::search_all(index, queries, k);
      for (const int threads : {1, 2, 5}) expect_equal(batch(index, queries, k, threads), alone, what + " k " + std::to_string(k));
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Metrics, Lists, testing::Values(IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2));

TEST_P(Lists, ABatchAnswersAsItsQueriesWhileRowsComeAndGo) {
  Vectors items = odd(test::heavy_tailed(6000, kDim, 1));
  const Vectors queries = odd(test::clustered(130, kDim, 40, 2));
  ItemIndex index(kDim, GetParam(), IndexKind::kIvf, {.compact_share = 1.0, .num_threads = 2});
  index.add(items.slice(0, 4000).view(), id_range(0, 4000));
  for (const int nprobe : {1, 4, 20}) {
    index.set_nprobe(nprobe);
    expect_batches_as_singles(index, queries, "sorted, nprobe " + std::to_string(nprobe));
  }
  index.set_nprobe(4);
  index.add(items.slice(4000, 5000).view(), id_range(4000, 1000));
  expect_batches_as_singles(index, queries, "appended");
  index.remove(id_range(0, 700, 3));
  index.update(items.slice(5000, 5500).view(), id_range(1, 500, 3));
  expect_batches_as_singles(index, queries, "removed");
  const auto back = load_index_from_memory(save_to_memory(index));
  expect_equal(batch(*back, queries, 10, 2), batch(index, queries, 10, 1), "loaded");
  EXPECT_EQ(back->ids(), index.ids());
  back->add(items.slice(5500, 6000).view(), id_range(5500, 500));
  index.add(items.slice(5500, 6000).view(), id_range(5500, 500));
  expect_equal(batch(*back, queries, 10, 2), batch(index, queries, 10, 1), "gone on from a file");
  // A whole list may die.
  std::vector<std::int64_t> nearest;
  const Answers of_one = test::search_all(index, queries.slice(9, 10), 60);
  for (const Neighbor& n : of_one[0]) nearest.push_back(n.id);
  index.remove(nearest);
  expect_batches_as_singles(index, queries, "the nearest removed");
  index.compact();
  EXPECT_EQ(index.dead_rows(), 0u);
  expect_batches_as_singles(index, queries, "compacted");
}

TEST_P(Lists, AllListsAreBruteForce) {
  const Vectors items = odd(test::heavy_tailed(5000, kDim, 3));
  const Vectors queries = odd(test::clustered(64, kDim, 40, 4));
  ItemIndex exact(kDim, GetParam(), IndexKind::kExact);
  // Just below the share of lists at which a search reads all rows in the first place.
  ItemIndex index(kDim, GetParam(), IndexKind::kIvf, {.nlist = 30, .nprobe = 14, .compact_share = 1.0});
  for (ItemIndex* i : {&exact, &index}) {
    i->add(items.slice(0, 4000).view(), id_range(0, 4000));
    i->add(items.slice(4000, 5000).view(), id_range(4000, 1000));
    i->remove(id_range(1, 800, 5));
  }
  const Answers truth = test::search_all(exact, queries, 10);
  const Answers found = batch(index, queries, 10, 2);
  EXPECT_GE(test::recall(found, truth), 0.97);
  // Whatever was found is scored as it is in a full scan.
  for (std::size_t i = 0; i < found.size(); ++i)
    for (const Neighbor& n : found[i])
      for (const Neighbor& t : truth[i])
        if (n.id == t.id) {
          EXPECT_EQ(n.score, t.score);
        }
  index.set_nprobe(30);
  expect_equal(batch(index, queries, 10, 2), truth, "all lists");
}

// However a filter says which ids pass, the same lists are read, and what is found in them is in order and scored in full.
TEST_P(Lists, AFilterIsReadInAnyForm) {
  const Vectors items = odd(test::heavy_tailed(6000, kDim, 7));
  const Vectors queries = odd(test::clustered(64, kDim, 40, 8));
  ItemIndex index(kDim, GetParam(), IndexKind::kIvf, {.nlist = 60, .nprobe = 1, .compact_share = 1.0});
  ItemIndex exact(kDim, GetParam(), IndexKind::kExact);
  for (ItemIndex* i : {&exact, &index}) i->add(items.slice(0, 5000).view(), id_range(0, 5000));
  std::vector<std::uint8_t> mask(5900);  // ends before the last id
  std::vector<std::int64_t> denied;
  for (std::size_t i = 0; i < 6000; ++i) {
    if (i < mask.size()) mask[i] = i % 7 < 4;
    if (i >= mask.size() || mask[i] == 0) denied.push_back(static_cast<std::int64_t>(i));
  }
  const ItemFilter bits = ItemFilter::from_mask(mask);
  const ItemFilter both = ItemFilter::from_mask(mask) & ItemFilter::deny({1});
  const ItemFilter complement = ItemFilter::deny(denied);
  const ItemFilter listed = ItemFilter::allow(bits.allowed_ids());
  ASSERT_FALSE(bits.allowed_bits().empty());
  ASSERT_TRUE(both.allowed_bits().empty());
  const auto expect = [&](const std::string& what) {
    for (const std::size_t k : {1u, 20u, 40u, 100u}) {
      const Answers found = test::search_all(index, queries, k, &bits);
      expect_equal(test::search_all(index, queries, k, &listed), found, what + ", listed, k " + std::to_string(k));
      const Answers truth = test::search_all(exact, queries, 6000, &bits);
      // All in the order of the truth, with its scores; of more denied ids an index may take fewer or more lists.
      for (const ItemFilter* form : {&bits, &complement, &both}) {
        const Answers answers = test::search_all(index, queries, k, form);
        for (std::size_t q = 0; q < answers.size(); ++q) {
          ASSERT_EQ(answers[q].size(), k);
          std::size_t at = 0;
          for (const Neighbor& n : answers[q]) {
            ASSERT_TRUE(form->allows(n.id));
            while (at < truth[q].size() && truth[q][at].id != n.id) ++at;
            ASSERT_LT(at, truth[q].size()) << what << ", query " << q << ", id " << n.id;
            ASSERT_EQ(n.score, truth[q][at].score);
          }
        }
      }
    }
  };
  expect("sorted");
  for (ItemIndex* i : {&exact, &index}) i->add(items.slice(5000, 6000).view(), id_range(5000, 1000));
  expect("appended");
  for (ItemIndex* i : {&exact, &index}) i->remove(id_range(2, 500, 3));
  expect("removed");
}

TEST_P(Lists, KeepTheOrderOfInsertion) {
  const Vectors items = test::clustered(4000, kDim, 20, 5);
  ItemIndex index(kDim, GetParam(), IndexKind::kIvf, {.compact_share = 1.0});
  std::vector<std::int64_t> expected = id_range(9000, 2500, -3);
  index.add(items.slice(0, 2500).view(), expected);
  EXPECT_EQ(index.ids(), expected);
  index.add(items.slice(2500, 3000).view(), id_range(10000, 500));
  for (std::int64_t id = 10000; id < 10500; ++id) expected.push_back(id);
  EXPECT_EQ(index.ids(), expected);
  // An updated item counts as inserted anew.
  const std::vector<std::int64_t> updated{8997, 10100, 9000, 6000};
  index.update(items.slice(3000, 3004).view(), updated);
  const std::vector<std::int64_t> removed{8994, 10499, 4500};
  index.remove(removed);
  const auto gone = [&](std::int64_t id) {
    return std::find(updated.begin(), updated.end(), id) != updated.end() || std::find(removed.begin(), removed.end(), id) != removed.end();
  };
  expected.erase(std::remove_if(expected.begin(), expected.end(), gone), expected.end());
  expected.insert(expected.end(), updated.begin(), updated.end());
  EXPECT_EQ(index.ids(), expected);
  EXPECT_EQ(load_index_from_memory(save_to_memory(index))->ids(), expected);
  index.compact();
  EXPECT_EQ(index.ids(), expected);
  index.compact();
  EXPECT_EQ(index.ids(), expected);
  EXPECT_EQ(load_index_from_memory(save_to_memory(index))->ids(), expected);
}

TEST_P(Lists, RepeatForAnyNumberOfThreads) {
  const Vectors items = test::clustered(4000, kDim, 20, 6);
  const Vectors queries = test::clustered(100, kDim, 20, 7);
  Answers first;
  for (const int threads : {1, 3}) {
    ItemIndex index(kDim, GetParam(), IndexKind::kIvf, {.nprobe = 2, .num_threads = threads});
    index.add(items.view(), id_range(0, 4000));
    Answers found = batch(index, queries, 10, threads);
    if (first.empty()) first = found;
    expect_equal(found, first, "threads " + std::to_string(threads));
  }
}

}  // namespace
}  // namespace etalage
