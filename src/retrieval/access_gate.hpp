// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>

namespace etalage::retrieval {

/// Many readers or one writer, fair to both. std::shared_mutex alone lets a steady stream of readers starve a writer;
/// here readers that come while a writer waits queue behind it, and a writer lets those who queued go before it
/// enters again.
class AccessGate {
 public:
  class Shared {
   public:
    explicit Shared(const AccessGate& gate) : gate_(gate) { gate_.enter_shared(); }
    ~Shared() { gate_.mutex_.unlock_shared(); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

   private:
    const AccessGate& gate_;
  };

  /// One writer at a time; callers hold a mutex of their own around all of a mutation.
  class Exclusive {
   public:
    explicit Exclusive(AccessGate& gate) : gate_(gate) { gate_.enter_exclusive(); }
    ~Exclusive() { gate_.leave_exclusive(); }
    Exclusive(const Exclusive&) = delete;
    Exclusive& operator=(const Exclusive&) = delete;

   private:
    AccessGate& gate_;
  };

  /// For fork(): between these no writer is inside. The child's gate forgets every thread that the child does not have.
  void enter_for_fork() const { enter_shared(); }
  void leave_in_parent() const { mutex_.unlock_shared(); }
  void reset_in_child() noexcept;

  /// Readers queue behind the writer right now.
  [[nodiscard]] bool contended() const noexcept { return queued_.load(std::memory_order_relaxed) > 0; }

 private:
  void enter_shared() const;
  void enter_exclusive();
  void leave_exclusive();

  mutable std::shared_mutex mutex_;
  mutable std::mutex turnstile_;
  mutable std::atomic<int> queued_{0};
  std::atomic<bool> writer_{false};
};

}  // namespace etalage::retrieval
