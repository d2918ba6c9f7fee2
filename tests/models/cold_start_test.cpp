// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/cold_start.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>

#include "etalage/error.hpp"
#include "etalage/io/serialization.hpp"
#include "io/forge.hpp"
#include "models/cold_start_sample.hpp"
#include "support/golden.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

struct Problem {
  CsrMatrix x;                 // [n x d]
  std::vector<float> factors;  // [n x f]
  std::size_t f;
  [[nodiscard]] MatrixView<const float> matrix() const { return {factors.data(), static_cast<std::size_t>(x.rows), f}; }
};

/// Few different rows of attributes, so that many products share theirs.
Problem make(std::size_t n, int d, std::size_t f, unsigned seed) {
  std::mt19937 rng(seed);
  Problem p{{}, {}, f};
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (std::size_t i = 0; i < n; ++i) {
    for (int c = 0; c < d; ++c)
      if (rng() % 3 == 0) {
        columns.push_back(c);
        values.push_back(1.0f + static_cast<float>(c % 2));
      }
    offsets.push_back(static_cast<std::int64_t>(columns.size()));
    for (std::size_t k = 0; k < f; ++k) p.factors.push_back(static_cast<float>(rng() % 200) / 100.0f - 1.0f);
  }
  p.x.rows = static_cast<std::int64_t>(n);
  p.x.cols = d;
  p.x.offsets = Array<std::int64_t>(offsets);
  p.x.columns = Array<std::int32_t>(columns);
  p.x.values = Array<float>(values);
  return p;
}

std::vector<double> dense(const CsrMatrix& x, std::int64_t row) {
  std::vector<double> out(static_cast<std::size_t>(x.cols), 0.0);
  double squares = 0;
  for (std::size_t e = 0; e < x.view().row_size(row); ++e) {
    out[static_cast<std::size_t>(x.view().row_columns(row)[e])] = static_cast<double>(x.view().row_values(row)[e]);
    squares += std::pow(static_cast<double>(x.view().row_values(row)[e]), 2);
  }
  for (double& v : out) v /= squares > 0 ? std::sqrt(squares) : 1;
  return out;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double s = 0;
  for (std::size_t i = 0; i < a.size(); ++i) s += a[i] * b[i];
  return s;
}

/// Gaussian elimination with pivoting; b [n x f] becomes the solution.
void eliminate(std::vector<std::vector<double>> a, std::vector<std::vector<double>>& b) {
  const std::size_t n = a.size();
  for (std::size_t j = 0; j < n; ++j) {
    std::size_t pivot = j;
    for (std::size_t i = j; i < n; ++i)
      if (std::abs(a[i][j]) > std::abs(a[pivot][j])) pivot = i;
    std::swap(a[j], a[pivot]);
    std::swap(b[j], b[pivot]);
    for (std::size_t i = 0; i < n; ++i) {
      if (i == j) continue;
      const double m = a[i][j] / a[j][j];
      for (std::size_t k = j; k < n; ++k) a[i][k] -= m * a[j][k];
      for (std::size_t k = 0; k < b[i].size(); ++k) b[i][k] -= m * b[j][k];
    }
  }
  for (std::size_t i = 0; i < n; ++i)
    for (double& v : b[i]) v /= a[i][i];
}

std::vector<float> predicted(const ColdStart& model, const CsrMatrix& x) {
  std::vector<float> out(static_cast<std::size_t>(x.rows) * static_cast<std::size_t>(model.factors()));
  model.predict(x.view(), {out.data(), static_cast<std::size_t>(x.rows), static_cast<std::size_t>(model.factors())});
  return out;
}

TEST(ColdStart, IsTheClosedFormOverAllProductsOneByOne) {
  for (const int power : {1, 3}) {
    const Problem p = make(60, 4, 3, 1);
    ColdStart model({.power = power, .regularization = 2});
    std::vector<float> support;
    double scale = 0;
    for (int i = 0; i < 60; ++i) {
      support.push_back(static_cast<float>(1 + i % 7));
      scale += std::sqrt(1 + i % 7) / 60;
    }
    model.fit(p.x.view(), p.matrix(), support);
    EXPECT_LT(model.num_rows(), 17) << "16 different rows at most, one of them empty";

    // Nothing merged: (K + lambda W^-1) a = Y - m over all 60.
    std::vector<std::vector<double>> rows;
    for (std::int64_t i = 0; i < 60; ++i) rows.push_back(dense(p.x, i));
    const auto weight = [&](std::size_t i) { return std::sqrt(static_cast<double>(support[i])) / scale; };
    const auto kernel_of = [&](double c) { return power == 1 ? c : (c + c * c + c * c * c) / 3; };
    std::vector<double> mean(3, 0.0);
    for (std::size_t i = 0; i < 60; ++i)
      for (std::size_t k = 0; k < 3; ++k) mean[k] += weight(i) * static_cast<double>(p.factors[i * 3 + k]) / 60;
    std::vector<std::vector<double>> kernel(60, std::vector<double>(60));
    std::vector<std::vector<double>> a(60, std::vector<double>(3));
    for (std::size_t i = 0; i < 60; ++i) {
      for (std::size_t j = 0; j < 60; ++j) kernel[i][j] = kernel_of(dot(rows[i], rows[j])) + (i == j ? 2 / weight(i) : 0);
      for (std::size_t k = 0; k < 3; ++k) a[i][k] = static_cast<double>(p.factors[i * 3 + k]) - mean[k];
    }
    eliminate(kernel, a);
    const Problem fresh = make(20, 4, 3, 2);
    const auto found = predicted(model, fresh.x);
    for (std::size_t i = 0; i < 20; ++i) {
      const auto z = dense(fresh.x, static_cast<std::int64_t>(i));
      for (std::size_t k = 0; k < 3; ++k) {
        double y = mean[k];
        for (std::size_t j = 0; j < 60; ++j) y += a[j][k] * kernel_of(dot(z, rows[j]));
        EXPECT_NEAR(static_cast<double>(found[i * 3 + k]), y, 1e-5);
      }
    }
  }
}

TEST(ColdStart, TargetPowerAndEvennessAreThoseOfScaledInput) {
  const Problem p = make(80, 6, 3, 11);
  constexpr double t = 0.5;
  constexpr double e = 0.8;
  const ColdStart both = [&] {
    ColdStart model({.target_power = t, .evenness = e});
    model.fit(p.x.view(), p.matrix());
    return model;
  }();
  std::vector<double> counts(6, 0.0);
  for (const std::int32_t c : p.x.columns) counts[static_cast<std::size_t>(c)] += 1;
  const auto even = [&](const CsrMatrix& x) {
    CsrMatrix out = x;
    out.values = Array<float>(x.values.view());
    for (std::size_t i = 0; i < x.columns.size(); ++i) {
      const double weight = std::pow(std::log(1 + 80 / counts[static_cast<std::size_t>(x.columns[i])]), -e);
      out.values.mutable_data()[i] = static_cast<float>(static_cast<double>(x.values[i]) * weight);
    }
    return out;
  };
  Problem scaled = p;
  scaled.x = even(p.x);
  double along = 0;
  double squares = 0;
  for (std::size_t i = 0; i < 80; ++i) {
    double norm = 0;
    for (std::size_t k = 0; k < 3; ++k) norm += std::pow(static_cast<double>(p.factors[i * 3 + k]), 2);
    norm = std::sqrt(norm);
    for (std::size_t k = 0; k < 3; ++k) scaled.factors[i * 3 + k] = static_cast<float>(static_cast<double>(p.factors[i * 3 + k]) * std::pow(norm, -t));
    along += std::pow(norm, 2 - t);
    squares += std::pow(norm, 2 - 2 * t);
  }
  ColdStart plain;
  plain.fit(scaled.x.view(), scaled.matrix());
  const Problem fresh = make(30, 6, 3, 12);
  const auto found = predicted(both, fresh.x);
  const auto expected = predicted(plain, even(fresh.x));
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(static_cast<double>(found[i]), along / squares * static_cast<double>(expected[i]), 1e-5);
}

TEST(ColdStart, UnknownFactorsAreNotReadAndNothingKnownIsTheMean) {
  Problem p = make(40, 5, 2, 3);
  std::vector<float> support(40, 1.0f);
  for (std::size_t i = 0; i < 40; i += 4) {
    support[i] = 0;
    p.factors[i * 2] = std::nanf("");
  }
  ColdStart model;
  model.fit(p.x.view(), p.matrix(), support);
  CsrMatrix nothing;
  nothing.rows = 1;
  nothing.cols = 5;
  nothing.offsets = Array<std::int64_t>(2);
  double mean = 0;
  for (std::size_t i = 0; i < 40; ++i)
    if (support[i] > 0) mean += static_cast<double>(p.factors[i * 2 + 1]) / 30;
  EXPECT_NEAR(static_cast<double>(predicted(model, nothing)[1]), mean, 1e-6);
}

TEST(ColdStart, TheBestSupportedRowsAreLearnedFrom) {
  const Problem p = make(200, 10, 2, 4);
  std::vector<float> support(200);
  for (std::size_t i = 0; i < 200; ++i) support[i] = static_cast<float>(1 + i);
  ColdStart model({.max_rows = 20});
  model.fit(p.x.view(), p.matrix(), support);
  EXPECT_EQ(model.num_rows(), 20);
}

TEST(ColdStart, ChoosesWhatForetellsBest) {
  // 120 products of 6 kinds, 60 users who each love one kind: any sound setting ranks the loved kind first.
  Problem p = make(120, 6, 6, 8);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  for (std::int32_t i = 0; i < 120; ++i) {
    columns.push_back(i % 6);
    values.push_back(1);
    offsets.push_back(i + 1);
    for (std::size_t k = 0; k < 6; ++k) p.factors[static_cast<std::size_t>(i) * 6 + k] = static_cast<std::size_t>(i % 6) == k ? 1.0f : 0.0f;
  }
  p.x.offsets = Array<std::int64_t>(offsets);
  p.x.columns = Array<std::int32_t>(columns);
  p.x.values = Array<float>(values);
  std::vector<float> users(60 * 6, 0.0f);
  std::vector<std::int64_t> row_ends{0};
  std::vector<std::int32_t> loved;
  for (std::int32_t u = 0; u < 60; ++u) {
    users[static_cast<std::size_t>(u * 6 + u % 6)] = 1;
    for (std::int32_t i = u % 6; i < 120; i += 6) loved.push_back(i);
    row_ends.push_back(static_cast<std::int64_t>(loved.size()));
  }
  const std::vector<float> ones(loved.size(), 1.0f);
  const CsrView rows{60, 120, row_ends, loved, ones};
  const ColdStartOptions given{.power = 4, .regularization = 7};
  const ColdStartOptions chosen = ColdStart::chosen(p.x.view(), p.matrix(), {}, {users.data(), 60, 6}, rows, given);
  EXPECT_EQ(chosen.power, 1) << "the first of the equally good";
  EXPECT_EQ(chosen.regularization, 0.3);
  const ColdStartOptions kept = ColdStart::chosen(p.x.view(), p.matrix(), {}, {users.data(), 0, 6}, {0, 120, std::span(row_ends).first(1), {}, {}}, given);
  EXPECT_EQ(kept.power, 4) << "nobody to judge by";
}

TEST(ColdStart, AnyNumberOfThreadsGivesTheSameBits) {
  const Problem p = make(300, 12, 4, 5);
  ColdStart one({.num_threads = 1});
  ColdStart four({.num_threads = 4});
  one.fit(p.x.view(), p.matrix());
  four.fit(p.x.view(), p.matrix());
  EXPECT_EQ(predicted(one, p.x), predicted(four, p.x));
}

TEST(ColdStart, BadInputIsNamed) {
  Problem p = make(10, 4, 2, 6);
  EXPECT_THROW(ColdStart({.power = 0}), std::invalid_argument);
  EXPECT_THROW(ColdStart({.regularization = 0}), std::invalid_argument);
  EXPECT_THROW(ColdStart({.support_power = 2}), std::invalid_argument);
  EXPECT_THROW(ColdStart({.target_power = -0.5}), std::invalid_argument);
  EXPECT_THROW(ColdStart({.evenness = 1.5}), std::invalid_argument);
  EXPECT_THROW(ColdStart({.max_rows = 0}), std::invalid_argument);
  ColdStart model;
  EXPECT_THROW((void)predicted(model, p.x), NotFittedError);
  EXPECT_THROW(model.fit(p.x.view(), {p.factors.data(), 9, 2}), std::invalid_argument);
  EXPECT_THROW(model.fit(p.x.view(), p.matrix(), std::vector<float>(10, 0.0f)), std::invalid_argument);
  model.fit(p.x.view(), p.matrix());
  const Problem wider = make(3, 7, 2, 7);
  EXPECT_THROW((void)predicted(model, wider.x), std::invalid_argument);
  p.factors[3] = std::nanf("");
  EXPECT_THROW(model.fit(p.x.view(), p.matrix()), std::invalid_argument);
}

TEST(CatalogAttributes, NameWhatTheCatalogueSays) {
  const auto catalog = testing::attribute_catalog();
  const CatalogAttributes a(catalog, {.min_count = 2});
  const CsrMatrix rows = a.rows(catalog);
  const auto names = a.names();
  EXPECT_EQ(rows.cols, static_cast<std::int64_t>(names.size()) + 2) << "and the vectors";
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  EXPECT_TRUE(has("category Home") && has("category Home > Kitchen") && has("brand norvel") && has("word mug") && has("tag red"));
  EXPECT_FALSE(has("word unicorn")) << "occurs once";
  EXPECT_FALSE(has("word Mug"));
  // Each kind's part of a row has its weight for a length: here all but price (0.3) weigh 1.
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    double squares = 0;
    for (const float v : rows.view().row_values(i)) squares += static_cast<double>(v) * static_cast<double>(v);
    EXPECT_NEAR(std::round(squares - 0.09), squares - 0.09, 1e-5);
  }
  const CatalogAttributes words(catalog, {.categories = 0, .brand = 0, .tags = 0, .price = 0, .vectors = 0});
  for (const std::string& name : words.names()) EXPECT_TRUE(name.starts_with("word "));
  EXPECT_EQ(words.columns(), static_cast<std::int32_t>(words.names().size()));
  const CatalogAttributes two(catalog, {.categories = 0, .brand = 0, .tags = 0, .price = 0, .vectors = 0, .max_words = 2});
  EXPECT_LE(two.columns(), 2);
  EXPECT_THROW(CatalogAttributes(catalog, {.text = -1}), std::invalid_argument);
  Catalog::Columns other = catalog.columns();
  other.vectors = {};
  other.dim = 0;
  EXPECT_THROW((void)a.rows(Catalog(other)), std::invalid_argument) << "no vectors";
}

TEST(ColdStartItems, NewProductsFollowTheModelsOwn) {
  const auto model = testing::attribute_model();
  const auto catalog = testing::attribute_catalog();
  const ColdStartItems cold(*model, catalog);
  const auto extended = cold.extended(*model, catalog);
  EXPECT_EQ(extended->num_items(), 24);
  EXPECT_EQ(model->num_items(), 20);
  std::vector<float> rows(24 * 5);
  cold.predict(catalog, {rows.data(), 24, 5});
  for (std::int32_t i = 0; i < 24; ++i) {
    // The model's items 0 to 19 are the catalogue's keys in reverse order; 19 was never touched.
    const auto key = catalog.item_ids()->string_at(i);
    const std::int32_t known = model->item_ids()->find(key);
    const std::int32_t there = extended->item_ids()->find(key);
    ASSERT_GE(there, 0);
    const bool touched = known >= 0 && known != 19;
    const auto row = extended->item_row(there);
    if (known >= 0) {
      EXPECT_EQ(there, known);
    }
    for (std::size_t k = 0; k < 5; ++k) EXPECT_EQ(row[k], touched ? model->item_row(known)[k] : rows[static_cast<std::size_t>(i) * 5 + k]);
  }
  EXPECT_TRUE(extended->has_history());
  std::vector<ItemScore> list(30);
  Scratch scratch;
  EXPECT_GT(extended->recommend({.user = 2}, list, scratch), 15u);
}

TEST(ColdStartItems, FilesBringBackEveryBitAndGoldenOnesAnswer) {
  const auto cold = testing::sample_cold_start();
  const auto bytes = save_to_memory(*cold);
  EXPECT_EQ(save_to_memory(*load_cold_start_from_memory(bytes)), bytes);
  int refused = 0;
  int loaded = 0;
  testing::forge(bytes, 800, 23, [&](std::span<const char> file) {
    try {
      const auto back = load_cold_start_from_memory(file, {.num_threads = 1});
      ++loaded;
      EXPECT_FALSE(testing::cold_start_answers(*back).empty());
    } catch (const FormatError&) {
      ++refused;
    } catch (const std::invalid_argument&) {
      ++refused;  // another length of vectors than the catalogue's
    }
  });
  EXPECT_GT(refused, 30);
  EXPECT_GT(loaded, 10);

  test::expect_answers("ColdStartItems", testing::cold_start_answers(*load_cold_start(test::golden("ColdStartItems") + ".etalage")), 1e-5);
}

}  // namespace
}  // namespace etalage
