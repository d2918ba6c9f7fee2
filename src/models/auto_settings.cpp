// SPDX-License-Identifier: Apache-2.0
#include "models/auto_settings.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "etalage/core/interactions.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/bpr.hpp"
#include "etalage/models/ease.hpp"
#include "etalage/models/graph_filter.hpp"
#include "etalage/models/item_knn.hpp"
#include "etalage/models/random_walk.hpp"
#include "etalage/models/warp.hpp"
#include "models/linear/ease_memory.hpp"

namespace etalage {
namespace {

constexpr double kTiny = 1e-9;

double rounded(double value, double digits) { return std::nearbyint(value * digits) / digits; }

int at_most_rank(int factors, const DataShape& s) {
  return static_cast<int>(std::max<std::int64_t>(1, std::min<std::int64_t>({factors, s.items, s.users})));
}

/// Dense as catalogues are: beyond, where a tenth of all cells is taken, nothing was measured and plain settings hold.
bool dense_catalogue(const DataShape& s) { return s.dense() && s.density() < 0.1; }

int sgd_factors(const DataShape& s) { return at_most_rank(s.pairs >= 400'000 ? 128 : 64, s); }

/// Pairs and unobserved cells of a mean row, as the ridge of ALS counts them: the geometric mean over both sides.
double log_row_count(const DataShape& s, double weight) {
  const auto side = [&](std::int64_t rows, std::int64_t others) {
    return std::log(std::max(kTiny, static_cast<double>(s.pairs) / static_cast<double>(std::max<std::int64_t>(1, rows)) + weight * static_cast<double>(others)));
  };
  return (side(s.users, s.items) + side(s.items, s.users)) / 2;
}

}  // namespace

double DataShape::density() const noexcept {
  return static_cast<double>(pairs) / std::max(1.0, static_cast<double>(users) * static_cast<double>(items));
}

double DataShape::row_mean() const noexcept {
  return static_cast<double>(pairs) / std::max(1.0, static_cast<double>(users) + static_cast<double>(items));
}

DataShape shape_of(const Interactions& data) {
  const CsrMatrix& rows = data.user_items();
  std::vector<bool> met(static_cast<std::size_t>(rows.cols));
  std::int64_t items_met = 0;
  for (const std::int32_t item : rows.columns) {
    if (item < 0 || item >= rows.cols || met[static_cast<std::size_t>(item)]) continue;
    met[static_cast<std::size_t>(item)] = true;
    ++items_met;
  }
  const auto pairs = static_cast<std::int64_t>(rows.columns.size());
  return {rows.rows, rows.cols, pairs, static_cast<double>(pairs) / static_cast<double>(std::max<std::int64_t>(1, items_met))};
}

AlsOptions settled(AlsOptions o, const DataShape& s) {
  // Rank grows with what there is to fit; the weight of the unobserved with how dense the matrix is.
  o.factors.settle(at_most_rank(s.pairs >= 600'000 ? 256 : s.pairs >= 150'000 ? 128 : 64, s));
  o.iterations.settle(14);
  // A ridge that is given is one of the textbook's objective, whose other weights it was found with.
  if (o.regularization.given()) {
    o.alpha.settle(1.0f);
    o.unobserved_weight.settle(1.0f);
    o.nu.settle(0.0f);
    return o;
  }
  // Where rows are short the mean row says little of how much was seen and not wanted.
  double weight = std::clamp(0.02 * std::pow(s.density() / 1e-3, 4.0 / 3), 0.01, s.is_short() ? 0.02 : 1.0);
  if (o.unobserved_weight.given()) weight = static_cast<double>(o.unobserved_weight.value());
  // Whoever gives alpha means the weight of what was observed: that of the rest keeps its proportion.
  double scale = 1;
  if (o.alpha.given() && !o.unobserved_weight.given()) scale = (1 + static_cast<double>(o.alpha.value())) / (1 + weight);
  o.unobserved_weight.settle(static_cast<float>(weight * scale));
  o.alpha.settle(static_cast<float>(weight));
  o.nu.settle(1.0f);
  // The ridge of a mean row is about a third of its pairs, more where items have too few users to be told apart.
  const double third = 0.35 * s.density() / std::max(weight, 0.02) * std::max(1.0, 8 / std::max(s.item_mean, kTiny));
  double ridge = rounded(std::clamp(third, 0.002, 0.06), 1e4);
  const double nu = static_cast<double>(o.nu.value());
  if (scale != 1 || nu != 1)
    ridge *= std::exp(std::log(scale) + log_row_count(s, weight) - nu * log_row_count(s, static_cast<double>(o.unobserved_weight.value())));
  o.regularization.settle(static_cast<float>(std::min(ridge, 1e30)));
  return o;
}

BprOptions settled(BprOptions o, const DataShape& s) {
  o.factors.settle(sgd_factors(s));
  o.num_candidates.settle(16);
  o.item_bias.settle(true);
  o.epochs.settle(30);
  // The fewer pairs a row has to learn from, the more it is held back.
  o.regularization.settle(static_cast<float>(rounded(std::clamp(0.24 / std::max(s.row_mean(), kTiny), 0.02, 0.1), 1e4)));
  return o;
}

WarpOptions settled(WarpOptions o, const DataShape& s) {
  o.factors.settle(sgd_factors(s));
  o.max_trials.settle(64);
  o.num_violators.settle(8);
  o.item_bias.settle(true);
  o.epochs.settle(30);
  const double width = std::max(64.0, static_cast<double>(o.factors.value())) / 64;
  const double held_back = 0.1 * std::pow(8 / std::max(s.row_mean(), kTiny), 0.7) * std::sqrt(width);
  o.regularization.settle(static_cast<float>(rounded(std::clamp(held_back, 0.02, 0.3), 1e4)));
  return o;
}

EaseOptions settled(EaseOptions o, const DataShape& s) {
  o.l2.settle(s.dense() ? 200.0f : 100.0f);
  o.method.settle(detail::ease_method(o, static_cast<double>(s.users), static_cast<double>(s.items)));
  return o;
}

GraphFilterOptions settled(GraphFilterOptions o, const DataShape& s) {
  // Singular vectors of short rows are noise.
  o.history_exponent.settle(dense_catalogue(s) ? 0.4f : s.is_short() ? 0.5f : 0.6f);
  o.user_exponent.settle(s.is_short() ? 0.5f : 0.8f);
  o.item_exponent.settle(s.is_short() ? 0.0f : 0.15f);
  o.sharpen_weight.settle(dense_catalogue(s) ? 0.8f : s.is_short() ? 0.15f : 0.45f);
  return o;
}

ItemKnnOptions settled(ItemKnnOptions o, const DataShape& s) {
  o.num_neighbors.settle(500);
  // A similarity is chosen as a whole: where a part of it is given, the rest is the textbook's.
  const ItemKnnOptions textbook;
  const bool named = o.similarity.given() || o.shrinkage.given() || o.asymmetry.given() || o.user_damping.given() || o.popularity_penalty.given();
  // BM25 weighs users by how little of the catalogue they have: nothing, where that is most of it.
  o.similarity.settle(!named && dense_catalogue(s) ? Similarity::kBm25 : Similarity::kCosine);
  // Where matrices are dense, weights of popular items and long rows matter most; where they are sparse, heavy users do.
  o.shrinkage.settle(named ? textbook.shrinkage.value() : s.dense() ? 1.0f : s.is_short() ? 10.0f : 3.0f);
  o.asymmetry.settle(named ? textbook.asymmetry.value() : s.dense() ? 0.65f : 0.8f);
  o.user_damping.settle(named ? textbook.user_damping.value() : s.dense() ? 0.65f : s.is_short() ? 0.5f : 0.9f);
  o.popularity_penalty.settle(named || !s.dense() ? textbook.popularity_penalty.value() : 0.1f);
  return o;
}

RandomWalkOptions settled(RandomWalkOptions o, const DataShape& s, bool with_beta) {
  // Rows of dense data that hold little, as of small shops: what leads from them is worth more than what holds it back.
  const bool few = s.dense() && static_cast<double>(s.pairs) < 20.0 * static_cast<double>(s.users);
  if (!with_beta) {
    o.alpha.settle(s.is_short() || few ? 0.6f : s.dense() ? 1.2f : 1.0f);
    o.beta.settle(0.0f);
    o.num_neighbors.settle(500);
    return o;
  }
  o.alpha.settle(s.is_short() ? 0.6f : 0.7f);
  // Popularity is divided out the more, the denser the matrix; less so where items have too few users to be told apart.
  const double beta = 0.16 * std::log(std::max(s.density(), kTiny) / 2.5e-4) * std::min(1.0, s.item_mean / 8);
  const double most = s.is_short() && static_cast<double>(s.pairs) < 5.0 * static_cast<double>(s.users) ? 0.05 : 0.6;
  o.beta.settle(static_cast<float>(rounded(std::clamp(beta, 0.0, most) * (few ? 0.5 : 1.0), 1e3)));
  o.num_neighbors.settle(s.dense() ? 2000 : 500);
  return o;
}

}  // namespace etalage
