// SPDX-License-Identifier: Apache-2.0
// Readers that never wait and never count: each thread says in a slot of its own since when it reads, and what was
// replaced is freed once no slot is that old (Fraser, Practical lock-freedom, 2004: epoch-based reclamation).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace etalage::serving {

/// The slots of all threads of the process. In a child made by fork the slots of threads that it does not have are free.
class Epochs {
 public:
  /// Begins to read; calls may nest.
  static void enter() noexcept;
  static void leave() noexcept;
  /// After something was replaced: readers that may still see it are those of this epoch and earlier.
  static std::uint64_t advance() noexcept;
  /// The oldest epoch of a thread that reads now; UINT64_MAX when none does.
  static std::uint64_t oldest() noexcept;
};

/// One immutable object that is replaced as a whole while any number of threads read it.
///
/// Reading    two stores and two loads of the thread's own cache line; no lock, no reference count, never waits
/// Freeing    publish() and reclaim() hand out what no reader can see any more; readers never free
template <class T>
class Published {
 public:
  class Guard {
   public:
    explicit Guard(const Published& p) noexcept {
      Epochs::enter();
      object_ = p.current_.load(std::memory_order_seq_cst);
    }
    ~Guard() { Epochs::leave(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    /// Null before the first publish().
    [[nodiscard]] const T* get() const noexcept { return object_; }
    const T* operator->() const noexcept { return object_; }
    const T& operator*() const noexcept { return *object_; }

   private:
    const T* object_;
  };

  [[nodiscard]] Guard read() const noexcept { return Guard(*this); }

  /// What nobody can see any more; the caller lets go of it where that may take long.
  using Gone = std::vector<std::shared_ptr<const T>>;

  void publish(std::shared_ptr<const T> next) { (void)replace(std::move(next)); }
  [[nodiscard]] Gone replace(std::shared_ptr<const T> next) {
    const std::lock_guard guard(mutex_);
    retired_.reserve(retired_.size() + 1);  // nothing below may fail
    current_.store(next.get(), std::memory_order_seq_cst);
    if (owner_) retired_.push_back({std::exchange(owner_, nullptr), Epochs::advance()});
    owner_ = std::move(next);
    return drop();
  }
  /// Returns how many replaced objects are still read by somebody.
  std::size_t reclaim() {
    Gone gone;
    return reclaim(gone);
  }
  std::size_t reclaim(Gone& gone) {
    const std::lock_guard guard(mutex_);
    gone = drop();
    return retired_.size();
  }
  [[nodiscard]] std::size_t waiting() const {
    const std::lock_guard guard(mutex_);
    return retired_.size();
  }
  /// For those who keep it for longer than a request.
  [[nodiscard]] std::shared_ptr<const T> share() const {
    const std::lock_guard guard(mutex_);
    return owner_;
  }

 private:
  struct Retired {
    std::shared_ptr<const T> object;
    std::uint64_t epoch;
  };
  Gone drop() {
    Gone gone;
    const std::uint64_t oldest = Epochs::oldest();
    std::erase_if(retired_, [&](Retired& r) {
      if (r.epoch >= oldest) return false;
      gone.push_back(std::move(r.object));
      return true;
    });
    return gone;
  }

  std::atomic<const T*> current_{nullptr};
  mutable std::mutex mutex_;
  std::shared_ptr<const T> owner_;
  std::vector<Retired> retired_;
};

}  // namespace etalage::serving
