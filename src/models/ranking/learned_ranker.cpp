// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/learned_ranker.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "etalage/models/sequence_model.hpp"
#include "kernels/rank_key.hpp"
#include "models/answers.hpp"
#include "models/blend/members.hpp"
#include "models/ranking/learned_ranker_working.hpp"
#include "models/ranking/missing_value.hpp"
#include "models/shared_arrays.hpp"
#include "search/top_k.hpp"

namespace etalage {
namespace {

constexpr double kLeastShare = 1e-3;  // below it shares tell nothing apart

float log_share(float score, double mass) {
  return static_cast<float>(std::log(std::max(0.0, static_cast<double>(score)) / mass + kLeastShare));
}

constexpr detail::MemberWords kWords{"source", "sources", "LearnedRanker", "a first stage"};
constexpr std::size_t kMostModels = 256;

void save_scorer(StateWriter& writer, const RankerScorer& scorer) {
  writer.put_bool("has_linear", !scorer.linear.empty());
  ScopedWriter linear(writer, "linear/");
  if (!scorer.linear.empty()) scorer.linear.save_state(linear);
  writer.put_bool("has_trees", scorer.trees.has_value());
  ScopedWriter trees(writer, "trees/");
  if (scorer.trees) scorer.trees->save_state(trees);
}

RankerScorer read_scorer(const StateReader& reader) {
  RankerScorer out;
  if (reader.get_bool("has_linear")) out.linear = LinearRanker::from_state(ScopedReader(reader, "linear/"));
  if (reader.get_bool("has_trees")) out.trees = TreeEnsemble::from_state(ScopedReader(reader, "trees/"));
  return out;
}

}  // namespace

void LearnedRankerOptions::validate() const {
  require_options(*this);
  if (!std::isnan(placement)) detail::require_finite(placement >= 0, "placement", placement, "finite and >= 0, or NaN");
  if (!std::isnan(position)) detail::require_finite(position >= 1, "position", position, "finite and >= 1, or NaN");
}

LearnedRankerModel::LearnedRankerModel(std::vector<BlendMember> sources, ItemSignals signals, LearnedRankerOptions options)
    : sources_(std::move(sources)), signals_(std::move(signals)), options_(std::move(options)) {
  options_.validate();
  num_users_ = detail::check_members(sources_, kWords);
  num_items_ = sources_[0].model->num_items();
  if (signals_.num_items() != num_items_)
    throw std::invalid_argument("signals know " + std::to_string(signals_.num_items()) + " items, must know the " + std::to_string(num_items_) +
                                " of the sources");
  for (const BlendMember& s : sources_)
    if (!user_ids_ && !item_ids_ && (s.model->user_ids() || s.model->item_ids())) set_ids(s.model->user_ids(), s.model->item_ids());
  fitted_on_ = detail::fitted_on_of(sources_);
  newest_ms_ = detail::newest_of(sources_);
  options_.exclude_last.settle(detail::members_exclude_last(sources_));
}

LearnedRankerModel::LearnedRankerModel(std::vector<BlendMember> sources, ItemSignals signals, const Sequences& histories,
                                       LearnedRankerOptions options)
    : LearnedRankerModel(std::move(sources), std::move(signals), std::move(options)) {
  if (histories.num_items() != num_items_ || count_users(histories) > num_users_)
    throw std::invalid_argument("histories have " + std::to_string(count_users(histories)) + " users and " + std::to_string(histories.num_items()) +
                                " items, must have those of the sources: " + std::to_string(num_users_) + " and " + std::to_string(num_items_));
  Array<std::int64_t> times;
  CsrMatrix rows = ordered_rows(histories, &times);
  // Users behind the last list have none.
  const std::size_t have = rows.offsets.size();
  rows.offsets.resize(static_cast<std::size_t>(num_users_) + 1);
  std::int64_t* offsets = rows.offsets.mutable_data();
  for (std::size_t u = have; u < rows.offsets.size(); ++u) offsets[u] = rows.nnz();
  rows.rows = num_users_;
  Recommender::set_history(std::move(rows));
  history_times_ = std::move(times);
}

LearnedRankerModel::~LearnedRankerModel() = default;

std::vector<std::string> LearnedRankerModel::feature_names() const {
  std::vector<std::string> names;
  for (const BlendMember& s : sources_) names.push_back(s.name);
  return RankingFeatures::names(names);
}

void LearnedRankerModel::check_scorer(const RankerScorer& scorer) const {
  const auto expect = [&](const char* what, std::size_t features) {
    if (features != num_features())
      throw std::invalid_argument(std::string(what) + " knows " + std::to_string(features) + " features, must know the " +
                                  std::to_string(num_features()) + " of this ranker");
  };
  if (scorer.linear.empty() && !scorer.trees) throw std::invalid_argument("linear and trees are both absent, must give one of them");
  if (!scorer.linear.empty()) expect("linear", scorer.linear.num_features());
  if (scorer.trees) {
    expect("trees", static_cast<std::size_t>(scorer.trees->num_features()));
    detail::require(scorer.trees->num_outputs() == 1, "outputs of trees", scorer.trees->num_outputs(), "1");
  }
}

void LearnedRankerModel::set_scorer(LinearRanker linear, std::optional<TreeEnsemble> trees) {
  RankerScorer next{std::move(linear), std::move(trees)};
  check_scorer(next);
  scorer_ = std::move(next);
}

void LearnedRankerModel::set_bag(std::vector<RankerScorer> bag) {
  detail::require(bag.size() != 1 && bag.size() <= kMostModels, "models of the bag", bag.size(), "0, or in [2, 256]");
  for (const RankerScorer& scorer : bag) check_scorer(scorer);
  bag_ = std::move(bag);
}

void LearnedRankerModel::set_served_at(float placement, float position) {
  LearnedRankerOptions next = options_;
  next.placement = placement;
  next.position = position;
  next.validate();
  options_ = std::move(next);
}

void LearnedRankerModel::require_scorer() const {
  if (linear().empty() && !trees()) throw NotFittedError("LearnedRanker has learned nothing; call set_scorer() first");
}

LearnedRankerModel::Working& LearnedRankerModel::working(Scratch& scratch) const {
  auto& w = scratch.impl().part<Working>();
  if (w.scratch.size() < sources_.size()) w.scratch.resize(sources_.size());
  return w;
}

bool LearnedRankerModel::is_cold(const Query& query) const noexcept {
  return detail::all_cold(sources_, {query, history_of(query), history_values_of(query)});
}

bool LearnedRankerModel::excludes_last(const Query& query) const noexcept {
  if (query.exclude_last) return *query.exclude_last;
  return detail::excludes_last(options_.exclude_last, query);
}

void LearnedRankerModel::set_history(CsrMatrix history) {
  Recommender::set_history(std::move(history));
  history_times_ = {};
}

std::size_t LearnedRankerModel::list_length(std::size_t k) const noexcept {
  return std::min(std::max(k, static_cast<std::size_t>(options_.candidates)), static_cast<std::size_t>(num_items_));
}

// What the sources are asked: one answer for all of them as to the newest item, and the times of a history where they are known.
Query LearnedRankerModel::asked_of(const Query& given, Working& w) const {
  Query query = given;
  query.exclude_last = excludes_last(given);
  if (query.history_given && query.history_times.empty() && query.session.empty()) {
    const auto times = context_of(given, w).times;
    if (times.size() == query.history.size()) query.history_times = times;
  }
  return query;
}

// The candidates that the sources propose, and what they say of them.
void LearnedRankerModel::gather(const Query& given, std::size_t per_source, Working& w) const {
  const Query query = asked_of(given, w);
  w.items.clear();
  if (w.list.size() < per_source) w.list.resize(per_source);
  const detail::MemberQuery asked(query, history_of(query), history_values_of(query));
  for (std::size_t m = 0; m < sources_.size(); ++m) {
    const std::size_t n = sources_[m].model->recommend(asked.of(*sources_[m].model), std::span(w.list).first(per_source), w.scratch[m]);
    for (std::size_t i = 0; i < n; ++i) w.items.push_back(w.list[i].item);
  }
  compare(query, w);
}

// Makes the candidates unique, ascending, and notes what the sources say of them.
void LearnedRankerModel::compare(const Query& query, Working& w) const {
  const detail::MemberQuery asked(query, history_of(query), history_values_of(query));
  std::sort(w.items.begin(), w.items.end());
  w.items.erase(std::unique(w.items.begin(), w.items.end()), w.items.end());
  const std::size_t n = w.items.size();
  w.scores.resize(std::max(w.scores.size(), n * sources_.size()));
  w.keys.resize(std::max(w.keys.size(), n * sources_.size()));
  w.known.assign(sources_.size(), 0);
  w.mean.assign(sources_.size(), 0.0);
  w.inverse_deviation.assign(sources_.size(), 0.0);
  for (std::size_t m = 0; m < sources_.size(); ++m) {
    const std::span<float> scores(w.scores.data() + m * n, n);
    sources_[m].model->score(asked.of(*sources_[m].model), w.items, scores, w.scratch[m]);
    std::uint64_t* keys = w.keys.data() + m * n;
    std::size_t known = 0;
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      if (!std::isfinite(scores[i])) {
        scores[i] = kMissing;
        continue;
      }
      sum += static_cast<double>(scores[i]);
      keys[known++] = kernels::rank_key(scores[i], static_cast<std::uint32_t>(w.items[i]));
    }
    std::sort(keys, keys + known, std::greater<>());
    w.known[m] = known;
    if (known == 0) continue;
    w.mean[m] = sum / static_cast<double>(known);
    double squares = 0;
    for (const float s : scores)
      if (!std::isnan(s)) squares += (static_cast<double>(s) - w.mean[m]) * (static_cast<double>(s) - w.mean[m]);
    w.inverse_deviation[m] = squares > 0 ? std::sqrt(static_cast<double>(known) / squares) : 0;
  }
}

ShopperContext LearnedRankerModel::context_of(const Query& q, Working& w) const {
  ShopperContext out;
  out.now_ms = q.now_ms ? q.now_ms : signals_.now_ms;
  out.items = history_of(q);
  out.times = q.history_times;
  if (q.user && has_history() && history_times_.size() == history_.columns.size() && out.times.empty() && !out.items.empty()) {
    const auto kept = kept_items(*q.user);
    if (kept.data() >= history_.columns.data() && kept.data() < history_.columns.data() + history_.columns.size() &&
        std::equal(kept.begin(), kept.end(), out.items.begin(), out.items.end()))
      out.times = history_times_.view().subspan(static_cast<std::size_t>(kept.data() - history_.columns.data()), kept.size());
  }
  if (q.session.empty()) return out;
  // A session is going on: its items happen now.
  const bool timed = out.now_ms.has_value() && out.times.size() == out.items.size();
  w.history.assign(out.items.begin(), out.items.end());
  w.times.assign(out.times.begin(), out.times.end());
  w.history.insert(w.history.end(), q.session.begin(), q.session.end());
  if (timed) w.times.resize(w.history.size(), *out.now_ms);
  out.items = w.history;
  out.times = timed ? std::span<const std::int64_t>(w.times) : std::span<const std::int64_t>{};
  return out;
}

// What each source's scores over the candidates come to.
void LearnedRankerModel::weigh(const ShopperContext& shopper, Working& w) const {
  w.had.assign(shopper.items.begin(), shopper.items.end());
  std::sort(w.had.begin(), w.had.end());
  w.mass.assign(sources_.size(), {});
  for (std::size_t i = 0; i < w.items.size(); ++i) {
    const bool had = std::binary_search(w.had.begin(), w.had.end(), w.items[i]);
    for (std::size_t m = 0; m < sources_.size(); ++m) {
      const auto score = static_cast<double>(w.scores[m * w.items.size() + i]);
      if (!(score > 0)) continue;
      w.mass[m].all += score;
      if (had) continue;
      w.mass[m].fresh += score;
      w.mass[m].best_fresh = std::max(w.mass[m].best_fresh, score);
    }
  }
}

// After gather() of the same query.
void LearnedRankerModel::rows_of(const Query& query, std::span<const std::int32_t> items, float* out, Working& w) const {
  const std::size_t stride = num_features();
  const std::size_t n = w.items.size();
  w.outside.clear();
  for (const std::int32_t item : items)
    if (!std::binary_search(w.items.begin(), w.items.end(), item)) w.outside.push_back(item);
  w.outside_scores.resize(std::max(w.outside_scores.size(), w.outside.size() * sources_.size()));
  if (!w.outside.empty()) {
    const Query resolved = asked_of(query, w);
    const detail::MemberQuery asked(resolved, history_of(resolved), history_values_of(resolved));
    for (std::size_t m = 0; m < sources_.size(); ++m)
      sources_[m].model->score(asked.of(*sources_[m].model), w.outside, {w.outside_scores.data() + m * w.outside.size(), w.outside.size()},
                               w.scratch[m]);
  }
  const ShopperContext shopper = context_of(query, w);
  weigh(shopper, w);
  std::size_t next_outside = 0;
  for (std::size_t k = 0; k < items.size(); ++k) {
    const auto at = std::lower_bound(w.items.begin(), w.items.end(), items[k]);
    const bool inside = at != w.items.end() && *at == items[k];
    const bool had = std::binary_search(w.had.begin(), w.had.end(), items[k]);
    for (std::size_t m = 0; m < sources_.size(); ++m) {
      float* f = out + k * stride + m * RankingFeatures::kColumnsOfSource;
      const float s = inside ? w.scores[m * n + static_cast<std::size_t>(at - w.items.begin())]
                             : w.outside_scores[m * w.outside.size() + next_outside];
      if (!std::isfinite(s) || w.known[m] == 0) {
        std::fill_n(f, static_cast<std::size_t>(RankingFeatures::kColumnsOfSource), kMissing);
        if (std::isfinite(s)) f[RankingFeatures::kScore] = s;
        continue;
      }
      const std::uint64_t* keys = w.keys.data() + m * n;
      const auto above = static_cast<double>(
          std::lower_bound(keys, keys + w.known[m], kernels::rank_key(s, static_cast<std::uint32_t>(items[k])), std::greater<>()) - keys);
      f[RankingFeatures::kScore] = s;
      f[RankingFeatures::kZ] = static_cast<float>((static_cast<double>(s) - w.mean[m]) * w.inverse_deviation[m]);
      f[RankingFeatures::kShare] = static_cast<float>(1 - above / static_cast<double>(w.known[m]));
      f[RankingFeatures::kTop] = static_cast<float>(1 / (1 + above));
      f[RankingFeatures::kNew] = f[RankingFeatures::kAgain] = f[RankingFeatures::kSure] = kMissing;
      const auto& mass = w.mass[m];
      if (had) {
        if (mass.all > 0) f[RankingFeatures::kAgain] = log_share(s, mass.all);
      } else if (mass.fresh > 0) {
        f[RankingFeatures::kNew] = log_share(s, mass.fresh);
        f[RankingFeatures::kSure] = log_share(static_cast<float>(mass.best_fresh), mass.fresh);
      }
    }
    if (!inside) ++next_outside;
  }
  float* own = out + sources_.size() * RankingFeatures::kColumnsOfSource;
  RankingFeatures::compute(signals_, shopper, static_cast<std::size_t>(options_.anchors), items, own, stride, w.features);
  for (std::size_t k = 0; k < items.size(); ++k) {
    own[k * stride + RankingFeatures::kPlacement] = options_.placement;
    own[k * stride + RankingFeatures::kPosition] = options_.position;
  }
}

void LearnedRankerModel::features(const Query& query, std::span<const std::int32_t> items, MatrixView<float> out, Scratch& scratch) const {
  check(query);
  for (const std::int32_t i : items) check_item(i, "item");
  if (out.rows() != items.size() || out.cols() != num_features() || out.stride() != num_features())
    throw std::invalid_argument("out has " + std::to_string(out.rows()) + " x " + std::to_string(out.cols()) + " entries, must have " +
                                std::to_string(items.size()) + " x " + std::to_string(num_features()));
  if (items.empty()) return;
  Working& w = working(scratch);
  gather(query, list_length(0), w);
  rows_of(query, items, out.data(), w);
}

void LearnedRankerModel::score_rows(const Query& query, std::span<const std::int32_t> items, std::span<float> out, std::span<float> by_models,
                                    Working& w) const {
  const std::size_t f = num_features();
  w.rows.resize(std::max(w.rows.size(), items.size() * f));
  rows_of(query, items, w.rows.data(), w);
  w.tree_scores.resize(std::max(w.tree_scores.size(), items.size()));
  const MatrixView<const float> rows(w.rows.data(), items.size(), f);
  const auto score_by = [&](const RankerScorer& s, std::span<float> own) {
    if (s.trees) s.trees->predict(rows, std::span(w.tree_scores).first(items.size()), w.trees);
    for (std::size_t i = 0; i < items.size(); ++i)
      own[i] = static_cast<float>((s.trees ? w.tree_scores[i] : 0.0) + (s.linear.empty() ? 0.0 : s.linear.score(rows.row(i))));
  };
  score_by(scorer_, out);
  if (by_models.empty()) return;
  for (std::size_t m = 0; m < bag_.size(); ++m) score_by(bag_[m], by_models.subspan(m * items.size(), items.size()));
}

std::size_t LearnedRankerModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_scorer();
  check(query);
  if (out.empty() || num_items_ == 0) return 0;
  Working& w = working(scratch);
  gather(query, list_length(out.size()), w);
  if (w.items.empty()) return 0;
  w.fused.resize(std::max(w.fused.size(), w.items.size()));
  score_rows(query, w.items, std::span(w.fused).first(w.items.size()), {}, w);
  return select_top_k(w.items, {w.fused.data(), w.items.size()}, {}, nullptr, out, scratch);
}

void LearnedRankerModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out, Scratch& scratch) const {
  require_scorer();
  check(query);
  detail::check_scored(*this, items, out.size());
  if (items.empty()) return;
  Working& w = working(scratch);
  gather(query, list_length(0), w);
  score_rows(query, items, out, {}, w);
}

void LearnedRankerModel::rank(const Query& query, std::span<const std::int32_t> candidates, std::span<float> out, Scratch& scratch,
                              std::span<float> by_models) const {
  require_scorer();
  check(query);
  for (const std::int32_t i : candidates) check_item(i, "candidate");
  if (out.size() != candidates.size())
    throw std::invalid_argument("out has " + std::to_string(out.size()) + " entries, must have one for each of the " + std::to_string(candidates.size()) +
                                " candidates");
  if (!by_models.empty() && by_models.size() != bag_.size() * candidates.size())
    throw std::invalid_argument("by_models has " + std::to_string(by_models.size()) + " entries, must have one for each of the " +
                                std::to_string(candidates.size()) + " candidates by each of the " + std::to_string(bag_.size()) + " models");
  if (candidates.empty()) return;
  Working& w = working(scratch);
  w.items.assign(candidates.begin(), candidates.end());
  compare(asked_of(query, w), w);
  score_rows(query, candidates, out, by_models, w);
}

void LearnedRankerModel::save_state(StateWriter& outer) const {
  SharingWriter writer(outer);
  Recommender::save_state(writer);
  put_options(writer, options_);
  // Below what is allowed: not known.
  writer.put_double("options/placement", std::isnan(options_.placement) ? -1 : static_cast<double>(options_.placement));
  writer.put_double("options/position", std::isnan(options_.position) ? 0 : static_cast<double>(options_.position));
  writer.put_string("options/recipe", options_.learning);
  ScopedWriter signals(writer, "signals/");
  signals_.save_state(signals);
  writer.put_array("history_times", history_times_);
  save_scorer(writer, scorer_);
  if (!bag_.empty()) writer.put_int("bag/size", static_cast<std::int64_t>(bag_.size()));
  for (std::size_t m = 0; m < bag_.size(); ++m) {
    ScopedWriter own(writer, "bag/" + std::to_string(m) + "/");
    save_scorer(own, bag_[m]);
  }
  detail::put_members(writer, sources_, kWords);
}

std::shared_ptr<LearnedRankerModel> LearnedRankerModel::from_state(const StateReader& outer) {
  const SharingReader reader(outer);
  auto o = get_options<LearnedRankerOptions>(reader);
  if (const double p = reader.get_double("options/placement"); p >= 0) o.placement = static_cast<float>(p);
  if (const double p = reader.get_double("options/position"); p >= 1) o.position = static_cast<float>(p);
  o.learning = reader.get_string("options/recipe");
  std::vector<BlendMember> sources = detail::get_members(reader, kWords);
  std::shared_ptr<LearnedRankerModel> model;
  try {
    model.reset(new LearnedRankerModel(std::move(sources), ItemSignals::from_state(ScopedReader(reader, "signals/")), o));
    RankerScorer scorer = read_scorer(reader);
    if (!scorer.linear.empty() || scorer.trees) model->set_scorer(std::move(scorer.linear), std::move(scorer.trees));
    if (reader.has("bag/size")) {
      const auto size = reader.get_int("bag/size", 2, static_cast<std::int64_t>(kMostModels));
      std::vector<RankerScorer> bag;
      for (std::int64_t m = 0; m < size; ++m) bag.push_back(read_scorer(ScopedReader(reader, "bag/" + std::to_string(m) + "/")));
      model->set_bag(std::move(bag));
    }
  } catch (const std::invalid_argument& e) {
    reader.fail("sources", std::string("found ") + e.what());
  }
  model->user_ids_ = nullptr;
  model->item_ids_ = nullptr;
  model->load_base(reader);
  model->history_times_ = reader.get_array<std::int64_t>("history_times");
  if (!model->history_times_.empty() && model->history_times_.size() != model->history_.columns.size())
    reader.fail("history_times", "found " + std::to_string(model->history_times_.size()) + " of them, expected none or one an entry of the history");
  return model;
}

}  // namespace etalage
