// SPDX-License-Identifier: Apache-2.0
#include "etalage/profile/logistic_regression.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "profile/sigmoid.hpp"

namespace etalage {
namespace {

constexpr double kLine = -std::numeric_limits<double>::infinity();

double basis(const LogisticRegression::Term& t, double x) { return ((t.knot == kLine ? x : std::max(0.0, x - t.knot)) - t.mean) * t.scale; }

/// Standardised basis [n x (terms + 1)], the last column 1.
class Problem {
 public:
  Problem(MatrixView<const float> x, std::span<const std::uint8_t> y, std::span<const LogisticRegression::Term> terms, double l2, int threads)
      : n_(x.rows()), d_(terms.size() + 1), y_(y), l2_(l2), threads_(threads), z_(n_ * d_) {
    detail::parallel_for(n_, 1024, threads, [&](std::size_t b, std::size_t e, int) {
      for (std::size_t i = b; i < e; ++i) {
        double* to = z_.data() + i * d_;
        for (std::size_t t = 0; t + 1 < d_; ++t) to[t] = basis(terms[t], static_cast<double>(x(i, static_cast<std::size_t>(terms[t].column))));
        to[d_ - 1] = 1;
      }
    });
    // Few, large chunks: each has a matrix of its own, and their number must not depend on the threads.
    grain_ = std::max<std::size_t>(512, (n_ + 15) / 16);
  }
  [[nodiscard]] std::size_t size() const { return d_; }

  [[nodiscard]] double margin(std::size_t i, const std::vector<double>& w) const {
    const double* z = z_.data() + i * d_;
    double m = 0;
    for (std::size_t t = 0; t < d_; ++t) m += w[t] * z[t];
    return m;
  }

  [[nodiscard]] double objective(const std::vector<double>& w) const {
    std::vector<double> parts(detail::num_chunks(n_, grain_), 0.0);
    detail::parallel_for(n_, grain_, threads_, [&](std::size_t b, std::size_t e, int) {
      double sum = 0;
      for (std::size_t i = b; i < e; ++i) sum += profile::log1p_exp(y_[i] ? -margin(i, w) : margin(i, w));
      parts[b / grain_] = sum;
    });
    double out = 0;
    for (const double p : parts) out += p;
    for (std::size_t t = 0; t + 1 < d_; ++t) out += 0.5 * l2_ * w[t] * w[t];
    return out;
  }

  /// Gradient [d] and the lower triangle of the Hessian [d x d].
  void derivatives(const std::vector<double>& w, std::vector<double>& gradient, std::vector<double>& hessian) const {
    const std::size_t chunks = detail::num_chunks(n_, grain_);
    const std::size_t stride = d_ + d_ * d_;
    std::vector<double> parts(chunks * stride, 0.0);
    detail::parallel_for(n_, grain_, threads_, [&](std::size_t b, std::size_t e, int) {
      double* g = parts.data() + b / grain_ * stride;
      double* h = g + d_;
      double c[4];
      for (std::size_t i = b; i < e; i += 4) {
        const std::size_t rows = std::min<std::size_t>(4, e - i);
        const double* z[4];
        for (std::size_t r = 0; r < 4; ++r) {
          z[r] = z_.data() + (i + std::min(r, rows - 1)) * d_;
          c[r] = 0;
          if (r >= rows) continue;
          const double p = profile::sigmoid(margin(i + r, w));
          c[r] = p * (1 - p);
          const double residual = p - (y_[i + r] ? 1.0 : 0.0);
          for (std::size_t t = 0; t < d_; ++t) g[t] += residual * z[r][t];
        }
        for (std::size_t a = 0; a < d_; ++a) {
          const double c0 = c[0] * z[0][a];
          const double c1 = c[1] * z[1][a];
          const double c2 = c[2] * z[2][a];
          const double c3 = c[3] * z[3][a];
          double* row = h + a * d_;
          for (std::size_t t = 0; t <= a; ++t) row[t] += c0 * z[0][t] + c1 * z[1][t] + c2 * z[2][t] + c3 * z[3][t];
        }
      }
    });
    gradient.assign(d_, 0.0);
    hessian.assign(d_ * d_, 0.0);
    for (std::size_t k = 0; k < chunks; ++k) {
      const double* g = parts.data() + k * stride;
      for (std::size_t t = 0; t < d_; ++t) gradient[t] += g[t];
      for (std::size_t t = 0; t < d_ * d_; ++t) hessian[t] += g[d_ + t];
    }
    for (std::size_t t = 0; t + 1 < d_; ++t) {
      gradient[t] += l2_ * w[t];
      hessian[t * d_ + t] += l2_;
    }
  }

 private:
  std::size_t n_;
  std::size_t d_;
  std::span<const std::uint8_t> y_;
  double l2_;
  int threads_;
  std::size_t grain_ = 512;
  std::vector<double> z_;
};

/// Solves A x = b for symmetric A given by its lower triangle, by LDL' with a ridge where a pivot vanishes.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const std::size_t d = b.size();
  double largest = 0;
  for (std::size_t i = 0; i < d; ++i) largest = std::max(largest, a[i * d + i]);
  for (std::size_t j = 0; j < d; ++j) {
    for (std::size_t i = j; i < d; ++i) {
      double sum = a[i * d + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * d + k] * a[j * d + k];
      if (i == j) a[j * d + j] = std::sqrt(std::max(sum, 1e-12 * largest + 1e-300));
      else a[i * d + j] = sum / a[j * d + j];
    }
  }
  for (std::size_t i = 0; i < d; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * d + k] * b[k];
    b[i] /= a[i * d + i];
  }
  for (std::size_t i = d; i-- > 0;) {
    for (std::size_t k = i + 1; k < d; ++k) b[i] -= a[k * d + i] * b[k];
    b[i] /= a[i * d + i];
  }
  return b;
}

/// Knots at even quantiles of a column, distinct and inside its range.
std::vector<double> knots_of(MatrixView<const float> x, std::size_t column, std::int32_t knots) {
  std::vector<double> out;
  if (knots == 0) return out;
  std::vector<float> values(x.rows());
  for (std::size_t i = 0; i < x.rows(); ++i) values[i] = x(i, column);
  std::sort(values.begin(), values.end());
  for (std::int32_t k = 1; k <= knots; ++k) {
    const auto at = static_cast<std::size_t>(static_cast<double>(k) / (knots + 1) * static_cast<double>(values.size() - 1));
    const auto v = static_cast<double>(values[at]);
    if (values[at] > values.front() && values[at] < values.back() && (out.empty() || v > out.back())) out.push_back(v);
  }
  return out;
}

}  // namespace

void LogisticOptions::validate() const { require_options(*this); }

LogisticRegression::Report LogisticRegression::fit(MatrixView<const float> features, std::span<const std::uint8_t> labels,
                                                   const LogisticOptions& options, std::span<const std::int32_t> columns) {
  options.validate();
  detail::require(features.rows() == labels.size(), "labels.size()", labels.size(), "the number of rows of features");
  const auto positives = static_cast<std::size_t>(std::count_if(labels.begin(), labels.end(), [](std::uint8_t y) { return y != 0; }));
  if (positives == 0 || positives == labels.size())
    throw std::invalid_argument("labels has " + std::to_string(positives) + " ones among " + std::to_string(labels.size()) + ", must have ones and zeros");
  for (std::size_t i = 0; i < features.rows(); ++i)
    for (const float v : features.row(i))
      if (!std::isfinite(v)) throw std::invalid_argument("features holds " + std::to_string(v) + " in row " + std::to_string(i) + ", must be finite");
  std::vector<std::int32_t> used(columns.begin(), columns.end());
  if (used.empty())
    for (std::size_t c = 0; c < features.cols(); ++c) used.push_back(static_cast<std::int32_t>(c));

  std::vector<Term> terms;
  const auto n = static_cast<double>(features.rows());
  for (const std::int32_t column : used) {
    detail::require_index(column, static_cast<std::int64_t>(features.cols()), "columns");
    std::vector<double> knots = knots_of(features, static_cast<std::size_t>(column), options.knots);
    knots.insert(knots.begin(), kLine);
    for (const double knot : knots) {
      Term t{column, knot, 0, 1, 0};
      double sum = 0;
      for (std::size_t i = 0; i < features.rows(); ++i) sum += basis(t, static_cast<double>(features(i, static_cast<std::size_t>(column))));
      t.mean = sum / n;
      double squares = 0;
      for (std::size_t i = 0; i < features.rows(); ++i) {
        const double v = basis(t, static_cast<double>(features(i, static_cast<std::size_t>(column))));
        squares += v * v;
      }
      const double deviation = std::sqrt(squares / n);
      if (deviation <= 1e-7 * (1 + std::abs(t.mean))) continue;
      t.scale = 1 / deviation;
      terms.push_back(t);
    }
  }

  const Problem problem(features, labels, terms, options.l2, options.num_threads);
  std::vector<double> w(problem.size(), 0.0);
  w.back() = std::log(static_cast<double>(positives) / static_cast<double>(labels.size() - positives));
  Report report;
  report.objective = problem.objective(w);
  std::vector<double> gradient;
  std::vector<double> hessian;
  for (;;) {
    problem.derivatives(w, gradient, hessian);
    report.gradient = 0;
    for (const double g : gradient) report.gradient = std::max(report.gradient, std::abs(g));
    report.converged = report.gradient <= options.tolerance * n;
    if (report.converged || report.iterations == options.max_iterations) break;
    const std::vector<double> step = solve(hessian, gradient);
    double length = 1;
    std::vector<double> next(w.size());
    double objective = 0;
    for (int halvings = 0; halvings < 40; ++halvings, length /= 2) {
      for (std::size_t t = 0; t < w.size(); ++t) next[t] = w[t] - length * step[t];
      objective = problem.objective(next);
      if (objective <= report.objective) break;
    }
    ++report.iterations;
    if (!std::isfinite(objective)) throw NumericalError("logistic regression left the finite numbers in step " + std::to_string(report.iterations) + "; raise l2");
    if (objective > report.objective) break;  // rounding is all that is left
    w = next;
    report.objective = objective;
  }
  for (std::size_t t = 0; t < terms.size(); ++t) terms[t].weight = w[t];
  terms_ = std::move(terms);
  intercept_ = w.back();
  num_features_ = features.cols();
  return report;
}

double LogisticRegression::margin(std::span<const float> row) const {
  if (!fitted()) throw NotFittedError("LogisticRegression is not fitted; call fit() first");
  detail::require(row.size() == num_features_, "row.size()", row.size(), "the number of features of the fit");
  double m = intercept_;
  for (const Term& t : terms_) m += t.weight * basis(t, static_cast<double>(row[static_cast<std::size_t>(t.column)]));
  return m;
}

void LogisticRegression::contributions(std::span<const float> row, std::span<double> out) const {
  if (!fitted()) throw NotFittedError("LogisticRegression is not fitted; call fit() first");
  detail::require(row.size() == num_features_, "row.size()", row.size(), "the number of features of the fit");
  detail::require(out.size() == num_features_, "out.size()", out.size(), "the number of features of the fit");
  std::fill(out.begin(), out.end(), 0.0);
  for (const Term& t : terms_) out[static_cast<std::size_t>(t.column)] += t.weight * basis(t, static_cast<double>(row[static_cast<std::size_t>(t.column)]));
}

void LogisticRegression::save_state(StateWriter& writer) const {
  std::vector<std::int32_t> columns;
  std::vector<double> numbers;
  for (const Term& t : terms_) {
    columns.push_back(t.column);
    numbers.insert(numbers.end(), {t.knot == kLine ? 0.0 : t.knot, t.knot == kLine ? 0.0 : 1.0, t.mean, t.scale, t.weight});
  }
  writer.put_int("features", static_cast<std::int64_t>(num_features_));
  writer.put_double("intercept", intercept_);
  writer.put_array("columns", Array<std::int32_t>(columns));
  writer.put_doubles("terms", numbers);
}

LogisticRegression LogisticRegression::from_state(const StateReader& reader) {
  LogisticRegression out;
  out.num_features_ = static_cast<std::size_t>(reader.get_int("features", 0, 65536));
  out.intercept_ = reader.get_double("intercept");
  const Array<std::int32_t> columns = reader.get_array<std::int32_t>("columns");
  const std::vector<double> numbers = reader.get_doubles("terms");
  if (numbers.size() != 5 * columns.size()) reader.fail("terms", "found " + std::to_string(numbers.size()) + " numbers, expected 5 a column");
  for (const double x : numbers)
    if (!std::isfinite(x)) reader.fail("terms", "found a number that is not finite");
  if (!std::isfinite(out.intercept_)) reader.fail("intercept", "found a number that is not finite");
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] < 0 || columns[i] >= static_cast<std::int32_t>(out.num_features_))
      reader.fail("columns", "found " + std::to_string(columns[i]) + ", expected a feature");
    const double* t = numbers.data() + 5 * i;
    out.terms_.push_back({columns[i], t[1] == 0 ? kLine : t[0], t[2], t[3], t[4]});
  }
  return out;
}

}  // namespace etalage
