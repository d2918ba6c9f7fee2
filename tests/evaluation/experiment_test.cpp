// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/experiment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/random_stream.hpp"
#include "etalage/error.hpp"
#include "etalage/io/experiment_files.hpp"

namespace etalage {
namespace {

const std::vector<GroupShare> kThirds = {{"a", 1.0 / 3}, {"b", 1.0 / 3}, {"c", 1.0 / 3}};

TEST(Assign, GivesTheGroupOfTheTableAndTheSharesAsked) {
  const Allocation table("salt", kThirds);
  std::vector<int> counts(3, 0);
  for (std::int64_t key = 0; key < 3000; ++key) {
    const std::int32_t group = assign(key, "salt", kThirds);
    EXPECT_EQ(group, table.assign(key));
    EXPECT_EQ(group, table.assign(std::to_string(key)));
    ASSERT_GE(group, 0);  // thirds leave nobody over
    ++counts[static_cast<std::size_t>(group)];
  }
  for (const int c : counts) EXPECT_NEAR(c, 1000, 100);
  EXPECT_EQ(table.slots_of(0) + table.slots_of(1) + table.slots_of(2), kSlots);
}

TEST(Assign, SaysWhatIsWrongWithShares) {
  const auto refused = [](const std::vector<GroupShare>& shares) { EXPECT_THROW(static_cast<void>(assign("k", "s", shares)), std::invalid_argument); };
  refused({});
  refused({{"a", 0.6}, {"b", 0.5}});
  refused({{"a", 0.5}, {"a", 0.5}});
  refused({{"", 0.5}});
  refused({{"a", -0.1}});
  refused({{"a", 0.00004}});
  refused({{"a", std::numeric_limits<double>::quiet_NaN()}});
}

TEST(Allocation, MovesSlotsOnlyBetweenTheGroupAndNobodyWhateverTheChanges) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    detail::RandomStream random(seed, 9, 0);
    const std::size_t groups = 2 + random.below(7);
    std::vector<GroupShare> shares;
    for (std::size_t g = 0; g < groups; ++g) shares.push_back({std::string("g").append(std::to_string(g)), random.below(1000) / 1000.0 / static_cast<double>(groups)});
    Allocation now("salt", shares);
    for (int change = 0; change < 20; ++change) {
      const std::size_t g = random.below(static_cast<std::uint32_t>(groups));
      const double share = random.below(10'001) / 10'000.0;
      const auto free = std::count(now.table().begin(), now.table().end(), std::int16_t{-1});
      const auto wanted = static_cast<std::int32_t>(share * 10'000 + 0.5);
      if (wanted - now.slots_of(g) > free) {
        EXPECT_THROW(static_cast<void>(now.with_share(shares[g].group, share)), std::invalid_argument);
        continue;
      }
      const Allocation next = now.with_share(shares[g].group, share);
      EXPECT_EQ(next.slots_of(g), wanted);
      int moved = 0;
      for (std::size_t s = 0; s < now.table().size(); ++s) {
        const std::int16_t from = now.table()[s];
        const std::int16_t to = next.table()[s];
        if (from == to) continue;
        ++moved;
        EXPECT_TRUE((from == -1 && to == static_cast<std::int16_t>(g)) || (from == static_cast<std::int16_t>(g) && to == -1));
      }
      EXPECT_EQ(moved, std::abs(next.slots_of(g) - now.slots_of(g)));  // and no more than needed
      now = next;
    }
  }
}

TEST(Allocation, TakesANewGroupAndKeepsAnEmptiedOne) {
  const Allocation start("s", std::vector<GroupShare>{{"a", 0.5}});
  const Allocation more = start.with_share("b", 0.3).with_share("a", 0);
  EXPECT_EQ(std::vector<std::string>(more.groups().begin(), more.groups().end()), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(more.slots_of(0), 0);
  EXPECT_EQ(more.slots_of(1), 3000);
  EXPECT_THROW(static_cast<void>(start.with_share("", 0.1)), std::invalid_argument);
  EXPECT_THROW(static_cast<void>(start.slots_of(1)), std::out_of_range);
}

TEST(Allocation, ComesBackFromItsFileAndADamagedOneIsRefused) {
  const Allocation before = Allocation("salt", kThirds).with_share("b", 0.1);
  std::vector<char> bytes = save_to_memory(before);
  const Allocation after = load_allocation_from_memory(bytes);
  EXPECT_EQ(after.salt(), before.salt());
  EXPECT_TRUE(std::equal(after.table().begin(), after.table().end(), before.table().begin(), before.table().end()));
  EXPECT_TRUE(std::equal(after.groups().begin(), after.groups().end(), before.groups().begin(), before.groups().end()));
  for (std::size_t at = 0; at < bytes.size(); at += 257) {
    std::vector<char> damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x21);
    try {
      const Allocation read = load_allocation_from_memory(damaged);
      // A byte of padding, then: nothing that counts may differ.
      EXPECT_TRUE(std::equal(read.table().begin(), read.table().end(), before.table().begin(), before.table().end())) << at;
    } catch (const FormatError&) {
    }
  }
  bytes.resize(bytes.size() / 2);
  EXPECT_THROW(static_cast<void>(load_allocation_from_memory(bytes)), FormatError);
}

TEST(TeamDraft, IsFairAndHoldsTheBestOfBoth) {
  const std::vector<std::int32_t> first = {1, 2, 3, 4, 5};
  const std::vector<std::int32_t> second = {3, 6, 1, 7, 8};
  int first_leads = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const Interleaved list = team_draft(first, second, 6, seed);
    ASSERT_EQ(list.items.size(), 6u);
    EXPECT_EQ(std::set<std::int32_t>(list.items.begin(), list.items.end()).size(), 6u);
    EXPECT_EQ(std::count(list.teams.begin(), list.teams.end(), 0), 3);
    for (std::size_t p = 0; p < 6; p += 2) EXPECT_NE(list.teams[p], list.teams[p + 1]);
    EXPECT_EQ(list.items[0], list.teams[0] == 0 ? 1 : 3);
    first_leads += list.teams[0] == 0;
  }
  EXPECT_NEAR(first_leads, 200, 40);
  EXPECT_EQ(team_draft({}, second, 9, 1).items, second);
  EXPECT_EQ(team_draft(std::vector<std::int32_t>{2, -1, 2, -1}, {}, 9, 1).items, std::vector<std::int32_t>{2});
  EXPECT_TRUE(team_draft(first, second, 0, 1).items.empty());
}

TEST(Balanced, TakesTurnsByRank) {
  const std::vector<std::int32_t> first = {1, 2, 3};
  const std::vector<std::int32_t> second = {2, 4, 1};
  bool saw[2] = {false, false};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Interleaved list = balanced(first, second, 4, seed);
    // First leads: 1 | 2 | (2 there) 4 | 3. Second leads: 2 | 1 | 4 | (2 there) then rank 3: (1 there) 3.
    if (list.items == std::vector<std::int32_t>{1, 2, 4, 3}) saw[0] = true;
    else if (list.items == std::vector<std::int32_t>{2, 1, 4, 3}) saw[1] = true;
    else ADD_FAILURE() << "another list";
  }
  EXPECT_TRUE(saw[0] && saw[1]);
}

TEST(BalancedCredit, CountsClicksDownToTheLowestOne) {
  const std::vector<std::int32_t> first = {1, 2, 3};
  const std::vector<std::int32_t> second = {2, 4, 1};
  const std::vector<std::int32_t> shown = {1, 2, 4, 3};
  const auto credit = [&](std::vector<std::uint8_t> clicked) {
    const InterleavingCredit c = balanced_credit(first, second, shown, clicked);
    return std::pair<int, int>(c.first, c.second);
  };
  EXPECT_EQ(credit({1, 0, 0, 0}), std::make_pair(1, 0));  // item 1: first of one list
  EXPECT_EQ(credit({0, 0, 1, 0}), std::make_pair(0, 1));
  EXPECT_EQ(credit({1, 1, 0, 0}), std::make_pair(1, 1));  // lowest is item 2, at rank 1 of the second
  EXPECT_EQ(credit({0, 0, 0, 0}), std::make_pair(0, 0));
  EXPECT_THROW(static_cast<void>(balanced_credit(first, second, shown, std::vector<std::uint8_t>{1})), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
