// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <utility>

namespace etalage {

/// A value of an enumeration and the word for it in options.
template <class E>
using OptionName = std::pair<const char*, E>;

/// The words for the values of an enumeration, as options spell them in every language; specialised beside each one.
template <class E>
inline constexpr std::array<OptionName<E>, 0> option_names{};

/// visit(name, field) for each pair of a name and a field, in their order.
template <class Visit, class Field, class... More>
void visit_options(const Visit& visit, const char* name, Field& field, More&... more) {
  visit(name, field);
  if constexpr (sizeof...(more) > 0) visit_options(visit, more...);
}

}  // namespace etalage
