// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

#include "core/column.hpp"
#include "etalage/core/array.hpp"
#include "etalage/core/id_map.hpp"

namespace etalage::detail {

/// How keys are looked up: results are the same. Tests name the ways; a column without dictionaries may go either.
enum class InternWay : std::uint8_t { kAutomatic, kOneTable, kPartitioned };

/// A column of keys as dense numbers.
struct Interned {
  Array<std::int32_t> codes;  ///< [n], -1 where there is no usable key
  SharedIdMap ids;            ///< null until finish() has run
  /// Builds ids; left to the caller, which may refuse the rows before.
  std::function<SharedIdMap()> make_ids;
  bool complete = false;  ///< no code is -1
  void finish() {
    if (make_ids) ids = make_ids();
    make_ids = nullptr;
  }
};

/// Numbers the keys of a column, which must outlive finish(), in order of first appearance; the same for any number of threads. Missing keys, empty
/// strings and numbers that are no 64-bit integer get -1. std::invalid_argument for a column that cannot hold keys.
[[nodiscard]] Interned intern_keys(const Column& column, int num_threads, InternWay way = InternWay::kAutomatic);

/// Numbers what is left of `codes` after some rows were dropped, again in order of first appearance.
[[nodiscard]] Interned renumbered(const Array<std::int32_t>& codes, const IdMap& ids);

}  // namespace etalage::detail
