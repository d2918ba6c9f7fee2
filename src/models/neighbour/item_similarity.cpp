// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_similarity.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/scratch.hpp"
#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "etalage/error.hpp"
#include "kernels/dense_kernels.hpp"
#include "models/answers.hpp"
#include "models/fit_report_state.hpp"
#include "models/pairwise/block_sums.hpp"
#include "models/training_data.hpp"
#include "search/top_k.hpp"

namespace etalage {

void ItemSimilarityModel::require_fitted() const {
  if (!fitted()) throw NotFittedError(std::string(kind()) + " is not fitted; call fit() first");
}

void ItemSimilarityModel::take(const Interactions& data, bool keep_history, const FitReport& report) {
  num_users_ = data.num_users();
  num_items_ = data.num_items();
  popularity_ = Array<float>(static_cast<std::size_t>(num_items_));
  float* share = popularity_.mutable_data();
  const CsrView rows = data.user_items().view();
  for (std::size_t p = 0; p < rows.columns.size(); ++p)
    if (rows.values[p] > 0) share[rows.columns[p]] += 1.0f;
  for (std::int32_t j = 0; j < num_items_; ++j) share[j] /= static_cast<float>(std::max(num_users_, 1));
  fitted_ = true;
  report_ = report;
  set_ids(data.user_ids(), data.item_ids());
  set_history(keep_history ? data.user_items() : CsrMatrix{});
  fitted_on_ = pair_hash(data.user_items().view());
  newest_ms_ = data.newest_ms();
}

void ItemSimilarityModel::finish_fit(const Interactions& data, CsrMatrix weights, bool keep_history, const FitReport& report) {
  weights_ = std::move(weights);
  dense_ = {};
  take(data, keep_history, report);
}

void ItemSimilarityModel::finish_fit(const Interactions& data, Array<float> dense, bool keep_history, const FitReport& report) {
  weights_ = {};
  dense_ = std::move(dense);
  take(data, keep_history, report);
}

void ItemSimilarityModel::finish_rows(const Interactions& data, CsrMatrix weights, bool keep_history, double seconds) {
  detail::check_training_rows(data.user_items());
  if (weights.rows != data.num_items() || weights.cols != data.num_items())
    throw std::invalid_argument("weights is " + std::to_string(weights.rows) + " x " + std::to_string(weights.cols) +
                                ", must be items x items (" + std::to_string(data.num_items()) + ")");
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  report.iterations = 1;
  report.seconds = seconds;
  report.phase_seconds.emplace_back("similarities", seconds);
  finish_fit(data, canonical(weights, "weights"), keep_history, report);
}

template <class F>
void ItemSimilarityModel::for_each_of(const Query& query, Scratch& scratch, const F& f) const {
  std::span<const std::int32_t> items = history_of(query);
  std::span<const float> values = history_values_of(query);
  if (std::adjacent_find(items.begin(), items.end(), std::greater_equal<>()) != items.end()) {
    // The same history has the same bits in any order, and whether or not its repeats were summed before.
    auto& order = scratch.impl().ints;
    order.resize(items.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
      const std::int32_t left = items[static_cast<std::size_t>(a)];
      const std::int32_t right = items[static_cast<std::size_t>(b)];
      return left != right ? left < right : a < b;
    });
    for (std::size_t h = 0; h < order.size();) {
      const std::int32_t item = items[static_cast<std::size_t>(order[h])];
      float sum = 0;
      for (; h < order.size() && items[static_cast<std::size_t>(order[h])] == item; ++h)
        sum += values.empty() ? 1.0f : values[static_cast<std::size_t>(order[h])];
      f(item, sum);
    }
  } else {
    for (std::size_t h = 0; h < items.size(); ++h) f(items[h], values.empty() ? 1.0f : values[h]);
  }
  for (const std::int32_t i : query.session) f(i, 1.0f);
}

void ItemSimilarityModel::accumulate(const Query& query, Scratch& scratch) const {
  const auto n = static_cast<std::size_t>(num_items_);
  float* scores = Scratch::Impl::at_least(scratch.impl().floats, n);
  const auto history = history_of(query);
  if (history.empty() && query.session.empty()) {
    std::copy(popularity_.begin(), popularity_.end(), scores);
    return;
  }
  std::fill_n(scores, n, 0.0f);
  if (is_dense()) {
    auto& index = scratch.impl().sizes;
    auto& values = scratch.impl().vector;
    index.clear();
    values.clear();
    for_each_of(query, scratch, [&](std::int32_t item, float value) {
      index.push_back(static_cast<std::size_t>(item));
      values.push_back(value);
    });
    kernels::dense().add_rows(dense_.data(), n, index.data(), values.data(), index.size(), n, scores);
    return;
  }
  const CsrView w = weights_.view();
  for_each_of(query, scratch, [&](std::int32_t item, float value) {
    const auto columns = w.row_columns(item);
    const auto weights = w.row_values(item);
    for (std::size_t p = 0; p < columns.size(); ++p) scores[columns[p]] += value * weights[p];
  });
}

bool ItemSimilarityModel::few_are_touched(const Query& query) const {
  const auto history = history_of(query);
  if (is_dense() || (history.empty() && query.session.empty())) return false;
  std::size_t entries = 0;
  for (const std::int32_t i : history) entries += weights_.view().row_size(i);
  for (const std::int32_t i : query.session) entries += weights_.view().row_size(i);
  return entries <= static_cast<std::size_t>(num_items_) / 4;
}

std::size_t ItemSimilarityModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (out.empty()) return 0;
  const auto n = static_cast<std::size_t>(num_items_);
  const std::span<const std::int32_t> excluded = excluded_of(query, scratch);
  const bool listed = query.filter != nullptr && query.filter->is_walked(n);
  if (!listed && few_are_touched(query)) {
    BlockSums sums(scratch.impl().floats, scratch.impl().bits, n);
    const CsrView w = weights_.view();
    for_each_of(query, scratch, [&](std::int32_t item, float value) {
      const auto columns = w.row_columns(item);
      const auto weights = w.row_values(item);
      for (std::size_t p = 0; p < columns.size(); ++p) sums.add(static_cast<std::size_t>(columns[p]), value * weights[p]);
    });
    const std::size_t count = select_top_k({sums.sums(), n}, sums.touched(), BlockSums::kBlock, excluded, query.filter, out, scratch);
    sums.clear();
    // If those that have a weight fill the list with positive scores, nobody else can enter it.
    if (count == out.size() && out[count - 1].score > 0) return count;
  }
  accumulate(query, scratch);
  return select_top_k({scratch.impl().floats.data(), n}, excluded, query.filter, out, scratch);
}

void ItemSimilarityModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                                Scratch& scratch) const {
  require_fitted();
  check(query);
  detail::check_scored(*this, items, out.size());
  accumulate(query, scratch);
  for (std::size_t i = 0; i < items.size(); ++i) out[i] = scratch.impl().floats[static_cast<std::size_t>(items[i])];
}

std::size_t ItemSimilarityModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                               const ItemFilter* filter) const {
  require_fitted();
  check_item(item, "item");
  if (out.empty()) return 0;
  if (is_dense()) {
    const auto n = static_cast<std::size_t>(num_items_);
    const std::span<const float> row = dense_.view().subspan(static_cast<std::size_t>(item) * n, n);
    if (std::all_of(row.begin(), row.end(), [](float v) { return v == 0.0f; })) return 0;  // nobody has it
    return select_top_k(row, {&item, 1}, filter, out, scratch);
  }
  const CsrView w = weights_.view();
  return select_top_k(w.row_columns(item), w.row_values(item), {&item, 1}, filter, out, scratch);
}

float ItemSimilarityModel::weight(std::int32_t from, std::int32_t to) const noexcept {
  if (is_dense()) return dense_[static_cast<std::size_t>(from) * static_cast<std::size_t>(num_items_) + static_cast<std::size_t>(to)];
  const auto columns = weights_.view().row_columns(from);
  const auto at = std::lower_bound(columns.begin(), columns.end(), to);
  return at != columns.end() && *at == to ? weights_.view().row_values(from)[static_cast<std::size_t>(at - columns.begin())] : 0.0f;
}

Explanation ItemSimilarityModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  Explanation e;
  const auto history = history_of(query);
  if (history.empty() && query.session.empty()) {
    e.total = popularity_[static_cast<std::size_t>(item)];
    return e;
  }
  Scratch scratch;
  for_each_of(query, scratch, [&](std::int32_t i, float value) {
    const float part = value * weight(i, item);
    e.total += part;
    e.contributions.push_back({i, part});
  });
  detail::keep_largest(e, k);
  return e;
}

void ItemSimilarityModel::save_state(StateWriter& writer) const {
  require_fitted();
  Recommender::save_state(writer);
  writer.put_int("num_users", num_users_);
  writer.put_bool("dense", is_dense());
  if (is_dense()) {
    writer.put_int("num_items", num_items_);
    writer.put_array("dense_weights", dense_);
  } else {
    writer.put_csr("weights", weights_);
  }
  writer.put_array("popularity", popularity_);
  put_report(writer, report_);
}

void ItemSimilarityModel::load_weights(const StateReader& reader) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  num_users_ = static_cast<std::int32_t>(reader.get_int("num_users", 0, kMost));
  if (reader.get_bool("dense")) {
    num_items_ = static_cast<std::int32_t>(reader.get_int("num_items", 0, kMost));
    const auto n = static_cast<std::size_t>(num_items_);
    dense_ = reader.get_array<float>("dense_weights", n * n);
    if (reader.verify() && !detail::all_finite(dense_.view(), reader.num_threads()))
      reader.fail("dense_weights", "found a value that is not finite");
  } else {
    weights_ = reader.get_csr("weights");
    if (weights_.rows != weights_.cols)
      reader.fail("weights", "found shape (" + std::to_string(weights_.rows) + ", " + std::to_string(weights_.cols) +
                                 "), expected a square matrix");
    num_items_ = static_cast<std::int32_t>(weights_.rows);
  }
  fitted_ = true;
  popularity_ = reader.get_array<float>("popularity", static_cast<std::size_t>(num_items_));
  if (reader.verify() && !detail::all_finite(popularity_.view())) reader.fail("popularity", "found a value that is not finite");
  report_ = get_report(reader);
}

}  // namespace etalage
