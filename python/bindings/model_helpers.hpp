// SPDX-License-Identifier: Apache-2.0
// Questions from numpy to Query and answers back; what the bindings of every model share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/item_filter.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/models/recommender.hpp"
#include "numpy_helpers.hpp"

namespace etalage::python {

/// Lists of int32, one a row: offsets int64 [n + 1] and items [nnz].
struct Lists {
  Array<std::int64_t> offsets;
  Array<std::int32_t> items;
  [[nodiscard]] std::size_t size() const noexcept { return offsets.empty() ? 0 : offsets.size() - 1; }
  [[nodiscard]] std::span<const std::int32_t> operator[](std::size_t i) const noexcept {
    const auto b = static_cast<std::size_t>(offsets[i]);
    return items.view().subspan(b, static_cast<std::size_t>(offsets[i + 1]) - b);
  }
};

/// (offsets, items) as the Python layer hands them over; monotone offsets that end at the items' size are checked.
[[nodiscard]] Lists lists_from_python(py::handle pair, const char* argument);

/// One filter for all, or one a row, from an allow and a deny part: None, an int32 array for all, or (offsets, items).
/// Items outside [0, num_items) are std::out_of_range naming the argument.
class Filters {
 public:
  Filters(py::handle allow, py::handle deny, std::size_t rows, std::int32_t num_items);
  [[nodiscard]] const ItemFilter* at(std::size_t row) const noexcept {
    return filters_.empty() ? nullptr : &filters_[filters_.size() == 1 ? 0 : row];
  }
  [[nodiscard]] std::vector<const ItemFilter*> pointers(std::size_t begin, std::size_t end) const;

 private:
  std::vector<ItemFilter> filters_;
};

/// The n questions of a batch and the memory that their spans look into.
struct Questions {
  std::optional<Array<std::int32_t>> users;  ///< [n]
  std::optional<CsrMatrix> rows;             ///< [n x num_items], given histories
  Array<std::int64_t> times;                 ///< beside the columns of rows that were made from lists, or empty
  std::optional<Lists> sessions;             ///< [n]
  bool exclude_seen = true;
  bool recalculate_user = false;
  std::optional<bool> exclude_last;
  std::size_t size = 0;

  /// With unknown_users an index of -1 stands for a user whom the model does not know.
  Questions(const Recommender& model, py::handle user_index, py::handle user_items, py::handle session_items,
            bool unknown_users = false);
  [[nodiscard]] std::vector<Query> queries(std::size_t begin, std::size_t end, const Filters* filters) const;
};

/// What a model is fitted on: Interactions as they are, or a copy of a matrix without keys (anything that csr_from_python
/// takes), since models keep rows.
[[nodiscard]] Interactions interactions_from_python(const py::object& data);

/// Applies change(model) and returns the model that has it. A small change is made in place where nobody else holds the
/// model, no snapshot, blend, source or running call, and under the GIL, so that no call can begin meanwhile. Any other
/// is made on a copy, which shares what does not change, without the GIL: whoever holds the model keeps it as it was.
/// Calls that work on a model without the GIL take it as a std::shared_ptr, so that they are seen here.
template <class Model, class F>
[[nodiscard]] std::shared_ptr<Model> changed(const std::shared_ptr<Model>& model, bool small, const F& change) {
  constexpr long kPythonAndThisCall = 2;
  if (small && model.use_count() == kPythonAndThisCall) {
    change(*model);
    return model;
  }
  const auto copy = std::make_shared<Model>(*model);
  const py::gil_scoped_release release;
  change(*copy);
  return copy;
}

/// What may be done under the GIL: a handful of rows, or of a session's events.
[[nodiscard]] inline bool small_change(std::size_t rows, std::size_t entries) noexcept { return rows <= 16 && entries <= 4096; }

/// What fit() gets: answers Ctrl-C and asks `callback` (None or a callable
/// that takes a Progress; False stops).
[[nodiscard]] ProgressCallback progress_callback(const py::object& callback);

/// Throws std::out_of_range naming the first index outside [0, size).
void check_indices(std::span<const std::int32_t> indices, std::int64_t size, const char* argument);

/// items int32 [n x k] and scores float32 [n x k] under construction; rows are padded with -1 and -inf. Made and given
/// away under the GIL.
class Answers {
 public:
  Answers(std::size_t rows, std::size_t k);
  /// Copies a block of results behind those that are there; needs no GIL.
  void append(std::span<const ItemScore> block, std::size_t stride, std::span<const std::size_t> counts);
  [[nodiscard]] py::tuple arrays();

 private:
  std::size_t k_;
  std::size_t done_ = 0;
  py::array_t<std::int32_t> items_;
  py::array_t<float> scores_;
  std::int32_t* item_data_ = nullptr;
  float* score_data_ = nullptr;
};

/// (total, items int32, contributions float32)
[[nodiscard]] py::tuple to_python(const Explanation& e);

}  // namespace etalage::python
