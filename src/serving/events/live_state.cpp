// SPDX-License-Identifier: Apache-2.0
#include "serving/events/live_state.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "detail/prefetch.hpp"
#include "etalage/error.hpp"
#include "serving/events/earlier_totals.hpp"

namespace etalage::serving {
namespace {

constexpr std::int64_t kHour = 3'600'000;

}  // namespace

LiveState::LiveState(const EventStoreOptions& options)
    : users("user"), items("item"), trending(options.trending_half_life_hours * static_cast<double>(kHour), static_cast<std::size_t>(options.trending_size)),
      together(static_cast<std::size_t>(options.co_purchase_limit)), options_(options), shards_(kUserShards) {
  for (const EventType& t : options_.event_types) {
    shown_as_.push_back(static_cast<std::uint16_t>(types_.size()));
    types_.push_back({t.name, t.trending, t.purchase, t.returns});
  }
  for (auto& line : oldest_)
    for (auto& version : line) version.store(UINT64_MAX, std::memory_order_relaxed);
  for (auto& since : idle_since_) since.store(INT64_MAX, std::memory_order_relaxed);
}

LiveState::~LiveState() {
  for (auto& book : books_) delete book.load(std::memory_order_relaxed);
}

int LiveState::type_of(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < options_.event_types.size(); ++i)
    if (options_.event_types[i].name == name) return static_cast<int>(i);
  return -1;
}

std::uint16_t LiveState::replayed_type(TypeMeaning meaning) {
  const auto found = std::find(types_.begin(), types_.end(), meaning);
  const auto at = static_cast<std::uint16_t>(found - types_.begin());
  if (found != types_.end()) return at;
  if (types_.size() >= 65535) throw FormatError("a journal record: found more than 65535 types of events");
  const int shown = type_of(meaning.name);
  shown_as_.push_back(shown < 0 ? at : static_cast<std::uint16_t>(shown));
  types_.push_back(std::move(meaning));
  return at;
}

std::size_t LiveState::shard_number(KeyView user) noexcept { return static_cast<std::size_t>(hash_of(user) >> 20) % kUserShards; }

LiveState::User* LiveState::record_at(std::int32_t index) const noexcept {
  const auto i = static_cast<std::size_t>(index);
  const Book* book = books_[i / (kPage * kPage)].load(std::memory_order_acquire);
  Page* page = book == nullptr ? nullptr : book->pages[i / kPage % kPage].load(std::memory_order_acquire);
  return page == nullptr ? nullptr : &page->users[i % kPage];
}

LiveState::User& LiveState::make_record(std::int32_t index) {
  if (User* record = record_at(index)) return *record;
  const auto i = static_cast<std::size_t>(index);
  const std::lock_guard guard(books_mutex_);
  auto& book = books_[i / (kPage * kPage)];
  if (book.load(std::memory_order_relaxed) == nullptr) book.store(new Book, std::memory_order_release);
  auto& page = book.load(std::memory_order_relaxed)->pages[i / kPage % kPage];
  if (page.load(std::memory_order_relaxed) == nullptr) page.store(new Page, std::memory_order_release);
  return page.load(std::memory_order_relaxed)->users[i % kPage];
}

LiveState::User* LiveState::find_user(KeyView key) const noexcept {
  // Of many shoppers none is in the processor's caches: what is read next is fetched while the key is compared.
  const std::int32_t index = users.find(key, [this](std::int32_t likely) {
    if (const User* record = record_at(likely)) detail::prefetch(record, sizeof(User));
  });
  if (index < 0) return nullptr;
  User* user = record_at(index);
  if (user == nullptr || user->index != index) return nullptr;
  for (const void* next : {static_cast<const void*>(user->history.data()), static_cast<const void*>(user->seen.data()), static_cast<const void*>(user->newer),
                           static_cast<const void*>(user->older)})
    if (next != nullptr) detail::prefetch(next, 1);
  return user;
}

LiveState::User& LiveState::new_user(KeyView key) {
  const std::int32_t index = users.add(key);
  User& user = make_record(index);
  user.index = index;
  num_shoppers_.fetch_add(1, std::memory_order_relaxed);
  return user;
}

UserView::Seen& LiveState::seen_of(User& user, std::int32_t item, std::int64_t time_ms) const {
  const auto place = [&] { return std::lower_bound(user.seen.begin(), user.seen.end(), item, [](const UserView::Seen& s, std::int32_t i) { return s.item < i; }); };
  auto at = place();
  if (at != user.seen.end() && at->item == item) return *at;
  if (user.seen.size() >= static_cast<std::size_t>(options_.seen_limit)) {
    user.seen.erase(std::min_element(user.seen.begin(), user.seen.end(), [](const auto& a, const auto& b) { return a.last_ms < b.last_ms; }));
    at = place();
  }
  return *user.seen.insert(at, {item, 0, time_ms, 0});
}

void LiveState::note_seen(User& user, std::size_t place) const {
  const Past& event = user.history[place];
  const TypeMeaning& type = types_[event.type];
  UserView::Seen& seen = seen_of(user, event.item, event.time_ms);
  seen.last_ms = std::max(seen.last_ms, event.time_ms);
  if (!type.purchase && !type.returns) return;
  const auto changes = [&](const Past& p) { return p.item == event.item && (types_[p.type].purchase || types_[p.type].returns); };
  const bool bought = type.buys(event.value);
  if (std::none_of(user.history.begin() + static_cast<std::ptrdiff_t>(place) + 1, user.history.end(), changes)) {
    if (bought) {
      ++seen.purchases;
      seen.last_purchase_ms = event.time_ms;
    } else if (seen.purchases > 0 && --seen.purchases == 0) {
      seen.last_purchase_ms = 0;
    }
    return;
  }
  recount(user, seen, purchases_before(user, seen, &event));
}

std::int32_t LiveState::purchases_before(const User& user, const UserView::Seen& seen, const Past* except) const {
  if (user.whole) return 0;
  // After b purchases the history leaves max(b + sum, floor): b can be told where returns never met an empty count.
  std::int32_t sum = 0;
  std::int32_t floor = 0;
  for (const Past& p : user.history) {
    if (p.item != seen.item || &p == except) continue;
    const std::int32_t step = types_[p.type].buys(p.value) ? 1 : types_[p.type].gives_back(p.value) ? -1 : 0;
    sum += step;
    floor = std::max(floor + step, 0);
  }
  return seen.purchases > floor ? seen.purchases - sum : 0;
}

void LiveState::recount(const User& user, UserView::Seen& seen, std::int32_t before) const {
  std::int64_t last = before > 0 ? std::min(seen.last_purchase_ms, user.history.front().time_ms) : 0;
  seen.purchases = before;
  for (const Past& p : user.history) {
    if (p.item != seen.item) continue;
    if (types_[p.type].buys(p.value)) {
      ++seen.purchases;
      last = p.time_ms;
    } else if (types_[p.type].gives_back(p.value) && seen.purchases > 0 && --seen.purchases == 0) {
      last = 0;
    }
  }
  seen.last_purchase_ms = last;
}

/// What falls out of the history stays in the counters without its name, and in the shopper's totals.
void LiveState::keep_newest(User& user) const {
  const auto limit = static_cast<std::size_t>(options_.history_limit);
  if (user.history.size() <= limit) return;
  user.whole = false;
  const auto end = user.history.end() - static_cast<std::ptrdiff_t>(limit);
  if (!user.pairs.empty())
    for (auto p = user.history.begin(); p != end; ++p)
      if (p->tag != 0) std::erase_if(user.pairs, [&](const Pair& pair) { return pair.tag == p->tag; });
  if (user.earlier.empty()) user.earlier.emplace_back();
  for (auto p = user.history.begin(); p != end; ++p)
    add_earlier(user.earlier.front(), {p->time_ms, p->item, p->value, p->type, types_[p->type].purchase, types_[p->type].returns}, idle_ms(),
                static_cast<std::size_t>(options_.seen_limit));
  user.history.erase(user.history.begin(), end);
}

void LiveState::partners_of(std::span<const Past> history, std::int32_t item, std::int64_t time_ms, std::vector<std::int32_t>& out) const {
  out.clear();
  const std::int64_t window = options_.co_purchase_hours * kHour;
  const auto from = std::lower_bound(history.begin(), history.end(), time_ms - window, [](const Past& p, std::int64_t t) { return p.time_ms < t; });
  for (auto p = from; p != history.end() && p->time_ms <= time_ms + window; ++p) {
    if (!types_[p->type].buys(p->value)) continue;
    if (p->item == item) {  // bought twice within the window: its pairs are counted already
      out.clear();
      return;
    }
    if (std::find(out.begin(), out.end(), p->item) == out.end()) out.push_back(p->item);
  }
}

LiveState::Outcome LiveState::observe(const SettledEvent& e, const Number& number) {
  Outcome out;
  // All that can be refused is refused before anything is taken: both keys first, then the journal.
  const GrowingIds::Claim user_claim(users, e.user);
  const GrowingIds::Claim item_claim(items, e.item);
  const TypeMeaning& type = types_[e.type];
  thread_local std::vector<std::int32_t> partners;
  partners.clear();
  std::int32_t item = -1;
  {
    const std::size_t place = shard_number(e.user);
    const std::lock_guard guard(shards_[place].mutex);
    item = items.find(e.item);
    User* user = find_user(e.user);
    if (e.check_duplicate && user != nullptr && item >= 0) {
      const auto& h = user->history;
      for (auto p = std::lower_bound(h.begin(), h.end(), e.time_ms, [](const Past& q, std::int64_t t) { return q.time_ms < t; });
           p != h.end() && p->time_ms == e.time_ms; ++p)
        if (p->item == item && shown_as_[p->type] == shown_as_[e.type] && p->value == e.value) return out;
    }
    if (item < 0 && !e.replayed && options_.max_items != 0 && items.count() >= options_.max_items)
      throw std::invalid_argument("item is the " + std::to_string(items.count() + std::int64_t{1}) + "th key, must be among max_items = " +
                                  std::to_string(options_.max_items));
    out.sequence = number();
    if (item < 0) item = items.add(e.item);
    if (user == nullptr) user = &new_user(e.user);
    else unlink(place, *user);
    user->version = out.sequence;
    user->last_ms = std::max(user->last_ms, e.arrival_ms);
    user->customer = becomes_customer(e.user, user->customer || type.purchase);
    std::uint32_t tag = 0;
    if (type.buys(e.value)) {
      partners_of(user->history, item, e.time_ms, partners);
      if (!partners.empty()) tag = user->next_tag++;
      for (const std::int32_t partner : partners) user->pairs.push_back({tag, item, partner});
    }
    const auto at = std::upper_bound(user->history.begin(), user->history.end(), e.time_ms, [](std::int64_t t, const Past& p) { return t < p.time_ms; });
    out.late = at != user->history.end();
    const auto inserted = user->history.insert(at, {e.time_ms, item, e.value, e.type, tag});
    note_seen(*user, static_cast<std::size_t>(inserted - user->history.begin()));
    keep_newest(*user);
    weigh(*user, e.user);
    link(place, *user);
  }
  trending.add(item, type.demand(e.value), e.time_ms);
  for (const std::int32_t partner : partners) together.add(item, partner, 1);
  std::int64_t newest = newest_ms_.load(std::memory_order_relaxed);
  while (newest < e.time_ms && !newest_ms_.compare_exchange_weak(newest, e.time_ms, std::memory_order_relaxed)) {
  }
  return out;
}

std::uint64_t LiveState::merge(KeyView from, KeyView to, const Number& number) {
  if (from == to) return 0;
  const GrowingIds::Claim claim(users, to);
  const std::size_t source_place = shard_number(from);
  const std::size_t target_place = shard_number(to);
  std::unique_lock first(shards_[source_place].mutex, std::defer_lock);
  std::unique_lock second(shards_[target_place].mutex, std::defer_lock);
  if (source_place == target_place) first.lock();
  else std::lock(first, second);
  User* source = find_user(from);
  if (source == nullptr) return 0;
  const std::uint64_t sequence = number();
  User moved = std::move(*source);
  remove_user(source_place, *source);
  User* known = find_user(to);
  if (known != nullptr) unlink(target_place, *known);
  User& user = known != nullptr ? *known : new_user(to);
  user.version = sequence;
  user.last_ms = std::max(user.last_ms, moved.last_ms);
  user.customer = becomes_customer(to, true);
  for (Past& p : moved.history)
    if (p.tag != 0) p.tag += user.next_tag;
  for (Pair p : moved.pairs) user.pairs.push_back({p.tag + user.next_tag, p.item, p.partner});
  user.next_tag += moved.next_tag;
  // Whose items both have: what lies before the kept histories, told before they become one.
  std::vector<std::int32_t> before;
  for (auto a = user.seen.begin(), b = moved.seen.begin(); a != user.seen.end() && b != moved.seen.end();) {
    if (a->item == b->item) before.push_back(purchases_before(user, *a++, nullptr) + purchases_before(moved, *b++, nullptr));
    else if (a->item < b->item) ++a;
    else ++b;
  }
  user.whole = user.whole && moved.whole;
  if (user.earlier.empty()) user.earlier = std::move(moved.earlier);
  else if (!moved.earlier.empty()) merge_earlier(user.earlier.front(), moved.earlier.front(), static_cast<std::size_t>(options_.seen_limit));
  const auto middle = static_cast<std::ptrdiff_t>(user.history.size());
  user.history.insert(user.history.end(), moved.history.begin(), moved.history.end());
  std::inplace_merge(user.history.begin(), user.history.begin() + middle, user.history.end(), [](const Past& a, const Past& b) { return a.time_ms < b.time_ms; });
  std::vector<UserView::Seen> seen;
  auto known_before = before.begin();
  for (auto a = user.seen.begin(), b = moved.seen.begin(); a != user.seen.end() || b != moved.seen.end();) {
    if (b == moved.seen.end() || (a != user.seen.end() && a->item < b->item)) seen.push_back(*a++);
    else if (a == user.seen.end() || b->item < a->item) seen.push_back(*b++);
    else {
      seen.push_back({a->item, a->purchases + b->purchases, std::max(a->last_ms, b->last_ms), std::max(a->last_purchase_ms, b->last_purchase_ms)});
      recount(user, seen.back(), *known_before++);
      ++a;
      ++b;
    }
  }
  if (seen.size() > static_cast<std::size_t>(options_.seen_limit)) {
    std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.last_ms > b.last_ms; });
    seen.resize(static_cast<std::size_t>(options_.seen_limit));
    std::sort(seen.begin(), seen.end(), [](const auto& a, const auto& b) { return a.item < b.item; });
  }
  user.seen = std::move(seen);
  keep_newest(user);
  weigh(user, to);
  link(target_place, user);
  return sequence;
}

/// Exactly what the kept history was counted in, whoever's purchases it once was.
void LiveState::take_back(const User& user) {
  std::vector<TrendingCounters::Taken> taken;
  for (const Past& p : user.history)
    if (const float demand = types_[p.type].demand(p.value); demand > 0) taken.push_back({p.item, demand, p.time_ms});
  for (const Pair& p : user.pairs) together.add(p.item, p.partner, -1);
  trending.subtract(taken);
}

std::uint64_t LiveState::erase(KeyView key, std::int64_t time_ms, const Number& number) {
  User gone;
  std::uint64_t sequence = 0;
  {
    // Whoever is not there yet is kept out too: the hash is noted before the index is let go.
    const std::size_t place = shard_number(key);
    const std::lock_guard guard(shards_[place].mutex);
    sequence = number();
    mark_erased(hash_of(key), time_ms);
    if (User* user = find_user(key)) {
      gone.history = std::move(user->history);
      gone.pairs = std::move(user->pairs);
      remove_user(place, *user);
    }
  }
  take_back(gone);
  return sequence;
}

void LiveState::mark_erased(std::uint64_t hash, std::int64_t time_ms) {
  const std::lock_guard guard(erased_mutex_);
  const auto [mark, fresh] = erased_.try_emplace(hash, time_ms);
  if (fresh) erased_order_.emplace_back(hash, time_ms);
  else mark->second = std::max(mark->second, time_ms);
  any_erased_.store(true, std::memory_order_release);
  while (options_.max_erased != 0 && erased_.size() > options_.max_erased) {
    const auto [oldest, then] = erased_order_.front();
    erased_order_.pop_front();
    const auto found = erased_.find(oldest);
    if (found->second != then) {  // marked again since
      erased_order_.emplace_back(oldest, found->second);
      continue;
    }
    erased_before_ms_ = std::max(erased_before_ms_, then);
    erased_.erase(found);
  }
}

std::int64_t LiveState::erased_ms(KeyView user) const {
  if (!any_erased_.load(std::memory_order_acquire)) return 0;
  const std::shared_lock guard(erased_mutex_);
  const auto found = erased_.find(hash_of(user));
  return std::max(found == erased_.end() ? 0 : found->second, erased_before_ms_);
}

}  // namespace etalage::serving
