// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/cold_start.hpp"

#include <Eigen/Dense>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

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

/// 1 / |row|, 0 for an empty one.
double scale_of(std::span<const float> values) {
  double squares = 0;
  for (const float v : values) squares += static_cast<double>(v) * static_cast<double>(v);
  return squares > 0 ? 1 / std::sqrt(squares) : 0;
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
  detail::require(power >= 1 && power <= 16, "power", power, "in [1, 16]");
  detail::require_finite(regularization > 0, "regularization", regularization, "a finite number > 0");
  detail::require_finite(support_power >= 0 && support_power <= 1, "support_power", support_power, "in [0, 1]");
  detail::require(max_rows >= 1 && max_rows <= 32768, "max_rows", max_rows, "in [1, 32768]");
  (void)detail::resolve_threads(num_threads);
}

ColdStart::ColdStart(ColdStartOptions options) : options_(options) { options_.validate(); }

void ColdStart::fit(const CsrView& attributes, MatrixView<const float> factors, std::span<const float> support) {
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
  Array<float> mean(f);
  for (std::size_t k = 0; k < f; ++k) {
    double sum = 0;
    for (const std::size_t i : known) sum += weight[i] * static_cast<double>(factors(i, k));
    mean.mutable_data()[k] = static_cast<float>(sum / static_cast<double>(known.size()));
  }

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
  Eigen::MatrixXd target(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(f));
  for (std::size_t g = 0; g < r; ++g) {
    const auto row = static_cast<std::int64_t>(known[groups[g].begin]);
    const double scale = scale_of(attributes.row_values(row));
    columns.insert(columns.end(), attributes.row_columns(row).begin(), attributes.row_columns(row).end());
    for (const float v : attributes.row_values(row)) values.push_back(static_cast<float>(scale * static_cast<double>(v)));
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
    for (std::size_t k = 0; k < f; ++k) {
      double sum = 0;
      for (std::size_t i = groups[g].begin; i < groups[g].end; ++i) sum += weight[known[i]] * static_cast<double>(factors(known[i], k));
      target(static_cast<Eigen::Index>(g), static_cast<Eigen::Index>(k)) = sum / groups[g].weight - static_cast<double>(mean[k]);
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
    for (std::size_t k = 0; k < f; ++k) weights.mutable_data()[g * f + k] = static_cast<float>(solved(static_cast<Eigen::Index>(g), static_cast<Eigen::Index>(k)));

  rows_ = std::move(rows);
  by_column_ = by_column;
  weights_ = std::move(weights);
  mean_ = std::move(mean);
  factors_ = static_cast<std::int32_t>(f);
}

ColdStartOptions ColdStart::chosen(const CsrView& attributes, MatrixView<const float> factors, std::span<const float> support,
                                   MatrixView<const float> user_factors, const CsrView& user_items, ColdStartOptions options) {
  options.validate();
  validate(attributes, "attributes");
  validate(user_items, "user_items");
  const auto n = static_cast<std::size_t>(attributes.rows);
  detail::require(factors.rows() == n, "factors.rows()", factors.rows(), "attributes.rows");
  detail::require(support.empty() || support.size() == n, "support.size()", support.size(), "attributes.rows, or 0");
  detail::require(user_items.cols == attributes.rows, "user_items.cols", user_items.cols, "attributes.rows");
  detail::require(user_factors.rows() == static_cast<std::size_t>(user_items.rows), "user_factors.rows()", user_factors.rows(), "user_items.rows");
  detail::require(user_factors.cols() == factors.cols(), "user_factors.cols()", user_factors.cols(), "factors.cols()");

  // A fifth of the known rows, or 2000 of very many, by a hash of their number.
  const std::size_t all = support.empty() ? n : static_cast<std::size_t>(std::ranges::count_if(support, [](float v) { return v > 0; }));
  const std::size_t every = std::max<std::size_t>(5, all / 2000);
  std::vector<float> rest(n, 0.0f);
  std::vector<std::int32_t> place(n, -1);
  std::vector<std::int64_t> out_rows;
  for (std::size_t i = 0; i < n; ++i) {
    if (!support.empty() && support[i] <= 0) continue;
    if (((i + 1) * 0x9E3779B97F4A7C15ull >> 32) % every == 0) {
      place[i] = static_cast<std::int32_t>(out_rows.size());
      out_rows.push_back(static_cast<std::int64_t>(i));
    } else {
      rest[i] = support.empty() ? 1.0f : support[i];
    }
  }
  std::vector<std::int64_t> users;
  const std::int64_t stride = std::max<std::int64_t>(1, user_items.rows / 2000);
  for (std::int64_t u = 0; u < user_items.rows; u += stride)
    if (std::ranges::any_of(user_items.row_columns(u), [&](std::int32_t i) { return place[static_cast<std::size_t>(i)] >= 0; })) users.push_back(u);
  constexpr std::size_t top = 20;
  if (users.size() < 20 || out_rows.size() <= top || std::ranges::count_if(rest, [](float s) { return s > 0; }) < 10) return options;

  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (const std::int64_t i : out_rows) {
    columns.insert(columns.end(), attributes.row_columns(i).begin(), attributes.row_columns(i).end());
    values.insert(values.end(), attributes.row_values(i).begin(), attributes.row_values(i).end());
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  const CsrView left_out{static_cast<std::int64_t>(out_rows.size()), attributes.cols, offsets, columns, values};
  const std::size_t f = factors.cols();
  std::vector<float> foretold(out_rows.size() * f);
  ColdStartOptions best = options;
  double best_recall = -1;
  std::vector<ColdStartOptions> grid;
  for (const std::int32_t power : {1, 2, 3, 5})
    for (const double regularization : {0.3, 1.0, 3.0, 10.0})
      for (const double support_power : {0.0, 0.5}) {
        if (support_power > 0 && support.empty()) continue;
        grid.push_back(options);
        grid.back().power = power;
        grid.back().regularization = regularization;
        grid.back().support_power = support_power;
      }
  for (const ColdStartOptions& setting : grid) {
    ColdStartOptions o = setting;
    o.max_rows = std::min(o.max_rows, 1500);
    ColdStart model(o);
    model.fit(attributes, factors, rest);
    model.predict(left_out, {foretold.data(), out_rows.size(), f});
    std::vector<double> recalls(users.size());
    detail::parallel_for(users.size(), 32, options.num_threads, [&](std::size_t b, std::size_t e, int) {
      std::vector<double> scores(out_rows.size());
      for (std::size_t j = b; j < e; ++j) {
        const std::span<const float> x = user_factors.row(static_cast<std::size_t>(users[j]));
        for (std::size_t i = 0; i < scores.size(); ++i) {
          double s = 0;
          for (std::size_t k = 0; k < f; ++k) s += static_cast<double>(x[k]) * static_cast<double>(foretold[i * f + k]);
          scores[i] = s;
        }
        double hits = 0;
        double wanted = 0;
        for (const std::int32_t item : user_items.row_columns(users[j])) {
          const std::int32_t at = place[static_cast<std::size_t>(item)];
          if (at < 0) continue;
          wanted += 1;
          std::size_t above = 0;
          for (std::size_t i = 0; i < scores.size(); ++i)
            above += scores[i] > scores[static_cast<std::size_t>(at)] || (scores[i] == scores[static_cast<std::size_t>(at)] && i < static_cast<std::size_t>(at));
          hits += above < top ? 1 : 0;
        }
        recalls[j] = hits / wanted;
      }
    });
    const double recall = std::accumulate(recalls.begin(), recalls.end(), 0.0);
    if (recall > best_recall) {
      best_recall = recall;
      best = setting;
    }
  }
  return best;
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
    for (std::size_t i = b; i < e; ++i) {
      const auto row = static_cast<std::int64_t>(i);
      cosines(attributes.row_columns(row), attributes.row_values(row), scale_of(attributes.row_values(row)), by_column_, kernel);
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
  writer.put_int("power", options_.power);
  writer.put_double("regularization", options_.regularization);
  writer.put_double("support_power", options_.support_power);
  writer.put_int("max_rows", options_.max_rows);
  writer.put_int("factors", factors_);
  writer.put_csr("rows", rows_);
  writer.put_array("weights", weights_);
  writer.put_array("mean", mean_);
}

std::shared_ptr<ColdStart> ColdStart::from_state(const StateReader& reader) {
  ColdStartOptions o;
  o.power = static_cast<std::int32_t>(reader.get_int("power", 1, 16));
  o.regularization = reader.get_double("regularization");
  o.support_power = reader.get_double("support_power");
  o.max_rows = static_cast<std::int32_t>(reader.get_int("max_rows", 1, 32768));
  auto out = std::make_shared<ColdStart>(o);
  out->factors_ = static_cast<std::int32_t>(reader.get_int("factors", 1, 65535));
  out->rows_ = reader.get_csr("rows");
  out->weights_ = reader.get_array<float>("weights", static_cast<std::size_t>(out->rows_.rows) * static_cast<std::size_t>(out->factors_));
  out->mean_ = reader.get_array<float>("mean", static_cast<std::size_t>(out->factors_));
  if (reader.verify() && !(detail::all_finite(out->weights_.view()) && detail::all_finite(out->mean_.view()))) reader.fail("weights", "found values that are not finite");
  // The transpose has an entry a column: a width that nothing in the file backs must not become memory.
  if (out->rows_.cols > (std::int64_t{1} << 28)) reader.fail("rows", "found " + std::to_string(out->rows_.cols) + " attributes, expected at most 2^28");
  out->by_column_ = transpose(out->rows_.view(), reader.num_threads());
  return out;
}

}  // namespace etalage
