// SPDX-License-Identifier: Apache-2.0
#include "models/graph/randomized_svd.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "detail/parallel_for.hpp"
#include "kernels/als_kernels.hpp"
#include "kernels/row_sums.hpp"
#include "models/factor/als_solver.hpp"

namespace etalage::detail {
namespace {

constexpr std::size_t kRowGrain = 128;
// What float32 sums of squares still tell apart.
constexpr double kSmallestPivot = 1e-6;
constexpr double kSmallestShare = 1e-6;

std::size_t rounded_up(std::size_t n) noexcept { return (n + kernels::kAlsPad - 1) / kernels::kAlsPad * kernels::kAlsPad; }

Array<float> random_start(std::size_t rows, std::size_t width, std::uint64_t seed) {
  Array<float> out(rows * width);
  float* p = out.mutable_data();
  std::mt19937_64 rng(seed);
  // Sums of uniform numbers instead of a library's normal ones, whose bits differ between standard libraries.
  for (std::size_t i = 0; i < rows * width; ++i) {
    const std::uint64_t r = rng();
    float sum = 0;
    for (unsigned b = 0; b < 64; b += 16) sum += static_cast<float>((r >> b) & 0xFFFF);
    p[i] = sum / 65535.0f - 2.0f;
  }
  return out;
}

// The upper triangular factor's inverse of a Gram matrix, in panels; columns that depend on those before them are zero.
Array<float> inverse_factor(std::vector<double> g, std::size_t n) {
  std::vector<char> dead(n, 0);
  for (std::size_t j = 0; j < n; ++j) {
    const double before = g[j * n + j];
    double pivot = before;
    for (std::size_t k = 0; k < j; ++k)
      if (!dead[k]) pivot -= g[k * n + j] * g[k * n + j];
    if (!(pivot > kSmallestPivot * before) || !(before > 0)) {
      dead[j] = 1;
      continue;
    }
    const double root = std::sqrt(pivot);
    for (std::size_t i = j + 1; i < n; ++i) {
      double s = g[j * n + i];
      for (std::size_t k = 0; k < j; ++k)
        if (!dead[k]) s -= g[k * n + j] * g[k * n + i];
      g[j * n + i] = s / root;
    }
    g[j * n + j] = root;
  }
  std::vector<double> inverse(n * n, 0.0);
  for (std::size_t j = 0; j < n; ++j) {
    if (dead[j]) continue;
    inverse[j * n + j] = 1 / g[j * n + j];
    for (std::size_t i = j; i-- > 0;) {
      if (dead[i]) continue;
      double s = 0;
      for (std::size_t k = i + 1; k <= j; ++k)
        if (!dead[k]) s += g[i * n + k] * inverse[k * n + j];
      inverse[i * n + j] = -s / g[i * n + i];
    }
  }
  Array<float> plain(n * n);
  float* p = plain.mutable_data();
  for (std::size_t i = 0; i < n * n; ++i) p[i] = static_cast<float>(inverse[i]);
  Array<float> packed(n * n);
  kernels::pack_panels(p, n, packed.mutable_data());
  return packed;
}

// rows [count x n] = rows * packed, columns [0, width) of it, in place.
void multiply_in_place(float* rows, std::size_t count, std::size_t n, const float* packed, std::size_t width, int num_threads) {
  parallel_for(count, kRowGrain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    Array<float> out(kRowGrain * n, uninitialized);
    float* o = out.mutable_data();
    kernels::als().multiply(rows + begin * n, n, end - begin, packed, n, 0, width, o, n);
    for (std::size_t r = begin; r < end; ++r) std::copy_n(o + (r - begin) * n, width, rows + r * n);
  });
}

void orthonormalize(float* rows, std::size_t count, std::size_t n, int num_threads) {
  const als::Fixed fixed{rows, count, n, n};
  for (int pass = 0; pass < 2; ++pass) {
    const Array<float> packed = inverse_factor(als::gram(fixed, num_threads), n);
    multiply_in_place(rows, count, n, packed.data(), n, num_threads);
  }
}

}  // namespace

void multiply_sparse(const CsrView& a, const float* x, std::size_t stride, std::size_t width, float* out, int num_threads) {
  const kernels::RowSums& table = kernels::row_sums();
  parallel_for(static_cast<std::size_t>(a.rows), kRowGrain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t r = begin; r < end; ++r) {
      const auto row = static_cast<std::int64_t>(r);
      table.combine(x, stride, width, a.row_columns(row).data(), a.row_values(row).data(), a.row_size(row), out + r * stride);
    }
  });
}

TruncatedSvd truncated_svd(const CsrView& a, const CsrView& transposed, const SvdOptions& options,
                           const std::function<bool(int done)>& step) {
  const auto m = static_cast<std::size_t>(a.rows);
  const auto n = static_cast<std::size_t>(a.cols);
  TruncatedSvd out;
  const std::size_t wanted = std::min({options.factors, m, n});
  if (wanted == 0 || a.nnz() == 0) return out;
  const std::size_t l = rounded_up(wanted + options.oversampling);
  Array<float> basis = random_start(n, l, options.seed);
  Array<float> image(m * l);
  float* q = basis.mutable_data();
  float* y = image.mutable_data();
  orthonormalize(q, n, l, options.num_threads);
  for (int i = 0; i < options.iterations; ++i) {
    multiply_sparse(a, q, l, l, y, options.num_threads);
    multiply_sparse(transposed, y, l, l, q, options.num_threads);
    orthonormalize(q, n, l, options.num_threads);
    if (step && !step(i + 1)) {
      out.stopped = true;
      break;
    }
  }
  multiply_sparse(a, q, l, l, y, options.num_threads);
  const std::vector<double> gram = als::gram({y, m, l, l}, options.num_threads);
  const Eigen::Map<const Eigen::MatrixXd> g(gram.data(), static_cast<Eigen::Index>(l), static_cast<Eigen::Index>(l));
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(g);
  const auto value = [&](std::size_t f) { return eigen.eigenvalues()[static_cast<Eigen::Index>(l - 1 - f)]; };
  while (out.factors < wanted && value(out.factors) > kSmallestShare * value(0)) ++out.factors;
  Array<float> rotation(l * l);
  float* to = rotation.mutable_data();
  for (std::size_t f = 0; f < out.factors; ++f) {
    out.singular.push_back(std::sqrt(value(f)));
    for (std::size_t i = 0; i < l; ++i)
      to[i * l + f] = static_cast<float>(eigen.eigenvectors()(static_cast<Eigen::Index>(i), static_cast<Eigen::Index>(l - 1 - f)));
  }
  Array<float> packed(l * l);
  kernels::pack_panels(to, l, packed.mutable_data());
  multiply_in_place(q, n, l, packed.data(), rounded_up(out.factors), options.num_threads);
  out.right = Array<float>(n * out.factors, uninitialized);
  float* right = out.right.mutable_data();
  for (std::size_t i = 0; i < n; ++i) std::copy_n(q + i * l, out.factors, right + i * out.factors);
  return out;
}

}  // namespace etalage::detail
