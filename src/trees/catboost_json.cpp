// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstdint>
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
  for (const char* other : {"categorical_features", "text_features", "embedding_features", "ctrs"})
    if (info.has(other) && info.at(other).is_array() && !info.at(other).empty())
      model.fail(std::string("it has ") + other + ", and only numerical features are supported");
  std::vector<FloatFeature> out;
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

}  // namespace

TreeEnsemble read_catboost(const nlohmann::json& json) {
  TreeBuilder builder("CatBoost");
  const JsonFields model(json, builder);
  if (!model.has("oblivious_trees")) model.fail("it has no symmetric trees (oblivious_trees), and only these are supported");
  std::int64_t columns = 0;
  const std::vector<FloatFeature> features = float_features(model, columns);
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
    for (std::size_t d = 0; d < depth; ++d) {
      const JsonFields split(splits[d], builder, true);
      const std::string type = split.text("split_type");
      if (type != "FloatFeature") tree.fail("its split of type '" + type.substr(0, 60) + "' is not supported, must be FloatFeature");
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
      }
      for (std::size_t leaf = 0; leaf < leaves; ++leaf) nodes[leaves - 1 + leaf].value = scale * values[leaf * outputs + o];
      builder.add(nodes, 0, static_cast<std::int64_t>(o));
    }
  }
  return std::move(builder).finish(std::move(bias), columns, true, false);
}

}  // namespace etalage::trees
