// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/id_map.hpp"

#include <bit>
#include <limits>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/hash.hpp"
#include "core/id_map_slots.hpp"
#include "detail/probing.hpp"
#include "etalage/error.hpp"

namespace etalage {
namespace {

constexpr std::size_t kMaxKeys = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());

std::int32_t checked_size(std::size_t n) {
  if (n > kMaxKeys)
    throw std::invalid_argument("keys has " + std::to_string(n) + " entries, must be at most " + std::to_string(kMaxKeys));
  return static_cast<std::int32_t>(n);
}

template <class Strings>
std::pair<Array<std::int64_t>, Array<char>> pack(const Strings& keys) {
  Array<std::int64_t> offsets(keys.size() + 1, uninitialized);
  std::int64_t* o = offsets.mutable_data();
  std::int64_t total = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    o[i] = total;
    total += static_cast<std::int64_t>(keys[i].size());
  }
  o[keys.size()] = total;
  Array<char> bytes(static_cast<std::size_t>(total), uninitialized);
  char* b = bytes.mutable_data();
  for (std::size_t i = 0; i < keys.size(); ++i)
    if (!keys[i].empty()) std::memcpy(b + o[i], keys[i].data(), keys[i].size());
  return {std::move(offsets), std::move(bytes)};
}

}  // namespace

IdMap::IdMap() : slots_(1) {}

IdMap IdMap::from_integers(Array<std::int64_t> keys) {
  IdMap map;
  map.kind_ = Kind::kInteger;
  map.size_ = checked_size(keys.size());
  map.keys_ = std::move(keys);
  map.build_slots();
  return map;
}

IdMap IdMap::from_strings(std::span<const std::string_view> keys) {
  checked_size(keys.size());
  auto [offsets, bytes] = pack(keys);
  return from_strings(std::move(offsets), std::move(bytes));
}

IdMap IdMap::from_strings(std::span<const std::string> keys) {
  checked_size(keys.size());
  auto [offsets, bytes] = pack(keys);
  return from_strings(std::move(offsets), std::move(bytes));
}

IdMap IdMap::from_strings(Array<std::int64_t> offsets, Array<char> bytes) {
  if (offsets.empty()) throw std::invalid_argument("offsets has 0 entries, must have one more than there are keys");
  IdMap map;
  map.kind_ = Kind::kString;
  map.size_ = checked_size(offsets.size() - 1);
  map.offsets_ = std::move(offsets);
  map.bytes_ = std::move(bytes);
  if (map.offsets_[0] != 0 || map.offsets_.back() != static_cast<std::int64_t>(map.bytes_.size()))
    throw std::invalid_argument("offsets must begin at 0 and end at the number of bytes");
  for (std::size_t i = 0; i + 1 < map.offsets_.size(); ++i)
    if (map.offsets_[i] > map.offsets_[i + 1])
      throw std::invalid_argument("offsets decreases at entry " + std::to_string(i + 1) + ", must never decrease");
  map.build_slots();
  return map;
}

void IdMap::build_slots() {
  const auto n = static_cast<std::size_t>(size_ - first_);
  slots_ = Array<std::uint32_t>(detail::slot_count(n));
  std::uint32_t* slots = slots_.mutable_data();
  std::vector<std::uint64_t> hashes(n);
  for (std::size_t i = 0; i < n; ++i) hashes[i] = kind_ == Kind::kInteger ? detail::hash_key(keys_[i]) : detail::hash_key(bytes_at(i));
  detail::fill_slots(hashes, slots, slots_.size() - 1, [&](std::size_t other, std::size_t i) {
    if (kind_ == Kind::kInteger ? keys_[other] == keys_[i] : bytes_at(other) == bytes_at(i))
      throw std::invalid_argument("keys holds '" + text_at(static_cast<std::int32_t>(i)) + "' at " + std::to_string(other) +
                                  " and at " + std::to_string(i) + ", must be unique");
  });
}

std::int32_t IdMap::find(std::int64_t key) const noexcept {
  if (kind_ != Kind::kInteger) return kUnknown;
  const std::size_t at = detail::probe(detail::hash_key(key), slots_.size(), [&](std::size_t s) { return slots_[s] == 0 || keys_[slots_[s] - 1] == key; });
  if (slots_[at] != 0) return first_ + static_cast<std::int32_t>(slots_[at] - 1);
  return base_ ? base_->find(key) : kUnknown;
}

std::int32_t IdMap::find(std::string_view key) const noexcept {
  if (kind_ != Kind::kString) return kUnknown;
  const std::size_t at = detail::probe(detail::hash_key(key), slots_.size(), [&](std::size_t s) { return slots_[s] == 0 || bytes_at(slots_[s] - 1) == key; });
  if (slots_[at] != 0) return first_ + static_cast<std::int32_t>(slots_[at] - 1);
  return base_ ? base_->find(key) : kUnknown;
}

namespace {
void check_at(std::int32_t index, std::int32_t size, bool right_kind, const char* wanted) {
  if (index < 0 || index >= size)
    throw std::out_of_range("index is " + std::to_string(index) + ", must be in [0, " + std::to_string(size) + ")");
  if (!right_kind) throw std::invalid_argument(std::string("keys of this map are not ") + wanted);
}
}  // namespace

std::int64_t IdMap::integer_at(std::int32_t index) const {
  check_at(index, size_, kind_ == Kind::kInteger, "integers");
  return index < first_ ? base_->integer_at(index) : keys_[static_cast<std::size_t>(index - first_)];
}

std::string_view IdMap::string_at(std::int32_t index) const {
  check_at(index, size_, kind_ == Kind::kString, "strings");
  return index < first_ ? base_->string_at(index) : bytes_at(static_cast<std::size_t>(index - first_));
}

std::string IdMap::text_at(std::int32_t index) const {
  return kind_ == Kind::kInteger ? std::to_string(integer_at(index)) : std::string(string_at(index));
}

namespace {

constexpr std::int32_t kFewest = 4096;      // keys from which a map is shared rather than copied
constexpr std::int32_t kNewest = 1024;      // keys of the outermost step
constexpr std::int32_t kMiddle = 1 << 16;   // of the one below it, and an eighth of what it lies beside

IdMap map_of(std::span<const std::int64_t> keys) { return IdMap::from_integers(Array<std::int64_t>(keys)); }
IdMap map_of(std::span<const std::string_view> keys) { return IdMap::from_strings(keys); }

}  // namespace

/// Both of one kind, without a key in both.
IdMap IdMap::beside(std::shared_ptr<const IdMap> base, IdMap own) {
  own.first_ = base->size_;
  own.size_ = checked_size(static_cast<std::size_t>(base->size_) + static_cast<std::size_t>(own.size_));
  own.base_ = std::move(base);
  return own;
}

/// The keys from `first` on.
template <class Key>
void IdMap::append_to(std::vector<Key>& keys, std::int32_t first) const {
  for (std::int32_t i = first; i < size_; ++i) {
    if constexpr (std::is_same_v<Key, std::int64_t>) keys.push_back(integer_at(i));
    else keys.push_back(string_at(i));
  }
}

template <class Key>
IdMap IdMap::extended_by(std::span<const Key> more) const {
  for (const Key& key : more)
    if (const std::int32_t there = find(key); there >= 0)
      throw std::invalid_argument("keys holds '" + text_at(there) + "' at " + std::to_string(there) + " and again, must be unique");
  std::vector<Key> keys;
  const auto with_more = [&] {
    keys.insert(keys.end(), more.begin(), more.end());
    return map_of(std::span<const Key>(keys));
  };
  const std::size_t newest = static_cast<std::size_t>(size_ - first_) + more.size();
  if (!base_) {
    if (size_ >= kFewest && more.size() <= static_cast<std::size_t>(kMiddle)) return beside(std::make_shared<const IdMap>(*this), with_more());
    append_to(keys, 0);
    return with_more();
  }
  if (newest <= kNewest) {
    append_to(keys, first_);
    return beside(base_, with_more());
  }
  if (!base_->base_) {  // what lies beside the large map becomes the middle
    if (size_ - first_ >= kNewest / 2 && more.size() <= kNewest) return beside(std::make_shared<const IdMap>(*this), with_more());
    if (newest <= static_cast<std::size_t>(kMiddle + base_->size_ / 8)) {
      append_to(keys, first_);
      return beside(base_, with_more());
    }
  } else if (newest + static_cast<std::size_t>(base_->size_ - base_->first_) <= static_cast<std::size_t>(kMiddle + base_->first_ / 8)) {
    append_to(keys, base_->first_);
    return beside(base_->base_, with_more());
  }
  append_to(keys, 0);
  return with_more();
}

IdMap IdMap::flat() const {
  if (!base_) return *this;
  const auto whole = [&](auto keys) {
    append_to(keys, 0);
    return map_of(keys);
  };
  return kind_ == Kind::kInteger ? whole(std::vector<std::int64_t>()) : whole(std::vector<std::string_view>());
}

IdMap IdMap::extended(std::span<const std::string_view> more) const {
  if (kind_ != Kind::kString && size_ != 0) throw std::invalid_argument("more holds strings, keys of this map are integers");
  return more.empty() ? *this : size_ == 0 ? from_strings(more) : extended_by(more);
}

IdMap IdMap::extended(std::span<const std::int64_t> more) const {
  if (kind_ != Kind::kInteger && size_ != 0) throw std::invalid_argument("more holds integers, keys of this map are strings");
  return more.empty() ? *this : extended_by(more);
}

IdMap::Parts IdMap::parts() const {
  if (base_) return flat().parts();
  return {kind_, size_, keys_, offsets_, bytes_, slots_};
}

IdMap IdMap::from_parts(Parts p, bool verify) {
  const auto n = static_cast<std::size_t>(p.size);
  const auto broken = [](const std::string& what) { throw FormatError("id map: " + what); };
  if (p.size < 0) broken("found size " + std::to_string(p.size) + ", expected >= 0");
  // Sizes are checked always: they bound every later access but those through contents.
  if (p.slots.size() <= n || !std::has_single_bit(p.slots.size()))
    broken("found " + std::to_string(p.slots.size()) + " slots, expected a power of two above " + std::to_string(n));
  if (p.kind == Kind::kInteger) {
    if (p.keys.size() != n) broken("found " + std::to_string(p.keys.size()) + " keys, expected " + std::to_string(n));
  } else {
    if (p.offsets.size() != n + 1)
      broken("found " + std::to_string(p.offsets.size()) + " offsets, expected " + std::to_string(n + 1));
    if (p.offsets[0] != 0 || p.offsets.back() != static_cast<std::int64_t>(p.bytes.size()))
      broken("found offsets that do not span the " + std::to_string(p.bytes.size()) + " bytes");
  }
  if (verify) {
    std::size_t used = 0;
    for (const std::uint32_t s : p.slots) {
      if (s > n) broken("found slot value " + std::to_string(s) + ", expected at most " + std::to_string(n));
      used += s != 0;
    }
    if (used != n) broken("found " + std::to_string(used) + " used slots, expected " + std::to_string(n));
    if (p.kind == Kind::kString)
      for (std::size_t i = 0; i < n; ++i)
        if (p.offsets[i] > p.offsets[i + 1]) broken("found offsets that decrease at entry " + std::to_string(i + 1));
  }
  IdMap map;
  map.kind_ = p.kind;
  map.size_ = p.size;
  map.keys_ = std::move(p.keys);
  map.offsets_ = std::move(p.offsets);
  map.bytes_ = std::move(p.bytes);
  map.slots_ = std::move(p.slots);
  return map;
}

}  // namespace etalage
