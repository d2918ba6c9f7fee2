// SPDX-License-Identifier: Apache-2.0
#include "etalage/marketing/linear_uplift.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "detail/random_stream.hpp"
#include "etalage/error.hpp"
#include "etalage/io/uplift_files.hpp"

namespace etalage {
namespace {

struct Experiment {
  static constexpr std::size_t kRows = 600;
  std::vector<double> x;
  std::vector<std::int32_t> arms;
  std::vector<double> outcome;
  [[nodiscard]] MatrixView<const double> features() const { return {x.data(), kRows, 3}; }
};

// uplift of arm 1: 1 + 2 x0; of arm 2: -x1; the third column does not vary.
Experiment planted() {
  Experiment e;
  detail::RandomStream random(1, 2, 3);
  for (std::size_t i = 0; i < Experiment::kRows; ++i) {
    const double a = 100 + random.below(1000) / 100.0;
    const double b = random.below(1000) / 1000.0;
    e.x.insert(e.x.end(), {a, b, 7.0});
    const auto arm = static_cast<std::int32_t>(random.below(3));
    e.arms.push_back(arm);
    e.outcome.push_back(0.5 * a - 3 * b + (arm == 1 ? 1 + 2 * a : arm == 2 ? -b : 0));
  }
  return e;
}

TEST(LinearUplift, FindsPlantedLinearEffectsOfSeveralTreatments) {
  const Experiment e = planted();
  LinearUplift model;
  model.fit(e.features(), e.arms, e.outcome, {.l2 = 1e-9});
  ASSERT_EQ(model.num_treatments(), 2u);
  std::vector<double> out(2);
  const std::vector<double> row = {103, 0.25, 7};
  model.predict(row, out);
  EXPECT_NEAR(out[0], 207, 1e-6);
  EXPECT_NEAR(out[1], -0.25, 1e-6);
}

TEST(LinearUplift, IsTheOptimumOfEachArmsRidge) {
  // With one arm's rows 0 and a column of mean 0 and variance 1, the coefficient is sum z y / (n + l2) by hand.
  const std::vector<double> x = {-1, 1, -1, 1};
  const std::vector<std::int32_t> arms = {0, 0, 1, 1};
  const std::vector<double> y = {0, 0, 1, 4};
  LinearUplift model;
  model.fit({x.data(), 4, 1}, arms, y, {.l2 = 2});
  EXPECT_DOUBLE_EQ(model.coefficients()[0], 3.0 / (2 + 2));
  EXPECT_DOUBLE_EQ(model.coefficients()[1], 2.5);
}

TEST(LinearUplift, ComesBackFromItsFile) {
  const Experiment e = planted();
  LinearUplift model;
  model.fit(e.features(), e.arms, e.outcome);
  const LinearUplift again = load_linear_uplift_from_memory(save_to_memory(model));
  EXPECT_TRUE(std::equal(model.coefficients().begin(), model.coefficients().end(), again.coefficients().begin(), again.coefficients().end()));
  EXPECT_THROW(static_cast<void>(load_linear_uplift_from_memory(std::vector<char>(100, 'x'))), FormatError);
}

TEST(LinearUplift, SaysWhatIsWrong) {
  Experiment e = planted();
  LinearUplift model;
  std::vector<double> out(1);
  EXPECT_THROW(model.predict({}, out), NotFittedError);
  EXPECT_THROW(static_cast<void>(save_to_memory(model)), NotFittedError);
  EXPECT_THROW(model.fit(e.features(), e.arms, e.outcome, {.l2 = 0}), std::invalid_argument);
  EXPECT_THROW(model.fit({}, {}, {}), std::invalid_argument);
  const auto arms = e.arms;
  for (std::int32_t& a : e.arms) a = 0;
  EXPECT_THROW(model.fit(e.features(), e.arms, e.outcome), std::invalid_argument);
  for (std::int32_t& a : e.arms) a = 1;
  EXPECT_THROW(model.fit(e.features(), e.arms, e.outcome), std::invalid_argument);
  e.arms = arms;
  e.x[5] = NAN;
  EXPECT_THROW(model.fit(e.features(), e.arms, e.outcome), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
