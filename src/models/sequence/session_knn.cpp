// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/session_knn.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>

#include "core/option_check.hpp"
#include "core/option_state.hpp"
#include "detail/check.hpp"
#include "detail/days.hpp"
#include "kernels/rank_key.hpp"
#include "models/sequence/gap_weight.hpp"
#include "models/sequence/sequence_scratch.hpp"

namespace etalage {
namespace {

constexpr std::int32_t kNone = -1;

}  // namespace

/// Index and sessions as flat arrays.
struct SessionKnnModel::Merged {
  Array<std::int64_t> session_offsets;
  Array<std::int32_t> session_items;
  Array<std::int64_t> session_times;
  Array<std::int64_t> item_offsets;
  Array<std::int32_t> item_sessions;
};

void SessionKnnOptions::validate() const {
  require_options(*this);
}

SessionKnnModel::SessionKnnModel(SessionKnnOptions options) : options_(options) { options_.validate(); }

std::span<const std::int32_t> SessionKnnModel::session(std::size_t number) const noexcept {
  const std::size_t old = session_times_.size();
  const std::int64_t* offsets = number < old ? session_offsets_.data() + number : fresh_offsets_.data() + (number - old);
  const std::int32_t* items = number < old ? session_items_.data() : fresh_items_.data();
  return {items + offsets[0], static_cast<std::size_t>(offsets[1] - offsets[0])};
}

std::int64_t SessionKnnModel::session_time(std::size_t number) const noexcept {
  return number < session_times_.size() ? session_times_[number] : fresh_times_[number - session_times_.size()];
}

float SessionKnnModel::place_weight(std::size_t age, std::size_t length) const noexcept {
  const auto a = static_cast<float>(age);
  const auto l = static_cast<float>(length);
  switch (options_.weighting) {
    case PlaceWeight::kDiv: return (l - a) / l;
    case PlaceWeight::kQuadratic: return (l - a) / l * ((l - a) / l);
    case PlaceWeight::kLinear: return std::max(0.0f, 1 - 0.1f * a);
    case PlaceWeight::kLog: return 1 / std::log10(a + 1.7f);
    case PlaceWeight::kSame: return 1;
    case PlaceWeight::kExponential: return std::exp(-a / options_.place_decay);
  }
  return 0;
}

// Appends the sessions in order of their times, each item once, at its last place.
void SessionKnnModel::append(const Sequences& sequences) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(sequences.size()));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto time = [&](std::int64_t s) {
    const auto times = sequences.times_of(s);
    return times.empty() ? std::numeric_limits<std::int64_t>::min() : times.back();
  };
  if (sequences.has_times())
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return time(a) < time(b); });
  chains_.resize(static_cast<std::size_t>(num_items()), kNone);
  std::vector<std::int32_t> last;
  std::unordered_set<std::int32_t> met;
  for (const std::int64_t s : order) {
    const auto items = sequences.items_of(s);
    if (items.empty()) continue;
    last.clear();
    met.clear();
    for (std::size_t p = items.size(); p-- > 0;)
      if (met.insert(items[p]).second) last.push_back(items[p]);
    std::reverse(last.begin(), last.end());
    const auto number = static_cast<std::int32_t>(num_sessions());
    for (const std::int32_t i : last) {
      postings_.push_back({number, chains_[static_cast<std::size_t>(i)]});
      chains_[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(postings_.size() - 1);
    }
    fresh_items_.insert(fresh_items_.end(), last.begin(), last.end());
    fresh_offsets_.push_back(static_cast<std::int64_t>(fresh_items_.size()));
    fresh_times_.push_back(time(s));
    ++sessions_seen_;
  }
}

SessionKnnModel::Merged SessionKnnModel::merged() const {
  const auto n = static_cast<std::size_t>(num_items());
  const auto m = static_cast<std::size_t>(options_.recent_sessions);
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> sessions;
  offsets.reserve(n + 1);
  sessions.reserve(item_sessions_.size() + postings_.size());
  std::vector<std::int32_t> number(static_cast<std::size_t>(num_sessions()), kNone);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t begin = sessions.size();
    if (i < chains_.size())
      for (std::int32_t p = chains_[i]; p != kNone && sessions.size() - begin < m; p = postings_[static_cast<std::size_t>(p)].next)
        sessions.push_back(postings_[static_cast<std::size_t>(p)].session);
    if (i + 1 < item_offsets_.size())
      for (std::int64_t p = item_offsets_[i]; p < item_offsets_[i + 1] && sessions.size() - begin < m; ++p)
        sessions.push_back(item_sessions_[static_cast<std::size_t>(p)]);
    offsets.push_back(static_cast<std::int64_t>(sessions.size()));
  }
  // Sessions that nobody refers to any more go; the others keep their order.
  for (const std::int32_t s : sessions) number[static_cast<std::size_t>(s)] = 0;
  std::vector<std::int64_t> session_offsets{0};
  std::vector<std::int32_t> items;
  std::vector<std::int64_t> times;
  std::int32_t kept = 0;
  for (std::size_t s = 0; s < number.size(); ++s) {
    if (number[s] == kNone) continue;
    number[s] = kept++;
    const auto part = session(s);
    items.insert(items.end(), part.begin(), part.end());
    session_offsets.push_back(static_cast<std::int64_t>(items.size()));
    times.push_back(session_time(s));
  }
  for (std::int32_t& s : sessions) s = number[static_cast<std::size_t>(s)];
  return {Array<std::int64_t>(session_offsets), Array<std::int32_t>(items), Array<std::int64_t>(times), Array<std::int64_t>(offsets),
          Array<std::int32_t>(sessions)};
}

void SessionKnnModel::merge() {
  Merged flat = merged();
  session_offsets_ = std::move(flat.session_offsets);
  session_items_ = std::move(flat.session_items);
  session_times_ = std::move(flat.session_times);
  item_offsets_ = std::move(flat.item_offsets);
  item_sessions_ = std::move(flat.item_sessions);
  fresh_offsets_.assign(1, 0);
  fresh_items_.clear();
  fresh_times_.clear();
  postings_.clear();
  chains_.assign(static_cast<std::size_t>(num_items()), kNone);
}

void SessionKnnModel::update_log_counts(std::span<const std::int32_t> items) {
  const std::size_t n = counts().size();
  if (log_counts_.size() != n) {
    Array<float> grown(n);
    std::copy(log_counts_.begin(), log_counts_.end(), grown.mutable_data());
    log_counts_ = std::move(grown);
  }
  float* out = log_counts_.mutable_data();
  for (const std::int32_t i : items) out[i] = std::log(counts()[static_cast<std::size_t>(i)]);
  log_sessions_ = sessions_seen_ > 0 ? static_cast<float>(std::log(static_cast<double>(sessions_seen_))) : 0.0f;
}

float SessionKnnModel::item_weight(std::int32_t item) const noexcept {
  return 1 + options_.idf_weight * std::max(0.0f, log_sessions_ - log_counts_[static_cast<std::size_t>(item)]);
}

FitReport SessionKnnModel::fit(const Sequences& sequences, const ProgressCallback& callback) {
  const auto started = std::chrono::steady_clock::now();
  detail::require(options_.session_decay_days == 0 || sequences.has_times(), "session_decay_days", options_.session_decay_days,
                  "0 when fitting on sequences without times");
  detail::require(sequences.size() < std::numeric_limits<std::int32_t>::max() && sequences.items().size() < std::size_t{1} << 31,
                  "number of sessions or events", sequences.items().size(), "below 2^31");
  take_sequences(sequences, options_.keep_history);
  session_offsets_ = {};
  session_items_ = {};
  session_times_ = {};
  item_offsets_ = {};
  item_sessions_ = {};
  fresh_offsets_.assign(1, 0);
  fresh_items_.clear();
  fresh_times_.clear();
  postings_.clear();
  chains_.assign(static_cast<std::size_t>(num_items()), kNone);
  sessions_seen_ = 0;
  append(sequences);
  merge();
  log_counts_ = {};
  update_log_counts(sequences.items());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return finish("index", seconds, callback);
}

void SessionKnnModel::add_sessions(const Sequences& sequences) {
  require_fitted();
  const Sequences more = translated(sequences);
  detail::require(options_.session_decay_days == 0 || more.has_times() || more.items().empty(), "session_decay_days",
                  options_.session_decay_days, "0 when adding sessions without times");
  detail::require(more.items().size() < std::size_t{1} << 30 && num_sessions() + more.size() < std::numeric_limits<std::int32_t>::max(),
                  "number of sessions or events", more.items().size(), "below 2^30 a call, and 2^31 in all");
  add_counts(more);
  append(more);
  // A constant share of the index at a time: each event is then merged a bounded number of times.
  if (postings_.size() > 4096 + item_sessions_.size() / 4) merge();
  update_log_counts(more.items());
}

void SessionKnnModel::find_neighbors(const OrderedItems& history, detail::SequenceScratch& s) const {
  const std::size_t length = std::min(history.items.size(), static_cast<std::size_t>(options_.max_history));
  const auto items = history.items.last(length);
  const auto m = static_cast<std::size_t>(options_.recent_sessions);
  const auto total = static_cast<std::size_t>(num_sessions());
  if (s.slots.size() < total) s.slots.resize(total, 0);
  s.sessions.clear();
  s.similarities.clear();
  s.places.clear();
  // Newest item first: the first that a session shares is the newest shared one. Only an item's newest place counts.
  std::int32_t oldest = 0;
  std::size_t distinct = 0;
  for (std::size_t age = 0; age < length; ++age) {
    const std::size_t p = length - 1 - age;
    const std::int32_t item = items[p];
    if (std::find(items.begin() + static_cast<std::ptrdiff_t>(p) + 1, items.end(), item) != items.end()) continue;
    ++distinct;
    const float weight = place_weight(age, length);
    const auto meet = [&](std::int32_t number) {
      if (number < oldest) return false;
      std::int32_t& slot = s.slots[static_cast<std::size_t>(number)];
      if (slot == 0) {
        s.sessions.push_back(number);
        s.similarities.push_back(0.0f);
        s.places.push_back(static_cast<std::int32_t>(age));
        slot = static_cast<std::int32_t>(s.sessions.size());
      }
      s.similarities[static_cast<std::size_t>(slot) - 1] += weight;
      return true;
    };
    std::size_t met = 0;
    bool more = true;
    const auto i = static_cast<std::size_t>(item);
    if (i < chains_.size())
      for (std::int32_t c = chains_[i]; more && c != kNone && met < m; c = postings_[static_cast<std::size_t>(c)].next, ++met)
        more = meet(postings_[static_cast<std::size_t>(c)].session);
    if (i + 1 < item_offsets_.size())
      for (std::int64_t c = item_offsets_[i]; more && c < item_offsets_[i + 1] && met < m; ++c, ++met)
        more = meet(item_sessions_[static_cast<std::size_t>(c)]);
    if (s.sessions.size() > m) {
      // Sessions older than the m newest so far can never be candidates: later lists stop there.
      s.keys.assign(s.sessions.begin(), s.sessions.end());
      std::nth_element(s.keys.begin(), s.keys.begin() + static_cast<std::ptrdiff_t>(s.keys.size() - m), s.keys.end());
      oldest = static_cast<std::int32_t>(s.keys[s.keys.size() - m]);
    }
  }
  // The k best: by similarity, then by the newer session.
  s.keys.clear();
  // Age counts from the newest session at the latest: time that has passed since makes all of them older alike, and
  // must not let their weights run out.
  const std::int64_t asked = history.now_ms.value_or(0);
  const double now = static_cast<double>(newest_ms() ? std::min(asked, *newest_ms()) : asked);
  for (std::size_t c = 0; c < s.sessions.size(); ++c) {
    const std::int32_t number = s.sessions[c];
    if (number < oldest) continue;
    float similarity = s.similarities[c] / static_cast<float>(distinct);
    if (options_.length_exponent > 0)
      similarity *= std::pow(static_cast<float>(session(static_cast<std::size_t>(number)).size()), -options_.length_exponent);
    if (options_.session_decay_days > 0) {
      const double age = std::max(0.0, now - static_cast<double>(session_time(static_cast<std::size_t>(number))));
      similarity *= static_cast<float>(std::exp(-age / (static_cast<double>(options_.session_decay_days) * detail::kMsPerDay)));
    }
    s.similarities[c] = similarity;
    if (similarity > 0)
      s.keys.push_back(kernels::rank_key(similarity, static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max() - number)));
  }
  const auto k = std::min(s.keys.size(), static_cast<std::size_t>(options_.num_neighbors));
  std::partial_sort(s.keys.begin(), s.keys.begin() + static_cast<std::ptrdiff_t>(k), s.keys.end(), std::greater<>());
  s.keys.resize(k);
}

void SessionKnnModel::forget_neighbors(detail::SequenceScratch& s) const noexcept {
  for (const std::int32_t number : s.sessions) s.slots[static_cast<std::size_t>(number)] = 0;
}

namespace {
std::int32_t number_of(std::uint64_t key) {
  return std::numeric_limits<std::int32_t>::max() - static_cast<std::int32_t>(kernels::key_index(key));
}
}  // namespace

void SessionKnnModel::add_scores(const OrderedItems& history, detail::SparseScores& scores, detail::SequenceScratch& s) const {
  if (history.items.empty()) return;
  find_neighbors(history, s);
  for (const std::uint64_t key : s.keys) {
    const std::int32_t number = number_of(key);
    const auto items = session(static_cast<std::size_t>(number));
    const auto age = static_cast<std::size_t>(s.places[static_cast<std::size_t>(s.slots[static_cast<std::size_t>(number)]) - 1]);
    const float vote = kernels::key_score(key) * detail::gap_weight(options_.score_weighting, age + 1);
    const std::int32_t shared = history.items[history.items.size() - 1 - age];
    const auto at = static_cast<std::size_t>(std::find(items.begin(), items.end(), shared) - items.begin());
    for (std::size_t p = 0; p < items.size(); ++p) {
      float v = vote * item_weight(items[p]);
      if (p < at) v *= options_.backward;
      if (options_.item_decay > 0) v *= std::exp(-static_cast<float>(p < at ? at - p : p - at) / options_.item_decay);
      scores.add(items[p], v);
    }
  }
  forget_neighbors(s);
}

void SessionKnnModel::add_similar(std::int32_t item, detail::SparseScores& scores, detail::SequenceScratch& scratch) const {
  add_scores({{&item, 1}, {}, newest_ms()}, scores, scratch);
}

void SessionKnnModel::add_parts(const OrderedItems& history, std::int32_t item, std::span<float> parts,
                                detail::SequenceScratch& s) const {
  if (history.items.empty()) return;
  find_neighbors(history, s);
  const std::size_t length = std::min(history.items.size(), static_cast<std::size_t>(options_.max_history));
  const std::size_t first = history.items.size() - length;
  for (const std::uint64_t key : s.keys) {
    const std::int32_t number = number_of(key);
    const auto items = session(static_cast<std::size_t>(number));
    const auto found = std::find(items.begin(), items.end(), item);
    if (found == items.end()) continue;
    const auto p = static_cast<std::size_t>(found - items.begin());
    const auto age = static_cast<std::size_t>(s.places[static_cast<std::size_t>(s.slots[static_cast<std::size_t>(number)]) - 1]);
    const std::int32_t shared = history.items[history.items.size() - 1 - age];
    const auto at = static_cast<std::size_t>(std::find(items.begin(), items.end(), shared) - items.begin());
    float v = kernels::key_score(key) * detail::gap_weight(options_.score_weighting, age + 1) *
              item_weight(item);
    if (p < at) v *= options_.backward;
    if (options_.item_decay > 0) v *= std::exp(-static_cast<float>(p < at ? at - p : p - at) / options_.item_decay);
    // Divided by the weights of the shared items, each at its newest place.
    float sum = 0;
    const auto each_shared = [&](const auto& visit) {
      for (std::size_t h = first; h < history.items.size(); ++h) {
        const auto behind = history.items.begin() + static_cast<std::ptrdiff_t>(h) + 1;
        if (std::find(behind, history.items.end(), history.items[h]) != history.items.end()) continue;
        if (std::find(items.begin(), items.end(), history.items[h]) == items.end()) continue;
        visit(h, place_weight(history.items.size() - 1 - h, length));
      }
    };
    each_shared([&](std::size_t, float w) { sum += w; });
    if (sum > 0) each_shared([&](std::size_t h, float w) { parts[h] += v * w / sum; });
  }
  forget_neighbors(s);
}

void SessionKnnModel::save_state(StateWriter& writer) const {
  SequenceModel::save_state(writer);
  put_options(writer, options_);
  const Merged flat = merged();
  writer.put_int("sessions_seen", sessions_seen_);
  writer.put_array("session_offsets", flat.session_offsets);
  writer.put_array("session_items", flat.session_items);
  writer.put_array("session_times", flat.session_times);
  writer.put_array("item_offsets", flat.item_offsets);
  writer.put_array("item_sessions", flat.item_sessions);
  writer.put_array("log_counts", log_counts_);
}

std::shared_ptr<SessionKnnModel> SessionKnnModel::from_state(const StateReader& reader) {
  auto model = std::make_shared<SessionKnnModel>(get_options<SessionKnnOptions>(reader));
  model->load_sequences(reader);
  const auto n = static_cast<std::size_t>(model->num_items());
  model->sessions_seen_ = reader.get_int("sessions_seen", 0, std::numeric_limits<std::int64_t>::max());
  model->session_times_ = reader.get_array<std::int64_t>("session_times");
  const std::size_t sessions = model->session_times_.size();
  if (sessions >= static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    reader.fail("session_times", "found " + std::to_string(sessions) + " elements, expected fewer than 2147483647");
  model->session_offsets_ = reader.get_array<std::int64_t>("session_offsets", sessions + 1);
  model->session_items_ = reader.get_array<std::int32_t>("session_items");
  model->item_offsets_ = reader.get_array<std::int64_t>("item_offsets", n + 1);
  model->item_sessions_ = reader.get_array<std::int32_t>("item_sessions");
  model->log_counts_ = reader.get_array<float>("log_counts", n);
  model->log_sessions_ = model->sessions_seen_ > 0 ? static_cast<float>(std::log(static_cast<double>(model->sessions_seen_))) : 0.0f;
  const auto check = [&](const char* name, const Array<std::int64_t>& offsets, const Array<std::int32_t>& entries, std::size_t limit) {
    if (offsets[0] != 0 || offsets.back() != static_cast<std::int64_t>(entries.size()))
      reader.fail(name, "found offsets that do not span the entries");
    if (!reader.verify()) return;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
      if (offsets[i] > offsets[i + 1]) reader.fail(name, "found offsets that decrease at " + std::to_string(i));
    for (const std::int32_t e : entries)
      if (e < 0 || static_cast<std::size_t>(e) >= limit)
        reader.fail(name, "found " + std::to_string(e) + ", expected entries in [0, " + std::to_string(limit) + ")");
  };
  check("session_offsets", model->session_offsets_, model->session_items_, n);
  check("item_offsets", model->item_offsets_, model->item_sessions_, sessions);
  return model;
}

}  // namespace etalage
