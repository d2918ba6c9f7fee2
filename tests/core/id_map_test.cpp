// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/id_map.hpp"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "etalage/error.hpp"

namespace etalage {
namespace {

std::vector<std::string> keys(int n) {
  std::vector<std::string> out;
  for (int i = 0; i < n; ++i) out.push_back(std::string(static_cast<std::size_t>(i % 23), 'x') + "key-" + std::to_string(i));
  return out;
}

TEST(IdMap, FindsEveryStringAndNoOther) {
  const auto k = keys(5000);
  const IdMap map = IdMap::from_strings(std::span<const std::string>(k));
  ASSERT_EQ(map.size(), 5000);
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(map.find(k[static_cast<std::size_t>(i)]), i);
    EXPECT_EQ(map.string_at(i), k[static_cast<std::size_t>(i)]);
  }
  EXPECT_EQ(map.find("absent"), -1);
  EXPECT_EQ(map.find(""), -1);
  EXPECT_EQ(map.find(std::int64_t{3}), -1);
}

TEST(IdMap, FindsIntegersOfAnySign) {
  const std::vector<std::int64_t> k{0, -1, INT64_MIN, INT64_MAX, 42};
  const IdMap map = IdMap::from_integers(Array<std::int64_t>(k));
  for (std::size_t i = 0; i < k.size(); ++i) EXPECT_EQ(map.find(k[i]), static_cast<int>(i));
  EXPECT_EQ(map.find(std::int64_t{43}), -1);
  EXPECT_EQ(map.text_at(2), "-9223372036854775808");
}

TEST(IdMap, HoldsTheEmptyStringAndEmbeddedZeros) {
  const std::vector<std::string> k{"", std::string("a\0b", 3), std::string("a\0c", 3)};
  const IdMap map = IdMap::from_strings(std::span<const std::string>(k));
  for (std::size_t i = 0; i < k.size(); ++i) EXPECT_EQ(map.find(k[i]), static_cast<int>(i));
}

TEST(IdMap, RefusesDuplicatesNamingTheKey) {
  const std::vector<std::string> k{"a", "b", "a"};
  try {
    (void)IdMap::from_strings(std::span<const std::string>(k));
    FAIL();
  } catch (const std::invalid_argument& e) {
    EXPECT_STREQ(e.what(), "keys holds 'a' at 0 and at 2, must be unique");
  }
}

TEST(IdMap, EmptyMapsAnswerUnknown) {
  EXPECT_EQ(IdMap().find(std::int64_t{0}), -1);
  EXPECT_EQ(IdMap::from_strings(std::span<const std::string>()).find("a"), -1);
}

TEST(IdMap, PartsRoundTripAndBrokenPartsAreFormatErrors) {
  const auto k = keys(100);
  const IdMap map = IdMap::from_strings(std::span<const std::string>(k));
  const IdMap back = IdMap::from_parts(map.parts(), true);
  EXPECT_EQ(back.find(k[77]), 77);
  auto broken = map.parts();
  broken.slots.mutable_data()[3] = 101;
  EXPECT_THROW((void)IdMap::from_parts(broken, true), FormatError);
  broken = map.parts();
  broken.size = 99;
  EXPECT_THROW((void)IdMap::from_parts(broken, false), FormatError);
  broken = map.parts();
  broken.offsets.mutable_data()[5] = 1 << 20;
  EXPECT_THROW((void)IdMap::from_parts(broken, true), FormatError);
  broken = map.parts();
  broken.slots = Array<std::uint32_t>(100);
  EXPECT_THROW((void)IdMap::from_parts(broken, true), FormatError);
}

TEST(IdMap, ExtendedKeepsIndices) {
  const auto k = keys(10);
  const IdMap map = IdMap::from_strings(std::span<const std::string>(k));
  const std::vector<std::string_view> more{"new-1", "new-2"};
  const IdMap longer = map.extended(std::span<const std::string_view>(more));
  EXPECT_EQ(longer.size(), 12);
  EXPECT_EQ(longer.find(k[9]), 9);
  EXPECT_EQ(longer.find("new-2"), 11);
  EXPECT_THROW((void)map.extended(std::span<const std::int64_t>({std::int64_t{1}})), std::invalid_argument);
}

template <class Key, class Make>
void grow_a_large_map(const Make& make) {
  // Past every border between the steps: a few keys at a time, now and then many.
  std::vector<Key> all;
  const auto add = [&](std::size_t n) {
    while (n-- > 0) all.push_back(make(all.size()));
  };
  add(20'000);
  IdMap map;
  if constexpr (std::is_same_v<Key, std::string>) map = IdMap::from_strings(std::span<const std::string>(all));
  else map = IdMap::from_integers(Array<std::int64_t>(all));
  const IdMap before = map;
  for (std::size_t step = 0; all.size() < 190'000; ++step) {
    const std::size_t from = all.size();
    add(step % 400 == 399 ? 50'000 : step % 30 == 29 ? 700 : 1 + step % 3);
    if constexpr (std::is_same_v<Key, std::string>) {
      const std::vector<std::string_view> more(all.begin() + static_cast<std::ptrdiff_t>(from), all.end());
      map = map.extended(std::span<const std::string_view>(more));
    } else {
      map = map.extended(std::span<const std::int64_t>(all).subspan(from));
    }
    ASSERT_EQ(map.size(), static_cast<std::int32_t>(all.size()));
    for (std::size_t i = step % 97; i < all.size(); i += step % 50 == 0 ? 97 : 9973) {
      ASSERT_EQ(map.find(all[i]), static_cast<std::int32_t>(i)) << "step " << step;
      ASSERT_EQ(map.text_at(static_cast<std::int32_t>(i)), IdMap(map).text_at(static_cast<std::int32_t>(i)));
      if constexpr (std::is_same_v<Key, std::string>) ASSERT_EQ(map.string_at(static_cast<std::int32_t>(i)), all[i]);
      else ASSERT_EQ(map.integer_at(static_cast<std::int32_t>(i)), all[i]);
    }
    ASSERT_EQ(map.find(make(all.size())), IdMap::kUnknown);
    if (step % 50 != 0) continue;
    for (const std::size_t there : {std::size_t{5}, all.size() - 1}) {
      const std::vector<Key> twice{make(all.size()), all[there]};
      const std::vector<std::conditional_t<std::is_same_v<Key, std::string>, std::string_view, Key>> more(twice.begin(), twice.end());
      EXPECT_THROW((void)map.extended(std::span(std::as_const(more))), std::invalid_argument);
    }
    const IdMap back = IdMap::from_parts(map.parts(), true);
    ASSERT_EQ(back.size(), map.size());
    ASSERT_EQ(back.find(all.back()), map.find(all.back()));
  }
  EXPECT_EQ(before.size(), 20'000) << "what was handed out stays";
}

TEST(IdMap, ALargeMapGrowsBesideWhatItHolds) {
  grow_a_large_map<std::string>([](std::size_t i) { return "key-" + std::to_string(i); });
  grow_a_large_map<std::int64_t>([](std::size_t i) { return static_cast<std::int64_t>(i) * 7 - 1000; });
}

TEST(IdMap, AnIndexOutsideIsOutOfRange) {
  const auto k = keys(2);
  const IdMap map = IdMap::from_strings(std::span<const std::string>(k));
  EXPECT_THROW((void)map.string_at(2), std::out_of_range);
  EXPECT_THROW((void)map.string_at(-1), std::out_of_range);
  EXPECT_THROW((void)map.integer_at(0), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
