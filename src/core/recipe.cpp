// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/recipe.hpp"

#include <algorithm>
#include <stdexcept>

#include "detail/check.hpp"

namespace etalage {

void Recipe::validate() const {
  options().validate();
  detail::require_finite(idle_minutes > 0, "idle_minutes", idle_minutes, "finite and > 0");
}

InteractionOptions Recipe::options(std::optional<std::int64_t> now_ms, int num_threads) const {
  InteractionOptions o;
  o.event_weights = event_weights;
  o.half_life_days = half_life_days;
  o.now_ms = now_ms;
  o.duplicates = duplicates;
  o.value_transform = value_transform;
  o.value_cap = value_cap;
  o.normalize_users = normalize_users;
  o.return_event = return_event;
  o.return_cancels = return_cancels;
  o.negative_values = negative_values;
  o.num_threads = num_threads;
  return o;
}

Interactions Recipe::interactions(const EventLog& log, std::optional<std::int64_t> now_ms, int num_threads) const {
  validate();
  return log.interactions(options(now_ms, num_threads));
}

Interactions Recipe::held_out(const EventLog& log, int num_threads) const {
  Recipe plain = *this;
  plain.half_life_days = 0;
  plain.value_transform = ValueTransform::kNone;
  plain.value_cap = 0;
  plain.normalize_users = UserNormalization::kNone;
  return plain.interactions(log, {}, num_threads);
}

Sequences Recipe::sequences(const EventLog& log) const {
  validate();
  const EventLog::Columns& c = log.columns();
  const bool typed = !c.events.empty();
  if (!typed && log.size() > 0 && (!event_weights.empty() || !return_event.empty()))
    throw std::invalid_argument("event_weights or return_event are given and the log has no event column, must have one");
  std::vector<std::uint8_t> counts(c.event_names.size(), 1);
  bool negative = false;
  for (std::size_t t = 0; typed && t < counts.size(); ++t) {
    if (c.event_names[t] == return_event) {
      counts[t] = 0;
    } else if (!event_weights.empty()) {
      const auto weight = event_weights.find(c.event_names[t]);
      if (weight == event_weights.end())
        throw std::invalid_argument("event_weights has none for '" + c.event_names[t] + "', must have one for every event type");
      counts[t] = weight->second > 0 ? 1 : 0;
    }
  }
  for (const auto& [name, weight] : event_weights) negative = negative || weight < 0;
  negative = negative || std::any_of(c.values.begin(), c.values.end(), [](float v) { return v < 0; });
  std::vector<std::uint8_t> keep(static_cast<std::size_t>(log.size()), 1);
  for (std::size_t i = 0; i < keep.size(); ++i) {
    if (typed && counts[c.events[i]] == 0) keep[i] = 0;
    if (negative_values == NegativeValues::kCancel && !c.values.empty() && c.values[i] < 0) keep[i] = 0;
  }
  if (!return_event.empty() || negative) {  // a pair may come to nothing, and is in no matrix then
    const Interactions left = held_out(log);
    const CsrView rows = left.user_items().view();
    for (std::size_t i = 0; i < keep.size(); ++i) {
      const auto items = rows.row_columns(c.users[i]);
      if (keep[i] != 0 && !std::binary_search(items.begin(), items.end(), c.items[i])) keep[i] = 0;
    }
  }
  if (std::find(keep.begin(), keep.end(), 0) == keep.end()) return log.sequences(sessions, idle_minutes);
  return log.filtered(keep).sequences(sessions, idle_minutes);
}

}  // namespace etalage
