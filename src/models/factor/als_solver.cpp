// SPDX-License-Identifier: Apache-2.0
#include "models/factor/als_solver.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "kernels/als_kernels.hpp"
#include "models/factor/als_basis.hpp"

namespace etalage::als {
namespace {

// Rows that are solved together share the products with the Gram matrix; their observed rows should stay in the
// second-level cache between the steps.
constexpr std::size_t kBlockRows = 32;
constexpr std::size_t kBlockFloats = std::size_t{160} << 10;

// Rows between the one that is read and the one that is asked for.
constexpr std::size_t kLead = 8;

// Share of the largest entry of the preconditioner that its smallest has at least: float32 tells no less apart.
constexpr float kLeastPivot = 1e-7f;

// Without anything liked the right-hand side is zero, and so is the solution.
bool has_positive(const Observed& observed) {
  return std::any_of(observed.values, observed.values + observed.count, [](float r) { return r > 0; });
}

Observed observed_of(const CsrView& rows, std::int64_t row) {
  return {rows.row_columns(row).data(), rows.row_values(row).data(), rows.row_size(row)};
}

// add = c p and weight = c - w0 of every observation.
void fill_weights(const Observed& observed, const Weights& w, std::vector<float>& add, std::vector<float>& weight) {
  add.resize(std::max(add.size(), observed.count));
  weight.resize(std::max(weight.size(), observed.count));
  for (std::size_t j = 0; j < observed.count; ++j) {
    const float c = w.confidence(observed.values[j]);
    add[j] = observed.values[j] > 0 ? c : 0;
    weight[j] = c - w.w0;
  }
}

[[noreturn]] void not_positive(const char* side, std::int64_t row) {
  throw NumericalError(std::string("the equations of ") + side + " " + std::to_string(row) +
                       " are not positive definite in float32; increase regularization, or lower alpha or the weights");
}

struct BlockScratch {
  Array<float> p;  // [kBlockRows x n]
  Array<float> q;
  Array<float> r;        // of plain steps, as inverse
  Array<float> inverse;
  std::vector<float> add;     // of the block's rows, one behind the other
  std::vector<float> weight;
  std::vector<std::size_t> begin;
  std::vector<float> predictions;
  RowScratch row;
};

class SideSolver {
 public:
  SideSolver(const CsrView& rows, const Plan& plan, const Fixed& fixed, const ScaledGram& gram, const AlsOptions& options,
             const char* side, float* x, const float* priors)
      : rows_(rows), plan_(plan), fixed_(fixed), gram_(gram), options_(options), weights_(options), side_(side), x_(x),
        priors_(priors), n_(gram.n), largest_(*std::max_element(gram.diagonal.data(), gram.diagonal.data() + fixed.width)),
        zeros_(gram.n), kernels_(kernels::als()) {}

  void run() {
    for (const std::int64_t id : plan_.nothing) std::fill_n(row(id), n_, 0.0f);
    if (plan_.order.empty()) return;
    const int threads = detail::resolve_threads(options_.num_threads);
    std::vector<BlockScratch> scratch(static_cast<std::size_t>(threads));
    detail::parallel_for(plan_.offsets.size() - 1, 1, threads, [&](std::size_t b, std::size_t end, int thread) {
      for (; b < end; ++b) {
        const std::span<const std::int64_t> ids(plan_.order.data() + plan_.offsets[b],
                                                plan_.offsets[b + 1] - plan_.offsets[b]);
        BlockScratch& s = scratch[static_cast<std::size_t>(thread)];
        switch (options_.solver) {
          case AlsSolver::kCholesky: cholesky(ids, s.row); break;
          case AlsSolver::kConjugateGradient: gram_.is_diagonal ? conjugate_gradient(ids, s) : plain_gradient(ids, s); break;
          case AlsSolver::kSubspace: subspace(ids, s); break;
        }
      }
    });
  }

 private:
  [[nodiscard]] float* row(std::int64_t id) const { return x_ + static_cast<std::size_t>(id) * n_; }
  [[nodiscard]] const float* prior(std::int64_t id) const {
    return priors_ == nullptr ? nullptr : priors_ + static_cast<std::size_t>(id) * n_;
  }
  [[nodiscard]] float ridge(std::int64_t id) const {
    return static_cast<float>(weights_.ridge(rows_.row_size(id), fixed_.count));
  }

  void cholesky(std::span<const std::int64_t> ids, RowScratch& s) const {
    for (const std::int64_t id : ids)
      if (!solve_exactly(fixed_, gram_, observed_of(rows_, id), weights_, s, row(id), prior(id))) not_positive(side_, id);
  }

  void reserve(BlockScratch& s) const {
    if (s.p.size() == kBlockRows * n_) return;
    s.p = Array<float>(kBlockRows * n_);
    s.q = Array<float>(kBlockRows * n_);
  }

  // The weights of a block's rows, so that the steps need not form them again.
  void fill_block(std::span<const std::int64_t> ids, BlockScratch& s) const {
    std::size_t total = 0;
    s.begin.clear();
    for (const std::int64_t id : ids) {
      s.begin.push_back(total);
      total += rows_.row_size(id);
    }
    s.add.resize(std::max(s.add.size(), total));
    s.weight.resize(std::max(s.weight.size(), total));
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto values = rows_.row_values(ids[i]);
      for (std::size_t j = 0; j < values.size(); ++j) {
        const float c = weights_.confidence(values[j]);
        s.add[s.begin[i] + j] = values[j] > 0 ? c : 0;
        s.weight[s.begin[i] + j] = c - weights_.w0;
      }
    }
  }

  // w0 G is diagonal here (als_basis.hpp) and preconditions, so each row takes all of its steps while its observed rows are near.
  void conjugate_gradient(std::span<const std::int64_t> ids, BlockScratch& s) const {
    reserve(s);
    fill_block(ids, s);
    float* p = s.p.mutable_data();
    float* q = p + n_;
    float* inverse = q + n_;
    float* r = inverse + n_;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto columns = rows_.row_columns(ids[i]);
      const auto next = i + 1 < ids.size() ? rows_.row_columns(ids[i + 1]) : std::span<const std::int32_t>();
      float* x = row(ids[i]);
      float* add = s.add.data() + s.begin[i];
      float* weight = s.weight.data() + s.begin[i];
      const float ridge_i = ridge(ids[i]);
      const float* m = prior(ids[i]);
      for (std::size_t k = 0; k < n_; ++k) r[k] = m == nullptr ? 0.0f : ridge_i * m[k];
      // A row's observed rows are asked for during the steps of the row before it, which has at least as many; the first asks ahead.
      const std::size_t lead = i == 0 ? std::min(kLead, columns.size()) : columns.size();
      kernels_.residual(fixed_.rows, fixed_.stride, n_, columns.data(), add, weight, columns.size(), x, r, columns.data() + lead,
                        columns.size() - lead);
      const float least = kLeastPivot * (largest_ + ridge_i);
      float rz = kernels_.cg_start(x, r, p, inverse, n_, gram_.diagonal.data(), ridge_i, least);
      const float start = rz;
      // The weights now act with the other sign and nothing is added: q += sum weight (y . p) y.
      for (std::size_t j = 0; j < columns.size(); ++j) {
        add[j] = 0;
        weight[j] = -weight[j];
      }
      // Below the rounding of the first residual there is nothing left to gain.
      for (int step = 0; step < options_.cg_steps && rz > 1e-13f * start; ++step) {
        std::fill_n(q, n_, 0.0f);
        kernels_.residual(fixed_.rows, fixed_.stride, n_, columns.data(), add, weight, columns.size(), p, q, next.data(),
                          step == 0 ? next.size() : 0);
        rz = kernels_.cg_step(x, r, p, q, n_, gram_.diagonal.data(), ridge_i, inverse, rz);
      }
    }
  }

  // Steps of all rows of a block side by side: w0 G P is one matrix product, the observed part follows row by row. The
  // preconditioner is a number for each row, which changes nothing. One step more than `cg_steps`: three here do what two do above.
  void plain_gradient(std::span<const std::int64_t> ids, BlockScratch& s) const {
    reserve(s);
    if (s.r.size() != kBlockRows * n_) {
      s.r = Array<float>(kBlockRows * n_);
      s.inverse = Array<float>(kBlockRows * n_);
    }
    fill_block(ids, s);
    float* p = s.p.mutable_data();
    float* q = s.q.mutable_data();
    float* r = s.r.mutable_data();
    float* inverse = s.inverse.mutable_data();
    const std::size_t count = ids.size();
    float rz[kBlockRows];
    float start[kBlockRows];
    const auto observed = [&](std::size_t i, const float* x, float* out) {
      const auto columns = rows_.row_columns(ids[i]);
      const std::size_t lead = std::min(kLead, columns.size());
      kernels_.residual(fixed_.rows, fixed_.stride, n_, columns.data(), s.add.data() + s.begin[i], s.weight.data() + s.begin[i], columns.size(), x,
                        out, columns.data() + lead, columns.size() - lead);
    };
    for (std::size_t i = 0; i < count; ++i) std::copy_n(row(ids[i]), n_, p + i * n_);
    kernels_.multiply(p, n_, count, gram_.packed.data(), n_, 0, n_, q, n_);
    for (std::size_t i = 0; i < count; ++i) {
      const float ridge_i = ridge(ids[i]);
      const float* m = prior(ids[i]);
      for (std::size_t k = 0; k < n_; ++k) r[i * n_ + k] = (m == nullptr ? 0.0f : ridge_i * m[k]) - q[i * n_ + k];
      observed(i, row(ids[i]), r + i * n_);
      rz[i] = start[i] = kernels_.cg_start(row(ids[i]), r + i * n_, p + i * n_, inverse + i * n_, n_, zeros_.data(), ridge_i, 1.0f);
    }
    // The weights now act with the other sign and nothing is added: q += sum weight (y . p) y.
    std::fill(s.add.begin(), s.add.end(), 0.0f);
    for (float& w : s.weight) w = -w;
    for (int step = 0; step <= options_.cg_steps; ++step) {
      kernels_.multiply(p, n_, count, gram_.packed.data(), n_, 0, n_, q, n_);
      for (std::size_t i = 0; i < count; ++i) {
        if (!(rz[i] > 1e-13f * start[i])) continue;
        observed(i, p + i * n_, q + i * n_);
        rz[i] = kernels_.cg_step(row(ids[i]), r + i * n_, p + i * n_, q + i * n_, n_, zeros_.data(), ridge(ids[i]), inverse + i * n_, rz[i]);
      }
    }
  }

  // iALS++: `block_size` factors at a time, each time exactly, the predictions of the row's observations kept up to date.
  void subspace(std::span<const std::int64_t> ids, BlockScratch& s) const {
    reserve(s);
    fill_block(ids, s);
    const std::size_t block = std::min(n_, padded(static_cast<std::size_t>(options_.block_size)));
    s.row.reserve(block);
    float* x = s.p.mutable_data();
    float* q = s.q.mutable_data();
    float* matrix = s.row.matrix.mutable_data();
    float* plain = s.row.plain.mutable_data();
    float* scaled = s.row.scaled.mutable_data();
    float* delta = s.row.rhs.mutable_data();
    const std::size_t count = ids.size();
    std::size_t total = 0;
    for (const std::int64_t id : ids) total += rows_.row_size(id);
    s.predictions.assign(std::max(s.predictions.size(), total), 0.0f);
    for (std::size_t i = 0; i < count; ++i) {
      std::copy_n(row(ids[i]), n_, x + i * n_);
      const auto columns = rows_.row_columns(ids[i]);
      kernels_.dots(fixed_.rows, fixed_.stride, n_, columns.data(), columns.size(), x + i * n_,
                    s.predictions.data() + s.begin[i]);
    }
    for (std::size_t begin = 0; begin < n_; begin += block) {
      const std::size_t size = std::min(block, n_ - begin);
      kernels_.multiply(x, n_, count, gram_.packed.data(), n_, begin, begin + size, q, n_);
      for (std::size_t i = 0; i < count; ++i) {
        float* xi = x + i * n_ + begin;
        const auto columns = rows_.row_columns(ids[i]);
        const float ridge_i = ridge(ids[i]);
        const float* weight = s.weight.data() + s.begin[i];
        float* predictions = s.predictions.data() + s.begin[i];
        // Minus half the gradient in these factors, and the matrix of second derivatives.
        for (std::size_t k = 0; k < size; ++k) {
          std::copy_n(gram_.full.data() + (begin + k) * n_ + begin, size, matrix + k * size);
          matrix[k * size + k] += ridge_i;
          delta[k] = -(q[i * n_ + begin + k] + ridge_i * xi[k]);
        }
        if (const float* m = prior(ids[i]))
          for (std::size_t k = 0; k < size; ++k) delta[k] += ridge_i * m[begin + k];
        s.row.add.resize(std::max(s.row.add.size(), columns.size()));
        for (std::size_t j = 0; j < columns.size(); ++j)
          s.row.add[j] = s.add[s.begin[i] + j] - weight[j] * predictions[j];
        for (std::size_t j = 0; j < columns.size(); j += RowScratch::kChunk) {
          const std::size_t m = std::min(RowScratch::kChunk, columns.size() - j);
          kernels_.gather(fixed_.rows + begin, fixed_.stride, size, columns.data() + j, s.row.add.data() + j, weight + j,
                          m, size, plain, scaled, delta);
          kernels_.rank_update(scaled, plain, size, m, size, matrix, size);
        }
        if (kernels_.cholesky(matrix, size, size) != size) not_positive(side_, ids[i]);
        kernels_.solve(matrix, size, size, delta);
        for (std::size_t k = 0; k < size; ++k) xi[k] += delta[k];
        if (begin + size < n_)
          kernels_.dots(fixed_.rows + begin, fixed_.stride, size, columns.data(), columns.size(), delta, predictions);
      }
    }
    for (std::size_t i = 0; i < count; ++i) std::copy_n(x + i * n_, n_, row(ids[i]));
  }

  CsrView rows_;
  const Plan& plan_;
  Fixed fixed_;
  const ScaledGram& gram_;
  const AlsOptions& options_;
  Weights weights_;
  const char* side_;
  float* x_;
  const float* priors_;
  std::size_t n_;
  float largest_;
  Array<float> zeros_;
  const kernels::AlsTable& kernels_;
};

}  // namespace

// The longest rows come first, so that no thread meets one at the end.
Plan::Plan(const CsrView& rows, std::size_t n, bool with_priors) {
  for (std::int64_t r = 0; r < rows.rows; ++r)
    (has_positive(observed_of(rows, r)) || (with_priors && rows.row_size(r) != 0) ? order : nothing).push_back(r);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return rows.row_size(a) > rows.row_size(b); });
  offsets.push_back(0);
  std::size_t size = 0;
  std::size_t floats = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t next = rows.row_size(order[i]) * n;
    // Groups of eight keep the product's register tiles full, which matters little where rows are long.
    const bool may_cut = size != 0 && (size % 8 == 0 || next > kBlockFloats / 8);
    if (size == kBlockRows || (may_cut && floats + next > kBlockFloats)) {
      offsets.push_back(i);
      size = 0;
      floats = 0;
    }
    ++size;
    floats += next;
  }
  if (!order.empty()) offsets.push_back(order.size());
}

std::size_t padded(std::size_t factors) noexcept { return (factors + kernels::kAlsPad - 1) / kernels::kAlsPad * kernels::kAlsPad; }

double Weights::ridge(std::size_t observed, std::size_t others) const noexcept {
  if (nu == 0) return regularization;
  const double count = static_cast<double>(observed) + static_cast<double>(w0) * static_cast<double>(others);
  return static_cast<double>(regularization) * std::pow(count, static_cast<double>(nu));
}

void RowScratch::reserve(std::size_t n) {
  if (matrix.size() < n * n) matrix = Array<float>(n * n);
  if (plain.size() < kChunk * n) {
    plain = Array<float>(kChunk * n);
    scaled = Array<float>(kChunk * n);
  }
  if (rhs.size() < n) rhs = Array<float>(n);
}

bool solve_exactly(const Fixed& fixed, const ScaledGram& gram, const Observed& observed, const Weights& weights,
                   RowScratch& s, float* x, const float* prior) {
  const kernels::AlsTable& k = kernels::als();
  const std::size_t n = gram.n;
  s.reserve(n);
  float* matrix = s.matrix.mutable_data();
  float* rhs = s.rhs.mutable_data();
  std::copy_n(gram.full.data(), n * n, matrix);
  const auto ridge = static_cast<float>(weights.ridge(observed.count, fixed.count));
  for (std::size_t i = 0; i < n; ++i) matrix[i * n + i] += ridge;
  for (std::size_t i = 0; i < n; ++i) rhs[i] = prior == nullptr ? 0.0f : ridge * prior[i];
  fill_weights(observed, weights, s.add, s.weight);
  for (std::size_t j = 0; j < observed.count; j += RowScratch::kChunk) {
    const std::size_t m = std::min(RowScratch::kChunk, observed.count - j);
    k.gather(fixed.rows, fixed.stride, fixed.width, observed.columns + j, s.add.data() + j, s.weight.data() + j, m, n,
             s.plain.mutable_data(), s.scaled.mutable_data(), rhs);
    k.rank_update(s.scaled.data(), s.plain.data(), n, m, n, matrix, n);
  }
  if (k.cholesky(matrix, n, n) != n) return false;
  k.solve(matrix, n, n, rhs);
  std::copy_n(rhs, n, x);
  return true;
}

void solve_again(const RowScratch& scratch, std::size_t n, float* b) {
  kernels::als().solve(scratch.matrix.data(), n, n, b);
}

void solve_side(const CsrView& rows, const Plan& plan, const Fixed& fixed, const ScaledGram& gram, const AlsOptions& options,
                const char* side, float* x, const float* priors) {
  SideSolver(rows, plan, fixed, gram, options, side, x, priors).run();
}

std::size_t gram_grain(std::size_t rows) noexcept { return std::max<std::size_t>(1024, (rows + 63) / 64); }

Array<float> gram_of_chunk(const Fixed& fixed, std::size_t begin, std::size_t end) {
  const std::size_t n = padded(fixed.width);
  const bool in_place = fixed.stride == n;
  Array<float> sum(n * n);
  float* out = sum.mutable_data();
  Array<float> copy(in_place ? 0 : RowScratch::kChunk * n);
  for (std::size_t i = begin; i < end; i += RowScratch::kChunk) {
    const std::size_t m = std::min(RowScratch::kChunk, end - i);
    const float* rows = fixed.rows + i * fixed.stride;
    if (!in_place) {
      float* c = copy.mutable_data();
      for (std::size_t k = 0; k < m; ++k) std::copy_n(rows + k * fixed.stride, fixed.width, c + k * n);
      rows = c;
    }
    kernels::als().rank_update(rows, rows, n, m, n, out, n);
  }
  return sum;
}

std::vector<double> gram(const Fixed& fixed, int num_threads) {
  const std::size_t n = padded(fixed.width);
  const std::size_t grain = gram_grain(fixed.count);
  std::vector<Array<float>> partial(detail::num_chunks(fixed.count, grain));
  detail::parallel_for(fixed.count, grain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    partial[begin / grain] = gram_of_chunk(fixed, begin, end);
  });
  const std::size_t width = fixed.width;
  std::vector<double> total(width * width);
  for (const Array<float>& p : partial)
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t j = i; j < width; ++j) total[i * width + j] += static_cast<double>(p[i * n + j]);
  for (std::size_t i = 0; i < width; ++i)
    for (std::size_t j = 0; j < i; ++j) total[i * width + j] = total[j * width + i];
  return total;
}

namespace {
Array<float> pad_gram(const double* gram, std::size_t width, std::size_t n, float w0) {
  Array<float> full(n * n);
  float* out = full.mutable_data();
  for (std::size_t i = 0; i < width; ++i)
    for (std::size_t j = 0; j < width; ++j)
      out[i * n + j] = static_cast<float>(static_cast<double>(w0) * gram[i * width + j]);
  for (std::size_t i = width; i < n; ++i) out[i * n + i] = 1;
  return full;
}
Array<float> pack(const Array<float>& full, std::size_t n) {
  Array<float> packed(n * n, uninitialized);
  kernels::pack_panels(full.data(), n, packed.mutable_data());
  return packed;
}
}  // namespace

ScaledGram::ScaledGram(const double* gram, std::size_t width, float w0)
    : n(padded(width)), full(pad_gram(gram, width, n, w0)), packed(pack(full, n)), diagonal(n, uninitialized),
      is_diagonal(als::is_diagonal(gram, width)) {
  for (std::size_t i = 0; i < n; ++i) diagonal.mutable_data()[i] = full[i * n + i];
}

double observed_loss(const CsrView& rows, const Fixed& fixed, const float* x, const Weights& weights, int num_threads) {
  constexpr std::size_t kGrain = 256;
  const auto count = static_cast<std::size_t>(rows.rows);
  const std::size_t n = fixed.stride;
  std::vector<double> partial(detail::num_chunks(count, kGrain));
  const double w0 = weights.w0;
  detail::parallel_for(count, kGrain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> s;
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const auto columns = rows.row_columns(static_cast<std::int64_t>(i));
      const auto values = rows.row_values(static_cast<std::int64_t>(i));
      s.assign(columns.size(), 0.0f);
      kernels::als().dots(fixed.rows, n, n, columns.data(), columns.size(), x + i * n, s.data());
      for (std::size_t j = 0; j < columns.size(); ++j) {
        const double error = (values[j] > 0 ? 1.0 : 0.0) - static_cast<double>(s[j]);
        sum += static_cast<double>(weights.confidence(values[j])) * error * error -
               w0 * static_cast<double>(s[j]) * static_cast<double>(s[j]);
      }
    }
    partial[begin / kGrain] = sum;
  });
  return std::accumulate(partial.begin(), partial.end(), 0.0);
}

double ridge_loss(const CsrView& rows, const float* x, std::size_t n, std::size_t others, const Weights& weights,
                  int num_threads) {
  constexpr std::size_t kGrain = 1024;
  const auto count = static_cast<std::size_t>(rows.rows);
  std::vector<double> partial(detail::num_chunks(count, kGrain));
  detail::parallel_for(count, kGrain, num_threads, [&](std::size_t begin, std::size_t end, int) {
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) {
      double square = 0;
      for (std::size_t k = 0; k < n; ++k) square += static_cast<double>(x[i * n + k]) * static_cast<double>(x[i * n + k]);
      sum += weights.ridge(rows.row_size(static_cast<std::int64_t>(i)), others) * square;
    }
    partial[begin / kGrain] = sum;
  });
  return std::accumulate(partial.begin(), partial.end(), 0.0);
}

}  // namespace etalage::als
