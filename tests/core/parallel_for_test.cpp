// SPDX-License-Identifier: Apache-2.0
#include "detail/parallel_for.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

namespace etalage::detail {
namespace {

TEST(ParallelFor, VisitsEveryIndexOnceInFixedChunks) {
  for (const int threads : {1, 2, 5}) {
    std::vector<std::atomic<int>> visits(1003);
    std::atomic<int> chunks{0};
    parallel_for(visits.size(), 10, threads, [&](std::size_t begin, std::size_t end, int thread) {
      EXPECT_EQ(begin % 10, 0u);
      EXPECT_LE(end - begin, 10u);
      EXPECT_LT(thread, threads);
      ++chunks;
      for (std::size_t i = begin; i < end; ++i) ++visits[i];
    });
    EXPECT_EQ(chunks.load(), static_cast<int>(num_chunks(visits.size(), 10)));
    for (const auto& v : visits) EXPECT_EQ(v.load(), 1);
  }
}

TEST(ParallelFor, TheErrorIsTheOneASerialLoopWouldMeet) {
  for (const int threads : {1, 2, 4, 8})
    for (int repeat = 0; repeat < 20; ++repeat) {
      try {
        parallel_for(500, 1, threads, [](std::size_t begin, std::size_t, int) {
          if (begin >= 37) throw std::runtime_error("chunk " + std::to_string(begin));
        });
        FAIL();
      } catch (const std::runtime_error& e) {
        EXPECT_STREQ(e.what(), "chunk 37");
      }
    }
}

TEST(ParallelFor, LoopsInsideLoopsAreSerial) {
  std::atomic<int> total{0};
  EXPECT_FALSE(in_parallel());
  parallel_for(8, 1, 4, [&](std::size_t, std::size_t, int) {
    EXPECT_TRUE(in_parallel());
    parallel_for(5, 1, 4, [&](std::size_t, std::size_t, int thread) {
      EXPECT_EQ(thread, 0);
      ++total;
    });
  });
  EXPECT_EQ(total.load(), 40);
  EXPECT_FALSE(in_parallel());
}

TEST(ParallelFor, ThreadCountsBelowZeroAreRefusedAndZeroMeansAll) {
  EXPECT_THROW(resolve_threads(-1), std::invalid_argument);
  EXPECT_EQ(resolve_threads(0), available_cpus());
  EXPECT_GE(available_cpus(), 1);
  EXPECT_EQ(resolve_threads(1), 1);
  EXPECT_EQ(resolve_threads(2147483647), available_cpus()) << "the number may come from a file";
  parallel_for(0, 1, 4, [](std::size_t, std::size_t, int) { FAIL(); });
}

}  // namespace
}  // namespace etalage::detail
