// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Words of a recipe's choices, as options spell them; those without a word are said otherwise (a cap by its number, none by nothing).
template <>
inline constexpr auto option_names<Duplicates> = std::to_array<OptionName<Duplicates>>(
    {{"sum", Duplicates::kSum}, {"max", Duplicates::kMax}, {"last", Duplicates::kLast}, {"binary", Duplicates::kBinary}});
template <>
inline constexpr auto option_names<NegativeValues> = std::to_array<OptionName<NegativeValues>>(
    {{"keep", NegativeValues::kKeep}, {"cancel", NegativeValues::kCancel}});
template <>
inline constexpr auto option_names<ValueTransform> = std::to_array<OptionName<ValueTransform>>(
    {{"log1p", ValueTransform::kLog1p}, {"sqrt", ValueTransform::kSqrt}, {"rank", ValueTransform::kRank}});
template <>
inline constexpr auto option_names<UserNormalization> = std::to_array<OptionName<UserNormalization>>(
    {{"l1", UserNormalization::kL1}, {"l2", UserNormalization::kL2}, {"max", UserNormalization::kMax}, {"mean", UserNormalization::kMean}});
template <>
inline constexpr auto option_names<EventLog::By> = std::to_array<OptionName<EventLog::By>>(
    {{"user", EventLog::By::kUser}, {"session", EventLog::By::kSession}});

/// How a shop's events become what models are fitted on: said once, for a matrix, for lists in order and for the rows that a
/// model is tested on. What etalage.Recipe is in Python, field by field; to_json() and recipe_from_json() (io/recipe_json.hpp)
/// write and read it for both, and models keep it as JSON.
///
///   Recipe recipe{.event_weights = {{"view", 1}, {"purchase", 5}}, .half_life_days = 90};
///   AlsModel model;
///   model.fit(recipe.interactions(train));
///   model.set_recipe(to_json(recipe));
///   evaluate(model, recipe.held_out(test));
struct ETALAGE_EXPORT Recipe {
  std::map<std::string, double> event_weights = {};  ///< of every type of the log; empty: 1 each; 0: says nothing, below 0: a dislike
  double half_life_days = 0;                 ///< an event counts half after so many days; 0 means no decay; >= 0
  Duplicates duplicates = Duplicates::kSum;  ///< what several events of a (user, item) pair become
  std::string return_event = {};             ///< event type that is a return; empty means none
  std::vector<std::string> return_cancels = {};            ///< event types that it takes back; empty means all others
  NegativeValues negative_values = NegativeValues::kKeep;  ///< what a value below 0 is: a dislike, or a return
  ValueTransform value_transform = ValueTransform::kNone;  ///< of a pair's weight
  double value_cap = 0;                                    ///< of ValueTransform::kCap, > 0
  UserNormalization normalize_users = UserNormalization::kNone;  ///< of each user's weights, after the transform
  EventLog::By sessions = EventLog::By::kUser;  ///< lists for models of order: one a shopper, or one a visit
  double idle_minutes = 30;                  ///< where the log has no sessions, a visit ends after so long a pause; > 0

  friend bool operator==(const Recipe&, const Recipe&) = default;  ///< field by field
  void validate() const;  ///< throws std::invalid_argument: field, value, rule

  /// What EventLog::interactions() takes. now_ms: the moment that half_life_days counts back from, by default the log's newest event.
  [[nodiscard]] InteractionOptions options(std::optional<std::int64_t> now_ms = {}, int num_threads = 0) const;
  /// The log as a users x items matrix.
  [[nodiscard]] Interactions interactions(const EventLog& log, std::optional<std::int64_t> now_ms = {}, int num_threads = 0) const;
  /// The log as lists in order of time, without events that weigh 0 or less, returns, what was returned whole, and, under
  /// NegativeValues::kCancel, values below 0. Decay, transform and normalisation do nothing to lists.
  [[nodiscard]] Sequences sequences(const EventLog& log) const;
  /// The matrix of held-out events: the same weights and returns, without decay and transforms, for what was bought is a hit
  /// whenever it was and however much.
  [[nodiscard]] Interactions held_out(const EventLog& log, int num_threads = 0) const;
};

}  // namespace etalage
