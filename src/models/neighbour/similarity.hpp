// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "detail/check.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/models/item_knn.hpp"
#include "models/neighbour/sparse_product.hpp"

namespace etalage {

/// A similarity of "objects" by the "features" that they share: items by users for ItemKNN, users by items for UserKNN.
struct SimilarityForm {
  Similarity similarity = Similarity::kCosine;
  double shrinkage = 0, asymmetry = 0.5, tversky_alpha = 1, tversky_beta = 1, popularity_penalty = 0.5;
  double bm25_k1 = 1.2, bm25_b = 0.75, damping = 0;

  struct Side {
    float times, plus;  ///< a and p of a row, b and q of a column
  };
  [[nodiscard]] bool counts() const noexcept;
  /// idf of a feature that `having` of `objects` objects have; 1 where the similarity has none.
  [[nodiscard]] double idf(double having, double objects) const noexcept;
  /// What a shared feature counts by.
  [[nodiscard]] double damped(double having) const noexcept;
  /// x of a stored value; length is the object's sum of values over the mean of all objects'.
  [[nodiscard]] double weight(double value, double idf, double length) const noexcept;
  /// From |object|^2 = sum of damped x^2.
  [[nodiscard]] Side row(double square) const noexcept;
  [[nodiscard]] Side column(double square) const noexcept;
  [[nodiscard]] float t() const noexcept;
  [[nodiscard]] float scale(double features) const noexcept;
};

/// The data of a form.
struct WeightedFeatures {
  CsrMatrix weights;           ///< [features x objects] x
  CsrMatrix damped;            ///< the same times the feature's damping
  std::vector<double> square;  ///< [objects]
  std::vector<double> idf;     ///< [features]
  double mean_length = 0;      ///< of the objects
};
/// Of the objects with one another.
Ratio ratio_of(const WeightedFeatures& data, const SimilarityForm& form);
WeightedFeatures weigh(const CsrMatrix& features, const CsrMatrix& objects, const SimilarityForm& form);
/// The same of given lengths of the objects, or none where the form does not ask.
WeightedFeatures weigh(const CsrMatrix& features, std::span<const double> lengths, double mean_length, const SimilarityForm& form);

/// Of the options that ItemKNN and UserKNN share.
template <class O>
SimilarityForm form_of(const O& o, float damping) {
  const auto wide = [](float v) { return static_cast<double>(v); };
  return {o.similarity, wide(o.shrinkage), wide(o.asymmetry), wide(o.tversky_alpha), wide(o.tversky_beta), wide(o.popularity_penalty),
          wide(o.bm25_k1), wide(o.bm25_b), wide(damping)};
}
}  // namespace etalage
