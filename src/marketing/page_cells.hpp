// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "etalage/marketing/page.hpp"

namespace etalage::marketing {

/// Candidates as the search wants them: products numbered densely, the best of a row first. With a temperature a product that is
/// in m rows has m copies of falling worth, of which each may be shown once.
struct PageCells {
  explicit PageCells(const PageProblem& problem);

  struct Cell {
    double value = 0;          ///< score of the copy; cascade: -log(1 - score)
    std::int32_t copy = 0;     ///< index of (product, copy)
    std::int32_t product = 0;  ///< dense index of the product
    std::size_t cell = 0;      ///< of the problem
  };
  std::size_t rows = 0, positions = 0, places = 0;
  std::vector<std::size_t> offsets;            ///< [rows + 1] into cells
  std::vector<Cell> cells;                     ///< of each row by falling value, then rising index; pinned products are not among them
  std::vector<std::size_t> holders_offsets;    ///< [copies + 1] into holders
  std::vector<std::uint32_t> holders;          ///< cells of a copy
  std::vector<std::uint32_t> row_of;           ///< [cells], row of a cell of `cells`
  std::vector<std::int32_t> product_of;        ///< [problem cells], dense product
  std::size_t copies = 0, products = 0;
  std::vector<std::size_t> first_place;        ///< [positions + 1]
  std::vector<std::int32_t> position_of;       ///< [places]
  std::vector<std::int64_t> pinned;            ///< [rows, max slots], problem cell, -1: free
  std::size_t most_slots = 0;
  std::vector<std::uint32_t> looking;          ///< [places], places in the order of looking

  [[nodiscard]] std::int64_t pinned_at(std::size_t row, std::size_t slot) const { return pinned[row * most_slots + slot]; }
  [[nodiscard]] std::size_t slot_of(std::size_t place) const { return place - first_place[static_cast<std::size_t>(position_of[place])]; }
};

/// What a page is worth by the click model; cells [places] as in PageLayout.
[[nodiscard]] double page_value(const PageProblem& problem, const PageCells& cells, std::span<const std::int64_t> page);

/// Weights under which a position model of the cells' values, plus the constant, is at least the cascade everywhere and equal at `page`.
[[nodiscard]] double cascade_tangent(const PageProblem& problem, const PageCells& cells, std::span<const std::int64_t> page, std::span<double> weights);

}  // namespace etalage::marketing
