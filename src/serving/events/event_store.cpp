// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/event_store.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "serving/events/event_codec.hpp"
#include "serving/events/fork_gate.hpp"
#include "serving/events/fork_guard.hpp"
#include "serving/events/live_state.hpp"

namespace etalage {

using serving::ByteWriter;
using serving::LiveState;
using serving::LiveOffers;
using serving::LogKind;

void EventStoreOptions::validate() const {
  detail::require(!event_types.empty() && event_types.size() <= 256, "number of event_types", event_types.size(), "in [1, 256]");
  for (std::size_t i = 0; i < event_types.size(); ++i) {
    const EventType& t = event_types[i];
    detail::require(!t.name.empty() && t.name.size() <= 255, "size of an event type's name", t.name.size(), "in [1, 255]");
    detail::require_finite(true, ("weight of event type '" + t.name + "'").c_str(), t.weight, "finite");
    detail::require_finite(t.trending >= 0, ("trending of event type '" + t.name + "'").c_str(), t.trending, "finite and >= 0");
    for (std::size_t j = 0; j < i; ++j)
      if (event_types[j].name == t.name) throw std::invalid_argument("event type '" + t.name + "' is given twice, must be unique");
  }
  require_options(*this);
  detail::require(visitor_prefix.size() <= 255, "size of visitor_prefix", visitor_prefix.size(), "<= 255");
}

struct EventStore::Impl {
  explicit Impl(EventStoreOptions given) : options((given.validate(), std::move(given))), live(options) {}

  void open(const std::filesystem::path& directory) {
    JournalReplay replay;
    replay.state = [this](std::span<const std::byte> record) { live.load(record); };
    bool loaded = false;
    replay.event = [&, this](std::uint64_t sequence, std::span<const std::byte> payload) {
      if (!loaded) live.finish_loading();
      loaded = true;
      live.replay(sequence, payload);
    };
    journal = std::make_unique<Journal>(directory, options.journal, replay);
    if (!loaded) live.finish_loading();
    try {
      live.enforce_caps(SIZE_MAX, numbered_forget());  // there may be less room than before
    } catch (const std::filesystem::filesystem_error&) {  // as in enforce_limits()
    }
    tried_at = journal->tail_bytes();
    if (options.compact_bytes != 0 && tried_at >= options.compact_bytes) compact();
  }

  ~Impl() {
    if (!compactor.joinable()) return;
    if (process.in_child()) compactor.detach();  // it was left behind in the parent
    else compactor.join();
  }

  std::uint64_t number(std::span<const std::byte> record) { return journal ? journal->enqueue(record) : 1 + counter.fetch_add(1, std::memory_order_relaxed); }

  /// Index of a product that something is said of; max_items holds as for events.
  std::int32_t offered_item(KeyView item) {
    const std::int32_t index = live.items.find(item);
    if (index >= 0) return index;
    if (options.max_items != 0 && live.items.count() >= options.max_items)
      throw std::invalid_argument("item is the " + std::to_string(live.items.count() + std::int64_t{1}) + "th key, must be among max_items = " + std::to_string(options.max_items));
    return live.items.intern(item);
  }

  LiveState::NumberForgotten numbered_forget() {
    return [this](KeyView user) {
      ByteWriter record;
      if (journal) {
        record.put(LogKind::kForget);
        record.put_key(user);
      }
      const std::uint64_t sequence = number(record.bytes());
      forgotten.fetch_add(1, std::memory_order_relaxed);
      return sequence;
    };
  }

  /// What `user`'s event makes due. A journal that cannot be written keeps everybody for now: it refuses events as well.
  void enforce_limits(KeyView user, std::int64_t now) {
    try {
      live.enforce_limits(user, now, numbered_forget());
    } catch (const std::filesystem::filesystem_error&) {
    }
  }

  std::uint64_t settle(std::uint64_t sequence) {
    if (!journal) return sequence;
    if (options.journal.durability == Durability::kEveryEvent) journal->wait_durable(sequence);
    const std::uint64_t size = journal->tail_bytes();
    if (options.compact_bytes != 0 && size >= options.compact_bytes && size >= tried_at.load(std::memory_order_relaxed) + options.compact_bytes / 4)
      compact_later(size);
    return sequence;
  }

  std::uint64_t last_sequence() const noexcept { return journal ? journal->last_sequence() : counter.load(std::memory_order_relaxed); }

  void compact() {
    if (!journal) return;
    // The past is replayed into a state of its own: nobody who observes or recommends waits for it.
    LiveState state(options);
    bool loaded = false;
    JournalReplay replay;
    replay.state = [&](std::span<const std::byte> record) { state.load(record); };
    replay.event = [&](std::uint64_t sequence, std::span<const std::byte> payload) {
      if (!loaded) state.finish_loading();
      loaded = true;
      state.replay(sequence, payload);
    };
    journal->compact(replay, [&](const Journal::Put& put) { state.save(put, true); });
    compactions.fetch_add(1, std::memory_order_relaxed);
    tried_at.store(0, std::memory_order_relaxed);
  }

  void compact_later(std::uint64_t size) {
    const std::unique_lock guard(compactor_mutex, std::try_to_lock);
    if (!guard.owns_lock() || running.load(std::memory_order_acquire)) return;
    if (compactor.joinable()) compactor.join();
    tried_at.store(size, std::memory_order_relaxed);
    running.store(true, std::memory_order_release);
    try {
      compactor = std::thread([this] { compact_in_background(); });
    } catch (const std::system_error& e) {  // no thread to be had: tried again when the journal has grown further
      running.store(false, std::memory_order_release);
      note_compaction(e.what());
    }
  }

  void compact_in_background() {
    std::string why;
    try {
      compact();
    } catch (const std::exception& e) {
      why = e.what();
    }
    note_compaction(why);
    running.store(false, std::memory_order_release);
  }

  void note_compaction(const std::string& why) {
    const serving::ForkGate::Section section;
    const std::lock_guard guard(failure_mutex);
    compaction_failure = why;
  }

  EventStoreOptions options;
  LiveState live;
  std::unique_ptr<Journal> journal;
  serving::ForkGuard process;
  std::atomic<std::uint64_t> counter{0};  // sequences without a journal
  std::atomic<std::uint64_t> observed{0}, duplicates{0}, late{0}, merges{0}, erasures{0}, compactions{0}, forgotten{0};
  std::atomic<std::uint64_t> tried_at{0};
  std::atomic<bool> running{false};
  std::mutex compactor_mutex;
  std::thread compactor;
  mutable std::mutex failure_mutex;
  std::string compaction_failure;
};

EventStore::EventStore(EventStoreOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
EventStore::EventStore(const std::filesystem::path& directory, EventStoreOptions options) : EventStore(std::move(options)) { impl_->open(directory); }
EventStore::~EventStore() = default;

std::uint64_t EventStore::observe(const Event& event) {
  const serving::ForkGate::Section section;
  Impl& s = *impl_;
  const int type = s.live.type_of(event.type);
  if (type < 0) {
    std::string known;
    for (const EventType& t : s.options.event_types) known += (known.empty() ? "" : ", ") + t.name;
    throw std::invalid_argument("event type is '" + std::string(event.type.substr(0, 100)) + "', must be one of " + known);
  }
  const std::int64_t now = now_ms();
  serving::SettledEvent settled{event.user, event.item, static_cast<std::uint16_t>(type), event.time_ms.value_or(now), event.value, event.time_ms.has_value(), now};
  if (settled.time_ms < 0 || settled.time_ms > now + std::int64_t{s.options.max_future_seconds} * 1000)
    throw std::invalid_argument("time_ms is " + std::to_string(settled.time_ms) + ", must be in [0, " + std::to_string(now) + " (now) + " +
                                std::to_string(s.options.max_future_seconds) + " s]");
  detail::require_finite(true, "value", event.value, "finite");

  thread_local ByteWriter record;
  const auto outcome = s.live.observe(settled, [&]() -> std::uint64_t {
    if (s.journal) {
      record.clear();
      serving::put_event(record, settled, s.live.meaning(settled.type));
    }
    return s.number(record.bytes());
  });
  if (outcome.sequence == 0) {
    s.duplicates.fetch_add(1, std::memory_order_relaxed);
    return s.settle(s.last_sequence());
  }
  s.observed.fetch_add(1, std::memory_order_relaxed);
  if (outcome.late) s.late.fetch_add(1, std::memory_order_relaxed);
  s.enforce_limits(event.user, now);
  return s.settle(outcome.sequence);
}

std::uint64_t EventStore::merge_users(KeyView from, KeyView to) {
  const serving::ForkGate::Section section;
  Impl& s = *impl_;
  const std::uint64_t sequence = s.live.merge(from, to, [&] {
    ByteWriter record;
    record.put(LogKind::kMerge);
    record.put_key(from);
    record.put_key(to);
    return s.number(record.bytes());
  });
  if (sequence == 0) return s.settle(s.last_sequence());
  s.merges.fetch_add(1, std::memory_order_relaxed);
  return s.settle(sequence);
}

std::uint64_t EventStore::erase_user(KeyView user) {
  const serving::ForkGate::Section section;
  Impl& s = *impl_;
  const std::int64_t now = now_ms();
  const std::uint64_t sequence = s.live.erase(user, now, [&] {
    ByteWriter record;
    record.put(LogKind::kErase);
    record.put(now);
    record.put_key(user);
    return s.number(record.bytes());
  });
  s.erasures.fetch_add(1, std::memory_order_relaxed);
  return s.settle(sequence);
}

namespace {

void require_text(std::string_view text, const char* argument) {
  detail::require(text.size() <= LiveOffers::kMaxText, (std::string("size of ") + argument).c_str(), text.size(), "<= 1024 bytes");
}

}  // namespace

std::uint64_t EventStore::set_available(KeyView item, std::optional<bool> available, std::string_view place) {
  const serving::ForkGate::Section section;
  Impl& s = *impl_;
  require_text(place, "place");
  return s.settle(s.live.offers.set_available(s.offered_item(item), place, available, [&] {
    ByteWriter record;
    LiveOffers::write_available(record, item, place, available);
    return s.number(record.bytes());
  }));
}

std::uint64_t EventStore::set_price(KeyView item, std::optional<float> price, std::string_view place) {
  const serving::ForkGate::Section section;
  Impl& s = *impl_;
  require_text(place, "place");
  if (price) detail::require_finite(*price >= 0, "price", *price, "finite and >= 0");
  return s.settle(s.live.offers.set_price(s.offered_item(item), place, price, [&] {
    ByteWriter record;
    LiveOffers::write_price(record, item, place, price);
    return s.number(record.bytes());
  }));
}

std::uint64_t EventStore::set_attribute(KeyView item, std::string_view name, std::optional<std::vector<std::string>> values, std::string_view place) {
  const serving::ForkGate::Section section;
  Impl& s = *impl_;
  require_text(place, "place");
  require_text(name, "name");
  if (name.empty() || name.find(':') != std::string_view::npos)
    throw std::invalid_argument("name is '" + std::string(name) + "', must be an attribute's name without a colon");
  if (values) {
    detail::require(values->size() <= LiveOffers::kMaxValues, "number of values", values->size(), "<= 1024");
    for (const std::string& v : *values) {
      require_text(v, "a value");
      if (v.empty()) throw std::invalid_argument("values of " + std::string(name) + " hold an empty text, must not");
    }
  }
  const std::int32_t index = s.offered_item(item);
  ByteWriter record;
  LiveOffers::write_attribute(record, item, place, name, values);
  return s.settle(s.live.offers.set_attribute(index, place, name, std::move(values), [&] { return s.number(record.bytes()); }));
}

EventStore::Offer EventStore::offer(KeyView item, std::string_view place) const {
  const serving::ForkGate::Section section;
  const LiveOffers::Said said = impl_->live.offers.said(impl_->live.items.find(item), place);
  return {said.available, said.price};
}

std::size_t EventStore::availability_bytes() const {
  const serving::ForkGate::Section section;
  return impl_->live.offers.availability_bytes();
}
const LiveOffers& EventStore::offers() const noexcept { return impl_->live.offers; }

std::int64_t EventStore::erased_ms(KeyView user) const {
  const serving::ForkGate::Section section;
  return impl_->live.erased_ms(user);
}
std::uint64_t EventStore::durable_through() const noexcept { return impl_->journal ? impl_->journal->durable_through() : 0; }
std::uint64_t EventStore::last_sequence() const noexcept { return impl_->last_sequence(); }
void EventStore::sync() {
  if (impl_->journal) impl_->journal->sync();
}
void EventStore::compact() { impl_->compact(); }
const JournalRecovery* EventStore::recovery() const noexcept { return impl_->journal ? &impl_->journal->recovery() : nullptr; }

std::string EventStore::failure() const {
  if (!impl_->journal) return {};
  const serving::ForkGate::Section section;
  if (std::string why = impl_->journal->failure(); !why.empty()) return why;
  const std::lock_guard guard(impl_->failure_mutex);
  return impl_->compaction_failure.empty() ? std::string() : "compaction: " + impl_->compaction_failure;
}

std::int64_t EventStore::now_ms() const {
  if (impl_->options.now_ms) return impl_->options.now_ms();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}
const EventStoreOptions& EventStore::options() const noexcept { return impl_->options; }

bool EventStore::read_user(KeyView user, UserView& out) const {
  const serving::ForkGate::Section section;
  return impl_->live.read_user(user, now_ms(), out);
}
bool EventStore::read_user_then(KeyView user, std::uint32_t events, std::uint64_t mark, std::int64_t time_ms, UserView& out) const {
  const serving::ForkGate::Section section;
  return impl_->live.read_user_then(user, events, mark, time_ms, out);
}
std::size_t EventStore::trending(std::span<std::pair<std::int32_t, float>> out) const {
  const serving::ForkGate::Section section;
  return impl_->live.trending.top(now_ms(), out);
}
std::size_t EventStore::bought_together(std::int32_t item, std::span<std::pair<std::int32_t, float>> out) const {
  const serving::ForkGate::Section section;
  return impl_->live.together.top(item, out);
}
void EventStore::expect_kinds(int users, int items) noexcept {
  impl_->live.users.expect(users);
  impl_->live.items.expect(items);
}
std::int32_t EventStore::num_users() const noexcept { return impl_->live.users.size(); }
std::int32_t EventStore::num_items() const noexcept { return impl_->live.items.size(); }
std::int32_t EventStore::find_item(KeyView item) const noexcept {
  const serving::ForkGate::Section section;
  return impl_->live.items.find(item);
}
std::int32_t EventStore::intern_item(KeyView item) {
  const serving::ForkGate::Section section;
  return impl_->live.items.intern(item);
}
bool EventStore::item_key(std::int32_t item, Key& out) const {
  const serving::ForkGate::Section section;
  return impl_->live.items.key_at(item, out);
}
bool EventStore::user_key(std::int32_t user, Key& out) const {
  const serving::ForkGate::Section section;
  return impl_->live.users.key_at(user, out);
}

void EventStore::save_state(StateWriter& writer) const {
  ByteWriter records;
  const auto put = [&](std::span<const std::byte> record) {
    records.put(static_cast<std::uint32_t>(record.size()));
    records.put_bytes(record);
  };
  {
    const serving::ForkGate::Section section;
    impl_->live.save(put);
  }
  writer.put_int("sequence", static_cast<std::int64_t>(last_sequence()));
  const auto bytes = records.bytes();
  writer.put_array("records", Array<std::uint8_t>(std::span(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())));
}

void EventStore::load_state(const StateReader& reader) {
  Impl& s = *impl_;
  if (s.journal || s.live.items.size() != 0 || s.live.users.size() != 0)
    throw std::logic_error("a saved state is loaded into a store without events and without a folder");
  const auto records = reader.get_array<std::uint8_t>("records");
  const auto sequence = reader.get_int("sequence", 0, std::numeric_limits<std::int64_t>::max());
  std::span<const std::byte> rest = std::as_bytes(records.view());
  while (!rest.empty()) {
    std::uint32_t size = 0;
    if (rest.size() < sizeof size) reader.fail("records", "found its end within a record");
    std::copy_n(rest.data(), sizeof size, reinterpret_cast<std::byte*>(&size));
    rest = rest.subspan(sizeof size);
    if (rest.size() < size) reader.fail("records", "found its end within a record");
    s.live.load(rest.first(size));
    rest = rest.subspan(size);
  }
  s.live.finish_loading();
  s.counter.store(static_cast<std::uint64_t>(sequence), std::memory_order_relaxed);
}

EventStore::Counts EventStore::counts() const noexcept {
  const Impl& s = *impl_;
  return {s.observed.load(), s.duplicates.load(), s.late.load(), s.merges.load(), s.erasures.load(), s.compactions.load(), s.forgotten.load(),
          s.live.num_shoppers(), s.live.shopper_bytes()};
}

}  // namespace etalage
