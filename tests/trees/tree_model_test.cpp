// SPDX-License-Identifier: Apache-2.0
#include "etalage/trees/tree_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "etalage/error.hpp"
#include "etalage/io/tree_files.hpp"
#include "support/tests_dir.hpp"

namespace etalage {
namespace {

const std::filesystem::path kFolder = std::filesystem::path(::etalage::testing::tests_dir()) / "golden" / "trees";

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

nlohmann::json expected() { return nlohmann::json::parse(content(kFolder / "expected.json")); }

std::vector<double> rows_of(const nlohmann::json& rows) {
  std::vector<double> out;
  for (const auto& row : rows)
    for (const auto& x : row) out.push_back(x.is_null() ? std::numeric_limits<double>::quiet_NaN() : x.get<double>());
  return out;
}

std::vector<double> scores(const TreeEnsemble& trees, const std::vector<double>& rows) {
  const std::size_t features = 6;
  std::vector<double> out(rows.size() / features * trees.num_outputs());
  trees.predict(MatrixView<const double>(rows.data(), rows.size() / features, features), out, 1);
  return out;
}

TEST(TreeModel, ScoresWhatEachLibraryScores) {
  const nlohmann::json all = expected();
  const std::vector<double> rows = rows_of(all["rows"]), whole = rows_of(all["whole_categories"]);
  ASSERT_GE(all["scores"].size(), 25u);
  for (const auto& entry : all["scores"].items()) {
    const std::string& name = entry.key();
    const nlohmann::json& told = entry.value();
    SCOPED_TRACE(name);
    std::vector<double> want;
    for (const auto& row : told) {
      if (row.is_array()) want.insert(want.end(), row.begin(), row.end());
      else want.push_back(row.get<double>());
    }
    const TreeEnsemble trees = load_tree_model(kFolder / name);
    const std::vector<double> got = scores(trees, name.starts_with("xgboost") || name.starts_with("catboost_one_hot") ? whole : rows);
    ASSERT_EQ(got.size(), want.size());
    const double tolerance = name.starts_with("lightgbm") ? 0 : 1e-6;
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], tolerance);
  }
}

TEST(TreeModel, NamesWhatItDoesNotTake) {
  const nlohmann::json all = expected();
  const auto message = [](const std::string& bytes) -> std::string {
    try {
      (void)read_tree_model(bytes);
    } catch (const FormatError& e) {
      return e.what();
    }
    return "taken";
  };
  for (const auto& [name, word] : all["refused"].items()) EXPECT_NE(message(content(kFolder / name)).find(word.get<std::string>()), std::string::npos) << name;
  const auto replaced = [](std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const std::string light = content(kFolder / "lightgbm_binary.txt"), extreme = content(kFolder / "xgboost_binary.json");
  EXPECT_NE(message(replaced(light, "objective=binary", "objective=guesswork")).find("guesswork"), std::string::npos);
  EXPECT_NE(message(replaced(extreme, "binary:logistic", "binary:guesswork")).find("binary:guesswork"), std::string::npos);
  EXPECT_NE(message(replaced(light, "num_leaves=7", "num_leaves=268435456")).find("leaf_value"), std::string::npos);
  EXPECT_NE(message(replaced(light, "end of trees", "")).find("end of trees"), std::string::npos);
  EXPECT_NE(message(replaced(light, "Tree=1", "Tree=7")).find("Tree=7"), std::string::npos);
  EXPECT_NE(message(replaced(light, "left_child=", "left_child=x ")).find("left_child"), std::string::npos);
  EXPECT_NE(message(replaced(extreme, "\"num_class\":\"0\",\"num_feature\":\"6\"", "\"num_class\":\"0\",\"num_feature\":\"2\"")).find("feature"), std::string::npos);
  for (const char* text : {"", "{", "{}", "[1]", "tree", "{\"learner\":3}", "{\"tree_info\":[]}", "{\"oblivious_trees\":[]}", "hello"}) EXPECT_NE(message(text), "taken") << text;
  // A few bytes of UBJSON that claim two billion empty values, and deep nesting.
  EXPECT_NE(message(std::string("{U\1a[$Z#l\x7f\xff\xff\xff", 12)).find("UBJSON"), std::string::npos);
  EXPECT_NE(message("{U\1a" + std::string(1 << 20, '[')).find("UBJSON"), std::string::npos);
  EXPECT_NE(message("{\"a\":" + std::string(1 << 20, '[')).find("JSON"), std::string::npos);
}

TEST(TreeModel, DamageIsAnErrorOrAnotherModelNeverMore) {
  std::mt19937_64 rng(11);
  const std::vector<double> rows = rows_of(expected()["rows"]);
  std::size_t refused = 0, taken = 0;
  const auto attempt = [&](const std::string& bytes) {
    try {
      const TreeEnsemble trees = read_tree_model(bytes);
      if (trees.num_features() == 6 && trees.num_outputs() < 100) (void)scores(trees, rows);
      ++taken;
    } catch (const FormatError&) {
      ++refused;
    }
  };
  for (const char* name : {"lightgbm_binary.txt", "lightgbm_binary.json", "xgboost_dart.json", "xgboost_binary.ubj", "catboost_binary.json"}) {
    const std::string good = content(kFolder / name);
    for (std::size_t cut = 0; cut < good.size(); cut += 97) attempt(good.substr(0, cut));
    for (int round = 0; round < 400; ++round) {
      std::string bad = good;
      for (std::size_t i = 0; i < 1 + rng() % 4; ++i) {
        const std::size_t at = rng() % bad.size();
        if (rng() % 2 == 0) bad[at] = static_cast<char>(rng());
        else bad[at] = "0123456789-.eE,[]{}\" =|"[rng() % 23];
      }
      attempt(bad);
    }
  }
  EXPECT_GT(refused, 200u);
  EXPECT_GT(taken, 20u);
}

}  // namespace
}  // namespace etalage
