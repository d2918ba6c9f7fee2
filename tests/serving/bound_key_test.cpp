// SPDX-License-Identifier: Apache-2.0
// Keys of Request and Event: what would dangle is kept, what lasts is looked at, and what is no key does not compile.
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "etalage/core/item_filter.hpp"
#include "etalage/serving/engine.hpp"

namespace etalage {
namespace {

template <class From, class To>
constexpr bool converts = std::is_convertible_v<From, To>;

// Any integer, any text, any key.
static_assert(converts<int, KeyView> && converts<unsigned, KeyView> && converts<std::size_t, KeyView> && converts<short, KeyView>);
static_assert(converts<const char*, KeyView> && converts<std::string, KeyView> && converts<std::string_view, KeyView> && converts<Key, KeyView>);
static_assert(converts<int, BoundKey> && converts<std::string, BoundKey> && converts<const std::string&, BoundKey> && converts<Key, BoundKey> &&
              converts<KeyView, BoundKey> && converts<BoundKey, KeyView>);
// No truth values, characters, fractions or null pointers, and no pointer of another type.
template <class To>
constexpr bool refuses_what_is_no_key = !std::is_constructible_v<To, bool> && !std::is_constructible_v<To, char> && !std::is_constructible_v<To, double> &&
                                        !std::is_constructible_v<To, float> && !std::is_constructible_v<To, std::nullptr_t> &&
                                        !std::is_constructible_v<To, int*> && !std::is_constructible_v<To, std::vector<int>>;
static_assert(refuses_what_is_no_key<KeyView> && refuses_what_is_no_key<BoundKey>);
static_assert(!std::is_constructible_v<BoundText, int> && !std::is_constructible_v<BoundText, std::nullptr_t> && !std::is_constructible_v<BoundText, bool>);
static_assert(!std::is_constructible_v<BoundKeys, std::vector<double>> && !std::is_constructible_v<BoundKeys, int>);

const std::string kLong = "a name that is longer than what a string keeps in itself, so that a view of it would show freed memory: ";

std::string text(const KeyView& key) { return text_of(key); }

TEST(BoundKeys, TemporariesAreKept) {
  std::optional<Request> request;
  for (int id = 0; id < 2; ++id) {
    request.emplace(Request{.user = kLong + std::to_string(id), .anchors = {kLong + "a", "b", kLong + std::to_string(id)}, .session = std::vector<std::string>{kLong + "s"},
                            .given = {{kLong + "g", 2.0f}, {"h", 1.0f}}, .segment = kLong + "segment", .place = kLong + "place"});
    const std::vector<std::string> used(64, kLong + "other");  // takes what was freed
    const Request copy = *request;
    request.reset();
    ASSERT_TRUE(copy.user.has_value());
    EXPECT_EQ(text(*copy.user), kLong + std::to_string(id));
    ASSERT_EQ(copy.anchors.size(), 3u);
    EXPECT_EQ(text(copy.anchors[0]), kLong + "a");
    EXPECT_EQ(text(copy.anchors[2]), kLong + std::to_string(id));
    EXPECT_EQ(text(copy.session[0]), kLong + "s");
    EXPECT_EQ(text(copy.given[0].first), kLong + "g");
    EXPECT_EQ(copy.given[1].second, 1.0f);
    EXPECT_EQ(copy.segment, kLong + "segment");
    EXPECT_EQ(copy.place, kLong + "place");
  }
  const Event event{.user = kLong + "u", .item = Key(kLong + "i"), .type = kLong + "type"};
  const std::vector<std::string> used(64, kLong + "other");
  EXPECT_EQ(text(event.user), kLong + "u");
  EXPECT_EQ(text(event.item), kLong + "i");
  EXPECT_EQ(event.type, kLong + "type");
}

TEST(BoundKeys, WhatLastsIsLookedAtWhereItLies) {
  const std::string name = kLong;
  const BoundKey key = name;
  EXPECT_EQ(std::get<std::string_view>(key).data(), name.data());
  const KeyView page[] = {"mug", 7};
  const BoundKeys keys = page;
  EXPECT_EQ(keys.data(), page);
  EXPECT_EQ(keys.size(), 2u);
  const std::vector<std::string> names{kLong, "b"};
  const BoundKeys of_names = names;
  EXPECT_EQ(std::get<std::string_view>(of_names[0]).data(), names[0].data());
  const BoundKeys numbers = {7, 9};
  EXPECT_EQ(std::get<std::int64_t>(numbers[1]), 9);
  EXPECT_TRUE(BoundKeys().empty());
}

TEST(BoundKeys, IntegersOfEveryTypeWithinRange) {
  EXPECT_EQ(std::get<std::int64_t>(KeyView(std::uint8_t{200})), 200);
  EXPECT_EQ(std::get<std::int64_t>(KeyView(-3)), -3);
  EXPECT_EQ(std::get<std::int64_t>(KeyView(std::uint64_t{INT64_MAX})), INT64_MAX);
  EXPECT_THROW((void)KeyView(std::uint64_t{1} << 63), std::invalid_argument);
  const Key owned = std::string("x");
  EXPECT_EQ(KeyView(owned), KeyView("x"));
}

TEST(BoundKeys, AnEngineTakesThem) {
  Engine engine;
  for (int id = 0; id < 3; ++id) engine.observe({.user = kLong + std::to_string(id), .item = "item-" + std::to_string(id), .type = std::string("purchase")});
  Request request{.user = kLong + std::to_string(1), .placement = Placement::kProductPage, .anchors = {"item-0"}};
  const Answer answer = engine.recommend(request);
  EXPECT_TRUE(answer.known_user);
  for (const Recommended& r : answer.items) EXPECT_NE(r.item, Key("item-0"));
  Engine numbers;
  numbers.observe({1, 2u});
  EXPECT_TRUE(numbers.recommend({.user = std::size_t{1}}).known_user);
  EXPECT_TRUE(ItemFilter::allow({3, 5}).allows(5));
  EXPECT_FALSE(ItemFilter::deny({3, 5}).allows(5));
}

}  // namespace
}  // namespace etalage
