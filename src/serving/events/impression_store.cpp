// SPDX-License-Identifier: Apache-2.0
#include "serving/events/impression_store.hpp"

#include <algorithm>
#include <cstring>

#include "serving/events/growing_ids.hpp"

namespace etalage::serving {
namespace {

constexpr int kMostWalked = 256;  // impressions of a shopper that last touch looks back on

// 0 stands for nobody.
std::uint64_t key_hash(KeyView key) {
  const std::uint64_t h = hash_of(key);
  return h == 0 ? 1 : h;
}

}  // namespace

std::span<std::byte> ByteQueue::push(std::span<const std::byte> bytes) {
  if (pieces_.empty() || pieces_.back().size - pieces_.back().used < bytes.size()) {
    Piece next;
    next.size = std::max(kPiece, bytes.size());
    next.room = next.size == kPiece && spare_ ? std::move(spare_) : std::make_unique_for_overwrite<std::byte[]>(next.size);
    pieces_.push_back(std::move(next));
  }
  Piece& p = pieces_.back();
  std::byte* at = p.room.get() + p.used;
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  p.used += bytes.size();
  return {at, bytes.size()};
}

void ByteQueue::pop(std::size_t bytes) {
  pieces_.front().gone += bytes;
  if (pieces_.front().gone < pieces_.front().used || pieces_.size() == 1) return;
  if (pieces_.front().size == kPiece) spare_ = std::move(pieces_.front().room);
  pieces_.erase(pieces_.begin());
}

const ImpressionStore::Entry* ImpressionStore::entry_at(std::uint64_t request) const {
  const auto at = std::lower_bound(entries_.begin() + static_cast<std::ptrdiff_t>(first_), entries_.end(), request,
                                   [](const Entry& e, std::uint64_t r) { return e.request < r; });
  return at == entries_.end() || at->request != request ? nullptr : &*at;
}

const ImpressionStore::Entry* ImpressionStore::entry_of(std::uint64_t request) const {
  const Entry* e = entry_at(request);
  return e == nullptr || e->payload.empty() ? nullptr : e;
}

void ImpressionStore::show(std::uint64_t request, std::span<const std::byte> payload) {
  ByteReader r(payload);
  const ShownHead head = get_head(r);
  Entry e;
  e.request = request;
  e.time_ms = head.time_ms;
  if (head.user) e.user = key_hash(*head.user);
  if (entries_.capacity() == 0) entries_.reserve(8192);
  if (e.user != 0) {
    std::uint64_t& newest = newest_[e.user];
    e.before = newest;
    newest = request;
  }
  each_item(payload, [&](std::uint32_t, KeyView item) {
    ++counts_[key_hash(item)].shown;
    return true;
  });
  e.payload = queue_.push(payload);
  e.taken = payload.size();
  bytes_ += payload.size() + sizeof(Entry);
  entries_.push_back(e);
}

std::uint16_t ImpressionStore::event_number(std::string_view event) {
  const auto at = std::find(events_.begin(), events_.end(), event);
  if (at != events_.end()) return static_cast<std::uint16_t>(at - events_.begin());
  if (events_.size() == 65535) ByteReader::fail("found more than 65,535 types of events");
  events_.emplace_back(event);
  return static_cast<std::uint16_t>(events_.size() - 1);
}

bool ImpressionStore::reacted(const Entry& e, std::uint32_t place, std::int64_t until_ms) const {
  int kept = 0;  // purchases less returns
  for (std::int64_t i = e.reactions; i >= 0; i = reaction_at(i).before) {
    const Reaction& r = reaction_at(i);
    if (r.place != place || r.time_ms > until_ms) continue;
    if (!r.purchase && !r.returns) return true;
    kept += r.purchase ? 1 : -1;
  }
  return kept > 0;
}

bool ImpressionStore::react(Reaction reaction, std::string_view event) {
  Entry* e = entry_of(reaction.request);
  if (e == nullptr) return false;
  reaction.event = event_number(event);
  for (std::int64_t i = e->reactions; i >= 0; i = reaction_at(i).before) {
    const Reaction& other = reaction_at(i);
    if (other.place == reaction.place && other.event == reaction.event && other.time_ms == reaction.time_ms) return false;
  }
  const bool did = reacted(*e, reaction.place);
  reaction.before = e->reactions;
  e->reactions = first_reaction_ + static_cast<std::int64_t>(reactions_.size());
  reactions_.push_back(reaction);
  bytes_ += sizeof(Reaction);
  if (const bool does = reacted(*e, reaction.place); does != did)
    each_item(e->payload, [&](std::uint32_t place, KeyView item) {
      if (place == reaction.place) counts_[key_hash(item)].reacted += does ? 1u : -1u;
      return place < reaction.place;
    });
  return true;
}

void ImpressionStore::uncount(const Entry& e) {
  each_item(e.payload, [&](std::uint32_t place, KeyView item) {
    const auto at = counts_.find(key_hash(item));
    if (at == counts_.end()) return true;
    at->second.shown -= at->second.shown > 0 ? 1u : 0u;
    if (reacted(e, place)) at->second.reacted -= at->second.reacted > 0 ? 1u : 0u;
    if (at->second.shown == 0) counts_.erase(at);
    return true;
  });
}

void ImpressionStore::erase_entry(Entry& e) {
  uncount(e);
  for (std::int64_t i = e.reactions; i >= 0;) {
    Reaction& gone = reactions_[static_cast<std::size_t>(i - first_reaction_)];
    i = gone.before;
    gone = {};
  }
  std::fill(e.payload.begin(), e.payload.end(), std::byte{0});
  e.payload = {};
  e.reactions = -1;
  ++erased_;
}

void ImpressionStore::erase(KeyView user) {
  std::vector<std::uint64_t> people = {key_hash(user)};
  for (std::size_t p = 0; p < people.size(); ++p) {
    const std::uint64_t hash = people[p];
    if (const auto at = newest_.find(hash); at != newest_.end()) {
      for (std::uint64_t request = at->second; request != 0;) {
        Entry* e = const_cast<Entry*>(entry_at(request));
        if (e == nullptr) break;  // forgotten with all before it
        request = e->before;
        if (!e->payload.empty()) erase_entry(*e);
      }
      newest_.erase(at);
    }
    if (const auto were = visitors_.find(hash); were != visitors_.end()) {
      for (const std::uint64_t visitor : were->second)
        if (std::find(people.begin(), people.end(), visitor) == people.end()) people.push_back(visitor);
      visitors_.erase(were);
    }
  }
}

void ImpressionStore::merge(KeyView from, KeyView to) {
  const std::uint64_t a = key_hash(from);
  const std::uint64_t b = key_hash(to);
  if (a == b || (!newest_.contains(a) && !visitors_.contains(a))) return;
  std::vector<std::uint64_t>& were = visitors_[b];
  if (std::find(were.begin(), were.end(), a) == were.end()) were.push_back(a);
}

void ImpressionStore::evict(std::int64_t now_ms) {
  const std::int64_t oldest = now_ms - std::int64_t{options_.keep_days} * 86'400'000;
  while (first_ < entries_.size() && (entries_[first_].time_ms < oldest || bytes_ > options_.max_bytes)) {
    Entry& e = entries_[first_];
    if (e.payload.empty()) {
      --erased_;
    } else {
      uncount(e);
      if (const auto at = newest_.find(e.user); e.user != 0 && at != newest_.end() && at->second == e.request) newest_.erase(at);
      for (std::int64_t i = e.reactions; i >= 0; i = reaction_at(i).before) reactions_[static_cast<std::size_t>(i - first_reaction_)].request = 0;
    }
    bytes_ -= e.taken + sizeof(Entry);
    queue_.pop(e.taken);
    ++first_;
  }
  if (first_ > 4096 && first_ > entries_.size() / 2) tidy();
}

/// Takes what is gone out of the arrays.
void ImpressionStore::tidy() {
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
  first_ = 0;
  std::vector<Reaction> old;
  old.swap(reactions_);
  bytes_ -= old.size() * sizeof(Reaction);
  first_reaction_ = 0;
  for (Entry& e : entries_) e.reactions = -1;
  for (Reaction& r : old) {
    if (r.request == 0) continue;
    Entry* e = entry_of(r.request);
    if (e == nullptr) continue;
    r.before = e->reactions;
    e->reactions = static_cast<std::int64_t>(reactions_.size());
    reactions_.push_back(r);
    bytes_ += sizeof(Reaction);
  }
  for (auto at = visitors_.begin(); at != visitors_.end();) {
    std::erase_if(at->second, [&](std::uint64_t v) { return !newest_.contains(v) && !visitors_.contains(v); });
    at = at->second.empty() ? visitors_.erase(at) : std::next(at);
  }
}

std::optional<std::uint32_t> ImpressionStore::place_of(std::uint64_t request, KeyView item) const {
  const Entry* e = entry_of(request);
  std::optional<std::uint32_t> found;
  if (e != nullptr)
    each_item(e->payload, [&](std::uint32_t place, KeyView key) {
      if (key == item) found = place;
      return !found;
    });
  return found;
}

std::optional<std::int64_t> ImpressionStore::time_of(std::uint64_t request) const {
  const Entry* e = entry_of(request);
  return e == nullptr ? std::nullopt : std::optional(e->time_ms);
}

std::optional<std::pair<std::uint64_t, std::uint32_t>> ImpressionStore::last_touch(KeyView user, KeyView item, std::int64_t time_ms, bool bought) const {
  const auto newest = newest_.find(key_hash(user));
  if (newest == newest_.end()) return std::nullopt;
  const std::int64_t from = time_ms - std::int64_t{options_.attribution_hours} * 3'600'000;
  std::uint64_t request = newest->second;
  for (int walked = 0; request != 0 && walked < kMostWalked; ++walked) {
    const Entry* e = entry_at(request);
    if (e == nullptr) return std::nullopt;
    request = e->before;
    // Returns come late: they look for the purchase, not for the window.
    if (e->payload.empty() || e->time_ms > time_ms) continue;
    if (!bought && e->time_ms < from) return std::nullopt;
    const auto place = place_of(e->request, item);
    if (!place) continue;
    if (!bought) return std::pair(e->request, *place);
    int left = 0;
    for (std::int64_t i = e->reactions; i >= 0; i = reaction_at(i).before)
      if (reaction_at(i).place == *place) left += reaction_at(i).purchase ? 1 : reaction_at(i).returns ? -1 : 0;
    if (left > 0) return std::pair(e->request, *place);
  }
  return std::nullopt;
}

Impression ImpressionStore::decoded(const Entry& e) const {
  Impression out = decode(e.request, e.payload);
  for (std::int64_t i = e.reactions; i >= 0; i = reaction_at(i).before) {
    const Reaction& r = reaction_at(i);
    if (r.place < out.places.size()) out.places[r.place].reactions.push_back({events_[r.event], r.time_ms, r.value, r.by_request, r.purchase, r.returns});
  }
  for (Impression::Place& p : out.places) std::reverse(p.reactions.begin(), p.reactions.end());
  return out;
}

std::optional<Impression> ImpressionStore::find(std::uint64_t request) const {
  const Entry* e = entry_of(request);
  return e == nullptr ? std::nullopt : std::optional(decoded(*e));
}

void ImpressionStore::each(const std::function<void(const Impression&)>& visit) const {
  for (std::size_t i = first_; i < entries_.size(); ++i)
    if (!entries_[i].payload.empty()) visit(decoded(entries_[i]));
}

ShownCounts ImpressionStore::counts_of(KeyView item) const {
  const auto at = counts_.find(key_hash(item));
  return at == counts_.end() ? ShownCounts{} : at->second;
}

void ImpressionStore::each_shown_to(KeyView user, std::int64_t from_ms, int most, const std::function<void(KeyView, bool)>& visit, std::uint64_t before) const {
  const auto newest = newest_.find(key_hash(user));
  std::uint64_t request = newest == newest_.end() ? 0 : newest->second;
  std::int64_t until_ms = std::numeric_limits<std::int64_t>::max();
  if (const Entry* asked = before == 0 ? nullptr : entry_at(before)) {
    request = asked->before;
    until_ms = asked->time_ms;
  }
  for (int walked = 0; request != 0 && walked < most; ++walked) {
    const Entry* e = entry_at(request);
    if (e == nullptr || e->time_ms < from_ms) return;
    request = e->before;
    if (e->payload.empty()) continue;
    each_item(e->payload, [&](std::uint32_t place, KeyView item) {
      visit(item, e->reactions >= 0 && reacted(*e, place, until_ms));
      return true;
    });
  }
}

void put_reaction(ByteWriter& w, const ImpressionStore::Reaction& r, std::string_view event) {
  w.put(ShownKind::kReacted);
  w.put(r.request);
  w.put(r.place);
  w.put_text(event);
  w.put(r.time_ms);
  w.put(r.value);
  w.put(static_cast<std::uint8_t>((r.by_request ? 1 : 0) | (r.purchase ? 2 : 0) | (r.returns ? 4 : 0)));
}

void ImpressionStore::save(const std::function<void(std::span<const std::byte>)>& put) const {
  ByteWriter w;
  for (std::size_t i = first_; i < entries_.size(); ++i) {
    const Entry& e = entries_[i];
    if (e.payload.empty()) continue;
    w.clear();
    w.put(ShownKind::kKept);
    w.put(e.request);
    w.put_bytes(e.payload);
    put(w.bytes());
  }
  for (const Reaction& r : reactions_) {
    if (r.request == 0 || entry_of(r.request) == nullptr) continue;
    w.clear();
    put_reaction(w, r, events_[r.event]);
    put(w.bytes());
  }
  for (const auto& [customer, visitors] : visitors_) {
    for (const std::uint64_t visitor : visitors) {
      w.clear();
      w.put(ShownKind::kWere);
      w.put(customer);
      w.put(visitor);
      put(w.bytes());
    }
  }
}

void ImpressionStore::apply(std::uint64_t number, std::span<const std::byte> record) {
  ByteReader r(record);
  switch (r.get<ShownKind>()) {
    case ShownKind::kShown:
    case ShownKind::kAsked:
      (void)decode(number, record);  // every part of it, before any is kept
      show(number, record);
      return;
    case ShownKind::kKept: {
      const auto request = r.get<std::uint64_t>();
      const auto payload = record.subspan(1 + sizeof request);
      (void)decode(request, payload);
      if (first_ < entries_.size() && entries_.back().request >= request) ByteReader::fail("found request " + std::to_string(request) + " behind a later one");
      show(request, payload);
      return;
    }
    case ShownKind::kReacted: {
      Reaction x;
      x.request = r.get<std::uint64_t>();
      x.place = r.get<std::uint32_t>();
      const std::string_view event = r.get_text();
      x.time_ms = r.get<std::int64_t>();
      x.value = r.get<float>();
      const auto flags = r.get<std::uint8_t>();
      x.by_request = (flags & 1) != 0;
      x.purchase = (flags & 2) != 0;
      x.returns = (flags & 4) != 0;
      react(x, event);  // of a request that is not there any more: nothing
      return;
    }
    case ShownKind::kErased: erase(r.get_key()); return;
    case ShownKind::kMerged: {
      const KeyView from = r.get_key();
      merge(from, r.get_key());
      return;
    }
    case ShownKind::kWere: {
      const auto customer = r.get<std::uint64_t>();
      visitors_[customer].push_back(r.get<std::uint64_t>());
      return;
    }
  }
  ByteReader::fail("found a kind that is not known (upgrade etalage to read it)");
}

}  // namespace etalage::serving
