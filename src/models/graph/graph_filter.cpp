// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/graph_filter.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "models/auto_settings.hpp"
#include "models/fit_report_state.hpp"
#include "models/graph/graph_filter_working.hpp"
#include "models/graph/randomized_svd.hpp"
#include "models/training_data.hpp"

namespace etalage {
namespace {

constexpr std::size_t kMostSamples = 256;

std::vector<double> row_sums(const CsrView& m) {
  std::vector<double> sums(static_cast<std::size_t>(m.rows), 0.0);
  for (std::int64_t r = 0; r < m.rows; ++r)
    for (const float v : m.row_values(r)) sums[static_cast<std::size_t>(r)] += static_cast<double>(v);
  return sums;
}

Array<float> powers(const std::vector<double>& sums, float exponent) {
  Array<float> out(sums.size());
  float* p = out.mutable_data();
  for (std::size_t i = 0; i < sums.size(); ++i)
    p[i] = sums[i] > 0 ? static_cast<float>(std::pow(sums[i], static_cast<double>(exponent))) : 0.0f;
  return out;
}

// diag(left) m diag(right)
CsrMatrix scaled(const CsrMatrix& m, const Array<float>& left, const Array<float>& right) {
  CsrMatrix out = m;
  float* values = out.values.mutable_data();
  for (std::int64_t r = 0; r < m.rows; ++r)
    for (auto p = static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(r)]);
         p < static_cast<std::size_t>(m.offsets[static_cast<std::size_t>(r) + 1]); ++p)
      values[p] = m.values[p] * left[static_cast<std::size_t>(r)] * right[static_cast<std::size_t>(m.columns[p])];
  return out;
}

void scale_rows(float* rows, std::size_t width, const Array<float>& scale) {
  for (std::size_t i = 0; i < scale.size(); ++i)
    for (std::size_t f = 0; f < width; ++f) rows[i * width + f] *= scale[i];
}

// Truncated SVD of D_u^-user R D_i^-item.
detail::TruncatedSvd decompose(const CsrMatrix& rows, const CsrMatrix& columns, float user, float item, std::int32_t factors,
                               const GraphFilterOptions& o, const char* phase, const ProgressCallback& callback) {
  const Array<float> users = powers(row_sums(rows.view()), -user);
  const Array<float> items = powers(row_sums(columns.view()), -item);
  const CsrMatrix a = scaled(rows, users, items);
  const CsrMatrix transposed = scaled(columns, items, users);
  const auto start = std::chrono::steady_clock::now();
  return detail::truncated_svd(a.view(), transposed.view(),
                               {.factors = static_cast<std::size_t>(factors), .iterations = o.power_iterations, .seed = o.seed,
                                .num_threads = o.num_threads},
                               [&](int done) {
                                 if (!callback) return true;
                                 const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
                                 return callback({done, o.power_iterations, seconds, std::numeric_limits<double>::quiet_NaN(), phase});
                               });
}

Array<float> singular_values_of(const detail::TruncatedSvd& svd) {
  Array<float> out(svd.factors);
  for (std::size_t f = 0; f < svd.factors; ++f) out.mutable_data()[f] = static_cast<float>(svd.singular[f]);
  return out;
}

// (sigma / sigma_1)^power
Array<float> gains_of(const detail::TruncatedSvd& svd, double power) {
  Array<float> out(svd.factors);
  for (std::size_t f = 0; f < svd.factors; ++f)
    out.mutable_data()[f] = static_cast<float>(std::pow(svd.singular[f] / svd.singular[0], power));
  return out;
}

bool is_identity(const std::vector<float>& coefficients) noexcept { return coefficients.size() == 1 && coefficients[0] == 1.0f; }

bool same(const CsrMatrix& a, const CsrMatrix& b) noexcept {
  return a.rows == b.rows && a.cols == b.cols && a.offsets.data() == b.offsets.data() && a.columns.data() == b.columns.data() &&
         a.values.data() == b.values.data();
}

Array<float> finite_array(const StateReader& reader, const char* name, std::size_t size) {
  Array<float> out = reader.get_array<float>(name, size);
  if (reader.verify() && !detail::all_finite(out.view(), reader.num_threads()))
    reader.fail(name, "found a value that is not finite, expected finite ones");
  return out;
}

}  // namespace

GraphFilterModel::GraphFilterModel(GraphFilterOptions options) : options_(std::move(options)) { options_.validate(); }
GraphFilterModel::~GraphFilterModel() = default;

void GraphFilterModel::require_fitted() const {
  if (!fitted()) throw NotFittedError("GraphFilter is not fitted; call fit() first");
}

void GraphFilterModel::fit_low_pass(const ProgressCallback& callback, FitReport& report) {
  const GraphFilterOptions& o = options_;
  const std::int32_t wanted =
      o.low_pass_factors >= 0 ? o.low_pass_factors : GraphFilterOptions::default_factors(num_users(), num_items());
  if (wanted == 0 || o.low_pass_weight == 0.0f || rows_.nnz() == 0) return;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<double> degrees = row_sums(columns_.view());
  const detail::TruncatedSvd svd =
      decompose(rows_, columns_, o.low_pass_user_exponent, o.low_pass_item_exponent, wanted, o, "low pass", callback);
  if (svd.stopped) report.stop_reason = FitReport::StopReason::kCancelled;
  low_pass_.factors = static_cast<std::int32_t>(svd.factors);
  low_pass_.vectors = svd.right;
  low_pass_.singular = singular_values_of(svd);
  low_pass_.gains = gains_of(svd, static_cast<double>(o.low_pass_power));
  low_pass_.history_scale = powers(degrees, -o.low_pass_history_exponent);
  low_pass_.target_scale = powers(degrees, -o.low_pass_target_exponent);
  if (!is_identity(o.low_pass_coefficients)) apply_low_pass_coefficients();
  report.phase_seconds.emplace_back("low pass", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

// Rows of V D^-q stand for scores of items: S acts on them as on a history's scores.
void GraphFilterModel::apply_low_pass_coefficients() {
  const auto width = static_cast<std::size_t>(low_pass_.factors);
  const std::vector<float>& c = options_.low_pass_coefficients;
  Array<float> term(low_pass_.vectors.view());
  float* t = term.mutable_data();
  scale_rows(t, width, low_pass_.target_scale);
  low_pass_.targets = Array<float>(term.size());
  float* sum = low_pass_.targets.mutable_data();
  Array<float> middle(static_cast<std::size_t>(rows_.rows) * width);
  float* m = middle.mutable_data();
  for (std::size_t k = 0; k < c.size(); ++k) {
    if (k > 0) {
      scale_rows(t, width, history_scale_);
      detail::multiply_sparse(rows_.view(), t, width, width, m, options_.num_threads);
      scale_rows(m, width, user_scale_);
      detail::multiply_sparse(columns_.view(), m, width, width, t, options_.num_threads);
      scale_rows(t, width, item_scale_);
    }
    for (std::size_t i = 0; i < term.size(); ++i) sum[i] += c[k] * t[i];
  }
  low_pass_.target_scale.fill(1.0f);
}

void GraphFilterModel::fit_sharpening(const ProgressCallback& callback, FitReport& report) {
  const GraphFilterOptions& o = options_;
  const std::int32_t wanted = std::min(o.sharpen_factors, std::min(num_users(), num_items()));
  if (wanted == 0 || o.sharpen_weight == 0.0f || rows_.nnz() == 0) return;
  const auto start = std::chrono::steady_clock::now();
  const std::vector<double> degrees = row_sums(columns_.view());
  const float difference = (o.history_exponent - o.item_exponent) / 2;
  const detail::TruncatedSvd svd = decompose(rows_, columns_, o.user_exponent / 2, (o.history_exponent + o.item_exponent) / 2,
                                             wanted, o, "sharpening", callback);
  if (svd.stopped) report.stop_reason = FitReport::StopReason::kCancelled;
  sharpen_.factors = static_cast<std::int32_t>(svd.factors);
  sharpen_.vectors = svd.right;
  sharpen_.singular = singular_values_of(svd);
  sharpen_.gains = Array<float>(svd.factors);
  for (std::size_t f = 0; f < svd.factors; ++f) sharpen_.gains.mutable_data()[f] = static_cast<float>(std::pow(svd.singular[f], 4));
  sharpen_.history_scale = powers(degrees, -difference);
  sharpen_.target_scale = powers(degrees, difference);
  report.phase_seconds.emplace_back("sharpening", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
}

void GraphFilterModel::set_weights() {
  low_pass_.weight = options_.low_pass_weight;
  sharpen_.weight = -options_.sharpen_weight;
  if (!options_.equal_scale || (low_pass_.factors == 0 && sharpen_.factors == 0)) return;
  std::vector<std::int32_t> asked;
  for (std::int32_t u = 0; u < num_users(); ++u)
    if (rows_.view().row_size(u) > 0) asked.push_back(u);
  const std::size_t n = std::min(asked.size(), kMostSamples);
  const auto items = static_cast<std::size_t>(num_items());
  const Part* parts[] = {&low_pass_, &sharpen_};
  std::vector<std::array<double, 3>> squares(n);
  std::vector<Scratch> scratch(static_cast<std::size_t>(detail::resolve_threads(options_.num_threads)));
  low_pass_.weight = sharpen_.weight = 1;
  detail::parallel_for(n, 1, options_.num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    for (std::size_t s = begin; s < end; ++s) {
      Working& w = working(scratch[static_cast<std::size_t>(thread)]);
      const std::int32_t user = asked[s * asked.size() / n];
      const auto row = rows_.view().row_columns(user);
      const auto values = rows_.view().row_values(user);
      w.items.assign(row.begin(), row.end());
      w.values.assign(values.begin(), values.end());
      propagate(w, history_scale_.data(), item_scale_.data());
      const auto sum_of_squares = [&] {
        double sum = 0;
        for (std::size_t i = 0; i < items; ++i) sum += static_cast<double>(w.linear[i]) * static_cast<double>(w.linear[i]);
        return sum;
      };
      squares[s] = {sum_of_squares(), 0, 0};
      for (std::size_t p = 0; p < 2; ++p) {
        if (parts[p]->factors == 0) continue;
        std::fill_n(w.linear.begin(), items, 0.0f);
        w.low.resize(std::max(w.low.size(), items));
        project(*parts[p], w, {w.all.data(), items}, w.low.data());
        add(*parts[p], w.low.data(), w.linear.data());
        squares[s][p + 1] = sum_of_squares();
      }
    }
  });
  std::array<double, 3> total{};
  for (const auto& s : squares)
    for (std::size_t p = 0; p < 3; ++p) total[p] += s[p];
  const auto balanced = [&](float weight, double of_part) {
    return total[0] > 0 && of_part > 0 ? static_cast<float>(static_cast<double>(weight) * std::sqrt(total[0] / of_part)) : weight;
  };
  low_pass_.weight = balanced(options_.low_pass_weight, total[1]);
  sharpen_.weight = balanced(-options_.sharpen_weight, total[2]);
}

// What is kept must be readable again: files with other numbers are refused.
void GraphFilterModel::require_finite_parts() const {
  const auto check = [&](const Array<float>& values, const char* what) {
    if (!detail::all_finite(values.view(), options_.num_threads))
      throw NumericalError(std::string("GraphFilter's ") + what + " left the finite numbers; scale the values down, or use exponents nearer to 0");
  };
  check(history_scale_, "history_exponent");
  check(user_scale_, "user_exponent");
  check(item_scale_, "item_exponent");
  for (const auto& [part, name] : {std::pair{&low_pass_, "low pass"}, std::pair{&sharpen_, "sharpening"}}) {
    for (const Array<float>* values :
         {&part->vectors, &part->targets, &part->singular, &part->gains, &part->history_scale, &part->target_scale})
      check(*values, name);
    if (!std::isfinite(part->weight)) check(Array<float>(std::vector<float>{part->weight}), name);
  }
}

FitReport GraphFilterModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto start = std::chrono::steady_clock::now();
  const CsrMatrix& rows = data.user_items();
  detail::check_training_rows(rows);
  for (std::size_t p = 0; p < rows.values.size(); ++p)
    if (rows.values[p] < 0)
      throw std::invalid_argument(detail::violated("user_items value", rows.values[p], ">= 0 for GraphFilter"));
  GraphFilterModel next(settled(options_, shape_of(data)));
  next.rows_ = rows;
  if (next.rows_.offsets.empty()) next.rows_.offsets = Array<std::int64_t>(static_cast<std::size_t>(rows.rows) + 1);
  next.columns_ = transpose(next.rows_.view(), options_.num_threads);
  const std::vector<double> degrees = row_sums(next.columns_.view());
  next.history_scale_ = powers(degrees, -next.options_.history_exponent);
  next.user_scale_ = powers(row_sums(next.rows_.view()), -next.options_.user_exponent);
  next.item_scale_ = powers(degrees, -next.options_.item_exponent);
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  next.fit_low_pass(callback, report);
  if (report.stop_reason != FitReport::StopReason::kCancelled) next.fit_sharpening(callback, report);
  next.set_weights();
  next.require_finite_parts();
  report.iterations = 1;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  next.report_ = report;
  next.set_ids(data.user_ids(), data.item_ids());
  next.set_history(data.user_items());
  next.fitted_on_ = pair_hash(rows.view());
  next.newest_ms_ = data.newest_ms();
  *this = std::move(next);
  if (callback) callback({1, 1, report.seconds, std::numeric_limits<double>::quiet_NaN(), "done"});
  return report;
}

void GraphFilterModel::save_state(StateWriter& writer) const {
  require_fitted();
  Recommender::save_state(writer);
  put_options(writer, options_);
  put_report(writer, report_);
  writer.put_int("num_users", num_users());
  writer.put_int("num_items", num_items());
  // The rows of the fit are most often the history that is kept: one copy in the file serves both.
  const bool shared = has_history() && same(rows_, history());
  writer.put_bool("rows_are_history", shared);
  if (!shared) writer.put_csr("rows", rows_);
  writer.put_csr("columns", columns_);
  writer.put_array("history_scale", history_scale_);
  writer.put_array("user_scale", user_scale_);
  writer.put_array("item_scale", item_scale_);
  ScopedWriter low_pass(writer, "low_pass/");
  low_pass_.save_state(low_pass);
  ScopedWriter sharpen(writer, "sharpen/");
  sharpen_.save_state(sharpen);
}

void GraphFilterModel::Part::save_state(StateWriter& writer) const {
  writer.put_int("factors", factors);
  writer.put_double("weight", static_cast<double>(weight));
  writer.put_array("vectors", vectors);
  writer.put_array("targets", targets);
  writer.put_array("singular", singular);
  writer.put_array("gains", gains);
  writer.put_array("history_scale", history_scale);
  writer.put_array("target_scale", target_scale);
}

void GraphFilterModel::Part::load_state(const StateReader& reader, std::size_t items, bool with_targets) {
  factors = static_cast<std::int32_t>(reader.get_int("factors", 0, std::numeric_limits<std::int32_t>::max()));
  weight = static_cast<float>(reader.get_double("weight"));
  if (!std::isfinite(weight)) reader.fail("weight", "found a value that is not finite, expected a finite one");
  const auto width = static_cast<std::size_t>(factors);
  vectors = finite_array(reader, "vectors", items * width);
  targets = finite_array(reader, "targets", with_targets ? items * width : 0);
  singular = finite_array(reader, "singular", width);
  gains = finite_array(reader, "gains", width);
  history_scale = finite_array(reader, "history_scale", width == 0 ? 0 : items);
  target_scale = finite_array(reader, "target_scale", width == 0 ? 0 : items);
}

std::shared_ptr<GraphFilterModel> GraphFilterModel::from_state(const StateReader& reader) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto o = get_options<GraphFilterOptions>(reader);
  const auto model = std::make_shared<GraphFilterModel>(o);
  GraphFilterModel& m = *model;
  m.report_ = get_report(reader);
  m.rows_.rows = reader.get_int("num_users", 0, kMost);
  m.rows_.cols = reader.get_int("num_items", 0, kMost);
  m.load_base(reader);
  const bool shared = reader.get_bool("rows_are_history");
  if (shared && !m.has_history()) reader.fail("rows_are_history", "found true without any history");
  CsrMatrix rows = shared ? m.history_ : reader.get_csr("rows");
  if (rows.rows != m.rows_.rows || rows.cols != m.rows_.cols || rows.offsets.empty())
    reader.fail("rows", "found a shape that is not num_users x num_items");
  m.rows_ = std::move(rows);
  m.columns_ = reader.get_csr("columns");
  if (m.columns_.rows != m.rows_.cols || m.columns_.cols != m.rows_.rows || m.columns_.nnz() != m.rows_.nnz())
    reader.fail("columns", "found a shape that is not the rows' transposed");
  const auto users = static_cast<std::size_t>(m.rows_.rows);
  const auto items = static_cast<std::size_t>(m.rows_.cols);
  m.history_scale_ = finite_array(reader, "history_scale", items);
  m.user_scale_ = finite_array(reader, "user_scale", users);
  m.item_scale_ = finite_array(reader, "item_scale", items);
  m.low_pass_.load_state(ScopedReader(reader, "low_pass/"), items, !is_identity(o.low_pass_coefficients));
  m.sharpen_.load_state(ScopedReader(reader, "sharpen/"), items, false);
  return model;
}

}  // namespace etalage
