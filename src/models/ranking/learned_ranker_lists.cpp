// SPDX-License-Identifier: Apache-2.0
// The lists that a learned ranker learns from.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "detail/check.hpp"
#include "detail/parallel_for.hpp"
#include "detail/random_stream.hpp"
#include "etalage/models/learned_ranker.hpp"
#include "models/ranking/learned_ranker_working.hpp"

namespace etalage {
namespace {

struct One {
  std::vector<std::int32_t> items;
  std::vector<float> gains;
  std::vector<float> rows;
};

}  // namespace

RankingLists LearnedRankerModel::lists_of(std::size_t queries, const std::function<Query(std::size_t)>& query,
                                          const std::function<std::span<const std::int32_t>(std::size_t)>& relevant,
                                          std::size_t max_negatives, std::uint64_t seed, int num_threads) const {
  const int threads = detail::resolve_threads(num_threads == 0 ? options_.num_threads : num_threads);
  for (std::size_t q = 0; q < queries; ++q) {
    check(query(q));
    for (const std::int32_t i : relevant(q)) check_item(i, "held-out item");
  }
  std::vector<One> found(queries);
  std::vector<Scratch> scratch(static_cast<std::size_t>(threads));
  const std::size_t f = num_features();
  detail::parallel_for(queries, 8, threads, [&](std::size_t begin, std::size_t end, int thread) {
    Working& w = working(scratch[static_cast<std::size_t>(thread)]);
    std::vector<std::pair<std::uint64_t, std::int32_t>> others;
    for (std::size_t q = begin; q < end; ++q) {
      const Query asked = query(q);
      const auto held = relevant(q);
      gather(asked, list_length(0), w);
      One& one = found[q];
      others.clear();
      for (const std::int32_t item : w.items) {
        if (std::binary_search(held.begin(), held.end(), item)) one.items.push_back(item);
        else others.emplace_back(detail::split_mix(detail::split_mix(seed ^ q) ^ static_cast<std::uint64_t>(item)), item);
      }
      if (one.items.empty()) continue;
      if (others.size() > max_negatives) {
        std::nth_element(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(max_negatives), others.end());
        others.resize(max_negatives);
      }
      for (const auto& [key, item] : others) one.items.push_back(item);
      std::sort(one.items.begin(), one.items.end());
      for (const std::int32_t item : one.items) one.gains.push_back(std::binary_search(held.begin(), held.end(), item) ? 1.0f : 0.0f);
      one.rows.resize(one.items.size() * f);
      rows_of(asked, one.items, one.rows.data(), w);
    }
  });
  RankingLists out;
  out.asked = static_cast<std::int64_t>(queries);
  std::size_t rows = 0;
  for (const One& one : found) rows += one.items.size();
  out.items.reserve(rows);
  out.gains.reserve(rows);
  out.rows.reserve(rows * f);
  for (std::size_t q = 0; q < queries; ++q) {
    One& one = found[q];
    if (one.items.empty()) continue;
    out.queries.push_back(static_cast<std::int32_t>(q));
    out.groups.push_back(static_cast<std::int32_t>(q));
    out.relevant.push_back(static_cast<std::int32_t>(relevant(q).size()));
    out.items.insert(out.items.end(), one.items.begin(), one.items.end());
    out.gains.insert(out.gains.end(), one.gains.begin(), one.gains.end());
    out.rows.insert(out.rows.end(), one.rows.begin(), one.rows.end());
    out.offsets.push_back(static_cast<std::int64_t>(out.items.size()));
    one = {};
  }
  return out;
}

RankingLists LearnedRankerModel::lists(std::span<const Query> queries, std::span<const std::vector<std::int32_t>> relevant,
                                       std::size_t max_negatives, std::uint64_t seed, int num_threads) const {
  if (queries.size() != relevant.size())
    throw std::invalid_argument("relevant has " + std::to_string(relevant.size()) + " lists, must have one for each of the " +
                                std::to_string(queries.size()) + " queries");
  for (const auto& r : relevant)
    if (std::adjacent_find(r.begin(), r.end(), std::greater_equal<>()) != r.end())
      throw std::invalid_argument("relevant has a list that does not ascend, must hold each item once, ascending");
  return lists_of(queries.size(), [&](std::size_t q) { return queries[q]; },
                  [&](std::size_t q) { return std::span<const std::int32_t>(relevant[q]); }, max_negatives, seed, num_threads);
}

RankingLists LearnedRankerModel::lists(const CsrView& held_out, std::int32_t max_users, bool exclude_seen, std::size_t max_negatives,
                                       std::uint64_t seed, int num_threads) const {
  detail::require(max_users >= 1, "max_users", max_users, ">= 1");
  validate(held_out, "held_out");
  if (held_out.rows != num_users_ || held_out.cols != num_items_)
    throw std::invalid_argument("held_out has shape (" + std::to_string(held_out.rows) + ", " + std::to_string(held_out.cols) + "), must be (" +
                                std::to_string(num_users_) + ", " + std::to_string(num_items_) + ")");
  std::vector<std::int32_t> users;
  for (std::int32_t u = 0; u < num_users_; ++u)
    if (held_out.row_size(u) > 0) users.push_back(u);
  const std::size_t n = std::min(users.size(), static_cast<std::size_t>(max_users));
  std::vector<Query> queries;
  std::vector<std::vector<std::int32_t>> relevant;
  for (std::size_t s = 0; s < n; ++s) {
    const std::int32_t user = users[s * users.size() / n];
    queries.push_back({.user = user, .exclude_seen = exclude_seen});
    const auto row = held_out.row_columns(user);
    relevant.emplace_back(row.begin(), row.end());
    std::sort(relevant.back().begin(), relevant.back().end());
    relevant.back().erase(std::unique(relevant.back().begin(), relevant.back().end()), relevant.back().end());
  }
  return lists(queries, relevant, max_negatives, seed, num_threads);
}

RankingLists LearnedRankerModel::lists_next(const Sequences& given, bool last_only, std::int32_t max_places, bool exclude_seen,
                                            std::size_t max_negatives, std::uint64_t seed, int num_threads) const {
  detail::require(max_places >= 1, "max_places", max_places, ">= 1");
  if (given.num_items() > num_items_)
    throw std::invalid_argument("lists has " + std::to_string(given.num_items()) + " items, must have at most the " + std::to_string(num_items_) +
                                " of the sources");
  std::vector<std::pair<std::int64_t, std::size_t>> places;
  for (std::int64_t s = 0; s < given.size(); ++s) {
    const std::size_t length = given.items_of(s).size();
    for (std::size_t p = last_only && length > 1 ? length - 1 : 1; p < length; ++p) places.emplace_back(s, p);
  }
  const std::size_t n = std::min(places.size(), static_cast<std::size_t>(max_places));
  const auto place = [&](std::size_t i) { return places[i * places.size() / n]; };
  RankingLists out = lists_of(n,
                              [&](std::size_t i) {
                                const auto [list, at] = place(i);
                                return Query{.session = given.items_of(list).first(at), .exclude_seen = exclude_seen, .history_given = true};
                              },
                              [&](std::size_t i) { return given.items_of(place(i).first).subspan(place(i).second, 1); }, max_negatives, seed, num_threads);
  for (std::int32_t& group : out.groups) group = static_cast<std::int32_t>(place(static_cast<std::size_t>(group)).first);
  return out;
}

}  // namespace etalage
