// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "etalage/retrieval/item_index.hpp"
#include "retrieval/access_gate.hpp"
#include "retrieval/index_data.hpp"

namespace etalage {
namespace {

using test::id_range;
using test::Vectors;

class Concurrency : public testing::TestWithParam<IndexKind> {};

TEST_P(Concurrency, ThirtyTwoThreadsQueryWhileOneAddsUpdatesAndRemoves) {
  constexpr std::size_t n = 600;
  const Vectors kept = test::clustered(n, 8, 5, 1);
  const Vectors passing = test::clustered(100, 8, 5, 2);
  ItemIndex index(8, IndexMetric::kL2, GetParam(), {.M = 8, .ef_construction = 20, .nlist = 8, .pq_bits = 4, .num_threads = 1});
  index.add(kept.view(), id_range(0, n));
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::atomic<int> searches{0};
  std::vector<std::thread> readers;
  for (std::size_t t = 0; t < 32; ++t) {
    readers.emplace_back([&, t] {
      Scratch scratch;
      std::vector<Neighbor> out(5);
      const auto odd = id_range(1, n / 2, 2);
      const ItemFilter filter = ItemFilter::allow(std::span<const std::int64_t>(odd));
      for (std::size_t i = t; !done.load(); ++i) {
        const std::size_t row = i % n;
        const ItemFilter* f = i % 3 == 0 ? &filter : nullptr;
        // What stays is always found, in full.
        if (index.search(kept.row(row), out, f, scratch) != 5) ++wrong;
        if (f != nullptr && (out[0].id % 2 != 1 || out[4].id % 2 != 1)) ++wrong;
        if (!index.contains(static_cast<std::int64_t>(row))) ++wrong;
        ++searches;
      }
    });
  }
  // Not before every reader has had the time to begin: an idle machine is done with eight rounds sooner than that.
  for (int round = 0; round < 8 || searches.load() < 64; ++round) {
    const auto ids = id_range(10000 + 100 * (round % 100), 100);
    index.add(passing.view(), ids);
    index.update(passing.view(), ids);
    EXPECT_EQ(index.remove(ids), 100u);
  }
  index.compact();
  done = true;
  for (std::thread& r : readers) r.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_GT(searches.load(), 0);
  EXPECT_EQ(index.size(), n);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Concurrency, testing::Values(IndexKind::kExact, IndexKind::kHnsw, IndexKind::kIvf, IndexKind::kIvfPq));

TEST(AccessGate, AWriterIsNotStarvedByASteadyStreamOfReaders) {
  retrieval::AccessGate gate;
  std::atomic<bool> done{false};
  int value = 0;
  std::vector<std::thread> readers;
  for (int t = 0; t < 8; ++t)
    readers.emplace_back([&] {
      int last = 0;
      while (!done.load()) {
        const retrieval::AccessGate::Shared section(gate);
        EXPECT_GE(value, last);
        last = value;
      }
    });
  for (int i = 0; i < 200; ++i) {
    const retrieval::AccessGate::Exclusive section(gate);
    ++value;
  }
  done = true;
  for (std::thread& r : readers) r.join();
  EXPECT_EQ(value, 200);
}

}  // namespace
}  // namespace etalage
