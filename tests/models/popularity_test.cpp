// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/popularity.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "support/message_of.hpp"

namespace etalage {
namespace {

using test::message_of;

using Items = std::vector<std::int32_t>;

CsrMatrix csr(std::int64_t cols, const std::vector<std::vector<std::pair<std::int32_t, float>>>& rows) {
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (const auto& row : rows) {
    for (const auto& [c, v] : row) {
      columns.push_back(c);
      values.push_back(v);
    }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return {static_cast<std::int64_t>(rows.size()), cols, Array<std::int64_t>(offsets), Array<std::int32_t>(columns),
          Array<float>(values)};
}

// Totals: item 0 has 3 (2 users), 1 has 6 (1 user), 2 has 3 (2 users), 3 has 0.
CsrMatrix shop() { return csr(4, {{{0, 2}, {2, 1}}, {{0, 1}, {1, 6}}, {{2, 2}}}); }

PopularityModel fitted(PopularityOptions options = {}) {
  PopularityModel m(options);
  m.fit(shop());
  return m;
}

Items ask(const PopularityModel& m, const Query& q, std::size_t k) {
  Scratch scratch;
  std::vector<ItemScore> out(k);
  out.resize(m.recommend(q, out, scratch));
  Items items;
  for (const ItemScore& s : out) items.push_back(s.item);
  return items;
}

TEST(PopularityModel, RanksByWeightWithTiesByLowerIndex) {
  const PopularityModel m = fitted();
  EXPECT_EQ((std::vector<float>{m.scores().begin(), m.scores().end()}), (std::vector<float>{3, 6, 3, 0}));
  EXPECT_EQ(ask(m, {}, 10), (Items{1, 0, 2, 3}));
}

TEST(PopularityModel, CountsUsersWhenAskedTo) {
  PopularityOptions o;
  o.count = PopularityOptions::Count::kUsers;
  EXPECT_EQ(ask(fitted(o), {}, 10), (Items{0, 2, 1, 3}));
}

TEST(PopularityModel, LeavesOutKeptHistoryGivenHistoryAndSession) {
  const PopularityModel m = fitted();
  Query q;
  q.user = 0;
  EXPECT_EQ(ask(m, q, 10), (Items{1, 3}));
  const Items given{1, 0};
  q.history = given;
  EXPECT_EQ(ask(m, q, 10), (Items{2, 3}));
  const Items session{2};
  q.session = session;
  EXPECT_EQ(ask(m, q, 10), (Items{3}));
  q.exclude_seen = false;
  EXPECT_EQ(ask(m, q, 2), (Items{1, 0}));
  Query none;
  none.user = 0;
  none.history_given = true;
  EXPECT_EQ(ask(m, none, 1), (Items{1}));
}

TEST(PopularityModel, FiltersGiveAsManyAsAreAllowed) {
  const PopularityModel m = fitted();
  const ItemFilter deny = ItemFilter::deny(Items{1, 3});
  const ItemFilter allow = ItemFilter::allow(Items{3, 2, 99});
  const ItemFilter both = allow & ItemFilter::deny(Items{3});
  Query q;
  q.filter = &deny;
  EXPECT_EQ(ask(m, q, 10), (Items{0, 2}));
  q.filter = &allow;
  EXPECT_EQ(ask(m, q, 10), (Items{2, 3}));
  EXPECT_EQ(ask(m, q, 1), (Items{2}));
  q.user = 0;
  EXPECT_EQ(ask(m, q, 10), (Items{3}));
  q.filter = &both;
  EXPECT_EQ(ask(m, q, 10), (Items{}));
}

TEST(PopularityModel, DecaysByTheTimesOfSequences) {
  constexpr std::int64_t kDay = 86'400'000;
  // Item 0 twice, 20 days old; item 1 once, today; half-life 10 days: 2 * 1/4 against 1.
  const Sequences s(Array<std::int64_t>(std::vector<std::int64_t>{0, 2, 3}), Array<std::int32_t>(Items{0, 0, 1}),
                    Array<std::int64_t>(std::vector<std::int64_t>{0, 0, 20 * kDay}));
  PopularityOptions o;
  PopularityModel plain(o);
  plain.fit(s);
  EXPECT_EQ(ask(plain, {}, 2), (Items{0, 1}));
  o.half_life_days = 10;
  PopularityModel decayed(o);
  decayed.fit(s);
  EXPECT_EQ(ask(decayed, {}, 2), (Items{1, 0}));
  EXPECT_FLOAT_EQ(decayed.scores()[0], 0.5f);
  o.count = PopularityOptions::Count::kUsers;
  PopularityModel users(o);
  users.fit(s);
  EXPECT_FLOAT_EQ(users.scores()[0], 0.25f) << "one user, by their newest event";
}

TEST(PopularityModel, PartialFitEqualsAFitOnTheNewRows) {
  PopularityModel m = fitted();
  const Array<float> handed_out = m.scores();
  const CsrMatrix fresh = csr(4, {{{3, 9}}});
  m.partial_fit_users(Items{1}, fresh.view());
  PopularityModel direct;
  direct.fit(csr(4, {{{0, 2}, {2, 1}}, {{3, 9}}, {{2, 2}}}));
  EXPECT_TRUE(std::equal(m.scores().begin(), m.scores().end(), direct.scores().begin()));
  EXPECT_EQ(handed_out[1], 6.0f) << "an array that was handed out does not change";
  Query q;
  q.user = 1;
  EXPECT_EQ(ask(m, q, 10), (Items{2, 0, 1}));

  const CsrMatrix column = csr(3, {{{0, 1}, {2, 8}}});
  m.partial_fit_items(Items{1}, column.view());
  EXPECT_EQ(m.scores()[1], 9.0f);
  q.user = 2;
  EXPECT_EQ(ask(m, q, 10), (Items{3, 0})) << "item 1 is now seen by user 2";
}

TEST(PopularityModel, ScoresExplainsAndRefusesWhatItHasNot) {
  const PopularityModel m = fitted();
  Scratch scratch;
  const Items items{3, 1};
  std::array<float, 2> out{};
  m.score({}, items, out, scratch);
  EXPECT_EQ(out, (std::array<float, 2>{0, 6}));
  const Explanation e = m.explain({}, 1, 5);
  EXPECT_EQ(e.total, 6.0f);
  EXPECT_TRUE(e.contributions.empty());
  std::array<ItemScore, 1> one{};
  EXPECT_THROW((void)m.similar_items(0, one, scratch), UnsupportedError);
  EXPECT_THROW((void)m.similar_users(0, one, scratch), UnsupportedError);
}

TEST(PopularityModel, BadInputIsNamed) {
  PopularityOptions o;
  o.half_life_days = -1;
  EXPECT_EQ(message_of([&] { PopularityModel{o}; }), "half_life_days is -1, must be finite and >= 0");
  o.half_life_days = 3;
  EXPECT_NE(message_of([&] { PopularityModel{o}.fit(shop()); }).find("half_life_days is 3"), std::string::npos);
  PopularityModel m;
  Scratch scratch;
  std::array<ItemScore, 1> one{};
  EXPECT_THROW((void)m.recommend({}, one, scratch), NotFittedError);
  EXPECT_THROW(m.fit(csr(2, {{{0, NAN}}})), std::invalid_argument);
  EXPECT_THROW(m.fit(CsrMatrix{}), std::invalid_argument);
  EXPECT_THROW(m.fit(csr(1, {{{0, 3e38f}}, {{0, 3e38f}}})), NumericalError);
  m.fit(shop());
  Query q;
  q.user = 3;
  EXPECT_THROW((void)m.recommend(q, one, scratch), std::out_of_range);
  const CsrMatrix narrow = csr(3, {{{0, 1}}});
  EXPECT_NE(message_of([&] { m.partial_fit_users(Items{0}, narrow.view()); }).find("shape (1, 3), must be (1, 4)"),
            std::string::npos);
  const CsrMatrix two = csr(4, {{{0, 1}}, {{0, 1}}});
  EXPECT_NE(message_of([&] { m.partial_fit_users(Items{0, 0}, two.view()); }).find("twice"), std::string::npos);
}

}  // namespace
}  // namespace etalage
