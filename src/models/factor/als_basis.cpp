// SPDX-License-Identifier: Apache-2.0
#include "models/factor/als_basis.hpp"

#include <Eigen/Eigenvalues>
#include <algorithm>

#include "detail/parallel_for.hpp"
#include "kernels/als_kernels.hpp"

namespace etalage::als {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Eigen::Index index(std::size_t i) { return static_cast<Eigen::Index>(i); }

Eigen::Map<const Matrix> square(const double* m, std::size_t width) { return {m, index(width), index(width)}; }

}  // namespace

Basis::Basis(const double* gram, std::size_t width_) : width(width_), values(width_), vectors(width_ * width_) {
  // By columns, on which the solver turns vector by vector; the Gram matrix is symmetric.
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(square(gram, width));
  for (std::size_t j = 0; j < width; ++j) values[j] = std::max(0.0, eigen.eigenvalues()[index(j)]);
  Eigen::Map<Matrix>(vectors.data(), index(width), index(width)) = eigen.eigenvectors();
}

std::vector<double> Basis::gram() const {
  std::vector<double> out(width * width);
  for (std::size_t j = 0; j < width; ++j) out[j * width + j] = values[j];
  return out;
}

void turn(float* rows, std::size_t count, const double* matrix, std::size_t width, int num_threads) {
  constexpr std::size_t kRows = 32;
  const std::size_t n = padded(width);
  Array<float> plain(n * n);
  float* to = plain.mutable_data();
  for (std::size_t i = 0; i < width; ++i)
    for (std::size_t j = 0; j < width; ++j) to[i * n + j] = static_cast<float>(matrix[i * width + j]);
  Array<float> packed(n * n, uninitialized);
  kernels::pack_panels(plain.data(), n, packed.mutable_data());
  const int threads = detail::resolve_threads(num_threads);
  std::vector<Array<float>> scratch(static_cast<std::size_t>(threads));
  for (Array<float>& s : scratch) s = Array<float>(kRows * n, uninitialized);
  detail::parallel_for(detail::num_chunks(count, kRows), 16, threads, [&](std::size_t b, std::size_t end, int thread) {
    float* turned = scratch[static_cast<std::size_t>(thread)].mutable_data();
    for (; b < end; ++b) {
      const std::size_t size = std::min(kRows, count - b * kRows);
      float* from = rows + b * kRows * n;
      kernels::als().multiply(from, n, size, packed.data(), n, 0, n, turned, n);
      std::copy_n(turned, size * n, from);
    }
  });
}

void Turns::add(const std::vector<double>& vectors) {
  if (product_.empty()) {
    product_ = vectors;
    return;
  }
  std::vector<double> next(width_ * width_);
  Eigen::Map<Matrix>(next.data(), index(width_), index(width_)).noalias() =
      square(product_.data(), width_) * square(vectors.data(), width_);
  product_ = std::move(next);
}

std::vector<double> Turns::back() const {
  std::vector<double> out(width_ * width_);
  Eigen::Map<Matrix>(out.data(), index(width_), index(width_)) = square(product_.data(), width_).transpose();
  return out;
}

bool is_diagonal(const double* gram, std::size_t width) noexcept {
  for (std::size_t i = 0; i < width; ++i)
    for (std::size_t j = 0; j < width; ++j)
      if (i != j && gram[i * width + j] != 0) return false;
  return true;
}

}  // namespace etalage::als
