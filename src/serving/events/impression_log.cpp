// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/impressions.hpp"

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "serving/events/fork_gate.hpp"
#include "serving/events/fork_guard.hpp"
#include "serving/events/impression_store.hpp"

namespace etalage {

using serving::ByteWriter;
using serving::ImpressionStore;
using serving::ShownKind;

void ImpressionOptions::validate() const { require_options(*this); }

struct ImpressionLog::Impl {
  explicit Impl(ImpressionOptions given) : options((given.validate(), given)), store(options) {}

  void open(const std::filesystem::path& directory, JournalOptions given) {
    // Whatever events wait for, an answer waits for no flush.
    if (given.durability == Durability::kEveryEvent) given.durability = Durability::kInterval;
    journal = std::make_unique<Journal>(directory, given, into(store));
    any = store.size() != 0;
  }

  ~Impl() {
    if (!compactor.joinable()) return;
    if (process.in_child()) compactor.detach();  // it was left behind in the parent
    else compactor.join();
  }

  std::uint64_t number(std::span<const std::byte> record) { return journal ? journal->enqueue(record) : ++counter; }

  /// False where it was told already. Under the lock, as what follows.
  bool credit(std::uint64_t request, std::uint32_t place, bool by_request, const Told& told) {
    ImpressionStore::Reaction r;
    r.request = request;
    r.place = place;
    r.by_request = by_request;
    r.purchase = told.purchase;
    r.returns = told.returns;
    r.value = told.value;
    r.time_ms = told.time_ms;
    if (!store.react(r, told.event)) return false;
    if (journal) {
      ByteWriter record;
      serving::put_reaction(record, r, told.event);
      journal->enqueue(record.bytes());
    }
    return true;
  }

  void write(ShownKind kind, std::initializer_list<KeyView> keys) {
    ByteWriter record;
    record.put(kind);
    for (const KeyView key : keys) record.put_key(key);
    (void)number(record.bytes());
  }

  /// What the journal holds, handed to a store.
  static JournalReplay into(ImpressionStore& to) {
    JournalReplay replay;
    replay.state = [&to](std::span<const std::byte> record) { to.apply(0, record); };
    replay.event = [&to](std::uint64_t sequence, std::span<const std::byte> record) { to.apply(sequence, record); };
    return replay;
  }

  void compact() {
    if (!journal) return;
    ImpressionStore kept(options);
    journal->compact(into(kept), [&](const Journal::Put& put) {
      kept.evict(newest_ms.load(std::memory_order_relaxed));
      kept.save(put);
    });
  }

  /// Where the disk holds much more than memory does. Under the lock.
  void compact_later() {
    if (!journal || journal->tail_bytes() < 4 * store.bytes() + (std::uint64_t{64} << 20) || running.load(std::memory_order_acquire)) return;
    if (compactor.joinable()) compactor.join();  // it has ended
    running.store(true, std::memory_order_release);
    try {
      compactor = std::thread([this] {
        try {
          compact();
        } catch (const std::exception&) {  // tried again when the log has grown further
        }
        running.store(false, std::memory_order_release);
      });
    } catch (const std::system_error&) {
      running.store(false, std::memory_order_release);
    }
  }

  ImpressionOptions options;
  mutable std::mutex mutex;  // of the store and of the order of records
  ImpressionStore store;
  std::unique_ptr<Journal> journal;
  std::uint64_t counter = 0;
  std::atomic<std::int64_t> newest_ms{0};
  std::atomic<bool> any{false};  // something was ever shown: shops that log nothing take no lock
  serving::ForkGuard process;
  std::atomic<bool> running{false};
  std::thread compactor;
};

ImpressionLog::ImpressionLog(ImpressionOptions options) : impl_(std::make_unique<Impl>(options)) {}
ImpressionLog::ImpressionLog(const std::filesystem::path& directory, ImpressionOptions options, JournalOptions journal) : ImpressionLog(options) {
  impl_->open(directory, std::move(journal));
}
ImpressionLog::~ImpressionLog() = default;

std::uint64_t ImpressionLog::show(std::span<const std::byte> payload) {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  const std::uint64_t request = impl_->number(payload);
  impl_->store.show(request, payload);
  impl_->any.store(true, std::memory_order_relaxed);
  return request;
}

void ImpressionLog::check(std::uint64_t request, const Told& told) const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  const auto shown = impl_->store.time_of(request);
  if (!shown)
    throw std::invalid_argument("request is " + std::to_string(request) + ", must be the request_id of an answer that was logged and is still kept");
  if (!impl_->store.place_of(request, told.item))
    throw std::invalid_argument("item is '" + text_of(told.item).substr(0, 100) + "', must be one that request " + std::to_string(request) + " showed");
  if (told.time_ms < *shown)
    throw std::invalid_argument("time_ms is " + std::to_string(told.time_ms) + ", must not be before its request was answered (" + std::to_string(*shown) + ")");
}

void ImpressionLog::react(std::uint64_t request, const Told& told) {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  if (const auto place = impl_->store.place_of(request, told.item)) (void)impl_->credit(request, *place, true, told);  // else erased since
}

std::uint64_t ImpressionLog::attribute(const Told& told) {
  if (impl_->options.attribution_hours == 0 || !any()) return 0;
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  const auto touch = impl_->store.last_touch(told.user, told.item, told.time_ms, told.returns);
  return touch && impl_->credit(touch->first, touch->second, false, told) ? touch->first : 0;
}

void ImpressionLog::merge(KeyView from, KeyView to) {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  if (impl_->store.size() == 0) return;
  impl_->write(ShownKind::kMerged, {from, to});
  impl_->store.merge(from, to);
}

void ImpressionLog::erase(KeyView user) {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  if (impl_->store.size() == 0) return;
  impl_->write(ShownKind::kErased, {user});
  impl_->store.erase(user);
}

void ImpressionLog::forget(std::int64_t now_ms) {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  impl_->newest_ms.store(now_ms, std::memory_order_relaxed);
  impl_->store.evict(now_ms);
  impl_->compact_later();
}

bool ImpressionLog::any() const noexcept { return impl_->any.load(std::memory_order_relaxed); }

std::size_t ImpressionLog::size() const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  return impl_->store.size();
}

std::uint64_t ImpressionLog::bytes() const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  return impl_->store.bytes();
}

std::optional<Impression> ImpressionLog::find(std::uint64_t request) const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  return impl_->store.find(request);
}

void ImpressionLog::each(const std::function<void(const Impression&)>& visit) const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  impl_->store.each(visit);
}

ShownCounts ImpressionLog::counts_of(KeyView item) const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  return impl_->store.counts_of(item);
}

void ImpressionLog::each_shown_to(KeyView user, std::int64_t from_ms, int most, const std::function<void(KeyView, bool)>& visit, std::uint64_t before) const {
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  impl_->store.each_shown_to(user, from_ms, most, visit, before);
}

void ImpressionLog::sync() {
  if (impl_->journal) impl_->journal->sync();
}
void ImpressionLog::compact() { impl_->compact(); }

void ImpressionLog::save_state(StateWriter& writer) const {
  std::vector<std::int64_t> offsets{0};
  std::vector<char> bytes;
  std::uint64_t last = 0;
  {
    const serving::ForkGate::Section section;
    const std::lock_guard guard(impl_->mutex);
    impl_->store.save([&](std::span<const std::byte> record) {
      const auto* text = reinterpret_cast<const char*>(record.data());
      bytes.insert(bytes.end(), text, text + record.size());
      offsets.push_back(static_cast<std::int64_t>(bytes.size()));
    });
    last = std::max(impl_->counter, impl_->store.newest());
  }
  writer.put_int("newest", static_cast<std::int64_t>(last));
  writer.put_array("offsets", Array<std::int64_t>(offsets));
  writer.put_array("bytes", Array<char>(bytes));
}

void ImpressionLog::load_state(const StateReader& reader) {
  const auto last = static_cast<std::uint64_t>(reader.get_int("newest", 0, std::numeric_limits<std::int64_t>::max()));
  const auto offsets = reader.get_array<std::int64_t>("offsets");
  const auto bytes = reader.get_array<char>("bytes");
  if (offsets.empty() || offsets[0] != 0 || offsets.back() != static_cast<std::int64_t>(bytes.size())) reader.fail("offsets", "found offsets that do not span the bytes");
  const serving::ForkGate::Section section;
  const std::lock_guard guard(impl_->mutex);
  if (impl_->journal || impl_->counter != 0 || impl_->store.size() != 0)
    throw std::logic_error("impressions are on record or kept in a folder, must be read into a log that is empty and in memory");
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    // Each against the end too: a fall later on would otherwise be met only after a wild read.
    if (offsets[i + 1] < offsets[i] || offsets[i + 1] > static_cast<std::int64_t>(bytes.size())) reader.fail("offsets", "found offsets that fall");
    const auto record = std::as_bytes(std::span<const char>(bytes.view())).subspan(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
    try {
      impl_->store.apply(0, record);
    } catch (const std::exception& e) {
      reader.fail("bytes", "found in record " + std::to_string(i) + ": " + e.what());
    }
  }
  impl_->counter = std::max(last, impl_->store.newest());
  impl_->any = impl_->store.size() != 0;
}

}  // namespace etalage
