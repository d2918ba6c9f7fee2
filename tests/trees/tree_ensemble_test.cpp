// SPDX-License-Identifier: Apache-2.0
#include "etalage/trees/tree_ensemble.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "etalage/io/tree_files.hpp"
#include "support/count_allocations.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kFeatures = 7;

/// The model as its definition reads: one node after the other, by recursion.
double leaf_of(const TreeEnsembleParts& p, std::size_t i, std::span<const double> row) {
  if (p.feature[i] < 0) return p.value[i];
  double x = row[static_cast<std::size_t>(p.feature[i])];
  if (p.float_rows) x = static_cast<double>(static_cast<float>(x));
  const int type = (p.flag[i] >> 1) & 3;
  const bool zero_missing = type == 1 && std::abs(x) <= static_cast<double>(1e-35f);
  bool left = false;
  if ((type != 0 && std::isnan(x)) || zero_missing) {
    left = (p.flag[i] & 1) != 0;
  } else {
    if (std::isnan(x)) x = 0;
    if ((p.flag[i] & 8) != 0) {
      const auto set = static_cast<std::size_t>(p.threshold[i]);
      const std::int64_t words = p.set_offsets[set + 1] - p.set_offsets[set];
      if (x > -1 && x < static_cast<double>(words * 32) && !(p.float_rows && x < 0)) {
        const auto c = static_cast<std::int64_t>(x);
        left = ((p.set_words[static_cast<std::size_t>(p.set_offsets[set] + c / 32)] >> (c % 32)) & 1) != 0;
      }
    } else {
      left = x <= p.threshold[i];
    }
  }
  return leaf_of(p, static_cast<std::size_t>(left ? p.left[i] : p.right[i]), row);
}

TreeEnsembleParts random_parts(std::mt19937_64& rng, std::size_t trees, std::size_t leaves, std::size_t outputs, bool floats) {
  TreeEnsembleParts p;
  std::vector<std::int32_t> feature, left, right, roots, output;
  std::vector<double> threshold, value;
  std::vector<std::uint8_t> flag;
  const std::vector<std::uint32_t> words{0b1011, 0xF0000001u, 0x0F0F0F0Fu};
  std::normal_distribution<double> normal;
  const auto add = [&] {
    feature.push_back(-1);
    left.push_back(0);
    right.push_back(0);
    threshold.push_back(0);
    flag.push_back(0);
    value.push_back(normal(rng));
    return feature.size() - 1;
  };
  for (std::size_t t = 0; t < trees; ++t) {
    std::vector<std::size_t> ends{add()};
    roots.push_back(static_cast<std::int32_t>(ends[0]));
    output.push_back(static_cast<std::int32_t>(rng() % outputs));
    const std::size_t count = 1 + rng() % leaves;
    while (ends.size() < count) {
      // Grown at a leaf drawn at random, or always at the last one: a chain.
      const std::size_t at = t % 3 == 0 ? ends.size() - 1 : rng() % ends.size();
      const std::size_t node = ends[at];
      ends[at] = add();
      ends.push_back(add());
      feature[node] = static_cast<std::int32_t>(rng() % kFeatures);
      left[node] = static_cast<std::int32_t>(ends[at]);
      right[node] = static_cast<std::int32_t>(ends.back());
      const bool categorical = rng() % 6 == 0;
      threshold[node] = categorical ? static_cast<double>(rng() % 2) : floats ? static_cast<double>(static_cast<float>(normal(rng))) : normal(rng);
      flag[node] = TreeEnsembleParts::flags(rng() % 2 == 0, static_cast<MissingType>(rng() % 3), categorical);
    }
  }
  p.feature = Array<std::int32_t>(feature);
  p.threshold = Array<double>(threshold);
  p.left = Array<std::int32_t>(left);
  p.right = Array<std::int32_t>(right);
  p.flag = Array<std::uint8_t>(flag);
  p.value = Array<double>(value);
  p.roots = Array<std::int32_t>(roots);
  if (outputs > 1) p.output = Array<std::int32_t>(output);
  p.set_offsets = Array<std::int64_t>(std::vector<std::int64_t>{0, 1, 3});
  p.set_words = Array<std::uint32_t>(words);
  p.base.assign(outputs, 0.25);
  p.num_features = kFeatures;
  p.float_rows = p.float_sums = floats;
  return p;
}

std::vector<double> random_rows(std::mt19937_64& rng, std::size_t n) {
  std::normal_distribution<double> normal;
  std::vector<double> rows(n * kFeatures);
  for (double& x : rows) {
    switch (rng() % 8) {
      case 0: x = std::numeric_limits<double>::quiet_NaN(); break;
      case 1: x = rng() % 2 == 0 ? 0.0 : -0.0; break;
      case 2: x = static_cast<double>(rng() % 100) - 3; break;
      case 3: x = rng() % 2 == 0 ? 1e300 : -std::numeric_limits<double>::infinity(); break;
      case 4: x = rng() % 2 == 0 ? 1e-36 : -0.5; break;
      default: x = normal(rng);
    }
  }
  return rows;
}

TEST(TreeEnsemble, EveryWayOfScoringFollowsTheDefinitionBitForBit) {
  std::mt19937_64 rng(3);
  for (int round = 0; round < 60; ++round) {
    const bool floats = round % 2 == 1;
    const std::size_t outputs = round % 5 == 0 ? 3 : 1;
    // Up to 90 leaves: some trees fit into a word, some are walked. More trees than one block has.
    const TreeEnsemble trees(random_parts(rng, round % 7 == 0 ? 200 : rng() % 20, round % 3 == 0 ? 90 : 40, outputs, floats));
    const TreeEnsembleParts& p = trees.parts();
    const std::size_t n = rng() % 30;
    const std::vector<double> rows = random_rows(rng, n);
    std::vector<double> expected(n * outputs);
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t o = 0; o < outputs; ++o) {
        double sum = 0.25;
        float float_sum = 0.25f;
        for (std::size_t t = 0; t < p.roots.size(); ++t) {
          if (outputs > 1 && static_cast<std::size_t>(p.output[t]) != o) continue;
          const double leaf = leaf_of(p, static_cast<std::size_t>(p.roots[t]), std::span(rows).subspan(r * kFeatures, kFeatures));
          sum += leaf;
          float_sum += static_cast<float>(leaf);
        }
        expected[r * outputs + o] = floats ? static_cast<double>(float_sum) : sum;
      }
    const MatrixView<const double> view(rows.data(), n, kFeatures);
    std::vector<double> out(n * outputs);
    trees.predict(view, out, 1);
    EXPECT_EQ(out, expected);
    std::vector<double> threaded(n * outputs);
    trees.predict(view, threaded, 3);
    EXPECT_EQ(threaded, expected);
    for (std::size_t r = 0; outputs == 1 && r < n; ++r) EXPECT_EQ(trees.margin(view.row(r)), expected[r]);
    // Rows of float32 are what they are as float64.
    std::vector<float> narrow(rows.begin(), rows.end());
    std::vector<double> widened(narrow.begin(), narrow.end());
    std::vector<double> a(n * outputs), b(n * outputs);
    trees.predict(MatrixView<const float>(narrow.data(), n, kFeatures), a, 1);
    trees.predict(MatrixView<const double>(widened.data(), n, kFeatures), b, 1);
    EXPECT_EQ(a, b);
    const std::vector<char> bytes = save_to_memory(trees);
    std::vector<double> again(n * outputs);
    load_tree_model_from_memory(bytes).predict(view, again, 1);
    EXPECT_EQ(again, expected);
  }
}

TEST(TreeEnsemble, ManyRowsOnManyThreadsGiveTheSameBits) {
  std::mt19937_64 rng(5);
  const TreeEnsemble trees(random_parts(rng, 50, 31, 1, false));
  const std::size_t n = 3000;
  const std::vector<double> rows = random_rows(rng, n);
  const MatrixView<const double> view(rows.data(), n, kFeatures);
  std::vector<double> one(n), many(n);
  trees.predict(view, one, 1);
  trees.predict(view, many, 4);
  EXPECT_EQ(one, many);
}

TEST(TreeEnsemble, AllocatesNothingOnceWarm) {
  std::mt19937_64 rng(6);
  const TreeEnsemble trees(random_parts(rng, 150, 40, 1, false));
  const std::vector<double> rows = random_rows(rng, 300);
  const MatrixView<const double> view(rows.data(), 300, kFeatures);
  std::vector<double> out(300);
  Scratch scratch;
  trees.predict(view, out, scratch);
  const long before = allocations.load();
  trees.predict(view, out, scratch);
  EXPECT_EQ(allocations.load(), before);
}

TEST(TreeEnsemble, RefusesWhatIsNoForest) {
  std::mt19937_64 rng(8);
  const TreeEnsembleParts good = random_parts(rng, 3, 6, 1, false);
  const auto refused = [&](auto&& change, const std::string& name) {
    TreeEnsembleParts p = good;
    change(p);
    try {
      const TreeEnsemble trees(p);
      ADD_FAILURE() << name << " was taken";
    } catch (const std::invalid_argument& e) {
      EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
    }
  };
  std::size_t inner = 0;
  while (good.feature[inner] < 0 || (good.flag[inner] & TreeEnsembleParts::kCategorical) != 0) ++inner;
  refused([&](TreeEnsembleParts& p) { p.left.mutable_data()[inner] = static_cast<std::int32_t>(inner); }, "left");
  refused([&](TreeEnsembleParts& p) { p.right.mutable_data()[inner] = p.left[inner]; }, "right");
  refused([&](TreeEnsembleParts& p) { p.right.mutable_data()[inner] = 1 << 30; }, "right");
  refused([&](TreeEnsembleParts& p) { p.feature.mutable_data()[inner] = kFeatures; }, "feature");
  refused([&](TreeEnsembleParts& p) { p.threshold.mutable_data()[inner] = std::nan(""); }, "threshold");
  refused([&](TreeEnsembleParts& p) { p.flag.mutable_data()[inner] = 0x16; }, "flag");
  refused([&](TreeEnsembleParts& p) { p.flag.mutable_data()[inner] |= TreeEnsembleParts::kCategorical; p.threshold.mutable_data()[inner] = 2; }, "threshold");
  refused([&](TreeEnsembleParts& p) { p.roots.mutable_data()[1] = p.roots[0]; }, "roots");
  refused([&](TreeEnsembleParts& p) { p.roots.mutable_data()[0] = -1; }, "roots");
  refused([&](TreeEnsembleParts& p) { p.base.clear(); }, "base");
  refused([&](TreeEnsembleParts& p) { p.base = {std::nan("")}; }, "base");
  refused([&](TreeEnsembleParts& p) { p.output = Array<std::int32_t>(std::vector<std::int32_t>{0, 0, 1}); }, "output");
  refused([&](TreeEnsembleParts& p) { p.set_offsets = Array<std::int64_t>(std::vector<std::int64_t>{0, 9}); }, "set_offsets");
  refused([&](TreeEnsembleParts& p) { p.value = Array<double>(2); }, "value");

  const TreeEnsemble trees(good);
  std::vector<double> rows(2 * kFeatures), out(2);
  EXPECT_THROW(trees.predict(MatrixView<const double>(rows.data(), 2, kFeatures - 1), out, 1), std::invalid_argument);
  EXPECT_THROW(trees.predict(MatrixView<const double>(rows.data(), 2, kFeatures), std::span(out).first(1), 1), std::invalid_argument);
  EXPECT_THROW((void)trees.margin(std::span<const double>(rows).first(2)), std::invalid_argument);
}

}  // namespace
}  // namespace etalage
