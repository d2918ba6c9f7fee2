// SPDX-License-Identifier: Apache-2.0
#include "models/linear/spd_inverse.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"
#include "etalage/error.hpp"
#include "kernels/dense_kernels.hpp"

namespace etalage {
namespace {

constexpr std::size_t kSmall = 32;  // swept entry by entry

/// a [n x n] symmetric (both triangles), n <= kSmall: -(A^-1) in double.
void sweep_entries(float* a, std::size_t n, std::size_t ld, std::size_t first_row, const std::size_t* names) {
  double m[kSmall][kSmall];
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) m[i][j] = static_cast<double>(a[std::min(i, j) * ld + std::max(i, j)]);
  for (std::size_t k = 0; k < n; ++k) {
    const double pivot = m[k][k];
    require_pivot(names == nullptr ? first_row + k : names[first_row + k], pivot);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = m[i][k] / pivot;
      for (std::size_t j = 0; j < n; ++j)
        if (j != k) m[i][j] -= factor * m[k][j];
    }
    for (std::size_t j = 0; j < n; ++j)
      if (j != k) m[j][k] = m[k][j] = m[k][j] / pivot;
    m[k][k] = -1.0 / pivot;
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) a[i * ld + j] = static_cast<float>(m[i][j]);
}

class Sweep {
 public:
  Sweep(float* a, std::size_t n, std::size_t ld, std::size_t block, int num_threads, std::size_t first_row, const std::size_t* names)
      : a_(a), n_(n), ld_(ld), block_(std::min(block, n)), threads_(num_threads), first_row_(first_row), names_(names), kernel_(kernels::dense()),
        left_(round_up(n, kernel_.rows) * block_, uninitialized), right_(round_up(n, kernel_.cols) * block_, uninitialized),
        pivot_(block_ * block_), inverse_(round_up(block_, kernel_.rows) * block_, uninitialized),
        left_data_(left_.mutable_data()), right_data_(right_.mutable_data()) {}

  void block(std::size_t k0) {
    k0_ = k0;
    k1_ = std::min(n_, k0 + block_);
    invert_pivot();
    detail::parallel_for(panels(kernel_.cols), 4, threads_, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t p = begin; p < end; ++p) make_right(p);
    });
    detail::parallel_for(panels(kernel_.rows), 8, threads_, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t p = begin; p < end; ++p) make_left(p);
    });
    // Tiles of the upper triangle: as many rows as keep their panels in the second-level cache.
    const std::size_t height = kernel_.rows * 16;
    const std::size_t width = kernel_.cols * 32;
    tiles_.clear();
    for (std::size_t i = 0; i < n_; i += height)
      for (std::size_t j = i / width * width; j < n_; j += width) tiles_.push_back({i, j});
    detail::parallel_for(tiles_.size(), 1, threads_, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t t = begin; t < end; ++t) update(tiles_[t].i, tiles_[t].j, height, width);
    });
    detail::parallel_for(panels(kernel_.cols), 4, threads_, [&](std::size_t begin, std::size_t end, int) {
      for (std::size_t p = begin; p < end; ++p) put_back(p);
    });
    for (std::size_t k = k0_; k < k1_; ++k)
      std::copy_n(pivot_.data() + (k - k0_) * depth() + (k - k0_), k1_ - k, a_ + k * ld_ + k);
  }

 private:
  struct Tile {
    std::size_t i, j;
  };
  static std::size_t round_up(std::size_t n, std::size_t step) { return (n + step - 1) / step * step; }
  [[nodiscard]] std::size_t panels(std::size_t width) const { return (n_ + width - 1) / width; }
  [[nodiscard]] std::size_t depth() const { return k1_ - k0_; }
  /// A(k, j) for k in K, from the upper triangle; 0 where j lies in K or beyond the matrix.
  [[nodiscard]] float entry(std::size_t k, std::size_t j) const {
    if (j < k0_) return a_[j * ld_ + k];
    return j >= k1_ && j < n_ ? a_[k * ld_ + j] : 0.0f;
  }

  /// pivot_ = -(A_KK^-1), both triangles; inverse_ = the same packed as a left panel.
  void invert_pivot() {
    const std::size_t b = depth();
    float* d = pivot_.mutable_data();
    for (std::size_t i = 0; i < b; ++i) std::copy_n(a_ + (k0_ + i) * ld_ + k0_, b, d + i * b);
    if (b <= kSmall) {
      sweep_entries(d, b, b, first_row_ + k0_, names_);
    } else {
      Sweep inner(d, b, b, kSmall, 1, first_row_ + k0_, names_);
      for (std::size_t k = 0; k < b; k += kSmall) inner.block(k);
      for (std::size_t i = 0; i < b; ++i)
        for (std::size_t j = 0; j < i; ++j) d[i * b + j] = d[j * b + i];
    }
    float* packed = inverse_.mutable_data();
    for (std::size_t r = 0; r < b; r += kernel_.rows)
      for (std::size_t k = 0; k < b; ++k)
        for (std::size_t i = 0; i < kernel_.rows; ++i) packed[r * b + k * kernel_.rows + i] = r + i < b ? d[(r + i) * b + k] : 0.0f;
  }

  /// right panel p [depth x cols] = S = A_KK^-1 A_K*: zero - (-(A_KK^-1)) A_K*.
  void make_right(std::size_t p) {
    const std::size_t b = depth();
    const std::size_t cols = kernel_.cols;
    const std::size_t j0 = p * cols;
    alignas(64) float source[512 * 32];
    for (std::size_t k = 0; k < b; ++k)
      for (std::size_t j = 0; j < cols; ++j) source[k * cols + j] = entry(k0_ + k, j0 + j);
    float* panel = right_data_ + j0 * b;
    alignas(64) float tile[16 * 32];
    for (std::size_t r = 0; r < b; r += kernel_.rows) {
      std::fill_n(tile, kernel_.rows * cols, 0.0f);
      kernel_.subtract_product(inverse_.data() + r * b, source, b, tile, cols);
      std::copy_n(tile, std::min(kernel_.rows, b - r) * cols, panel + r * cols);
    }
  }

  /// left panel p [depth x rows] = A_K*.
  void make_left(std::size_t p) {
    const std::size_t b = depth();
    const std::size_t rows = kernel_.rows;
    float* panel = left_data_ + p * rows * b;
    for (std::size_t k = 0; k < b; ++k)
      for (std::size_t i = 0; i < rows; ++i) panel[k * rows + i] = entry(k0_ + k, p * rows + i);
  }

  void update(std::size_t i0, std::size_t j0, std::size_t height, std::size_t width) const {
    const std::size_t b = depth();
    const std::size_t rows = kernel_.rows;
    const std::size_t cols = kernel_.cols;
    const std::size_t i1 = std::min(n_, i0 + height);
    const std::size_t j1 = std::min(n_, j0 + width);
    alignas(64) float edge[16 * 32];
    for (std::size_t j = j0; j < j1; j += cols)
      for (std::size_t i = i0; i < i1 && i < j + cols; i += rows) {
        const float* left = left_data_ + i * b;
        const float* right = right_data_ + j * b;
        if (i + rows <= n_ && j + cols <= n_) {
          kernel_.subtract_product(left, right, b, a_ + i * ld_ + j, ld_);
          continue;
        }
        const std::size_t high = std::min(rows, n_ - i);
        const std::size_t wide = std::min(cols, n_ - j);
        std::fill_n(edge, rows * cols, 0.0f);
        for (std::size_t r = 0; r < high; ++r) std::copy_n(a_ + (i + r) * ld_ + j, wide, edge + r * cols);
        kernel_.subtract_product(left, right, b, edge, cols);
        for (std::size_t r = 0; r < high; ++r) std::copy_n(edge + r * cols, wide, a_ + (i + r) * ld_ + j);
      }
  }

  void put_back(std::size_t p) {
    const std::size_t b = depth();
    const std::size_t cols = kernel_.cols;
    const float* panel = right_data_ + p * cols * b;
    for (std::size_t c = 0; c < cols && p * cols + c < n_; ++c) {
      const std::size_t j = p * cols + c;
      if (j < k0_)
        for (std::size_t k = 0; k < b; ++k) a_[j * ld_ + k0_ + k] = panel[k * cols + c];
    }
    const std::size_t begin = std::max(p * cols, k1_);
    const std::size_t end = std::min(n_, (p + 1) * cols);
    for (std::size_t k = 0; begin < end && k < b; ++k)
      std::copy_n(panel + k * cols + (begin - p * cols), end - begin, a_ + (k0_ + k) * ld_ + begin);
  }

  float* a_;
  std::size_t n_, ld_, block_;
  int threads_;
  std::size_t first_row_;
  const std::size_t* names_;
  const kernels::DenseTable& kernel_;
  Array<float> left_, right_, pivot_, inverse_;
  float* left_data_;
  float* right_data_;
  std::size_t k0_ = 0, k1_ = 0;
  std::vector<Tile> tiles_;
};

}  // namespace

void require_pivot(std::size_t row, double pivot) {
  if (pivot > 0 && std::isfinite(pivot)) return;
  throw NumericalError("row " + std::to_string(row) + " has the pivot " + std::to_string(pivot) +
                       kMustBePositive);
}

bool negated_inverse(float* a, std::size_t n, std::size_t ld, int num_threads, const std::function<bool(std::size_t)>& after,
                     const std::size_t* names) {
  if (n == 0) return true;
  const std::size_t block = n <= kSmall ? kSmall : n <= 16384 ? 128 : 512;
  Sweep sweep(a, n, ld, block, num_threads, 0, names);
  for (std::size_t k = 0; k < n; k += block) {
    sweep.block(k);
    if (after && !after(std::min(n, k + block))) return false;
  }
  return true;
}

}  // namespace etalage
