// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "retrieval/item_store.hpp"

namespace etalage::retrieval {

/// Lists of a store's rows, which are of length 1.
struct UnitLists {
  const float* columns;     ///< [dim x num_lists], means of lists
  const float* half_norms;  ///< [num_lists], |mean|^2 / 2
  std::span<const std::int64_t> offsets;  ///< [num_lists + 1], by the sizes
  std::span<const std::uint32_t> of_rows;  ///< each row's list
};

/// Deviation of a list's rows around its mean c along one direction, where they lie alike in all: their mean squared distance to it is
/// 1 - |c|^2, of which each has a dim-th part.
float unit_deviation(float half_norm, std::size_t dim) noexcept;

/// How many deviations above q.c the best rows of a list are expected, so that q.c + reach * deviation ranks lists for a query; 0 where
/// ranks by the nearest mean, q.c - |c|^2 / 2, read no more rows. Held out: 256 rows and their ten nearest of a sample. A reach is taken
/// where as many lists of each query as find .95 of these hold fewer rows, and those that find .98 do, by 3 % in the geometric mean.
/// Same answer for any number of threads.
float learn_reach(const ItemStore& store, std::span<const std::size_t> sample, const UnitLists& lists, int num_threads);

}  // namespace etalage::retrieval
