// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "etalage/core/array.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/als.hpp"
#include "etalage/models/factor_model.hpp"

namespace etalage {

/// Settings of ALS with side features.
struct ETALAGE_EXPORT FeatureAlsOptions {
  AlsOptions als = {};                   ///< those not given are as they stand there; tolerance has no effect
  float feature_regularization = 1.0f;   ///< L2 weight on every row of U and V, > 0
  void validate() const;                 ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    AlsOptions::each(o.als, [&](const char* name, auto& field, const OptionRule& rule) {
      if (std::string_view(name) != "tolerance") visit(name, field, rule);
    });
    visit_options(visit, "feature_regularization", o.feature_regularization, OptionRule("finite and > 0"));
  }
};

/// ALS whose factor rows are pulled towards what their features say instead of towards zero, so that a product nobody has
/// bought yet, or a shopper of whom only features are known, has a row as well.
///
/// Minimises  sum_S c (p - x_u . y_i)^2 + w0 sum_{not S} (x_u . y_i)^2
///              + sum_u ridge_u |x_u - U^T a_u|^2 + sum_i ridge_i |y_i - V^T b_i|^2 + feature_regularization (|U|^2 + |V|^2)
///            with c, p, w0 as at AlsModel, ridge_u = regularization (|S_u| + w0 n_items)^nu, ridge_i alike, a_u and b_i the
///            rows of features. Users and items without any observation have no part in it; theirs are U^T a_u and V^T b_i.
///            Without features this is AlsModel's objective on the others.
/// Solved     in turn: users by `solver`, U by weighted ridge regression (conjugate gradients in double to a relative
///            residual of 1e-8), items, V. The objective never rises but for rounding
/// Shapes     user_features CSR [n_users x n_user_features], item_features CSR [n_items x n_item_features], any values;
///            U [n_user_features x f], V [n_item_features x f]
/// Choose     where new products or shoppers come with attributes and are to have factors of the same model. ColdStart does that behind a
///            model that is there already, without another fit; features that say little cost time and change nothing
/// Cost       a sweep as AlsModel, and about 4 f nnz(features) for each step of the regressions
/// Threads    const members are safe to call concurrently; fit(), add_users() and add_items() need exclusive access
/// Repeats    bit-identical for equal seed and SIMD level, whatever num_threads is
/// Errors     std::invalid_argument (options, shapes, values), NotFittedError, NumericalError (row and advice)
/// Source     the prior of regression-based latent factor models (Agarwal, Chen, KDD 2009) on the objective of AlsModel
class ETALAGE_EXPORT FeatureAlsModel final : public FactorModel {
 public:
  static constexpr std::string_view kKind = "FeatureALS";  ///< its kind in files
  FeatureAlsModel() : FeatureAlsModel(FeatureAlsOptions{}) {}
  explicit FeatureAlsModel(const FeatureAlsOptions& options);  ///< validates the options
  ~FeatureAlsModel() override;

  /// Features without rows (the default) are none.
  FitReport fit(const Interactions& data, const CsrMatrix& user_features = {}, const CsrMatrix& item_features = {},
                const ProgressCallback& callback = {});
  [[nodiscard]] const FeatureAlsOptions& options() const noexcept { return options_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }
  /// U and V, float32 [features x f]; empty without.
  [[nodiscard]] const Array<float>& user_feature_factors() const noexcept { return users_.weights; }
  [[nodiscard]] const Array<float>& item_feature_factors() const noexcept { return items_.weights; }
  [[nodiscard]] std::int64_t num_user_features() const noexcept { return users_.features.cols; }
  [[nodiscard]] std::int64_t num_item_features() const noexcept { return items_.features.cols; }

  /// Rows from features alone: U^T a for each row of user_features, float32 [n x f]; V^T b for items.
  [[nodiscard]] Array<float> user_rows(const CsrView& user_features) const;
  [[nodiscard]] Array<float> item_rows(const CsrView& item_features) const;
  /// The same, appended to the model. A model that holds the shop's keys needs those of the whole grown range.
  void add_users(const CsrView& user_features, SharedIdMap user_ids = nullptr);
  void add_items(const CsrView& item_features, SharedIdMap item_ids = nullptr);

  /// As AlsModel::explain; the user's own features add what is left between the parts and total.
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  /// The objective as it stands on data of the fit's shape.
  [[nodiscard]] double objective(const Interactions& data) const;

  [[nodiscard]] std::string_view kind() const noexcept override { return kKind; }
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<FeatureAlsModel> from_state(const StateReader& reader);

 protected:
  void fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const override;

 private:
  struct Features {
    CsrMatrix features;   // rows of the model's users or items; no rows where there are none
    Array<float> weights; // U or V
  };
  struct Gram;
  [[nodiscard]] Array<float> rows_from(const Features& side, const CsrView& features, const char* argument) const;
  /// Solves the query's row; the row scratch then holds the factor of A. False where nothing is liked.
  bool solve(const Query& query, float* factor, Scratch& scratch) const;

  FeatureAlsOptions options_;
  FitReport report_;
  Features users_;
  Features items_;
  std::shared_ptr<const Gram> item_gram_;  // of the items with observations
};

}  // namespace etalage
