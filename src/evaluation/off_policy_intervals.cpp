// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "detail/parallel_for.hpp"
#include "evaluation/off_policy_terms.hpp"
#include "evaluation/resampling.hpp"

namespace etalage::evaluation {
namespace {

/// Sums by shopper, one row a shopper: rows, linear, then numerator and denominator of each ratio.
struct Columns {
  std::size_t width = 0;
  std::size_t rows = 0;
  std::vector<double> values;
  [[nodiscard]] const double* row(std::size_t g) const { return values.data() + g * width; }
};

Columns by_group(const OffPolicyTerms& terms, std::span<const std::int32_t> groups) {
  const std::size_t n = terms.linear.size();
  Columns c;
  c.width = 2 + 2 * terms.ratios.size();
  c.rows = n;
  if (!groups.empty()) c.rows = static_cast<std::size_t>(*std::max_element(groups.begin(), groups.end())) + 1;
  c.values.assign(c.rows * c.width, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    double* to = c.values.data() + (groups.empty() ? i : static_cast<std::size_t>(groups[i])) * c.width;
    to[0] += 1;
    to[1] += terms.linear[i];
    for (std::size_t k = 0; k < terms.ratios.size(); ++k) {
      to[2 + 2 * k] += terms.ratios[k].first[i];
      to[3 + 2 * k] += terms.ratios[k].second[i];
    }
  }
  return c;
}

/// NaN where a denominator is 0: a resample without any weight has no value.
double value_of(const double* sums, std::size_t width) {
  double value = sums[1] / sums[0];
  for (std::size_t at = 2; at < width; at += 2) {
    if (sums[at + 1] == 0) return std::numeric_limits<double>::quiet_NaN();
    value += sums[at] / sums[at + 1];
  }
  return value;
}

/// Where every answer was the same, its chance to have been another is what Clopper and Pearson (1934) leave open.
Interval of_equal_answers(double value, double ess, double confidence, double floor, double ceiling) {
  const double open = 1 - std::pow((1 - confidence) / 2, 1 / std::max(ess, 1.0));
  return {value - std::max(value - floor, 0.0) * open, value + std::max(ceiling - value, 0.0) * open};
}

/// Theorem 4 of Maurer and Pontil for each side with half of the error; x by shopper, scaled to have the value as mean.
Interval bernstein(const OffPolicyTerms& terms, std::span<const std::int32_t> groups, const Columns& columns, double value, double confidence) {
  const auto shoppers = static_cast<double>(columns.rows);
  if (!terms.ratios.empty() || columns.rows < 2) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    return {none, none};
  }
  const double scale = shoppers / static_cast<double>(terms.linear.size());
  std::vector<double> low(columns.rows, 0.0);
  std::vector<double> high(columns.rows, 0.0);
  for (std::size_t i = 0; i < terms.linear.size(); ++i) {
    const std::size_t g = groups.empty() ? i : static_cast<std::size_t>(groups[i]);
    low[g] += terms.lowest[i] * scale;
    high[g] += terms.highest[i] * scale;
  }
  const double range = *std::max_element(high.begin(), high.end()) - *std::min_element(low.begin(), low.end());
  double squares = 0;
  for (std::size_t g = 0; g < columns.rows; ++g) {
    const double d = columns.row(g)[1] * scale - value;
    squares += d * d;
  }
  const double log_term = std::log(4 / (1 - confidence));
  const double half = std::sqrt(2 * squares / (shoppers - 1) * log_term / shoppers) + 7 * range * log_term / (3 * (shoppers - 1));
  // The truth is a mean of rewards that can be.
  return {std::clamp(value - half, terms.floor, terms.ceiling), std::clamp(value + half, terms.floor, terms.ceiling)};
}

}  // namespace

void fill_intervals(const OffPolicyTerms& terms, std::span<const std::int32_t> groups, const ResamplingOptions& options,
                    OffPolicyEstimate& out) {
  const Columns columns = by_group(terms, groups);
  const std::size_t width = columns.width;
  std::vector<double> total(width, 0.0);
  for (std::size_t g = 0; g < columns.rows; ++g)
    for (std::size_t c = 0; c < width; ++c) total[c] += columns.row(g)[c];
  out.rows = static_cast<std::int64_t>(terms.linear.size());
  out.groups = static_cast<std::int64_t>(columns.rows);
  out.value = value_of(total.data(), width);
  out.bernstein = bernstein(terms, groups, columns, out.value, options.confidence);

  // Influence of each shopper: the sum of what the mean and every ratio change by.
  const auto shoppers = static_cast<double>(columns.rows);
  double squares = 0;
  for (std::size_t g = 0; g < columns.rows; ++g) {
    const double* row = columns.row(g);
    double influence = (row[1] - total[1] / total[0] * row[0]) * shoppers / total[0];
    for (std::size_t at = 2; at < width; at += 2)
      influence += (row[at] - total[at] / total[at + 1] * row[at + 1]) * shoppers / total[at + 1];
    squares += influence * influence;
  }
  out.standard_error = columns.rows > 1 ? std::sqrt(squares / (shoppers - 1) / shoppers) : 0.0;
  out.varied = out.standard_error > 1e-12 * (std::abs(out.value) + 1e-300);
  const double tail = (1 - options.confidence) / 2;
  if (!out.varied) {
    out.standard_error = 0;
    out.interval = of_equal_answers(out.value, std::min(out.ess, shoppers), options.confidence, terms.floor, terms.ceiling);
    return;
  }
  const double half = -normal_quantile(tail) * out.standard_error;
  out.interval = {out.value - half, out.value + half};
  if (columns.rows > kResamplingLimit) return;
  std::vector<double> values(static_cast<std::size_t>(options.samples));
  detail::parallel_for(values.size(), 8, options.num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<double> sums(width);
    for (std::size_t s = begin; s < end; ++s) {
      ResampleStream random(options.seed, s);
      std::fill(sums.begin(), sums.end(), 0.0);
      for (std::size_t g = 0; g < columns.rows; ++g) {
        const double* row = columns.row(random.below(columns.rows));
        for (std::size_t c = 0; c < width; ++c) sums[c] += row[c];
      }
      values[s] = value_of(sums.data(), width);
    }
  });
  std::erase_if(values, [](double v) { return std::isnan(v); });
  std::sort(values.begin(), values.end());
  // The sum of a few large weights is skewed to the right: percentiles alone start too high, the normal interval ends too low.
  if (!values.empty())
    out.interval = {std::min(out.interval.low, quantile(values, tail)), std::max(out.interval.high, quantile(values, 1 - tail))};
}

}  // namespace etalage::evaluation
