// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/sequences.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What reading did: rows read, kept and refused, the first refusals with their place and reason.
struct ReadReport {
  struct Refusal {
    std::int64_t line = 0;  ///< 1-based line of a file (where the row begins), or 0-based row of a frame
    std::string reason;     ///< names the column, the value and the rule
  };
  std::int64_t rows_read = 0;
  std::int64_t rows_kept = 0;
  std::int64_t rows_refused = 0;
  bool lines = false;              ///< places are lines of a file rather than rows of a frame
  std::vector<Refusal> refusals;   ///< the first `kMaxRefusals`, in order
  static constexpr std::size_t kMaxRefusals = 1000;
};

enum class OnError : std::uint8_t { kRaise, kSkip };
enum class Duplicates : std::uint8_t { kSum, kMax, kLast, kBinary };

/// How a log becomes a matrix. weight(event) = value * event_weight * 2^(-(now - time) / half_life).
struct InteractionOptions {
  /// Weight of each event type; empty means 1 for all. A type of the log that is absent here is an error.
  std::map<std::string, double> event_weights;
  double half_life_days = 0;                  ///< 0 means no decay; > 0 needs times
  std::optional<std::int64_t> now_ms;         ///< UTC milliseconds; by default the newest event
  Duplicates duplicates = Duplicates::kSum;   ///< how events of one (user, item) pair become one weight
  std::int32_t min_user_count = 0;            ///< users with fewer distinct items are emptied
  std::int32_t min_item_count = 0;            ///< items with fewer distinct users are emptied
  std::string return_event;                   ///< event type that cancels: see docs/data.md; empty means none
  int num_threads = 0;
  void validate() const;
};

/// A shop's record, one row an event, as typed columns over interned keys. Immutable, cheap to copy.
/// Users and items are numbered in order of first appearance.
class ETALAGE_EXPORT EventLog {
 public:
  /// The columns. users and items int32 [n]; the others [n] or empty.
  struct Columns {
    Array<std::int32_t> users;
    Array<std::int32_t> items;
    Array<std::uint16_t> events;        ///< index into event_names
    Array<std::int64_t> times_ms;       ///< UTC milliseconds
    Array<float> values;                ///< finite
    Array<std::int32_t> sessions;       ///< index into session_ids
    std::vector<std::string> event_names;
    SharedIdMap user_ids;
    SharedIdMap item_ids;
    SharedIdMap session_ids;
  };

  EventLog() = default;
  explicit EventLog(Columns columns, ReadReport report = {});

  [[nodiscard]] std::int64_t size() const noexcept { return static_cast<std::int64_t>(columns_.users.size()); }
  [[nodiscard]] std::int32_t num_users() const noexcept { return columns_.user_ids ? columns_.user_ids->size() : 0; }
  [[nodiscard]] std::int32_t num_items() const noexcept { return columns_.item_ids ? columns_.item_ids->size() : 0; }
  [[nodiscard]] const Columns& columns() const noexcept { return columns_; }
  [[nodiscard]] const ReadReport& report() const noexcept { return report_; }

  [[nodiscard]] Interactions interactions(const InteractionOptions& options = {}) const;

  enum class By : std::uint8_t { kUser, kSession };
  /// One list a user, or one a session: the log's own session column where it has one, else cut where a user paused
  /// for longer than idle_minutes. Stable by time; rows of equal time keep the log's order.
  [[nodiscard]] Sequences sequences(By by = By::kUser, double idle_minutes = 30) const;

  /// The rows where keep[i] != 0, over the same id space.
  [[nodiscard]] EventLog filtered(std::span<const std::uint8_t> keep) const;

 private:
  Columns columns_;
  ReadReport report_;
};

}  // namespace etalage
