// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "etalage/export.hpp"

namespace etalage {

/// What was shown, one row a product of an answer. Numbers of requests, shoppers and products are those of the events; -1 is
/// unknown. A column that is not there is empty.
struct ShownRows {
  std::span<const std::int32_t> requests;  ///< [n] numbers of requests
  std::span<const std::int32_t> users;  ///< [n] numbers of shoppers; -1 nobody
  std::span<const std::int32_t> items;     ///< [n]
  std::span<const std::int64_t> times_ms;  ///< kNoTime unknown
};

/// What happened. A request that is named, but that no row of what was shown has, is kUnknownRequest.
struct EventRows {
  static constexpr std::int32_t kUnknownRequest = -2;  ///< of an event that says no request or one that is not known
  std::span<const std::int32_t> requests;  ///< -1: the event names none
  std::span<const std::int32_t> users;  ///< [n] numbers of shoppers
  std::span<const std::int32_t> items;     ///< [n]
  std::span<const std::int32_t> types;     ///< [n], in [0, number of types)
  std::span<const std::int64_t> times_ms;  ///< [n] UTC milliseconds
  std::span<const double> values;          ///< quantity or money, NaN unknown
};

/// How events of one type find what they are credited to.
struct EventTypeRule {
  std::int64_t window_ms = 0;     ///< of events without a request: latest row of shopper and product within it; < 0: never
  std::int32_t takes_back = -1;   ///< type whose credit an event of this type takes back; -1: none
};
/// What became of an event.
enum class CreditOutcome : std::uint8_t {
  kRequest,           ///< credited to the row of its request and product
  kLastTouch,         ///< credited to the latest row of its shopper and product within the window
  kTookBack,          ///< took credit, or a purchase without any, back
  kRepeated,          ///< the same request, shopper, product, type, time and value as an event before it
  kUnknownRequest,    ///< its request was never shown, or is no longer kept
  kNotInRequest,      ///< its request did not show the product
  kBeforeImpression,  ///< it is older than what its request showed
  kNoImpression,      ///< no row of shopper and product within the window
  kNothingToTakeBack  ///< no purchase before it
};
inline constexpr std::size_t kCreditOutcomes = 9;  ///< enumerators of CreditOutcome
/// "request", "last_touch", "took_back", "repeated", "unknown_request", "not_in_request", "before_impression",
/// "no_impression", "nothing_to_take_back".
[[nodiscard]] ETALAGE_EXPORT std::string_view credit_outcome_name(CreditOutcome outcome) noexcept;
/// Which row each event is credited to, and what that makes of the rows.
struct Credit {
  static constexpr std::int64_t kNoTime = std::numeric_limits<std::int64_t>::min();  ///< stands for a time that is not known
  std::vector<std::int64_t> rows;       ///< [events], row that was credited, or that lost its credit; -1 none
  std::vector<CreditOutcome> outcomes;  ///< [events]
  std::vector<double> values;           ///< [events], what returns left of a credited event's value; NaN where it has none
  std::vector<std::uint8_t> counts;     ///< [events], 1 where the event is credited and not taken back whole
};

/// Ties events to what was shown: by request where one is named, else by last touch. One event has one row at most, so credits
/// add up. Of several rows of a request and product the latest that is not after the event; among equal times the last row.
/// A return takes from the newest purchases of the same shopper and product (and request, where it names one) before it, as much
/// as its value says, one whole purchase where either has no value; purchases without credit use returns up as well.
/// std::invalid_argument: lengths, types out of range, negative values of what is no return, times that only one side has.
[[nodiscard]] ETALAGE_EXPORT Credit attribute_events(const ShownRows& shown, const EventRows& events, std::span<const EventTypeRule> rules);

/// How often what was shown got a reaction.
struct ReactionRate {
  std::int64_t shown = 0;  ///< places that were shown
  std::int64_t reacted = 0;  ///< of these, with a reaction
  std::int64_t shoppers = 0;  ///< different ones
  double effective = 0;  ///< rows that carry as much as these do: shown, or less where rows of a shopper hang together
  double low = 0;        ///< Wilson's score interval for `effective` rows
  double high = 1;  ///< upper end of the interval
};

/// Wilson's score interval (1927) of a share of n, both real; n = 0 gives [0, 1]. std::invalid_argument: share outside [0, 1],
/// n < 0, confidence outside (0, 1).
ETALAGE_EXPORT void wilson_interval(double share, double n, double confidence, double& low, double& high);

/// Rates of each group. groups [n]: -1 left out; reacted [n]: 0 or 1; users [n] or empty: the interval counts `shown` rows as
/// shown / d, d the variance between shoppers (linearised ratio) over that of independent rows, at least 1, and by Student's t
/// for that many shoppers (Korn, Graubard, 1998). Where all or none reacted there is nothing to tell d from, and a shopper counts
/// as one row. -1 is a shopper of its own.
[[nodiscard]] ETALAGE_EXPORT std::vector<ReactionRate> reaction_rates(std::span<const std::int32_t> groups, std::int32_t num_groups,
                                                                      std::span<const std::uint8_t> reacted,
                                                                      std::span<const std::int32_t> users, double confidence = 0.95);

}  // namespace etalage
