// SPDX-License-Identifier: Apache-2.0
// Lists keep their rows split between records and what these leave out: answers and vectors are those of whole rows, whatever
// happens to the index.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/index_rows.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"

namespace etalage {
namespace {

using test::id_range;
using test::Vectors;

/// Zero, tiny, huge, denormal, sparse and repeated rows among others.
Vectors strange(std::size_t rows, std::size_t dim, std::uint32_t seed) {
  Vectors v = test::heavy_tailed(rows, dim, seed);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t f = 0; f < dim; ++f) {
      float& x = v.data[i * dim + f];
      switch (i % 41) {
        case 3: x = f % 2 == 0 ? 0.0f : -0.0f; break;
        case 5: x *= 1e-33f; break;
        case 8: x *= 1e10f; break;
        case 13: x = f == 2 ? std::numeric_limits<float>::denorm_min() : x; break;
        case 17: x = f == i % dim ? -2.0f : 0.0f; break;
        case 20: x = 0.5f; break;
        case 22: x = f == 0 ? 1.0f : 3e-7f; break;
        default: break;
      }
    }
  return v;
}

class SplitIndex : public testing::TestWithParam<IndexMetric> {
 protected:
  static constexpr std::size_t kDim = 20;
  void expect_same(const ItemIndex& split, const ItemIndex& whole, const std::string& what) const {
    const Vectors queries = test::clustered(33, kDim, 40, 9);
    const std::vector<std::int64_t> some = id_range(0, 900, 7);
    const ItemFilter filter = ItemFilter::allow(some);
    for (const ItemFilter* f : {static_cast<const ItemFilter*>(nullptr), &filter})
      for (const std::size_t k : {10u, 50u}) {
        const auto a = test::search_all(split, queries, k, f);
        const auto b = test::search_all(whole, queries, k, f);
        std::vector<Neighbor> together(queries.rows() * k);
        std::vector<std::size_t> counts(queries.rows());
        const std::vector<const ItemFilter*> filters(f == nullptr ? 0 : 1, f);
        split.search_batch(queries.view(), {together.data(), queries.rows(), k}, counts, filters, 2);
        for (std::size_t q = 0; q < queries.rows(); ++q) {
          ASSERT_EQ(a[q].size(), b[q].size()) << what;
          ASSERT_EQ(counts[q], b[q].size()) << what;
          for (std::size_t i = 0; i < a[q].size(); ++i) {
            ASSERT_EQ(a[q][i].id, b[q][i].id) << what << ", query " << q << ", rank " << i;
            ASSERT_EQ(a[q][i].score, b[q][i].score) << what << ", query " << q << ", rank " << i;
            ASSERT_EQ(together[q * k + i].id, b[q][i].id) << what;
            ASSERT_EQ(together[q * k + i].score, b[q][i].score) << what;
          }
        }
      }
    const IndexRows x = rows_of(split);
    const IndexRows y = rows_of(whole);
    ASSERT_EQ(x.ids.size(), y.ids.size());
    std::vector<std::size_t> place(10000);
    for (std::size_t r = 0; r < y.ids.size(); ++r) place[static_cast<std::size_t>(y.ids[r])] = r;
    for (std::size_t r = 0; r < x.ids.size(); ++r)
      ASSERT_EQ(std::memcmp(x.vectors.data() + r * kDim, y.vectors.data() + place[static_cast<std::size_t>(x.ids[r])] * kDim, kDim * sizeof(float)), 0)
          << what << ", id " << x.ids[r];
  }
};
INSTANTIATE_TEST_SUITE_P(Metrics, SplitIndex, testing::Values(IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2));

TEST_P(SplitIndex, AnswersAsWholeRowsThroughAllChanges) {
  // Every list is read, so that answers are those of an index that reads all rows.
  const Vectors items = strange(7000, kDim, 1);
  auto split = std::make_shared<ItemIndex>(static_cast<int>(kDim), GetParam(), IndexKind::kIvf, ItemIndexOptions{.nlist = 30, .nprobe = 30, .compact_share = 1.0});
  ItemIndex whole(static_cast<int>(kDim), GetParam(), IndexKind::kExact, {.compact_share = 1.0});
  const auto both = [&](const auto& change) {
    change(*split);
    change(whole);
  };
  both([&](ItemIndex& ix) { ix.add(items.slice(0, 4000).view(), id_range(0, 4000)); });
  expect_same(*split, whole, "trained");
  const std::size_t trained = split->memory_bytes();
  both([&](ItemIndex& ix) { ix.add(items.slice(4000, 4100).view(), id_range(4000, 100)); });
  both([&](ItemIndex& ix) { ix.add(items.slice(4100, 5000).view(), id_range(4100, 900)); });
  expect_same(*split, whole, "appended");
  EXPECT_GT(split->memory_bytes(), trained);
  both([&](ItemIndex& ix) { ix.remove(id_range(0, 500, 5)); });
  both([&](ItemIndex& ix) { ix.update(items.slice(5000, 5400).view(), id_range(1, 400, 5)); });
  expect_same(*split, whole, "changed");
  split = load_index_from_memory(save_to_memory(*split));
  expect_same(*split, whole, "loaded");
  both([&](ItemIndex& ix) { ix.add(items.slice(5400, 6000).view(), id_range(5400, 600)); });
  both([&](ItemIndex& ix) { ix.update(items.slice(6000, 6100).view(), id_range(5400, 100)); });
  expect_same(*split, whole, "changed after loading");
  split->compact();
  expect_same(*split, whole, "compacted");
  split = load_index_from_memory(save_to_memory(*split));
  both([&](ItemIndex& ix) { ix.remove(id_range(5000, 2000)); });
  split->compact();
  expect_same(*split, whole, "compacted after loading");
  // So few are left that there are no lists any more.
  both([&](ItemIndex& ix) { ix.remove(id_range(100, 7000)); });
  split->compact();
  expect_same(*split, whole, "untrained again");
  both([&](ItemIndex& ix) { ix.add(items.slice(6100, 7000).view(), id_range(6100, 900)); });
  expect_same(*split, whole, "trained again");
}

TEST_P(SplitIndex, FilesAreReadWhereTheyLie) {
  const std::string path = ::testing::TempDir() + "split_index_" + std::to_string(static_cast<int>(GetParam())) + ".etalage";
  const Vectors items = strange(3000, kDim, 2);
  ItemIndex index(static_cast<int>(kDim), GetParam(), IndexKind::kIvf, {.nlist = 20, .nprobe = 20});
  index.add(items.view(), id_range(0, 3000));
  ItemIndex whole(static_cast<int>(kDim), GetParam(), IndexKind::kExact, {});
  whole.add(items.view(), id_range(0, 3000));
  save(index, path);
  for (const Verify verify : {Verify::kFull, Verify::kHeader}) {
    const auto mapped = load_index(path, {.verify = verify});
    expect_same(*mapped, whole, "mapped");
    EXPECT_LE(mapped->memory_bytes(), index.memory_bytes());
  }
  std::filesystem::remove(path);
}

TEST(SplitIndexMemory, IsThatOfFloatsAndALittle) {
  constexpr std::size_t kRows = 20000;
  constexpr std::size_t kDim = 96;
  ItemIndex index(kDim, IndexMetric::kCosine, IndexKind::kIvf, {});
  index.add(test::clustered(kRows, kDim, 50, 1).view(), id_range(0, kRows));
  const double bytes = static_cast<double>(index.memory_bytes()) / kRows;
  // 16 of bounds a record; ids, their table and whether rows are alive; centroids.
  EXPECT_LT(bytes, kDim * sizeof(float) + 16 + 30);
}

TEST(SplitIndexMemory, RowsOfADimensionThatOutgrowsTheOthersAreKeptWhole) {
  // Nearly all values have the code 0, and one alone has spare bits.
  constexpr std::size_t kRows = 6000;
  constexpr std::size_t kDim = 32;
  const auto outgrown = [](Vectors v) {
    for (std::size_t i = 0; i < v.rows(); ++i) v.data[i * kDim + 5] = 4000.0f + static_cast<float>(i % 100);
    return v;
  };
  const auto per_row = [](const ItemIndex& index) { return static_cast<double>(index.memory_bytes()) / static_cast<double>(index.size()); };
  const double whole = kDim * (sizeof(float) + 1) + 16 + 40;
  const Vectors plain = test::clustered(kRows, kDim, 20, 1);
  const Vectors odd = outgrown(test::clustered(kRows, kDim, 20, 2));
  ItemIndex index(kDim, IndexMetric::kDot, IndexKind::kIvf, {.nlist = 20, .nprobe = 20});
  index.add(odd.view(), id_range(0, kRows));
  EXPECT_LT(per_row(index), whole);
  // Those that come later, one at a time as well.
  ItemIndex later(kDim, IndexMetric::kDot, IndexKind::kIvf, {.nlist = 20, .nprobe = 20});
  later.add(plain.view(), id_range(0, kRows));
  EXPECT_LT(per_row(later), kDim * sizeof(float) + 16 + 40);
  for (std::size_t i = 0; i < 1500; ++i) later.add(odd.slice(i, i + 1).view(), id_range(static_cast<std::int64_t>(kRows + i), 1));
  ItemIndex exact(kDim, IndexMetric::kDot, IndexKind::kExact, {});
  exact.add(plain.view(), id_range(0, kRows));
  exact.add(odd.slice(0, 1500).view(), id_range(kRows, 1500));
  const Vectors queries = test::clustered(20, kDim, 20, 3);
  const auto a = test::search_all(later, queries, 10, nullptr);
  const auto b = test::search_all(exact, queries, 10, nullptr);
  for (std::size_t q = 0; q < queries.rows(); ++q)
    for (std::size_t i = 0; i < 10; ++i) {
      ASSERT_EQ(a[q][i].id, b[q][i].id);
      ASSERT_EQ(a[q][i].score, b[q][i].score);
    }
  later.compact();
  EXPECT_LT(per_row(later), whole);
}

TEST(SplitIndexMemory, VectorsThatAreNoNumbersAreRefusedAsEver) {
  Vectors items = test::clustered(2000, 16, 20, 1);
  ItemIndex index(16, IndexMetric::kDot, IndexKind::kIvf, {});
  index.add(items.view(), id_range(0, 2000));
  Vectors bad = items.slice(0, 1);
  bad.data[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(index.add(bad.view(), id_range(2000, 1)), std::invalid_argument);
  EXPECT_THROW(index.update(bad.view(), id_range(0, 1)), std::invalid_argument);
  EXPECT_EQ(index.size(), 2000u);
}

}  // namespace
}  // namespace etalage
