// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/recommender.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/scratch.hpp"
#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"
#include "etalage/error.hpp"
#include "etalage/models/sequence_model.hpp"
#include "models/row_patches.hpp"
#include "models/training_data.hpp"
#include "search/top_k.hpp"

namespace etalage {

Recommender::~Recommender() = default;

namespace {

struct Mixed {
  std::uint64_t low;
  std::uint64_t high;
};

// SplitMix64 of the pair, from two places of its stream.
Mixed mixed(std::int32_t user, std::int32_t item) noexcept {
  using detail::split_mix;
  const std::uint64_t pair = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(user)) << 32) | static_cast<std::uint32_t>(item);
  return {split_mix(pair + detail::kSplitMixStep), split_mix(split_mix(pair ^ 0xD1B54A32D192ED03u) + 0x3C6EF372FE94F82Au)};
}

void add_distinct(std::int32_t user, std::span<const std::int32_t> items, std::vector<std::int32_t>& sorted, PairHash& hash) {
  if (std::adjacent_find(items.begin(), items.end(), std::greater_equal<>()) != items.end()) {
    sorted.assign(items.begin(), items.end());
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    items = sorted;
  }
  for (const std::int32_t i : items) hash.add(user, i);
}

}  // namespace

void PairHash::add(std::int32_t user, std::int32_t item) noexcept {
  const Mixed m = mixed(user, item);
  low += m.low;
  high += m.high;
  ++pairs;
}

void PairHash::remove(std::int32_t user, std::int32_t item) noexcept {
  const Mixed m = mixed(user, item);
  low -= m.low;
  high -= m.high;
  --pairs;
}

PairHash pair_hash(const CsrView& user_items) {
  PairHash hash;
  std::vector<std::int32_t> sorted;
  for (std::int64_t u = 0; u < user_items.rows; ++u)
    add_distinct(static_cast<std::int32_t>(u), user_items.row_columns(u), sorted, hash);
  return hash;
}

PairHash pair_hash(const Sequences& sequences) {
  if (!sequences.user_index().empty()) return pair_hash(ordered_rows(sequences).view());  // a user may have several lists
  PairHash hash;
  std::vector<std::int32_t> sorted;
  for (std::int64_t s = 0; s < sequences.size(); ++s)
    add_distinct(static_cast<std::int32_t>(s), sequences.items_of(s), sorted, hash);
  return hash;
}

bool Recommender::is_cold(const Query& query) const noexcept {
  if (query.user && !query.history_given && !has_history()) return false;
  return history_of(query).empty() && query.session.empty();
}

bool Recommender::excludes_last(const Query& query) const noexcept { return query.exclude_last.value_or(false); }

std::span<const std::int32_t> Recommender::excluded_of(const Query& query, Scratch& scratch) const {
  if (query.exclude_seen) return sorted_unique(history_of(query), query.session, scratch);
  if (!excludes_last(query)) return {};
  const std::span<const std::int32_t> items = query.session.empty() ? history_of(query) : query.session;
  return items.empty() ? items : items.last(1);
}

void Recommender::recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                                  int num_threads) const {
  if (out.rows() < queries.size() || counts.size() < queries.size())
    throw std::invalid_argument("out has " + std::to_string(out.rows()) + " rows and counts " + std::to_string(counts.size()) +
                                " entries, both must have one for each of the " + std::to_string(queries.size()) + " queries");
  const auto threads = static_cast<std::size_t>(detail::resolve_threads(num_threads));
  std::vector<Scratch> scratch(threads);
  const std::size_t grain = std::clamp<std::size_t>(queries.size() / (threads * 16), 1, 64);
  detail::parallel_for(queries.size(), grain, num_threads, [&](std::size_t begin, std::size_t end, int thread) {
    for (std::size_t i = begin; i < end; ++i)
      counts[i] = recommend(queries[i], out.row(i), scratch[static_cast<std::size_t>(thread)]);
  });
}

namespace {
[[noreturn]] void unsupported(std::string_view kind, const char* call) {
  throw UnsupportedError(std::string(kind) + " has no " + call + "; docs/models says which models do");
}
}  // namespace

std::size_t Recommender::similar_items(std::int32_t, std::span<ItemScore>, Scratch&, const ItemFilter*) const {
  unsupported(kind(), "similar_items");
}
std::size_t Recommender::similar_users(std::int32_t, std::span<ItemScore>, Scratch&) const {
  unsupported(kind(), "similar_users");
}
Explanation Recommender::explain(const Query&, std::int32_t, std::size_t) const { unsupported(kind(), "explain"); }

void Recommender::set_ids(SharedIdMap user_ids, SharedIdMap item_ids) {
  const auto check = [](const SharedIdMap& ids, std::int32_t n, const char* name) {
    if (ids && ids->size() != n)
      throw std::invalid_argument(std::string(name) + " has " + std::to_string(ids->size()) + " keys, must have " + std::to_string(n));
  };
  check(user_ids, num_users(), "user_ids");
  check(item_ids, num_items(), "item_ids");
  user_ids_ = std::move(user_ids);
  item_ids_ = std::move(item_ids);
}

void Recommender::set_history(CsrMatrix history) {
  if (!history.offsets.empty() && (history.rows != num_users() || history.cols != num_items()))
    throw std::invalid_argument("history has shape (" + std::to_string(history.rows) + ", " + std::to_string(history.cols) +
                                "), must be (" + std::to_string(num_users()) + ", " + std::to_string(num_items()) + ")");
  history_ = std::move(history);
  history_patches_.reset();
}

const CsrMatrix& Recommender::history() const {
  return history_patches_ ? history_patches_->merged(history_, history_.cols) : history_;
}

std::span<const std::int32_t> Recommender::kept_items(std::int32_t user) const noexcept {
  if (history_patches_) return history_patches_->columns(history_, user);
  return user >= 0 && user < history_.rows && has_history() ? history_.view().row_columns(user) : std::span<const std::int32_t>{};
}

std::span<const float> Recommender::kept_values(std::int32_t user) const noexcept {
  if (history_patches_) return history_patches_->values(history_, user);
  return user >= 0 && user < history_.rows && has_history() ? history_.view().row_values(user) : std::span<const float>{};
}

void Recommender::set_kept_row(std::int32_t user, std::span<const std::int32_t> columns, std::span<const float> values) {
  if (fitted_on_) {
    for (const std::int32_t i : kept_items(user)) fitted_on_->remove(user, i);
    for (const std::int32_t i : columns) fitted_on_->add(user, i);
  }
  detail::RowPatches& patches = detail::exclusive(history_patches_, history_.rows);
  patches.set(user, {{columns.begin(), columns.end()}, {values.begin(), values.end()}});
  if (!patches.many(history_)) return;
  history_ = patches.merged(history_, history_.cols);
  history_patches_.reset();
}

void Recommender::set_kept_column(std::int32_t item, std::span<const std::int32_t> users, std::span<const float> values) {
  std::vector<std::int32_t> touched(users.begin(), users.end());
  if (item >= history_.cols) grow_kept_rows(0, item + 1);
  detail::exclusive(history_patches_, history_.rows).rows_with(history_, item, touched);
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  std::vector<std::int32_t> columns;
  std::vector<float> row_values;
  for (const std::int32_t user : touched) {
    const auto old_columns = kept_items(user);
    const auto old_values = kept_values(user);
    columns.assign(old_columns.begin(), old_columns.end());
    row_values.assign(old_values.begin(), old_values.end());
    const auto at = std::lower_bound(columns.begin(), columns.end(), item) - columns.begin();
    const bool had = at < static_cast<std::ptrdiff_t>(columns.size()) && columns[static_cast<std::size_t>(at)] == item;
    const auto now = std::lower_bound(users.begin(), users.end(), user);
    const bool has = now != users.end() && *now == user;
    if (had && !has) {
      columns.erase(columns.begin() + at);
      row_values.erase(row_values.begin() + at);
    } else if (has) {
      if (!had) {
        columns.insert(columns.begin() + at, item);
        row_values.insert(row_values.begin() + at, 0.0f);
      }
      row_values[static_cast<std::size_t>(at)] = values[static_cast<std::size_t>(now - users.begin())];
    } else {
      continue;  // the base's row had it, the patched one has not
    }
    set_kept_row(user, columns, row_values);
  }
}

void Recommender::grow_kept_rows(std::int32_t users, std::int32_t items) {
  history_.cols = std::max<std::int64_t>(history_.cols, items);
  if (history_patches_ || users > history_.rows) detail::exclusive(history_patches_, history_.rows).grow(users);
}

void Recommender::save_state(StateWriter& writer) const {
  writer.put_bool("has_user_ids", user_ids_ != nullptr);
  writer.put_bool("has_item_ids", item_ids_ != nullptr);
  writer.put_bool("has_history", has_history());
  if (user_ids_) writer.put_id_map("user_ids", *user_ids_);
  if (item_ids_) writer.put_id_map("item_ids", *item_ids_);
  if (has_history()) writer.put_csr("history", history());
  if (!recipe_.empty()) writer.put_string("info/recipe", recipe_);
  if (newest_ms_) writer.put_int("fitted_through_ms", *newest_ms_);
  if (!fitted_on_) return;
  writer.put_bool("has_fitted_on", true);
  writer.put_int("fitted_on/low", static_cast<std::int64_t>(fitted_on_->low));
  writer.put_int("fitted_on/high", static_cast<std::int64_t>(fitted_on_->high));
  writer.put_int("fitted_on/pairs", fitted_on_->pairs);
}

void Recommender::load_base(const StateReader& reader) {
  if (reader.get_bool("has_user_ids")) user_ids_ = std::make_shared<const IdMap>(reader.get_id_map("user_ids"));
  if (reader.get_bool("has_item_ids")) item_ids_ = std::make_shared<const IdMap>(reader.get_id_map("item_ids"));
  if (reader.get_bool("has_history")) history_ = reader.get_csr("history");
  recipe_ = reader.has("info/recipe") ? reader.get_string("info/recipe") : std::string();
  newest_ms_.reset();
  if (reader.has("fitted_through_ms")) newest_ms_ = reader.get_int("fitted_through_ms");
  fitted_on_.reset();
  if (reader.has("has_fitted_on") && reader.get_bool("has_fitted_on"))
    fitted_on_ = PairHash{static_cast<std::uint64_t>(reader.get_int("fitted_on/low")),
                          static_cast<std::uint64_t>(reader.get_int("fitted_on/high")),
                          reader.get_int("fitted_on/pairs", 0, std::numeric_limits<std::int64_t>::max())};
  // The derived model has read its shape by now.
  const auto expect = [&](const char* name, std::int64_t found, std::int64_t expected) {
    if (found != expected) reader.fail(name, "found size " + std::to_string(found) + ", expected " + std::to_string(expected));
  };
  if (user_ids_) expect("user_ids", user_ids_->size(), num_users());
  if (item_ids_) expect("item_ids", item_ids_->size(), num_items());
  if (has_history()) {
    expect("history", history_.rows, num_users());
    expect("history", history_.cols, num_items());
  }
}

void Recommender::check_user(std::int32_t user, const char* argument) const { detail::require_index(user, num_users(), argument); }
void Recommender::check_item(std::int32_t item, const char* argument) const { detail::require_index(item, num_items(), argument); }

void Recommender::check(const Query& q) const {
  if (q.user) check_user(*q.user, "user");
  for (const std::int32_t i : q.history) check_item(i, "history item");
  for (const std::int32_t i : q.session) check_item(i, "session item");
  if (!q.history_values.empty() && q.history_values.size() != q.history.size())
    throw std::invalid_argument("history_values has " + std::to_string(q.history_values.size()) +
                                " entries, must be empty or have one for each of the " + std::to_string(q.history.size()) +
                                " history items");
  if (!q.history_times.empty() && q.history_times.size() != q.history.size())
    throw std::invalid_argument("history_times has " + std::to_string(q.history_times.size()) +
                                " entries, must be empty or have one for each of the " + std::to_string(q.history.size()) +
                                " history items");
  for (const float v : q.history_values) {
    if (!std::isfinite(v)) throw std::invalid_argument("history_values holds " + std::to_string(v) + ", must be finite");
    if (!(std::abs(static_cast<double>(v)) <= detail::kLargestValue))
      throw std::invalid_argument("history_values holds " + std::to_string(v) + ", must be at most 1e15 in size");
  }
}

std::span<const std::int32_t> Recommender::history_of(const Query& q) const noexcept {
  if (!q.history.empty() || q.history_given || !q.user || !has_history()) return q.history;
  return kept_items(*q.user);
}

std::span<const float> Recommender::history_values_of(const Query& q) const noexcept {
  if (!q.history.empty() || q.history_given || !q.user || !has_history()) return q.history_values;
  return kept_values(*q.user);
}

}  // namespace etalage
