// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/snapshot.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "etalage/error.hpp"
#include "serving/live_sources.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kExactContent = 20'000;  // products up to which reading all vectors is quick enough
constexpr std::size_t kArrivals = 1000;

/// The first index at which two lists of keys differ, or the length of the shorter one.
std::int32_t first_difference(const IdMap& a, const IdMap& b) {
  const std::int32_t n = std::min(a.size(), b.size());
  if (n == 0 || a.kind() != b.kind()) return 0;
  for (std::int32_t i = 0; i < n; ++i) {
    const bool same = a.kind() == IdMap::Kind::kInteger ? a.integer_at(i) == b.integer_at(i) : a.string_at(i) == b.string_at(i);
    if (!same) return i;
  }
  return n;
}

/// Throws unless the shorter list of keys begins the longer one.
void require_same_numbers(const IdMap& a, const IdMap& b, const std::string& what) {
  const std::int32_t i = first_difference(a, b);
  if (i == std::min(a.size(), b.size())) return;
  throw std::invalid_argument(what + " numbers its keys differently from the others: index " + std::to_string(i) + " is " + a.text_at(i) +
                              " there and " + b.text_at(i) + " here, must be the same. Fit all models of a snapshot on one id space");
}

/// The longest of the maps, all of which must agree.
SharedIdMap common(const std::vector<std::pair<std::string, SharedIdMap>>& maps, const char* what) {
  SharedIdMap longest;
  for (const auto& [name, ids] : maps)
    if (ids && (!longest || ids->size() > longest->size())) longest = ids;
  for (const auto& [name, ids] : maps)
    if (ids && ids != longest) require_same_numbers(*longest, *ids, std::string(what) + " of model '" + name + "'");
  return longest;
}

bool can_fold_in(const FactorModel& model) {
  if (!model.fitted() || model.num_items() == 0) return false;
  const std::int32_t item = 0;
  std::vector<float> factor(static_cast<std::size_t>(model.factors()));
  Scratch scratch;
  try {
    model.query_factor(Query{.history = std::span(&item, 1)}, factor, scratch);
    return true;
  } catch (const UnsupportedError&) {
    return false;
  }
}

void require_rows(const ItemIndex& index, std::int32_t rows, const char* name) {
  for (const std::int64_t id : index.ids())
    if (id >= rows)
      throw std::invalid_argument(std::string(name) + " holds id " + std::to_string(id) + ", must hold rows of the catalogue, below " + std::to_string(rows));
}

}  // namespace

Snapshot::Snapshot(SnapshotParts parts) : parts_(std::move(parts)) {
  if (parts_.models.size() > 32) throw std::invalid_argument("number of models is " + std::to_string(parts_.models.size()) + ", must be <= 32");
  std::vector<std::pair<std::string, SharedIdMap>> items;
  std::vector<std::pair<std::string, SharedIdMap>> users;
  std::int32_t num_items = 0;
  for (std::size_t i = 0; i < parts_.models.size(); ++i) {
    const SnapshotModel& m = parts_.models[i];
    if (!m.model) throw std::invalid_argument("model '" + m.source + "' is null, must be a model");
    const auto& own = serving::kOwnSources;
    if (m.source.empty() || std::find(own.begin(), own.end(), m.source) != own.end())
      throw std::invalid_argument("source of a model is '" + m.source + "', must not be empty or one of the engine's own");
    for (std::size_t j = 0; j < i; ++j)
      if (parts_.models[j].source == m.source) throw std::invalid_argument("source '" + m.source + "' is given twice, must be unique");
    items.emplace_back(m.source, m.model->item_ids());
    users.emplace_back(m.source, m.model->user_ids());
    num_items = std::max(num_items, m.model->num_items());
    if (factors_ == nullptr) factors_ = dynamic_cast<const FactorModel*>(m.model.get());
    if (keeper_ == nullptr && m.model->has_history()) keeper_ = m.model.get();
  }
  if (factors_ != nullptr) {
    folds_in_ = can_fold_in(*factors_);
    if (factors_->has_history()) keeper_ = factors_;
  }
  for (const auto& [segment, model] : parts_.segment_popularity) {
    if (!model) throw std::invalid_argument("model of segment '" + segment + "' is null, must be a model");
    items.emplace_back("segment " + segment, model->item_ids());
    num_items = std::max(num_items, model->num_items());
  }
  user_ids_ = common(users, "user_ids");
  SharedIdMap item_ids = common(items, "item_ids");
  if (item_ids && item_ids->size() < num_items)
    throw std::invalid_argument("item_ids has " + std::to_string(item_ids->size()) + " keys, must have one for each of " + std::to_string(num_items) + " items");
  if (!parts_.catalog) {
    if (!item_ids) {
      Array<std::int64_t> keys(static_cast<std::size_t>(num_items));
      std::iota(keys.mutable_data(), keys.mutable_data() + num_items, std::int64_t{0});
      item_ids = std::make_shared<const IdMap>(IdMap::from_integers(std::move(keys)));
    }
    Catalog::Columns columns;
    columns.item_ids = item_ids;
    parts_.catalog = std::make_shared<const Catalog>(std::move(columns));
  } else if (item_ids && item_ids != parts_.catalog->item_ids() && first_difference(*item_ids, *parts_.catalog->item_ids()) != item_ids->size()) {
    parts_.catalog = std::make_shared<const Catalog>(align_catalog(*parts_.catalog, *item_ids));
  } else if (parts_.catalog->size() < num_items) {
    throw std::invalid_argument("catalog has " + std::to_string(parts_.catalog->size()) + " products, must have one for each of the models' " +
                                std::to_string(num_items) + " items");
  }
  catalog_ = std::make_shared<const CatalogIndex>(parts_.catalog);
  const std::int32_t rows = catalog_->size();

  if (parts_.factor_index) {
    if (factors_ == nullptr) throw std::invalid_argument("factor_index is given, must come with a model that has factors");
    if (parts_.factor_index->dim() != factors_->factors())
      throw std::invalid_argument("dim of factor_index is " + std::to_string(parts_.factor_index->dim()) + ", must be the model's " + std::to_string(factors_->factors()) + " factors");
    require_rows(*parts_.factor_index, rows, "factor_index");
  }
  const Catalog::Columns& c = parts_.catalog->columns();
  if (parts_.content_index) {
    if (c.dim == 0 || parts_.content_index->dim() != c.dim)
      throw std::invalid_argument("dim of content_index is " + std::to_string(parts_.content_index->dim()) + ", must be the catalogue's vectors' " + std::to_string(c.dim));
    require_rows(*parts_.content_index, rows, "content_index");
  } else if (c.dim > 0 && rows > 0) {
    std::vector<std::int64_t> ids(static_cast<std::size_t>(rows));
    std::iota(ids.begin(), ids.end(), std::int64_t{0});
    auto index = std::make_shared<ItemIndex>(c.dim, IndexMetric::kCosine, rows <= kExactContent ? IndexKind::kExact : IndexKind::kHnsw);
    index->add({c.vectors.data(), static_cast<std::size_t>(rows), static_cast<std::size_t>(c.dim)}, ids);
    parts_.content_index = std::move(index);
  }

  if (!parts_.new_arrivals.empty()) {
    for (const Key& key : parts_.new_arrivals) {
      const std::int32_t row = std::visit([&](const auto& k) { return c.item_ids->find(k); }, key);
      if (row >= 0) arrivals_.push_back(row);
    }
  } else if (num_items > 0) {
    for (std::int32_t row = rows - 1; row >= num_items && arrivals_.size() < kArrivals; --row) arrivals_.push_back(row);
  }
  (void)parts_.rules.validate(catalog_.get());  // oddities are the host's to ask for; what cannot be meant throws
  if (parts_.mix.standard.sources.empty() && parts_.mix.standard.fallback.empty() && parts_.mix.placements.empty())
    parts_.mix = serving::default_mix(*this);
}

Snapshot::~Snapshot() = default;

}  // namespace etalage
