// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

namespace etalage::serving {

/// Remembers the process it was made in: a child made by fork has neither the threads nor the files' ownership of its
/// parent. Costs one load, where getpid() is a system call.
class ForkGuard {
 public:
  ForkGuard() : born_(count().load(std::memory_order_relaxed)) {}
  [[nodiscard]] bool in_child() const noexcept { return count().load(std::memory_order_relaxed) != born_; }

 private:
  static std::atomic<std::uint64_t>& count() {
    static std::atomic<std::uint64_t> forks{0};
    static const int registered = ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
    (void)registered;
    return forks;
  }
  std::uint64_t born_;
};

}  // namespace etalage::serving
