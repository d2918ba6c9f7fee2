// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "etalage/core/id_map.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/models/cold_start_items.hpp"
#include "etalage/models/factor_model.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/profile/profiles.hpp"
#include "etalage/profile/purchase_intent.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "etalage/extend/candidate_source.hpp"
#include "etalage/serving/catalog_index.hpp"
#include "etalage/serving/key.hpp"
#include "etalage/serving/mix_options.hpp"
#include "etalage/serving/rerank.hpp"
#include "etalage/serving/rules.hpp"

namespace etalage {

class LearnedRankerModel;
class LifetimeModel;
namespace marketing {
class OfferPrices;
}

/// A model under the name by which placements ask for it.
struct SnapshotModel {
  std::string source;  ///< "als", "item_to_item", "session", "popularity", ...; not one of the engine's own names
  std::shared_ptr<const Recommender> model;  ///< fitted, over the catalogue's keys
  RecommenderSource::Ask ask = RecommenderSource::Ask::kShopper;  ///< what it is asked about
};

/// What a snapshot is made of. Everything may be empty; shared parts are not copied.
struct SnapshotParts {
  std::string label;                       ///< the host's own name of it
  /// UTC; the models know the events up to this moment, later ones count as live. 0: up to the newest event that profiles or
  /// a model was fitted on; where none has times, an event of a product in the kept row of its shopper counts as known.
  std::int64_t trained_ms = 0;
  std::shared_ptr<const Catalog> catalog;  ///< null: what the models know, without attributes
  std::vector<SnapshotModel> models;       ///< at most 32; a FactorModel with an index (build_index) is asked through it
  /// Candidate sources of the host's own, under names of their own; items are rows of Snapshot::catalog(). The default mix asks
  /// none of them: default_mix() is there to be added to. A snapshot that has some cannot be saved.
  std::vector<SharedSource> sources = {};
  /// Over the catalogue's vectors, ids = rows of Snapshot::catalog(); null: made here where the catalogue has vectors.
  std::shared_ptr<const ItemIndex> content_index;
  std::map<std::string, std::shared_ptr<const Recommender>> segment_popularity;  ///< by segment, "" for all others
  /// What shoppers did up to trained_ms, of the same log as the models; null: profiles are of live events alone, and no
  /// product is known to be bought again by others.
  std::shared_ptr<const Profiles> profiles;
  std::shared_ptr<const PurchaseIntent> intent;  ///< of the same profile options as `profiles`
  /// Learned beside the first FactorModel: products that nobody touched get factors from their attributes, and that
  /// model's source names them too.
  std::shared_ptr<const ColdStartItems> cold_start;
  Array<float> new_factors = {};           ///< those factors [new products x factors]; empty: predicted here
  std::map<std::string, std::vector<float>, std::less<>> segment_factors;  ///< of a newcomer by Request::segment, [factors] each
  float segment_strength = 5;              ///< as many events as their segment counts for beside their own; > 0
  std::vector<Key> new_arrivals;           ///< newest first; empty: products that no model knows, last row first
  MixOptions mix;                          ///< with an empty standard mix: the default one, of the sources that are there
  Rules rules;
  /// Scores anew what the sources of a placement propose, before boosts, caps and variety; of the models' items and users. Its
  /// own sources say what they think of these products, they propose nothing.
  std::shared_ptr<const LearnedRankerModel> ranker;
  RerankOptions rerank;                    ///< by the catalogue's vectors, or the item factors where it has none
  std::string calibrate_by = "category:1";
  /// Dual prices of allocations, by the name of what they ration ("coupons", "mails"): an OfferDesk decides requests at them.
  std::map<std::string, std::shared_ptr<const marketing::OfferPrices>, std::less<>> offer_prices = {};
  /// Fitted on the same log: ShopperState::alive and lifecycles are by it, and a product is bought again only by whoever is still a
  /// customer. Its purchases are what profiles count as orders: repeats are all orders but the first.
  std::shared_ptr<const LifetimeModel> lifetime = {};
  double lifetime_unit_days = 7;           ///< length of the model's unit of time; > 0
};

/// What a placement asks where the parts bring no mix: a start for one of the host's own.
[[nodiscard]] ETALAGE_EXPORT PlacementMix default_mix(const SnapshotParts& parts, Placement placement);

/// One state of everything that is not live: models, indexes, catalogue, rules. Immutable; made in the background,
/// published to an Engine, freed when its last reader leaves.
///
/// Items      rows are those of the largest model, then the products that only the catalogue knows. All models must
///            number their items alike: one that knows fewer must know the first so many. The same goes for users
/// Sources    the models by their names; besides, of the engine: "content" (with vectors), "popular_in_segment",
///            "new_arrivals", "trending", "co_purchase", "buy_again", "given"
/// Default    home: models and live sources by their kind, popularity and trending as fallback; see docs/engine.md
/// Profiles   read as they stand: what `profiles` says, and every live event after trained_ms
/// Cost       one pass over the keys and one over the catalogue; the content index where it is made here
/// Threads    const members are safe to call concurrently
/// Errors     std::invalid_argument: parts that do not fit together, with what differs
class ETALAGE_EXPORT Snapshot {
 public:
  explicit Snapshot(SnapshotParts parts);  ///< std::invalid_argument names the part and the rule
  ~Snapshot();
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;

  [[nodiscard]] const SnapshotParts& parts() const noexcept { return parts_; }  ///< as they were given, with the mix that is in use
  [[nodiscard]] const std::shared_ptr<const CatalogIndex>& catalog() const noexcept { return catalog_; }  ///< null without a catalogue
  [[nodiscard]] const IdMap& item_ids() const noexcept { return *catalog_->catalog().item_ids(); }
  /// Null when no model knows users by key.
  [[nodiscard]] const SharedIdMap& user_ids() const noexcept { return user_ids_; }
  /// The first model with factors, null without; it folds live events in when folds_in() says so.
  [[nodiscard]] const FactorModel* factors() const noexcept { return factors_; }
  [[nodiscard]] bool folds_in() const noexcept { return folds_in_; }
  /// A model that keeps the rows it was fitted on; null when none does.
  [[nodiscard]] const Recommender* history_model() const noexcept { return history_model_; }
  [[nodiscard]] const std::shared_ptr<const ItemIndex>& content_index() const noexcept { return parts_.content_index; }
  /// Rows of the new arrivals, newest first.
  [[nodiscard]] const std::vector<std::int32_t>& arrivals() const noexcept { return arrivals_; }
  /// Rows that cold_start predicts, ascending, and an index over their factors; null without.
  [[nodiscard]] const std::vector<std::int32_t>& new_products() const noexcept { return new_products_; }
  [[nodiscard]] const std::shared_ptr<const ItemIndex>& new_index() const noexcept { return new_index_; }
  /// The catalogue as profiles see it: row i is row i of catalog(); categories and brands numbered as in parts().profiles.
  [[nodiscard]] const ItemFacts& facts() const noexcept { return *facts_; }
  [[nodiscard]] const std::shared_ptr<const ItemFacts>& shared_facts() const noexcept { return facts_; }
  [[nodiscard]] const ProfileOptions& profile_options() const noexcept;

  void save_state(StateWriter& writer) const;
  /// make_model makes a model of a kind from its state; null for an unknown kind.
  using ModelMaker = std::function<std::shared_ptr<const Recommender>(std::string_view kind, const StateReader& reader)>;
  [[nodiscard]] static std::shared_ptr<const Snapshot> from_state(const StateReader& reader, const ModelMaker& make_model);

 private:
  void predict_new_products();
  SnapshotParts parts_;
  std::shared_ptr<const CatalogIndex> catalog_;
  SharedIdMap user_ids_;
  const FactorModel* factors_ = nullptr;
  bool folds_in_ = false;
  const Recommender* history_model_ = nullptr;
  std::vector<std::int32_t> arrivals_;
  std::vector<std::int32_t> new_products_;
  std::shared_ptr<const ItemIndex> new_index_;
  std::shared_ptr<const ItemFacts> facts_;
};

}  // namespace etalage
