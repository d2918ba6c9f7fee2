// SPDX-License-Identifier: Apache-2.0
// The engine behind BPR and WARP: settings, rates, and the steps over pairs.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/models/pairwise_model.hpp"
#include "models/pairwise/block_schedule.hpp"

namespace etalage::pairwise {

/// Draws in search of an item that is not liked.
inline constexpr int kRedraws = 16;

enum class Loss : std::uint8_t { kLogistic, kRankedHinge };

struct Settings {
  Loss loss = Loss::kLogistic;
  int factors = 64;
  float learning_rate = 0.05f;
  float regularization = 0.01f;
  int epochs = 50;
  NegativeSampling negatives = NegativeSampling::kUniform;
  int num_candidates = 1;
  float margin = 1;
  int max_trials = 1;
  int num_violators = 1;
  SgdOptimizer optimizer = SgdOptimizer::kAdaGrad;
  float decay = 0;
  bool item_bias = false;
  float init_scale = 0.1f;
  int fold_in_epochs = 20;
  bool compute_objective = true;
  bool keep_history = true;
  int num_threads = 0;
  std::uint64_t seed = 42;

  /// Columns of the model's factors.
  [[nodiscard]] std::size_t width() const noexcept { return static_cast<std::size_t>(factors) + (item_bias ? 1 : 0); }
  [[nodiscard]] float rate(int epoch) const noexcept { return learning_rate / (1 + decay * static_cast<float>(epoch)); }
  /// Throws std::invalid_argument: option, value, rule.
  void validate() const;
};

/// L(r) = 1 + 1/2 + .. + 1/r: summed up to 64, by Euler and Maclaurin beyond.
double harmonic(std::int64_t rank) noexcept;

/// L(floor((num_items - 1) violators / trials)) / L(num_items - 1), ranks of at least 1.
inline float rank_weight(std::int64_t num_items, int violators, int trials) noexcept {
  const auto rank = [](std::int64_t r) { return r < 1 ? std::int64_t{1} : r; };
  return static_cast<float>(harmonic(rank((num_items - 1) * violators / trials)) / harmonic(rank(num_items - 1)));
}

/// What a search for items that score above a level found.
struct Violation {
  std::int32_t item = -1;  ///< the highest-scored, the earlier draw on ties; -1 where there is none
  int violators = 0;
  int trials = 0;  ///< draws up to the last one that was looked at
};

/// Draws until `wanted` items score above `level`, at most max_trials. draw() gives an item, or -1 for none; score(items,
/// scores) fills in the scores of up to kDrawnAtOnce of them. Draws come in lots that grow, for scores by the lot are faster.
inline constexpr int kDrawnAtOnce = 32;
template <class Draw, class Score>
Violation find_violation(int wanted, int max_trials, float level, Draw&& draw, Score&& score) {
  Violation found;
  float best = 0;
  std::array<std::int32_t, kDrawnAtOnce> items;
  std::array<float, kDrawnAtOnce> scores;
  while (found.violators < wanted && found.trials < max_trials) {
    const int lot = std::min({kDrawnAtOnce, max_trials - found.trials, std::max(wanted - found.violators, found.trials)});
    std::size_t drawn = 0;
    for (; drawn < static_cast<std::size_t>(lot); ++drawn)
      if ((items[drawn] = draw()) < 0) break;
    score(std::span<const std::int32_t>(items.data(), drawn), scores.data());
    for (std::size_t t = 0; t < drawn && found.violators < wanted; ++t) {
      ++found.trials;
      if (!(scores[t] > level)) continue;
      if (found.violators++ == 0 || scores[t] > best) {
        found.item = items[t];
        best = scores[t];
      }
    }
    if (drawn < static_cast<std::size_t>(lot)) break;
  }
  return found;
}

/// Of `wanted` draws those that a catalogue bears: the hardest of a large part of it is what the user will like next.
inline int draws(int wanted, std::int64_t num_items) noexcept {
  const std::int64_t most = num_items / 16 > 1 ? num_items / 16 : 1;
  return wanted < most ? wanted : static_cast<int>(most);
}

/// The sorted row of what a user likes.
inline bool contains(std::span<const std::int32_t> liked, std::int32_t item) noexcept {
  const std::int32_t* base = liked.data();
  std::size_t n = liked.size();
  if (n == 0) return false;
  while (n > 1) {
    const std::size_t half = n / 2;
    base += base[half - 1] < item ? half : 0;
    n -= half;
  }
  return *base == item;
}

/// The step size of one row, and its memory of past gradients.
class Rates {
 public:
  Rates(const Settings& s, int epoch) noexcept
      : rate_(s.rate(epoch)), per_column_(1 / static_cast<float>(s.width())), adaptive_(s.optimizer == SgdOptimizer::kAdaGrad) {}
  /// square: the squared norm of the row's gradient, added to `sum`.
  [[nodiscard]] float of(float square, float& sum) const noexcept {
    if (!adaptive_) return rate_;
    sum += square * per_column_;
    return rate_ / std::sqrt(sum + 1e-12f);
  }

 private:
  float rate_;
  float per_column_;
  bool adaptive_;
};

/// Rows of both sides during a fit, padded to n columns, and their sums of squared gradients.
struct Rows {
  std::size_t n = 0;
  Array<float> users;
  Array<float> items;
  std::vector<float> user_sums;
  std::vector<float> item_sums;
};

/// liked: CSR without values, rows sorted.
class Trainer {
 public:
  Trainer(const Settings& settings, CsrView liked);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  /// One pass over all liked pairs; returns the sum of the samples' losses before their steps (0 unless computed).
  double epoch(int number);
  /// Without padding, [rows x width]; rows of users who like nothing are zero but for the bias column.
  [[nodiscard]] Array<float> user_factors() const;
  [[nodiscard]] Array<float> item_factors() const;

 private:
  double run(std::size_t user_block, std::size_t item_block, int epoch);

  Settings settings_;
  CsrView liked_;
  detail::BlockSchedule schedule_;
  Rows rows_;
  float* users_ = nullptr;  // the rows, exclusive to the trainer; blocks side by side share none
  float* items_ = nullptr;
  std::vector<float> weights_;  // of WARP, by rank
};

}  // namespace etalage::pairwise
