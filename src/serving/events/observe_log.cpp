// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>

#include "etalage/core/event_log.hpp"
#include "etalage/serving/event_store.hpp"

namespace etalage {

std::uint64_t EventStore::observe_log(const EventLog& log, std::string_view type) {
  const EventLog::Columns& c = log.columns();
  const auto key = [](const SharedIdMap& ids, std::int32_t index) { return ids ? key_at(*ids, index) : KeyView(index); };
  std::uint64_t last = last_sequence();
  for (std::size_t i = 0; i < c.users.size(); ++i) {
    Event e{.user = key(c.user_ids, c.users[i]), .item = key(c.item_ids, c.items[i])};
    e.type = c.events.empty() ? type : std::string_view(c.event_names[c.events[i]]);
    if (!c.times_ms.empty()) e.time_ms = c.times_ms[i];
    if (!c.values.empty()) e.value = c.values[i];
    last = observe(e);
  }
  return last;
}

}  // namespace etalage
