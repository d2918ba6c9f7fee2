// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/recipe.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/io/recipe_json.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/popularity.hpp"

namespace etalage {
namespace {

constexpr std::int64_t kDay = 86'400'000;

EventLog sample_log(unsigned seed, bool typed = true) {
  std::mt19937 rng(seed);
  std::vector<std::int32_t> users, items;
  std::vector<std::uint16_t> events;
  std::vector<std::int64_t> times;
  std::vector<float> values;
  for (int e = 0; e < 300; ++e) {
    users.push_back(static_cast<std::int32_t>(rng() % 9));
    items.push_back(static_cast<std::int32_t>(rng() % 12));
    events.push_back(static_cast<std::uint16_t>(rng() % 3));
    times.push_back(static_cast<std::int64_t>(1000 * kDay + static_cast<std::int64_t>(rng() % 200) * kDay / 4));
    values.push_back(static_cast<float>(rng() % 7) - 1);
  }
  EventLog::Columns c;
  c.users = Array<std::int32_t>(users);
  c.items = Array<std::int32_t>(items);
  if (typed) c.events = Array<std::uint16_t>(events);
  if (typed) c.event_names = {"view", "buy", "return"};
  c.times_ms = Array<std::int64_t>(times);
  c.values = Array<float>(values);
  return EventLog(c);
}

std::set<std::tuple<std::int32_t, std::int32_t, float>> entries(const Interactions& data) {
  std::set<std::tuple<std::int32_t, std::int32_t, float>> out;
  const CsrView rows = data.user_items().view();
  for (std::int64_t u = 0; u < rows.rows; ++u)
    for (std::size_t p = 0; p < rows.row_columns(u).size(); ++p) out.emplace(static_cast<std::int32_t>(u), rows.row_columns(u)[p], rows.row_values(u)[p]);
  return out;
}

Recipe everything() {
  return {.event_weights = {{"view", 1}, {"buy", 5.5}},
          .half_life_days = 30,
          .duplicates = Duplicates::kMax,
          .return_event = "return",
          .return_cancels = {"buy"},
          .negative_values = NegativeValues::kCancel,
          .value_transform = ValueTransform::kCap,
          .value_cap = 2.5,
          .normalize_users = UserNormalization::kL2,
          .sessions = EventLog::By::kSession,
          .idle_minutes = 45};
}

TEST(Recipe, IsWhatTheCallsAreGiven) {
  const EventLog log = sample_log(1);
  const Recipe recipe = everything();
  InteractionOptions options = recipe.options();
  EXPECT_EQ(entries(recipe.interactions(log)), entries(log.interactions(options)));
  options.now_ms = 1500 * kDay;
  EXPECT_EQ(entries(recipe.interactions(log, 1500 * kDay)), entries(log.interactions(options)));
  options = {};
  options.event_weights = recipe.event_weights;
  options.duplicates = recipe.duplicates;
  options.return_event = recipe.return_event;
  options.return_cancels = recipe.return_cancels;
  options.negative_values = recipe.negative_values;
  EXPECT_EQ(entries(recipe.held_out(log)), entries(log.interactions(options)));
}

TEST(Recipe, ListsLeaveOutWhatNoMatrixHolds) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    const EventLog log = sample_log(seed);
    Recipe recipe = everything();
    recipe.sessions = EventLog::By::kUser;
    recipe.event_weights["view"] = seed % 2 == 0 ? 0 : 1;
    const auto left = entries(recipe.held_out(log));
    std::set<std::pair<std::int32_t, std::int32_t>> pairs;
    for (const auto& [u, i, w] : left) pairs.emplace(u, i);
    const EventLog::Columns& c = log.columns();
    std::vector<std::uint8_t> keep;
    for (std::size_t e = 0; e < c.users.size(); ++e)
      keep.push_back(c.events[e] != 2 && recipe.event_weights.at(c.event_names[c.events[e]]) > 0 && c.values[e] >= 0 && pairs.contains({c.users[e], c.items[e]}));
    const Sequences found = recipe.sequences(log);
    const Sequences expected = log.filtered(keep).sequences();
    EXPECT_TRUE(std::equal(found.items().begin(), found.items().end(), expected.items().begin(), expected.items().end())) << seed;
    EXPECT_TRUE(std::equal(found.offsets().begin(), found.offsets().end(), expected.offsets().begin(), expected.offsets().end())) << seed;
  }
  EXPECT_EQ(Recipe{}.sequences(sample_log(3, false)).size(), sample_log(3, false).sequences().size());
  EXPECT_THROW((void)everything().sequences(sample_log(3, false)), std::invalid_argument);
  EXPECT_THROW((void)(Recipe{.event_weights = {{"view", 1}}}.sequences(sample_log(3))), std::invalid_argument);
}

TEST(Recipe, IsWrittenAndReadAsPythonDoes) {
  EXPECT_EQ(to_json(Recipe{}), "{}");
  EXPECT_EQ(recipe_from_json("{}"), Recipe{});
  EXPECT_EQ(to_json(everything()),
            R"({"duplicates": "max", "event_weights": {"buy": 5.5, "view": 1}, "half_life_days": 30, "idle_minutes": 45, "negative_values": "cancel", )"
            R"("normalize_users": "l2", "return_cancels": ["buy"], "return_event": "return", "sessions": "session", "value_transform": ["cap", 2.5]})");
  EXPECT_EQ(recipe_from_json(to_json(everything())), everything());
  // As json.dumps(Recipe._given()) has it.
  const Recipe python = recipe_from_json(R"({"event_weights": {"buy": 5.0, "view": 1.0}, "half_life_days": 90.0, "normalize_users": null, "value_transform": "log1p"})");
  EXPECT_EQ(python, (Recipe{.event_weights = {{"buy", 5}, {"view", 1}}, .half_life_days = 90, .value_transform = ValueTransform::kLog1p}));
  for (const ValueTransform t : {ValueTransform::kNone, ValueTransform::kLog1p, ValueTransform::kSqrt, ValueTransform::kRank}) {
    Recipe r{.value_transform = t};
    EXPECT_EQ(recipe_from_json(to_json(r)), r);
  }
}

TEST(Recipe, SaysWhatIsWrong) {
  const auto message = [](const char* text) {
    try {
      (void)recipe_from_json(text);
    } catch (const std::invalid_argument& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(message("{").find("recipe"), std::string::npos);
  EXPECT_NE(message("[]").find("recipe"), std::string::npos);
  EXPECT_NE(message(R"({"half_life": 3})").find("half_life"), std::string::npos);
  EXPECT_NE(message(R"({"duplicates": "mean"})").find("'sum', 'max', 'last', 'binary'"), std::string::npos);
  EXPECT_NE(message(R"({"half_life_days": -1})").find("> 0"), std::string::npos);
  EXPECT_NE(message(R"({"event_weights": {}})").find("not empty"), std::string::npos);
  EXPECT_NE(message(R"({"event_weights": {"view": "1"}})").find("event_weights"), std::string::npos);
  EXPECT_NE(message(R"({"value_transform": ["cap"]})").find("cap"), std::string::npos);
  EXPECT_NE(message(R"({"value_transform": ["cap", 0]})").find("> 0"), std::string::npos);
  EXPECT_NE(message(R"({"return_cancels": ["buy"]})").find("return_event"), std::string::npos);
  EXPECT_THROW((void)to_json(Recipe{.idle_minutes = 0}), std::invalid_argument);
}

TEST(Recipe, StaysWithAModelAndItsFile) {
  const EventLog log = sample_log(2);
  PopularityModel model;
  model.fit(everything().interactions(log));
  model.set_recipe(to_json(everything()));
  EXPECT_EQ(recipe_from_json(load_from_memory(save_to_memory(model))->recipe()), everything());
}

}  // namespace
}  // namespace etalage
