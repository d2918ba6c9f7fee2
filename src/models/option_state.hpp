// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "etalage/core/auto_option.hpp"
#include "etalage/extend/state.hpp"

namespace etalage {

/// The names of those options that fits choose, in "options/auto"; nothing where all were given. `each_option` may visit others too.
template <class O, class EachOption>
void put_auto_names(StateWriter& writer, const O& options, const EachOption& each_option) {
  std::vector<std::string> names;
  each_option(options, [&](const char* name, const auto& field) {
    if constexpr (is_auto_option<std::remove_cvref_t<decltype(field)>>)
      if (!field.given()) names.emplace_back(name);
  });
  if (!names.empty()) writer.put_strings("options/auto", names);
}

/// Options as they were read, all given, become again those that fits choose where the file says so.
template <class O, class EachOption>
void get_auto_names(const StateReader& reader, O& options, const EachOption& each_option) {
  std::vector<std::string> names;
  if (reader.has("options/auto")) names = reader.get_strings("options/auto");
  each_option(options, [&](const char* name, auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    if constexpr (is_auto_option<T>)
      field = std::find(names.begin(), names.end(), name) != names.end() ? T::unless_given(field.value()) : T(field.value());
  });
}

/// Options as fields "options/<name>" of a state. An options struct is gone through by a function
///   template <class O, class Visit> void each_option(O& options, const Visit& visit)   // visit("name", field) for each
/// which the writer, the reader and nobody else needs to know. Enumerations are stored by number.
template <class O, class EachOption>
void put_options(StateWriter& writer, const O& options, const EachOption& each_option) {
  const auto put = [&](const char* name, const auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    const std::string key = std::string("options/") + name;
    if constexpr (std::is_same_v<T, bool>) writer.put_bool(key, field);
    else if constexpr (std::is_floating_point_v<T>) writer.put_double(key, static_cast<double>(field));
    else writer.put_int(key, static_cast<std::int64_t>(field));
  };
  each_option(options, [&](const char* name, const auto& field) {
    if constexpr (is_auto_option<std::remove_cvref_t<decltype(field)>>) put(name, field.value());
    else put(name, field);
  });
  put_auto_names(writer, options, each_option);
}

/// Fields that a file does not have, because an earlier version wrote it, keep their defaults; what validate() refuses
/// is a FormatError.
template <class O, class EachOption>
O get_options(const StateReader& reader, const EachOption& each_option) {
  O options;
  const auto get = [&](const char* name, auto& field) {
    using T = std::remove_cvref_t<decltype(field)>;
    const std::string key = std::string("options/") + name;
    if (!reader.has(key)) return;
    if constexpr (std::is_same_v<T, bool>) field = reader.get_bool(key);
    else if constexpr (std::is_floating_point_v<T>) field = static_cast<T>(reader.get_double(key));
    else if constexpr (std::is_enum_v<T>) field = static_cast<T>(reader.get_int(key, 0, std::numeric_limits<std::underlying_type_t<T>>::max()));
    else field = static_cast<T>(reader.get_int(key, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
  };
  each_option(options, [&](const char* name, auto& field) {
    if constexpr (is_auto_option<std::remove_cvref_t<decltype(field)>>) {
      auto value = field.value();
      get(name, value);
      field = value;
    } else {
      get(name, field);
    }
  });
  get_auto_names(reader, options, each_option);
  try {
    options.validate();
  } catch (const std::invalid_argument& e) {
    reader.fail("options", std::string("found ") + e.what());
  }
  return options;
}

}  // namespace etalage
