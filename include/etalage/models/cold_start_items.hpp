// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "etalage/core/catalog.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/models/catalog_attributes.hpp"
#include "etalage/models/cold_start.hpp"
#include "etalage/models/factor_model.hpp"
#include "etalage/models/vectors.hpp"

namespace etalage {

/// New products for a fitted factor model, from what the catalogue says of them: CatalogAttributes and ColdStart in one.
///
/// Known      the model's items by their keys (or by row, where either side has none); those with a zero factor row, which
///            nobody touched, are no part of what is learned
/// Threads    const members are safe to call concurrently
/// Errors     std::invalid_argument, NotFittedError
class ETALAGE_EXPORT ColdStartItems {
 public:
  /// Learns from the catalogue's products that the model knows. With choose, a model that keeps its rows has power and
  /// regularization chosen by ColdStart::chosen, in some seconds; otherwise those of the options stand.
  ColdStartItems(const FactorModel& model, const Catalog& catalog, CatalogAttributesOptions attributes = {},
                 ColdStartOptions options = {}, bool choose = true);

  /// One factor row a product of any catalogue; out [catalog.size() x factors()].
  void predict(const Catalog& catalog, MatrixView<float> out) const;
  /// The model with the catalogue's new products behind its own: user factors as they are, factors of known items as they
  /// are, those of new and of untouched ones predicted. Keeps keys and history.
  [[nodiscard]] std::shared_ptr<VectorsModel> extended(const FactorModel& model, const Catalog& catalog) const;

  [[nodiscard]] std::int32_t factors() const noexcept { return regression_.factors(); }  ///< width of what it predicts
  [[nodiscard]] const CatalogAttributes& attributes() const noexcept { return attributes_; }  ///< how products become rows of attributes
  [[nodiscard]] const ColdStart& regression() const noexcept { return regression_; }  ///< from rows of attributes to factors

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static std::shared_ptr<ColdStartItems> from_state(const StateReader& reader);

 private:
  ColdStartItems() = default;
  CatalogAttributes attributes_;
  ColdStart regression_;
};

}  // namespace etalage
