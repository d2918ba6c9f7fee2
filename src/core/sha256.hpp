// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace etalage::detail {

/// SHA-256 (FIPS 180-4) of the bytes. Here for numbers that other systems must be able to compute alike, not for secrecy.
[[nodiscard]] std::array<std::uint8_t, 32> sha256(std::string_view bytes);

}  // namespace etalage::detail
