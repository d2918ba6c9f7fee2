// SPDX-License-Identifier: Apache-2.0
#include "models/neighbour/item_similarity_steps.hpp"

#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "models/linear/ease_dual.hpp"
#include "models/neighbour/similarity.hpp"
#include "models/neighbour/sparse_product.hpp"
#include "models/neighbour/transitions.hpp"

namespace etalage {
namespace {

void check(const ItemBlock& block) {
  validate(block.users.view(), "users");
  if (block.first < 0 || block.count < 0 || block.count > block.users.cols - block.first)
    throw std::invalid_argument("block is of items " + std::to_string(block.first) + " to " + std::to_string(std::int64_t{block.first} + block.count) +
                                ", must be among the " + std::to_string(block.users.cols) + " of users");
}

void check_size(const char* what, std::size_t found, std::int64_t items) {
  if (found != static_cast<std::size_t>(items))
    throw std::invalid_argument(std::string(what) + " has " + std::to_string(found) + " entries, must have one for each of the " +
                                std::to_string(items) + " items");
}

/// The block's rows of an items x users matrix.
CsrView rows_of(const CsrMatrix& items, const ItemBlock& block) {
  const CsrView all = items.view();
  return {block.count, all.cols, all.offsets.subspan(static_cast<std::size_t>(block.first), static_cast<std::size_t>(block.count) + 1),
          all.columns, all.values};
}

std::vector<float> cut(const std::vector<float>& of_all, const ItemBlock& block) {
  const auto begin = of_all.begin() + block.first;
  return {begin, begin + block.count};
}

WeightedFeatures weighed(const SimilarityForm& form, const ItemBlock& block, const ItemTotals& totals) {
  check(block);
  if (form.similarity == Similarity::kBm25) check_size("lengths", totals.lengths.size(), block.users.cols);
  return weigh(block.users, totals.lengths, totals.mean_length, form);
}

}  // namespace

std::vector<double> item_knn_squares(const ItemKnnOptions& options, const ItemBlock& block, const ItemTotals& totals) {
  options.validate();
  const WeightedFeatures all = weighed(form_of(options, options.user_damping), block, totals);
  const auto begin = all.square.begin() + block.first;
  return {begin, begin + block.count};
}

CsrMatrix item_knn_rows(const ItemKnnOptions& options, const ItemBlock& block, const ItemTotals& totals) {
  options.validate();
  const SimilarityForm form = form_of(options, options.user_damping);
  WeightedFeatures all = weighed(form, block, totals);
  check_size("squares", totals.squares.size(), block.users.cols);
  all.square.assign(totals.squares.begin(), totals.squares.end());
  Ratio ratio = ratio_of(all, form);
  ratio.scale = form.scale(static_cast<double>(totals.num_users));
  ratio.a = cut(ratio.a, block);
  ratio.p = cut(ratio.p, block);
  const CsrMatrix items = transpose(all.weights.view(), options.num_threads);
  CsrMatrix w = top_product(rows_of(items, block), all.damped.view(), ratio, static_cast<std::size_t>(options.num_neighbors),
                            options.num_threads, static_cast<std::size_t>(block.first));
  if (options.normalize) normalize_rows(w);
  return w;
}

CsrMatrix random_walk_rows(const RandomWalkOptions& options, const ItemBlock& block, std::span<const std::int64_t> users_of) {
  options.validate();
  check(block);
  check_size("users_of", users_of.size(), block.users.cols);
  for (const float v : block.users.values)
    if (v < 0) throw std::invalid_argument("users holds " + std::to_string(v) + ", must be >= 0: a walk has no negative steps");
  const Ratio whole = walk_ratio(users_of, options.beta);
  Ratio ratio = whole;
  ratio.a = cut(whole.a, block);
  ratio.p = cut(whole.p, block);
  CsrMatrix to_users = transpose(block.users.view(), options.num_threads);  // those of other items are not whole, and not used
  CsrMatrix to_items = block.users;
  to_transitions(to_users, options.alpha);
  to_transitions(to_items, options.alpha);
  CsrMatrix w = top_product(rows_of(to_users, block), to_items.view(), ratio, static_cast<std::size_t>(options.num_neighbors), options.num_threads,
                            static_cast<std::size_t>(block.first));
  if (options.normalize) normalize_rows(w);
  return w;
}

CsrMatrix ease_gram_rows(const ItemBlock& block, int num_threads) {
  check(block);
  const CsrMatrix items = transpose(block.users.view(), num_threads);
  return gram_rows(block.users.view(), rows_of(items, block), static_cast<std::size_t>(block.first), num_threads);
}

}  // namespace etalage
