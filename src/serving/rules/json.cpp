// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/json.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

namespace etalage::serving {
namespace {

constexpr std::size_t kDeepest = 64;

// Follows the parser through the text, to name the place of what it refuses.
class Guard {
 public:
  explicit Guard(std::string what) : what_(std::move(what)) {}

  bool operator()(int, Json::parse_event_t event, Json& parsed) {
    using Event = Json::parse_event_t;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        next();
        levels_.push_back({event == Event::array_start, -1, {}, {}});
        if (levels_.size() > kDeepest) fail_at(what_, "is nested deeper than " + std::to_string(kDeepest) + " levels");
        break;
      case Event::object_end:
      case Event::array_end: levels_.pop_back(); break;
      case Event::key:
        levels_.back().key = parsed.get<std::string>();
        if (!levels_.back().keys.insert(levels_.back().key).second) fail_at(path(), "is given twice");
        break;
      case Event::value: next(); break;
    }
    return true;
  }

 private:
  struct Level {
    bool array;
    int index;
    std::string key;
    std::set<std::string> keys;
  };
  void next() {
    if (!levels_.empty() && levels_.back().array) ++levels_.back().index;
  }
  [[nodiscard]] std::string path() const {
    std::string out;
    for (const Level& l : levels_) {
      if (l.array) {
        out.append("[").append(std::to_string(l.index)).append("]");
      } else {
        if (!out.empty()) out += '.';
        out += l.key;
      }
    }
    return out;
  }
  std::string what_;
  std::vector<Level> levels_;
};

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text.replace(57, std::string::npos, "...");
  return text;
}

}  // namespace

void fail_at(const std::string& path, const std::string& message) { throw std::invalid_argument(path + ": " + message); }

Json parse_json(std::string_view text, const std::string& what) {
  try {
    return Json::parse(text, Guard(what));
  } catch (const Json::exception& e) {
    std::string message = e.what();
    const auto at = message.find("parse error at ");
    if (at != std::string::npos) message = message.substr(at + 15);
    fail_at(what, message);
  }
}

void JsonValue::fail(const std::string& rule) const { fail_at(path_, "is " + shown(*value_) + ", must be " + rule); }

void JsonValue::require_object() const {
  if (!value_->is_object()) fail("an object");
}

JsonValue JsonValue::at(const std::string& key) const {
  return {(*value_)[key], path_.empty() ? key : path_ + "." + key};
}
JsonValue JsonValue::at(std::size_t index) const { return {(*value_)[index], path_ + "[" + std::to_string(index) + "]"}; }

std::size_t JsonValue::array_size() const {
  if (!value_->is_array()) fail("an array");
  return value_->size();
}

bool JsonValue::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

double JsonValue::number() const {
  if (!value_->is_number()) fail("a number");
  return value_->get<double>();
}

std::int64_t JsonValue::integer(std::int64_t min, std::int64_t max) const {
  const std::string rule = "a whole number in [" + std::to_string(min) + ", " + std::to_string(max) + "]";
  if (!value_->is_number_integer()) fail(rule);
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > static_cast<std::uint64_t>(max)) fail(rule);
  const auto v = value_->get<std::int64_t>();
  if (v < min || v > max) fail(rule);
  return v;
}

std::string JsonValue::text() const {
  if (!value_->is_string() || value_->get_ref<const std::string&>().empty()) fail("a string that is not empty");
  return value_->get<std::string>();
}

std::string JsonValue::key() const {
  if (value_->is_number_integer()) return value_->dump();
  if (!value_->is_string()) fail("a product's key, a string or an integer");
  return value_->get<std::string>();
}

std::vector<std::string> JsonValue::texts() const {
  if (value_->is_string()) return {text()};
  if (!value_->is_array() || value_->empty()) fail("a string or a list of strings that is not empty");
  std::vector<std::string> out;
  for (std::size_t i = 0; i < value_->size(); ++i) out.push_back(at(i).text());
  return out;
}

void JsonValue::only(std::initializer_list<std::string_view> known) const {
  for (const auto& entry : value_->items()) {
    if (std::find(known.begin(), known.end(), entry.key()) != known.end()) continue;
    std::string list;
    for (const std::string_view k : known) {
      if (!list.empty()) list += ", ";
      list += k;
    }
    fail_at(path_.empty() ? entry.key() : path_ + "." + entry.key(), "is not a field here, must be one of " + list);
  }
}

std::string quoted(const std::string& text, const char* argument) {
  try {
    return Json(text).dump();
  } catch (const Json::exception&) {
    throw std::invalid_argument(std::string(argument) + " holds text that is not UTF-8");
  }
}

std::string number_text(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return std::to_string(static_cast<std::int64_t>(value));
  return Json(value).dump();
}

}  // namespace etalage::serving
