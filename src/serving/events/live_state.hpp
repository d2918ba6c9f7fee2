// SPDX-License-Identifier: Apache-2.0
// What all events so far amount to. EventStore is this and a journal.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "etalage/serving/event_store.hpp"
#include "serving/events/event_codec.hpp"
#include "serving/events/growing_ids.hpp"
#include "serving/events/live_counters.hpp"
#include "serving/rules/live_offers.hpp"

namespace etalage::serving {

/// An event whose type and time are settled.
struct SettledEvent {
  KeyView user;
  KeyView item;
  std::uint16_t type;
  std::int64_t time_ms;
  float value;
  bool check_duplicate;
  std::int64_t arrival_ms;  ///< when it was told, for the idle limit
  bool replayed = false;    ///< it was accepted before: limits do not refuse it
};

/// What a type of event means to counters. Types are never changed: one that is given another meaning is another type, so
/// that what was counted under the old one is taken back as it was counted.
struct TypeMeaning {
  std::string name;
  float trending = 0;
  bool purchase = false;
  bool returns = false;
  [[nodiscard]] bool operator==(const TypeMeaning&) const noexcept = default;

  [[nodiscard]] bool buys(float value) const noexcept { return serving::buys(*this, value); }
  [[nodiscard]] bool gives_back(float value) const noexcept { return serving::gives_back(*this, value); }
  /// What the event adds to the product's trending counter: giving back is no demand.
  [[nodiscard]] float demand(float value) const noexcept { return purchase && value < 0 ? 0 : trending; }
};

void put_meaning(ByteWriter& w, const TypeMeaning& type);
[[nodiscard]] TypeMeaning get_meaning(ByteReader& r);  ///< FormatError for what no option could have said
void put_event(ByteWriter& w, const SettledEvent& event, const TypeMeaning& type);

class LiveState {
 public:
  /// Called under the user's lock, before anything changes; returns the sequence number. May throw: nothing has changed
  /// then, and nothing of the event, the merge or the erasure is left.
  using Number = std::function<std::uint64_t()>;
  /// The same for a shopper whom a limit removes.
  using NumberForgotten = std::function<std::uint64_t(KeyView user)>;

  explicit LiveState(const EventStoreOptions& options);
  ~LiveState();

  struct Outcome {
    std::uint64_t sequence = 0;  ///< 0 for a duplicate
    bool late = false;
  };
  Outcome observe(const SettledEvent& event, const Number& number);
  std::uint64_t merge(KeyView from, KeyView to, const Number& number);  ///< 0 when there is nothing to merge
  std::uint64_t erase(KeyView user, std::int64_t time_ms, const Number& number);
  /// What an event's arrival makes due: a few visitors who were idle too long, a few shoppers beyond the limits. Returns
  /// how many were removed.
  std::size_t enforce_limits(KeyView user, std::int64_t now_ms, const NumberForgotten& number);
  /// All of those beyond the limits of number and bytes.
  std::size_t enforce_caps(std::size_t at_most, const NumberForgotten& number);

  /// A record of the journal. FormatError for one that this library does not write.
  void replay(std::uint64_t sequence, std::span<const std::byte> payload);
  /// What save() put; finish_loading() after the last record.
  void load(std::span<const std::byte> record);
  void finish_loading();
  /// Each user and item as it stands when it is its turn; what comes in meanwhile may or may not be in.
  /// With `compact`, which nobody else may change this during, without the keys of items that have left no trace.
  void save(const std::function<void(std::span<const std::byte>)>& put, bool compact = false) const;

  bool read_user(KeyView user, std::int64_t now_ms, UserView& out) const;
  /// As EventStore has it.
  bool read_user_then(KeyView user, std::uint32_t events, std::uint64_t mark, std::int64_t time_ms, UserView& out) const;
  [[nodiscard]] std::int64_t erased_ms(KeyView user) const;
  /// Index of a type of the options by its name; -1 for an unknown one.
  [[nodiscard]] int type_of(std::string_view name) const noexcept;
  [[nodiscard]] const TypeMeaning& meaning(std::uint16_t type) const noexcept { return types_[type]; }
  [[nodiscard]] std::int64_t num_shoppers() const noexcept { return num_shoppers_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t shopper_bytes() const noexcept { return shopper_bytes_.load(std::memory_order_relaxed); }

  GrowingIds users;
  GrowingIds items;
  LiveOffers offers;
  TrendingCounters trending;
  CoPurchases together;

 private:
  struct Past {
    std::int64_t time_ms;
    std::int32_t item;
    float value;
    std::uint16_t type;
    std::uint32_t tag;  // of the pairs that this purchase was counted in, 0 for none
  };
  /// A pair that a kept purchase was counted in, for taking exactly that back.
  struct Pair {
    std::uint32_t tag;
    std::int32_t item;
    std::int32_t partner;
  };
  struct User {
    std::int32_t index = -1;   // -1: nobody's
    bool customer = false;
    bool linked = false;
    bool whole = true;         // nothing has fallen out of the history yet
    std::uint32_t next_tag = 1;
    std::uint64_t version = 0;
    std::int64_t last_ms = 0;  // when the newest event arrived
    std::int64_t bytes = 0;
    User* older = nullptr;  // in the same cache line as the above: what neighbours in the order of idleness touch
    User* newer = nullptr;
    std::vector<Past> history;
    std::vector<UserView::Seen> seen;
    std::vector<Pair> pairs;
    std::vector<EarlierTotals> earlier;  // one, or none while nothing has fallen out: most shoppers have none
  };
  /// Shoppers of a shard by the version, which is the order of their newest events.
  struct Line {
    User* oldest = nullptr;
    User* newest = nullptr;
  };
  enum : std::size_t { kVisitors = 0, kCustomers = 1, kLines = 2 };
  /// A shopper belongs to the shard of their key's hash: who holds its lock holds the key, the index and the record.
  struct Shard {
    mutable std::mutex mutex;
    std::array<Line, kLines> lines;  // everybody is in one of them but while being changed
  };
  static constexpr std::size_t kUserShards = 256;
  /// Records by the index of the user, in pages of pages that stay where they are.
  static constexpr std::size_t kPage = 1024;
  struct Page {
    std::array<User, kPage> users;
  };
  struct Book {
    std::array<std::atomic<Page*>, kPage> pages{};
    ~Book() {
      for (auto& page : pages) delete page.load(std::memory_order_relaxed);
    }
  };
  /// Everything of a shopper but the session.
  void view(const User& user, UserView& out) const;
  void find_session(std::int64_t now_ms, UserView& out) const;
  /// Null for an index without a page.
  [[nodiscard]] User* record_at(std::int32_t index) const noexcept;
  User& make_record(std::int32_t index);

  [[nodiscard]] static std::size_t shard_number(KeyView user) noexcept;
  /// Under the shard of the key; null for a stranger.
  [[nodiscard]] User* find_user(KeyView key) const noexcept;
  User& new_user(KeyView key);
  void remove_user(std::size_t shard, User& user);
  void link(std::size_t shard, User& user);
  void unlink(std::size_t shard, User& user);
  void note_oldest(std::size_t shard, std::size_t line) noexcept;
  /// Counts the bytes anew after the user has changed; `key` is theirs.
  void weigh(User& user, KeyView key);
  void forget(std::size_t shard, User& user, const NumberForgotten& number);
  [[nodiscard]] bool beyond_caps() const noexcept;
  [[nodiscard]] bool becomes_customer(KeyView key, bool bought_or_named) const noexcept;

  /// Type of a replayed record, appended if it is none of the options'.
  std::uint16_t replayed_type(TypeMeaning meaning);
  UserView::Seen& seen_of(User& user, std::int32_t item, std::int64_t time_ms) const;
  /// After the event at this place of the history came in.
  void note_seen(User& user, std::size_t place) const;
  /// Purchases of an item that are older than the kept history, less what was returned, as far as that can be told.
  [[nodiscard]] std::int32_t purchases_before(const User& user, const UserView::Seen& seen, const Past* except) const;
  /// Counts purchases less returns by the time of the events, however they came in: a return takes an earlier purchase back.
  void recount(const User& user, UserView::Seen& seen, std::int32_t before) const;
  void keep_newest(User& user) const;
  [[nodiscard]] std::int64_t idle_ms() const noexcept { return std::int64_t{options_.session_idle_minutes} * 60'000; }
  /// The other items that were bought within the window around a purchase; none when this one was too.
  void partners_of(std::span<const Past> history, std::int32_t item, std::int64_t time_ms, std::vector<std::int32_t>& out) const;
  void take_back(const User& user);
  void mark_erased(std::uint64_t hash, std::int64_t time_ms);
  [[nodiscard]] std::vector<bool> traced_items() const;
  void replay_record(std::uint64_t sequence, std::span<const std::byte> payload);
  void load_record(std::span<const std::byte> record);
  void load_begin(ByteReader& r);
  void load_items(ByteReader& r);
  void load_counters(ByteReader& r);
  void load_shopper(ByteReader& r);
  void load_earlier(ByteReader& r);
  [[nodiscard]] std::int32_t checked_item(std::int32_t item) const;

  const EventStoreOptions options_;
  std::vector<TypeMeaning> types_;        // the options' first, then others that the journal has
  std::vector<std::uint16_t> shown_as_;   // type -> the option of the same name, or itself
  std::vector<Shard> shards_;
  std::array<std::atomic<Book*>, kPage * 2> books_{};
  std::mutex books_mutex_;  // of what is added to them
  std::array<std::array<std::atomic<std::uint64_t>, kUserShards>, kLines> oldest_;  // version; UINT64_MAX for nobody
  std::array<std::atomic<std::int64_t>, kUserShards> idle_since_;                   // of the oldest visitor; INT64_MAX for nobody
  std::atomic<std::int64_t> num_shoppers_{0};
  std::atomic<std::int64_t> shopper_bytes_{0};
  mutable std::shared_mutex erased_mutex_;
  std::unordered_map<std::uint64_t, std::int64_t> erased_;        // hash of the key -> when
  std::deque<std::pair<std::uint64_t, std::int64_t>> erased_order_;  // as marked; a later mark of the same key is in erased_ alone
  std::int64_t erased_before_ms_ = 0;                             // marks up to here were dropped and stand for everybody
  std::atomic<bool> any_erased_{false};
  std::atomic<std::int64_t> newest_ms_{0};
  double saved_half_life_ms_ = 0;           // while loading
  std::vector<std::uint16_t> saved_types_;  // while loading: the file's types -> ours
};

}  // namespace etalage::serving
