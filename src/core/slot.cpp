// SPDX-License-Identifier: Apache-2.0
#include "etalage/core/slot.hpp"

#include <stdexcept>
#include <string>

#include "core/sha256.hpp"

namespace etalage {

std::int32_t slot(std::string_view key, std::string_view salt) {
  if (salt.find('\n') != std::string_view::npos)
    throw std::invalid_argument("salt has a line break, must be one line of text");
  std::string text;
  text.reserve(salt.size() + 1 + key.size());
  text.append(salt).append(1, '\n').append(key);
  const auto hash = detail::sha256(text);
  std::uint64_t first = 0;
  for (std::size_t j = 0; j < 7; ++j) first = first << 8 | hash[j];
  return static_cast<std::int32_t>((first >> 4) % static_cast<std::uint64_t>(kSlots));
}

std::int32_t slot(std::int64_t key, std::string_view salt) { return slot(std::to_string(key), salt); }

}  // namespace etalage
