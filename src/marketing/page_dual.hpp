// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "marketing/page_cells.hpp"

namespace etalage::marketing {

/// Prices of what couples places: of showing a copy at all, and of a place for each limit (maximum less minimum).
struct PagePrices {
  std::vector<double> copy;   ///< [copies], >= 0
  std::vector<double> limit;  ///< [limits]
  std::vector<double> cell;   ///< [cells of PageCells], sum of the prices of the cell's limits
};

/// The page's Lagrangian for given weights of the places.
class PageDual {
 public:
  PageDual(const PageProblem& problem, const PageCells& cells, std::span<const std::uint8_t> dropped_rows);

  /// Sets the sums of limit prices of all cells.
  void price_cells(PagePrices& prices) const;
  /// Assigns copies to the places of the rows in `order` [positions] within about `slack` of the best at the limits' prices, moving the prices of
  /// copies; held [places], cells of PageCells or -1.
  void auction(std::span<const double> weights, std::span<const std::int32_t> order, double slack, PagePrices& prices, std::vector<std::int32_t>& held);
  /// Prices to begin with where limits have none: those of each row by itself, which are not above those of all together.
  void start_prices(std::span<const double> weights, std::span<const std::int32_t> order, PagePrices& prices) const;
  /// The lowest prices of copies at which the rows of `order`, each a buyer of its own, are content with what they hold; `prices` has
  /// those of the limits. An auction of single places asks for more: a row's own places do not compete with each other, and what they
  /// would pay keeps the row from being worth more elsewhere.
  void settle_prices(std::span<const double> weights, std::span<const std::int32_t> order, std::span<const std::int32_t> held, PagePrices& prices);
  /// The bound that the prices give, over all orders of rows; `order` becomes the best one.
  double bound(std::span<const double> weights, const PagePrices& prices, std::vector<std::int32_t>& order);

 private:
  [[nodiscard]] double worth(std::span<const double> weights, std::size_t place, std::size_t cell, const PagePrices& prices) const {
    return weights[place] * cells_.cells[cell].value - prices.cell[cell] - prices.copy[static_cast<std::size_t>(cells_.cells[cell].copy)];
  }
  void bid(std::span<const double> weights, std::span<const std::int32_t> order, double step, PagePrices& prices, std::vector<std::int32_t>& held);
  bool lower(std::span<const double> weights, double step, PagePrices& prices, std::vector<std::int32_t>& held);
  void find_front(std::size_t row, std::size_t slots, const PagePrices& prices);
  [[nodiscard]] double claim(std::size_t position, const PageCells::Cell& wanted, double limit_price, const PagePrices& prices) const;
  [[nodiscard]] double best_of_front(std::span<const double> weights);

  const PageProblem& p_;
  const PageCells& cells_;
  std::span<const std::uint8_t> dropped_;
  std::vector<std::int64_t> least_, most_;  ///< of limits, less what pins take
  std::vector<double> lowest_price_;        ///< [rows], of the limits' prices of the row's cells
  std::vector<std::int32_t> owner_;         ///< [copies], place or -1
  std::vector<std::uint32_t> waiting_;
  std::vector<std::int32_t> position_of_row_;
  std::vector<double> worth_of_row_;        ///< [rows, positions]
  std::vector<double> falling_;             ///< [places], weights of each position by size
  /// What the row in a position holds, by falling value, in its places by falling weight.
  struct Holding {
    std::vector<std::int32_t> cells;
    std::vector<double> weight, up, down;  ///< up[t], down[t]: gain where the first t move one place up or down
  };
  std::vector<Holding> holdings_;           ///< [positions]
  struct Front {
    double value, price;
  };
  std::vector<Front> front_;
  std::vector<double> cheapest_, sums_;
  std::vector<double> profit_;              ///< [places], of what a place holds
};

}  // namespace etalage::marketing
