// SPDX-License-Identifier: Apache-2.0
#include "models/pairwise/pairwise_sgd.hpp"

#include <algorithm>
#include <numbers>
#include <utility>

#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/parallel_for.hpp"
#include "kernels/sgd_kernels.hpp"

namespace etalage::pairwise {
namespace {

using detail::RandomStream;

constexpr std::uint64_t kStartUsers = 1;
constexpr std::uint64_t kStartItems = 2;

Array<float> without_padding(const Array<float>& rows, std::size_t n, std::size_t width) {
  const std::size_t count = rows.size() / n;
  Array<float> out(count * width, uninitialized);
  float* to = out.mutable_data();
  for (std::size_t r = 0; r < count; ++r) std::copy_n(rows.data() + r * n, width, to + r * width);
  return out;
}

}  // namespace

double harmonic(std::int64_t rank) noexcept {
  if (rank <= 64) {
    double sum = 0;
    for (std::int64_t s = rank; s >= 1; --s) sum += 1 / static_cast<double>(s);
    return sum;
  }
  const auto r = static_cast<double>(rank);
  return std::log(r) + std::numbers::egamma + 1 / (2 * r) - 1 / (12 * r * r);
}

Trainer::Trainer(const Settings& settings, CsrView liked) : settings_(settings), liked_(liked), schedule_(liked, settings.seed, settings.num_threads) {
  settings_.num_candidates = draws(settings.num_candidates, liked.cols);
  settings_.max_trials = draws(settings.max_trials, liked.cols);
  const auto num_users = static_cast<std::size_t>(liked.rows);
  const auto num_items = static_cast<std::size_t>(liked.cols);
  const std::size_t width = settings.width();
  const auto factors = static_cast<std::size_t>(settings.factors);
  rows_.n = (width + kernels::kSgdPad - 1) / kernels::kSgdPad * kernels::kSgdPad;
  const auto begin = [&](std::size_t count, std::uint64_t purpose, bool ones) {
    Array<float> rows(count * rows_.n);
    float* out = rows.mutable_data();
    const float scale = settings.init_scale / std::sqrt(static_cast<float>(settings.factors));
    detail::parallel_for(count, 256, settings.num_threads, [&](std::size_t r, std::size_t end, int) {
      for (; r < end; ++r) {
        RandomStream random(settings.seed, purpose, r);
        for (std::size_t k = 0; k < factors; ++k) out[r * rows_.n + k] = scale * detail::bell(random);
        if (ones) out[r * rows_.n + factors] = 1;
      }
    });
    return rows;
  };
  rows_.users = begin(num_users, kStartUsers, settings.item_bias);
  rows_.items = begin(num_items, kStartItems, false);
  users_ = rows_.users.mutable_data();
  items_ = rows_.items.mutable_data();
  for (std::size_t u = 0; u < num_users; ++u)
    if (liked.row_size(static_cast<std::int64_t>(u)) == 0) std::fill_n(users_ + u * rows_.n, factors, 0.0f);
  rows_.user_sums.assign(num_users, 0.0f);
  rows_.item_sums.assign(num_items, 0.0f);
  if (settings.loss == Loss::kRankedHinge) {
    weights_.resize(std::max<std::size_t>(2, num_items));
    double sum = 0;
    for (std::size_t r = 1; r < weights_.size(); ++r) weights_[r] = static_cast<float>(sum += 1 / static_cast<double>(r));
    for (float& w : weights_) w /= static_cast<float>(sum);
  }
}

double Trainer::epoch(int number) {
  return schedule_.epoch(number, {}, [&](std::size_t users, std::size_t items) { return run(users, items, number); });
}

double Trainer::run(std::size_t user_block, std::size_t item_block, int epoch) {
  const kernels::SgdTable& k = kernels::sgd();
  const std::size_t n = rows_.n;
  float* const users = users_;
  float* const items = items_;
  const auto row_of = [n](float* rows, std::int32_t row) { return rows + static_cast<std::size_t>(row) * n; };
  const std::span<const std::int32_t> catalogue = schedule_.columns_of(item_block);
  RandomStream random = schedule_.stream(epoch, user_block, item_block);
  const Rates rates(settings_, epoch);
  const bool popular = settings_.negatives == NegativeSampling::kPopularity;
  std::vector<std::size_t> events(schedule_.blocks() + 1, 0);  // pairs of this item block, summed over user blocks
  for (std::size_t b = 0; b < schedule_.blocks(); ++b) events[b + 1] = events[b] + schedule_.pairs(b, item_block).size();
  const auto draw = [&]() -> std::int32_t {
    if (!popular) return catalogue[random.below(static_cast<std::uint32_t>(catalogue.size()))];
    const std::size_t at = random.below(static_cast<std::uint32_t>(events.back()));
    std::size_t b = 0;
    while (events[b + 1] <= at) ++b;
    return schedule_.pairs(b, item_block)[at - events[b]].column;
  };
  // -1 where it seems that the user likes everything.
  const auto draw_other = [&](std::span<const std::int32_t> liked) -> std::int32_t {
    for (int t = 0; t < kRedraws; ++t)
      if (const std::int32_t j = draw(); !contains(liked, j)) return j;
    return -1;
  };
  const auto candidates = static_cast<std::size_t>(settings_.negatives == NegativeSampling::kDynamic ? settings_.num_candidates : 1);
  std::vector<const float*> candidate_rows(std::max<std::size_t>(candidates, kDrawnAtOnce));
  std::vector<std::int32_t> candidate_items(candidates);
  std::vector<float> scores(candidates);
  const std::size_t bias = static_cast<std::size_t>(settings_.factors);
  double loss = 0;

  const auto step = [&](const detail::BlockSchedule::Pair& pair, std::int32_t other, float slope, float user_norm, float item_norm) {
    float* u = row_of(users, pair.row);
    const float square = slope * slope;
    const float user_rate = rates.of(square * item_norm, rows_.user_sums[static_cast<std::size_t>(pair.row)]);
    const float liked_rate = rates.of(square * user_norm, rows_.item_sums[static_cast<std::size_t>(pair.column)]);
    const float other_rate = rates.of(square * user_norm, rows_.item_sums[static_cast<std::size_t>(other)]);
    const auto keep = [&](float rate) { return std::max(0.0f, 1 - rate * settings_.regularization); };
    k.pair_update(u, row_of(items, pair.column), row_of(items, other), n,
                  {keep(user_rate), user_rate * slope, keep(liked_rate), liked_rate * slope, keep(other_rate), other_rate * slope});
    if (settings_.item_bias) u[bias] = 1;
  };

  for (const detail::BlockSchedule::Pair& pair : schedule_.pairs(user_block, item_block)) {
    const float* u = row_of(users, pair.row);
    const float* i = row_of(items, pair.column);
    const std::span<const std::int32_t> liked = liked_.row_columns(pair.row);
    float norms[2];
    if (settings_.loss == Loss::kLogistic) {
      std::int32_t other = -1;
      if (candidates == 1) {
        other = draw_other(liked);
      } else {
        std::size_t found = 0;
        for (std::size_t c = 0; c < candidates; ++c) {
          const std::int32_t j = draw_other(liked);
          if (j < 0) break;
          candidate_items[found] = j;
          candidate_rows[found++] = row_of(items, j);
        }
        k.dots(u, candidate_rows.data(), found, n, scores.data());
        if (found != 0) other = candidate_items[static_cast<std::size_t>(std::max_element(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(found)) - scores.begin())];
      }
      if (other < 0) continue;
      const float x = k.pair_score(u, i, row_of(items, other), n, norms);
      if (settings_.compute_objective) loss += detail::logistic_loss(x);
      step(pair, other, detail::logistic_slope(x), norms[0], norms[1]);
    } else {
      const Violation found = find_violation(
          settings_.num_violators, settings_.max_trials, k.dot(u, i, n) - settings_.margin, [&] { return draw_other(liked); },
          [&](std::span<const std::int32_t> drawn, float* out) {
            for (std::size_t c = 0; c < drawn.size(); ++c) candidate_rows[c] = row_of(items, drawn[c]);
            k.dots(u, candidate_rows.data(), drawn.size(), n, out);
          });
      if (found.violators == 0) continue;
      const float x = k.pair_score(u, i, row_of(items, found.item), n, norms);
      const std::int64_t rank = (liked_.cols - 1) * found.violators / found.trials;
      const float weight = weights_[static_cast<std::size_t>(std::max<std::int64_t>(1, rank))];
      if (settings_.compute_objective) loss += static_cast<double>(weight * (settings_.margin - x));
      step(pair, found.item, weight, norms[0], norms[1]);
    }
  }
  return loss;
}

Array<float> Trainer::user_factors() const { return without_padding(rows_.users, rows_.n, settings_.width()); }
Array<float> Trainer::item_factors() const { return without_padding(rows_.items, rows_.n, settings_.width()); }

}  // namespace etalage::pairwise
