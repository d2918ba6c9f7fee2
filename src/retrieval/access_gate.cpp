// SPDX-License-Identifier: Apache-2.0
#include "retrieval/access_gate.hpp"

#include <chrono>
#include <new>
#include <thread>

namespace etalage::retrieval {

void AccessGate::enter_shared() const {
  if (writer_.load(std::memory_order_acquire)) {
    queued_.fetch_add(1, std::memory_order_relaxed);
    { const std::lock_guard wait(turnstile_); }
    mutex_.lock_shared();
    queued_.fetch_sub(1, std::memory_order_relaxed);
  } else {
    mutex_.lock_shared();
  }
}

void AccessGate::enter_exclusive() {
  // Those who queued behind the last section go first, within reason: a thread that the system does not run must not
  // hold up the writer.
  const auto patience = std::chrono::steady_clock::now() + std::chrono::milliseconds(5);
  while (contended() && std::chrono::steady_clock::now() < patience) std::this_thread::sleep_for(std::chrono::microseconds(20));
  turnstile_.lock();
  writer_.store(true, std::memory_order_release);
  mutex_.lock();
}

void AccessGate::leave_exclusive() {
  writer_.store(false, std::memory_order_release);
  mutex_.unlock();
  turnstile_.unlock();
}

void AccessGate::reset_in_child() noexcept {
  // Not unlocked but made anew: the C library counts the readers that are gone, and knows a writer by a thread number that
  // changes in the child.
  new (&mutex_) std::shared_mutex;
  new (&turnstile_) std::mutex;
  queued_.store(0, std::memory_order_relaxed);
  writer_.store(false, std::memory_order_relaxed);
}

}  // namespace etalage::retrieval
