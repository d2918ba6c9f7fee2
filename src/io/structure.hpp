// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace etalage::io {

/// The small part of a file: options, shapes, reports. The alternative's index is the tag in the file.
using Value = std::variant<std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;
using Structure = std::map<std::string, Value, std::less<>>;

/// A Boost text archive without its own header, of integers and binary runs only: any Boost reads what any wrote.
std::string write_structure(const Structure& values);

/// The reverse. Every length is checked against the bytes that are left before anything is allocated for it;
/// FormatError begins with `label`.
Structure read_structure(std::span<const std::byte> bytes, const std::string& label);

}  // namespace etalage::io
