// SPDX-License-Identifier: Apache-2.0
// What a shopper has done, as it stands and as it stood.
#include <bit>

#include "detail/random_stream.hpp"
#include "serving/events/live_state.hpp"

namespace etalage::serving {
namespace {

void empty_view(UserView& view) {
  view.index = -1;
  view.version = 0;
  view.history.clear();
  view.session.clear();
  view.seen.clear();
  view.earlier.first_ms = EarlierTotals::kNever;
}

}  // namespace

void LiveState::view(const User& user, UserView& out) const {
  out.index = user.index;
  out.version = user.version;
  for (const Past& p : user.history) {
    const std::uint16_t type = shown_as_[p.type];
    const float weight = type < options_.event_types.size() ? options_.event_types[type].weight : 0;
    out.history.push_back({p.time_ms, p.item, weight * p.value, type, p.value});
  }
  out.seen.assign(user.seen.begin(), user.seen.end());
  if (!user.earlier.empty()) out.earlier = user.earlier.front();
}

void LiveState::find_session(std::int64_t now_ms, UserView& out) const {
  if (!out.earlier.empty())
    for (EarlierTotals::Type& t : out.earlier.types) t.type = shown_as_[t.type];
  else if (!out.earlier.types.empty() || !out.earlier.bought.empty()) out.earlier = {};
  const std::int64_t idle = idle_ms();
  std::int64_t later = now_ms;
  auto p = out.history.rbegin();
  while (p != out.history.rend() && later - p->time_ms <= idle) later = (p++)->time_ms;
  const auto gives_back = [&](const UserView::Past& e) { return e.type < options_.event_types.size() && types_[e.type].gives_back(e.value); };
  for (auto q = p.base(); q != out.history.end(); ++q)
    if (!gives_back(*q)) out.session.push_back(q->item);
}

bool LiveState::read_user(KeyView key, std::int64_t now_ms, UserView& out) const {
  empty_view(out);
  {
    const std::lock_guard guard(shards_[shard_number(key)].mutex);
    const User* found = find_user(key);
    if (found == nullptr) return false;
    view(*found, out);
  }
  find_session(now_ms, out);
  return true;
}

bool LiveState::read_user_then(KeyView key, std::uint32_t events, std::uint64_t mark, std::int64_t time_ms, UserView& out) const {
  empty_view(out);
  if (events == 0) return true;
  {
    const std::lock_guard guard(shards_[shard_number(key)].mutex);
    const User* found = find_user(key);
    if (found == nullptr || found->history.size() < events) return false;
    if (found->history.size() == events) {
      view(*found, out);
    } else {
      if (!found->whole) return false;  // what the history had then has begun to fall out, or is in sums with what came later
      User then;
      then.index = found->index;
      then.version = found->version;
      for (std::size_t i = 0; i < events; ++i) {
        then.history.push_back(found->history[i]);
        note_seen(then, i);
      }
      view(then, out);
    }
  }
  if (out.mark() != mark) {
    empty_view(out);
    return false;
  }
  find_session(time_ms, out);
  return true;
}

}  // namespace etalage::serving

namespace etalage {

std::uint64_t UserView::mark() const noexcept {
  std::uint64_t h = history.size();
  for (const Past& p : history)
    h = detail::split_mix(h * detail::kSplitMixStep + (static_cast<std::uint64_t>(p.time_ms) ^ static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(p.value)) << 32));
  return h;
}

}  // namespace etalage
