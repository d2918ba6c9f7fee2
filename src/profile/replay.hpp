// SPDX-License-Identifier: Apache-2.0
// A log's events shopper by shopper, oldest first, as profiles read them.
#pragma once

#include <algorithm>
#include <stdexcept>
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
  }

  /// Rows of the log, by time and then by place.
  [[nodiscard]] std::span<const std::int64_t> rows_of(std::int32_t user) const { return groups_.of(user); }

  [[nodiscard]] ProfileEvent event(std::int64_t row) const {
    const auto i = static_cast<std::size_t>(row);
    const EventLog::Columns& c = log_.columns();
    return {c.items[i], roles_[c.events.empty() ? 0 : c.events[i]], c.times_ms[i], c.values.empty() ? 1.0f : c.values[i]};
  }

 private:
  const EventLog& log_;
  std::vector<EventRole> roles_;
  detail::RowGroups groups_;
};

}  // namespace etalage::profile
