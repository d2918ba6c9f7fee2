// SPDX-License-Identifier: Apache-2.0
#include "core/option_check.hpp"

namespace etalage {

std::string listed_choices(std::span<const std::string> choices) {
  std::string out;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) out.append(i + 1 == choices.size() ? " or " : ", ");
    out.append(choices[i]);
  }
  return out;
}

std::string quoted_choice(std::string_view choice) {
  std::string out;
  out.append(1, '\'').append(choice).append(1, '\'');
  return out;
}

}  // namespace etalage
