// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"
#include "etalage/retrieval/item_index.hpp"
#include "etalage/serving/request.hpp"

namespace etalage {

/// What a source is asked: the request, and what may appear.
struct ETALAGE_EXPORT SourceQuery {
  const RequestContext* request = nullptr;  ///< who asks and where; never null while a source is asked
  const CompiledFilter* eligible = nullptr;   ///< null allows everything
  std::span<const std::int32_t> denied = {};  ///< sorted and unique: seen items, anchors, recent purchases
  std::int32_t num_items = std::numeric_limits<std::int32_t>::max();  ///< products are 0 .. num_items - 1
  /// How many of `denied` are in neither history nor session; at most denied.size().
  std::size_t denied_beyond_history = std::numeric_limits<std::size_t>::max();
  const ItemFilter* only = nullptr;  ///< null allows everything: what a re-ranked page was given and may show
  [[nodiscard]] bool allows(std::int32_t item) const noexcept;
  [[nodiscard]] const ItemFilter* filter() const noexcept { return only != nullptr ? only : eligible == nullptr ? nullptr : &eligible->filter; }
};

/// Names products that may suit a request. Const members may be called from any number of threads.
class ETALAGE_EXPORT CandidateSource {
 public:
  virtual ~CandidateSource();
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  /// Writes up to out.size() different candidates, best first, none of which the query forbids; returns how many. Fewer
  /// than out.size() only when the source has no more. A request that says nothing to this source gets none. No
  /// allocation once scratch is warm.
  virtual std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const = 0;
  /// The request's items that speak for a candidate, with their parts of its score. Empty where history has no part.
  [[nodiscard]] virtual Explanation explain(const SourceQuery& query, std::int32_t item, std::size_t k) const;

 protected:
  explicit CandidateSource(std::string name);  ///< name: by which mixes and traces know it, not empty

 private:
  std::string name_;
};
/// A source that snapshots share.
using SharedSource = std::shared_ptr<const CandidateSource>;

/// Any model. A FactorModel takes the request's user_vector where its length fits; any model takes user, history and
/// session; items and users that the model does not have are passed over.
/// Asks for as many more results as the query denies, so that what is left is min(out.size(), eligible).
class ETALAGE_EXPORT RecommenderSource final : public CandidateSource {
 public:
  /// What the model is asked about.
  enum class Ask : std::uint8_t {
    kShopper,  ///< for user, history and session; says nothing to a request without any of them
    kAnyone,   ///< the same, and the model's cold-start answer to the others
    kSimilar   ///< like the last item of session or history, or like the anchors: of several each names its best, and
               ///< the scores of products that more than one names are added
  };
  /// Name: by which mixes and traces know it.
  RecommenderSource(std::string name, std::shared_ptr<const Recommender> model, Ask ask = Ask::kShopper);
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const override;
  [[nodiscard]] Explanation explain(const SourceQuery& query, std::int32_t item, std::size_t k) const override;

 private:
  std::shared_ptr<const Recommender> model_;
  Ask ask_;
};

/// Nearest products by vectors; the index's ids are catalogue rows.
class ETALAGE_EXPORT IndexSource final : public CandidateSource {
 public:
  /// What the index is asked about.
  enum class Ask : std::uint8_t {
    kUserVector,   ///< the request's user_vector
    kQueryVector,  ///< the request's query_vector
    kContent       ///< the mean of the unit vectors of the anchors, or of the last `recent` items of the session or history
  };
  /// vectors [n x dim] of the catalogue's products, for kContent; of the index's dim. Explanations give the mean cosine.
  IndexSource(std::string name, std::shared_ptr<const ItemIndex> index, Ask ask, Array<float> vectors = {}, std::size_t recent = 5);
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const override;
  [[nodiscard]] Explanation explain(const SourceQuery& query, std::int32_t item, std::size_t k) const override;

 private:
  std::shared_ptr<const ItemIndex> index_;
  Ask ask_;
  Array<float> vectors_;
  std::size_t recent_;
};

/// Lists made beforehand: trending and new arrivals (one list), popularity by segment, co-purchase by product.
class ETALAGE_EXPORT ListSource final : public CandidateSource {
 public:
  /// One list for everybody, best first.
  ListSource(std::string name, std::vector<ItemScore> list);
  /// A list a segment; other segments get that of "".
  ListSource(std::string name, std::map<std::string, std::vector<ItemScore>, std::less<>> by_segment);
  /// Lists by product (offsets [n + 1]): those of the anchors, or of the last items of the session, or of the history,
  /// added up.
  ListSource(std::string name, std::vector<std::int64_t> offsets, std::vector<ItemScore> lists, std::size_t recent = 10);
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const override;
  [[nodiscard]] Explanation explain(const SourceQuery& query, std::int32_t item, std::size_t k) const override;

 private:
  std::map<std::string, std::vector<ItemScore>, std::less<>> by_segment_;
  std::vector<std::int64_t> offsets_;
  std::vector<ItemScore> lists_;
  std::size_t recent_ = 0;
};

/// The request's own candidates (RequestContext::given), in the caller's order.
class ETALAGE_EXPORT GivenSource final : public CandidateSource {
 public:
  explicit GivenSource(std::string name = "given");  ///< name: by which mixes and traces know it
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const override;
};

/// Whatever the host counts: `candidates` says them best first, through `emit`, until emit returns false. What the query
/// forbids is left out here.
class ETALAGE_EXPORT FunctionSource final : public CandidateSource {
 public:
  /// A plain reference to a callable bool(ItemScore); lives as long as the call.
  class Emit {
   public:
    template <class F>
    /// Keeps a reference: f must outlive it.
    explicit Emit(F& f) : object_(&f), call_([](void* o, ItemScore s) { return (*static_cast<F*>(o))(s); }) {}
    bool operator()(ItemScore candidate) const { return call_(object_, candidate); }  ///< false: no more are wanted

   private:
    void* object_;
    bool (*call_)(void*, ItemScore);
  };
  using Candidates = std::function<void(const RequestContext&, const Emit&)>;  ///< names candidates, best first
  using Reasons = std::function<Explanation(const RequestContext&, std::int32_t item, std::size_t k)>;  ///< why an item is named; may be empty
  FunctionSource(std::string name, Candidates candidates, Reasons reasons = {});  ///< std::invalid_argument for a name or candidates that are empty
  std::size_t produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const override;
  [[nodiscard]] Explanation explain(const SourceQuery& query, std::int32_t item, std::size_t k) const override;

 private:
  Candidates candidates_;
  Reasons reasons_;
};

}  // namespace etalage
