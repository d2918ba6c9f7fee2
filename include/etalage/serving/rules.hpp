// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/export.hpp"
#include "etalage/serving/catalog_index.hpp"
#include "etalage/serving/predicate.hpp"
#include "etalage/serving/request.hpp"

namespace etalage {

/// What a rule does.
enum class RuleType : std::uint8_t {
  kInclude,   ///< only products of the predicate; several includes must all hold
  kExclude,   ///< no product of the predicate
  kNotAgain,  ///< no product bought within `days`; with `by` nothing of its group either; only products of the predicate
  kPin,       ///< `item` at `position`, if it is eligible
  kCap,       ///< at most `max` products of one group (`by`) in an answer
  kMinShare,  ///< at least `share` of the answer from the predicate
  kBoost,     ///< relevance of the predicate's products times `factor` >= 1
  kBury       ///< relevance of the predicate's products times `factor` <= 1
};

/// One rule; the fields that its type does not read keep their defaults.
struct Rule {
  RuleType type = RuleType::kInclude;  ///< what it does
  std::string name = {};                    ///< for reports; "rules[3]" where it is empty
  std::vector<Placement> placements = {};   ///< where it holds; empty means everywhere
  bool enabled = true;  ///< switched off it does nothing
  Predicate predicate = {};                 ///< include, exclude, boost, bury, min_share; not_again (default: everything)
  double factor = 1;                        ///< boost >= 1; bury in [0, 1]
  std::string item = {};                    ///< pin: the product's key, an integer key as text
  int position = 1;                         ///< pin: from 1
  std::string by = {};                      ///< cap, not_again: grouping as in CatalogIndex::groups
  int max = 1;                              ///< cap: >= 1
  double days = 0;                          ///< not_again: > 0
  double share = 0;                         ///< min_share: in (0, 1]
  bool spread = false;                      ///< min_share: also floor(share p) of the first p, for every p
};

/// What Rules::validate found odd. An answer is defined all the same, by the precedence of Rules.
struct RuleIssue {
  std::size_t rule = 0;  ///< index
  std::string message;   ///< "rules[2]: ..."
};

/// A shop's rules, in the order in which they are written.
///
/// Precedence, highest first
///   1. eligibility   include, exclude, not_again, the request's filter, seen items and anchors. Nothing brings back what
///                    these forbid: a pin of a forbidden product is passed over, and the others move up
///   2. pins          take their position whatever caps, shares and scores say, and count towards caps and shares. Of
///                    two at one position the earlier rule has it, and the later takes the next free one. Of two
///                    positions for one product the earlier rule's holds
///   3. caps          a limit that only pins exceed; the answer gets shorter rather than break one
///   4. min_share     kept as far as eligible products and caps allow. Products come by the re-ranker's order until the
///                    open places are as many as the products still owed
///   5. boost, bury   factors of all matching rules multiply, on relevance mapped to (0, 1] over the candidates
/// Errors   std::invalid_argument with the path of the mistake: "rules[3].predicate.price.max: ..."
class ETALAGE_EXPORT Rules {
 public:
  Rules() = default;
  explicit Rules(std::vector<Rule> rules);  ///< checks every field

  /// {"rules": [...]} by the schema in docs/rules.md. Unknown and doubled fields are errors; a slip of syntax is told
  /// with its line and column.
  [[nodiscard]] static Rules from_json(std::string_view json);
  [[nodiscard]] std::string to_json() const;

  /// Contradictions among the rules; with a catalogue also what it makes of them: names it does not have, products to
  /// pin that do not exist or are forbidden, placements where nothing is eligible, shares that cannot be met. Columns
  /// that the catalogue lacks are std::invalid_argument with the rule's path.
  [[nodiscard]] std::vector<RuleIssue> validate(const CatalogIndex* catalog = nullptr) const;

  [[nodiscard]] const std::vector<Rule>& rules() const noexcept { return rules_; }  ///< in the order of the file
  [[nodiscard]] std::size_t size() const noexcept { return rules_.size(); }

 private:
  std::vector<Rule> rules_;
};

/// "include", "exclude", "not_again", "pin", "cap", "min_share", "boost", "bury".
[[nodiscard]] ETALAGE_EXPORT std::string_view rule_type_name(RuleType type) noexcept;

}  // namespace etalage
