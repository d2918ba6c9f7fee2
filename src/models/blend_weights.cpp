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
#include "detail/parallel_for.hpp"
#include "etalage/models/blend.hpp"
#include "kernels/rank_key.hpp"
#include "models/blend_working.hpp"

namespace etalage {
namespace {

// A user's candidates: values [members x n], and which of them were held out.
struct Asked {
  std::size_t n = 0;
  std::size_t relevant = 0;  // held-out items, candidates or not
  std::vector<float> values;
  std::vector<std::size_t> hits;
};

class Trial {
 public:
  Trial(const std::vector<Asked>& asked, std::size_t members, std::size_t k, int num_threads)
      : asked_(asked), members_(members), num_threads_(num_threads), results_(asked.size()), fused_(static_cast<std::size_t>(num_threads)) {
    double sum = 0;
    for (std::size_t r = 0; r < k; ++r) {
      gains_.push_back(1 / std::log2(static_cast<double>(r) + 2));
      ideal_.push_back(sum += gains_.back());
    }
  }

  // Mean NDCG@k; the users' values are added in their order.
  double operator()(const std::vector<double>& weights) {
    detail::parallel_for(asked_.size(), 16, num_threads_, [&](std::size_t begin, std::size_t end, int thread) {
      for (std::size_t u = begin; u < end; ++u) results_[u] = one(asked_[u], weights, fused_[static_cast<std::size_t>(thread)]);
    });
    double sum = 0;
    for (const double r : results_) sum += r;
    return sum / static_cast<double>(results_.size());
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

double BlendModel::learn_weights(const CsrView& histories, const CsrView& held_out, int k, int max_users, int num_threads,
                                bool exclude_seen) {
  detail::require(k >= 1, "k", k, ">= 1");
  detail::require(max_users >= 1, "max_users", max_users, ">= 1");
  const auto expect = [&](const CsrView& m, const char* name) {
    validate(m, name);
    if (m.rows != num_users_ || m.cols != num_items_)
      throw std::invalid_argument(std::string(name) + " has shape (" + std::to_string(m.rows) + ", " + std::to_string(m.cols) +
                                  "), must be (" + std::to_string(num_users_) + ", " + std::to_string(num_items_) + ")");
  };
  expect(histories, "histories");
  expect(held_out, "held_out");
  const int threads = detail::resolve_threads(num_threads == 0 ? options_.num_threads : num_threads);
  std::vector<std::int32_t> users;
  for (std::int32_t u = 0; u < num_users_; ++u)
    if (held_out.row_size(u) > 0) users.push_back(u);
  const std::size_t n = std::min(users.size(), static_cast<std::size_t>(max_users));
  if (n == 0) return 0;
  std::vector<Query> queries(n);
  for (std::size_t s = 0; s < n; ++s) {
    const std::int32_t user = users[s * users.size() / n];
    queries[s] = {.user = user,
                  .history = histories.row_columns(user),
                  .exclude_seen = exclude_seen,
                  .history_values = histories.row_values(user),
                  .history_given = true};
  }
  std::vector<Asked> asked(n);
  for_each_compared(queries, list_length(static_cast<std::size_t>(k)), threads, [&](std::size_t s, Working& w, Scratch&) {
    Asked& a = asked[s];
    a.n = w.items.size();
    a.values.resize(a.n * members_.size());
    for (std::size_t m = 0; m < members_.size(); ++m)
      for (std::size_t i = 0; i < a.n; ++i) a.values[m * a.n + i] = comparable(w, m, w.items[i], w.scores[m * a.n + i]);
    const auto row = held_out.row_columns(*queries[s].user);
    std::vector<std::int32_t> relevant(row.begin(), row.end());
    std::sort(relevant.begin(), relevant.end());
    relevant.erase(std::unique(relevant.begin(), relevant.end()), relevant.end());
    a.relevant = relevant.size();
    for (std::size_t i = 0; i < a.n; ++i)
      if (std::binary_search(relevant.begin(), relevant.end(), w.items[i])) a.hits.push_back(i);
  });
  Trial trial(asked, members_.size(), static_cast<std::size_t>(k), threads);
  double best = 0;
  const std::vector<double> weights = search(trial, members_.size(), best);
  set_weights(std::vector<float>(weights.begin(), weights.end()));
  return best;
}

}  // namespace etalage
