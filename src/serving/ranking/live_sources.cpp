// SPDX-License-Identifier: Apache-2.0
#include "serving/ranking/live_sources.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "kernels/dot_kernels.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage::serving {
namespace {

constexpr std::size_t kRecent = 10;
constexpr double kDueDays = 7;

/// A model with factors, and with the new products that it does not know by the factors predicted for them.
class FactorSource final : public CandidateSource {
 public:
  FactorSource(const std::string& name, std::shared_ptr<const Recommender> model, RecommenderSource::Ask ask, const Snapshot& snapshot)
      : CandidateSource(name), model_(name, std::move(model), ask), fresh_(name, snapshot.new_index(), IndexSource::Ask::kUserVector), snapshot_(snapshot) {}

  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const override {
    const std::size_t known = model_.produce(query, out, scratch);
    std::vector<ItemScore>& fresh = SourceScratch::of(scratch).fresh;
    if (fresh.size() < out.size()) fresh.resize(out.size());
    const std::size_t more = fresh_.produce(query, std::span(fresh).first(out.size()), scratch);
    // The same inner product says how good both are: one list, the better first.
    std::vector<ItemScore>& merged = SourceScratch::of(scratch).merged;
    merged.resize(known + more);
    std::merge(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(known), fresh.begin(), fresh.begin() + static_cast<std::ptrdiff_t>(more), merged.begin(),
               [](const ItemScore& a, const ItemScore& b) { return a.score != b.score ? a.score > b.score : a.item < b.item; });
    const std::size_t n = std::min(out.size(), merged.size());
    std::copy_n(merged.begin(), n, out.begin());
    return n;
  }

  Explanation explain(const SourceQuery& query, std::int32_t item, std::size_t k) const override {
    const auto& rows = snapshot_.new_products();
    const auto at = std::lower_bound(rows.begin(), rows.end(), item);
    if (at == rows.end() || *at != item) return model_.explain(query, item, k);
    // Nobody has touched it: what speaks for it is what it is like, by the factors predicted for it.
    const FactorModel& model = *snapshot_.factors();
    const auto f = static_cast<std::size_t>(model.factors());
    const std::span<const float> row = snapshot_.parts().new_factors.view().subspan(static_cast<std::size_t>(at - rows.begin()) * f, f);
    Explanation e;
    const auto add = [&](std::span<const std::int32_t> items) {
      for (const std::int32_t about : items) {
        if (about < 0 || about >= model.num_items()) continue;
        const float part = kernels::dot().dot(row.data(), model.item_row(about).data(), f);
        e.total += std::max(0.0f, part);
        if (part > 0) e.contributions.push_back({about, part});
      }
    };
    const RequestContext& r = *query.request;
    if (r.user && model.has_history() && *r.user < model.history().rows) add(model.history().view().row_columns(*r.user));
    add(r.history);
    add(r.session);
    keep_largest(e, k);
    return e;
  }

 private:
  RecommenderSource model_;
  IndexSource fresh_;
  const Snapshot& snapshot_;  // outlives its publication's sources
};

/// What was bought with the page's products, or with the latest ones.
std::vector<ItemScore>& partners_of(const RequestContext& r, const EventStore& store, const LiveRows& rows) {
  thread_local std::vector<ItemScore> merged;
  thread_local std::vector<std::pair<std::int32_t, float>> partners;
  merged.clear();
  partners.resize(static_cast<std::size_t>(store.options().co_purchase_limit));
  for (const std::int32_t about : subject(r, kRecent)) {
    const std::size_t n = store.bought_together(rows.item_of(about), partners);
    for (std::size_t i = 0; i < n; ++i)
      if (const std::int32_t row = rows.row_of(partners[i].first); row >= 0) merged.push_back({row, partners[i].second});
  }
  merged.resize(add_up(merged, merged));
  return merged;
}

/// What they bought, by the probability that they buy it again within a week; ties by what is due first.
std::vector<BuyAgain>& due_again(const RequestContext& r, const RepurchaseStatistics& shop, std::int32_t num_products) {
  thread_local std::vector<BuyAgain> due;
  due.clear();
  if (r.profile == nullptr) return due;
  for (const ItemMemory& m : r.profile->bought_unsorted())
    if (m.item < num_products) due.push_back(shop.expect(m, r.now_ms, kDueDays));
  std::sort(due.begin(), due.end(), [](const BuyAgain& a, const BuyAgain& b) {
    if (a.probability != b.probability) return a.probability > b.probability;
    return a.due_ms != b.due_ms ? a.due_ms < b.due_ms : a.item < b.item;
  });
  return due;
}

std::vector<ItemScore> popular(const Recommender& model) {
  std::vector<ItemScore> list(std::min<std::size_t>(1000, static_cast<std::size_t>(model.num_items())));
  Scratch scratch;
  list.resize(model.recommend(Query{}, list, scratch));
  return list;
}

}  // namespace

LiveRows::LiveRows(const EventStore& store, const Catalog& catalog)
    : store_(store), catalog_(catalog), chunks_(std::make_unique<std::atomic<Cell*>[]>(kChunks)) {}

LiveRows::~LiveRows() {
  for (std::size_t i = 0; i < kChunks; ++i) delete[] chunks_[i].load(std::memory_order_relaxed);
}

std::int32_t LiveRows::row_of_key(KeyView key) const noexcept {
  return std::visit([&](const auto& k) { return catalog_.item_ids()->find(k); }, key);
}

std::int32_t LiveRows::row_of(std::int32_t item) const {
  if (item < 0) return -1;
  std::atomic<Cell*>& chunk = chunks_[static_cast<std::size_t>(item) / kChunk];
  Cell* cells = chunk.load(std::memory_order_acquire);
  if (cells == nullptr) {
    auto fresh = std::make_unique<Cell[]>(kChunk);
    if (chunk.compare_exchange_strong(cells, fresh.get(), std::memory_order_acq_rel)) cells = fresh.release();
  }
  Cell& cell = cells[static_cast<std::size_t>(item) % kChunk];
  std::int32_t known = cell.load(std::memory_order_relaxed);
  if (known == 0) {
    thread_local Key key;
    known = 2 + (store_.item_key(item, key) ? row_of_key(view_of(key)) : -1);
    cell.store(known, std::memory_order_relaxed);
  }
  return known - 2;
}

std::int32_t LiveRows::item_of(std::int32_t row) const {
  if (row < 0 || row >= catalog_.size()) return -1;
  return store_.find_item(key_at(*catalog_.item_ids(), row));
}

std::vector<SharedSource> make_sources(const Snapshot& snapshot, const EventStore& store, const LiveRows& rows) {
  const SnapshotParts& p = snapshot.parts();
  std::vector<SharedSource> out;
  for (const SnapshotModel& m : p.models) {
    if (m.model.get() == snapshot.factors() && snapshot.new_index())
      out.push_back(std::make_shared<FactorSource>(m.source, m.model, m.ask, snapshot));
    else out.push_back(std::make_shared<RecommenderSource>(m.source, m.model, m.ask));
  }
  if (p.content_index) out.push_back(std::make_shared<IndexSource>("content", p.content_index, IndexSource::Ask::kContent, p.catalog->columns().vectors));
  if (!p.segment_popularity.empty()) {
    std::map<std::string, std::vector<ItemScore>, std::less<>> lists;
    for (const auto& [segment, model] : p.segment_popularity) lists.emplace(segment, popular(*model));
    out.push_back(std::make_shared<ListSource>("popular_in_segment", std::move(lists)));
  }
  std::vector<ItemScore> arrivals;
  for (const std::int32_t row : snapshot.arrivals()) arrivals.push_back({row, 1.0f / static_cast<float>(arrivals.size() + 1)});
  out.push_back(std::make_shared<ListSource>("new_arrivals", std::move(arrivals)));
  out.push_back(std::make_shared<FunctionSource>("trending", [&store, &rows](const RequestContext&, const FunctionSource::Emit& emit) {
    thread_local std::vector<std::pair<std::int32_t, float>> top;
    top.resize(static_cast<std::size_t>(store.options().trending_size));
    const std::size_t n = store.trending(top);
    for (std::size_t i = 0; i < n; ++i)
      if (const std::int32_t row = rows.row_of(top[i].first); row >= 0 && !emit({row, top[i].second})) return;
  }));
  out.push_back(std::make_shared<FunctionSource>(
      "co_purchase",
      [&store, &rows](const RequestContext& r, const FunctionSource::Emit& emit) {
        for (const ItemScore& s : partners_of(r, store, rows))
          if (!emit(s)) return;
      },
      [&store, &rows](const RequestContext& r, std::int32_t item, std::size_t k) {
        Explanation e;
        std::vector<std::pair<std::int32_t, float>> partners(static_cast<std::size_t>(store.options().co_purchase_limit));
        for (const std::int32_t about : subject(r, kRecent)) {
          const std::size_t n = store.bought_together(rows.item_of(about), partners);
          for (std::size_t i = 0; i < n; ++i) {
            if (rows.row_of(partners[i].first) != item) continue;
            e.total += partners[i].second;
            e.contributions.push_back({about, partners[i].second});
          }
        }
        keep_largest(e, k);
        return e;
      }));
  // Without profiles nothing is known of what others buy again: their own gaps have to do.
  const auto shop = p.profiles ? std::shared_ptr<const RepurchaseStatistics>(p.profiles, &p.profiles->repurchases()) : std::make_shared<const RepurchaseStatistics>();
  const std::int32_t products = snapshot.catalog()->size();
  out.push_back(std::make_shared<FunctionSource>(
      "buy_again",
      [shop, products](const RequestContext& r, const FunctionSource::Emit& emit) {
        for (const BuyAgain& b : due_again(r, *shop, products))
          if (!emit({b.item, static_cast<float>(b.probability)})) return;
      },
      [shop, products](const RequestContext& r, std::int32_t item, std::size_t) {
        Explanation e;
        for (const BuyAgain& b : due_again(r, *shop, products))
          if (b.item == item) e = {static_cast<float>(b.probability), {{item, static_cast<float>(b.probability)}}};
        return e;
      }));
  out.push_back(std::make_shared<GivenSource>("given"));
  out.insert(out.end(), p.sources.begin(), p.sources.end());
  return out;
}

MixOptions default_mixes(const SnapshotParts& p) {
  const bool content = p.content_index != nullptr || (p.catalog && p.catalog->columns().dim > 0 && p.catalog->size() > 0);
  enum Group : std::size_t { kShopper, kSimilar, kAnyone };
  std::array<std::vector<std::string>, 3> models;
  for (const SnapshotModel& m : p.models)
    models[m.ask == RecommenderSource::Ask::kShopper ? kShopper : m.ask == RecommenderSource::Ask::kSimilar ? kSimilar : kAnyone].push_back(m.source);
  const auto mix = [&](float shopper, float similar, float together, float alike, float trending, float again) {
    PlacementMix out;
    const auto add = [&](const std::string& name, float weight, int quota) {
      if (weight > 0) out.sources.push_back({name, quota, weight});
    };
    for (const std::string& name : models[kShopper]) add(name, shopper, 200);
    for (const std::string& name : models[kSimilar]) add(name, similar, 100);
    add("co_purchase", together, 100);
    if (content) add("content", alike, 100);
    add("trending", trending, 50);
    add("buy_again", again, 50);
    if (!p.segment_popularity.empty()) out.fallback.emplace_back("popular_in_segment");
    for (const std::string& name : models[kAnyone]) out.fallback.push_back(name);
    out.fallback.emplace_back("trending");
    out.fallback.emplace_back("new_arrivals");
    return out;
  };
  MixOptions out;
  out.standard = mix(1, 0.5f, 0.3f, 0.2f, 0.1f, 0.5f);
  out.placements[Placement::kProductPage] = mix(0.3f, 1, 1, 0.5f, 0, 0);
  out.placements[Placement::kBasket] = mix(0.3f, 0.5f, 1, 0.2f, 0, 0.3f);
  out.placements[Placement::kCategoryPage] = mix(1, 0.3f, 0.2f, 0.2f, 0.3f, 0.3f);
  out.placements[Placement::kEmail] = mix(1, 0.3f, 0.3f, 0.2f, 0.1f, 1);
  PlacementMix search = mix(0, 0, 0, 0, 0, 0);
  search.sources.push_back({"given", 1000, 1});
  // What the shopper likes moves results up; it brings none in, which only fallbacks do.
  out.placements[Placement::kSearch] = std::move(search);
  return out;
}

}  // namespace etalage::serving

namespace etalage {

PlacementMix default_mix(const SnapshotParts& parts, Placement placement) {
  const MixOptions all = serving::default_mixes(parts);
  const auto own = all.placements.find(placement);
  return own == all.placements.end() ? all.standard : own->second;
}

}  // namespace etalage
