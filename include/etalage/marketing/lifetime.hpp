// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/marketing/parameter_fit.hpp"

namespace etalage {

/// Customers as "buy till you die" models see them, each [n]. One unit of time for all (weeks are usual).
struct PurchaseHistories {
  std::span<const double> frequency;  ///< x: repeat purchases, whole, >= 0; the first purchase does not count
  std::span<const double> recency;    ///< t_x: age at the last purchase, 0 where x = 0; not the time since then
  std::span<const double> age;        ///< T: from the first purchase to the end of observation, >= t_x
  /// MBG/CNBD-k alone: sum over the x gaps between purchases of ln(gap), or empty (see LifetimeModel).
  std::span<const double> log_gaps = {};
  /// Customers who share a row, in (0, 1e9]; empty means 1 each. log_gaps is then their sum. Fits alone read it.
  std::span<const double> weights = {};
};

/// Which model of purchases and of leaving.
/// kMbgNbd lets a customer leave after the first purchase too, which kBgNbd does not: take it where many buy once. kParetoNbd lets them leave
/// at any time, and is fitted slower, for its likelihood is an integral. kMbgCnbd is for regular buyers, whom random gaps think alive for
/// too long when they fall silent; without the gaps themselves there is little to tell its k from. Compare likelihoods in one unit of time.
enum class LifetimeKind : std::uint8_t {
  kBgNbd,     ///< Fader, Hardie, Lee, Marketing Science 24(2), 2005: may stop after each repeat purchase
  kMbgNbd,    ///< Batislam, Denizel, Filiztekin, IJRM 24(3), 2007: also after the first one
  kParetoNbd, ///< Schmittlein, Morrison, Colombo, Management Science 33(1), 1987: may stop at any time
  kMbgCnbd    ///< Platzer, Reutterer, IJRM 38(2), 2021: as kMbgNbd, gaps Erlang-k: k > 1 is regular buying
};

/// "BG/NBD", "MBG/NBD", "Pareto/NBD", "MBG/CNBD-k".
[[nodiscard]] ETALAGE_EXPORT std::string_view lifetime_name(LifetimeKind kind) noexcept;

/// Settings of the lifetime models.
struct ETALAGE_EXPORT LifetimeOptions {
  /// MBG/CNBD-k alone: 0 tries 1, 2, 3, ... as long as the likelihood grows; in [0, 12].
  std::int32_t k = 0;
  std::int32_t max_iterations = 200;  ///< Newton steps; >= 1
  int num_threads = 0;
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "k", o.k, OptionRule("in [0, 12]"), "max_iterations", o.max_iterations, OptionRule(">= 1, at most 1073741824"),
                  "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// How long a customer stays and how often they buy, by maximum likelihood.
///
/// A customer buys at rate lambda ~ Gamma(r, alpha) while they are active. BG and MBG: after a purchase they stop for
/// good with probability p ~ Beta(a, b). Pareto: they stop at rate mu ~ Gamma(s, beta). MBG/CNBD-k: a gap is the sum of k
/// exponential ones. Equal rows are collapsed; Newton's method runs in the logarithms of the parameters with analytic
/// gradient and Hessian. Pareto's hypergeometric terms are the integral they stand for, by Gauss-Legendre quadrature.
///
/// Likelihood  of the times of the purchases, given the first one; values of different k compare. For k > 1 it holds the
///             gap term (k - 1) sum ln(gap) - x ln Gamma(k). Without log_gaps only x and t_x are known, and the term is
///             that of t_x as a sum of kx exponential times beside k = 1: (k - 1) x ln(t_x) - ln Gamma(kx) + ln Gamma(x),
///             which says less about k.
/// Parameters  r alpha a b, or r alpha s beta; alpha and beta are in units of time
/// Cost        a step is about 0.1 us a distinct row (Pareto: 1 us), about ten steps
/// Threads     const members are safe to call concurrently; the same bits for any num_threads and any order of rows
/// Errors      std::invalid_argument (shapes, values, nobody bought twice), NotFittedError, NumericalError
class ETALAGE_EXPORT LifetimeModel {
 public:
  explicit LifetimeModel(LifetimeKind kind, LifetimeOptions options = {});  ///< validates the options

  const ParameterFit& fit(const PurchaseHistories& customers);
  /// Known parameters instead of a fit, in the order of names; k is that of the options, 1 for 0. No standard errors.
  void set_parameters(std::span<const double> values);

  /// Purchases expected in the t units of time after T; out [n]. t finite, >= 0.
  void expected_purchases(double t, const PurchaseHistories& customers, std::span<double> out) const;
  /// Chance of being still active at T, given the history; out [n]. BG/NBD's is 1 for whoever bought once.
  void p_alive(const PurchaseHistories& customers, std::span<double> out) const;
  /// Purchases after the first one that a new customer makes in t units of time.
  [[nodiscard]] double expected_purchases_of_new(double t) const;

  /// The same for other parameters, [4] as in parameters().values: what draws() of the fit are for. Infinite where the call
  /// above refuses t, because millions of purchases are expected by then.
  void expected_purchases(std::span<const double> parameters, double t, const PurchaseHistories& customers, std::span<double> out) const;
  void p_alive(std::span<const double> parameters, const PurchaseHistories& customers, std::span<double> out) const;

  [[nodiscard]] LifetimeKind kind() const noexcept { return kind_; }
  [[nodiscard]] const LifetimeOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool fitted() const noexcept { return !fit_.values.empty(); }
  [[nodiscard]] const ParameterFit& parameters() const;  ///< NotFittedError
  [[nodiscard]] std::int32_t k() const noexcept { return k_; }  ///< 1 for all but MBG/CNBD-k
  /// MBG/CNBD-k: log-likelihood of k = 1, 2, ... as far as they were tried.
  [[nodiscard]] std::span<const double> log_likelihood_of_k() const noexcept { return by_k_; }

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static LifetimeModel from_state(const StateReader& reader);

 private:
  LifetimeKind kind_;
  LifetimeOptions options_;
  ParameterFit fit_;
  std::int32_t k_ = 1;
  std::vector<double> by_k_;
};

}  // namespace etalage
