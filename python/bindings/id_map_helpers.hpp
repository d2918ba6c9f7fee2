// SPDX-License-Identifier: Apache-2.0
// The shop's keys between Python and IdMap: strings, or integers that fit in 64 bits.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <span>

#include "etalage/core/id_map.hpp"

namespace etalage::python {

namespace py = pybind11;

/// Any one-dimensional array, series or list of strings or of integers, all of one kind. TypeError names the first key
/// that is neither; std::invalid_argument on duplicates.
[[nodiscard]] SharedIdMap id_map_from_keys(py::handle keys, const char* argument);

/// int32 [n], -1 for unknown keys and for keys of the other kind.
[[nodiscard]] py::array_t<std::int32_t> find_keys(const IdMap& ids, py::handle keys, const char* argument);

/// The keys in index order: int64 [n] shared and read-only, or an object array of str.
[[nodiscard]] py::array keys_to_numpy(const IdMap& ids);

/// The keys at some indices, shaped like them; -1 gives -1 among integers and None among strings.
[[nodiscard]] py::array keys_at(const IdMap& ids, const py::array_t<std::int32_t, py::array::c_style>& indices);

}  // namespace etalage::python
