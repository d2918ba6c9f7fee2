// SPDX-License-Identifier: Apache-2.0
// Options as fields of a state, by the one list of them that their struct has:
//   template <class Options, class Visit> static void each(Options& o, const Visit& visit)   // visit("name", field) for each
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"

namespace etalage {

/// Fields "options/<name>". Enumerations are stored by number, and in "options/auto" the names of those that fits choose, where there are any.
template <class O>
void put_options(StateWriter& writer, const O& options) {
  std::vector<std::string> unsettled;
  const auto put = [&](const std::string& key, const auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    if constexpr (std::is_same_v<T, bool>) writer.put_bool(key, field);
    else if constexpr (std::is_same_v<T, std::vector<float>>) writer.put_doubles(key, std::vector<double>(field.begin(), field.end()));
    else if constexpr (std::is_floating_point_v<T>) writer.put_double(key, static_cast<double>(field));
    else writer.put_int(key, static_cast<std::int64_t>(field));
  };
  O::each(options, [&](const char* name, const auto& field, const OptionRule&) {
    if constexpr (is_auto_option<std::remove_cvref_t<decltype(field)>>) {
      put(std::string("options/") + name, field.value());
      if (!field.given()) unsettled.emplace_back(name);
    } else {
      put(std::string("options/") + name, field);
    }
  });
  if (!unsettled.empty()) writer.put_strings("options/auto", unsettled);
}

/// A number that its field cannot hold, or what validate() refuses, is a FormatError. What is not there keeps its default.
template <class O>
O get_options(const StateReader& reader) {
  O options;
  const auto get = [&](const std::string& key, auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    if (!reader.has(key)) return;
    if constexpr (std::is_same_v<T, bool>) {
      field = reader.get_bool(key);
    } else if constexpr (std::is_same_v<T, std::vector<float>>) {
      field.clear();
      for (const double v : reader.get_doubles(key)) field.push_back(static_cast<float>(v));
    } else if constexpr (std::is_floating_point_v<T>) {
      field = static_cast<T>(reader.get_double(key));
    } else if constexpr (std::is_enum_v<T>) {
      constexpr std::size_t names = option_names<T>.size();
      field = static_cast<T>(reader.get_int(key, 0, names > 0 ? static_cast<std::int64_t>(names) - 1 : std::numeric_limits<std::underlying_type_t<T>>::max()));
    } else if constexpr (sizeof(T) == sizeof(std::int64_t)) {
      field = static_cast<T>(reader.get_int(key));
    } else {
      field = static_cast<T>(reader.get_int(key, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    }
  };
  std::vector<std::string> unsettled;
  if (reader.has("options/auto")) unsettled = reader.get_strings("options/auto");
  O::each(options, [&](const char* name, auto& field, const OptionRule&) {
    using T = std::remove_cvref_t<decltype(field)>;
    if constexpr (is_auto_option<T>) {
      auto value = field.value();
      get(std::string("options/") + name, value);
      field = std::find(unsettled.begin(), unsettled.end(), name) != unsettled.end() ? T::unless_given(value) : T(value);
    } else {
      get(std::string("options/") + name, field);
    }
  });
  try {
    options.validate();
  } catch (const std::invalid_argument& e) {
    reader.fail("options", std::string("found ") + e.what());
  }
  return options;
}

/// A model of the options in a state; load(model) reads the rest.
template <class Model, class Load>
std::shared_ptr<Model> made_of_state(const StateReader& reader, const Load& load) {
  auto model = std::make_shared<Model>(get_options<std::remove_cvref_t<decltype(std::declval<const Model&>().options())>>(reader));
  load(*model);
  return model;
}

}  // namespace etalage
