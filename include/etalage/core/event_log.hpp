// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/event_columns.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What becomes of several events of one user with one item.
enum class Duplicates : std::uint8_t { kSum, kMax, kLast, kBinary };

/// What an event with a negative value means: kKeep, a negative weight; kCancel, a return (see InteractionOptions).
enum class NegativeValues : std::uint8_t { kKeep, kCancel };

/// What is made of a pair's weight w once its events are one; the sign of w stays.
///   kNone   w
///   kLog1p  sign(w) log(1 + |w|)
///   kSqrt   sign(w) sqrt(|w|)
///   kRank   sign(w) r / n, where r in [1, n] is the rank of |w| among the user's n pairs, equal ones at their mean
///   kCap    sign(w) min(|w|, value_cap)
enum class ValueTransform : std::uint8_t { kNone, kLog1p, kSqrt, kRank, kCap };

/// What a user's weights are divided by, after the transform: the sum of their magnitudes, their Euclidean length, the
/// largest magnitude, or the mean magnitude.
enum class UserNormalization : std::uint8_t { kNone, kL1, kL2, kMax, kMean };

/// How a log becomes a matrix. weight(event) = value * event_weight * 2^(-(now - time) / half_life).
///
/// Decay makes weights small but removes nothing: a weight below the smallest normal float32 (1.2e-38) is stored as that,
/// with its sign, and the age of an event counts up to 800 half-lives.
/// Returns cancel: a return takes its quantity (|value|, 1 without values) back from the same user's earlier events of
/// the same item, latest first, until it is used up; what no earlier event covers is dropped. Earlier means by time
/// and then by place in the log. What is left of each event keeps that event's own weight and age, and an event
/// returned whole counts for nothing, whatever `duplicates` says. A pair whose weight comes to 0 is left out, and so is
/// what is left of a sum or of a return within the rounding of float32 values: .3 - .1 - .2 is 0. Whole numbers are exact.
struct ETALAGE_EXPORT InteractionOptions {
  /// Weight of each event type; empty means 1 for all. A type of the log that is absent here is an error, but for
  /// return_event, which needs none.
  std::map<std::string, double> event_weights = {};
  double half_life_days = 0;                 ///< 0 means no decay; > 0 needs times
  std::optional<std::int64_t> now_ms = {};   ///< UTC milliseconds; by default the newest event
  Duplicates duplicates = Duplicates::kSum;  ///< how events of one (user, item) pair become one; binary: sign of
                                             ///< the sum, times the decay of the newest event where there is one
  ValueTransform value_transform = ValueTransform::kNone;          ///< of each pair's weight
  double value_cap = 0;                      ///< of kCap, > 0
  UserNormalization normalize_users = UserNormalization::kNone;    ///< of each user's weights, after the transform
  std::int32_t min_user_count = 0;           ///< users with fewer distinct items are emptied,
  std::int32_t min_item_count = 0;           ///< items with fewer distinct users too, until both hold
  std::string return_event = {};             ///< event type that is a return, one of the log's; empty means none
  std::vector<std::string> return_cancels = {};   ///< of the log, that return_event takes back; empty means all others
  NegativeValues negative_values = NegativeValues::kKeep;  ///< kCancel: a return of earlier events of the same type
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "half_life_days", o.half_life_days, OptionRule("finite and >= 0 (0 means no decay)"), "min_user_count", o.min_user_count,
                  OptionRule(">= 0"), "min_item_count", o.min_item_count, OptionRule(">= 0"), "num_threads", o.num_threads,
                  OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// A shop's record, one row an event, as typed columns over interned keys. Immutable, cheap to copy.
/// Users and items are numbered in order of first appearance.
class ETALAGE_EXPORT EventLog {
 public:
  /// The columns. users and items int32 [n]; the others [n] or empty.
  struct Columns {
    Array<std::int32_t> users;  ///< [n] in [0, num_users)
    Array<std::int32_t> items;  ///< [n] in [0, num_items)
    Array<std::uint16_t> events;        ///< index into event_names
    Array<std::int64_t> times_ms;       ///< UTC milliseconds
    Array<float> values;                ///< finite
    Array<std::int32_t> sessions;       ///< index into session_ids
    std::vector<std::string> event_names;  ///< names of the types, unique
    SharedIdMap user_ids;  ///< keys by user; null: users are indices
    SharedIdMap item_ids;  ///< keys by item; null: items are indices
    SharedIdMap session_ids;  ///< keys by session; null: sessions are indices
  };

  EventLog() = default;
  /// std::invalid_argument names the column, the value and the rule. Without id maps users and items are plain
  /// indices below the largest that occurs.
  explicit EventLog(Columns columns, ReadReport report = {});
  struct Checked {};
  /// Columns with id maps, of which the caller knows what the other constructor checks.
  EventLog(Columns columns, ReadReport report, Checked checked) noexcept;

  [[nodiscard]] std::int64_t size() const noexcept { return static_cast<std::int64_t>(columns_.users.size()); }
  [[nodiscard]] std::int32_t num_users() const noexcept { return num_users_; }
  [[nodiscard]] std::int32_t num_items() const noexcept { return num_items_; }
  [[nodiscard]] const Columns& columns() const noexcept { return columns_; }  ///< the columns as they are kept
  [[nodiscard]] const ReadReport& report() const noexcept { return report_; }

  /// The users x items matrix; std::invalid_argument names the option, the value and the rule.
  [[nodiscard]] Interactions interactions(const InteractionOptions& options = {}) const;

  /// One list a shopper, or one a visit.
  enum class By : std::uint8_t { kUser, kSession };
  /// One list a user, or one a session: the log's own session column where it has one, else cut where a user paused
  /// for longer than idle_minutes. A session is one user's: rows of two users under one session key are two sessions,
  /// as where shops number the visits of each shopper. Stable by time; rows of equal time keep the log's order.
  /// Lists of users come in index order, those of a session column in order of first appearance, cut ones by user and
  /// then by time. Without times the log's order stands; cutting needs times.
  [[nodiscard]] Sequences sequences(By by = By::kUser, double idle_minutes = 30) const;

  /// The rows where keep[i] != 0, over the same id space.
  [[nodiscard]] EventLog filtered(std::span<const std::uint8_t> keep) const;

  /// The rows of several logs, one after the other, over the keys of all in order of first appearance. A column must be
  /// in all or in none, keys of one kind; std::invalid_argument otherwise, and for logs without keys.
  [[nodiscard]] static EventLog concat(std::span<const EventLog> logs);

 private:
  Columns columns_;
  ReadReport report_;
  std::int32_t num_users_ = 0;
  std::int32_t num_items_ = 0;
};

}  // namespace etalage
