// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/serving/bound_key.hpp"
#include "etalage/serving/earlier_totals.hpp"
#include "etalage/serving/journal.hpp"
#include "etalage/serving/key.hpp"

namespace etalage {

class EventLog;

namespace serving {
class LiveOffers;
}

/// Something a shopper did, as it is told to the engine. Temporaries are kept, see bound_key.hpp.
struct Event {
  BoundKey user;  ///< who
  BoundKey item;  ///< with what
  BoundText type = "view";  ///< one of EventStoreOptions::event_types
  std::optional<std::int64_t> time_ms = {};  ///< UTC; by default now
  float value = 1;                           ///< quantity, finite
};

/// What a type of event means.
struct EventType {
  std::string name;  ///< as it is told, not empty
  float weight = 1;       ///< in the shopper's taste, times the event's value; negative is a dislike
  float trending = 1;     ///< added to the item's trending counter; >= 0
  bool purchase = false;  ///< counts for co-purchase, buying again, and "not again after a purchase"; with a value below 0 it is a return
  bool returns = false;   ///< takes the last purchase of the item back
};

/// Settings of EventStore.
struct ETALAGE_EXPORT EventStoreOptions {
  std::vector<EventType> event_types = {{"view", 1, 1, false, false},
                                        {"cart", 3, 3, false, false},
                                        {"purchase", 5, 5, true, false},
                                        {"return", -5, 0, false, true}};  ///< [1, 256], names unique
  int session_idle_minutes = 30;         ///< a pause that ends a session; >= 1
  int history_limit = 256;               ///< newest events kept for each user, sums of what was before; in [1, 65536]
  int seen_limit = 4096;                 ///< items remembered as seen for each user, the longest unseen dropped first; >= 1
  double trending_half_life_hours = 24;  ///< a trending counter halves in this time; > 0
  int trending_size = 1024;              ///< leading items kept in order; >= 1
  int co_purchase_hours = 24;            ///< purchases of one user within this time belong together; >= 1
  int co_purchase_limit = 64;            ///< partners kept for an item; in [1, 4096]
  int max_future_seconds = 300;          ///< an event later than this from now is refused; >= 0
  int visitor_idle_days = 365;           ///< a visitor of whom nothing came for so long is forgotten; 0 never
  std::int64_t max_shoppers = 10'000'000;  ///< beyond it the one idle longest is forgotten, visitors first; 0 no limit
  std::int64_t max_shopper_bytes = std::int64_t{8} << 30;  ///< likewise by the memory that shoppers take, about; 0 no limit
  std::int64_t max_items = 10'000'000;   ///< an item key beyond it is refused; 0 no limit
  std::size_t max_erased = 1'000'000;    ///< erased keys remembered one by one, see EventStore::erased_ms; 0 no limit
  std::string visitor_prefix = {};       ///< if given, visitors are those whose string key begins with it
  std::uint64_t compact_bytes = std::uint64_t{256} << 20;  ///< of events on disk that start a compaction; 0 never
  JournalOptions journal = {};  ///< of the folder
  std::function<std::int64_t()> now_ms = {};  ///< the clock; null means the system's
  void validate() const;                      ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "session_idle_minutes", o.session_idle_minutes, OptionRule(">= 1"), "history_limit", o.history_limit,
                  OptionRule("in [1, 65536]"), "seen_limit", o.seen_limit, OptionRule(">= 1"), "trending_half_life_hours", o.trending_half_life_hours,
                  OptionRule("finite and >= 0.001"), "trending_size", o.trending_size, OptionRule(">= 1, at most 65536"), "co_purchase_hours",
                  o.co_purchase_hours, OptionRule(">= 1"), "co_purchase_limit", o.co_purchase_limit, OptionRule("in [1, 4096]"));
    visit_options(visit, "max_future_seconds", o.max_future_seconds, OptionRule(">= 0"), "visitor_idle_days", o.visitor_idle_days,
                  OptionRule(">= 0 (0 means never)"), "max_shoppers", o.max_shoppers, OptionRule(">= 0 (0 means no limit)"), "max_shopper_bytes",
                  o.max_shopper_bytes, OptionRule(">= 0 (0 means no limit)"), "max_items", o.max_items, OptionRule(">= 0 (0 means no limit)"),
                  "max_erased", o.max_erased, OptionRule(">= 0 (0 means no limit)"), "visitor_prefix", o.visitor_prefix, "compact_bytes",
                  o.compact_bytes, OptionRule(">= 0 (0 means never)"));
    JournalOptions::each(o.journal, visit);
  }
};

/// A user as they stand now, copied out; items are the store's indices. Reused between calls, so that reading allocates
/// nothing once warm.
struct ETALAGE_EXPORT UserView {
  /// An event of the user's.
  struct Past {
    std::int64_t time_ms;  ///< UTC
    std::int32_t item;  ///< the store's index
    float taste;         ///< weight of the type times value
    std::uint16_t type;  ///< index into event_types
    float value;  ///< as it was told
  };
  /// What the user did with one item.
  struct Seen {
    std::int32_t item;  ///< the store's index
    std::int32_t purchases;         ///< less what was returned
    std::int64_t last_ms;  ///< UTC milliseconds of the last event with it
    std::int64_t last_purchase_ms;  ///< 0 never
  };
  std::int32_t index = -1;            ///< -1 for a user without events
  std::uint64_t version = 0;          ///< changes with every event of the user, never the same again
  std::vector<Past> history;          ///< by time, oldest first
  std::vector<std::int32_t> session;  ///< items of the session that is going on, oldest first; empty after the idle time
  std::vector<Seen> seen;             ///< by item
  EarlierTotals earlier;              ///< what fell out of the history
  /// A number of the history's times and values: two histories of one shopper with the same number and length are the same one.
  [[nodiscard]] std::uint64_t mark() const noexcept;
};

/// Everything live, from one log: sessions, histories, seen items, trending, co-purchases.
///
/// Order      events of a user are kept by their time, however they come in; equal times by arrival
/// Refused    (std::invalid_argument, nothing is stored) an unknown type, a time before 1970 or beyond max_future_seconds,
///            a value that is not finite, a key of another kind than those before or beyond 1024 bytes, an item beyond
///            max_items
/// Types      each event is written with what its type means. Under other event_types the past keeps the meaning and the
///            counts that it had; the new meaning holds for what comes, `weight` for everything. A type that is not among
///            event_types any more takes no events and weighs nothing. A journal of before types were written is refused
///            (std::invalid_argument) when event_types lacks one of which it has events
/// Limits     who bought something or was merged into is a customer, everybody else a visitor. visitor_idle_days and
///            max_shoppers remove a few with each event, the one idle longest first, visitors before customers. A removal is
///            an event of its own in the journal: what is opened again is what was there, under whatever limits. Counters
///            keep what the removed did, without their names
/// Returns    an event of a type that returns, and one of a purchase's type whose value is below 0: it takes the last purchase
///            of the product back, is no part of a session, raises no counter and is bought together with nothing
/// Duplicates an event with a given time that equals one in the user's kept history in item, type, time and value is
///            taken once: the store answers with a sequence that covers the first
/// Durable    as Journal says; without a folder everything is in memory alone and nothing is ever durable
/// Reading    a user's events are seen by whoever reads after observe() returned, at once and before they are durable
/// Full disk  observe, merge_users and erase_user throw JournalWriteError: pending() is 0 when nothing was taken, else the
///            number of the event, which is taken and must not be sent again
/// Threads    every member may be called concurrently; users are locked in 256 groups, items in 32. fork() waits until no
///            thread is inside a call; a child reads, and may observe when the store has no folder
/// Cost       observe about a microsecond, erase_user in proportion to the user's history; 24 bytes a kept event, 24 a seen
///            item, about 250 a user, 60 an item, 60 an erased key
/// Errors     also those of Journal
class ETALAGE_EXPORT EventStore {
 public:
  explicit EventStore(EventStoreOptions options = {});  ///< in memory alone
  /// Opens the folder, makes it if needed, and recovers what it holds.
  EventStore(const std::filesystem::path& directory, EventStoreOptions options = {});
  ~EventStore();
  EventStore(const EventStore&) = delete;
  EventStore& operator=(const EventStore&) = delete;

  /// Returns the event's sequence number. With Durability::kEveryEvent it is durable then.
  std::uint64_t observe(const Event& event);
  /// Observes every row of a log, in its order: its keys (or indices, where it keeps none), times, values and types; `type`
  /// is meant where the log has no types. Returns the last sequence number. Throws what observe() throws for a row, and the
  /// rows before are in: a log that was cut short may be told again, rows with times are then taken once.
  std::uint64_t observe_log(const EventLog& log, std::string_view type = "purchase");
  /// An anonymous visitor turns out to be `to`: histories become one, `from` is gone. A from without events is harmless.
  std::uint64_t merge_users(KeyView from, KeyView to);
  /// Takes the user out of everything: history, seen items, and of the trending and co-purchase counts exactly what the
  /// events of the kept history were counted for. What history_limit or a limit on shoppers removed before stays in the
  /// sums, without a name. The events leave the disk with the next compaction; compact() makes it one now.
  std::uint64_t erase_user(KeyView user);
  /// When the user was last erased, 0 for never: models fitted before then must not be asked about them. Beyond max_erased
  /// the oldest marks are dropped, and their newest moment stands for everybody.
  [[nodiscard]] std::int64_t erased_ms(KeyView user) const;

  /// What the shop says of a product between two publications: available or not, its price, an attribute. At a place (a
  /// store, a warehouse, a region, by the host's own name), or everywhere when it is empty; what a place says goes before
  /// what is said everywhere, and that before the catalogue. Nothing takes back what was said there.
  /// Kept     in the journal as events are, by the product's key: products of no catalogue are kept too
  /// Errors   std::invalid_argument: a price that is not finite or below 0, a name or value beyond 1024 bytes, an attribute's
  ///          name that is empty or has a colon, an empty value, a key of another kind than those before; those of Journal
  std::uint64_t set_available(KeyView item, std::optional<bool> available, std::string_view place = {});
  std::uint64_t set_price(KeyView item, std::optional<float> price, std::string_view place = {});
  /// The product's tags "name:..." become "name:value" for these values; an empty list leaves it without one.
  std::uint64_t set_attribute(KeyView item, std::string_view name, std::optional<std::vector<std::string>> values, std::string_view place = {});
  /// What the shop said of a product; nothing where it said nothing.
  struct Offer {
    std::optional<bool> available;  ///< none: nothing was said
    std::optional<float> price;  ///< none: nothing was said
  };
  /// What was said that holds at a place; the catalogue has no part in it.
  [[nodiscard]] Offer offer(KeyView item, std::string_view place = {}) const;
  /// What the availability of all products at all places takes in memory.
  [[nodiscard]] std::size_t availability_bytes() const;
  /// For the library's own use.
  [[nodiscard]] const serving::LiveOffers& offers() const noexcept;

  /// The last sequence that survives a power loss; 0 without a folder.
  [[nodiscard]] std::uint64_t durable_through() const noexcept;
  [[nodiscard]] std::uint64_t last_sequence() const noexcept;
  /// Makes everything observed so far durable.
  void sync();
  /// Replaces the events on disk by what they amount to. Happens by itself beyond compact_bytes, on a thread of its own.
  void compact();
  /// What opening found; null without a folder.
  [[nodiscard]] const JournalRecovery* recovery() const noexcept;
  /// Why records are held back or the last compaction failed; empty when all is well.
  [[nodiscard]] std::string failure() const;

  [[nodiscard]] std::int64_t now_ms() const;  ///< of options().now_ms, or the system
  [[nodiscard]] const EventStoreOptions& options() const noexcept;

  /// False, and an empty view, for a user without events.
  bool read_user(KeyView user, UserView& out) const;
  /// The shopper as they stood when their history had this many events and this mark, at that moment; version is today's. False, and
  /// an empty view, when that cannot be told any more: events have fallen out of the history since, came in late or from a visitor who
  /// turned out to be them, or the shopper is gone. An unknown shopper of then (0 events) is index -1.
  bool read_user_then(KeyView user, std::uint32_t events, std::uint64_t mark, std::int64_t time_ms, UserView& out) const;
  /// Up to out.size() leading items with their counters as of now, best first, ties by lower index; returns how many.
  std::size_t trending(std::span<std::pair<std::int32_t, float>> out) const;
  /// Up to out.size() items most often bought together with this one, with counts; returns how many.
  std::size_t bought_together(std::int32_t item, std::span<std::pair<std::int32_t, float>> out) const;

  [[nodiscard]] std::int32_t num_users() const noexcept;  ///< indices given, those of erased users included
  [[nodiscard]] std::int32_t num_items() const noexcept;
  [[nodiscard]] std::int32_t find_item(KeyView item) const noexcept;  ///< -1 for an item without events
  /// Kinds that the first keys must have, as those of a published snapshot do: IdMap::Kind as a number, -1 for either.
  void expect_kinds(int users, int items) noexcept;
  /// The index of an item, given now if it has none; for hosts that keep arrays by item.
  std::int32_t intern_item(KeyView item);
  /// False for an index that was never given.
  bool item_key(std::int32_t item, Key& out) const;
  bool user_key(std::int32_t user, Key& out) const;

  /// All that is live, as one array; events that come in meanwhile may or may not be in.
  void save_state(StateWriter& writer) const;
  /// Into a store without events and without a folder; std::logic_error otherwise.
  void load_state(const StateReader& reader);

  /// What the store did.
  struct Counts {
    std::uint64_t observed = 0;  ///< events taken
    std::uint64_t duplicates = 0;  ///< told again, taken once
    std::uint64_t late = 0;  ///< older than what was known of the user
    std::uint64_t merges = 0;  ///< merge_users() that found somebody
    std::uint64_t erasures = 0;  ///< erase_user()
    std::uint64_t compactions = 0;  ///< that ended well
    std::uint64_t forgotten = 0;      ///< shoppers whom a limit removed
    std::int64_t shoppers = 0;        ///< kept now
    std::int64_t shopper_bytes = 0;   ///< of memory that they take, about
  };
  [[nodiscard]] Counts counts() const noexcept;  ///< since this object was made

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace etalage
