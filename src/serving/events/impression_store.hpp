// SPDX-License-Identifier: Apache-2.0
// What the impression log holds, in memory: encoded answers, oldest first, and what they caused. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "etalage/serving/impressions.hpp"
#include "serving/events/impression_codec.hpp"

namespace etalage::serving {

/// Bytes that are written once, in order, and freed from the oldest on; pieces are used again.
class ByteQueue {
 public:
  std::span<std::byte> push(std::span<const std::byte> bytes);
  /// The oldest `bytes` that were pushed are not read any more.
  void pop(std::size_t bytes);

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 20;
  struct Piece {
    std::unique_ptr<std::byte[]> room;
    std::size_t size = 0;
    std::size_t used = 0;
    std::size_t gone = 0;
  };
  std::vector<Piece> pieces_;  // few: one a MiB
  std::unique_ptr<std::byte[]> spare_;
};

class ImpressionStore {
 public:
  explicit ImpressionStore(const ImpressionOptions& options) : options_(options) {}

  struct Reaction {
    std::uint64_t request = 0;   // 0: taken away with its shopper
    std::uint32_t place = 0;
    std::uint16_t event = 0;
    bool by_request = false;
    bool purchase = false;
    bool returns = false;
    float value = 1;
    std::int64_t time_ms = 0;
    std::int64_t before = -1;    // of the same request; index of all reactions ever
  };

  /// A record of the journal; `number` is that of the record. FormatError for what none of ours says.
  void apply(std::uint64_t number, std::span<const std::byte> record);
  void show(std::uint64_t request, std::span<const std::byte> payload);
  /// False where it was told already.
  bool react(Reaction reaction, std::string_view event);
  void merge(KeyView from, KeyView to);
  void erase(KeyView user);
  /// Forgets what is too old or too much.
  void evict(std::int64_t now_ms);

  /// Place of a product in a request's answer; nothing where it is not in it or the request is not known.
  [[nodiscard]] std::optional<std::uint32_t> place_of(std::uint64_t request, KeyView item) const;
  [[nodiscard]] std::optional<std::int64_t> time_of(std::uint64_t request) const;
  /// The newest impression of the product to the shopper at or before the time and within the window; with `bought` only one that
  /// a purchase was credited to which no return took back.
  [[nodiscard]] std::optional<std::pair<std::uint64_t, std::uint32_t>> last_touch(KeyView user, KeyView item, std::int64_t time_ms, bool bought) const;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size() - first_ - erased_; }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] std::optional<Impression> find(std::uint64_t request) const;
  void each(const std::function<void(const Impression&)>& visit) const;
  [[nodiscard]] std::uint64_t newest() const noexcept { return entries_.empty() ? 0 : entries_.back().request; }
  [[nodiscard]] ShownCounts counts_of(KeyView item) const;
  void each_shown_to(KeyView user, std::int64_t from_ms, int most, const std::function<void(KeyView, bool)>& visit, std::uint64_t before) const;
  /// As records of a compaction.
  void save(const std::function<void(std::span<const std::byte>)>& put) const;

 private:
  struct Entry {
    std::uint64_t request = 0;
    std::int64_t time_ms = 0;
    std::uint64_t user = 0;           // hash, 0 for nobody
    std::uint64_t before = 0;         // the request before of the same shopper
    std::span<std::byte> payload;     // empty: erased
    std::size_t taken = 0;            // of the queue
    std::int64_t reactions = -1;      // the newest of them
  };
  [[nodiscard]] const Entry* entry_at(std::uint64_t request) const;  // an erased one too; null where it is forgotten
  [[nodiscard]] const Entry* entry_of(std::uint64_t request) const;  // null where nothing is left of it
  [[nodiscard]] Entry* entry_of(std::uint64_t request) { return const_cast<Entry*>(std::as_const(*this).entry_of(request)); }
  [[nodiscard]] const Reaction& reaction_at(std::int64_t index) const { return reactions_[static_cast<std::size_t>(index - first_reaction_)]; }
  /// Whether somebody did, up to then: purchases that came back by then are none.
  [[nodiscard]] bool reacted(const Entry& e, std::uint32_t place, std::int64_t until_ms = std::numeric_limits<std::int64_t>::max()) const;
  [[nodiscard]] Impression decoded(const Entry& e) const;
  void uncount(const Entry& e);
  void erase_entry(Entry& e);
  void tidy();
  std::uint16_t event_number(std::string_view event);

  ImpressionOptions options_;
  ByteQueue queue_;
  std::vector<Entry> entries_;
  std::size_t first_ = 0;
  std::size_t erased_ = 0;           // of entries_ from first_ on
  std::uint64_t bytes_ = 0;
  std::vector<Reaction> reactions_;
  std::int64_t first_reaction_ = 0;  // number of reactions_[0] among all ever
  std::vector<std::string> events_;
  std::unordered_map<std::uint64_t, std::uint64_t> newest_;  // shopper -> their newest request
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> visitors_;  // customer -> visitors that they were
  std::unordered_map<std::uint64_t, ShownCounts> counts_;    // by the product's hash
};

void put_reaction(ByteWriter& w, const ImpressionStore::Reaction& reaction, std::string_view event);

}  // namespace etalage::serving
