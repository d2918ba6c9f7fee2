// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/exploration_slot.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace etalage {
namespace {

std::vector<ItemScore> list_of(int n) {
  std::vector<ItemScore> out;
  for (int i = 0; i < n; ++i) out.push_back({100 + i, static_cast<float>(n - i)});
  return out;
}

TEST(ExplorationSlot, PlacesOneCandidateAndMovesTheRestDown) {
  const ExplorationSlot slot({.share = 1, .position = 2});
  auto list = list_of(5);
  const std::vector<std::int32_t> candidates{7, 101, 8};
  const auto place = slot.place(list, candidates, 1);
  ASSERT_EQ(place, 2u);
  EXPECT_TRUE(list[2].item == 7 || list[2].item == 8);
  EXPECT_EQ(list[2].score, 3.0f);
  EXPECT_EQ(list[0].item, 100);
  EXPECT_EQ(list[3].item, 102);
  EXPECT_EQ(list[4].item, 103);

  auto again = list_of(5);
  const std::vector<std::int32_t> reversed{8, 101, 7};
  EXPECT_EQ(slot.place(again, reversed, 1), 2u);
  EXPECT_EQ(again[2].item, list[2].item) << "the order of the candidates does not matter";
}

TEST(ExplorationSlot, NothingToPlaceLeavesTheListAlone) {
  const ExplorationSlot slot({.share = 1, .position = 2});
  auto list = list_of(5);
  EXPECT_FALSE(slot.place(list, {}, 1));
  EXPECT_FALSE(slot.place(list, std::vector<std::int32_t>{100, 104, -1}, 1)) << "in the list already";
  EXPECT_FALSE(slot.place(std::span(list).first(2), std::vector<std::int32_t>{7}, 1)) << "too short";
  EXPECT_FALSE(ExplorationSlot({.share = 0}).place(list, std::vector<std::int32_t>{7}, 1));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(list[static_cast<std::size_t>(i)].item, 100 + i);
}

TEST(ExplorationSlot, ShareOfRequestsAndRepeats) {
  const ExplorationSlot slot({.share = 0.2, .position = 0});
  int placed = 0;
  for (std::uint64_t r = 0; r < 5000; ++r) {
    auto a = list_of(3);
    auto b = list_of(3);
    const std::vector<std::int32_t> candidates{1, 2, 3};
    placed += slot.place(a, candidates, r).has_value();
    slot.place(b, candidates, r);
    EXPECT_EQ(a[0].item, b[0].item);
  }
  EXPECT_NEAR(placed / 5000.0, 0.2, 0.02);
}

TEST(ExplorationSlot, DrawsFollowTheBetaOfTheCounts) {
  // Two candidates: the chance that the first is drawn higher, against a plain simulation of the two Betas.
  ExplorationSlot slot({.share = 1, .position = 0, .prior_clicks = 1, .prior_shown = 4});
  for (int i = 0; i < 20; ++i) slot.shown(1);
  for (int i = 0; i < 6; ++i) slot.clicked(1);
  for (int i = 0; i < 10; ++i) slot.shown(2);
  slot.clicked(2);
  EXPECT_DOUBLE_EQ(slot.rate(1), 7.0 / 24);
  EXPECT_DOUBLE_EQ(slot.rate(2), 2.0 / 14);
  EXPECT_DOUBLE_EQ(slot.rate(3), 0.25);
  int first = 0;
  const int rounds = 20000;
  for (int r = 0; r < rounds; ++r) {
    auto list = list_of(1);
    slot.place(list, std::vector<std::int32_t>{1, 2}, static_cast<std::uint64_t>(r));
    first += list[0].item == 1;
  }
  std::mt19937 rng(3);
  std::gamma_distribution<double> a1(7), b1(17), a2(2), b2(12);
  int expected = 0;
  for (int r = 0; r < rounds; ++r) {
    const double x = a1(rng);
    const double y = a2(rng);
    expected += x / (x + b1(rng)) > y / (y + b2(rng));
  }
  EXPECT_NEAR(first / static_cast<double>(rounds), expected / static_cast<double>(rounds), 0.02);
}

TEST(ExplorationSlot, ThompsonFindsTheGoodOnesSoonerThanChance) {
  const auto clicks_of = [](ExplorationPolicy policy) {
    ExplorationSlot slot({.policy = policy, .share = 1, .position = 0});
    std::mt19937 rng(5);
    std::vector<std::int32_t> candidates;
    for (int i = 0; i < 50; ++i) candidates.push_back(i);
    int clicks = 0;
    for (std::uint64_t r = 0; r < 20000; ++r) {
      auto list = list_of(1);
      slot.place(list, candidates, r);
      const std::int32_t item = list[0].item;
      slot.shown(item);
      const double truth = item < 3 ? 0.2 : 0.03;
      if (std::uniform_real_distribution<double>()(rng) < truth) {
        slot.clicked(item);
        ++clicks;
      }
    }
    return clicks;
  };
  EXPECT_GT(clicks_of(ExplorationPolicy::kThompson), 3 * clicks_of(ExplorationPolicy::kUniform));
}

TEST(ExplorationSlot, BadInputIsNamed) {
  EXPECT_THROW(ExplorationSlot({.share = 1.5}), std::invalid_argument);
  EXPECT_THROW(ExplorationSlot({.position = -1}), std::invalid_argument);
  EXPECT_THROW(ExplorationSlot({.prior_clicks = 0}), std::invalid_argument);
  EXPECT_THROW(ExplorationSlot({.prior_clicks = 2, .prior_shown = 2}), std::invalid_argument);
  ExplorationSlot slot;
  EXPECT_THROW(slot.shown(-1), std::out_of_range);
  slot.clicked(4);
  EXPECT_EQ(slot.count(4).shown, 1);
  EXPECT_EQ(slot.count(-7).shown, 0);
}

}  // namespace
}  // namespace etalage
