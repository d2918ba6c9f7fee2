// SPDX-License-Identifier: Apache-2.0
// Settings, and those that make the published members of the family.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "etalage/models/graph_filter.hpp"

namespace etalage {
namespace {

constexpr std::size_t kMostCoefficients = 64;

void require_coefficients(const std::vector<float>& values, const char* name, bool may_be_empty) {
  detail::require(values.size() <= kMostCoefficients && (may_be_empty || !values.empty()),
                  (std::string("size of ") + name).c_str(), values.size(), may_be_empty ? "<= 64" : "in [1, 64]");
  for (const float c : values) detail::require_finite(true, name, c, "finite");
}

}  // namespace

void GraphFilterOptions::validate() const {
  require_options(*this);
  require_coefficients(coefficients, "coefficients", true);
  require_coefficients(low_pass_coefficients, "low_pass_coefficients", false);
}

std::int32_t GraphFilterOptions::default_factors(std::int32_t num_users, std::int32_t num_items) noexcept {
  return std::clamp(std::min(num_users, num_items) / 16, 0, 512) / 16 * 16;
}

GraphFilterOptions GraphFilterOptions::gf_cf(float weight, std::int32_t factors) {
  GraphFilterOptions o;
  o.history_exponent = o.item_exponent = 0.5f;
  o.user_exponent = 1;
  o.low_pass_factors = factors;
  o.low_pass_weight = weight;
  o.sharpen_factors = 0;
  o.sharpen_weight = GraphFilterOptions{}.sharpen_weight.value();  // without effect: nothing is left to a fit
  o.equal_scale = false;
  return o;
}

GraphFilterOptions GraphFilterOptions::link_prop(float history_exponent, float user_exponent, float item_exponent) {
  GraphFilterOptions o;
  o.history_exponent = history_exponent;
  o.user_exponent = user_exponent;
  o.item_exponent = item_exponent;
  o.low_pass_factors = 0;
  o.sharpen_factors = 0;
  o.sharpen_weight = GraphFilterOptions{}.sharpen_weight.value();  // without effect: nothing is left to a fit
  return o;
}

GraphFilterOptions GraphFilterOptions::cheby_cf(int order, float flatness, float beta, float weight, std::int32_t factors) {
  detail::require(order >= 1 && order < static_cast<int>(kMostCoefficients), "order", order, "in [1, 63]");
  detail::require_finite(flatness > 0, "flatness", flatness, "finite and > 0");
  GraphFilterOptions o = gf_cf(weight, factors);
  o.history_exponent = o.low_pass_history_exponent = 0.5f + beta;
  o.item_exponent = 0.5f - beta;
  o.low_pass_history_exponent = beta;
  o.low_pass_target_exponent = -beta;
  o.basis = FilterBasis::kChebyshev;
  // The plateau is sampled at the order + 1 points cos(pi k / order) and fitted as if they were Chebyshev nodes, both
  // rounded to three decimals: so the authors' program does it.
  const auto rounded = [](double v) { return std::nearbyint(v * 1000) / 1000; };
  const std::size_t n = static_cast<std::size_t>(order) + 1;
  std::vector<double> target(n);
  for (std::size_t k = 0; k < n; ++k) {
    const double x = rounded(std::cos(static_cast<double>(n - 1 - k) / order * std::numbers::pi));
    const double half = 0.5 * std::pow(std::abs(x), static_cast<double>(flatness));
    target[k] = rounded(x < 0 ? 0.5 + half : 0.5 - half);
  }
  o.coefficients.assign(n, 0.0f);
  for (std::size_t k = 0; k < n; ++k) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double angle = (static_cast<double>(n - i) - 0.5) / static_cast<double>(n) * std::numbers::pi;
      sum += target[i] * std::cos(static_cast<double>(k) * angle);
    }
    o.coefficients[k] = static_cast<float>(sum * (k == 0 ? 1.0 : 2.0) / static_cast<double>(n));
  }
  return o;
}

GraphFilterOptions GraphFilterOptions::bspm(float weight, std::int32_t factors, float time, int steps, bool early_merge) {
  detail::require_finite(time >= 0, "time", time, "finite and >= 0");
  detail::require(steps >= 0 && steps < static_cast<int>(kMostCoefficients) - 1, "steps", steps, "in [0, 62]");
  GraphFilterOptions o = gf_cf(weight, factors);
  // A step of sharpening takes y to y - (time / steps) y S.
  std::vector<float> sharpen{1};
  for (int i = 0; i < steps; ++i) {
    sharpen.push_back(0);
    for (std::size_t k = sharpen.size() - 1; k > 0; --k) sharpen[k] -= time / static_cast<float>(steps) * sharpen[k - 1];
  }
  o.coefficients = sharpen;
  o.coefficients.insert(o.coefficients.begin(), 0.0f);  // blurring: y = h S
  if (early_merge) o.low_pass_coefficients = sharpen;
  return o;
}

GraphFilterOptions GraphFilterOptions::sgfcf(float epsilon, std::int32_t factors, float power, float weight) {
  GraphFilterOptions o;
  o.user_exponent = 2 * epsilon;
  o.history_exponent = o.item_exponent = epsilon;
  o.low_pass_factors = factors;
  o.low_pass_weight = weight;
  o.sharpen_factors = 0;
  o.sharpen_weight = GraphFilterOptions{}.sharpen_weight.value();  // without effect: nothing is left to a fit
  o.low_pass_power = power;
  o.low_pass_user_exponent = o.low_pass_item_exponent = epsilon;
  o.low_pass_history_exponent = epsilon;
  o.low_pass_target_exponent = 0;
  return o;
}

}  // namespace etalage
