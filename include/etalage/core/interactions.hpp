// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Who did how much of what: a canonical users x items matrix with the shop's keys beside it. Immutable, cheap to copy.
class ETALAGE_EXPORT Interactions {
 public:
  Interactions() = default;
  /// Keys may be null (rows and columns are then known by index only). std::invalid_argument when a map's size is not
  /// the matrix's, or when the matrix is not valid; unsorted or repeated columns are sorted and summed.
  explicit Interactions(CsrMatrix user_items, SharedIdMap user_ids = nullptr, SharedIdMap item_ids = nullptr,
                        std::optional<std::int64_t> newest_ms = {});

  /// [num_users x num_items], columns of a row ascending and unique.
  [[nodiscard]] const CsrMatrix& user_items() const noexcept { return user_items_; }
  [[nodiscard]] const SharedIdMap& user_ids() const noexcept { return user_ids_; }
  [[nodiscard]] const SharedIdMap& item_ids() const noexcept { return item_ids_; }
  [[nodiscard]] std::int32_t num_users() const noexcept { return static_cast<std::int32_t>(user_items_.rows); }
  [[nodiscard]] std::int32_t num_items() const noexcept { return static_cast<std::int32_t>(user_items_.cols); }
  [[nodiscard]] std::int64_t nnz() const noexcept { return user_items_.nnz(); }
  /// UTC milliseconds of the newest event of the log that they were made of; none without times.
  [[nodiscard]] const std::optional<std::int64_t>& newest_ms() const noexcept { return newest_ms_; }

 private:
  friend class EventLog;  // makes canonical matrices, which need no second look
  struct Canonical {};
  Interactions(CsrMatrix user_items, SharedIdMap user_ids, SharedIdMap item_ids, std::optional<std::int64_t> newest_ms, Canonical);

  CsrMatrix user_items_;
  SharedIdMap user_ids_;
  SharedIdMap item_ids_;
  std::optional<std::int64_t> newest_ms_;
};

}  // namespace etalage
