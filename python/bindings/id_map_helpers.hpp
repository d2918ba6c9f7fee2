// SPDX-License-Identifier: Apache-2.0
// The shop's keys between Python and IdMap: strings, or integers that fit in 64 bits.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "etalage/core/id_map.hpp"

namespace etalage::python {

namespace py = pybind11;

/// Any one-dimensional array, series or list of strings or of integers, all of one kind. TypeError names the first key
/// that is neither; std::invalid_argument on duplicates.
[[nodiscard]] SharedIdMap id_map_from_keys(py::handle keys, const char* argument);

/// The text of a Python string, which must outlive it; std::invalid_argument for a lone surrogate, which no key can hold.
[[nodiscard]] std::string_view text_of(py::handle key, const char* argument);

/// An integer, or a float whose value is whole as logs read them, and whether it fits in 64 bits; nothing for others.
[[nodiscard]] std::optional<std::pair<std::int64_t, bool>> whole_number(py::handle key);

/// int32 [n], -1 for unknown keys and missing ones (None, NaN). One rule for every call that takes keys: a key of the other
/// kind than the map's is a std::invalid_argument that shows both; floats are integers where they are whole, as in logs. A
/// map without keys knows none and has no kind.
[[nodiscard]] py::array_t<std::int32_t> find_keys(const IdMap& ids, py::handle keys, const char* argument);

/// The keys in index order: int64 [n] shared and read-only, or an object array of str.
[[nodiscard]] py::array keys_to_numpy(const IdMap& ids);

/// The keys at some indices, shaped like them; -1 gives -1 among integers and None among strings.
[[nodiscard]] py::array keys_at(const IdMap& ids, const py::array_t<std::int32_t, py::array::c_style>& indices);

}  // namespace etalage::python
