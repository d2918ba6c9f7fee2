// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "etalage/core/option_names.hpp"
#include "etalage/core/scratch.hpp"
#include "etalage/export.hpp"
#include "etalage/serving/catalog_index.hpp"

namespace etalage {

/// How an answer is made various.
/// kMmr takes the best of relevance less likeness to what is chosen, kDpp the set of largest volume, kCalibrated the mix of categories that
/// the shopper's own history has. All cost accuracy as diversity grows: on MovieLens nDCG@20 falls by 1 % (kMmr), 2 % (kDpp) and 2 %
/// (kCalibrated at .3) for .1 of it, and by 4, 10 and 2 % for .3 (docs/rules.md); kDpp takes about a third longer than kMmr, and kMmr about
/// three times as long as no re-ranking. kCalibrated is the one to take where the parts of a list should be in proportion.
enum class RerankMethod : std::uint8_t { kNone, kMmr, kDpp, kCalibrated };
/// As options spell them.
template <>
inline constexpr auto option_names<RerankMethod> = std::to_array<OptionName<RerankMethod>>(
    {{"none", RerankMethod::kNone}, {"mmr", RerankMethod::kMmr}, {"dpp", RerankMethod::kDpp}, {"calibrated", RerankMethod::kCalibrated}});

/// What makes two products alike.
enum class Likeness : std::uint8_t {
  kVectors,    ///< cosine of their vectors; a zero vector is like nothing
  kCategories  ///< levels that their category paths share from the root / sqrt(product of the paths' lengths)
};
/// As options spell them.
template <>
inline constexpr auto option_names<Likeness> =
    std::to_array<OptionName<Likeness>>({{"vectors", Likeness::kVectors}, {"categories", Likeness::kCategories}});

/// Settings of a re-ranking. Relevance is in [0, 1].
struct ETALAGE_EXPORT RerankOptions {
  RerankMethod method = RerankMethod::kNone;  ///< how
  Likeness likeness = Likeness::kVectors;  ///< mmr, dpp
  float diversity = 0.3f;       ///< 0 keeps the order of relevance, 1 looks at variety alone; in [0, 1]
  int window = 300;             ///< the most relevant so many candidates take part, the others follow as they are; >= 1
  float smoothing = 0.01f;      ///< calibrated: share of the target in the list's own distribution; in (0, 1)
  void validate() const;        ///< throws std::invalid_argument: field, value, rule
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "method", o.method, "likeness", o.likeness, "diversity", o.diversity, OptionRule("in [0, 1]"), "window", o.window,
                  OptionRule(">= 1"), "smoothing", o.smoothing, OptionRule("in (0, 1)"));
  }
};

/// Candidates of one re-ranking: n of them, in any order.
struct RerankInput {
  std::span<const float> relevance;               ///< [n], finite
  std::span<const float* const> vectors = {};     ///< [n] rows of dim floats; null is a zero vector
  std::size_t dim = 0;  ///< width of a vector
  std::span<const std::int32_t> items = {};       ///< [n] catalogue rows, for categories
  const CatalogIndex* catalog = nullptr;          ///< for categories
  std::span<const std::int32_t> groups = {};      ///< [n] group of each, -1 none (calibrated)
  std::span<const float> target = {};             ///< [groups] the shopper's distribution, >= 0, sum 1 (calibrated)
};

/// Builds a list greedily, one product a step; each step takes the candidate with the largest gain, ties by place in the
/// input. Writes min(order.size(), n) indices into the input and returns how many. With d = diversity, S what is chosen:
///
///   mmr         (1 - d) r_i - d max_{j in S} s_ij                             (the maximum over nothing is 0)
///   dpp         the increase of (1 - d) sum_S r + d log det K_S, where K = (1 + cosine) / 2 of vectors, or the categories'
///               s; this is the greedy MAP of the kernel q_i K_ij q_j, q = exp((1 - d) r / 2 d). A candidate that adds
///               nothing new (its increase of the determinant below 1e-6) comes after all others, by relevance
///   calibrated  the increase of (1 - d) sum_S r - d KL(p || q~_S), where p is the target, q_S the shares of the groups
///               among those of S that have one, q~ = (1 - smoothing) q + smoothing p
///
/// Cost      k passes over the window; mmr and dpp 2 dim operations a candidate and pass, dpp k more; nothing is allocated once
///           scratch is warm
/// Errors    std::invalid_argument (options; sizes that disagree; relevance, vectors or target not finite)
/// Source    Carbonell, Goldstein, SIGIR 1998; Chen, Zhang, Zhou, NeurIPS 2018 (algorithm 1, on K with the relevance
///           outside it, so that no exponential overflows); Steck, RecSys 2018
ETALAGE_EXPORT std::size_t rerank(const RerankOptions& options, const RerankInput& input, std::span<std::int32_t> order,
                                  Scratch& scratch);

}  // namespace etalage
