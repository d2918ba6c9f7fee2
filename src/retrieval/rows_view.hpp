// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "etalage/core/array.hpp"
#include "kernels/code_kernels.hpp"
#include "retrieval/item_store.hpp"
#include "retrieval/stored_rows.hpp"

namespace etalage::retrieval {

inline constexpr std::size_t kFewestTogether = 32;  ///< queries that make panels worth while

/// Rows of one moment: they never change, so nobody waits while they are read.
struct RowsView {
  RowsView() = default;
  explicit RowsView(const ItemStore& s) : shape(s.shape), vectors(s.vectors), parts(s.parts), codes(s.codes), ids(s.ids) {}
  [[nodiscard]] const std::uint8_t* record(std::size_t row) const noexcept { return codes.data() + row * shape.stride; }
  /// Points into this view.
  [[nodiscard]] StoredRows stored() const noexcept {
    return parts.rest.empty() ? StoredRows(vectors.data(), shape.dim) : StoredRows(parts, codes.data(), shape);
  }
  kernels::CodeShape shape;
  Array<float> vectors;
  SplitParts parts;
  Array<std::uint8_t> codes;
  Array<std::int64_t> ids;
};

}  // namespace etalage::retrieval
