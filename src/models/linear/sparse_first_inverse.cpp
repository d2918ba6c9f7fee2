// SPDX-License-Identifier: Apache-2.0
#include "models/linear/sparse_first_inverse.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <limits>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/core/array.hpp"
#include "kernels/dense_kernels.hpp"
#include "models/linear/spd_inverse.hpp"

namespace etalage {
namespace {

constexpr std::size_t kWidth = 32;  // columns of the inverse made at once: their rows stay in the second-level cache
constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

struct Pivot {
  std::size_t row;
  float diagonal;
  std::size_t begin, end;  // of its column of L
};

class SparseFirst {
 public:
  SparseFirst(float* a, std::size_t n, std::size_t ld, int num_threads)
      : a_(a), n_(n), ld_(ld), words_((n + 63) / 64), threads_(num_threads), bits_(n * words_), order_(n, kNone) {}

  bool run(const std::function<bool(std::size_t)>& after) {
    // Asked now and then: a pivot is a small step.
    auto go_on = [&, last = std::chrono::steady_clock::now()](std::size_t rows) mutable {
      const auto now = std::chrono::steady_clock::now();
      if (!after || now - last < std::chrono::milliseconds(100)) return true;
      last = now;
      return after(rows);
    };
    if (find_pattern() && !eliminate(go_on)) return nothing();
    for (std::size_t i = 0; i < n_; ++i)
      if (order_[i] == kNone) kept_.push_back(i);
    bits_ = Array<std::uint64_t>();
    const std::size_t m = kept_.size();
    const std::size_t gone = pivots_.size();
    // Both moves go through the matrix in memory order, so that nothing is overwritten before it is read.
    for (std::size_t i = 0; gone > 0 && i < m; ++i)
      for (std::size_t j = i; j < m; ++j) a_[i * ld_ + j] = a_[kept_[i] * ld_ + kept_[j]];
    std::size_t done = 0;
    const bool finished = negated_inverse(a_, m, ld_, threads_, [&](std::size_t rows) {
      done = rows;
      return !after || after(gone + rows);
    }, kept_.data());
    for (std::size_t i = 0; done < m && i < m; ++i) std::fill(a_ + i * ld_ + std::max(i, done), a_ + i * ld_ + m, 0.0f);
    if (gone == 0) return finished;
    for (std::size_t i = m; i-- > 0;)
      for (std::size_t j = m; j-- > i;) a_[kept_[i] * ld_ + kept_[j]] = a_[i * ld_ + j];
    if (!expand(go_on)) return nothing();
    return finished;
  }

 private:
  [[nodiscard]] float& at(std::size_t i, std::size_t j) const { return a_[std::min(i, j) * ld_ + std::max(i, j)]; }

  /// False when there are so few zeros that looking for them does not pay.
  bool find_pattern() {
    if (n_ < 128) return false;
    std::uint64_t* bits = bits_.mutable_data();
    degree_.assign(n_, 0);
    std::size_t entries = 0;
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = i; j < n_; ++j) {
        if (a_[i * ld_ + j] == 0.0f && i != j) continue;
        bits[i * words_ + j / 64] |= std::uint64_t{1} << (j % 64);
        bits[j * words_ + i / 64] |= std::uint64_t{1} << (i % 64);
        if (i != j) ++degree_[i], ++degree_[j], ++entries;
      }
    return entries < n_ * n_ / 4;
  }

  bool nothing() {
    for (std::size_t i = 0; i < n_; ++i) std::fill(a_ + i * ld_ + i, a_ + i * ld_ + n_, 0.0f);
    return false;
  }

  template <class GoOn>
  bool eliminate(GoOn& go_on) {
    std::vector<std::uint64_t> row(words_);
    std::vector<std::uint64_t> alive(words_, ~std::uint64_t{0});
    std::uint64_t* bits = bits_.mutable_data();
    for (std::size_t left = n_; left > 1; --left) {
      const auto k = static_cast<std::size_t>(std::min_element(degree_.begin(), degree_.end()) - degree_.begin());
      const auto degree = static_cast<double>(degree_[k]);
      // What inverting one row more in the dense part takes, against the slower steps of one row eliminated.
      if (16 * degree * static_cast<double>(n_) + 8 * degree * degree >= 3 * static_cast<double>(left) * static_cast<double>(left)) break;
      const float pivot = a_[k * ld_ + k];
      require_pivot(k, static_cast<double>(pivot));
      alive[k / 64] &= ~(std::uint64_t{1} << (k % 64));
      const std::size_t begin = index_.size();
      for (std::size_t w = 0; w < words_; ++w) {
        row[w] = bits[k * words_ + w] & alive[w];
        for (std::uint64_t rest = row[w]; rest != 0; rest &= rest - 1) {
          const std::size_t j = w * 64 + static_cast<std::size_t>(std::countr_zero(rest));
          index_.push_back(j);
          factor_.push_back(-at(k, j) / pivot);
        }
      }
      order_[k] = pivots_.size();
      degree_[k] = kNone;
      pivots_.push_back({k, pivot, begin, index_.size()});
      if (!go_on(pivots_.size())) return false;
      const std::size_t* of_row = index_.data() + begin;
      const float* factor = factor_.data() + begin;
      const std::size_t count = index_.size() - begin;
      detail::parallel_for(count, 64, threads_, [&](std::size_t first, std::size_t last, int) {
        for (std::size_t p = first; p < last; ++p) {
          const std::size_t j = of_row[p];
          const float times = factor[p] * pivot;
          for (std::size_t q = p; q < count; ++q) a_[j * ld_ + of_row[q]] -= times * factor[q];
          std::uint64_t* pattern = bits + j * words_;
          std::size_t added = 0;
          for (std::size_t w = 0; w < words_; ++w) {
            const std::uint64_t fresh = row[w] & ~pattern[w];
            if (fresh == 0) continue;
            added += static_cast<std::size_t>(std::popcount(fresh));
            pattern[w] |= fresh;
          }
          degree_[j] += added;
          --degree_[j];
        }
      });
    }
    return true;
  }

  /// Minus the inverse in the rows and columns of what was eliminated.
  template <class GoOn>
  bool expand(GoOn& go_on) {
    const int threads = detail::resolve_threads(threads_);
    std::vector<Array<float>> memory(static_cast<std::size_t>(threads));
    const std::size_t slice = 8 * static_cast<std::size_t>(threads);
    const auto for_tiles = [&](std::size_t count, const auto& make) {
      const std::size_t tiles = (count + kWidth - 1) / kWidth;
      for (std::size_t first = 0; first < tiles; first += slice) {
        detail::parallel_for(std::min(slice, tiles - first), 1, threads, [&](std::size_t begin, std::size_t end, int thread) {
          Array<float>& x = memory[static_cast<std::size_t>(thread)];
          if (x.size() == 0) x = Array<float>(n_ * kWidth);
          for (std::size_t t = first + begin; t < first + end; ++t) make(x.mutable_data(), t * kWidth, std::min(count, (t + 1) * kWidth));
        });
        if (!go_on(n_)) return false;
      }
      return true;
    };
    return for_tiles(kept_.size(), [&](float* x, std::size_t c0, std::size_t c1) { columns_of_kept(x, c0, c1); }) &&
           for_tiles(pivots_.size(), [&](float* x, std::size_t c0, std::size_t c1) { columns_of_eliminated(x, c0, c1); });
  }

  void columns_of_kept(float* x, std::size_t c0, std::size_t c1) const {
    for (std::size_t i = 0; i < c1; ++i)
      for (std::size_t c = c0; c < c1; ++c) x[kept_[i] * kWidth + c - c0] = at(kept_[i], kept_[c]);
    for (std::size_t c = c0; c < c1; ++c) {
      const float* row = a_ + kept_[c] * ld_;
      for (std::size_t i = c1; i < kept_.size(); ++i) x[kept_[i] * kWidth + c - c0] = row[kept_[i]];
    }
    for (const Pivot& p : pivots_) std::fill_n(x + p.row * kWidth, kWidth, 0.0f);
    backward(x);
    for (const Pivot& p : pivots_)
      for (std::size_t c = c0; c < c1; ++c) at(p.row, kept_[c]) = x[p.row * kWidth + c - c0];
  }

  void columns_of_eliminated(float* x, std::size_t c0, std::size_t c1) const {
    for (const std::size_t j : kept_)
      for (std::size_t c = c0; c < c1; ++c) x[j * kWidth + c - c0] = at(j, pivots_[c].row);
    for (const Pivot& p : pivots_) std::fill_n(x + p.row * kWidth, kWidth, 0.0f);
    // L y = -unit columns among the eliminated; the kept rows are known already.
    for (std::size_t c = c0; c < c1; ++c) x[pivots_[c].row * kWidth + c - c0] = -1.0f;
    for (std::size_t q = c0; q < pivots_.size(); ++q) {
      const Pivot& p = pivots_[q];
      float* from = x + p.row * kWidth;
      if (std::all_of(from, from + kWidth, [](float v) { return v == 0.0f; })) continue;
      for (std::size_t e = p.begin; e < p.end; ++e) {
        if (order_[index_[e]] == kNone) continue;
        float* to = x + index_[e] * kWidth;
        for (std::size_t c = 0; c < kWidth; ++c) to[c] += factor_[e] * from[c];
      }
      for (std::size_t c = 0; c < kWidth; ++c) from[c] /= p.diagonal;
    }
    backward(x);
    for (std::size_t q = 0; q < c1; ++q)
      for (std::size_t c = std::max(c0, q); c < c1; ++c) at(pivots_[q].row, pivots_[c].row) = x[pivots_[q].row * kWidth + c - c0];
  }

  void backward(float* x) const {
    const kernels::DenseTable& kernel = kernels::dense();
    for (std::size_t q = pivots_.size(); q-- > 0;) {
      const Pivot& p = pivots_[q];
      kernel.add_rows(x, kWidth, index_.data() + p.begin, factor_.data() + p.begin, p.end - p.begin, kWidth, x + p.row * kWidth);
    }
  }

  float* a_;
  std::size_t n_, ld_, words_;
  int threads_;
  Array<std::uint64_t> bits_;       // [n x words] non-zeros, both triangles
  std::vector<std::size_t> degree_; // entries among rows that are left
  std::vector<std::size_t> order_;  // of elimination; kNone where kept
  std::vector<std::size_t> kept_;
  std::vector<Pivot> pivots_;
  std::vector<std::size_t> index_;  // columns of L
  std::vector<float> factor_;       // -L
};

}  // namespace

bool sparse_first_inverse(float* a, std::size_t n, std::size_t ld, int num_threads, const std::function<bool(std::size_t)>& after) {
  return SparseFirst(a, n, ld, num_threads).run(after);
}

}  // namespace etalage
