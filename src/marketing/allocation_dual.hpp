// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "marketing/shopper_choice.hpp"

namespace etalage::marketing {

/// The dual at some prices: its value and what the shoppers take there.
struct DualPoint {
  double value = 0;
  std::vector<double> spent;  ///< [budgets]
  std::vector<double> given;  ///< [offers]
};

/// The dual function over all shoppers, or over a sample of them whose sums are scaled up.
class Dual {
 public:
  Dual(const AllocationProblem& problem, std::span<const std::size_t> sample, int num_threads);
  [[nodiscard]] DualPoint at(const Prices& prices) const;

 private:
  const AllocationProblem& p_;
  std::span<const std::size_t> sample_;
  int num_threads_;
};

struct DualMinimum {
  Prices prices;
  double value = 0;
  std::int32_t steps = 0;
};

/// Minimises the dual from `start` in at most max_steps evaluations; ends when the model promises less than tolerance times
/// the value.
[[nodiscard]] DualMinimum minimise(const AllocationProblem& problem, const Dual& dual, const Prices& start, std::int32_t max_steps, double tolerance);

}  // namespace etalage::marketing
