// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <stdexcept>
#include <utility>

#include "etalage/error.hpp"
#include "etalage/models/blend.hpp"
#include "etalage/models/factor_model.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "etalage/models/sequence_model.hpp"
#include "etalage/models/repeat_purchase.hpp"
#include "etalage/extend/candidate_source.hpp"
#include "serving/ranking/model_query.hpp"
#include "serving/ranking/source_scratch.hpp"

namespace etalage {

using serving::SourceScratch;

namespace {

// The items that the model has; the caller's own list where it has all.
std::span<const std::int32_t> known(std::span<const std::int32_t> items, std::int32_t num_items, std::vector<std::int32_t>& copy) {
  const auto fits = [num_items](std::int32_t i) { return i >= 0 && i < num_items; };
  if (std::all_of(items.begin(), items.end(), fits)) return items;
  copy.clear();
  std::copy_if(items.begin(), items.end(), std::back_inserter(copy), fits);
  return copy;
}

// When things were bought is all that this model reads: the rows it keeps and what came later as one history with times.
void take_times(const RepeatPurchaseModel& model, const RequestContext& r, Query& q, SourceScratch& s) {
  if (r.history_times.size() != r.history.size() || r.session_times.size() != r.session.size()) return;
  s.timed.clear();
  s.times.clear();
  const auto add = [&](std::span<const std::int32_t> items, std::span<const std::int64_t> times) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (items[i] < 0 || items[i] >= model.num_items()) continue;
      s.timed.push_back(items[i]);
      s.times.push_back(times[i]);
    }
  };
  if (q.user && model.has_history() && *q.user < model.history().rows) {
    const auto row = model.history().view().row_columns(*q.user);
    if (model.history_times().size() != model.history().columns.size()) return;
    add(row, model.history_times().view().subspan(static_cast<std::size_t>(row.data() - model.history().columns.data()), row.size()));
  }
  add(r.history, r.history_times);
  add(r.session, r.session_times);
  q.history = s.timed;
  q.history_times = s.times;
  q.history_given = true;
  q.session = {};
}

const FactorModel* takes_vector(const Recommender& model, const RequestContext& request) {
  const auto* factors = dynamic_cast<const FactorModel*>(&model);
  return factors != nullptr && !request.user_vector.empty() &&
                 request.user_vector.size() == static_cast<std::size_t>(factors->factors())
             ? factors
             : nullptr;
}

}  // namespace

Query serving::model_query(const Recommender& model, const SourceQuery& query, SourceScratch& s) {
  const RequestContext& r = *query.request;
  Query q;
  if (r.user && *r.user >= 0 && *r.user < model.num_users()) q.user = r.user;
  q.history = known(r.history, model.num_items(), s.history);
  q.session = known(r.session, model.num_items(), s.session);
  q.filter = query.filter();
  q.exclude_seen = r.exclude_seen;
  if (r.now_ms != 0) q.now_ms = r.now_ms;
  if (const auto* again = dynamic_cast<const RepeatPurchaseModel*>(&model)) take_times(*again, r, q, s);
  const bool learned = dynamic_cast<const LearnedRankerModel*>(&model) != nullptr;
  if (learned && q.history.data() == r.history.data() && r.history_times.size() == r.history.size()) q.history_times = r.history_times;
  // The product being looked at is not listed, unless a model to which order matters says that it may be.
  const bool ordered = learned || dynamic_cast<const SequenceModel*>(&model) != nullptr || dynamic_cast<const BlendModel*>(&model) != nullptr;
  if (!ordered && !q.session.empty()) q.exclude_last = true;
  return q;
}

RecommenderSource::RecommenderSource(std::string name, std::shared_ptr<const Recommender> model, Ask ask)
    : CandidateSource(std::move(name)), model_(std::move(model)), ask_(ask) {
  if (!model_) throw std::invalid_argument("model is null, must be a model");
}

std::size_t RecommenderSource::produce(const SourceQuery& query, std::span<ItemScore> out, Scratch& scratch) const {
  SourceScratch& s = SourceScratch::of(scratch);
  const RequestContext& r = *query.request;
  const auto most = static_cast<std::size_t>(model_->num_items());
  if (ask_ == Ask::kSimilar) {
    const std::span<const std::int32_t> about = known(serving::subject(r, 1), model_->num_items(), s.history);
    const std::size_t width = serving::asked(out.size(), query.denied.size(), most);
    s.found.resize(std::max(s.found.size(), width));
    if (about.size() == 1) {
      const std::size_t n = model_->similar_items(about[0], std::span(s.found).first(width), scratch, query.filter());
      return serving::keep_allowed(query, std::span(s.found).first(n), out);
    }
    s.merged.clear();
    for (const std::int32_t item : about) {
      const std::size_t n = model_->similar_items(item, std::span(s.found).first(width), scratch, query.filter());
      for (std::size_t i = 0; i < n; ++i)
        if (query.allows(s.found[i].item)) s.merged.push_back(s.found[i]);
    }
    return serving::add_up(s.merged, out);
  }

  const Query q = serving::model_query(*model_, query, s);
  const FactorModel* by_vector = takes_vector(*model_, r);
  // The model's cold-start answer says nothing of this shopper; other sources have better ones.
  if (ask_ == Ask::kShopper && by_vector == nullptr && (model_->is_cold(q) || (!q.user && q.history.empty() && q.session.empty())))
    return 0;
  // The model itself leaves out history and session, when it is asked to.
  const std::size_t beyond = r.exclude_seen ? std::min(query.denied.size(), query.denied_beyond_history) : query.denied.size();
  const std::size_t width = serving::asked(out.size(), beyond, most);
  s.found.resize(std::max(s.found.size(), width));
  const std::span<ItemScore> found = std::span(s.found).first(width);
  const std::size_t n = by_vector != nullptr ? by_vector->recommend_vector(r.user_vector, q, found, scratch)
                                             : model_->recommend(q, found, scratch);
  // A model that scores everything 0 knows nothing of this shopper.
  if (n > 1 && found[0].score == 0 && found[n - 1].score == 0 && ask_ == Ask::kShopper) return 0;
  return serving::keep_allowed(query, found.first(n), out);
}

Explanation RecommenderSource::explain(const SourceQuery& query, std::int32_t item, std::size_t k) const {
  if (item < 0 || item >= model_->num_items()) return {};
  SourceScratch s;
  try {
    if (ask_ != Ask::kSimilar) return model_->explain(serving::model_query(*model_, query, s), item, k);
    Explanation e;
    Scratch scratch;
    const ItemFilter only = ItemFilter::allow(std::span<const std::int32_t>(&item, 1));
    for (const std::int32_t about : known(serving::subject(*query.request, 1), model_->num_items(), s.history)) {
      ItemScore found{};
      if (model_->similar_items(about, std::span(&found, 1), scratch, &only) == 0) continue;
      e.total += found.score;
      e.contributions.push_back({about, found.score});
    }
    serving::keep_largest(e, k);
    return e;
  } catch (const UnsupportedError&) {
    return {};
  }
}

}  // namespace etalage
