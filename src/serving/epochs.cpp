// SPDX-License-Identifier: Apache-2.0
#include "serving/epochs.hpp"

#include <algorithm>

namespace etalage::serving {
namespace {

struct alignas(64) Slot {
  std::atomic<std::uint64_t> epoch{0};  // 0: not reading
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
  ~Mine() {
    slot->epoch.store(0, std::memory_order_release);
    slot->taken.store(false, std::memory_order_release);
  }
};

Mine& mine() {
  thread_local Mine m;
  return m;
}

}  // namespace

void Epochs::enter() noexcept {
  Mine& m = mine();
  // Sequentially consistent, and so is the load of the object behind it: whoever replaced the object either sees this
  // slot or has replaced it before that load.
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
