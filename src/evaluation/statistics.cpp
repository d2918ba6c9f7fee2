// SPDX-License-Identifier: Apache-2.0
#include "etalage/evaluation/statistics.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/option_check.hpp"
#include "detail/parallel_for.hpp"
#include "evaluation/resampling.hpp"

namespace etalage {
namespace {

using evaluation::normal_quantile;
using evaluation::quantile;
using Random = evaluation::ResampleStream;

double mean_of(std::span<const double> v) {
  double sum = 0;
  for (const double x : v) sum += x;
  return sum / static_cast<double>(v.size());
}

double standard_error(std::span<const double> v, double mean) {
  double sum = 0;
  for (const double x : v) sum += (x - mean) * (x - mean);
  const auto n = static_cast<double>(v.size());
  return n > 1 ? std::sqrt(sum / (n - 1) / n) : 0.0;
}

}  // namespace

void ResamplingOptions::validate() const { require_options(*this); }

Interval bootstrap_interval(std::span<const double> values, const ResamplingOptions& options) {
  options.validate();
  if (values.empty()) throw std::invalid_argument("values is empty, must have at least one value");
  const std::size_t n = values.size();
  const double tail = (1 - options.confidence) / 2;
  if (n > kResamplingLimit) {
    const double mean = mean_of(values);
    const double half = -normal_quantile(tail) * standard_error(values, mean);
    return {mean - half, mean + half};
  }
  std::vector<double> means(static_cast<std::size_t>(options.samples));
  detail::parallel_for(means.size(), 8, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t s = begin; s < end; ++s) {
      Random random(options.seed, s);
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) sum += values[random.below(n)];
      means[s] = sum / static_cast<double>(n);
    }
  });
  std::sort(means.begin(), means.end());
  return {quantile(means, tail), quantile(means, 1 - tail)};
}

PairedTest paired_test(std::span<const double> a, std::span<const double> b, const ResamplingOptions& options) {
  options.validate();
  if (a.size() != b.size())
    throw std::invalid_argument("a has " + std::to_string(a.size()) + " values and b " + std::to_string(b.size()) +
                                ", both must be of the same users");
  if (a.empty()) throw std::invalid_argument("a is empty, must have at least one value");
  std::vector<double> d(a.size());
  for (std::size_t j = 0; j < d.size(); ++j) d[j] = a[j] - b[j];
  PairedTest test;
  test.difference = mean_of(d);
  test.interval = bootstrap_interval(d, options);
  if (d.size() > kResamplingLimit) {
    const double se = standard_error(d, test.difference);
    test.p_value = se > 0 ? std::erfc(std::abs(test.difference) / se / std::sqrt(2.0)) : 1.0;
    return test;
  }
  // Equal pairs do not care about their sign.
  std::erase(d, 0.0);
  double observed = 0;
  for (const double x : d) observed += x;
  const double bar = std::abs(observed) * (1 - 1e-12);
  std::vector<std::uint8_t> extreme(static_cast<std::size_t>(options.samples));
  detail::parallel_for(extreme.size(), 8, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t s = begin; s < end; ++s) {
      Random random(~options.seed, s);
      double sum = 0;
      for (std::size_t j = 0; j < d.size();) {
        std::uint64_t signs = random.next();
        const std::size_t stop = std::min(d.size(), j + 64);
        for (; j < stop; ++j, signs >>= 1)
          sum += std::bit_cast<double>(std::bit_cast<std::uint64_t>(d[j]) ^ (signs << 63));
      }
      extreme[s] = std::abs(sum) >= bar;
    }
  });
  std::int64_t count = 0;
  for (const std::uint8_t e : extreme) count += e;
  test.p_value = static_cast<double>(1 + count) / static_cast<double>(1 + options.samples);
  return test;
}

}  // namespace etalage
