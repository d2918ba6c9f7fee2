// SPDX-License-Identifier: Apache-2.0
// The model around the solvers: options, starting, stopping, folding in, growing and explaining.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "etalage/models/als.hpp"
#include "models/als_fixture.hpp"
#include "support/message_of.hpp"

namespace etalage {
namespace {

using test::message_of;

using namespace etalage::testing;

AlsOptions small_options() {
  return {.factors = 12, .regularization = 0.2f, .alpha = 3.0f, .unobserved_weight = 1.0f, .nu = 0.0f, .iterations = 6, .num_threads = 2};
}

TEST(AlsOptions, EveryBoundNamesOptionValueAndRule) {
  const auto check = [](auto change, const char* name) {
    AlsOptions o;
    change(o);
    EXPECT_THROW(o.validate(), std::invalid_argument) << name;
    const std::string message = message_of([&] { AlsModel model(o); });
    EXPECT_EQ(message.find(name), 0u) << message;
    EXPECT_NE(message.find("must be"), std::string::npos) << message;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  check([](AlsOptions& o) { o.factors = 0; }, "factors");
  check([](AlsOptions& o) { o.factors = 4097; }, "factors");
  check([](AlsOptions& o) { o.regularization = -0.1f; }, "regularization");
  check([&](AlsOptions& o) { o.regularization = nan; }, "regularization");
  check([](AlsOptions& o) { o.alpha = -1; }, "alpha");
  check([&](AlsOptions& o) { o.alpha = inf; }, "alpha");
  check([](AlsOptions& o) { o.unobserved_weight = 0; }, "unobserved_weight");
  check([](AlsOptions& o) { o.nu = -0.5f; }, "nu");
  check([](AlsOptions& o) { o.nu = 3; }, "nu");
  check([](AlsOptions& o) { o.iterations = -1; }, "iterations");
  check([](AlsOptions& o) { o.solver = static_cast<AlsSolver>(9); }, "solver");
  check([](AlsOptions& o) { o.cg_steps = 0; }, "cg_steps");
  check([](AlsOptions& o) { o.block_size = 0; }, "block_size");
  check([](AlsOptions& o) { o.init_scale = 0; }, "init_scale");
  check([](AlsOptions& o) { o.tolerance = -1; }, "tolerance");
  check([](AlsOptions& o) { o.tolerance = 0.1; o.compute_objective = false; }, "tolerance");
  check([](AlsOptions& o) { o.num_threads = -1; }, "num_threads");
  EXPECT_NO_THROW(AlsOptions{}.validate());
}

TEST(AlsModel, UnfittedModelSaysSo) {
  const AlsModel model;
  Scratch scratch;
  std::vector<ItemScore> out(3);
  EXPECT_THROW((void)model.recommend({.user = 0}, out, scratch), NotFittedError);
  EXPECT_THROW((void)model.explain({.user = 0}, 0, 3), NotFittedError);
  EXPECT_THROW((void)model.fold_in_users({}), NotFittedError);
}

TEST(AlsModel, EmptyMatrixIsRefusedAndEmptyRowsAreZero) {
  AlsModel model(small_options());
  EXPECT_NE(message_of([&] { model.fit(Interactions(csr_of({}, 5))); }).find("(0, 5)"), std::string::npos);
  const Dense r = random_values(20, 15, 0.3, 1, false);
  model.fit(interactions_of(r));
  for (const float v : model.user_row(3)) EXPECT_EQ(v, 0);
  for (const float v : model.item_row(2)) EXPECT_EQ(v, 0);
  model.fit(interactions_of(Dense(4, std::vector<double>(6, 0))));
  EXPECT_EQ(model.num_users(), 4);
  for (const float v : model.user_factors()) EXPECT_EQ(v, 0);
}

TEST(AlsModel, ValuesThatOverflowTheConfidenceAreRefused) {
  AlsModel model(small_options());
  EXPECT_NE(message_of([&] { model.fit(interactions_of({{1e30, 1}, {1, 1}})); }).find("user_items value"), std::string::npos);
}

TEST(AlsModel, StoredZerosAreNotObservations) {
  const Dense r = random_values(20, 15, 0.3, 1, true);
  AlsOptions o = small_options();
  o.nu = 1;
  AlsModel plain(o);
  plain.fit(interactions_of(r));
  // The same with zeros stored at every third cell that is free.
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (const auto& row : r) {
    for (std::size_t i = 0; i < row.size(); ++i)
      if (row[i] != 0 || i % 3 == 0) {
        columns.push_back(static_cast<std::int32_t>(i));
        values.push_back(static_cast<float>(row[i]));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
  }
  AlsModel zeros(o);
  zeros.fit(Interactions({20, 15, Array<std::int64_t>(offsets), Array<std::int32_t>(columns), Array<float>(values)}));
  EXPECT_TRUE(std::equal(plain.item_factors().begin(), plain.item_factors().end(), zeros.item_factors().begin()));
}

TEST(AlsModel, NegativePreferencePushesTheItemDown) {
  Dense r = random_values(60, 20, 0.3, 2, false);
  r[5].assign(20, 0);
  r[5][0] = r[5][1] = r[5][4] = 1;
  AlsModel without(small_options());
  without.fit(interactions_of(r));
  r[5][7] = -20;
  AlsModel with(small_options());
  with.fit(interactions_of(r));
  Scratch scratch;
  const std::vector<std::int32_t> item{7};
  float before = 0;
  float after = 0;
  without.score({.user = 5}, item, {&before, 1}, scratch);
  with.score({.user = 5}, item, {&after, 1}, scratch);
  EXPECT_LT(std::abs(after), std::abs(before));
  EXPECT_LT(std::abs(after), 0.1f);
}

/// A whole fit, and one that stopped after three sweeps and went on.
struct Continued {
  AlsModel whole, halves;
  FitReport all, second;
  Continued(const Interactions& data, const AlsOptions& o) : whole(o), halves(stopped(o)) {
    all = whole.fit(data);
    halves.fit(data);
    second = halves.refit(data);
  }
  static AlsOptions stopped(AlsOptions o) {
    o.iterations = 3;
    return o;
  }
};

TEST(AlsModel, RefitGoesOnWhereTheFitStopped) {
  const Interactions data = interactions_of(random_values(50, 40, 0.2, 3, true));
  const Continued c(data, small_options());
  EXPECT_TRUE(std::equal(c.whole.item_factors().begin(), c.whole.item_factors().end(), c.halves.item_factors().begin()));
  EXPECT_EQ(c.second.objective.front(), c.all.objective[3]);
  EXPECT_EQ(c.second.objective.back(), c.all.objective.back());
}

TEST(AlsModel, RefitGoesOnButForARoundingWhereAFitTurnsItsFactors) {
  const Interactions data = interactions_of(random_values(300, 100, 0.1, 3, true));
  AlsOptions o = small_options();
  o.factors = 3;  // 128 rows a factor
  const Continued c(data, o);
  for (std::size_t i = 0; i < c.whole.item_factors().size(); ++i) EXPECT_NEAR(c.whole.item_factors()[i], c.halves.item_factors()[i], 1e-4f);
  EXPECT_NEAR(c.second.objective.front(), c.all.objective[3], 1e-6 * c.all.objective[3]);
  EXPECT_NEAR(c.second.objective.back(), c.all.objective.back(), 1e-6 * c.all.objective.back());
}

TEST(AlsModel, RefitOnMoreRowsKeepsTheOldOnesAndOnFewerDropsThem) {
  const Dense r = random_values(50, 40, 0.2, 3, true);
  const Dense fewer(r.begin(), r.begin() + 30);
  AlsModel model(small_options());
  model.fit(interactions_of(fewer));
  const FitReport grown = model.refit(interactions_of(r));
  EXPECT_EQ(model.num_users(), 50);
  AlsModel fresh(small_options());
  EXPECT_LT(grown.objective.front(), fresh.fit(interactions_of(r)).objective.front());
  model.refit(interactions_of(fewer));
  EXPECT_EQ(model.num_users(), 30);
  EXPECT_EQ(model.user_factors().size(), 30u * 12u);
}

TEST(AlsModel, StartOfAnotherShapeIsRefused) {
  const Interactions data = interactions_of(random_values(10, 9, 0.3, 4, false));
  AlsModel model(small_options());
  std::vector<float> rows(12 * 20, 0.1f);
  EXPECT_NE(message_of([&] { model.fit(data, {}, {{rows.data(), 5, 11}, {}}); }).find("user_factors has 11 columns"), std::string::npos);
  EXPECT_NE(message_of([&] { model.fit(data, {}, {{}, {rows.data(), 10, 12}}); }).find("item_factors has 10 rows"), std::string::npos);
  rows[3] = std::numeric_limits<float>::infinity();
  EXPECT_NE(message_of([&] { model.fit(data, {}, {{rows.data(), 5, 12}, {}}); }).find("finite"), std::string::npos);
  EXPECT_FALSE(model.fitted());
}

TEST(AlsModel, CallbackSeesEverySweepAndCanStop) {
  const Interactions data = interactions_of(random_values(30, 25, 0.2, 5, false));
  AlsModel model(small_options());
  std::vector<Progress> seen;
  const FitReport report = model.fit(data, [&](const Progress& p) {
    seen.push_back(p);
    return p.step < 2;
  });
  EXPECT_EQ(report.stop_reason, FitReport::StopReason::kCancelled);
  EXPECT_EQ(report.iterations, 2);
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].total, 6);
  EXPECT_EQ(seen[1].objective, report.objective[2]);
  AlsOptions o = small_options();
  o.iterations = 2;
  AlsModel two(o);
  two.fit(data);
  EXPECT_TRUE(std::equal(two.item_factors().begin(), two.item_factors().end(), model.item_factors().begin()));
}

TEST(AlsModel, CallbackThatThrowsLeavesTheModelAsItWas) {
  const Interactions data = interactions_of(random_values(30, 25, 0.2, 5, false));
  AlsModel model(small_options());
  model.fit(data);
  const Array<float> before = model.user_factors();
  const Interactions other = interactions_of(random_values(12, 10, 0.2, 6, false));
  EXPECT_THROW(model.fit(other, [](const Progress&) -> bool { throw std::runtime_error("host"); }), std::runtime_error);
  EXPECT_EQ(model.num_users(), 30);
  EXPECT_EQ(model.user_factors().data(), before.data());
}

TEST(AlsModel, ToleranceStopsAndPhasesAddUp) {
  AlsOptions o = small_options();
  o.iterations = 500;
  o.tolerance = 1e-4;
  AlsModel model(o);
  const FitReport report = model.fit(interactions_of(random_values(40, 30, 0.2, 7, false)));
  EXPECT_EQ(report.stop_reason, FitReport::StopReason::kConverged);
  EXPECT_LT(report.iterations, 500);
  EXPECT_EQ(report.objective.size(), static_cast<std::size_t>(report.iterations) + 1);
  double sum = 0;
  std::vector<std::string> names;
  for (const auto& [name, seconds] : report.phase_seconds) {
    names.push_back(name);
    sum += seconds;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"setup", "gram", "objective", "users", "items"}));
  EXPECT_LE(sum, report.seconds);
}

TEST(AlsModel, FoldedInItemsEqualTheFittedRows) {
  // Items are solved last, so folding an item's own row in must give the fitted one.
  const Dense r = random_values(50, 40, 0.2, 8, true);
  AlsOptions o = small_options();
  o.solver = AlsSolver::kCholesky;
  AlsModel model(o);
  const Interactions data = interactions_of(r);
  model.fit(data);
  const CsrMatrix item_users = transpose(data.user_items().view());
  const Array<float> folded = model.fold_in_items(item_users.view());
  ASSERT_EQ(folded.size(), model.item_factors().size());
  for (std::size_t i = 0; i < folded.size(); ++i) ASSERT_NEAR(folded[i], model.item_factors()[i], 2e-5);
}

TEST(AlsModel, FoldInIsTheClosedFormAndEqualsWhatAQueryScores) {
  const Dense r = random_values(50, 40, 0.2, 9, true);
  AlsOptions o = small_options();
  o.nu = 0.5f;
  AlsModel model(o);
  const Interactions data = interactions_of(r);
  model.fit(data);
  const Array<float> folded = model.fold_in_users(data.user_items().view());
  const Dense y = rows_of(model.item_factors(), 12);
  Scratch scratch;
  std::vector<std::int32_t> all(40);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> scores(40);
  for (std::size_t u = 0; u < 50; ++u) {
    const std::vector<double> best = best_row(r[u], y, o);
    for (std::size_t k = 0; k < 12; ++k) ASSERT_NEAR(folded[u * 12 + k], best[k], 2e-4);
    // The kept history, unless one is given.
    model.score({.user = static_cast<std::int32_t>(u), .recalculate_user = true}, all, scores, scratch);
    const bool liked = std::any_of(r[u].begin(), r[u].end(), [](double v) { return v > 0; });
    const std::vector<double> cold(model.cold_start_row().begin(), model.cold_start_row().end());
    for (std::size_t i = 0; i < 40; ++i) ASSERT_NEAR(scores[i], dot(liked ? best : cold, y[i]), 1e-3);
    const auto items = data.user_items().view().row_columns(static_cast<std::int64_t>(u));
    const auto values = data.user_items().view().row_values(static_cast<std::int64_t>(u));
    if (items.empty()) continue;
    std::vector<float> unknown(40);
    model.score({.history = items, .history_values = values}, all, unknown, scratch);
    EXPECT_EQ(scores, unknown);
  }
}

TEST(AlsModel, SessionItemsAddToTheTasteAndRepeatsAreSummed) {
  const Dense r = random_values(50, 40, 0.2, 9, false);
  AlsModel model(small_options());
  model.fit(interactions_of(r));
  Scratch scratch;
  std::vector<std::int32_t> all(40);
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> a(40);
  std::vector<float> b(40);
  const std::vector<std::int32_t> history{9, 4};
  const std::vector<std::int32_t> session{6, 4};
  model.score({.history = history, .session = session}, all, a, scratch);
  const std::vector<std::int32_t> merged{4, 6, 9};
  const std::vector<float> values{2, 1, 1};
  model.score({.history = merged, .history_values = values}, all, b, scratch);
  EXPECT_EQ(a, b);
  const std::vector<float> disliked{-1, -1};
  model.score({.history = history, .history_values = disliked}, all, a, scratch);
  // Who likes nothing is answered like somebody of whom nothing is known.
  model.score({.history_given = true}, all, b, scratch);
  EXPECT_EQ(a, b);
}

TEST(AlsModel, PartialFitOfUsersReplacesGrowsAndKeepsWhatWasHandedOut) {
  const Dense r = random_values(30, 40, 0.2, 10, true);
  const Dense more = random_values(3, 40, 0.3, 11, true);
  AlsModel model(small_options());
  model.fit(interactions_of(r));
  const Array<float> before = model.user_factors();
  const std::vector<float> copy(before.begin(), before.end());
  const std::vector<std::int32_t> users{4, 33, 30};
  const CsrMatrix rows = csr_of(more, 40);
  const Array<float> expected = model.fold_in_users(rows.view());
  model.partial_fit_users(users, rows.view());
  EXPECT_EQ(model.num_users(), 34);
  for (std::size_t i = 0; i < users.size(); ++i)
    EXPECT_TRUE(std::equal(model.user_row(users[i]).begin(), model.user_row(users[i]).end(), expected.data() + i * 12));
  for (const float v : model.user_row(31)) EXPECT_EQ(v, 0);
  EXPECT_TRUE(std::equal(copy.begin(), copy.end(), before.begin()));
  // Seen items follow.
  EXPECT_EQ(model.history().rows, 34);
  Scratch scratch;
  std::vector<ItemScore> out(40);
  const std::size_t n = model.recommend({.user = 33}, out, scratch);
  const auto seen = rows.view().row_columns(1);
  EXPECT_EQ(n, 40 - seen.size());
  for (std::size_t i = 0; i < n; ++i) EXPECT_EQ(std::count(seen.begin(), seen.end(), out[i].item), 0);
}

TEST(AlsModel, PartialFitsMoveTheGramMatrices) {
  // Folding an item in after users moved must see the users as they are now.
  const Dense r = random_values(30, 40, 0.2, 10, true);
  AlsOptions o = small_options();
  AlsModel model(o);
  model.fit(interactions_of(r));
  const CsrMatrix fresh = csr_of(random_values(6, 40, 0.4, 12, false), 40);
  const std::vector<std::int32_t> users{0, 1, 30, 7, 31, 8};
  model.partial_fit_users(users, fresh.view());
  Dense item(1, std::vector<double>(32, 0));
  item[0][2] = 1;
  item[0][31] = 2;
  item[0][9] = -1;
  const CsrMatrix item_users = csr_of(item, 32);
  const std::vector<double> best = best_row(item[0], rows_of(model.user_factors(), 12), o);
  const Array<float> folded = model.fold_in_items(item_users.view());
  for (std::size_t k = 0; k < 12; ++k) EXPECT_NEAR(folded[k], best[k], 2e-4);
  const std::vector<std::int32_t> items{40};
  model.partial_fit_items(items, item_users.view());
  EXPECT_EQ(model.num_items(), 41);
  for (std::size_t k = 0; k < 12; ++k) EXPECT_EQ(model.item_row(40)[k], folded[k]);
  const auto row = model.history().view().row_columns(31);
  EXPECT_EQ(row.back(), 40);
}

TEST(AlsModel, PartialFitRefusesWhatDoesNotFit) {
  AlsModel model(small_options());
  model.fit(interactions_of(random_values(10, 8, 0.3, 13, false)));
  const CsrMatrix rows = csr_of({{1, 0, 0, 0, 0, 0, 0, 1}}, 8);
  EXPECT_THROW(model.partial_fit_users(std::vector<std::int32_t>{-1}, rows.view()), std::out_of_range);
  EXPECT_THROW(model.partial_fit_users(std::vector<std::int32_t>{1, 2}, rows.view()), std::invalid_argument);
  EXPECT_THROW(model.partial_fit_users(std::vector<std::int32_t>{2000000000}, rows.view()), std::out_of_range);
  EXPECT_NE(message_of([&] { model.partial_fit_users(std::vector<std::int32_t>{1}, csr_of({{1}}, 1).view()); }).find("user_items has 1 columns, must have 8"),
            std::string::npos);
  const CsrMatrix two = csr_of({{1, 0, 0, 0, 0, 0, 0, 1}, {1, 0, 0, 0, 0, 0, 0, 0}}, 8);
  EXPECT_THROW(model.partial_fit_users(std::vector<std::int32_t>{1, 1}, two.view()), std::invalid_argument);
  EXPECT_EQ(model.num_users(), 10);
}

TEST(AlsModel, GrowingAModelWithKeysNeedsKeys) {
  const auto ids = [](std::int64_t n) {
    std::vector<std::int64_t> keys(static_cast<std::size_t>(n));
    std::iota(keys.begin(), keys.end(), std::int64_t{100});
    return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
  };
  AlsModel model(small_options());
  model.fit(Interactions(csr_of(random_values(10, 8, 0.3, 13, false), 8), ids(10), ids(8)));
  const CsrMatrix rows = csr_of({{1, 0, 0, 0, 0, 0, 0, 1}}, 8);
  const std::vector<std::int32_t> users{10};
  EXPECT_NE(message_of([&] { model.partial_fit_users(users, rows.view()); }).find("user_ids is missing"), std::string::npos);
  model.partial_fit_users(users, rows.view(), ids(11));
  EXPECT_EQ(model.user_ids()->find(std::int64_t{110}), 10);
}

TEST(AlsModel, ExplanationSumsToTheFoldedInScore) {
  const Dense r = random_values(50, 40, 0.25, 14, true);
  AlsOptions o = small_options();
  o.unobserved_weight = 0.3f;
  o.nu = 1;
  o.regularization = 0.01f;
  AlsModel model(o);
  model.fit(interactions_of(r));
  const Dense y = rows_of(model.item_factors(), 12);
  Scratch scratch;
  for (const std::int32_t user : {0, 7, 21}) {
    const std::vector<double>& values = r[static_cast<std::size_t>(user)];
    const Explanation e = model.explain({.user = user}, 11, 1000);
    double sum = 0;
    // Each part by its definition: y_i^T A^-1 y_j c_j.
    const Dense a = normal_matrix(values, y, o);
    for (const ItemScore& part : e.contributions) {
      const auto j = static_cast<std::size_t>(part.item);
      ASSERT_GT(values[j], 0);
      EXPECT_NEAR(part.score, dot(y[11], solve_dense(a, y[j])) * cell(values[j], o).c, 1e-3);
      sum += static_cast<double>(part.score);
    }
    EXPECT_EQ(e.contributions.size(), static_cast<std::size_t>(std::count_if(values.begin(), values.end(), [](double v) { return v > 0; })));
    EXPECT_NEAR(sum, e.total, 1e-4);
    float score = 0;
    const std::vector<std::int32_t> item{11};
    model.score({.user = user, .recalculate_user = true}, item, {&score, 1}, scratch);
    EXPECT_NEAR(e.total, score, 1e-3);
    EXPECT_TRUE(std::is_sorted(e.contributions.begin(), e.contributions.end(), [](const ItemScore& p, const ItemScore& q) { return p.score > q.score; }));
    EXPECT_EQ(model.explain({.user = user}, 11, 2).contributions.size(), 2u);
  }
  float cold = 0;
  const std::int32_t asked = 11;
  model.score({.history_given = true}, {&asked, 1}, {&cold, 1}, scratch);
  EXPECT_EQ(model.explain({.history_given = true}, 11, 5).total, cold);
  EXPECT_TRUE(model.explain({.history_given = true}, 11, 5).contributions.empty());
  EXPECT_THROW((void)model.explain({.user = 0}, 40, 5), std::out_of_range);
}

TEST(AlsModel, SavedAndLoadedModelAnswersAlikeAndGoesOn) {
  const Dense r = random_values(50, 40, 0.25, 15, true);
  AlsOptions o = small_options();
  o.solver = AlsSolver::kSubspace;
  o.nu = 0.5f;
  o.seed = 0xfedcba9876543210u;
  AlsModel model(o);
  const Interactions data = interactions_of(r);
  model.fit(data);
  const auto loaded = std::dynamic_pointer_cast<AlsModel>(load_from_memory(save_to_memory(model)));
  ASSERT_NE(loaded, nullptr);
  EXPECT_EQ(loaded->options().solver, AlsSolver::kSubspace);
  EXPECT_EQ(loaded->options().seed, o.seed);
  EXPECT_EQ(loaded->options().nu, 0.5f);
  EXPECT_EQ(loaded->report().objective, model.report().objective);
  EXPECT_EQ(loaded->report().phase_seconds.size(), model.report().phase_seconds.size());
  const Array<float> a = model.fold_in_users(data.user_items().view());
  const Array<float> b = loaded->fold_in_users(data.user_items().view());
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
  model.refit(data);
  loaded->refit(data);
  EXPECT_TRUE(std::equal(model.item_factors().begin(), model.item_factors().end(), loaded->item_factors().begin()));
  const auto empty = load_from_memory(save_to_memory(AlsModel(o)));
  EXPECT_EQ(empty->num_users(), 0);
}

}  // namespace
}  // namespace etalage
