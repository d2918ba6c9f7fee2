// SPDX-License-Identifier: Apache-2.0
// How large a count may be that sizes memory or time by itself, whatever the data: from a caller, and from a file that means
// harm. Far above what anybody uses. Counts that mean "as many as there are" (neighbours, candidates, a history's length) have
// no bound: what is sized by them is sized by the data where that has less.
#pragma once

#include "detail/check.hpp"

namespace etalage::detail {

inline constexpr int kMostPasses = 100'000;   ///< over the data or over one row: iterations, epochs, steps of a solver
inline constexpr int kMostWindow = 65'536;    ///< places of a list that are looked at together
inline constexpr int kMostDraws = 1'024;      ///< random items for one step
inline constexpr int kMostListed = 65'536;    ///< entries of a list that is kept or reported
inline constexpr int kMostWalked = 1 << 20;   ///< candidates of a walk through an index; its lists; its dimensions

template <class T>
void require_at_most(const char* name, T value, int most) {
  if (value > static_cast<T>(most)) throw std::invalid_argument(violated(name, value, ("at most " + std::to_string(most)).c_str()));
}

}  // namespace etalage::detail
