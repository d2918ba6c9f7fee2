// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/user_knn.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "core/scratch.hpp"
#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "etalage/error.hpp"
#include "kernels/rank_key.hpp"
#include "models/answers.hpp"
#include "models/fit_report_state.hpp"
#include "models/neighbour/similarity.hpp"
#include "models/pairwise/block_sums.hpp"
#include "models/training_data.hpp"
#include "search/top_k.hpp"

namespace etalage {

/// What the query stands for: its items in ascending order with their weights.
struct UserKnnModel::Taste {
  std::span<const ItemScore> items;  // in scratch.taste
  double square = 0;
};

void UserKnnOptions::validate() const {
  require_options(*this);
}

UserKnnModel::UserKnnModel(UserKnnOptions options) : options_(options) { options_.validate(); }

void UserKnnModel::require_fitted() const {
  if (!fitted()) throw NotFittedError("UserKNN is not fitted; call fit() first");
}

FitReport UserKnnModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  const CsrMatrix& rows = data.user_items();
  detail::check_training_rows(rows);
  const WeightedFeatures weighted = weigh(transpose(rows.view(), options_.num_threads), rows, form_of(options_, options_.item_damping));
  Array<float> share(static_cast<std::size_t>(rows.cols));
  float* s = share.mutable_data();
  for (std::size_t p = 0; p < rows.columns.size(); ++p)
    if (rows.values[p] > 0) s[rows.columns[p]] += 1.0f / static_cast<float>(rows.rows);
  rows_ = rows;
  item_users_ = weighted.damped;
  std::vector<float> idf(weighted.idf.begin(), weighted.idf.end());
  idf_ = Array<float>(idf);
  square_ = Array<double>(weighted.square);
  mean_length_ = weighted.mean_length;
  popularity_ = std::move(share);
  prepare();
  report_ = {};
  report_.stop_reason = FitReport::StopReason::kClosedForm;
  report_.iterations = 1;
  report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  report_.phase_seconds = {{"weights", report_.seconds}};
  if (callback) callback({1, 1, report_.seconds, std::numeric_limits<double>::quiet_NaN(), "weights"});
  set_ids(data.user_ids(), data.item_ids());
  set_history(options_.keep_history ? rows : CsrMatrix{});
  fitted_on_ = pair_hash(rows.view());
  newest_ms_ = data.newest_ms();
  return report_;
}

void UserKnnModel::prepare() {
  const SimilarityForm form = form_of(options_, options_.item_damping);
  column_times_ = Array<float>(square_.size());
  column_plus_ = Array<float>(square_.size());
  float* times = column_times_.mutable_data();
  float* plus = column_plus_.mutable_data();
  for (std::size_t v = 0; v < square_.size(); ++v) {
    const SimilarityForm::Side side = form.column(square_[v]);
    times[v] = side.times;
    plus[v] = side.plus;
  }
}

UserKnnModel::Taste UserKnnModel::taste_of(const Query& query, Scratch& scratch) const {
  const SimilarityForm form = form_of(options_, options_.item_damping);
  const auto history = history_of(query);
  const auto values = history_values_of(query);
  std::vector<ItemScore>& items = scratch.impl().taste;
  items.clear();
  for (std::size_t h = 0; h < history.size(); ++h) items.push_back({history[h], values.empty() ? 1.0f : values[h]});
  for (const std::int32_t i : query.session) items.push_back({i, 1.0f});
  // By value too, so that the sums of repeats do not depend on the order in which they came.
  std::sort(items.begin(), items.end(), [](const ItemScore& a, const ItemScore& b) {
    return a.item != b.item ? a.item < b.item : a.score < b.score;
  });
  std::size_t kept = 0;
  double length = 0;
  for (const ItemScore& i : items) {
    length += static_cast<double>(i.score);
    if (kept != 0 && items[kept - 1].item == i.item) items[kept - 1].score += i.score;
    else items[kept++] = i;
  }
  items.resize(kept);
  const double relative = mean_length_ > 0 ? length / mean_length_ : 1.0;
  double square = 0;
  for (ItemScore& i : items) {
    const double x = form.weight(static_cast<double>(i.score), static_cast<double>(idf_[static_cast<std::size_t>(i.item)]), relative);
    const auto having = static_cast<double>(item_users_.view().row_size(i.item));
    square += x * x * (having > 0 ? form.damped(having) : 1.0);
    i.score = static_cast<float>(x);
  }
  return {items, square};
}

std::size_t UserKnnModel::similarities(const Taste& taste, std::int32_t self, Scratch& scratch) const {
  const SimilarityForm form = form_of(options_, options_.item_damping);
  const CsrView w = item_users_.view();
  BlockSums sums(scratch.impl().floats, scratch.impl().bits, static_cast<std::size_t>(num_users()));
  for (const ItemScore& i : taste.items) {
    const auto users = w.row_columns(i.item);
    const auto values = w.row_values(i.item);
    for (std::size_t p = 0; p < users.size(); ++p) sums.add(static_cast<std::size_t>(users[p]), i.score * values[p]);
  }
  const SimilarityForm::Side row = form.row(taste.square);
  const float t = form.t();
  const float scale = form.scale(static_cast<double>(num_items()));
  auto& keys = scratch.impl().keys;
  keys.clear();
  sums.for_each([&](std::size_t v, float c) {
    if (static_cast<std::int32_t>(v) == self) return;
    const float s = scale * c / (row.times * column_times_[v] + column_plus_[v] + row.plus + t * c);
    if (s > 0 && std::isfinite(s)) keys.push_back(kernels::rank_key(s, static_cast<std::uint32_t>(v)));
  });
  sums.clear();
  return keys.size();
}

void UserKnnModel::neighbours(const Query& query, const Taste& taste, Scratch& scratch) const {
  std::size_t n = similarities(taste, query.user.value_or(-1), scratch);
  auto& keys = scratch.impl().keys;
  const auto most = static_cast<std::size_t>(options_.num_neighbors);
  if (n > most) {
    std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(most), keys.end(), std::greater<>());
    n = most;
  }
  std::sort(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(n), std::greater<>());
  auto& found = scratch.impl().heap;
  found.clear();
  double total = 0;
  for (std::size_t p = 0; p < n; ++p) {
    found.push_back({static_cast<std::int32_t>(kernels::key_index(keys[p])), kernels::key_score(keys[p])});
    total += static_cast<double>(found.back().score);
  }
  if (options_.normalize)
    for (ItemScore& v : found) v.score = static_cast<float>(static_cast<double>(v.score) / total);
}

void UserKnnModel::accumulate(const Query& query, Scratch& scratch) const {
  const auto n = static_cast<std::size_t>(num_items());
  const Taste taste = taste_of(query, scratch);
  float* scores = Scratch::Impl::at_least(scratch.impl().vector, n);
  if (taste.items.empty()) {
    std::copy(popularity_.begin(), popularity_.end(), scores);
    return;
  }
  neighbours(query, taste, scratch);
  std::fill_n(scores, n, 0.0f);
  for (const ItemScore& v : scratch.impl().heap) {
    const auto items = rows_.view().row_columns(v.item);
    const auto values = rows_.view().row_values(v.item);
    for (std::size_t p = 0; p < items.size(); ++p) scores[items[p]] += v.score * values[p];
  }
}

std::size_t UserKnnModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (out.empty()) return 0;
  accumulate(query, scratch);
  const std::span<const std::int32_t> excluded = excluded_of(query, scratch);
  return select_top_k({scratch.impl().vector.data(), static_cast<std::size_t>(num_items())}, excluded, query.filter, out, scratch);
}

void UserKnnModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  detail::check_scored(*this, items, out.size());
  accumulate(query, scratch);
  for (std::size_t i = 0; i < items.size(); ++i) out[i] = scratch.impl().vector[static_cast<std::size_t>(items[i])];
}

std::size_t UserKnnModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch, const ItemFilter* filter) const {
  require_fitted();
  check_item(item, "item");
  if (out.empty()) return 0;
  const auto n = static_cast<std::size_t>(num_items());
  float* scores = Scratch::Impl::at_least(scratch.impl().vector, n);
  std::fill_n(scores, n, 0.0f);
  const CsrView users = item_users_.view();
  for (const std::int32_t v : users.row_columns(item))
    for (const std::int32_t j : rows_.view().row_columns(v)) scores[j] += 1.0f;
  const auto own = static_cast<float>(users.row_size(item));
  for (std::size_t j = 0; j < n; ++j)
    scores[j] = scores[j] > 0 ? scores[j] / std::sqrt(own * static_cast<float>(users.row_size(static_cast<std::int64_t>(j))))
                              : -std::numeric_limits<float>::infinity();
  return select_top_k({scores, n}, {&item, 1}, filter, out, scratch);
}

std::size_t UserKnnModel::similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check_user(user, "user");
  if (out.empty()) return 0;
  const auto n = static_cast<std::size_t>(num_users());
  Query query;
  query.history = rows_.view().row_columns(user);
  query.history_values = rows_.view().row_values(user);
  query.history_given = true;
  const std::size_t found = similarities(taste_of(query, scratch), user, scratch);
  float* scores = Scratch::Impl::at_least(scratch.impl().vector, n);
  std::fill_n(scores, n, 0.0f);
  for (std::size_t p = 0; p < found; ++p) scores[kernels::key_index(scratch.impl().keys[p])] = kernels::key_score(scratch.impl().keys[p]);
  return select_top_k({scores, n}, {&user, 1}, nullptr, out, scratch);
}

Explanation UserKnnModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  Explanation e;
  Scratch scratch;
  const Taste taste = taste_of(query, scratch);
  if (taste.items.empty()) {
    e.total = popularity_[static_cast<std::size_t>(item)];
    return e;
  }
  const auto find = [](const CsrView& m, std::int64_t row, std::int32_t column) {
    const auto c = m.row_columns(row);
    const auto at = std::lower_bound(c.begin(), c.end(), column);
    return at != c.end() && *at == column ? m.row_values(row)[static_cast<std::size_t>(at - c.begin())] : 0.0f;
  };
  neighbours(query, taste, scratch);
  std::vector<double> parts(taste.items.size(), 0.0);
  std::vector<double> shared(taste.items.size());
  double total = 0;
  for (const ItemScore& v : scratch.impl().heap) {
    const float value = find(rows_.view(), v.item, item);
    if (value == 0.0f) continue;
    const double speaks = static_cast<double>(v.score) * static_cast<double>(value);
    total += speaks;
    double sum = 0;
    for (std::size_t h = 0; h < parts.size(); ++h) {
      shared[h] = static_cast<double>(taste.items[h].score) * static_cast<double>(find(item_users_.view(), taste.items[h].item, v.item));
      sum += shared[h];
    }
    for (std::size_t h = 0; h < parts.size(); ++h) parts[h] += speaks * shared[h] / sum;
  }
  e.total = static_cast<float>(total);
  for (std::size_t h = 0; h < parts.size(); ++h) e.contributions.push_back({taste.items[h].item, static_cast<float>(parts[h])});
  detail::keep_largest(e, k);
  return e;
}

void UserKnnModel::save_state(StateWriter& writer) const {
  require_fitted();
  Recommender::save_state(writer);
  const bool kept = has_history() && history_.columns.data() == rows_.columns.data() && history_.values.data() == rows_.values.data();
  writer.put_bool("rows_are_history", kept);
  if (!kept) writer.put_csr("rows", rows_);
  writer.put_csr("item_users", item_users_);
  writer.put_array("idf", idf_);
  writer.put_array("square", square_);
  writer.put_array("popularity", popularity_);
  writer.put_double("mean_length", mean_length_);
  put_options(writer, options_);
  put_report(writer, report_);
}

std::shared_ptr<UserKnnModel> UserKnnModel::from_state(const StateReader& reader) {
  auto model = std::make_shared<UserKnnModel>(get_options<UserKnnOptions>(reader));
  model->rows_ = reader.get_csr(reader.get_bool("rows_are_history") ? "history" : "rows");
  model->item_users_ = reader.get_csr("item_users");
  if (model->item_users_.rows != model->rows_.cols || model->item_users_.cols != model->rows_.rows)
    reader.fail("item_users", "found another shape, expected that of the transposed rows");
  model->idf_ = reader.get_array<float>("idf", static_cast<std::size_t>(model->num_items()));
  model->square_ = reader.get_array<double>("square", static_cast<std::size_t>(model->num_users()));
  model->popularity_ = reader.get_array<float>("popularity", static_cast<std::size_t>(model->num_items()));
  model->mean_length_ = reader.get_double("mean_length");
  if (reader.verify() && (!detail::all_finite(model->idf_.view()) || !detail::all_finite(model->popularity_.view()) ||
                          !std::all_of(model->square_.begin(), model->square_.end(), [](double v) { return std::isfinite(v); })))
    reader.fail("idf", "found a value that is not finite");
  model->prepare();
  model->load_base(reader);
  model->report_ = get_report(reader);
  return model;
}

}  // namespace etalage
