// SPDX-License-Identifier: Apache-2.0
// Exact answers by way of eight bits: the ids, scores and tie order of brute force in float32, alone and in batches.
#include <gtest/gtest.h>

#include <algorithm>
#include <dirent.h>
#include <atomic>
#include <string>
#include <thread>

#include "etalage/io/serialization.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "retrieval/index_data.hpp"
#include "retrieval/scorer.hpp"

namespace etalage {
namespace {

using test::id_range;
using test::Vectors;

std::vector<Neighbor> brute_force(const Vectors& items, const std::vector<std::int64_t>& ids, std::span<const float> query,
                                  IndexMetric metric, std::size_t k, const ItemFilter* filter) {
  std::vector<float> data = items.data;
  std::vector<float> q(query.begin(), query.end());
  if (metric == IndexMetric::kCosine) {
    for (std::size_t i = 0; i < items.rows(); ++i) retrieval::normalize(items.row(i).data(), items.dim, &data[i * items.dim]);
    retrieval::normalize(query.data(), items.dim, q.data());
  }
  std::vector<Neighbor> all;
  const retrieval::Scorer scorer(metric, q.data(), data.data(), items.dim);
  for (std::size_t i = 0; i < items.rows(); ++i)
    if (ids[i] >= 0 && (filter == nullptr || filter->allows(ids[i]))) all.push_back({ids[i], scorer.one(static_cast<std::int32_t>(i))});
  std::sort(all.begin(), all.end(), [](const Neighbor& a, const Neighbor& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); });
  all.resize(std::min(all.size(), k));
  return all;
}

class ExactSearch : public testing::TestWithParam<IndexMetric> {
 protected:
  static void expect_exact(const Vectors& items, const Vectors& queries, std::size_t k) {
    // Ids against the order of rows, so that ties show who breaks them; every ninth is removed.
    std::vector<std::int64_t> ids(items.rows());
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(3 * (ids.size() - i));
    ItemIndex index(static_cast<int>(items.dim), GetParam(), IndexKind::kExact);
    index.add(items.view(), ids);
    const std::vector<std::int64_t> half = [&] {
      std::vector<std::int64_t> v;
      for (std::size_t i = 0; i < ids.size(); i += 2) v.push_back(ids[i]);
      std::sort(v.begin(), v.end());
      return v;
    }();
    const ItemFilter filter = ItemFilter::allow(std::span<const std::int64_t>(half));
    for (const bool removed : {false, true}) {
      if (removed) {
        std::vector<std::int64_t> gone;
        for (std::size_t i = 0; i < ids.size(); i += 9) gone.push_back(ids[i]), ids[i] = -1;
        index.remove(gone);
      }
      for (const ItemFilter* f : {static_cast<const ItemFilter*>(nullptr), &filter}) {
        std::vector<Neighbor> batch(queries.rows() * k);
        std::vector<std::size_t> counts(queries.rows());
        std::vector<const ItemFilter*> filters;
        if (f != nullptr) filters.push_back(f);
        index.search_batch(queries.view(), {batch.data(), queries.rows(), k}, counts, filters, 2);
        Scratch scratch;
        for (std::size_t i = 0; i < queries.rows(); ++i) {
          const auto truth = brute_force(items, ids, queries.row(i), GetParam(), k, f);
          std::vector<Neighbor> one(k);
          ASSERT_EQ(index.search(queries.row(i), one, f, scratch), truth.size());
          ASSERT_EQ(counts[i], truth.size());
          for (std::size_t j = 0; j < truth.size(); ++j) {
            ASSERT_EQ(one[j].id, truth[j].id) << "query " << i << " rank " << j;
            ASSERT_EQ(one[j].score, truth[j].score);
            ASSERT_EQ(batch[i * k + j].id, truth[j].id) << "query " << i << " rank " << j;
            ASSERT_EQ(batch[i * k + j].score, truth[j].score);
          }
        }
      }
    }
  }
  static void expect_exact_on_awkward_rows(std::size_t rows) {
    Vectors items = test::heavy_tailed(rows, 16, 3);
    for (std::size_t i = 0; i < items.rows(); ++i)
      for (std::size_t f = 0; f < items.dim; ++f) {
        float& x = items.data[i * items.dim + f];
        if (i % 3 == 0) x = items.data[(i % 48) * items.dim + f];  // copies
        if (i % 50 == 7) x = 0;
        if (i % 50 == 8) x *= 1e9f;
        if (i % 50 == 9) x *= 1e-15f;
      }
    Vectors queries = test::clustered(40, 16, 20, 2);
    std::fill_n(queries.data.begin(), 16, 0.0f);
    for (std::size_t f = 0; f < 16; ++f) queries.data[16 + f] *= 1e12f, queries.data[32 + f] *= 1e-14f;
    expect_exact(items, queries, 10);
  }
};
INSTANTIATE_TEST_SUITE_P(Metrics, ExactSearch, testing::Values(IndexMetric::kCosine, IndexMetric::kDot, IndexMetric::kL2));

TEST_P(ExactSearch, EqualsBruteForce) {
  for (const std::size_t dim : {8u, 20u, 64u})
    for (const std::size_t k : {1u, 10u})
      // A filter leaves half: few rows, read in float32 panels, or many, in bytes; and as few as there are queries.
      for (const std::size_t rows : {47u, 1501u, 5003u}) expect_exact(test::clustered(rows, dim, 20, 1), test::clustered(40, dim, 20, 2), k);
}

TEST_P(ExactSearch, EqualsBruteForceOnTiesZerosAndNormsOfAnySize) {
  for (const std::size_t rows : {1600u, 6000u}) expect_exact_on_awkward_rows(rows);
}

TEST_P(ExactSearch, EqualsBruteForceWhereAllRowsAreOne) {
  Vectors items = test::clustered(600, 24, 1, 3);
  for (std::size_t i = 1; i < items.rows(); ++i) std::copy_n(items.data.begin(), 24, items.data.begin() + static_cast<std::ptrdiff_t>(24 * i));
  expect_exact(items, test::clustered(33, 24, 5, 2), 10);
}

Vectors by_falling_norm(const Vectors& v) {
  std::vector<std::size_t> order(v.rows());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto norm2 = [&](std::size_t i) {
    double sum = 0;
    for (const float x : v.row(i)) sum += static_cast<double>(x) * static_cast<double>(x);
    return sum;
  };
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return norm2(a) > norm2(b); });
  Vectors out{v.dim, {}};
  for (const std::size_t i : order) out.data.insert(out.data.end(), v.row(i).begin(), v.row(i).end());
  return out;
}

TEST_P(ExactSearch, EqualsBruteForceOnRowsByFallingNorm) {
  for (const std::size_t rows : {1501u, 5003u}) {
    Vectors items = by_falling_norm(test::heavy_tailed(rows, 24, 3));
    expect_exact(items, test::clustered(40, 24, 20, 2), 10);
    // Long ones behind, some of them copies.
    const Vectors more = test::heavy_tailed(300, 24, 9);
    items.data.insert(items.data.end(), more.data.begin(), more.data.end());
    items.data.insert(items.data.end(), more.data.begin(), more.data.end());
    expect_exact(items, test::clustered(40, 24, 20, 2), 10);
  }
}

TEST(ExactSearchByNorm, ReadsFewRowsAndStillDoesFromAFile) {
  const Vectors items = by_falling_norm(test::heavy_tailed(20'000, 24, 3));
  const Vectors queries = test::clustered(30, 24, 20, 2);
  ItemIndex index(24, IndexMetric::kDot, IndexKind::kExact);
  index.add(items.view(), id_range(0, items.rows()));
  const double read = index.distances_per_query(queries.view(), 10);
  EXPECT_LT(read, 4000);
  const std::vector<char> file = save_to_memory(index);
  for (const Verify verify : {Verify::kHeader, Verify::kFull})
    EXPECT_EQ(load_index_from_memory(file, {.verify = verify})->distances_per_query(queries.view(), 10), read);
}

TEST(SingleSearches, AddNoThreads) {
  const auto threads_now = [] {
    std::size_t n = 0;
    DIR* tasks = opendir("/proc/self/task");
    if (tasks == nullptr) return n;
    while (const dirent* e = readdir(tasks)) n += e->d_name[0] != '.';
    closedir(tasks);
    return n;
  };
  if (threads_now() == 0) GTEST_SKIP() << "no /proc here";
  constexpr std::size_t kHost = 32;
  std::thread([] {}).join();  // a sanitizer's own thread starts with the first one
  const Vectors items = test::clustered(3000, 16, 10, 1);
  const Vectors queries = test::clustered(50, 16, 10, 2);
  for (const IndexKind kind : {IndexKind::kExact, IndexKind::kHnsw, IndexKind::kIvf, IndexKind::kIvfPq}) {
    ItemIndex index(16, IndexMetric::kDot, kind, {.ef_search = 16, .num_threads = 1});
    index.add(items.view(), id_range(0, items.rows()));
    const std::size_t before = threads_now();
    std::atomic<std::size_t> ready{0}, found{0};
    std::atomic<bool> go{false};
    std::vector<std::thread> host;
    for (std::size_t t = 0; t < kHost; ++t)
      host.emplace_back([&] {
        Scratch scratch;
        std::vector<Neighbor> out(10);
        ++ready;
        while (!go) std::this_thread::yield();
        for (std::size_t round = 0; round < 4; ++round)
          for (std::size_t i = 0; i < queries.rows(); ++i) found += index.search(queries.row(i), out, nullptr, scratch);
        --ready;
      });
    while (ready < kHost) std::this_thread::yield();
    go = true;
    std::size_t most = 0;
    while (ready > 0) most = std::max(most, threads_now());
    for (std::thread& t : host) t.join();
    EXPECT_LE(most, before + kHost);
    EXPECT_EQ(found, kHost * 4 * queries.rows() * 10);
  }
}

}  // namespace
}  // namespace etalage
