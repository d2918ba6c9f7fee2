// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "etalage/serving/rerank.hpp"
#include "kernels/dot_kernels.hpp"

namespace etalage {

namespace serving {

/// Working memory of a re-ranking: a part of Scratch. Vectors only grow.
struct RerankMemory {
  std::vector<float> inverse_norms;        ///< [n] 1 / |vector|, or 1 / sqrt(depth) of a category path; 0 without, -1 when not asked for yet
  std::vector<const float*> rows;          ///< [n]
  std::vector<float> zero;                 ///< [dim] what a null vector points to
  std::vector<float> similarities;         ///< [n] to the last chosen
  std::vector<float> nearest;              ///< [n] the largest similarity to what is chosen, of those it was compared with
  std::vector<std::uint32_t> compared;     ///< [n] how many of the chosen those are
  std::vector<std::size_t> chosen;
  std::vector<double> residual;            ///< [n] what a candidate would multiply the determinant by
  std::vector<double> cholesky;            ///< [k x n] a row a step
  std::vector<std::int32_t> place;         ///< [groups] index into the target's non-zero entries, -1 without
  std::vector<std::int32_t> target_groups; ///< groups that the target wants
  std::vector<double> counts;              ///< of each of them among the chosen
  std::vector<double> divergence;          ///< KL after one more of each of them
  std::vector<std::uint8_t> taken;         ///< [n]
  std::vector<std::int32_t> window;        ///< the candidates that take part
  std::vector<float> relevance;
  std::vector<const float*> vectors;
  std::vector<std::int32_t> items;
  std::vector<std::int32_t> groups;
};

/// Likeness of candidates to one another.
class Alikeness {
 public:
  Alikeness(const RerankOptions& options, const RerankInput& input, RerankMemory& s)
      : input_(input), s_(s), n_(input.relevance.size()), by_vectors_(options.likeness == Likeness::kVectors) {
    s.inverse_norms.resize(std::max(s.inverse_norms.size(), n_));
    s.similarities.resize(std::max(s.similarities.size(), n_));
    std::fill_n(s.inverse_norms.begin(), n_, kUnknown);
    if (!by_vectors_) return;
    s.rows.resize(std::max(s.rows.size(), n_));
    if (s.zero.size() < input.dim) s.zero.assign(input.dim, 0.0f);
    for (std::size_t i = 0; i < n_; ++i) s.rows[i] = input.vectors[i] == nullptr ? s.zero.data() : input.vectors[i];
  }

  /// [n] cosine with candidate j, 0 where either has nothing.
  std::span<const float> to(std::size_t j) const {
    float* out = s_.similarities.data();
    if (by_vectors_) kernels::dot().dots(s_.rows[j], s_.rows.data(), n_, input_.dim, out);
    else
      for (std::size_t i = 0; i < n_; ++i) out[i] = static_cast<float>(input_.catalog->common_depth(input_.items[j], input_.items[i]));
    for (std::size_t i = 0; i < n_; ++i) out[i] *= inverse_norm(i) * inverse_norm(j);
    return {out, n_};
  }
  /// to(j)[i], bit for bit; never below least(), which only lengths at the end of what a float holds would let it be.
  [[nodiscard]] float between(std::size_t i, std::size_t j) const noexcept {
    float out = by_vectors_ ? dot_(s_.rows[j], s_.rows[i], input_.dim)
                            : static_cast<float>(input_.catalog->common_depth(input_.items[j], input_.items[i]));
    out *= inverse_norm(i) * inverse_norm(j);
    return std::max(least(), out);
  }
  /// Of cosines, whatever their rounding.
  [[nodiscard]] float least() const noexcept { return by_vectors_ ? -1.001f : 0.0f; }
  [[nodiscard]] bool by_vectors() const noexcept { return by_vectors_; }

 private:
  static constexpr float kUnknown = -1;

  [[nodiscard]] float inverse_norm(std::size_t i) const noexcept {
    float& inverse = s_.inverse_norms[i];
    if (inverse == kUnknown) {
      const float square = by_vectors_ ? dot_(s_.rows[i], s_.rows[i], input_.dim)
                                       : static_cast<float>(input_.catalog->category_depth(input_.items[i]));
      inverse = square > 0 ? 1 / std::sqrt(square) : 0.0f;
    }
    return inverse;
  }

  const RerankInput& input_;
  RerankMemory& s_;
  std::size_t n_;
  bool by_vectors_ = true;
  decltype(kernels::DotTable::dot) dot_ = kernels::dot().dot;
};

// A policy says what each candidate would bring next (gain), also if its relevance were another (gain_with), and hears what was
// chosen. A gain that is not above `least` need not be exact: it is at least the true one and not above `least`. bound() is at
// least the gain and costs nothing; ceiling() is at least the gain of all candidates whose relevance is not above this one's.

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();
inline constexpr double kNoLeast = -kUnbounded;

class ByRelevance {
 public:
  ByRelevance(const RerankOptions&, const RerankInput& input, RerankMemory&) : relevance_(input.relevance) {}
  void before() noexcept {}
  [[nodiscard]] double gain(std::size_t i, double = kNoLeast) const noexcept { return relevance_[i]; }
  [[nodiscard]] double bound(std::size_t i) const noexcept { return relevance_[i]; }
  [[nodiscard]] double ceiling(std::size_t i) const noexcept { return relevance_[i]; }
  [[nodiscard]] static double gain_with(std::size_t, float relevance) noexcept { return relevance; }
  void choose(std::size_t) noexcept {}

 private:
  std::span<const float> relevance_;
};

/// A candidate's likeness to what is chosen only grows: it is compared with what was chosen since it was last looked at while
/// that could still make it the best. Most are never looked at, others need one or two comparisons.
class ByMarginalRelevance {
 public:
  ByMarginalRelevance(const RerankOptions& options, const RerankInput& input, RerankMemory& s)
      : relevance_(input.relevance), diversity_(options.diversity), alike_(options, input, s), nearest_(s.nearest), compared_(s.compared), chosen_(s.chosen) {
    const std::size_t n = relevance_.size();
    if (nearest_.size() < n) nearest_.resize(n);
    if (compared_.size() < n) compared_.resize(n);
    std::fill_n(nearest_.begin(), n, alike_.least());
    std::fill_n(compared_.begin(), n, 0u);
    chosen_.clear();
  }
  void before() noexcept {}
  [[nodiscard]] double gain(std::size_t i, double least = kNoLeast) noexcept {
    double most = bound(i);
    for (std::uint32_t& c = compared_[i]; c < chosen_.size() && most > least; most = bound(i)) nearest_[i] = std::max(nearest_[i], alike_.between(i, chosen_[c++]));
    return most;
  }
  [[nodiscard]] double gain_with(std::size_t i, float relevance) noexcept {
    (void)gain(i);  // compared with all that were chosen
    return worth(relevance, chosen_.empty() ? 0.0f : nearest_[i]);
  }
  [[nodiscard]] double bound(std::size_t i) const noexcept { return worth(relevance_[i], chosen_.empty() ? 0.0f : nearest_[i]); }
  [[nodiscard]] double ceiling(std::size_t i) const noexcept { return worth(relevance_[i], chosen_.empty() ? 0.0f : alike_.least()); }
  void choose(std::size_t j) { chosen_.push_back(j); }

 private:
  [[nodiscard]] double worth(float relevance, float nearest) const noexcept { return (1 - diversity_) * relevance - diversity_ * nearest; }

  std::span<const float> relevance_;
  float diversity_;
  Alikeness alike_;
  std::vector<float>& nearest_;           // of those it was compared with
  std::vector<std::uint32_t>& compared_;  // with so many of the chosen, in their order
  std::vector<std::size_t>& chosen_;
};

class ByDeterminant {
 public:
  static constexpr double kNothingNew = 1e-6;

  ByDeterminant(const RerankOptions& options, const RerankInput& input, RerankMemory& s)
      : relevance_(input.relevance), diversity_(options.diversity), alike_(options, input, s), residual_(s.residual), rows_(s.cholesky) {
    const std::size_t n = relevance_.size();
    if (residual_.size() < n) residual_.resize(n);
    std::fill_n(residual_.begin(), n, 1.0);
  }
  void before() noexcept {}
  [[nodiscard]] double gain(std::size_t i, double = kNoLeast) const noexcept { return gain_with(i, relevance_[i]); }
  [[nodiscard]] double gain_with(std::size_t i, float relevance) const noexcept {
    if (residual_[i] < kNothingNew) return -1e6 + relevance;
    return (1 - diversity_) * static_cast<double>(relevance) + diversity_ * std::log(residual_[i]);
  }
  [[nodiscard]] static double bound(std::size_t) noexcept { return kUnbounded; }
  [[nodiscard]] static double ceiling(std::size_t) noexcept { return kUnbounded; }
  void choose(std::size_t j) {
    if (residual_[j] < kNothingNew) return;
    const std::size_t n = relevance_.size();
    if (rows_.size() < (steps_ + 1) * n) rows_.resize((steps_ + 1) * n);
    double* row = rows_.data() + steps_ * n;
    const std::span<const float> s = alike_.to(j);
    for (std::size_t i = 0; i < n; ++i) row[i] = alike_.by_vectors() ? 0.5 + 0.5 * static_cast<double>(s[i]) : static_cast<double>(s[i]);
    row[j] = 1;
    for (std::size_t t = 0; t < steps_; ++t) {
      const double* earlier = rows_.data() + t * n;
      const double c = earlier[j];
      for (std::size_t i = 0; i < n; ++i) row[i] -= c * earlier[i];
    }
    const double scale = 1 / std::sqrt(residual_[j]);
    for (std::size_t i = 0; i < n; ++i) {
      row[i] *= scale;
      residual_[i] -= row[i] * row[i];
    }
    ++steps_;
  }

 private:
  std::span<const float> relevance_;
  double diversity_;
  Alikeness alike_;
  std::vector<double>& residual_;
  std::vector<double>& rows_;
  std::size_t steps_ = 0;
};

class ByCalibration {
 public:
  ByCalibration(const RerankOptions& options, const RerankInput& input, RerankMemory& s)
      : relevance_(input.relevance), groups_(input.groups), target_(input.target), diversity_(options.diversity),
        smoothing_(options.smoothing), s_(s) {
    s.place.assign(target_.size(), -1);
    s.target_groups.clear();
    for (std::size_t g = 0; g < target_.size(); ++g) {
      if (!(target_[g] > 0)) continue;
      s.place[g] = static_cast<std::int32_t>(s.target_groups.size());
      s.target_groups.push_back(static_cast<std::int32_t>(g));
    }
    s.counts.assign(s.target_groups.size(), 0.0);
    if (s.divergence.size() < s.counts.size()) s.divergence.resize(s.counts.size());
  }

  // The divergence after one more of each group, and after one more of a group that the target does not want.
  void before() noexcept {
    const std::size_t m = s_.counts.size();
    now_ = other_ = 0;
    for (std::size_t g = 0; g < m; ++g) {
      now_ += term(g, s_.counts[g], chosen_);
      other_ += term(g, s_.counts[g], chosen_ + 1);
    }
    for (std::size_t g = 0; g < m; ++g)
      s_.divergence[g] = other_ - term(g, s_.counts[g], chosen_ + 1) + term(g, s_.counts[g] + 1, chosen_ + 1);
  }
  [[nodiscard]] double gain(std::size_t i, double = kNoLeast) const noexcept { return gain_with(i, relevance_[i]); }
  [[nodiscard]] double gain_with(std::size_t i, float relevance) const noexcept {
    const std::int32_t g = groups_[i];
    double after = now_;
    if (g >= 0) {
      const std::int32_t at = s_.place[static_cast<std::size_t>(g)];
      after = at < 0 ? other_ : s_.divergence[static_cast<std::size_t>(at)];
    }
    return (1 - diversity_) * static_cast<double>(relevance) - diversity_ * after;
  }
  [[nodiscard]] static double bound(std::size_t) noexcept { return kUnbounded; }
  [[nodiscard]] static double ceiling(std::size_t) noexcept { return kUnbounded; }
  void choose(std::size_t j) noexcept {
    const std::int32_t g = groups_[j];
    if (g < 0) return;
    chosen_ += 1;
    const std::int32_t at = s_.place[static_cast<std::size_t>(g)];
    if (at >= 0) s_.counts[static_cast<std::size_t>(at)] += 1;
  }

 private:
  [[nodiscard]] double term(std::size_t at, double count, double all) const noexcept {
    const double p = target_[static_cast<std::size_t>(s_.target_groups[at])];
    const double q = all > 0 ? count / all : 0;
    return p * std::log(p / ((1 - smoothing_) * q + smoothing_ * p));
  }
  std::span<const float> relevance_;
  std::span<const std::int32_t> groups_;
  std::span<const float> target_;
  double diversity_;
  double smoothing_;
  RerankMemory& s_;
  double chosen_ = 0;
  double now_ = 0;
  double other_ = 0;
};

/// Calls f with the policy that the options ask for.
template <class F>
auto with_policy(const RerankOptions& options, const RerankInput& input, RerankMemory& s, F&& f) {
  switch (options.method) {
    case RerankMethod::kMmr: {
      ByMarginalRelevance policy(options, input, s);
      return f(policy);
    }
    case RerankMethod::kDpp: {
      ByDeterminant policy(options, input, s);
      return f(policy);
    }
    case RerankMethod::kCalibrated: {
      ByCalibration policy(options, input, s);
      return f(policy);
    }
    case RerankMethod::kNone: break;
  }
  ByRelevance policy(options, input, s);
  return f(policy);
}

}  // namespace serving
}  // namespace etalage
