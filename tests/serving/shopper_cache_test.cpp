// SPDX-License-Identifier: Apache-2.0
#include "serving/events/shopper_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <numeric>
#include <random>
#include <unordered_map>
#include <vector>

namespace etalage::serving {
namespace {

TEST(ShopperCache, HoldsNoMoreThanItsCapacity) {
  for (const std::size_t capacity : {0u, 1u, 5u, 63u, 64u, 100u, 1000u, 5003u}) {
    ShopperCache<int> cache(capacity);
    for (int u = 0; u < 20'000; ++u) cache.put(u, 1, 1, u);
    EXPECT_LE(cache.size(), capacity);
    EXPECT_GE(cache.size(), capacity * 9 / 10);
    int out = 0;
    EXPECT_EQ(cache.find(19'999, 1, 1, out), capacity > 0);
    if (capacity == 0) continue;
    EXPECT_EQ(out, 19'999);
    EXPECT_FALSE(cache.find(19'999, 2, 1, out)) << "another version of the shopper";
    EXPECT_FALSE(cache.find(19'999, 1, 2, out)) << "another model";
    cache.erase(19'999);
    EXPECT_FALSE(cache.find(19'999, 1, 1, out));
    cache.erase(19'999);
    cache.erase(-1);
    cache.put(-1, 1, 1, 7);
    EXPECT_FALSE(cache.find(-1, 1, 1, out));
  }
}

TEST(ShopperCache, KeepsTheMostRecent) {
  ShopperCache<int> cache(64);
  int out = 0;
  for (int u = 0; u < 64; ++u) cache.put(u, 1, 1, u);
  for (int u = 0; u < 32; ++u) EXPECT_TRUE(cache.find(u, 1, 1, out));
  for (int u = 100; u < 132; ++u) cache.put(u, 1, 1, u);
  for (int u = 0; u < 32; ++u) EXPECT_TRUE(cache.find(u, 1, 1, out)) << u;
  for (int u = 32; u < 64; ++u) EXPECT_FALSE(cache.find(u, 1, 1, out)) << u;
}

/// Least recently used, over all shoppers.
struct Exact {
  explicit Exact(std::size_t capacity) : limit(capacity) {}
  bool ask(int user) {
    const auto found = at.find(user);
    if (found != at.end()) {
      order.splice(order.begin(), order, found->second);
      return true;
    }
    if (order.size() == limit) {
      at.erase(order.back());
      order.pop_back();
    }
    order.push_front(user);
    at[user] = order.begin();
    return false;
  }
  std::size_t limit;
  std::list<int> order;
  std::unordered_map<int, std::list<int>::iterator> at;
};

// Shoppers come by Zipf's law; their numbers in order of popularity, mixed, and with a step of 64 between them.
TEST(ShopperCache, HitsAsOftenAsExactLru) {
  constexpr int kShoppers = 50'000;
  std::vector<double> weight;
  for (int r = 1; r <= kShoppers; ++r) weight.push_back(1 / std::pow(r, 0.9));
  std::vector<double> sum(weight.size());
  std::partial_sum(weight.begin(), weight.end(), sum.begin());
  for (const std::size_t capacity : {200u, 2000u, 20'000u}) {
    for (const int naming : {0, 1, 2}) {
      std::mt19937_64 rng(7);
      std::vector<int> name(kShoppers);
      std::iota(name.begin(), name.end(), 0);
      if (naming == 1) std::shuffle(name.begin(), name.end(), rng);
      if (naming == 2)
        for (int& n : name) n *= 64;
      ShopperCache<int> cache(capacity);
      Exact exact(capacity);
      int hits = 0, best = 0;
      constexpr int kRequests = 200'000;
      std::uniform_real_distribution<double> draw(0, sum.back());
      for (int i = 0; i < kRequests; ++i) {
        const auto rank = static_cast<std::size_t>(std::lower_bound(sum.begin(), sum.end(), draw(rng)) - sum.begin());
        const int user = name[rank];
        int out = 0;
        if (cache.find(user, 1, 1, out)) ++hits;
        else cache.put(user, 1, 1, 0);
        best += exact.ask(user) ? 1 : 0;
      }
      EXPECT_GT(hits, best * 97 / 100) << capacity << " " << naming << ": " << hits << " of " << best;
    }
  }
}

}  // namespace
}  // namespace etalage::serving
