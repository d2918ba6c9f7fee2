// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "etalage/serving/exploration.hpp"
#include "etalage/serving/ranker.hpp"
#include "serving/rules/compiled_rules.hpp"
#include "serving/ranking/greedy.hpp"
#include "serving/ranking/second_stage.hpp"

namespace etalage {

namespace serving {

/// How the places of an answer that were drawn came about. Vectors only grow.
struct ExploredPlaces {
  struct Place {
    std::size_t place;
    std::size_t first;    ///< of its candidates in `values` and `counts`
    std::size_t size;
    std::size_t chosen;   ///< among them
    double probability;   ///< of the chosen one, given the places above
    std::size_t first_opinion;  ///< in `opinions`, [models x size]
  };
  std::vector<Place> places;
  std::span<const std::int32_t> follow;      ///< items that the places show as long as they may, to learn how likely they are; the caller's
  std::vector<double> followed;              ///< their probabilities, each given the ones above, down to the first that cannot be there
  std::vector<double> values;
  std::vector<ShownCounts> counts;           ///< as long as values where the policy reads counts, else empty
  std::vector<float> opinions;               ///< of bootstrapped models where the policy asks them, place after place
  std::vector<std::size_t> entries;          ///< working memory of one place
  std::vector<double> gains;                 ///< likewise
  std::vector<double> probabilities;         ///< likewise
  void clear() noexcept {
    places.clear();
    followed.clear();
    values.clear();
    counts.clear();
    opinions.clear();
  }
};

}  // namespace serving

/// Vectors only grow; what is of one request is reset by it.
struct RankScratch::Impl {
  Scratch scratch;
  CandidateSet candidates;
  std::vector<std::int32_t> history;       ///< history and session, sorted
  std::vector<std::int32_t> denied;        ///< sorted and unique
  std::vector<float> relevance;            ///< [candidates] in [0, 1]
  std::vector<float> boosted;              ///< [candidates]
  std::vector<float> relevance_by_model;   ///< [candidates] working memory of one bootstrapped model
  std::vector<std::int32_t> order;         ///< candidates by what they are worth
  // The order's first entries as the re-ranker reads them.
  std::vector<float> window_relevance;
  std::vector<const float*> window_vectors;
  std::vector<std::int32_t> window_items;
  std::vector<std::int32_t> window_groups;
  std::vector<float> target;
  std::vector<std::uint8_t> taken;         ///< [order]
  std::vector<std::uint8_t> blocked;       ///< [order] a cap is full
  std::vector<std::uint32_t> shares;       ///< [order] bit r: in the set of share r
  std::vector<std::size_t> owed;           ///< by share, products still to come
  std::vector<std::size_t> shown;          ///< by share, products shown
  std::vector<std::int32_t> pin_at;        ///< [k] entry of the order that is pinned there, -1
  std::vector<std::size_t> pin_rule;       ///< [k]
  std::vector<std::int32_t> answer;        ///< entries of the order, or -1 - item for what filled up
  std::vector<std::int32_t> given;         ///< what a re-ranked page may show, in the caller's order
  ItemFilter only;                         ///< the same as a filter
  serving::RulePlan plan;                  ///< with the sets of this moment, where they can change
  RankStats stats;
  serving::SecondStageScratch second;
  serving::ExploredPlaces explored;        ///< of an answer that explores; empty otherwise
};

namespace serving {

/// Told what the rules do; null where no trace is asked for.
class Tracer {
 public:
  explicit Tracer(Trace* trace) : trace_(trace) {}
  [[nodiscard]] bool on() const noexcept { return trace_ != nullptr; }
  template <class Text>
  void effect(std::size_t rule, std::int32_t item, const Text& text) const {
    if (trace_ != nullptr) trace_->effects.push_back({rule, item, text()});
  }

 private:
  Trace* trace_;
};

/// Order, pins, caps and shares of one request: fills s.answer with at most k entries.
void select(const RequestContext& request, const RulePlan& plan, const RerankOptions& rerank, const RerankInput& window, std::size_t k,
            RankScratch::Impl& s, const Tracer& tracer);
/// False where a cap that is full keeps the item out.
bool caps_allow(const RulePlan& plan, std::int32_t item, const RankScratch::Impl& s) noexcept;
/// Everything that a trace holds but the effects.
void fill_trace(Trace& trace, const RequestContext& request, const CatalogIndex& catalog, std::span<const SharedSource> sources,
                std::span<const RankedItem> answer, const RankScratch::Impl& s);

/// The item of an entry of s.answer.
inline std::int32_t item_of(std::int32_t entry, const RankScratch::Impl& s) noexcept {
  return entry < 0 ? -1 - entry : s.candidates.items[static_cast<std::size_t>(s.order[static_cast<std::size_t>(entry)])];
}

}  // namespace serving

struct Ranker::Impl {
  RankerParts parts;
  Mixer mixer;
  std::vector<serving::RulePlan> plans;       ///< one a placement
  std::shared_ptr<const ItemGroups> calibrate; ///< null unless the re-ranking calibrates
  explicit Impl(RankerParts p);

  void deny(const RequestContext& request, const serving::RulePlan& plan, RankScratch::Impl& s) const;
  SourceQuery query(const RequestContext& request, const CompiledFilter* eligible, const RankScratch::Impl& s) const noexcept;
  void value_by_models(RankScratch::Impl& s) const;
  void gather(const SourceQuery& query, const SharedFilter& eligible, const serving::RulePlan& plan, std::size_t k, RankScratch::Impl& s) const;
  void value(const RequestContext& request, const serving::RulePlan& plan, RankScratch::Impl& s, const serving::Tracer& tracer) const;
  RerankInput window(const RequestContext& request, RankScratch::Impl& s) const;
  void fill_up(const SourceQuery& query, const serving::RulePlan& plan, std::size_t k, RankScratch::Impl& s) const;
};

}  // namespace etalage
