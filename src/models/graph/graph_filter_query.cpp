// SPDX-License-Identifier: Apache-2.0
// What a fitted graph filter answers.
#include <algorithm>
#include <functional>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "kernels/als_kernels.hpp"
#include "kernels/row_sums.hpp"
#include "models/answers.hpp"
#include "models/graph/graph_filter_working.hpp"
#include "search/exact.hpp"
#include "search/top_k.hpp"

namespace etalage {
namespace {

constexpr std::size_t kBatch = 32;

float* at_least(std::vector<float>& v, std::size_t n) { return Scratch::Impl::at_least(v, n); }

// V^T in panels of kAlsPad items, padded with zeros, as the kernels multiply it.
Array<float> item_panels(const Array<float>& rows, std::size_t items, std::size_t factors, int num_threads) {
  const std::size_t panels = (items + kernels::kAlsPad - 1) / kernels::kAlsPad;
  Array<float> out(panels * kernels::kAlsPad * factors);
  float* to = out.mutable_data();
  detail::parallel_for(panels, 32, num_threads, [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t i = begin * kernels::kAlsPad; i < std::min(end * kernels::kAlsPad, items); ++i)
      for (std::size_t f = 0; f < factors; ++f)
        to[(i / kernels::kAlsPad * factors + f) * kernels::kAlsPad + i % kernels::kAlsPad] = rows[i * factors + f];
  });
  return out;
}

}  // namespace

GraphFilterModel::Working& GraphFilterModel::working(Scratch& scratch) { return scratch.impl().part<Working>(); }

bool GraphFilterModel::sparse() const noexcept {
  return options_.basis == FilterBasis::kPower && options_.coefficients.size() == 2 && options_.coefficients[0] == 0.0f;
}

void GraphFilterModel::collect(const Query& query, Working& w) const {
  w.items.clear();
  w.values.clear();
  const auto history = history_of(query);
  if (history.empty() && query.session.empty()) {
    const CsrView columns = columns_.view();
    for (std::int32_t i = 0; i < num_items(); ++i) {
      double sum = 0;
      for (const float v : columns.row_values(i)) sum += static_cast<double>(v);
      if (sum == 0) continue;
      w.items.push_back(i);
      w.values.push_back(static_cast<float>(sum / num_users()));
    }
    return;
  }
  const auto values = history_values_of(query);
  w.items.insert(w.items.end(), history.begin(), history.end());
  if (values.empty()) w.values.resize(history.size(), 1.0f);
  else w.values.insert(w.values.end(), values.begin(), values.end());
  w.items.insert(w.items.end(), query.session.begin(), query.session.end());
  w.values.resize(w.items.size(), 1.0f);
  if (std::adjacent_find(w.items.begin(), w.items.end(), std::greater_equal<>()) == w.items.end()) return;
  // Ascending and unique, so that the sums do not depend on the order in which the history came; by value too, for repeats.
  w.pairs.clear();
  for (std::size_t h = 0; h < w.items.size(); ++h) w.pairs.emplace_back(w.items[h], w.values[h]);
  std::sort(w.pairs.begin(), w.pairs.end());
  w.items.clear();
  w.values.clear();
  for (const auto& [item, value] : w.pairs) {
    if (w.items.empty() || w.items.back() != item) {
      w.items.push_back(item);
      w.values.push_back(value);
    } else {
      w.values.back() += value;
    }
  }
}

void GraphFilterModel::one_step(Working& w, const float* in_scale, const float* out_scale) const {
  const auto items = static_cast<std::size_t>(num_items());
  const CsrView rows = rows_.view();
  const CsrView columns = columns_.view();
  if (w.user_sums.size() < static_cast<std::size_t>(num_users())) w.user_sums.resize(static_cast<std::size_t>(num_users()), 0.0f);
  w.touched.clear();
  float* sums = w.user_sums.data();
  for (std::size_t h = 0; h < w.items.size(); ++h) {
    const float x = w.values[h] * in_scale[w.items[h]];
    const auto users = columns.row_columns(w.items[h]);
    const auto values = columns.row_values(w.items[h]);
    for (std::size_t p = 0; p < users.size(); ++p) {
      float& s = sums[users[p]];
      // A user whose sum comes back to zero is noted twice; the second visit adds nothing.
      if (s == 0.0f) w.touched.push_back(users[p]);
      s += x * values[p];
    }
  }
  float* out = at_least(w.linear, items);
  std::fill_n(out, items, 0.0f);
  const float coefficient = options_.coefficients[1];
  for (const std::int32_t u : w.touched) {
    const float z = coefficient * sums[u] * user_scale_[static_cast<std::size_t>(u)];
    sums[u] = 0;
    const auto to = rows.row_columns(u);
    const auto values = rows.row_values(u);
    for (std::size_t p = 0; p < to.size(); ++p) out[to[p]] += z * values[p];
  }
  for (std::size_t i = 0; i < items; ++i) out[i] *= out_scale[i];
}

// w.input [items x lanes] holds the histories; it is used up.
void GraphFilterModel::polynomial(Working& w, std::size_t lanes, const float* in_scale, const float* out_scale) const {
  const auto items = static_cast<std::size_t>(num_items());
  const auto users = static_cast<std::size_t>(num_users());
  const std::size_t size = items * lanes;
  const kernels::RowSums& table = kernels::row_sums();
  const CsrView rows = rows_.view();
  const CsrView columns = columns_.view();
  float* sum = at_least(w.linear, size);
  float* before = w.input.data();
  float* term = at_least(w.term, size);
  float* scaled = at_least(w.scaled, size);
  float* middle = at_least(w.middle, users * lanes);
  const std::vector<float>& c = options_.coefficients;
  const bool chebyshev = options_.basis == FilterBasis::kChebyshev;
  std::fill_n(sum, size, 0.0f);
  const auto add = [&](float coefficient, const float* from) {
    for (std::size_t i = 0; i < size; ++i) sum[i] += coefficient * from[i];
  };
  // scaled = x S
  const auto step = [&](const float* x) {
    for (std::size_t i = 0; i < items; ++i)
      for (std::size_t l = 0; l < lanes; ++l) scaled[i * lanes + l] = x[i * lanes + l] * in_scale[i];
    for (std::size_t u = 0; u < users; ++u) {
      const auto r = static_cast<std::int64_t>(u);
      float* to = middle + u * lanes;
      table.combine(scaled, lanes, lanes, rows.row_columns(r).data(), rows.row_values(r).data(), rows.row_size(r), to);
      for (std::size_t l = 0; l < lanes; ++l) to[l] *= user_scale_[u];
    }
    for (std::size_t i = 0; i < items; ++i) {
      const auto r = static_cast<std::int64_t>(i);
      float* to = scaled + i * lanes;
      table.combine(middle, lanes, lanes, columns.row_columns(r).data(), columns.row_values(r).data(), columns.row_size(r), to);
      for (std::size_t l = 0; l < lanes; ++l) to[l] *= out_scale[i];
    }
  };
  if (!c.empty()) add(c[0], before);
  for (std::size_t k = 1; k < c.size(); ++k) {
    step(k == 1 ? before : term);
    for (std::size_t i = 0; i < size; ++i) {
      if (!chebyshev) {
        term[i] = scaled[i];
      } else if (k == 1) {
        term[i] = before[i] - 2 * scaled[i];
      } else {
        const float next = 2 * (term[i] - 2 * scaled[i]) - before[i];
        before[i] = term[i];
        term[i] = next;
      }
    }
    add(c[k], term);
  }
}

// w.linear [items] = the polynomial's scores of w.items and w.values; with the scales swapped, a column of the filter.
void GraphFilterModel::propagate(Working& w, const float* in_scale, const float* out_scale) const {
  const auto items = static_cast<std::size_t>(num_items());
  if (w.all.size() < items) {
    w.all.resize(items);
    std::iota(w.all.begin(), w.all.end(), 0);
  }
  if (sparse()) return one_step(w, in_scale, out_scale);
  std::fill_n(at_least(w.input, items), items, 0.0f);
  for (std::size_t h = 0; h < w.items.size(); ++h) w.input[static_cast<std::size_t>(w.items[h])] += w.values[h];
  polynomial(w, 1, in_scale, out_scale);
}

// The history in the space of a part's singular vectors, with gains and weight.
void GraphFilterModel::fold(const Part& part, Working& w, float* folded) {
  const auto factors = static_cast<std::size_t>(part.factors);
  float* weights = at_least(w.weights, w.items.size());
  for (std::size_t h = 0; h < w.items.size(); ++h) weights[h] = w.values[h] * part.history_scale[static_cast<std::size_t>(w.items[h])];
  kernels::row_sums().combine(part.vectors.data(), factors, factors, w.items.data(), weights, w.items.size(), folded);
  for (std::size_t f = 0; f < factors; ++f) folded[f] *= part.gains[f] * part.weight;
}

// Before the scale of the target.
void GraphFilterModel::project(const Part& part, Working& w, std::span<const std::int32_t> items, float* out) {
  const auto factors = static_cast<std::size_t>(part.factors);
  float* folded = at_least(w.folded, factors);
  fold(part, w, folded);
  search::exact_scores({.data = part.rows().data(), .rows = part.target_scale.size(), .dim = factors, .stride = factors}, folded,
                        items, out);
}

void GraphFilterModel::add(const Part& part, const float* projected, float* scores) {
  for (std::size_t i = 0; i < part.target_scale.size(); ++i) scores[i] += projected[i] * part.target_scale[i];
}

std::span<const float> GraphFilterModel::scores(Working& w) const {
  const auto items = static_cast<std::size_t>(num_items());
  propagate(w, history_scale_.data(), item_scale_.data());
  for (const Part* part : {&low_pass_, &sharpen_}) {
    if (part->factors == 0) continue;
    project(*part, w, {w.all.data(), items}, at_least(w.low, items));
    add(*part, w.low.data(), w.linear.data());
  }
  return {w.linear.data(), items};
}

std::size_t GraphFilterModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (out.empty()) return 0;
  Working& w = working(scratch);
  collect(query, w);
  const std::span<const float> all = scores(w);
  return select_top_k(all, excluded_of(query, scratch), query.filter, out, scratch);
}

void GraphFilterModel::recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out,
                                       std::span<std::size_t> counts, int num_threads) const {
  require_fitted();
  if (queries.size() < 4 || num_items() == 0) return Recommender::recommend_batch(queries, out, counts, num_threads);
  if (out.rows() < queries.size() || counts.size() < queries.size())
    throw std::invalid_argument("out has " + std::to_string(out.rows()) + " rows and counts " + std::to_string(counts.size()) +
                                " entries, both must have one for each of the " + std::to_string(queries.size()) + " queries");
  const auto items = static_cast<std::size_t>(num_items());
  const std::size_t stride = (items + kernels::kAlsPad - 1) / kernels::kAlsPad * kernels::kAlsPad;
  std::vector<const Part*> parts;
  std::vector<Array<float>> panels;
  for (const Part* part : {&low_pass_, &sharpen_}) {
    if (part->factors == 0) continue;
    parts.push_back(part);
    panels.push_back(item_panels(part->rows(), items, static_cast<std::size_t>(part->factors), num_threads));
  }
  struct Worker {
    Scratch scratch;
    std::vector<Array<float>> projected;  // a part: [kBatch x stride]
    std::vector<float> folded;            // [kBatch x factors]
    std::vector<float> one;
  };
  const auto threads = static_cast<std::size_t>(detail::resolve_threads(num_threads));
  std::vector<Worker> workers(threads);
  const std::size_t grain = std::clamp<std::size_t>(queries.size() / (threads * 2), 1, kBatch);
  const bool together = !sparse();
  detail::parallel_for(queries.size(), grain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    Worker& worker = workers[static_cast<std::size_t>(thread)];
    Working& w = working(worker.scratch);
    const std::size_t lanes = end - begin;
    for (const Query& query : queries.subspan(begin, lanes)) check(query);
    while (worker.projected.size() < parts.size()) worker.projected.emplace_back(kBatch * stride);
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const auto factors = static_cast<std::size_t>(parts[p]->factors);
      float* folded = at_least(worker.folded, kBatch * factors);
      for (std::size_t q = 0; q < lanes; ++q) {
        collect(queries[begin + q], w);
        fold(*parts[p], w, folded + q * factors);
      }
      kernels::als().multiply(folded, factors, lanes, panels[p].data(), factors, 0, stride, worker.projected[p].mutable_data(),
                              stride);
    }
    if (together) {
      std::fill_n(at_least(w.input, items * lanes), items * lanes, 0.0f);
      for (std::size_t q = 0; q < lanes; ++q) {
        collect(queries[begin + q], w);
        for (std::size_t h = 0; h < w.items.size(); ++h) w.input[static_cast<std::size_t>(w.items[h]) * lanes + q] += w.values[h];
      }
      polynomial(w, lanes, history_scale_.data(), item_scale_.data());
      worker.one.resize(items);
    }
    for (std::size_t q = 0; q < lanes; ++q) {
      const Query& query = queries[begin + q];
      float* scores = worker.one.data();
      if (together) {
        for (std::size_t i = 0; i < items; ++i) scores[i] = w.linear[i * lanes + q];
      } else {
        collect(query, w);
        one_step(w, history_scale_.data(), item_scale_.data());
        scores = w.linear.data();
      }
      for (std::size_t p = 0; p < parts.size(); ++p) add(*parts[p], worker.projected[p].data() + q * stride, scores);
      counts[begin + q] = select_top_k({scores, items}, excluded_of(query, worker.scratch), query.filter, out.row(begin + q), worker.scratch);
    }
  });
}

void GraphFilterModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                             Scratch& scratch) const {
  require_fitted();
  check(query);
  detail::check_scored(*this, items, out.size());
  Working& w = working(scratch);
  collect(query, w);
  propagate(w, history_scale_.data(), item_scale_.data());
  for (std::size_t i = 0; i < items.size(); ++i) out[i] = w.linear[static_cast<std::size_t>(items[i])];
  for (const Part* part : {&low_pass_, &sharpen_}) {
    if (part->factors == 0) continue;
    project(*part, w, items, at_least(w.low, items.size()));
    for (std::size_t i = 0; i < items.size(); ++i) out[i] += w.low[i] * part->target_scale[static_cast<std::size_t>(items[i])];
  }
}

std::size_t GraphFilterModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                            const ItemFilter* filter) const {
  require_fitted();
  check_item(item, "item");
  if (out.empty() || columns_.view().row_size(item) == 0) return 0;
  Working& w = working(scratch);
  w.items.assign(1, item);
  w.values.assign(1, 1.0f);
  return select_top_k(scores(w), {&item, 1}, filter, out, scratch);
}

std::size_t GraphFilterModel::similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check_user(user, "user");
  if (out.empty()) return 0;
  const auto users = static_cast<std::size_t>(num_users());
  const CsrView columns = columns_.view();
  const auto items = rows_.view().row_columns(user);
  const auto values = rows_.view().row_values(user);
  float* sums = at_least(scratch.impl().floats, users);
  std::fill_n(sums, users, 0.0f);
  for (std::size_t p = 0; p < items.size(); ++p) {
    const auto i = static_cast<std::size_t>(items[p]);
    const float x = values[p] * history_scale_[i] * item_scale_[i];
    const auto others = columns.row_columns(items[p]);
    const auto weights = columns.row_values(items[p]);
    for (std::size_t q = 0; q < others.size(); ++q) sums[others[q]] += x * weights[q];
  }
  for (std::size_t u = 0; u < users; ++u) sums[u] *= user_scale_[u];
  return select_top_k({sums, users}, {&user, 1}, nullptr, out, scratch);
}

Explanation GraphFilterModel::explain(const Query& query, std::int32_t item, std::size_t k) const {
  require_fitted();
  check(query);
  check_item(item, "item");
  Scratch scratch;
  Working& w = working(scratch);
  // Column `item` of the polynomial: the same walk from the other end.
  w.items.assign(1, item);
  w.values.assign(1, 1.0f);
  propagate(w, item_scale_.data(), history_scale_.data());
  const std::vector<float> column(w.linear.begin(), w.linear.begin() + num_items());
  collect(query, w);
  const auto j = static_cast<std::size_t>(item);
  std::vector<double> entries(w.items.size());  // (history item, item) of the filter
  for (std::size_t h = 0; h < w.items.size(); ++h) entries[h] = static_cast<double>(column[static_cast<std::size_t>(w.items[h])]);
  for (const Part* part : {&low_pass_, &sharpen_}) {
    const auto factors = static_cast<std::size_t>(part->factors);
    if (factors == 0) continue;
    std::vector<double> row(factors);  // what every history item's vector is multiplied with
    for (std::size_t f = 0; f < factors; ++f)
      row[f] = static_cast<double>(part->rows()[j * factors + f]) * static_cast<double>(part->gains[f]) *
               static_cast<double>(part->weight) * static_cast<double>(part->target_scale[j]);
    for (std::size_t h = 0; h < w.items.size(); ++h) {
      const auto i = static_cast<std::size_t>(w.items[h]);
      double sum = 0;
      for (std::size_t f = 0; f < factors; ++f) sum += static_cast<double>(part->vectors[i * factors + f]) * row[f];
      entries[h] += sum * static_cast<double>(part->history_scale[i]);
    }
  }
  Explanation e;
  double total = 0;
  for (std::size_t h = 0; h < w.items.size(); ++h) {
    const double part = static_cast<double>(w.values[h]) * entries[h];
    total += part;
    e.contributions.push_back({w.items[h], static_cast<float>(part)});
  }
  e.total = static_cast<float>(total);
  if (is_cold(query)) {  // the average row's items are not the shopper's
    e.contributions.clear();
    return e;
  }
  detail::keep_largest(e, k);
  return e;
}

}  // namespace etalage
