// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Three parts of one record, over the same users and items.
template <class Data>
struct Split {
  Data train;  ///< what models are fitted on
  Data valid;  ///< empty where none was asked for
  Data test;  ///< what they are asked for
};

// A (user, item) pair lies in one part with all of its events unless said otherwise: a view that stayed behind in train
// while the purchase it led to is in test would give the answer away, or, with seen items masked, forbid it.

/// Settings of leave_last_out().
struct LeaveLastOutOptions {
  bool valid = true;            ///< the item before the last one goes to valid
  bool keep_repeats = false;    ///< hold out the last row alone and leave earlier rows of that item where they are
  std::vector<std::string> target_events = {};  ///< only events of these types are held out; empty means any
};

/// The last item of each user is test, the last other one before it valid. A user keeps at least one item in train: with
/// two items there is no valid, with one no test. Rows are ordered by time, or as they lie where the log has no times.
[[nodiscard]] ETALAGE_EXPORT Split<EventLog> leave_last_out(const EventLog& log, const LeaveLastOutOptions& options = {});

/// Rows before `at_ms` are train, the others test; with valid_at_ms < at_ms, rows from there on are valid. Repeats stay
/// as they happened. std::invalid_argument without times.
[[nodiscard]] ETALAGE_EXPORT Split<EventLog> temporal(const EventLog& log, std::int64_t at_ms,
                                                      std::optional<std::int64_t> valid_at_ms = std::nullopt);

/// Each (user, item) pair goes to test with probability `share` and to valid with `valid_share`, by a hash of seed, user
/// and item: a log and the matrix made from it are cut alike. Shares in [0, 1), their sum too, share > 0.
[[nodiscard]] ETALAGE_EXPORT Split<EventLog> random_holdout(const EventLog& log, double share, std::uint64_t seed,
                                                            double valid_share = 0);
[[nodiscard]] ETALAGE_EXPORT Split<Interactions> random_holdout(const Interactions& data, double share, std::uint64_t seed,
                                                                double valid_share = 0);

/// The last `share` of each user's distinct items (by first appearance, rounded down) is test, the `valid_share` before
/// it valid.
[[nodiscard]] ETALAGE_EXPORT Split<EventLog> tail_holdout(const EventLog& log, double share, double valid_share = 0);

}  // namespace etalage
