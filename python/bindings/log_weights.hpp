// SPDX-License-Identifier: Apache-2.0
// How Python says what the columns of a table mean, and how a log becomes a matrix.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "data_helpers.hpp"
#include "etalage/core/event_log.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/recipe.hpp"
#include "given.hpp"
#include "recipe_helpers.hpp"
#include "text_lists.hpp"

namespace etalage::python {

/// The choice that a recipe calls by `text`; others says what else the argument may be.
template <class E>
E choice_named(const char* argument, const std::string& text, const std::string& found, const std::vector<std::string>& others = {}) {
  for (const auto& [word, choice] : option_names<E>)
    if (word == text) return choice;
  throw std::invalid_argument(std::string(argument) + " is " + found + ", must be " + words_of_choices<E>(others));
}
template <class E>
E choice_named(const char* argument, const py::object& given, const std::vector<std::string>& others = {}) {
  const bool text = py::isinstance<py::str>(given);
  for (const auto& [word, choice] : option_names<E>)
    if (text && given.equal(py::str(word))) return choice;
  return choice_named<E>(argument, std::string(), text ? std::string(py::repr(given)) : describe(given), others);
}

inline void set_transform(InteractionOptions& o, const py::object& transform, const py::object& normalize) {
  if (!normalize.is_none()) o.normalize_users = choice_named<UserNormalization>("normalize_users", normalize, {"None"});
  if (transform.is_none()) return;
  if (py::isinstance<py::tuple>(transform) || py::isinstance<py::list>(transform)) {
    const py::list pair(transform);
    if (pair.size() == 2 && py::isinstance<py::str>(pair[0]) && py::object(pair[0]).equal(py::str("cap")) && PyNumber_Check(pair[1].ptr()) != 0) {
      o.value_transform = ValueTransform::kCap;
      o.value_cap = py::float_(py::object(pair[1]));
      return;
    }
  }
  const std::vector<std::string> others{"('cap', x)", "None"};
  o.value_transform = py::isinstance<py::str>(transform) ? choice_named<ValueTransform>("value_transform", transform, others)
                                                         : choice_named<ValueTransform>("value_transform", "", std::string(py::repr(transform)), others);
}

/// How a log becomes a matrix, as it was given.
struct GivenWeights {
  const Given<std::optional<std::map<std::string, double>>>& event_weights;
  const Given<std::optional<double>>& half_life_days;
  const py::object& now;
  const MaybeText& duplicates;
  const Count& min_user_count;
  const Count& min_item_count;
  const MaybeText& return_event;
  const py::object& return_cancels;
  const MaybeText& negative_values;
  const py::object& value_transform;
  const MaybeText& normalize_users;
  const Count& num_threads;

  [[nodiscard]] InteractionOptions options() const {
    InteractionOptions o;
    set_transform(o, value_transform, normalize_users.object);
    if (const auto weights = event_weights("event_weights")) {
      if (weights->empty()) throw std::invalid_argument("event_weights is empty, must name every event type or be None");
      o.event_weights = *weights;
    }
    if (const auto days = half_life_days("half_life_days")) {
      if (!(*days > 0)) throw std::invalid_argument("half_life_days is " + std::to_string(*days) + ", must be > 0 or None");
      o.half_life_days = *days;
    }
    if (!now.is_none()) o.now_ms = py::module_::import("etalage._times").attr("to_ms")(now, "now").cast<std::int64_t>();
    o.duplicates = choice_named<Duplicates>("duplicates", duplicates.object);
    o.min_user_count = min_user_count("min_user_count");
    o.min_item_count = min_item_count("min_item_count");
    o.return_event = return_event("return_event").value_or("");
    if (!return_cancels.is_none()) {
      const auto names = text_or_texts(return_cancels, "return_cancels", "an event type, a list of event types or None");
      const auto* one = std::get_if<std::string>(&names);
      o.return_cancels = one != nullptr ? std::vector<std::string>{*one} : std::get<std::vector<std::string>>(names);
    }
    o.negative_values = choice_named<NegativeValues>("negative_values", negative_values.object);
    o.num_threads = num_threads("num_threads");
    o.validate();
    return o;
  }
};

/// Interactions of the log that `read` gives, once the options are known to mean something; the recipe goes with them.
template <class Read>
py::object interactions_of(const Read& read, const GivenWeights& how) {
  const InteractionOptions options = how.options();
  const EventLog& log = read();  // lives as long as this call, where it is made here
  std::shared_ptr<Interactions> made;
  {
    const py::gil_scoped_release release;
    made = std::make_shared<Interactions>(log.interactions(options));
  }
  return with_recipe(std::move(made), py::dict(py::arg("event_weights") = how.event_weights, py::arg("half_life_days") = how.half_life_days,
                                               py::arg("duplicates") = how.duplicates, py::arg("return_event") = how.return_event,
                                               py::arg("return_cancels") = how.return_cancels, py::arg("negative_values") = how.negative_values,
                                               py::arg("value_transform") = how.value_transform, py::arg("normalize_users") = how.normalize_users));
}

/// What the columns of a table mean, as it was given.
inline EventColumns columns_of(const Text& user, const Text& item, const MaybeText& event, const MaybeText& time, const MaybeText& value,
                        const MaybeText& session, const MaybeText& time_unit, const Text& on_error, const Count& num_threads) {
  return event_columns(user("user"), item("item"), event("event"), time("time"), value("value"), session("session"), time_unit("time_unit"),
                       on_error("on_error"), num_threads("num_threads"));
}

}  // namespace etalage::python
