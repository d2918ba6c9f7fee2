// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/export.hpp"
#include "etalage/models/factor_model.hpp"

namespace etalage {

/// How two vectors are compared.
enum class VectorMetric : std::uint8_t { kDot, kCosine };
/// As options spell them.
template <>
inline constexpr auto option_names<VectorMetric> = std::to_array<OptionName<VectorMetric>>({{"dot", VectorMetric::kDot}, {"cosine", VectorMetric::kCosine}});

/// Settings of VectorsModel.
struct ETALAGE_EXPORT VectorsOptions {
  VectorMetric metric = VectorMetric::kDot;  ///< how a user's and an item's vector are compared
  void validate() const;                     ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "metric", o.metric);
  }
};

/// Serves the user and item vectors of any outside model: a two-tower network, text embeddings, another library.
///
/// Shapes     user_vectors [num_users x dim], may have no rows; item_vectors [num_items x dim]; float32, finite
/// Metric     with kCosine every vector is scaled to unit length when it is taken, stored ones and queries alike, and
///            user_factors() and item_factors() hold the scaled rows; zero vectors stay zero and score 0
/// Fold-in    somebody known by history and session alone is the mean of their items' vectors; history_values weigh it
///            (sum of v y over sum of |v|), session items count 1 each
/// Similar    by cosine with either metric
/// Choose     to serve what was trained elsewhere by the same calls as any model; ItemIndex alone, where there are no users
/// Cost       4 dim (num_users + num_items) bytes; nothing is trained
/// Threads    const members are safe to call concurrently; partial_fit_* need exclusive access
/// Errors     std::invalid_argument (shapes, values that are not finite), std::out_of_range
class ETALAGE_EXPORT VectorsModel final : public FactorModel {
 public:
  /// std::invalid_argument unless both have the same number of columns, at least 1, and finite values.
  VectorsModel(MatrixView<const float> user_vectors, MatrixView<const float> item_vectors, VectorsOptions options = {});
  /// Takes arrays without a copy where the metric allows; [num_users x dim] and [num_items x dim].
  VectorsModel(Array<float> user_vectors, Array<float> item_vectors, std::int32_t dim, VectorsOptions options = {});

  [[nodiscard]] std::string_view kind() const noexcept override { return "Vectors"; }
  [[nodiscard]] const VectorsOptions& options() const noexcept { return options_; }

  /// Row i of vectors becomes the vector of users[i]. Indices at and beyond the number of users append: the model grows to
  /// the largest one, rows in between are zero. Indices must be unique and >= 0. Growing a model that holds the shop's
  /// keys needs the keys of the whole grown range; kept history grows by empty rows.
  void partial_fit_users(std::span<const std::int32_t> users, MatrixView<const float> vectors,
                         SharedIdMap user_ids = nullptr);
  void partial_fit_items(std::span<const std::int32_t> items, MatrixView<const float> vectors,
                         SharedIdMap item_ids = nullptr);

  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<VectorsModel> from_state(const StateReader& reader);

 protected:
  void fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const override;
  [[nodiscard]] bool unit_queries() const noexcept override { return options_.metric == VectorMetric::kCosine; }

 private:
  VectorsModel() = default;
  [[nodiscard]] Array<float> taken(Array<float> rows, const char* argument) const;
  void check_rows(std::span<const std::int32_t> indices, MatrixView<const float> vectors, const char* argument) const;

  VectorsOptions options_;
};

}  // namespace etalage
