// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/marketing/frequent_sets.hpp"

namespace etalage {

/// Of `baskets`, `a` hold A, `b` hold B, `both` hold both. Chances under independence with these margins.
struct ETALAGE_EXPORT PairCounts {
  std::int64_t both = 0;  ///< baskets with both sides
  std::int64_t a = 0;  ///< baskets with the left side
  std::int64_t b = 0;  ///< baskets with the right side
  std::int64_t baskets = 0;  ///< all baskets
};

/// P(at least `both` together): Fisher's exact test, one-sided. std::invalid_argument where the counts contradict each other.
[[nodiscard]] ETALAGE_EXPORT double fisher_more(const PairCounts& counts);
/// P(at most `both` together).
[[nodiscard]] ETALAGE_EXPORT double fisher_fewer(const PairCounts& counts);
/// Log-likelihood ratio of dependence (Dunning, Computational Linguistics 19(1), 1993), with the sign of both * baskets - a * b;
/// its absolute value is about chi-squared with one degree of freedom.
[[nodiscard]] ETALAGE_EXPORT double log_likelihood_ratio(const PairCounts& counts);
/// Benjamini and Hochberg (1995): the smallest false discovery rate at which each p-value is among the discoveries; [n].
[[nodiscard]] ETALAGE_EXPORT std::vector<double> benjamini_hochberg(std::span<const double> p_values);

/// Bounds that a rule must keep.
struct ETALAGE_EXPORT RuleOptions {
  Share min_confidence = {};          ///< count of both / count of the antecedent reaches it
  std::int32_t max_consequent = 1;    ///< items on the right; >= 1
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what bindings and errors read.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "max_consequent", o.max_consequent, OptionRule(">= 1"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// Rules A -> B as columns, each [n]: indices into the sets they came from, by set and then by consequent.
struct ETALAGE_EXPORT AssociationRules {
  std::vector<std::int64_t> set;         ///< A and B together; its count is the rule's
  std::vector<std::int64_t> antecedent;  ///< A
  std::vector<std::int64_t> consequent;  ///< B
  std::vector<double> p_value;           ///< fisher_more
  std::vector<double> q_value;           ///< Benjamini-Hochberg over every rule that the sets hold, those of too little confidence too
  std::vector<double> log_likelihood_ratio;  ///< Dunning's G2, as the other columns
  std::int64_t tested = 0;               ///< how many those are
};

/// All rules of the sets with enough confidence. The sets must hold the parts of each set, as frequent_sets' result does;
/// std::invalid_argument names one that is missing.
[[nodiscard]] ETALAGE_EXPORT AssociationRules association_rules(const FrequentSets& sets, const RuleOptions& options);

}  // namespace etalage
