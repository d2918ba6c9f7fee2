// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "etalage/core/option_names.hpp"
#include "etalage/extend/state.hpp"
#include "etalage/export.hpp"
#include "etalage/marketing/parameter_fit.hpp"

namespace etalage {

/// Histories over fixed opportunities (a yearly appeal, a monthly box): whole numbers, each [n].
struct OpportunityHistories {
  std::span<const double> frequency;      ///< x: opportunities that were taken, the first purchase not counted
  std::span<const double> recency;        ///< t_x: number of the last one taken, 0 where x = 0; x <= t_x
  std::span<const double> opportunities;  ///< n: how many there were, t_x <= n <= 10000
};

/// Settings of the BG/BB model's fit.
struct ETALAGE_EXPORT BgBbOptions {
  std::int32_t max_iterations = 200;  ///< steps of the search; >= 1
  int num_threads = 0;  ///< threads; 0 means all that the process may use; >= 0
  void validate() const;
  /// visit("name", field, rule) for each option: what files and bindings read and write.
  template <class Options, class Visit>
  static void each(Options& o, const Visit& visit) {
    visit_options(visit, "max_iterations", o.max_iterations, OptionRule(">= 1, at most 1073741824"), "num_threads", o.num_threads, OptionRule(">= 0 (0 means all CPUs)"));
  }
};

/// BG/BB: Fader, Hardie, Shang, "Customer-Base Analysis in a Discrete-Time Noncontractual Setting", Marketing Science
/// 29(6), 2010. An opportunity is taken with p ~ Beta(alpha, beta); before each the customer stops for good with
/// theta ~ Beta(gamma, delta).
///
/// Parameters  alpha beta gamma delta
/// Cost        a step is (n - t_x) terms a distinct history
/// Threads, errors  as LifetimeModel
class ETALAGE_EXPORT BgBb {
 public:
  explicit BgBb(BgBbOptions options = {});  ///< validates the options

  /// weights [n]: customers who share a row, > 0; empty means 1 each.
  const ParameterFit& fit(const OpportunityHistories& customers, std::span<const double> weights = {});
  void set_parameters(std::span<const double> values);

  /// Opportunities taken among the next m, out [n]; m whole, in [0, 1e6].
  void expected_purchases(double m, const OpportunityHistories& customers, std::span<double> out) const;
  /// Chance of being active at opportunity n.
  void p_alive(const OpportunityHistories& customers, std::span<double> out) const;

  [[nodiscard]] const BgBbOptions& options() const noexcept { return options_; }
  [[nodiscard]] bool fitted() const noexcept { return !fit_.values.empty(); }
  [[nodiscard]] const ParameterFit& parameters() const;  ///< NotFittedError before a fit

  void save_state(StateWriter& writer) const;
  [[nodiscard]] static BgBb from_state(const StateReader& reader);

 private:
  BgBbOptions options_;
  ParameterFit fit_;
};

}  // namespace etalage
