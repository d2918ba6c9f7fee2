// SPDX-License-Identifier: Apache-2.0
#include "models/factor/feature_regression.hpp"

#include <algorithm>
#include <cstdint>

#include "detail/parallel_for.hpp"

namespace etalage::als {
namespace {

constexpr int kMostSteps = 200;
constexpr double kTolerance = 1e-8;  // of the residual's norm against that of the right-hand side

// out [m.rows x width] = m rows, rows of m scaled by scale where given.
void product(const CsrView& m, std::span<const double> rows, std::size_t width, std::span<const double> scale,
             int num_threads, std::vector<double>& out) {
  const auto count = static_cast<std::size_t>(m.rows);
  out.resize(count * width);
  detail::parallel_for(count, 64, num_threads, [&](std::size_t r, std::size_t end, int) {
    for (; r < end; ++r) {
      double* to = out.data() + r * width;
      std::fill_n(to, width, 0.0);
      const auto columns = m.row_columns(static_cast<std::int64_t>(r));
      const auto values = m.row_values(static_cast<std::int64_t>(r));
      for (std::size_t p = 0; p < columns.size(); ++p) {
        const double* from = rows.data() + static_cast<std::size_t>(columns[p]) * width;
        const auto v = static_cast<double>(values[p]);
        for (std::size_t f = 0; f < width; ++f) to[f] += v * from[f];
      }
      if (!scale.empty())
        for (std::size_t f = 0; f < width; ++f) to[f] *= scale[r];
    }
  });
}

// Sums over rows, one for each column.
void column_products(std::span<const double> a, std::span<const double> b, std::size_t width, std::vector<double>& out) {
  out.assign(width, 0.0);
  for (std::size_t i = 0; i < a.size(); i += width)
    for (std::size_t f = 0; f < width; ++f) out[f] += a[i + f] * b[i + f];
}

}  // namespace

void regress(const CsrView& features, const CsrView& features_t, std::span<const double> weights, const float* x,
             std::size_t stride, std::size_t width, double ridge, int num_threads, std::vector<double>& w) {
  const auto rows = static_cast<std::size_t>(features.rows);
  const std::size_t size = static_cast<std::size_t>(features.cols) * width;
  w.resize(size, 0.0);
  std::vector<double> weighted(rows * width);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t f = 0; f < width; ++f) weighted[r * width + f] = weights[r] * static_cast<double>(x[r * stride + f]);
  std::vector<double> residual;
  product(features_t, weighted, width, {}, num_threads, residual);
  std::vector<double> most;
  column_products(residual, residual, width, most);
  std::vector<double> predicted;
  std::vector<double> applied;
  const auto apply = [&](std::span<const double> v) {
    product(features, v, width, weights, num_threads, predicted);
    product(features_t, predicted, width, {}, num_threads, applied);
    for (std::size_t i = 0; i < size; ++i) applied[i] += ridge * v[i];
  };
  apply(w);
  for (std::size_t i = 0; i < size; ++i) residual[i] -= applied[i];
  std::vector<double> direction = residual;
  std::vector<double> squares;
  column_products(residual, residual, width, squares);
  std::vector<double> curvature;
  std::vector<double> next;
  std::vector<double> step(width);
  for (int s = 0; s < kMostSteps; ++s) {
    bool done = true;
    for (std::size_t f = 0; f < width; ++f) done = done && !(squares[f] > kTolerance * kTolerance * most[f]);
    if (done) return;
    apply(direction);
    column_products(direction, applied, width, curvature);
    for (std::size_t f = 0; f < width; ++f) step[f] = curvature[f] > 0 ? squares[f] / curvature[f] : 0;
    for (std::size_t i = 0; i < size; ++i) {
      w[i] += step[i % width] * direction[i];
      residual[i] -= step[i % width] * applied[i];
    }
    column_products(residual, residual, width, next);
    for (std::size_t f = 0; f < width; ++f) step[f] = squares[f] > 0 ? next[f] / squares[f] : 0;
    for (std::size_t i = 0; i < size; ++i) direction[i] = residual[i] + step[i % width] * direction[i];
    squares.swap(next);
  }
}

void predict(const CsrView& features, std::span<const double> w, std::size_t width, std::size_t stride, int num_threads,
             float* out) {
  std::vector<double> rows;
  product(features, w, width, {}, num_threads, rows);
  for (std::size_t r = 0; r < static_cast<std::size_t>(features.rows); ++r)
    for (std::size_t f = 0; f < width; ++f) out[r * stride + f] = static_cast<float>(rows[r * width + f]);
}

}  // namespace etalage::als
