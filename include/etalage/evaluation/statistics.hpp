// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// A confidence interval.
struct Interval {
  double low = 0;  ///< lower end
  double high = 0;  ///< upper end
};

/// Settings of the bootstrap and of permutation tests.
struct ETALAGE_EXPORT ResamplingOptions {
  int samples = 1000;          ///< resamples, >= 100
  double confidence = 0.95;    ///< in (0, 1)
  std::uint64_t seed = 42;     ///< equal seeds give equal bits, whatever num_threads is
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "samples", o.samples, OptionRule(">= 100, at most 10000000"), "confidence", o.confidence, OptionRule("in (0, 1)"),
                  "seed", o.seed, "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Above this many values the mean is as good as normal, and mean +- z s / sqrt(n) replaces resampling.
inline constexpr std::size_t kResamplingLimit = 200'000;

/// Percentile bootstrap interval of the mean (Efron, 1979). One value gives that value twice; none is
/// std::invalid_argument.
[[nodiscard]] ETALAGE_EXPORT Interval bootstrap_interval(std::span<const double> values, const ResamplingOptions& options = {});

/// What a paired test says of two models over the same users.
struct PairedTest {
  double difference = 0;  ///< mean of a - b
  Interval interval;      ///< of the difference, bootstrap over the pairs
  double p_value = 1;     ///< two-sided; how often random signs give a difference as large
};

/// Do two models differ on the same users? Sign-flip randomisation test of the mean difference (Smucker, Allan,
/// Carterette, CIKM 2007), p = (1 + as extreme) / (1 + samples), and a paired bootstrap interval.
/// std::invalid_argument unless a and b are of one length, at least 1.
[[nodiscard]] ETALAGE_EXPORT PairedTest paired_test(std::span<const double> a, std::span<const double> b,
                                                    const ResamplingOptions& options = {});

}  // namespace etalage
