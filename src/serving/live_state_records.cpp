// SPDX-License-Identifier: Apache-2.0
// LiveState out of the journal's records and into those of a compaction.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>

#include "etalage/error.hpp"
#include "serving/live_state.hpp"

namespace etalage::serving {
namespace {

constexpr std::uint32_t kStateVersion = 1;
constexpr std::int32_t kItemsARecord = 4096;

double half_life_ms(const EventStoreOptions& options) noexcept { return options.trending_half_life_hours * 3'600'000.0; }

}  // namespace

void LiveState::replay(std::uint64_t sequence, std::span<const std::byte> payload) {
  ByteReader r(payload);
  const Number number = [sequence] { return sequence; };
  const auto kind = r.get<std::uint8_t>();
  switch (static_cast<LogKind>(kind)) {
    case LogKind::kEvent: {
      SettledEvent e{};
      e.time_ms = r.get<std::int64_t>();
      e.value = r.get<float>();
      e.type = replayed_type(r.get_text());
      e.user = r.get_key();
      e.item = r.get_key();
      observe(e, number);
      break;
    }
    case LogKind::kMerge: {
      const KeyView from = r.get_key();
      const KeyView to = r.get_key();
      merge(from, to, number);
      break;
    }
    case LogKind::kErase: {
      const auto time_ms = r.get<std::int64_t>();
      erase(r.get_key(), time_ms, number);
      break;
    }
    default:
      ByteReader::fail("found kind " + std::to_string(kind) + ", expected 1 to 3; upgrade etalage to read it");
  }
  if (!r.done()) ByteReader::fail("found bytes behind its end");
}

void LiveState::save(const std::function<void(std::span<const std::byte>)>& put) const {
  ByteWriter w;
  w.put(StateKind::kBegin);
  w.put(kStateVersion);
  w.put(half_life_ms(options_));
  w.put(newest_ms_.load(std::memory_order_relaxed));
  w.put(static_cast<std::uint32_t>(type_names_.size()));
  for (const std::string& name : type_names_) w.put_text(name);
  put(w.bytes());

  Key key;
  const std::int32_t num_items = items.size();
  for (std::int32_t begin = 0; begin < num_items; begin += kItemsARecord) {
    const std::int32_t end = std::min(num_items, begin + kItemsARecord);
    w.clear();
    w.put(StateKind::kItems);
    w.put(static_cast<std::uint32_t>(end - begin));
    for (std::int32_t i = begin; i < end; ++i) {
      if (!items.key_at(i, key)) throw std::logic_error("an item without a key");
      w.put_key(view_of(key));
    }
    put(w.bytes());
  }
  for (std::int32_t i = 0; i < num_items; ++i) {
    const double level = trending.level(i);
    auto partners = together.partners(i);
    std::erase_if(partners, [&](const CoPurchases::Partner& p) { return p.item >= num_items; });
    if (std::isnan(level) && partners.empty()) continue;
    w.clear();
    w.put(StateKind::kItem);
    w.put(i);
    w.put(level);
    w.put(static_cast<std::uint32_t>(partners.size()));
    for (const auto& p : partners) {
      w.put(p.item);
      w.put(p.count);
    }
    put(w.bytes());
  }
  const std::int32_t num_users = users.size();
  User user;
  for (std::int32_t u = 0; u < num_users; ++u) {
    {
      const std::lock_guard guard(shard_of(u).mutex);
      const auto found = shard_of(u).users.find(u);
      if (found == shard_of(u).users.end() || !users.key_at(u, key)) continue;
      user = found->second;
    }
    // Items that are newer than the list above are left to the events that come behind it.
    std::erase_if(user.history, [&](const Past& p) { return p.item >= num_items; });
    std::erase_if(user.seen, [&](const UserView::Seen& s) { return s.item >= num_items; });
    w.clear();
    w.put(StateKind::kUser);
    w.put_key(view_of(key));
    w.put(user.version);
    w.put(static_cast<std::uint32_t>(user.history.size()));
    for (const Past& p : user.history) {
      w.put(p.time_ms);
      w.put(p.item);
      w.put(p.value);
      w.put(p.type);
    }
    w.put(static_cast<std::uint32_t>(user.seen.size()));
    for (const UserView::Seen& s : user.seen) {
      w.put(s.item);
      w.put(s.purchases);
      w.put(s.last_ms);
      w.put(s.last_purchase_ms);
    }
    put(w.bytes());
  }
  const std::shared_lock guard(erased_mutex_);
  for (const auto& [hash, time_ms] : erased_) {
    w.clear();
    w.put(StateKind::kErased);
    w.put(hash);
    w.put(time_ms);
    put(w.bytes());
  }
}

void LiveState::load(std::span<const std::byte> record) {
  ByteReader r(record);
  const auto kind = r.get<std::uint8_t>();
  const auto checked_item = [&](std::int32_t item) {
    if (item < 0 || item >= items.size()) ByteReader::fail("found item " + std::to_string(item) + ", expected one that was named before");
    return item;
  };
  switch (static_cast<StateKind>(kind)) {
    case StateKind::kBegin: {
      if (const auto version = r.get<std::uint32_t>(); version != kStateVersion)
        ByteReader::fail("found version " + std::to_string(version) + ", expected 1; upgrade etalage to read it");
      saved_half_life_ms_ = r.get<double>();
      if (!(saved_half_life_ms_ > 0)) ByteReader::fail("found a half-life that is not above 0");
      newest_ms_ = r.get<std::int64_t>();
      const auto n = r.get_count(4);
      saved_types_.clear();
      for (std::uint32_t i = 0; i < n; ++i) saved_types_.push_back(replayed_type(r.get_text()));
      break;
    }
    case StateKind::kItems: {
      const auto n = r.get_count(5);
      for (std::uint32_t i = 0; i < n; ++i) {
        const std::int32_t next = items.size();
        if (items.intern(r.get_key()) != next) ByteReader::fail("found an item twice");
      }
      break;
    }
    case StateKind::kItem: {
      const std::int32_t item = checked_item(r.get<std::int32_t>());
      const auto level = r.get<double>();
      const auto n = r.get_count(8);
      std::vector<CoPurchases::Partner> partners;
      for (std::uint32_t i = 0; i < n; ++i) {
        const std::int32_t partner = checked_item(r.get<std::int32_t>());
        partners.push_back({partner, r.get<float>()});
      }
      // The counter as of the newest event, in terms of the half-life that is asked for now.
      const auto newest = static_cast<double>(newest_ms_.load());
      const double own = half_life_ms(options_);
      trending.set_level(item, own == saved_half_life_ms_ ? level : level - newest / saved_half_life_ms_ + newest / own);
      if (!partners.empty()) together.set_partners(item, std::move(partners));
      break;
    }
    case StateKind::kUser: {
      const std::int32_t index = users.intern(r.get_key());
      User user;
      user.version = r.get<std::uint64_t>();
      const auto n = r.get_count(18);
      for (std::uint32_t i = 0; i < n; ++i) {
        Past p{};
        p.time_ms = r.get<std::int64_t>();
        p.item = checked_item(r.get<std::int32_t>());
        p.value = r.get<float>();
        const auto type = r.get<std::uint16_t>();
        if (type >= saved_types_.size()) ByteReader::fail("found type " + std::to_string(type) + ", expected one that was named before");
        p.type = saved_types_[type];
        user.history.push_back(p);
      }
      const auto m = r.get_count(24);
      for (std::uint32_t i = 0; i < m; ++i) {
        UserView::Seen s{};
        s.item = checked_item(r.get<std::int32_t>());
        s.purchases = r.get<std::int32_t>();
        s.last_ms = r.get<std::int64_t>();
        s.last_purchase_ms = r.get<std::int64_t>();
        user.seen.push_back(s);
      }
      keep_newest(user);
      shard_of(index).users[index] = std::move(user);
      break;
    }
    case StateKind::kErased: {
      const auto hash = r.get<std::uint64_t>();
      erased_[hash] = r.get<std::int64_t>();
      num_erased_ = erased_.size();
      break;
    }
    default:
      ByteReader::fail("found kind " + std::to_string(kind) + " in a compaction, expected 1 to 5; upgrade etalage to read it");
  }
  if (!r.done()) ByteReader::fail("found bytes behind its end");
}

void LiveState::finish_loading() { trending.rebuild(); }

}  // namespace etalage::serving
