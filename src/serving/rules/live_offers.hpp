// SPDX-License-Identifier: Apache-2.0
// What is said of products between two publications: available or not, prices, attributes; everywhere or at one place.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "serving/events/event_codec.hpp"
#include "serving/rules/sparse_bits.hpp"

namespace etalage::serving {

/// Items are the store's indices. A place is a store, a warehouse or a region by the host's name; 0 is everywhere. What a
/// place says goes before what is said everywhere, and that before the catalogue.
///
/// Memory   availability: about two bytes for each product that a place differs in, at most an eighth of a byte for each
///          product and of two sets; about 40 bytes for a price, 200 for an attribute
/// Threads  every member may be called concurrently; at() and what it returns only within a Reading
class LiveOffers {
 public:
  enum class What : std::uint8_t { kAvailable = 1, kPrice = 2, kAttribute = 4 };  // bits
  struct Change {
    std::int32_t item;
    std::int32_t place;
    What what;
  };
  using Attributes = std::vector<std::pair<std::string, std::vector<std::string>>>;  // name, values
  struct Place {
    std::string name;
    SparseBits on, off;  // said to be available, said not to be
    std::unordered_map<std::int32_t, float> prices;
    std::unordered_map<std::int32_t, Attributes> attributes;
    [[nodiscard]] std::optional<bool> available(std::int32_t item) const noexcept {
      if (off.contains(item)) return false;
      if (on.contains(item)) return true;
      return {};
    }
    /// Null where nothing is said.
    [[nodiscard]] const std::vector<std::string>* values(std::int32_t item, std::string_view attribute) const;
  };
  using Number = std::function<std::uint64_t()>;  ///< called before anything changes, one at a time; may throw

  LiveOffers();

  /// Nothing takes back what was said, so that the catalogue holds again.
  std::uint64_t set_available(std::int32_t item, std::string_view place, std::optional<bool> available, const Number& number);
  std::uint64_t set_price(std::int32_t item, std::string_view place, std::optional<float> price, const Number& number);
  std::uint64_t set_attribute(std::int32_t item, std::string_view place, std::string_view name, std::optional<std::vector<std::string>> values,
                              const Number& number);

  /// Grows with every change.
  [[nodiscard]] std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }
  /// The kinds of all that was ever said, as bits.
  [[nodiscard]] std::uint8_t kinds() const noexcept { return kinds_.load(std::memory_order_acquire); }
  /// Appends the changes behind `version` and raises it to what is there now; false, with nothing appended, when they are no longer kept.
  bool changes_since(std::uint64_t& version, std::vector<Change>& out) const;

  /// While one is held nothing changes.
  class Reading {
   public:
    explicit Reading(const LiveOffers& offers) : lock_(offers.mutex_) {}

   private:
    std::shared_lock<std::shared_mutex> lock_;
  };
  /// Index of a place, -1 for one that nothing was ever said of; "" is 0.
  [[nodiscard]] std::int32_t find_place(std::string_view name) const noexcept;
  [[nodiscard]] const Place& at(std::int32_t place) const noexcept { return *places_[static_cast<std::size_t>(place)]; }

  struct Said {
    std::optional<bool> available;
    std::optional<float> price;
  };
  /// What holds at a place: its own word, else that of everywhere.
  [[nodiscard]] Said said(std::int32_t item, std::string_view place) const;
  /// Of availability alone, over all places.
  [[nodiscard]] std::size_t availability_bytes() const;

  /// The payload behind LogKind::kOffer of a record of the journal.
  void replay(ByteReader& reader, const std::function<std::int32_t(KeyView)>& intern, const Number& number);
  /// Records for a compaction. number_of gives an item's number there, -1 for one that is left to the records behind it.
  void save(const std::function<std::int32_t(std::int32_t)>& number_of, const std::function<void(std::span<const std::byte>)>& put) const;
  /// The payload behind StateKind::kOffers.
  void load(ByteReader& reader, const std::function<std::int32_t(std::int32_t)>& checked_item);

  static void write_available(ByteWriter& w, KeyView item, std::string_view place, std::optional<bool> available);
  static void write_price(ByteWriter& w, KeyView item, std::string_view place, std::optional<float> price);
  static void write_attribute(ByteWriter& w, KeyView item, std::string_view place, std::string_view name,
                              const std::optional<std::vector<std::string>>& values);

  static constexpr std::size_t kMaxText = 1024;   // bytes of a place's name, an attribute's name or a value
  static constexpr std::size_t kMaxValues = 1024;  // of one attribute

 private:
  static constexpr std::size_t kKept = std::size_t{1} << 16;  // changes that readers may be behind
  std::int32_t place_of(std::string_view name);
  void note(std::int32_t item, std::int32_t place, What what);

  std::mutex writing_;  // taken first: the journal's order is ours, and no reader waits for its disk
  mutable std::shared_mutex mutex_;
  std::vector<std::unique_ptr<Place>> places_;
  std::unordered_map<std::string_view, std::int32_t> by_name_;  // into the places' own names
  std::vector<Change> changes_;  // a ring
  std::atomic<std::uint64_t> version_{0};
  std::atomic<std::uint8_t> kinds_{0};
};

}  // namespace etalage::serving
