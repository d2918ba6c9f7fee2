// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/attribution.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>

namespace etalage {
namespace {

constexpr std::int64_t kNoTime = Credit::kNoTime;

std::uint64_t pair_of(std::int32_t a, std::int32_t b) noexcept {
  return std::uint64_t{static_cast<std::uint32_t>(a)} << 32 | static_cast<std::uint32_t>(b);
}

void check_length(std::size_t size, std::size_t n, bool optional, const char* name) {
  if (size != n && !(optional && size == 0))
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " rows, must have " + std::to_string(n));
}

void check(const ShownRows& shown, const EventRows& events, std::span<const EventTypeRule> rules) {
  const std::size_t n = shown.items.size();
  check_length(shown.requests.size(), n, true, "requests of what was shown");
  check_length(shown.users.size(), n, true, "users of what was shown");
  check_length(shown.times_ms.size(), n, true, "times of what was shown");
  const std::size_t m = events.items.size();
  check_length(events.requests.size(), m, true, "requests of events");
  check_length(events.users.size(), m, true, "users of events");
  check_length(events.types.size(), m, false, "types of events");
  check_length(events.times_ms.size(), m, true, "times of events");
  check_length(events.values.size(), m, true, "values of events");
  if (n > 0 && m > 0 && shown.times_ms.empty() != events.times_ms.empty())
    throw std::invalid_argument(std::string(shown.times_ms.empty() ? "events" : "impressions") + " have times and " +
                                (shown.times_ms.empty() ? "impressions" : "events") + " have none, must both or neither");
  for (std::size_t r = 0; r < rules.size(); ++r) {
    const std::int32_t back = rules[r].takes_back;
    if (back < -1 || back >= static_cast<std::int32_t>(rules.size()) || back == static_cast<std::int32_t>(r) ||
        (back >= 0 && rules[static_cast<std::size_t>(back)].takes_back >= 0))
      throw std::invalid_argument("takes_back of type " + std::to_string(r) + " is " + std::to_string(back) +
                                  ", must be another type that takes nothing back itself");
  }
  for (std::size_t i = 0; i < m; ++i) {
    if (events.types[i] < 0 || static_cast<std::size_t>(events.types[i]) >= rules.size())
      throw std::invalid_argument("types[" + std::to_string(i) + "] is " + std::to_string(events.types[i]) + ", must be in [0, " +
                                  std::to_string(rules.size()) + ")");
    if (events.values.empty() || rules[static_cast<std::size_t>(events.types[i])].takes_back >= 0) continue;
    if (events.values[i] < 0)
      throw std::invalid_argument("values[" + std::to_string(i) + "] is " + std::to_string(events.values[i]) +
                                  ", must be at least 0 (what takes back is an event of a type of its own)");
  }
}

std::int64_t time_at(std::span<const std::int64_t> times, std::size_t i) { return times.empty() ? kNoTime : times[i]; }
std::int32_t code_at(std::span<const std::int32_t> codes, std::size_t i) { return codes.empty() ? -1 : codes[i]; }

/// Rows of what was shown in the order of (group, product, time, row), for look-ups by request or by shopper.
class ShownIndex {
 public:
  ShownIndex(std::span<const std::int32_t> groups, const ShownRows& shown) : groups_(groups), shown_(shown) {
    if (groups.empty()) return;
    for (std::size_t i = 0; i < groups.size(); ++i)
      if (groups[i] >= 0 && shown.items[i] >= 0) order_.push_back(i);
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return std::tuple(groups_[a], shown_.items[a], time_at(shown_.times_ms, a), a) <
             std::tuple(groups_[b], shown_.items[b], time_at(shown_.times_ms, b), b);
    });
  }

  [[nodiscard]] bool has(std::int32_t group) const {
    const auto at = std::partition_point(order_.begin(), order_.end(), [&](std::size_t i) { return groups_[i] < group; });
    return at != order_.end() && groups_[*at] == group;
  }
  [[nodiscard]] bool has(std::int32_t group, std::int32_t item) const {
    const auto at = std::partition_point(order_.begin(), order_.end(),
                                         [&](std::size_t i) { return std::tuple(groups_[i], shown_.items[i]) < std::tuple(group, item); });
    return at != order_.end() && groups_[*at] == group && shown_.items[*at] == item;
  }
  /// Latest row at or before `time`, -1 for none; kNoTime asks for the latest of all.
  [[nodiscard]] std::int64_t latest(std::int32_t group, std::int32_t item, std::int64_t time) const {
    const std::int64_t until = time == kNoTime ? std::numeric_limits<std::int64_t>::max() : time;
    const auto at = std::partition_point(order_.begin(), order_.end(), [&](std::size_t i) {
      return std::tuple(groups_[i], shown_.items[i], time_at(shown_.times_ms, i)) <= std::tuple(group, item, until);
    });
    if (at == order_.begin()) return -1;
    const std::size_t row = *(at - 1);
    return groups_[row] == group && shown_.items[row] == item ? static_cast<std::int64_t>(row) : -1;
  }

 private:
  std::span<const std::int32_t> groups_;
  const ShownRows& shown_;
  std::vector<std::size_t> order_;
};

/// Events that say again what one before them said.
std::vector<std::uint8_t> repeats(const EventRows& events) {
  std::vector<std::uint8_t> out(events.items.size(), 0);
  if (events.times_ms.empty()) return out;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < out.size(); ++i)
    if (events.times_ms[i] != kNoTime) order.push_back(i);
  const auto key = [&](std::size_t i) {
    // NaN as a value that is not there, since it would break the order.
    const double v = events.values.empty() || std::isnan(events.values[i]) ? -1 : std::abs(events.values[i]);
    return std::tuple(code_at(events.users, i), events.items[i], events.times_ms[i], events.types[i], code_at(events.requests, i), v);
  };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto ka = key(a);
    const auto kb = key(b);
    return ka != kb ? ka < kb : a < b;
  });
  for (std::size_t k = 1; k < order.size(); ++k) {
    const std::size_t i = order[k];
    // Nobody in particular, nothing in particular or a request that nobody knows: two such events may be two events.
    const bool known = events.items[i] >= 0 && (code_at(events.users, i) >= 0 || code_at(events.requests, i) >= 0);
    out[i] = known && key(order[k - 1]) == key(i) ? 1 : 0;
  }
  return out;
}

/// Purchases that returns may still take back, newest last, by (shopper, product) and by (request, product).
class Purchases {
 public:
  Purchases(Credit& credit, std::size_t types) : credit_(credit), open_(credit.rows.size(), 0), by_(types) {}

  void add(std::size_t event, std::int32_t type, std::int32_t user, std::int32_t request, std::int32_t item) {
    open_[event] = 1;
    if (item < 0) return;
    Stacks& stacks = by_[static_cast<std::size_t>(type)];
    if (user >= 0) stacks[0][pair_of(user, item)].push_back(event);
    if (request >= 0) stacks[1][pair_of(request, item)].push_back(event);
  }

  /// Takes `amount` (NaN: one whole purchase) back; whether there was anything, and in `row` the credit that was taken first.
  bool take_back(std::int32_t type, std::int32_t user, std::int32_t request, std::int32_t item, double amount, std::int64_t& row) {
    if (item < 0) return false;
    Stacks& stacks = by_[static_cast<std::size_t>(type)];
    std::vector<std::size_t>* stack = request >= 0 ? newest(stacks[1], pair_of(request, item)) : nullptr;
    if (stack == nullptr && user >= 0) stack = newest(stacks[0], pair_of(user, item));
    if (stack == nullptr) return false;
    const double rest = 1e-9 * amount;
    do {
      const std::size_t event = stack->back();
      double& left = credit_.values[event];
      if (row < 0 && credit_.counts[event] != 0) row = credit_.rows[event];
      if (std::isnan(amount) || std::isnan(left)) {
        if (!std::isnan(left)) left = 0;
        close(event);
        return true;
      }
      const double taken = std::min(amount, left);
      const double before = left;
      left -= taken;
      amount -= taken;
      if (left <= 1e-9 * before) {  // what rounding leaves of .3 - .1 - .2
        left = 0;
        close(event);
      }
      drop_closed(*stack);
    } while (amount > rest && !stack->empty());
    return true;
  }

 private:
  using Stacks = std::array<std::unordered_map<std::uint64_t, std::vector<std::size_t>>, 2>;

  void close(std::size_t event) {
    open_[event] = 0;
    credit_.counts[event] = 0;
  }
  void drop_closed(std::vector<std::size_t>& stack) const {
    while (!stack.empty() && open_[stack.back()] == 0) stack.pop_back();
  }
  std::vector<std::size_t>* newest(std::unordered_map<std::uint64_t, std::vector<std::size_t>>& stacks, std::uint64_t key) const {
    const auto found = stacks.find(key);
    if (found == stacks.end()) return nullptr;
    drop_closed(found->second);
    return found->second.empty() ? nullptr : &found->second;
  }

  Credit& credit_;
  std::vector<std::uint8_t> open_;
  std::vector<Stacks> by_;
};

}  // namespace

std::string_view credit_outcome_name(CreditOutcome outcome) noexcept {
  constexpr std::array<std::string_view, kCreditOutcomes> names{"request", "last_touch", "took_back", "repeated", "unknown_request",
                                                                "not_in_request", "before_impression", "no_impression",
                                                                "nothing_to_take_back"};
  return names[static_cast<std::size_t>(outcome)];
}

Credit attribute_events(const ShownRows& shown, const EventRows& events, std::span<const EventTypeRule> rules) {
  check(shown, events, rules);
  const std::size_t m = events.items.size();
  const auto names_none = [&](std::size_t i) { return code_at(events.requests, i) == -1; };
  bool any_named = false;
  bool any_unnamed = false;
  for (std::size_t i = 0; i < m; ++i) (names_none(i) ? any_unnamed : any_named) = true;
  const ShownIndex by_request(any_named ? shown.requests : std::span<const std::int32_t>(), shown);
  const ShownIndex by_user(any_unnamed ? shown.users : std::span<const std::int32_t>(), shown);
  const std::vector<std::uint8_t> repeated = repeats(events);
  Credit out;
  out.rows.assign(m, -1);
  out.outcomes.assign(m, CreditOutcome::kNoImpression);
  out.counts.assign(m, 0);
  out.values.assign(m, std::numeric_limits<double>::quiet_NaN());
  if (!events.values.empty()) std::copy(events.values.begin(), events.values.end(), out.values.begin());

  const auto find = [&](std::size_t i) {
    const std::int32_t request = code_at(events.requests, i);
    const std::int32_t item = events.items[i];
    const std::int64_t time = time_at(events.times_ms, i);
    if (!names_none(i)) {
      if (request < 0 || !by_request.has(request)) return CreditOutcome::kUnknownRequest;
      if (item < 0 || !by_request.has(request, item)) return CreditOutcome::kNotInRequest;
      out.rows[i] = by_request.latest(request, item, time);
      return out.rows[i] < 0 ? CreditOutcome::kBeforeImpression : CreditOutcome::kRequest;
    }
    const std::int64_t window = rules[static_cast<std::size_t>(events.types[i])].window_ms;
    const std::int32_t user = code_at(events.users, i);
    if (window < 0 || time == kNoTime || user < 0 || item < 0) return CreditOutcome::kNoImpression;
    const std::int64_t row = by_user.latest(user, item, time);
    // Rows of an unknown time come first in their order, so one of them is latest only where no other is there.
    const std::int64_t at = row < 0 ? kNoTime : time_at(shown.times_ms, static_cast<std::size_t>(row));
    if (at == kNoTime || time - at > window) return CreditOutcome::kNoImpression;
    out.rows[i] = row;
    return CreditOutcome::kLastTouch;
  };

  std::vector<std::uint8_t> returnable(rules.size(), 0);
  for (const EventTypeRule& rule : rules)
    if (rule.takes_back >= 0) returnable[static_cast<std::size_t>(rule.takes_back)] = 1;
  const auto takes_back = [&](std::size_t i) { return rules[static_cast<std::size_t>(events.types[i])].takes_back; };
  std::vector<std::size_t> order(m);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (!events.times_ms.empty())
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::tuple(events.times_ms[a], takes_back(a) >= 0) < std::tuple(events.times_ms[b], takes_back(b) >= 0);
    });
  Purchases purchases(out, rules.size());
  for (const std::size_t i : order) {
    if (repeated[i] != 0) {
      out.outcomes[i] = CreditOutcome::kRepeated;
      continue;
    }
    const std::int32_t user = code_at(events.users, i);
    const std::int32_t request = code_at(events.requests, i);
    if (takes_back(i) < 0) {
      out.outcomes[i] = find(i);
      out.counts[i] = out.rows[i] >= 0 ? 1 : 0;
      if (returnable[static_cast<std::size_t>(events.types[i])] != 0) purchases.add(i, events.types[i], user, request, events.items[i]);
    } else {
      const bool took = purchases.take_back(takes_back(i), user, request, events.items[i], std::abs(out.values[i]), out.rows[i]);
      out.outcomes[i] = took ? CreditOutcome::kTookBack : CreditOutcome::kNothingToTakeBack;
    }
  }
  return out;
}

}  // namespace etalage
