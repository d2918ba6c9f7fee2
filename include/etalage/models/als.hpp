// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "etalage/core/array.hpp"
#include "etalage/core/auto_option.hpp"
#include "etalage/core/csr_matrix.hpp"
#include "etalage/core/interactions.hpp"
#include "etalage/core/matrix_view.hpp"
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/factor_model.hpp"

namespace etalage {

/// How the least-squares problem of one row is solved. All three minimise the same objective. kConjugateGradient is as good as exact after
/// a few sweeps and the cheapest; kSubspace is for many factors, where exact is too slow and conjugate gradients converge slowly;
/// kCholesky for few factors, or where each row must be at its minimum.
enum class AlsSolver : std::uint8_t {
  kCholesky,           ///< exactly; O(|S| f^2 + f^3) a row
  kConjugateGradient,  ///< `cg_steps` preconditioned steps from the row's last value; O(|S| f) a step, O(f^2) a row and half sweep
  kSubspace            ///< iALS++: exactly in `block_size` factors at a time; O((f + |S| block_size + block_size^2) f)
};
/// As options spell them.
template <>
inline constexpr auto option_names<AlsSolver> = std::to_array<OptionName<AlsSolver>>(
    {{"cg", AlsSolver::kConjugateGradient}, {"cholesky", AlsSolver::kCholesky}, {"subspace", AlsSolver::kSubspace}});

/// Settings of alternating least squares. The letters are those of the objective at AlsModel.
struct ETALAGE_EXPORT AlsOptions {
  Auto<int> factors = Auto<int>::unless_given(64);  ///< latent dimension f, in [1, 4096]
  Auto<float> regularization = Auto<float>::unless_given(0.01f);  ///< reg, L2 weight on each factor row, >= 0; scaled by row counts when nu > 0
  Auto<float> alpha = Auto<float>::unless_given(1.0f);  ///< confidence slope, c = 1 + alpha |r|; >= 0
  Auto<float> unobserved_weight = Auto<float>::unless_given(1.0f);  ///< w0, weight of every cell that was not observed, > 0
  Auto<float> nu = Auto<float>::unless_given(0.0f);  ///< exponent of the frequency scaling of reg, in [0, 2]
  Auto<int> iterations = Auto<int>::unless_given(15);  ///< sweeps, one sweep updates users then items; >= 0
  AlsSolver solver = AlsSolver::kConjugateGradient;  ///< of a row's normal equations
  int cg_steps = 2;                 ///< steps a row and sweep of kConjugateGradient, >= 1; one more below 128 users and items together a factor
  int block_size = 32;              ///< factors solved at a time by kSubspace, >= 1; rounded up to a multiple of 16
  float init_scale = 0.1f;          ///< start: bell-shaped, standard deviation init_scale / sqrt(factors); > 0
  bool compute_objective = true;    ///< objective after every sweep into the report; about a tenth of a CG sweep
  double tolerance = 0;             ///< stop once a sweep lowers the objective by less than this share; 0 never; >= 0
  bool keep_history = true;         ///< keep the training rows in the model, for seen items and for fold-in
  int num_threads = 0;              ///< 0 means all CPUs this process may use
  std::uint64_t seed = 42;  ///< of the random start
  void validate() const;            ///< throws std::invalid_argument: option, value, rule
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "factors", o.factors, OptionRule("in [1, 4096]"),
                  "regularization", o.regularization, OptionRule("finite and >= 0"), "alpha", o.alpha, OptionRule("finite and >= 0"),
                  "unobserved_weight", o.unobserved_weight, OptionRule("finite and > 0"), "nu", o.nu, OptionRule("in [0, 2]"),
                  "iterations", o.iterations, OptionRule(">= 0, at most 100000"), "solver", o.solver,
                  "cg_steps", o.cg_steps, OptionRule(">= 1, at most 100000"), "block_size", o.block_size, OptionRule(">= 1, at most 65536"),
                  "init_scale", o.init_scale, OptionRule("finite and > 0"), "compute_objective", o.compute_objective,
                  "tolerance", o.tolerance, OptionRule("finite and >= 0"), "keep_history", o.keep_history,
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"), "seed", o.seed);
  }
};

/// Matrix factorisation for implicit feedback.
/// Minimises  sum_S c (p - x_u . y_i)^2 + w0 sum_{not S} (x_u . y_i)^2
///              + reg (sum_u (|S_u| + w0 n_items)^nu |x_u|^2 + sum_i (|S_i| + w0 n_users)^nu |y_i|^2)
///            over observed pairs S of value r: r > 0: p = 1, c = 1 + alpha r; r < 0: p = 0, c = 1 + alpha |r|.
///            A stored zero is not an observation.
/// Rivals     Hu, Koren, Volinsky:        w0 = 1, nu = 0
///            implicit (c = a |r|), values r = 1, a >= 1:  alpha = a - 1, w0 = 1, nu = 0, the same regularization
///            iALS, iALS++ and irspack's IALSPP loss (weight of all cells a0, of observed ones 1 on top), r = 1:
///                                        alpha = w0 = a0, regularization times (1 + a0); factors are then
///                                        sqrt(1 + a0) times theirs, the ranking the same
///            docs/models/als.md has these for weighted values too
/// Shapes     user_items CSR [n_users x n_items]; factors float32 row-major [n x f]
/// Choose     for millions of users or items: 4 f bytes a row, answers from vectors through an index, new rows without a refit. On sparse
///            data neighbours and graph filters rank better (docs/models has both on Gowalla); order and time are not used, and
///            under some five pairs a row are mostly regularization
/// Cost       per sweep as said at AlsSolver, for every user and item; 4 f (n_users + n_items) bytes
/// Threads    const members are safe to call concurrently; fit() and partial_fit_*() need exclusive access
/// Repeats    bit-identical for equal seed and SIMD level, whatever num_threads is; between SIMD levels factors of a
///            converged row differ by rounding, about 1e-4 of their norm
/// Errors     std::invalid_argument (options, shapes, values), NotFittedError, NumericalError (row and advice)
/// Source     Hu, Koren, Volinsky, ICDM 2008; Takacs, Pilaszy, Tikk, RecSys 2011 (CG); Rendle, Krichene, Zhang, Koren,
///            arXiv 2110.14037 (w0, nu) and 2110.14044 (subspace)
class ETALAGE_EXPORT AlsModel final : public FactorModel {
 public:
  AlsModel() : AlsModel(AlsOptions{}) {}
  explicit AlsModel(const AlsOptions& options);  ///< validates the options
  ~AlsModel() override;

  /// Where a fit begins: factors [rows x f] for the first rows of users or items; an empty view, or rows beyond it,
  /// start at random. Views into this model's own factors are allowed.
  struct Start {
    MatrixView<const float> user_factors;  ///< [rows x factors], or empty
    MatrixView<const float> item_factors;  ///< [rows x factors], or empty
  };
  /// Replaces what was fitted before; the shape may change. After an exception the model is as before.
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {}) { return fit(data, callback, Start{}); }
  FitReport fit(const Interactions& data, const ProgressCallback& callback, const Start& start);
  /// Goes on from the factors at hand (from random ones when there are none), also on data with more rows.
  FitReport refit(const Interactions& data, const ProgressCallback& callback = {});

  /// A fitted model of factors that were trained elsewhere, block by block say, both sides whole; keeps what fit() keeps.
  [[nodiscard]] static AlsModel from_factors(const AlsOptions& options, const Interactions& data, const Start& factors,
                                             FitReport report = {});

  [[nodiscard]] const AlsOptions& options() const noexcept { return options_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }

  /// Solves the rows exactly against the factors of the other side as they stand, without touching the model.
  /// user_items [n x n_items] -> float32 [n x f]; item_users [n x n_users] -> float32 [n x f].
  [[nodiscard]] Array<float> fold_in_users(const CsrView& user_items, int num_threads = 0) const;
  [[nodiscard]] Array<float> fold_in_items(const CsrView& item_users, int num_threads = 0) const;
  /// The same, stored: row i replaces the factors (and the kept history) of users[i]. Indices at and beyond the number of
  /// users append: the model grows to the largest one, rows in between are zero. Indices must be unique. Growing a model
  /// that holds the shop's keys needs the keys of the whole grown range.
  void partial_fit_users(std::span<const std::int32_t> users, const CsrView& user_items, SharedIdMap user_ids = nullptr);
  void partial_fit_items(std::span<const std::int32_t> items, const CsrView& item_users, SharedIdMap item_ids = nullptr);

  /// Hu, Koren, Volinsky, section 5: the folded-in score of item i is sum_j y_i^T A^-1 y_j c_j over the liked j of the
  /// history, with A = w0 Y^T Y + sum_j (c_j - w0) y_j y_j^T + ridge. Contributions are these terms; they sum to total,
  /// which is the score of the query with recalculate_user. Disliked items only weigh in A.
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;

  /// The objective of the model on data of its shape, float32 products summed in double.
  [[nodiscard]] double objective(const Interactions& data) const;

  [[nodiscard]] std::string_view kind() const noexcept override { return "ALS"; }
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<AlsModel> from_state(const StateReader& reader);

 protected:
  void fold_in(const Query& query, std::span<float> factor, Scratch& scratch) const override;

 private:
  AlsOptions options_;
  FitReport report_;
  struct Grams;
  std::shared_ptr<const Grams> grams_;  // X^T X and Y^T Y, kept with the factors so that folding in need not form them

};

}  // namespace etalage
