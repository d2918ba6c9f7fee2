// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>

#include "detail/parallel_for.hpp"
#include "etalage/core/progress.hpp"

namespace etalage::detail {

/// Asks a fit's callback now and then, on the calling thread, and remembers that it wants to stop. For work that has no
/// sweeps of its own: a closed form answers Ctrl-C as soon as the others do.
class Watch {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr double kSeconds = 0.2;  ///< between two questions

  explicit Watch(const ProgressCallback& callback) : callback_(callback), started_(Clock::now()), asked_(started_) {}
  /// False once the callback has said so. `done` of `total` steps of the phase are made.
  bool go_on(std::size_t done, std::size_t total, const char* phase) {
    if (stopped_ || !callback_) return !stopped_;
    const Clock::time_point now = Clock::now();
    if (std::chrono::duration<double>(now - asked_).count() < kSeconds) return true;
    asked_ = now;
    constexpr std::size_t kMost = std::numeric_limits<int>::max();
    stopped_ = !callback_({static_cast<int>(std::min(done, kMost)), static_cast<int>(std::min(total, kMost)),
                           std::chrono::duration<double>(now - started_).count(), std::numeric_limits<double>::quiet_NaN(), phase});
    return !stopped_;
  }
  /// As if the callback had said so.
  void stop() noexcept { stopped_ = true; }
  [[nodiscard]] bool stopped() const noexcept { return stopped_; }
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(Clock::now() - started_).count(); }

 private:
  const ProgressCallback& callback_;
  Clock::time_point started_, asked_;
  bool stopped_ = false;
};

/// parallel_for in slices of about Watch::kSeconds, between which `watch` is asked; slices end at chunk borders, so the
/// chunks are those of parallel_for. False when it was stopped: the chunks behind the last slice were not made.
template <class Body>
bool watched_for(std::size_t n, std::size_t grain, int num_threads, const char* phase, Watch& watch, const Body& body) {
  const std::size_t chunks = num_chunks(n, grain);
  std::size_t slice = static_cast<std::size_t>(resolve_threads(num_threads));
  for (std::size_t first = 0; first < chunks;) {
    const std::size_t begin = first * grain;
    const std::size_t end = std::min(n, (first + slice) * grain);
    const auto started = Watch::Clock::now();
    parallel_for(end - begin, grain, num_threads, [&](std::size_t b, std::size_t e, int thread) { body(begin + b, begin + e, thread); });
    const double took = std::chrono::duration<double>(Watch::Clock::now() - started).count();
    first += slice;
    if (!watch.go_on(end, n, phase)) return first >= chunks;
    const double wanted = static_cast<double>(slice) * Watch::kSeconds / std::max(took, 1e-6);
    slice = static_cast<std::size_t>(std::clamp(wanted, static_cast<double>(std::max<std::size_t>(1, slice / 4)),
                                                static_cast<double>(slice) * 4));
  }
  return !watch.stopped();
}

}  // namespace etalage::detail
