// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/split.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"

namespace etalage {
namespace {

enum Part : std::uint8_t { kTrain, kValid, kTest };

void require_shares(double share, double valid_share) {
  detail::require_finite(share > 0 && share < 1, "share", share, "in (0, 1)");
  detail::require_finite(valid_share >= 0 && valid_share + share < 1, "valid_share", valid_share, ">= 0 and below 1 - share");
}

Split<EventLog> parted(const EventLog& log, std::span<const std::uint8_t> part) {
  std::vector<std::uint8_t> keep(part.size());
  const auto rows = [&](std::uint8_t wanted) {
    std::transform(part.begin(), part.end(), keep.begin(), [wanted](std::uint8_t p) { return static_cast<std::uint8_t>(p == wanted); });
    return log.filtered(keep);
  };
  return {rows(kTrain), rows(kValid), rows(kTest)};
}

// Calls assign(rows of one user in time order) for every user, in parallel.
void for_each_user(const EventLog& log, const std::function<void(std::span<const std::int64_t>)>& assign) {
  const EventLog::Columns& c = log.columns();
  const auto users = static_cast<std::size_t>(log.num_users());
  std::vector<std::size_t> begin(users + 1, 0);
  for (const std::int32_t u : c.users) ++begin[static_cast<std::size_t>(u) + 1];
  for (std::size_t u = 0; u < users; ++u) begin[u + 1] += begin[u];
  std::vector<std::int64_t> rows(c.users.size());
  std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
  for (std::size_t r = 0; r < c.users.size(); ++r)
    rows[next[static_cast<std::size_t>(c.users[r])]++] = static_cast<std::int64_t>(r);
  detail::parallel_for(users, 256, 0, [&](std::size_t first, std::size_t last, int) {
    for (std::size_t u = first; u < last; ++u) {
      const std::span<std::int64_t> mine(rows.data() + begin[u], begin[u + 1] - begin[u]);
      if (!c.times_ms.empty())
        std::stable_sort(mine.begin(), mine.end(), [&](std::int64_t a, std::int64_t b) {
          return c.times_ms[static_cast<std::size_t>(a)] < c.times_ms[static_cast<std::size_t>(b)];
        });
      assign(mine);
    }
  });
}

// Which event types may be held out.
std::vector<std::uint8_t> targets(const EventLog& log, const std::vector<std::string>& wanted) {
  const std::vector<std::string>& names = log.columns().event_names;
  std::vector<std::uint8_t> is_target(names.size(), wanted.empty() ? 1 : 0);
  for (const std::string& w : wanted) {
    const auto at = std::find(names.begin(), names.end(), w);
    if (at == names.end()) {
      std::string known;
      for (const std::string& n : names) known += (known.empty() ? "" : ", ") + n;
      throw std::invalid_argument("target_events holds '" + w + "', must be an event type of the log (" + known + ")");
    }
    is_target[static_cast<std::size_t>(at - names.begin())] = 1;
  }
  return is_target;
}

// A hash of (seed, user, item) as a number in [0, 1).
double lot(std::uint64_t seed, std::int32_t user, std::int32_t item) noexcept {
  using detail::split_mix;
  const std::uint64_t pair = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(user)) << 32) | static_cast<std::uint32_t>(item);
  return static_cast<double>(split_mix(split_mix(seed + detail::kSplitMixStep) ^ (pair * detail::kSplitMixStep)) >> 11) * 0x1p-53;
}

std::uint8_t part_of(double lot, double share, double valid_share) noexcept {
  return lot < share ? kTest : lot < share + valid_share ? kValid : kTrain;
}

}  // namespace

Split<EventLog> leave_last_out(const EventLog& log, const LeaveLastOutOptions& options) {
  const EventLog::Columns& c = log.columns();
  const std::vector<std::uint8_t> is_target = targets(log, options.target_events);
  std::vector<std::uint8_t> part(c.users.size(), kTrain);
  for_each_user(log, [&](std::span<const std::int64_t> rows) {
    const auto item = [&](std::size_t j) { return c.items[static_cast<std::size_t>(rows[j])]; };
    const auto may_go = [&](std::size_t j) {
      return c.events.empty() || is_target[c.events[static_cast<std::size_t>(rows[j])]] != 0;
    };
    const auto put = [&](std::size_t j, Part p) { part[static_cast<std::size_t>(rows[j])] = p; };
    if (options.keep_repeats) {
      std::size_t left = rows.size();
      for (const Part p : {kTest, kValid}) {
        if (p == kValid && !options.valid) break;
        while (left > 0 && !may_go(left - 1)) --left;
        if (left < 2) return;
        put(--left, p);
      }
      return;
    }
    std::vector<std::int32_t> distinct;
    for (std::size_t j = 0; j < rows.size(); ++j) distinct.push_back(item(j));
    std::sort(distinct.begin(), distinct.end());
    std::size_t left = static_cast<std::size_t>(std::unique(distinct.begin(), distinct.end()) - distinct.begin());
    std::int32_t gone = -1;
    std::size_t j = rows.size();
    for (const Part p : {kTest, kValid}) {
      if ((p == kValid && !options.valid) || left < 2) break;
      while (j > 0 && (!may_go(j - 1) || item(j - 1) == gone)) --j;
      if (j == 0) break;
      gone = item(j - 1);
      for (std::size_t r = 0; r < rows.size(); ++r)
        if (item(r) == gone) put(r, p);
      --left;
    }
  });
  return parted(log, part);
}

Split<EventLog> temporal(const EventLog& log, std::int64_t at_ms, std::optional<std::int64_t> valid_at_ms) {
  const EventLog::Columns& c = log.columns();
  if (c.times_ms.empty() && log.size() != 0) throw std::invalid_argument("log has no times, must have them to be split by time");
  if (valid_at_ms && *valid_at_ms >= at_ms)
    throw std::invalid_argument("valid_at is " + std::to_string(*valid_at_ms) + " ms, must be before at, " + std::to_string(at_ms) + " ms");
  std::vector<std::uint8_t> part(c.users.size(), kTrain);
  for (std::size_t r = 0; r < part.size(); ++r)
    part[r] = c.times_ms[r] >= at_ms ? kTest : valid_at_ms && c.times_ms[r] >= *valid_at_ms ? kValid : kTrain;
  return parted(log, part);
}

Split<EventLog> random_holdout(const EventLog& log, double share, std::uint64_t seed, double valid_share) {
  require_shares(share, valid_share);
  const EventLog::Columns& c = log.columns();
  std::vector<std::uint8_t> part(c.users.size());
  for (std::size_t r = 0; r < part.size(); ++r) part[r] = part_of(lot(seed, c.users[r], c.items[r]), share, valid_share);
  return parted(log, part);
}

Split<Interactions> random_holdout(const Interactions& data, double share, std::uint64_t seed, double valid_share) {
  require_shares(share, valid_share);
  const CsrView all = data.user_items().view();
  const auto rows = [&](std::uint8_t wanted) {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> columns;
    std::vector<float> values;
    for (std::int64_t u = 0; u < all.rows; ++u) {
      const auto items = all.row_columns(u);
      for (std::size_t j = 0; j < items.size(); ++j) {
        if (part_of(lot(seed, static_cast<std::int32_t>(u), items[j]), share, valid_share) != wanted) continue;
        columns.push_back(items[j]);
        values.push_back(all.row_values(u)[j]);
      }
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    return Interactions({all.rows, all.cols, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)},
                        data.user_ids(), data.item_ids());
  };
  return {rows(kTrain), rows(kValid), rows(kTest)};
}

Split<EventLog> tail_holdout(const EventLog& log, double share, double valid_share) {
  require_shares(share, valid_share);
  const EventLog::Columns& c = log.columns();
  std::vector<std::uint8_t> part(c.users.size(), kTrain);
  for_each_user(log, [&](std::span<const std::int64_t> rows) {
    std::unordered_map<std::int32_t, std::size_t> place;  // of an item among this user's, by first appearance
    for (const std::int64_t r : rows) place.emplace(c.items[static_cast<std::size_t>(r)], place.size());
    const auto n = static_cast<double>(place.size());
    const std::size_t test = place.size() - static_cast<std::size_t>(std::floor(share * n + 1e-9));
    const std::size_t valid = test - static_cast<std::size_t>(std::floor(valid_share * n + 1e-9));
    for (const std::int64_t r : rows) {
      const std::size_t p = place[c.items[static_cast<std::size_t>(r)]];
      part[static_cast<std::size_t>(r)] = p >= test ? kTest : p >= valid ? kValid : kTrain;
    }
  });
  return parted(log, part);
}

}  // namespace etalage
