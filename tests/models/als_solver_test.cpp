// SPDX-License-Identifier: Apache-2.0
// Each solver against the defining equations, in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/models/als.hpp"
#include "models/als_fixture.hpp"

namespace etalage {
namespace {

using namespace etalage::testing;

struct Setting {
  const char* name;
  float alpha, w0, regularization, nu;
};

constexpr Setting kSettings[] = {{"HuKorenVolinsky", 4.0f, 1.0f, 0.3f, 0.0f},
                                 {"RendleIals", 0.1f, 0.1f, 0.02f, 1.0f},
                                 {"HeavyUnobserved", 0.5f, 2.5f, 0.5f, 0.5f},
                                 {"EqualWeights", 0.0f, 1.0f, 0.1f, 0.0f}};

AlsOptions options_for(const Setting& s, AlsSolver solver, int factors) {
  AlsOptions o;
  o.factors = factors;
  o.alpha = s.alpha;
  o.unobserved_weight = s.w0;
  o.regularization = s.regularization;
  o.nu = s.nu;
  o.solver = solver;
  o.cg_steps = 3;
  o.block_size = 16;
  o.num_threads = 2;
  return o;
}

constexpr AlsSolver kSolvers[] = {AlsSolver::kCholesky, AlsSolver::kConjugateGradient, AlsSolver::kSubspace};
const char* name_of(AlsSolver s) {
  return s == AlsSolver::kCholesky ? "Cholesky" : s == AlsSolver::kConjugateGradient ? "ConjugateGradient" : "Subspace";
}

class AlsObjective : public ::testing::TestWithParam<std::tuple<Setting, AlsSolver>> {};

INSTANTIATE_TEST_SUITE_P(Settings, AlsObjective,
                         ::testing::Combine(::testing::ValuesIn(kSettings), ::testing::ValuesIn(kSolvers)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + name_of(std::get<1>(info.param));
                         });

TEST_P(AlsObjective, ReportEqualsTheFormulaAndNeverRises) {
  const auto& [setting, solver] = GetParam();
  const Dense r = random_values(45, 31, 0.2, 1, true);
  AlsOptions o = options_for(setting, solver, 20);
  o.iterations = 12;
  AlsModel model(o);
  const FitReport report = model.fit(interactions_of(r));
  ASSERT_EQ(report.objective.size(), 13u);
  const double expected = objective_by_definition(r, rows_of(model.user_factors(), 20), rows_of(model.item_factors(), 20), o);
  EXPECT_NEAR(report.objective.back(), expected, 1e-5 * expected);
  EXPECT_NEAR(model.objective(interactions_of(r)), expected, 1e-5 * expected);
  for (std::size_t i = 1; i < report.objective.size(); ++i)
    EXPECT_LE(report.objective[i], report.objective[i - 1] * (1 + 1e-6)) << "sweep " << i;
  EXPECT_LT(report.objective.back(), 0.9 * report.objective.front());
}

TEST_P(AlsObjective, GradientVanishesAtTheSolution) {
  const auto& [setting, solver] = GetParam();
  const Dense r = random_values(30, 22, 0.25, 2, true);
  AlsOptions o = options_for(setting, solver, 3);
  o.iterations = 400;
  o.compute_objective = false;
  AlsModel model(o);
  model.fit(interactions_of(r));
  const Dense x = rows_of(model.user_factors(), 3);
  const Dense y = rows_of(model.item_factors(), 3);
  const Dense t = transposed(r);
  // The scale of a gradient: what the right-hand side alone would give.
  double scale = 0;
  double worst = 0;
  for (std::size_t u = 0; u < x.size(); ++u) {
    worst = std::max(worst, norm(row_gradient(r[u], x[u], y, o)));
    scale = std::max(scale, norm(row_gradient(r[u], std::vector<double>(3), y, o)));
  }
  for (std::size_t i = 0; i < y.size(); ++i) worst = std::max(worst, norm(row_gradient(t[i], y[i], x, o)));
  EXPECT_LT(worst, 3e-4 * scale);
}

TEST_P(AlsObjective, LastRowsSolvedEqualTheClosedForm) {
  // The items are solved last, against users that stay: each must be the minimum over all cells.
  const auto& [setting, solver] = GetParam();
  for (const int factors : {5, 16, 40}) {
    const Dense r = random_values(60, 33, 0.2, 3, true);
    AlsOptions o = options_for(setting, solver, factors);
    o.iterations = 3;
    o.cg_steps = 4 * factors;
    o.block_size = factors;
    AlsModel model(o);
    model.fit(interactions_of(r));
    const auto f = static_cast<std::size_t>(factors);
    const Dense x = rows_of(model.user_factors(), f);
    const Dense y = rows_of(model.item_factors(), f);
    const Dense t = transposed(r);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::vector<double> best = best_row(t[i], x, o);
      std::vector<double> error = best;
      for (std::size_t k = 0; k < f; ++k) error[k] -= y[i][k];
      EXPECT_LE(norm(error), 2e-4 * (norm(best) + 0.05)) << "item " << i << ", factors " << factors;
    }
  }
}

double distance(const Array<float>& a, const Array<float>& b) {
  double d = 0;
  double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    d += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    s += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(d / s);
}

TEST(AlsSolvers, FullConjugateGradientAndOneBlockEqualCholesky) {
  const Dense r = random_values(70, 50, 0.2, 4, true);
  AlsOptions o = options_for(kSettings[0], AlsSolver::kCholesky, 24);
  o.iterations = 2;
  AlsModel cholesky(o);
  cholesky.fit(interactions_of(r));
  o.solver = AlsSolver::kConjugateGradient;
  o.cg_steps = 60;
  AlsModel cg(o);
  cg.fit(interactions_of(r));
  EXPECT_LT(distance(cg.item_factors(), cholesky.item_factors()), 1e-3);
  o.solver = AlsSolver::kSubspace;
  o.block_size = 24;
  AlsModel subspace(o);
  subspace.fit(interactions_of(r));
  EXPECT_LT(distance(subspace.item_factors(), cholesky.item_factors()), 1e-3);
}

TEST(AlsSolvers, SameBitsForAnyThreadCount) {
  const Dense r = random_values(300, 211, 0.08, 5, true);
  for (const AlsSolver solver : kSolvers) {
    AlsOptions o = options_for(kSettings[1], solver, 21);
    o.iterations = 4;
    o.num_threads = 1;
    AlsModel one(o);
    const FitReport first = one.fit(interactions_of(r));
    for (const int threads : {2, 3, 7}) {
      o.num_threads = threads;
      AlsModel many(o);
      const FitReport report = many.fit(interactions_of(r));
      EXPECT_TRUE(std::equal(one.user_factors().begin(), one.user_factors().end(), many.user_factors().begin()));
      EXPECT_TRUE(std::equal(one.item_factors().begin(), one.item_factors().end(), many.item_factors().begin()));
      EXPECT_EQ(first.objective, report.objective);
    }
  }
}

TEST(AlsSolvers, ItemsOrderDoesNotChangeWhatIsLearnt) {
  // Long rows cross the chunks of the rank update and of the blocks.
  const Dense r = random_values(400, 20, 0.6, 6, false);
  AlsOptions o = options_for(kSettings[0], AlsSolver::kCholesky, 16);
  o.iterations = 2;
  AlsModel model(o);
  model.fit(interactions_of(r));
  const Dense x = rows_of(model.user_factors(), 16);
  const Dense y = rows_of(model.item_factors(), 16);
  const Dense t = transposed(r);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::vector<double> best = best_row(t[i], x, o);
    for (std::size_t k = 0; k < 16; ++k) EXPECT_NEAR(y[i][k], best[k], 5e-4);
  }
}

TEST(AlsSolvers, MoreFactorsThanItemsAndNoRegularizationStillWork) {
  const Dense r = random_values(12, 7, 0.5, 7, false);
  for (const AlsSolver solver : kSolvers) {
    AlsOptions o = options_for(kSettings[0], solver, 40);
    o.iterations = 5;
    AlsModel model(o);
    const FitReport report = model.fit(interactions_of(r));
    EXPECT_TRUE(std::all_of(model.user_factors().begin(), model.user_factors().end(), [](float v) { return std::isfinite(v); }));
    EXPECT_LE(report.objective.back(), report.objective.front());
  }
  AlsOptions o = options_for(kSettings[0], AlsSolver::kCholesky, 40);
  o.regularization = 0;
  AlsModel model(o);
  try {
    model.fit(interactions_of(r));
    // Rounding may keep the matrix positive; then what came out must be finite.
    EXPECT_TRUE(std::all_of(model.user_factors().begin(), model.user_factors().end(), [](float v) { return std::isfinite(v); }));
  } catch (const NumericalError& e) {
    EXPECT_NE(std::string(e.what()).find("increase regularization"), std::string::npos) << e.what();
    EXPECT_FALSE(model.fitted());
  }
}

TEST(AlsSolvers, SingularEquationsNameTheRow) {
  // One factor direction never used by the items: without regularization A is singular to the bit.
  AlsOptions o;
  o.factors = 2;
  o.regularization = 0;
  o.solver = AlsSolver::kCholesky;
  o.iterations = 1;
  AlsModel model(o);
  const Dense r{{1, 0}, {1, 1}};
  const std::vector<float> items{1, 0, 1, 0};
  try {
    model.fit(interactions_of(r), {}, {{}, MatrixView<const float>(items.data(), 2, 2)});
    FAIL() << "did not throw";
  } catch (const NumericalError& e) {
    EXPECT_NE(std::string(e.what()).find("users "), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("regularization"), std::string::npos) << e.what();
  }
}

// What implicit minimises, written from its own equations: c = a |r|, A = Y^T Y + sum (c - 1) y y^T + reg.
TEST(AlsRivals, ImplicitsEquationsAtItsSettings) {
  const Dense r = random_values(40, 30, 0.25, 8, false);
  Dense ones = r;
  for (auto& row : ones)
    for (double& v : row) v = v > 0 ? 1 : 0;
  const double a = 7;
  AlsOptions o = options_for(kSettings[0], AlsSolver::kCholesky, 8);
  o.alpha = static_cast<float>(a - 1);
  o.unobserved_weight = 1;
  o.nu = 0;
  o.regularization = 0.3f;
  o.iterations = 4;
  AlsModel model(o);
  model.fit(interactions_of(ones));
  const Dense x = rows_of(model.user_factors(), 8);
  const Dense y = rows_of(model.item_factors(), 8);
  for (std::size_t i = 0; i < y.size(); ++i) {
    Dense m(8, std::vector<double>(8));
    std::vector<double> b(8);
    for (std::size_t u = 0; u < x.size(); ++u) {
      const double c = ones[u][i] > 0 ? a : 1;
      for (std::size_t k = 0; k < 8; ++k) {
        for (std::size_t l = 0; l < 8; ++l) m[k][l] += c * x[u][k] * x[u][l];
        if (ones[u][i] > 0) b[k] += c * x[u][k];
      }
    }
    for (std::size_t k = 0; k < 8; ++k) m[k][k] += 0.3;
    const std::vector<double> best = solve_dense(m, b);
    for (std::size_t k = 0; k < 8; ++k) EXPECT_NEAR(y[i][k], best[k], 2e-4);
  }
}

// The iALS of Rendle et al. and irspack's IALSPP loss: sum_S (x.y - 1)^2 + a0 sum_all (x.y)^2 + reg (...)^nu, whose rows
// solve (a0 Y^T Y + sum_S y y^T + ridge) x = sum_S y. Ours at alpha = w0 = a0, reg (1 + a0) is sqrt(1 + a0) times that.
TEST(AlsRivals, RendlesEquationsAtTheirSettings) {
  Dense ones = random_values(40, 30, 0.25, 9, false);
  for (auto& row : ones)
    for (double& v : row) v = v > 0 ? 1 : 0;
  const double a0 = 0.2;
  const double reg = 0.05;
  AlsOptions o = options_for(kSettings[1], AlsSolver::kCholesky, 8);
  o.alpha = o.unobserved_weight = static_cast<float>(a0);
  o.nu = 1;
  o.regularization = static_cast<float>(reg * (1 + a0));
  o.iterations = 4;
  AlsModel model(o);
  model.fit(interactions_of(ones));
  const double scale = std::sqrt(1 + a0);
  Dense x = rows_of(model.user_factors(), 8);
  Dense y = rows_of(model.item_factors(), 8);
  for (auto* side : {&x, &y})
    for (auto& row : *side)
      for (double& v : row) v /= scale;
  for (std::size_t i = 0; i < y.size(); ++i) {
    Dense m(8, std::vector<double>(8));
    std::vector<double> b(8);
    double observed = 0;
    for (std::size_t u = 0; u < x.size(); ++u) {
      const double c = a0 + (ones[u][i] > 0 ? 1 : 0);
      observed += ones[u][i];
      for (std::size_t k = 0; k < 8; ++k) {
        for (std::size_t l = 0; l < 8; ++l) m[k][l] += c * x[u][k] * x[u][l];
        b[k] += ones[u][i] * x[u][k];
      }
    }
    for (std::size_t k = 0; k < 8; ++k) m[k][k] += reg * (observed + a0 * static_cast<double>(x.size()));
    const std::vector<double> best = solve_dense(m, b);
    for (std::size_t k = 0; k < 8; ++k) EXPECT_NEAR(y[i][k], best[k], 5e-4);
  }
}

}  // namespace
}  // namespace etalage
