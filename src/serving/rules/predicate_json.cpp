// SPDX-License-Identifier: Apache-2.0
#include "serving/rules/predicate_json.hpp"

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace etalage {
namespace serving {
namespace {

// What the predicates' own checks say, at this place.
template <class F>
Predicate at_place(const JsonValue& value, const F& make) {
  try {
    return make();
  } catch (const std::invalid_argument& e) {
    fail_at(value.path(), e.what());
  }
}

std::string place_in(const JsonValue& value) {
  return value.has("place") ? value.at("place").text() : std::string();
}

Predicate range(const JsonValue& value, Predicate (*make)(std::optional<double>, std::optional<double>, std::string_view)) {
  value.require_object();
  value.only({"min", "max", "place"});
  const auto bound = [&](const char* side) -> std::optional<double> {
    if (!value.has(side)) return {};
    const JsonValue v = value.at(side);
    if (!v.raw().is_number() || v.number() < 0) v.fail("a number >= 0");
    return v.number();
  };
  const auto min = bound("min");
  const auto max = bound("max");
  if (!min && !max) value.fail("an object with min, max or both");
  if (min && max && *min > *max) value.at("min").fail("<= max, " + number_text(*max));
  return make(min, max, place_in(value));
}

/// true, false, or {"place": ...}.
Predicate yes_no(const JsonValue& value, Predicate (*make)(std::string_view)) {
  if (!value.raw().is_object()) return value.boolean() ? make({}) : ~make({});
  value.only({"place"});
  if (!value.has("place")) value.fail("true, false, or an object with place");
  return make(place_in(value));
}

Predicate attributes(const JsonValue& value) {
  value.require_object();
  if (value.raw().empty()) value.fail("an object of names with a value or a list of values");
  Predicate out;
  for (const auto& entry : value.raw().items()) {
    const JsonValue v = value.at(entry.key());
    out = out & at_place(v, [&] { return Predicate::attribute(entry.key(), v.texts()); });
  }
  return out;
}

Predicate items(const JsonValue& value) {
  std::vector<std::string> keys;
  const std::size_t n = value.array_size();
  for (std::size_t i = 0; i < n; ++i) keys.push_back(value.at(i).key());
  return at_place(value, [&] { return Predicate::items(std::move(keys)); });
}

Predicate category(const JsonValue& value) {
  if (value.raw().is_string()) return at_place(value, [&] { return Predicate::category(std::string_view(value.text())); });
  if (!value.raw().is_array() || value.raw().empty()) value.fail("a path, 'a/b' or a list of names");
  return Predicate::category(value.texts());
}

Predicate joined(const JsonValue& value, bool all) {
  const std::size_t n = value.array_size();
  if (n == 0 && !all) value.fail("a list that is not empty");
  Predicate out;
  for (std::size_t i = 0; i < n; ++i) {
    const Predicate p = read_predicate(value.at(i));
    out = i == 0 ? p : all ? out & p : out | p;
  }
  return out;
}

Predicate field(const std::string& key, const JsonValue& value) {
  if (key == "all") return joined(value, true);
  if (key == "any") return joined(value, false);
  if (key == "not") return ~read_predicate(value);
  if (key == "in_stock") return yes_no(value, Predicate::in_stock);
  if (key == "stock") return range(value, Predicate::stock);
  if (key == "price") return range(value, Predicate::price);
  if (key == "known_stock") return yes_no(value, Predicate::known_stock);
  if (key == "known_price") return yes_no(value, Predicate::known_price);
  if (key == "offered") return yes_no(value, Predicate::offered);
  if (key == "category") return category(value);
  if (key == "brand") return Predicate::brand(value.texts());
  if (key == "tag") return Predicate::tag(value.texts());
  if (key == "attribute") return attributes(value);
  if (key == "region") return Predicate::region(value.text());
  if (key == "age") return Predicate::age(static_cast<int>(value.integer(0, 1000)));
  return items(value);
}

}  // namespace

Predicate read_predicate(const JsonValue& value) {
  value.require_object();
  value.only({"all", "any", "not", "in_stock", "stock", "price", "known_stock", "known_price", "offered", "category", "brand", "tag",
              "attribute", "region", "age", "items"});
  Predicate out;
  for (const auto& entry : value.raw().items()) out = out & field(entry.key(), value.at(entry.key()));
  return out;
}

}  // namespace serving

Predicate Predicate::from_json(std::string_view json) {
  const serving::Json parsed = serving::parse_json(json, "predicate");
  return serving::read_predicate({parsed, "predicate"});
}

}  // namespace etalage
