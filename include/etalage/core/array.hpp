// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace etalage {

/// Every array of the library starts on this boundary, in memory and in files.
inline constexpr std::size_t kAlignment = 64;

/// The type of `uninitialized`.
struct Uninitialized {};
/// Array(n, uninitialized): memory that is written before it is read.
inline constexpr Uninitialized uninitialized{};

/// A shared, aligned array with copy on write: std::shared_ptr<const T[]> with a size.
///
/// A contiguous range, so a span wherever one is read. Copies share memory. mutable_data() gives exclusive memory: it copies first when anyone else holds the array or
/// when it lies in a mapped file, so an array that was handed out never changes under its reader.
/// Threads   const members are safe to call concurrently; mutable_data() needs exclusive access to this object
template <class T>
class Array {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;  ///< what it holds, as containers name it

  Array() = default;
  /// n zeros.
  explicit Array(std::size_t n) : Array(n, uninitialized) {
    if (n != 0) std::memset(const_cast<T*>(data_), 0, n * sizeof(T));
  }
  Array(std::size_t n, Uninitialized) : size_(n) {
    if (n == 0) return;
    if (n > std::numeric_limits<std::size_t>::max() / sizeof(T) / 2) throw std::bad_array_new_length();
    // So much comes in pages of its own, which take memory when they are touched: room to grow into costs addresses alone.
    const std::size_t room = n >= kRoomFrom / sizeof(T) ? n / 8 : 0;
    void* p = ::operator new((n + room) * sizeof(T), std::align_val_t{kAlignment});
    owner_ = std::shared_ptr<void>(p, [](void* q) { ::operator delete(q, std::align_val_t{kAlignment}); });
    data_ = static_cast<T*>(p);
    capacity_ = n + room;
    writable_ = true;
  }
  explicit Array(std::span<const T> values) : Array(values.size(), uninitialized) {
    if (!values.empty()) std::memcpy(const_cast<T*>(data_), values.data(), values.size_bytes());
  }
  explicit Array(const std::vector<T>& values) : Array(std::span<const T>(values)) {}

  /// Borrows memory that lives as long as `owner` (a mapped file, a caller's buffer). Never written to.
  static Array wrap(const T* data, std::size_t size, std::shared_ptr<const void> owner) {
    Array a;
    a.data_ = data;
    a.size_ = size;
    a.owner_ = std::const_pointer_cast<void>(std::move(owner));
    return a;
  }

  [[nodiscard]] const T* data() const noexcept { return data_; }  ///< the entries [size()]; null when empty
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] const T& operator[](std::size_t i) const noexcept { return data_[i]; }  ///< entry i, below size(); not checked
  [[nodiscard]] const T* begin() const noexcept { return data_; }  ///< the first entry
  [[nodiscard]] const T* end() const noexcept { return data_ + size_; }  ///< behind the last entry
  [[nodiscard]] const T& back() const noexcept { return data_[size_ - 1]; }  ///< the last entry; there must be one
  [[nodiscard]] std::span<const T> view() const noexcept { return {data_, size_}; }
  /// What keeps the memory alive; null for an empty array.
  [[nodiscard]] const std::shared_ptr<void>& owner() const noexcept { return owner_; }

  /// Exclusive memory of the same content; copies when shared or borrowed.
  [[nodiscard]] T* mutable_data() {
    if (size_ != 0 && (!writable_ || owner_.use_count() != 1)) *this = Array(view());
    return const_cast<T*>(data_);
  }
  [[nodiscard]] std::span<T> mutable_view() { return {mutable_data(), size_}; }
  /// Another size; what is new is zero. In place, with room to spare for the next time, where the memory is exclusive: to
  /// append is cheap on average.
  void resize(std::size_t n) {
    if (n > size_ && (!writable_ || owner_.use_count() != 1 || n > capacity_)) {
      Array bigger(size_ == 0 || n >= kRoomFrom / sizeof(T) ? n : n + n / 8, uninitialized);
      if (size_ != 0) std::memcpy(const_cast<T*>(bigger.data_), data_, size_ * sizeof(T));
      bigger.size_ = size_;
      *this = std::move(bigger);
    }
    if (n > size_) std::memset(const_cast<T*>(data_) + size_, 0, (n - size_) * sizeof(T));
    size_ = n;
  }
  void fill(T value) { std::fill_n(mutable_data(), size_, value); }

 private:
  static constexpr std::size_t kRoomFrom = std::size_t{64} << 20;  // bytes
  const T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;  // of memory of one's own
  std::shared_ptr<void> owner_;
  bool writable_ = false;
};

}  // namespace etalage
