// SPDX-License-Identifier: Apache-2.0
#include "etalage/models/recommender.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "etalage/error.hpp"
#include "models/scratch.hpp"

namespace etalage {

Scratch::Scratch() : impl_(std::make_unique<Impl>()) {}
Scratch::~Scratch() = default;
Scratch::Scratch(Scratch&&) noexcept = default;
Scratch& Scratch::operator=(Scratch&&) noexcept = default;

Recommender::~Recommender() = default;

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
}

void Recommender::save_state(StateWriter& writer) const {
  writer.put_bool("has_user_ids", user_ids_ != nullptr);
  writer.put_bool("has_item_ids", item_ids_ != nullptr);
  writer.put_bool("has_history", has_history());
  if (user_ids_) writer.put_id_map("user_ids", *user_ids_);
  if (item_ids_) writer.put_id_map("item_ids", *item_ids_);
  if (has_history()) writer.put_csr("history", history_);
}

void Recommender::load_base(const StateReader& reader) {
  if (reader.get_bool("has_user_ids")) user_ids_ = std::make_shared<const IdMap>(reader.get_id_map("user_ids"));
  if (reader.get_bool("has_item_ids")) item_ids_ = std::make_shared<const IdMap>(reader.get_id_map("item_ids"));
  if (reader.get_bool("has_history")) history_ = reader.get_csr("history");
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
  for (const float v : q.history_values)
    if (!std::isfinite(v)) throw std::invalid_argument("history_values holds " + std::to_string(v) + ", must be finite");
}

std::span<const std::int32_t> Recommender::history_of(const Query& q) const noexcept {
  if (!q.history.empty() || q.history_given || !q.user || !has_history()) return q.history;
  return history_.view().row_columns(*q.user);
}

std::span<const float> Recommender::history_values_of(const Query& q) const noexcept {
  if (!q.history.empty() || q.history_given || !q.user || !has_history()) return q.history_values;
  return history_.view().row_values(*q.user);
}

}  // namespace etalage
