// SPDX-License-Identifier: Apache-2.0
#include "models/pairwise/skip_gram.hpp"

#include <algorithm>
#include <cmath>

#include "detail/parallel_for.hpp"
#include "kernels/sgd_kernels.hpp"
#include "models/factor/row_norms.hpp"

namespace etalage::skip_gram {
namespace {
constexpr std::uint64_t kStart = 1;
}

void AliasTable::build(std::span<const float> weights) {
  const std::size_t n = weights.size();
  keep_.assign(n, 1.0f);
  other_.resize(n);
  double total = 0;
  for (const float w : weights) total += static_cast<double>(w);
  // Without any weight all are alike.
  std::vector<double> share(n, 1.0);
  if (total > 0)
    for (std::size_t i = 0; i < n; ++i) share[i] = static_cast<double>(weights[i]) * static_cast<double>(n) / total;
  std::vector<std::uint32_t> small;
  std::vector<std::uint32_t> large;
  for (std::size_t i = 0; i < n; ++i) {
    other_[i] = static_cast<std::uint32_t>(i);
    (share[i] < 1 ? small : large).push_back(static_cast<std::uint32_t>(i));
  }
  while (!small.empty() && !large.empty()) {
    const std::uint32_t s = small.back();
    const std::uint32_t l = large.back();
    small.pop_back();
    keep_[s] = static_cast<float>(share[s]);
    other_[s] = l;
    share[l] -= 1 - share[s];
    if (share[l] < 1) {
      large.pop_back();
      small.push_back(l);
    }
  }
}

std::size_t AliasTable::draw(detail::RandomStream& random) const noexcept {
  const std::uint64_t bits = random.next();
  const auto at = static_cast<std::size_t>(((bits >> 32) * keep_.size()) >> 32);
  return static_cast<float>(bits & 0xffffff) * 0x1p-24f < keep_[at] ? at : other_[at];
}

Trainer::Trainer(const Item2VecOptions& options, CsrView neighbors, std::span<const float> counts)
    : options_(options), counts_(counts), schedule_(neighbors, options.seed, options.num_threads) {
  const auto factors = static_cast<std::size_t>(options.factors);
  n_ = (factors + kernels::kSgdPad - 1) / kernels::kSgdPad * kernels::kSgdPad;
  center_rows_ = Array<float>(counts.size() * n_);
  context_rows_ = Array<float>(counts.size() * n_);
  centers_ = center_rows_.mutable_data();
  contexts_ = context_rows_.mutable_data();
  const float scale = 0.5f / std::sqrt(static_cast<float>(factors));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] == 0) continue;
    detail::RandomStream random(options.seed, kStart, i);
    for (std::size_t k = 0; k < factors; ++k) centers_[i * n_ + k] = scale * detail::bell(random);
  }
  negatives_.resize(schedule_.blocks());
}

double Trainer::epoch(int number) {
  // The rate falls in a straight line to a hundredth, epoch by epoch.
  const float progress = static_cast<float>(number) / static_cast<float>(std::max(1, options_.epochs));
  const float rate = options_.learning_rate * std::max(0.01f, 1 - progress);
  const auto tables = [&] {
    detail::parallel_for(schedule_.blocks(), 1, options_.num_threads, [&](std::size_t b, std::size_t end, int) {
      std::vector<float> weights;
      for (; b < end; ++b) {
        weights.clear();
        for (const std::int32_t i : schedule_.columns_of(b)) {
          const float count = counts_[static_cast<std::size_t>(i)];
          weights.push_back(count > 0 ? std::pow(count, options_.negative_exponent) : 0.0f);
        }
        negatives_[b].build(weights);
      }
    });
  };
  const double loss = schedule_.epoch(
      number, tables, [&](std::size_t centers, std::size_t contexts) { return run(centers, contexts, number, rate); });
  return loss / static_cast<double>(std::max<std::size_t>(1, schedule_.num_pairs()));
}

double Trainer::run(std::size_t center_block, std::size_t context_block, int epoch, float rate) {
  const kernels::SgdTable& k = kernels::sgd();
  detail::RandomStream random = schedule_.stream(epoch, center_block, context_block);
  const std::span<const std::int32_t> catalogue = schedule_.columns_of(context_block);
  const AliasTable& negatives = negatives_[context_block];
  Array<float> gathered(n_);
  float* step = gathered.mutable_data();
  double loss = 0;
  for (const detail::BlockSchedule::Pair& pair : schedule_.pairs(center_block, context_block)) {
    float* x = centers_ + static_cast<std::size_t>(pair.row) * n_;
    std::fill_n(step, n_, 0.0f);
    for (int t = 0; t <= options_.num_negatives; ++t) {
      std::int32_t item = pair.column;
      if (t > 0) {
        item = catalogue[negatives.draw(random)];
        if (item == pair.column) continue;
      }
      float* y = contexts_ + static_cast<std::size_t>(item) * n_;
      const float s = t == 0 ? k.dot(x, y, n_) : -k.dot(x, y, n_);
      if (options_.compute_objective) loss += detail::logistic_loss(s);
      const float slope = rate * detail::logistic_slope(s);
      k.attract(y, x, step, n_, t == 0 ? slope : -slope);
    }
    for (std::size_t f = 0; f < n_; ++f) x[f] += step[f];
  }
  return loss;
}

Array<float> Trainer::unit_vectors() const {
  const auto factors = static_cast<std::size_t>(options_.factors);
  Array<float> out(counts_.size() * factors);
  const std::span<float> all = out.mutable_view();
  for (std::size_t i = 0; i < counts_.size(); ++i)
    scale_to_unit({centers_ + i * n_, factors}, all.subspan(i * factors, factors));
  return out;
}

}  // namespace etalage::skip_gram
