// SPDX-License-Identifier: Apache-2.0
// What ALS answers after the fit: folding in, partial fits and explanations.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "etalage/models/als.hpp"
#include "models/factor/als_model_state.hpp"
#include "models/factor/als_query.hpp"
#include "models/factor/als_solver.hpp"

namespace etalage {
namespace {

// rows [n x others] solved exactly against `fixed`, into [n x width].
Array<float> solve_rows(const CsrMatrix& rows, const als::Fixed& fixed, const als::ScaledGram& gram,
                        const AlsOptions& options, const char* whose, int num_threads) {
  const auto count = static_cast<std::size_t>(rows.rows);
  Array<float> out(count * fixed.width);
  float* data = out.mutable_data();
  const int threads = detail::resolve_threads(num_threads);
  struct PerThread {
    als::RowScratch row;
    std::vector<float> x;
  };
  std::vector<PerThread> scratch(static_cast<std::size_t>(threads));
  const als::Weights weights(options);
  const CsrView view = rows.view();
  detail::parallel_for(count, 8, threads, [&](std::size_t r, std::size_t end, int thread) {
    PerThread& s = scratch[static_cast<std::size_t>(thread)];
    s.x.resize(gram.n);
    for (; r < end; ++r) {
      const auto id = static_cast<std::int64_t>(r);
      const auto values = view.row_values(id);
      if (std::none_of(values.begin(), values.end(), [](float v) { return v > 0; })) continue;
      if (!als::solve_exactly(fixed, gram, {view.row_columns(id).data(), values.data(), values.size()}, weights, s.row,
                              s.x.data()))
        als::not_positive(std::string(whose) + " row " + std::to_string(r));
      std::copy_n(s.x.data(), fixed.width, data + r * fixed.width);
    }
  });
  return out;
}

// Checked, sorted, without repeats and zeros.
CsrMatrix observed_rows(const CsrView& rows, std::int64_t cols, const char* argument) {
  if (rows.cols != cols)
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(rows.cols) + " columns, must have " +
                                std::to_string(cols));
  validate(rows, argument);
  CsrMatrix copy{rows.rows, rows.cols, Array<std::int64_t>(rows.offsets), Array<std::int32_t>(rows.columns),
                 Array<float>(rows.values)};
  return als::without_zeros(canonical(copy, argument));
}

// Unique, not negative, one for each row; returns the number of rows that the model has afterwards.
std::int32_t check_indices(std::span<const std::int32_t> indices, const CsrView& rows, std::int32_t have,
                           const char* argument, const char* rows_argument) {
  if (rows.rows != static_cast<std::int64_t>(indices.size()))
    throw std::invalid_argument(std::string(rows_argument) + " has " + std::to_string(rows.rows) +
                                " rows, must have one for each of the " + std::to_string(indices.size()) + " " + argument);
  std::int32_t count = have;
  std::vector<std::int32_t> sorted(indices.begin(), indices.end());
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] < 0) throw std::out_of_range(detail::violated(argument, sorted[i], ">= 0"));
    if (i > 0 && sorted[i] == sorted[i - 1])
      throw std::invalid_argument(std::string(argument) + " holds " + std::to_string(sorted[i]) + " twice, must be unique");
    // Room for a catalogue's growth, not for a slip that would allocate the address space.
    if (sorted[i] >= have && static_cast<std::size_t>(sorted[i] - have) >= indices.size() + 1000000)
      throw std::out_of_range(detail::violated(argument, sorted[i], "at most a million beyond what the model has"));
    count = std::max(count, sorted[i] + 1);
  }
  return count;
}

// G + new^T new - old^T old, in double.
Array<double> moved_gram(const Array<double>& before_moving, std::size_t f, std::span<const std::int32_t> indices,
                               const Array<float>& before, const Array<float>& now) {
  Array<double> moved(before_moving.view());
  double* gram = moved.mutable_data();
  const auto add = [&](const float* row, double sign) {
    for (std::size_t i = 0; i < f; ++i)
      for (std::size_t j = 0; j < f; ++j) gram[i * f + j] += sign * static_cast<double>(row[i]) * static_cast<double>(row[j]);
  };
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::size_t at = static_cast<std::size_t>(indices[i]) * f;
    if (at < before.size()) add(before.data() + at, -1);
    add(now.data() + i * f, 1);
  }
  return moved;
}

void check_grown_ids(const SharedIdMap& have, const SharedIdMap& given, std::int32_t before, std::int32_t count,
                     const char* argument) {
  if (given && given->size() != count)
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(given->size()) + " keys, must have " +
                                std::to_string(count));
  if (have && !given && count != before)
    throw std::invalid_argument(std::string(argument) + " is missing, must hold " + std::to_string(count) +
                                " keys when a model with the shop's keys grows");
}

}  // namespace

void AlsModel::fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const {
  als::QueryRow& q = als::query_row(scratch);
  q.collect(history_of(query), history_values_of(query), query.session);
  if (!q.likes_something()) {
    std::fill(factor.begin(), factor.end(), 0.0f);
    return;
  }
  if (q.solution.size() < grams_->scaled_item.n) q.solution.resize(grams_->scaled_item.n);
  if (!als::solve_exactly(als::factor_rows(item_factors(), num_items(), factors()), grams_->scaled_item, q.observed(),
                          als::Weights(options_), q.row, q.solution.data()))
    als::not_positive("the query");
  std::copy_n(q.solution.data(), factor.size(), factor.data());
}

Explanation AlsModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  Scratch scratch;
  als::QueryRow& q = als::query_row(scratch);
  q.collect(history_of(query), history_values_of(query), query.session);
  Explanation explanation;
  if (!q.likes_something()) {
    explanation.total = cold_score(item);
    return explanation;
  }
  const als::ScaledGram& gram = grams_->scaled_item;
  q.solution.resize(gram.n);
  if (!als::solve_exactly(als::factor_rows(item_factors(), num_items(), factors()), gram, q.observed(), als::Weights(options_),
                          q.row, q.solution.data()))
    als::not_positive("the query");
  explanation = als::explain_row(q, als::factor_rows(item_factors(), num_items(), factors()), item, als::Weights(options_), gram.n);
  if (explanation.contributions.size() > k) explanation.contributions.resize(k);
  return explanation;
}

Array<float> AlsModel::fold_in_users(const CsrView& user_items, int num_threads) const {
  require_fitted();
  return solve_rows(observed_rows(user_items, num_items(), "user_items"),
                    als::factor_rows(item_factors(), num_items(), factors()), grams_->scaled_item, options_, "user_items",
                    num_threads);
}

Array<float> AlsModel::fold_in_items(const CsrView& item_users, int num_threads) const {
  require_fitted();
  return solve_rows(observed_rows(item_users, num_users(), "item_users"),
                    als::factor_rows(user_factors(), num_users(), factors()), grams_->scaled_user, options_, "item_users",
                    num_threads);
}

void AlsModel::partial_fit_users(std::span<const std::int32_t> users, const CsrView& user_items, SharedIdMap user_ids) {
  require_fitted();
  const std::int32_t count = check_indices(users, user_items, num_users(), "users", "user_items");
  check_grown_ids(user_ids_, user_ids, num_users(), count, "user_ids");
  const CsrMatrix rows = observed_rows(user_items, num_items(), "user_items");
  const Array<float> now = solve_rows(rows, als::factor_rows(item_factors(), num_items(), factors()), grams_->scaled_item,
                                      options_, "user_items", options_.num_threads);
  const auto f = static_cast<std::size_t>(factors());
  auto grams = std::make_shared<const Grams>(moved_gram(grams_->user, f, users, user_factors(), now), grams_->item, f,
                                             options_.unobserved_weight);
  // Nothing below is refused.
  set_user_rows(users, now.view(), count);
  if (has_history()) {
    grow_kept_rows(count, num_items());
    for (std::size_t i = 0; i < users.size(); ++i)
      set_kept_row(users[i], rows.view().row_columns(static_cast<std::int64_t>(i)), rows.view().row_values(static_cast<std::int64_t>(i)));
  } else {
    fitted_on_.reset();
  }
  if (user_ids) user_ids_ = std::move(user_ids);
  grams_ = std::move(grams);
}

void AlsModel::partial_fit_items(std::span<const std::int32_t> items, const CsrView& item_users, SharedIdMap item_ids) {
  require_fitted();
  const std::int32_t count = check_indices(items, item_users, num_items(), "items", "item_users");
  check_grown_ids(item_ids_, item_ids, num_items(), count, "item_ids");
  const CsrMatrix rows = observed_rows(item_users, num_users(), "item_users");
  const Array<float> now = solve_rows(rows, als::factor_rows(user_factors(), num_users(), factors()), grams_->scaled_user,
                                      options_, "item_users", options_.num_threads);
  const auto f = static_cast<std::size_t>(factors());
  auto grams = std::make_shared<const Grams>(grams_->user, moved_gram(grams_->item, f, items, item_factors(), now), f,
                                             options_.unobserved_weight);
  set_item_rows(items, now.view(), count);
  if (has_history()) {
    for (std::size_t i = 0; i < items.size(); ++i)
      set_kept_column(items[i], rows.view().row_columns(static_cast<std::int64_t>(i)), rows.view().row_values(static_cast<std::int64_t>(i)));
    grow_kept_rows(num_users(), count);
  } else {
    fitted_on_.reset();
  }
  if (item_ids) item_ids_ = std::move(item_ids);
  grams_ = std::move(grams);
}

}  // namespace etalage
