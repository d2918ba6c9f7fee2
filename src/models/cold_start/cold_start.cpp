// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/cold_start.hpp"

#include <Eigen/Dense>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <stdexcept>
#include <string>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"

namespace etalage {
namespace {

/// The mean of the cosine's powers.
double kernel_of(double cosine, std::int32_t power) {
  double sum = 0;
  double x = 1;
  for (std::int32_t i = 0; i < power; ++i) sum += x *= cosine;
  return sum / power;
}

double norm_of(std::span<const float> values) {
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(squares);
}

/// 1 / |row|, 0 for an empty one.
double scale_of(std::span<const float> values) {
  const double norm = norm_of(values);
  return norm > 0 ? 1 / norm : 0;
}

/// The values with their columns' scales; empty scales are all 1.
std::span<const float> scaled(std::span<const std::int32_t> columns, std::span<const float> values, const Array<float>& scales, std::vector<float>& out) {
  if (scales.empty()) return values;
  out.resize(values.size());
  for (std::size_t e = 0; e < values.size(); ++e) out[e] = values[e] * scales[static_cast<std::size_t>(columns[e])];
  return out;
}

/// ln(1 + n / c)^-evenness for a column that c of the n known rows have; as if one had those that none has.
Array<float> column_scales(const CsrView& attributes, std::span<const std::size_t> known, double evenness) {
  if (evenness == 0) return {};
  std::vector<std::int64_t> counts(static_cast<std::size_t>(attributes.cols), 0);
  for (const std::size_t i : known)
    for (const std::int32_t c : attributes.row_columns(static_cast<std::int64_t>(i))) ++counts[static_cast<std::size_t>(c)];
  Array<float> out(counts.size(), uninitialized);
  float* to = out.mutable_data();
  for (std::size_t c = 0; c < counts.size(); ++c)
    to[c] = static_cast<float>(std::pow(std::log1p(static_cast<double>(known.size()) / static_cast<double>(std::max<std::int64_t>(1, counts[c]))), -evenness));
  return out;
}

/// Cosines of one row with all known ones, by walking the columns that it has; out [known rows].
void cosines(std::span<const std::int32_t> columns, std::span<const float> values, double scale, const CsrMatrix& by_column, std::span<double> out) {
  std::fill(out.begin(), out.end(), 0.0);
  const CsrView view = by_column.view();
  for (std::size_t e = 0; e < columns.size(); ++e) {
    const double v = scale * static_cast<double>(values[e]);
    const auto rows = view.row_columns(columns[e]);
    const auto there = view.row_values(columns[e]);
    for (std::size_t k = 0; k < rows.size(); ++k) out[static_cast<std::size_t>(rows[k])] += v * static_cast<double>(there[k]);
  }
}

}  // namespace

void ColdStartOptions::validate() const {
  require_options(*this);
}

ColdStart::ColdStart(ColdStartOptions options) : options_(options) { options_.validate(); }

FitReport ColdStart::fit(const CsrView& attributes, MatrixView<const float> factors, std::span<const float> support) {
  const auto start = std::chrono::steady_clock::now();
  validate(attributes, "attributes");
  const auto n = static_cast<std::size_t>(attributes.rows);
  detail::require(factors.rows() == n, "factors.rows()", factors.rows(), "attributes.rows");
  detail::require(support.empty() || support.size() == n, "support.size()", support.size(), "attributes.rows, or 0");
  detail::require(factors.cols() >= 1 && factors.cols() < 65536, "factors.cols()", factors.cols(), "in [1, 65536)");
  const std::size_t f = factors.cols();

  std::vector<std::size_t> known;
  for (std::size_t i = 0; i < n; ++i) {
    if (!support.empty() && !std::isfinite(support[i])) throw std::invalid_argument(detail::violated("support", support[i], "finite"));
    if (!support.empty() && support[i] <= 0) continue;
    known.push_back(i);
    for (const float v : factors.row(i))
      if (!std::isfinite(v)) throw std::invalid_argument("factors holds " + std::to_string(v) + " in row " + std::to_string(i) + ", must be finite");
  }
  if (known.empty()) throw std::invalid_argument("support has no entry above 0, must name at least one known row");

  std::vector<double> weight(n, 0.0);
  double all = 0;
  for (const std::size_t i : known) all += weight[i] = support.empty() ? 1.0 : std::pow(static_cast<double>(support[i]), options_.support_power);
  for (const std::size_t i : known) weight[i] *= static_cast<double>(known.size()) / all;
  // Factors at the size that is learned, and how much that is undone at the end.
  std::vector<double> size(n, 1.0);
  double back = 1;
  if (options_.target_power > 0) {
    double along = 0;
    double squares = 0;
    for (const std::size_t i : known) {
      const double norm = norm_of(factors.row(i));
      if (norm > 0) size[i] = std::pow(norm, -options_.target_power);
      along += weight[i] * norm * norm * size[i];
      squares += weight[i] * norm * norm * size[i] * size[i];
    }
    if (squares > 0) back = along / squares;
  }
  std::vector<double> mean(f);
  for (std::size_t k = 0; k < f; ++k) {
    double sum = 0;
    for (const std::size_t i : known) sum += weight[i] * size[i] * static_cast<double>(factors(i, k));
    mean[k] = sum / static_cast<double>(known.size());
  }
  Array<float> column_scale = column_scales(attributes, known, options_.evenness);

  // Rows with the same attributes are one.
  const auto same_order = [&](std::size_t a, std::size_t b) {
    const auto ca = attributes.row_columns(static_cast<std::int64_t>(a));
    const auto cb = attributes.row_columns(static_cast<std::int64_t>(b));
    if (!std::ranges::equal(ca, cb)) return std::ranges::lexicographical_compare(ca, cb) ? -1 : 1;
    const auto va = attributes.row_values(static_cast<std::int64_t>(a));
    const auto vb = attributes.row_values(static_cast<std::int64_t>(b));
    if (!std::ranges::equal(va, vb)) return std::ranges::lexicographical_compare(va, vb) ? -1 : 1;
    return 0;
  };
  std::sort(known.begin(), known.end(), [&](std::size_t a, std::size_t b) {
    const int order = same_order(a, b);
    return order != 0 ? order < 0 : a < b;
  });
  struct Group {
    std::size_t begin;
    std::size_t end;
    double weight;
  };
  std::vector<Group> groups;
  for (std::size_t i = 0; i < known.size();) {
    Group g{i, i, 0};
    for (; g.end < known.size() && same_order(known[i], known[g.end]) == 0; ++g.end) g.weight += weight[known[g.end]];
    i = g.end;
    if (attributes.row_size(static_cast<std::int64_t>(known[g.begin])) != 0) groups.push_back(g);
  }
  if (groups.size() > static_cast<std::size_t>(options_.max_rows)) {
    std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.weight > b.weight; });
    groups.resize(static_cast<std::size_t>(options_.max_rows));
    std::sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) { return a.begin < b.begin; });
  }

  const std::size_t r = groups.size();
  CsrMatrix rows;
  rows.rows = static_cast<std::int64_t>(r);
  rows.cols = attributes.cols;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  std::vector<float> scaled_row;
  Eigen::MatrixXd target(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(f));
  for (std::size_t g = 0; g < r; ++g) {
    const auto row = static_cast<std::int64_t>(known[groups[g].begin]);
    const std::span<const float> there = scaled(attributes.row_columns(row), attributes.row_values(row), column_scale, scaled_row);
    const double scale = scale_of(there);
    columns.insert(columns.end(), attributes.row_columns(row).begin(), attributes.row_columns(row).end());
    for (const float v : there) values.push_back(static_cast<float>(scale * static_cast<double>(v)));
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
    for (std::size_t k = 0; k < f; ++k) {
      double sum = 0;
      for (std::size_t i = groups[g].begin; i < groups[g].end; ++i) sum += weight[known[i]] * size[known[i]] * static_cast<double>(factors(known[i], k));
      target(static_cast<Eigen::Index>(g), static_cast<Eigen::Index>(k)) = sum / groups[g].weight - mean[k];
    }
  }
  rows.offsets = Array<std::int64_t>(offsets);
  rows.columns = Array<std::int32_t>(columns);
  rows.values = Array<float>(values);
  const CsrMatrix by_column = transpose(rows.view(), options_.num_threads);

  Eigen::MatrixXd kernel(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(r));
  detail::parallel_for(r, 32, options_.num_threads, [&](std::size_t b, std::size_t e, int) {
    for (std::size_t g = b; g < e; ++g) {
      const std::span<double> to(kernel.data() + g * r, r);
      cosines(rows.view().row_columns(static_cast<std::int64_t>(g)), rows.view().row_values(static_cast<std::int64_t>(g)), 1, by_column, to);
      for (double& k : to) k = kernel_of(k, options_.power);
      to[g] += options_.regularization / groups[g].weight;
    }
  });
  const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> factorised(kernel);
  if (r != 0 && factorised.info() != Eigen::Success) throw NumericalError("the kernel of the cold start is not positive definite; raise regularization");
  const Eigen::MatrixXd solved = r != 0 ? Eigen::MatrixXd(factorised.solve(target)) : target;
  Array<float> weights(r * f, uninitialized);
  for (std::size_t g = 0; g < r; ++g)
    for (std::size_t k = 0; k < f; ++k) weights.mutable_data()[g * f + k] = static_cast<float>(back * solved(static_cast<Eigen::Index>(g), static_cast<Eigen::Index>(k)));
  mean_ = Array<float>(f);
  for (std::size_t k = 0; k < f; ++k) mean_.mutable_data()[k] = static_cast<float>(back * mean[k]);

  rows_ = std::move(rows);
  by_column_ = by_column;
  weights_ = std::move(weights);
  column_scale_ = std::move(column_scale);
  factors_ = static_cast<std::int32_t>(f);
  FitReport report;
  report.stop_reason = FitReport::StopReason::kClosedForm;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

void ColdStart::predict(const CsrView& attributes, MatrixView<float> out) const {
  if (!fitted()) throw NotFittedError("ColdStart is not fitted; call fit() first");
  validate(attributes, "attributes");
  detail::require(attributes.cols == rows_.cols, "attributes.cols", attributes.cols, "the columns of the fit");
  detail::require(out.rows() == static_cast<std::size_t>(attributes.rows), "out.rows()", out.rows(), "attributes.rows");
  detail::require(out.cols() == static_cast<std::size_t>(factors_) || out.rows() == 0, "out.cols()", out.cols(), "factors()");
  const auto r = static_cast<std::size_t>(rows_.rows);
  const auto f = static_cast<std::size_t>(factors_);
  detail::parallel_for(out.rows(), 16, options_.num_threads, [&](std::size_t b, std::size_t e, int) {
    std::vector<double> kernel(r);
    std::vector<double> sum(f);
    std::vector<float> scaled_row;
    for (std::size_t i = b; i < e; ++i) {
      const auto row = static_cast<std::int64_t>(i);
      const std::span<const float> values = scaled(attributes.row_columns(row), attributes.row_values(row), column_scale_, scaled_row);
      cosines(attributes.row_columns(row), values, scale_of(values), by_column_, kernel);
      std::copy(mean_.begin(), mean_.end(), sum.begin());
      for (std::size_t g = 0; g < r; ++g) {
        if (kernel[g] == 0) continue;
        const double k = kernel_of(kernel[g], options_.power);
        const float* a = weights_.data() + g * f;
        for (std::size_t j = 0; j < f; ++j) sum[j] += k * static_cast<double>(a[j]);
      }
      std::transform(sum.begin(), sum.end(), out.row(i).begin(), [](double x) { return static_cast<float>(x); });
    }
  });
}

void ColdStart::save_state(StateWriter& writer) const {
  if (!fitted()) throw NotFittedError("ColdStart is not fitted; call fit() first");
  put_options(writer, options_);
  writer.put_int("factors", factors_);
  writer.put_csr("rows", rows_);
  writer.put_array("weights", weights_);
  writer.put_array("mean", mean_);
  if (!column_scale_.empty()) writer.put_array("column_scale", column_scale_);
}

std::shared_ptr<ColdStart> ColdStart::from_state(const StateReader& reader) {
  auto out = std::make_shared<ColdStart>(get_options<ColdStartOptions>(reader));
  out->factors_ = static_cast<std::int32_t>(reader.get_int("factors", 1, 65535));
  out->rows_ = reader.get_csr("rows");
  out->weights_ = reader.get_array<float>("weights", static_cast<std::size_t>(out->rows_.rows) * static_cast<std::size_t>(out->factors_));
  out->mean_ = reader.get_array<float>("mean", static_cast<std::size_t>(out->factors_));
  if (reader.has("column_scale")) out->column_scale_ = reader.get_array<float>("column_scale", static_cast<std::size_t>(out->rows_.cols));
  if (reader.verify() && !detail::all_finite(out->column_scale_.view())) reader.fail("column_scale", "found values that are not finite");
  if (reader.verify() && !(detail::all_finite(out->weights_.view()) && detail::all_finite(out->mean_.view()))) reader.fail("weights", "found values that are not finite");
  // The transpose has an entry a column: a width that nothing in the file backs must not become memory.
  if (out->rows_.cols > (std::int64_t{1} << 28)) reader.fail("rows", "found " + std::to_string(out->rows_.cols) + " attributes, expected at most 2^28");
  out->by_column_ = transpose(out->rows_.view(), reader.num_threads());
  return out;
}

}  // namespace etalage
