// SPDX-License-Identifier: Apache-2.0
// The payloads of journal records: small values one after the other, unaligned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/serving/key.hpp"

namespace etalage::serving {

/// What an event of a type is: a purchase whose value is below 0 is a return of as much, as in UserProfile.
template <class Type>
[[nodiscard]] bool buys(const Type& type, float value) noexcept {
  return type.purchase && value >= 0;
}
template <class Type>
[[nodiscard]] bool gives_back(const Type& type, float value) noexcept {
  return type.purchase ? value < 0 : type.returns;
}

// New kinds of records: take the next free number of your block below, write the record with ByteWriter where the change
// is made (LiveState's Number is called before anything changes), and read it in LiveState::replay() or load(), both in
// live_state_records.cpp. A number once used keeps its meaning for ever; a record that needs other fields is a new kind.
//
// Unknown kinds are refused (FormatError, "upgrade etalage to read it"), never skipped: who skipped one would lose it for
// good with the next compaction.

/// The first byte of a record of the log. 1 to 15: events and shoppers. 16 to 31: products (stock, price, attributes).
enum class LogKind : std::uint8_t {
  kMerge = 2,       ///< from, to
  kErase = 3,       ///< time, user
  kTypedEvent = 4,  ///< arrival, time, value, meaning of the type, its name, user, item
  kForget = 5,      ///< key of a shopper whom a limit removed; what they did stays in the sums
  kOffer = 16       ///< what is said of a product: stock, a price, an attribute (LiveOffers)
};

/// The first byte of a record of a compaction. 1 to 15: events and shoppers. 16 to 31: products.
enum class StateKind : std::uint8_t {
  kBegin = 1,       ///< version, half-life, newest event, types with their meaning
  kItems = 2,       ///< keys, in the order of the numbers that the records behind it use
  kErased = 5,      ///< hash of a key, time
  kShopper = 6,     ///< key, version, last activity, flags, history with the pairs it counted, seen
  kCounters = 7,    ///< number, counter, partners
  kEarlier = 8,     ///< key of a shopper before it, what fell out of the history
  kOffers = 16      ///< what is said of products at one place
};

class ByteWriter {
 public:
  void clear() noexcept { size_ = 0; }
  template <class T>
  void put(T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    append(&value, sizeof value);
  }
  void put_text(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    append(text.data(), text.size());
  }
  void put_bytes(std::span<const std::byte> bytes) { append(bytes.data(), bytes.size()); }
  void put_key(KeyView key) {
    put(static_cast<std::uint8_t>(key.index()));
    if (const auto* text = std::get_if<std::string_view>(&key)) put_text(*text);
    else put(std::get<std::int64_t>(key));
  }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return std::span(room_).first(size_); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  void append(const void* from, std::size_t bytes) {
    if (room_.size() - size_ < bytes) room_.resize(std::max(2 * room_.size(), size_ + bytes + 128));
    if (bytes != 0) std::memcpy(room_.data() + size_, from, bytes);
    size_ += bytes;
  }
  std::vector<std::byte> room_;
  std::size_t size_ = 0;
};

inline constexpr std::int64_t kLatestMs = std::int64_t{1} << 60;

/// FormatError when a record ends early or holds what none can.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  template <class T>
  T get() {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes_.size() < sizeof(T)) fail("found its end, expected more");
    T value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_ = bytes_.subspan(sizeof value);
    return value;
  }
  std::string_view get_text() {
    const auto n = get<std::uint32_t>();
    if (bytes_.size() < n) fail("found its end, expected more");
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()), n);
    bytes_ = bytes_.subspan(n);
    return text;
  }
  KeyView get_key() {
    const auto kind = get<std::uint8_t>();
    if (kind > 1) fail("found a key of kind " + std::to_string(kind) + ", expected 0 or 1");
    if (kind == 1) return get_text();
    return get<std::int64_t>();
  }
  /// A moment: not before 1970, and far enough from the last one that can be told for windows to be added to it.
  std::int64_t get_time() {
    const auto t = get<std::int64_t>();
    if (t < 0 || t > kLatestMs) fail("found the time " + std::to_string(t) + ", expected milliseconds in [0, 2^60]");
    return t;
  }
  float get_finite() {
    const auto x = get<float>();
    if (!(x - x == 0)) fail("found a number that is not finite");
    return x;
  }
  /// A number of things of at least `bytes_each` that follow.
  std::uint32_t get_count(std::size_t bytes_each) {
    const auto n = get<std::uint32_t>();
    if (n > bytes_.size() / bytes_each) fail("found a count of " + std::to_string(n) + ", expected no more than there are");
    return n;
  }
  [[nodiscard]] bool done() const noexcept { return bytes_.empty(); }
  [[noreturn]] static void fail(const std::string& what) { throw FormatError("a journal record: " + what); }

 private:
  std::span<const std::byte> bytes_;
};

}  // namespace etalage::serving
