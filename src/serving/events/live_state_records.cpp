// SPDX-License-Identifier: Apache-2.0
// LiveState out of the journal's records and into those of a compaction.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>

#include "etalage/error.hpp"
#include "serving/events/earlier_totals.hpp"
#include "serving/events/live_state.hpp"

namespace etalage::serving {
namespace {

constexpr std::uint32_t kStateVersion = 2;
constexpr std::int32_t kItemsARecord = 4096;
constexpr std::int32_t kMostPurchases = 1 << 30;   // of a product by one shopper: room to go on counting
constexpr double kLeastCounter = 0x1p-40;          // of one event as of the newest one: below it a counter is nothing
enum : std::uint8_t { kPurchaseFlag = 1, kReturnsFlag = 2, kKnownFlags = 3 };        // of a type
enum : std::uint8_t { kCustomerFlag = 1, kFallenFlag = 2, kKnownShopperFlags = 3 };  // of a shopper

/// What keys and numbers refuse of a caller is damage in a record.
template <class Read>
void as_record(const Read& read) {
  try {
    read();
  } catch (const std::invalid_argument& e) {
    ByteReader::fail(e.what());
  }
}

double half_life_ms(const EventStoreOptions& options) noexcept { return options.trending_half_life_hours * 3'600'000.0; }

}  // namespace

void put_meaning(ByteWriter& w, const TypeMeaning& type) {
  w.put(static_cast<std::uint8_t>((type.purchase ? kPurchaseFlag : 0) | (type.returns ? kReturnsFlag : 0)));
  w.put(type.trending);
  w.put_text(type.name);
}

TypeMeaning get_meaning(ByteReader& r) {
  TypeMeaning type;
  const auto flags = r.get<std::uint8_t>();
  if (flags > kKnownFlags) ByteReader::fail("found flags " + std::to_string(flags) + " of a type of events; upgrade etalage to read it");
  type.purchase = (flags & kPurchaseFlag) != 0;
  type.returns = (flags & kReturnsFlag) != 0;
  type.trending = r.get<float>();
  if (!std::isfinite(type.trending) || type.trending < 0) ByteReader::fail("found a trending weight that is not finite and >= 0");
  type.name = r.get_text();
  return type;
}

void put_event(ByteWriter& w, const SettledEvent& e, const TypeMeaning& type) {
  w.put(LogKind::kTypedEvent);
  w.put(e.arrival_ms);
  w.put(e.time_ms);
  w.put(e.value);
  put_meaning(w, type);
  w.put_key(e.user);
  w.put_key(e.item);
}

void LiveState::replay(std::uint64_t sequence, std::span<const std::byte> payload) {
  as_record([&] { replay_record(sequence, payload); });
}

void LiveState::load(std::span<const std::byte> record) {
  as_record([&] { load_record(record); });
}

void LiveState::replay_record(std::uint64_t sequence, std::span<const std::byte> payload) {
  ByteReader r(payload);
  const Number number = [sequence] { return sequence; };
  const auto kind = r.get<std::uint8_t>();
  switch (static_cast<LogKind>(kind)) {
    case LogKind::kTypedEvent: {
      SettledEvent e{};
      e.replayed = true;
      e.arrival_ms = r.get_time();
      e.time_ms = r.get_time();
      e.value = r.get_finite();
      e.type = replayed_type(get_meaning(r));
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
      const auto time_ms = r.get_time();
      erase(r.get_key(), time_ms, number);
      break;
    }
    case LogKind::kForget: {
      const KeyView key = r.get_key();
      const std::size_t place = shard_number(key);
      const std::lock_guard guard(shards_[place].mutex);
      if (User* user = find_user(key)) remove_user(place, *user);
      break;
    }
    case LogKind::kOffer:
      offers.replay(r, [this](KeyView key) { return items.intern(key); }, number);
      break;
    default:
      ByteReader::fail("found kind " + std::to_string(kind) + ", which is none of this version's; upgrade etalage to read it");
  }
  if (!r.done()) ByteReader::fail("found bytes behind its end");
}

/// Items that anything is said of. What nobody has in a kept history, was bought with nothing, of which the shop says
/// nothing and which trends no more has left no trace but its key.
std::vector<bool> LiveState::traced_items() const {
  std::vector<bool> traced(static_cast<std::size_t>(items.size()));
  const auto trace = [&](std::int32_t item) { traced[static_cast<std::size_t>(item)] = true; };
  const double newest = static_cast<double>(newest_ms_.load(std::memory_order_relaxed)) / half_life_ms(options_);
  for (std::int32_t i = 0; i < items.size(); ++i) {
    const TrendingCounters::Counter counter = trending.counter(i);
    if (counter.mantissa > 0 && counter.mantissa * std::exp2(static_cast<double>(counter.exponent) - newest) > kLeastCounter) trace(i);
    for (const CoPurchases::Partner& p : together.partners(i)) trace(i), trace(p.item);
  }
  offers.save([&](std::int32_t item) { return trace(item), -1; }, [](std::span<const std::byte>) {});
  for (std::int32_t index = 0; index < users.size(); ++index) {
    const User* user = record_at(index);
    if (user == nullptr || user->index != index) continue;
    for (const Past& p : user->history) trace(p.item);
    for (const UserView::Seen& s : user->seen) trace(s.item);
    for (const Pair& p : user->pairs) trace(p.item), trace(p.partner);
    for (const EarlierTotals& t : user->earlier)
      for (const EarlierTotals::Bought& b : t.bought) trace(b.item);
  }
  return traced;
}

void LiveState::save(const std::function<void(std::span<const std::byte>)>& put, bool compact) const {
  ByteWriter w;
  w.put(StateKind::kBegin);
  w.put(kStateVersion);
  w.put(half_life_ms(options_));
  w.put(newest_ms_.load(std::memory_order_relaxed));
  {
    const std::shared_lock guard(erased_mutex_);
    w.put(erased_before_ms_);
  }
  w.put(static_cast<std::uint32_t>(types_.size()));
  for (const TypeMeaning& type : types_) put_meaning(w, type);
  put(w.bytes());

  // Items are numbered anew: an index that somebody is just giving to a key has none yet, and no event either.
  Key key;
  const std::vector<bool> traced = compact ? traced_items() : std::vector<bool>(static_cast<std::size_t>(items.size()), true);
  std::vector<std::int32_t> numbers(traced.size(), -1);
  std::int32_t named = 0;
  for (std::size_t begin = 0; begin < numbers.size();) {
    ByteWriter keys;
    std::uint32_t n = 0;
    for (; begin < numbers.size() && n < kItemsARecord; ++begin) {
      if (!traced[begin] || !items.key_at(static_cast<std::int32_t>(begin), key)) continue;
      numbers[begin] = named++;
      keys.put_key(view_of(key));
      ++n;
    }
    w.clear();
    w.put(StateKind::kItems);
    w.put(n);
    w.put_bytes(keys.bytes());
    if (n != 0) put(w.bytes());
  }
  // Items that are newer than these are left to the events that come behind.
  const auto number_of = [&](std::int32_t item) { return static_cast<std::size_t>(item) < numbers.size() ? numbers[static_cast<std::size_t>(item)] : -1; };
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] < 0) continue;
    const TrendingCounters::Counter counter = trending.counter(static_cast<std::int32_t>(i));
    auto partners = together.partners(static_cast<std::int32_t>(i));
    std::erase_if(partners, [&](const CoPurchases::Partner& p) { return number_of(p.item) < 0; });
    if (counter == TrendingCounters::Counter{} && partners.empty()) continue;
    w.clear();
    w.put(StateKind::kCounters);
    w.put(numbers[i]);
    w.put(counter.mantissa);
    w.put(counter.exponent);
    w.put(counter.events);
    w.put(static_cast<std::uint32_t>(partners.size()));
    for (const auto& p : partners) {
      w.put(number_of(p.item));
      w.put(p.count);
    }
    put(w.bytes());
  }
  offers.save(number_of, put);
  for (std::int32_t index = 0; index < users.size(); ++index) {
    if (!users.key_at(index, key)) continue;
    User user;
    {
      const std::lock_guard guard(shards_[shard_number(view_of(key))].mutex);
      const User* found = find_user(view_of(key));
      if (found == nullptr || found->index != index) continue;  // gone, or under another index that has its own turn
      user = *found;
    }
    std::erase_if(user.history, [&](const Past& p) { return number_of(p.item) < 0; });
    std::erase_if(user.seen, [&](const UserView::Seen& s) { return number_of(s.item) < 0; });
    std::erase_if(user.pairs, [&](const Pair& p) { return number_of(p.item) < 0 || number_of(p.partner) < 0; });
    w.clear();
    w.put(StateKind::kShopper);
    w.put_key(view_of(key));
    w.put(user.version);
    w.put(user.last_ms);
    w.put(static_cast<std::uint8_t>((user.customer ? kCustomerFlag : 0) | (user.whole ? 0 : kFallenFlag)));
    w.put(static_cast<std::uint32_t>(user.history.size()));
    for (const Past& p : user.history) {
      w.put(p.time_ms);
      w.put(number_of(p.item));
      w.put(p.value);
      w.put(p.type);
      w.put(p.tag);
    }
    w.put(static_cast<std::uint32_t>(user.pairs.size()));
    for (const Pair& p : user.pairs) {
      w.put(p.tag);
      w.put(number_of(p.item));
      w.put(number_of(p.partner));
    }
    w.put(static_cast<std::uint32_t>(user.seen.size()));
    for (const UserView::Seen& s : user.seen) {
      w.put(number_of(s.item));
      w.put(s.purchases);
      w.put(s.last_ms);
      w.put(s.last_purchase_ms);
    }
    put(w.bytes());
    if (user.earlier.empty()) continue;
    w.clear();
    w.put(StateKind::kEarlier);
    w.put_key(view_of(key));
    put_earlier(w, user.earlier.front(), number_of);
    put(w.bytes());
  }
  const std::shared_lock guard(erased_mutex_);
  for (const auto& [hash, then] : erased_order_) {
    w.clear();
    w.put(StateKind::kErased);
    w.put(hash);
    w.put(erased_.at(hash));
    put(w.bytes());
  }
}

std::int32_t LiveState::checked_item(std::int32_t item) const {
  if (item < 0 || item >= items.size()) ByteReader::fail("found item " + std::to_string(item) + ", expected one that was named before");
  return item;
}

void LiveState::load_begin(ByteReader& r) {
  if (const auto version = r.get<std::uint32_t>(); version != kStateVersion)
    ByteReader::fail("found version " + std::to_string(version) + ", expected " + std::to_string(kStateVersion) + "; upgrade etalage to read it");
  saved_half_life_ms_ = r.get<double>();
  if (!(saved_half_life_ms_ > 0)) ByteReader::fail("found a half-life that is not above 0");
  newest_ms_ = r.get_time();
  erased_before_ms_ = r.get_time();
  any_erased_ = erased_before_ms_ != 0;
  const auto n = r.get_count(4);
  saved_types_.clear();
  for (std::uint32_t i = 0; i < n; ++i) saved_types_.push_back(replayed_type(get_meaning(r)));
}

void LiveState::load_items(ByteReader& r) {
  const auto n = r.get_count(5);
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::int32_t next = items.size();
    if (items.intern(r.get_key()) != next) ByteReader::fail("found an item twice");
  }
}

void LiveState::load_counters(ByteReader& r) {
  const std::int32_t item = checked_item(r.get<std::int32_t>());
  TrendingCounters::Counter counter;
  counter.mantissa = r.get<double>();
  counter.exponent = r.get<std::int32_t>();
  counter.events = r.get<std::uint32_t>();
  if (!(counter.mantissa == 0 || (counter.mantissa >= 0.5 && counter.mantissa < 1))) ByteReader::fail("found a counter whose mantissa is not in [0.5, 1)");
  if (std::abs(static_cast<double>(counter.exponent)) > TrendingCounters::kMostExponent) ByteReader::fail("found a counter whose exponent no time makes");
  const auto n = r.get_count(8);
  std::vector<CoPurchases::Partner> partners;
  for (std::uint32_t i = 0; i < n; ++i) {
    const std::int32_t partner = checked_item(r.get<std::int32_t>());
    const float count = r.get_finite();
    if (!(count > 0)) ByteReader::fail("found products that were bought together " + std::to_string(count) + " times");
    partners.push_back({partner, count});
  }
  // The counter as of the newest event, in terms of the half-life that is asked for now.
  const auto newest = static_cast<double>(newest_ms_.load());
  const double own = half_life_ms(options_);
  trending.set_counter(item, counter, own == saved_half_life_ms_ ? 0 : newest / own - newest / saved_half_life_ms_);
  if (!partners.empty()) together.set_partners(item, std::move(partners));
}

void LiveState::load_shopper(ByteReader& r) {
  const KeyView key = r.get_key();
  if (find_user(key) != nullptr) ByteReader::fail("found a shopper twice");
  User& user = new_user(key);
  user.version = r.get<std::uint64_t>();
  user.last_ms = r.get_time();
  const auto flags = r.get<std::uint8_t>();
  if (flags > kKnownShopperFlags) ByteReader::fail("found flags " + std::to_string(flags) + " of a shopper; upgrade etalage to read it");
  user.whole = (flags & kFallenFlag) == 0;
  const auto n = r.get_count(22);
  for (std::uint32_t i = 0; i < n; ++i) {
    Past p{};
    p.time_ms = r.get_time();
    if (!user.history.empty() && p.time_ms < user.history.back().time_ms) ByteReader::fail("found a shopper's events out of order");
    p.item = checked_item(r.get<std::int32_t>());
    p.value = r.get_finite();
    const auto type = r.get<std::uint16_t>();
    if (type >= saved_types_.size()) ByteReader::fail("found type " + std::to_string(type) + ", expected one that was named before");
    p.type = saved_types_[type];
    p.tag = r.get<std::uint32_t>();
    user.next_tag = std::max(user.next_tag, p.tag == UINT32_MAX ? p.tag : p.tag + 1);
    user.history.push_back(p);
  }
  const auto q = r.get_count(12);
  for (std::uint32_t i = 0; i < q; ++i) {
    Pair p{};
    p.tag = r.get<std::uint32_t>();
    p.item = checked_item(r.get<std::int32_t>());
    p.partner = checked_item(r.get<std::int32_t>());
    user.pairs.push_back(p);
  }
  const auto m = r.get_count(24);
  for (std::uint32_t i = 0; i < m; ++i) {
    UserView::Seen s{};
    s.item = checked_item(r.get<std::int32_t>());
    s.purchases = r.get<std::int32_t>();
    s.last_ms = r.get_time();
    s.last_purchase_ms = r.get_time();
    if (s.purchases < 0 || s.purchases > kMostPurchases) ByteReader::fail("found " + std::to_string(s.purchases) + " purchases of a product");
    if (!user.seen.empty() && s.item <= user.seen.back().item) ByteReader::fail("found a shopper's products out of order");
    user.seen.push_back(s);
  }
  user.customer = becomes_customer(key, (flags & kCustomerFlag) != 0);
}

void LiveState::load_earlier(ByteReader& r) {
  User* user = find_user(r.get_key());
  if (user == nullptr || !user->earlier.empty()) ByteReader::fail("found totals of no shopper before them");
  user->earlier.push_back(get_earlier(
      r, [this](std::int32_t item) { return checked_item(item); },
      [this](std::uint16_t type) {
        if (type >= saved_types_.size()) ByteReader::fail("found type " + std::to_string(type) + ", expected one that was named before");
        return saved_types_[type];
      }));
}

void LiveState::load_record(std::span<const std::byte> record) {
  ByteReader r(record);
  const auto kind = r.get<std::uint8_t>();
  switch (static_cast<StateKind>(kind)) {
    case StateKind::kBegin: load_begin(r); break;
    case StateKind::kItems: load_items(r); break;
    case StateKind::kCounters: load_counters(r); break;
    case StateKind::kShopper: load_shopper(r); break;
    case StateKind::kEarlier: load_earlier(r); break;
    case StateKind::kOffers:
      offers.load(r, [this](std::int32_t item) { return checked_item(item); });
      break;
    case StateKind::kErased: {
      const auto hash = r.get<std::uint64_t>();
      mark_erased(hash, r.get_time());
      break;
    }
    default:
      ByteReader::fail("found kind " + std::to_string(kind) + " in a compaction, which is none of this version's; upgrade etalage to read it");
  }
  if (!r.done()) ByteReader::fail("found bytes behind its end");
}

void LiveState::finish_loading() {
  trending.rebuild();
  std::vector<std::pair<std::uint64_t, User*>> order;
  for (std::int32_t index = 0; index < users.size(); ++index)
    if (User* user = record_at(index); user != nullptr && user->index == index) order.emplace_back(user->version, user);
  std::sort(order.begin(), order.end());
  Key key;
  for (const auto& [version, user] : order) {
    if (!users.key_at(user->index, key)) continue;
    keep_newest(*user);  // here, when what fell out before is known
    weigh(*user, view_of(key));
    link(shard_number(view_of(key)), *user);
  }
}

}  // namespace etalage::serving
