// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/sequence_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "etalage/error.hpp"
#include "models/answers.hpp"
#include "models/fit_report_state.hpp"
#include "models/sequence/sequence_scratch.hpp"
#include "models/training_data.hpp"
#include "search/top_k.hpp"

namespace etalage {
namespace {

constexpr float kPriorWeight = 1e-6f;

}  // namespace

void detail::SparseScores::sort_touched() {
  std::sort(touched_.begin(), touched_.end());
  touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
}

std::int32_t count_users(const Sequences& sequences) {
  std::int64_t users = sequences.user_ids() ? sequences.user_ids()->size() : 0;
  for (std::int64_t s = 0; s < sequences.size(); ++s) users = std::max<std::int64_t>(users, std::int64_t{sequences.user_of(s)} + 1);
  return static_cast<std::int32_t>(users);
}

CsrMatrix ordered_rows(const Sequences& sequences, Array<std::int64_t>* times) {
  const auto users = static_cast<std::size_t>(count_users(sequences));
  const std::size_t nnz = sequences.items().size();
  Array<float> ones(nnz, uninitialized);
  ones.fill(1.0f);
  if (times != nullptr) *times = sequences.times();
  if (sequences.user_index().empty() && users == static_cast<std::size_t>(sequences.size()))
    return {static_cast<std::int64_t>(users), sequences.num_items(), sequences.offsets(), sequences.items(), std::move(ones)};
  CsrMatrix m{static_cast<std::int64_t>(users), sequences.num_items(), Array<std::int64_t>(users + 1),
              Array<std::int32_t>(nnz, uninitialized), std::move(ones)};
  std::int64_t* offsets = m.offsets.mutable_data();
  for (std::int64_t s = 0; s < sequences.size(); ++s)
    offsets[sequences.user_of(s) + 1] += static_cast<std::int64_t>(sequences.items_of(s).size());
  for (std::size_t u = 0; u < users; ++u) offsets[u + 1] += offsets[u];
  std::vector<std::int64_t> next(offsets, offsets + users);
  Array<std::int64_t> at(sequences.has_times() ? nnz : 0, uninitialized);
  std::int32_t* columns = m.columns.mutable_data();
  std::int64_t* at_data = at.mutable_data();
  for (std::int64_t s = 0; s < sequences.size(); ++s) {
    const auto items = sequences.items_of(s);
    const auto t = sequences.times_of(s);
    std::int64_t& place = next[static_cast<std::size_t>(sequences.user_of(s))];
    std::copy(items.begin(), items.end(), columns + place);
    std::copy(t.begin(), t.end(), at_data + place);
    place += static_cast<std::int64_t>(items.size());
  }
  if (times != nullptr) *times = std::move(at);
  return m;
}

void SequenceModel::require_fitted() const {
  if (!fitted_) throw NotFittedError(std::string(kind()) + " is not fitted; call fit() first");
}

void SequenceModel::set_largest_count(float count) noexcept {
  largest_count_ = count;
  prior_scale_ = count > 0 ? kPriorWeight / count : 0.0f;
}

void SequenceModel::take_sequences(const Sequences& sequences, bool keep_history) {
  detail::check_training_shape(sequences.size(), sequences.num_items());
  const PairHash pairs = pair_hash(sequences);
  Array<float> counts(static_cast<std::size_t>(sequences.num_items()));
  float* c = counts.mutable_data();
  for (const std::int32_t i : sequences.items()) c[i] += 1.0f;
  Array<std::int64_t> times;
  CsrMatrix rows;
  if (keep_history) rows = ordered_rows(sequences, &times);
  // Nothing below throws: a failed fit leaves the model as it was.
  num_users_ = count_users(sequences);
  counts_ = std::move(counts);
  set_largest_count(*std::max_element(counts_.begin(), counts_.end()));
  newest_ms_.reset();
  if (sequences.has_times()) newest_ms_ = *std::max_element(sequences.times().begin(), sequences.times().end());
  history_ = std::move(rows);
  history_times_ = std::move(times);
  // Ids of a shop without known shoppers (sessions) say nothing about rows.
  user_ids_ = sequences.user_ids();
  item_ids_ = sequences.item_ids();
  num_steps_ = 0;
  num_repeats_ = 0;
  count_steps(sequences);
  fitted_on_ = pairs;
  fitted_ = true;
}

Sequences SequenceModel::translated(const Sequences& sequences) {
  const SharedIdMap& given = sequences.item_ids();
  if (!item_ids_ || !given || item_ids_ == given) {
    if (item_ids_ && sequences.num_items() > num_items())
      throw std::invalid_argument("sequences has " + std::to_string(sequences.num_items()) + " items, must have at most the " +
                                  std::to_string(num_items()) + " of the model or bring keys for the new ones");
    return sequences;
  }
  if (given->kind() != item_ids_->kind())
    throw std::invalid_argument("sequences has keys of another type than the model, must have the same (strings or integers)");
  std::vector<std::int32_t> to(static_cast<std::size_t>(given->size()));
  std::int32_t next = num_items();
  std::vector<std::string_view> texts;
  std::vector<std::int64_t> integers;
  for (std::int32_t i = 0; i < given->size(); ++i) {
    const bool text = given->kind() == IdMap::Kind::kString;
    std::int32_t index = text ? item_ids_->find(given->string_at(i)) : item_ids_->find(given->integer_at(i));
    if (index < 0) {
      index = next++;
      if (text) texts.push_back(given->string_at(i));
      else integers.push_back(given->integer_at(i));
    }
    to[static_cast<std::size_t>(i)] = index;
  }
  SharedIdMap ids = item_ids_;
  if (next > num_items())
    ids = std::make_shared<const IdMap>(given->kind() == IdMap::Kind::kString ? item_ids_->extended(std::span<const std::string_view>(texts))
                                                                             : item_ids_->extended(std::span<const std::int64_t>(integers)));
  Array<std::int32_t> items(sequences.items().size(), uninitialized);
  std::transform(sequences.items().begin(), sequences.items().end(), items.mutable_data(),
                 [&](std::int32_t i) { return to[static_cast<std::size_t>(i)]; });
  return Sequences(sequences.offsets(), std::move(items), sequences.times(), next, sequences.user_index(), nullptr, std::move(ids));
}

void SequenceModel::add_counts(const Sequences& sequences) {
  const auto n = static_cast<std::size_t>(std::max(num_items(), sequences.num_items()));
  if (n != counts_.size()) counts_.resize(n);
  float* c = counts_.mutable_data();
  float most = largest_count_;
  for (const std::int32_t i : sequences.items()) most = std::max(most, c[i] += 1.0f);
  set_largest_count(most);
  if (sequences.item_ids() && item_ids_) item_ids_ = sequences.item_ids();
  if (has_history()) history_.cols = static_cast<std::int64_t>(n);
  count_steps(sequences);
  fitted_on_.reset();  // whose lists these are is not known
  for (const std::int64_t t : sequences.times()) newest_ms_ = std::max(newest_ms_.value_or(t), t);
}

void SequenceModel::count_steps(const Sequences& sequences) noexcept {
  for (std::int64_t s = 0; s < sequences.size(); ++s) {
    const auto items = sequences.items_of(s);
    for (std::size_t p = 1; p < items.size(); ++p) {
      ++num_steps_;
      num_repeats_ += items[p] == items[p - 1] ? 1 : 0;
    }
  }
  settle_exclude_last();
}

bool SequenceModel::excludes_last(const Query& query) const noexcept {
  if (query.exclude_last) return *query.exclude_last;
  return exclude_last_ == ExcludeLast::kYes || (exclude_last_ == ExcludeLast::kSession && !query.session.empty());
}

void SequenceModel::settle_exclude_last() noexcept {
  exclude_last_ = repeats_happen() ? ExcludeLast::kNo : ExcludeLast::kSession;
  if (Auto<ExcludeLast>* option = exclude_last_option(); option != nullptr) {
    option->settle(exclude_last_);
    exclude_last_ = option->value();
  }
}

void SequenceModel::set_counts(Array<float> counts) {
  counts_ = std::move(counts);
  set_largest_count(*std::max_element(counts_.begin(), counts_.end()));
}

void SequenceModel::set_history(CsrMatrix history) {
  Recommender::set_history(std::move(history));
  history_times_ = {};
}

SequenceModel::OrderedItems SequenceModel::ordered(const Query& q, detail::SequenceScratch& s) const {
  OrderedItems out;
  const auto history = history_of(q);
  out.now_ms = q.now_ms ? q.now_ms : default_now();
  std::span<const std::int64_t> times = q.history_times;
  const bool kept = history.data() != q.history.data() && !history.empty();
  if (kept) {
    times = {};
    if (history_times_.size() == history_.columns.size())
      times = history_times_.view().subspan(static_cast<std::size_t>(history.data() - history_.columns.data()), history.size());
  }
  out.items = history;
  out.times = times;
  if (q.session.empty()) return out;
  if (history.empty()) {
    out.items = q.session;
  } else {
    s.items.assign(history.begin(), history.end());
    s.items.insert(s.items.end(), q.session.begin(), q.session.end());
    out.items = s.items;
  }
  // A session is going on: its items happen now.
  out.times = {};
  if (out.now_ms && times.size() == history.size()) {
    s.times.assign(times.begin(), times.end());
    s.times.resize(out.items.size(), *out.now_ms);
    out.times = s.times;
  }
  return out;
}

std::size_t SequenceModel::best(detail::SparseScores& scores, std::span<const std::int32_t> excluded, const ItemFilter* filter,
                                std::span<ItemScore> out, Scratch& scratch) const {
  const auto n = static_cast<std::size_t>(num_items());
  const std::vector<std::int32_t>& touched = scores.touched();
  std::size_t count = 0;
  const bool listed = filter != nullptr && filter->is_walked(n);
  bool complete = false;
  if (!listed && touched.size() >= out.size() && touched.size() < n / 8) {
    // Items without a score come behind every score above the popularity term.
    scores.sort_touched();
    float* packed = Scratch::Impl::at_least(scratch.impl().vector, touched.size());
    std::transform(touched.begin(), touched.end(), packed, [&](std::int32_t i) { return scores[i] + prior(i); });
    count = select_top_k(touched, {packed, touched.size()}, excluded, filter, out, scratch);
    complete = count == out.size() && out[count - 1].score > kPriorWeight;
  }
  if (!complete) {
    float* dense = Scratch::Impl::at_least(scratch.impl().floats, n);
    if (listed) {
      filter->for_each_allowed_id([&](std::int64_t id) {
        if (id >= static_cast<std::int64_t>(n)) return false;
        const auto i = static_cast<std::int32_t>(id);
        dense[i] = scores[i] + prior(i);
        return true;
      });
    } else {
      for (std::size_t i = 0; i < n; ++i) dense[i] = counts_[i] * prior_scale_;
      for (const std::int32_t i : touched) dense[i] = scores[i] + prior(i);
    }
    count = select_top_k({dense, n}, excluded, filter, out, scratch);
  }
  scores.clear();
  return count;
}

std::size_t SequenceModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (out.empty()) return 0;
  detail::SequenceScratch& s = detail::sequence_scratch(scratch);
  s.scores.resize(static_cast<std::size_t>(num_items()));
  add_scores(ordered(query, s), s.scores, s);
  const std::span<const std::int32_t> excluded = excluded_of(query, scratch);
  return best(s.scores, excluded, query.filter, out, scratch);
}

void SequenceModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                          Scratch& scratch) const {
  require_fitted();
  check(query);
  detail::check_scored(*this, items, out.size());
  detail::SequenceScratch& s = detail::sequence_scratch(scratch);
  s.scores.resize(static_cast<std::size_t>(num_items()));
  add_scores(ordered(query, s), s.scores, s);
  for (std::size_t i = 0; i < items.size(); ++i) out[i] = s.scores[items[i]] + prior(items[i]);
  s.scores.clear();
}

std::size_t SequenceModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                         const ItemFilter* filter) const {
  require_fitted();
  check_item(item, "item");
  if (out.empty() || counts_[static_cast<std::size_t>(item)] == 0.0f) return 0;
  detail::SequenceScratch& s = detail::sequence_scratch(scratch);
  s.scores.resize(static_cast<std::size_t>(num_items()));
  add_similar(item, s.scores, s);
  return best(s.scores, {&item, 1}, filter, out, scratch);
}

Explanation SequenceModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  detail::SequenceScratch s;
  s.scores.resize(static_cast<std::size_t>(num_items()));
  const OrderedItems history = ordered(query, s);
  std::vector<float> parts(history.items.size(), 0.0f);
  add_parts(history, item, parts, s);
  Explanation e;
  for (std::size_t p = 0; p < parts.size(); ++p) e.contributions.push_back({history.items[p], parts[p]});
  std::stable_sort(e.contributions.begin(), e.contributions.end(),
                   [](const ItemScore& a, const ItemScore& b) { return a.item < b.item; });
  std::size_t kept = 0;
  for (const ItemScore& c : e.contributions) {
    if (kept > 0 && e.contributions[kept - 1].item == c.item) e.contributions[kept - 1].score += c.score;
    else e.contributions[kept++] = c;
    e.total += c.score;
  }
  e.contributions.resize(kept);
  e.total += prior(item);
  detail::keep_largest(e, k);
  return e;
}

FitReport SequenceModel::finish(const char* phase, double seconds, const ProgressCallback& callback, bool cancelled) {
  report_ = {};
  report_.stop_reason = cancelled ? FitReport::StopReason::kCancelled : FitReport::StopReason::kClosedForm;
  report_.iterations = 1;
  report_.seconds = seconds;
  report_.phase_seconds.emplace_back(phase, seconds);
  if (callback && !cancelled) callback({1, 1, seconds, std::numeric_limits<double>::quiet_NaN(), phase});
  return report_;
}

void SequenceModel::save_state(StateWriter& writer) const {
  require_fitted();
  Recommender::save_state(writer);
  put_report(writer, report_);
  writer.put_int("num_users", num_users_);
  writer.put_array("counts", counts_);
  writer.put_double("largest_count", static_cast<double>(largest_count_));
  writer.put_bool("has_history_times", !history_times_.empty());
  if (!history_times_.empty()) writer.put_array("history_times", history_times_);
  writer.put_bool("has_newest", newest_ms_.has_value());
  if (newest_ms_) writer.put_int("newest_ms", *newest_ms_);
  writer.put_int("num_steps", num_steps_);
  writer.put_int("num_repeats", num_repeats_);
}

void SequenceModel::load_sequences(const StateReader& reader) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int32_t>::max();
  num_users_ = static_cast<std::int32_t>(reader.get_int("num_users", 0, kMax));
  counts_ = reader.get_array<float>("counts");
  if (counts_.empty() || counts_.size() > static_cast<std::size_t>(kMax))
    reader.fail("counts", "found " + std::to_string(counts_.size()) + " elements, expected one for each of 1 to 2147483647 items");
  if (reader.verify() && !std::all_of(counts_.begin(), counts_.end(), [](float c) { return c >= 0 && std::isfinite(c); }))
    reader.fail("counts", "found a count that is negative or not finite");
  report_ = get_report(reader);
  load_base(reader);
  if (reader.get_bool("has_history_times"))
    history_times_ = reader.get_array<std::int64_t>("history_times", history_.columns.size());
  if (reader.get_bool("has_newest")) newest_ms_ = reader.get_int("newest_ms");
  num_steps_ = reader.get_int("num_steps", 0, std::numeric_limits<std::int64_t>::max());
  num_repeats_ = reader.get_int("num_repeats", 0, num_steps_);
  settle_exclude_last();
  const double most = reader.get_double("largest_count");
  if (!(most >= 0 && most <= static_cast<double>(std::numeric_limits<float>::max())))
    reader.fail("largest_count", "found " + std::to_string(most) + ", expected a number >= 0 that float32 holds");
  set_largest_count(static_cast<float>(most));
  fitted_ = true;
}

}  // namespace etalage
