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
#include "etalage/core/option_names.hpp"
#include "etalage/core/progress.hpp"
#include "etalage/export.hpp"
#include "etalage/models/recommender.hpp"

namespace etalage {

/// In which polynomials `coefficients` are meant.
enum class FilterBasis : std::uint8_t {
  kPower,     ///< S^0, S^1, S^2, ...
  kChebyshev  ///< T_0, T_1, T_2, ... of I - 2 S, the normalised Laplacian moved to [-1, 1]
};
/// As options spell them.
template <>
inline constexpr auto option_names<FilterBasis> = std::to_array<OptionName<FilterBasis>>(
    {{"power", FilterBasis::kPower}, {"chebyshev", FilterBasis::kChebyshev}});

/// Settings of GraphFilterModel. The letters are those of the formula at the model.
struct ETALAGE_EXPORT GraphFilterOptions {
  Auto<float> history_exponent = Auto<float>::unless_given(0.6f);  ///< a, damps popular items in the history; finite
  Auto<float> user_exponent = Auto<float>::unless_given(0.8f);  ///< u, damps busy users between; finite
  Auto<float> item_exponent = Auto<float>::unless_given(0.15f);  ///< b, damps popular items in the answer; finite
  std::vector<float> coefficients = {0.0f, 1.0f};  ///< c, of the polynomial of S, lowest order first; may be empty; 64 at most
  FilterBasis basis = FilterBasis::kPower;  ///< polynomials of the filter
  std::int32_t low_pass_factors = -1;  ///< singular vectors kept; 0 none, -1 by the size of the data (default_factors)
  float low_pass_weight = 0.1f;        ///< w, >= 0
  std::int32_t sharpen_factors = 128;  ///< singular vectors on which S^2 is subtracted; 0 none; >= 0
  Auto<float> sharpen_weight = Auto<float>::unless_given(0.45f);  ///< s, >= 0
  bool equal_scale = true;             ///< w and s count from root mean squares of scores equal to the first part's
  float low_pass_power = 0;            ///< t, singular values weigh by (sigma / sigma_1)^t; >= 0; 0 is the ideal pass
  float low_pass_user_exponent = 0.5f;     ///< of D_u in the matrix that is decomposed
  float low_pass_item_exponent = 0.5f;     ///< of D_i in the matrix that is decomposed
  float low_pass_history_exponent = 0.5f;  ///< p, damps popular items of the history
  float low_pass_target_exponent = -0.5f;  ///< q, damps popular items of the answer; negative raises them
  std::vector<float> low_pass_coefficients = {1.0f};  ///< of a polynomial of S behind the low pass; 64 at most, not empty
  int power_iterations = 6;            ///< of the randomized SVD, >= 1
  int num_threads = 0;                 ///< 0 means all CPUs this process may use
  std::uint64_t seed = 42;             ///< of the randomized SVD
  void validate() const;               ///< throws std::invalid_argument: option, value, rule

  /// What low_pass_factors = -1 stands for.
  [[nodiscard]] static std::int32_t default_factors(std::int32_t num_users, std::int32_t num_items) noexcept;

  // Published members of the family, as their papers write them.
  /// The filter of GF-CF (Shen et al., 2021): neighbours plus weight times the ideal low pass.
  [[nodiscard]] static GraphFilterOptions gf_cf(float weight = 0.3f, std::int32_t factors = 256);
  /// The filter of LinkProp (Fu et al., 2022), by three exponents of degrees.
  [[nodiscard]] static GraphFilterOptions link_prop(float history_exponent, float user_exponent, float item_exponent);
  /// order >= 1; flatness phi > 0 of the plateau; beta of the degree normalisation.
  [[nodiscard]] static GraphFilterOptions cheby_cf(int order, float flatness, float beta, float weight, std::int32_t factors);
  /// One Euler step of blurring, `steps` Euler steps of sharpening that take `time` together; the low-pass part, of
  /// weight `weight`, is sharpened too with early_merge (BSPM-EM) and joins behind otherwise (BSPM-LM).
  [[nodiscard]] static GraphFilterOptions bspm(float weight, std::int32_t factors, float time, int steps, bool early_merge);
  /// D_u^-epsilon R D_i^-epsilon on both sides, singular values to the power `power`.
  [[nodiscard]] static GraphFilterOptions sgfcf(float epsilon, std::int32_t factors, float power, float weight);
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "history_exponent", o.history_exponent, OptionRule("finite"),
                  "user_exponent", o.user_exponent, OptionRule("finite"), "item_exponent", o.item_exponent, OptionRule("finite"),
                  "coefficients", o.coefficients, "basis", o.basis, "low_pass_factors", o.low_pass_factors, OptionRule("in [-1, 4096]"),
                  "low_pass_weight", o.low_pass_weight, OptionRule("finite and >= 0"), "sharpen_factors", o.sharpen_factors, OptionRule("in [0, 4096]"),
                  "sharpen_weight", o.sharpen_weight, OptionRule("finite and >= 0"), "equal_scale", o.equal_scale,
                  "low_pass_power", o.low_pass_power, OptionRule("finite and >= 0"),
                  "low_pass_user_exponent", o.low_pass_user_exponent, OptionRule("finite"),
                  "low_pass_item_exponent", o.low_pass_item_exponent, OptionRule("finite"),
                  "low_pass_history_exponent", o.low_pass_history_exponent, OptionRule("finite"),
                  "low_pass_target_exponent", o.low_pass_target_exponent, OptionRule("finite"), "low_pass_coefficients", o.low_pass_coefficients,
                  "power_iterations", o.power_iterations, OptionRule(">= 1, at most 100000"),
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"), "seed", o.seed);
  }
};

/// A linear filter on the user-item graph: the history goes in, scores of all items come out.
///
///   score(h) = sum_k c_k h S^k  +  w' h D_i^-p V g V^T D_i^-q L  -  s' h D_i^-d U r^4 U^T D_i^d
///   S = D_i^-a R^T D_u^-u R D_i^-b
///   V, sigma: right singular vectors and values of D_u^-lu R D_i^-li;  g = diag((sigma / sigma_1)^t)
///   L = sum_k l_k S^k, the identity unless low_pass_coefficients say otherwise
///   U, r: right singular vectors and values of D_u^-(u/2) R D_i^-((a+b)/2), d = (a-b)/2: S^2 without its small part.
///   It takes back what everybody's neighbours have in common, as sharpening does in BSPM, at the cost of a few factors
///   instead of two passes over R
///   w', s' = w, s, or times the quotient of the parts' root mean squares over up to 256 evenly spaced users (equal_scale)
///
/// R [users x items] are the values of the fit, D_u and D_i the sums of its rows and columns; to a negative power a sum
/// of zero is zero.
/// Members    GF-CF, LinkProp, BSPM, ChebyCF and SGFCF's generalised normalisation: see GraphFilterOptions
/// Shapes     values must be >= 0 (a negative one is std::invalid_argument)
/// Factored   S is never formed: R, its transpose and V are kept. An unseen user is a history like any other
/// Who        a user stands for their history: the kept rows, or those of the query; session items count 1. A query
///            without history and session, of somebody unknown or of a user without training rows, is asked as the average
///            training row: the cold-start answer
/// Similar    items: row i of the filter, the scores of somebody whose history is i alone. Users: v is like u by
///            sum_i R_ui R_vi / (d_i^(a+b) d_v^u), the weight with which v's purchases enter u's scores
/// Explain    history item i gives h_i times entry (i, j) of the filter; these parts sum to the score
/// Choose     for sparse data of any size: nothing but an SVD is fitted, and it leads there (docs/models, Gowalla). Queries cost more where an
///            item is bought by a large share of all users, and several orders of the polynomial read all of R
/// Cost       fit: the SVD, O(iterations (nnz f + items f^2) + f^3). A query: with coefficients {0, c} the rows of the
///            users who share an item with the history, otherwise one pass over R and its transpose for each order;
///            and items x f for the low pass. Memory 16 nnz + 4 items f bytes
/// Threads    const members are safe to call concurrently; a single query never opens a parallel region
/// Repeats    bit-identical for equal seed and SIMD level, for any num_threads
/// Source     Shen et al., CIKM 2021 (GF-CF); Fu et al., KDD 2022 (LinkProp); Choi et al., SIGIR 2023 (BSPM); Peng et al.,
///            KDD 2024 (SGFCF); Kim et al., SIGIR 2025 (ChebyCF)
class ETALAGE_EXPORT GraphFilterModel final : public Recommender {
 public:
  explicit GraphFilterModel(GraphFilterOptions options = {});  ///< validates the options
  ~GraphFilterModel() override;

  [[nodiscard]] std::string_view kind() const noexcept override { return "GraphFilter"; }
  [[nodiscard]] std::int32_t num_users() const noexcept override { return static_cast<std::int32_t>(rows_.rows); }
  [[nodiscard]] std::int32_t num_items() const noexcept override { return static_cast<std::int32_t>(rows_.cols); }
  [[nodiscard]] bool fitted() const noexcept { return !rows_.offsets.empty(); }
  [[nodiscard]] const GraphFilterOptions& options() const noexcept { return options_; }
  [[nodiscard]] const FitReport& report() const noexcept { return report_; }
  /// Columns of V; 0 without a low-pass part.
  [[nodiscard]] std::int32_t factors() const noexcept { return low_pass_.factors; }
  /// V [num_items x factors] and sigma [factors].
  [[nodiscard]] const Array<float>& singular_vectors() const noexcept { return low_pass_.vectors; }
  [[nodiscard]] const Array<float>& singular_values() const noexcept { return low_pass_.singular; }
  /// w' and -s', as the scores use them.
  [[nodiscard]] float low_pass_in_use() const noexcept { return low_pass_.weight; }
  [[nodiscard]] float sharpen_in_use() const noexcept { return sharpen_.weight; }

  /// Replaces what was fitted before. A callback that returns false ends the iterations of the SVD early.
  FitReport fit(const Interactions& data, const ProgressCallback& callback = {});

  std::size_t recommend(const Query& query, std::span<ItemScore> out, Scratch& scratch) const override;
  void recommend_batch(std::span<const Query> queries, MatrixView<ItemScore> out, std::span<std::size_t> counts,
                       int num_threads = 0) const override;
  void score(const Query& query, std::span<const std::int32_t> items, std::span<float> out,
             Scratch& scratch) const override;
  std::size_t similar_items(std::int32_t item, std::span<ItemScore> out, Scratch& scratch,
                            const ItemFilter* filter = nullptr) const override;
  std::size_t similar_users(std::int32_t user, std::span<ItemScore> out, Scratch& scratch) const override;
  [[nodiscard]] Explanation explain(const Query& query, std::int32_t item, std::size_t k) const override;
  void save_state(StateWriter& writer) const override;
  [[nodiscard]] static std::shared_ptr<GraphFilterModel> from_state(const StateReader& reader);

 private:
  struct Working;  // a thread's own memory, in Scratch
  // weight h diag(history_scale) V diag(gains) T^T, with T = diag(target_scale) V unless `targets` has it.
  struct Part {
    std::int32_t factors = 0;
    float weight = 0;
    Array<float> vectors;        // V [items x factors]
    Array<float> targets;        // [items x factors] or empty
    Array<float> singular;       // [factors]
    Array<float> gains;          // [factors]
    Array<float> history_scale;  // [items]
    Array<float> target_scale;   // [items], all 1 beside targets
    [[nodiscard]] const Array<float>& rows() const noexcept { return targets.empty() ? vectors : targets; }
    void save_state(StateWriter& writer) const;
    void load_state(const StateReader& reader, std::size_t items, bool with_targets);
  };
  static Working& working(Scratch& scratch);
  void require_fitted() const;
  void fit_low_pass(const ProgressCallback& callback, FitReport& report);
  void apply_low_pass_coefficients();
  void fit_sharpening(const ProgressCallback& callback, FitReport& report);
  void set_weights();
  void require_finite_parts() const;
  void collect(const Query& query, Working& w) const;
  [[nodiscard]] bool sparse() const noexcept;
  void propagate(Working& w, const float* in_scale, const float* out_scale) const;
  void one_step(Working& w, const float* in_scale, const float* out_scale) const;
  void polynomial(Working& w, std::size_t lanes, const float* in_scale, const float* out_scale) const;
  static void fold(const Part& part, Working& w, float* folded);
  static void project(const Part& part, Working& w, std::span<const std::int32_t> items, float* out);
  static void add(const Part& part, const float* projected, float* scores);
  std::span<const float> scores(Working& w) const;

  GraphFilterOptions options_;
  FitReport report_;
  CsrMatrix rows_;              // R [users x items]
  CsrMatrix columns_;           // its transpose
  Array<float> history_scale_;  // d_i^-a
  Array<float> user_scale_;     // d_u^-u
  Array<float> item_scale_;     // d_i^-b
  Part low_pass_;
  Part sharpen_;
};

}  // namespace etalage
