// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace etalage {

/// What the events amount to that EventStoreOptions::history_limit removed from a shopper's history: their lifecycle and
/// totals stay right, however long they are a customer.
///
/// Sessions   by the store's session_idle_minutes, and so are orders: purchases without a longer pause between
/// Late       an event older than those before it counts in totals and opens no session, order or gap
struct EarlierTotals {
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();  ///< stands for a time that has not been

  /// Events of one type; those with a value below 0 apart, which make returns of purchases.
  struct Type {
    std::uint16_t type = 0;  ///< as in UserView
    bool negative = false;  ///< of values below 0
    std::int64_t events = 0;  ///< how many
    double value = 0;        ///< the sum of their values
  };
  /// What was bought of one product.
  struct Bought {
    std::int32_t item = -1;  ///< index in the store
    std::int32_t count = 0;        ///< orders with it
    std::int64_t last_ms = kNever;  ///< UTC milliseconds of the last order with it
    double quantity = 0;           ///< values of purchases less those of returns
    double sum_log_gap = 0;        ///< over count - 1 gaps, of ln(days)
    double sum_log_gap2 = 0;  ///< sum of squares of ln(days)
  };

  std::int64_t first_ms = kNever;  ///< of the first event
  std::int64_t last_ms = kNever;  ///< of the last event
  std::int64_t first_purchase_ms = kNever;  ///< of the first purchase
  std::int64_t last_purchase_ms = kNever;  ///< of the last purchase
  std::int64_t session_start_ms = kNever;  ///< of the last session
  std::int64_t session_purchases = 0;      ///< in it
  std::int64_t sessions = 0;  ///< parted by session_idle_minutes
  std::int64_t buying_sessions = 0;  ///< sessions with a purchase
  std::int64_t orders = 0;  ///< purchases without a longer pause between
  std::int64_t order_gaps = 0;  ///< between orders that came in order
  double gap_mean_days = 0;  ///< mean days between orders
  double gap_m2 = 0;  ///< sum of squared deviations from the mean
  double last_gap_days = 0;  ///< days between the last two orders
  std::vector<Type> types;  ///< events by type and sign
  std::vector<Bought> bought;  ///< by item; at most seen_limit, the longest not bought left first

  [[nodiscard]] bool empty() const noexcept { return first_ms == kNever; }
};

}  // namespace etalage
