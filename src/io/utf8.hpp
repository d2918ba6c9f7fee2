// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace etalage::io {

/// Whether the bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates).
[[nodiscard]] bool is_utf8(std::string_view s) noexcept;

}  // namespace etalage::io
