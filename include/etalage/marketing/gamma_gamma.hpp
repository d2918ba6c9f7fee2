// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/marketing/parameter_fit.hpp"

namespace etalage {

/// Settings of the Gamma-Gamma model's fit.
struct ETALAGE_EXPORT GammaGammaOptions {
  std::int32_t max_iterations = 200;  ///< Newton steps; >= 1
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "max_iterations", o.max_iterations, OptionRule(">= 1, at most 1073741824"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// What a customer spends a purchase: Fader, Hardie, Lee (2005) and Fader, Hardie, "The Gamma-Gamma Model of Monetary
/// Value" (2013). A purchase is Gamma(p, nu), nu ~ Gamma(q, v) by customer; money and number of purchases are taken as
/// independent, which is to be checked (the correlation of frequency and money among repeaters should be small).
///
/// Parameters  p q v; v is in units of money
/// Threads     const members are safe to call concurrently; the same bits for any num_threads and any order of rows
/// Errors      std::invalid_argument (shapes, values, nobody bought twice), NotFittedError, NumericalError
class ETALAGE_EXPORT GammaGamma {
 public:
  explicit GammaGamma(GammaGammaOptions options = {});  ///< validates the options

  /// frequency [n]: repeat purchases, whole, >= 0; money [n]: their mean value, > 0 where frequency > 0. Customers without
  /// repeat purchases tell nothing and are left out, whatever their money.
  const ParameterFit& fit(std::span<const double> frequency, std::span<const double> money);
  void set_parameters(std::span<const double> values);  ///< p, q, v

  /// Mean value of a purchase that the model expects of each customer, out [n]; without repeat purchases the
  /// population's p v / (q - 1), which is infinite for q <= 1.
  void expected_money(std::span<const double> frequency, std::span<const double> money, std::span<double> out) const;
  void expected_money(std::span<const double> parameters, std::span<const double> frequency, std::span<const double> money, std::span<double> out) const;

  [[nodiscard]] const GammaGammaOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool fitted() const noexcept { return !fit_.values.empty(); }
  [[nodiscard]] const ParameterFit& parameters() const;  ///< NotFittedError before a fit

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static GammaGamma from_state(const StateReader& reader);

 private:
  GammaGammaOptions options_;
  ParameterFit fit_;
};

}  // namespace etalage
