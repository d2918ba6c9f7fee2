// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace etalage::retrieval {

/// An object whose locks must not be left locked by a thread that a forked child does not have. Members are told before
/// and after every fork() of this process, on the thread that forks, one fork at a time.
class ForkMember {
 public:
  ForkMember(const ForkMember&) = delete;
  ForkMember& operator=(const ForkMember&) = delete;

  virtual void before_fork() noexcept = 0;
  virtual void after_fork_in_parent() noexcept = 0;
  virtual void after_fork_in_child() noexcept = 0;

 protected:
  ForkMember() = default;
  ~ForkMember() = default;
  /// From the end of the constructor to the begin of the destructor of the object that the calls are for.
  void join();
  void leave() noexcept;
};

}  // namespace etalage::retrieval
