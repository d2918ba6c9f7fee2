// SPDX-License-Identifier: Apache-2.0
#include "models/factor/als_steps.hpp"
#include "models/auto_settings.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

#include "etalage/core/interactions.hpp"

namespace etalage {
namespace {

CsrMatrix random_rows(std::int64_t rows, std::int64_t cols, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (std::int64_t r = 0; r < rows; ++r) {
    std::vector<std::int32_t> row;
    for (auto n = random() % 9; n > 0; --n) row.push_back(static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(cols)));
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    for (const std::int32_t c : row) {
      columns.push_back(c);
      values.push_back(random() % 7 == 0 ? -1.0f : static_cast<float>(1 + random() % 3));
    }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  return {rows, cols, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)};
}

// Rows [begin, end) in the columns that they use, and which those are.
CsrMatrix compact_block(const CsrMatrix& m, std::size_t begin, std::size_t end, std::vector<std::int32_t>& used) {
  const auto first = static_cast<std::size_t>(m.offsets[begin]);
  const auto last = static_cast<std::size_t>(m.offsets[end]);
  used.assign(m.columns.begin() + static_cast<std::ptrdiff_t>(first), m.columns.begin() + static_cast<std::ptrdiff_t>(last));
  std::sort(used.begin(), used.end());
  used.erase(std::unique(used.begin(), used.end()), used.end());
  std::vector<std::int64_t> offsets;
  for (std::size_t r = begin; r <= end; ++r) offsets.push_back(m.offsets[r] - m.offsets[begin]);
  std::vector<std::int32_t> columns;
  for (std::size_t j = first; j < last; ++j)
    columns.push_back(static_cast<std::int32_t>(std::lower_bound(used.begin(), used.end(), m.columns[j]) - used.begin()));
  return {static_cast<std::int64_t>(end - begin), static_cast<std::int64_t>(used.size()), Array<std::int64_t>(offsets),
          Array<std::int32_t>(columns), Array<float>(std::vector<float>(m.values.begin() + static_cast<std::ptrdiff_t>(first),
                                                                        m.values.begin() + static_cast<std::ptrdiff_t>(last)))};
}

class Sweeper {
 public:
  Sweeper(const AlsOptions& options, const CsrMatrix& rows) : options_(options), f_(static_cast<std::size_t>(options.factors)) {
    observed_[0] = rows;
    observed_[1] = transpose(rows.view(), 1);
    for (std::size_t s = 0; s < 2; ++s) {
      const Array<float> start = als_start(options, side(s), 0, static_cast<std::size_t>(observed_[s].rows));
      factors_[s].assign(start.begin(), start.end());
    }
  }
  void half(std::size_t s) {
    const std::size_t rows = factors_[s].size() / f_;
    std::vector<double> g = gram(1 - s);
    if (als_uses_basis(options_, factors_[0].size() / f_, factors_[1].size() / f_)) {
      const AlsBasis basis = als_basis(g, f_);
      for (std::vector<float>& factors : factors_) als_turn(basis.vectors, f_, factors);
      turns_.push_back(basis.vectors);
      for (std::size_t i = 0; i < f_; ++i)
        for (std::size_t j = 0; j < f_; ++j) g[i * f_ + j] = i == j ? basis.values[i] : 0.0;
    }
    for_blocks(rows, [&](std::size_t begin, std::size_t end) {
      std::vector<std::int32_t> used;
      const CsrMatrix block = compact_block(observed_[s], begin, end, used);
      const std::vector<float> fixed = gathered(1 - s, used);
      als_half_step(options_, side(s), block.view(), {fixed.data(), used.size(), f_}, factors_[1 - s].size() / f_, g,
                    std::span<float>(factors_[s]).subspan(begin * f_, (end - begin) * f_));
    });
  }
  void turn_back() {
    if (turns_.empty()) return;
    const std::vector<double> back = als_back(turns_, f_);
    for (std::vector<float>& factors : factors_) als_turn(back, f_, factors);
  }
  [[nodiscard]] double objective() const {
    double sum = 0;
    for (std::size_t s = 0; s < 2; ++s)
      for_blocks(factors_[s].size() / f_, [&](std::size_t begin, std::size_t end) {
        std::vector<std::int32_t> used;
        const CsrMatrix block = compact_block(observed_[s], begin, end, used);
        const std::vector<float> fixed = gathered(1 - s, used);
        sum += als_block_loss(options_, block.view(), {fixed.data(), used.size(), f_}, factors_[1 - s].size() / f_,
                              std::span<const float>(factors_[s]).subspan(begin * f_, (end - begin) * f_), s == 1);
      });
    const std::vector<double> a = gram(0);
    const std::vector<double> b = gram(1);
    return sum + static_cast<double>(options_.unobserved_weight) * std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  }
  [[nodiscard]] const std::vector<float>& factors(std::size_t s) const { return factors_[s]; }

 private:
  static AlsSide side(std::size_t s) { return s == 0 ? AlsSide::kUsers : AlsSide::kItems; }
  template <class F>
  static void for_blocks(std::size_t rows, const F& f) {
    const std::size_t size = als_block_rows(rows);
    for (std::size_t begin = 0; begin < rows; begin += size) f(begin, std::min(rows, begin + size));
  }
  [[nodiscard]] std::vector<double> gram(std::size_t s) const {
    std::vector<double> sum(f_ * f_);
    for_blocks(factors_[s].size() / f_, [&](std::size_t begin, std::size_t end) {
      const std::vector<double> part = als_block_gram({factors_[s].data() + begin * f_, end - begin, f_});
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part[i];
    });
    return sum;
  }
  [[nodiscard]] std::vector<float> gathered(std::size_t s, const std::vector<std::int32_t>& rows) const {
    std::vector<float> out;
    for (const std::int32_t r : rows) {
      const auto at = factors_[s].begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(r) * f_);
      out.insert(out.end(), at, at + static_cast<std::ptrdiff_t>(f_));
    }
    return out;
  }
  AlsOptions options_;
  std::size_t f_;
  CsrMatrix observed_[2];
  std::vector<float> factors_[2];
  std::vector<std::vector<double>> turns_;
};

class AlsSteps : public testing::TestWithParam<AlsSolver> {};

TEST_P(AlsSteps, BlocksInOrderGiveTheBitsOfAFit) {
  AlsOptions options;
  options.factors = 19;
  options.iterations = 2;
  options.solver = GetParam();
  options.nu = 0.5f;
  options.block_size = 16;
  const CsrMatrix rows = random_rows(2500, 1300, 3);
  options = settled(options, shape_of(Interactions(rows)));  // no step sees all rows
  Sweeper blocks(options, rows);
  AlsModel model(options);
  const FitReport report = model.fit(Interactions(rows));
  EXPECT_NEAR(blocks.objective(), report.objective.front(), 1e-9 * report.objective.front());
  for (int sweep = 0; sweep < 2; ++sweep) {
    blocks.half(0);
    blocks.half(1);
  }
  blocks.turn_back();
  EXPECT_TRUE(std::equal(blocks.factors(0).begin(), blocks.factors(0).end(), model.user_factors().begin(), model.user_factors().end()));
  EXPECT_TRUE(std::equal(blocks.factors(1).begin(), blocks.factors(1).end(), model.item_factors().begin(), model.item_factors().end()));
  // A fit's last entry is that of the rows before they were turned back.
  EXPECT_NEAR(blocks.objective(), report.objective.back(), 1e-6 * report.objective.back());

  const auto f = static_cast<std::size_t>(options.factors);
  const AlsModel whole = AlsModel::from_factors(options, Interactions(rows), {{blocks.factors(0).data(), 2500, f}, {blocks.factors(1).data(), 1300, f}});
  EXPECT_EQ(whole.options().iterations, 2);
  EXPECT_EQ(whole.objective(Interactions(rows)), model.objective(Interactions(rows)));
}

TEST(AlsStepsBasis, AGramMatrixIsDiagonalThereAndTurningBackUndoesIt) {
  constexpr std::size_t f = 21;
  const AlsOptions options{.factors = static_cast<int>(f)};
  const Array<float> start = als_start(options, AlsSide::kUsers, 0, 100);
  const std::vector<double> g = als_block_gram({start.data(), 100, f});
  const AlsBasis basis = als_basis(g, f);
  std::vector<float> rows(start.begin(), start.end());
  als_turn(basis.vectors, f, rows, 2);
  const std::vector<double> turned = als_block_gram({rows.data(), 100, f});
  const double largest = *std::max_element(basis.values.begin(), basis.values.end());
  for (std::size_t i = 0; i < f; ++i)
    for (std::size_t j = 0; j < f; ++j) EXPECT_NEAR(turned[i * f + j], i == j ? basis.values[i] : 0.0, 1e-5 * largest);
  std::vector<float> one(start.begin() + 3 * f, start.begin() + 4 * f);  // a row's bits depend on no other row
  als_turn(basis.vectors, f, one);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), rows.begin() + 3 * f));
  als_turn(als_back(std::vector<std::vector<double>>{basis.vectors}, f), f, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(rows[i], start[i], 1e-5f);
  EXPECT_THROW((void)als_basis(std::vector<double>(5), 2), std::invalid_argument);
  EXPECT_THROW((void)als_basis(std::vector<double>(4, std::nan("")), 2), std::invalid_argument);
  EXPECT_THROW((void)als_back({}, 2), std::invalid_argument);
  EXPECT_THROW(als_turn(basis.vectors, f, std::span<float>(rows).first(f + 1)), std::invalid_argument);
}

TEST(AlsStepsBasis, FewRowsTakePlainStepsAndGiveTheBitsOfAFitToo) {
  AlsOptions options;
  options.factors = 32;
  options.iterations = 2;
  options.alpha = 3;
  const CsrMatrix rows = random_rows(300, 200, 9);
  options = settled(options, shape_of(Interactions(rows)));
  EXPECT_FALSE(als_uses_basis(options, 300, 200));
  EXPECT_FALSE(als_uses_basis(options, 2048, 2047));
  EXPECT_TRUE(als_uses_basis(options, 2048, 2048));
  Sweeper blocks(options, rows);
  AlsModel model(options);
  model.fit(Interactions(rows));
  for (int sweep = 0; sweep < 2; ++sweep)
    for (const std::size_t side : {0u, 1u}) blocks.half(side);
  EXPECT_TRUE(std::equal(blocks.factors(0).begin(), blocks.factors(0).end(), model.user_factors().begin(), model.user_factors().end()));
  EXPECT_TRUE(std::equal(blocks.factors(1).begin(), blocks.factors(1).end(), model.item_factors().begin(), model.item_factors().end()));
  options.solver = AlsSolver::kCholesky;
  EXPECT_FALSE(als_uses_basis(options, 1 << 20, 1 << 20));
}

TEST(AlsStepsBasis, AStepInAnyBasisIsThatInTheBasisOfItsGram) {
  AlsOptions options;
  options.factors = 16;
  options.alpha = 0.5f;
  options.nu = 1;
  options.regularization = 0.01f;
  options.unobserved_weight = 0.1f;
  options.cg_steps = 40;  // to the minimum, where the way does not matter
  const CsrMatrix rows = random_rows(60, 40, 8);
  const Array<float> fixed = als_start(options, AlsSide::kItems, 0, 40);
  const std::vector<double> g = als_block_gram({fixed.data(), 40, 16});
  const Array<float> start = als_start(options, AlsSide::kUsers, 0, 60);
  std::vector<float> x(start.begin(), start.end());
  std::vector<float> exact = x;
  als_half_step(options, AlsSide::kUsers, rows.view(), {fixed.data(), 40, 16}, 40, g, x);
  options.solver = AlsSolver::kCholesky;
  als_half_step(options, AlsSide::kUsers, rows.view(), {fixed.data(), 40, 16}, 40, g, exact);
  float scale = 0;
  for (const float v : exact) scale = std::max(scale, std::abs(v));
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], exact[i], 2e-4f * scale) << i;
}

INSTANTIATE_TEST_SUITE_P(Solvers, AlsSteps, testing::Values(AlsSolver::kCholesky, AlsSolver::kConjugateGradient, AlsSolver::kSubspace));

TEST(AlsStepsArguments, AreHeldToTheirShapes) {
  AlsOptions options;
  options.factors = 4;
  const CsrMatrix rows = random_rows(3, 5, 1);
  const std::vector<float> fixed(20, 0.1f);
  const std::vector<double> gram(16, 0.0);
  std::vector<float> x(12, 0.1f);
  const auto step = [&](std::size_t fixed_rows, std::size_t others, std::size_t gram_size, std::size_t x_size) {
    als_half_step(options, AlsSide::kUsers, rows.view(), {fixed.data(), fixed_rows, 4}, others, std::span(gram).first(gram_size),
                  std::span(x).first(x_size));
  };
  EXPECT_NO_THROW(step(5, 5, 16, 12));
  EXPECT_THROW(step(4, 5, 16, 12), std::invalid_argument);
  EXPECT_THROW(step(5, 4, 16, 12), std::invalid_argument);
  EXPECT_THROW(step(5, 5, 15, 12), std::invalid_argument);
  EXPECT_THROW(step(5, 5, 16, 11), std::invalid_argument);
  EXPECT_THROW((void)AlsModel::from_factors(options, Interactions(rows), {{fixed.data(), 3, 4}, {fixed.data(), 4, 4}}), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
