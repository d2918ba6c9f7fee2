// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// What reading did: rows read, kept and refused, the first refusals with their place and reason.
struct ReadReport {
  /// A row that was not taken.
  struct Refusal {
    std::int64_t line = 0;  ///< 1-based line of a file (where the row begins), or 0-based row of a frame
    std::string reason;     ///< names the column, the value and the rule
  };
  std::int64_t rows_read = 0;  ///< all of the source
  std::int64_t rows_kept = 0;  ///< that are events of the log
  std::int64_t rows_refused = 0;  ///< left out, for a reason that is told
  bool lines = false;             ///< places are lines of a file rather than rows of a frame
  std::vector<Refusal> refusals;  ///< the first `kMaxRefusals`, in order
  std::vector<std::int64_t> refused;  ///< the places of all refused rows, ascending
  static constexpr std::size_t kMaxRefusals = 1000;  ///< refusals that are told one by one
};

/// What a bad row does: the first one ends the reading with std::invalid_argument, or each is left out and reported.
enum class OnError : std::uint8_t { kRaise, kSkip };

/// UTC milliseconds of ISO-8601 text as the readers take it, rounded down: 2020-02-29, optionally T or a blank and
/// 12:30[:15[.250]], optionally Z, +01, +0100 or +01:00. Nothing for other text or years outside 1 to 9999.
[[nodiscard]] ETALAGE_EXPORT std::optional<std::int64_t> parse_time_ms(std::string_view text) noexcept;

/// What a number of a time column counts.
enum class TimeUnit : std::uint8_t { kSecond, kMillisecond, kMicrosecond, kNanosecond };

/// Which columns of a frame or a file make up the events, and how they are read.
struct EventColumns {
  std::string user = "user";           ///< strings or integers
  std::string item = "item";           ///< strings or integers
  std::optional<std::string> event = {};    ///< type of the event: view, cart, purchase, ...
  std::optional<std::string> time = {};     ///< dates, timestamps (without a zone: UTC), ISO-8601 text, or numbers with time_unit
  std::optional<std::string> value = {};    ///< quantity, rating, price: finite
  std::optional<std::string> session = {};  ///< strings or integers
  std::optional<TimeUnit> time_unit = {};   ///< what a number in the time column counts since 1970-01-01 UTC;
                                            ///< std::invalid_argument where nearly all make sense in another unit alone
  /// The kind that the keys shall have, as those of a model's: text that is a plain integer becomes one, integers become
  /// their decimal text; a row whose key cannot is a bad one. By default the column decides.
  std::optional<IdMap::Kind> user_kind = {};
  std::optional<IdMap::Kind> item_kind = {};
  OnError on_error = OnError::kRaise;
  int num_threads = 0;
};

}  // namespace etalage
