// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/factor_model.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <mutex>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/scratch.hpp"
#include "detail/check.hpp"
#include "detail/finite.hpp"
#include "detail/parallel_for.hpp"
#include "detail/prefetch.hpp"
#include "etalage/error.hpp"
#include "kernels/rank_key.hpp"
#include "models/answers.hpp"
#include "models/factor/row_norms.hpp"
#include "search/best.hpp"
#include "search/exact.hpp"
#include "search/top_k.hpp"

namespace etalage {
namespace {

// Queries of a batch that make up for ordering the items.
constexpr std::size_t fewest_for_order(std::size_t items) noexcept { return 512 + items / 64; }
constexpr std::size_t kMostForPanels = std::size_t{40} << 20;  // bytes of items in eight bits while a batch runs

// Rows that an index would choose among; none where they are so few that they are read at once.
std::size_t choices(const ItemFilter* filter, std::size_t rows) {
  constexpr std::size_t kFew = 4096;
  if (filter == nullptr || !filter->has_allow_list()) return rows;
  const std::size_t allowed = std::min(filter->num_allowed_ids(), rows);
  return allowed > kFew ? allowed : 0;
}

}  // namespace

struct FactorModel::Norms {
  std::once_flag once;
  Array<float> inverse;  // [rows]
  std::size_t width = 0;  // leading entries of a row that they are of
  std::atomic<bool> known{false};

  void take(Array<float> values, std::size_t entries) {
    inverse = std::move(values);
    width = entries;
    known.store(true, std::memory_order_release);
  }
  std::once_flag order_once;
  search::RowOrder order;

  search::LongestOnDemand longest;

  const search::RowOrder* order_of(const search::ScoredRows& rows, int num_threads) {
    if (const search::LongestRows* there = longest.made(); there != nullptr && there->order() != nullptr) return there->order();
    std::call_once(order_once, [&] { order = search::RowOrder::of(rows.data, rows.rows, rows.stride, rows.dim, num_threads); });
    return order.rows.empty() ? nullptr : &order;
  }

  // Of the first `dim` entries of each row.
  const float* of(const Array<float>& rows, std::size_t dim, std::size_t stride) {
    std::call_once(once, [&] {
      const std::size_t n = rows.size() / stride;
      Array<float> inv(n);
      float* out = inv.mutable_data();
      for (std::size_t r = 0; r < n; ++r) out[r] = inverse_norm(rows.view().subspan(r * stride, dim));
      take(std::move(inv), dim);
    });
    return inverse.data();
  }
};

FactorModel::FactorModel() : user_norms_(std::make_shared<Norms>()), item_norms_(std::make_shared<Norms>()) {}
FactorModel::~FactorModel() = default;
// Copies share the norms with the rows that they belong to.
FactorModel::FactorModel(const FactorModel&) = default;
FactorModel& FactorModel::operator=(const FactorModel&) = default;

namespace {

search::ScoredRows scored_rows(const Array<float>& rows, std::int32_t n, std::int32_t factors) noexcept {
  const auto dim = static_cast<std::size_t>(factors);
  return {.data = rows.data(), .rows = static_cast<std::size_t>(n), .dim = dim, .stride = dim};
}

std::size_t write(std::span<const std::uint64_t> keys, std::span<ItemScore> out) noexcept {
  for (std::size_t i = 0; i < keys.size(); ++i)
    out[i] = {static_cast<std::int32_t>(kernels::key_index(keys[i])), kernels::key_score(keys[i])};
  return keys.size();
}

// Cosine of one row with all rows, itself left out.
std::size_t similar(search::ScoredRows rows, const float* inverse_norms, std::int32_t row, const ItemFilter* filter,
                    std::span<ItemScore> out, Scratch& scratch) {
  Scratch::Impl& s = scratch.impl();
  float* query = Scratch::Impl::at_least(s.factor, rows.dim);
  const float* own = rows.data + static_cast<std::size_t>(row) * rows.stride;
  const float inverse = inverse_norms[row];
  if (inverse == 0.0f) return 0;
  std::transform(own, own + rows.dim, query, [inverse](float v) { return v * inverse; });
  rows.scale = inverse_norms;
  return write(search::exact_top_k(rows, {query, out.size(), {&row, 1}, filter}, s.part<search::ScanWorkspace>()), out);
}

}  // namespace

void FactorModel::require_fitted() const {
  if (!fitted()) throw NotFittedError(std::string(kind()) + " is not fitted; call fit() first");
}

void FactorModel::fold_in(const Query&, std::span<float>, Scratch&) const {
  throw UnsupportedError(std::string(kind()) + " has no fold-in: only its fitted users can be asked about");
}

bool FactorModel::is_blank(const float* row) const noexcept {
  return std::all_of(row, row + similarity_factors(), [](float v) { return v == 0.0f; });
}

bool FactorModel::is_cold(const Query& query) const noexcept {
  if (!folds_in(query)) return *query.user < num_users_ && *query.user >= 0 && is_blank(user_row(*query.user).data());
  return Recommender::is_cold(query);
}

void FactorModel::learn_cold_start() {
  const auto dim = static_cast<std::size_t>(factors_);
  std::vector<double> sum(dim, 0.0);
  std::size_t known = 0;
  for (std::int32_t u = 0; u < num_users_; ++u) {
    const std::span<const float> row = user_row(u);
    if (is_blank(row.data())) continue;
    ++known;
    for (std::size_t f = 0; f < dim; ++f) sum[f] += static_cast<double>(row[f]);
  }
  Array<float> mean(dim);
  float* out = mean.mutable_data();
  for (std::size_t f = 0; f < dim && known != 0; ++f) out[f] = static_cast<float>(sum[f] / static_cast<double>(known));
  cold_start_ = std::move(mean);
}

float FactorModel::cold_score(std::int32_t item) const noexcept {
  float score = 0;
  search::exact_scores(scored_rows(item_factors_, num_items_, factors_), cold_start_.data(), {&item, 1}, &score);
  return score;
}

void FactorModel::query_factor(const Query& query, std::span<float> factor, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (factor.size() != static_cast<std::size_t>(factors_))
    throw std::invalid_argument(detail::violated("size of factor", factor.size(), "the model's factors"));
  const float* row = row_for(query, scratch);
  std::copy(row, row + factor.size(), factor.begin());
}

const float* FactorModel::row_for(const Query& query, Scratch& scratch) const {
  if (!folds_in(query)) {
    const float* row = user_row(*query.user).data();
    return is_blank(row) ? cold_start_.data() : row;
  }
  if (!query.user && query.session.empty() && query.history.empty()) return cold_start_.data();
  float* factor = Scratch::Impl::at_least(scratch.impl().factor, static_cast<std::size_t>(factors_));
  fold_in(query, {factor, static_cast<std::size_t>(factors_)}, scratch);
  if (is_blank(factor)) return cold_start_.data();
  return factor;
}

std::size_t FactorModel::recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check(query);
  if (out.empty()) return 0;
  return best(row_for(query, scratch), query, out, scratch);
}

// The best items for a row, by the index where there is one that can answer.
std::size_t FactorModel::best(const float* row, const Query& query, std::span<ItemScore> out, Scratch& scratch) const {
  search::ScoredRows rows = scored_rows(item_factors_, num_items_, factors_);
  const std::span<const std::int32_t> excluded = excluded_of(query, scratch);
  Scratch::Impl& s = scratch.impl();
  // What is excluded is asked for in addition. Long lists and short allow lists are quicker read from the rows.
  const std::size_t wanted = out.size() + excluded.size();
  if (index_ != nullptr && wanted <= choices(query.filter, rows.rows) / 4) {
    Neighbor* found = Scratch::Impl::at_least(s.neighbors, wanted);
    const std::size_t n = index_->search({row, rows.dim}, {found, wanted}, query.filter, scratch);
    s.ints.clear();
    for (std::size_t i = 0; i < n; ++i) {
      // The index is not ours: it may hold other ids, change, or take a filter for a hint.
      if (found[i].id < 0 || found[i].id >= static_cast<std::int64_t>(rows.rows)) continue;
      const auto item = static_cast<std::int32_t>(found[i].id);
      if (query.filter != nullptr && !query.filter->allows(item)) continue;
      if (std::binary_search(excluded.begin(), excluded.end(), item)) continue;
      s.ints.push_back(item);
      detail::prefetch(rows.data + static_cast<std::size_t>(item) * rows.stride, rows.dim * sizeof(float));
    }
    if (s.ints.size() >= out.size()) {
      // Where some are thrown away on the way, ties are those of ascending items. Few come as the index orders them: nearly sorted.
      if (s.ints.size() > search::Best::limit(out.size())) std::sort(s.ints.begin(), s.ints.end());
      float* scores = Scratch::Impl::at_least(s.floats, s.ints.size());
      search::exact_scores(rows, row, s.ints, scores);
      return select_top_k(s.ints, {scores, s.ints.size()}, {}, nullptr, out, scratch);
    }
  }
  rows.longest = item_norms_->longest.get(rows, 1, 1);
  return write(search::exact_top_k(rows, {row, out.size(), excluded, query.filter}, s.part<search::ScanWorkspace>()), out);
}

void FactorModel::set_index(std::shared_ptr<const VectorIndex> index) {
  require_fitted();
  if (index != nullptr) {
    detail::require(index->dim() == factors_, "index's dim", index->dim(), "the model's factors");
    detail::require(index->size() == static_cast<std::size_t>(num_items_), "index's size", index->size(), "the model's items");
    detail::require(index->ranks_by_dot(), "index's ranks_by_dot", false, "true: factors are compared by inner products");
  }
  index_ = std::move(index);
}

const float* FactorModel::row_for(std::span<const float> vector, Scratch& scratch) const {
  if (vector.size() != static_cast<std::size_t>(factors_))
    throw std::invalid_argument("vector has " + std::to_string(vector.size()) + " entries, must have " +
                                std::to_string(factors_));
  double square = 0;
  for (const float v : vector) {
    detail::require_finite(true, "vector entry", v, "finite");
    square += static_cast<double>(v) * static_cast<double>(v);
  }
  detail::require(square <= 1e38, "length of vector", std::sqrt(square), "at most 1e19: inner products would not be finite");
  if (!unit_queries()) return vector.data();
  float* row = Scratch::Impl::at_least(scratch.impl().factor, vector.size());
  scale_to_unit(vector, {row, vector.size()});
  return row;
}

std::size_t FactorModel::recommend_vector(std::span<const float> vector, const Query& query, std::span<ItemScore> out,
                                          Scratch& scratch) const {
  require_fitted();
  check(query);
  const float* row = row_for(vector, scratch);
  if (out.empty()) return 0;
  return best(row, query, out, scratch);
}

void FactorModel::recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out,
                                  std::span<std::size_t> counts, int num_threads) const {
  rank(queries, nullptr, out, counts, num_threads);
}

void FactorModel::recommend_vectors(MatrixView<const float> vectors, std::span<const Query> queries,
                                    MatrixView<ItemScore> out, std::span<std::size_t> counts, int num_threads) const {
  if (!queries.empty() && queries.size() != vectors.rows())
    throw std::invalid_argument("queries has " + std::to_string(queries.size()) + " entries, must be empty or have one " +
                                "for each of the " + std::to_string(vectors.rows()) + " vectors");
  rank(queries, &vectors, out, counts, num_threads);
}

// With vectors, row i is asked about instead of the user of query i, and queries may be empty.
void FactorModel::rank(std::span<const Query> queries, const MatrixView<const float>* vectors, MatrixView<ItemScore> out,
                       std::span<std::size_t> counts, int num_threads) const {
  require_fitted();
  const std::size_t num_queries = vectors != nullptr ? vectors->rows() : queries.size();
  if (out.rows() < num_queries || counts.size() < num_queries)
    throw std::invalid_argument("out has " + std::to_string(out.rows()) + " rows and counts " +
                                std::to_string(counts.size()) + " entries, both must have one for each of the " +
                                std::to_string(num_queries) + " queries");
  const auto dim = static_cast<std::size_t>(factors_);
  const int threads = detail::resolve_threads(num_threads);
  if (index_ != nullptr) {
    // Each query walks the index for itself.
    std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
    detail::parallel_for(num_queries, 4, threads, [&](std::size_t begin, std::size_t end, int thread) {
      Scratch& own = scratch[static_cast<std::size_t>(thread)];
      for (std::size_t i = begin; i < end; ++i) {
        const Query query = queries.empty() ? Query{} : queries[i];
        counts[i] = vectors != nullptr ? recommend_vector(vectors->row(i), query, out.row(i), own) : recommend(query, out.row(i), own);
      }
    });
    return;
  }
  // Queries with the same filter share a block, wherever they stand.
  std::vector<std::size_t> order(num_queries);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (!queries.empty())
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return std::less<>()(queries[a].filter, queries[b].filter);
    });
  struct Worker {
    Scratch scratch;
    std::vector<float> factors;          // rows of folded-in queries
    std::vector<std::int32_t> excluded;  // of all queries of a block, one after the other
    std::vector<std::size_t> excluded_ends;
    std::vector<search::ScanRequest> requests;
    std::vector<std::span<const std::uint64_t>> results;
  };
  std::vector<Worker> workers(static_cast<std::size_t>(threads));
  search::ScoredRows rows = scored_rows(item_factors_, num_items_, factors_);
  std::optional<search::CodedPanels> panels;
  if (num_queries >= fewest_for_order(rows.rows)) {
    rows.order = item_norms_->order_of(rows, threads);
    if (rows.order != nullptr && kernels::code().panel != 0 && search::CodedPanels::bytes(rows.rows, dim) <= kMostForPanels)
      rows.panels = &panels.emplace(rows, *rows.order, kernels::code(), threads);
  }
  if (rows.panels == nullptr) rows.longest = item_norms_->longest.get(rows, num_queries, threads);
  const std::size_t block = search::scan_block_size(dim, std::min(out.cols(), rows.rows), num_queries, threads);
  detail::parallel_for(num_queries, block, threads, [&](std::size_t begin, std::size_t end, int thread) {
    Worker& w = workers[static_cast<std::size_t>(thread)];
    const std::size_t n = end - begin;
    w.factors.resize(n * dim);
    w.requests.assign(n, {});
    w.results.resize(n);
    w.excluded.clear();
    w.excluded_ends.clear();
    for (std::size_t i = 0; i < n; ++i) {
      const Query query = queries.empty() ? Query{} : queries[order[begin + i]];
      check(query);
      const float* row = vectors != nullptr ? row_for(vectors->row(order[begin + i]), w.scratch) : row_for(query, w.scratch);
      if (row == w.scratch.impl().factor.data()) row = std::copy_n(row, dim, w.factors.data() + i * dim) - dim;
      w.requests[i] = {row, out.cols(), {}, query.filter};
      const std::span<const std::int32_t> seen = excluded_of(query, w.scratch);
      w.excluded.insert(w.excluded.end(), seen.begin(), seen.end());
      w.excluded_ends.push_back(w.excluded.size());
    }
    const std::span<const std::int32_t> excluded(w.excluded);
    for (std::size_t i = 0, at = 0; i < n; at = w.excluded_ends[i++])
      w.requests[i].excluded = excluded.subspan(at, w.excluded_ends[i] - at);
    search::exact_top_k(rows, w.requests, w.results, w.scratch.impl().part<search::ScanWorkspace>());
    for (std::size_t i = 0; i < n; ++i) counts[order[begin + i]] = write(w.results[i], out.row(order[begin + i]));
  });
}

void FactorModel::score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
                        Scratch& scratch) const {
  require_fitted();
  check(query);
  detail::check_scored(*this, items, out.size());
  search::exact_scores(scored_rows(item_factors_, num_items_, factors_), row_for(query, scratch), items, out.data());
}

void FactorModel::score_vector(std::span<const float> vector, std::span<const std::int32_t> items, std::span<float> out,
                               Scratch& scratch) const {
  require_fitted();
  detail::check_scored(*this, items, out.size());
  search::exact_scores(scored_rows(item_factors_, num_items_, factors_), row_for(vector, scratch), items, out.data());
}

std::size_t FactorModel::similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                                       const ItemFilter* filter) const {
  require_fitted();
  check_item(item, "item");
  if (out.empty()) return 0;
  search::ScoredRows rows = scored_rows(item_factors_, num_items_, factors_);
  rows.dim = static_cast<std::size_t>(similarity_factors());
  return similar(rows, item_norms_->of(item_factors_, rows.dim, rows.stride), item, filter, out, scratch);
}

std::size_t FactorModel::similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const {
  require_fitted();
  check_user(user, "user");
  if (out.empty()) return 0;
  search::ScoredRows rows = scored_rows(user_factors_, num_users_, factors_);
  rows.dim = static_cast<std::size_t>(similarity_factors());
  return similar(rows, user_norms_->of(user_factors_, rows.dim, rows.stride), user, nullptr, out, scratch);
}

void FactorModel::set_factors(Array<float> user_factors, std::int32_t num_users, Array<float> item_factors,
                              std::int32_t num_items, std::int32_t factors) {
  take_factors(std::move(user_factors), num_users, std::move(item_factors), num_items, factors);
  learn_cold_start();
}

void FactorModel::take_factors(Array<float> user_factors, std::int32_t num_users, Array<float> item_factors,
                               std::int32_t num_items, std::int32_t factors) {
  detail::require(num_users >= 0, "num_users", num_users, ">= 0");
  detail::require(num_items >= 0, "num_items", num_items, ">= 0");
  detail::require(factors >= 1, "factors", factors, ">= 1");
  const auto expect = [factors](const char* name, std::size_t size, std::int32_t rows) {
    if (size != static_cast<std::size_t>(rows) * static_cast<std::size_t>(factors))
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " entries, must have " +
                                  std::to_string(rows) + " x " + std::to_string(factors));
  };
  expect("user_factors", user_factors.size(), num_users);
  expect("item_factors", item_factors.size(), num_items);
  auto user_norms = std::make_shared<Norms>();
  auto item_norms = std::make_shared<Norms>();
  // The index stays where the item rows do, as when users are added.
  if (item_factors.data() != item_factors_.data() || num_items != num_items_ || factors != factors_) index_.reset();
  user_factors_ = std::move(user_factors);
  item_factors_ = std::move(item_factors);
  num_users_ = num_users;
  num_items_ = num_items;
  factors_ = factors;
  user_norms_ = std::move(user_norms);
  item_norms_ = std::move(item_norms);
}

void FactorModel::set_rows(Array<float>& factors, std::shared_ptr<Norms>& norms, std::int32_t& size,
                           std::span<const std::int32_t> indices, std::span<const float> rows, std::int32_t count) {
  const auto dim = static_cast<std::size_t>(factors_);
  const auto n = static_cast<std::size_t>(std::max(size, count));
  auto fresh = std::make_shared<Norms>();
  if (n * dim != factors.size()) factors.resize(n * dim);
  const std::span<float> all = factors.mutable_view();
  for (std::size_t i = 0; i < indices.size(); ++i)
    std::copy_n(rows.data() + i * dim, dim, all.data() + static_cast<std::size_t>(indices[i]) * dim);
  size = static_cast<std::int32_t>(n);
  const std::shared_ptr<Norms> before = std::exchange(norms, std::move(fresh));
  norms->longest.follow(before->longest, indices, n);
  if (!before->known.load(std::memory_order_acquire)) return;
  // Norms that are known stay, but for the rows that changed.
  Array<float> inverse = before.use_count() == 1 ? std::move(before->inverse) : before->inverse;
  inverse.resize(n);
  float* out = inverse.mutable_data();
  for (const std::int32_t i : indices)
    out[i] = inverse_norm(std::span<const float>(all).subspan(static_cast<std::size_t>(i) * dim, before->width));
  std::call_once(norms->once, [&] { norms->take(std::move(inverse), before->width); });
}

void FactorModel::set_user_rows(std::span<const std::int32_t> indices, std::span<const float> rows, std::int32_t count) {
  set_rows(user_factors_, user_norms_, num_users_, indices, rows, count);
}

void FactorModel::set_item_rows(std::span<const std::int32_t> indices, std::span<const float> rows, std::int32_t count) {
  set_rows(item_factors_, item_norms_, num_items_, indices, rows, count);
  index_.reset();
}

void FactorModel::save_state(StateWriter& writer) const {
  Recommender::save_state(writer);
  writer.put_int("num_users", num_users_);
  writer.put_int("num_items", num_items_);
  writer.put_int("factors", factors_);
  writer.put_array("user_factors", user_factors_);
  writer.put_array("item_factors", item_factors_);
  if (factors_ != 0) writer.put_array("cold_start", cold_start_);
  if (index_ == nullptr) return;
  writer.put_bool("has_index", true);
  writer.put_index("index", *index_);
}

void FactorModel::load_factors(const StateReader& reader) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto num_users = static_cast<std::int32_t>(reader.get_int("num_users", 0, kMost));
  const auto num_items = static_cast<std::int32_t>(reader.get_int("num_items", 0, kMost));
  const auto factors = static_cast<std::int32_t>(reader.get_int("factors", 0, kMost));
  const auto size = [factors](std::int32_t rows) { return static_cast<std::size_t>(rows) * static_cast<std::size_t>(factors); };
  Array<float> user_factors = reader.get_array<float>("user_factors", size(num_users));
  Array<float> item_factors = reader.get_array<float>("item_factors", size(num_items));
  const auto check = [&](const char* name, const Array<float>& a) {
    if (reader.verify() && !detail::bounded_rows(a.view(), static_cast<std::size_t>(factors), reader.num_threads()))
      reader.fail(name, "found a value that is not finite or a row with a squared norm of 8e37 or more");
  };
  check("user_factors", user_factors);
  check("item_factors", item_factors);
  if (factors == 0) return;  // saved before it was fitted
  take_factors(std::move(user_factors), num_users, std::move(item_factors), num_items, factors);
  cold_start_ = reader.get_array<float>("cold_start", static_cast<std::size_t>(factors));
  check("cold_start", cold_start_);
  if (!reader.has("has_index") || !reader.get_bool("has_index")) return;
  try {
    set_index(reader.get_index("index"));
  } catch (const std::invalid_argument& e) {
    reader.fail("index", std::string("found ") + e.what());
  }
}

}  // namespace etalage
