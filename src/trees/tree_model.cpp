// SPDX-License-Identifier: Apache-2.0
#include "etalage/trees/tree_model.hpp"

#include <string>
#include <string_view>

#include "etalage/error.hpp"
#include "trees/json.hpp"
#include "trees/readers.hpp"

namespace etalage {
namespace {

using nlohmann::json;

/// Counts values and levels before any tree of them is made: a few bytes of UBJSON may claim billions of empty values, and
/// its reader descends by recursion.
class Budget final : public nlohmann::json_sax<json> {
 public:
  Budget(std::size_t values, std::size_t levels) : values_(values), levels_(levels) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return down(); }
  bool key(string_t&) override { return value(); }
  bool end_object() override { return up(); }
  bool start_array(std::size_t) override { return down(); }
  bool end_array() override { return up(); }
  bool parse_error(std::size_t position, const std::string&, const json::exception& e) override {
    error = "at byte " + std::to_string(position) + ": " + std::string(e.what()).substr(0, 200);
    return false;
  }

  std::string error = "more values or levels than its bytes can hold";

 private:
  bool value() { return values_-- > 0; }
  bool down() { return levels_-- > 0 && value(); }
  bool up() {
    ++levels_;
    return true;
  }
  std::size_t values_;
  std::size_t levels_;
};

json parsed(std::string_view bytes, json::input_format_t format) {
  const bool text = format == json::input_format_t::json;
  // Every value takes a byte at least. Text is read without recursion.
  Budget budget(bytes.size() + 1, text ? bytes.size() + 1 : 64);
  if (!json::sax_parse(bytes, &budget, format)) throw FormatError("not a tree model: damaged " + std::string(text ? "JSON " : "UBJSON ") + budget.error);
  try {
    return text ? json::parse(bytes) : json::from_ubjson(bytes);
  } catch (const json::exception& e) {
    throw FormatError(std::string("not a tree model: ") + e.what());
  }
}

}  // namespace

TreeEnsemble read_tree_model(std::span<const char> bytes) {
  std::string_view text(bytes.data(), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string_view trimmed = text;
  while (!trimmed.empty() && (trimmed.front() == ' ' || trimmed.front() == '\n' || trimmed.front() == '\r' || trimmed.front() == '\t')) trimmed.remove_prefix(1);
  if (trimmed.starts_with("tree\n") || trimmed.starts_with("tree\r\n")) return trees::read_lightgbm_text(trimmed);
  if (trimmed.empty() || trimmed.front() != '{')
    throw FormatError("not a tree model: must be a text or JSON file of LightGBM, a JSON or UBJSON file of XGBoost, or a JSON file of CatBoost");
  // Behind the brace JSON has a quote (or blanks, or the end); UBJSON the type of a length.
  std::string_view next = trimmed.substr(1);
  while (!next.empty() && (next.front() == ' ' || next.front() == '\n' || next.front() == '\r' || next.front() == '\t')) next.remove_prefix(1);
  const bool json_text = next.empty() || next.front() == '"' || next.front() == '}';
  const json model = parsed(json_text ? trimmed : text, json_text ? json::input_format_t::json : json::input_format_t::ubjson);
  if (model.contains("learner")) return trees::read_xgboost(model);
  if (model.contains("tree_info")) return trees::read_lightgbm_json(model);
  if (model.contains("oblivious_trees") || model.contains("features_info") || model.contains("scale_and_bias")) return trees::read_catboost(model);
  throw FormatError("not a tree model: JSON with none of the fields learner (XGBoost), tree_info (LightGBM), oblivious_trees (CatBoost)");
}

}  // namespace etalage
