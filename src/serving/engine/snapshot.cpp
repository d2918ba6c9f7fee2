// SPDX-License-Identifier: Apache-2.0
#include "etalage/serving/snapshot.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "etalage/error.hpp"
#include "etalage/marketing/lifetime.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "serving/rules/catalog_rows.hpp"
#include "serving/ranking/live_sources.hpp"

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

/// Keys of these rows alone.
SharedIdMap ids_of(const IdMap& ids, std::span<const std::int32_t> rows) {
  if (ids.kind() == IdMap::Kind::kInteger) {
    std::vector<std::int64_t> keys;
    for (const std::int32_t r : rows) keys.push_back(ids.integer_at(r));
    return std::make_shared<const IdMap>(IdMap::from_integers(Array<std::int64_t>(keys)));
  }
  std::vector<std::string_view> keys;
  for (const std::int32_t r : rows) keys.push_back(ids.string_at(r));
  return std::make_shared<const IdMap>(IdMap::from_strings(std::span<const std::string_view>(keys)));
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

void require_fitted(const Recommender& model, const std::string& what) {
  if (model.num_items() == 0) throw NotFittedError(what + " knows no products, must be fitted before it is in a snapshot");
}

/// Of all that the parts were made of; 0 where none has times.
std::int64_t newest_event(const SnapshotParts& parts) {
  std::int64_t newest = parts.profiles ? parts.profiles->newest_ms() : 0;
  for (const SnapshotModel& m : parts.models) newest = std::max(newest, m.model->newest_ms().value_or(0));
  return std::max<std::int64_t>(newest, 0);
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
    require_fitted(*m.model, "model '" + m.source + "'");
    const auto& own = serving::kOwnSources;
    if (m.source.empty() || std::find(own.begin(), own.end(), m.source) != own.end())
      throw std::invalid_argument("source of a model is '" + m.source + "', must not be empty or one of the engine's own");
    for (std::size_t j = 0; j < i; ++j)
      if (parts_.models[j].source == m.source) throw std::invalid_argument("source '" + m.source + "' is given twice, must be unique");
    items.emplace_back(m.source, m.model->item_ids());
    users.emplace_back(m.source, m.model->user_ids());
    num_items = std::max(num_items, m.model->num_items());
    if (factors_ == nullptr) factors_ = dynamic_cast<const FactorModel*>(m.model.get());
    if (history_model_ == nullptr && m.model->has_history()) history_model_ = m.model.get();
  }
  for (std::size_t i = 0; i < parts_.sources.size(); ++i) {
    if (!parts_.sources[i]) throw std::invalid_argument("sources[" + std::to_string(i) + "] is null, must be a source");
    const std::string name(parts_.sources[i]->name());
    const auto& own = serving::kOwnSources;
    if (std::find(own.begin(), own.end(), name) != own.end() ||
        std::any_of(parts_.models.begin(), parts_.models.end(), [&](const SnapshotModel& m) { return m.source == name; }))
      throw std::invalid_argument("sources[" + std::to_string(i) + "] is named '" + name +
                                  "', must not have the name of a model or of one of the engine's own");
  }
  if (parts_.ranker) {
    require_fitted(*parts_.ranker, "ranker");
    if (parts_.ranker->linear().empty() && !parts_.ranker->trees()) throw NotFittedError("ranker has learned nothing, must be fitted before it is in a snapshot");
    items.emplace_back("ranker", parts_.ranker->item_ids());
    users.emplace_back("ranker", parts_.ranker->user_ids());
    num_items = std::max(num_items, parts_.ranker->num_items());
  }
  if (factors_ != nullptr) {
    folds_in_ = can_fold_in(*factors_);
    if (factors_->has_history()) history_model_ = factors_;
  }
  for (const auto& [segment, model] : parts_.segment_popularity) {
    if (!model) throw std::invalid_argument("model of segment '" + segment + "' is null, must be a model");
    require_fitted(*model, "model of segment '" + segment + "'");
    items.emplace_back("segment " + segment, model->item_ids());
    num_items = std::max(num_items, model->num_items());
  }
  if (parts_.profiles) {
    items.emplace_back("profiles", parts_.profiles->item_ids());
    users.emplace_back("profiles", parts_.profiles->user_ids());
    if (parts_.profiles->item_ids()) num_items = std::max(num_items, parts_.profiles->item_ids()->size());
  }
  if (parts_.intent) {
    if (!parts_.intent->fitted()) throw std::invalid_argument("intent is not fitted, must be");
    if (parts_.profiles && !(parts_.intent->profile_options() == parts_.profiles->options()))
      throw std::invalid_argument("intent learned from profiles of other options, must be of the options of profiles");
  }
  for (const auto& [name, prices] : parts_.offer_prices)
    if (!prices) throw std::invalid_argument("offer_prices '" + name + "' are null, must be prices");
  if (parts_.lifetime && !parts_.lifetime->fitted()) throw NotFittedError("lifetime is not fitted, must be fitted before it is in a snapshot");
  detail::require_finite(parts_.lifetime_unit_days > 0, "lifetime_unit_days", parts_.lifetime_unit_days, "finite and > 0");
  if (parts_.trained_ms == 0) parts_.trained_ms = newest_event(parts_);
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
  predict_new_products();
  const auto factors = static_cast<std::size_t>(factors_ == nullptr ? 0 : factors_->factors());
  for (const auto& [segment, row] : parts_.segment_factors)
    if (row.size() != factors || !detail::bounded_rows(row, factors))
      throw std::invalid_argument("segment_factors of '" + segment + "' has " + std::to_string(row.size()) + " numbers, must have the " +
                                  std::to_string(factors) + " factors of the model, finite and with a squared norm below 8e37");
  if (const Catalog::Columns& c = parts_.catalog->columns(); !detail::bounded_rows(c.vectors.view(), static_cast<std::size_t>(c.dim)))
    throw std::invalid_argument("vectors of the catalogue hold a row with a squared norm of 8e37 or more, must be shorter");
  detail::require_finite(parts_.segment_strength > 0, "segment_strength", parts_.segment_strength, "finite and > 0");
  facts_ = std::make_shared<const ItemFacts>(parts_.profiles ? parts_.profiles->facts().updated(*parts_.catalog) : ItemFacts(*parts_.catalog));
  (void)parts_.rules.validate(catalog_.get());  // oddities are the host's to ask for; what cannot be meant throws
  if (parts_.mix.standard.sources.empty() && parts_.mix.standard.fallback.empty() && parts_.mix.placements.empty())
    parts_.mix = serving::default_mixes(parts_);
}

Snapshot::~Snapshot() = default;

const ProfileOptions& Snapshot::profile_options() const noexcept {
  static const ProfileOptions usual;
  return parts_.profiles ? parts_.profiles->options() : parts_.intent ? parts_.intent->profile_options() : usual;
}

/// Products that the model with factors does not know, or that nobody touched.
void Snapshot::predict_new_products() {
  if (!parts_.cold_start) {
    if (!parts_.new_factors.empty()) throw std::invalid_argument("new_factors is given, must come with cold_start");
    return;
  }
  if (factors_ == nullptr || factors_->factors() != parts_.cold_start->factors())
    throw std::invalid_argument("cold_start predicts " + std::to_string(parts_.cold_start->factors()) + " factors, must be of the snapshot's first model with factors");
  for (std::int32_t row = 0; row < catalog_->size(); ++row) {
    const bool known = row < factors_->num_items();
    if (known && std::ranges::any_of(factors_->item_row(row), [](float v) { return v != 0; })) continue;
    new_products_.push_back(row);
  }
  if (new_products_.empty()) {
    parts_.new_factors = {};
    return;
  }
  const auto f = static_cast<std::size_t>(factors_->factors());
  if (parts_.new_factors.empty()) {
    parts_.new_factors = Array<float>(new_products_.size() * f);
    parts_.cold_start->predict(serving::catalog_rows(*parts_.catalog, new_products_, ids_of(*parts_.catalog->item_ids(), new_products_)),
                                  {parts_.new_factors.mutable_data(), new_products_.size(), f});
  }
  if (parts_.new_factors.size() != new_products_.size() * f || !detail::bounded_rows(parts_.new_factors.view(), f))
    throw std::invalid_argument("new_factors has " + std::to_string(parts_.new_factors.size()) + " numbers, must have " + std::to_string(f) + " finite ones of a squared norm below 8e37 for each of " +
                                std::to_string(new_products_.size()) + " new products");
  const auto* vectors = dynamic_cast<const VectorsModel*>(factors_);
  const bool unit = vectors != nullptr && vectors->options().metric == VectorMetric::kCosine;
  auto index = std::make_shared<ItemIndex>(factors_->factors(), unit ? IndexMetric::kCosine : IndexMetric::kDot,
                                           new_products_.size() <= static_cast<std::size_t>(kExactContent) ? IndexKind::kExact : IndexKind::kHnsw);
  index->add({parts_.new_factors.data(), new_products_.size(), f}, std::vector<std::int64_t>(new_products_.begin(), new_products_.end()));
  new_index_ = std::move(index);
}

}  // namespace etalage
