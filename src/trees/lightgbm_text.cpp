// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/error.hpp"
#include "trees/readers.hpp"
#include "trees/tree_builder.hpp"

namespace etalage::trees {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

/// The next line without its end; advances text.
std::string_view next_line(std::string_view& text) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string shown(std::string_view s) { return std::string("'").append(s.substr(0, 60)).append("'"); }

/// Fields of one section, and its reader of lists.
class Section {
 public:
  Section(Fields fields, const TreeBuilder& builder, bool is_tree) : fields_(std::move(fields)), builder_(builder), is_tree_(is_tree) {}

  [[noreturn]] void fail(const std::string& what) const {
    if (is_tree_) builder_.fail_tree(what);
    builder_.fail(what);
  }
  [[nodiscard]] bool has(std::string_view name) const { return find(name) != nullptr; }
  [[nodiscard]] std::string_view text(std::string_view name) const {
    const std::string_view* value = find(name);
    if (value == nullptr) fail("field " + std::string(name) + " is missing");
    return *value;
  }
  template <class T>
  [[nodiscard]] std::vector<T> list(std::string_view name, std::size_t count) const {
    std::string_view rest = text(name);
    std::vector<T> out;
    while (!rest.empty()) {
      if (rest.front() == ' ') {
        rest.remove_prefix(1);
        continue;
      }
      T value{};
      const auto r = std::from_chars(rest.data(), rest.data() + rest.size(), value);
      const auto used = static_cast<std::size_t>(r.ptr - rest.data());
      if (r.ec != std::errc() || (used < rest.size() && rest[used] != ' '))
        fail(std::string(name) + " holds " + shown(rest.substr(0, rest.find(' '))) + ", must hold numbers");
      out.push_back(value);
      rest.remove_prefix(used);
    }
    if (out.size() != count) fail(std::string(name) + " has " + std::to_string(out.size()) + " entries, expected " + std::to_string(count));
    return out;
  }
  template <class T>
  [[nodiscard]] T number(std::string_view name, T low, T high) const {
    const T v = list<T>(name, 1)[0];
    if (v < low || v > high) fail(std::string(name) + " is " + std::to_string(v) + ", must be in [" + std::to_string(low) + ", " + std::to_string(high) + "]");
    return v;
  }

 private:
  [[nodiscard]] const std::string_view* find(std::string_view name) const {
    for (const auto& field : fields_)
      if (field.first == name) return &field.second;
    return nullptr;
  }
  Fields fields_;
  const TreeBuilder& builder_;
  bool is_tree_;
};

void add_tree(const Section& tree, TreeBuilder& builder, std::int64_t output) {
  const auto leaves = static_cast<std::size_t>(tree.number<std::int64_t>("num_leaves", 1, std::int64_t{1} << 28));
  if (tree.has("is_linear") && tree.number<int>("is_linear", 0, 1) != 0) tree.fail("it is a linear tree (is_linear=1), which is not supported");
  // Numbers before memory: the list must be there before nodes of its length are.
  const std::vector<double> values = tree.list<double>("leaf_value", leaves);
  const std::size_t inner = leaves - 1;
  std::vector<RawNode> nodes(inner + leaves);
  for (std::size_t i = 0; i < leaves; ++i) nodes[inner + i].value = values[i];
  if (inner == 0) {
    builder.add(nodes, 0, output);
    return;
  }
  const auto features = tree.list<std::int64_t>("split_feature", inner);
  const auto thresholds = tree.list<double>("threshold", inner);
  const auto decisions = tree.list<int>("decision_type", inner);
  const auto left = tree.list<std::int64_t>("left_child", inner);
  const auto right = tree.list<std::int64_t>("right_child", inner);
  const auto sets = static_cast<std::size_t>(tree.has("num_cat") ? tree.number<std::int64_t>("num_cat", 0, static_cast<std::int64_t>(inner)) : 0);
  std::vector<double> set_number(sets);
  if (sets > 0) {
    const auto offsets = tree.list<std::int64_t>("cat_boundaries", sets + 1);
    if (offsets.front() != 0 || !std::is_sorted(offsets.begin(), offsets.end())) tree.fail("cat_boundaries must rise from 0");
    if (static_cast<std::size_t>(offsets.back()) > tree.text("cat_threshold").size()) tree.fail("cat_boundaries end beyond cat_threshold");
    const auto words = tree.list<std::uint32_t>("cat_threshold", static_cast<std::size_t>(offsets.back()));
    for (std::size_t s = 0; s < sets; ++s)
      set_number[s] = builder.add_set(std::span(words).subspan(static_cast<std::size_t>(offsets[s]), static_cast<std::size_t>(offsets[s + 1] - offsets[s])));
  }
  // Children >= 0 are inner nodes, ~child is a leaf.
  const auto place = [&](std::int64_t child) { return child >= 0 ? child : static_cast<std::int64_t>(inner) + ~child; };
  for (std::size_t i = 0; i < inner; ++i) {
    RawNode& n = nodes[i];
    if (features[i] < 0) tree.fail("split_feature of node " + std::to_string(i) + " is negative");
    if (decisions[i] < 0 || (decisions[i] >> 2) > 2) tree.fail("decision_type of node " + std::to_string(i) + " is " + std::to_string(decisions[i]) + ", which is not known");
    n.feature = features[i];
    n.left = place(left[i]);
    n.right = place(right[i]);
    if ((decisions[i] & 1) != 0) {
      if (!(thresholds[i] >= 0 && thresholds[i] < static_cast<double>(sets))) tree.fail("threshold of categorical node " + std::to_string(i) + " is none of its sets");
      n.threshold = set_number[static_cast<std::size_t>(thresholds[i])];
      // What is missing is in no set.
      n.flag = TreeEnsembleParts::flags(false, MissingType::kNaN, true);
    } else {
      n.threshold = thresholds[i];
      n.flag = TreeEnsembleParts::flags((decisions[i] & 2) != 0, static_cast<MissingType>(decisions[i] >> 2));
    }
  }
  builder.add(nodes, 0, output);
}

}  // namespace

void require_lightgbm_objective(std::string_view objective) {
  static constexpr std::array<std::string_view, 18> known{"", "none", "null", "custom", "regression", "regression_l1", "huber", "fair", "poisson",
                                                          "quantile", "mape", "gamma", "tweedie", "binary", "multiclass", "multiclassova",
                                                          "lambdarank", "rank_xendcg"};
  const std::string_view name = objective.substr(0, objective.find(' '));
  if (std::find(known.begin(), known.end(), name) == known.end() && name != "cross_entropy" && name != "cross_entropy_lambda")
    throw FormatError("not a usable model of LightGBM: its objective " + shown(name) + " is not known");
}

TreeEnsemble read_lightgbm_text(std::string_view text) {
  TreeBuilder builder("LightGBM");
  const auto read_fields = [&](bool header) {
    Fields fields;
    while (!text.empty()) {
      std::string_view ahead = text;
      const std::string_view line = next_line(ahead);
      if (line.starts_with("Tree=") && (header || !fields.empty())) break;
      if (line == "end of trees") break;
      text = ahead;
      const std::size_t equals = line.find('=');
      if (equals != std::string_view::npos) fields.emplace_back(line.substr(0, equals), line.substr(equals + 1));
    }
    return fields;
  };
  const Section header(read_fields(true), builder, false);
  require_lightgbm_objective(header.has("objective") ? header.text("objective") : "");
  const auto outputs = header.number<std::int64_t>("num_tree_per_iteration", 1, 65536);
  const auto features = header.number<std::int64_t>("max_feature_idx", 0, 2147483646) + 1;
  std::int64_t trees = 0;
  while (text.starts_with("Tree=")) {
    const Section tree(read_fields(false), builder, true);
    if (tree.number<std::int64_t>("Tree", 0, std::int64_t{1} << 40) != trees) tree.fail("it is called Tree=" + std::string(tree.text("Tree")));
    add_tree(tree, builder, trees % outputs);
    ++trees;
  }
  if (!text.starts_with("end of trees")) builder.fail("the line 'end of trees' is missing: the file was cut");
  if (header.has("tree_sizes")) {
    const std::string_view sizes = header.text("tree_sizes");
    const auto told = sizes.empty() ? 0 : std::count(sizes.begin(), sizes.end(), ' ') + 1;
    if (told != trees) builder.fail("found " + std::to_string(trees) + " trees, tree_sizes tells of " + std::to_string(told));
  }
  if (trees % outputs != 0) builder.fail(std::to_string(trees) + " trees are no whole iterations of " + std::to_string(outputs));
  return std::move(builder).finish(std::vector<double>(static_cast<std::size_t>(outputs)), features, false, false);
}

}  // namespace etalage::trees
