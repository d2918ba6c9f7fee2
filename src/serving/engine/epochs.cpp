// SPDX-License-Identifier: Apache-2.0
#include "serving/engine/epochs.hpp"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "serving/events/fork_gate.hpp"

namespace etalage::serving {
namespace {

struct alignas(64) Slot {
  std::atomic<std::uint64_t> epoch{0};  // 0: not reading
  std::atomic<bool> inside{false};      // of a ForkGate::Section
  std::atomic<bool> taken{true};
  Slot* next = nullptr;
};

// Constant-initialised and never destroyed: threads may end after everything else has.
std::atomic<Slot*> slots{nullptr};
std::atomic<std::uint64_t> now{1};

Slot* claim() {
  for (Slot* s = slots.load(std::memory_order_acquire); s != nullptr; s = s->next) {
    bool expected = false;
    if (!s->taken.load(std::memory_order_relaxed) && s->taken.compare_exchange_strong(expected, true, std::memory_order_acq_rel)) return s;
  }
  auto* fresh = new Slot;  // stays for the next thread when this one ends
  fresh->next = slots.load(std::memory_order_relaxed);
  while (!slots.compare_exchange_weak(fresh->next, fresh, std::memory_order_acq_rel)) {
  }
  return fresh;
}

struct Mine {
  Slot* slot = claim();
  int depth = 0;
  int sections = 0;
  ~Mine() {
    slot->epoch.store(0, std::memory_order_release);
    slot->inside.store(false, std::memory_order_release);
    slot->taken.store(false, std::memory_order_release);
  }
};

Mine& mine() {
  thread_local Mine m;
  return m;
}

std::atomic<int> forks_under_way{0};

void before_fork() {
  const Slot* own = mine().slot;
  forks_under_way.fetch_add(1, std::memory_order_seq_cst);
  const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (const Slot* s = slots.load(std::memory_order_seq_cst); s != nullptr; s = s->next)
    while (s != own && s->inside.load(std::memory_order_seq_cst) && std::chrono::steady_clock::now() < patience)
      std::this_thread::sleep_for(std::chrono::microseconds(20));
}

void after_fork_in_parent() { forks_under_way.fetch_sub(1, std::memory_order_seq_cst); }

/// The threads of the other slots are not in this process: they read nothing and their slots are free.
void after_fork_in_child() {
  const Slot* own = mine().slot;
  for (Slot* s = slots.load(std::memory_order_relaxed); s != nullptr; s = s->next) {
    if (s == own) continue;
    s->epoch.store(0, std::memory_order_relaxed);
    s->inside.store(false, std::memory_order_relaxed);
    s->taken.store(false, std::memory_order_relaxed);
  }
  forks_under_way.store(0, std::memory_order_seq_cst);
}

/// Registered once, by whoever enters first: before that there is nothing to wait for.
void watch_forks() noexcept {
  static const int registered = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
  (void)registered;
}

}  // namespace

void ForkGate::enter() noexcept {
  Mine& m = mine();
  if (m.sections++ != 0) return;
  watch_forks();
  for (;;) {
    // Sequentially consistent on both sides: either the forking thread sees this slot or this thread sees the fork.
    m.slot->inside.store(true, std::memory_order_seq_cst);
    if (forks_under_way.load(std::memory_order_seq_cst) == 0) return;
    m.slot->inside.store(false, std::memory_order_seq_cst);
    while (forks_under_way.load(std::memory_order_seq_cst) != 0) std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void ForkGate::leave() noexcept {
  Mine& m = mine();
  if (--m.sections == 0) m.slot->inside.store(false, std::memory_order_release);
}

void Epochs::enter() noexcept {
  Mine& m = mine();
  // Sequentially consistent, and so is the load of the object behind it: whoever replaced the object either sees this
  // slot or has replaced it before that load.
  watch_forks();
  if (m.depth++ == 0) m.slot->epoch.store(now.load(std::memory_order_seq_cst), std::memory_order_seq_cst);
}

void Epochs::leave() noexcept {
  Mine& m = mine();
  if (--m.depth == 0) m.slot->epoch.store(0, std::memory_order_release);
}

std::uint64_t Epochs::advance() noexcept { return now.fetch_add(1, std::memory_order_seq_cst); }

std::uint64_t Epochs::oldest() noexcept {
  std::uint64_t oldest = UINT64_MAX;
  for (const Slot* s = slots.load(std::memory_order_seq_cst); s != nullptr; s = s->next)
    if (const std::uint64_t e = s->epoch.load(std::memory_order_seq_cst); e != 0) oldest = std::min(oldest, e);
  return oldest;
}

}  // namespace etalage::serving
