// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "etalage/core/catalog.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"

namespace etalage {

/// Which of a product's attributes count, and how much. A weight of 0 leaves a kind out.
struct ETALAGE_EXPORT CatalogAttributesOptions {
  double categories = 1;         ///< every node of the path is one attribute; all weights >= 0
  double brand = 1;  ///< weight of the brand; >= 0, 0 leaves it out
  double tags = 1;  ///< weight of each tag; >= 0, 0 leaves them out
  double text = 1;               ///< words of name and text
  double price = 0.3;            ///< steps of half an octave, each product on the two nearest
  double vectors = 1;            ///< the catalogue's own vectors, as they are
  std::int32_t min_count = 2;    ///< words, tags and brands of fewer products are left out; >= 1
  std::int32_t max_words = 20000;  ///< the most frequent ones are kept; >= 1
  void validate() const;         ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "categories", o.categories, OptionRule("in [0, 1e6]"), "brand", o.brand, OptionRule("in [0, 1e6]"),
                  "tags", o.tags, OptionRule("in [0, 1e6]"), "text", o.text, OptionRule("in [0, 1e6]"), "price", o.price, OptionRule("in [0, 1e6]"),
                  "vectors", o.vectors, OptionRule("in [0, 1e6]"), "min_count", o.min_count, OptionRule(">= 1"),
                  "max_words", o.max_words, OptionRule(">= 1"));
  }
};

/// Products as sparse rows of attributes, for what learns from content (ColdStart).
///
/// Value      an attribute that c of n products have counts ln(1 + n / c); each kind's part of a row is scaled to unit
///            length and then by the kind's weight
/// Words      runs of letters and digits, lower case in ASCII; other bytes of UTF-8 belong to words as they are
/// New        what a later catalogue has that the fitted one had not is left out
/// Threads    immutable once fitted; safe to call concurrently
class ETALAGE_EXPORT CatalogAttributes {
 public:
  CatalogAttributes() = default;
  explicit CatalogAttributes(const Catalog& catalog, CatalogAttributesOptions options = {});  ///< the catalogue is read once and not kept
  /// One row a product of any catalogue, [catalog.size() x columns()]. std::invalid_argument for vectors of another length.
  [[nodiscard]] CsrMatrix rows(const Catalog& catalog) const;
  [[nodiscard]] std::int32_t columns() const noexcept { return static_cast<std::int32_t>(weights_.size()) + dim_; }
  /// "category Home > Kitchen", "brand Norvel", "tag modern", "word mug", "price 3", in column order, without vectors.
  [[nodiscard]] std::vector<std::string> names() const;
  [[nodiscard]] const CatalogAttributesOptions& options() const noexcept { return options_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static CatalogAttributes from_state(const StateReader& reader);

 private:
  CatalogAttributesOptions options_;
  std::map<std::string, std::int32_t, std::less<>> columns_of_;
  std::vector<double> weights_;  // ln(1 + n / c)
  std::int32_t dim_ = 0;
};

}  // namespace etalage
