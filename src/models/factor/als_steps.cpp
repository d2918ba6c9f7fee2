// SPDX-License-Identifier: Apache-2.0
#include "models/factor/als_steps.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "etalage/error.hpp"
#include "models/factor/als_basis.hpp"
#include "models/factor/als_model_state.hpp"
#include "models/factor/als_solver.hpp"

namespace etalage {
namespace {

using als::Fixed;

void require_equal(const char* what, std::size_t found, const char* rule, std::size_t expected) {
  if (found != expected)
    throw std::invalid_argument(std::string(what) + " is " + std::to_string(found) + ", must be " + rule + " (" +
                                std::to_string(expected) + ")");
}

// Rows [count x f] behind each other, padded to what the kernels read.
Array<float> padded_rows(const float* rows, std::size_t count, std::size_t f, std::size_t n) {
  Array<float> out(count * n);
  float* to = out.mutable_data();
  for (std::size_t r = 0; r < count; ++r) std::copy_n(rows + r * f, f, to + r * n);
  return out;
}

// Whether rows lie as the kernels read them: no padding, and aligned.
bool lies_well(const float* rows, std::size_t f, std::size_t n) {
  return f == n && reinterpret_cast<std::uintptr_t>(rows) % 64 == 0;
}

struct Block {
  std::size_t f;
  std::size_t n;
  Array<float> copy;  // of the fixed rows, where they do not lie well
  const float* fixed_rows;
  Array<float> x;
  std::size_t others;

  Block(const AlsOptions& options, const CsrView& rows, MatrixView<const float> fixed, std::size_t others_,
        std::span<const float> x_)
      : f(static_cast<std::size_t>(options.factors)), n(als::padded(f)), others(others_) {
    options.validate();
    require_equal("number of columns of rows", static_cast<std::size_t>(rows.cols), "the rows of fixed", fixed.rows());
    if (fixed.rows() != 0) require_equal("number of columns of fixed", fixed.cols(), "the model's factors", f);
    require_equal("size of x", x_.size(), "rows x factors", static_cast<std::size_t>(rows.rows) * f);
    if (others < fixed.rows())
      throw std::invalid_argument("others is " + std::to_string(others) + ", must be at least the " +
                                  std::to_string(fixed.rows()) + " rows of fixed");
    const bool copied = !lies_well(fixed.data(), f, n);
    if (copied) copy = padded_rows(fixed.data(), fixed.rows(), f, n);
    fixed_rows = copied ? copy.data() : fixed.data();
    x = padded_rows(x_.data(), static_cast<std::size_t>(rows.rows), f, n);
  }
  // The solvers read `count` for the ridge alone, and rows by the columns that occur.
  [[nodiscard]] Fixed fixed() const { return {fixed_rows, others, f, n}; }
};

}  // namespace

std::size_t als_block_rows(std::size_t rows) noexcept { return als::gram_grain(rows); }

Array<float> als_start(const AlsOptions& options, AlsSide side, std::size_t first, std::size_t count) {
  options.validate();
  const auto f = static_cast<std::size_t>(options.factors);
  Array<float> out(count * f);
  float* to = out.mutable_data();
  for (std::size_t r = 0; r < count; ++r) als::start_row(options, side == AlsSide::kUsers ? 0 : 1, first + r, to + r * f);
  return out;
}

bool als_uses_basis(const AlsOptions& options, std::size_t users, std::size_t items) {
  return als::uses_basis(options, users + items, static_cast<std::size_t>(static_cast<int>(options.factors)));
}

AlsBasis als_basis(std::span<const double> gram, std::size_t factors) {
  require_equal("size of gram", gram.size(), "factors x factors", factors * factors);
  for (const double v : gram)
    if (!std::isfinite(v)) throw std::invalid_argument("gram holds " + std::to_string(v) + ", must be finite");
  als::Basis basis(gram.data(), factors);
  return {std::move(basis.values), std::move(basis.vectors)};
}

std::vector<double> als_back(std::span<const std::vector<double>> vectors, std::size_t factors) {
  if (vectors.empty()) throw std::invalid_argument("vectors is empty, must hold at least one matrix");
  als::Turns turns(factors);
  for (const std::vector<double>& v : vectors) {
    require_equal("size of vectors", v.size(), "factors x factors", factors * factors);
    turns.add(v);
  }
  return turns.back();
}

void als_turn(std::span<const double> matrix, std::size_t factors, std::span<float> rows, int num_threads) {
  require_equal("size of matrix", matrix.size(), "factors x factors", factors * factors);
  if (rows.size() % factors != 0)
    throw std::invalid_argument("rows has " + std::to_string(rows.size()) + " floats, must be a multiple of the " + std::to_string(factors) +
                                " factors");
  const std::size_t count = rows.size() / factors;
  const std::size_t n = als::padded(factors);
  if (lies_well(rows.data(), factors, n)) return als::turn(rows.data(), count, matrix.data(), factors, num_threads);
  Array<float> padded = padded_rows(rows.data(), count, factors, n);
  als::turn(padded.mutable_data(), count, matrix.data(), factors, num_threads);
  for (std::size_t r = 0; r < count; ++r) std::copy_n(padded.data() + r * n, factors, rows.data() + r * factors);
}

std::vector<double> als_block_gram(MatrixView<const float> factors) {
  const std::size_t f = factors.cols();
  const std::size_t n = als::padded(f);
  const Array<float> rows = padded_rows(factors.data(), factors.rows(), f, n);  // the kernels want aligned rows
  const Array<float> sum = als::gram_of_chunk({rows.data(), factors.rows(), f, n}, 0, factors.rows());
  std::vector<double> out(f * f);
  for (std::size_t i = 0; i < f; ++i)
    for (std::size_t j = i; j < f; ++j) out[i * f + j] = out[j * f + i] = static_cast<double>(sum[i * n + j]);
  return out;
}

void als_half_step(const AlsOptions& options, AlsSide side, const CsrView& rows, MatrixView<const float> fixed,
                   std::size_t others, std::span<const double> gram, std::span<float> x) {
  Block block(options, rows, fixed, others, x);
  require_equal("size of gram", gram.size(), "factors x factors", block.f * block.f);
  const char* name = side == AlsSide::kUsers ? "users" : "items";
  for (const double v : gram)
    if (!std::isfinite(v))
      throw NumericalError(std::string(side == AlsSide::kUsers ? "item" : "user") +
                           " factors left the finite numbers; increase regularization, or lower alpha");
  const als::Plan plan(rows, block.n);
  const als::ScaledGram scaled(gram.data(), block.f, options.unobserved_weight);
  als::solve_side(rows, plan, block.fixed(), scaled, options, name, block.x.mutable_data());
  for (std::size_t r = 0; r < static_cast<std::size_t>(rows.rows); ++r)
    std::copy_n(block.x.data() + r * block.n, block.f, x.data() + r * block.f);
}

double als_block_loss(const AlsOptions& options, const CsrView& rows, MatrixView<const float> fixed, std::size_t others,
                      std::span<const float> x, bool observed) {
  options.validate();
  const als::Weights weights(options);
  const auto f = static_cast<std::size_t>(options.factors);
  require_equal("size of x", x.size(), "rows x factors", static_cast<std::size_t>(rows.rows) * f);
  if (!observed) return als::ridge_loss(rows, x.data(), f, others, weights, options.num_threads);
  const Block block(options, rows, fixed, others, x);
  return als::ridge_loss(rows, block.x.data(), block.n, others, weights, options.num_threads) +
         als::observed_loss(rows, block.fixed(), block.x.data(), weights, options.num_threads);
}

}  // namespace etalage
