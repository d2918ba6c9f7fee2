// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "marketing/page_cells.hpp"

namespace etalage::marketing {

/// One page with its rows in a given order: made to keep what it must, then better by exchanges.
class PageDraft {
 public:
  PageDraft(const PageProblem& problem, const PageCells& cells);

  /// Takes what the auction gave (held [places], cells of PageCells), leaves out what repeats in a row, adds the pins.
  void start(std::span<const double> weights, std::span<const std::int32_t> order, std::span<const std::int32_t> held);
  /// Exchanges that lose least until maxima hold and minima are reached. False where none is found.
  [[nodiscard]] bool repair();
  /// Fills what is empty, and exchanges what gains.
  void improve();
  /// Problem cells of the places, -1: empty.
  [[nodiscard]] const std::vector<std::int64_t>& page() const noexcept { return page_; }
  [[nodiscard]] const std::vector<std::int64_t>& given() const noexcept { return given_; }
  /// Limits below their minimum after a repair that failed.
  [[nodiscard]] std::vector<std::size_t> short_limits() const;

 private:
  struct Move {
    std::size_t place = 0;
    std::int32_t cell = -1;  ///< of PageCells
    double loss = 0;
  };
  [[nodiscard]] std::span<const std::int32_t> limits_of(std::int64_t cell) const;
  [[nodiscard]] bool counts_in(std::int64_t cell, std::size_t limit) const;
  /// Whether the cell may stand in the place instead of what is there, with every limit that it enters kept. `minima`: and without
  /// taking a limit below its minimum.
  [[nodiscard]] bool may_stand(std::size_t place, std::size_t cell, bool minima) const;
  [[nodiscard]] double worth(std::size_t place) const { return held_[place] < 0 ? 0.0 : weights_[place] * cells_.cells[static_cast<std::size_t>(held_[place])].value; }
  void put(std::size_t place, std::int32_t cell);
  [[nodiscard]] Move leave(std::size_t place, std::size_t limit) const;
  [[nodiscard]] std::size_t exceeded_at(std::size_t place) const;
  [[nodiscard]] bool keep_maxima();
  [[nodiscard]] bool reach_minima();
  void sort_row(std::size_t position);

  const PageProblem& p_;
  const PageCells& cells_;
  std::span<const double> weights_;
  std::vector<std::int32_t> order_;
  std::vector<std::int32_t> held_;    ///< [places], cells of PageCells, -1: empty or pinned
  std::vector<std::uint8_t> fixed_;   ///< [places], pinned or of no row
  std::vector<std::int64_t> page_;
  std::vector<std::int64_t> given_;   ///< [limits]
  std::vector<std::int32_t> shown_;   ///< [copies], how often
  std::vector<std::size_t> member_offsets_;   ///< [limits + 1] into members_; empty without minima
  std::vector<std::uint32_t> members_;        ///< cells of PageCells that count in a limit, of each row by falling value
  std::vector<std::int32_t> position_of_row_; ///< [rows], -1: not on the page
  std::vector<std::int32_t> in_row_;  ///< [positions, products], how often; [1, products] where nothing repeats
};

}  // namespace etalage::marketing
