// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/linear_uplift.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "etalage/error.hpp"

namespace etalage {
namespace {

constexpr std::size_t kMostFeatures = 4096;
constexpr std::size_t kMostArms = 1000;

/// Solves a x = b in place for a symmetric positive definite a [d x d], lower triangle, by Cholesky's factors.
void solve(std::vector<double>& a, std::vector<double>& b) {
  const std::size_t d = b.size();
  for (std::size_t c = 0; c < d; ++c) {
    for (std::size_t r = c; r < d; ++r) {
      double sum = a[r * d + c];
      for (std::size_t k = 0; k < c; ++k) sum -= a[r * d + k] * a[c * d + k];
      a[r * d + c] = r == c ? std::sqrt(sum) : sum / a[c * d + c];
    }
  }
  for (std::size_t r = 0; r < d; ++r) {
    for (std::size_t k = 0; k < r; ++k) b[r] -= a[r * d + k] * b[k];
    b[r] /= a[r * d + r];
  }
  for (std::size_t r = d; r-- > 0;) {
    for (std::size_t k = r + 1; k < d; ++k) b[r] -= a[k * d + r] * b[k];
    b[r] /= a[r * d + r];
  }
}

struct Scaling {
  std::vector<double> mean;
  std::vector<double> scale;  // 0 for a column that does not vary
};

Scaling scaling_of(MatrixView<const double> x) {
  Scaling s{std::vector<double>(x.cols(), 0.0), std::vector<double>(x.cols(), 0.0)};
  const auto n = static_cast<double>(x.rows());
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t c = 0; c < x.cols(); ++c) s.mean[c] += x(i, c) / n;
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t c = 0; c < x.cols(); ++c) s.scale[c] += (x(i, c) - s.mean[c]) * (x(i, c) - s.mean[c]) / n;
  for (std::size_t c = 0; c < x.cols(); ++c)
    s.scale[c] = s.scale[c] > 1e-24 * (1 + s.mean[c] * s.mean[c]) ? 1 / std::sqrt(s.scale[c]) : 0.0;
  return s;
}

/// Coefficients [d + 1] of one arm on standardised features, the intercept last.
std::vector<double> ridge(MatrixView<const double> x, std::span<const std::int32_t> arms, std::span<const double> y, std::int32_t arm,
                          const Scaling& s, double l2) {
  const std::size_t d = x.cols() + 1;
  std::vector<double> gram(d * d, 0.0);
  std::vector<double> right(d, 0.0);
  std::vector<double> z(d, 1.0);
  for (std::size_t i = 0; i < x.rows(); ++i) {
    if (arms[i] != arm) continue;
    for (std::size_t c = 0; c + 1 < d; ++c) z[c] = (x(i, c) - s.mean[c]) * s.scale[c];
    for (std::size_t r = 0; r < d; ++r) {
      right[r] += z[r] * y[i];
      for (std::size_t c = 0; c <= r; ++c) gram[r * d + c] += z[r] * z[c];
    }
  }
  for (std::size_t c = 0; c + 1 < d; ++c) gram[c * d + c] += l2;
  solve(gram, right);
  return right;
}

template <class T>
void require_entry(bool ok, const char* name, std::size_t i, T value, const char* rule) {
  if (!ok) throw std::invalid_argument(detail::violated((std::string(name) + "[" + std::to_string(i) + "]").c_str(), value, rule));
}

}  // namespace

void LinearUpliftOptions::validate() const { require_options(*this); }

FitReport LinearUplift::fit(MatrixView<const double> features, std::span<const std::int32_t> arms, std::span<const double> outcome,
                       const LinearUpliftOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  options.validate();
  const std::size_t n = features.rows();
  const std::size_t d = features.cols();
  if (n == 0 || arms.size() != n || outcome.size() != n)
    throw std::invalid_argument("features, treatment and outcome have " + std::to_string(n) + ", " + std::to_string(arms.size()) + " and " +
                                std::to_string(outcome.size()) + " rows, must have one number of them, at least 1");
  if (d > kMostFeatures) throw std::invalid_argument(detail::violated("features", std::to_string(d) + " columns", "at most 4096"));
  for (std::size_t i = 0; i < n; ++i) {
    require_entry(arms[i] >= 0 && static_cast<std::size_t>(arms[i]) < kMostArms, "treatment", i, arms[i], "in [0, 1000)");
    require_entry(std::isfinite(outcome[i]), "outcome", i, outcome[i], "finite");
    for (const double v : features.row(i)) require_entry(std::isfinite(v), "features", i, v, "finite");
  }
  const auto most = static_cast<std::size_t>(*std::max_element(arms.begin(), arms.end()));
  if (most == 0) throw std::invalid_argument("treatment is 0 throughout, must have a treated row");
  std::vector<std::size_t> rows(most + 1, 0);
  for (const std::int32_t a : arms) ++rows[static_cast<std::size_t>(a)];
  for (std::size_t a = 0; a <= most; ++a)
    if (rows[a] == 0)
      throw std::invalid_argument("treatment has no row of arm " + std::to_string(a) + (a == 0 ? ", the control" : "") + ", must have one");
  const Scaling s = scaling_of(features);
  const std::vector<double> control = ridge(features, arms, outcome, 0, s, options.l2);
  std::vector<double> coefficients(most * (d + 1));
  for (std::size_t a = 1; a <= most; ++a) {
    const std::vector<double> arm = ridge(features, arms, outcome, static_cast<std::int32_t>(a), s, options.l2);
    double* to = coefficients.data() + (a - 1) * (d + 1);
    to[d] = arm[d] - control[d];
    for (std::size_t c = 0; c < d; ++c) {
      to[c] = (arm[c] - control[c]) * s.scale[c];
      to[d] -= to[c] * s.mean[c];
    }
  }
  features_ = d;
  treatments_ = most;
  coefficients_ = std::move(coefficients);
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

void LinearUplift::predict(std::span<const double> row, std::span<double> out) const {
  if (!fitted()) throw NotFittedError("LinearUplift was asked before it was fitted: call fit() first");
  if (row.size() != features_ || out.size() != treatments_)
    throw std::invalid_argument("row has " + std::to_string(row.size()) + " features and out " + std::to_string(out.size()) + " entries, must have " +
                                std::to_string(features_) + " and " + std::to_string(treatments_));
  for (std::size_t a = 0; a < treatments_; ++a) {
    const double* w = coefficients_.data() + a * (features_ + 1);
    double sum = w[features_];
    for (std::size_t c = 0; c < features_; ++c) sum += w[c] * row[c];
    out[a] = sum;
  }
}

void LinearUplift::save_state(StateWriter& writer) const {
  if (!fitted()) throw NotFittedError("LinearUplift was asked to be saved before it was fitted: call fit() first");
  writer.put_int("features", static_cast<std::int64_t>(features_));
  writer.put_int("treatments", static_cast<std::int64_t>(treatments_));
  writer.put_array("coefficients", Array<double>(std::span<const double>(coefficients_)));
}

LinearUplift LinearUplift::from_state(const StateReader& reader) {
  LinearUplift out;
  out.features_ = static_cast<std::size_t>(reader.get_int("features", 0, static_cast<std::int64_t>(kMostFeatures)));
  out.treatments_ = static_cast<std::size_t>(reader.get_int("treatments", 1, static_cast<std::int64_t>(kMostArms) - 1));
  const auto found = reader.get_array<double>("coefficients", out.treatments_ * (out.features_ + 1));
  if (!std::all_of(found.view().begin(), found.view().end(), [](double v) { return std::isfinite(v); }))
    reader.fail("coefficients", "found a value that is not finite, expected finite ones");
  out.coefficients_.assign(found.view().begin(), found.view().end());
  return out;
}

}  // namespace etalage
