// SPDX-License-Identifier: Apache-2.0
#include "etalage/io/recipe_json.hpp"

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>

#include "serving/rules/json.hpp"

namespace etalage {
namespace {

using serving::JsonValue;
using serving::number_text;
using serving::quoted;

template <class Choice>
std::string name_of(Choice choice) {
  for (const auto& [name, value] : option_names<Choice>)
    if (value == choice) return quoted(name, "a choice");
  return "null";
}

template <class Choice>
Choice choice_of(const JsonValue& value) {
  std::string rule = "one of ";
  const std::string text = value.raw().is_string() ? value.text() : std::string();
  for (const auto& [name, choice] : option_names<Choice>) {
    if (name == text) return choice;
    rule += (rule.size() > 7 ? ", '" : "'") + std::string(name) + "'";
  }
  value.fail(rule);
}

double positive(const JsonValue& value) {
  const double x = value.number();
  if (!(std::isfinite(x) && x > 0)) value.fail("finite and > 0");
  return x;
}

}  // namespace

std::string to_json(const Recipe& r) {
  r.validate();
  const Recipe plain;
  std::string out;
  const auto put = [&](const char* name, const std::string& value) { out += (out.empty() ? "\"" : ", \"") + std::string(name) + "\": " + value; };
  const auto list = [](std::span<const std::string> texts) {
    std::string all;
    for (const std::string& t : texts) all += (all.empty() ? "" : ", ") + quoted(t, "return_cancels");
    return "[" + all + "]";
  };
  if (r.duplicates != plain.duplicates) put("duplicates", name_of(r.duplicates));
  if (!r.event_weights.empty()) {
    std::string all;
    for (const auto& [name, weight] : r.event_weights) all += (all.empty() ? "" : ", ") + quoted(name, "event_weights") + ": " + number_text(weight);
    put("event_weights", "{" + all + "}");
  }
  if (r.half_life_days != 0) put("half_life_days", number_text(r.half_life_days));
  if (r.idle_minutes != plain.idle_minutes) put("idle_minutes", number_text(r.idle_minutes));
  if (r.negative_values != plain.negative_values) put("negative_values", name_of(r.negative_values));
  if (r.normalize_users != plain.normalize_users) put("normalize_users", name_of(r.normalize_users));
  if (!r.return_cancels.empty()) put("return_cancels", list(r.return_cancels));
  if (!r.return_event.empty()) put("return_event", quoted(r.return_event, "return_event"));
  if (r.sessions != plain.sessions) put("sessions", name_of(r.sessions));
  if (r.value_transform == ValueTransform::kCap) put("value_transform", "[\"cap\", " + number_text(r.value_cap) + "]");
  else if (r.value_transform != plain.value_transform) put("value_transform", name_of(r.value_transform));
  return "{" + out + "}";
}

Recipe recipe_from_json(std::string_view text) {
  const serving::Json json = serving::parse_json(text, "recipe");
  const JsonValue whole(json, "recipe");
  whole.require_object();
  whole.only({"event_weights", "half_life_days", "duplicates", "return_event", "return_cancels", "negative_values", "value_transform", "normalize_users", "sessions",
              "idle_minutes"});
  // A field that is null is at its default, as in Python.
  const auto given = [&](const char* name) { return whole.has(name) && !whole.at(name).raw().is_null(); };
  Recipe r;
  if (given("event_weights")) {
    const JsonValue weights = whole.at("event_weights");
    weights.require_object();
    for (const auto& entry : weights.raw().items()) {
      if (entry.key().empty()) weights.fail("of named event types");
      r.event_weights.emplace(entry.key(), weights.at(entry.key()).number());
    }
    if (r.event_weights.empty()) weights.fail("weights by event type, not empty");
  }
  if (given("half_life_days")) r.half_life_days = positive(whole.at("half_life_days"));
  if (given("duplicates")) r.duplicates = choice_of<Duplicates>(whole.at("duplicates"));
  if (given("return_event")) r.return_event = whole.at("return_event").text();
  if (given("return_cancels")) r.return_cancels = whole.at("return_cancels").texts();
  if (given("negative_values")) r.negative_values = choice_of<NegativeValues>(whole.at("negative_values"));
  if (given("normalize_users")) r.normalize_users = choice_of<UserNormalization>(whole.at("normalize_users"));
  if (given("sessions")) r.sessions = choice_of<EventLog::By>(whole.at("sessions"));
  if (given("idle_minutes")) r.idle_minutes = positive(whole.at("idle_minutes"));
  if (given("value_transform")) {
    const JsonValue value = whole.at("value_transform");
    if (value.raw().is_array()) {
      if (value.array_size() != 2 || !value.at(std::size_t{0}).raw().is_string() || value.at(std::size_t{0}).text() != "cap") value.fail("'log1p', 'sqrt', 'rank' or [\"cap\", x]");
      r.value_transform = ValueTransform::kCap;
      r.value_cap = positive(value.at(std::size_t{1}));
    } else {
      r.value_transform = choice_of<ValueTransform>(value);
    }
  }
  r.validate();
  return r;
}

}  // namespace etalage
