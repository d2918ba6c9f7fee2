// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/feature_als.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/error.hpp"
#include "models/answers.hpp"
#include "models/factor/als_basis.hpp"
#include "models/factor/als_model_state.hpp"
#include "models/factor/als_query.hpp"
#include "models/pairwise/block_schedule.hpp"
#include "models/factor/feature_regression.hpp"
#include "models/fit_report_state.hpp"
#include "models/linear/gram_state.hpp"
#include "models/training_data.hpp"

namespace etalage {

struct FeatureAlsModel::Gram {
  Array<double> values;  // [f x f]
  als::ScaledGram scaled;
  Gram(Array<double> gram, std::size_t f, float w0) : values(std::move(gram)), scaled(values.data(), f, w0) {}
};

void FeatureAlsOptions::validate() const {
  als.validate();
  require_options(*this);
}

FeatureAlsModel::FeatureAlsModel(const FeatureAlsOptions& options) : options_(options) {
  // The rules of ALS were made without features: what is not given stands as it is.
  AlsOptions& o = options_.als;
  for (Auto<int>* option : {&o.factors, &o.iterations}) *option = option->value();
  for (Auto<float>* option : {&o.regularization, &o.alpha, &o.unobserved_weight, &o.nu}) *option = option->value();
  options_.validate();
}
FeatureAlsModel::~FeatureAlsModel() = default;

namespace {

// One side of the model during a fit.
struct FeatureSide {
  CsrMatrix observed;
  CsrMatrix features;
  CsrMatrix features_t;
  std::vector<double> weights;  // ridge of each row, 0 without observations
  std::vector<double> w;        // [features x width]
  Array<float> rows;            // [rows x n]
  Array<float> priors;          // [rows x n], empty without features
  std::size_t n = 0;
  std::size_t width = 0;
  std::optional<als::Plan> plan;
  double ridge = 0;  // of w

  [[nodiscard]] als::Fixed fixed() const { return {rows.data(), static_cast<std::size_t>(observed.rows), width, n}; }
  [[nodiscard]] bool has_features() const { return !features.offsets.empty(); }
};

CsrMatrix checked_features(const CsrMatrix& features, std::int64_t rows, const char* argument) {
  if (features.offsets.empty()) return {};
  if (features.rows != rows)
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(features.rows) +
                                " rows, must have one for each of the " + std::to_string(rows) + " of the data");
  return canonical(features, argument);
}

void begin_side(FeatureSide& side, std::int64_t others, const AlsOptions& o, std::uint64_t number, double feature_ridge) {
  side.width = static_cast<std::size_t>(o.factors);
  side.n = als::padded(side.width);
  const auto count = static_cast<std::size_t>(side.observed.rows);
  side.rows = Array<float>(count * side.n);
  float* rows = side.rows.mutable_data();
  const float scale = o.init_scale / std::sqrt(static_cast<float>(o.factors));
  const als::Weights weights(o);
  side.weights.assign(count, 0.0);
  for (std::size_t r = 0; r < count; ++r) {
    const std::size_t observed = side.observed.view().row_size(static_cast<std::int64_t>(r));
    if (observed == 0) continue;
    side.weights[r] = weights.ridge(observed, static_cast<std::size_t>(others));
    detail::RandomStream random(o.seed, number, r);
    for (std::size_t k = 0; k < side.width; ++k) rows[r * side.n + k] = scale * detail::bell(random);
  }
  side.plan.emplace(side.observed.view(), side.n, side.has_features());
  side.ridge = feature_ridge;
  if (!side.has_features()) return;
  side.features_t = transpose(side.features.view(), o.num_threads);
  side.w.assign(static_cast<std::size_t>(side.features.cols) * side.width, 0.0);
  side.priors = Array<float>(count * side.n);
}

std::vector<double> finite_gram(const FeatureSide& side, int num_threads, const char* name) {
  std::vector<double> g = als::gram(side.fixed(), num_threads);
  for (const double v : g)
    if (!std::isfinite(v))
      throw NumericalError(std::string(name) + " factors left the finite numbers; increase regularization, or lower alpha");
  return g;
}

// Rows, priors and the features' factors alike, by a matrix [width x width].
void turn(FeatureSide& side, const std::vector<double>& matrix, int num_threads) {
  const std::size_t f = side.width;
  als::turn(side.rows.mutable_data(), side.weights.size(), matrix.data(), f, num_threads);
  if (!side.has_features()) return;
  als::turn(side.priors.mutable_data(), side.weights.size(), matrix.data(), f, num_threads);
  std::vector<double> turned(f);
  for (std::size_t row = 0; row < side.w.size(); row += f) {
    std::fill(turned.begin(), turned.end(), 0.0);
    for (std::size_t i = 0; i < f; ++i)
      for (std::size_t j = 0; j < f; ++j) turned[j] += side.w[row + i] * matrix[i * f + j];
    std::copy(turned.begin(), turned.end(), side.w.begin() + static_cast<std::ptrdiff_t>(row));
  }
}

// sum ridge |x - prior|^2 + feature ridge |W|^2
double penalty(const FeatureSide& side) {
  double sum = 0;
  for (std::size_t r = 0; r < side.weights.size(); ++r) {
    if (side.weights[r] == 0) continue;
    double square = 0;
    for (std::size_t k = 0; k < side.width; ++k) {
      const double d = static_cast<double>(side.rows[r * side.n + k]) -
                       (side.has_features() ? static_cast<double>(side.priors[r * side.n + k]) : 0.0);
      square += d * d;
    }
    sum += side.weights[r] * square;
  }
  for (const double v : side.w) sum += side.ridge * v * v;
  return sum;
}

double objective_of(const FeatureSide& users, const FeatureSide& items, std::span<const double> user_gram, std::span<const double> item_gram,
                    const AlsOptions& o) {
  const als::Weights weights(o);
  double cells = 0;
  for (std::size_t i = 0; i < user_gram.size(); ++i) cells += user_gram[i] * item_gram[i];
  return als::observed_loss(users.observed.view(), items.fixed(), users.rows.data(), weights, o.num_threads) +
         static_cast<double>(weights.w0) * cells + penalty(users) + penalty(items);
}

// The model's rows: fitted ones, and what features say where nothing was observed.
Array<float> finished(const FeatureSide& side, int num_threads) {
  const std::size_t count = side.weights.size();
  Array<float> out(count * side.width);
  float* to = out.mutable_data();
  if (side.has_features()) als::predict(side.features.view(), side.w, side.width, side.width, num_threads, to);
  for (std::size_t r = 0; r < count; ++r)
    if (side.observed.view().row_size(static_cast<std::int64_t>(r)) != 0)
      std::copy_n(side.rows.data() + r * side.n, side.width, to + r * side.width);
  return out;
}

Array<float> to_floats(const std::vector<double>& w) {
  Array<float> out(w.size());
  std::transform(w.begin(), w.end(), out.mutable_data(), [](double v) { return static_cast<float>(v); });
  return out;
}

}  // namespace

FitReport FeatureAlsModel::fit(const Interactions& data, const CsrMatrix& user_features, const CsrMatrix& item_features,
                               const ProgressCallback& callback) {
  const AlsOptions& o = options_.als;
  const CsrMatrix& given = data.user_items();
  detail::check_training_rows(given);
  const auto begin = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  FitReport report;
  FeatureSide users;
  FeatureSide items;
  users.features = checked_features(user_features, given.rows, "user_features");
  items.features = checked_features(item_features, given.cols, "item_features");
  users.observed = als::without_zeros(given);
  items.observed = transpose(users.observed.view(), o.num_threads);
  begin_side(users, given.cols, o, 1, static_cast<double>(options_.feature_regularization));
  begin_side(items, given.rows, o, 2, static_cast<double>(options_.feature_regularization));
  std::vector<double> item_gram = finite_gram(items, o.num_threads, "item");
  std::vector<double> user_gram = finite_gram(users, o.num_threads, "user");
  if (o.compute_objective) report.objective.push_back(objective_of(users, items, user_gram, item_gram, o));
  report.phase_seconds.emplace_back("setup", since());
  double solving = 0;
  double regressing = 0;
  als::Turns turns(users.width);
  const auto half = [&](FeatureSide& side, const FeatureSide& other, std::vector<double>& gram, const char* name) {
    double started = since();
    if (als::uses_basis(o, users.weights.size() + items.weights.size(), other.width)) {
      const als::Basis basis(gram.data(), other.width);
      for (FeatureSide* turned : {&users, &items}) turn(*turned, basis.vectors, o.num_threads);
      turns.add(basis.vectors);
      gram = basis.gram();
    }
    const als::ScaledGram scaled(gram.data(), other.width, o.unobserved_weight);
    als::solve_side(side.observed.view(), *side.plan, other.fixed(), scaled, o, name, side.rows.mutable_data(),
                    side.has_features() ? side.priors.data() : nullptr);
    solving += since() - started;
    if (!side.has_features()) return;
    started = since();
    als::regress(side.features.view(), side.features_t.view(), side.weights, side.rows.data(), side.n, side.width, side.ridge,
                 o.num_threads, side.w);
    als::predict(side.features.view(), side.w, side.width, side.n, o.num_threads, side.priors.mutable_data());
    regressing += since() - started;
  };
  for (int sweep = 0; sweep < o.iterations; ++sweep) {
    half(users, items, item_gram, "users");
    user_gram = finite_gram(users, o.num_threads, "user");
    half(items, users, user_gram, "items");
    item_gram = finite_gram(items, o.num_threads, "item");
    report.iterations = sweep + 1;
    if (o.compute_objective) report.objective.push_back(objective_of(users, items, user_gram, item_gram, o));
    const double now = o.compute_objective ? report.objective.back() : std::numeric_limits<double>::quiet_NaN();
    if (callback &&
        !callback({.step = sweep + 1, .total = o.iterations, .seconds = since(), .objective = now, .phase = "sweep"})) {
      report.stop_reason = FitReport::StopReason::kCancelled;
      break;
    }
  }
  if (turns.any()) {
    for (FeatureSide* turned : {&users, &items}) turn(*turned, turns.back(), o.num_threads);
    item_gram = finite_gram(items, o.num_threads, "item");
  }
  report.phase_seconds.emplace_back("rows", solving);
  report.phase_seconds.emplace_back("features", regressing);
  auto gram = std::make_shared<const Gram>(Array<double>(item_gram), items.width, o.unobserved_weight);
  report.seconds = since();
  set_factors(finished(users, o.num_threads), data.num_users(), finished(items, o.num_threads), data.num_items(), o.factors);
  item_gram_ = std::move(gram);
  users_ = {users.features, to_floats(users.w)};
  items_ = {items.features, to_floats(items.w)};
  set_history({});
  set_ids(data.user_ids(), data.item_ids());
  if (o.keep_history) set_history(data.user_items());
  fitted_on_ = pair_hash(given.view());
  newest_ms_ = data.newest_ms();
  report_ = report;
  return report;
}

double FeatureAlsModel::objective(const Interactions& data) const {
  require_fitted();
  detail::check_shape(*this, data.num_users(), data.num_items());
  const AlsOptions& o = options_.als;
  FeatureSide users;
  FeatureSide items;
  users.features = users_.features;
  items.features = items_.features;
  users.observed = als::without_zeros(data.user_items());
  items.observed = transpose(users.observed.view(), o.num_threads);
  const auto take = [&](FeatureSide& side, std::int32_t others, const Array<float>& rows, const Features& have) {
    begin_side(side, others, o, 0, static_cast<double>(options_.feature_regularization));
    float* to = side.rows.mutable_data();
    for (std::size_t r = 0; r < side.weights.size(); ++r)
      if (side.weights[r] != 0) std::copy_n(rows.data() + r * side.width, side.width, to + r * side.n);
    if (!side.has_features()) return;
    side.w.assign(have.weights.begin(), have.weights.end());
    als::predict(side.features.view(), side.w, side.width, side.n, o.num_threads, side.priors.mutable_data());
  };
  take(users, num_items(), user_factors(), users_);
  take(items, num_users(), item_factors(), items_);
  return objective_of(users, items, als::gram(users.fixed(), o.num_threads), als::gram(items.fixed(), o.num_threads), o);
}

Array<float> FeatureAlsModel::rows_from(const Features& side, const CsrView& features, const char* argument) const {
  require_fitted();
  if (side.features.offsets.empty())
    throw std::invalid_argument(std::string(argument) + " is given, but the model was fitted without");
  if (features.cols != side.features.cols)
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(features.cols) + " columns, must have the " +
                                std::to_string(side.features.cols) + " of the fit");
  validate(features, argument);
  const auto f = static_cast<std::size_t>(factors());
  Array<float> out(static_cast<std::size_t>(features.rows) * f);
  const std::vector<double> w(side.weights.begin(), side.weights.end());
  als::predict(features, w, f, f, options_.als.num_threads, out.mutable_data());
  return out;
}

Array<float> FeatureAlsModel::user_rows(const CsrView& user_features) const {
  return rows_from(users_, user_features, "user_features");
}

Array<float> FeatureAlsModel::item_rows(const CsrView& item_features) const {
  return rows_from(items_, item_features, "item_features");
}

namespace {

Array<float> joined(const Array<float>& a, const Array<float>& b) {
  Array<float> out(a.size() + b.size(), uninitialized);
  std::copy(b.begin(), b.end(), std::copy(a.begin(), a.end(), out.mutable_data()));
  return out;
}

// a above b, b in canonical form.
CsrMatrix stacked(const CsrMatrix& a, const CsrView& b) {
  const CsrMatrix below = canonical({b.rows, b.cols, Array<std::int64_t>(b.offsets), Array<std::int32_t>(b.columns), Array<float>(b.values)});
  CsrMatrix out{a.rows + below.rows, a.cols, Array<std::int64_t>(static_cast<std::size_t>(a.rows + below.rows) + 1), {}, {}};
  std::int64_t* offsets = out.offsets.mutable_data();
  std::copy(a.offsets.begin(), a.offsets.end(), offsets);
  for (std::int64_t r = 1; r <= below.rows; ++r) offsets[a.rows + r] = a.nnz() + below.offsets[static_cast<std::size_t>(r)];
  out.columns = Array<std::int32_t>(a.columns.size() + below.columns.size(), uninitialized);
  std::copy(below.columns.begin(), below.columns.end(), std::copy(a.columns.begin(), a.columns.end(), out.columns.mutable_data()));
  out.values = joined(a.values, below.values);
  return out;
}

void check_ids(const SharedIdMap& have, const SharedIdMap& given, std::int64_t count, const char* argument) {
  if (given && given->size() != count)
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(given->size()) + " keys, must have " +
                                std::to_string(count));
  if (have && !given)
    throw std::invalid_argument(std::string(argument) + " is missing, must hold " + std::to_string(count) +
                                " keys when a model with the shop's keys grows");
}

}  // namespace

void FeatureAlsModel::add_users(const CsrView& user_features, SharedIdMap user_ids) {
  const Array<float> rows = user_rows(user_features);
  const std::int64_t count = num_users() + user_features.rows;
  detail::require(count <= std::numeric_limits<std::int32_t>::max(), "number of users", count, "below 2^31");
  if (user_features.rows != 0) check_ids(user_ids_, user_ids, count, "user_ids");
  CsrMatrix features = stacked(users_.features, user_features);
  set_factors(joined(user_factors(), rows), static_cast<std::int32_t>(count), item_factors(), num_items(), factors());
  users_.features = std::move(features);
  if (has_history()) grow_kept_rows(static_cast<std::int32_t>(count), num_items());
  if (user_ids) user_ids_ = std::move(user_ids);
}

void FeatureAlsModel::add_items(const CsrView& item_features, SharedIdMap item_ids) {
  const Array<float> rows = item_rows(item_features);
  const std::int64_t count = num_items() + item_features.rows;
  detail::require(count <= std::numeric_limits<std::int32_t>::max(), "number of items", count, "below 2^31");
  if (item_features.rows != 0) check_ids(item_ids_, item_ids, count, "item_ids");
  CsrMatrix features = stacked(items_.features, item_features);
  set_factors(user_factors(), num_users(), joined(item_factors(), rows), static_cast<std::int32_t>(count), factors());
  items_.features = std::move(features);
  if (has_history()) grow_kept_rows(num_users(), static_cast<std::int32_t>(count));
  if (item_ids) item_ids_ = std::move(item_ids);
}

bool FeatureAlsModel::solve(const Query& query, float* factor, Scratch& scratch) const {
  als::QueryRow& q = als::query_row(scratch);
  q.collect(history_of(query), history_values_of(query), query.session);
  const auto f = static_cast<std::size_t>(factors());
  const std::size_t n = item_gram_->scaled.n;
  float* prior = Scratch::Impl::at_least(scratch.impl().vector, n);
  std::fill_n(prior, n, 0.0f);
  if (query.user && !users_.features.offsets.empty()) {
    const auto columns = users_.features.view().row_columns(*query.user);
    const auto values = users_.features.view().row_values(*query.user);
    for (std::size_t p = 0; p < columns.size(); ++p)
      for (std::size_t k = 0; k < f; ++k) prior[k] += values[p] * users_.weights[static_cast<std::size_t>(columns[p]) * f + k];
  }
  if (!q.likes_something()) {
    std::copy_n(prior, f, factor);
    return false;
  }
  if (q.solution.size() < n) q.solution.resize(n);
  if (!als::solve_exactly(als::factor_rows(item_factors(), num_items(), factors()), item_gram_->scaled, q.observed(),
                          als::Weights(options_.als), q.row, q.solution.data(), prior))
    als::not_positive("the query");
  std::copy_n(q.solution.data(), f, factor);
  return true;
}

void FeatureAlsModel::fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const {
  (void)solve(query, factor.data(), scratch);
}

Explanation FeatureAlsModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  Scratch scratch;
  std::vector<float> factor(static_cast<std::size_t>(factors()));
  Explanation explanation;
  if (solve(query, factor.data(), scratch))
    explanation = als::explain_row(als::query_row(scratch), als::factor_rows(item_factors(), num_items(), factors()), item,
                                   als::Weights(options_.als), item_gram_->scaled.n);
  if (explanation.contributions.empty() && std::all_of(factor.begin(), factor.end(), [](float v) { return v == 0.0f; })) {
    explanation.total = cold_score(item);
    return explanation;
  }
  const std::span<const float> row = FactorModel::item_row(item);
  if (query.user && !users_.features.offsets.empty())
    explanation.total = static_cast<float>(std::inner_product(row.begin(), row.end(), factor.begin(), 0.0));
  if (explanation.contributions.size() > k) explanation.contributions.resize(k);
  return explanation;
}

void FeatureAlsModel::save_state(StateWriter& writer) const {
  FactorModel::save_state(writer);
  put_options(writer, options_);
  put_report(writer, report_);
  writer.put_array("item_gram", item_gram_ ? item_gram_->values : Array<double>());
  const auto put = [&](const std::string& name, const Features& side) {
    writer.put_bool(name, !side.features.offsets.empty());
    if (side.features.offsets.empty()) return;
    writer.put_csr(name + "/features", side.features);
    writer.put_array(name + "/weights", side.weights);
  };
  put("user_features", users_);
  put("item_features", items_);
}

std::shared_ptr<FeatureAlsModel> FeatureAlsModel::from_state(const StateReader& reader) {
  const auto o = get_options<FeatureAlsOptions>(reader);
  auto model = std::make_shared<FeatureAlsModel>(o);
  model->load_factors(reader);
  if (model->fitted() && model->factors() != o.als.factors)
    reader.fail("factors", "found " + std::to_string(model->factors()) + ", expected " + std::to_string(o.als.factors.value()));
  const auto f = static_cast<std::size_t>(model->factors());
  Array<double> gram = get_gram(reader, "item_gram", f);
  if (model->fitted()) model->item_gram_ = std::make_shared<const Gram>(std::move(gram), f, o.als.unobserved_weight);
  const auto get = [&](const std::string& name, Features& side, std::int64_t rows) {
    if (!reader.get_bool(name)) return;
    side.features = reader.get_csr(name + "/features");
    if (side.features.offsets.empty() || side.features.rows != rows)
      reader.fail(name + "/features", "found " + std::to_string(side.features.rows) + " rows, expected " + std::to_string(rows));
    side.weights = reader.get_array<float>(name + "/weights", static_cast<std::size_t>(side.features.cols) * f);
    if (reader.verify() && !detail::all_finite(side.weights.view(), reader.num_threads()))
      reader.fail(name + "/weights", "found a value that is not finite, expected finite ones");
  };
  get("user_features", model->users_, model->num_users());
  get("item_features", model->items_, model->num_items());
  model->load_base(reader);
  model->report_ = get_report(reader);
  return model;
}

}  // namespace etalage
