// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/vectors.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "models/factor/row_norms.hpp"

namespace etalage {
namespace {

Array<float> packed(MatrixView<const float> m) {
  Array<float> a(m.rows() * m.cols(), uninitialized);
  float* to = a.mutable_data();
  for (std::size_t r = 0; r < m.rows(); ++r, to += m.cols()) std::copy_n(m.row(r).data(), m.cols(), to);
  return a;
}

std::int32_t dimension(MatrixView<const float> user_vectors, MatrixView<const float> item_vectors) {
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  if (user_vectors.rows() != 0 && user_vectors.cols() != item_vectors.cols())
    throw std::invalid_argument("user_vectors has " + std::to_string(user_vectors.cols()) + " columns, must have the " +
                                std::to_string(item_vectors.cols()) + " of item_vectors");
  detail::require(item_vectors.cols() >= 1 && item_vectors.cols() <= kMost, "columns of item_vectors", item_vectors.cols(),
                  "in [1, 2^31)");
  return static_cast<std::int32_t>(item_vectors.cols());
}

std::int32_t rows_of(const Array<float>& a, std::int32_t dim, const char* argument) {
  const auto d = static_cast<std::size_t>(dim);
  if (a.size() % d != 0 || a.size() / d > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    throw std::invalid_argument(std::string(argument) + " has " + std::to_string(a.size()) +
                                " entries, must have fewer than 2^31 rows of " + std::to_string(dim));
  return static_cast<std::int32_t>(a.size() / d);
}

// Growing past the shop's keys would leave rows that no key names.
SharedIdMap grown_ids(const SharedIdMap& held, SharedIdMap given, std::int32_t size, const char* argument) {
  if (given) {
    if (given->size() != size)
      throw std::invalid_argument(std::string(argument) + " has " + std::to_string(given->size()) + " keys, must have " +
                                  std::to_string(size));
    return given;
  }
  if (held && held->size() != size)
    throw std::invalid_argument(std::string(argument) + " is absent, must be given with " + std::to_string(size) +
                                " keys: the model holds keys and grows");
  return held;
}

// Of two such vectors the inner product is a finite float.
constexpr double kLargestSquare = 1e38;

void check_vector(std::span<const float> vector, const char* argument, std::size_t row) {
  double square = 0;
  for (const float v : vector) {
    if (!std::isfinite(v))
      throw std::invalid_argument(std::string(argument) + " holds " + std::to_string(v) + " in row " + std::to_string(row) +
                                  ", must be finite");
    square += static_cast<double>(v) * static_cast<double>(v);
  }
  if (square > kLargestSquare)
    throw std::invalid_argument(std::string(argument) + " has a length of " + std::to_string(std::sqrt(square)) + " in row " +
                                std::to_string(row) + ", must be at most 1e19: inner products would not be finite");
}

}  // namespace

void VectorsOptions::validate() const { require_options(*this); }

VectorsModel::VectorsModel(MatrixView<const float> user_vectors, MatrixView<const float> item_vectors,
                           VectorsOptions options)
    : VectorsModel(packed(user_vectors), packed(item_vectors), dimension(user_vectors, item_vectors), options) {}

VectorsModel::VectorsModel(Array<float> user_vectors, Array<float> item_vectors, std::int32_t dim, VectorsOptions options)
    : options_(options) {
  options_.validate();
  detail::require(dim >= 1, "dim", dim, ">= 1");
  const std::int32_t num_users = rows_of(user_vectors, dim, "user_vectors");
  const std::int32_t num_items = rows_of(item_vectors, dim, "item_vectors");
  set_factors(std::move(user_vectors), num_users, std::move(item_vectors), num_items, dim);
  set_factors(taken(user_factors(), "user_vectors"), num_users, taken(item_factors(), "item_vectors"), num_items, dim);
}

// Checked, and scaled where the metric asks for it.
Array<float> VectorsModel::taken(Array<float> rows, const char* argument) const {
  const auto dim = static_cast<std::size_t>(factors());
  for (std::size_t r = 0; r < rows.size() / dim; ++r) check_vector(rows.view().subspan(r * dim, dim), argument, r);
  if (!unit_queries()) return rows;
  const std::span<float> all = rows.mutable_view();
  for (std::size_t r = 0; r < all.size(); r += dim) scale_to_unit(all.subspan(r, dim), all.subspan(r, dim));
  return rows;
}

void VectorsModel::check_rows(std::span<const std::int32_t> indices, MatrixView<const float> vectors,
                              const char* argument) const {
  if (vectors.rows() != indices.size() || (!indices.empty() && vectors.cols() != static_cast<std::size_t>(factors())))
    throw std::invalid_argument("vectors has shape (" + std::to_string(vectors.rows()) + ", " +
                                std::to_string(vectors.cols()) + "), must be (" + std::to_string(indices.size()) + ", " +
                                std::to_string(factors()) + ")");
  std::vector<std::int32_t> sorted(indices.begin(), indices.end());
  std::sort(sorted.begin(), sorted.end());
  if (!sorted.empty())
    detail::require_index(sorted.front(), std::numeric_limits<std::int32_t>::max(), argument);
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end())
    throw std::invalid_argument(std::string(argument) + " holds " + std::to_string(*twice) + " twice, must be unique");
}

void VectorsModel::partial_fit_users(std::span<const std::int32_t> users, MatrixView<const float> vectors,
                                     SharedIdMap user_ids) {
  check_rows(users, vectors, "users");
  if (users.empty()) return;
  const std::int32_t old_size = num_users();
  const std::int32_t size = std::max(old_size, *std::max_element(users.begin(), users.end()) + 1);
  SharedIdMap ids = grown_ids(user_ids_, std::move(user_ids), size, "user_ids");
  const Array<float> rows = taken(packed(vectors), "vectors");
  set_user_rows(users, rows.view(), size);
  if (has_history()) grow_kept_rows(size, num_items());
  user_ids_ = std::move(ids);
}

void VectorsModel::partial_fit_items(std::span<const std::int32_t> items, MatrixView<const float> vectors,
                                     SharedIdMap item_ids) {
  check_rows(items, vectors, "items");
  if (items.empty()) return;
  const std::int32_t old_size = num_items();
  const std::int32_t size = std::max(old_size, *std::max_element(items.begin(), items.end()) + 1);
  SharedIdMap ids = grown_ids(item_ids_, std::move(item_ids), size, "item_ids");
  const Array<float> rows = taken(packed(vectors), "vectors");
  set_item_rows(items, rows.view(), size);
  item_ids_ = std::move(ids);
  if (has_history()) grow_kept_rows(num_users(), size);
}

void VectorsModel::fold_in(const Query& query, std::span<float> factor, Scratch&) const {
  std::fill(factor.begin(), factor.end(), 0.0f);
  float total = 0;
  const auto add = [&](std::int32_t item, float weight) {
    const std::span<const float> row = item_row(item);
    for (std::size_t f = 0; f < factor.size(); ++f) factor[f] += weight * row[f];
    total += std::abs(weight);
  };
  const std::span<const std::int32_t> history = history_of(query);
  const std::span<const float> values = history_values_of(query);
  for (std::size_t i = 0; i < history.size(); ++i) add(history[i], values.empty() ? 1.0f : values[i]);
  for (const std::int32_t item : query.session) add(item, 1.0f);
  if (total > 0)
    for (float& v : factor) v /= total;
  if (unit_queries()) scale_to_unit(factor, factor);
}

void VectorsModel::save_state(StateWriter& writer) const {
  FactorModel::save_state(writer);
  put_options(writer, options_);
}

std::shared_ptr<VectorsModel> VectorsModel::from_state(const StateReader& reader) {
  std::shared_ptr<VectorsModel> model(new VectorsModel());
  model->options_ = get_options<VectorsOptions>(reader);
  model->load_factors(reader);
  model->load_base(reader);
  return model;
}

}  // namespace etalage
