// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/pairwise_model.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/error.hpp"
#include "models/auto_settings.hpp"
#include "kernels/dot_kernels.hpp"
#include "models/fit_report_state.hpp"
#include "models/pairwise/pairwise_sgd.hpp"
#include "core/scratch.hpp"
#include "models/training_data.hpp"

namespace etalage {
namespace {

constexpr std::uint64_t kFoldIn = 7;

// The liked pairs of all users, without values.
CsrMatrix liked_pairs(const CsrMatrix& m) {
  detail::check_training_rows(m);
  std::size_t count = 0;
  for (const float v : m.values) count += v > 0 ? 1 : 0;
  detail::require(count <= std::numeric_limits<std::uint32_t>::max(), "number of liked pairs", count, "below 2^32");
  CsrMatrix out{m.rows, m.cols, m.offsets, m.columns, {}};
  if (count == m.values.size()) return out;
  out.offsets = Array<std::int64_t>(m.offsets.size());
  out.columns = Array<std::int32_t>(count, uninitialized);
  std::int64_t* offsets = out.offsets.mutable_data();
  std::int32_t* columns = out.columns.mutable_data();
  std::int64_t n = 0;
  for (std::int64_t r = 0; r < m.rows; ++r) {
    const CsrView view = m.view();
    for (std::size_t p = 0; p < view.row_size(r); ++p)
      if (view.row_values(r)[p] > 0) columns[n++] = view.row_columns(r)[p];
    offsets[r + 1] = n;
  }
  return out;
}

// The row of somebody who likes `liked` (sorted, unique), x [width]. on_step(place, keep, step, other) tells of
// x = keep x + step (y_liked[place] - y_other).
template <class OnStep>
void fold(const pairwise::Settings& s, const float* item_factors, std::int32_t num_items,
          std::span<const std::int32_t> liked, Scratch& scratch, float* x, OnStep&& on_step) {
  const kernels::DotTable& k = kernels::dot();
  const std::size_t width = s.width();
  const auto factors = static_cast<std::size_t>(s.factors);
  std::fill_n(x, width, 0.0f);
  if (s.item_bias) x[factors] = 1;
  const auto row = [&](std::int32_t item) { return item_factors + static_cast<std::size_t>(item) * width; };
  detail::RandomStream random(s.seed, kFoldIn, 0);
  const auto draw_other = [&]() -> std::int32_t {
    for (int t = 0; t < pairwise::kRedraws; ++t)
      if (const auto j = static_cast<std::int32_t>(random.below(static_cast<std::uint32_t>(num_items))); !pairwise::contains(liked, j))
        return j;
    return -1;
  };
  const int candidates = s.negatives == NegativeSampling::kDynamic ? pairwise::draws(s.num_candidates, num_items) : 1;
  const int max_trials = pairwise::draws(s.max_trials, num_items);
  float* difference = Scratch::Impl::at_least(scratch.impl().vector, width);
  float sum = 0;
  for (int epoch = 0; epoch < s.fold_in_epochs; ++epoch) {
    const pairwise::Rates rates(s, epoch);
    for (std::size_t place = 0; place < liked.size(); ++place) {
      const float* i = row(liked[place]);
      std::int32_t other = -1;
      float slope = 0;
      if (s.loss == pairwise::Loss::kLogistic) {
        float best = 0;
        for (int c = 0; c < candidates; ++c) {
          const std::int32_t j = draw_other();
          if (j < 0) break;
          const float score = candidates == 1 ? 0 : k.dot(x, row(j), width);
          if (other < 0 || score > best) {
            other = j;
            best = score;
          }
        }
        if (other < 0) continue;
      } else {
        const pairwise::Violation found = pairwise::find_violation(
            s.num_violators, max_trials, k.dot(x, i, width) - s.margin, draw_other,
            [&](std::span<const std::int32_t> drawn, float* out) {
              for (const std::int32_t j : drawn) *out++ = k.dot(x, row(j), width);
            });
        other = found.item;
        if (other < 0) continue;
        slope = pairwise::rank_weight(num_items, found.violators, found.trials);
      }
      const float* j = row(other);
      for (std::size_t f = 0; f < width; ++f) difference[f] = i[f] - j[f];
      if (s.loss == pairwise::Loss::kLogistic) slope = detail::logistic_slope(k.dot(x, difference, width));
      const float rate = rates.of(slope * slope * k.dot(difference, difference, width), sum);
      const float keep = std::max(0.0f, 1 - rate * s.regularization);
      for (std::size_t f = 0; f < factors; ++f) x[f] = keep * x[f] + rate * slope * difference[f];
      on_step(place, keep, rate * slope, other);
    }
  }
}

}  // namespace

FitReport PairwiseModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  const DataShape shape = shape_of(data);
  const pairwise::Settings s = settings_for(shape);
  const CsrMatrix liked = liked_pairs(data.user_items());
  FitReport report;
  pairwise::Trainer trainer(s, CsrView{liked.rows, liked.cols, liked.offsets, liked.columns, {}});
  report.phase_seconds.emplace_back("setup", since());
  const auto samples = static_cast<double>(std::max<std::size_t>(1, liked.columns.size()));
  for (int epoch = 0; epoch < s.epochs; ++epoch) {
    const double loss = trainer.epoch(epoch) / samples;
    if (s.compute_objective) {
      report.objective.push_back(loss);
      if (!std::isfinite(loss))
        throw NumericalError(std::string(kind()) + " left the finite numbers in epoch " + std::to_string(epoch + 1) +
                             "; lower learning_rate or increase regularization");
    }
    report.iterations = epoch + 1;
    const double now = s.compute_objective ? loss : std::numeric_limits<double>::quiet_NaN();
    if (callback && !callback({.step = epoch + 1, .total = s.epochs, .seconds = since(), .objective = now, .phase = "epoch"})) {
      report.stop_reason = FitReport::StopReason::kCancelled;
      break;
    }
  }
  report.phase_seconds.emplace_back("epochs", since() - report.phase_seconds[0].second);
  Array<float> users = trainer.user_factors();
  Array<float> items = trainer.item_factors();
  if (!detail::all_finite(users.view(), s.num_threads) || !detail::all_finite(items.view(), s.num_threads))
    throw NumericalError(std::string(kind()) + " factors left the finite numbers; lower learning_rate or increase regularization");
  set_factors(std::move(users), data.num_users(), std::move(items), data.num_items(), static_cast<std::int32_t>(s.width()));
  // Items that nobody likes have rows all the same: those that pushed them away from everybody.
  std::vector<bool> met(static_cast<std::size_t>(data.num_items()));
  for (const std::int32_t i : liked.columns) met[static_cast<std::size_t>(i)] = true;
  std::vector<std::int32_t> unknown;
  for (std::int32_t i = 0; i < data.num_items(); ++i)
    if (!met[static_cast<std::size_t>(i)]) unknown.push_back(i);
  unknown_items_ = Array<std::int32_t>(unknown);
  // The old ids and rows are of another shape perhaps: none, then the new ones.
  set_history({});
  set_ids(data.user_ids(), data.item_ids());
  if (s.keep_history) set_history(data.user_items());
  settle(shape);
  fitted_on_ = pair_hash(data.user_items().view());
  newest_ms_ = data.newest_ms();
  report.seconds = since();
  report_ = report;
  return report;
}

std::size_t PairwiseModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                         const ItemFilter* filter) const {
  if (std::binary_search(unknown_items_.begin(), unknown_items_.end(), item)) return 0;
  return FactorModel::similar_items(item, out, scratch, filter);
}

std::int32_t PairwiseModel::similarity_factors() const noexcept { return std::min(factors(), settings().factors); }

std::span<const std::int32_t> PairwiseModel::liked_of(const Query& query, Scratch& scratch) const {
  std::vector<std::int32_t>& liked = scratch.impl().ints;
  liked.clear();
  const auto history = history_of(query);
  const auto values = history_values_of(query);
  for (std::size_t p = 0; p < history.size(); ++p)
    if (values.empty() || values[p] > 0) liked.push_back(history[p]);
  liked.insert(liked.end(), query.session.begin(), query.session.end());
  std::sort(liked.begin(), liked.end());
  liked.erase(std::unique(liked.begin(), liked.end()), liked.end());
  return liked;
}

void PairwiseModel::fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const {
  fold(settings(), item_factors().data(), num_items(), liked_of(query, scratch), scratch, factor.data(),
       [](std::size_t, float, float, std::int32_t) {});
}

Explanation PairwiseModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  Scratch scratch;
  const auto found = liked_of(query, scratch);
  const std::vector<std::int32_t> liked(found.begin(), found.end());
  const pairwise::Settings s = settings();
  const auto factors = static_cast<std::size_t>(s.factors);
  const std::span<const float> target = item_row(item).first(factors);
  const auto product = [&](std::int32_t other) {
    return static_cast<double>(kernels::dot().dot(target.data(), item_row(other).data(), factors));
  };
  std::vector<double> own(liked.size());
  for (std::size_t p = 0; p < liked.size(); ++p) own[p] = product(liked[p]);
  // Every step shrinks all parts so far: kept as one common factor.
  std::vector<double> parts(liked.size(), 0.0);
  double shrunk = 1;
  std::vector<float> x(s.width());
  fold(s, item_factors().data(), num_items(), liked, scratch, x.data(),
       [&](std::size_t place, float keep, float step, std::int32_t other) {
         shrunk *= static_cast<double>(keep);
         if (shrunk < 1e-100) {
           for (double& part : parts) part *= shrunk;
           shrunk = 1;
         }
         parts[place] += static_cast<double>(step) * (own[place] - product(other)) / shrunk;
       });
  Explanation explanation;
  if (liked.empty()) {
    explanation.total = cold_score(item);
    return explanation;
  }
  double total = 0;
  for (std::size_t p = 0; p < liked.size(); ++p) {
    total += parts[p] * shrunk;
    explanation.contributions.push_back({liked[p], static_cast<float>(parts[p] * shrunk)});
  }
  explanation.total = static_cast<float>(total);
  std::stable_sort(explanation.contributions.begin(), explanation.contributions.end(),
                   [](const ItemScore& a, const ItemScore& b) { return a.score > b.score; });
  if (explanation.contributions.size() > k) explanation.contributions.resize(k);
  return explanation;
}

void PairwiseModel::save_state(StateWriter& writer) const {
  FactorModel::save_state(writer);
  writer.put_array("unknown_items", unknown_items_);
  put_report(writer, report_);
}

void PairwiseModel::load_pairwise(const StateReader& reader) {
  load_factors(reader);
  const auto width = static_cast<std::int32_t>(settings().width());
  if (fitted() && factors() != width)
    reader.fail("factors", "found " + std::to_string(factors()) + ", expected " + std::to_string(width));
  load_base(reader);
  unknown_items_ = reader.get_array<std::int32_t>("unknown_items");
  if (!std::is_sorted(unknown_items_.begin(), unknown_items_.end())) reader.fail("unknown_items", "found items that do not ascend");
  report_ = get_report(reader);
}

}  // namespace etalage
