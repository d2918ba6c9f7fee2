// SPDX-License-Identifier: Apache-2.0
#include "retrieval/fork_safety.hpp"

#include <pthread.h>

#include <mutex>
#include <new>
#include <unordered_set>

namespace etalage::retrieval {
namespace {

struct Members {
  std::mutex mutex;
  std::unordered_set<ForkMember*> all;
};

// Never destroyed: an object may outlive every static one.
Members& members() {
  static Members& m = *new Members;
  static const int registered = ::pthread_atfork(
      [] {
        members().mutex.lock();
        for (ForkMember* member : members().all) member->before_fork();
      },
      [] {
        for (ForkMember* member : members().all) member->after_fork_in_parent();
        members().mutex.unlock();
      },
      [] {
        for (ForkMember* member : members().all) member->after_fork_in_child();
        members().mutex.unlock();
      });
  (void)registered;
  return m;
}

}  // namespace

void ForkMember::join() {
  Members& m = members();
  const std::lock_guard lock(m.mutex);
  m.all.insert(this);
}

void ForkMember::leave() noexcept {
  Members& m = members();
  const std::lock_guard lock(m.mutex);
  m.all.erase(this);
}

}  // namespace etalage::retrieval
