// SPDX-License-Identifier: Apache-2.0
// Array, CsrMatrix, ItemFilter, Interactions and Sequences: the small things that everything stands on.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <random>

#include "etalage/core/interactions.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/core/sequences.hpp"

namespace etalage {
namespace {

CsrMatrix csr(std::int64_t rows, std::int64_t cols, std::vector<std::int64_t> o, std::vector<std::int32_t> c, std::vector<float> v) {
  return {rows, cols, Array<std::int64_t>(o), Array<std::int32_t>(c), Array<float>(v)};
}

TEST(Array, ALargeOneHasRoomToGrowInto) {
  constexpr std::size_t n = std::size_t{20} << 20;  // 80 MB
  Array<float> a(n, uninitialized);
  const float* at = a.data();
  a.mutable_data()[n - 1] = 3;
  a.resize(n + 1000);
  EXPECT_EQ(a.data(), at) << "the first row that is added copies nothing";
  EXPECT_EQ(a.size(), n + 1000);
  EXPECT_EQ(a[n - 1], 3);
  EXPECT_EQ(a[n + 999], 0);
  const Array<float> held = a;
  a.resize(n + 2000);
  EXPECT_NE(a.data(), at) << "somebody else holds it";
  EXPECT_EQ(held.size(), n + 1000);
  EXPECT_EQ(a[n - 1], 3);
}

TEST(Array, WritesNeverReachAnArrayHandedOut) {
  Array<int> a(3);
  a.mutable_data()[0] = 7;
  const Array<int> handed_out = a;
  a.mutable_data()[0] = 8;
  EXPECT_EQ(handed_out[0], 7);
  EXPECT_EQ(a[0], 8);
}

TEST(Array, BorrowedMemoryIsNeverWritten) {
  auto owner = std::make_shared<std::vector<int>>(4, 1);
  Array<int> a = Array<int>::wrap(owner->data(), owner->size(), owner);
  EXPECT_EQ(a.data(), owner->data());
  a.mutable_data()[2] = 9;
  EXPECT_EQ((*owner)[2], 1);
  EXPECT_EQ(a[2], 9);
}

TEST(Array, StartsOnACacheLine) {
  for (std::size_t n : {1u, 3u, 1000u}) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(Array<float>(n).data()) % kAlignment, 0u);
}

TEST(CsrMatrix, CanonicalSortsAndSumsDuplicates) {
  const CsrMatrix m = canonical(csr(2, 4, {0, 4, 5}, {3, 1, 3, 0, 2}, {1, 2, 4, 8, 5}));
  EXPECT_EQ(std::vector<std::int64_t>(m.offsets.begin(), m.offsets.end()), (std::vector<std::int64_t>{0, 3, 4}));
  EXPECT_EQ(std::vector<std::int32_t>(m.columns.begin(), m.columns.end()), (std::vector<std::int32_t>{0, 1, 3, 2}));
  EXPECT_EQ(std::vector<float>(m.values.begin(), m.values.end()), (std::vector<float>{8, 2, 5, 5}));
}

TEST(CsrMatrix, CanonicalSharesMemoryOfAGoodMatrix) {
  const CsrMatrix m = csr(1, 3, {0, 2}, {0, 2}, {1, 1});
  EXPECT_EQ(canonical(m).columns.data(), m.columns.data());
}

TEST(CsrMatrix, EveryBrokenMatrixIsNamed) {
  const auto message = [](const CsrMatrix& m) -> std::string {
    try {
      validate(m.view(), "user_items");
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message(csr(1, 3, {0, 1}, {3}, {1})), "user_items has column index 3 at entry 0, must be in [0, 3)");
  EXPECT_EQ(message(csr(1, 3, {0, 1}, {-1}, {1})), "user_items has column index -1 at entry 0, must be in [0, 3)");
  EXPECT_EQ(message(csr(1, 3, {0, 1}, {1}, {NAN})).substr(0, 43), "user_items has value nan at row 0, column 1");
  EXPECT_EQ(message(csr(2, 3, {0, 1, 1}, {1}, {INFINITY})), "user_items has value inf at row 0, column 1, must be finite");
  EXPECT_EQ(message(csr(2, 3, {0, 1}, {1}, {1})), "user_items has 2 offsets, must have rows + 1 = 3");
  EXPECT_EQ(message(csr(2, 3, {0, 2, 1}, {1}, {1})), "user_items has decreasing offsets at row 1, must never decrease");
  EXPECT_EQ(message(csr(1, 3, {0, 2}, {1}, {1})), "user_items has offsets from 0 to 2, must run from 0 to 1");
  EXPECT_EQ(message(csr(1, 3, {0, 1}, {1}, {})), "user_items has 0 values for 1 columns, must have as many");
}

TEST(CsrMatrix, TransposeIsTheSameForAnyThreadCount) {
  std::mt19937 rng(1);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (int r = 0; r < 3000; ++r) {
    for (int c = static_cast<int>(rng() % 5); c < 400; c += 1 + static_cast<int>(rng() % 9)) {
      columns.push_back(c);
      values.push_back(static_cast<float>(rng() % 100));
    }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  ASSERT_GT(columns.size(), 100000u);
  const CsrMatrix m = csr(3000, 400, offsets, columns, values);
  const CsrMatrix one = transpose(m.view(), 1);
  const CsrMatrix three = transpose(m.view(), 3);
  EXPECT_TRUE(std::ranges::equal(one.offsets, three.offsets));
  EXPECT_TRUE(std::ranges::equal(one.columns, three.columns));
  EXPECT_TRUE(std::ranges::equal(one.values, three.values));
  const CsrMatrix back = transpose(one.view(), 2);
  EXPECT_TRUE(std::ranges::equal(back.columns, m.columns));
  EXPECT_TRUE(std::ranges::equal(back.values, m.values));
}

TEST(ItemFilter, AllowDenyAndBoth) {
  const std::vector<std::int32_t> some{5, 1, 1, 1000000};
  const ItemFilter allow = ItemFilter::allow(std::span<const std::int32_t>(some));
  EXPECT_TRUE(allow.allows(5));
  EXPECT_TRUE(allow.allows(1000000));
  EXPECT_FALSE(allow.allows(2));
  EXPECT_EQ(allow.count_allowed(10), 2);
  const std::vector<std::int32_t> five{5};
  const ItemFilter both = allow & ItemFilter::deny(std::span<const std::int32_t>(five));
  EXPECT_FALSE(both.allows(5));
  EXPECT_TRUE(both.allows(1));
  EXPECT_EQ(both.count_allowed(10), 1);
  EXPECT_TRUE(ItemFilter().allows_everything());
  EXPECT_EQ(ItemFilter::deny(std::span<const std::int32_t>(five)).count_allowed(10), 9);
}

TEST(ItemFilter, AnEmptyAllowListAllowsNothing) {
  const ItemFilter none = ItemFilter::allow(std::span<const std::int32_t>());
  EXPECT_FALSE(none.allows(0));
  EXPECT_EQ(none.count_allowed(100), 0);
  EXPECT_FALSE(none.allows_everything());
}

TEST(ItemFilter, MaskAllowsWhatItMarksAndNothingBeyond) {
  const std::vector<std::uint8_t> mask{1, 0, 1};
  const ItemFilter f = ItemFilter::from_mask(mask);
  EXPECT_TRUE(f.allows(0));
  EXPECT_FALSE(f.allows(1));
  EXPECT_FALSE(f.allows(3));
}

TEST(ItemFilter, BitsAllowWhatTheySay) {
  std::mt19937_64 rng(3);
  auto words = std::make_shared<std::vector<std::uint64_t>>(5, 0);
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < 300; ++i)
    if (rng() % 3 == 0) {
      ids.push_back(i);
      (*words)[static_cast<std::size_t>(i) / 64] |= std::uint64_t{1} << (i % 64);
    }
  const auto account = std::make_shared<std::atomic<std::size_t>>(0);
  {
    const ItemFilter f = ItemFilter::from_bits(std::shared_ptr<const std::uint64_t>(words, words->data()), 5, static_cast<std::int64_t>(ids.size()), account);
    words.reset();  // the filter owns them
    const ItemFilter list = ItemFilter::allow(ids);
    const std::vector<std::int32_t> third{ids.size() > 3 ? static_cast<std::int32_t>(ids[3]) : 0};
    const ItemFilter deny = ItemFilter::deny(third);
    for (std::int64_t i = -2; i < 400; ++i) {
      EXPECT_EQ(f.allows(i), list.allows(i)) << i;
      EXPECT_EQ((f & deny).allows(i), (list & deny).allows(i)) << i;
      EXPECT_EQ((f & f).allows(i), list.allows(i)) << i;
      if (i < 0) continue;
      EXPECT_EQ(f.count_allowed(i), list.count_allowed(i)) << i;
      EXPECT_EQ((f & deny).count_allowed(i), (list & deny).count_allowed(i)) << i;
    }
    EXPECT_EQ(f.num_allowed_ids(), ids.size());
    std::vector<std::int64_t> walked;
    f.for_each_allowed_id([&](std::int64_t id) {
      walked.push_back(id);
      return true;
    });
    EXPECT_EQ(walked, ids);
    EXPECT_EQ(account->load(), 0u) << "nobody has asked for a list";
    EXPECT_TRUE(std::ranges::equal(f.allowed_ids(), ids));
    const ItemFilter copy = f;
    EXPECT_TRUE(std::ranges::equal(copy.allowed_ids(), ids));
    EXPECT_EQ(account->load(), ids.size() * sizeof(std::int64_t));
  }
  EXPECT_EQ(account->load(), 0u);
  EXPECT_THROW((void)ItemFilter::from_bits(nullptr, 5, 1), std::invalid_argument);
}

TEST(ItemFilter, NegativeIdsAreRefused) {
  const std::vector<std::int32_t> bad{-1};
  EXPECT_THROW((void)ItemFilter::allow(std::span<const std::int32_t>(bad)), std::invalid_argument);
}

TEST(Interactions, RefusesIdMapsOfAnotherSize) {
  const std::vector<std::int64_t> two{1, 2};
  const auto ids = std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(two)));
  EXPECT_THROW(Interactions(csr(1, 2, {0, 1}, {0}, {1}), ids, nullptr), std::invalid_argument);
  EXPECT_EQ(Interactions(csr(1, 2, {0, 1}, {0}, {1}), nullptr, ids).num_items(), 2);
}

TEST(Sequences, KeepsOrderAndRepeats) {
  const std::vector<std::int64_t> o{0, 3, 3, 4};
  const std::vector<std::int32_t> items{2, 2, 0, 1};
  const Sequences s{Array<std::int64_t>(o), Array<std::int32_t>(items)};
  EXPECT_EQ(s.size(), 3);
  EXPECT_EQ(s.num_items(), 3);
  EXPECT_TRUE(std::ranges::equal(s.items_of(0), std::vector<std::int32_t>{2, 2, 0}));
  EXPECT_TRUE(s.items_of(1).empty());
  EXPECT_EQ(s.user_of(2), 2);
}

TEST(Sequences, EveryBrokenInputIsRefused) {
  const std::vector<std::int64_t> o{0, 2};
  const std::vector<std::int64_t> short_times{1};
  const std::vector<std::int32_t> items{0, 5};
  const std::vector<std::int32_t> negative{0, -5};
  const std::vector<std::int32_t> three{0, 1, 2};
  EXPECT_THROW(Sequences(Array<std::int64_t>(o), Array<std::int32_t>(items), {}, 5), std::invalid_argument);
  EXPECT_THROW(Sequences(Array<std::int64_t>(o), Array<std::int32_t>(negative)), std::invalid_argument);
  EXPECT_THROW(Sequences(Array<std::int64_t>(o), Array<std::int32_t>(three)), std::invalid_argument);
  EXPECT_THROW(Sequences(Array<std::int64_t>(o), Array<std::int32_t>(items), Array<std::int64_t>(short_times)), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
