// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/linear_ranker.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"

namespace etalage {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

constexpr std::size_t kChunks = 64;  // partial sums, whatever the number of threads
constexpr std::size_t kMostFeatures = 4096;

struct Lists {
  MatrixView<const float> rows;
  std::span<const std::int64_t> offsets;
  std::span<const float> gains;
  std::vector<std::size_t> taught;  // with a gain
  std::vector<double> weights;      // of those, summing to 1
};

void check(MatrixView<const float> rows, std::span<const std::int64_t> offsets, std::span<const float> gains, std::span<const float> weights) {
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != static_cast<std::int64_t>(rows.rows()))
    throw std::invalid_argument("offsets must begin at 0 and end at the number of rows, " + std::to_string(rows.rows()));
  for (std::size_t l = 1; l < offsets.size(); ++l)
    if (offsets[l] < offsets[l - 1]) throw std::invalid_argument("offsets must ascend, entry " + std::to_string(l) + " does not");
  if (gains.size() != rows.rows())
    throw std::invalid_argument("gains has " + std::to_string(gains.size()) + " entries, must have one for each of the " + std::to_string(rows.rows()) + " rows");
  if (!weights.empty() && weights.size() != offsets.size() - 1)
    throw std::invalid_argument("weights has " + std::to_string(weights.size()) + " entries, must have one for each of the " +
                                std::to_string(offsets.size() - 1) + " lists");
  detail::require(rows.cols() >= 1 && rows.cols() <= kMostFeatures, "number of features", rows.cols(), "in [1, 4096]");
  for (const float g : gains) detail::require_finite(g >= 0, "gains", g, "finite and >= 0");
  for (const float w : weights) detail::require_finite(w >= 0, "weights", w, "finite and >= 0");
  for (std::size_t i = 0; i < rows.rows(); ++i)
    for (const float x : rows.row(i))
      if (std::isinf(x)) throw std::invalid_argument("rows holds inf in row " + std::to_string(i) + ", must be finite, or NaN where missing");
}

// Known features, scaled, then marks of the missing ones.
void spread(std::span<const float> x, std::span<const double> means, std::span<const double> inverse, double* out) {
  const std::size_t f = x.size();
  for (std::size_t j = 0; j < f; ++j) {
    const bool missing = std::isnan(x[j]);
    out[j] = missing ? 0.0 : (static_cast<double>(x[j]) - means[j]) * inverse[j];
    out[f + j] = missing ? 1.0 : 0.0;
  }
}

struct Sums {
  double loss = 0;
  Vector gradient;
  Matrix hessian;
};

class Objective {
 public:
  Objective(const Lists& lists, std::span<const double> means, std::span<const double> inverse, double l2, int num_threads)
      : lists_(lists), means_(means), inverse_(inverse), l2_(l2), num_threads_(num_threads) {}

  [[nodiscard]] Sums at(const Vector& w, bool curvature) const {
    const auto d = w.size();
    const std::size_t n = lists_.taught.size();
    const std::size_t grain = (n + kChunks - 1) / kChunks;
    std::vector<Sums> parts(detail::num_chunks(n, grain));
    detail::parallel_for(n, grain, num_threads_, [&](std::size_t begin, std::size_t end, int) {
      Sums& s = parts[begin / grain];
      s.gradient = Vector::Zero(d);
      if (curvature) s.hessian = Matrix::Zero(d, d);
      Matrix x;
      for (std::size_t i = begin; i < end; ++i) add(i, w, curvature, x, s);
    });
    Sums all{0, l2_ * w, l2_ * Matrix::Identity(curvature ? d : 0, curvature ? d : 0)};
    all.loss = l2_ / 2 * w.squaredNorm();
    for (const Sums& s : parts) {
      all.loss += s.loss;
      all.gradient += s.gradient;
      if (curvature) all.hessian += s.hessian;
    }
    return all;
  }

 private:
  void add(std::size_t i, const Vector& w, bool curvature, Matrix& x, Sums& s) const {
    const auto b = static_cast<std::size_t>(lists_.offsets[lists_.taught[i]]);
    const auto e = static_cast<std::size_t>(lists_.offsets[lists_.taught[i] + 1]);
    const auto n = static_cast<Eigen::Index>(e - b);
    x.resize(n, w.size());
    for (std::size_t r = b; r < e; ++r) spread(lists_.rows.row(r), means_, inverse_, x.row(static_cast<Eigen::Index>(r - b)).data());
    Vector p = x * w;
    Vector t(n);
    for (Eigen::Index r = 0; r < n; ++r) t[r] = static_cast<double>(lists_.gains[b + static_cast<std::size_t>(r)]);
    t /= t.sum();
    const double a = lists_.weights[i];
    const double most = p.maxCoeff();
    const double scores = t.dot(p);
    p = (p.array() - most).exp().matrix();
    const double sum = p.sum();
    p /= sum;
    s.loss += a * (most + std::log(sum) - scores);
    const Vector mean = x.transpose() * p;
    s.gradient += a * (mean - x.transpose() * t);
    if (!curvature) return;
    x = (p * a).cwiseSqrt().asDiagonal() * x;
    s.hessian.noalias() += x.transpose() * x;
    s.hessian.noalias() -= a * mean * mean.transpose();
  }

  const Lists& lists_;
  std::span<const double> means_;
  std::span<const double> inverse_;
  double l2_;
  int num_threads_;
};

}  // namespace

std::vector<float> bootstrap_weights(std::span<const std::int64_t> groups, std::span<const std::uint8_t> taught, std::uint64_t seed, std::uint64_t model) {
  if (taught.size() != groups.size())
    throw std::invalid_argument("taught has " + std::to_string(taught.size()) + " entries, must have one for each of the " + std::to_string(groups.size()) + " groups");
  if (std::none_of(taught.begin(), taught.end(), [](std::uint8_t t) { return t != 0; }))
    throw std::invalid_argument("taught marks no list, must mark one: nothing can be learned");
  // P(count <= c) of Poisson(1), c = 0, 1, ...: what lies beyond the last comes once in ten million.
  constexpr std::array<double, 10> kAtMost = {0.36787944117144233, 0.7357588823428847, 0.9196986029286058, 0.9810118431238463, 0.9963401531726563,
                                              0.9994058151824183,  0.999916758850712,  0.9999897508033253, 0.999998874797402,  0.9999998885745216};
  std::vector<float> out(groups.size());
  for (std::uint64_t attempt = 0;; ++attempt) {
    bool any = false;
    for (std::size_t l = 0; l < groups.size(); ++l) {
      const std::uint64_t resample = detail::split_mix(detail::split_mix(seed + detail::kSplitMixStep * (model + 1)) + detail::kSplitMixStep * attempt);
      const std::uint64_t drawn = detail::split_mix(resample + detail::kSplitMixStep * (static_cast<std::uint64_t>(groups[l]) + 1));
      const double uniform = static_cast<double>(drawn >> 11) * 0x1p-53;
      out[l] = static_cast<float>(std::upper_bound(kAtMost.begin(), kAtMost.end(), uniform) - kAtMost.begin());
      any = any || (out[l] > 0 && taught[l] != 0);
    }
    if (any) return out;
  }
}

void LinearRankerOptions::validate() const { require_options(*this); }

LinearRanker LinearRanker::fit(MatrixView<const float> rows, std::span<const std::int64_t> offsets, std::span<const float> gains,
                               std::span<const float> weights, const LinearRankerOptions& options) {
  options.validate();
  check(rows, offsets, gains, weights);
  Lists lists{rows, offsets, gains, {}, {}};
  double whole = 0;
  for (std::size_t l = 0; l + 1 < offsets.size(); ++l) {
    const double a = weights.empty() ? 1.0 : static_cast<double>(weights[l]);
    const auto b = static_cast<std::size_t>(offsets[l]);
    const auto list = gains.subspan(b, static_cast<std::size_t>(offsets[l + 1]) - b);
    if (!(a > 0) || std::none_of(list.begin(), list.end(), [](float g) { return g > 0; })) continue;
    lists.taught.push_back(l);
    lists.weights.push_back(a);
    whole += a;
  }
  if (lists.taught.empty()) throw std::invalid_argument("gains has no list with a gain above 0, must have one: nothing can be learned");
  for (double& a : lists.weights) a /= whole;

  const std::size_t f = rows.cols();
  LinearRanker out;
  out.means_.assign(f, 0.0);
  out.inverse_.assign(f, 0.0);
  std::vector<double> known(f, 0.0);
  std::vector<double> squares(f, 0.0);
  const auto each = [&](const auto& visit) {
    for (const std::size_t l : lists.taught)
      for (auto r = static_cast<std::size_t>(offsets[l]); r < static_cast<std::size_t>(offsets[l + 1]); ++r)
        for (std::size_t j = 0; j < f; ++j)
          if (const float x = rows.row(r)[j]; !std::isnan(x)) visit(j, static_cast<double>(x));
  };
  out.least_.assign(f, std::numeric_limits<double>::max());
  out.most_.assign(f, std::numeric_limits<double>::lowest());
  each([&](std::size_t j, double x) {
    out.means_[j] += x;
    known[j] += 1;
    out.least_[j] = std::min(out.least_[j], x);
    out.most_[j] = std::max(out.most_[j], x);
  });
  for (std::size_t j = 0; j < f; ++j) out.means_[j] = known[j] > 0 ? out.means_[j] / known[j] : 0;
  each([&](std::size_t j, double x) { squares[j] += (x - out.means_[j]) * (x - out.means_[j]); });
  for (std::size_t j = 0; j < f; ++j) {
    const double deviation = known[j] > 0 ? std::sqrt(squares[j] / known[j]) : 0;
    if (known[j] == 0) out.least_[j] = out.most_[j] = 0;
    // What does not vary says nothing.
    out.inverse_[j] = deviation > 1e-12 * (1 + std::abs(out.means_[j])) ? 1 / deviation : 0;
  }

  const Objective objective(lists, out.means_, out.inverse_, options.l2, detail::resolve_threads(options.num_threads));
  Vector w = Vector::Zero(static_cast<Eigen::Index>(2 * f));
  Sums here = objective.at(w, true);
  for (; out.report_.iterations < options.max_iterations && here.gradient.norm() > options.tolerance; ++out.report_.iterations) {
    const Vector step = here.hessian.ldlt().solve(-here.gradient);
    const double slope = here.gradient.dot(step);
    double length = 1;
    bool moved = false;
    for (int halving = 0; halving < 40 && !moved; ++halving, length /= 2) {
      const Vector next = w + length * step;
      const double loss = objective.at(next, false).loss;
      if (!(loss <= here.loss + 1e-4 * length * slope)) continue;
      w = next;
      moved = true;
    }
    if (!moved) break;  // at the rounding of the loss
    here = objective.at(w, true);
  }
  out.weights_.assign(w.data(), w.data() + f);
  out.missing_.assign(w.data() + f, w.data() + 2 * f);
  out.report_.loss = here.loss;
  out.report_.gradient = here.gradient.norm();
  out.report_.lists = static_cast<std::int64_t>(lists.taught.size());
  return out;
}

double LinearRanker::score(std::span<const float> row) const noexcept {
  double sum = 0;
  for (std::size_t j = 0; j < weights_.size(); ++j)
    sum += std::isnan(row[j]) ? missing_[j] : weights_[j] * ((std::clamp(static_cast<double>(row[j]), least_[j], most_[j]) - means_[j]) * inverse_[j]);
  return sum;
}

void LinearRanker::save_state(StateWriter& w) const {
  w.put_doubles("weights", weights_);
  w.put_doubles("missing", missing_);
  w.put_doubles("means", means_);
  w.put_doubles("inverse", inverse_);
  w.put_doubles("least", least_);
  w.put_doubles("most", most_);
  w.put_doubles("report", std::vector<double>{report_.loss, report_.gradient, static_cast<double>(report_.iterations), static_cast<double>(report_.lists)});
}

LinearRanker LinearRanker::from_state(const StateReader& r) {
  LinearRanker out;
  out.weights_ = r.get_doubles("weights");
  out.missing_ = r.get_doubles("missing");
  out.means_ = r.get_doubles("means");
  out.inverse_ = r.get_doubles("inverse");
  if (r.has("least")) {
    out.least_ = r.get_doubles("least");
    out.most_ = r.get_doubles("most");
  } else {  // of before ends were kept
    out.least_.assign(out.weights_.size(), std::numeric_limits<double>::lowest());
    out.most_.assign(out.weights_.size(), std::numeric_limits<double>::max());
  }
  for (const auto* v : {&out.weights_, &out.missing_, &out.means_, &out.inverse_, &out.least_, &out.most_})
    if (v->size() != out.weights_.size() || !std::all_of(v->begin(), v->end(), [](double x) { return std::isfinite(x); }))
      r.fail("weights", "found lists of unequal length or numbers that are not finite");
  for (std::size_t j = 0; j < out.least_.size(); ++j)
    if (!(out.least_[j] <= out.most_[j])) r.fail("least", "found one above its most, in entry " + std::to_string(j));
  const std::vector<double> report = r.get_doubles("report");
  if (report.size() == 4) out.report_ = {report[0], report[1], static_cast<std::int32_t>(report[2]), static_cast<std::int64_t>(report[3])};
  return out;
}

}  // namespace etalage
