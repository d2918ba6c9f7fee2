// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/graph_filter.hpp"

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
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "models/fit_report_state.hpp"
#include "models/graph_filter_working.hpp"
#include "models/randomized_svd.hpp"

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

bool is_identity(const std::vector<float>& coefficients) noexcept { return coefficients.size() == 1 && coefficients[0] == 1.0f; }

bool same(const CsrMatrix& a, const CsrMatrix& b) noexcept {
  return a.rows == b.rows && a.cols == b.cols && a.offsets.data() == b.offsets.data() && a.columns.data() == b.columns.data() &&
         a.values.data() == b.values.data();
}

std::vector<double> doubles(const std::vector<float>& v) { return {v.begin(), v.end()}; }
std::vector<float> floats(const std::vector<double>& v) {
  std::vector<float> out;
  for (const double x : v) out.push_back(static_cast<float>(x));
  return out;
}

}  // namespace

GraphFilterModel::GraphFilterModel(GraphFilterOptions options) : options_(std::move(options)) { options_.validate(); }
GraphFilterModel::~GraphFilterModel() = default;

void GraphFilterModel::require_fitted() const {
  if (!fitted()) throw NotFittedError("GraphFilter is not fitted; call fit() first");
}

void GraphFilterModel::make_scales() {
  const std::vector<double> users = row_sums(rows_.view());
  const std::vector<double> items = row_sums(columns_.view());
  history_scale_ = powers(items, -options_.history_exponent);
  user_scale_ = powers(users, -options_.user_exponent);
  item_scale_ = powers(items, -options_.item_exponent);
  low_pass_scale_ = powers(items, -options_.low_pass_history_exponent);
  target_scale_ = powers(items, -options_.low_pass_target_exponent);
}

void GraphFilterModel::fit_low_pass(const ProgressCallback& callback, FitReport& report) {
  const std::int32_t wanted = options_.low_pass_factors >= 0
                                  ? options_.low_pass_factors
                                  : GraphFilterOptions::default_factors(num_users(), num_items());
  factors_ = 0;
  vectors_ = targets_ = singular_ = gains_ = {};
  if (wanted == 0 || options_.low_pass_weight == 0.0f || rows_.nnz() == 0) return;
  const auto start = std::chrono::steady_clock::now();
  const auto since = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  const Array<float> users = powers(row_sums(rows_.view()), -options_.low_pass_user_exponent);
  const Array<float> items = powers(row_sums(columns_.view()), -options_.low_pass_item_exponent);
  const CsrMatrix a = scaled(rows_, users, items);
  const CsrMatrix transposed = scaled(columns_, items, users);
  const detail::SvdOptions svd_options{.factors = static_cast<std::size_t>(wanted),
                                       .iterations = options_.power_iterations,
                                       .seed = options_.seed,
                                       .num_threads = options_.num_threads};
  detail::TruncatedSvd svd = detail::truncated_svd(a.view(), transposed.view(), svd_options, [&](int done) {
    return !callback || callback({done, options_.power_iterations, since(), std::numeric_limits<double>::quiet_NaN(), "low pass"});
  });
  if (svd.stopped) report.stop_reason = FitReport::StopReason::kCancelled;
  factors_ = static_cast<std::int32_t>(svd.factors);
  vectors_ = std::move(svd.right);
  singular_ = Array<float>(svd.factors);
  gains_ = Array<float>(svd.factors);
  for (std::size_t f = 0; f < svd.factors; ++f) {
    singular_.mutable_data()[f] = static_cast<float>(svd.singular[f]);
    gains_.mutable_data()[f] =
        static_cast<float>(std::pow(svd.singular[f] / svd.singular[0], static_cast<double>(options_.low_pass_power)));
  }
  if (!is_identity(options_.low_pass_coefficients)) {
    // Rows of V D^-q stand for scores of items: S acts on them as on a history's scores.
    const std::size_t width = svd.factors;
    const std::vector<float>& c = options_.low_pass_coefficients;
    Array<float> term(vectors_.view());
    float* t = term.mutable_data();
    scale_rows(t, width, target_scale_);
    targets_ = Array<float>(term.size());
    float* sum = targets_.mutable_data();
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
    target_scale_.fill(1.0f);
  }
  report.phase_seconds.emplace_back("low pass", since());
}

void GraphFilterModel::set_weight() {
  weight_ = options_.low_pass_weight;
  if (factors_ == 0 || !options_.equal_scale) return;
  std::vector<std::int32_t> asked;
  for (std::int32_t u = 0; u < num_users(); ++u)
    if (rows_.view().row_size(u) > 0) asked.push_back(u);
  const std::size_t n = std::min(asked.size(), kMostSamples);
  std::vector<double> linear(n, 0.0);
  std::vector<double> low(n, 0.0);
  weight_ = 1;
  std::vector<Scratch> scratch(static_cast<std::size_t>(detail::resolve_threads(options_.num_threads)));
  detail::parallel_for(n, 1, options_.num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    for (std::size_t s = begin; s < end; ++s) {
      Working& w = working(scratch[static_cast<std::size_t>(thread)]);
      const std::int32_t user = asked[s * asked.size() / n];
      const auto items = rows_.view().row_columns(user);
      const auto values = rows_.view().row_values(user);
      w.items.assign(items.begin(), items.end());
      w.values.assign(values.begin(), values.end());
      propagate(w, history_scale_.data(), item_scale_.data());
      for (std::size_t i = 0; i < static_cast<std::size_t>(num_items()); ++i)
        linear[s] += static_cast<double>(w.linear[i]) * static_cast<double>(w.linear[i]);
      std::fill_n(w.linear.begin(), num_items(), 0.0f);
      w.low.resize(std::max(w.low.size(), static_cast<std::size_t>(num_items())));
      low_pass(w, w.all, w.low.data());
      add_low_pass(w.low.data(), w.linear.data());
      for (std::size_t i = 0; i < static_cast<std::size_t>(num_items()); ++i)
        low[s] += static_cast<double>(w.linear[i]) * static_cast<double>(w.linear[i]);
    }
  });
  double both[2] = {0, 0};
  for (std::size_t s = 0; s < n; ++s) {
    both[0] += linear[s];
    both[1] += low[s];
  }
  weight_ = options_.low_pass_weight;
  if (both[0] > 0 && both[1] > 0) weight_ = static_cast<float>(static_cast<double>(weight_) * std::sqrt(both[0] / both[1]));
}

FitReport GraphFilterModel::fit(const Interactions& data, const ProgressCallback& callback) {
  const auto start = std::chrono::steady_clock::now();
  const CsrMatrix& rows = data.user_items();
  for (std::size_t p = 0; p < rows.values.size(); ++p)
    if (rows.values[p] < 0)
      throw std::invalid_argument(detail::violated("user_items value", rows.values[p], ">= 0 for GraphFilter"));
  GraphFilterModel next(options_);
  next.rows_ = rows;
  if (next.rows_.offsets.empty()) next.rows_.offsets = Array<std::int64_t>(static_cast<std::size_t>(rows.rows) + 1);
  next.columns_ = transpose(next.rows_.view(), options_.num_threads);
  next.make_scales();
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  next.fit_low_pass(callback, report);
  next.set_weight();
  report.iterations = 1;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  next.report_ = report;
  next.set_ids(data.user_ids(), data.item_ids());
  next.set_history(data.user_items());
  *this = std::move(next);
  if (callback) callback({1, 1, report.seconds, std::numeric_limits<double>::quiet_NaN(), "done"});
  return report;
}

void GraphFilterModel::save_state(StateWriter& writer) const {
  require_fitted();
  Recommender::save_state(writer);
  const GraphFilterOptions& o = options_;
  writer.put_double("options/history_exponent", static_cast<double>(o.history_exponent));
  writer.put_double("options/user_exponent", static_cast<double>(o.user_exponent));
  writer.put_double("options/item_exponent", static_cast<double>(o.item_exponent));
  writer.put_doubles("options/coefficients", doubles(o.coefficients));
  writer.put_bool("options/chebyshev", o.basis == FilterBasis::kChebyshev);
  writer.put_int("options/low_pass_factors", o.low_pass_factors);
  writer.put_double("options/low_pass_weight", static_cast<double>(o.low_pass_weight));
  writer.put_bool("options/equal_scale", o.equal_scale);
  writer.put_double("options/low_pass_power", static_cast<double>(o.low_pass_power));
  writer.put_double("options/low_pass_user_exponent", static_cast<double>(o.low_pass_user_exponent));
  writer.put_double("options/low_pass_item_exponent", static_cast<double>(o.low_pass_item_exponent));
  writer.put_double("options/low_pass_history_exponent", static_cast<double>(o.low_pass_history_exponent));
  writer.put_double("options/low_pass_target_exponent", static_cast<double>(o.low_pass_target_exponent));
  writer.put_doubles("options/low_pass_coefficients", doubles(o.low_pass_coefficients));
  writer.put_int("options/power_iterations", o.power_iterations);
  writer.put_int("options/seed", static_cast<std::int64_t>(o.seed));
  put_report(writer, report_);
  writer.put_int("num_users", num_users());
  writer.put_int("num_items", num_items());
  // The rows of the fit are most often the history that is kept: one copy in the file serves both.
  const bool shared = has_history() && same(rows_, history_);
  writer.put_bool("rows_are_history", shared);
  if (!shared) writer.put_csr("rows", rows_);
  writer.put_csr("columns", columns_);
  writer.put_int("factors", factors_);
  writer.put_double("weight", static_cast<double>(weight_));
  writer.put_array("vectors", vectors_);
  writer.put_array("targets", targets_);
  writer.put_array("singular", singular_);
  writer.put_array("gains", gains_);
  writer.put_array("history_scale", history_scale_);
  writer.put_array("user_scale", user_scale_);
  writer.put_array("item_scale", item_scale_);
  writer.put_array("low_pass_scale", low_pass_scale_);
  writer.put_array("target_scale", target_scale_);
}

std::shared_ptr<GraphFilterModel> GraphFilterModel::from_state(const StateReader& reader) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  GraphFilterOptions o;
  const auto number = [&](const char* name) { return static_cast<float>(reader.get_double(std::string("options/") + name)); };
  o.history_exponent = number("history_exponent");
  o.user_exponent = number("user_exponent");
  o.item_exponent = number("item_exponent");
  o.coefficients = floats(reader.get_doubles("options/coefficients"));
  o.basis = reader.get_bool("options/chebyshev") ? FilterBasis::kChebyshev : FilterBasis::kPower;
  o.low_pass_factors = static_cast<std::int32_t>(reader.get_int("options/low_pass_factors", -1, kMost));
  o.low_pass_weight = number("low_pass_weight");
  o.equal_scale = reader.get_bool("options/equal_scale");
  o.low_pass_power = number("low_pass_power");
  o.low_pass_user_exponent = number("low_pass_user_exponent");
  o.low_pass_item_exponent = number("low_pass_item_exponent");
  o.low_pass_history_exponent = number("low_pass_history_exponent");
  o.low_pass_target_exponent = number("low_pass_target_exponent");
  o.low_pass_coefficients = floats(reader.get_doubles("options/low_pass_coefficients"));
  o.power_iterations = static_cast<int>(reader.get_int("options/power_iterations", 1, kMost));
  o.seed = static_cast<std::uint64_t>(reader.get_int("options/seed"));
  std::shared_ptr<GraphFilterModel> model;
  try {
    model = std::make_shared<GraphFilterModel>(o);
  } catch (const std::invalid_argument& e) {
    reader.fail("options", std::string("found ") + e.what());
  }
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
  m.factors_ = static_cast<std::int32_t>(reader.get_int("factors", 0, kMost));
  m.weight_ = static_cast<float>(reader.get_double("weight"));
  const auto users = static_cast<std::size_t>(m.rows_.rows);
  const auto items = static_cast<std::size_t>(m.rows_.cols);
  const auto factors = static_cast<std::size_t>(m.factors_);
  const auto finite = [&](const char* name, Array<float> values) {
    if (reader.verify() && !detail::all_finite(values.view(), reader.num_threads()))
      reader.fail(name, "found a value that is not finite, expected finite ones");
    return values;
  };
  const auto array = [&](const char* name, std::size_t size) { return finite(name, reader.get_array<float>(name, size)); };
  m.vectors_ = array("vectors", items * factors);
  m.targets_ = array("targets", is_identity(o.low_pass_coefficients) ? 0 : items * factors);
  m.singular_ = array("singular", factors);
  m.gains_ = array("gains", factors);
  m.history_scale_ = array("history_scale", items);
  m.user_scale_ = array("user_scale", users);
  m.item_scale_ = array("item_scale", items);
  m.low_pass_scale_ = array("low_pass_scale", items);
  m.target_scale_ = array("target_scale", items);
  if (!std::isfinite(m.weight_)) reader.fail("weight", "found a value that is not finite, expected a finite one");
  return model;
}

}  // namespace etalage
