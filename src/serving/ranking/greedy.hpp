// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "detail/prefetch.hpp"
#include "etalage/serving/rerank.hpp"
#include "kernels/dot_kernels.hpp"

namespace etalage {

namespace serving {

/// Working memory of a re-ranking: a part of Scratch. Vectors only grow.
struct RerankMemory {
  std::vector<float> inverse_norms;        ///< [n] 1 / |vector|, or 1 / sqrt(depth) of a category path; 0 without
  std::vector<const float*> rows;          ///< [n]
  std::vector<float> zero;                 ///< [dim] what a null vector points to
  std::vector<float> similarities;         ///< [n] to the last chosen
  std::vector<float> nearest;              ///< [n] the largest similarity to what is chosen
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

/// Likeness of all candidates to one of them.
class Alikeness {
 public:
  Alikeness(const RerankOptions& options, const RerankInput& input, RerankMemory& s) : input_(input), s_(s), n_(input.relevance.size()) {
    by_vectors_ = options.likeness == Likeness::kVectors;
    s.inverse_norms.resize(std::max(s.inverse_norms.size(), n_));
    s.similarities.resize(std::max(s.similarities.size(), n_));
    if (by_vectors_) {
      s.rows.resize(std::max(s.rows.size(), n_));
      if (s.zero.size() < input.dim) s.zero.assign(input.dim, 0.0f);
      constexpr std::size_t kAhead = 4;  // rows of candidates lie anywhere
      for (std::size_t i = 0; i < n_; ++i) {
        if (i + kAhead < n_ && input.vectors[i + kAhead] != nullptr) detail::prefetch(input.vectors[i + kAhead], input.dim * sizeof(float));
        s.rows[i] = input.vectors[i] == nullptr ? s.zero.data() : input.vectors[i];
        const float square = kernels::dot().dot(s.rows[i], s.rows[i], input.dim);
        s.inverse_norms[i] = square > 0 ? 1 / std::sqrt(square) : 0.0f;
      }
    } else {
      for (std::size_t i = 0; i < n_; ++i) {
        const std::int32_t depth = input.catalog->category_depth(input.items[i]);
        s.inverse_norms[i] = depth > 0 ? 1 / std::sqrt(static_cast<float>(depth)) : 0.0f;
      }
    }
  }

  /// [n] cosine with candidate j, 0 where either has nothing.
  std::span<const float> to(std::size_t j) const {
    float* out = s_.similarities.data();
    const float* inverse = s_.inverse_norms.data();
    if (by_vectors_) kernels::dot().dots(s_.rows[j], s_.rows.data(), n_, input_.dim, out);
    else
      for (std::size_t i = 0; i < n_; ++i) out[i] = static_cast<float>(input_.catalog->common_depth(input_.items[j], input_.items[i]));
    for (std::size_t i = 0; i < n_; ++i) out[i] *= inverse[i] * inverse[j];
    return {out, n_};
  }
  [[nodiscard]] bool empty(std::size_t i) const noexcept { return s_.inverse_norms[i] == 0; }
  [[nodiscard]] bool by_vectors() const noexcept { return by_vectors_; }

 private:
  const RerankInput& input_;
  RerankMemory& s_;
  std::size_t n_;
  bool by_vectors_ = true;
};

// A policy says what each candidate would bring next (gain), also if its relevance were another, and hears what was chosen.

class ByRelevance {
 public:
  ByRelevance(const RerankOptions&, const RerankInput& input, RerankMemory&) : relevance_(input.relevance) {}
  void before() noexcept {}
  [[nodiscard]] double gain(std::size_t i) const noexcept { return relevance_[i]; }
  [[nodiscard]] static double gain(std::size_t, float relevance) noexcept { return relevance; }
  void choose(std::size_t) noexcept {}

 private:
  std::span<const float> relevance_;
};

class ByMarginalRelevance {
 public:
  ByMarginalRelevance(const RerankOptions& options, const RerankInput& input, RerankMemory& s)
      : relevance_(input.relevance), diversity_(options.diversity), alike_(options, input, s), nearest_(s.nearest) {
    if (nearest_.size() < relevance_.size()) nearest_.resize(relevance_.size());
    std::fill_n(nearest_.begin(), relevance_.size(), 0.0f);
  }
  void before() noexcept {}
  [[nodiscard]] double gain(std::size_t i) const noexcept { return gain(i, relevance_[i]); }
  [[nodiscard]] double gain(std::size_t i, float relevance) const noexcept { return (1 - diversity_) * relevance - diversity_ * nearest_[i]; }
  void choose(std::size_t j) {
    const std::span<const float> s = alike_.to(j);
    if (chosen_++ == 0) std::copy(s.begin(), s.end(), nearest_.begin());
    else
      for (std::size_t i = 0; i < s.size(); ++i) nearest_[i] = std::max(nearest_[i], s[i]);
  }

 private:
  std::span<const float> relevance_;
  float diversity_;
  Alikeness alike_;
  std::vector<float>& nearest_;
  std::size_t chosen_ = 0;
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
  [[nodiscard]] double gain(std::size_t i) const noexcept { return gain(i, relevance_[i]); }
  [[nodiscard]] double gain(std::size_t i, float relevance) const noexcept {
    if (residual_[i] < kNothingNew) return -1e6 + relevance;
    return (1 - diversity_) * static_cast<double>(relevance) + diversity_ * std::log(residual_[i]);
  }
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
  [[nodiscard]] double gain(std::size_t i) const noexcept { return gain(i, relevance_[i]); }
  [[nodiscard]] double gain(std::size_t i, float relevance) const noexcept {
    const std::int32_t g = groups_[i];
    double after = now_;
    if (g >= 0) {
      const std::int32_t at = s_.place[static_cast<std::size_t>(g)];
      after = at < 0 ? other_ : s_.divergence[static_cast<std::size_t>(at)];
    }
    return (1 - diversity_) * static_cast<double>(relevance) - diversity_ * after;
  }
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
