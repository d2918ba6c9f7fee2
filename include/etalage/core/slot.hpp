// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "etalage/export.hpp"

namespace etalage {

/// Shoppers are cut into this many slots; experiments, hold-outs and campaigns hand out whole slots.
inline constexpr std::int32_t kSlots = 10'000;

/// The slot of a shopper under a salt, in [0, kSlots): the same for ever, in C++, Python and whatever can compute
///     int(sha256(salt + "\n" + key).hex[0:13], 16) mod 10000
/// on UTF-8 text; 13 hexadecimal digits are 52 bits, which a double holds exactly. An integer key counts as its decimal
/// text: a shopper whom one system knows as 42 and another as "42" stands in one slot. Different salts give slots that
/// have nothing to do with each other. std::invalid_argument: a salt with a line break, which would let two pairs meet.
[[nodiscard]] ETALAGE_EXPORT std::int32_t slot(std::string_view key, std::string_view salt);
[[nodiscard]] ETALAGE_EXPORT std::int32_t slot(std::int64_t key, std::string_view salt);

}  // namespace etalage
