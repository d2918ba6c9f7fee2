// SPDX-License-Identifier: Apache-2.0
// The weights of a blend from held-out rows.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "detail/check.hpp"
#include "detail/limits.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/models/blend.hpp"
#include "kernels/rank_key.hpp"
#include "models/blend/blend_working.hpp"

namespace etalage {
namespace {

// A user's candidates: values [members x n], and which of them were held out.
struct Asked {
  std::size_t n = 0;
  std::size_t relevant = 0;  // held-out items, candidates or not
  std::vector<float> values;
  std::vector<std::size_t> hits;
};

void expect(const CsrView& m, const char* name, std::int64_t rows, std::int64_t cols) {
  validate(m, name);
  if (m.rows != rows || m.cols != cols)
    throw std::invalid_argument(std::string(name) + " has shape (" + std::to_string(m.rows) + ", " + std::to_string(m.cols) + "), must be (" +
                                std::to_string(rows) + ", " + std::to_string(cols) + ")");
}

class Trial {
 public:
  Trial(const std::vector<Asked>& asked, const std::vector<double>& importance, std::size_t members, std::size_t k, int num_threads)
      : asked_(asked), importance_(importance), members_(members), num_threads_(num_threads), results_(asked.size()), fused_(static_cast<std::size_t>(num_threads)) {
    double sum = 0;
    for (std::size_t r = 0; r < k; ++r) {
      gains_.push_back(1 / std::log2(static_cast<double>(r) + 2));
      ideal_.push_back(sum += gains_.back());
    }
  }

  // Mean NDCG@k by importance; the users' values are added in their order.
  double operator()(const std::vector<double>& weights) {
    detail::parallel_for(asked_.size(), 16, num_threads_, [&](std::size_t begin, std::size_t end, int thread) {
      for (std::size_t u = begin; u < end; ++u) results_[u] = one(asked_[u], weights, fused_[static_cast<std::size_t>(thread)]);
    });
    double sum = 0;
    double whole = 0;
    for (std::size_t u = 0; u < results_.size(); ++u) {
      sum += importance_[u] * results_[u];
      whole += importance_[u];
    }
    return sum / whole;
  }

 private:
  // A candidate's rank is the number of those above it: only the held-out ones need theirs.
  double one(const Asked& a, const std::vector<double>& weights, std::vector<float>& fused) const {
    if (a.hits.empty()) return 0;
    fused.assign(a.n, 0.0f);
    for (std::size_t m = 0; m < members_; ++m) {
      const auto weight = static_cast<float>(weights[m]);
      const float* values = a.values.data() + m * a.n;
      for (std::size_t i = 0; i < a.n; ++i) fused[i] += weight * values[i];
    }
    double gain = 0;
    for (const std::size_t h : a.hits) {
      const float own = fused[h];
      std::size_t above = 0;
      for (std::size_t i = 0; i < a.n; ++i) above += fused[i] > own ? 1 : 0;
      for (std::size_t i = 0; i < h; ++i) above += fused[i] == own ? 1 : 0;
      if (above < gains_.size()) gain += gains_[above];
    }
    return gain / ideal_[std::min(a.relevant, gains_.size()) - 1];
  }

  const std::vector<Asked>& asked_;
  const std::vector<double>& importance_;
  std::size_t members_;
  int num_threads_;
  std::vector<double> gains_;
  std::vector<double> ideal_;
  std::vector<double> results_;
  std::vector<std::vector<float>> fused_;
};

// Coordinate search: each weight is left out, or made larger and smaller by steps that shrink.
std::vector<double> search(Trial& ndcg, std::size_t members, double& best) {
  std::vector<double> weights(members, 1.0);
  best = ndcg(weights);
  const auto attempt = [&](std::size_t m, double value) {
    std::vector<double> next = weights;
    next[m] = value;
    if (std::all_of(next.begin(), next.end(), [](double w) { return w == 0; })) return false;
    const double reached = ndcg(next);
    if (!(reached > best)) return false;
    best = reached;
    weights = next;
    return true;
  };
  for (const double step : {2.0, 1.4, 1.15, 1.05}) {
    for (int round = 0; round < 8; ++round) {
      bool moved = false;
      for (std::size_t m = 0; m < members; ++m) {
        const double now = weights[m];
        if (now == 0) {
          moved = attempt(m, 0.1) || moved;
          continue;
        }
        if (attempt(m, now * step) || attempt(m, now / step)) moved = true;
        else if (step == 2.0 && attempt(m, 0.0)) moved = true;
      }
      if (!moved) break;
    }
  }
  return weights;
}

}  // namespace

// The relevant items of a query are ascending, each once.
struct BlendModel::Lesson {
  std::vector<Query> queries;
  std::vector<std::vector<std::int32_t>> relevant;
  std::vector<double> importance;  // > 0
};

BlendModel::Lesson BlendModel::lesson_of(const std::function<Query(std::int32_t)>& query, const CsrView& held_out, int max_users,
                                         std::span<const float> importance) const {
  detail::require(max_users >= 1, "max_users", max_users, ">= 1");
  expect(held_out, "held_out", num_users_, num_items_);
  if (!importance.empty() && importance.size() != static_cast<std::size_t>(num_users_))
    throw std::invalid_argument("importance has " + std::to_string(importance.size()) + " entries, must have one for each of the " +
                                std::to_string(num_users_) + " users");
  for (const float v : importance) detail::require_finite(v >= 0, "importance", v, "finite and >= 0");
  const auto counts = [&](std::int32_t u) { return importance.empty() ? 1.0f : importance[static_cast<std::size_t>(u)]; };
  std::vector<std::int32_t> users;
  for (std::int32_t u = 0; u < num_users_; ++u)
    if (held_out.row_size(u) > 0 && counts(u) > 0) users.push_back(u);
  const std::size_t n = std::min(users.size(), static_cast<std::size_t>(max_users));
  Lesson lesson;
  for (std::size_t s = 0; s < n; ++s) {
    const std::int32_t user = users[s * users.size() / n];
    lesson.queries.push_back(query(user));
    const auto row = held_out.row_columns(user);
    std::vector<std::int32_t> relevant(row.begin(), row.end());
    std::sort(relevant.begin(), relevant.end());
    relevant.erase(std::unique(relevant.begin(), relevant.end()), relevant.end());
    lesson.relevant.push_back(std::move(relevant));
    lesson.importance.push_back(static_cast<double>(counts(user)));
  }
  return lesson;
}

double BlendModel::learn(const Lesson& lesson, int k, int num_threads) {
  detail::require(k >= 1, "k", k, ">= 1");
  detail::require_at_most("k", k, detail::kMostListed);
  const int threads = detail::resolve_threads(num_threads == 0 ? options_.num_threads : num_threads);
  if (lesson.queries.empty()) return 0;
  std::vector<Asked> asked(lesson.queries.size());
  for_each_compared(lesson.queries, list_length(static_cast<std::size_t>(k)), threads, [&](std::size_t s, Working& w, Scratch&) {
    Asked& a = asked[s];
    a.n = w.items.size();
    a.relevant = lesson.relevant[s].size();
    for (std::size_t i = 0; i < a.n; ++i)
      if (std::binary_search(lesson.relevant[s].begin(), lesson.relevant[s].end(), w.items[i])) a.hits.push_back(i);
    // No weights help who has no hit: their values need not be kept.
    if (a.hits.empty()) return;
    a.values.resize(a.n * members_.size());
    for (std::size_t m = 0; m < members_.size(); ++m)
      for (std::size_t i = 0; i < a.n; ++i) a.values[m * a.n + i] = comparable(w, m, w.items[i], w.scores[m * a.n + i]);
  });
  // No list is longer than the catalogue.
  const std::size_t longest = std::min(static_cast<std::size_t>(k), static_cast<std::size_t>(num_items()));
  Trial trial(asked, lesson.importance, members_.size(), longest, threads);
  double best = 0;
  const std::vector<double> weights = search(trial, members_.size(), best);
  set_weights(std::vector<float>(weights.begin(), weights.end()));
  return best;
}

double BlendModel::learn_weights(const CsrView& histories, const CsrView& held_out, int k, int max_users, int num_threads, bool exclude_seen,
                                 std::span<const float> importance) {
  expect(histories, "histories", num_users_, num_items_);
  const auto query = [&](std::int32_t user) {
    return Query{.user = user,
                 .history = histories.row_columns(user),
                 .exclude_seen = exclude_seen,
                 .history_values = histories.row_values(user),
                 .history_given = true};
  };
  return learn(lesson_of(query, held_out, max_users, importance), k, num_threads);
}

double BlendModel::learn_weights(const Sequences& histories, const CsrView& held_out, int k, int max_users, int num_threads,
                                 bool exclude_seen, std::span<const float> importance) {
  std::vector<std::int64_t> list(static_cast<std::size_t>(num_users_), -1);
  for (std::int64_t s = 0; s < histories.size(); ++s) {
    const std::int32_t user = histories.user_of(s);
    detail::require_index(user, num_users_, "user of a list of histories");
    if (list[static_cast<std::size_t>(user)] >= 0)
      throw std::invalid_argument("histories has two lists of user " + std::to_string(user) + ", must have one a user");
    list[static_cast<std::size_t>(user)] = s;
  }
  const auto query = [&](std::int32_t user) {
    const std::int64_t s = list[static_cast<std::size_t>(user)];
    return Query{.user = user,
                 .history = s < 0 ? std::span<const std::int32_t>{} : histories.items_of(s),
                 .exclude_seen = exclude_seen,
                 .history_given = true,
                 .history_times = s < 0 ? std::span<const std::int64_t>{} : histories.times_of(s)};
  };
  return learn(lesson_of(query, held_out, max_users, importance), k, num_threads);
}

double BlendModel::learn_weights_next(const Sequences& lists, bool last_only, int k, int max_places, int num_threads, bool exclude_seen) {
  detail::require(max_places >= 1, "max_places", max_places, ">= 1");
  if (lists.num_items() > num_items_)
    throw std::invalid_argument("lists has " + std::to_string(lists.num_items()) + " items, must have at most the " +
                                std::to_string(num_items_) + " of the members");
  struct Place {
    std::int64_t list;
    std::size_t at;
  };
  std::vector<Place> places;
  for (std::int64_t s = 0; s < lists.size(); ++s) {
    const std::size_t length = lists.items_of(s).size();
    for (std::size_t p = last_only && length > 1 ? length - 1 : 1; p < length; ++p) places.push_back({s, p});
  }
  const std::size_t n = std::min(places.size(), static_cast<std::size_t>(max_places));
  Lesson lesson;
  for (std::size_t i = 0; i < n; ++i) {
    const Place place = places[i * places.size() / n];
    const auto items = lists.items_of(place.list);
    lesson.queries.push_back({.session = items.first(place.at), .exclude_seen = exclude_seen, .history_given = true});
    lesson.relevant.push_back({items[place.at]});
    lesson.importance.push_back(1);
  }
  return learn(lesson, k, num_threads);
}

}  // namespace etalage
