// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <type_traits>

namespace etalage::detail {

/// CPUs this process may use: affinity mask and cgroup quota, at least 1. Read once.
int available_cpus() noexcept;

/// What the caller's num_threads means: 0 is available_cpus(), and so is whatever is more; negative is std::invalid_argument.
/// Working memory of a loop is sized by this, never by the number that was given.
int resolve_threads(int num_threads);

/// True while the calling thread runs inside one of our parallel loops; nested loops run serially.
bool in_parallel() noexcept;

/// A reference to a callable, without allocation; the callable outlives the call.
class LoopBody {
 public:
  template <class F>
    requires(!std::is_same_v<std::remove_cvref_t<F>, LoopBody>)
  LoopBody(F&& f) noexcept  // NOLINT: a loop body is passed where it is written
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, std::size_t b, std::size_t e, int t) {
          (*static_cast<std::remove_reference_t<F>*>(o))(b, e, t);
        }) {}
  void operator()(std::size_t begin, std::size_t end, int thread) const { call_(object_, begin, end, thread); }

 private:
  void* object_;
  void (*call_)(void*, std::size_t, std::size_t, int);
};

/// Calls body(begin, end, thread) over chunks of `grain` indices that cover [0, n), chunks taken dynamically by up to
/// num_threads threads (after resolve_threads), thread in [0, threads). Chunk borders depend on n and grain alone, so
/// per-chunk results reduced in chunk order are the same for any thread count. Serial for one thread or one chunk and
/// inside another parallel loop. An exception stops the hand-out of chunks; that of the lowest failing
/// chunk is rethrown on the caller, as in a serial loop.
/// The only place where threads are made: OpenMP, or std::thread when built so or in a forked child (libgomp's pool
/// does not survive fork).
void parallel_for(std::size_t n, std::size_t grain, int num_threads, LoopBody body);

/// Number of chunks that parallel_for makes.
constexpr std::size_t num_chunks(std::size_t n, std::size_t grain) noexcept { return grain == 0 ? 0 : (n + grain - 1) / grain; }

}  // namespace etalage::detail
