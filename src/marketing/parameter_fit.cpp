// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/parameter_fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "detail/check.hpp"
#include "detail/random_stream.hpp"

namespace etalage {

std::vector<double> ParameterFit::standard_errors() const {
  std::vector<double> out(values.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[i] * std::sqrt(covariance[i * out.size() + i]);
  return out;
}

std::vector<double> ParameterFit::draws(std::size_t count, std::uint64_t seed) const {
  constexpr std::size_t kMostDraws = 100000;
  detail::require(count >= 1 && count <= kMostDraws, "draws", count, "in [1, 100000]");
  const std::size_t d = values.size();
  // Cholesky factor over the parameters that have a covariance.
  std::vector<double> root(d * d, 0.0);
  for (std::size_t i = 0; i < d; ++i) {
    if (!std::isfinite(covariance[i * d + i])) continue;
    for (std::size_t j = 0; j <= i; ++j) {
      if (!std::isfinite(covariance[j * d + j])) continue;
      double sum = covariance[i * d + j];
      for (std::size_t k = 0; k < j; ++k) sum -= root[i * d + k] * root[j * d + k];
      if (i == j) root[i * d + i] = std::sqrt(std::max(sum, 0.0));
      else root[i * d + j] = root[j * d + j] > 0 ? sum / root[j * d + j] : 0;
    }
  }
  std::vector<double> out(count * d);
  std::vector<double> z(d);
  std::vector<double> shift(d);
  for (std::size_t n = 0; n < count; ++n) {
    detail::RandomStream random(seed, 0x6c69666574696d65ULL, n);
    for (std::size_t i = 0; i < d; ++i) {
      // Box and Muller.
      const double u = (static_cast<double>(random.next() >> 11) + 0.5) * 0x1p-53;
      const double v = static_cast<double>(random.next() >> 11) * 0x1p-53;
      z[i] = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
    }
    double farthest = 0;
    for (std::size_t i = 0; i < d; ++i) {
      shift[i] = 0;
      for (std::size_t k = 0; k <= i; ++k) shift[i] += root[i * d + k] * z[k];
      farthest = std::max(farthest, std::abs(shift[i]));
    }
    // Within e^+-12 of the estimate: along a nearly flat ridge of the likelihood a draw would else be 0 or infinite. The whole
    // draw is shortened, so that what the data do determine (a ratio of two parameters, say) stays.
    const double length = farthest > 12 ? 12 / farthest : 1;
    for (std::size_t i = 0; i < d; ++i) out[n * d + i] = values[i] * std::exp(length * shift[i]);
  }
  return out;
}

void ParameterFit::save_state(StateWriter& writer) const {
  // NaN does not belong into a file's structure: the diagonal's sign says which rows have a covariance.
  std::vector<double> known = covariance;
  for (double& c : known)
    if (!std::isfinite(c)) c = 0;
  writer.put_doubles("values", values);
  writer.put_doubles("covariance", known);
  writer.put_strings("at_bound", at_bound);
  writer.put_double("log_likelihood", log_likelihood);
  writer.put_double("gradient", gradient);
  writer.put_int("iterations", iterations);
  writer.put_bool("converged", converged);
  writer.put_int("customers", customers);
  writer.put_int("distinct", distinct);
}

ParameterFit ParameterFit::from_state(const StateReader& reader, std::span<const char* const> names) {
  ParameterFit out;
  const std::size_t d = names.size();
  out.names.assign(names.begin(), names.end());
  out.values = reader.get_doubles("values");
  if (out.values.size() != d) reader.fail("values", "found " + std::to_string(out.values.size()) + " parameters, expected " + std::to_string(d));
  for (const double v : out.values)
    if (!std::isfinite(v) || v <= 0) reader.fail("values", "found " + std::to_string(v) + ", expected finite numbers > 0");
  out.covariance = reader.get_doubles("covariance");
  if (out.covariance.size() != d * d) reader.fail("covariance", "found " + std::to_string(out.covariance.size()) + " numbers, expected " + std::to_string(d * d));
  std::vector<bool> unknown(d);
  for (std::size_t i = 0; i < d; ++i) {
    const double variance = out.covariance[i * d + i];
    if (!std::isfinite(variance) || variance < 0) reader.fail("covariance", "found the variance " + std::to_string(variance) + ", expected a finite number >= 0");
    unknown[i] = variance == 0;
  }
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) {
      if (!std::isfinite(out.covariance[i * d + j])) reader.fail("covariance", "found a number that is not finite");
      if (unknown[i] || unknown[j]) out.covariance[i * d + j] = std::numeric_limits<double>::quiet_NaN();
    }
  out.at_bound = reader.get_strings("at_bound");
  out.log_likelihood = reader.get_double("log_likelihood");
  out.gradient = reader.get_double("gradient");
  out.iterations = static_cast<std::int32_t>(reader.get_int("iterations", 0, 1 << 30));
  out.converged = reader.get_bool("converged");
  out.stop_reason = out.converged ? FitReport::StopReason::kConverged : FitReport::StopReason::kIterations;
  out.customers = reader.get_int("customers", 0, std::int64_t{1} << 48);
  out.distinct = reader.get_int("distinct", 0, std::int64_t{1} << 48);
  return out;
}

}  // namespace etalage
