// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/blend.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "etalage/models/sequence_model.hpp"
#include "kernels/rank_key.hpp"
#include "models/answers.hpp"
#include "models/blend/blend_working.hpp"
#include "models/blend/members.hpp"
#include "models/shared_arrays.hpp"
#include "search/top_k.hpp"

namespace etalage {
namespace {

constexpr std::size_t kBlock = 1024;  // queries of a batch whose lists are held at a time
constexpr detail::MemberWords kWords{"member", "members", "Blend", "a plain model"};

}  // namespace

void BlendOptions::validate() const {
  require_options(*this);
  double sum = 0;
  for (const float w : weights) sum += static_cast<double>(w);
  detail::require(weights.empty() || sum > 0, "sum of weights", sum, "> 0");
}

BlendModel::BlendModel(std::vector<BlendMember> members, BlendOptions options)
    : members_(std::move(members)), options_(std::move(options)) {
  options_.validate();
  num_users_ = detail::check_members(members_, kWords);
  num_items_ = members_[0].model->num_items();
  if (!options_.weights.empty() && options_.weights.size() != members_.size())
    throw std::invalid_argument("weights has " + std::to_string(options_.weights.size()) +
                                " entries, must have one for each of the " + std::to_string(members_.size()) + " members");
  set_weights(options_.weights.empty() ? std::vector<float>(members_.size(), 1.0f) : options_.weights);
  for (const BlendMember& member : members_) {
    if (!user_ids_ && !item_ids_ && (member.model->user_ids() || member.model->item_ids()))
      set_ids(member.model->user_ids(), member.model->item_ids());
    if (!has_history() && member.model->has_history()) set_history(member.model->history());
  }
  fitted_on_ = detail::fitted_on_of(members_);
  newest_ms_ = detail::newest_of(members_);
}

BlendModel::~BlendModel() = default;

void BlendModel::set_weights(std::span<const float> weights) {
  double sum = 0;
  for (const float w : weights) sum += static_cast<double>(w);
  weights_.clear();
  for (const float w : weights) weights_.push_back(static_cast<float>(static_cast<double>(w) / sum));
  options_.exclude_last.settle(detail::members_exclude_last(members_, weights_));
}

BlendModel::Working& BlendModel::working(Scratch& scratch) const {
  auto& w = scratch.impl().part<Working>();
  if (w.scratch.size() < members_.size()) w.scratch.resize(members_.size());
  return w;
}

bool BlendModel::is_cold(const Query& query) const noexcept {
  return detail::all_cold(members_, {query, history_of(query), history_values_of(query)});
}

bool BlendModel::excludes_last(const Query& query) const noexcept {
  if (query.exclude_last) return *query.exclude_last;
  return detail::excludes_last(options_.exclude_last, query);
}

std::size_t BlendModel::list_length(std::size_t k) const noexcept {
  return std::min(std::max(k, static_cast<std::size_t>(options_.candidates)), static_cast<std::size_t>(num_items_));
}

void BlendModel::gather(const Query& given, std::size_t per_member, Working& w) const {
  Query query = given;
  query.exclude_last = excludes_last(given);  // one answer for all members
  w.items.clear();
  if (w.list.size() < per_member) w.list.resize(per_member);
  const detail::MemberQuery asked(query, history_of(query), history_values_of(query));
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const std::size_t n = members_[m].model->recommend(asked.of(*members_[m].model), std::span(w.list).first(per_member), w.scratch[m]);
    for (std::size_t i = 0; i < n; ++i) w.items.push_back(w.list[i].item);
  }
}

// Makes the gathered items unique, has every member score them and notes what comparable() needs.
void BlendModel::compare(const Query& query, Working& w) const {
  std::sort(w.items.begin(), w.items.end());
  w.items.erase(std::unique(w.items.begin(), w.items.end()), w.items.end());
  const std::size_t n = w.items.size();
  w.scores.resize(std::max(w.scores.size(), n * members_.size()));
  w.keys.resize(std::max(w.keys.size(), n * members_.size()));
  w.mean.resize(members_.size());
  w.inverse_deviation.resize(members_.size());
  const detail::MemberQuery asked(query, history_of(query), history_values_of(query));
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const std::span<float> scores(w.scores.data() + m * n, n);
    members_[m].model->score(asked.of(*members_[m].model), w.items, scores, w.scratch[m]);
    // What a member cannot score counts as its worst.
    float worst = std::numeric_limits<float>::infinity();
    for (const float s : scores) worst = std::isfinite(s) ? std::min(worst, s) : worst;
    for (float& s : scores)
      if (!std::isfinite(s)) s = std::isfinite(worst) ? worst : 0.0f;
    if (options_.method == FusionMethod::kZScore) {
      double sum = 0;
      double squares = 0;
      for (const float s : scores) sum += static_cast<double>(s);
      w.mean[m] = n == 0 ? 0 : sum / static_cast<double>(n);
      for (const float s : scores) squares += (static_cast<double>(s) - w.mean[m]) * (static_cast<double>(s) - w.mean[m]);
      w.inverse_deviation[m] = squares > 0 ? std::sqrt(static_cast<double>(n) / squares) : 0;
    } else {
      std::uint64_t* keys = w.keys.data() + m * n;
      for (std::size_t i = 0; i < n; ++i) keys[i] = kernels::rank_key(scores[i], static_cast<std::uint32_t>(w.items[i]));
      std::sort(keys, keys + n, std::greater<>());
    }
  }
}

float BlendModel::comparable(const Working& w, std::size_t member, std::int32_t item, float score) const noexcept {
  if (options_.method == FusionMethod::kZScore)
    return static_cast<float>((static_cast<double>(score) - w.mean[member]) * w.inverse_deviation[member]);
  const std::size_t n = w.items.size();
  const std::uint64_t* keys = w.keys.data() + member * n;
  const std::uint64_t key = kernels::rank_key(score, static_cast<std::uint32_t>(item));
  const auto above = static_cast<double>(std::lower_bound(keys, keys + n, key, std::greater<>()) - keys);
  if (options_.method == FusionMethod::kRank) return static_cast<float>(1 - above / static_cast<double>(n));
  return static_cast<float>(1 / (static_cast<double>(options_.rrf_constant) + above + 1));
}

void BlendModel::fuse(Working& w) const {
  const std::size_t n = w.items.size();
  w.fused.resize(std::max(w.fused.size(), n));
  for (std::size_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::size_t m = 0; m < members_.size(); ++m)
      sum += static_cast<double>(weights_[m]) * static_cast<double>(comparable(w, m, w.items[i], w.scores[m * n + i]));
    w.fused[i] = static_cast<float>(sum);
  }
}

std::size_t BlendModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  check(query);
  if (out.empty() || num_items_ == 0) return 0;
  Working& w = working(scratch);
  gather(query, list_length(out.size()), w);
  compare(query, w);
  fuse(w);
  return select_top_k(w.items, {w.fused.data(), w.items.size()}, {}, nullptr, out, scratch);
}

void BlendModel::for_each_compared(std::span<const Query> queries, std::size_t per_member, int num_threads,
                                   const std::function<void(std::size_t, Working&, Scratch&)>& answer) const {
  const std::size_t block = std::min(kBlock, queries.size());
  std::vector<ItemScore> lists(members_.size() * block * per_member);
  std::vector<std::size_t> lengths(members_.size() * block);
  std::vector<Scratch> scratch(static_cast<std::size_t>(num_threads));
  std::vector<Query> resolved(queries.begin(), queries.end());
  for (Query& query : resolved) query.exclude_last = excludes_last(query);
  queries = resolved;
  std::vector<Query> nobody;
  if (std::any_of(members_.begin(), members_.end(), [](const BlendMember& m) { return detail::knows_nobody(*m.model); }))
    for (const Query& query : resolved) nobody.push_back(detail::without_user(query, history_of(query), history_values_of(query)));
  for (std::size_t first = 0; first < queries.size(); first += block) {
    const std::size_t n = std::min(block, queries.size() - first);
    const auto asked = queries.subspan(first, n);
    for (std::size_t m = 0; m < members_.size(); ++m)
      members_[m].model->recommend_batch(detail::knows_nobody(*members_[m].model) ? std::span<const Query>(nobody).subspan(first, n) : asked,
                                         {lists.data() + m * block * per_member, n, per_member},
                                         std::span(lengths).subspan(m * block, n), num_threads);
    detail::parallel_for(n, 8, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
      Scratch& own = scratch[static_cast<std::size_t>(thread)];
      Working& w = working(own);
      for (std::size_t q = begin; q < end; ++q) {
        w.items.clear();
        for (std::size_t m = 0; m < members_.size(); ++m) {
          const ItemScore* list = lists.data() + (m * block + q) * per_member;
          for (std::size_t i = 0; i < lengths[m * block + q]; ++i) w.items.push_back(list[i].item);
        }
        compare(asked[q], w);
        answer(first + q, w, own);
      }
    });
  }
}

void BlendModel::recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                                 int num_threads) const {
  if (out.rows() < queries.size() || counts.size() < queries.size())
    throw std::invalid_argument("out has " + std::to_string(out.rows()) + " rows and counts " + std::to_string(counts.size()) +
                                " entries, both must have one for each of the " + std::to_string(queries.size()) + " queries");
  for (const Query& query : queries) check(query);
  std::fill_n(counts.begin(), queries.size(), std::size_t{0});
  if (out.cols() == 0 || num_items_ == 0) return;
  const int threads = detail::resolve_threads(num_threads == 0 ? options_.num_threads : num_threads);
  for_each_compared(queries, list_length(out.cols()), threads, [&](std::size_t q, Working& w, Scratch& scratch) {
    fuse(w);
    counts[q] = select_top_k(w.items, {w.fused.data(), w.items.size()}, {}, nullptr, out.row(q), scratch);
  });
}

void BlendModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                       Scratch& scratch) const {
  check(query);
  detail::check_scored(*this, items, out.size());
  if (items.empty()) return;
  Working& w = working(scratch);
  gather(query, list_length(0), w);
  compare(query, w);
  w.given.resize(std::max(w.given.size(), items.size() * members_.size()));
  const detail::MemberQuery asked(query, history_of(query), history_values_of(query));
  for (std::size_t m = 0; m < members_.size(); ++m) {
    float* given = w.given.data() + m * items.size();
    members_[m].model->score(asked.of(*members_[m].model), items, {given, items.size()}, w.scratch[m]);
    const std::span<const float> known(w.scores.data() + m * w.items.size(), w.items.size());
    const float worst = known.empty() ? 0.0f : *std::min_element(known.begin(), known.end());
    for (std::size_t i = 0; i < items.size(); ++i)
      if (!std::isfinite(given[i])) given[i] = worst;
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    double sum = 0;
    for (std::size_t m = 0; m < members_.size(); ++m)
      sum += static_cast<double>(weights_[m]) * static_cast<double>(comparable(w, m, items[i], w.given[m * items.size() + i]));
    out[i] = static_cast<float>(sum);
  }
}

std::size_t BlendModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                      const ItemFilter* filter) const {
  check_item(item, "item");
  Working& w = working(scratch);
  const std::size_t length = list_length(out.size());
  if (w.list.size() < length) w.list.resize(length);
  w.fused.assign(static_cast<std::size_t>(num_items_), 0.0f);
  w.items.clear();
  bool any = false;
  for (std::size_t m = 0; m < members_.size(); ++m) {
    std::size_t n = 0;
    try {
      n = members_[m].model->similar_items(item, std::span(w.list).first(length), w.scratch[m], filter);
    } catch (const UnsupportedError&) {
      continue;
    }
    any = true;
    for (std::size_t i = 0; i < n; ++i) {
      w.items.push_back(w.list[i].item);
      w.fused[static_cast<std::size_t>(w.list[i].item)] += weights_[m] / (options_.rrf_constant + static_cast<float>(i + 1));
    }
  }
  if (!any) throw UnsupportedError("Blend has no similar_items: none of its members has");
  std::sort(w.items.begin(), w.items.end());
  w.items.erase(std::unique(w.items.begin(), w.items.end()), w.items.end());
  w.scores.resize(std::max(w.scores.size(), w.items.size()));
  for (std::size_t i = 0; i < w.items.size(); ++i) w.scores[i] = w.fused[static_cast<std::size_t>(w.items[i])];
  return select_top_k(w.items, {w.scores.data(), w.items.size()}, {}, nullptr, out, scratch);
}

Explanation BlendModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  check(query);
  check_item(item, "item");
  Scratch scratch;
  Explanation e;
  score(query, {&item, 1}, {&e.total, 1}, scratch);
  const Working& w = working(scratch);
  std::vector<std::int32_t> history(history_of(query).begin(), history_of(query).end());
  history.insert(history.end(), query.session.begin(), query.session.end());
  std::sort(history.begin(), history.end());
  history.erase(std::unique(history.begin(), history.end()), history.end());
  if (history.empty()) return e;
  std::vector<double> parts(history.size(), 0.0);
  const detail::MemberQuery asked(query, history_of(query), history_values_of(query));
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const double share = static_cast<double>(weights_[m]) * static_cast<double>(comparable(w, m, item, w.given[m]));
    std::vector<double> own(history.size(), 0.0);
    double sum = 0;
    try {
      const Explanation inner = members_[m].model->explain(asked.of(*members_[m].model), item, static_cast<std::size_t>(num_items_));
      for (const ItemScore& c : inner.contributions) {
        const auto at = std::lower_bound(history.begin(), history.end(), c.item);
        if (at == history.end() || *at != c.item || !(c.score > 0)) continue;
        own[static_cast<std::size_t>(at - history.begin())] += static_cast<double>(c.score);
        sum += static_cast<double>(c.score);
      }
    } catch (const UnsupportedError&) {
      sum = 0;
    }
    for (std::size_t h = 0; h < history.size(); ++h)
      parts[h] += share * (sum > 0 ? own[h] / sum : 1 / static_cast<double>(history.size()));
  }
  for (std::size_t h = 0; h < history.size(); ++h) e.contributions.push_back({history[h], static_cast<float>(parts[h])});
  detail::keep_largest(e, k);
  return e;
}

void BlendModel::save_state(StateWriter& outer) const {
  SharingWriter writer(outer);
  Recommender::save_state(writer);
  put_options(writer, options_);
  writer.put_doubles("weights", std::vector<double>(weights_.begin(), weights_.end()));
  detail::put_members(writer, members_, kWords);
}

std::shared_ptr<BlendModel> BlendModel::from_state(const StateReader& outer) {
  const SharingReader reader(outer);
  const auto floats = [&](const char* name) {
    std::vector<float> out;
    for (const double v : reader.get_doubles(name)) out.push_back(static_cast<float>(v));
    return out;
  };
  const auto o = get_options<BlendOptions>(reader);
  const std::vector<float> weights = floats("weights");
  std::vector<BlendMember> members = detail::get_members(reader, kWords);
  const std::size_t count = members.size();
  std::shared_ptr<BlendModel> model;
  try {
    model = std::make_shared<BlendModel>(std::move(members), o);
    BlendOptions in_use = o;
    in_use.weights = weights;
    in_use.validate();
  } catch (const std::invalid_argument& e) {
    reader.fail("members", std::string("found ") + e.what());
  }
  if (weights.size() != count) reader.fail("weights", "found " + std::to_string(weights.size()) + " of them, expected one a member");
  model->weights_ = weights;
  model->options_.exclude_last.settle(detail::members_exclude_last(model->members_, weights));
  model->user_ids_ = nullptr;
  model->item_ids_ = nullptr;
  model->history_ = {};
  model->load_base(reader);
  return model;
}

}  // namespace etalage
