// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trees/json_fields.hpp"
#include "trees/readers.hpp"

namespace etalage::trees {
namespace {

/// "3||7||12" as whole numbers.
std::vector<std::int64_t> categories_of(const std::string& text, const JsonFields& at) {
  std::vector<std::int64_t> out;
  const char* p = text.data();
  const char* const end = p + text.size();
  for (;;) {
    std::int64_t value = 0;
    const auto r = std::from_chars(p, end, value);
    if (r.ec != std::errc()) at.fail("threshold '" + text.substr(0, 60) + "' of a categorical split must be categories between ||");
    out.push_back(value);
    if (r.ptr == end) return out;
    if (end - r.ptr < 3 || r.ptr[0] != '|' || r.ptr[1] != '|') at.fail("threshold '" + text.substr(0, 60) + "' of a categorical split must be categories between ||");
    p = r.ptr + 2;
  }
}

MissingType missing_of(const std::string& name, const JsonFields& at) {
  if (name == "None") return MissingType::kNone;
  if (name == "Zero") return MissingType::kZero;
  if (name == "NaN") return MissingType::kNaN;
  at.fail("missing_type '" + name.substr(0, 60) + "' is not known");
}

}  // namespace

TreeEnsemble read_lightgbm_json(const nlohmann::json& model) {
  TreeBuilder builder("LightGBM");
  const JsonFields header(model, builder);
  require_lightgbm_objective(header.has("objective") ? header.text("objective") : "");
  const std::int64_t outputs = header.integer("num_tree_per_iteration", 1, 65536);
  const std::int64_t features = header.integer("max_feature_idx", 0, 2147483646) + 1;
  std::int64_t trees = 0;
  std::vector<RawNode> nodes;
  for (const nlohmann::json& entry : header.array("tree_info")) {
    const JsonFields tree(entry, builder, true);
    nodes.clear();
    struct Open {
      const nlohmann::json* json;
      std::size_t place;
    };
    std::vector<Open> open;
    const auto add = [&](const nlohmann::json& json) {
      open.push_back({&json, nodes.size()});
      nodes.emplace_back();
      return static_cast<std::int64_t>(nodes.size() - 1);
    };
    add(tree.at("tree_structure"));
    while (!open.empty()) {
      const Open at = open.back();
      open.pop_back();
      const JsonFields node(*at.json, builder, true);
      RawNode n;
      if (!node.has("split_feature")) {
        if (node.has("leaf_coeff")) node.fail("it is a linear tree, which is not supported");
        n.value = node.number("leaf_value");
      } else {
        n.feature = node.integer("split_feature", 0, 2147483646);
        const std::string decision = node.text("decision_type");
        if (decision == "==") {
          const nlohmann::json& threshold = node.at("threshold");
          n.threshold = builder.add_set(set_of(categories_of(threshold.is_string() ? threshold.get<std::string>() : threshold.dump(), node), builder));
          n.flag = TreeEnsembleParts::flags(false, MissingType::kNaN, true);
        } else if (decision == "<=") {
          const nlohmann::json& left = node.at("default_left");
          if (!left.is_boolean()) node.fail("default_left must be true or false");
          n.threshold = node.number("threshold");
          n.flag = TreeEnsembleParts::flags(left.get<bool>(), missing_of(node.text("missing_type"), node));
        } else {
          node.fail("decision_type '" + decision.substr(0, 60) + "' is not known");
        }
        n.left = add(node.at("left_child"));
        n.right = add(node.at("right_child"));
      }
      nodes[at.place] = n;
    }
    builder.add(nodes, 0, trees % outputs);
    ++trees;
  }
  if (trees % outputs != 0) builder.fail(std::to_string(trees) + " trees are no whole iterations of " + std::to_string(outputs));
  return std::move(builder).finish(std::vector<double>(static_cast<std::size_t>(outputs)), features, false, false);
}

}  // namespace etalage::trees
