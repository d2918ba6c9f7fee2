// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
  bool lines = false;             ///< places are lines of a file rather than rows of a frame
  std::vector<Refusal> refusals;  ///< the first `kMaxRefusals`, in order
  static constexpr std::size_t kMaxRefusals = 1000;
};

/// What a bad row does: the first one ends the reading with std::invalid_argument, or each is left out and reported.
enum class OnError : std::uint8_t { kRaise, kSkip };

enum class TimeUnit : std::uint8_t { kSecond, kMillisecond, kMicrosecond, kNanosecond };

/// Which columns of a frame or a file make up the events, and how they are read.
struct EventColumns {
  std::string user = "user";           ///< strings or integers
  std::string item = "item";           ///< strings or integers
  std::optional<std::string> event = {};    ///< type of the event: view, cart, purchase, ...
  std::optional<std::string> time = {};     ///< dates, timestamps (without a zone: UTC), ISO-8601 text, or numbers with time_unit
  std::optional<std::string> value = {};    ///< quantity, rating, price: finite
  std::optional<std::string> session = {};  ///< strings or integers
  std::optional<TimeUnit> time_unit = {};   ///< what a number in the time column counts since 1970-01-01 UTC
  OnError on_error = OnError::kRaise;
  int num_threads = 0;
};

}  // namespace etalage
