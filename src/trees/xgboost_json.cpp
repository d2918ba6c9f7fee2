// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trees/json_fields.hpp"
#include "trees/readers.hpp"

namespace etalage::trees {
namespace {

enum class Link { kIdentity, kLogit, kLog };

/// From a base_score as the file gives it to what sums begin with (ObjFunction::ProbToMargin of each objective).
Link link_of(const std::string& objective, const JsonFields& at) {
  struct Known {
    std::string_view name;
    Link link;
  };
  static constexpr std::array<Known, 23> known{{{"reg:squarederror", Link::kIdentity},
                                                {"reg:linear", Link::kIdentity},
                                                {"reg:squaredlogerror", Link::kIdentity},
                                                {"reg:pseudohubererror", Link::kIdentity},
                                                {"reg:absoluteerror", Link::kIdentity},
                                                {"reg:quantileerror", Link::kIdentity},
                                                {"reg:expectileerror", Link::kIdentity},
                                                {"reg:logistic", Link::kLogit},
                                                {"binary:logistic", Link::kLogit},
                                                {"binary:logitraw", Link::kIdentity},
                                                {"binary:hinge", Link::kIdentity},
                                                {"multi:softmax", Link::kIdentity},
                                                {"multi:softprob", Link::kIdentity},
                                                {"rank:ndcg", Link::kIdentity},
                                                {"rank:map", Link::kIdentity},
                                                {"rank:pairwise", Link::kIdentity},
                                                {"count:poisson", Link::kLog},
                                                {"reg:gamma", Link::kLog},
                                                {"reg:tweedie", Link::kLog},
                                                {"survival:cox", Link::kLog},
                                                {"survival:aft", Link::kLog}}};
  for (const Known& k : known)
    if (!k.name.empty() && k.name == objective) return k.link;
  at.fail("its objective '" + objective.substr(0, 60) + "' is not known, and with it the link of base_score");
}

/// "5E-1", or "[5E-1,2E-1]" since 3.1.
std::vector<float> base_scores(std::string text, const JsonFields& at) {
  if (!text.empty() && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
  std::vector<float> out;
  const char* p = text.data();
  const char* const end = p + text.size();
  for (;;) {
    float value = 0;
    const auto r = std::from_chars(p, end, value);
    if (r.ec != std::errc() || !std::isfinite(value) || (r.ptr != end && *r.ptr != ',')) at.fail("base_score is '" + text.substr(0, 60) + "', must be numbers");
    out.push_back(value);
    if (r.ptr == end) return out;
    p = r.ptr + 1;
  }
}

float linked(float base, Link link, const JsonFields& at) {
  if (link == Link::kIdentity) return base;
  if (!(base > 0) || (link == Link::kLogit && !(base < 1))) at.fail("base_score is " + std::to_string(base) + ", outside what its objective's link takes");
  return link == Link::kLog ? std::log(base) : -std::log(1.0f / base - 1.0f);
}

void add_tree(const nlohmann::json& json, TreeBuilder& builder, std::int64_t output, float weight) {
  const JsonFields tree(json, builder, true);
  const JsonFields parameters = tree.object("tree_param");
  if (parameters.has("size_leaf_vector") && parameters.integer("size_leaf_vector", 0, std::numeric_limits<std::int32_t>::max()) > 1)
    tree.fail("it has vectors in its leaves (multi_strategy multi_output_tree), which is not supported");
  const std::size_t n = tree.array("left_children").size();
  if (n == 0) tree.fail("it has no nodes");
  const auto left = tree.integers("left_children", n);
  const auto right = tree.integers("right_children", n);
  const auto features = tree.integers("split_indices", n);
  const auto conditions = tree.numbers("split_conditions", n);
  const auto default_left = tree.integers("default_left", n);
  const auto types = tree.has("split_type") ? tree.integers("split_type", n) : std::vector<std::int64_t>(n);
  std::vector<std::int64_t> set_of_node(n, -1);
  std::vector<std::int64_t> categories, begins, sizes;
  if (tree.has("categories_nodes")) {
    const std::size_t sets = tree.array("categories_nodes").size();
    const auto owners = tree.integers("categories_nodes", sets);
    begins = tree.integers("categories_segments", sets);
    sizes = tree.integers("categories_sizes", sets);
    categories = tree.integers("categories", tree.array("categories").size());
    for (std::size_t s = 0; s < sets; ++s) {
      const auto total = static_cast<std::int64_t>(categories.size());
      if (owners[s] < 0 || static_cast<std::size_t>(owners[s]) >= n || begins[s] < 0 || sizes[s] < 0 || begins[s] > total || sizes[s] > total - begins[s])
        tree.fail("set " + std::to_string(s) + " of categories lies outside its node or its list");
      set_of_node[static_cast<std::size_t>(owners[s])] = static_cast<std::int64_t>(s);
    }
  }
  std::vector<RawNode> nodes(n);
  for (std::size_t i = 0; i < n; ++i) {
    RawNode& node = nodes[i];
    const auto condition = static_cast<float>(conditions[i]);
    if (left[i] == -1) {
      node.value = static_cast<double>(weight * condition);
      continue;
    }
    if (features[i] < 0) tree.fail("split_indices of node " + std::to_string(i) + " is negative");
    node.feature = features[i];
    if (types[i] == 1) {
      // A category of the set goes to the right there; sets of ours go to the left.
      const std::int64_t s = set_of_node[i];
      if (s < 0) tree.fail("node " + std::to_string(i) + " splits categories and has no set of them");
      const auto words = set_of(std::span(categories).subspan(static_cast<std::size_t>(begins[static_cast<std::size_t>(s)]), static_cast<std::size_t>(sizes[static_cast<std::size_t>(s)])), builder);
      node.threshold = builder.add_set(words);
      node.left = right[i];
      node.right = left[i];
      node.flag = TreeEnsembleParts::flags(default_left[i] == 0, MissingType::kNaN, true);
    } else if (types[i] == 0) {
      // x < condition of float32 is x <= the number before it.
      node.threshold = static_cast<double>(std::nextafter(condition, -std::numeric_limits<float>::infinity()));
      node.left = left[i];
      node.right = right[i];
      node.flag = TreeEnsembleParts::flags(default_left[i] != 0, MissingType::kNaN);
    } else {
      tree.fail("split_type " + std::to_string(types[i]) + " of node " + std::to_string(i) + " is not known");
    }
  }
  builder.add(nodes, 0, output);
}

}  // namespace

TreeEnsemble read_xgboost(const nlohmann::json& model) {
  TreeBuilder builder("XGBoost");
  const JsonFields learner = JsonFields(model, builder).object("learner");
  const Link link = link_of(learner.object("objective").text("name"), learner);
  const JsonFields parameters = learner.object("learner_model_param");
  const std::int64_t features = parameters.integer("num_feature", 1, std::numeric_limits<std::int32_t>::max());
  const std::int64_t classes = parameters.integer("num_class", 0, 65536);
  const std::int64_t targets = parameters.has("num_target") ? parameters.integer("num_target", 1, 65536) : 1;
  const auto outputs = static_cast<std::size_t>(std::max({classes, targets, std::int64_t{1}}));
  const JsonFields booster = learner.object("gradient_booster");
  const std::string name = booster.text("name");
  const bool dart = name == "dart";
  if (!dart && name != "gbtree") learner.fail("its booster '" + name.substr(0, 60) + "' is not one of trees: must be gbtree or dart");
  const JsonFields trees = dart ? booster.object("gbtree").object("model") : booster.object("model");
  const nlohmann::json& list = trees.array("trees");
  const std::vector<std::int64_t> output = trees.integers("tree_info", list.size());
  const std::vector<double> weights = dart ? booster.numbers("weight_drop", list.size()) : std::vector<double>();
  for (std::size_t t = 0; t < list.size(); ++t) add_tree(list[t], builder, output[t], dart ? static_cast<float>(weights[t]) : 1.0f);
  const std::vector<float> scores = base_scores(parameters.text("base_score"), learner);
  if (scores.size() != 1 && scores.size() != outputs)
    learner.fail("base_score has " + std::to_string(scores.size()) + " entries for " + std::to_string(outputs) + " outputs");
  std::vector<double> base(outputs);
  for (std::size_t o = 0; o < outputs; ++o) base[o] = static_cast<double>(linked(scores[scores.size() == 1 ? 0 : o], link, learner));
  return std::move(builder).finish(std::move(base), features, true, true);
}

}  // namespace etalage::trees
