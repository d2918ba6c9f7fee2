// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "etalage/serving/engine_metrics.hpp"
#include "etalage/serving/request.hpp"

namespace etalage::serving {

/// Steps before and around those of the Ranker.
enum EngineStep : std::size_t { kUserStep = kStages, kFoldInStep, kTotalStep, kEngineSteps };

/// A LatencyHistogram that many threads fill.
struct AtomicHistogram {
  std::array<std::atomic<std::uint64_t>, LatencyHistogram::kBuckets> counts{};
  std::atomic<std::uint64_t> count{0};
  std::atomic<std::uint64_t> sum_ns{0};

  void add(std::chrono::nanoseconds elapsed) noexcept {
    const auto ns = static_cast<std::uint64_t>(elapsed.count() < 0 ? 0 : elapsed.count());
    counts[LatencyHistogram::bucket_of(ns)].fetch_add(1, std::memory_order_relaxed);
    count.fetch_add(1, std::memory_order_relaxed);
    sum_ns.fetch_add(ns, std::memory_order_relaxed);
  }
  [[nodiscard]] LatencyHistogram read() const {
    LatencyHistogram out;
    for (std::size_t i = 0; i < counts.size(); ++i) out.counts[i] = counts[i].load(std::memory_order_relaxed);
    out.count = count.load(std::memory_order_relaxed);
    out.sum_ns = sum_ns.load(std::memory_order_relaxed);
    return out;
  }
};

struct EngineCounters {
  using Count = std::atomic<std::uint64_t>;
  std::array<AtomicHistogram, kEngineSteps> steps;
  Count requests{0}, unknown_users{0}, empty_answers{0}, short_answers{0}, fallback_candidates{0}, filled{0}, denied{0}, filtered{0}, folded_in{0},
      folded_from_cache{0}, profiles_made{0}, profiles_from_cache{0}, publications{0}, rollbacks{0};

  /// By source; names get their place when a snapshot that has them is published, those beyond the last one share it.
  static constexpr std::size_t kSources = 128;
  std::array<Count, kSources> candidates{};
  std::array<Count, kSources> shown{};
  std::array<Count, kSources> failures{};

  static void add(Count& counter, std::uint64_t n = 1) noexcept {
    if (n != 0) counter.fetch_add(n, std::memory_order_relaxed);
  }
};

/// Which products were shown.
struct Coverage {
  explicit Coverage(std::size_t products) : seen(products / 64 + 1) {}
  std::vector<std::atomic<std::uint64_t>> seen;  // a bit a product
  std::atomic<std::uint64_t> distinct{0};

  void show(std::int32_t row) noexcept {
    const auto r = static_cast<std::size_t>(row);
    const std::uint64_t bit = std::uint64_t{1} << (r % 64);
    if ((seen[r / 64].load(std::memory_order_relaxed) & bit) == 0 && (seen[r / 64].fetch_or(bit, std::memory_order_relaxed) & bit) == 0)
      distinct.fetch_add(1, std::memory_order_relaxed);
  }
};

/// Passes the Ranker's stages on to the histograms and to the host's listener.
class StageRecorder final : public StageListener {
 public:
  StageRecorder(EngineCounters* counters, StageListener* host) : counters_(counters), host_(host) {}
  void on_stage(Stage stage, std::chrono::nanoseconds elapsed) noexcept override {
    if (counters_ != nullptr) counters_->steps[static_cast<std::size_t>(stage)].add(elapsed);
    if (host_ != nullptr) host_->on_stage(stage, elapsed);
  }

 private:
  EngineCounters* counters_;
  StageListener* host_;
};

}  // namespace etalage::serving
