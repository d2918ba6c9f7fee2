// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/item_similarity.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "models/scratch.hpp"
#include "models/top_k.hpp"

namespace etalage {

void ItemSimilarityModel::require_fitted() const {
  if (!fitted()) throw NotFittedError(std::string(kind()) + " is not fitted; call fit() first");
}

void ItemSimilarityModel::set_weights(CsrMatrix weights, std::int32_t num_users) {
  weights_ = std::move(weights);
  num_users_ = num_users;
}

void ItemSimilarityModel::accumulate(const Query& query, Scratch& scratch) const {
  const auto n = static_cast<std::size_t>(num_items());
  auto& floats = scratch.impl().floats;
  auto& touched = scratch.impl().ints;
  float* scores = Scratch::Impl::at_least(floats, n);
  std::fill_n(scores, n, 0.0f);
  touched.clear();
  const CsrView w = weights_.view();
  const auto add = [&](std::int32_t item, float value) {
    const auto columns = w.row_columns(item);
    const auto values = w.row_values(item);
    for (std::size_t p = 0; p < columns.size(); ++p) {
      float& s = scores[columns[p]];
      // An item whose sum comes back to zero is noted twice; the duplicates go when the list is sorted.
      if (s == 0.0f) touched.push_back(columns[p]);
      s += value * values[p];
    }
  };
  const auto history = history_of(query);
  const auto values = history_values_of(query);
  for (std::size_t h = 0; h < history.size(); ++h) add(history[h], values.empty() ? 1.0f : values[h]);
  for (const std::int32_t i : query.session) add(i, 1.0f);
}

std::size_t ItemSimilarityModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (out.empty()) return 0;
  accumulate(query, scratch);
  const std::span<const float> scores(scratch.impl().floats.data(), static_cast<std::size_t>(num_items()));
  std::span<const std::int32_t> excluded;
  if (query.exclude_seen) excluded = sorted_unique(history_of(query), query.session, scratch);
  auto& touched = scratch.impl().ints;
  const bool listed = query.filter != nullptr && query.filter->has_allow_list();
  if (!listed && touched.size() < scores.size() / 8) {
    // Few items have a weight: if they fill the list with positive scores, nobody else can enter it.
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    float* packed = Scratch::Impl::at_least(scratch.impl().vector, touched.size());
    std::transform(touched.begin(), touched.end(), packed, [&](std::int32_t i) { return scores[static_cast<std::size_t>(i)]; });
    const std::size_t count = select_top_k(touched, {packed, touched.size()}, excluded, query.filter, out, scratch);
    if (count == out.size() && out[count - 1].score > 0) return count;
  }
  return select_top_k(scores, excluded, query.filter, out, scratch);
}

void ItemSimilarityModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                                Scratch& scratch) const {
  require_fitted();
  check(query);
  for (const std::int32_t i : items) check_item(i, "item");
  if (out.size() != items.size())
    throw std::invalid_argument("out has " + std::to_string(out.size()) + " entries, must have one for each of the " +
                                std::to_string(items.size()) + " items");
  accumulate(query, scratch);
  for (std::size_t i = 0; i < items.size(); ++i) out[i] = scratch.impl().floats[static_cast<std::size_t>(items[i])];
}

std::size_t ItemSimilarityModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                               const ItemFilter* filter) const {
  require_fitted();
  check_item(item, "item");
  if (out.empty()) return 0;
  const CsrView w = weights_.view();
  return select_top_k(w.row_columns(item), w.row_values(item), {&item, 1}, filter, out, scratch);
}

Explanation ItemSimilarityModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  const CsrView w = weights_.view();
  const auto weight = [&](std::int32_t i) {
    const auto columns = w.row_columns(i);
    const auto at = std::lower_bound(columns.begin(), columns.end(), item);
    return at != columns.end() && *at == item ? w.row_values(i)[static_cast<std::size_t>(at - columns.begin())] : 0.0f;
  };
  Explanation e;
  const auto add = [&](std::int32_t i, float value) {
    const float part = value * weight(i);
    e.total += part;
    e.contributions.push_back({i, part});
  };
  const auto history = history_of(query);
  const auto values = history_values_of(query);
  for (std::size_t h = 0; h < history.size(); ++h) add(history[h], values.empty() ? 1.0f : values[h]);
  for (const std::int32_t i : query.session) add(i, 1.0f);
  std::sort(e.contributions.begin(), e.contributions.end(), [](const ItemScore& a, const ItemScore& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
  if (e.contributions.size() > k) e.contributions.resize(k);
  return e;
}

void ItemSimilarityModel::save_state(StateWriter& writer) const {
  Recommender::save_state(writer);
  writer.put_int("num_users", num_users_);
  writer.put_csr("weights", weights_);
}

void ItemSimilarityModel::load_weights(const StateReader& reader) {
  num_users_ = static_cast<std::int32_t>(reader.get_int("num_users", 0, std::numeric_limits<std::int32_t>::max()));
  weights_ = reader.get_csr("weights");
  if (weights_.rows != weights_.cols)
    reader.fail("weights", "found shape (" + std::to_string(weights_.rows) + ", " + std::to_string(weights_.cols) +
                               "), expected a square matrix");
}

}  // namespace etalage
