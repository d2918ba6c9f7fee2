// SPDX-License-Identifier: Apache-2.0
#include "search/best.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace etalage::search {
namespace {

using kernels::key_index;
using kernels::rank_key;

// Few different scores, so that ties decide.
std::vector<float> scores_of(std::size_t n, std::uint32_t seed) {
  std::mt19937 rng(seed);
  std::vector<float> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<float>(rng() % 7));
  return out;
}

std::vector<std::int32_t> by_sorting(const std::vector<float>& scores, std::size_t k, const ItemFilter* filter, const std::vector<std::int32_t>& excluded) {
  std::vector<std::int32_t> order;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    if ((filter == nullptr || filter->allows(index)) && !std::binary_search(excluded.begin(), excluded.end(), index)) order.push_back(index);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) { return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)]; });
  order.resize(std::min(order.size(), k));
  return order;
}

// The rows that `allowed` reads, in their order or the other way round.
std::vector<std::int32_t> by_best(const std::vector<float>& scores, std::size_t k, const Allowed& allowed, bool backwards) {
  Best best;
  best.k = k;
  best.allowed = allowed;
  best.allowed.ascending = !backwards;
  std::vector<std::uint64_t> memory(Best::limit(k) + 2);
  best.entries = memory.data();
  const std::size_t n = allowed.size(scores.size());
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t row = allowed.row(backwards ? n - 1 - i : i);
    if (scores[row] > best.threshold) best.entries[best.count++] = rank_key(scores[row], static_cast<std::uint32_t>(row));
    if (best.full()) best.shrink();
  }
  std::vector<std::int32_t> out;
  const std::size_t found = best.finish();
  for (std::size_t i = 0; i < found; ++i) out.push_back(static_cast<std::int32_t>(key_index(memory[i])));
  return out;
}

TEST(Best, KeepsWhatSortingWouldForEveryFilterAndOrder) {
  const std::vector<float> scores = scores_of(900, 1);
  std::vector<std::int64_t> few;
  std::vector<std::int64_t> most;
  std::vector<std::int32_t> excluded;
  for (std::int32_t i = 0; i < 900; ++i) {
    if (i % 9 == 0) few.push_back(i);
    if (i % 10 != 3) most.push_back(i);
    if (i % 4 == 1) excluded.push_back(i);
  }
  const std::vector<std::int64_t> denied{0, 9, 18, 500, 899};
  const ItemFilter list = ItemFilter::allow(std::span<const std::int64_t>(few)) & ItemFilter::deny(std::span<const std::int64_t>(denied));
  const ItemFilter long_list = ItemFilter::allow(std::span<const std::int64_t>(most));
  const ItemFilter deny = ItemFilter::deny(std::span<const std::int64_t>(denied));
  EXPECT_TRUE(Allowed::of(scores.size(), &list).listed);
  EXPECT_FALSE(Allowed::of(scores.size(), &long_list).listed);
  for (const ItemFilter* filter : {static_cast<const ItemFilter*>(nullptr), &list, &long_list, &deny})
    for (const auto& out : {std::vector<std::int32_t>{}, excluded})
      for (const std::size_t k : {1u, 10u, 100u, 2000u})
        for (const bool backwards : {false, true}) {
          const Allowed allowed = Allowed::of(scores.size(), filter, out);
          EXPECT_EQ(by_best(scores, k, allowed, backwards), by_sorting(scores, k, filter, out)) << k << (backwards ? " backwards" : "");
        }
}

TEST(BestNeighbors, KeepTheLowerIdsOfEqualScoresInWhateverOrderTheyCome) {
  const std::vector<float> scores = scores_of(500, 2);
  std::vector<std::int32_t> order(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937(3));
  for (const std::size_t k : {0u, 1u, 17u, 200u, 700u}) {
    BestNeighbors best;
    best.start(k);
    for (const std::int32_t i : order)
      if (best.wants(scores[static_cast<std::size_t>(i)])) best.push(i, scores[static_cast<std::size_t>(i)]);
    std::vector<Neighbor> found(k);
    found.resize(best.finish(found));
    std::vector<std::int32_t> ids;
    for (const Neighbor& n : found) ids.push_back(static_cast<std::int32_t>(n.id));
    EXPECT_EQ(ids, by_sorting(scores, k, nullptr, {})) << k;
  }
}

}  // namespace
}  // namespace etalage::search
