// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/export.hpp"
#include "etalage/extend/candidate_source.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/serving/catalog_index.hpp"
#include "etalage/serving/mix_options.hpp"
#include "etalage/serving/request.hpp"
#include "etalage/serving/rerank.hpp"
#include "etalage/serving/rules.hpp"

namespace etalage {

class LearnedRankerModel;

/// Everything a Ranker is made of. Shared parts are not copied.
struct RankerParts {
  std::shared_ptr<const CatalogIndex> catalog = nullptr;  ///< over which rules and filters speak
  std::vector<SharedSource> sources = {};  ///< named by the mix
  MixOptions mix = {};  ///< what each placement asks
  Rules rules = {};  ///< what may, must and must not be shown
  RerankOptions rerank = {};  ///< variety of the list
  Array<float> vectors = {};             ///< [n x dim] of the catalogue's rows, for mmr and dpp; may stop before the last row
  std::int32_t dim = 0;  ///< width of vectors for variety; 0: the catalogue's
  std::string calibrate_by = "category:1";  ///< grouping of calibration
  bool skip_failing_sources = false;     ///< a source that throws names nothing, and is counted; else the request throws
  std::shared_ptr<const LearnedRankerModel> learned = nullptr;  ///< scores the candidates anew; null: the mix's scores stay
};

/// A product of an answer, by its row.
struct RankedItem {
  std::int32_t item;  ///< row of the catalogue
  float score;           ///< relevance after boosts, in [0, 1] times the factors; 0 for what only filled up
  std::int32_t source;   ///< the source with the largest part, index into Ranker::sources(); -1: a pin or a fill-up
};

/// What happened to one product of an answer, or to one that a rule kept out.
struct RuleEffect {
  std::size_t rule;     ///< index into Ranker::rules()
  std::int32_t item;  ///< row of the catalogue
  std::string what;     ///< "boosted by 1.5", "pinned to 2", "kept out: 2 of brand Acme already", ...
};

/// What became of one candidate.
struct TracedItem {
  /// What one source said of it.
  struct Part {
    std::string source;  ///< that named it
    std::int32_t rank = 0;   ///< from 1
    float score = 0;         ///< the source's own
    float part = 0;          ///< weight times normalised score
    bool fallback = false;  ///< whether only a fallback named it
  };
  std::int32_t item = -1;  ///< row of the catalogue
  float mixed = 0;           ///< sum of parts
  float relevance = 0;       ///< mapped to (0, 1] over the candidates
  float boosted = 0;         ///< after boosts
  std::vector<Part> parts;  ///< in the order of the sources
  std::vector<std::size_t> effects;  ///< indices into Trace::effects
};

/// The whole way of one answer.
struct Trace {
  std::uint64_t audit_id = 0;  ///< of the request
  std::uint64_t catalog_version = 0;  ///< of the catalogue's index
  Placement placement = Placement::kHome;  ///< of the request
  std::int64_t eligible = 0;         ///< products that the filters allow, before what this shopper has seen
  std::size_t denied = 0;            ///< seen, anchors, bought
  std::size_t candidates = 0;  ///< named by the sources together
  std::vector<std::int32_t> produced;  ///< by source
  std::vector<TracedItem> items;     ///< the answer, in order
  std::vector<RuleEffect> effects;   ///< in the order in which they happened
};

/// Numbers of the last request, for counters.
struct RankStats {
  std::int64_t eligible = 0;  ///< products that rules and filters leave
  std::size_t denied = 0;  ///< candidates that rules and filters took away
  std::size_t candidates = 0;  ///< named by the sources together
  std::size_t from_fallback = 0;     ///< candidates that only a fallback source named
  std::size_t filled = 0;            ///< products of the answer that no source named
  std::span<const std::int32_t> produced;  ///< by source; valid until the next request
  std::span<const std::int32_t> failed;    ///< likewise
};

/// Working memory of one thread.
class ETALAGE_EXPORT RankScratch {
 public:
  RankScratch();
  ~RankScratch();
  RankScratch(RankScratch&&) noexcept;
  RankScratch& operator=(RankScratch&&) noexcept;
  [[nodiscard]] RankStats stats() const noexcept;  ///< counts since it was made
  struct Impl;
  [[nodiscard]] Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// From sources to an answer: sources -> union -> filters -> relevance in (0, 1] -> boosts -> re-ranking with pins, caps
/// and shares -> answer. Immutable.
///
/// Answers    min(k, eligible) products, none of which a filter, a rule or the request forbids; fewer only where caps
///            leave no more. What no source names is filled up from the catalogue in its order
/// Relevance  of n candidates: 0.1 + 0.9 (s - min) / (max - min), 1 where all are equal; candidates of fallback sources
///            get 0.1 (m + 1 - i) / (m + 1), the i-th of m, and ten times that where there are no others. Boosts multiply
/// Learned    where there is a learned ranker, s of a candidate that a source of the placement named is its score. Products that the
///            ranker does not know keep their rank in the mix among them. Boosts, caps and variety come after it
/// Tired      what RequestContext::tired names is worth its factor of that
/// Fallback   sources are asked while there are fewer than 3 k candidates, so that caps and variety have a choice
/// Rules      by the precedence of Rules; a share's products are asked for by themselves when the candidates are short
///            of them
/// Threads    const members may be called from any number of threads, each with its own scratch; a request opens no
///            parallel region and, once warm, allocates nothing unless a trace is asked for
/// Unknown    shoppers and items that the catalogue or a model does not have are passed over, never an error. What a
///            model keeps of a user is known to that model alone: give history (or seen) where other sources must leave
///            it out too
/// Errors     std::invalid_argument: parts that do not fit together, rules by their path, vectors of a wrong length
class ETALAGE_EXPORT Ranker {
 public:
  explicit Ranker(RankerParts parts);  ///< std::invalid_argument names the part and the rule
  ~Ranker();
  Ranker(const Ranker&) = delete;
  Ranker& operator=(const Ranker&) = delete;

  /// Returns how many of `out` were filled; no allocation once warm.
  std::size_t rank(const RequestContext& request, std::span<RankedItem> out, RankScratch& scratch, Trace* trace = nullptr) const;
  /// The request's items that speak for a product, by the source that names it first; parts sum to total.
  [[nodiscard]] Explanation explain(const RequestContext& request, std::int32_t source, std::int32_t item, std::size_t k) const;

  [[nodiscard]] const CatalogIndex& catalog() const noexcept;  ///< over which it speaks
  [[nodiscard]] const std::shared_ptr<const CatalogIndex>& shared_catalog() const noexcept;  ///< never null
  [[nodiscard]] std::span<const SharedSource> sources() const noexcept;  ///< by the mix's names
  [[nodiscard]] const Rules& rules() const noexcept;  ///< as they were compiled

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace etalage
