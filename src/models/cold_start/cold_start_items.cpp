// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/cold_start_items.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/check.hpp"
#include "etalage/error.hpp"

namespace etalage {
namespace {

/// For each product of the catalogue the model's item, -1 for a new one.
std::vector<std::int32_t> items_of(const FactorModel& model, const Catalog& catalog) {
  std::vector<std::int32_t> out(static_cast<std::size_t>(catalog.size()), -1);
  const IdMap& keys = *catalog.item_ids();
  for (std::int32_t i = 0; i < catalog.size(); ++i) {
    std::int32_t& to = out[static_cast<std::size_t>(i)];
    if (!model.item_ids()) to = i < model.num_items() ? i : -1;
    else to = keys.kind() == IdMap::Kind::kInteger ? model.item_ids()->find(keys.integer_at(i)) : model.item_ids()->find(keys.string_at(i));
  }
  return out;
}

bool touched(const FactorModel& model, std::int32_t item) {
  return item >= 0 && std::ranges::any_of(model.item_row(item), [](float v) { return v != 0; });
}

}  // namespace

ColdStartItems::ColdStartItems(const FactorModel& model, const Catalog& catalog, CatalogAttributesOptions attributes, ColdStartOptions options, bool choose)
    : attributes_(catalog, attributes), regression_(options) {
  if (!model.fitted()) throw NotFittedError("model is not fitted; call fit() first");
  const std::vector<std::int32_t> items = items_of(model, catalog);
  const auto f = static_cast<std::size_t>(model.factors());
  std::vector<float> factors(items.size() * f, 0.0f);
  std::vector<float> support(items.size(), 0.0f);
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!touched(model, items[i])) continue;
    std::ranges::copy(model.item_row(items[i]), factors.begin() + static_cast<std::ptrdiff_t>(i * f));
    support[i] = 1;
  }
  if (std::ranges::find(support, 1.0f) == support.end())
    throw std::invalid_argument("catalog has no product that the model knows, must share keys with it");
  const CsrMatrix rows = attributes_.rows(catalog);
  const MatrixView<const float> known(factors.data(), items.size(), f);
  if (model.has_history()) {
    // Support is how many touched a product, where the model's rows say so.
    std::vector<std::int32_t> place(static_cast<std::size_t>(model.num_items()), -1);
    for (std::size_t i = 0; i < items.size(); ++i)
      if (items[i] >= 0) place[static_cast<std::size_t>(items[i])] = static_cast<std::int32_t>(i);
    const CsrView history = model.history().view();
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> columns;
    std::vector<float> counts(items.size(), 0.0f);
    for (std::int64_t u = 0; u < history.rows; ++u) {
      for (const std::int32_t item : history.row_columns(u)) {
        const std::int32_t at = place[static_cast<std::size_t>(item)];
        if (at < 0) continue;
        columns.push_back(at);
        counts[static_cast<std::size_t>(at)] += 1;
      }
      offsets.push_back(static_cast<std::int64_t>(columns.size()));
    }
    for (std::size_t i = 0; i < items.size(); ++i)
      if (support[i] > 0) support[i] = std::max(1.0f, counts[i]);
    if (choose && model.num_users() == history.rows) {
      const std::vector<float> ones(columns.size(), 1.0f);
      const CsrView touched_by{history.rows, catalog.size(), offsets, columns, ones};
      regression_ = ColdStart(ColdStart::chosen(rows.view(), known, support, {model.user_factors().data(), static_cast<std::size_t>(model.num_users()), f}, touched_by, options));
    }
  }
  regression_.fit(rows.view(), known, support);
}

void ColdStartItems::predict(const Catalog& catalog, MatrixView<float> out) const {
  regression_.predict(attributes_.rows(catalog).view(), out);
}

std::shared_ptr<VectorsModel> ColdStartItems::extended(const FactorModel& model, const Catalog& catalog) const {
  if (model.factors() != factors())
    throw std::invalid_argument("model has " + std::to_string(model.factors()) + " factors, must have the " + std::to_string(factors()) + " of the one learned from");
  const auto f = static_cast<std::size_t>(factors());
  const std::vector<std::int32_t> items = items_of(model, catalog);
  std::vector<float> predicted(items.size() * f);
  predict(catalog, {predicted.data(), items.size(), f});
  std::int32_t size = model.num_items();
  std::vector<std::int32_t> at(items.size());
  std::vector<std::string> texts;
  std::vector<std::int64_t> numbers;
  const bool keyed = model.item_ids() != nullptr;
  const bool integers = keyed && model.item_ids()->kind() == IdMap::Kind::kInteger;
  if (keyed && items.size() != 0 && integers != (catalog.item_ids()->kind() == IdMap::Kind::kInteger))
    throw std::invalid_argument("catalog has keys of another kind than the model, must be of one kind");
  for (std::int32_t i = 0; keyed && i < size; ++i) {
    if (integers) numbers.push_back(model.item_ids()->integer_at(i));
    else texts.emplace_back(model.item_ids()->string_at(i));
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    at[i] = items[i] >= 0 ? items[i] : size++;
    if (items[i] >= 0 || !keyed) continue;
    if (integers) numbers.push_back(catalog.item_ids()->integer_at(static_cast<std::int32_t>(i)));
    else texts.emplace_back(catalog.item_ids()->string_at(static_cast<std::int32_t>(i)));
  }
  Array<float> factors(static_cast<std::size_t>(size) * f);
  float* to = factors.mutable_data();
  std::ranges::copy(model.item_factors(), to);
  for (std::size_t i = 0; i < items.size(); ++i)
    if (!touched(model, items[i])) std::copy_n(predicted.data() + i * f, f, to + static_cast<std::size_t>(at[i]) * f);
  auto out = std::make_shared<VectorsModel>(model.user_factors(), std::move(factors), model.factors());
  SharedIdMap keys;
  if (keyed) keys = std::make_shared<const IdMap>(integers ? IdMap::from_integers(Array<std::int64_t>(numbers)) : IdMap::from_strings(std::span<const std::string>(texts)));
  out->set_ids(model.user_ids(), std::move(keys));
  if (model.has_history()) {
    CsrMatrix history = model.history();
    history.cols = size;
    out->set_history(std::move(history));
  }
  return out;
}

void ColdStartItems::save_state(StateWriter& writer) const {
  ScopedWriter attributes(writer, "attributes/");
  attributes_.save_state(attributes);
  ScopedWriter regression(writer, "regression/");
  regression_.save_state(regression);
}

std::shared_ptr<ColdStartItems> ColdStartItems::from_state(const StateReader& reader) {
  std::shared_ptr<ColdStartItems> out(new ColdStartItems());
  out->attributes_ = CatalogAttributes::from_state(ScopedReader(reader, "attributes/"));
  out->regression_ = *ColdStart::from_state(ScopedReader(reader, "regression/"));
  if (out->regression_.num_attributes() != out->attributes_.columns())
    reader.fail("regression/rows", "found " + std::to_string(out->regression_.num_attributes()) + " attributes, expected " + std::to_string(out->attributes_.columns()));
  return out;
}

}  // namespace etalage
