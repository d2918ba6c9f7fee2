// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trees/json_fields.hpp"
#include "trees/readers.hpp"

namespace etalage::trees {
namespace {

struct FloatFeature {
  std::int64_t column = -1;
  bool nan_right = false;
};

std::vector<FloatFeature> float_features(const JsonFields& model, std::int64_t& columns) {
  const JsonFields info = model.object("features_info");
  for (const char* other : {"text_features", "embedding_features", "ctrs"})
    if (info.has(other) && info.at(other).is_array() && !info.at(other).empty())
      model.fail(std::string("it has ") + other + ", and only numerical features and one-hot splits of categories are supported (one_hot_max_size)");
  std::vector<FloatFeature> out;
  if (!info.has("float_features") && info.has("categorical_features")) return out;
  for (const nlohmann::json& json : info.array("float_features")) {
    const JsonFields feature(json, model.builder());
    const auto index = static_cast<std::size_t>(feature.integer("feature_index", 0, (std::int64_t{1} << 24) - 1));
    FloatFeature f;
    f.column = feature.integer("flat_feature_index", 0, (std::int64_t{1} << 24) - 1);
    const std::string nan = feature.text("nan_value_treatment");
    if (nan != "AsIs" && nan != "AsFalse" && nan != "AsTrue") model.fail("nan_value_treatment '" + nan.substr(0, 60) + "' is not known");
    f.nan_right = nan == "AsTrue";
    if (index >= out.size()) out.resize(index + 1);
    out[index] = f;
    columns = std::max(columns, f.column + 1);
  }
  return out;
}

/// Categories as the file knows them: by hash, with the texts of which they are hashes where it was saved with the data (pool=).
struct Categories {
  std::vector<std::int64_t> columns;  ///< by number of the categorical feature, -1 where there is none
  std::map<std::int64_t, std::string> texts;

  /// The whole number that stands for the category in a row of numbers.
  [[nodiscard]] std::int64_t number_of(std::int64_t hash, const JsonFields& tree) const {
    const auto at = texts.find(hash & 0xffffffff);
    if (at == texts.end())
      tree.fail("it splits a category by its hash, and cat_features_hash does not name it: save with save_model(path, format='json', pool=pool)");
    std::int64_t number = -1;
    const std::string& text = at->second;
    const auto r = std::from_chars(text.data(), text.data() + text.size(), number);
    if (r.ec != std::errc() || r.ptr != text.data() + text.size() || number < 0)
      tree.fail("it splits the category '" + text.substr(0, 60) + "', must be a whole number >= 0: rows hold numbers");
    return number;
  }
};

Categories categories(const JsonFields& model, std::int64_t& columns) {
  Categories out;
  const JsonFields info = model.object("features_info");
  if (!info.has("categorical_features") || info.at("categorical_features").is_null()) return out;
  for (const nlohmann::json& json : info.array("categorical_features")) {
    const JsonFields feature(json, model.builder());
    const auto index = static_cast<std::size_t>(feature.integer("feature_index", 0, (std::int64_t{1} << 24) - 1));
    if (index >= out.columns.size()) out.columns.resize(index + 1, -1);
    out.columns[index] = feature.integer("flat_feature_index", 0, (std::int64_t{1} << 24) - 1);
    columns = std::max(columns, out.columns[index] + 1);
  }
  if (!info.has("cat_features_hash") || info.at("cat_features_hash").is_null()) return out;
  for (const nlohmann::json& json : info.array("cat_features_hash")) {
    const JsonFields known(json, model.builder());
    out.texts[known.integer("hash", 0, 0xffffffff)] = known.text("value");
  }
  return out;
}

}  // namespace

TreeEnsemble read_catboost(const nlohmann::json& json) {
  TreeBuilder builder("CatBoost");
  const JsonFields model(json, builder);
  if (!model.has("oblivious_trees")) model.fail("it has no symmetric trees (oblivious_trees), and only these are supported");
  std::int64_t columns = 0;
  const std::vector<FloatFeature> features = float_features(model, columns);
  const Categories known = categories(model, columns);
  const nlohmann::json& scale_and_bias = model.array("scale_and_bias");
  if (scale_and_bias.size() != 2 || !scale_and_bias[0].is_number() || !(scale_and_bias[1].is_array() || scale_and_bias[1].is_number()))
    model.fail("scale_and_bias must be a number and a list of numbers");
  const double scale = scale_and_bias[0].get<double>();
  std::vector<double> bias;
  if (scale_and_bias[1].is_number()) bias.push_back(scale_and_bias[1].get<double>());
  else
    for (const nlohmann::json& b : scale_and_bias[1]) {
      if (!b.is_number()) model.fail("scale_and_bias must be a number and a list of numbers");
      bias.push_back(b.get<double>());
    }
  if (bias.empty() || bias.size() > 65536) model.fail("it has " + std::to_string(bias.size()) + " biases, must have 1 to 65536");
  const std::size_t outputs = bias.size();
  std::vector<RawNode> nodes;
  for (const nlohmann::json& entry : model.array("oblivious_trees")) {
    const JsonFields tree(entry, builder, true);
    const nlohmann::json empty = nlohmann::json::array();
    const nlohmann::json& splits = tree.has("splits") && !tree.at("splits").is_null() ? tree.array("splits") : empty;
    const std::size_t depth = splits.size();
    if (depth > 24) tree.fail("it is " + std::to_string(depth) + " levels deep, must be at most 24");
    const std::size_t leaves = std::size_t{1} << depth;
    const std::vector<double> values = tree.numbers("leaf_values", leaves * outputs);
    std::vector<RawNode> level(depth);
    std::vector<std::uint8_t> one_hot(depth);
    for (std::size_t d = 0; d < depth; ++d) {
      const JsonFields split(splits[d], builder, true);
      const std::string type = split.text("split_type");
      if (type == "OneHotFeature") {
        const auto c = static_cast<std::size_t>(split.integer("cat_feature_index", 0, (std::int64_t{1} << 24) - 1));
        if (c >= known.columns.size() || known.columns[c] < 0) tree.fail("it asks for categorical feature " + std::to_string(c) + ", which features_info does not have");
        const std::int64_t number = known.number_of(split.integer("value", std::numeric_limits<std::int32_t>::min(), 0xffffffff), tree);
        level[d].feature = known.columns[c];
        level[d].threshold = builder.add_set(set_of(std::span(&number, 1), builder));
        level[d].flag = TreeEnsembleParts::flags(false, MissingType::kNaN, true);
        one_hot[d] = 1;
        continue;
      }
      if (type != "FloatFeature") tree.fail("its split of type '" + type.substr(0, 60) + "' is not supported, must be FloatFeature or OneHotFeature");
      const auto f = static_cast<std::size_t>(split.integer("float_feature_index", 0, (std::int64_t{1} << 24) - 1));
      if (f >= features.size() || features[f].column < 0) tree.fail("it asks for float feature " + std::to_string(f) + ", which features_info does not have");
      level[d].feature = features[f].column;
      level[d].threshold = static_cast<double>(static_cast<float>(split.number("border")));
      level[d].flag = TreeEnsembleParts::flags(!features[f].nan_right, MissingType::kNaN);
    }
    // Bit d of a leaf's number says that split d was passed; the last split stands at the root, so that leaves come in order.
    nodes.assign(2 * leaves - 1, RawNode());
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i + 1 < leaves; ++i) {
        std::size_t d = depth - 1;
        for (std::size_t above = i + 1; above > 1; above /= 2) --d;
        nodes[i] = level[d];
        nodes[i].left = static_cast<std::int64_t>(2 * i + 1);
        nodes[i].right = static_cast<std::int64_t>(2 * i + 2);
        if (one_hot[d] != 0) std::swap(nodes[i].left, nodes[i].right);  // the category passes the split; sets of ours go to the left
      }
      for (std::size_t leaf = 0; leaf < leaves; ++leaf) nodes[leaves - 1 + leaf].value = scale * values[leaf * outputs + o];
      builder.add(nodes, 0, static_cast<std::int64_t>(o));
    }
  }
  return std::move(builder).finish(std::move(bias), columns, true, false);
}

}  // namespace etalage::trees
