// SPDX-License-Identifier: Apache-2.0
// A log's events shopper by shopper, oldest first, as profiles read them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/group_rows.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/profile/user_profile.hpp"

namespace etalage::profile {

class Replay {
 public:
  Replay(const EventLog& log, const ProfileOptions& options, int num_threads) : log_(log) {
    const EventLog::Columns& c = log.columns();
    if (c.times_ms.empty() && log.size() != 0) throw std::invalid_argument("log has no times, profiles need them");
    roles_ = options.roles_of(c.events.empty() ? std::vector<std::string>{} : c.event_names);
    groups_ = detail::group_rows(c.users, log.num_users(), num_threads);
    std::int64_t* rows = groups_.rows.mutable_data();
    detail::parallel_for(static_cast<std::size_t>(log.num_users()), 256, num_threads, [&](std::size_t first, std::size_t last, int) {
      for (std::size_t u = first; u < last; ++u)
        std::sort(rows + groups_.offsets[u], rows + groups_.offsets[u + 1], [&](std::int64_t x, std::int64_t y) {
          const std::int64_t tx = c.times_ms[static_cast<std::size_t>(x)];
          const std::int64_t ty = c.times_ms[static_cast<std::size_t>(y)];
          return tx != ty ? tx < ty : x < y;
        });
    });
    if (!c.sessions.empty()) mark_orders(num_threads);
  }

  /// Rows of the log, by time and then by place.
  [[nodiscard]] std::span<const std::int64_t> rows_of(std::int32_t user) const { return groups_.of(user); }

  [[nodiscard]] ProfileEvent event(std::int64_t row) const {
    const auto i = static_cast<std::size_t>(row);
    const EventLog::Columns& c = log_.columns();
    ProfileEvent e{c.items[i], roles_[c.events.empty() ? 0 : c.events[i]], c.times_ms[i], c.values.empty() ? 1.0f : c.values[i]};
    e.role = e.meaning();
    if (!places_.empty()) e.order = places_[i];
    return e;
  }

 private:
  /// Orders by the log's sessions: of each user, for one key may be several users'.
  void mark_orders(int num_threads) {
    const EventLog::Columns& c = log_.columns();
    std::vector<OrderPlace> places(c.users.size(), OrderPlace::kByTime);
    detail::parallel_for(static_cast<std::size_t>(log_.num_users()), 256, num_threads, [&](std::size_t first, std::size_t last, int) {
      std::unordered_set<std::int32_t> orders;
      std::unordered_set<std::uint64_t> products;
      for (std::size_t u = first; u < last; ++u) {
        orders.clear();
        products.clear();
        for (const std::int64_t row : rows_of(static_cast<std::int32_t>(u))) {
          if (event(row).role != EventRole::kPurchase) continue;
          const auto i = static_cast<std::size_t>(row);
          const bool order = orders.insert(c.sessions[i]).second;
          const bool product = products.insert(static_cast<std::uint64_t>(c.sessions[i]) << 32 | static_cast<std::uint32_t>(c.items[i])).second;
          places[i] = order ? OrderPlace::kNewOrder : product ? OrderPlace::kNewProduct : OrderPlace::kFurther;
        }
      }
    });
    places_ = std::move(places);
  }

  const EventLog& log_;
  std::vector<EventRole> roles_;
  detail::RowGroups groups_;
  std::vector<OrderPlace> places_;  // of each row; empty for logs without sessions
};

}  // namespace etalage::profile
