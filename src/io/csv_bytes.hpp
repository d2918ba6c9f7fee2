// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "etalage/core/array.hpp"

namespace etalage::detail {

/// The whole text of a file, unpacked where it is gzip (also of several members). Memory grows with what is really
/// there, never by a size that the file states. FormatError for damaged or truncated gzip and for what is not UTF-8 text.
[[nodiscard]] Array<char> read_text(const std::filesystem::path& path);

}  // namespace etalage::detail
