// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace etalage::serving {

/// fork() waits until no thread is inside a Section, so that the child never inherits a lock that a thread which it does
/// not have would have to open. Sections are short (an event, a request, a piece of a flush), nest, and cost two stores to
/// a cache line of the thread's own. While a fork is under way, threads that come in wait for it (tens of microseconds and
/// the longest section).
///
/// Who enters must not hold a lock that others take inside a Section, and must not wait inside one for what the forking
/// thread may hold, such as Python's GIL. Should it happen all the same, fork() goes on after five seconds.
class ForkGate {
 public:
  class Section {
   public:
    Section() noexcept { enter(); }
    ~Section() { leave(); }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;
  };

 private:
  static void enter() noexcept;
  static void leave() noexcept;
};

}  // namespace etalage::serving
