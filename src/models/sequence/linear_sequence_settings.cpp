// SPDX-License-Identifier: Apache-2.0
// Settings of LinearSequence that fit by themselves. How far back a list matters is a property of the shop that its shape does not show
// (clicks of one visit, purchases of years), so it is tried: on the last items of some lists, by models that have not seen them.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "etalage/models/linear_sequence.hpp"

namespace etalage {
namespace {

constexpr std::size_t kMostEvents = 300'000;   // that a trial is fitted on
constexpr std::size_t kMostHeld = 4000;        // items that are asked for
constexpr std::size_t kFewestHeld = 200;       // fewer tell nothing apart
constexpr std::size_t kEventsAHeld = 20;       // of long lists more than a quarter are asked, and for more than the last: what is missing is little
constexpr std::int32_t kTrialCandidates = 50;
constexpr std::size_t kBest = 20;              // places that count
constexpr double kRepeats = 0.02;              // of the held items in their own list: then lists may name what was there
constexpr std::array<float, 5> kDecays{1, 2, 4, 8, 16};
constexpr std::size_t kFirstDecay = 2;
constexpr std::array<float, 9> kQueryDecays{0.7f, 1, 1.5f, 2, 3, 4, 6, 10, 20};
constexpr std::array<float, 3> kColumnExponents{0.05f, 0.2f, 0.35f};
struct Ridge {
  float l2, exponent;
};
constexpr std::array<Ridge, 3> kRidges{{{100, 0.4f}, {100, 0.15f}, {400, 0.15f}}};

/// Lists of the data without the last items of some of them.
struct Held {
  Sequences rest;
  std::vector<std::span<const std::int32_t>> before;  // what was there, of the data
  std::vector<std::int32_t> items;                    // what came next
  bool again = false;               // held items were often in their list before
};

Held hold_out(const Sequences& data) {
  const auto n = static_cast<std::size_t>(data.size());
  const std::size_t every = std::max<std::size_t>(1, (data.items().size() + kMostEvents - 1) / kMostEvents);
  const auto asked_for = [&](std::size_t l) { return data.items_of(static_cast<std::int64_t>(l)).size() >= 2; };
  std::size_t eligible = 0;
  std::size_t events = 0;
  for (std::size_t l = 0; l < n; l += every) {
    eligible += asked_for(l) ? 1 : 0;
    events += asked_for(l) ? data.items_of(static_cast<std::int64_t>(l)).size() : 0;
  }
  // What is held is missing from the trial, which needs lists that are whole.
  const std::size_t wanted = std::min({kMostHeld, eligible / 2, std::max(eligible / 4, events / kEventsAHeld)});
  Held held;
  if (wanted == 0) return held;
  std::vector<std::int64_t> offsets{0};
  std::vector<std::int32_t> items;
  std::size_t met = 0;
  std::size_t repeats = 0;
  for (std::size_t l = 0; l < n; l += every) {
    const auto list = data.items_of(static_cast<std::int64_t>(l));
    std::size_t kept = list.size();
    // The met-th of the eligible, spread evenly.
    if (asked_for(l) && (met + 1) * wanted / eligible != met * wanted / eligible) {
      kept -= std::clamp<std::size_t>(list.size() / kEventsAHeld, 1, kMostHeld / wanted);
      for (std::size_t at = kept; at < list.size(); ++at) {
        const auto before = list.first(at);
        held.before.push_back(before);
        held.items.push_back(list[at]);
        repeats += std::find(before.begin(), before.end(), list[at]) != before.end() ? 1 : 0;
      }
    }
    met += asked_for(l) ? 1 : 0;
    items.insert(items.end(), list.begin(), list.begin() + static_cast<std::ptrdiff_t>(kept));
    offsets.push_back(static_cast<std::int64_t>(items.size()));
  }
  if (held.items.size() < kFewestHeld) return {};
  held.again = static_cast<double>(repeats) >= kRepeats * static_cast<double>(held.items.size());
  held.rest = Sequences(Array<std::int64_t>(offsets), Array<std::int32_t>(items), {}, data.num_items());
  return held;
}

/// What is tried without another fit.
struct Asked {
  std::vector<float> query_decays;
  std::vector<float> column_exponents;
};

/// The NDCG of each pair of asked [query_decays x column_exponents] over the held items.
std::vector<double> worths(const LinearSequenceModel& model, const Held& held, const Asked& asked, const LinearSequenceOptions& o) {
  const auto n = static_cast<std::size_t>(model.num_items());
  const std::size_t decays = asked.query_decays.size();
  const std::size_t exponents = asked.column_exponents.size();
  const std::size_t pairs = decays * exponents;
  const bool without_last = model.exclude_last() != ExcludeLast::kNo;
  std::vector<float> scale(n * exponents, 0.0f);
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t c = 0; c < exponents; ++c)
      if (model.counts()[j] > 0) scale[j * exponents + c] = std::pow(model.counts()[j], -asked.column_exponents[c]);
  struct Work {
    std::vector<float> scores;  // [items x decays]
    std::vector<char> met;
    std::vector<std::size_t> touched;
  };
  // As many threads as the budget has room for.
  const double bytes = static_cast<double>(n) * (static_cast<double>(decays) * sizeof(float) + 1);
  const int threads = std::clamp(static_cast<int>(std::min(1e6, static_cast<double>(o.memory_budget) / bytes)), 1, detail::resolve_threads(o.num_threads));
  std::vector<Work> work(static_cast<std::size_t>(threads));
  std::vector<float> gains(held.items.size() * pairs, 0.0f);
  const CsrMatrix& weights = model.weights();
  detail::parallel_for(held.items.size(), 32, threads, [&](std::size_t begin, std::size_t end, int thread) {
    Work& w = work[static_cast<std::size_t>(thread)];
    w.scores.resize(n * decays);
    w.met.resize(n);
    std::vector<float> at_age(decays);
    for (std::size_t q = begin; q < end; ++q) {
      const auto list = held.before[q];
      const std::size_t length = std::min(list.size(), static_cast<std::size_t>(o.max_history));
      for (std::size_t age = 0; age < length; ++age) {
        for (std::size_t d = 0; d < decays; ++d)
          at_age[d] = asked.query_decays[d] > 0 ? std::exp(-static_cast<float>(age) / asked.query_decays[d]) : 1.0f;
        const std::int64_t item = list[list.size() - 1 - age];
        const auto columns = weights.view().row_columns(item);
        const auto values = weights.view().row_values(item);
        for (std::size_t p = 0; p < columns.size(); ++p) {
          const auto j = static_cast<std::size_t>(columns[p]);
          if (w.met[j] == 0) {
            w.met[j] = 1;
            w.touched.push_back(j);
          }
          for (std::size_t d = 0; d < decays; ++d) w.scores[j * decays + d] += at_age[d] * values[p];
        }
      }
      // What the list may not name does not count.
      const auto leave_out = [&](std::int32_t item) { std::fill_n(&w.scores[static_cast<std::size_t>(item) * decays], decays, 0.0f); };
      if (!held.again) std::for_each(list.begin(), list.end(), leave_out);
      else if (without_last && !list.empty()) leave_out(list.back());
      const auto target = static_cast<std::size_t>(held.items[q]);
      for (std::size_t d = 0; d < decays; ++d)
        for (std::size_t c = 0; c < exponents; ++c) {
          const float own = w.scores[target * decays + d] * scale[target * exponents + c];
          if (!(own > 0)) continue;
          std::size_t above = 0;
          for (const std::size_t j : w.touched) above += w.scores[j * decays + d] * scale[j * exponents + c] > own ? 1 : 0;
          if (above < kBest) gains[q * pairs + d * exponents + c] = static_cast<float>(1 / std::log2(static_cast<double>(above) + 2));
        }
      for (const std::size_t j : w.touched) {
        w.met[j] = 0;
        std::fill_n(&w.scores[j * decays], decays, 0.0f);
      }
      w.touched.clear();
    }
  });
  std::vector<double> sums(pairs, 0.0);
  for (std::size_t q = 0; q < held.items.size(); ++q)
    for (std::size_t p = 0; p < pairs; ++p) sums[p] += static_cast<double>(gains[q * pairs + p]);
  for (double& s : sums) s /= static_cast<double>(held.items.size());
  return sums;
}

/// One fit, and the best of what can be asked of it.
struct Trial {
  double worth = -1;
  float query_decay = 0;
  float column_exponent = 0;
};

}  // namespace

LinearSequenceOptions settled(LinearSequenceOptions o, const Sequences& data, const ProgressCallback& callback, bool* stopped) {
  if (stopped != nullptr) *stopped = false;
  if (o.l2.given() && o.ridge_exponent.given() && o.decay.given() && o.column_exponent.given() && o.query_decay.given()) return o;
  // What an earlier fit chose is no start: the same data say the same.
  const LinearSequenceOptions plain;
  o.l2.settle(plain.l2.value());
  o.ridge_exponent.settle(plain.ridge_exponent.value());
  o.decay.settle(plain.decay.value());
  o.column_exponent.settle(plain.column_exponent.value());
  o.query_decay.settle(plain.query_decay.value());
  const Held held = hold_out(data);
  if (held.items.empty()) return o;
  bool go_on = true;
  ProgressCallback listen;
  if (callback)
    listen = [&](const Progress& p) {
      Progress told = p;
      told.phase = "settings";
      go_on = callback(told);
      return go_on;
    };
  Asked asked{{o.query_decay.value()}, {o.column_exponent.value()}};
  if (!o.query_decay.given()) asked.query_decays.assign(kQueryDecays.begin(), kQueryDecays.end());
  if (!o.column_exponent.given()) asked.column_exponents.assign(kColumnExponents.begin(), kColumnExponents.end());
  const auto tried = [&](float decay, Ridge ridge) {
    Trial out;
    LinearSequenceOptions t = o;
    t.decay = decay;
    t.l2 = ridge.l2;
    t.ridge_exponent = ridge.exponent;
    t.query_decay = o.query_decay.value();
    t.column_exponent = 0.0f;
    t.method = LinearSequenceMethod::kCandidates;
    t.num_candidates = std::min(t.num_candidates, kTrialCandidates);
    t.keep_history = false;
    LinearSequenceModel model(t);
    try {
      model.fit(held.rest, listen);
    } catch (const NumericalError&) {
      return out;
    }
    if (!go_on) return out;
    const std::vector<double> found = worths(model, held, asked, o);
    const auto best = static_cast<std::size_t>(std::max_element(found.begin(), found.end()) - found.begin());
    out.worth = found[best];
    out.query_decay = asked.query_decays[best / asked.column_exponents.size()];
    out.column_exponent = asked.column_exponents[best % asked.column_exponents.size()];
    return out;
  };
  const auto ridge_of = [&](Ridge r) { return Ridge{o.l2.given() ? o.l2.value() : r.l2, o.ridge_exponent.given() ? o.ridge_exponent.value() : r.exponent}; };
  // Uphill from the middle decay, then the ridge there.
  Ridge ridge = ridge_of(kRidges[0]);
  std::size_t at = kFirstDecay;
  float decay = o.decay.given() ? o.decay.value() : kDecays[at];
  Trial best = tried(decay, ridge);
  if (!o.decay.given()) {
    for (const int step : {1, -1}) {
      const std::size_t before = at;
      while (go_on && (step > 0 ? at + 1 < kDecays.size() : at > 0)) {
        const std::size_t next = step > 0 ? at + 1 : at - 1;
        const Trial t = tried(kDecays[next], ridge);
        if (t.worth <= best.worth) break;
        best = t;
        at = next;
      }
      if (at != before) break;
    }
    decay = kDecays[at];
  }
  for (std::size_t r = 1; r < kRidges.size() && go_on && !(o.l2.given() && o.ridge_exponent.given()); ++r) {
    const Ridge other = ridge_of(kRidges[r]);
    if (other.l2 == ridge.l2 && other.exponent == ridge.exponent) continue;
    const Trial t = tried(decay, other);
    if (t.worth <= best.worth) break;
    best = t;
    ridge = other;
  }
  if (stopped != nullptr) *stopped = !go_on;
  if (best.worth <= 0) return o;
  o.l2.settle(ridge.l2);
  o.ridge_exponent.settle(ridge.exponent);
  o.decay.settle(decay);
  o.query_decay.settle(best.query_decay);
  o.column_exponent.settle(best.column_exponent);
  return o;
}

}  // namespace etalage
