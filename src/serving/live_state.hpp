// SPDX-License-Identifier: Apache-2.0
// What all events so far amount to. EventStore is this and a journal.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "etalage/serving/event_store.hpp"
#include "serving/event_codec.hpp"
#include "serving/growing_ids.hpp"
#include "serving/live_counters.hpp"

namespace etalage::serving {

/// An event whose type and time are settled.
struct SettledEvent {
  KeyView user;
  KeyView item;
  std::uint16_t type;
  std::int64_t time_ms;
  float value;
  bool check_duplicate;
};

class LiveState {
 public:
  /// Called under the user's lock, before anything changes; returns the sequence number. May throw.
  using Number = std::function<std::uint64_t()>;

  explicit LiveState(const EventStoreOptions& options);

  struct Outcome {
    std::uint64_t sequence = 0;  ///< 0 for a duplicate
    bool late = false;
  };
  Outcome observe(const SettledEvent& event, const Number& number);
  std::uint64_t merge(KeyView from, KeyView to, const Number& number);  ///< 0 when there is nothing to merge
  std::uint64_t erase(KeyView user, std::int64_t time_ms, const Number& number);

  /// A record of the journal. FormatError for one that none of this library's writes.
  void replay(std::uint64_t sequence, std::span<const std::byte> payload);
  /// What save() put; finish_loading() after the last record.
  void load(std::span<const std::byte> record);
  void finish_loading();
  /// Each user and item as it stands when it is its turn; what comes in meanwhile may or may not be in.
  void save(const std::function<void(std::span<const std::byte>)>& put) const;

  bool read_user(KeyView user, std::int64_t now_ms, UserView& out) const;
  [[nodiscard]] std::int64_t erased_ms(KeyView user) const;
  /// Index of a type by its name; -1 for an unknown one.
  [[nodiscard]] int type_of(std::string_view name) const noexcept;
  [[nodiscard]] const std::string& type_name(std::uint16_t type) const noexcept { return type_names_[type]; }

  GrowingIds users;
  GrowingIds items;
  TrendingCounters trending;
  CoPurchases together;

 private:
  struct Past {
    std::int64_t time_ms;
    std::int32_t item;
    float value;
    std::uint16_t type;
  };
  struct User {
    std::uint64_t version = 0;
    std::vector<Past> history;
    std::vector<UserView::Seen> seen;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::int32_t, User> users;
  };
  static constexpr std::size_t kUserShards = 256;

  [[nodiscard]] Shard& shard_of(std::int32_t user) noexcept { return shards_[static_cast<std::size_t>(user) % kUserShards]; }
  [[nodiscard]] const Shard& shard_of(std::int32_t user) const noexcept { return shards_[static_cast<std::size_t>(user) % kUserShards]; }
  [[nodiscard]] bool is_purchase(std::uint16_t type) const noexcept { return type < options_.event_types.size() && options_.event_types[type].purchase; }
  [[nodiscard]] bool is_return(std::uint16_t type) const noexcept { return type < options_.event_types.size() && options_.event_types[type].returns; }
  [[nodiscard]] float trending_of(std::uint16_t type) const noexcept { return type < options_.event_types.size() ? options_.event_types[type].trending : 0; }
  /// Type of a replayed record, which may be one that the options do not name: it is kept and means nothing.
  std::uint16_t replayed_type(std::string_view name);
  void note_seen(User& user, std::int32_t item, std::uint16_t type, std::int64_t time_ms) const;
  void keep_newest(User& user) const;
  /// The other items that were bought within the window around a purchase; none when this one was too.
  void partners_of(std::span<const Past> history, std::int32_t item, std::int64_t time_ms, std::vector<std::int32_t>& out) const;
  void take_back(const User& user);

  const EventStoreOptions options_;
  std::vector<std::string> type_names_;
  std::vector<Shard> shards_;
  std::atomic<std::uint64_t> removals_{0};  // of user keys: an index found before may be gone
  mutable std::shared_mutex erased_mutex_;
  std::unordered_map<std::uint64_t, std::int64_t> erased_;  // hash of the key -> when
  std::atomic<std::size_t> num_erased_{0};
  std::atomic<std::int64_t> newest_ms_{0};
  double saved_half_life_ms_ = 0;           // while loading
  std::vector<std::uint16_t> saved_types_;  // while loading: the file's types -> ours
};

}  // namespace etalage::serving
